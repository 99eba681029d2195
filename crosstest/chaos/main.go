// Command chaos puts a gateway at its worst under a client, and counts what
// must not happen.
//
// A sandbox gateway on loopback, behind TLS over HTTP/1.1 and HTTP/2, does what
// it is asked and then fails: at the connection, in the handshake, in the
// middle of the request, after the work, in the middle of the answer, with
// answers that prove nothing. Each run is one call of one action under one such
// failure. When the call's outcome is unknown, Client.Resolve is asked for it,
// every other time over a network that fails as well, and its word is compared
// with the gateway's book.
//
//	go run ./crosstest/chaos -n 100000
//
// It ends on
//
//	chaos: runs=… duplicate_effects=0 unknown=… resolved_wrong=0
//
// with exit status 0 only if both are 0 and no run was misjudged: an outcome
// that may be either has to be called unknown, and only such a one.
//
// With -compare it does the same to a payment that is sent by public retry
// libraries with their defaults, to show what becomes of it. They are made for
// requests that may be repeated, and can be told not to.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"time"
)

func main() {
	n := flag.Int("n", 2000, "how many runs")
	workers := flag.Int("workers", 2*runtime.GOMAXPROCS(0), "how many at once")
	seed := flag.Uint64("seed", 1, "of the sequence of failures")
	compare := flag.Bool("compare", false, "show what retry libraries do, too")
	verbose := flag.Bool("v", false, "count by failure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	if *compare {
		for _, lib := range libraries() {
			t, err := chaos(ctx, options{runs: *n, workers: *workers, seed: *seed, sender: lib.sender})
			if err != nil {
				fmt.Fprintln(os.Stderr, "chaos:", err)
				os.Exit(1)
			}
			fmt.Printf("%s: runs=%d duplicate_effects=%d of %d effects\n", lib.name, t.runs, t.duplicates, t.effects)
		}
	}
	start := time.Now()
	t, err := chaos(ctx, options{runs: *n, workers: *workers, seed: *seed})
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	if *verbose {
		t.table(os.Stdout)
	}
	for _, m := range t.misjudged {
		fmt.Println("misjudged:", m)
	}
	fmt.Printf("chaos: %v, effects=%d not_sent=%d resolved=%d misjudged=%d\n", time.Since(start).Round(time.Millisecond), t.effects, t.notSent, t.resolved, t.misjudgedRuns)
	fmt.Println(t)
	if !t.good() {
		os.Exit(1)
	}
}

// options are what a chaos is made of.
type options struct {
	runs, workers int
	seed          uint64
	sender        newSender // nil: the kit's client
}

// chaos makes the runs and counts.
func chaos(ctx context.Context, o options) (*tally, error) {
	if o.runs < 1 || o.workers < 1 {
		return nil, fmt.Errorf("%d runs by %d workers", o.runs, o.workers)
	}
	total := newTally()
	errs := make([]error, o.workers)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range o.workers {
		share := o.runs / o.workers
		if i < o.runs%o.workers {
			share++
		}
		wg.Go(func() {
			w, err := newWorker(i, rand.New(rand.NewPCG(o.seed, uint64(i))), o.sender)
			if err != nil {
				errs[i] = err
				return
			}
			defer w.close()
			for range share {
				if ctx.Err() != nil {
					break
				}
				w.run(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(w.tally)
		})
	}
	wg.Wait()
	for _, err := range append(errs, ctx.Err()) {
		if err != nil {
			return nil, err
		}
	}
	return total, nil
}

// tally counts runs.
type tally struct {
	runs, effects, duplicates, unknown, notSent, resolved, resolvedWrong int

	misjudgedRuns int
	misjudged     []string // the first few
	byPoint       map[point]int
}

func newTally() *tally { return &tally{byPoint: make(map[point]int)} }

func (t *tally) misjudge(format string, args ...any) {
	t.misjudgedRuns++
	if len(t.misjudged) < 10 {
		t.misjudged = append(t.misjudged, fmt.Sprintf(format, args...))
	}
}

func (t *tally) add(o *tally) {
	t.runs += o.runs
	t.effects += o.effects
	t.duplicates += o.duplicates
	t.unknown += o.unknown
	t.notSent += o.notSent
	t.resolved += o.resolved
	t.resolvedWrong += o.resolvedWrong
	t.misjudgedRuns += o.misjudgedRuns
	t.misjudged = append(t.misjudged, o.misjudged...)
	for p, n := range o.byPoint {
		t.byPoint[p] += n
	}
}

func (t *tally) good() bool { return t.duplicates == 0 && t.resolvedWrong == 0 && t.misjudgedRuns == 0 }

// String is the last line.
func (t *tally) String() string {
	return fmt.Sprintf("chaos: runs=%d duplicate_effects=%d unknown=%d resolved_wrong=%d", t.runs, t.duplicates, t.unknown, t.resolvedWrong)
}

func (t *tally) table(w io.Writer) {
	points := make([]point, 0, len(t.byPoint))
	for p := range t.byPoint {
		points = append(points, p)
	}
	slices.Sort(points)
	for _, p := range points {
		fmt.Fprintf(w, "%-20s %d\n", p, t.byPoint[p])
	}
}
