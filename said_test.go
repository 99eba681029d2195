package ottpay_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// TestWhatTheGatewaySays: the gateway's own message and code are in the error's
// text and in the line of the call, without values and in one line.
func TestWhatTheGatewaySays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code, message string
		text          string // between the action and the verdict
		attrs         string
	}{
		{"FAIL", "shop_id is not active", `FAIL (failure): the gateway says "shop_id is not active"`, `code=FAIL gateway="shop_id is not active"`},
		{"fail", "Failure", "FAIL (failure)", "code=FAIL"},
		{"FAIL", "", "FAIL (failure)", "code=FAIL"},
		{"SHOP_CLOSED", "closed\r\n2026 level=ERROR", `SHOP_CLOSED (undocumented response code): the gateway says "closed 2026 level=ERROR"`, `code=SHOP_CLOSED gateway="closed 2026 level=ERROR"`},
		{"FAIL", "no such order: A1001", `FAIL (failure): the gateway says "no such order: …"`, `code=FAIL gateway="no such order: …"`},
		{"FAIL", "card 4111111111111111 of wx1 refused, call 911", `FAIL (failure): the gateway says "card … of … refused, call 911"`, `code=FAIL gateway="card … of … refused, call 911"`},
		{"FAIL", "x" + strings.Repeat("é", 200), `FAIL (failure): the gateway says "x` + strings.Repeat("é", 59) + `"`, `code=FAIL gateway=x` + strings.Repeat("é", 59)},
		{"FAIL", "ask li@shop.example or https://x.example/?t=1 now", `FAIL (failure): the gateway says "ask … or … now"`, `code=FAIL gateway="ask … or … now"`},
		{"SHOP_CLOSED", "Shop_closed", "SHOP_CLOSED (undocumented response code)", "code=SHOP_CLOSED"},
		{"FAIL", "terminal 123456 of 1234567", `FAIL (failure): the gateway says "terminal 123456 of …"`, `code=FAIL gateway="terminal 123456 of …"`},
		{"FAIL", "1234567 and 765", `FAIL (failure): the gateway says "… and 765"`, `code=FAIL gateway="… and 765"`},
		{"FAIL", "o1 of " + "https:" + " 500 cents", `FAIL (failure): the gateway says "o1 of https: … cents"`, `code=FAIL gateway="o1 of https: … cents"`},
		{"FAIL", "error 7", `FAIL (failure): the gateway says "error 7"`, `code=FAIL gateway="error 7"`},
		{"FAIL", strings.Repeat("1", 256) + "x", `FAIL (failure): the gateway says "…"`, `code=FAIL gateway=…`},
		{strings.Repeat("X", 40), "", strings.Repeat("X", 40) + " (undocumented response code)", "code=" + strings.Repeat("X", 40)},
		{strings.Repeat("X", 41), "", "undocumented response code", "code=other"},
		{"lower_case", "", "undocumented response code", "code=other"},
		{"A1001", "", "undocumented response code", "code=other"},
		{"not a code!", "", "undocumented response code", "code=other"},
		{"E1234567", "", "undocumented response code", "code=other"},
	} {
		b := newBase(t, nil)
		b.step = func(int, opened) (*http.Response, error) {
			return b.answer(envelope.Response{Code: tt.code, Message: tt.message})
		}
		cfg := b.config()
		var log lockedBuffer
		cfg.Logger = log.logger()
		_, err := newClient(t, cfg).MiniProgramPay(t.Context(), &api.MiniProgramPayRequest{
			OrderID: "A1001", Amount: 500, AppID: "wx1", OpenID: "o1", CallBackURL: "https://shop.example/x",
		})
		var failed *ottpay.Error
		if !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), "ottpay: MAPPPAY: "+tt.text) {
			t.Errorf("%q %q: got %v", tt.code, tt.message, err)
		}
		if !strings.Contains(log.String(), " "+tt.attrs+"\n") {
			t.Errorf("%q %q: logged %s", tt.code, tt.message, log.String())
		}
		if tt.message != "" && !strings.HasPrefix(failed.Message, tt.message[:1]) {
			t.Errorf("message %q", failed.Message)
		}
	}
}

// TestQueriesMayBeRepeated: a query that failed is not told "do not repeat".
func TestQueriesMayBeRepeated(t *testing.T) {
	t.Parallel()
	for _, step := range []func(*base) (*http.Response, error){
		func(*base) (*http.Response, error) { return nil, http.ErrHandlerTimeout },
		func(*base) (*http.Response, error) { return status(502, "") },
		func(b *base) (*http.Response, error) { return b.say("SYSTEM_ERROR", "") },
		func(b *base) (*http.Response, error) {
			return b.say("SUCCESS", `{"order_id":"O2","order_status":"success"}`)
		},
	} {
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return step(b) })
		cfg := b.config()
		cfg.Attempts = 1
		_, err := newClient(t, cfg).StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"})
		if err == nil || strings.Contains(err.Error(), "do not repeat") {
			t.Errorf("got %v", err)
		}
		if inner := errors.Unwrap(err); inner != nil && strings.Contains(inner.Error(), "do not repeat") {
			t.Errorf("got %v", inner)
		}
	}
}

// TestCardWithoutAPage: an answer that leaves the payer with nowhere to go is an
// unknown outcome, for the order may be there.
func TestCardWithoutAPage(t *testing.T) {
	t.Parallel()
	for data, ok := range map[string]bool{
		`{"orderId":"A1001","codeUrl":"https://card.example/"}`:  true,
		`{"orderId":"A1001","code_url":"https://card.example/"}`: true,
		`{"orderId":"A1001","tn":"20200414689"}`:                 true,
		`{"orderId":"A1001","tn":20200414689}`:                   true,
		`{"orderId":"A1001","codeUrl":""}`:                       false,
		`{"orderId":"A1001","codeUrl":null,"tn":""}`:             false,
		`{"rspCode":"PROCESSING"}`:                               false,
	} {
		for _, code := range []string{"SUCCESS", "PROCESSING"} {
			b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return b.say(code, data) })
			client := newClient(t, b.config())
			req := api.CardPurchaseRequest{
				OrderID: "A1001", TxnTime: "20260102030405", TxnAmt: 500, FrontURL: "https://shop.example/f", BackURL: "https://shop.example/b",
				ChannelType: "ELAVONECOM", BizType: "converge_hosted", CCChannelType: "web",
			}
			preauth := api.CardPreauthRequest(req)
			_, purchaseErr := client.CardPurchase(t.Context(), &req)
			_, preauthErr := client.CardPreauth(t.Context(), &preauth)
			for _, err := range []error{purchaseErr, preauthErr} {
				if ok && err != nil || !ok && (!errors.Is(err, ottpay.ErrUnknownOutcome) || !errors.Is(err, ottpay.ErrInvalid) || !strings.Contains(err.Error(), "codeUrl")) {
					t.Errorf("%s %s: got %v", code, data, err)
				}
			}
		}
	}
}

// TestHostedCardIsAskedForByItsChannel: Resolve and AwaitPayment put the query
// that was seen to work for the hosted page, and CC_QUERYPAY for UnionPay.
func TestHostedCardIsAskedForByItsChannel(t *testing.T) {
	t.Parallel()
	for channel, want := range map[string]string{"ELAVONECOM": "STATUS_QUERY", "UPAYONLINE": "CC_QUERYPAY"} {
		var asked opened
		b := newBase(t, func(b *base, n int, req opened) (*http.Response, error) {
			if n == 1 {
				return b.say("SUCCESS", `{"orderId":"A1001"}`)
			}
			asked = req
			return b.say("SUCCESS", `{"orderId":"A1001","order_status":"success","amount":500,"total_amount":500}`)
		})
		client := newClient(t, b.config())
		_, err := client.CardPurchase(t.Context(), &api.CardPurchaseRequest{
			OrderID: "A1001", TxnTime: "20260102030405", TxnAmt: 500, FrontURL: "https://shop.example/f", BackURL: "https://shop.example/b",
			ChannelType: channel, BizType: "converge_hosted", CCChannelType: "web",
		})
		check := func(what string, members ...string) {
			t.Helper()
			if asked.Action != want {
				t.Errorf("%s, %s: asked with %s", what, channel, asked.Action)
			}
			for _, name := range members {
				if asked.text(name) == "" {
					t.Errorf("%s, %s: asked without %s: %v", what, channel, name, asked.data)
				}
			}
			if channel == "UPAYONLINE" && len(asked.data) != 1 {
				t.Errorf("%s: asked %v", what, asked.data)
			}
			asked = opened{}
		}
		hosted := map[string][]string{"ELAVONECOM": {"order_id", "orderId", "merchant_id", "bizType", "txnTime", "channelType"}}[channel]
		if res, err := client.Resolve(t.Context(), err); err != nil || !res.Paid() || string(res.Query) != want {
			t.Errorf("%s: got %+v, %v", channel, res, err)
		}
		check("Resolve", hosted...)
		card := ottpay.HostedCard{ChannelType: channel, BizType: "converge_hosted", TxnTime: "20260102030405"}
		if p, err := client.AwaitPayment(t.Context(), "A1001", ottpay.AwaitConfig{Card: card}); err != nil || !p.Matches(500) {
			t.Errorf("%s: got %+v, %v", channel, p, err)
		}
		check("AwaitPayment", hosted...)
	}
}
