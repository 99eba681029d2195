// Command crash is the proof that a merchant process can be killed at any
// moment without losing a payment or handling one twice.
//
// It plays the gateway: it seals N notifications and delivers each of them, up
// to twenty times at once and as often as it takes, to two merchant processes
// behind the kit's webhook, which share a database. Meanwhile it kills them with
// SIGKILL at random moments and starts them anew, and three in ten of their
// handlers' runs fail. At the end it looks into the database, where each run of
// a handler that counted has left a row, and prints a line per mode:
//
//	crash: mode=sql-tx db=postgres notifications=10000 kills=60 lost=0 doubled=0
//
// A notification is lost if it was acknowledged without its row, or was never
// acknowledged. It is doubled if it has more than one row. The exit status is 0
// if every mode kept its promise: sql-tx loses and doubles none; lease and
// redis lose none, and double one only where a process was killed between its
// handler's work and the confirmation.
//
// The servers are expected on their standard ports of the loopback interface,
// or where OTTPAY_TEST_POSTGRES, OTTPAY_TEST_MARIADB and OTTPAY_TEST_REDIS say.
// A server that does not answer is a promise that was not kept. Tables and keys
// are the command's own, and dropped at the end.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if cfg, ok := merchantConfig(); ok {
		exit(serveMerchant(cfg))
	}
	var run run
	var only string
	flag.IntVar(&run.n, "n", 10_000, "number of notifications per mode")
	flag.Uint64Var(&run.seed, "seed", uint64(time.Now().UnixNano()), "seed of the choices: who is killed when, which handlers fail")
	flag.StringVar(&only, "only", "", "modes to run, such as sql-tx/postgres,redis/postgres; empty: all")
	flag.StringVar(&run.fault, "break", "", "a fault to put in, to see that it is found: "+strings.Join(faults, ", "))
	flag.Parse()

	modes, err := choose(only)
	if err == nil && run.n < 1 {
		err = fmt.Errorf("-n %d: at least one", run.n)
	}
	if err == nil && run.fault != "" && !known(run.fault) {
		err = fmt.Errorf("-break %s: unknown", run.fault)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Fprintf(os.Stderr, "crash: seed %d\n", run.seed)
	if !run.all(ctx, modes, os.Stdout, os.Stderr) {
		stop()
		os.Exit(1)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash: merchant:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run is what is the same for every mode.
type run struct {
	n     int
	seed  uint64
	fault string
}

// kills is how many processes are killed in a mode.
func (r run) kills() int { return 10 + r.n/200 }

// patience is how long a mode may take before what is open counts as lost.
func (r run) patience() time.Duration { return time.Minute + time.Duration(r.n)*25*time.Millisecond }

// all runs the modes one after the other and reports whether each kept its
// promise. The table goes to out when all are done, what happens meanwhile to
// progress.
func (r run) all(ctx context.Context, modes []mode, out, progress io.Writer) bool {
	kept := true
	table := make([]string, 0, len(modes))
	for _, m := range modes {
		verdict, err := r.mode(ctx, m)
		if err != nil {
			fmt.Fprintf(progress, "crash: mode=%s db=%s failed: %v\n", m.name, m.server.name, err)
			table = append(table, fmt.Sprintf("crash: mode=%s db=%s notifications=%d failed", m.name, m.server.name, r.n))
			kept = false
			continue
		}
		fmt.Fprintf(progress, "crash: mode=%s db=%s %s\n", m.name, m.server.name, verdict.detail())
		table = append(table, fmt.Sprintf("crash: mode=%s db=%s notifications=%d kills=%d lost=%d doubled=%d",
			m.name, m.server.name, r.n, verdict.kills, verdict.lost(), verdict.doubled))
		kept = kept && verdict.kept(m, r)
	}
	for _, line := range table {
		fmt.Fprintln(out, line)
	}
	return kept
}

// mode runs one mode.
func (r run) mode(ctx context.Context, m mode) (v verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	place, err := m.open(ctx)
	if err != nil {
		return v, err
	}
	defer func() {
		if e := place.drop(); err == nil {
			err = e
		}
	}()
	g, err := newGateway(ctx, r, place)
	if err != nil {
		return v, err
	}
	start := time.Now()
	if err := g.deliver(ctx); err != nil {
		return v, err
	}
	v, err = g.judge(context.WithoutCancel(ctx))
	v.took = time.Since(start)
	return v, err
}

// verdict is what was found in the database at the end of a mode.
type verdict struct {
	kills int
	took  time.Duration

	deliveries int64 // of all notifications together
	replays    int64 // of these, after the acknowledgement

	early   int // acknowledged before the row could be seen
	noRow   int // acknowledged, without a row at the end
	open    int // never acknowledged
	doubled int // more than one row
	// unexplained are doubled ones whose first row is not of a process that
	// was killed.
	unexplained int
}

func (v verdict) lost() int { return v.early + v.noRow + v.open }

// kept reports whether the mode's promise was kept.
func (v verdict) kept(m mode, r run) bool {
	switch {
	case v.lost() > 0, v.kills < r.kills():
		return false
	case m.name == sqlTx:
		return v.doubled == 0
	}
	return v.unexplained == 0
}

func (v verdict) detail() string {
	return fmt.Sprintf("took=%s deliveries=%d replays=%d early=%d no-row=%d unacknowledged=%d doubled=%d unexplained=%d",
		v.took.Round(time.Millisecond), v.deliveries, v.replays, v.early, v.noRow, v.open, v.doubled, v.unexplained)
}
