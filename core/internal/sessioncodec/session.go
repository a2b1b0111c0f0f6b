package sessioncodec

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// MaxSize limits the size of an unpacked session, in bytes.
const MaxSize = 256 << 10

// Record is a session as it is kept. Times are milliseconds since 1970; 0 means that there is none. To change a session,
// change a copy of what Unpack returned: it holds what a later version wrote besides.
type Record struct {
	ID [32]byte // random, one for each sign-in; never zero

	Issuer        string // never empty
	Subject       string // never empty
	Email         string
	EmailVerified bool
	Name          string
	GivenName     string
	FamilyName    string
	TenantID      string
	Roles         []string
	CustomRoles   []string
	RolesFrom     string // id_token, access_token, userinfo or none
	Scopes        []string
	Claims        string // a JSON object, or empty

	SignedIn  int64 // the absolute limit counts from here
	Seen      int64 // the idle limit counts from here
	Expiry    int64 // of the access token
	RefreshAt int64 // when a new access token is due

	RolesExpiry     int64  // of the access token that the roles came with, if that is an older one
	Nonce           string // a hash of that of the ID token that came with the sign-in
	AuthTime        int64  // auth_time of the same
	ACR             string // acr of the same
	ProviderSession string // sid of the same
	Issued          int64  // iat of the same
	Version         int64  // how often the tokens were refreshed
	Outlived        int64  // no sign-out up to here is meant for it
	Confirmed       int64  // the beginning of the latest epoch of the store in which it was begun or refreshed
	Moves           int64  // how often the session had moved into a store when it was written (see Stored)

	AccessToken  string
	IDToken      string
	RefreshToken string
	ProofKey     []byte // the private key that the access token is bound to

	unknown []member // of the JSON object
	others  []part
}

// Later is what a later version wrote in a record besides. The zero value is nothing.
type Later struct {
	unknown []member
	others  []part
}

// Later returns what a later version wrote in the record.
func (r *Record) Later() Later { return Later{r.unknown, r.others} }

// SetLater puts what a later version wrote in another record in the place of what the record has of that.
func (r *Record) SetLater(l Later) { r.unknown, r.others = l.unknown, l.others }

// String says nothing: there may be tokens.
func (Later) String() string { return "sessioncodec.Later{}" }

// GoString returns [Later.String].
func (l Later) GoString() string { return l.String() }

// LogValue returns [Later.String], for package slog.
func (l Later) LogValue() slog.Value { return slog.StringValue(l.String()) }

// recordFields are the members of the JSON object. The application may have modified the user's fields, so they stand
// next to the claims that they came from; compression removes the repetition.
var recordFields = []field[Record]{
	text("iss", func(r *Record) *string { return &r.Issuer }),
	text("sub", func(r *Record) *string { return &r.Subject }),
	text("email", func(r *Record) *string { return &r.Email }),
	flag("email_verified", func(r *Record) *bool { return &r.EmailVerified }),
	text("name", func(r *Record) *string { return &r.Name }),
	text("given_name", func(r *Record) *string { return &r.GivenName }),
	text("family_name", func(r *Record) *string { return &r.FamilyName }),
	text("tenant_id", func(r *Record) *string { return &r.TenantID }),
	texts("roles", func(r *Record) *[]string { return &r.Roles }),
	texts("custom_roles", func(r *Record) *[]string { return &r.CustomRoles }),
	text("roles_from", func(r *Record) *string { return &r.RolesFrom }),
	texts("scopes", func(r *Record) *[]string { return &r.Scopes }),
	object("claims", func(r *Record) *string { return &r.Claims }),
	number("signed_in", func(r *Record) *int64 { return &r.SignedIn }),
	number("seen", func(r *Record) *int64 { return &r.Seen }),
	number("expiry", func(r *Record) *int64 { return &r.Expiry }),
	number("refresh_at", func(r *Record) *int64 { return &r.RefreshAt }),
	number("roles_expiry", func(r *Record) *int64 { return &r.RolesExpiry }),
	text("nonce", func(r *Record) *string { return &r.Nonce }),
	number("auth_time", func(r *Record) *int64 { return &r.AuthTime }),
	text("acr", func(r *Record) *string { return &r.ACR }),
	text("sid", func(r *Record) *string { return &r.ProviderSession }),
	number("issued", func(r *Record) *int64 { return &r.Issued }),
	number("version", func(r *Record) *int64 { return &r.Version }),
	number("outlived", func(r *Record) *int64 { return &r.Outlived }),
	number("confirmed", func(r *Record) *int64 { return &r.Confirmed }),
	number("moves", func(r *Record) *int64 { return &r.Moves }),
}

// String names the user and nothing else: a record holds tokens.
func (r Record) String() string {
	return fmt.Sprintf("sessioncodec.Record{Issuer: %q, Subject: %q}", r.Issuer, r.Subject)
}

// GoString returns [Record.String], so that %#v does not print the tokens either.
func (r Record) GoString() string { return r.String() }

// LogValue returns [Record.String], for package slog.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Pack encodes a session compactly: the version, and deflated the parts. It fails if Unpack would refuse the result: a
// browser that is given such a session would have to sign in again and again.
func Pack(r Record) ([]byte, error) {
	plain, err := r.plain()
	if err != nil {
		return nil, err
	}
	var back Record
	if err := back.read(plain); err != nil {
		return nil, fmt.Errorf("the session could not be read back: %w", err)
	}
	if back.Claims != r.Claims { // they would have become members of ours
		return nil, errors.New("the claims are not one JSON object")
	}
	var out bytes.Buffer
	out.WriteByte(version)
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// plain encodes the parts.
func (r *Record) plain() ([]byte, error) {
	object, err := writeObject(r, recordFields, r.unknown)
	if err != nil {
		return nil, err
	}
	size := len(object) + len(r.AccessToken) + len(r.IDToken) + len(r.RefreshToken)
	out := part{partRecord, object}.appendTo(make([]byte, 0, size+256))
	out = part{partID, r.ID[:]}.appendTo(out)
	for _, token := range r.tokens() {
		if *token.text != "" {
			out = part{token.kind, packToken(*token.text)}.appendTo(out)
		}
	}
	if len(r.ProofKey) > 0 {
		out = part{partProofKey, r.ProofKey}.appendTo(out)
	}
	for _, p := range r.others {
		out = p.appendTo(out)
	}
	if len(out) > MaxSize {
		return nil, fmt.Errorf("the session has %d bytes, want at most %d", len(out), MaxSize)
	}
	return out, nil
}

type tokenPart struct {
	kind uint64
	text *string
}

func (r *Record) tokens() [3]tokenPart {
	return [...]tokenPart{{partAccessToken, &r.AccessToken}, {partIDToken, &r.IDToken}, {partRefreshToken, &r.RefreshToken}}
}

// Unpack is the inverse of Pack. size is the number of bytes after decompression. Nothing of the record is in the memory of packed.
// The error is ErrMalformed or ErrVersion.
func Unpack(packed []byte) (r Record, size int, err error) {
	packed, err = versioned(packed)
	if err != nil {
		return Record{}, 0, err
	}
	in := inflaters.Get().(*inflater)
	defer in.done()
	plain, err := in.inflate(packed)
	if err != nil {
		return Record{}, 0, err
	}
	if err := r.read(plain); err != nil {
		return Record{}, 0, err
	}
	return r, len(plain), nil
}

// read decodes the parts. It keeps nothing of plain.
func (r *Record) read(plain []byte) error {
	parts, err := splitParts(plain)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := r.readPart(p); err != nil {
			return err
		}
	}
	switch {
	case r.ID == [32]byte{}:
		return fmt.Errorf("%w: no session id", ErrMalformed)
	case r.Issuer == "" || r.Subject == "":
		return fmt.Errorf("%w: no iss or no sub", ErrMalformed)
	}
	return nil
}

func (r *Record) readPart(p part) (err error) {
	for _, token := range r.tokens() {
		if p.kind == token.kind {
			*token.text, err = unpackToken(p.data)
			return err
		}
	}
	switch p.kind {
	case partRecord:
		r.unknown, err = readObject(r, recordFields, p.data)
		return err
	case partID:
		r.ID, err = readID(p.data)
		return err
	case partProofKey:
		if len(p.data) > 0 {
			r.ProofKey = bytes.Clone(p.data)
		}
	default:
		r.others = append(r.others, part{p.kind, bytes.Clone(p.data)})
	}
	return nil
}

// inflater decompresses, into memory of its own.
type inflater struct {
	flate   io.ReadCloser // a flate.Resetter
	in      bytes.Reader
	limited io.LimitedReader
	out     bytes.Buffer
}

// mostKept limits the memory that an inflater keeps for the next session.
const mostKept = 32 << 10

// done gives the inflater back. What it returned must not be used any more.
func (f *inflater) done() {
	f.in.Reset(nil)
	if f.out.Cap() > mostKept {
		f.out = bytes.Buffer{}
	}
	inflaters.Put(f)
}

// inflate decompresses up to MaxSize bytes: a secret may leak, and whoever has it may seal a small value that is large
// when it is unpacked.
func (f *inflater) inflate(packed []byte) ([]byte, error) {
	f.in.Reset(packed)
	if err := f.flate.(flate.Resetter).Reset(&f.in, dictionary); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	f.limited = io.LimitedReader{R: f.flate, N: MaxSize + 1}
	f.out.Reset()
	f.out.Grow(min(4*len(packed), MaxSize) + bytes.MinRead)
	switch n, err := f.out.ReadFrom(&f.limited); {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case n > MaxSize:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxSize)
	case f.in.Len() > 0:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, errBehind)
	}
	return f.out.Bytes(), nil
}

var errBehind = errors.New("something stands behind the session")

// Compressors and decompressors have large tables, which are reused.
var (
	deflaters = sync.Pool{New: func() any {
		w, err := flate.NewWriterDict(nil, flate.BestCompression, dictionary)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}}
	inflaters = sync.Pool{New: func() any { return &inflater{flate: flate.NewReaderDict(nil, dictionary)} }}
)
