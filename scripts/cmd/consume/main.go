// Command consume is a user of each adapter and store, before anything is released: in an empty module, without workspace and
// without replace, it fetches the adapter from a module proxy made of the working tree, builds the guide's programs and a copy of
// the example, and looks at what came along.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/module"

	"github.com/signward/idserver-go/scripts/internal/modproxy"
)

// adapterModule is a module that is consumed, with the framework that it brings and the number of modules that may be built into a
// program of the guide, the standard library and the program itself not counted.
type adapterModule struct {
	dir, framework string
	budget         int
}

var adapters = []adapterModule{
	{"gin", "github.com/gin-gonic/gin", 31},
	{"echo", "github.com/labstack/echo/v4", 22},
	{"echov5", "github.com/labstack/echo/v5", 13},
	{"fiber", "github.com/gofiber/fiber/v2", 24},
	{"fiberv3", "github.com/gofiber/fiber/v3", 27},
	{"chi", "github.com/go-chi/chi/v5", 13},
	{"grpc", "google.golang.org/grpc", 18},
	{"mcp", "github.com/modelcontextprotocol/go-sdk", 19},
}

// stores are modules that are consumed like adapters, and have no example of their own. What they bring comes with nothing else.
var stores = []adapterModule{
	{"core/store/postgresstore", "github.com/jackc/pgx/v5", 17},
	{"core/store/redisstore", "github.com/redis/go-redis/v9", 15},
}

// beside are packages that the guide's programs use together with ours: they come with nothing of ours, and the budgets are of
// what does.
var beside = []string{"github.com/danielgtaylor/huma/", "github.com/coder/websocket", "github.com/gorilla/websocket", "github.com/gofiber/contrib/", "github.com/alexedwards/scs/"}

func main() {
	tags := flag.Bool("tags", false, "fetch from this clone's tags, as go will from the repository once they are pushed")
	flag.Parse()
	if err := run(".", *tags, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}

func consumed() []adapterModule { return slices.Concat(adapters, stores) }

// run consumes the adapters and stores that are named, or all: what the working tree has, or what the tags have.
func run(root string, tags bool, named []string) error {
	for _, name := range named {
		if !slices.ContainsFunc(consumed(), func(a adapterModule) bool { return a.dir == name }) {
			return fmt.Errorf("there is no adapter or store %q", name)
		}
	}
	temporary, err := os.MkdirTemp("", "consume")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	modules, err := modproxy.Modules(root)
	if err != nil {
		return err
	}
	proxy := filepath.Join(temporary, "proxy")
	env, err := modproxy.Env(proxy, filepath.Join(temporary, "cache"))
	if err != nil {
		return err
	}
	if tags {
		env, err = fromTags(env, root)
	} else {
		err = pack(proxy, root, modules)
	}
	if err != nil {
		return err
	}
	var faults []error
	for _, a := range consumed() {
		if len(named) > 0 && !slices.Contains(named, a.dir) {
			continue
		}
		u := user{dir: filepath.Join(temporary, a.dir), env: env}
		if err := u.consume(root, a.dir, a.framework, a.budget); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", a.dir, err))
		}
	}
	return errors.Join(faults...)
}

// pack packs what a module of the tree requires, and the stores, which perhaps none does.
func pack(proxy, root string, modules []modproxy.Module) error {
	if err := modproxy.PackAll(proxy, root, modules); err != nil {
		return err
	}
	for _, s := range stores {
		for _, m := range modules {
			if m.Dir != s.dir {
				continue
			}
			if err := modproxy.Pack(proxy, filepath.Join(root, m.Dir), module.Version{Path: m.Path(), Version: "v0.1.0"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// fromTags lets go fetch the tree's modules with git, from root in place of where the repository will be.
func fromTags(env []string, root string) ([]string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return append(env, "GOPRIVATE=github.com/signward/idserver-go",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+filepath.ToSlash(root)+".insteadOf",
		"GIT_CONFIG_VALUE_0=https://github.com/signward/idserver-go"), nil
}

// user is a module of somebody's own.
type user struct {
	dir string
	env []string
}

func (u user) consume(root, adapter, framework string, budget int) error {
	const prefix = "github.com/signward/idserver-go/"
	programs, err := programsFor(root, prefix, adapter, framework)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(u.dir, 0o755); err != nil {
		return err
	}
	if err := u.gocmd("mod", "init", "example.test/mine"); err != nil {
		return err
	}
	if err := u.gocmd("get", prefix+adapter+"@latest"); err != nil {
		return err
	}
	for i, program := range programs {
		name := "main.go"
		switch {
		case bytes.Contains(program, []byte("*testing.T")):
			name = "main_test.go"
		case !bytes.Contains(program, []byte("func main()")): // a function to copy, which is built as well
			program = append(slices.Clone(program), "\nfunc main() {}\n"...)
		}
		if err := u.write(filepath.Join(fmt.Sprintf("program%d", i+1), name), program); err != nil {
			return err
		}
	}
	if err := u.gocmd("mod", "tidy"); err != nil {
		return err
	}
	if err := u.gocmd("build", "./..."); err != nil {
		return err
	}
	if err := u.gocmd("vet", "./..."); err != nil {
		return err
	}
	if err := u.graph(framework, budget); err != nil {
		return err
	}
	if err := tested(root, u.dir+"-tests", u.env, adapter); err != nil {
		return err
	}

	if slices.ContainsFunc(stores, func(s adapterModule) bool { return s.dir == adapter }) {
		return nil
	}
	example := user{dir: u.dir + "-example", env: u.env}
	if err := os.CopyFS(example.dir, os.DirFS(filepath.Join(root, "examples", adapter))); err != nil {
		return err
	}
	if err := example.gocmd("mod", "tidy"); err != nil {
		return err
	}
	if err := example.gocmd("build", "-o", "example", "."); err != nil {
		return err
	}
	return example.starts()
}

// tested runs an adapter's tests with the versions that it brings. In the workspace it has the newest that any module wants: there,
// fiber v2 runs on the fasthttp of fiber v3.
func tested(root, dir string, env []string, adapter string) error {
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, adapter))); err != nil {
		return err
	}
	return user{dir: dir, env: env}.gocmd("test", "./...")
}

// programsFor returns the guide's programs for an adapter, and those that belong to no framework.
func programsFor(root, prefix, adapter, framework string) (programs [][]byte, err error) {
	guide, err := os.ReadFile(filepath.Join(root, "docs/guide.md"))
	if err != nil {
		return nil, err
	}
	own := 0
	for _, block := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(guide, -1) {
		brings := func(path string) bool { return bytes.Contains(block[1], []byte(`"`+path+`"`)) }
		switch {
		case slices.ContainsFunc(beside, func(path string) bool { return bytes.Contains(block[1], []byte(`"`+path)) }):
			continue
		case brings(prefix + adapter), brings(framework):
			own++
		case slices.ContainsFunc(consumed(), func(a adapterModule) bool { return brings(prefix+a.dir) || brings(a.framework) }):
			continue
		}
		programs = append(programs, block[1])
	}
	if own == 0 {
		return nil, errors.New("the guide has no program for it")
	}
	return programs, nil
}

// starts runs the program until it prints where it is, and ends it.
func (u user) starts() error {
	var stderr bytes.Buffer
	program := exec.Command(filepath.Join(u.dir, "example"))
	program.Env, program.Stderr = []string{"ADDR=127.0.0.1:0"}, &stderr
	out, err := program.StdoutPipe()
	if err != nil {
		return err
	}
	if err := program.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if !strings.HasPrefix(line, "open http://127.0.0.1:") && !strings.HasPrefix(line, "listening 127.0.0.1:") {
		err = errors.Join(err, fmt.Errorf("the example prints %q\n%s", line, stderr.String()))
	}
	err = errors.Join(err, program.Process.Signal(syscall.SIGTERM))
	late := time.AfterFunc(time.Minute, func() { _ = program.Process.Kill() }) // one that does not end must not hold up all
	defer late.Stop()
	return errors.Join(err, program.Wait())
}

// graph looks at what came along: one framework, and no more modules than the budget has.
func (u user) graph(framework string, budget int) error {
	out, err := u.output("list", "-m", "all")
	if err != nil {
		return err
	}
	for _, a := range consumed() {
		if a.framework != framework && strings.Contains(out, a.framework+" ") {
			return fmt.Errorf("%s is in the module graph as well", a.framework)
		}
	}
	out, err = u.output("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
	if err != nil {
		return err
	}
	built := slices.DeleteFunc(strings.Fields(out), func(path string) bool { return path == "example.test/mine" })
	slices.Sort(built)
	built = slices.Compact(built)
	fmt.Printf("%s: %d modules are built in, of at most %d\n", framework, len(built), budget)
	if len(built) > budget {
		return fmt.Errorf("%d modules are built in, and the budget is %d:\n%s", len(built), budget, strings.Join(built, "\n"))
	}
	return nil
}

func (u user) write(name string, content []byte) error {
	name = filepath.Join(u.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

func (u user) gocmd(args ...string) error {
	_, err := u.output(args...)
	return err
}

func (u user) output(args ...string) (string, error) {
	var stderr bytes.Buffer
	command := exec.Command("go", args...)
	command.Dir, command.Env, command.Stderr = u.dir, u.env, &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String()) // tests print to stdout what fails
	}
	return string(out), nil
}
