package idserver

// RememberedRevocations is how many revoked access tokens are remembered.
func (c *Client) RememberedRevocations() int { return c.provider.revoked.Len() }
