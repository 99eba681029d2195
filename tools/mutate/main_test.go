package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const subject = `package subject

// Fee returns what is added to an amount.
func Fee(amount int, card bool) int {
	fee := 0
	if card && amount > 100 {
		fee += 3
	}
	return fee
}

// Safe reports whether f does not panic.
func Safe(f func()) (ok bool) {
	defer func() { ok = recover() == nil }()
	f()
	return true
}

// Never is run by no test.
func Never() bool { return true && os }

var os = true
`

const subjectTest = `package subject

import "testing"

func TestFee(t *testing.T) {
	if Fee(200, true) != 3 || Fee(200, false) != 0 {
		t.Error("fee")
	}
}

func TestSafe(t *testing.T) {
	if Safe(func() { panic("x") }) || !Safe(func() {}) {
		t.Error("safe")
	}
}
`

// TestMutate: the bound at 100 is tested by no one, so exactly the mutants that
// move it, or that leave its term out, survive.
func TestMutate(t *testing.T) { // not parallel: it sets GOWORK
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module subject\n\ngo 1.25\n", "subject.go": subject, "subject_test.go": subjectTest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Skipf("git: %v %s", err, out)
	}
	t.Setenv("GOWORK", "off")
	if _, err := load(t.Context(), options{dir: dir, file: "subject.go,gone.go"}, "."); err == nil || !strings.Contains(err.Error(), "gone.go") {
		t.Errorf("a file that is not there: %v", err)
	}
	p, err := load(t.Context(), options{dir: dir, file: "subject.go", parallel: 2}, ".")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.judge(t.Context(), options{parallel: 2, skip: "^$"}); err != nil {
		t.Fatal(err)
	}
	var alive, dead []string
	for _, m := range p.mutants {
		switch {
		case m.function == "Never" && m.state != unreached:
			t.Errorf("%s: state %d of code that no test runs", m.was, m.state)
		case m.state == survived:
			alive = append(alive, m.kind)
		case m.state == killed:
			dead = append(dead, m.kind)
		}
	}
	testReport(t, p)
	slices.Sort(alive)
	want := []string{"100 is one more", "> is >=", "only the left term"}
	if !slices.Equal(alive, want) {
		t.Errorf("survivors %q, want %q", alive, want)
	}
	for _, kind := range []string{"if true", "if false", "dropped", "result is zero", "> is <=", "only the right term", "&& is ||", "3 is one more"} {
		if !slices.Contains(dead, kind) {
			t.Errorf("%q was not noticed; killed are %q", kind, dead)
		}
	}
}

func testReport(t *testing.T, p *pkg) {
	t.Helper()
	r := newReport(map[string]string{
		"subject.go | Fee | amount > 100 | > is >=": "no one asks",
		"subject.go | Fee | fee | result is zero":   "but someone does",
		"subject.go | Fee | gone | dropped":         "it was deleted",
		"other.go | F | x | dropped":                "not of this run",
	})
	p.rel = ""
	r.add(p)
	want := []string{
		"explained, but a test notices:\n\tsubject.go | Fee | fee | result is zero",
		"explained, but there is no such mutant:\n\tsubject.go | Fee | gone | dropped",
	}
	if got := r.stale(); !slices.Equal(got, want) {
		t.Errorf("stale explanations %q, want %q", got, want)
	}

	page := filepath.Join(t.TempDir(), "page.md")
	const text = "# Runs\n\n| package | file |\n| --- | --- |\n%s\nThe end.\n"
	kept, old := "| `wire` | `lex.go` | 9 | 99 | 0 | then |\n", "| `(root)` | `subject.go` | 1 | 1 | 1 | then |\n"
	if err := os.WriteFile(page, fmt.Appendf(nil, text, kept+old), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.markdown(page, "now"); err != nil {
		t.Fatal(err)
	}
	c := r.files["subject.go"]
	row := fmt.Sprintf("| `(root)` | `subject.go` | %d | %.0f | 1 | now |\n", c.mutants, c.percent())
	if got, _ := os.ReadFile(page); string(got) != fmt.Sprintf(text, row+kept) {
		t.Errorf("the page is\n%s", got)
	}
}
