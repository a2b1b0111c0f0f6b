package idserver

import (
	"context"
	"sync/atomic"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// ClaimsOf returns the claims of the user in ctx as a T, a struct with json tags or a map; in a struct, member names are matched
// exactly, as [User.Claims] does. If T has a method Validate() error, on its value or its pointer, that decides whether the
// claims are good.
//
//	type Claims struct {
//		Plan string `json:"plan"`
//	}
//
//	func (c *Claims) Validate() error { … }
//
//	claims, err := idserver.ClaimsOf[Claims](r.Context())
//
// They are decoded and validated once for each verified token or session, whose later requests share the result and allocate
// nothing: do not modify what it points to. In a context of [WithUser] nothing is remembered. The error, which is remembered too,
// is that of the decoder or of Validate, or says that nobody is signed in. What is remembered does not count for
// Config.TokenCacheBytes. It is safe for concurrent use, and so must Validate be.
func ClaimsOf[T any](ctx context.Context) (*T, error) {
	u := userContextFrom(ctx)
	switch {
	case u == nil || u.user == nil:
		return nil, errNoClaims
	case u.typed == nil:
		return decodedClaims[T](u.user)
	}
	for known := u.typed.head.Load(); known != nil; known = known.next {
		if of, ok := known.value.(*T); ok {
			return of, known.err
		}
	}
	value, err := decodedClaims[T](u.user)
	added := &typedClaim{value: value, err: err}
	for {
		if added.next = u.typed.head.Load(); u.typed.head.CompareAndSwap(added.next, added) { // twice is once too many, and does no harm
			return value, err
		}
	}
}

var errNoClaims = baseerror.New("idserver: ClaimsOf: nobody is signed in")

// typedClaims are a user's claims as the types that the application asked for.
type typedClaims struct{ head atomic.Pointer[typedClaim] }

// typedClaim is one of them. value is a pointer to it, nil if err is not.
type typedClaim struct {
	value any
	err   error
	next  *typedClaim
}

func decodedClaims[T any](u *User) (*T, error) {
	value := new(T)
	text, err := u.claimsText()
	if err == nil {
		err = strictjson.Unmarshal(text, value)
	}
	if err != nil {
		return nil, baseerror.Errorf("idserver: ClaimsOf: %w", err)
	}
	if v, ok := any(value).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, baseerror.Errorf("idserver: ClaimsOf: %w", err)
		}
	}
	return value, nil
}
