package crosstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ottpaykit/ottpay"

// houses are other people's modules of which a consumer gets one at most.
var houses = []string{
	"github.com/go-chi/", "github.com/gin-gonic/", "github.com/labstack/", "github.com/gofiber/",
	"go.opentelemetry.io/", "github.com/ThreeDotsLabs/", "github.com/redis/", "github.com/getkin/",
	"github.com/oapi-codegen/", "github.com/jackc/", "github.com/go-sql-driver/", "modernc.org/",
}

// TestConsumers builds a program that uses one of the modules and nothing else,
// and reads what its author was made to take.
func TestConsumers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dir, house string
		too        string // what the module itself requires, and builds nothing of here
	}{
		{dir: "."},
		{dir: "adapters/chi", house: "github.com/go-chi/"},
		{dir: "adapters/gin", house: "github.com/gin-gonic/"},
		{dir: "adapters/echo", house: "github.com/labstack/"},
		{dir: "adapters/echo4", house: "github.com/labstack/"},
		{dir: "adapters/otel", house: "go.opentelemetry.io/"},
		{dir: "adapters/watermill", house: "github.com/ThreeDotsLabs/", too: "github.com/go-chi/"},
		{dir: "stores/redis", house: "github.com/redis/"},
	} {
		t.Run(test.dir, func(t *testing.T) {
			t.Parallel()
			modules, built := consume(t, test.dir)
			got := false
			for _, m := range modules {
				house := slices.IndexFunc(houses, func(h string) bool { return strings.HasPrefix(m, h) })
				switch {
				case house >= 0 && houses[house] == test.house:
					got = true
				case house >= 0 && (houses[house] != test.too || slices.Contains(built, m)):
					t.Errorf("a consumer of %s gets %s", test.dir, m)
				}
			}
			if test.house != "" && !got {
				t.Errorf("a consumer of %s does not get %s: %v", test.dir, test.house, modules)
			}
			if test.dir == "." {
				rootConsumer(t, modules)
			}
		})
	}
}

// rootConsumer checks the whole list. What stands in a graph and in no build is
// what the two libraries and their own needs are tested with.
func rootConsumer(t *testing.T, modules []string) {
	known := []string{
		"consumer", module,
		"github.com/go-playground/", "github.com/gabriel-vasile/mimetype", "github.com/leodido/go-urn", "golang.org/x/",
		// Tests of those.
		"github.com/davecgh/go-spew", "github.com/pmezard/go-difflib", "github.com/stretchr/", "gopkg.in/", "github.com/kr/", "github.com/rogpeppe/", "github.com/creack/",
	}
	for _, m := range modules {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(m, k) }) {
			t.Errorf("a consumer of the root module gets %s", m)
		}
	}
}

// consume writes and builds a module that imports the one in dir, and returns
// its module graph and the modules that the program is built of.
func consume(t *testing.T, dir string) (graph, built []string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(module+"/"+dir, "/.")
	mod := fmt.Sprintf("module consumer\n\ngo 1.25.0\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", name, module, root)
	if dir != "." {
		mod += fmt.Sprintf("replace %s => %s\n", name, filepath.Join(root, dir))
	}
	here := t.TempDir()
	for file, text := range map[string]string{
		"go.mod":  mod,
		"main.go": fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", name),
	} {
		if err := os.WriteFile(filepath.Join(here, file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = here
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOSUMDB=off")
		out, err := cmd.Output()
		if err != nil {
			stderr := ""
			if exit, ok := err.(*exec.ExitError); ok {
				stderr = string(exit.Stderr)
			}
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr)
		}
		return string(out)
	}
	run("build", "-o", os.DevNull, ".")
	return strings.Fields(run("list", "-m", "-f", "{{.Path}}", "all")),
		strings.Fields(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
}
