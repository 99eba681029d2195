// Command otel is a shop whose payments and callbacks are traced and counted,
// here on the console.
//
//	go run ./examples/otel
//
// It exits with status 0 only if every span and every metric was there.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay"
	ottpayotel "github.com/ottpaykit/ottpay/adapters/otel"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	// The sign key of the vendor's published example. A real one comes from
	// the environment or a vault, never from the source.
	signKey = "6698851A525C9433"
	price   = 1999
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "otel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	console, err := newConsole(out)
	if err != nil {
		return err
	}
	observer, err := ottpayotel.New(ottpayotel.Config{TracerProvider: console.tracer, MeterProvider: console.meter})
	if err != nil {
		return err
	}
	if err := pay(ctx, observer); err != nil {
		return err
	}
	if err := console.flush(ctx); err != nil {
		return err
	}
	for _, want := range []string{
		"POST /ottpay/callback", "POST MAPPPAY", "POST STATUS_QUERY", "POST REFUND",
		"ottpay.deliveries", "ottpay.refusals", "ottpay.handler.duration", "ottpay.delivery.lag", "ottpay.dedupe.hits",
		"ottpay.dedupe.claims", "ottpay.calls", "ottpay.calls.unknown", "ottpay.limiter.wait",
	} {
		if !console.said[want] {
			return fmt.Errorf("%s was not reported", want)
		}
	}
	return nil
}

// pay is a payment, its callback twice, a forged one, a query, and a refund of
// an unknown outcome.
func pay(ctx context.Context, observer *ottpayotel.Observer) error {
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	defer gateway.Close()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	limiter := rate.NewLimiter(20, 1)
	client, err := ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchantID, OperatorID: "0000000001", Keys: keys, BaseURL: gateway.URL,
		Observer: observer, Limiter: func(string, api.Kind) middleware.Limiter { return limiter },
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys, Observer: observer,
		Store:  observer.Store(dedupe.NewMemory(dedupe.MemoryConfig{})),
		Asker:  client,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /ottpay/callback", middleware.Handle(webhook, paid))
	shop := httptest.NewServer(mux)
	defer shop.Close()

	const order = "ORDER1"
	if _, err := client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{
		OrderID: order, Amount: price, AppID: "wx0000000000000001", OpenID: "payer", CallBackURL: shop.URL + "/ottpay/callback",
	}); err != nil {
		return err
	}
	if err := errors.Join(gateway.Pay(order), gateway.Wait(ctx)); err != nil {
		return err
	}
	if _, err := gateway.Redeliver(order); err != nil {
		return err
	}
	forged, err := http.Post(shop.URL+"/ottpay/callback", "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	forged.Body.Close()
	if _, err := client.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: order}); err != nil {
		return err
	}
	outage := ottpaytest.Fault{Kind: ottpaytest.FaultHTML, Action: api.ActionREFUND, Status: http.StatusBadGateway}
	if _, err := gateway.Arm(outage); err != nil {
		return err
	}
	_, err = client.Refund(ctx, &api.RefundRequest{OriOrderID: order, RefundAmt: 500})
	if !errors.Is(err, ottpay.ErrUnknownOutcome) {
		return fmt.Errorf("the refund: %v", err)
	}
	return nil
}

// paid is the webhook's handler: a real one looks the price up and books.
func paid(ctx context.Context, _ *api.Notification) error {
	if d, ok := middleware.FromContext(ctx); !ok || !d.Matches(price) {
		return errors.New("not the amount of the order, or not paid")
	}
	return nil
}
