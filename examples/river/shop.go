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
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// ship is the job that a payment is for.
type ship struct {
	OrderID string `json:"order_id"`
}

// Kind names the job in River's table.
func (ship) Kind() string { return "ship" }

// callbacks is the endpoint for OTT Pay's callbacks. The job is inserted in the
// transaction of the claim: both are kept, or neither.
func callbacks(db *sql.DB, keys middleware.Keys, jobs *river.Client[*sql.Tx], check func(orderID string) error) (http.Handler, error) {
	store, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: dedupe.Transactional})
	if err != nil {
		return nil, err
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: keys, Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return middleware.Handle(webhook, func(ctx context.Context, n *api.Notification) error {
		tx, ok := dedupe.TxFromContext(ctx)
		if !ok {
			return errors.New("the store is not transactional")
		}
		if _, err := jobs.InsertTx(ctx, tx, ship{OrderID: n.OrderID}, nil); err != nil {
			return err
		}
		return check(n.OrderID) // whatever else the shop does
	}), nil
}
