package ottpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/vectors"
	"github.com/ottpaykit/ottpay/middleware"
)

// lost is the error of a payment whose answer never came.
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
		outcome ottpay.Verdict
		query   string
		paid    bool
		last    string // what is told of the last query, "" if it only did not decide
	}{
		{"paid", lost(api.ActionMAPPPAY), "SUCCESS", row("SUCCESS"), ottpay.VerdictHappened, "STATUS_QUERY", true, ""},
		{"order stands", lost(api.ActionH5PAY), "SUCCESS", row("notpay"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"in-app order stands", lost(ottpay.ActionInAppPay), "SUCCESS", row("init"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"refunded since", lost(api.ActionACTIVEPAY), "SUCCESS", row("fully_refunded"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"partly refunded since", lost(api.ActionACTIVEPAY), "SUCCESS", row("partial_refunded"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"reversed since", lost(api.ActionPASSIVEPAY), "SUCCESS", row("fully_reversal"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"order under way", lost(api.ActionH5PAY), "SUCCESS", row("processing"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"scan held", lost(api.ActionPASSIVEPAY), "SUCCESS", row("authorised"), ottpay.VerdictUnknown, "STATUS_QUERY", false, ""},
		{"refund not paid", lost(api.ActionREFUND), "SUCCESS", row("notpay"), ottpay.VerdictUnknown, "STATUS_QUERY", false, ""},
		{"the query is refused", lost(api.ActionH5PAY), "PARAM_INVALID", "", ottpay.VerdictUnknown, "STATUS_QUERY", false, "PARAM_INVALID"},
		{"closed", lost(api.ActionACTIVEPAY), "SUCCESS", row("orderclosed"), ottpay.VerdictDidNotHappen, "STATUS_QUERY", false, ""},
		{"scan failed", lost(api.ActionPASSIVEPAY), "SUCCESS", row("failure"), ottpay.VerdictDidNotHappen, "STATUS_QUERY", false, ""},
		{"scan under way", lost(api.ActionPASSIVEPAY), "SUCCESS", row("processing"), ottpay.VerdictUnknown, "STATUS_QUERY", false, ""},
		{"scan not paid", lost(api.ActionPASSIVEPAY), "SUCCESS", row("notpay"), ottpay.VerdictUnknown, "STATUS_QUERY", false, ""},
		{"refund done", lost(api.ActionREFUND), "SUCCESS", row("success"), ottpay.VerdictHappened, "STATUS_QUERY", false, ""},
		{"refund begun", lost(api.ActionREFUND), "SUCCESS", row("init"), ottpay.VerdictUnknown, "STATUS_QUERY", false, ""},
		{"refund refused", lost(api.ActionREFUND), "SUCCESS", row("failure"), ottpay.VerdictDidNotHappen, "STATUS_QUERY", false, ""},
		{"card", lost(api.ActionCC_PURCHASE), "SUCCESS", row("captured"), ottpay.VerdictHappened, "CC_QUERYPAY", true, ""},
		{"card held", lost(api.ActionCC_PREAUTH), "SUCCESS", row("authorised"), ottpay.VerdictHappened, "CC_QUERYPAY", false, ""},
		{"unknown status", lost(api.ActionH5PAY), "SUCCESS", row("whatever"), ottpay.VerdictUnknown, "STATUS_QUERY", false, ""},
		{"a row without an order", lost(api.ActionH5PAY), "SUCCESS", `{"order_status":"success"}`, ottpay.VerdictUnknown, "STATUS_QUERY", false, "unconfirmed: answer-without-order"},
		{"another's row", lost(api.ActionH5PAY), "SUCCESS", `{"order_status":"success","order_id":"O2"}`, ottpay.VerdictUnknown, "STATUS_QUERY", false, "the answer names another order"},
		{"not found, perhaps", lost(api.ActionH5PAY), "FAIL", "", ottpay.VerdictUnknown, "STATUS_QUERY", false, "FAIL (failure)"},
		{"not sent", &ottpay.Error{Action: api.ActionREFUND, OrderID: "O1", NotSent: true}, "SUCCESS", row("success"), ottpay.VerdictDidNotHappen, "", false, ""},
		{"an unverified refusal", &ottpay.Error{Action: api.ActionH5PAY, OrderID: "O1", Class: api.ClassFailed}, "SUCCESS", row("success"), ottpay.VerdictHappened, "STATUS_QUERY", true, ""},
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
				if res.Verdict != tt.outcome || asked != tt.query || res.Paid() != tt.paid || string(res.Query) != tt.query || res.OrderID != "O1" {
					t.Errorf("got %+v, asked %q", res, asked)
				}
				if (err == nil) != (res.Verdict != ottpay.VerdictUnknown) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if err != nil && (strings.Contains(err.Error(), "%!") || strings.Contains(err.Error(), "the last query: ") != (tt.last != "") || !strings.Contains(err.Error(), tt.last)) {
					t.Errorf("got %q, want the last query's %q", err, tt.last)
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
		outcome    ottpay.Verdict
	}{
		{"FAIL", `{"order_id":"O1"}`, payH5, ottpay.VerdictDidNotHappen},
		{"PARAM_INVALID", `{"order_id":"O1"}`, payH5, ottpay.VerdictDidNotHappen},
		{"FAIL", `{}`, payH5, ottpay.VerdictUnknown},
		{"FAIL", ``, payH5, ottpay.VerdictUnknown},
		{"ORDER_USED", `{"order_id":"O1"}`, payH5, ottpay.VerdictUnknown},
		{"FAIL", `{"order_id":"O1"}`, refund, ottpay.VerdictUnknown},
		{"FAIL", `{"order_id":"O1"}`, payByCode, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1"}`, payByCode, ottpay.VerdictDidNotHappen},
		{"PARAM_INVALID", `{"order_id":"O1","order_status":""}`, refund, ottpay.VerdictDidNotHappen},
		// It names the payment, and not the refund.
		{"PARAM_INVALID", `{"order_id":"P1"}`, refund, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"REF1"}`, refund, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1"}`, refund, ottpay.VerdictDidNotHappen},
		{"PARAM_INVALID", `{"order_id":"O1","order_status":"orderclosed","refund_fee":0,"code_url":"","payinfo":{}}`, refund, ottpay.VerdictDidNotHappen},
		// The data says otherwise, and the code is authenticated by nothing.
		{"FAIL", `{"order_id":"O1","order_status":"success"}`, payH5, ottpay.VerdictUnknown},
		{"FAIL", `{"order_id":"O1","code_url":"https://pay.example"}`, payH5, ottpay.VerdictUnknown},
		{"FAIL", `{"order_id":"O1","payinfo":"{}"}`, payH5, ottpay.VerdictUnknown},
		{"FAIL", `{"order_id":"O1","payInfo":{"appId":"1"}}`, payH5, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1","Order_Status":" SUCCESS"}`, payH5, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1","order_status":"new"}`, refund, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1","refund_status":"success"}`, refund, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1","refund_fee":5}`, refund, ottpay.VerdictUnknown},
		{"PARAM_INVALID", `{"order_id":"O1","refund_amount":"x"}`, refund, ottpay.VerdictUnknown},
	} {
		t.Run(tt.code+tt.data, func(t *testing.T) {
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
				if res.Verdict != tt.outcome {
					t.Errorf("%s %s: %v", tt.code, tt.data, res.Verdict)
				}
			})
		})
	}
}

func payH5(ctx context.Context, c *ottpay.Client) error {
	req := h5Request()
	req.OrderID = "O1"
	_, err := c.H5Pay(ctx, req)
	return err
}

func payByCode(ctx context.Context, c *ottpay.Client) error {
	return payments["PASSIVEPAY"](ctx, c, "O1", false)
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
	if err != nil || res.Verdict != ottpay.VerdictHappened || res.Paid() {
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
		if res, got := client.Resolve(t.Context(), err); got == nil || res.Verdict != ottpay.VerdictUnknown {
			t.Errorf("%v: got %v, %v", err, res.Verdict, got)
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
			p, err := newClient(t, b.config()).AwaitPayment(ctx, "O1", ottpay.AwaitConfig{Feed: new(ottpay.Notifier)})
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
					p, err := client.AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{Feed: &news})
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

// TestAskPayer: the row of a paid checkout need not name the order. The order's
// own row does, and must agree.
func TestAskPayer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		checkout, order string
		queries         int
		reason          middleware.Reason
	}{
		"paid":                        {checkoutRow("SUCCESS", ""), `{"order_id":"G1","order_status":"success","total_amount":500}`, 2, ""},
		"another amount":              {checkoutRow("SUCCESS", ""), `{"order_id":"G1","order_status":"success","total_amount":499}`, 2, middleware.ReasonAnswerWithoutOrder},
		"no amount":                   {checkoutRow("SUCCESS", ""), `{"order_id":"G1","order_status":"success"}`, 2, middleware.ReasonAnswerWithoutOrder},
		"an order not named":          {checkoutRow("SUCCESS", ""), `{"order_status":"success","total_amount":500}`, 2, middleware.ReasonAnswerWithoutOrder},
		"not paid":                    {checkoutRow("SUCCESS", ""), `{"order_id":"G1","order_status":"init","total_amount":500}`, 2, middleware.ReasonNotPaidYet},
		"returned":                    {checkoutRow("SUCCESS", ""), `{"order_id":"G1","order_status":"success","total_amount":500,"refund_fee":500}`, 2, middleware.ReasonRefunded},
		"a checkout returned in full": {strings.Replace(checkoutRow("SUCCESS", ""), "{", `{"refund_fee":500,`, 1), `{"order_id":"G1","order_status":"success","total_amount":500}`, 1, middleware.ReasonAnswerWithoutOrder},
		"a checkout returned in part": {strings.Replace(checkoutRow("SUCCESS", ""), "{", `{"refund_fee":1,`, 1), `{"order_id":"G1","order_status":"success","total_amount":500}`, 1, middleware.ReasonAnswerWithoutOrder},
		"a refund's row":              {strings.Replace(checkoutRow("SUCCESS", ""), "{", `{"ori_order_id":"X1",`, 1), `{"order_id":"G1","order_status":"success","total_amount":500}`, 1, middleware.ReasonAnswerWithoutOrder},
		"a checkout not paid":         {checkoutRow("PROCESSING", ""), `{"order_id":"G1","order_status":"success","total_amount":500}`, 1, middleware.ReasonAnswerWithoutOrder},
		"a checkout that names it":    {checkoutRow("SUCCESS", "G1"), `{}`, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queries := 0
			b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
				queries++
				if req.Action == "PREPAY_QUERY" {
					return b.say("SUCCESS", tt.checkout)
				}
				return b.say("SUCCESS", tt.order)
			})
			d := &middleware.Delivery{Merchant: merchant, OrderID: "G1", Kind: "paid", Amount: 500, Notification: &api.Notification{PrepayOrderID: "O1"}}
			a, err := newClient(t, b.config()).Ask(t.Context(), d)
			if err != nil || queries != tt.queries {
				t.Errorf("%d queries, %v", queries, err)
			}
			got := a.Mismatch(middleware.Wanted{OrderID: "G1", Checkout: "O1", Merchant: merchant, Kind: "paid", Amount: func(c field.Cents) bool { return c == 500 }})
			if got != tt.reason {
				t.Errorf("reason %q, want %q, of %+v", got, tt.reason, a)
			}
		})
	}
}

// TestAskPayerOfASplice: only the callback says which order paid a checkout, and
// a callback that may have been put together is not taken at its word.
func TestAskPayerOfASplice(t *testing.T) {
	t.Parallel()
	const shop, checkout, order = "TS00000001", "Mg5e1iVgBK2CG1bFFtCU", "EDRG5E70QV49BLGWY09D"
	queries := 0
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		queries++
		if req.Action == "PREPAY_QUERY" {
			return b.say("SUCCESS", strings.NewReplacer(merchant, shop, `"O1"`, `"`+checkout+`"`).Replace(checkoutRow("SUCCESS", "")))
		}
		return b.say("SUCCESS", `{"order_id":"`+order+`","order_status":"success","total_amount":500}`)
	})
	cfg := b.config()
	cfg.Keys = middleware.StaticKeys{merchant: {b.key}, shop: {b.key}}
	client := newClient(t, cfg)
	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: cfg.Keys, Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: client, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range vectors.Splices() {
		if !strings.Contains(s.Payload, checkout) {
			continue
		}
		for _, blocks := range [][]int{s.Order, vectors.UpTo(len(s.Payload) / 16)} {
			sealed, err := b.key.Seal([]byte(s.Payload))
			if err != nil {
				t.Fatal(err)
			}
			sealed.Data = vectors.Arrange(t, sealed.Data, blocks...)
			body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: shop, Sealed: sealed})
			if err != nil {
				t.Fatal(err)
			}
			d, err := webhook.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			queries = 0
			want := 2
			if d.SpliceSign() != "" {
				want = 1
			}
			if a, err := client.Ask(t.Context(), d); err != nil || queries != want || (a.OrderID == order) != (want == 2) {
				t.Errorf("sign %q: %d queries, %+v, %v", d.SpliceSign(), queries, a, err)
			}
		}
		return
	}
	t.Error("no splice of a checkout")
}

// TestResolveOrder: what a shop knows after a restart is enough.
func TestResolveOrder(t *testing.T) {
	t.Parallel()
	asked := ""
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		asked = req.Action + " " + req.text("order_id") + req.text("prepay_order_id")
		switch {
		case req.Action == "PREPAY_QUERY":
			return b.say("SUCCESS", checkoutRow("PROCESSING", ""))
		case req.text("order_id") == "R1":
			return b.say("SUCCESS", `{"order_id":"R1","order_status":"success","total_amount":5,"refund_fee":5}`)
		}
		return b.say("SUCCESS", `{"order_id":"O1","order_status":"success","total_amount":5,"amount":5}`)
	})
	client := newClient(t, b.config())
	for _, tt := range []struct {
		resolve func() (ottpay.Resolution, error)
		asked   string
		paid    bool
	}{
		{func() (ottpay.Resolution, error) { return client.ResolveOrder(t.Context(), api.ActionMAPPPAY, "O1") }, "STATUS_QUERY O1", true},
		{func() (ottpay.Resolution, error) {
			return client.ResolveOrder(t.Context(), ottpay.ActionInAppPay, "O1")
		}, "STATUS_QUERY O1", true},
		{func() (ottpay.Resolution, error) { return client.ResolveOrder(t.Context(), api.ActionCC_PREAUTH, "O1") }, "CC_QUERYPAY O1", true},
		{func() (ottpay.Resolution, error) {
			return client.ResolveOrder(t.Context(), api.ActionPREPAY_INIT, "O1")
		}, "PREPAY_QUERY O1", false},
		{func() (ottpay.Resolution, error) {
			return client.ResolveRefund(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 5})
		}, "STATUS_QUERY R1", false},
		{func() (ottpay.Resolution, error) {
			return client.ResolveRefund(t.Context(), ottpay.RefundIntent{RefundID: "R1"})
		}, "STATUS_QUERY R1", false},
	} {
		res, err := tt.resolve()
		if err != nil || res.Verdict != ottpay.VerdictHappened || asked != tt.asked || res.Paid() != tt.paid {
			t.Errorf("%s: got %+v, %v, asked %s", tt.asked, res, err, asked)
		}
		if res.Action == api.ActionREFUND && res.Status != "success" { // its own status, and not that of a payment that was returned
			t.Errorf("%s: a refund's status is %s", tt.asked, res.Status)
		}
	}
	if res, err := client.ResolveOrder(t.Context(), api.ActionSTATUS_QUERY, "O1"); err == nil || res != (ottpay.Resolution{Action: api.ActionSTATUS_QUERY, OrderID: "O1"}) {
		t.Errorf("a query: %v, %v", res, err)
	}
	if res, err := client.ResolveOrder(t.Context(), api.ActionMAPPPAY, ""); err == nil || res != (ottpay.Resolution{Action: api.ActionMAPPPAY}) {
		t.Errorf("no id: %v, %v", res, err)
	}
}

// TestResolveAsksAgain: what the gateway says of one query need not be what it says
// of the next. Only a query that this client cannot send ends the asking.
func TestResolveAsksAgain(t *testing.T) {
	t.Parallel()
	const paid = `{"order_id":"O1","order_status":"success","total_amount":500}`
	for name, first := range map[string]func(*base) (*http.Response, error){
		"refused":            func(b *base) (*http.Response, error) { return b.say("PARAM_INVALID", "") },
		"refused, with data": func(b *base) (*http.Response, error) { return b.say("PARAM_INVALID", `{"order_id":"O1"}`) },
		"no such order":      func(b *base) (*http.Response, error) { return b.say("NO_SUCH_ORDER", "") },
		"a redirect":         func(*base) (*http.Response, error) { return status(302, "") },
		"another order": func(b *base) (*http.Response, error) {
			return b.say("SUCCESS", `{"order_id":"O2","order_status":"closed"}`)
		},
		"no connection": func(*base) (*http.Response, error) { return nil, &net.OpError{Op: "dial", Err: io.EOF} },
	} {
		b := newBase(t, func(b *base, n int, _ opened) (*http.Response, error) {
			if n == 1 {
				return first(b)
			}
			return b.say("SUCCESS", paid)
		})
		cfg := b.config()
		cfg.Attempts = 1
		waits := 0
		cfg.Sleep = func(context.Context, time.Duration) error {
			if waits++; waits > 3 {
				return context.DeadlineExceeded
			}
			return nil
		}
		if res, err := newClient(t, cfg).Resolve(t.Context(), lost(api.ActionH5PAY)); err != nil || !res.Paid() || b.n != 2 {
			t.Errorf("%s: got %+v, %v after %d queries", name, res, err, b.n)
		}
	}
	for name, change := range map[string]func(*ottpay.Config, *hooks){
		"no keys": func(_ *ottpay.Config, h *hooks) {
			h.keys = func(context.Context, string) ([]envelope.Key, error) { return nil, nil }
		},
		"a broken rule": func(cfg *ottpay.Config, _ *hooks) { cfg.Validator = refusesAll{} },
		"a panic":       func(cfg *ottpay.Config, _ *hooks) { cfg.Validator = new(panics) },
	} {
		b := newBase(t, func(*base, int, opened) (*http.Response, error) { t.Errorf("%s: asked", name); return nil, io.EOF })
		cfg := b.config()
		h := new(hooks)
		cfg.Keys = h
		cfg.Sleep = func(context.Context, time.Duration) error { t.Errorf("%s: waits", name); return context.Canceled }
		change(&cfg, h)
		if h.keys == nil {
			h.keys = staticKeys(t).Keys
		}
		if res, err := newClient(t, cfg).Resolve(t.Context(), lost(api.ActionH5PAY)); err == nil || res.Verdict != ottpay.VerdictUnknown {
			t.Errorf("%s: got %+v, %v", name, res, err)
		}
	}
}

// refusesAll is a Validator that admits nothing.
type refusesAll struct{}

func (refusesAll) StructCtx(context.Context, any) error { return errors.New("no") }

// panics is a Validator that does.
type panics struct{}

func (*panics) StructCtx(context.Context, any) error { panic("validator") }

// TestResolveComparesTheAmount: what stands under the order's id is not what was
// asked for. A fee or a tip may have been added.
func TestResolveComparesTheAmount(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]ottpay.Verdict{
		`"total_amount":500`:                       ottpay.VerdictHappened,
		`"total_amount":506`:                       ottpay.VerdictHappened,
		`"receive_amount":500`:                     ottpay.VerdictHappened,
		`"pay_amount":1`:                           ottpay.VerdictHappened, // the payer's, and perhaps in another currency
		`"tip":0`:                                  ottpay.VerdictHappened,
		`"total_amount":499`:                       ottpay.VerdictUnknown,
		`"total_amount":0`:                         ottpay.VerdictUnknown,
		`"total_amount":500,"merchant_id":"B2"`:    ottpay.VerdictUnknown,
		`"total_amount":500,"ori_order_id":"P1"`:   ottpay.VerdictUnknown, // a refund
		`"total_amount":500,"receive_amount":1000`: ottpay.VerdictHappened,
	} {
		b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
			if req.Action == "STATUS_QUERY" {
				return b.say("SUCCESS", `{"order_id":"O1","order_status":"success",`+row+`}`)
			}
			return nil, io.ErrUnexpectedEOF
		})
		cfg := b.config()
		cfg.Sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		client := newClient(t, cfg)
		res, err := client.Resolve(t.Context(), payH5(t.Context(), client))
		if res.Verdict != want || (err == nil) != (want != ottpay.VerdictUnknown) || want == ottpay.VerdictUnknown && res.Paid() {
			t.Errorf("%s: got %+v, %v", row, res, err)
		}
	}
}

// TestReturnedUnderAnyName: an order of which something was returned is not paid,
// under whichever of its names the gateway writes the amount, in every query.
func TestReturnedUnderAnyName(t *testing.T) {
	t.Parallel()
	for action, row := range map[api.Action]string{
		api.ActionMAPPPAY:     `"order_id":"A1","total_amount":1999,"order_status":"success"`,
		api.ActionCC_PURCHASE: `"order_id":"A1","amount":1999,"order_status":"success"`,
	} {
		for member, paid := range map[string]bool{
			"": true, `,"refund_fee":0`: true, `,"refund_amt":"0"`: true,
			`,"refund_fee":5`: false, `,"refund_amt":5`: false, `,"refund_amount":"5"`: false,
			`,"refund_fee":0,"refund_amt":"1999"`: false,
		} {
			b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
				return b.say("SUCCESS", "{"+row+member+"}")
			})
			res, err := newClient(t, b.config()).ResolveOrder(t.Context(), action, "A1")
			if err != nil || res.Verdict != ottpay.VerdictHappened || res.Paid() != paid {
				t.Errorf("%s %s: got %+v, %v", action, member, res, err)
			}
		}
	}
}
