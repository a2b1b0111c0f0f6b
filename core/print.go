package idserver

import "log/slog"

// One rule for everything that is printed, logged or marshalled by mistake: a value that holds a secret or personal data
// shows what its String shows, which stands beside its type. A test goes over all exported types.

// GoString returns what String does: %#v prints no more than %v.

func (c Config) GoString() string               { return c.String() }
func (c SessionConfig) GoString() string        { return c.String() }
func (c HTTPConfig) GoString() string           { return c.String() }
func (k ClientKey) GoString() string            { return k.String() }
func (c *Client) GoString() string              { return c.String() }
func (u User) GoString() string                 { return u.String() }
func (t Tokens) GoString() string               { return t.String() }
func (r AuthorizationRequest) GoString() string { return r.String() }
func (o AuthorizeOptions) GoString() string     { return o.String() }
func (c IDTokenCheck) GoString() string         { return c.String() }
func (e EndSession) GoString() string           { return e.String() }
func (r Request) GoString() string              { return r.String() }
func (a Answer) GoString() string               { return a.String() }
func (f Field) GoString() string                { return f.String() }
func (r Refusal) GoString() string              { return r.String() }
func (r Rendered) GoString() string             { return r.String() }
func (u *userContext) GoString() string         { return u.String() }
func (c *textContext) GoString() string         { return c.String() }

// LogValue returns what String does, for package slog.

func (c Config) LogValue() slog.Value               { return slog.StringValue(c.String()) }
func (c SessionConfig) LogValue() slog.Value        { return slog.StringValue(c.String()) }
func (c HTTPConfig) LogValue() slog.Value           { return slog.StringValue(c.String()) }
func (k ClientKey) LogValue() slog.Value            { return slog.StringValue(k.String()) }
func (c *Client) LogValue() slog.Value              { return slog.StringValue(c.String()) }
func (u User) LogValue() slog.Value                 { return slog.StringValue(u.String()) }
func (t Tokens) LogValue() slog.Value               { return slog.StringValue(t.String()) }
func (r AuthorizationRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }
func (o AuthorizeOptions) LogValue() slog.Value     { return slog.StringValue(o.String()) }
func (c IDTokenCheck) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (e EndSession) LogValue() slog.Value           { return slog.StringValue(e.String()) }
func (r Request) LogValue() slog.Value              { return slog.StringValue(r.String()) }
func (a Answer) LogValue() slog.Value               { return slog.StringValue(a.String()) }
func (f Field) LogValue() slog.Value                { return slog.StringValue(f.String()) }
func (r Refusal) LogValue() slog.Value              { return slog.StringValue(r.String()) }
func (r Rendered) LogValue() slog.Value             { return slog.StringValue(r.String()) }
func (u *userContext) LogValue() slog.Value         { return slog.StringValue(u.String()) }
func (c *textContext) LogValue() slog.Value         { return slog.StringValue(c.String()) }

// MarshalText returns what String does, for encoding/json and others. User has a
// MarshalJSON for front ends, and an AuthorizationRequest is kept by its caller, who may marshal it into a sealed cookie.

func (c Config) MarshalText() ([]byte, error)           { return []byte(c.String()), nil }
func (c SessionConfig) MarshalText() ([]byte, error)    { return []byte(c.String()), nil }
func (c HTTPConfig) MarshalText() ([]byte, error)       { return []byte(c.String()), nil }
func (k ClientKey) MarshalText() ([]byte, error)        { return []byte(k.String()), nil }
func (c *Client) MarshalText() ([]byte, error)          { return []byte(c.String()), nil }
func (t Tokens) MarshalText() ([]byte, error)           { return []byte(t.String()), nil }
func (o AuthorizeOptions) MarshalText() ([]byte, error) { return []byte(o.String()), nil }
func (c IDTokenCheck) MarshalText() ([]byte, error)     { return []byte(c.String()), nil }
func (e EndSession) MarshalText() ([]byte, error)       { return []byte(e.String()), nil }
func (r Request) MarshalText() ([]byte, error)          { return []byte(r.String()), nil }
func (a Answer) MarshalText() ([]byte, error)           { return []byte(a.String()), nil }
func (f Field) MarshalText() ([]byte, error)            { return []byte(f.String()), nil }
func (r Refusal) MarshalText() ([]byte, error)          { return []byte(r.String()), nil }
func (r Rendered) MarshalText() ([]byte, error)         { return []byte(r.String()), nil }
func (u *userContext) MarshalText() ([]byte, error)     { return []byte(u.String()), nil }
func (c *textContext) MarshalText() ([]byte, error)     { return []byte(c.String()), nil }
