package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// demo is the account at the demonstration's own gateway. The sign key is the
// vendor's published example. A real one comes from the environment or a
// vault, never from the source.
var demo = account{merchant: "TS00000001", operator: "0000000001", key: "6698851A525C9433"}

// Demo pays orders at a sandbox gateway, breaks some deliveries, and prints what
// the gateway was answered and what the shop booked. The error is nil only if
// every step did what it should.
func Demo(ctx context.Context, out io.Writer, routes Routes) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: demo.merchant, SignKey: demo.key,
		Redelivery: []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
	})
	defer gateway.Close()
	a := demo
	a.url = gateway.URL
	s := New()
	client, webhook, err := s.parts(a, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	server := httptest.NewServer(routes(s, webhook, http.NotFoundHandler()))
	defer server.Close()
	callback := server.URL + Callback(a.merchant)

	for _, step := range []struct {
		what, order string
		paid        field.Cents // of an order of 19.99
		want        []int       // the statuses that the gateway was answered with
		booked      int
	}{
		{"a payment", "ORDER1", 1999, []int{200}, 1},
		{"the stock service is down once", "FLAKY1", 1999, []int{503, 200}, 1},
		{"the handler panics once", "PANIC1", 1999, []int{503, 200}, 1},
		{"the payer pays less than the order", "CHEAP1", 1, []int{503, 503, 503, 503}, 0},
	} {
		s.Add(step.order, 1999)
		got, err := pay(ctx, gateway, client, step.order, step.paid, callback)
		if err != nil {
			return err
		}
		if !slices.Equal(got, step.want) || s.Booked(step.order) != step.booked {
			return fmt.Errorf("%s: the gateway was answered %v, booked %d; want %v, booked %d", step.what, got, s.Booked(step.order), step.want, step.booked)
		}
		fmt.Fprintf(out, "%s: the gateway was answered %v, booked %d\n", step.what, got, s.Booked(step.order))
	}

	again, err := gateway.Redeliver("ORDER1")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "a redelivery: %d, booked %d\n", again.Status, s.Booked("ORDER1"))
	if again.Status != http.StatusOK || s.Booked("ORDER1") != 1 {
		return errors.New("a redelivery was booked again")
	}
	status, err := forge(ctx, callback)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "a forgery: %d\n", status)
	if status != http.StatusUnauthorized {
		return errors.New("a forged callback was not refused")
	}
	return nil
}

// pay makes an order, pays it, and returns the statuses that the gateway was
// answered with.
func pay(ctx context.Context, gateway *ottpaytest.Gateway, client *ottpay.Client, order string, amount field.Cents, callback string) ([]int, error) {
	_, err := client.H5Pay(ctx, &api.H5PayRequest{OrderID: order, Amount: amount, CurrencyType: "CAD", CallBackURL: callback})
	if err != nil {
		return nil, err
	}
	if err := gateway.Pay(order); err != nil {
		return nil, err
	}
	if err := gateway.Wait(ctx); err != nil {
		return nil, err
	}
	var statuses []int
	for _, d := range gateway.Deliveries(order) {
		statuses = append(statuses, d.Status)
	}
	return statuses, nil
}

// forge posts what a stranger can write without a key.
func forge(ctx context.Context, callback string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, callback, strings.NewReader(
		`{"rsp_code":"SUCCESS","rsp_msg":"","merchant_id":"TS00000001","data":"AAAAAAAAAAAAAAAAAAAAAA==","md5":"00000000000000000000000000000000"}`))
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
