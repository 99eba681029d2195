// Command mini-program is a shop for a WeChat mini-program: the server behind
// the pages in miniprogram/, and a preview that plays those pages in a browser.
//
//	go run ./examples/mini-program
//
// Without OTTPAY_BASE_URL the gateway in the box runs inside. With it, as
// `ottpay sandbox` prints it, the payments go there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// The sandbox's merchant, with the sign key of the vendor's published example.
// Real ones come from the environment, never from the source.
const (
	demoMerchant = "TS00000001"
	demoOperator = "0000000001"
	demoSignKey  = "6698851A525C9433"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "where the shop listens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		log.Fatal(err)
	}
}

// run serves the shop until ctx ends.
func run(ctx context.Context, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	baseURL := os.Getenv("OTTPAY_BASE_URL")
	if baseURL == "" {
		gateway := ottpaytest.NewGateway(ottpaytest.Config{
			MerchantID: env("OTTPAY_MERCHANT_ID", demoMerchant), SignKey: env("OTTPAY_SIGN_KEY", demoSignKey),
		})
		defer gateway.Close()
		baseURL = gateway.URL
	}
	s, err := newShop(config{
		url:        "http://" + listener.Addr().String(),
		gatewayURL: baseURL,
		merchantID: env("OTTPAY_MERCHANT_ID", demoMerchant),
		operatorID: env("OTTPAY_OPERATOR_ID", demoOperator),
		signKey:    env("OTTPAY_SIGN_KEY", demoSignKey),
		appID:      env("WECHAT_APP_ID", "wx0000000000000001"),
		login:      newLogin(os.Getenv("WECHAT_APP_ID"), os.Getenv("WECHAT_APP_SECRET")),
	})
	if err != nil {
		return err
	}
	defer s.close()

	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("shop      %s\npreview   %s/preview/\ngateway   %s\n", s.cfg.url, s.cfg.url, baseURL)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	// The webhook comes first: it waits for handlers whose client has gone, too.
	return errors.Join(s.webhook.Shutdown(ctx), server.Shutdown(ctx))
}

func env(name, otherwise string) string {
	if text := os.Getenv(name); text != "" {
		return text
	}
	return otherwise
}

// newClient returns the client of the one merchant.
func newClient(cfg config) (*ottpay.Client, middleware.StaticKeys, error) {
	key, err := envelope.NewKey(cfg.signKey)
	if err != nil {
		return nil, nil, err
	}
	keys := middleware.StaticKeys{cfg.merchantID: {key}}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: cfg.merchantID, OperatorID: cfg.operatorID, Keys: keys,
		BaseURL: cfg.gatewayURL, Logger: cfg.logger,
	})
	return client, keys, err
}
