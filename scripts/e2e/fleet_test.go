//go:build e2e

package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fleet is an application of three replicas behind a round robin, which meet in a store, with people who use it all the time.
type fleet struct {
	t        *testing.T
	app      string // where browsers go
	binary   string
	env      []string // of replicas
	provider *process
	counts   string
	replicas [3]*replica
	next     atomic.Uint32
	surfers  []*surfer
	others   int    // people who have come besides
	stop     func() // ends what surfers do
}

// clocks are those of the replicas, 5 s apart.
var clocks = [3]string{"-5s", "0s", "5s"}

type replica struct {
	process *process
	addr    string
}

// newFleet starts all but the store, which is a variable of the environment such as "REDIS_URL=redis://127.0.0.1:6379", and signs so many
// people in. The provider answers a used refresh token again for grace: without one, a refresh token that is used twice signs its user out.
// Unless it revokes, only the replicas know who signed out. env is more of the replicas' environment.
func newFleet(t *testing.T, store string, people int, grace time.Duration, revokes bool, env ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, binary: buildFleet(t)}
	f.provider = start(t, []string{"ADDR=127.0.0.1:0", "ACCESS_TTL=4s", "GRACE=" + grace.String(), fmt.Sprint("REVOKES=", revokes)}, f.binary, "provider")
	authority := f.provider.line("provider")
	f.counts = f.provider.line("counts")
	balancer := f.balancer()
	f.app = "http://" + balancer
	f.env = []string{
		"BASE_URL=" + f.app, "SESSION_SECRET=" + rand.Text() + rand.Text(), "IDSERVER_AUTHORITY=" + authority,
		"IDSERVER_CLIENT_ID=example", "IDSERVER_CLIENT_SECRET=example-secret-of-at-least-32-bytes", store,
	}
	f.env = append(f.env, env...)
	for i := range f.replicas {
		f.replicas[i] = &replica{addr: freeAddr(t)}
		f.startReplica(i)
	}
	for i := range people {
		f.surfers = append(f.surfers, f.newSurfer("p"+strconv.Itoa(i)))
	}
	return f
}

// buildFleet compiles testdata/fleet.
func buildFleet(t *testing.T) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	path := filepath.Join(binaries.dir, "fleet")
	if binaries.byName["testdata/fleet"] == "" {
		buildProgram(t, path, "./scripts/e2e/testdata/fleet/main.go")
		binaries.byName["testdata/fleet"] = path
	}
	return path
}

func (f *fleet) startReplica(i int) {
	f.t.Helper()
	r := f.replicas[i]
	r.process = start(f.t, append([]string{"ADDR=" + r.addr, "CLOCK=" + clocks[i]}, f.env...), f.binary, "replica")
	r.process.line("replica")
}

// balancer is a round robin that asks the next replica where one does not take the connection.
func (f *fleet) balancer() (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "replica"})
			r.Out.Host = r.In.Host
		},
		Transport: roundTripper(func(r *http.Request) (response *http.Response, err error) {
			for range f.replicas {
				one := f.replicas[f.next.Add(1)%uint32(len(f.replicas))]
				r.URL.Host = one.addr
				response, err = transport.RoundTrip(r)
				if err == nil || r.Method != http.MethodGet {
					return response, err
				}
			}
			return response, err
		}),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }()
	f.t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// count is one of the provider's numbers, or a replica's.
func (f *fleet) count(url string) int {
	f.t.Helper()
	response, err := http.Get(url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	n, err := strconv.Atoi(string(body))
	if err != nil {
		f.t.Fatalf("%s: %q", url, body)
	}
	return n
}

// kill ends a replica as a crash does.
func (f *fleet) kill(i int) {
	r := f.replicas[i]
	r.process.crash()
}

// killEach ends one replica after the other as a crash does, and starts it again.
func (f *fleet) killEach() {
	for i := range f.replicas {
		f.kill(i)
		f.while(5)
		f.startReplica(i)
		f.while(5)
	}
}

// crash kills a program, whose end is not looked at then.
func (p *process) crash() {
	p.end = func() {}
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// surfer is a person's browser, which asks for a page over and over and looks at each answer.
type surfer struct {
	f      *fleet
	name   string
	client *http.Client

	mu      sync.Mutex
	answers map[string]int // by what they were
	asked   int
}

// newSurfer signs a person in.
func (f *fleet) newSurfer(name string) *surfer {
	f.t.Helper()
	v := newVisitor(f.t, f.app)
	v.signIn(name)
	return &surfer{f: f, name: name, client: v.client, answers: map[string]int{}}
}

// ask asks for the page, at a replica or by the balancer, and returns what the answer is: "ok", a refusal's status and code, or "gone" where
// a replica was killed meanwhile. Whatever happens, the answer is not another person's, and a refusal that passes says so and
// leaves the cookie.
func (s *surfer) ask(where string, cookies []*http.Cookie) string {
	request, err := http.NewRequest("GET", where+"/me", nil)
	if err != nil {
		panic(err)
	}
	for name, value := range script {
		request.Header.Set(name, value)
	}
	client := s.client
	if cookies != nil { // those that somebody has copied
		client = &http.Client{Transport: s.client.Transport}
		for _, c := range cookies {
			request.AddCookie(c)
		}
	}
	request.Host = strings.TrimPrefix(s.f.app, "http://")
	response, err := client.Do(request)
	if err != nil {
		return "gone"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil, response.StatusCode == http.StatusBadGateway:
		return "gone"
	case response.StatusCode == http.StatusOK:
		if string(body) != s.name {
			s.f.t.Errorf("%s got the page of %q", s.name, body)
		}
		return "ok"
	}
	a := answer{response, string(body)}
	if response.StatusCode == http.StatusServiceUnavailable {
		if response.Header.Get("Retry-After") == "" {
			s.f.t.Errorf("%s: 503 without Retry-After: %s", s.name, body)
		}
		for _, c := range response.Cookies() {
			if c.MaxAge < 0 {
				s.f.t.Errorf("%s: 503 deletes the cookie %s", s.name, c.Name)
			}
		}
	}
	return fmt.Sprintf("%d %s", response.StatusCode, code(s.f.t, a))
}

// surf has everybody use the application until rest is called.
func (f *fleet) surf() {
	done := make(chan struct{})
	var all sync.WaitGroup
	for _, s := range f.surfers {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				var page sync.WaitGroup
				for range 3 { // at once, as pages do: a refresh token must not be used for each
					page.Go(func() {
						what := s.ask(f.app, nil)
						s.mu.Lock()
						s.answers[what]++
						s.asked++
						s.mu.Unlock()
					})
				}
				page.Wait()
				time.Sleep(100 * time.Millisecond) // a person's pace; nothing waits for it
			}
		})
	}
	f.stop = sync.OnceFunc(func() { close(done); all.Wait() })
	f.t.Cleanup(f.stop)
}

// answers sums up what everybody was answered.
func (f *fleet) answers() map[string]int {
	sum := map[string]int{}
	for _, s := range f.surfers {
		s.mu.Lock()
		for what, n := range s.answers {
			sum[what] += n
		}
		s.mu.Unlock()
	}
	return sum
}

// while waits until everybody has had n more answers.
func (f *fleet) while(n int) {
	f.t.Helper()
	before := make([]int, len(f.surfers))
	for i, s := range f.surfers {
		before[i] = s.count()
	}
	f.until("the application does not answer", func() bool {
		for i, s := range f.surfers {
			if s.count() < before[i]+n {
				return false
			}
		}
		return true
	})
}

// ask waits until somebody has had n more answers, or so.
func (f *fleet) ask(n int) {
	for before := f.surfers[0].count(); f.surfers[0].count() < before+n; {
		time.Sleep(20 * time.Millisecond)
	}
}

// through waits until the provider has answered n more refreshes, so that a fault was there while sessions were refreshed.
func (f *fleet) through(n int) {
	f.t.Helper()
	before := f.count(f.counts + "/answered")
	f.until("sessions are not refreshed", func() bool { return f.count(f.counts+"/answered") >= before+n })
}

func (s *surfer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// until looks until something is so.
func (f *fleet) until(what string, so func() bool) {
	f.t.Helper()
	for range 6000 {
		if so() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	f.t.Fatalf("%s; answers so far: %v", what, f.answers())
}

// allIn waits until everybody is let in at every replica, with the cookie that they have.
func (f *fleet) allIn() {
	f.t.Helper()
	for _, s := range f.surfers {
		for i, r := range f.replicas {
			f.until(fmt.Sprintf("%s is not let in at replica %d", s.name, i), func() bool {
				what := s.ask("http://"+r.addr, nil) // the browser's cookies are for the host, whatever the port
				if strings.HasPrefix(what, "401") {
					f.t.Fatalf("%s was signed out by a fault that has passed: %s", s.name, what)
				}
				return what == "ok"
			})
		}
	}
}

func (s *surfer) cookies() []*http.Cookie {
	u, _ := url.Parse(s.f.app + "/")
	return s.client.Jar.Cookies(u)
}

// signOut signs a person out, and reports whether that was answered as a sign-out.
func (s *surfer) signOut() bool {
	request, err := http.NewRequest("POST", s.f.app+"/auth/logout", nil)
	if err != nil {
		panic(err)
	}
	for name, value := range navigation {
		request.Header.Set(name, value)
	}
	request.Header.Set("Origin", s.f.app)
	response, err := s.client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusSeeOther
}

// redisServer is a Redis on a port of loopback, which can be started again.
type redisServer struct {
	t       *testing.T
	addr    string
	dir     string
	options []string
	process *process
}

func startRedis(t *testing.T, options ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, addr: freeAddr(t), dir: t.TempDir(), options: options}
	s.start()
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	args := append([]string{"--bind", "127.0.0.1", "--port", port, "--dir", s.dir, "--save", "", "--daemonize", "no"}, s.options...)
	s.process = start(s.t, nil, "redis-server", args...)
	s.process.listening(s.addr)
}

func (s *redisServer) kill() { s.process.crash() }

func (s *redisServer) signal(which syscall.Signal) {
	s.t.Helper()
	if err := s.process.command.Process.Signal(which); err != nil {
		s.t.Fatal(err)
	}
}

// pause stops it as if its machine stood still, until resume is called.
func (s *redisServer) pause() (resume func()) {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	process := s.process.command.Process
	resume = sync.OnceFunc(func() { _ = process.Signal(syscall.SIGCONT) })
	s.t.Cleanup(resume) // one that stands still does not end
	return resume
}

// command sends a command by redis-cli.
func (s *redisServer) command(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
	}
	return out
}

// try is command where that may fail.
func (s *redisServer) try(args ...string) (out string, err error) {
	_, port, _ := net.SplitHostPort(s.addr)
	all, err := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).CombinedOutput()
	return string(bytes.TrimSpace(all)), err
}

// link is a connection's way between replicas and Redis, which can be slow, or cut.
type link struct {
	addr  string
	delay atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{addr: listener.Addr().String(), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); l.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go l.join(near, to)
		}
	}()
	return l
}

func (l *link) join(near net.Conn, to string) {
	far, err := net.Dial("tcp", to)
	if err != nil {
		_ = near.Close()
		return
	}
	l.mu.Lock()
	l.conns[near], l.conns[far] = true, true
	l.mu.Unlock()
	go l.carry(near, far, 0)
	l.carry(far, near, 1)
}

// carry copies one way; answers are delayed.
func (l *link) carry(from, to net.Conn, times int64) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			time.Sleep(time.Duration(times * l.delay.Load()))
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			break
		}
	}
	l.mu.Lock()
	delete(l.conns, from)
	delete(l.conns, to)
	l.mu.Unlock()
	_, _ = from.Close(), to.Close()
}

// cut breaks all connections.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
}
