package adaptertest

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

var update = flag.Bool("update", false, "write behaviour.golden and foundation.golden anew")

// adapter is the least that carries the core: net/http and no more. Its faults are what TestRunBites makes of it.
type adapter struct {
	client  *idserver.Client
	request func(*http.Request) idserver.Request
	write   func(http.ResponseWriter, idserver.Answer)
	guarded func(next http.Handler, w http.ResponseWriter, r *http.Request, ctx context.Context, answer idserver.Answer)
	user    func(context.Context) *idserver.User
	require func(role string, more ...string) idserver.Guard
}

func newAdapter(client *idserver.Client) *adapter {
	a := &adapter{client: client, request: idserver.RequestFrom, user: idserver.UserFrom, require: client.RequireRole}
	a.write = func(w http.ResponseWriter, answer idserver.Answer) { answer.WriteTo(w) }
	a.guarded = func(next http.Handler, w http.ResponseWriter, r *http.Request, ctx context.Context, answer idserver.Answer) {
		a.write(w, answer)
		if answer.Ends() {
			return
		}
		behind, end := answer.Behind(w)
		defer end()
		next.ServeHTTP(behind, r.WithContext(ctx))
	}
	return a
}

// guard puts a guard before a handler.
func (a *adapter) guard(guard idserver.Guard, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, answer := guard(r.Context(), a.request(r))
		a.guarded(next, w, r, ctx, answer)
	})
}

func (a *adapter) serve(listener net.Listener) error {
	mux := http.NewServeMux()
	routes, err := a.client.Routes("/")
	if err != nil {
		return err
	}
	published, err := Published(a.client).Routes("/")
	if err != nil {
		return err
	}
	routes = append(routes, published...)
	for _, route := range routes {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			a.write(w, route.Serve(r.Context(), a.request(r)))
		})
	}
	seen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(Seen(r.Context(), a.user(r.Context()))))
	})
	clash := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name, value := range Clash {
				w.Header().Set(name, value)
			}
			next.ServeHTTP(w, r)
		})
	}
	public := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range Public {
			w.Header().Set(name, value)
		}
		seen(w, r)
	})
	user := a.guard(a.client.RequireUser(), seen)
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		Stream(r.Context(), a.user(r.Context()), w, http.NewResponseController(w).Flush)
	})
	poll := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(Poll(r.Context(), a.user(r.Context()))))
	})
	socket := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			Socket(r.Context(), a.user(r.Context()), r.Header.Get("Sec-Websocket-Key"), conn)
		}
	})
	inspect := a.guard(Inspect, nil)
	rewritten := http.StripPrefix("/suite", a.guard(a.client.RequireUser(), inspect))
	for pattern, handler := range map[string]http.Handler{
		"GET /suite/open": a.guard(a.client.LoadUser(), seen), "GET /suite/user": user, "POST /suite/user": user, "GET /suite/clash": clash(user),
		"GET /suite/public": a.guard(a.client.LoadUser(), public),
		"GET /suite/admin":  a.guard(a.require("admin"), seen), "GET /suite/behind": a.guard(a.client.RequireUser(), a.guard(a.require("admin"), seen)),
		"GET /suite/editors": a.guard(a.require("admin", "editor"), seen), "GET /suite/billing": a.guard(a.client.RequireAllRoles("admin", "billing"), seen),
		"GET /suite/of/{tenant}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.guard(a.client.RequireTenant(r.PathValue("tenant")), seen).ServeHTTP(w, r)
		}),
		"GET /suite/builtin": a.guard(a.client.RequireBuiltInRole("billing"), seen), "GET /suite/own": a.guard(a.client.Require(IsAlice), seen),
		"GET /suite/stream": a.guard(a.client.RequireUser(), stream), "GET /suite/poll": a.guard(a.require("admin"), poll),
		"GET /suite/socket":  a.guard(a.client.Require(IsAlice), socket),
		"GET /suite/inspect": inspect, "POST /suite/inspect": inspect, "GET /suite/rewritten": rewritten, "POST /suite/rewritten": rewritten,
	} {
		mux.Handle(pattern, handler)
	}
	for path, guard := range Guards(a.client) {
		mux.Handle("GET /suite"+path, a.guard(guard, seen))
		mux.Handle("POST /suite"+path, a.guard(guard, seen))
	}
	return http.Serve(listener, mux)
}

// ownRouters are answers of a ServeMux that no framework gives.
func TestRun(t *testing.T) {
	application := func(client *idserver.Client, listener net.Listener) error { return newAdapter(client).serve(listener) }
	if *update {
		if err := os.WriteFile("behaviour.golden", []byte(transcript(record(t, application))), 0o644); err != nil {
			t.Fatal(err)
		}
		table := strings.Join(foundationTable(t, application), "\n") + "\n"
		if err := os.WriteFile("foundation.golden", []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	Run(t, application)
	if n := len(parseTranscript(golden)); n < 80 {
		t.Errorf("the suite has %d steps, want at least 80", n)
	}
}

func TestRunIsolation(t *testing.T) {
	RunIsolation(t, func(client *idserver.Client, listener net.Listener) error { return newAdapter(client).serve(listener) })
}

func first(lines []string) []string { return lines[:min(1, len(lines))] }

// verdict is a T that only notes whether a fault was found.
type verdict struct {
	*testing.T
	faults []string
}

func (v *verdict) Errorf(format string, args ...any) { v.faults = append(v.faults, format) }

func (v *verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	panic(v) // the suite cannot go on
}

// A suite that lets a broken adapter pass proves nothing.
func TestRunBites(t *testing.T) {
	for name, breaks := range map[string]func(*adapter){
		"only the first Cookie line is read": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Header = http.Header(with(r.Header, "Cookie", first(r.Header["Cookie"])...))
				return own
			}
		},
		"only the first Authorization line is read": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Header = http.Header(with(r.Header, "Authorization", first(r.Header["Authorization"])...))
				return own
			}
		},
		"the framework's cookie parser is used": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				lines := slices.Clone(r.Header["Cookie"])
				for i, line := range lines {
					if cookies, err := http.ParseCookie(line); err != nil || len(cookies) == 0 {
						lines[i] = ""
					}
				}
				own.Header = http.Header(with(r.Header, "Cookie", lines...))
				return own
			}
		},
		"Sec-Fetch-Site is not read": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Header = http.Header(with(r.Header, "Sec-Fetch-Site"))
				return own
			}
		},
		"Sec-Purpose is not read": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Header = http.Header(with(r.Header, "Sec-Purpose"))
				return own
			}
		},
		"a list of header fields is read": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own, known := idserver.RequestFrom(r), http.Header{}
				for _, name := range []string{"Accept", "Authorization", "Cookie", "Origin", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Purpose"} {
					known[name] = r.Header[name]
				}
				own.Header = known
				return own
			}
		},
		"trailers are read as header fields": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				for name, lines := range r.Trailer {
					r.Header[name] = append(r.Header[name], lines...)
				}
				return idserver.RequestFrom(r)
			}
		},
		"the request's body is left out": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Body = nil
				return own
			}
		},
		"the request's body is read ahead": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				body, _ := io.ReadAll(r.Body)
				own.Body = bytes.NewReader(body)
				return own
			}
		},
		"TLS is left out": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.TLS = nil
				return own
			}
		},
		"the framework's path is read": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Path = r.URL.EscapedPath()
				return own
			}
		},
		"the query is taken apart and put together": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.RawQuery = r.URL.Query().Encode()
				return own
			}
		},
		"the path is not escaped": func(a *adapter) {
			a.request = func(r *http.Request) idserver.Request {
				own := idserver.RequestFrom(r)
				own.Path = "/suite"
				return own
			}
		},
		"added fields replace": func(a *adapter) {
			a.write = func(w http.ResponseWriter, answer idserver.Answer) {
				answer.Set, answer.Add = append(answer.Set[:len(answer.Set):len(answer.Set)], answer.Add...), nil
				answer.WriteTo(w)
			}
		},
		"replacing fields are added": func(a *adapter) {
			a.write = func(w http.ResponseWriter, answer idserver.Answer) {
				answer.Set, answer.Add = nil, append(answer.Add[:len(answer.Add):len(answer.Add)], answer.Set...)
				answer.WriteTo(w)
			}
		},
		"a renewed session is not written": func(a *adapter) {
			write := a.write
			a.write = func(w http.ResponseWriter, answer idserver.Answer) {
				if answer.Ends() {
					write(w, answer)
				}
			}
		},
		"a refused request goes on": func(a *adapter) {
			a.guarded = func(next http.Handler, w http.ResponseWriter, r *http.Request, ctx context.Context, answer idserver.Answer) {
				a.write(w, answer)
				next.ServeHTTP(w, r.WithContext(ctx))
			}
		},
		"the handler has the last word": func(a *adapter) {
			a.guarded = func(next http.Handler, w http.ResponseWriter, r *http.Request, ctx context.Context, answer idserver.Answer) {
				if a.write(w, answer); !answer.Ends() {
					next.ServeHTTP(w, r.WithContext(ctx))
				}
			}
		},
		"what the application left out stays out": func(a *adapter) {
			write := a.write
			a.write = func(w http.ResponseWriter, answer idserver.Answer) { answer.Absent = nil; write(w, answer) }
		},
		"the context is not handed on": func(a *adapter) {
			a.guarded = func(next http.Handler, w http.ResponseWriter, r *http.Request, _ context.Context, answer idserver.Answer) {
				if a.write(w, answer); !answer.Ends() {
					next.ServeHTTP(w, r)
				}
			}
		},
		"the getter sees another user": func(a *adapter) {
			a.user = func(ctx context.Context) *idserver.User {
				if u := idserver.UserFrom(ctx); u != nil {
					own := *u
					return &own
				}
				return nil
			}
		},
		"one role of several is asked for": func(a *adapter) {
			a.require = func(role string, _ ...string) idserver.Guard { return a.client.RequireRole(role) }
		},
		"the body is left out": func(a *adapter) {
			a.write = func(w http.ResponseWriter, answer idserver.Answer) { answer.Body = nil; answer.WriteTo(w) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{T: t}
			defer func() {
				if stopped := recover(); stopped != nil && stopped != any(v) {
					panic(stopped)
				}
				if len(v.faults) == 0 {
					t.Error("the suite does not see it")
				}
				t.Log(len(v.faults), "faults seen")
			}()
			behaves(v, func(client *idserver.Client, listener net.Listener) error {
				a := newAdapter(client)
				breaks(a)
				return a.serve(listener)
			})
		})
	}
}
