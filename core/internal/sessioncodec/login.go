package sessioncodec

import (
	"fmt"
	"log/slog"
)

// MaxLoginSize limits the size of a sign-in in progress, in bytes.
const MaxLoginSize = 8 << 10

// Login is a sign-in between /login and /callback as the browser keeps it. Times are milliseconds since 1970. To change
// one, change a copy of what UnpackLogin returned: it holds what a later version wrote besides.
type Login struct {
	State    string // never empty
	Browser  string // the value of the browser's cookie
	Nonce    string
	Verifier string
	ReturnTo string
	AppData  []byte
	MaxAge   int64    // the max_age that was asked for, in seconds; 0: none
	ACR      []string // the values of acr of which one must come back; nil: it does not matter
	Begun    int64
	Spent    int64    // when it led to a session; 0: not yet
	Scopes   []string // that were asked for, if not those of every sign-in
	ProofKey []byte   // the private key that the access token will be bound to
	Lost     []byte   // the session that a silent sign-in goes on with, packed

	unknown []member
}

var loginFields = []field[Login]{
	text("state", func(l *Login) *string { return &l.State }),
	text("browser", func(l *Login) *string { return &l.Browser }),
	text("nonce", func(l *Login) *string { return &l.Nonce }),
	text("verifier", func(l *Login) *string { return &l.Verifier }),
	text("return_to", func(l *Login) *string { return &l.ReturnTo }),
	octets("app_data", func(l *Login) *[]byte { return &l.AppData }),
	number("max_age", func(l *Login) *int64 { return &l.MaxAge }),
	texts("acr", func(l *Login) *[]string { return &l.ACR }),
	number("begun", func(l *Login) *int64 { return &l.Begun }),
	number("spent", func(l *Login) *int64 { return &l.Spent }),
	texts("scopes", func(l *Login) *[]string { return &l.Scopes }),
	octets("proof_key", func(l *Login) *[]byte { return &l.ProofKey }),
	octets("lost", func(l *Login) *[]byte { return &l.Lost }),
}

// String prints nothing of a login: all of it is confidential.
func (l Login) String() string { return "sessioncodec.Login{…}" }

// GoString returns [Login.String].
func (l Login) GoString() string { return l.String() }

// LogValue returns [Login.String], for package slog.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.String()) }

// PackLogin encodes a sign-in: the version and a JSON object. It is not compressed: most of it is random.
func PackLogin(l Login) ([]byte, error) {
	object, err := writeObject(&l, loginFields, l.unknown)
	if err != nil {
		return nil, err
	}
	packed := append([]byte{version}, object...)
	if _, err := UnpackLogin(packed); err != nil {
		return nil, fmt.Errorf("the sign-in could not be read back: %w", err)
	}
	return packed, nil
}

// UnpackLogin is the inverse of PackLogin. The error is ErrMalformed or ErrVersion.
func UnpackLogin(packed []byte) (l Login, err error) {
	object, err := versioned(packed)
	if err != nil {
		return Login{}, err
	}
	if len(packed) > MaxLoginSize {
		return Login{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxLoginSize)
	}
	if l.unknown, err = readObject(&l, loginFields, object); err != nil {
		return Login{}, err
	}
	if l.State == "" {
		return Login{}, fmt.Errorf("%w: no state", ErrMalformed)
	}
	return l, nil
}
