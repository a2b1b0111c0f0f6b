package redisstore_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest/storetest"
	"github.com/signward/idserver-go/core/store/redisstore"
	"github.com/signward/idserver-go/core/store/redisstore/redistest"
)

// use writes, swaps, reads, and hears, or returns why it cannot.
func use(ctx context.Context, s *redisstore.Store) error {
	key := rand.Text()
	heard := make(chan string, 10)
	later := time.Now().Add(time.Hour)
	if _, _, err := s.FindCtx(ctx, key); err != nil { // what waits forever for a subscription otherwise
		return err
	}
	stop, err := s.Subscribe(ctx, key, func(message string) { heard <- message }, func() {})
	if err != nil {
		return err
	}
	defer stop()
	if err := s.CommitCtx(ctx, key, []byte("a"), later); err != nil {
		return err
	}
	if swapped, err := s.SwapCtx(ctx, key, []byte("a"), []byte("b"), later); err != nil || !swapped {
		return errors.Join(errors.New("not swapped"), err)
	}
	if values, err := s.FindManyCtx(ctx, []string{key, key + "2"}); err != nil || string(values[0]) != "b" || values[1] != nil {
		return errors.Join(errors.New("not found"), err)
	}
	if err := s.NotifyCtx(ctx, key, "message"); err != nil {
		return err
	}
	select {
	case <-heard:
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.Join(s.DeleteCtx(ctx, key), s.HealthCtx(ctx))
}

// withPassword puts what is before the host into a URL.
func withPassword(url, user string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }

// The user of the package's documentation can do all, and nobody else can do anything; no error has a password in it.
func TestAccessControl(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("redisstore.go")
	if err != nil {
		t.Fatal(err)
	}
	_, documented, _ := strings.Cut(string(source), "//\tACL SETUSER idserver on >password ")
	documented, _, _ = strings.Cut(documented, "\n//\n")
	rules := strings.Fields(strings.ReplaceAll(documented, "//", ""))
	if len(rules) < 10 {
		t.Fatalf("the documentation has the rules %q", rules)
	}
	server := redistest.Start(t)
	set := []any{"acl", "setuser", "idserver", "on", ">pass@word"}
	for _, rule := range rules {
		set = append(set, rule)
	}
	control := admin(t, server)
	if err := control.Do(t.Context(), set...).Err(); err != nil {
		t.Fatal(err)
	}
	if err := control.Do(t.Context(), "acl", "setuser", "default", "resetpass", ">defaults-own").Err(); err != nil {
		t.Fatal(err)
	}
	for user, may := range map[string]bool{"idserver:pass%40word": true, ":defaults-own": true, "idserver:wrong-password": false, ":wrong-password": false, "": false} {
		url := server.URL()
		if user != "" {
			url = withPassword(url, user)
		}
		err := use(t.Context(), open(t, url))
		if (err == nil) != may {
			t.Errorf("as %q: %v", user, err)
		}
		if err != nil && strings.Contains(err.Error(), "wrong-password") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	s := open(t, withPassword(server.URL(), "idserver:pass%40word"))
	s.Prefix = "another:"
	if _, _, err := s.FindCtx(t.Context(), "key"); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("a key that it may not read: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.Subscribe(ctx, "topic", func(string) {}, func() {}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("a channel that it may not hear: %v", err)
	}
}

// The server's certificate is proved, by the file that the URL names.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", dir+"/cert.pem", "--tls-key-file", dir+"/key.pem", "--tls-auth-clients", "no")
	if err := use(t.Context(), open(t, "rediss://127.0.0.1:"+port+"?ca="+dir+"/cert.pem")); err != nil {
		t.Error(err)
	}
	var unknown x509.UnknownAuthorityError
	if _, _, err := open(t, "rediss://127.0.0.1:"+port).FindCtx(t.Context(), "key"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	} else if errors.As(err, &unknown) {
		t.Error("the error hands out its cause, which may have secrets in it")
	}
	if _, err := redisstore.Open("rediss://127.0.0.1?ca=" + dir + "/key.pem"); err == nil || !strings.Contains(err.Error(), "without a certificate") {
		t.Errorf("a ca that has none: %v", err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// A cluster of two nodes keeps the contract.
func TestCluster(t *testing.T) {
	t.Parallel()
	options := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "60000"}
	first, second := redistest.Start(t, options...), redistest.Start(t, options...)
	a, b := admin(t, first), admin(t, second)
	ctx := t.Context()
	if err := errors.Join(
		a.ClusterAddSlotsRange(ctx, 0, 8191).Err(), b.ClusterAddSlotsRange(ctx, 8192, 16383).Err(),
		a.Do(ctx, "cluster", "set-config-epoch", 1).Err(), b.Do(ctx, "cluster", "set-config-epoch", 2).Err(),
	); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(second.Addr())
	if err := a.ClusterMeet(ctx, host, port).Err(); err != nil {
		t.Fatal(err)
	}
	for _, node := range []*redis.Client{a, b} {
		waitFor(t, "the cluster is not made", func() bool {
			info, err := node.ClusterInfo(ctx).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:2")
		})
	}
	url := "redis-cluster://" + first.Addr() + "," + second.Addr()
	if err := use(ctx, open(t, url)); err != nil {
		t.Fatal(err)
	}
	storetest.RunReplicas(t, storetest.Replicas{
		New: func(t *testing.T) idserver.Store { return open(t, url) }, Shared: true,
		Stall: func(*testing.T) func() {
			one, other := first.Pause(), second.Pause()
			return func() { one(); other() }
		},
	})
}

// waitFor looks until something is so: a machine that stands still makes no turns meanwhile.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 3000 {
		if so() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(what)
}

// What writes is sent once, even by a client that sends again what had no answer: here the first answer to each command is lost.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	control := admin(t, server)
	ctx, later := t.Context(), time.Now().Add(time.Hour)
	if err := control.Set(ctx, redisstore.DefaultPrefix+"there", "a", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(s *redisstore.Store) error{
		"set": func(s *redisstore.Store) error { return s.CommitCtx(ctx, "key", []byte("a"), later) },
		"del": func(s *redisstore.Store) error { return s.DeleteCtx(ctx, "key") },
		"evalsha": func(s *redisstore.Store) error {
			_, err := s.SwapCtx(ctx, "there", []byte("a"), []byte("b"), later)
			return err
		},
		"set nx": func(s *redisstore.Store) error { _, err := s.SwapCtx(ctx, "key", nil, []byte("b"), later); return err },
	} {
		command, _, _ := strings.Cut(name, " ")
		client := redis.NewClient(&redis.Options{
			Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: 5,
			Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "unix", server.Socket())
				return &deaf{Conn: conn, command: command}, err
			},
		})
		s, err := redisstore.New(client)
		if err != nil {
			t.Fatal(err)
		}
		if err := control.Do(ctx, "config", "resetstat").Err(); err != nil {
			t.Fatal(err)
		}
		if err := write(s); err == nil {
			t.Errorf("%s: no error, and no answer", name)
		}
		stats := func() string {
			info, err := control.InfoMap(ctx, "commandstats").Result()
			if err != nil {
				t.Fatal(err)
			}
			return info["Commandstats"]["cmdstat_"+command]
		}
		waitFor(t, name+" has not arrived", func() bool { return stats() != "" })
		if got := stats(); !strings.HasPrefix(got, "calls=1,") {
			t.Errorf("%s: %s", name, got)
		}
		if err := errors.Join(s.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	}
}

// deaf is a connection that breaks before the answer to a command.
type deaf struct {
	net.Conn
	command string
	sent    atomic.Bool
}

func (c *deaf) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\n"+c.command+"\r\n")) {
		defer c.sent.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *deaf) Read(b []byte) (int, error) {
	if c.sent.Load() {
		_ = c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return c.Conn.Read(b)
}

// A server that forgets its scripts, as it does when it is started again, is sent the script.
func TestScriptIsForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	for range 2 {
		if err := use(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := admin(t, server).ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	control, s := admin(t, server), open(t, server.URL())
	for _, row := range []struct {
		maxmemory, policy string
		evicts            bool
	}{
		{"0", "allkeys-lru", false}, {"64mb", "noeviction", false}, {"64mb", "allkeys-lru", true}, {"64mb", "volatile-ttl", true},
	} {
		if err := errors.Join(control.ConfigSet(t.Context(), "maxmemory", row.maxmemory).Err(), control.ConfigSet(t.Context(), "maxmemory-policy", row.policy).Err()); err != nil {
			t.Fatal(err)
		}
		err := s.HealthCtx(t.Context())
		if errors.Is(err, redisstore.ErrEvicts) != row.evicts || (err != nil) != row.evicts {
			t.Errorf("maxmemory %s, %s: %v", row.maxmemory, row.policy, err)
		}
	}
	if err := control.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := control.Do(t.Context(), "acl", "setuser", "default", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.HealthCtx(t.Context()); err != nil {
		t.Errorf("without the right to ask: %v", err)
	}
	if err := control.Do(t.Context(), "acl", "setuser", "default", "+info").Err(); err != nil {
		t.Fatal(err)
	}
	if err := control.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.HealthCtx(t.Context()); err == nil || !strings.Contains(err.Error(), "replica") {
		t.Errorf("a replica: %v", err)
	}
	server.Kill()
	if err := s.HealthCtx(t.Context()); err == nil {
		t.Error("a server that is gone: no error")
	}
}

// A server that lacks a command repeats its arguments, and no error has them.
func TestErrorsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "EVALSHA", "", "--rename-command", "AUTH", "", "--rename-command", "HELLO", "")
	_, swap := open(t, server.URL()).SwapCtx(t.Context(), "key", []byte("old-value"), []byte("new-value"), time.Now().Add(time.Hour))
	_, _, auth := open(t, withPassword(server.URL(), "user:pass-word")).FindCtx(t.Context(), "key")
	for name, err := range map[string]error{"swap": swap, "auth": auth} {
		switch {
		case err == nil || !strings.Contains(err.Error(), "unknown command"):
			t.Errorf("%s: %v", name, err)
		case strings.Contains(err.Error(), "value"), strings.Contains(err.Error(), "pass-word"), strings.Contains(err.Error(), "beginning"):
			t.Errorf("%s: the error has what must not be told: %v", name, err)
		}
	}
}

// What a client must not do is found out by New.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	var none *redis.Client
	var noCluster *redis.ClusterClient
	for _, row := range []struct {
		client redis.UniversalClient
		says   string
	}{
		{nil, "nil"}, {none, "nil"}, {noCluster, "nil"},
		{redis.NewClient(&redis.Options{}), "ContextTimeoutEnabled"},
		{redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, ReadTimeout: -2}), "switched off"},
		{redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, WriteTimeout: -2}), "switched off"},
		{redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}}), "cache"},
		{redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m"}), "ContextTimeoutEnabled"},
		{redis.NewClusterClient(&redis.ClusterOptions{}), "ContextTimeoutEnabled"},
		{redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, ReadOnly: true}), "replicas"},
		{redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, RouteByLatency: true}), "replicas"},
		{redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, RouteRandomly: true}), "replicas"},
		{redis.NewRing(&redis.RingOptions{ContextTimeoutEnabled: true}), "Ring"},
		{redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}), ""},
		{redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, ReadTimeout: -1}), ""},
		{redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true}), ""},
	} {
		s, err := redisstore.New(row.client)
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%T: %v, want %q", row.client, err, row.says)
		}
		if s != nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if row.client != nil && row.client != none && row.client != noCluster {
			if err := row.client.Close(); err != nil {
				t.Errorf("a client that is the caller's: %v", err)
			}
		}
	}
}

// After Close, calls are errors, nothing is called and nothing runs.
func TestClose(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, err := redisstore.Open(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	var after atomic.Bool
	f := func() {
		if after.Load() {
			t.Error("called after Close")
		}
	}
	stop, err := s.Subscribe(t.Context(), "topic", func(string) { f() }, f)
	if err != nil {
		t.Fatal(err)
	}
	control := admin(t, server)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after.Store(true)
	stop()
	if err := control.Publish(t.Context(), redisstore.DefaultPrefix+"topic", "message").Err(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.FindCtx(t.Context(), "key"); err == nil {
		t.Error("FindCtx after Close: no error")
	}
	if _, err := s.Subscribe(t.Context(), "topic", func(string) {}, func() {}); err == nil {
		t.Error("Subscribe after Close: no error")
	}
	waitFor(t, "connections are left", func() bool {
		info, err := control.InfoMap(t.Context(), "clients").Result()
		return err == nil && info["Clients"]["connected_clients"] == "1"
	})
}
