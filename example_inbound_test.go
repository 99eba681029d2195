package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// kept is a journal in memory; journal.NewSQL is one that survives a restart.
type kept struct{ bodies [][]byte }

func (k *kept) Append(_ context.Context, _ string, body []byte, _ dedupe.ID) error {
	k.bodies = append(k.bodies, body)
	return nil
}

// A handler's mistake is corrected, and the deliveries of a day are handled again.
func Example_replay() {
	ctx := context.Background()
	journal := new(kept)
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys(), Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: ottpaytest.Asker{}, Journal: journal, Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := middleware.Handle(webhook, func(context.Context, *api.Notification) error { return nil }) // forgets the invoice
	for _, id := range []string{"A1001", "A1002", "A1002"} {
		handler.ServeHTTP(httptest.NewRecorder(), ottpaytest.NewNotification(ottpaytest.Notification{
			MerchantID: merchantID, SignKey: signKey, OrderID: id,
		}))
	}

	repair := func(ctx context.Context, n *api.Notification) error {
		if d, _ := middleware.FromContext(ctx); !d.Matches(100) { // what the shop knows of n.OrderID
			return errors.New("not the amount of the order")
		}
		fmt.Println("invoice for", n.OrderID)
		return nil
	}
	for _, body := range journal.bodies { // of a journal.SQL: All(ctx, from, to)
		result, err := webhook.Replay(ctx, "2026-08 invoices", body, repair)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result)
	}
	// Tried again, the run handles what it has not handled.
	result, err := webhook.Replay(ctx, "2026-08 invoices", journal.bodies[0], repair)
	fmt.Println(result, err)
	// Output:
	// invoice for A1001
	// handled
	// invoice for A1002
	// handled
	// duplicate <nil>
}

// One order that the shop wants to know about now.
func Example_settle() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys(), Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Logger: logger,
		Asker:      client,
		AskLimiter: rate.NewLimiter(5, 10), // queries per second at most
		AskWindow:  -1,                     // the example asks twice in a row
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.H5Pay(ctx, &api.H5PayRequest{
		OrderID: "A1001", Amount: 1999, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay",
	}); err != nil {
		log.Fatal(err)
	}
	handle := func(ctx context.Context, n *api.Notification) error {
		if d, _ := middleware.FromContext(ctx); !d.Matches(1999) {
			return errors.New("not the amount of the order")
		}
		fmt.Println("paid:", n.OrderID, n.Amount.Decimal())
		return nil
	}
	ask := func() {
		result, err := webhook.Settle(ctx, middleware.Order{Merchant: merchantID, ID: "A1001", Amount: 1999}, handle)
		var refusal *middleware.Refusal
		if errors.As(err, &refusal) {
			fmt.Println(result, refusal.Reason)
			return
		}
		fmt.Println(result, err)
	}
	ask()
	if err := gateway.Merchant(merchantID).Pay("A1001", ottpaytest.Payment{Silent: true}); err != nil {
		log.Fatal(err)
	}
	ask()
	ask()
	// Output:
	// deferred not-paid-yet
	// paid: A1001 19.99
	// handled <nil>
	// duplicate <nil>
}

// Holding back strangers, behind a proxy of the shop's.
func Example_strangers() {
	limiter, err := limit.New(limit.Config{
		Rate: 1, Burst: 3, // failures per second and source
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Header:         "X-Forwarded-For",
	})
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys(), Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Logger: logger,
		Asker:         ottpaytest.Asker{}, // the client, in a program
		SourceLimiter: limiter,
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := middleware.Handle(webhook, func(context.Context, *api.Notification) error { return nil })
	post := func(from string, how ottpaytest.CallbackFault) {
		r := ottpaytest.NewNotification(ottpaytest.Notification{MerchantID: merchantID, SignKey: signKey, Fault: how})
		r.RemoteAddr = "10.0.0.1:443"
		r.Header.Set("X-Forwarded-For", from)
		rw := httptest.NewRecorder()
		handler.ServeHTTP(rw, r)
		fmt.Println(from, rw.Code, http.StatusText(rw.Code))
	}
	for range 4 {
		post("203.0.113.7", ottpaytest.CallbackBlocks)
	}
	post("198.51.100.1", "") // the gateway
	// Output:
	// 203.0.113.7 401 Unauthorized
	// 203.0.113.7 401 Unauthorized
	// 203.0.113.7 401 Unauthorized
	// 203.0.113.7 429 Too Many Requests
	// 198.51.100.1 200 OK
}
