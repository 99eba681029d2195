// Command mutate asks whether the tests notice when the code is wrong. It
// changes one thing at a time in a package, runs the package's tests, and lists
// the changes that no test noticed.
//
//	go run ./tools/mutate ./envelope ./wire
//	go run ./tools/mutate -file refund.go,retry.go .
//	go run ./tools/mutate -by ./crosstest -only 'SQL|Journal' ./internal/sqldb
//
// All mutants of a package are compiled into one test binary and switched on by
// an environment variable, so that a mutant costs a run of the tests that reach
// it and no compilation. The tests are those of the package, or of another one
// with -by. Generated files are left out. A mutant that cannot
// change the behaviour is named in the file of equivalents with the reason.
//
// The exit status is 1 if a file is below -min percent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

type options struct {
	dir         string // of the repository
	file        string // only these files, with commas between; "": all
	min         float64
	equivalents string
	out         string
	parallel    int
	skip        string
	only        string
	markdown    string
	by          string // the package of the tests; "": that of the mutated one
	packages    []string
}

func main() {
	var o options
	flag.StringVar(&o.file, "file", "", "only the mutants of these files, with commas between")
	flag.Float64Var(&o.min, "min", 0, "fail if a file has fewer killed mutants, in percent")
	flag.StringVar(&o.equivalents, "equivalents", "tools/mutate/equivalents.txt", "the mutants that cannot change the behaviour, with reasons")
	flag.StringVar(&o.out, "out", "", "write the survivors to this file instead of printing them")
	flag.IntVar(&o.parallel, "p", runtime.NumCPU(), "how many mutants run at a time")
	flag.StringVar(&o.skip, "skip", "Allocations?$|^TestExample", "tests to leave out: instrumented code allocates")
	flag.StringVar(&o.only, "only", ".", "tests to take")
	flag.StringVar(&o.by, "by", "", "take the tests of this package instead of the mutated one's")
	flag.StringVar(&o.markdown, "markdown", "", "put a row for each file into the table of this page")
	flag.Parse()
	o.packages = flag.Args()
	if len(o.packages) == 0 {
		fmt.Fprintln(os.Stderr, "usage: mutate [flags] PACKAGE...")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (bool, error) {
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return false, errors.New("not inside the repository")
	}
	o.dir = strings.TrimSpace(string(top))
	known, err := readEquivalents(filepath.Join(o.dir, o.equivalents))
	if err != nil {
		return false, err
	}
	r := newReport(known)
	for _, pattern := range o.packages {
		start := time.Now()
		p, err := load(ctx, o, pattern)
		if err != nil {
			return false, err
		}
		if err := p.judge(ctx, o); err != nil {
			return false, fmt.Errorf("%s: %w", pattern, err)
		}
		r.add(p)
		fmt.Fprintf(os.Stderr, "mutate: %s: %d mutants in %.0f s\n", pattern, len(p.mutants), time.Since(start).Seconds())
	}
	if o.markdown != "" {
		commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output()
		if err != nil {
			return false, fmt.Errorf("git describe: %w", err)
		}
		run := fmt.Sprintf("%s, `%s`", time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)))
		if err := r.markdown(o.markdown, run); err != nil {
			return false, err
		}
	}
	return r.write(os.Stdout, o)
}
