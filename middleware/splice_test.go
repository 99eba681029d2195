package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"encoding/base64"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// splice seals payload and arranges the cipher blocks anew, without the key:
// blocks are counted from 0, and the one with padding is the last of order.
func splice(tb testing.TB, payload string, order ...int) []byte {
	tb.Helper()
	sealed, err := mustKey(tb, publishedKey).Seal([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(sealed.Data)
	if err != nil {
		tb.Fatal(err)
	}
	var arranged []byte
	for _, b := range order {
		arranged = append(arranged, ciphertext[b*16:b*16+16]...)
	}
	sealed.Data = base64.StdEncoding.EncodeToString(arranged)
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// upTo is the honest order. The functions below change it by one operation.
func upTo(last int) (all []int) {
	for b := range last + 1 {
		all = append(all, b)
	}
	return all
}

func without(last, block int) []int {
	return append(upTo(block-1), upTo(last)[block+1:]...)
}

func inserted(last, block, before int) []int {
	return append(append(upTo(before-1), block), upTo(last)[before:]...)
}

func moved(last, block, before int) (order []int) {
	for b := range last + 1 {
		if b == before {
			order = append(order, block)
		}
		if b != block {
			order = append(order, b)
		}
	}
	return order
}

// The splices below open under the digest of the honest message, fit every rule
// of the schema and say something that the gateway never said.
func splices(tb testing.TB) map[string]struct {
	body  []byte
	word  string
	wrong string // what the payload must say now, to be worth refusing
} {
	return map[string]struct {
		body  []byte
		word  string
		wrong string
	}{
		"an authorisation turned into a payment": {
			splice(tb, `{"amount":"1","tip":"0","order_status":"authorised","order_id":"T20240102030405001","finish_time":"20240102160501","bizpay_order_id":"4200012345678901234567890123"}`,
				inserted(10, 9, 2)...),
			"name", `"order_s6789012345678901tatus":"authorised"`,
		},
		"an amount that takes a digit of the remark": {
			splice(tb, `{"tip":"0","merchant_id":"TS00000001","biz_type":"WECHATPAY","bizpay_order_id":"2024081792417905977055165374","finish_time":"2024-03-22 01:18:08","amount":"1005","prepay_order_id":"Mg5e1iVgBK2CG1bFFtCU","remarks":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","attach":"9999999999999999999999999999999999999999999999999","order_id":"EDRG5E70QV49BLGWY09D"}`,
				moved(22, 9, 20)...),
			"reading", `"amount":"10059"`,
		},
		"a time that gives a block to the channel's id": {
			splice(tb, `{"amount":"100463","order_status":"captured","order_id":"2022101007561O815O6754","finish_time":"2024-05-08 04:59:48 CST","bizpay_order_id":"WX202301281437446310"}`,
				moved(10, 6, 10)...),
			"length", `"finish_time":":48 CST"`,
		},
		"a status that takes the payer's id": {
			splice(tb, `{"amount":"199978","biz_type":"WECHATPAY","bizpay_order_id":"4200059418510619782287975600","convenience_fee":"0","finish_time":"2025-02-13 16:07:45 CST","merchant_id":"TS00000001","order_id":"T354E1FJJJ26HU5DGGRT","order_status":"authorised","sub_openId":"oQsvINB3V3g4qkxgEXkHB0Kext8O","tip":"0"}`,
				without(18, 15)...),
			"length", `"order_status":"authorisedoQsvINB3V3g4qkxgEXkHB0Kext8O"`,
		},
		"a merchant whose name is gone": {
			splice(tb, `{"order_id":"2023100718378O394O0799","amount":"554","bizpay_order_id":"AL487318155811118","sub_openId":"oUU14d6IjlugecEMKWlE0xuh72Ye","order_status":"AUTHORISED","tip":"100","remarks":"00000000000000000000000000","merchant_id":"TS00000001","finish_time":"2021-02-20 21:59:28 CST","attach_info":"","operator_id":"0000020156"}`,
				inserted(20, 18, 14)...),
			"block", `"merchant_iinfo":"","operatd":"TS00000001"`,
		},
		"a status and a merchant whose names are cut apart": {
			splice(tb, `{"order_id":"2020070640266O214O1572","Tip":"250","amount":"100743","finish_time":"2024-07-09 02:22:05 CST","order_status":"success","operator_id":"0000020156","merchant_id":"TS00000001","bizpay_order_id":"2026010698038671971407731114","sale_num":"6653228657","remarks":"happy birthday"}`,
				moved(17, 9, 7)...),
			"name", `"orde":"0000020156","r_status":"success","operator_idmerchant_id":"TS00000001"`,
		},
		"a merchant under a payer's id": {
			splice(tb, "{\n    \"currency\" : \"CAD\",\n    \"transaction_currency_code\" : \"124\",\n    \"amount\" : \"25004\",\n    \"tip\" : \"0\",\n    \"order_id\" : \"web_16395555\",\n    \"sub_openId\" : \"oTzRN95ogVV6lgv6SeLktnMs4-4p\",\n    \"bizpay_order_id\" : \"WX202312011346346851\",\n    \"merchant_id\" : \"TS00000001\",\n    \"remarks\" : \"3721027804658631699810726577789948423476701098380144705748090006\",\n    \"finish_time\" : \"2020-02-26 02:32:38 CST\",\n    \"order_status\" : \"captured\"\n}",
				append(append(upTo(14), 10), upTo(27)[16:]...)...),
			"name", `"oTzRN95ogVV6lgv" : "TS00000001"`,
		},
	}
}

// TestSplice: a splice reaches no handler without a query, and is never
// refused for good.
func TestSplice(t *testing.T) {
	t.Parallel()
	for name, c := range splices(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refusal *middleware.Refusal
			var log bytes.Buffer
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { refusal = r }
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			d, err := w.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.body)))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if d.SpliceSign() != c.word || !strings.Contains(string(d.Payload.JSON), c.wrong) {
				t.Errorf("sign %q, want %q, of %s", d.SpliceSign(), c.word, d.Payload.JSON)
			}
			var s shop
			if rw := post(s.behind(w), c.body); rw.Code != http.StatusServiceUnavailable || s.runs.Load() != 0 {
				t.Errorf("answer %d, handled %d times", rw.Code, s.runs.Load())
			}
			if refusal == nil || refusal.Reason != "possible-splice" || !refusal.Authentic() || refusal.OrderID != d.OrderID ||
				!strings.HasSuffix(fmt.Sprint(refusal.Err), c.word) {
				t.Errorf("refusal %+v", refusal)
			}
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "reason=possible-splice") {
				t.Errorf("no alarm: %s", &log)
			}
		})
	}
}

// TestSpliceAsked: with an Asker the answer decides, and the handler is told.
func TestSpliceAsked(t *testing.T) {
	t.Parallel()
	body := splices(t)["an amount that takes a digit of the remark"].body
	for _, c := range []struct {
		paid   field.Cents
		status int
		runs   int32
	}{{1005, 503, 0}, {10059, 200, 1}} {
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				return middleware.Answer{OrderID: d.OrderID, Status: "success", Amount: &c.paid}, nil
			})
		})
		var s shop
		rw := post(middleware.Handle(w, func(ctx context.Context, n *api.Notification) error {
			if d, ok := middleware.FromContext(ctx); !ok || d.SpliceSign() != "reading" {
				t.Error("the handler is not told")
			}
			return s.handle(ctx, n)
		}), body)
		if rw.Code != c.status || s.runs.Load() != c.runs {
			t.Errorf("paid %d: answer %d, handled %d times", c.paid, rw.Code, s.runs.Load())
		}
	}
}

func TestOrderIDLength(t *testing.T) {
	t.Parallel()
	with := func(min, max int) func(*middleware.Config) {
		return func(cfg *middleware.Config) { cfg.OrderIDLength = [2]int{min, max} }
	}
	for _, c := range []struct {
		min, max int
		order    string
		want     string
	}{
		{0, 0, "T1", ""},
		{36, 36, "0b4fb1a3-91f1-4b4e-8f0d-2a3c9d7e5f60", ""},
		{36, 36, "0b4fb1a3-91f1-4b4e-8", "length"},
		{1, 2, "T1", ""},
		{3, 12, "T1", "length"},
	} {
		w := newWebhook(t, with(c.min, c.max))
		body := callback(t, strings.Replace(paid, `"T1"`, `"`+c.order+`"`, 1))
		d, err := w.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		if err != nil || d.SpliceSign() != c.want {
			t.Errorf("%d to %d, %q: sign %q, %v", c.min, c.max, c.order, d.SpliceSign(), err)
		}
	}
	cfg := middleware.Config{Keys: middleware.StaticKeys{}, Store: nothing{}, Validator: validate.New(), OrderIDLength: [2]int{4, 3}}
	if _, err := middleware.New(cfg); err == nil {
		t.Error("no error")
	}
}
