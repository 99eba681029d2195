package repo_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ottpaykit/ottpay"

// room is a package, or with a final /* every package below a directory, and
// what its code outside of tests may import besides the standard library and
// its own internal packages.
type room struct {
	dir    string
	ours   []string // directories; "*" stands for every package of the root module
	others []string // roots of third-party packages; "*" stands for any
	one    bool     // of others, a package below dir may use one only
}

// rooms is who may import whom. A package that is in none of them fails.
var rooms = []room{
	{dir: "wire"},
	{dir: "envelope", ours: []string{"wire"}},
	{dir: "field", ours: []string{"wire"}},
	{dir: "internal/deadline"},
	{dir: "internal/sqldb"},
	{dir: "dedupe", ours: []string{"internal/deadline", "internal/sqldb"}},
	{dir: "dedupe/dedupetest", ours: []string{"dedupe"}},
	{dir: "journal", ours: []string{"dedupe", "internal/sqldb"}},
	{dir: "openapi"}, // the document, embedded
	{dir: "gen/api", ours: []string{"field", "wire"}},
	{dir: "validate", ours: []string{"gen/api", "field"}, others: []string{"github.com/go-playground/validator/v10"}},
	{dir: "internal/splice", ours: []string{"gen/api", "wire"}},
	{dir: "internal/vectors"},
	{dir: "internal/repo"}, // only tests
	{dir: "middleware", ours: []string{"envelope", "field", "wire", "gen/api", "dedupe", "internal/deadline", "internal/splice"}},
	{dir: "limit", others: []string{"golang.org/x/time/rate"}},
	{dir: ".", ours: []string{"envelope", "field", "wire", "gen/api", "dedupe", "middleware", "validate"}, others: []string{"golang.org/x/time/rate"}},
	{dir: "links", ours: []string{"field", "gen/api"}},
	// ottpaytest.Asker is the shop's side; the Gateway uses nothing of middleware.
	{dir: "ottpaytest", ours: []string{"envelope", "field", "wire", "gen/api", "middleware"}},

	{dir: "adapters/*", ours: []string{".", "middleware", "wire", "gen/api", "dedupe"}, one: true, others: []string{
		"github.com/go-chi/chi",
		"github.com/gin-gonic/gin",
		"github.com/labstack/echo",
		"go.opentelemetry.io/otel",
		"github.com/ThreeDotsLabs/watermill",
	}},
	{dir: "stores/*", ours: []string{"dedupe"}, one: true, others: []string{"github.com/redis/go-redis"}},
	{dir: "cmd/ottpay/*", ours: []string{"*", "tools/drift", "tools/page"}, others: []string{"*"}},

	// A program, and what it and the command share. It imports nothing of the
	// root module, or a deleted gen/ could not be generated again.
	{dir: "tools/*", others: []string{"*"}},

	// Nothing may import these.
	{dir: "examples/*", ours: []string{"*", "adapters", "stores", "cmd"}, others: []string{"*"}},
	{dir: "crosstest/*", ours: []string{"*", "adapters", "stores", "cmd"}, others: []string{"*"}},
	{dir: "browsertest/*", ours: []string{"*", "cmd"}, others: []string{"*"}},
	{dir: "bench/*", ours: []string{"*", "adapters", "stores", "cmd"}, others: []string{"*"}},
}

// deadEnds may import, and may not be imported but by themselves.
var deadEnds = []string{"examples", "crosstest", "bench", "browsertest"}

func TestImports(t *testing.T) {
	inRoot(t)
	files := goFiles(t)
	modules := moduleDirs(t)
	imported := 0
	for _, file := range files {
		dir := path.Dir(file)
		r, ok := roomOf(dir)
		if !ok {
			t.Errorf("%s: package %s has no place in the table of rooms", file, dir)
			continue
		}
		for _, imp := range imports(t, file) {
			imported++
			if strings.HasSuffix(file, "_test.go") {
				checkTestImport(t, file, dir, imp, modules)
			} else {
				checkImport(t, file, dir, imp, r, modules)
			}
		}
	}
	if imported == 0 {
		t.Error("no import was found in the tree")
	}
}

// checkImport checks an import of a file that is not a test.
func checkImport(t *testing.T, file, dir, imp string, r room, modules []string) {
	t.Helper()
	switch imp {
	case "crypto/aes", "crypto/md5":
		// The command's explain tries wrong derivations, and the benchmarks
		// measure how others do it.
		if dir != "envelope" && dir != "cmd/ottpay/internal/explain" && dir != "bench" {
			t.Errorf("%s: imports %s; only envelope may", file, imp)
		}
	}
	if target, ours := ownDir(imp); ours {
		if !mayImportOurs(dir, target, r, modules) {
			t.Errorf("%s: %s may not import %s", file, dir, target)
		}
		return
	}
	if !standard(imp) && !slices.ContainsFunc(r.others, func(root string) bool { return root == "*" || below(imp, root) }) {
		t.Errorf("%s: %s may not import %s", file, dir, imp)
	}
}

// checkTestImport checks an import of a test: an oracle may be written with
// what the code itself must not use, but a consumer's module graph is the same
// for tests, and a dead end stays one.
func checkTestImport(t *testing.T, file, dir, imp string, modules []string) {
	t.Helper()
	home := moduleOf(dir, modules)
	target, ours := ownDir(imp)
	switch {
	case ours && inDeadEnd(target) && !(home != "." && below(target, home)):
		t.Errorf("%s: imports %s, which nothing may import", file, target)
	case ours && home == "." && moduleOf(target, modules) != ".":
		t.Errorf("%s: a test of the root module imports the module %s", file, target)
	case !ours && home == "." && !standard(imp) && !below(imp, "github.com/go-playground/validator/v10") && !below(imp, "golang.org/x/time"):
		t.Errorf("%s: a test of the root module imports %s", file, imp)
	}
}

func mayImportOurs(dir, target string, r room, modules []string) bool {
	home := moduleOf(dir, modules)
	if home != "." && moduleOf(target, modules) == home {
		return true // a nested module is one room
	}
	if inDeadEnd(target) {
		return false
	}
	for _, o := range r.ours {
		switch {
		case o == "*" && moduleOf(target, modules) == ".", o == target:
			return true
		case slices.Contains([]string{"adapters", "stores", "cmd"}, o) && below(target, o):
			return true
		}
	}
	return dir != "." && below(target, dir+"/internal")
}

// TestOneFramework checks that no adapter and no store brings two.
func TestOneFramework(t *testing.T) {
	inRoot(t)
	modules := moduleDirs(t)
	uses := make(map[string]map[string]bool) // module: root of a framework
	for _, file := range goFiles(t) {
		r, ok := roomOf(path.Dir(file))
		if !ok || !r.one || strings.HasSuffix(file, "_test.go") {
			continue
		}
		home := moduleOf(path.Dir(file), modules)
		if home == "." {
			t.Errorf("%s: belongs to the root module; want a module of its own", file)
		}
		for _, imp := range imports(t, file) {
			for _, root := range r.others {
				if below(imp, root) {
					if uses[home] == nil {
						uses[home] = make(map[string]bool)
					}
					uses[home][root] = true
				}
			}
		}
	}
	for home, roots := range uses {
		if len(roots) > 1 {
			t.Errorf("%s uses more than one framework: %v", home, roots)
		}
	}
}

// TestModules checks what the consumer of a module is made to take.
func TestModules(t *testing.T) {
	inRoot(t)

	root := readModule(t, "go.mod")
	want := []string{"github.com/go-playground/validator/v10", "golang.org/x/time"}
	if direct := root.direct(); !slices.Equal(direct, want) {
		t.Errorf("go.mod requires %v directly, want %v", direct, want)
	}
	for _, verb := range []string{"replace", "tool", "toolchain", "exclude", "godebug", "ignore"} {
		if lines := root[verb]; len(lines) > 0 {
			t.Errorf("go.mod has %s %q; the root module has none", verb, lines)
		}
	}

	pins := map[string]string{
		"github.com/go-playground/validator/v10": "v10.30.1", // later ones box every field
		"golang.org/x/time":                      "v0.15.0",  // later ones demand a newer Go
	}
	for _, dir := range moduleDirs(t) {
		m := readModule(t, path.Join(dir, "go.mod"))
		name := path.Join(module, dir)
		if !slices.Equal(m["module"], []string{name}) {
			t.Errorf("%s/go.mod: module %v, want %s", dir, m["module"], name)
		}
		if !slices.Equal(m["go"], []string{"1.25.0"}) {
			t.Errorf("%s/go.mod: go %v, want 1.25.0", dir, m["go"])
		}
		for p, v := range m.required() {
			if pin, pinned := pins[p]; pinned && v != pin {
				t.Errorf("%s/go.mod: requires %s %s, want %s", dir, p, v, pin)
			}
			if d, ours := ownDir(p); ours && inDeadEnd(d) {
				t.Errorf("%s/go.mod: requires %s, which nothing may", dir, p)
			}
		}
		for _, line := range m["replace"] {
			from, to, _ := strings.Cut(line, " => ")
			d, ours := ownDir(strings.Fields(from)[0])
			if !ours || path.Join(dir, to) != d {
				t.Errorf("%s/go.mod: replace %s; only a sibling by its directory may be replaced", dir, line)
			}
		}
	}
}

// TestWorkspace checks that `go test work` forgets no module.
func TestWorkspace(t *testing.T) {
	inRoot(t)
	var used []string
	for _, line := range readModule(t, "go.work")["use"] {
		used = append(used, path.Clean(line))
	}
	slices.Sort(used)
	if modules := moduleDirs(t); !slices.Equal(used, modules) {
		t.Errorf("go.work uses %v, the tree has %v", used, modules)
	}
}

// roomOf returns the longest entry of the table that covers dir.
func roomOf(dir string) (room, bool) {
	var found room
	ok := false
	for _, r := range rooms {
		covers := r.dir == dir
		if tree, all := strings.CutSuffix(r.dir, "/*"); all {
			covers = below(dir, tree)
		} else if r.dir != "." {
			covers = covers || below(dir, r.dir+"/internal")
		}
		if covers && (!ok || len(r.dir) > len(found.dir)) {
			found, ok = r, true
		}
	}
	return found, ok
}

// moduleOf returns the directory of the module that dir belongs to.
func moduleOf(dir string, modules []string) string {
	home := "."
	for _, m := range modules {
		if below(dir, m) && len(m) > len(home) {
			home = m
		}
	}
	return home
}

// ownDir returns the directory in this repository that holds package imp.
func ownDir(imp string) (string, bool) {
	if imp == module {
		return ".", true
	}
	return strings.CutPrefix(imp, module+"/")
}

func inDeadEnd(dir string) bool {
	return slices.ContainsFunc(deadEnds, func(end string) bool { return below(dir, end) })
}

func below(p, root string) bool {
	return p == root || strings.HasPrefix(p, root+"/")
}

// standard reports whether imp belongs to the standard library, whose first
// element has no dot.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func goFiles(t *testing.T) []string {
	t.Helper()
	return tree(t, func(name string) bool { return strings.HasSuffix(name, ".go") })
}

// moduleDirs returns the sorted directories that hold a go.mod.
func moduleDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, file := range tree(t, func(name string) bool { return name == "go.mod" }) {
		dirs = append(dirs, path.Dir(file))
	}
	slices.Sort(dirs)
	return dirs
}

// tree lists the files that the go command would look at, all modules
// together, by slash-separated names.
func tree(t *testing.T, want func(name string) bool) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != "." && strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
		switch {
		case d.IsDir() && (hidden || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.IsDir() && !hidden && want(d.Name()):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

// modFile holds the lines of a go.mod or go.work by their verb, comments
// included.
type modFile map[string][]string

func readModule(t *testing.T, file string) modFile {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	m := make(modFile)
	block := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "//"):
		case block != "" && line == ")":
			block = ""
		case block != "":
			m[block] = append(m[block], line)
		case rest == "(":
			block = verb
		default:
			m[verb] = append(m[verb], rest)
		}
	}
	return m
}

// required returns the versions of the required modules.
func (m modFile) required() map[string]string {
	versions := make(map[string]string)
	for _, line := range m["require"] {
		f := strings.Fields(line)
		versions[f[0]] = f[1]
	}
	return versions
}

// direct returns the sorted modules that are required, but for those that
// others need.
func (m modFile) direct() []string {
	var direct []string
	for _, line := range m["require"] {
		if !strings.Contains(line, "// indirect") {
			direct = append(direct, strings.Fields(line)[0])
		}
	}
	slices.Sort(direct)
	return direct
}
