package singpass

import "log/slog"

// The rule of package idserver for everything that is printed, logged or marshalled by mistake: a value that holds a secret or
// personal data shows what its String shows, which stands beside its type.

// GoString returns what String does: %#v prints no more than %v.

func (c Config) GoString() string   { return c.String() }
func (c *Client) GoString() string  { return c.String() }
func (i Identity) GoString() string { return i.String() }
func (p Person) GoString() string   { return p.String() }
func (i Item) GoString() string     { return i.String() }
func (a Address) GoString() string  { return a.String() }
func (b Business) GoString() string { return b.String() }
func (e Entity) GoString() string   { return e.String() }

func (a Authorization) GoString() string { return a.String() }

// LogValue returns what String does, for package slog.

func (c Config) LogValue() slog.Value   { return slog.StringValue(c.String()) }
func (c *Client) LogValue() slog.Value  { return slog.StringValue(c.String()) }
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }
func (p Person) LogValue() slog.Value   { return slog.StringValue(p.String()) }
func (i Item) LogValue() slog.Value     { return slog.StringValue(i.String()) }
func (a Address) LogValue() slog.Value  { return slog.StringValue(a.String()) }
func (b Business) LogValue() slog.Value { return slog.StringValue(b.String()) }
func (e Entity) LogValue() slog.Value   { return slog.StringValue(e.String()) }

func (a Authorization) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText returns what String does, for encoding/json and others. What a person shares is made to be marshalled.

func (c Config) MarshalText() ([]byte, error)   { return []byte(c.String()), nil }
func (c *Client) MarshalText() ([]byte, error)  { return []byte(c.String()), nil }
func (i Identity) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
func (b Business) MarshalText() ([]byte, error) { return []byte(b.String()), nil }
func (e Entity) MarshalText() ([]byte, error)   { return []byte(e.String()), nil }
