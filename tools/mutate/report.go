package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

// report counts by file.
type report struct {
	equivalent map[string]string // a mutant's name: the reason
	seen       map[string]bool   // the names of the mutants
	alive      map[string]bool   // of those that a reason explains
	files      map[string]*count
	survivors  []string
}

type count struct{ mutants, killed, unreached, equivalent int }

func (c count) percent() float64 {
	if c.mutants == c.equivalent {
		return 100
	}
	return 100 * float64(c.killed) / float64(c.mutants-c.equivalent)
}

func newReport(equivalent map[string]string) *report {
	return &report{equivalent: equivalent, seen: map[string]bool{}, alive: map[string]bool{}, files: map[string]*count{}}
}

// name is what a mutant is called in the file of equivalents. It has no line
// number, so that it survives edits elsewhere.
func (m *mutant) name(rel string) string {
	return fmt.Sprintf("%s | %s | %s | %s", path.Join(rel, m.file), m.function, m.was, m.kind)
}

func (r *report) add(p *pkg) {
	for _, m := range p.mutants {
		file := path.Join(p.rel, m.file)
		c := r.files[file]
		if c == nil {
			c = new(count)
			r.files[file] = c
		}
		c.mutants++
		name := m.name(p.rel)
		r.seen[name] = true
		_, equivalent := r.equivalent[name]
		switch {
		case m.state == killed:
			c.killed++
		case equivalent:
			c.equivalent++
			r.alive[name] = true
		case m.state == unreached:
			c.unreached++
			r.survivors = append(r.survivors, fmt.Sprintf("%s:%d: no test runs it\n\t%s", file, m.line, name))
		default:
			r.survivors = append(r.survivors, fmt.Sprintf("%s:%d: no test notices\n\t%s", file, m.line, name))
		}
	}
}

// write prints the table and the survivors, and reports whether every file
// reaches the minimum.
func (r *report) write(out io.Writer, o options) (bool, error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "file\tmutants\tkilled\tequivalent\tnot run\tpercent\t")
	total, ok := count{}, true
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		c := r.files[name]
		total.mutants += c.mutants
		total.killed += c.killed
		total.unreached += c.unreached
		total.equivalent += c.equivalent
		note := ""
		if c.percent() < o.min {
			note, ok = "below", false
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.0f\t%s\n", name, c.mutants, c.killed, c.equivalent, c.unreached, c.percent(), note)
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t%d\t%.0f\t\n", total.mutants, total.killed, total.equivalent, total.unreached, total.percent())
	if err := w.Flush(); err != nil {
		return false, err
	}
	survivors := out
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return false, err
		}
		defer f.Close()
		survivors = f
	}
	for _, s := range r.survivors {
		fmt.Fprintln(survivors, s)
	}
	for _, s := range r.stale() {
		fmt.Fprintln(survivors, s)
	}
	return ok, nil
}

// stale lists the explanations that explain nothing any more.
func (r *report) stale() (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(r.equivalent)) {
		file, _, _ := strings.Cut(name, " | ")
		switch {
		case r.files[file] == nil || r.alive[name]:
		case r.seen[name]:
			lines = append(lines, "explained, but a test notices:\n\t"+name)
		default:
			lines = append(lines, "explained, but there is no such mutant:\n\t"+name)
		}
	}
	return lines
}

// markdown puts a row for each file into a table of a page, in place of the row
// that was there. run says when and of what commit.
func (r *report) markdown(page, run string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	rows := map[string]string{}
	for name, c := range r.files {
		dir, file := path.Split(name)
		dir = cmp.Or(strings.TrimSuffix(dir, "/"), "(root)")
		key := fmt.Sprintf("| `%s` | `%s` |", dir, file)
		rows[key] = fmt.Sprintf("%s %d | %.0f | %d | %s |\n", key, c.mutants, c.percent(), c.equivalent, run)
	}
	var before, after strings.Builder
	place := &before
	for line := range strings.Lines(string(text)) {
		cells := strings.SplitAfterN(line, "|", 4)
		if !strings.HasPrefix(line, "| `") || len(cells) < 4 {
			place.WriteString(line)
			if strings.HasPrefix(line, "| ---") {
				place = &after
			}
			continue
		}
		if key := strings.Join(cells[:3], ""); rows[key] == "" {
			rows[key] = line
		}
	}
	if place != &after {
		return fmt.Errorf("%s has no table", page)
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		before.WriteString(rows[key])
	}
	return os.WriteFile(page, []byte(before.String()+after.String()), 0o600)
}

// readEquivalents reads the mutants that cannot change the behaviour: a name
// and, on the next line and indented, the reason.
func readEquivalents(file string) (map[string]string, error) {
	known := map[string]string{}
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	name := ""
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		switch reason, indented := strings.CutPrefix(line, "\t"); {
		case line == "" || strings.HasPrefix(line, "#"):
		case indented && name == "":
			return nil, fmt.Errorf("%s:%d: a reason without a mutant", file, n)
		case indented:
			known[name] += reason + " "
		default:
			name = line
			known[name] = ""
		}
	}
	for name, reason := range known {
		if strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s: no reason for %s", file, name)
		}
	}
	return known, lines.Err()
}
