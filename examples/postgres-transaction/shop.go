package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// callbacks is the endpoint for OTT Pay's callbacks.
func callbacks(db *sql.DB, keys middleware.Keys, asker middleware.Asker) (http.Handler, error) {
	store, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: dedupe.Transactional})
	if err != nil {
		return nil, err
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: keys, Store: store, Asker: asker})
	if err != nil {
		return nil, err
	}
	return middleware.Handle(webhook, paid), nil
}

// paid books a payment, in the transaction that keeps the claim.
func paid(ctx context.Context, n *api.Notification) error {
	tx, _ := dedupe.TxFromContext(ctx)
	d, _ := middleware.FromContext(ctx)
	var amount field.Cents
	if err := tx.QueryRowContext(ctx, `UPDATE orders SET paid = true WHERE id = $1 RETURNING amount`, n.OrderID).Scan(&amount); err != nil {
		return err // no such order yet: it comes again
	}
	if !d.Matches(amount) {
		return errors.New("not the amount of the order")
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO bookings (order_id, amount) VALUES ($1, $2)`, n.OrderID, n.Amount)
	return err
}
