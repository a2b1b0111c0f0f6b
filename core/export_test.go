package idserver

// RememberedRevocations is how many revoked access tokens are remembered.
func (c *Client) RememberedRevocations() int {
	c.revoked.mu.Lock()
	defer c.revoked.mu.Unlock()
	return len(c.revoked.expires)
}
