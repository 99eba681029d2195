// Command echo is a shop on a echo router that has a stack of its own, paid at a
// sandbox gateway.
//
//	go run ./examples/echo
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
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
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
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey,
		Redelivery: []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
	})
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
	shop := newShop()
	routes, err := shop.routes(keys)
	if err != nil {
		return err
	}
	server := httptest.NewServer(routes)
	defer server.Close()

	for _, test := range []struct {
		what, order string
		want        []int // what the gateway was answered
	}{
		{"a payment", "ORDER1", []int{200}},
		{"the shop's stock is away once", "FLAKY1", []int{503, 200}},
		{"the shop has a bug once", "PANIC1", []int{503, 200}},
		{"the payer pays less than the order", "CHEAP1", []int{503, 503, 503, 503}},
	} {
		shop.expects(test.order, 1999)
		amount := 1999
		if test.order == "CHEAP1" {
			amount = 1
		}
		_, err := client.H5Pay(ctx, &api.H5PayRequest{
			OrderID: test.order, Amount: field.Cents(amount), CurrencyType: "CAD",
			CallBackURL: server.URL + "/pay/" + merchantID + "/callback",
		})
		if err != nil {
			return err
		}
		if err := gateway.Pay(test.order); err != nil {
			return err
		}
		if err := gateway.Wait(ctx); err != nil {
			return err
		}
		var got []int
		for _, d := range gateway.Deliveries(test.order) {
			got = append(got, d.Status)
		}
		if !slices.Equal(got, test.want) {
			return fmt.Errorf("%s: the gateway was answered %v, want %v", test.what, got, test.want)
		}
		fmt.Fprintf(out, "%s: the gateway was answered %v, booked %d\n", test.what, got, shop.booked(test.order))
	}
	for order, want := range map[string]int{"ORDER1": 1, "FLAKY1": 1, "PANIC1": 1, "CHEAP1": 0} {
		if got := shop.booked(order); got != want {
			return fmt.Errorf("%s is booked %d times, want %d", order, got, want)
		}
	}

	again, err := gateway.Redeliver("ORDER1")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "it comes again: %d, booked %d\n", again.Status, shop.booked("ORDER1"))
	if again.Status != http.StatusOK || shop.booked("ORDER1") != 1 {
		return errors.New("a redelivery was booked again")
	}
	forged, err := http.Post(server.URL+"/pay/"+merchantID+"/callback", "application/json",
		strings.NewReader(`{"rsp_code":"SUCCESS","rsp_msg":"","merchant_id":"TS00000001","data":"AAAAAAAAAAAAAAAAAAAAAA==","md5":"00000000000000000000000000000000"}`))
	if err != nil {
		return err
	}
	forged.Body.Close()
	fmt.Fprintf(out, "a stranger forges one: %d\n", forged.StatusCode)
	if forged.StatusCode != http.StatusUnauthorized {
		return errors.New("a forged callback was not refused")
	}
	return nil
}
