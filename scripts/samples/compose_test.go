package samples

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	idserver "github.com/signward/idserver-go/core"
)

// service is what is looked at of a service of docker-compose.yml.
type service struct {
	Build       struct{ Context, Dockerfile string }
	Image       string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	DependsOn   any `yaml:"depends_on"`
}

// There are no containers here: what docker-compose.yml names exists, its nginx passes on to the replicas that it starts, and its
// environment is a configuration of the application. scripts/replicas runs the same without containers.
func TestCompose(t *testing.T) {
	const dir = "examples/replicas"
	var file struct {
		Services map[string]service
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(read(t, dir+"/docker-compose.yml"), &file); err != nil {
		t.Fatal(err)
	}
	nginx := string(read(t, dir+"/nginx.conf"))
	replicas := 0
	for name, s := range file.Services {
		t.Run(name, func(t *testing.T) {
			for _, needed := range names(s.DependsOn) {
				if _, ok := file.Services[needed]; !ok {
					t.Errorf("it depends on %q, which is no service", needed)
				}
			}
			for _, v := range s.Volumes {
				from, _, _ := strings.Cut(v, ":")
				if _, named := file.Volumes[from]; !named {
					exists(t, filepath.Join(dir, from))
				}
			}
			if s.Build.Context == "" {
				return
			}
			replicas++
			context := filepath.Join(dir, s.Build.Context)
			exists(t, filepath.Join(context, s.Build.Dockerfile))
			if built := regexp.MustCompile(`go build .* \./(\S+)`).FindStringSubmatch(string(read(t, filepath.Join(context, s.Build.Dockerfile)))); built == nil {
				t.Error("the Dockerfile builds nothing")
			} else {
				exists(t, filepath.Join(context, built[1], "main.go"))
			}
			if !strings.Contains(nginx, "server "+name+s.Environment["ADDR"]+" ") {
				t.Errorf("nginx.conf passes nothing on to %s%s", name, s.Environment["ADDR"])
			}
			s.isConfiguration(t, file.Services)
		})
	}
	if servers := strings.Count(nginx, "\tserver app"); replicas != 2 || servers != replicas {
		t.Errorf("%d replicas, and nginx.conf has %d", replicas, servers)
	}
	for _, published := range file.Services["nginx"].Ports {
		if _, inside, _ := strings.Cut(published, ":"); !strings.Contains(nginx, "listen "+inside+";") {
			t.Errorf("nginx.conf does not listen on %s", inside)
		}
	}
}

// isConfiguration fails the test unless the environment is one of examples/gin, with the variables that must be set and with all.
func (s *service) isConfiguration(t *testing.T, services map[string]service) {
	settings := string(read(t, "examples/gin/README.md"))
	given := map[string]string{
		"IDSERVER_AUTHORITY": "https://id.example", "IDSERVER_CLIENT_ID": "shop", "IDSERVER_CLIENT_SECRET": "Zq7rT2mX9vK4pL8wN3bJ6sD1", "BASE_URL": "https://shop.example",
		"SESSION_SECRET": "hA9cQ2xW7eR4tY6uI1oP3sD5fG8jK0lZ", "SESSION_SECRET_OLD": "mN3bV6cX9zL2kJ5hG8fD1sA4pO7iU0yT",
	}
	variable := regexp.MustCompile(`\$\{(\w+)(:[-?])([^}]*)\}`)
	for _, all := range []bool{false, true} {
		for name, value := range s.Environment {
			if !strings.Contains(settings, "`"+name+"`") {
				t.Errorf("%s is no setting of examples/gin", name)
			}
			t.Setenv(name, variable.ReplaceAllStringFunc(value, func(text string) string {
				part := variable.FindStringSubmatch(text)
				if part[2] == ":-" && !all {
					return part[3]
				}
				return given[part[1]]
			}))
		}
		if _, err := idserver.New(idserver.ConfigFromEnv()); err != nil {
			t.Error(err)
		}
	}
	redis, err := url.Parse(s.Environment["REDIS_URL"])
	if err != nil || redis.Port() != "6379" || services[redis.Hostname()].Image == "" {
		t.Errorf("REDIS_URL is %s, %v", s.Environment["REDIS_URL"], err)
	}
}

// names are those of a list or of a map.
func names(of any) (all []string) {
	switch of := of.(type) {
	case []any:
		for _, name := range of {
			all = append(all, name.(string))
		}
	case map[string]any:
		for name := range of {
			all = append(all, name)
		}
	}
	return all
}

func exists(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, path)); err != nil {
		t.Error(err)
	}
}
