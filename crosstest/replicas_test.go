package crosstest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// node is one of the shop's servers, with a pool of its own.
type node struct {
	*httptest.Server
	db   *sql.DB
	runs atomic.Int32
}

// replicaSet is three of them behind a round-robin, on one database.
type replicaSet struct {
	t        *testing.T
	work     string // table
	sessions string // the application_name of their connections
	nodes    []*node
	runs     atomic.Int64
	kills    [5]atomic.Int64
}

// The ways in which a handler's run ends when its row is written and not
// committed.
const (
	killOwnSession   = iota // and passes over the error
	killOtherSession        // of whichever replica
	killConnections         // the gateway's to this replica
	failAfterwards
	panicAfterwards
	endings = 9 // the others are good
)

// TestReplicasTransactional: three replicas behind a round-robin on one
// PostgreSQL in transactional mode. Each notification is delivered several times
// at a time and half of the runs are killed at the worst moment. Each payment is
// booked exactly once.
func TestReplicasTransactional(t *testing.T) {
	t.Parallel()
	const orders, copies = 40, 4
	admin := postgres.open(t)
	set := &replicaSet{t: t, work: postgres.table(t, admin, "booked"), sessions: "replicas" + rand.Text()[:12]}
	postgres.exec(t, admin, "CREATE TABLE "+set.work+" (order_id VARCHAR(64) NOT NULL)") // nothing in it is unique
	table := postgres.table(t, admin, "claims")
	postgres.store(t, admin, dedupe.SQLConfig{Table: table})
	for range 3 {
		set.add(table)
	}
	front := set.balance()

	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchant, SignKey: signKey, Couriers: 8, Redelivery: patience(),
	})
	defer gateway.Close()
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchant, OperatorID: "0000000001", BaseURL: gateway.URL,
		Keys: middleware.StaticKeys{merchant: {mustKey(t, signKey)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range orders {
		order := fmt.Sprintf("ORDER%02d", i)
		if _, err := client.H5Pay(t.Context(), &api.H5PayRequest{
			OrderID: order, Amount: 100, CurrencyType: "CAD", CallBackURL: front.URL + "/ottpay",
		}); err != nil {
			t.Fatal(err)
		}
		if err := gateway.Pay(order); err != nil {
			t.Fatal(err)
		}
		for range copies - 1 {
			wg.Go(func() {
				if _, err := gateway.Redeliver(order); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if err := gateway.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}

	for i := range orders {
		order := fmt.Sprintf("ORDER%02d", i)
		var booked int
		if err := admin.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+set.work+" WHERE order_id = $1", order).Scan(&booked); err != nil {
			t.Fatal(err)
		}
		if booked != 1 {
			t.Errorf("%s was booked %d times", order, booked)
		}
		if last, err := gateway.Redeliver(order); err != nil || !last.Acknowledged() {
			t.Errorf("%s comes again: %d %s, %v", order, last.Status, last.Body, err)
		}
	}
	for ending := range set.kills {
		if set.kills[ending].Load() == 0 {
			t.Errorf("no run ended in way %d", ending)
		}
	}
	for i, r := range set.nodes {
		if r.runs.Load() == 0 {
			t.Errorf("replica %d had no work", i)
		}
	}
	if set.runs.Load() <= orders {
		t.Errorf("%d runs for %d orders: nothing was killed", set.runs.Load(), orders)
	}
}

// patience is that of a gateway which does not give up before the test does.
func patience() []time.Duration {
	pauses := make([]time.Duration, 200)
	for i := range pauses {
		pauses[i] = 20 * time.Millisecond
	}
	return pauses
}

func (s *replicaSet) add(table string) {
	db := postgres.openWith(s.t, "application_name="+s.sessions)
	w, err := ottpay.NewWebhook(middleware.Config{
		Keys: middleware.StaticKeys{merchant: {mustKey(s.t, signKey)}},
		Store: newSQL(s.t, db, dedupe.SQLConfig{
			Dialect: dedupe.PostgreSQL, Table: table, Mode: dedupe.Transactional, LockTimeout: 50 * time.Millisecond,
		}),
		Asker:  ottpaytest.Asker{},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r := &node{db: db}
	r.Server = serve(s.t, middleware.Handle(w, func(ctx context.Context, n *api.Notification) error {
		r.runs.Add(1)
		return s.book(ctx, r, n.OrderID)
	}))
	s.nodes = append(s.nodes, r)
}

// book is the handler: one row for a payment, in the claim's transaction.
func (s *replicaSet) book(ctx context.Context, r *node, order string) error {
	tx, ok := dedupe.TxFromContext(ctx)
	if !ok {
		return errors.New("no transaction in the context")
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO "+s.work+" (order_id) VALUES ($1)", order); err != nil {
		return err
	}
	ending := int(s.runs.Add(1)) % endings
	if ending < len(s.kills) {
		s.kills[ending].Add(1)
	}
	switch ending {
	case killOwnSession:
		tx.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
	case killOtherSession:
		_, err := r.db.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = $1 AND state = 'idle in transaction' LIMIT 1`, s.sessions)
		return err
	case killConnections:
		r.CloseClientConnections()
	case failAfterwards:
		return errors.New("failed after the work")
	case panicAfterwards:
		panic(http.ErrAbortHandler)
	}
	return nil
}

// balance returns the server in front of the replicas, which hands each request
// to the next one.
func (s *replicaSet) balance() *httptest.Server {
	var next atomic.Uint64
	base := &http.Transport{}
	s.t.Cleanup(base.CloseIdleConnections)
	return serve(s.t, &httputil.ReverseProxy{
		Transport: base,
		Rewrite: func(r *httputil.ProxyRequest) {
			to, err := url.Parse(s.nodes[next.Add(1)%uint64(len(s.nodes))].URL)
			if err != nil {
				s.t.Error(err)
			}
			r.SetURL(to)
		},
		ErrorLog: log.New(io.Discard, "", 0),
	})
}
