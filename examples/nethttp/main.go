// Command nethttp is a shop on net/http alone: ServeMux with patterns, and a
// stop that loses nothing.
//
//	go run ./examples/nethttp
//
// It exits with status 0 only if every step did what it says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	// The sign key of the vendor's published example. A real one comes from
	// the environment or a vault, never from the source.
	signKey = "6698851A525C9433"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "nethttp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	defer gateway.Close()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	client, err := ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchantID, OperatorID: "0000000001", Keys: keys, BaseURL: gateway.URL,
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	// The handler of order SLOW is at work until it is told to go on.
	atWork, goOn := make(chan struct{}), make(chan struct{})
	shop, err := newShop(client, keys, func(orderID string) {
		if orderID == "SLOW" {
			close(atWork)
			<-goOn
		}
	})
	if err != nil {
		return err
	}
	defer shop.server.Close()

	fmt.Fprintln(out, "1. An order, from end to end")
	for _, order := range []string{"QUICK", "SLOW"} {
		status, _, err := ask(ctx, http.MethodPost, shop.url+"/orders/"+order)
		if err := is(err, "POST /orders/"+order, status, http.StatusSeeOther); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "   POST /orders/QUICK: 303, to the page where the payer pays")
	if err := gateway.Pay("QUICK"); err != nil {
		return err
	}
	if err := gateway.Wait(ctx); err != nil {
		return err
	}
	_, body, err := ask(ctx, http.MethodGet, shop.url+"/orders/QUICK")
	if err := is(err, "GET /orders/QUICK", body, "paid"); err != nil {
		return err
	}
	fmt.Fprintln(out, "   he paid, POST /ottpay/callback was handled, GET /orders/QUICK: paid")
	status, _, err := ask(ctx, http.MethodGet, shop.url+"/ottpay/callback")
	if err := is(err, "GET /ottpay/callback", status, http.StatusMethodNotAllowed); err != nil {
		return err
	}
	fmt.Fprintln(out, "   GET /ottpay/callback: 405, by the pattern")

	fmt.Fprintln(out, "\n2. A stop while a handler is at work")
	if err := gateway.Pay("SLOW"); err != nil {
		return err
	}
	select {
	case <-atWork:
	case <-ctx.Done():
		return ctx.Err()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- shop.stop(ctx) }()
	if err := drains(ctx, out, shop, gateway); err != nil {
		close(goOn)
		return errors.Join(err, <-stopped)
	}
	select {
	case err := <-stopped:
		return fmt.Errorf("the shop did not wait for its handler: %v", err)
	default:
	}
	close(goOn)
	if err := <-stopped; err != nil {
		return err
	}
	if err := gateway.Wait(ctx); err != nil {
		return err
	}
	deliveries := gateway.Deliveries("SLOW")
	if err := is(nil, "deliveries of SLOW", len(deliveries), 1); err != nil {
		return err
	}
	if err := is(nil, "answer to SLOW", deliveries[0].Status, http.StatusOK); err != nil {
		return err
	}
	if err := is(nil, "bookings of SLOW", shop.orders["SLOW"].paid, 1); err != nil {
		return err
	}
	fmt.Fprintln(out, "   the handler of SLOW finished, its delivery was acknowledged, and the server closed")
	if _, _, err := ask(ctx, http.MethodGet, shop.url+"/readyz"); err == nil {
		return errors.New("the shop still answers")
	}
	fmt.Fprintln(out, "\nAll of it happened.")
	return nil
}

// drains looks at a shop that is being stopped and has a handler at work.
func drains(ctx context.Context, out io.Writer, shop *shop, gateway *ottpaytest.Gateway) error {
	if err := await(ctx, shop.stopping.Load); err != nil {
		return err
	}
	status, _, err := ask(ctx, http.MethodGet, shop.url+"/readyz")
	if err := is(err, "GET /readyz", status, http.StatusServiceUnavailable); err != nil {
		return err
	}
	fmt.Fprintln(out, "   GET /readyz: 503, so that the balancer sends no more requests here")
	// Between the flag and the webhook's own lies no more than a function call.
	var delivery ottpaytest.Delivery
	for delivery.Status != http.StatusServiceUnavailable {
		if delivery, err = gateway.Redeliver("QUICK"); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "   a delivery that comes now: 503, it will come again")
	return nil
}

func await(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ask sends a request and does not follow a redirect.
func ask(ctx context.Context, method, url string) (status int, body string, _ error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return resp.StatusCode, string(b), err
}

// is returns an error unless what was asked for came without one and is so.
func is[T comparable](err error, what string, got, want T) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if got != want {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}
