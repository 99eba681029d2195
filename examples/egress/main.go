// Command egress sends payments the way a company's network wants them sent:
// through a proxy, with a client certificate and a private authority, with a
// deadline for each action, no faster than agreed, and behind a circuit
// breaker.
//
//	go run ./examples/egress
//
// It exits with status 0 only if every step did what it says.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	merchantID = "TS00000001"
	signKey    = "SANDBOXKEY0001" // for the sandbox; a real one comes from a vault
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "egress:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	network, err := newNetwork()
	if err != nil {
		return err
	}
	defer network.close()
	client, err := newClient(network)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	req := &api.H5PayRequest{Amount: 500, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay"}
	resp, err := client.H5Pay(ctx, req)
	if err != nil {
		return fmt.Errorf("through the proxy: %w", err)
	}
	if network.tunnels.Load() == 0 {
		return errors.New("the payment went around the proxy")
	}
	fmt.Fprintf(out, "1. Order %s was made through the proxy, over TLS with our certificate.\n", resp.OrderID)

	_, err = client.ForTerminal("T1").PassivePay(ctx, &api.PassivePayRequest{Amount: 100, AuthCode: "101234567890123456", BizType: "WECHATPAY"})
	if err != nil {
		return fmt.Errorf("in store: %w", err)
	}
	hurried, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err = client.H5Pay(hurried, req); !errors.Is(err, middleware.ErrLimited) || !errors.Is(err, ottpay.ErrNotSent) {
		return fmt.Errorf("the limit: %w", err)
	}
	fmt.Fprintln(out, "2. A third payment within two seconds could not go before its deadline, and failed at once: not sent.")

	network.down.Store(true)
	for n := 1; n <= 3; n++ {
		_, err = client.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: resp.OrderID})
		if err == nil {
			return errors.New("a dead gateway answered")
		}
	}
	reached := network.requests.Load()
	if _, err = client.Refund(ctx, &api.RefundRequest{OriOrderID: resp.OrderID, RefundAmt: 1}); !errors.Is(err, ottpay.ErrNotSent) {
		return fmt.Errorf("the breaker: %w", err)
	}
	if network.requests.Load() != reached {
		return errors.New("the breaker let a refund through")
	}
	fmt.Fprintln(out, "3. The gateway failed, the breaker opened, and a refund was refused before it was sent: there is nothing to ask about.")
	fmt.Fprintln(out, "All of it happened.")
	return nil
}

// newClient is the part to copy.
func newClient(n *network) (*ottpay.Client, error) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return nil, err
	}
	limits, err := ottpay.NewLimits(ottpay.LimitsConfig{
		Effects: ottpay.Quota{PerSecond: 0.5, Burst: 2},
		Queries: ottpay.Quota{PerSecond: 20, Burst: 20},
	})
	if err != nil {
		return nil, err
	}
	base := middleware.NewBase() // verifies certificates; there is no switch to turn that off
	base.Proxy = http.ProxyURL(n.proxyURL)
	base.TLSClientConfig = &tls.Config{
		RootCAs:      n.authority,                    // the company's own, if its proxy opens TLS
		Certificates: []tls.Certificate{n.ourselves}, // mutual TLS
		MinVersion:   tls.VersionTLS12,
	}
	return ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchantID,
		OperatorID: "0000000001",
		Keys:       middleware.StaticKeys{merchantID: {key}},
		BaseURL:    n.gatewayURL,
		Base:       newBreaker(base),
		Timeout:    20 * time.Second,
		Timeouts: map[api.Action]time.Duration{
			api.ActionPASSIVEPAY:   45 * time.Second, // the payer types a PIN meanwhile
			api.ActionSTATUS_QUERY: 5 * time.Second,
		},
		Attempts: 2,
		Backoff:  ottpay.Backoff{First: time.Millisecond, Max: time.Millisecond},
		Limiter:  limits.Limiter,
	})
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err) // a listener's address
	}
	return u
}
