package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pkg is a package with its mutants.
type pkg struct {
	pattern  string
	dir      string // absolute
	tests    string // the directory of the tests
	rel      string // relative to the repository
	name     string
	fset     *token.FileSet
	info     *types.Info
	constant map[*ast.BasicLit]bool
	mutants  []*mutant

	work string // scratch
	bin  string // the instrumented tests
}

// load reads, type-checks and instruments a package, and compiles its tests.
func load(ctx context.Context, o options, pattern string) (*pkg, error) {
	list := exec.CommandContext(ctx, "go", "list", "-json=Dir,Name,GoFiles,ImportPath", pattern)
	list.Dir = o.dir
	text, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	var listed struct {
		Dir, Name, ImportPath string
		GoFiles               []string
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, fmt.Errorf("%s is not one package: %w", pattern, err)
	}
	p := &pkg{pattern: pattern, dir: listed.Dir, name: listed.Name, fset: token.NewFileSet()}
	p.tests = p.dir
	if o.by != "" {
		p.tests = filepath.Join(o.dir, o.by)
	}
	if p.rel, err = filepath.Rel(o.dir, p.dir); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(o.file, ",") {
		if name != "" && !slices.Contains(listed.GoFiles, name) {
			return nil, fmt.Errorf("%s has no file %s", pattern, name)
		}
	}
	var files []*ast.File
	sources := map[string][]byte{}
	for _, name := range listed.GoFiles {
		f, src, err := parse(p.fset, filepath.Join(p.dir, name))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		sources[name] = src
	}
	p.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	exports, err := exported(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	conf := types.Config{Importer: importer.ForCompiler(p.fset, "gc", exports)}
	if _, err := conf.Check(listed.ImportPath, p.fset, files, p.info); err != nil {
		return nil, err
	}
	p.constant = constants(p.info, files)

	if p.work, err = os.MkdirTemp("", "mutate"); err != nil {
		return nil, err
	}
	overlay := map[string]string{}
	for i, name := range listed.GoFiles {
		if strings.HasSuffix(name, ".gen.go") || o.file != "" && !slices.Contains(strings.Split(o.file, ","), name) {
			continue
		}
		src, err := p.mutate(name, files[i], sources[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if overlay[filepath.Join(p.dir, name)], err = writeFile(p.work, name, src); err != nil {
			return nil, err
		}
	}
	if overlay[filepath.Join(p.dir, "zz_mutant.go")], err = writeFile(p.work, "zz_mutant.go", fmt.Appendf(nil, runtimeFile, p.name)); err != nil {
		return nil, err
	}
	return p, p.compile(ctx, overlay)
}

// exported opens the compiler's export data of the package's imports.
func exported(ctx context.Context, dir string) (importer.Lookup, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", ".")
	cmd.Dir = dir
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -export: %w", err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(text)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }, nil
}

func (p *pkg) compile(ctx context.Context, overlay map[string]string) error {
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return err
	}
	file, err := writeFile(p.work, "overlay.json", text)
	if err != nil {
		return err
	}
	p.bin = filepath.Join(p.work, "tests")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", file, "-o", p.bin, ".")
	cmd.Dir = p.tests
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the mutants of %s do not compile: %w\n%s", p.pattern, err, out)
	}
	return nil
}

// test is a top-level test and what it reaches.
type test struct {
	name    string
	took    time.Duration
	reached map[int]bool
}

// judge runs the mutants.
func (p *pkg) judge(ctx context.Context, o options) error {
	defer os.RemoveAll(p.work)
	tests, err := p.record(ctx, o)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	queue := make(chan *mutant)
	for range max(1, o.parallel) {
		wg.Go(func() {
			for m := range queue {
				p.try(ctx, m, tests)
			}
		})
	}
	for _, m := range p.mutants {
		if ctx.Err() != nil {
			break
		}
		queue <- m
	}
	close(queue)
	wg.Wait()
	return ctx.Err()
}

// record runs each test alone on the unchanged code.
func (p *pkg) record(ctx context.Context, o options) ([]test, error) {
	list, err := p.command(ctx, "-test.list", cmp.Or(o.only, ".")).Output()
	if err != nil {
		return nil, err
	}
	skip, err := regexp.Compile(o.skip)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var tests []test
	var failed error
	names := make(chan string)
	var wg sync.WaitGroup
	for range max(1, o.parallel) {
		wg.Go(func() {
			for name := range names {
				t, err := p.recordOne(ctx, name)
				mu.Lock()
				if err != nil {
					failed = cmp.Or(failed, err)
				} else {
					tests = append(tests, t)
				}
				mu.Unlock()
			}
		})
	}
	for name := range strings.Lines(string(list)) {
		name = strings.TrimSpace(name)
		if !strings.HasPrefix(name, "Benchmark") && !skip.MatchString(name) {
			names <- name
		}
	}
	close(names)
	wg.Wait()
	if failed != nil {
		return nil, failed
	}
	slices.SortFunc(tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	return tests, nil
}

func (p *pkg) recordOne(ctx context.Context, name string) (test, error) {
	t := test{name: name, reached: map[int]bool{}}
	log := filepath.Join(p.work, "reached-"+name)
	cmd := p.command(ctx, "-test.run", "^"+name+"$", "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), "MUTANT=0", "MUTANT_LOG="+log)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return t, fmt.Errorf("%s fails on the unchanged code: %w\n%s", name, err, out)
	}
	t.took = time.Since(start)
	f, err := os.Open(log)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			return t, err
		}
		t.reached[id] = true
	}
	return t, lines.Err()
}

func (p *pkg) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Dir = p.tests
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs the tests that reach a mutant, the quick ones first, until one
// fails. A test that does not end has noticed, too.
func (p *pkg) try(ctx context.Context, m *mutant, tests []test) {
	for _, batch := range batches(m, tests) {
		m.state = survived
		var names []string
		var took time.Duration
		for _, t := range batch {
			names = append(names, t.name)
			took += t.took
		}
		limit := 4*took + 10*time.Second
		bounded, cancel := context.WithTimeout(ctx, limit+5*time.Second)
		cmd := p.command(bounded, "-test.run", "^("+strings.Join(names, "|")+")$", "-test.failfast", "-test.timeout", limit.String())
		cmd.Env = append(os.Environ(), "MUTANT="+strconv.Itoa(m.id), "GOMEMLIMIT=1GiB")
		out, err := cmd.CombinedOutput()
		cancel()
		if ctx.Err() != nil {
			m.state = unreached
			return
		}
		if err != nil {
			m.state, m.by = killed, firstFailure(out)
			return
		}
	}
}

// batches are the tests that reach the mutant: first the quick half second.
func batches(m *mutant, tests []test) [][]test {
	var quick, slow []test
	var sum time.Duration
	for _, t := range tests {
		switch {
		case !t.reached[m.id]:
		case sum < 500*time.Millisecond:
			quick = append(quick, t)
			sum += t.took
		default:
			slow = append(slow, t)
		}
	}
	var all [][]test
	for _, b := range [][]test{quick, slow} {
		if len(b) > 0 {
			all = append(all, b)
		}
	}
	return all
}

func firstFailure(out []byte) string {
	if i := bytes.Index(out, []byte("--- FAIL: ")); i >= 0 {
		name, _, _ := bytes.Cut(out[i+len("--- FAIL: "):], []byte(" "))
		return string(name)
	}
	return "panic or time-out"
}
