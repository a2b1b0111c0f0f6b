package postgresstore

import (
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
)

// environment sets the two variables, and takes libpq's away.
func environment(t *testing.T, url, direct string) {
	t.Helper()
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSERVICE", "PGTARGETSESSIONATTRS"} {
		t.Setenv(name, "")
	}
	t.Setenv("DATABASE_URL", url)
	t.Setenv("DATABASE_DIRECT_URL", direct)
}

func TestFromEnv(t *testing.T) {
	server := postgrestest.Start(t)
	environment(t, server.URL(), server.URL())
	s, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.HealthCtx(t.Context()); err != nil {
		t.Error(err)
	}
	if s.Direct == nil {
		t.Error("DATABASE_DIRECT_URL is not read")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.HealthCtx(t.Context()); err == nil {
		t.Error("the pool is open after Close")
	}
}

// A server that takes no writes is not connected to, unless the URL asks for it.
func TestFromEnvWantsPrimary(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec("ALTER ROLE app SET default_transaction_read_only = on")
	for _, row := range []struct {
		attrs string
		finds bool
	}{{"", false}, {"&target_session_attrs=read-write", false}, {"&target_session_attrs=read-only", true}} {
		environment(t, server.URL()+row.attrs, "")
		s, err := FromEnv()
		if err != nil {
			t.Fatal(err)
		}
		err = s.pool.Ping(t.Context())
		if (err == nil) != row.finds {
			t.Errorf("%q: %v", row.attrs, err)
		}
		_ = s.Close()
	}
}

// urls are what is in DATABASE_URL, with the words that the error has; none for those that are read.
var urls = []struct{ url, part string }{
	{"postgres://user:password@db.example:5432/app?sslmode=verify-full", ""},
	{"postgresql://user:pass%2Fword@db1.example:5432,db2.example:5433/app?sslmode=require&pool_max_conns=20", ""},
	{"postgres:///app?host=/var/run/postgresql", ""},
	{"postgres://[2001:db8::1]:5432/app", ""},
	{"host=db.example user=app password='a b' dbname=app sslmode=verify-full", ""},
	{"host=db.example password=a://b", ""},
	{"postgres://user:p@db.example/app?default_query_exec_mode=exec", ""},
	{"postgres://user:pass?word@db.example/app", ""}, // as libpq reads it
	{"", "not set"},
	{"redis://:s3cret@db.example:6379", "postgres://"},
	{"mysql://user:s3cret@tcp(db.example)/app", "postgres://"},
	{"https://db.example/?password=s3cret", "postgres://"},
	{"s3cret", "cannot be read"},
	{"postgres://user:s3cret/with@slash@db.example:port/app", "cannot be read"},
	{"postgres://user:s3cret%zz@db.example/app", "cannot be read"},
	{"postgres://user:s3cret@db.example:99999/app", "(port)"},
	{"postgres://user:s3cret@db.example:s3cret/app", "(port)"},
	{"postgres://user:s3cret@db.example/app?sslmode=s3cret", "(sslmode)"},
	{"postgres://user:s3cret@db.example/app?pool_max_conns=s3cret", "(pool_max_conns)"},
	{"postgres://user:s3cret@db.example/app?pool_max_conns=0", "(pool_max_conns)"},
	{"postgres://user:s3cret@db.example/app?pool_max_conn_lifetime=s3cret", "(pool_max_conn_lifetime)"},
	{"postgres://user:s3cret@db.example/app?default_query_exec_mode=s3cret", "(default_query_exec_mode)"},
	{"postgres://user:s3cret@db.example/app?target_session_attrs=s3cret", "(target_session_attrs)"},
	{"postgres://user:s3cret@db.example/app?sslmode=verify-full&sslrootcert=/absent/s3cret", "cannot be read"},
	{"host=db.example passwort s3cret", "cannot be read"},
	{"postgres://" + strings.Repeat("s3cret", 10_000), "bytes"},
	{"postgres://user:s3cret@db.example/app\x00", "cannot be read"},
}

func TestURLs(t *testing.T) {
	environment(t, "", "")
	for _, row := range urls {
		config, err := poolFrom("DATABASE_URL", row.url)
		switch {
		case row.part == "" && err != nil:
			t.Errorf("%q: %v", row.url, err)
		case row.part == "" && config.ConnConfig.ValidateConnect == nil:
			t.Errorf("%q: any server will do", row.url)
		case row.part != "" && (err == nil || !strings.Contains(err.Error(), row.part) || !strings.Contains(err.Error(), "DATABASE_URL")):
			t.Errorf("%q: the error %v, want one with %q", row.url, err, row.part)
		case row.part != "" && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%q: the error shows the secret: %v", row.url, err)
		}
		t.Setenv("DATABASE_URL", "postgres:///app?host=/nonexistent")
		if strings.Contains(row.url, "\x00") || row.url == "" { // no variable has a NUL, and an empty one is none
			continue
		}
		t.Setenv("DATABASE_DIRECT_URL", row.url)
		s, err := FromEnv()
		if (err == nil) != (row.part == "") || err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "DATABASE_DIRECT_URL")) {
			t.Errorf("DATABASE_DIRECT_URL %q: %v", row.url, err)
		}
		if err == nil {
			_ = s.Close()
		}
	}
}

// Whatever is in the variable, it is read or refused, and the error shows nothing of it.
func FuzzURL(f *testing.F) {
	for _, row := range urls {
		f.Add(row.url)
	}
	secret := "zq9" // no word of the errors has it
	f.Fuzz(func(t *testing.T, url string) {
		config, err := poolFrom("DATABASE_URL", url)
		if err == nil {
			if config.ConnConfig.ValidateConnect == nil {
				t.Error("any server will do")
			}
			return
		}
		for _, other := range []string{url + secret, secret + url, strings.Replace(url, ":", ":"+secret, 2), strings.Replace(url, "=", "="+secret, 1)} {
			if _, err := poolFrom("DATABASE_URL", other); err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%q: %v", other, err)
			}
		}
	})
}
