package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// compile builds the module with the files that are about to be written. A
// document without a member, action or code that the hand-written code uses
// must be refused before the files are written: afterwards the generator's word
// would be that all is well.
func compile(root string, files map[string][]byte) error {
	if !exists(filepath.Join(root, "go.mod")) || !changed(root, files) {
		return nil
	}
	dir, err := os.MkdirTemp("", "generate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := overlayOf(root, dir, files)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-overlay", overlay, "./...")
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("the module would not compile:\n%s\nKeep what is missing in openapi/ottpay.yaml. Or run the generator with -force, and correct this code afterwards", explain(root, out.String()))
	}
	return err
}

// changed reports whether a Go file is not on disk as it will be.
func changed(root string, files map[string][]byte) bool {
	for path, text := range files {
		if !strings.HasSuffix(path, ".go") {
			continue
		}
		if old, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path))); err != nil || !bytes.Equal(old, text) {
			return true
		}
	}
	return false
}

// overlayOf writes the files into dir and returns the file that tells the go
// command to read them in place of those of root.
func overlayOf(root, dir string, files map[string][]byte) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for path, text := range files {
		if !strings.HasSuffix(path, ".go") {
			continue
		}
		copied := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(path))] = copied
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

var noField = regexp.MustCompile(`type \*?(?:api\.)?(\w+) has no field or method (\w+)|unknown field (\w+) in struct literal of type (?:api\.)?(\w+)`)

// explain adds to the compiler's words the names of the members that are
// missing, as the document has them.
func explain(root, words string) string {
	old, err := os.ReadFile(filepath.Join(root, "gen", "api", "types.gen.go"))
	if err != nil {
		return strings.TrimSpace(words)
	}
	var b strings.Builder
	for line := range strings.Lines(words) {
		line = strings.TrimRight(line, "\n")
		b.WriteString(line)
		if m := noField.FindStringSubmatch(line); m != nil {
			if name := memberOf(string(old), m[1]+m[4], m[2]+m[3]); name != "" {
				fmt.Fprintf(&b, " (the member %s.%s)", m[1]+m[4], name)
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

// memberOf returns the member that a field of a generated type stood for.
func memberOf(types, typeName, field string) string {
	_, body, ok := strings.Cut(types, "type "+typeName+" struct {")
	if !ok {
		return ""
	}
	body, _, _ = strings.Cut(body, "\n}")
	m := regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(field) + "\\s.*json:\"([^\",]+)").FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return m[1]
}
