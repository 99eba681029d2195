package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"net/http/httptest"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Receiving: what the shop expects, and the gateway's word before the callback's.
func Example_receiveAsked() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()
	orders := map[string]field.Cents{"A1001": 1999, "A1002": 500} // the shop's database

	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:  keys(),
		Store: dedupe.NewMemory(dedupe.MemoryConfig{}),
		Expect: func(_ context.Context, orderID string) (field.Cents, error) {
			amount, ok := orders[orderID]
			if !ok {
				return 0, errors.New("no such order") // it may be written a moment later
			}
			return amount, nil
		},
		Asker: client,
		OnRefused: func(_ context.Context, r *middleware.Refusal) {
			if r.Authentic() {
				fmt.Println("left:", r.OrderID, r.Reason)
			}
		},
		OnConflict: func(_ context.Context, d *middleware.Delivery) {
			fmt.Println("paid twice?", d.OrderID)
		},
		Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	shop := httptest.NewServer(middleware.Handle(webhook, func(ctx context.Context, n *api.Notification) error {
		if d, _ := middleware.FromContext(ctx); !d.Paid() {
			return nil // held, refunded or failed: nothing to ship
		}
		fmt.Println("paid:", n.OrderID, n.Amount.Decimal())
		return nil
	}))
	defer shop.Close()

	// One order is paid.
	for id, amount := range orders {
		if _, err := client.H5Pay(ctx, &api.H5PayRequest{OrderID: id, Amount: amount, CurrencyType: "CAD", CallBackURL: shop.URL}); err != nil {
			log.Fatal(err)
		}
	}
	if err := errors.Join(gateway.Pay("A1001"), gateway.Wait(ctx)); err != nil {
		log.Fatal(err)
	}
	// A holder of the sign key says that the other one is, too.
	shop.Config.Handler.ServeHTTP(httptest.NewRecorder(), ottpaytest.NewNotification(ottpaytest.Notification{
		MerchantID: merchantID, SignKey: signKey, OrderID: "A1002", Amount: 500,
	}))
	// The first one comes again with an amount that the gateway does not
	// confirm: a duplicate with a warning in the log, and no alarm.
	if _, err := gateway.Tamper("A1001", ottpaytest.CallbackAmount); err != nil {
		log.Fatal(err)
	}
	// Output:
	// paid: A1001 19.99
	// left: A1002 not-paid-yet
}

// Testing a handler without a gateway.
func Example_receiveTest() {
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys(), Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: ottpaytest.Asker{}, Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := middleware.Handle(webhook, func(ctx context.Context, n *api.Notification) error {
		if d, _ := middleware.FromContext(ctx); !d.Matches(1999) {
			return errors.New("not the amount of the order")
		}
		fmt.Println("paid:", n.OrderID)
		return nil
	})

	for _, n := range []ottpaytest.Notification{
		{OrderID: "A1001", Amount: 1},                                       // the handler fails: send again
		{OrderID: "A1001", Amount: 1999, Fault: ottpaytest.CallbackBlocks},  // the digest does not fit
		{OrderID: "A1001", Amount: 1999, Fault: ottpaytest.CallbackRequest}, // opens, and is no callback
		{OrderID: "A1001", Amount: 1999},
		{OrderID: "A1001", Amount: 1999}, // handled before
	} {
		n.MerchantID, n.SignKey = merchantID, signKey
		rw := httptest.NewRecorder()
		handler.ServeHTTP(rw, ottpaytest.NewNotification(n))
		fmt.Println(rw.Code)
	}
	// Output:
	// 503
	// 401
	// 400
	// paid: A1001
	// 200
	// 200
}

// A callback that never came: the orders that stay unpaid are asked about.
func Example_reconcile() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys(), Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: client, Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	handle := func(ctx context.Context, n *api.Notification) error {
		d, _ := middleware.FromContext(ctx)
		if !d.Matches(1999) {
			return errors.New("not the amount of the order")
		}
		fmt.Println("paid:", n.OrderID, "known by", d.Source)
		return nil
	}
	shop := httptest.NewServer(middleware.Handle(webhook, handle))
	defer shop.Close()
	for _, id := range []string{"A1001", "A1002"} {
		if _, err := client.H5Pay(ctx, &api.H5PayRequest{OrderID: id, Amount: 1999, CurrencyType: "CAD", CallBackURL: shop.URL}); err != nil {
			log.Fatal(err)
		}
	}
	if err := gateway.Merchant(merchantID).Pay("A1001", ottpaytest.Payment{Silent: true}); err != nil {
		log.Fatal(err)
	}
	unpaid := func(_ context.Context) iter.Seq2[middleware.Order, error] { // the shop's database
		return func(yield func(middleware.Order, error) bool) {
			_ = yield(middleware.Order{Merchant: merchantID, ID: "A1001", Amount: 1999}, nil) &&
				yield(middleware.Order{Merchant: merchantID, ID: "A1002", Amount: 1999}, nil)
		}
	}

	reconciler := &middleware.Reconciler{
		Webhook: webhook, // with an Asker
		Orders:  unpaid,
		Handle:  handle, // the webhook's
		Unpaid: func(_ context.Context, o middleware.Order, status api.OrderStatus) {
			fmt.Println("not paid:", o.ID, status, "final:", status.Final())
		},
	}
	round, err := reconciler.Round(ctx) // or reconciler.Run(ctx) on a goroutine of its own
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(round.Orders, "asked,", round.Handled, "handled")
	// Output:
	// paid: A1001 known by query
	// not paid: A1002 init final: false
	// 2 asked, 1 handled
}
