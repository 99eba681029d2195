package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	handlerTimeout = 20 * time.Second // of a delivery, stop or no stop
	pingTimeout    = time.Second      // a store that is slower is none
	stopTimeout    = 30 * time.Second // of a stop as a whole; less than what the orchestrator gives
)

// errGivenUp says that a handler was at work for longer than the grace.
var errGivenUp = errors.New("the process stops: given up")

// config is what newShop makes a shop of.
type config struct {
	db         *sql.DB
	merchantID string
	keys       middleware.Keys
	gatewayURL string

	// payments holds back what is sent to the gateway; ready looks at it.
	payments *rate.Limiter

	// noticed waits until the balancer has seen that the shop is not ready any
	// more: in production for its interval, times the answers that it wants.
	noticed func(ctx context.Context)

	// grace is how long the handlers at work may take once the shop stops.
	grace time.Duration

	// elsewhere is what the handler does in another system.
	elsewhere func(ctx context.Context, orderID string) error
}

// shop is a merchant's server on PostgreSQL.
type shop struct {
	config
	url      string
	listener net.Listener
	server   *http.Server
	store    *dedupe.SQL
	client   *ottpay.Client
	webhook  *middleware.Webhook
	stopping atomic.Bool
	giveUp   context.CancelFunc // ends the contexts of the handlers at work
}

// newShop returns a shop that listens on a loopback port. It must be run.
func newShop(cfg config) (*shop, error) {
	s := &shop{config: cfg}
	// Payments have a limiter of the shop's own, since it wants to know how
	// much room there is; queries have the kit's.
	limits, err := ottpay.NewLimits(ottpay.LimitsConfig{Queries: ottpay.Quota{PerSecond: 50, Burst: 50}})
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.DiscardHandler)
	s.client, err = ottpay.New(ottpay.Config{
		MerchantID: cfg.merchantID, OperatorID: "0000000001", Keys: cfg.keys, BaseURL: cfg.gatewayURL,
		Limiter: func(merchantID string, kind api.Kind) middleware.Limiter {
			if kind == api.KindQuery {
				return limits.Limiter(merchantID, kind)
			}
			return cfg.payments
		},
		Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	s.store, err = dedupe.NewSQL(cfg.db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: dedupe.Transactional})
	if err != nil {
		return nil, err
	}
	s.webhook, err = ottpay.NewWebhook(middleware.Config{
		Keys: cfg.keys, Store: s.store, Asker: s.client, Timeout: handlerTimeout, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.url = "http://" + s.listener.Addr().String()

	lastCall, giveUp := context.WithCancel(context.Background())
	s.giveUp = giveUp
	mux := http.NewServeMux()
	mux.Handle("POST /ottpay/callback", middleware.Handle(s.webhook, until(lastCall, s.paid)))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "alive") })
	mux.HandleFunc("GET /readyz", s.readyz)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return s, nil
}

// run serves until ctx ends, as signal.NotifyContext's does at a SIGTERM, and
// then stops.
func (s *shop) run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.server.Serve(s.listener) }() // until stop
	select {
	case err := <-failed:
		s.giveUp()
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return s.stop(ctx)
}

// stop ends the shop in an order that loses nothing. The webhook comes before
// the server, whose own Shutdown would take newcomers no more and leave them
// without an answer.
func (s *shop) stop(ctx context.Context) error {
	defer s.client.CloseIdleConnections()
	defer s.giveUp()

	// 1. No new requests are to be sent here. Those that come are still served.
	s.stopping.Store(true)
	s.noticed(ctx)

	// 2. Newcomers are told to come again, and those at work end.
	grace, cancel := context.WithTimeout(ctx, s.grace)
	defer cancel()
	err := s.webhook.Shutdown(grace)

	// 3. Who has not ended in time is given up: his context ends, and the
	// webhook gives back his claim, for which it is waited.
	if err != nil {
		s.giveUp()
		err = errors.Join(errGivenUp, s.webhook.Shutdown(ctx))
	}

	// 4. The answers are out. What ignores its context is cut off here; its
	// transaction ends with the process.
	if closing := s.server.Shutdown(ctx); closing != nil {
		err = errors.Join(err, closing, s.server.Close())
	}
	return err
}

// until returns fn with a context that ends with end, too. A webhook's handler
// has one of its own, which neither the caller's leaving nor a Shutdown ends.
func until[T any](end context.Context, fn func(context.Context, *T) error) func(context.Context, *T) error {
	return func(ctx context.Context, v *T) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		detach := context.AfterFunc(end, func() { cancel(errGivenUp) })
		defer detach()
		return fn(ctx, v)
	}
}

// readyz is asked by the balancer. /healthz is another question: a shop that
// is stopping, or whose database is away, is not cured by a restart.
func (s *shop) readyz(rw http.ResponseWriter, r *http.Request) {
	if why := s.unready(r.Context()); why != "" {
		http.Error(rw, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(rw, "ready")
}

// unready returns why no requests should be sent here, or "".
func (s *shop) unready(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	switch {
	case s.stopping.Load():
		return "stopping"
	case s.payments.Tokens() < 1: // a payment would wait
		return "limiter"
	case s.store.Ping(ctx) != nil:
		return "store"
	}
	return ""
}

// open makes an order whose callback goes to callbackURL.
func (s *shop) open(ctx context.Context, orderID, callbackURL string) error {
	const price field.Cents = 1999
	if _, err := s.db.ExecContext(ctx, `INSERT INTO orders (id, amount) VALUES ($1, $2)`, orderID, int64(price)); err != nil {
		return err
	}
	_, err := s.client.H5Pay(ctx, &api.H5PayRequest{
		OrderID: orderID, Amount: price, CurrencyType: "CAD", CallBackURL: callbackURL,
	})
	return err
}

// paid books a payment, in the transaction that keeps the claim.
func (s *shop) paid(ctx context.Context, n *api.Notification) error {
	tx, inTx := dedupe.TxFromContext(ctx)
	d, delivered := middleware.FromContext(ctx)
	if !inTx || !delivered {
		return errors.New("not behind the webhook")
	}
	var amount field.Cents
	if err := tx.QueryRowContext(ctx, `UPDATE orders SET bookings = bookings + 1 WHERE id = $1 RETURNING amount`, n.OrderID).Scan(&amount); err != nil {
		return err
	}
	if !d.Matches(amount) {
		return errors.New("not the amount of the order")
	}
	return s.elsewhere(ctx, n.OrderID)
}
