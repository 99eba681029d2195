// Command postgres-transaction is a shop on PostgreSQL that books each payment
// exactly once: the claim on a callback commits together with the shop's own
// writes, or neither does. What a shop writes is shop.go, 40 lines; the rest
// of this program is a gateway in the box and what happens to the shop.
//
//	go run ./examples/postgres-transaction
//
// It needs a PostgreSQL at OTTPAY_TEST_POSTGRES, or else on the standard port
// of the loopback interface, where it makes a schema and drops it again.
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
	"sync"
	"time"

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
	order   = "PGORDER1"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	slog.SetLogLoggerLevel(slog.LevelError) // or else each delivery has its line
	if err := run(ctx, postgres.Address(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "postgres-transaction:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dsn string, out io.Writer) (err error) {
	db, drop, err := database(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
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

	client, err := ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchantID, OperatorID: "0000000001", BaseURL: gateway.URL,
		Keys: keys,
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	handler, err := callbacks(db, keys, client)
	if err != nil {
		return err
	}
	merchant := httptest.NewServer(handler)
	defer merchant.Close()
	if _, err := client.ActivePay(ctx, &api.ActivePayRequest{
		OrderID: order, Amount: 1999, BizType: "WECHATPAY", CallBackURL: merchant.URL,
	}); err != nil {
		return err
	}

	if err := gateway.Pay(order); err != nil {
		return err
	}
	if err := gateway.Wait(ctx); err != nil {
		return err
	}
	first := gateway.Deliveries(order)[0]
	fmt.Fprintf(out, "the payer was faster than the shop wrote its order down: %d, send again later\n", first.Status)

	if _, err := db.ExecContext(ctx, `INSERT INTO orders (id, amount, paid) VALUES ($1, 1999, false)`, order); err != nil {
		return err
	}
	var all sync.WaitGroup
	answers := make([]int, 20)
	for i := range answers {
		all.Go(func() {
			if d, err := gateway.Redeliver(order); err == nil {
				answers[i] = d.Status
			}
		})
	}
	all.Wait()
	accepted := 0
	for _, status := range answers {
		if status == 200 {
			accepted++
		}
	}
	var bookings int
	var paid bool
	if err := db.QueryRowContext(ctx, `SELECT paid, (SELECT count(*) FROM bookings) FROM orders WHERE id = $1`, order).Scan(&paid, &bookings); err != nil {
		return err
	}
	fmt.Fprintf(out, "the gateway sent it twenty times at once: bookings %d, paid %t\n", bookings, paid)
	if first.Status != 503 || accepted == 0 || bookings != 1 || !paid {
		return fmt.Errorf("that is not once: first answer %d, %d of twenty accepted, %d bookings", first.Status, accepted, bookings)
	}
	return nil
}

// database returns a pool with the shop's tables and that of the claims, and a
// function that drops them.
func database(ctx context.Context, dsn string) (_ *sql.DB, drop func() error, err error) {
	db, drop, err := postgres.Schema(ctx, dsn, 25, // more than the deliveries at a time: each claim holds one
		`CREATE TABLE orders (id text PRIMARY KEY, amount bigint NOT NULL, paid boolean NOT NULL)`,
		`CREATE TABLE bookings (order_id text NOT NULL, amount bigint NOT NULL)`)
	if err != nil {
		return nil, nil, err
	}
	claims, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL})
	if err == nil {
		err = claims.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return db, drop, nil
}
