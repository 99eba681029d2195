package middleware_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/middleware"
)

func parse(t *testing.T, fset *token.FileSet, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestReasons: the list holds every constant, once, in the order of the file,
// and each constant has a sentence.
func TestReasons(t *testing.T) {
	t.Parallel()
	var declared []middleware.Reason
	for _, decl := range parse(t, token.NewFileSet(), "reason.go").Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		if group.Doc == nil {
			t.Error("a group of constants does not say what it has in common")
		}
		for _, spec := range group.Specs {
			c := spec.(*ast.ValueSpec)
			word, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, middleware.Reason(word))
			if text := c.Doc.Text(); !strings.HasPrefix(text, c.Names[0].Name+": ") || !strings.HasSuffix(text, ".\n") {
				t.Errorf("%s has no sentence: %q", c.Names[0].Name, text)
			}
		}
	}
	if got := middleware.Reasons(); !slices.Equal(got, declared) {
		t.Errorf("Reasons() is not the list of the constants:\n%q\n%q", got, declared)
	}
	seen := make(map[middleware.Reason]bool)
	for _, r := range declared {
		if seen[r] {
			t.Errorf("two constants are %q", r)
		}
		seen[r] = true
	}
	// What envelope says of a body is one of them.
	for _, v := range parse(t, token.NewFileSet(), filepath.Join("..", "envelope", "error.go")).Decls {
		ast.Inspect(v, func(n ast.Node) bool {
			c, ok := n.(*ast.CompositeLit)
			if !ok || len(c.Elts) != 2 || fmt.Sprint(c.Type) != "failure" {
				return true
			}
			if word, _ := strconv.Unquote(c.Elts[1].(*ast.BasicLit).Value); !seen[middleware.Reason(word)] {
				t.Errorf("envelope's reason %q has no constant", word)
			}
			return true
		})
	}
	if !seen["bad-base64"] {
		t.Error("envelope's reasons were not found")
	}
}

// TestNoReasonIsSpelled: outside of reason.go nothing spells a reason out, so
// that the compiler finds a word that does not exist.
func TestNoReasonIsSpelled(t *testing.T) {
	t.Parallel()
	words := make(map[string]bool)
	for _, r := range middleware.Reasons() {
		words[string(r)] = true
	}
	for _, dir := range []string{".", "..", "../adapters/*"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || file == "reason.go" {
				continue
			}
			for _, found := range spelled(t, file, words) {
				t.Errorf("%s: use the constant", found)
			}
		}
	}
}

// spelled returns where a file spells one of the words as a reason: with a
// hyphen, which only reasons have, or in a place where a Reason belongs.
func spelled(t *testing.T, file string, words map[string]bool) (places []string) {
	t.Helper()
	fset := token.NewFileSet()
	f := parse(t, fset, file)
	takesReason := map[string]bool{"Reason": true, "deferred": true, "failed": true, "refused": true, "unclear": true}
	literal := func(n ast.Node) string {
		l, ok := n.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return ""
		}
		word, _ := strconv.Unquote(l.Value)
		return word
	}
	isReason := func(n ast.Expr) bool {
		s, ok := n.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Reason"
	}
	add := func(n ast.Node) { places = append(places, fset.Position(n.Pos()).String()) }
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec: // a word of another list, such as a Result
			if n.Type != nil && fmt.Sprint(n.Type) != "Reason" {
				return false
			}
		case *ast.BasicLit:
			if word := literal(n); strings.Contains(word, "-") && words[word] {
				add(n)
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" && literal(n.Value) != "" {
				add(n)
			}
		case *ast.BinaryExpr:
			if (isReason(n.X) || isReason(n.Y)) && literal(n.X)+literal(n.Y) != "" {
				add(n)
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if isReason(left) && i < len(n.Rhs) && literal(n.Rhs[i]) != "" {
					add(n)
				}
			}
		case *ast.CallExpr:
			name := ""
			switch fun := n.Fun.(type) {
			case *ast.Ident:
				name = fun.Name
			case *ast.SelectorExpr:
				name = fun.Sel.Name
			}
			if takesReason[name] && len(n.Args) > 0 && literal(n.Args[0]) != "" {
				add(n)
			}
		case *ast.SwitchStmt:
			if n.Tag == nil || !isReason(n.Tag) {
				return true
			}
			for _, c := range n.Body.List {
				for _, v := range c.(*ast.CaseClause).List {
					if literal(v) != "" {
						add(v)
					}
				}
			}
		}
		return true
	})
	return slices.Compact(places)
}

// TestSpelled: the search above finds each way to spell one.
func TestSpelled(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.go")
	lines := []string{
		`_ = Refusal{Reason: "store"}`, `_ = r.Reason == "store"`, `_ = "store" != r.Reason`, `r.Reason = "store"`,
		`_ = Reason("store")`, `_ = middleware.Reason("store")`, `deferred("store", nil)`, `e.refused("store", nil)`,
		`if word == "claim-lost" { return }`, "switch r.Reason {\ncase \"store\":\n}",
	}
	for _, line := range lines {
		if err := os.WriteFile(file, []byte("package x\nfunc f() {\n"+line+"\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := spelled(t, file, map[string]bool{"store": true, "claim-lost": true}); len(got) != 1 {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func TestErrNotPaid(t *testing.T) {
	t.Parallel()
	for _, r := range middleware.Reasons() {
		err := fmt.Errorf("wrapped: %w", &middleware.Refusal{Reason: r})
		if got, want := errors.Is(err, middleware.ErrNotPaid), r == middleware.ReasonNotPaidYet; got != want {
			t.Errorf("%s: %v", r, got)
		}
	}
}
