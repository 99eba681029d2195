// Command quickstart runs a whole payment on this machine: a sandbox gateway, a
// merchant's server and everything that passes between them, over real HTTP on
// loopback. It needs no account, no network and no server.
//
//	go run ./examples/quickstart
//
// It exits with status 0 only if every step did what it says.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }

	say("1. The vendor's own published messages")
	if err := published(key, say); err != nil {
		return err
	}

	say("\n2. A gateway and a merchant, on loopback")
	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey,
		ConvenienceFee: 1,
		Redelivery:     []time.Duration{100 * time.Millisecond, 200 * time.Millisecond},
	})
	defer gateway.Close()
	shop := &shop{orders: map[string]*order{}}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID,
		OperatorID: "0000000001",
		Keys:       middleware.StaticKeys{merchantID: {key}},
		BaseURL:    gateway.URL,
		Logger:     slog.New(slog.DiscardHandler), // what it would say is said here
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	merchant, err := shop.serve(key, client)
	if err != nil {
		return err
	}
	defer merchant.Close()
	callbackURL := merchant.URL + "/ottpay/callback"
	say("   gateway  %s", gateway.URL)
	say("   merchant %s", callbackURL)

	say("\n3. Paying in a WeChat mini-program")
	shop.open("MINI1", 1999)
	mini, err := client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{
		OrderID: "MINI1", Amount: 1999,
		AppID: "wx0000000000000001", OpenID: "o0000000000000000000000000001",
		CallBackURL: callbackURL,
	})
	if err != nil {
		return err
	}
	var pay api.PayInfo
	if err := mini.PayInfo.Decode(&pay); err != nil {
		return err
	}
	say("   the gateway took order %s over %s and gave what the mini-program needs to pay", mini.OrderID, field.Cents(1999).Decimal())
	if err := check(strings.HasPrefix(pay.PackageStr, "prepay_id="), "payInfo holds a prepay id"); err != nil {
		return err
	}
	if err := gateway.Pay("MINI1"); err != nil {
		return err
	}
	if err := shop.await(ctx, "MINI1", 1); err != nil {
		return err
	}
	say("   the payer paid; the callback was decrypted, verified, validated and handled: order MINI1 is paid")

	say("\n4. Paying from a mobile browser, with a handler that fails at first")
	shop.open("H5ORDER1", 500)
	shop.failOnce("H5ORDER1")
	h5, err := client.H5Pay(ctx, &api.H5PayRequest{
		OrderID: "H5ORDER1", Amount: 500, CurrencyType: "CAD", CallBackURL: callbackURL,
	})
	if err != nil {
		return err
	}
	say("   the gateway took order %s; with its convenience fee it is %s", h5.OrderID, h5.Amount.Decimal())
	if err := gateway.Pay("H5ORDER1"); err != nil {
		return err
	}
	if err := shop.await(ctx, "H5ORDER1", 2); err != nil {
		return err
	}
	say("   the handler failed, so the gateway was not told SUCCESS and sent again; the second run kept its work")

	say("\n5. What a stranger may try")
	callback := shop.tapped("MINI1")
	status, body, err := post(ctx, callbackURL, callback)
	if err != nil {
		return err
	}
	if err := errors.Join(
		check(status == http.StatusOK && body == "SUCCESS", "the replay was acknowledged"),
		check(shop.runs("MINI1") == 1, "the handler did not run again"),
	); err != nil {
		return err
	}
	say("   a replay of the first callback: %d %s, and the handler did not run again", status, body)
	tampered := tamper(callback)
	if status, body, err = post(ctx, callbackURL, tampered); err != nil {
		return err
	}
	if err := check(status == http.StatusUnauthorized, "the tampered callback was refused"); err != nil {
		return err
	}
	say("   the same with one letter changed: %d %s", status, strings.TrimSpace(body))

	say("\n6. Asking and giving back")
	state, err := client.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: "MINI1"})
	if err != nil {
		return err
	}
	if err := check(state.OrderStatus.Paid(), "the gateway says that MINI1 is paid"); err != nil {
		return err
	}
	say("   the gateway says that MINI1 is %q", state.OrderStatus)
	if _, err := client.Refund(ctx, &api.RefundRequest{OrderID: "REFUND1", OriOrderID: "MINI1", RefundAmt: 999}); err != nil {
		return err
	}
	if state, err = client.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: "MINI1"}); err != nil {
		return err
	}
	if err := check(!state.OrderStatus.Paid() && state.OrderStatus.Refunded(), "MINI1 is partly refunded"); err != nil {
		return err
	}
	say("   9.99 went back; now it is %q", state.OrderStatus)
	say("   more than was paid cannot go back:")
	_, err = client.Refund(ctx, &api.RefundRequest{OrderID: "REFUND2", OriOrderID: "MINI1", RefundAmt: 1999})
	var refused *ottpay.Error
	if err := check(errors.As(err, &refused), "the second refund was refused"); err != nil {
		return err
	}
	say("   %v", refused)

	say("\nAll of it happened.")
	return nil
}

// published checks the kit against what OTT Pay prints on its pages.
func published(key envelope.Key, say func(string, ...any)) error {
	const (
		digest = "C12F9560769C2CB55E6954935B325916"
		data   = "Y2+GoqBBPc6EJ9JzXRFoOziKd+DqWg5FiUZY1IYoVBVv0xfFznT9/qanMpiNEamEN2NM7J+hxoRn8VGSJImA2soeip9nYr+VJvTXe7D8j4aXiKyFipuPVCQLiCDg3jkJP+S2EezYMf7crqKY/YAni1CCeIwr2aJfFVT1vYhsWIm8t3eyPL//cY4kwombAKhE2gAdEFXz6gVvencz80aRWQ=="
	)
	payload, err := key.Open(envelope.Sealed{Data: data, MD5: digest})
	if err != nil {
		return fmt.Errorf("the published example: %w", err)
	}
	say("   Appendix A opens: %d bytes, digest form %s", len(payload.JSON), payload.Form)

	// The published callback was sealed under a key that is not published,
	// but its digest does not depend on the key.
	sealed, err := key.Seal([]byte(`{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`))
	if err != nil {
		return err
	}
	if err := check(sealed.MD5 == "F70CA0472D1AAA596E720C19A1DD36A0", "the published callback has the published digest"); err != nil {
		return err
	}
	say("   the mini-program callback has its digest, %s", sealed.MD5)
	return nil
}

// shop is a merchant's server with its orders.
type shop struct {
	mu     sync.Mutex
	orders map[string]*order
}

type order struct {
	expected field.Cents
	paid     bool
	fail     bool // once
	runs     int
	body     []byte // the last callback as it came, for the stranger of step 5
	acked    int
}

// serve starts the merchant's server: a mux, the webhook, and in front of it
// an attacker on the wire who records what passes.
func (s *shop) serve(key envelope.Key, asker middleware.Asker) (*httptest.Server, error) {
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchantID: {key}},
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Asker:  asker,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/ottpay/callback", s.tap(middleware.Handle(webhook, s.handle)))
	return httptest.NewServer(mux), nil
}

// handle is all that a shop writes.
func (s *shop) handle(ctx context.Context, n *api.Notification) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[n.OrderID]
	if !ok {
		return errors.New("no such order") // it may be written a moment later
	}
	o.runs++
	if o.fail {
		o.fail = false
		return errors.New("the database is away")
	}
	if d, ok := middleware.FromContext(ctx); !ok || !d.Matches(o.expected) {
		return errors.New("not the amount of the order")
	}
	o.paid = true
	return nil
}

func (s *shop) open(id string, expected field.Cents) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[id] = &order{expected: expected}
}

func (s *shop) failOnce(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[id].fail = true
}

func (s *shop) runs(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders[id].runs
}

func (s *shop) tapped(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders[id].body
}

// await waits until the order is paid, after so many runs of the handler, and
// its callback acknowledged.
func (s *shop) await(ctx context.Context, id string, runs int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		o := *s.orders[id]
		s.mu.Unlock()
		if o.paid && o.acked > 0 {
			return check(o.runs == runs, fmt.Sprintf("the handler ran %d times for %s", runs, id))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("order %s: %w", id, ctx.Err())
		}
	}
}

// tap keeps the bodies that pass, by the order that is being paid.
func (s *shop) tap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, "unreadable", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen := &statusRecorder{ResponseWriter: rw}
		next.ServeHTTP(seen, r)

		s.mu.Lock()
		defer s.mu.Unlock()
		for _, o := range s.orders {
			if o.paid && o.acked == 0 && seen.status == http.StatusOK {
				o.body, o.acked = body, o.acked+1
			}
		}
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// tamper changes one letter in the encrypted data.
func tamper(callback []byte) []byte {
	changed := bytes.Clone(callback)
	at := bytes.Index(changed, []byte(`"data"`)) + 20
	for changed[at] == 'A' || changed[at] == '\\' {
		at++
	}
	changed[at] = 'A'
	return changed
}

func post(ctx context.Context, url string, body []byte) (status int, answer string, _ error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return resp.StatusCode, string(b), err
}

func check(ok bool, what string) error {
	if !ok {
		return fmt.Errorf("this did not happen: %s", what)
	}
	return nil
}
