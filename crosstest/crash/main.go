// Command crash is the proof that a merchant process, and its database, can be
// killed at any moment without losing a payment or handling one twice.
//
// It plays the gateway: it seals N notifications and delivers each of them, up
// to twenty times at once and as often as it takes, to two merchant processes
// behind the kit's webhook, which share a database. Meanwhile it kills them with
// SIGKILL at random moments and starts them anew, one kill in six is that of the
// database, and three in ten of the handlers' runs fail. At the end it looks into
// the database, where each run of a handler that counted has left a row, and
// prints a line per mode:
//
//	crash: mode=sql-tx db=postgres notifications=10000 kills=60 dbkills=12 lost=0 doubled=0
//
// A notification is lost if it was acknowledged without its row (or, with a
// journal, without its entry), or was never acknowledged. It is doubled if it has
// more than one row. The exit status is 0 if every mode kept its promise. The
// transactional ones (sql-tx, tx-journal) lose and double none. lease and redis
// lose none, and double one only where its process was killed between its
// handler's work and the confirmation, or where the database was killed while it
// was open: unexplained is the number of the others.
//
// The servers are private ones, which the command starts on free ports with files
// of their own: PostgreSQL and MariaDB with their defaults, MariaDB once more
// with an fsync that takes 10 ms (db=mariadb-slow, which needs a C compiler), and
// Redis with appendfsync always. SQLite has no server: its database kill ends
// both merchants at once and removes the shared memory of the WAL. A mode whose
// server is not installed is skipped, but with CI=true it is a promise that was
// not kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ottpaykit/ottpay/crosstest/private"
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

// kills is how many merchants are killed in a mode.
func (r run) kills() int { return 10 + r.n/200 }

// dbKills is how often a database is.
func (r run) dbKills() int { return r.kills() / 5 }

// patience is how long a mode may take before what is open counts as lost.
func (r run) patience() time.Duration {
	return 3*time.Minute + time.Duration(r.n)*50*time.Millisecond + time.Duration(r.dbKills())*10*time.Second
}

// all runs the modes one after the other and reports whether each kept its
// promise. The table goes to out when all are done, what happens meanwhile to
// progress.
func (r run) all(ctx context.Context, modes []mode, out, progress io.Writer) bool {
	kept := true
	table := make([]string, 0, len(modes))
	for _, m := range modes {
		line := fmt.Sprintf("crash: mode=%s db=%s", m.name, m.database.name)
		verdict, err := r.mode(ctx, m)
		switch {
		case errors.Is(err, private.ErrAbsent) && os.Getenv("CI") != "true":
			table = append(table, fmt.Sprintf("%s skipped: %v", line, err))
		case err != nil:
			fmt.Fprintf(progress, "%s failed: %v\n", line, err)
			table = append(table, fmt.Sprintf("%s notifications=%d failed", line, r.n))
			kept = false
		default:
			fmt.Fprintf(progress, "%s %s\n", line, verdict.detail())
			table = append(table, line+verdict.line(m, r))
			kept = kept && verdict.kept(m, r)
		}
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
	kills, dbKills int
	took           time.Duration

	deliveries int64 // of all notifications together
	replays    int64 // of these, after the acknowledgement

	early   int // acknowledged before the row could be seen
	noRow   int // acknowledged, without a row at the end
	noEntry int // acknowledged, without an entry in the journal, or with two
	open    int // never acknowledged
	doubled int // more than one row
	// unexplained are doubled ones whose first row is not of a process that was
	// killed, and that were not open when a database was.
	unexplained int
}

func (v verdict) lost() int { return v.early + v.noRow + v.noEntry + v.open }

func (v verdict) line(m mode, r run) string {
	line := fmt.Sprintf(" notifications=%d kills=%d dbkills=%d lost=%d doubled=%d", r.n, v.kills, v.dbKills, v.lost(), v.doubled)
	if !exact(m.name) {
		line += fmt.Sprintf(" unexplained=%d", v.unexplained)
	}
	return line
}

// kept reports whether the mode's promise was kept.
func (v verdict) kept(m mode, r run) bool {
	switch {
	case v.lost() > 0, v.kills < r.kills(), v.dbKills < r.dbKills():
		return false
	case exact(m.name):
		return v.doubled == 0
	}
	return v.unexplained == 0
}

func (v verdict) detail() string {
	return fmt.Sprintf("took=%s deliveries=%d replays=%d early=%d no-row=%d no-entry=%d unacknowledged=%d doubled=%d unexplained=%d",
		v.took.Round(time.Millisecond), v.deliveries, v.replays, v.early, v.noRow, v.noEntry, v.open, v.doubled, v.unexplained)
}
