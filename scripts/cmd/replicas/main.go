// Command replicas runs examples/replicas without containers: see scripts/replicas. It is run from the root of the repository, and
// prints the addresses of what it has started, one to a line.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

func main() {
	count := flag.Int("n", 2, "how many replicas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *count); err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(1)
	}
}

// patience is how long a program may take to listen.
const patience = time.Minute

// run starts everything, and stops it when ctx ends or one of the programs does.
func run(ctx context.Context, count int) (err error) {
	dir, err := os.MkdirTemp("", "replicas")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, pkg := range []string{"./examples/gin", "./core/cmd/idserver-dev"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, filepath.Base(pkg)), pkg)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
	}
	addresses, err := free(count + 3)
	if err != nil {
		return err
	}
	all := programs{ended: make(chan error, count+3)}
	defer func() { err = errors.Join(err, all.stop()) }()
	if err := all.start(ctx, dir, addresses[:3], addresses[3:]); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-all.ended:
		return err
	}
}

// free returns addresses on loopback that nobody listens on.
func free(n int) (all []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once, or two are the same
		all = append(all, l.Addr().String())
	}
	return all, nil
}

// programs are those that have been started.
type programs struct {
	all    []*exec.Cmd
	exited []chan struct{}
	ended  chan error // by itself
}

// start starts the shared parts (Redis, the provider and nginx) and the replicas.
func (p *programs) start(ctx context.Context, dir string, shared, replicas []string) error {
	redis, provider, front := shared[0], shared[1], shared[2]
	_, port, err := net.SplitHostPort(redis)
	if err != nil {
		return err
	}
	if err := p.program(ctx, redis, nil, os.Stderr, "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--loglevel", "warning",
		"--save", "", "--maxmemory-policy", "noeviction"); err != nil {
		return err
	}
	said, says := io.Pipe()
	if err := p.program(ctx, provider, nil, says, filepath.Join(dir, "idserver-dev"), "-addr", provider); err != nil {
		return err
	}
	issuer, err := issuerOf(said)
	if err != nil {
		return err
	}
	env := []string{
		"BASE_URL=http://" + front, "REDIS_URL=redis://" + redis, "SESSION_SECRET=" + rand.Text() + rand.Text(),
		"IDSERVER_AUTHORITY=" + issuer, "IDSERVER_CLIENT_ID=" + idtest.ExampleClient, "IDSERVER_CLIENT_SECRET=" + idtest.ExampleSecret,
	}
	for _, addr := range replicas {
		if err := p.program(ctx, addr, append(env, "ADDR="+addr), os.Stderr, filepath.Join(dir, "gin")); err != nil {
			return err
		}
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := writeConf(conf, dir, front, replicas); err != nil {
		return err
	}
	if err := p.program(ctx, front, nil, os.Stderr, nginx(), "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", conf); err != nil {
		return err
	}
	fmt.Println("provider", issuer)
	fmt.Println("redis", "redis://"+redis)
	for i, addr := range replicas {
		fmt.Println("replica", "http://"+addr, p.all[2+i].Process.Pid)
	}
	fmt.Println("open", "http://"+front)
	return nil
}

// program starts a program, and waits until it listens.
func (p *programs) program(ctx context.Context, addr string, env []string, out io.Writer, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	c.Stdout, c.Stderr = out, os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.all, p.exited = append(p.all, c), append(p.exited, exited)
	go func() {
		err := c.Wait()
		p.ended <- fmt.Errorf("%s has ended: %v", filepath.Base(name), err)
		close(exited)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-exited:
			return fmt.Errorf("%s ended before it listened on %s", filepath.Base(name), addr)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w", filepath.Base(name), addr, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop stops everything, in the reverse order.
func (p *programs) stop() (err error) {
	for i := len(p.all) - 1; i >= 0; i-- {
		_ = p.all[i].Process.Signal(syscall.SIGTERM) // unless it has ended
		select {
		case <-p.exited[i]:
		case <-time.After(patience):
			err = errors.Join(err, fmt.Errorf("%s did not end", filepath.Base(p.all[i].Path)), p.all[i].Process.Kill())
		}
	}
	return err
}

// issuerOf reads what idserver-dev prints first.
func issuerOf(said io.Reader) (string, error) {
	lines := bufio.NewScanner(said)
	if !lines.Scan() {
		return "", fmt.Errorf("idserver-dev says nothing: %w", lines.Err())
	}
	issuer, ok := strings.CutPrefix(lines.Text(), "provider ")
	if !ok {
		return "", fmt.Errorf("idserver-dev says %q", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, said) }() // the settings for an application, which are known here
	return issuer, nil
}

// nginx is where that is: /usr/sbin is not in everybody's PATH.
func nginx() string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	return "/usr/sbin/nginx"
}

var (
	server = regexp.MustCompile(`\t\tserver app[0-9]+:8080( [^;]*);\n`)
	listen = regexp.MustCompile(`listen 8080;`)
)

// writeConf writes the example's nginx.conf with these addresses, and all files in dir.
func writeConf(path, dir, front string, replicas []string) error {
	text, err := os.ReadFile("examples/replicas/nginx.conf")
	if err != nil {
		return err
	}
	conf := string(text)
	options := server.FindStringSubmatch(conf)
	if options == nil || !listen.MatchString(conf) {
		return errors.New("examples/replicas/nginx.conf has other servers than those that are replaced here")
	}
	var servers strings.Builder
	for _, addr := range replicas {
		fmt.Fprintf(&servers, "\t\tserver %s%s;\n", addr, options[1])
	}
	conf = server.ReplaceAllString(conf, "")
	conf = strings.Replace(conf, "\tupstream app {\n", "\tupstream app {\n"+servers.String(), 1)
	conf = listen.ReplaceAllString(conf, "listen "+front+";")
	conf = strings.Replace(conf, "http {\n", "http {\n\taccess_log off;\n\tclient_body_temp_path "+dir+"/body; proxy_temp_path "+dir+"/proxy; fastcgi_temp_path "+
		dir+"/f; uwsgi_temp_path "+dir+"/u; scgi_temp_path "+dir+"/s;\n", 1)
	return os.WriteFile(path, []byte("daemon off; pid "+dir+"/nginx.pid;\n"+conf), 0o600)
}
