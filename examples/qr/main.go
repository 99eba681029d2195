// Qr is a payment by QR code: ACTIVEPAY against the gateway in the box, the
// code in the terminal and as PNG and SVG, and the wait for the payer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/ottpaykit/ottpay"
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

func main() {
	dir := flag.String("dir", ".", "where the PNG and the SVG go")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	defer gateway.Close()
	if err := run(ctx, os.Stdout, gateway.URL, *dir); err != nil && !errors.Is(err, context.Canceled) {
		log.Print(err)
	}
}

// run makes an order, shows it, and waits until it is settled.
func run(ctx context.Context, out io.Writer, gatewayURL, dir string) error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	client, err := ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchantID,
		OperatorID: "0000000001",
		Keys:       middleware.StaticKeys{merchantID: {key}},
		BaseURL:    gatewayURL, // leave it out to reach OTT Pay
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	const amount field.Cents = 1999
	resp, err := client.ActivePay(ctx, &api.ActivePayRequest{
		Amount: amount, BizType: "WECHATPAY",
		CallBackURL: "https://shop.example/ottpay/callback", // no server listens there: the example polls
	})
	if err != nil {
		return err
	}
	if err := show(out, resp.CodeURL, dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "order %s over %s: scan it, or open\n%s\n", resp.OrderID, amount.Decimal(), resp.CodeURL)

	payment, err := client.AwaitPayment(ctx, resp.OrderID, ottpay.AwaitConfig{})
	if err != nil {
		return err
	}
	if !payment.Matches(amount) {
		fmt.Fprintln(out, "not paid:", payment.Status)
		return nil
	}
	fmt.Fprintln(out, "paid")
	return nil
}

// show draws the content three times.
func show(out io.Writer, content, dir string) error {
	c, err := encode(content)
	if err != nil {
		return err
	}
	if err := c.writeTerminal(out); err != nil {
		return err
	}
	return errors.Join(
		toFile(filepath.Join(dir, "ottpay-qr.png"), c.writePNG),
		toFile(filepath.Join(dir, "ottpay-qr.svg"), c.writeSVG),
	)
}

// toFile writes a file that its owner alone may read: the code opens a payment.
func toFile(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
