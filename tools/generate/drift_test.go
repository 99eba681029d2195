package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ottpaykit/ottpay/tools/drift"
	"github.com/ottpaykit/ottpay/tools/page"
)

// TestDriftWrites generates from a document into which `ottpay docs diff
// --write` put what a changed page says.
func TestDriftWrites(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "openapi"), os.DirFS(filepath.Join("..", "..", "openapi"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "openapi", "ottpay.yaml")
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := drift.ReadDocument("openapi/ottpay.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := os.ReadFile(filepath.Join("testdata", "changed.md"))
	if err != nil {
		t.Fatal(err)
	}
	edit, err := d.Apply(d.Diff([]*page.Page{d.Read("changed.md", "", changed)}, drift.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if len(edit.Done) != 5 || len(edit.Marked) != 1 {
		t.Errorf("%d applied, %d marked, want 5 and 1", len(edit.Done), len(edit.Marked))
	}
	if err := os.WriteFile(path, edit.Source, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := generate(t, root); err != nil {
		t.Error(err)
	}
}
