package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun walks through the life of a repository: no release, a release, a
// change that breaks, and a version that says so.
func TestRun(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "openapi"), os.DirFS(filepath.Join("..", "..", "openapi"))); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	expect := func(ok bool, words string) {
		t.Helper()
		var out bytes.Buffer
		got, err := run(&out, root, "")
		if err != nil || got != ok || !strings.Contains(out.String(), words) {
			t.Errorf("got %v, %v, %q; want %v, %q", got, err, out.String(), ok, words)
		}
	}
	edit := func(old, now string) {
		t.Helper()
		path := filepath.Join(root, "openapi", "ottpay.yaml")
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%v, no %q", err, old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, now, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	do("init", "-q")
	do("add", "-A")
	do("commit", "-q", "-m", "one")
	do("tag", "cmd/ottpay/v0.1.0")
	expect(true, "no release yet")
	do("tag", "v0.1.0")
	do("tag", "v0.2.0-rc.1")
	expect(true, "nothing breaks since v0.1.0")
	edit("enum: [form]", "enum: [json]")
	expect(false, "does not admit form any more")
	edit(`  version: "2.0"`, `  version: "3.0"`)
	expect(true, "version 3.0 says so")
	do("commit", "-q", "-a", "-m", "two")
	do("tag", "v0.10.0")
	expect(true, "nothing breaks since v0.10.0")
}
