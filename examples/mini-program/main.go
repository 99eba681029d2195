// Command mini-program is a shop for a WeChat mini-program: the server behind
// the pages in miniprogram/, and a preview that plays those pages in a browser.
//
//	go run ./examples/mini-program
//
// Open the preview that it names. Without OTTPAY_BASE_URL the sandbox runs
// inside, mounted at /sandbox/. With it, as `ottpay sandbox` prints it, the
// payments go there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
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
	mux := http.NewServeMux()
	self := "http://" + listener.Addr().String()
	box, baseURL := "", os.Getenv("OTTPAY_BASE_URL")
	if baseURL == "" {
		gateway, err := mountSandbox(mux, self)
		if err != nil {
			return err
		}
		defer gateway.Close()
		box, baseURL = gateway.URL, gateway.URL+"/processV2"
	} else if u, err := url.Parse(baseURL); err == nil {
		box = u.Scheme + "://" + u.Host
	}
	s, err := newShop(config{
		url:        self,
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

	mux.Handle("/", s.routes())
	mux.Handle("/preview/", http.StripPrefix("/preview", preview(box)))
	// The sandbox's streams end with this context, or Shutdown would wait for them.
	streams, end := context.WithCancel(context.Background())
	defer end()
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return streams },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("preview   %s/preview/\nsandbox   %s/\n", self, box)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	// The webhook comes first: it waits for handlers whose client has gone, too.
	err = s.webhook.Shutdown(ctx)
	end()
	return errors.Join(err, server.Shutdown(ctx))
}

// mountSandbox puts a sandbox with its page below /sandbox/ of the shop's own
// server.
func mountSandbox(mux *http.ServeMux, self string) (*ottpaytest.Gateway, error) {
	merchant, key := env("OTTPAY_MERCHANT_ID", demoMerchant), env("OTTPAY_SIGN_KEY", demoSignKey)
	gateway, err := ottpaytest.New(ottpaytest.Config{
		MerchantID: merchant, SignKey: key, Callbacks: sandbox.Callbacks(sandbox.CallbackConfig{}),
	})
	if err != nil {
		return nil, err
	}
	gateway.URL = self + "/sandbox"
	box, err := sandbox.Handler(gateway, sandbox.Config{
		Base: "/sandbox", Keys: []sandbox.SignKey{{Merchant: merchant, From: "the example", Text: func() string { return key }}},
	})
	if err != nil {
		gateway.Close()
		return nil, err
	}
	mux.Handle("/sandbox/", box)
	return gateway, nil
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
