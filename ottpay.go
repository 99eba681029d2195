// Package ottpay accepts OTT Pay payments: WeChat Pay, Alipay, UnionPay and
// cards behind one Canadian gateway.
//
// # What to call
//
// First, a [Client] makes the payment. There is a method for each action of the
// gateway:
//
//	client, err := ottpay.New(ottpay.Config{MerchantID: id, OperatorID: operator, Keys: keys})
//	resp, err := client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{OrderID: "A1001", Amount: 1999, …})
//
// Second, a webhook receives what became of it. It hands each notification to
// your function once, decrypted, verified and confirmed by a query, and tells the
// gateway only after your function has returned nil:
//
//	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: keys, Store: store, Asker: client, …})
//	http.Handle("/ottpay/callback", middleware.Handle(webhook, shipTheOrder))
//
// Third, when a call fails, [Client.Resolve] finds out what became of it. Its
// error is an [*Error]. One that matches [ErrUnknownOutcome] may have moved money:
// do not pay again, resolve it. One that matches [ErrNotSent] has not.
//
// Then, as needed: [Client.RefundOnce] refunds a payment once, however often it
// is called; [Client.AwaitPayment] waits for a payment, for the page that shows a
// QR code; [Client.ResolveOrder] resolves after a restart; middleware.Reconciler
// finds the payments whose notification never came.
//
// # Where to go next
//
// Package api (gen/api) has the requests and answers, middleware the webhook and
// the HTTP transport, dedupe the stores that remember what was handled, links the
// payment pages without an envelope, and ottpaytest a gateway for tests. The
// guides are in docs/guides.
package ottpay

import (
	"fmt"
	"io"

	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// NewWebhook returns the endpoint that OTT Pay posts its callbacks to. It is
// [middleware.New], with validate.New() for a Validator that is nil.
//
// Keys and Store are required. A dedupe.Memory is enough for one process and for
// tests. In production use dedupe.SQL, so that a payment is handled once across
// restarts and replicas.
func NewWebhook(cfg middleware.Config) (*middleware.Webhook, error) {
	if cfg.Validator == nil {
		cfg.Validator = validate.New()
	}
	return middleware.New(cfg)
}

// NewOrderID returns an id for an order, a refund or a checkout: 20 capital
// letters and digits, which every action takes. The first ten are the time in
// milliseconds, so that ids sort by it. The others are 50 random bits.
//
// The client makes an id for a payment that has none. A shop that makes it itself
// and stores it before the call can resolve the payment even if the process is
// killed during the call. The only error is that Config.Rand fails.
func (c *Client) NewOrderID() (string, error) {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // sorts as it counts
	var random [10]byte
	if _, err := io.ReadFull(c.cfg.Rand, random[:]); err != nil {
		return "", fmt.Errorf("ottpay: no randomness for an order id: %w", err)
	}
	var id [20]byte
	ms := uint64(c.cfg.Now().UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = alphabet[ms&31]
		ms >>= 5
	}
	for i, r := range random {
		id[10+i] = alphabet[r&31]
	}
	return string(id[:]), nil
}
