package shop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// Callback is the path of the webhook in every example, for merchant.
func Callback(merchant string) string { return "/pay/" + merchant + "/callback" }

// Routes is what an example adds: its router with the webhook at [Callback] and
// pages at every other path.
type Routes func(s *Shop, webhook *middleware.Webhook, pages http.Handler) http.Handler

// Main runs an example. Without flags it is a demonstration that ends by
// itself. With -listen it is a shop for a browser, which is paid at the gateway
// that OTTPAY_BASE_URL names, such as that of `ottpay sandbox`.
func Main(name string, routes Routes) {
	listen := flag.String("listen", "", "serve a shop for a browser at this address, such as 127.0.0.1:3000")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var err error
	if *listen == "" {
		err = Demo(ctx, os.Stdout, routes)
	} else {
		err = serve(ctx, *listen, routes)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// account is the merchant's account at the gateway.
type account struct{ merchant, operator, key, url string }

// parts are the shop's halves of the kit: what pays, and what is told.
func (s *Shop) parts(a account, log *slog.Logger) (*ottpay.Client, *middleware.Webhook, error) {
	key, err := envelope.NewKey(a.key)
	if err != nil {
		return nil, nil, err
	}
	keys := middleware.StaticKeys{a.merchant: {key}}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: a.merchant, OperatorID: a.operator, Keys: keys, BaseURL: a.url, Logger: log,
	})
	if err != nil {
		return nil, nil, err
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   keys,
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Asker:  client,
		Expect: s.Expect,
		Logger: log,
	})
	return client, webhook, err
}

// serve is the shop for a browser.
func serve(ctx context.Context, address string, routes Routes) error {
	a := account{
		merchant: os.Getenv("OTTPAY_MERCHANT_ID"), operator: os.Getenv("OTTPAY_OPERATOR_ID"),
		key: os.Getenv("OTTPAY_SIGN_KEY"), url: os.Getenv("OTTPAY_BASE_URL"),
	}
	if a.url == "" {
		return errors.New("set OTTPAY_BASE_URL, OTTPAY_MERCHANT_ID, OTTPAY_OPERATOR_ID and OTTPAY_SIGN_KEY; `go run ./cmd/ottpay sandbox` prints them")
	}
	s := New()
	client, webhook, err := s.parts(a, slog.Default())
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	self := "http://" + listener.Addr().String()
	server := &http.Server{
		Handler:           routes(s, webhook, s.Pages(client, self, Callback(a.merchant))),
		ReadHeaderTimeout: 5 * time.Second,
	}
	fmt.Fprintf(os.Stderr, "the shop is open: %s\n", self)
	done := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = webhook.Shutdown(ending)
		_ = server.Shutdown(ending)
	})
	defer done()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
