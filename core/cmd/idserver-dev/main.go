// Command idserver-dev runs the OpenID provider of package idtest on this machine, so that you can develop an app without
// an account anywhere. It signs in made-up people without a password and listens on loopback only.
//
//	go run github.com/signward/idserver-go/core/cmd/idserver-dev
//
// It prints the settings that an app needs to sign in with it. Interrupt it (Ctrl-C) to stop it.
//
//	go run github.com/signward/idserver-go/core/cmd/idserver-dev keys
//
// It makes a key to authenticate an app with, in place of a secret, and prints it with its public half; with -enc, a key that
// decrypts too. For any provider.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type settings struct {
	addr, clientID, clientSecret, clientJWKS, audience string
	accessTTL                                          time.Duration
}

// run serves until ctx ends and returns the exit status: 2 for a wrong flag, 1 if it cannot start.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "keys" {
		return runKeys(args[1:], stdout, stderr)
	}
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "idserver-dev:", err)
		return 2
	}
	provider, err := idtest.Start(idtest.Options{
		Addr:      s.addr,
		Audience:  s.audience,
		AccessTTL: s.accessTTL,

		Registration: true, // as clients of MCP servers want it
		Clients: []idtest.Client{
			{ID: s.clientID, Secret: s.clientSecret, JWKSURI: s.clientJWKS, AnyLoopbackRedirect: true},
			{ID: idtest.ExamplePublicClient, AnyLoopbackRedirect: true},
		},
	})
	if err != nil {
		if refused := new(net.OpError); errors.As(err, &refused) {
			err = refused
		}
		fmt.Fprintf(stderr, "idserver-dev: -addr %s: %v\n", s.addr, err)
		return 1
	}
	defer provider.Close()
	s.print(stdout, provider.URL())
	<-ctx.Done()
	return 0
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("idserver-dev", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:9000", "loopback address to listen on; port 0 is any free one")
	flags.DurationVar(&s.accessTTL, "access-ttl", 15*time.Minute, "lifetime of access tokens, at least 1s")
	flags.StringVar(&s.clientID, "client-id", idtest.ExampleClient, "client_id of the app")
	flags.StringVar(&s.clientSecret, "client-secret", idtest.ExampleSecret, "secret of the app; empty for a public client")
	flags.StringVar(&s.clientJWKS, "client-jwks", "", "URL where the app publishes its keys, such as http://127.0.0.1:8080/auth/jwks, in place of a secret")
	flags.StringVar(&s.audience, "audience", "idserver-api", "aud claim of access tokens")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.clientJWKS != "" {
		s.clientSecret = ""
	}
	host, _, err := net.SplitHostPort(s.addr)
	address := net.ParseIP(host)
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err != nil:
		return s, fmt.Errorf("-addr %q: a host and a port are wanted, such as 127.0.0.1:9000", s.addr)
	case !strings.EqualFold(host, "localhost") && (address == nil || !address.IsLoopback()):
		return s, fmt.Errorf("-addr %q is not on loopback: a provider that signs in anyone must not be reached from elsewhere", s.addr)
	case s.accessTTL < time.Second:
		return s, fmt.Errorf("-access-ttl %v: at least 1s is wanted", s.accessTTL)
	case s.clientID == "" || s.clientID == idtest.ExamplePublicClient:
		return s, fmt.Errorf("-client-id %q: an id other than %s is wanted", s.clientID, idtest.ExamplePublicClient)
	case s.clientJWKS != "" && !strings.HasPrefix(s.clientJWKS, "http://") && !strings.HasPrefix(s.clientJWKS, "https://"):
		return s, fmt.Errorf("-client-jwks %q: a URL is wanted, such as http://127.0.0.1:8080/auth/jwks", s.clientJWKS)
	case s.audience == "":
		return s, errors.New("-audience must not be empty")
	}
	return s, nil
}

// print writes the lines to paste into the terminal in which the app is started.
func (s settings) print(w io.Writer, issuer string) {
	fmt.Fprintf(w, "provider %s\n\n", issuer)
	export := func(name, value string) { fmt.Fprintf(w, "export %s=%s\n", name, quote(value)) }
	export("IDSERVER_AUTHORITY", issuer)
	export("IDSERVER_CLIENT_ID", s.clientID)
	if s.clientSecret != "" {
		export("IDSERVER_CLIENT_SECRET", s.clientSecret)
	}
	if s.audience != "idserver-api" {
		export("IDSERVER_AUDIENCE", s.audience)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	export("BASE_URL", "http://127.0.0.1:8080")
	export("SESSION_SECRET", hex.EncodeToString(secret))
	fmt.Fprintf(w, "\ncurl -s -d user=alice %s/dev/token\n", issuer)
}

// quote makes value a single word for a POSIX shell.
func quote(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,", r)
	}
	if strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
