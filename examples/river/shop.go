package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"

	"github.com/riverqueue/river"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// ship is the job that a payment is for.
type ship struct {
	OrderID string `json:"order_id"`
}

// Kind names the job in River's table.
func (ship) Kind() string { return "ship" }

// shop is what its handler needs.
type shop struct {
	jobs *river.Client[*sql.Tx]
	more func(orderID string) error // whatever else the shop does
}

// callbacks is the endpoint for OTT Pay's callbacks.
func callbacks(db *sql.DB, keys middleware.Keys, asker middleware.Asker, jobs *river.Client[*sql.Tx], more func(orderID string) error) (http.Handler, error) {
	store, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: dedupe.Transactional})
	if err != nil {
		return nil, err
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: keys, Store: store, Asker: asker, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return middleware.Handle(webhook, (&shop{jobs, more}).paid), nil
}

// paid inserts the job in the transaction of the claim: both are kept, or
// neither.
func (s *shop) paid(ctx context.Context, n *api.Notification) error {
	tx, ok := dedupe.TxFromContext(ctx)
	if !ok {
		return errors.New("the store is not transactional")
	}
	var amount field.Cents
	if err := tx.QueryRowContext(ctx, `SELECT amount FROM orders WHERE id = $1`, n.OrderID).Scan(&amount); err != nil {
		return err // no such order yet: it comes again
	}
	if d, ok := middleware.FromContext(ctx); !ok || !d.Matches(amount) {
		return errors.New("not the amount of the order, or not paid")
	}
	if _, err := s.jobs.InsertTx(ctx, tx, ship{OrderID: n.OrderID}, nil); err != nil {
		return err
	}
	return s.more(n.OrderID)
}
