package crosstest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/journal"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// invoices is a table of the shop's own, which handlers write through the
// claim's transaction.
type invoices struct {
	server
	db   *sql.DB
	name string
}

func (s server) invoices(t *testing.T, db *sql.DB) invoices {
	i := invoices{s, db, s.table(t, db, "invoices")}
	s.exec(t, db, "CREATE TABLE "+i.name+" (order_id VARCHAR(64) NOT NULL, written INTEGER NOT NULL, repaired INTEGER NOT NULL)")
	return i
}

func (i invoices) run(ctx context.Context, query string, order string) error {
	tx, ok := dedupe.TxFromContext(ctx)
	if !ok {
		return errors.New("no transaction in the context")
	}
	_, err := tx.ExecContext(ctx, i.bind(fmt.Sprintf(query, i.name)), order)
	return err
}

func (i invoices) write(ctx context.Context, n *api.Notification) error {
	return i.run(ctx, "INSERT INTO %s (order_id, written, repaired) VALUES (?, 1, 0)", n.OrderID)
}

func (i invoices) repair(ctx context.Context, n *api.Notification) error {
	return i.run(ctx, "UPDATE %s SET repaired = repaired + 1 WHERE order_id = ?", n.OrderID)
}

// once checks that there is one row per order, repaired so often.
func (i invoices) once(t *testing.T, orders, repaired int) {
	t.Helper()
	var rows, distinct, low, high int
	err := i.db.QueryRowContext(t.Context(), "SELECT COUNT(*), COUNT(DISTINCT order_id), MIN(repaired), MAX(repaired) FROM "+i.name).Scan(&rows, &distinct, &low, &high)
	if err != nil {
		t.Fatal(err)
	}
	if rows != orders || distinct != orders || low != repaired || high != repaired {
		t.Errorf("%d rows of %d orders, repaired %d to %d times; want %d, repaired %d times", rows, distinct, low, high, orders, repaired)
	}
}

// replica is a webhook of one of several processes on one database.
func replica(t *testing.T, store dedupe.Store, change func(*middleware.Config)) *middleware.Webhook {
	t.Helper()
	cfg := middleware.Config{
		Keys:    middleware.StaticKeys{merchant: {mustKey(t, signKey)}},
		Store:   store,
		Timeout: 30 * time.Second, // SQLite has one writer
		Logger:  slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	if cfg.Asker == nil {
		cfg.Asker = ottpaytest.Asker{}
	}
	w, err := ottpay.NewWebhook(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestReplay: the deliveries of a day, whose handler was wrong, are handled
// again from the journal: each payment once, in the claim's transaction, though
// deliveries came twice, the repair fails in between, and two replicas run it.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			const orders = 25
			db := server.open(t)
			kept, _ := server.journal(t, server.open(t), journal.SQLConfig{}) // on SQLite, another file
			table := server.invoices(t, db)
			store := server.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, LockTimeout: time.Second})
			w := replica(t, store, func(cfg *middleware.Config) { cfg.Journal = kept })
			h := middleware.Handle(w, table.write)
			for range orders {
				body := callback(t, signKey, newOrder())
				for range 2 {
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", bytes.NewReader(body)))
				}
			}
			table.once(t, orders, 0)

			var calls, failures atomic.Int32
			repair := func(ctx context.Context, n *api.Notification) error {
				if err := table.repair(ctx, n); err != nil {
					return err
				}
				if calls.Add(1)%3 == 0 {
					failures.Add(1)
					return errors.New("the repair fails after its work")
				}
				return nil
			}
			var replicas sync.WaitGroup
			for range 2 {
				w := replica(t, store, func(cfg *middleware.Config) { cfg.Journal = kept })
				replicas.Go(func() {
					for left := 1; left > 0; {
						left = 0
						for entry, err := range kept.All(t.Context(), time.Time{}, time.Time{}) {
							if err != nil {
								t.Error(err)
								return
							}
							if _, err := w.Replay(t.Context(), "repair", entry.Body, repair); err != nil {
								left++
							}
						}
					}
				})
			}
			replicas.Wait()
			table.once(t, orders, 1)
			if failures.Load() == 0 || len(all(t, kept, time.Time{}, time.Time{})) != orders {
				t.Errorf("%d failures, %d entries", failures.Load(), len(all(t, kept, time.Time{}, time.Time{})))
			}
		})
	}
}

// paidAsker says of every order that it is paid.
type paidAsker struct{}

func (paidAsker) Ask(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	amount := field.Cents(1999)
	if d.Amount != 0 {
		amount = d.Amount
	}
	return middleware.Answer{OrderID: d.OrderID, Status: api.StatusSuccess, Amount: &amount}, nil
}

// TestReconcileReplicas: two replicas reconcile the same orders while their
// callbacks come, and each payment is written once.
func TestReconcileReplicas(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, mode := range []dedupe.Mode{dedupe.Transactional, dedupe.Lease} {
			if server.dialect == dedupe.SQLite && mode == dedupe.Lease {
				continue // the handler's writes would wait for each other
			}
			t.Run(fmt.Sprint(server.name, "/", map[dedupe.Mode]string{dedupe.Lease: "lease", dedupe.Transactional: "transactional"}[mode]), func(t *testing.T) {
				t.Parallel()
				const orders = 40
				db := server.open(t)
				table := server.invoices(t, db)
				store := server.store(t, db, dedupe.SQLConfig{Mode: mode, LockTimeout: 100 * time.Millisecond})
				write := table.write
				if mode == dedupe.Lease {
					write = func(ctx context.Context, n *api.Notification) error {
						_, err := db.ExecContext(ctx, server.bind("INSERT INTO "+table.name+" (order_id, written, repaired) VALUES (?, 1, 0)"), n.OrderID)
						return err
					}
				}
				unpaid := make([]middleware.Order, orders)
				for i := range unpaid {
					unpaid[i] = middleware.Order{Merchant: merchant, ID: newOrder()}
				}
				list := func(context.Context) iter.Seq2[middleware.Order, error] {
					return func(yield func(middleware.Order, error) bool) {
						for _, o := range unpaid {
							if !yield(o, nil) {
								return
							}
						}
					}
				}
				var replicas sync.WaitGroup
				for range 2 {
					w := replica(t, store, func(cfg *middleware.Config) { cfg.Asker = paidAsker{} })
					replicas.Go(func() {
						reconciler := &middleware.Reconciler{Webhook: w, Orders: list, Handle: write}
						got, err := reconciler.Round(t.Context())
						if err != nil || got.Handled+got.Duplicate+got.InFlight != orders {
							t.Errorf("%+v, %v", got, err)
						}
					})
					replicas.Go(func() {
						h := middleware.Handle(w, write)
						for i := range unpaid {
							body := callback(t, signKey, unpaid[orders-1-i].ID)
							h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", bytes.NewReader(body)))
						}
					})
				}
				replicas.Wait()
				table.once(t, orders, 0)
			})
		}
	}
}
