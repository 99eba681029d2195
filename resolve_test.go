package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// lost is what is left of a payment whose answer never came.
func lost(action api.Action) error {
	return fmt.Errorf("wrapped: %w", &ottpay.Error{Action: action, OrderID: "O1"})
}

func TestResolve(t *testing.T) {
	t.Parallel()
	row := func(status string) string {
		return `{"order_id":"O1","order_status":"` + status + `","total_amount":5}`
	}
	for _, tt := range []struct {
		name    string
		err     error
		code    string
		data    string
		outcome ottpay.Outcome
		query   string
		paid    bool
	}{
		{"paid", lost(api.ActionMAPPPAY), "SUCCESS", row("SUCCESS"), ottpay.Happened, "STATUS_QUERY", true},
		{"order stands", lost(api.ActionH5PAY), "SUCCESS", row("notpay"), ottpay.Happened, "STATUS_QUERY", false},
		{"in-app order stands", lost(ottpay.ActionInAppPay), "SUCCESS", row("init"), ottpay.Happened, "STATUS_QUERY", false},
		{"refunded since", lost(api.ActionACTIVEPAY), "SUCCESS", row("fully_refunded"), ottpay.Happened, "STATUS_QUERY", false},
		{"closed", lost(api.ActionACTIVEPAY), "SUCCESS", row("orderclosed"), ottpay.DidNotHappen, "STATUS_QUERY", false},
		{"scan failed", lost(api.ActionPASSIVEPAY), "SUCCESS", row("failure"), ottpay.DidNotHappen, "STATUS_QUERY", false},
		{"scan under way", lost(api.ActionPASSIVEPAY), "SUCCESS", row("processing"), ottpay.StillUnknown, "STATUS_QUERY", false},
		{"scan not paid", lost(api.ActionPASSIVEPAY), "SUCCESS", row("notpay"), ottpay.StillUnknown, "STATUS_QUERY", false},
		{"refund done", lost(api.ActionREFUND), "SUCCESS", row("success"), ottpay.Happened, "STATUS_QUERY", false},
		{"refund begun", lost(api.ActionREFUND), "SUCCESS", row("init"), ottpay.StillUnknown, "STATUS_QUERY", false},
		{"refund refused", lost(api.ActionREFUND), "SUCCESS", row("failure"), ottpay.DidNotHappen, "STATUS_QUERY", false},
		{"card", lost(api.ActionCC_PURCHASE), "SUCCESS", row("captured"), ottpay.Happened, "CC_QUERYPAY", true},
		{"card held", lost(api.ActionCC_PREAUTH), "SUCCESS", row("authorised"), ottpay.Happened, "CC_QUERYPAY", false},
		{"unknown status", lost(api.ActionH5PAY), "SUCCESS", row("whatever"), ottpay.StillUnknown, "STATUS_QUERY", false},
		{"nobody's row", lost(api.ActionH5PAY), "SUCCESS", `{"order_status":"success"}`, ottpay.StillUnknown, "STATUS_QUERY", false},
		{"another's row", lost(api.ActionH5PAY), "SUCCESS", `{"order_status":"success","order_id":"O2"}`, ottpay.StillUnknown, "STATUS_QUERY", false},
		{"not found, perhaps", lost(api.ActionH5PAY), "FAIL", "", ottpay.StillUnknown, "STATUS_QUERY", false},
		{"not sent", &ottpay.Error{Action: api.ActionREFUND, OrderID: "O1", NotSent: true}, "SUCCESS", row("success"), ottpay.DidNotHappen, "", false},
		{"an unverified refusal", &ottpay.Error{Action: api.ActionH5PAY, OrderID: "O1", Class: api.ClassFailed}, "SUCCESS", row("success"), ottpay.Happened, "STATUS_QUERY", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := ""
				b := newBase(t, func(b *base, n int, req opened) (*http.Response, error) {
					asked = req.Action
					if n <= 3 { // all attempts of the first query
						return nil, io.ErrUnexpectedEOF
					}
					return b.say(tt.code, tt.data)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				res, err := newClient(t, b.config()).Resolve(ctx, tt.err)
				if res.Outcome != tt.outcome || asked != tt.query || res.Paid() != tt.paid || string(res.Query) != tt.query || res.OrderID != "O1" {
					t.Errorf("got %+v, asked %q", res, asked)
				}
				if (err == nil) != (res.Outcome != ottpay.StillUnknown) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if b.n > 60 {
					t.Errorf("asked %d times in a minute", b.n)
				}
			})
		})
	}
}

func TestResolveOfVerifiedRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code, data string
		call       func(context.Context, *ottpay.Client) error
		outcome    ottpay.Outcome
	}{
		{"FAIL", `{"order_id":"O1"}`, payH5, ottpay.DidNotHappen},
		{"PARAM_INVALID", `{"order_id":"O1"}`, payH5, ottpay.DidNotHappen},
		{"FAIL", `{}`, payH5, ottpay.StillUnknown},
		{"FAIL", ``, payH5, ottpay.StillUnknown},
		{"ORDER_USED", `{"order_id":"O1"}`, payH5, ottpay.StillUnknown},
		{"FAIL", `{"order_id":"O1"}`, refund, ottpay.StillUnknown},
		{"PARAM_INVALID", `{"order_id":"O1"}`, refund, ottpay.DidNotHappen},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBase(t, func(b *base, n int, _ opened) (*http.Response, error) {
				if n == 1 {
					return b.say(tt.code, tt.data)
				}
				return b.say("NO_SUCH_ORDER", "")
			})
			client := newClient(t, b.config())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			res, _ := client.Resolve(ctx, tt.call(ctx, client))
			if res.Outcome != tt.outcome {
				t.Errorf("%s %s: %v", tt.code, tt.data, res.Outcome)
			}
		})
	}
}

func payH5(ctx context.Context, c *ottpay.Client) error {
	req := h5Request()
	req.OrderID = "O1"
	_, err := c.H5Pay(ctx, req)
	return err
}

func refund(ctx context.Context, c *ottpay.Client) error {
	_, err := c.Refund(ctx, &api.RefundRequest{OrderID: "O1", OriOrderID: "P1", RefundAmt: 5})
	return err
}

func TestResolveCheckout(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		if req.Action != "PREPAY_QUERY" || req.text("prepay_order_id") != "O1" {
			t.Errorf("asked %s for %q", req.Action, req.text("prepay_order_id"))
		}
		return b.say("SUCCESS", checkoutRow("PROCESSING", ""))
	})
	res, err := newClient(t, b.config()).Resolve(t.Context(), lost(api.ActionPREPAY_INIT))
	if err != nil || res.Outcome != ottpay.Happened || res.Paid() {
		t.Errorf("got %+v, %v", res, err)
	}
}

func checkoutRow(status, orderID string) string {
	return `{"rspCode":"SUCCESS","rspMsg":"ok","status":"` + status + `","merchant_id":"` + merchant + `","merchant_name":"m","shop_id":"s","operator_id":"o",` +
		`"amount":500,"prepay_order_id":"O1","order_id":"` + orderID + `","sale_num":"1","biz_type":"PREPAY","currency_type":"CAD","duration":"600",` +
		`"create_time":"20200416050429","expire_time":"20200416050429","payments_methods":[]}`
}

func TestResolveRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(*base, int, opened) (*http.Response, error) { t.Error("asked"); return nil, io.EOF })
	client := newClient(t, b.config())
	for _, err := range []error{
		nil, io.EOF, lost(api.ActionSTATUS_QUERY), lost("NO_SUCH_ACTION"), &ottpay.Error{Action: api.ActionREFUND},
		&ottpay.Error{Action: api.ActionREFUND, OrderID: "O1", MerchantID: "a stranger"},
	} {
		if res, got := client.Resolve(t.Context(), err); got == nil || res.Outcome != ottpay.StillUnknown {
			t.Errorf("%v: got %v, %v", err, res.Outcome, got)
		}
	}
}

func TestAwaitPayment(t *testing.T) {
	t.Parallel()
	statuses := func(list ...string) func(*base, int, opened) (*http.Response, error) {
		return func(b *base, n int, _ opened) (*http.Response, error) {
			return b.say("SUCCESS", `{"order_id":"O1","order_status":"`+list[min(n, len(list))-1]+`","total_amount":500}`)
		}
	}
	t.Run("polls until it is paid", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBase(t, statuses("init", "notpay", "processing", "success"))
			p, err := newClient(t, b.config()).AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{})
			if err != nil || !p.Matches(500) || p.Matches(501) || p.Notified || b.n != 4 {
				t.Errorf("got %+v, %v after %d", p, err, b.n)
			}
		})
	})
	t.Run("closed is settled, too", func(t *testing.T) {
		t.Parallel()
		b := newBase(t, statuses("ORDERCLOSED"))
		p, err := newClient(t, b.config()).AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{})
		if err != nil || p.Paid() || !p.Status.Final() {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("time runs out", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBase(t, statuses("notpay"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			p, err := newClient(t, b.config()).AwaitPayment(ctx, "O1", ottpay.AwaitConfig{News: new(ottpay.Notifier)})
			if !errors.Is(err, context.DeadlineExceeded) || p.Paid() || p.Status != "notpay" {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	})
	t.Run("a checkout", func(t *testing.T) {
		t.Parallel()
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
			return b.say("SUCCESS", checkoutRow("SUCCESS", "G1"))
		})
		p, err := newClient(t, b.config()).AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{Query: api.ActionPREPAY_QUERY})
		if err != nil || !p.Matches(500) || p.OrderID != "G1" {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("a payment that was returned", func(t *testing.T) {
		t.Parallel()
		for row, want := range map[string]api.OrderStatus{
			`{"order_id":"O1","order_status":"success","total_amount":500,"refund_fee":500}`:         api.StatusFullyRefunded,
			`{"order_id":"O1","order_status":"Trade_Finished ","total_amount":500,"refund_fee":"1"}`: api.StatusPartialRefunded,
		} {
			b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return b.say("SUCCESS", row) })
			p, err := newClient(t, b.config()).AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{})
			if err != nil || p.Paid() || p.Matches(500) || p.Status != want {
				t.Errorf("%s: got %+v, %v", row, p, err)
			}
		}
	})
	t.Run("paid, in the gateway's other spellings", func(t *testing.T) {
		t.Parallel()
		for _, status := range []string{"success ", " TRADE_FINISHED", "Captured"} {
			b := newBase(t, statuses(status))
			p, err := newClient(t, b.config()).AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{})
			if err != nil || !p.Matches(500) || b.n != 1 {
				t.Errorf("%q: got %+v, %v after %d", status, p, err, b.n)
			}
		}
	})
	t.Run("the webhook is first", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var news ottpay.Notifier
			b := newBase(t, statuses("notpay"))
			client := newClient(t, b.config())
			var wg sync.WaitGroup
			for range 3 { // more than one may wait
				wg.Go(func() {
					p, err := client.AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{News: &news})
					if err != nil || !p.Matches(500) || !p.Notified {
						t.Errorf("got %+v, %v", p, err)
					}
				})
			}
			time.Sleep(1500 * time.Millisecond) // the bubble's clock
			delivery := func(merchantID, orderID, kind string) *middleware.Delivery {
				return &middleware.Delivery{Merchant: merchantID, OrderID: orderID, Kind: kind, Amount: 500, Notification: &api.Notification{}}
			}
			news.Notify(delivery(merchant, "O2", "paid"))
			news.Notify(delivery("another", "O1", "paid"))
			news.Notify(delivery(merchant, "O1", "authorised"))
			synctest.Wait()
			start := time.Now()
			news.Notify(delivery(merchant, "O1", "paid"))
			news.Notify(delivery(merchant, "O1", "paid")) // a redelivery
			wg.Wait()
			if took := time.Since(start); took != 0 {
				t.Errorf("the news took %v", took)
			}
		})
	})
}

func TestAsk(t *testing.T) {
	t.Parallel()
	var queries []string
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		queries = append(queries, req.MerchantID+" "+req.Action+" "+req.text("order_id")+req.text("prepay_order_id"))
		if req.Action == "PREPAY_QUERY" {
			return b.say("SUCCESS", checkoutRow("SUCCESS", "G1"))
		}
		return b.say("SUCCESS", `{"order_id":"G1","order_status":"success","total_amount":500,"amount":500}`)
	})
	cfg := b.config()
	cfg.Keys = middleware.StaticKeys{merchant: {b.key}, "B2": {b.key}}
	cfg.NotificationQuery = func(d *middleware.Delivery) api.Action {
		if d.Merchant == "B2" {
			return api.ActionCC_QUERYPAY
		}
		return ""
	}
	client := newClient(t, cfg)
	for _, d := range []*middleware.Delivery{
		{Merchant: merchant, OrderID: "G1", Notification: &api.Notification{}},
		{Merchant: merchant, OrderID: "G1", Notification: &api.Notification{PrepayOrderID: "O1"}},
		{Merchant: "B2", OrderID: "G1", Notification: &api.Notification{}},
	} {
		a, err := client.Ask(t.Context(), d)
		if err != nil || a.OrderID != "G1" || !a.Status.Paid() || a.Amount == nil || *a.Amount != 500 || a.Refund {
			t.Errorf("got %+v, %v", a, err)
		}
	}
	if want := "[" + merchant + " STATUS_QUERY G1 " + merchant + " PREPAY_QUERY O1 B2 CC_QUERYPAY G1]"; fmt.Sprint(queries) != want {
		t.Errorf("asked %v", queries)
	}
}

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
			if res, err := client.Resolve(t.Context(), err); err != nil || res.Outcome != ottpay.Happened {
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
