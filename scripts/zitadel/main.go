// Command zitadel is the example of the provider library zitadel/oidc, for scripts/providers. Beyond the example, its access
// tokens are short-lived and its key can change while it runs.
//
// Environment: ADDR; APP, the application's base URL; CLIENT_SECRET, of the client "app"; ACCESS_TTL, the lifetime of access
// tokens. It prints "provider URL", and on SIGUSR2 it makes a new key and prints "key ID".
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	ttl, err := time.ParseDuration(os.Getenv("ACCESS_TTL"))
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + os.Getenv("ADDR") + "/"
	storage.RegisterClients(storage.WebClient("app", os.Getenv("CLIENT_SECRET"), os.Getenv("APP")+"/auth/callback"))
	store := &rotating{Storage: storage.NewStorage(storage.NewUserStore(issuer)), ttl: ttl}
	store.rotate()
	handler := exampleop.SetupServer(issuer, store, slog.New(slog.NewTextHandler(os.Stderr, nil)), false)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2, syscall.SIGTERM)
	go func() { log.Fatal(http.ListenAndServe(os.Getenv("ADDR"), handler)) }()
	fmt.Println("provider", issuer)
	for <-signals == syscall.SIGUSR2 {
		fmt.Println("key", store.rotate())
	}
}

// rotating is the example's storage with keys of its own, the newest first.
type rotating struct {
	*storage.Storage
	ttl time.Duration

	mu   sync.Mutex
	keys []key
}

func (r *rotating) rotate() (id string) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	id = rand.Text()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append([]key{{id, private}}, r.keys...)
	return id
}

func (r *rotating) SigningKey(context.Context) (op.SigningKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[0], nil
}

func (r *rotating) KeySet(context.Context) (set []op.Key, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		set = append(set, public{k})
	}
	return set, nil
}

func (r *rotating) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (access, refresh string, expiry time.Time, err error) {
	access, refresh, _, err = r.Storage.CreateAccessAndRefreshTokens(ctx, request, current)
	return access, refresh, time.Now().Add(r.ttl), err
}

type key struct {
	id      string
	private *rsa.PrivateKey
}

func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k key) Key() any                                    { return k.private }
func (k key) ID() string                                  { return k.id }

type public struct{ key }

func (p public) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (p public) Use() string                        { return "sig" }
func (p public) Key() any                           { return &p.private.PublicKey }
