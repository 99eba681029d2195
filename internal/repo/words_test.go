package repo_test

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
)

// banned are words that a reader abroad stumbles over. CONTRIBUTING.md says how
// prose is written here. They are in two parts, or this file would be found.
var banned = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	"no" + "body", "some" + "body", "who" + "ever", "whatever " + "comes",
	"bears? " + "out", "bearing " + "out", "bo" + "rne", "me" + "nd(s|ed|ing)?", "le" + "nd(s|ing)?", "le" + "nt",
	"be" + "fall(s|en)?", "be" + "fell", "for " + "keeps", "one" + "'s own", "the " + "house",
}, "|") + `)\b`)

// TestWords finds banned words in prose and code. Test data, the vendor's pages
// and the changelog, which lists old names, are left out.
func TestWords(t *testing.T) {
	inRoot(t)
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--", "*.go", "*.md", "*.yaml", "*.yml", "*.tmpl")
	out, err := list.Output()
	if err != nil {
		t.Skipf("not in a clone: %v", err)
	}
	files, dirs := 0, make(map[string]bool)
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if strings.Contains(name, "testdata/") || name == "CHANGELOG.md" {
			continue
		}
		if dir := path.Dir(name); !dirs[dir] { // go test notes it, and what is new there is looked at
			dirs[dir] = true
			if _, err := os.ReadDir(dir); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) { // removed and not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files++
		for n, line := range strings.Split(string(text), "\n") {
			line = strings.ReplaceAll(line, "http.NoBody", "")
			for _, word := range banned.FindAllString(line, -1) {
				t.Errorf("%s:%d: %q", name, n+1, word)
			}
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

// TestBannedWords checks the expression itself.
func TestBannedWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"if " + "No" + "body is told": true, "wh" + "oever": true, "bo" + "rne out": true, "to me" + "nd it": true,
		"le" + "nt": true, "One" + "'s own": true, "amend": false, "calendar": false, "silent": false, "warehouse": false, "reborne": false,
	} {
		if banned.MatchString(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
