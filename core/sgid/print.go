package sgid

import "log/slog"

// The rule of package idserver for everything that is printed, logged or marshalled by mistake: a value that holds a secret
// or personal data shows what its String shows, which stands beside its type. A test goes over all exported types.

// GoString returns what String does: %#v prints no more than %v.

func (c Config) GoString() string               { return c.String() }
func (c *Client) GoString() string              { return c.String() }
func (o AuthorizeOptions) GoString() string     { return o.String() }
func (a AuthorizationRequest) GoString() string { return a.String() }
func (p CallbackParams) GoString() string       { return p.String() }
func (s SignIn) GoString() string               { return s.String() }
func (p PKCEPair) GoString() string             { return p.String() }
func (i UserInfo) GoString() string             { return i.String() }
func (d Data) GoString() string                 { return d.String() }
func (v Vehicle) GoString() string              { return v.String() }
func (c SponsoredChild) GoString() string       { return c.String() }
func (e Employment) GoString() string           { return e.String() }

// LogValue returns what String does, for package slog.

func (c Config) LogValue() slog.Value               { return slog.StringValue(c.String()) }
func (c *Client) LogValue() slog.Value              { return slog.StringValue(c.String()) }
func (o AuthorizeOptions) LogValue() slog.Value     { return slog.StringValue(o.String()) }
func (a AuthorizationRequest) LogValue() slog.Value { return slog.StringValue(a.String()) }
func (p CallbackParams) LogValue() slog.Value       { return slog.StringValue(p.String()) }
func (s SignIn) LogValue() slog.Value               { return slog.StringValue(s.String()) }
func (p PKCEPair) LogValue() slog.Value             { return slog.StringValue(p.String()) }
func (i UserInfo) LogValue() slog.Value             { return slog.StringValue(i.String()) }
func (d Data) LogValue() slog.Value                 { return slog.StringValue(d.String()) }
func (v Vehicle) LogValue() slog.Value              { return slog.StringValue(v.String()) }
func (c SponsoredChild) LogValue() slog.Value       { return slog.StringValue(c.String()) }
func (e Employment) LogValue() slog.Value           { return slog.StringValue(e.String()) }

// MarshalText returns what String does, for encoding/json and others. What a person shared is made to be
// marshalled, and an AuthorizationRequest and a PKCEPair are kept by their caller, who may marshal them into a sealed cookie.

func (c Config) MarshalText() ([]byte, error)           { return []byte(c.String()), nil }
func (c *Client) MarshalText() ([]byte, error)          { return []byte(c.String()), nil }
func (o AuthorizeOptions) MarshalText() ([]byte, error) { return []byte(o.String()), nil }
func (p CallbackParams) MarshalText() ([]byte, error)   { return []byte(p.String()), nil }
func (s SignIn) MarshalText() ([]byte, error)           { return []byte(s.String()), nil }
