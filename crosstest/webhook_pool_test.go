package crosstest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// slowGateway is an Asker that confirms after a while.
type slowGateway time.Duration

func (g slowGateway) Ask(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	select {
	case <-time.After(time.Duration(g)):
	case <-ctx.Done():
		return middleware.Answer{}, ctx.Err()
	}
	amount := d.Amount
	return middleware.Answer{OrderID: d.OrderID, Status: api.StatusSuccess, Amount: &amount}, nil
}

// TestPoolIsNotHeld: 40 callbacks at once on a pool of 10, with a transactional
// store and an Expect that reads through the pool, are acknowledged, and a slow
// gateway holds no connection.
func TestPoolIsNotHeld(t *testing.T) {
	t.Parallel()
	for _, server := range []server{postgres, mariadb} {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			for _, gateway := range []time.Duration{0, 3 * time.Second} {
				t.Run(fmt.Sprint("gateway takes ", gateway), func(t *testing.T) {
					t.Parallel()
					testPool(t, server, gateway)
				})
			}
		})
	}
}

func testPool(t *testing.T, s server, gateway time.Duration) {
	const callbacks = 40
	db := s.openDSN(t, s.address(t))
	if err := ping(db); err != nil {
		absent(t, s.name, s.env, err)
	}
	db.SetMaxOpenConns(10)
	store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
	work := s.invoices(t, db)
	w, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchant: {mustKey(t, signKey)}},
		Store:  store,
		Asker:  slowGateway(gateway),
		Logger: slog.New(slog.DiscardHandler),
		Expect: func(ctx context.Context, _ string) (amount field.Cents, err error) {
			var n int64
			err = db.QueryRowContext(ctx, "SELECT 1999").Scan(&n)
			return field.Cents(n), err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := middleware.Handle(w, work.write)
	start := time.Now()
	var all sync.WaitGroup
	for i := range callbacks {
		body := callback(t, signKey, newOrder())
		all.Go(func() {
			rw := httptest.NewRecorder()
			h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
			if rw.Code != http.StatusOK {
				t.Errorf("callback %d: %d", i, rw.Code)
			}
		})
	}
	if gateway > 0 {
		time.Sleep(gateway / 3) // all of them wait for the gateway now
		ctx, cancel := context.WithTimeout(t.Context(), gateway/3)
		defer cancel()
		for range 10 {
			if _, err := db.ExecContext(ctx, "SELECT 1"); err != nil {
				t.Fatalf("an ordinary query waits for the gateway: %v", err)
			}
		}
	}
	all.Wait()
	if took := time.Since(start) - gateway; took > 5*time.Second {
		t.Errorf("%d callbacks took %s", callbacks, took)
	}
	t.Logf("%s: %d callbacks in %s", s.name, callbacks, time.Since(start))
}
