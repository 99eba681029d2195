// Command river is a shop on PostgreSQL whose callbacks put a job into River's
// queue, in the same transaction as the claim.
//
//	go run ./examples/river
//
// It needs a PostgreSQL at OTTPAY_TEST_POSTGRES, or else on the standard port
// of the loopback interface, where it makes a schema and drops it again. It
// exits with status 0 only if every step did what it says.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/examples/internal/postgres"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	// The sign key of the vendor's published example. A real one comes from
	// the environment or a vault, never from the source.
	signKey = "6698851A525C9433"
	order   = "RIVERORDER1"
	price   = 1999
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, postgres.Address(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "river:", err)
		os.Exit(1)
	}
}

// worker works the jobs.
type worker struct {
	river.WorkerDefaults[ship]
	shipped chan string
}

func (w *worker) Work(_ context.Context, job *river.Job[ship]) error {
	w.shipped <- job.Args.OrderID
	return nil
}

func run(ctx context.Context, dsn string, out io.Writer) (err error) {
	db, drop, err := database(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	w := &worker{shipped: make(chan string, 100)}
	jobs, err := newJobs(db, w)
	if err != nil {
		return err
	}
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey,
		Redelivery: []time.Duration{}, // this program redelivers
	})
	defer gateway.Close()
	client, err := ottpay.New(ottpay.Config{Logger: slog.New(slog.DiscardHandler), MerchantID: merchantID, OperatorID: "0000000001", BaseURL: gateway.URL, Keys: keys})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	var fail atomic.Bool
	handler, err := callbacks(db, keys, client, jobs, func(string) error {
		if fail.Load() {
			return errors.New("the shop's other work failed")
		}
		return nil
	})
	if err != nil {
		return err
	}
	shop := httptest.NewServer(handler)
	defer shop.Close()
	if _, err := db.ExecContext(ctx, `INSERT INTO orders (id, amount) VALUES ($1, $2)`, order, price); err != nil {
		return err
	}
	if _, err := client.ActivePay(ctx, &api.ActivePayRequest{
		OrderID: order, Amount: price, BizType: "WECHATPAY", CallBackURL: shop.URL,
	}); err != nil {
		return err
	}

	fail.Store(true)
	if err := errors.Join(gateway.Pay(order), gateway.Wait(ctx)); err != nil {
		return err
	}
	if err := says(ctx, out, db, "the handler fails after it inserted the job", gateway.Deliveries(order)[0].Status, 503, 0); err != nil {
		return err
	}
	fail.Store(false)
	d, err := gateway.Tamper(order, ottpaytest.CallbackAmount)
	if err != nil {
		return err
	}
	if err := says(ctx, out, db, "one of another amount is not handled", d.Status, 503, 0); err != nil {
		return err
	}
	for _, what := range []string{"it comes again and is handled", "and again"} {
		d, err := gateway.Redeliver(order)
		if err != nil {
			return err
		}
		if err := says(ctx, out, db, what, d.Status, 200, 1); err != nil {
			return err
		}
	}

	if err := jobs.Start(ctx); err != nil {
		return err
	}
	select {
	case id := <-w.shipped:
		fmt.Fprintf(out, "the worker shipped %s\n", id)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := jobs.Stop(ctx); err != nil {
		return err
	}
	if n := len(w.shipped); n > 0 {
		return fmt.Errorf("shipped %d times more", n)
	}
	return nil
}

// says compares the answer and the number of jobs with what they should be.
func says(ctx context.Context, out io.Writer, db *sql.DB, what string, status, wantStatus, wantJobs int) error {
	var jobs int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM river_job`).Scan(&jobs); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d, %d jobs\n", what, status, jobs)
	if status != wantStatus || jobs != wantJobs {
		return fmt.Errorf("want %d and %d jobs", wantStatus, wantJobs)
	}
	return nil
}

func newJobs(db *sql.DB, w *worker) (*river.Client[*sql.Tx], error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, w); err != nil {
		return nil, err
	}
	return river.NewClient(riverdatabasesql.New(db), &river.Config{
		Workers:  workers,
		Queues:   map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}},
		Logger:   slog.New(slog.DiscardHandler),
		PollOnly: true,
	})
}

// database returns a pool with the shop's table, River's and that of the claims,
// and a function that drops them.
func database(ctx context.Context, dsn string) (_ *sql.DB, drop func() error, err error) {
	db, drop, err := postgres.Schema(ctx, dsn, 10, `CREATE TABLE orders (id text PRIMARY KEY, amount bigint NOT NULL)`)
	if err != nil {
		return nil, nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return db, drop, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	m, err := rivermigrate.New(riverdatabasesql.New(db), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	store, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL})
	if err != nil {
		return err
	}
	return store.Migrate(ctx)
}
