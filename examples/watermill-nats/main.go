// Command watermill-nats is a shop that hands its notifications to NATS
// JetStream, from which two workers take them.
//
//	go run ./examples/watermill-nats
//
// It needs a NATS server with JetStream (nats-server -js), by default
// nats://127.0.0.1:4222, else what OTTPAY_TEST_NATS says. It exits with status
// 0 only if every step did what it says.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ottpaykit/ottpay"
	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
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

func natsURL() string { return cmp.Or(os.Getenv("OTTPAY_TEST_NATS"), nats.DefaultURL) }

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, natsURL(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "watermill-nats:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, out io.Writer) (err error) {
	// A topic of this run's own, which it takes with it.
	topic := "payments_" + rand.Text()[:10]
	stream, err := newStream(url, topic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.remove()) }()

	// The store is that of webhook and workers. Several processes share a
	// dedupe.SQL or Redis.
	store := dedupe.NewMemory(dedupe.MemoryConfig{})
	ledger := newLedger(price)
	for range 2 {
		stop, err := stream.work(store, ledger.book)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}

	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	defer gateway.Close()
	client, err := ottpay.New(ottpay.Config{Logger: slog.New(slog.DiscardHandler), MerchantID: merchantID, OperatorID: "0000000001", Keys: keys, BaseURL: gateway.URL})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: keys, Store: store, Asker: client, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /ottpay/callback", ottpaywatermill.Publish(webhook, stream.publisher, topic))
	shop := httptest.NewServer(mux)
	defer shop.Close()

	orders := []string{"ORDER1", "ORDER2", "ORDER3"}
	for _, order := range orders {
		if _, err := client.H5Pay(ctx, &api.H5PayRequest{
			OrderID: order, Amount: price, CurrencyType: "CAD", CallBackURL: shop.URL + "/ottpay/callback",
		}); err != nil {
			return err
		}
		if err := errors.Join(gateway.Pay(order), gateway.Wait(ctx)); err != nil {
			return err
		}
		again, err := gateway.Redeliver(order)
		if err != nil {
			return err
		}
		answers := []int{gateway.Deliveries(order)[0].Status, again.Status}
		fmt.Fprintf(out, "%s: the gateway sent it twice and was answered %v\n", order, answers)
		if !slices.Equal(answers, []int{200, 200}) {
			return errors.New("the broker did not take a notification")
		}
	}
	select {
	case <-ledger.full(len(orders)):
	case <-ctx.Done():
		return ctx.Err()
	}
	n, err := stream.messages()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the stream holds %d messages\n", n)
	for _, order := range orders {
		tries, booked := ledger.of(order)
		fmt.Fprintf(out, "%s: the workers failed %d times and booked it %d times\n", order, tries-booked, booked)
		if booked != 1 {
			return fmt.Errorf("%s is booked %d times", order, booked)
		}
	}
	if n != uint64(len(orders)) {
		return fmt.Errorf("the stream holds %d messages", n)
	}
	return nil
}
