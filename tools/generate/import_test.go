package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/tools/drift"
	"github.com/ottpaykit/ottpay/tools/page"
)

// TestImported generates from each of the vendor's two pages alone, imported
// into a document without actions. The types compile, read every example of the
// page, validate it by their tags and by the schema table, and write it again.
func TestImported(t *testing.T) {
	if testing.Short() || raced && !*whole {
		t.Skip("compiles a copy of the repository, in a process that the race detector does not see")
	}
	t.Parallel()
	for seed, name := range map[string]string{"mini-program-payment": "MiniProgramPay", "h5-payment": "H5Pay"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "drift", "testdata", "pages", seed+".md"))
			if err != nil {
				t.Fatal(err)
			}
			root := imported(t, seed, text, name)
			if err := run(root, true); err != nil { // the test compiles more than run would
				t.Fatal(err)
			}
			p := page.Reader{}.Read(seed, "", text)
			var cases strings.Builder
			for _, e := range p.Examples {
				schema := schemaOf(e, name)
				if schema == "" {
					continue
				}
				fmt.Fprintf(&cases, "\t{%q, %q},\n", schema, page.Value{Kind: "object", Members: e.Members}.JSON())
				for _, m := range e.Members {
					if m.Name == "payInfo" {
						fmt.Fprintf(&cases, "\t{%q, %q},\n", "PayInfo", page.Value{Kind: "object", Members: m.Value.Members}.JSON())
					}
				}
			}
			if name == "MiniProgramPay" && strings.Count(cases.String(), "\n") != 4 {
				t.Errorf("the examples are\n%s", cases.String())
			}
			test := strings.Replace(importedTest, "CASES", cases.String(), 1)
			if err := os.WriteFile(filepath.Join(root, "validate", "imported_test.go"), []byte(test), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "./validate")
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// schemaOf names the schema of an example by the members that only it has.
func schemaOf(e *page.Example, name string) string {
	has := func(member string) bool { return slices.Contains(e.Names(), member) }
	switch {
	case has("md5"):
		return ""
	case has("finish_time"):
		return "Notification"
	case has("payInfo"):
		return name + "Response"
	}
	return name + "Request"
}

// imported copies what the generated code stands on, with a document that holds
// one imported page.
func imported(t *testing.T, seed string, text []byte, name string) string {
	t.Helper()
	root := t.TempDir()
	copyFile := func(path string, change func([]byte) []byte) {
		data, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			data = change(data)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"go.mod", "go.sum", "wire/*.go", "field/*.go", "gen/api/*.go", "validate/*.go"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			rel, err := filepath.Rel(filepath.Join("..", ".."), file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(rel, "_test.go") && !strings.HasSuffix(rel, ".gen.go") {
				copyFile(filepath.ToSlash(rel), withoutRefund)
			}
		}
	}
	copyFile("openapi/models.yaml", nil)
	var overlay string
	copyFile("openapi/ottpay.yaml", func(source []byte) []byte {
		d, err := drift.ReadDocument("openapi/ottpay.yaml", source)
		if err != nil {
			t.Fatal(err)
		}
		bare, err := drift.ReadDocument("openapi/ottpay.yaml", drift.Strip(d))
		if err != nil {
			t.Fatal(err)
		}
		draft, err := bare.Import(seed+".md", text, drift.ImportOptions{Name: name, Address: "https://docs.ottpay.com/payment-api/imported/" + seed})
		if err != nil {
			t.Fatal(err)
		}
		overlay = draft.Overlay
		return draft.Source
	})
	// Of the overlay only what is about shared values still has something to
	// lie on.
	copyFile("openapi/go.overlay.yaml", func(source []byte) []byte {
		head, rest, _ := strings.Cut(string(source), "actions:\n")
		out := head + "actions:\n"
		for _, entry := range strings.Split(rest, "  - target: ")[1:] {
			if strings.HasPrefix(entry, "$.components.schemas.") && !strings.Contains(entry, ".properties.") {
				out += "  - target: " + entry
			}
		}
		return []byte(out + overlay)
	})
	return root
}

// withoutRefund takes a rule about a type out that is not generated here.
func withoutRefund(source []byte) []byte {
	before, rest, ok := strings.Cut(string(source), "\tif r, ok := sl.Current().Interface().(api.RefundRequest)")
	if !ok {
		return source
	}
	_, after, _ := strings.Cut(rest, "\n\t}\n")
	return []byte(before + after)
}

const importedTest = `package validate_test

import (
	"encoding/json"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/validate"
)

func TestImported(t *testing.T) {
	v := validate.New()
	examples := []struct{ schema, json string }{
CASES	}
	for _, name := range api.Schemas() {
		s, _ := api.LookupSchema(name)
		examples = append(examples, struct{ schema, json string }{s.Name, s.Example})
	}
	for _, e := range examples {
		value, err := api.New(e.schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(e.json), value); err != nil {
			t.Errorf("%s: %v in %s", e.schema, err, e.json)
			continue
		}
		if err := v.Struct(value); err != nil {
			t.Errorf("%s: %v in %s", e.schema, err, e.json)
		}
		out, err := json.Marshal(value)
		if err != nil {
			t.Errorf("%s: %v", e.schema, err)
			continue
		}
		schema, _ := api.LookupSchema(e.schema)
		if err := schema.Check(out); err != nil {
			t.Errorf("%s: %v in %s", e.schema, err, out)
		}
	}
}
`
