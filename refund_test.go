package ottpay_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// till is a gateway that knows one payment and its refunds.
type till struct {
	mu      sync.Mutex
	paid    field.Cents
	status  string
	knows   bool // refunds can be queried
	refunds map[string]field.Cents
	sent    int
	answer  string // to a refund: a code, or "" for a broken connection
}

func (g *till) step(b *base, _ int, req opened) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case req.Action == "REFUND":
		g.sent++
		amount, err := field.ParseCents(req.text("refund_amt"))
		if err != nil {
			return nil, err
		}
		if g.answer == "" || g.answer == "SUCCESS" {
			g.refunds[req.text("order_id")] += amount
		}
		if g.answer == "" {
			return nil, io.ErrUnexpectedEOF
		}
		return b.say(g.answer, `{"order_id":"`+req.text("order_id")+`"}`)
	case req.text("order_id") == "P1":
		var returned field.Cents
		for _, r := range g.refunds {
			returned += r
		}
		status := g.status
		if returned > 0 {
			status = "partial_refunded"
		}
		return b.say("SUCCESS", fmt.Sprintf(`{"order_id":"P1","order_status":"%s","total_amount":%d,"refund_fee":%d}`, status, g.paid, returned))
	}
	if _, ok := g.refunds[req.text("order_id")]; ok && g.knows {
		return b.say("SUCCESS", `{"order_id":"`+req.text("order_id")+`","order_status":"success"}`)
	}
	return b.say("ORDER_NOT_EXIST", "")
}

func newTill(t *testing.T) (*till, *ottpay.Client) {
	g := &till{paid: 500, status: "success", knows: true, refunds: make(map[string]field.Cents), answer: "SUCCESS"}
	b := newBase(t, g.step)
	cfg := b.config()
	cfg.Sleep = func(context.Context, time.Duration) error { return nil }
	return g, newClient(t, cfg)
}

func TestRefundOnce(t *testing.T) {
	t.Parallel()
	order := ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 200}

	t.Run("a second click", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		first, err := client.RefundOnce(t.Context(), order)
		if err != nil || first.Before || first.Response == nil {
			t.Fatalf("got %+v, %v", first, err)
		}
		second, err := client.RefundOnce(t.Context(), order)
		if err != nil || !second.Before || second.Pending() || !second.Status.Paid() {
			t.Errorf("got %+v, %v", second, err)
		}
		if g.sent != 1 {
			t.Errorf("sent %d times", g.sent)
		}
	})
	t.Run("a second click, and the gateway cannot tell", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		g.knows = false
		if _, err := client.RefundOnce(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		if _, err := client.RefundOnce(t.Context(), order); !errors.Is(err, ottpay.ErrDuplicate) {
			t.Errorf("got %v", err)
		}
		other := order
		other.Amount = 100
		if _, err := client.RefundOnce(t.Context(), other); !errors.Is(err, ottpay.ErrRefundIDUsed) || !errors.Is(err, ottpay.ErrNotSent) {
			t.Errorf("got %v", err)
		}
		if g.sent != 1 {
			t.Errorf("sent %d times", g.sent)
		}
	})
	t.Run("a second click after the first was lost", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		g.knows, g.answer = false, ""
		if _, err := client.RefundOnce(t.Context(), order); !errors.Is(err, ottpay.ErrUnknownOutcome) {
			t.Fatalf("got %v", err)
		}
		if _, err := client.RefundOnce(t.Context(), order); !errors.Is(err, ottpay.ErrDuplicate) {
			t.Errorf("got %v", err)
		}
		g.knows = true
		if r, err := client.RefundOnce(t.Context(), order); err != nil || !r.Before {
			t.Errorf("got %+v, %v", r, err)
		}
		if g.sent != 1 {
			t.Errorf("sent %d times", g.sent)
		}
	})
	t.Run("a second click after the first was lost, and the gateway cannot be asked", func(t *testing.T) {
		t.Parallel()
		g, _ := newTill(t)
		g.answer = ""
		down := false
		b := newBase(t, func(b *base, n int, req opened) (*http.Response, error) {
			if down {
				return nil, io.ErrUnexpectedEOF
			}
			return g.step(b, n, req)
		})
		for name, restarted := range map[string]bool{"same process": false, "store forgot": true} {
			cfg := b.config()
			cfg.Sleep = func(context.Context, time.Duration) error { return nil }
			client, lost := newClient(t, cfg), order
			lost.RefundID += name[:4]
			down = false
			if _, err := client.RefundOnce(t.Context(), lost); !errors.Is(err, ottpay.ErrUnknownOutcome) {
				t.Fatalf("got %v", err)
			}
			if restarted {
				client = newClient(t, cfg)
			}
			down = true
			_, err := client.RefundOnce(t.Context(), lost)
			if err == nil || errors.Is(err, ottpay.ErrNotSent) && errors.Is(err, ottpay.ErrUnknownOutcome) {
				t.Errorf("%s: got %v, both not sent and unknown", name, err)
			}
			down = false
			if res, err := client.Resolve(t.Context(), err); err != nil || res.Verdict != ottpay.VerdictHappened {
				t.Errorf("%s: got %v, %v", name, res, err)
			}
		}
	})
	t.Run("an id that the gateway knows as another refund", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		if _, err := client.RefundOnce(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		for _, other := range []ottpay.RefundIntent{
			{RefundID: "R1", OrderID: "P1", Amount: 100}, {RefundID: "R1", OrderID: "P2", Amount: 200},
		} {
			if r, err := client.RefundOnce(t.Context(), other); !errors.Is(err, ottpay.ErrRefundIDUsed) || !errors.Is(err, ottpay.ErrNotSent) {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		if g.sent != 1 {
			t.Errorf("sent %d times", g.sent)
		}
	})
	t.Run("a row without a status is not done", func(t *testing.T) {
		t.Parallel()
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
			return b.say("PROCESSING", `{"order_id":"R1"}`)
		})
		if r, err := newClient(t, b.config()).RefundOnce(t.Context(), order); err != nil || !r.Before || !r.Pending() {
			t.Errorf("got %+v, pending %v, %v", r, r.Pending(), err)
		}
	})
	t.Run("twenty clicks at once", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		g.knows = false
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := client.RefundOnce(t.Context(), order)
				if err != nil && !errors.Is(err, ottpay.ErrDuplicate) && !errors.Is(err, ottpay.ErrPending) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if g.sent != 1 {
			t.Errorf("sent %d times", g.sent)
		}
	})
	t.Run("too much", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		if _, err := client.RefundOnce(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		for amount, want := range map[field.Cents]error{501: ottpay.ErrRefundTooLarge, 301: ottpay.ErrRefundTooLarge} {
			_, err := client.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: fmt.Sprint("R", amount), OrderID: "P1", Amount: amount})
			if !errors.Is(err, want) || !errors.Is(err, ottpay.ErrNotSent) {
				t.Errorf("%d: %v", amount, err)
			}
		}
		rest := ottpay.RefundIntent{RefundID: "R301", OrderID: "P1", Amount: 300} // the id was not spent
		if _, err := client.RefundOnce(t.Context(), rest); err != nil || g.sent != 2 {
			t.Errorf("the rest: %v, sent %d times", err, g.sent)
		}
	})
	t.Run("not paid", func(t *testing.T) {
		t.Parallel()
		for _, status := range []string{"notpay", "authorised", "fully_refunded", "orderclosed"} {
			g, client := newTill(t)
			g.status = status
			if _, err := client.RefundOnce(t.Context(), order); !errors.Is(err, ottpay.ErrNotPaid) || g.sent != 0 {
				t.Errorf("%s: %v, sent %d times", status, err, g.sent)
			}
		}
	})
	t.Run("refused by the gateway", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		g.answer = "PARAM_INVALID"
		if _, err := client.RefundOnce(t.Context(), order); !errors.Is(err, ottpay.ErrCaller) {
			t.Fatalf("got %v", err)
		}
		g.answer = "SUCCESS"
		if _, err := client.RefundOnce(t.Context(), order); err != nil {
			t.Errorf("corrected: %v", err)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		t.Parallel()
		g, client := newTill(t)
		for _, r := range []ottpay.RefundIntent{
			{OrderID: "P1", Amount: 1}, {RefundID: "R1", Amount: 1}, {RefundID: "P1", OrderID: "P1", Amount: 1},
			{RefundID: "R1", OrderID: "P1"}, {RefundID: "R1", OrderID: "P1", Amount: -1},
		} {
			if _, err := client.RefundOnce(t.Context(), r); !errors.Is(err, ottpay.ErrNotSent) || g.sent != 0 {
				t.Errorf("%+v: %v", r, err)
			}
		}
	})
	t.Run("the gateway cannot be asked", func(t *testing.T) {
		t.Parallel()
		for _, broken := range []func(*base) (*http.Response, error){
			func(*base) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
			func(b *base) (*http.Response, error) { return b.say("SYSTEM_ERROR", "") },
			func(b *base) (*http.Response, error) { return b.say("SUCCESS", `{"order_status":"success"}`) },
		} {
			b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
				if req.Action == "REFUND" {
					t.Error("sent")
				}
				return broken(b)
			})
			cfg := b.config()
			cfg.Sleep = func(context.Context, time.Duration) error { return nil }
			if _, err := newClient(t, cfg).RefundOnce(t.Context(), order); !errors.Is(err, ottpay.ErrNotSent) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// txStore is a store whose claims hold a transaction, or another value.
type txStore struct {
	dedupe.Store
	key      any
	released bool
}

func (s *txStore) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	c, err := s.Store.Claim(ctx, id, lease)
	return &txClaim{c, s}, err
}

type txClaim struct {
	dedupe.Claim
	store *txStore
}

func (c *txClaim) Release(ctx context.Context) error {
	c.store.released = true
	return c.Claim.Release(ctx)
}

func (c *txClaim) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, c.store.key, "span")
}

// decorated counts claims, for example.
type decorated struct{ dedupe.Store }

func (d decorated) Unwrap() dedupe.Store { return d.Store }

// TestRefundStoreMustBeALease: a crash undoes what a transactional store has
// noted, after which the refund would be sent again.
func TestRefundStoreMustBeALease(t *testing.T) {
	t.Parallel()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[dedupe.Mode]bool{dedupe.Transactional: true, dedupe.Lease: false} {
		sqlStore, err := dedupe.NewSQL(new(sql.DB), dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		for _, store := range []dedupe.Store{sqlStore, decorated{sqlStore}, decorated{decorated{sqlStore}}} {
			_, err := ottpay.New(ottpay.Config{
				MerchantID: merchantID, OperatorID: "1", RefundStore: store,
				Keys: middleware.StaticKeys{merchantID: {key}},
			})
			if (err != nil) != refused || refused && !strings.Contains(err.Error(), "RefundStore") {
				t.Errorf("%T in mode %v: %v", store, mode, err)
			}
		}
	}
}

// TestRefundOnceUnderADecoratedStore: a claim that provides something to the
// handler, such as a span, is not for that reason transactional.
func TestRefundOnceUnderADecoratedStore(t *testing.T) {
	t.Parallel()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	t.Cleanup(gateway.Close)
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	store := &txStore{Store: dedupe.NewMemory(dedupe.MemoryConfig{}), key: new(int)}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "1", BaseURL: gateway.URL, RefundStore: store,
		Keys: middleware.StaticKeys{merchantID: {key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	if _, err := client.MiniProgramPay(t.Context(), &api.MiniProgramPayRequest{
		OrderID: "P1", Amount: 100, AppID: "wx1", OpenID: "o1", CallBackURL: "https://shop.example/cb",
	}); err != nil {
		t.Fatal(err)
	}
	if err := gateway.Merchant(merchantID).Pay("P1", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	for _, before := range []bool{false, true} {
		done, err := client.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 100})
		if err != nil || done.Before != before || store.released || gateway.Attempts("R1") != 1 {
			t.Errorf("%+v, error %v, released %v, sent %d times", done, err, store.released, gateway.Attempts("R1"))
		}
	}
}

// TestRefundIDOfSomethingElse: what stands under the refund's id is not this
// refund. Nothing is sent, nothing is said to have been returned.
func TestRefundIDOfSomethingElse(t *testing.T) {
	t.Parallel()
	intent := ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 200}
	for name, row := range map[string]string{
		"another payment":                     `"order_status":"success","total_amount":500,"refund_fee":0`,
		"another payment, as much of it back": `"order_status":"success","total_amount":500,"refund_fee":200`,
		"a payment of the same amount":        `"order_status":"success","total_amount":200,"refund_fee":0`,
		"a payment, partly returned":          `"order_status":"partial_refunded","total_amount":500,"refund_fee":200`,
		"a payment, all of it returned":       `"order_status":"fully_refunded","total_amount":200,"refund_fee":200`,
		"an unpaid order":                     `"order_status":"init","total_amount":200,"refund_fee":0`,
		"an unpaid order of another amount":   `"order_status":"notpay","total_amount":500`,
		"an order under way":                  `"order_status":"processing","total_amount":500`,
		"a closed order":                      `"order_status":"orderclosed","total_amount":500,"refund_fee":0`,
		"a held payment":                      `"order_status":"authorised","total_amount":200`,
		"a refund of another payment":         `"order_status":"success","total_amount":200,"refund_fee":200,"ori_order_id":"P2"`,
		"a refund of another amount":          `"order_status":"success","total_amount":100,"refund_fee":100`,
		"a larger refund of this payment":     `"order_status":"success","refund_fee":"300","ori_order_id":"P1"`,
		"a row of another merchant":           `"order_status":"success","total_amount":200,"refund_fee":200,"merchant_id":"B2"`,
		"success without an amount":           `"order_status":"success"`,
	} {
		for _, sent := range []bool{false, true} { // whether the store remembers the refund
			t.Run(fmt.Sprintf("%s, sent %v", name, sent), func(t *testing.T) {
				t.Parallel()
				if sent && name == "success without an amount" {
					return // it was sent, and is said to have succeeded
				}
				if sent && strings.HasPrefix(name, "an unpaid order") && strings.Contains(row, `:200,`) {
					return // it was sent, and may be under way
				}
				refunds := 0
				b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
					switch {
					case req.Action == "REFUND":
						refunds++
						return nil, io.ErrUnexpectedEOF
					case req.text("order_id") == "P1":
						return b.say("SUCCESS", `{"order_id":"P1","order_status":"success","total_amount":500,"refund_fee":0}`)
					case sent && refunds == 0:
						return b.say("NO_SUCH_ORDER", "")
					}
					return b.say("SUCCESS", `{"order_id":"R1",`+row+`}`)
				})
				client := newClient(t, b.config())
				if sent {
					if _, err := client.RefundOnce(t.Context(), intent); !errors.Is(err, ottpay.ErrUnknownOutcome) {
						t.Fatal(err)
					}
				}
				r, err := client.RefundOnce(t.Context(), intent)
				if !errors.Is(err, ottpay.ErrRefundIDUsed) && !errors.Is(err, ottpay.ErrUnconfirmed) && !errors.Is(err, ottpay.ErrDuplicate) || r != (ottpay.RefundResult{}) {
					t.Errorf("got %+v, %v", r, err)
				}
				if errors.Is(err, ottpay.ErrNotSent) == sent || errors.Is(err, ottpay.ErrUnknownOutcome) != sent {
					t.Errorf("got %v", err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				client2 := newClient(t, func() ottpay.Config {
					cfg := b.config()
					cfg.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
					return cfg
				}())
				if res, _ := client2.Resolve(ctx, err); res.Verdict == ottpay.VerdictHappened && name != "success without an amount" && name != "a payment of the same amount" {
					t.Errorf("resolved as %v", res.Verdict)
				}
				if want := map[bool]int{true: 1}[sent]; refunds != want {
					t.Errorf("sent %d times", refunds)
				}
			})
		}
	}
}

// TestRefundIDThatWasNeverSeen: a gateway that answers for ids it never saw does
// not keep the refund from being sent.
func TestRefundIDThatWasNeverSeen(t *testing.T) {
	t.Parallel()
	for _, row := range []string{
		`"order_status":"init","total_amount":0,"refund_fee":0`, `"order_status":"init"`, `"order_status":"NOTPAY ","total_amount":"0"`,
		`"order_status":"orderclosed","total_amount":0`,
	} {
		refunds := 0
		b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
			switch {
			case req.Action == "REFUND":
				refunds++
				return b.say("SUCCESS", `{"order_id":"R1","order_status":"success"}`)
			case req.text("order_id") == "P1":
				return b.say("SUCCESS", `{"order_id":"P1","order_status":"success","total_amount":500}`)
			}
			return b.say("SUCCESS", `{"order_id":"R1",`+row+`}`)
		})
		client := newClient(t, b.config())
		intent := ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 200}
		r, err := client.RefundOnce(t.Context(), intent)
		if err != nil || r.Before || r.Pending() || refunds != 1 {
			t.Errorf("%s: got %+v, %v, sent %d times", row, r, err, refunds)
		}
		// Once it was sent, the same row proves nothing, and nothing is sent again.
		_, err = client.RefundOnce(t.Context(), intent)
		if !errors.Is(err, ottpay.ErrDuplicate) || !errors.Is(err, ottpay.ErrUnknownOutcome) || refunds != 1 {
			t.Errorf("%s: again: %v, sent %d times", row, err, refunds)
		}
	}
}

// TestRefundAfterAForgottenOne: the store has forgotten a refund that took effect,
// and the gateway cannot be asked for it. What stops the second attempt must not
// be taken for proof that nothing was returned.
func TestRefundAfterAForgottenOne(t *testing.T) {
	t.Parallel()
	intent := ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 300}
	for name, stop := range map[string]func(*hooks, *till){
		"too little left": func(*hooks, *till) {},
		"all returned":    func(_ *hooks, g *till) { g.status = "fully_refunded" },
		"limiter": func(h *hooks, g *till) {
			h.limiter = func(context.Context) error { return errors.New("full") }
			g.paid = 5000
		},
		"limiter panics":   func(h *hooks, g *till) { h.limiter = func(context.Context) error { panic("limiter") } },
		"a refund of more": func(_ *hooks, g *till) { g.paid = 100 },
	} {
		for _, restarted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, restarted %v", name, restarted), func(t *testing.T) {
				t.Parallel()
				g, _ := newTill(t)
				g.knows, g.answer = false, ""
				h := &hooks{now: time.Now}
				b := newBase(t, g.step)
				config := func() ottpay.Config { // with a store that knows nothing
					cfg := b.config()
					cfg.Sleep = func(context.Context, time.Duration) error { return nil }
					cfg.Limiter = func(string, api.Kind) middleware.Limiter { return h }
					cfg.RefundStore = forgetful{}
					return cfg
				}
				client := newClient(t, config())
				if _, err := client.RefundOnce(t.Context(), intent); !errors.Is(err, ottpay.ErrUnknownOutcome) {
					t.Fatal(err)
				}
				if restarted {
					client = newClient(t, config())
				}
				stop(h, g)
				_, err := client.RefundOnce(t.Context(), intent)
				if err == nil || !restarted && (errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrUnknownOutcome)) {
					t.Errorf("got %v", err)
				}
				h.limiter, g.knows = nil, true
				res, err := client.Resolve(t.Context(), err)
				if err != nil || res.Verdict != ottpay.VerdictHappened || g.sent != 1 {
					t.Errorf("resolved as %v, %v, sent %d times", res.Verdict, err, g.sent)
				}
			})
		}
	}
}

// forgetful is a store that remembers nothing.
type forgetful struct{}

func (forgetful) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	return forgetful{}, nil
}
func (forgetful) Confirm(context.Context) error { return nil }
func (forgetful) Release(context.Context) error { return nil }

// TestRefundAnswers: what the answer to a REFUND may say.
func TestRefundAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data   string
		reason middleware.Reason
	}{
		{`{}`, ""},
		{`{"order_id":"R1"}`, ""},
		{`{"order_id":"R1","order_status":"success","refund_fee":5}`, ""},
		{`{"order_id":"R1","refund_fee":0}`, ""},
		{`{"order_id":"R1","refund_fee":"5.00"}`, middleware.ReasonSchema}, // it decides
		{`{"order_id":"R1","sale_num":{},"trade_time":[]}`, ""},
		{`{"order_id":"P1"}`, ""},
		{`{"order_id":"P1","refund_amount":"5","refund_status":"success"}`, ""},
		{`{"order_id":"REF202004155369901","refund_amt":"005","ori_order_id":"P1","sale_num":"1"}`, ""},
		{`{"order_id":"R1","total_amount":500,"refund_fee":5}`, ""},
		{`{"order_id":"20200415"}`, middleware.ReasonOtherOrder},
		{`{"order_id":"R2"}`, middleware.ReasonOtherOrder},
		{`{"order_id":"P2"}`, middleware.ReasonOtherOrder},
		{`{"order_id":"R1","ori_order_id":"P2"}`, middleware.ReasonOtherOrder},
		{`{"order_id":"REF1","refund_fee":6}`, middleware.ReasonAmountMismatch},
		{`{"order_id":"R1","refund_amount":"4"}`, middleware.ReasonAmountMismatch},
		{`{"order_id":"P1","order_status":"success","refund_fee":0}`, middleware.ReasonAmountMismatch},
		{`{"order_id":"P1","order_status":"partial_refunded","total_amount":500,"refund_fee":5}`, middleware.ReasonReflected},
		{`{"order_id":"R0","ori_order_id":"P1","refund_amt":"5"}`, middleware.ReasonReflected},
	} {
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return b.say("SUCCESS", tt.data) })
		_, err := newClient(t, b.config()).Refund(t.Context(), &api.RefundRequest{OrderID: "R1", OriOrderID: "P1", RefundAmt: 5})
		if tt.reason == "" && err != nil || tt.reason != "" && (reasonOf(err) != tt.reason || !errors.Is(err, ottpay.ErrUnknownOutcome)) {
			t.Errorf("%s: got %v, want %q", tt.data, err, tt.reason)
		}
	}
}

// TestRefundAnsweredByAnEarlierAnswer: OTT Pay's own id of a refund is the answer
// to one refund alone.
func TestRefundAnsweredByAnEarlierAnswer(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
		return b.say("SUCCESS", `{"order_id":"REF202004155369901","refund_fee":5}`)
	})
	client := newClient(t, b.config())
	refund := func(id string) error {
		_, err := client.Refund(t.Context(), &api.RefundRequest{OrderID: id, OriOrderID: "P1", RefundAmt: 5})
		return err
	}
	if err := errors.Join(refund("R1"), refund("R1")); err != nil {
		t.Fatal(err)
	}
	if err := refund("R2"); reasonOf(err) != middleware.ReasonReflected || !errors.Is(err, ottpay.ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
}

// TestRefundThatTheGatewayCallsFailed: a SUCCESS of the call is none of the refund.
func TestRefundThatTheGatewayCallsFailed(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		switch {
		case req.Action == "REFUND":
			return b.say("SUCCESS", `{"order_id":"R1","order_status":"failure"}`)
		case req.text("order_id") == "P1":
			return b.say("SUCCESS", `{"order_id":"P1","order_status":"success","total_amount":500}`)
		}
		return b.say("SUCCESS", `{"order_id":"R1","order_status":"failure","total_amount":200}`)
	})
	client := newClient(t, b.config())
	intent := ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 200}
	for range 2 {
		if r, err := client.RefundOnce(t.Context(), intent); !errors.Is(err, ottpay.ErrFailed) || r.Pending() {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

// TestRefundStoreFails: without a claim nothing is sent, and a panic of the store
// is an error.
func TestRefundStoreFails(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]storeFunc{
		"error": func() (dedupe.Claim, error) { return nil, io.ErrUnexpectedEOF },
		"panic": func() (dedupe.Claim, error) { panic("store") },
	} {
		g, _ := newTill(t)
		b := newBase(t, g.step)
		cfg := b.config()
		cfg.RefundStore = store
		_, err := newClient(t, cfg).RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 200})
		var failed *ottpay.Error
		if !errors.As(err, &failed) || !errors.Is(err, ottpay.ErrNotSent) || failed.OrderID != "R1" || failed.Action != api.ActionREFUND || g.sent != 0 {
			t.Errorf("%s: got %v, sent %d times", name, err, g.sent)
		}
	}
}

type storeFunc func() (dedupe.Claim, error)

func (f storeFunc) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) { return f() }

// TestRefundMessages: an error says what to do about it, and an ordinary refund
// alarms no one.
func TestRefundMessages(t *testing.T) {
	t.Parallel()
	g, _ := newTill(t)
	b := newBase(t, g.step)
	cfg := b.config()
	var log lockedBuffer
	cfg.Logger = log.logger()
	client := newClient(t, cfg)
	if _, err := client.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 200}); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); strings.Contains(text, "WARN") || strings.Contains(text, "ERROR") || strings.Count(text, "level=INFO") != 3 {
		t.Errorf("an ordinary refund logs\n%s", text)
	}
	for want, intent := range map[string]ottpay.RefundIntent{
		"ottpay: REFUND: refund: refund exceeds what was paid and not yet returned: not sent":        {RefundID: "R2", OrderID: "P1", Amount: 301},
		"ottpay: REFUND: refund-id: the refund id stands for something else: not sent":               {RefundID: "R1", OrderID: "P1", Amount: 100},
		"ottpay: REFUND: request: a refund needs an id of its own, an order and an amount: not sent": {RefundID: "P1", OrderID: "P1", Amount: 100},
	} {
		if _, err := client.RefundOnce(t.Context(), intent); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestRefundThatTheStoreForgot: the process remembers a refund that may have
// left, even if the store does not, and the gateway does not show it yet.
func TestRefundThatTheStoreForgot(t *testing.T) {
	t.Parallel()
	intent := ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 100}
	once := func(ctx context.Context, c *ottpay.Client) error {
		_, err := c.RefundOnce(ctx, intent)
		return err
	}
	for _, tt := range []struct {
		name    string
		first   func(context.Context, *ottpay.Client) error
		answers []string // to each REFUND; "" is a broken connection
		calls   int      // after the first
		sent    int
		last    error // that the last call matches, or nil
	}{
		{"lost", once, []string{""}, 3, 1, ottpay.ErrDuplicate},
		{"lost by Refund", func(ctx context.Context, c *ottpay.Client) error {
			_, err := c.Refund(ctx, &api.RefundRequest{OrderID: "R1", OriOrderID: "P1", RefundAmt: 100})
			return err
		}, []string{"", "PARAM_ERROR"}, 3, 1, ottpay.ErrDuplicate},
		{"refused as wrong, then sent", once, []string{"PARAM_ERROR", "SUCCESS"}, 1, 2, nil},
		{"refused twice, then lost", once, []string{"PARAM_ERROR", "PARAM_ERROR", ""}, 3, 2, ottpay.ErrDuplicate},
		{"failed", once, []string{"FAIL"}, 2, 1, ottpay.ErrDuplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, _ := newTill(t)
			g.knows = false
			b := newBase(t, func(b *base, n int, req opened) (*http.Response, error) {
				if req.Action == "REFUND" {
					g.answer = tt.answers[min(g.sent, len(tt.answers)-1)]
				}
				return g.step(b, n, req)
			})
			cfg := b.config()
			cfg.RefundStore = forgetful{}
			c := newClient(t, cfg)
			err := tt.first(t.Context(), c)
			if err == nil {
				t.Fatal("the first call did not fail")
			}
			for range tt.calls {
				_, err = c.RefundOnce(t.Context(), intent)
			}
			if g.sent != tt.sent || !errors.Is(err, tt.last) {
				t.Errorf("sent %d times, want %d; the last: %v", g.sent, tt.sent, err)
			}
			if err != nil && (errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrUnknownOutcome)) {
				t.Errorf("got %v, which is not unknown", err)
			}
		})
	}
}

// TestResolveOfAForeignRow: a row that RefundOnce did not take for the refund is
// not taken for it by Resolve either.
func TestResolveOfAForeignRow(t *testing.T) {
	t.Parallel()
	for _, row := range []string{
		`{"order_id":"R1","order_status":"success","total_amount":300}`,
		`{"order_id":"R1","order_status":"success"}`,
		`{"order_id":"R1","order_status":"closed","total_amount":900}`,
		`{"order_id":"R1","order_status":"init","total_amount":300}`,
	} {
		b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
			if req.Action == "REFUND" {
				t.Errorf("%s: sent", row)
			}
			return b.say("SUCCESS", row)
		})
		cfg := b.config()
		cfg.Sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		c := newClient(t, cfg)
		_, err := c.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 300})
		if !errors.Is(err, ottpay.ErrNotSent) {
			t.Errorf("%s: %v", row, err)
		}
		if res, err := c.Resolve(t.Context(), err); res.Verdict != ottpay.VerdictUnknown || err == nil {
			t.Errorf("%s: resolved as %v, %v", row, res.Verdict, err)
		}
	}
}
