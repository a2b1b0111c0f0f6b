package idserver

// RememberedRevocations is how many revoked access tokens are remembered.
func (c *Client) RememberedRevocations() int {
	c.provider.revoked.mu.Lock()
	defer c.provider.revoked.mu.Unlock()
	return len(c.provider.revoked.expires)
}
