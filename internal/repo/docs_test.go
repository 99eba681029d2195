package repo_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ottpaykit/ottpay/middleware"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestDocs: every Go block of the README and of docs is compiled code, line by
// line: the README's is func readme, the guides' are the examples whose output
// is checked, and those of pages on other modules stand in these.
func TestDocs(t *testing.T) {
	inRoot(t)
	guides := slices.DeleteFunc(glob(t, "docs/*.md", "docs/guides/*.md"), func(page string) bool {
		return page == "docs/tutorial.md" // cmd/ottpay/sandbox compiles and runs it
	})
	code := slices.Concat(examples(t),
		functions(t, "examples/river/shop.go", "paid"),
		functions(t, "crosstest/docs_test.go", "docsBrokers"),
		functions(t, "crosstest/docs_test.go", "docsOpenTelemetry"),
	)
	for _, c := range []struct {
		pages, code []string
	}{
		{[]string{"README.md"}, []string{read(t, "internal/repo/readme_test.go")}},
		{guides, code},
	} {
		blocks := 0
		for _, page := range c.pages {
			for _, block := range goBlock.FindAllStringSubmatch(read(t, page), -1) {
				blocks++
				if !stands(block[1], c.code) {
					t.Errorf("%s: this code is none that is compiled:\n%s", page, block[1])
				}
			}
		}
		if blocks == 0 {
			t.Errorf("no Go block in %q", c.pages)
		}
	}
}

// TestLinks: what the pages link to is there, and every page of docs is in the
// index.
func TestLinks(t *testing.T) {
	inRoot(t)
	linked := make(map[string]bool) // from the index
	link, span := regexp.MustCompile(`\]\(([^)\s]+)\)`), regexp.MustCompile("`[^`\n]*`")
	pages := glob(t, "*.md", "docs/*.md", "docs/guides/*.md", "examples/*/*.md")
	for _, page := range pages {
		for _, to := range link.FindAllStringSubmatch(span.ReplaceAllString(read(t, page), "code"), -1) {
			if strings.Contains(to[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(to[1], "#")
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if page == "docs/README.md" {
				linked[target] = true
			}
			if _, err := os.Stat(filepath.FromSlash(target)); err != nil {
				t.Errorf("%s: links to %s, which is not there", page, to[1])
			} else if anchor != "" && !anchors(read(t, target))[anchor] {
				t.Errorf("%s: links to %s, and there is no such heading", page, to[1])
			}
		}
	}
	for _, page := range pages {
		if strings.HasPrefix(page, "docs/") && page != "docs/README.md" && !linked[page] {
			t.Errorf("docs/README.md does not link to %s", page)
		}
	}
}

// TestFailingGuide: the page for the night explains every reason that a log
// line may give, and quotes lines that exist.
func TestFailingGuide(t *testing.T) {
	inRoot(t)
	const page = "docs/guides/failing.md"
	text := read(t, page)
	word := regexp.MustCompile("`([^`\n]+)`")
	said := make(map[string]bool)
	for _, w := range word.FindAllStringSubmatch(text, -1) {
		said[w[1]] = true
	}

	for _, reason := range middleware.Reasons() {
		if !said[string(reason)] {
			t.Errorf("%s does not explain the reason %q", page, reason)
		}
	}

	var sources strings.Builder
	for _, dir := range []string{"middleware", "."} {
		for _, file := range glob(t, dir+"/*.go") {
			sources.WriteString(read(t, file))
		}
	}
	lines := 0
	for w := range said {
		if strings.HasPrefix(w, "ottpay: ") {
			lines++
			if !strings.Contains(sources.String(), `"`+w+`"`) {
				t.Errorf("%s quotes a line that nothing logs: %s", page, w)
			}
		}
	}
	if lines == 0 {
		t.Errorf("%s quotes no log line", page)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// glob lists the files that fit one of the patterns.
func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			all = append(all, filepath.ToSlash(file))
		}
	}
	return all
}

// stands reports whether the block's lines stand one after the other in one of
// the pieces of code, whatever their indentation.
func stands(block string, code []string) bool {
	for _, c := range code {
		if strings.Contains(flat(c), flat(block)) {
			return true
		}
	}
	return false
}

// flat is code without indentation, each line between line feeds.
func flat(code string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(strings.TrimSpace(code)) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// functions returns the source of the functions of that name.
func functions(t *testing.T, file, name string) []string {
	t.Helper()
	text := read(t, file)
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
			found = append(found, text[fset.Position(fn.Pos()).Offset:fset.Position(fn.End()).Offset])
		}
	}
	return found
}

// examples returns the source of this package's examples that go test runs.
func examples(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, file := range glob(t, "example*_test.go") {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range doc.Examples(f) {
			if e.Output != "" || e.EmptyOutput {
				found = append(found, functions(t, file, "Example"+e.Name)...)
			}
		}
	}
	return found
}

// anchors are the names of a page's headings, as they are linked to.
func anchors(text string) map[string]bool {
	all := make(map[string]bool)
	for line := range strings.Lines(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading))
		all[name] = true
	}
	return all
}
