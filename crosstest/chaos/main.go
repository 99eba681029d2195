// Command chaos puts a gateway at its worst under a client, and counts what
// must not happen.
//
// A sandbox gateway on loopback, behind TLS over HTTP/1.1 and HTTP/2, does what
// it is asked and then fails: at the connection, in the handshake, in the
// middle of the request, after the work, in the middle of the answer, with
// answers that prove nothing. Among these are the request come back, in another
// order of its members or under another code, answers to earlier requests, rows
// of other payments, and callbacks; half of the time nothing was done for them.
//
// Each run is one call of one action under one such failure. A part of the runs
// repeats the payment: around the client, under one SendOnce context, while its
// limiter or its keys fail; and with public retry libraries above and below the
// Transport. When the call fails, Client.Resolve is asked for it, every other
// time over a network that fails as well, and its word is compared with the
// gateway's book.
//
//	go run ./crosstest/chaos -n 100000
//
// It ends on
//
//	chaos: runs=… duplicate_effects=0 wrong_verdicts=0 unknown=…
//
// with exit status 0 only if both are 0. A verdict is wrong if the book says
// otherwise: a payment called not sent that took effect, one called a success
// that did not, one resolved as what it was not, or an outcome that may be either
// and is not called unknown.
//
// With -compare it sends payments by the retry libraries alone, with their
// defaults, to show what becomes of them. The libraries are made for requests
// that may be repeated, and can be told not to.
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
			t, err := chaos(ctx, options{runs: *n, workers: *workers, seed: *seed, peer: &lib})
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
	peer          *library // nil: the kit's client
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
			w, err := newWorker(i, rand.New(rand.NewPCG(o.seed, uint64(i))), o.peer)
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
	return fmt.Sprintf("chaos: runs=%d duplicate_effects=%d wrong_verdicts=%d unknown=%d", t.runs, t.duplicates, t.resolvedWrong+t.misjudgedRuns, t.unknown)
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
