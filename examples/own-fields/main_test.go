package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestOwnFields(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"STORE_QUERY: QC07,QC08", "store_code=QC07", "amount: max=999999", "store_code: storecode", "paid 4.50 at QC07"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

// TestModuleOfItsOwn takes the example out of the repository: a module of
// another path, which imports only what is published, generates its types from
// the overlay alone, gets the same bytes, and runs.
func TestModuleOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	t.Parallel()
	const here, there = "github.com/ottpaykit/ottpay/examples/own-fields", "shop.example/teahouse"
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	main := bytes.ReplaceAll(read("main.go"), []byte(here), []byte(there))
	write("main.go", main)
	write("ottpay.overlay.yaml", read("ottpay.overlay.yaml"))
	f, err := parser.ParseFile(token.NewFileSet(), "main.go", main, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(path, "/internal/") || strings.Contains(path, "/examples/") || strings.Contains(path, "/tools/") {
			t.Errorf("imports %s, which no shop can", path)
		}
	}
	write("go.mod", []byte("module "+there+"\n\ngo 1.25.0\n\nrequire (\n\tgithub.com/ottpaykit/ottpay v0.0.0\n\tgithub.com/ottpaykit/ottpay/tools v0.0.0\n)\n\n"+
		"replace github.com/ottpaykit/ottpay => "+root+"\n\nreplace github.com/ottpaykit/ottpay/tools => "+filepath.Join(root, "tools")+"\n"))
	write("go.sum", append(read(filepath.Join(root, "go.sum")), read(filepath.Join(root, "tools", "go.sum"))...))
	command := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	command("run", "github.com/ottpaykit/ottpay/tools/generate", "-overlay", "ottpay.overlay.yaml", "-out", "ottapi")
	for _, name := range []string{"types.gen.go", "ottpay.gen.go"} {
		if !bytes.Equal(read(filepath.Join(dir, "ottapi", name)), read(filepath.Join("ottapi", name))) {
			t.Errorf("%s is not what the overlay makes: run go generate ./...", name)
		}
	}
	command("vet", "./...")
	if out := command("run", "."); !strings.Contains(out, "paid 4.50 at QC07") {
		t.Errorf("it says\n%s", out)
	}
}
