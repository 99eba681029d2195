package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433" // OTT Pay's published example; yours comes from the environment
)

// Receiving: the endpoint that callbacks are posted to.
func Example_receive() {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchantID: {key}},
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}), // one process; dedupe.NewSQL for production
		Asker:  ottpaytest.Asker{},                      // the client, in a program
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/ottpay/callback", middleware.Handle(webhook, func(ctx context.Context, n *api.Notification) error {
		d, _ := middleware.FromContext(ctx)
		if !d.Matches(1999) { // what the shop knows of n.OrderID, in cents
			return errors.New("not the amount of the order")
		}
		fmt.Println("paid:", n.OrderID, n.Amount.Decimal())
		return nil // the gateway is told SUCCESS; an error: it sends again
	}))

	// The gateway calls, and calls again.
	for range 2 {
		rw := httptest.NewRecorder()
		r := ottpaytest.NewNotification(ottpaytest.Notification{
			MerchantID: merchantID, SignKey: signKey, OrderID: "A1001", Amount: 1999,
			URL: "https://shop.example/ottpay/callback",
		})
		mux.ServeHTTP(rw, r)
		fmt.Println(rw.Code, rw.Body)
	}
	// Output:
	// paid: A1001 19.99
	// 200 SUCCESS
	// 200 SUCCESS
}

// Paying: a WeChat mini-program, against the gateway in the box.
func Example_pay() {
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	defer gateway.Close()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID,
		OperatorID: "0000000001",
		Keys:       middleware.StaticKeys{merchantID: {key}},
		BaseURL:    gateway.URL, // leave it out to reach OTT Pay
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pay := func(amount field.Cents) {
		resp, err := client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{
			OrderID: "A1001", Amount: amount, AppID: "wx0000000000000001", OpenID: "o0000000000000000000000000001",
			CallBackURL: "https://shop.example/ottpay/callback",
		})
		switch {
		case errors.Is(err, ottpay.ErrUnknownOutcome):
			fmt.Println("unknown outcome: client.Resolve(ctx, err), never pay again")
		case errors.Is(err, ottpay.ErrDuplicate):
			fmt.Println("this order id is taken: query it")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println("order", resp.OrderID, "awaits its payer")
		}
	}
	pay(1999)
	pay(1999)
	// Output:
	// order A1001 awaits its payer
	// this order id is taken: query it
}
