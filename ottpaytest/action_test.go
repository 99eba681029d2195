package ottpaytest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// prepare makes the order that the example of an action's request speaks of,
// by whichever action makes such orders.
func prepare(t *testing.T, g *ottpaytest.Gateway, info api.ActionInfo, data object) {
	t.Helper()
	create := func(maker api.Action, id string) {
		made, _ := api.LookupAction(string(maker))
		ask(t, g, maker, request(t, maker).with(made.OrderMember, id, "amount", "500"), api.CodeSuccess)
	}
	switch info.Effect {
	case api.EffectQueryOrder:
		create(api.ActionACTIVEPAY, data.text(info.OrderMember))
	case api.EffectQueryCheckout:
		create(api.ActionPREPAY_INIT, data.text(info.OrderMember))
	case api.EffectRefund:
		create(api.ActionACTIVEPAY, data.text("ori_order_id"))
		if err := g.Pay(data.text("ori_order_id")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryAction sends the document's example of every action. Nothing here
// names the actions: one that is added to the document is tested, too.
func TestEveryAction(t *testing.T) {
	t.Parallel()
	for _, info := range api.Actions() {
		for _, without := range []ottpaytest.Quirk{0, ottpaytest.AllQuirks} {
			name := string(info.Name) + " with quirks"
			if without != 0 {
				name = string(info.Name) + " without quirks"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := newGateway(t, func(c *ottpaytest.Config) {
					c.Without = without
					c.Redelivery = []time.Duration{}
				})
				data := request(t, info.Name)
				prepare(t, g, info, data)
				r := post(t, g, seal(t, info.Name, data))
				if c := api.Code(r.Code).Class(); c != api.ClassSuccess && c != api.ClassPending {
					t.Fatalf("code %s (%s)", r.Code, r.Message)
				}
				checkAnswer(t, info, data, r, without == 0)

				id := data.text(info.OrderMember)
				switch {
				case info.Kind == api.KindEffect && info.Effect != api.EffectNone:
					if o, ok := g.Order(id); !ok || o.Effects != 1 || o.Action != info.Name {
						t.Errorf("order %+v, %t", o, ok)
					}
					again := post(t, g, seal(t, info.Name, data))
					if c := api.Code(again.Code).Class(); c != api.ClassDuplicate {
						t.Errorf("used again: %s, want a duplicate", again.Code)
					}
					if n := g.Attempts(id); n != 2 {
						t.Errorf("%d attempts, want 2", n)
					}
				case info.Kind == api.KindQuery && id != "":
					if n := g.Effects(id); n != 1 {
						t.Errorf("%d effects after a query, want the order's own", n)
					}
				}
			})
		}
	}
}

func checkAnswer(t *testing.T, info api.ActionInfo, data object, r reply, quirks bool) {
	t.Helper()
	schema, ok := api.LookupSchema(info.Response)
	if !ok {
		t.Fatalf("no schema %s", info.Response)
	}
	if err := schema.Check([]byte(r.plain)); err != nil {
		t.Errorf("%v: %s", err, r.plain)
	}
	if r.form != envelope.FormJava {
		t.Errorf("form %v, want java", r.form)
	}
	for _, m := range schema.Members {
		got, present := r.data[m.Name]
		if m.Echo != "" && present && r.data.text(m.Name) != data.text(m.Echo) {
			t.Errorf("%s = %v, want the request's %s %v", m.Name, got, m.Echo, data[m.Echo])
		}
		_, number := got.(json.Number)
		if want := quirks && m.Number && (m.Kind == api.MemberAmount || m.Kind == api.MemberRate); present && m.Kind != api.MemberRaw && number != want {
			t.Errorf("%s = %v: number %t, want %t", m.Name, got, number, want)
		}
	}
	if blanks := strings.Contains(r.Data, " "); blanks != quirks {
		t.Errorf("blanks in data: %t, want %t: %s", blanks, quirks, r.Data)
	}
	for i, part := range strings.Split(r.Data, " ") {
		if quirks && len(part) != 60 && i != strings.Count(r.Data, " ") {
			t.Errorf("line %d of data has %d characters, want 60", i, len(part))
		}
	}
	// = stands in payInfo and at the end of most data.
	if quirks && (strings.Contains(r.body, "=") || strings.Contains(r.plain, "=")) {
		t.Errorf("a bare = in %s or %s", r.body, r.plain)
	}
	if !quirks && strings.Contains(r.body+r.plain, `\u003d`) {
		t.Errorf(`\u003d in %s or %s`, r.body, r.plain)
	}
}

// TestQuirksSeen makes sure that the quirks above are not looked for where
// they cannot occur.
func TestQuirksSeen(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	order := request(t, api.ActionMAPPPAY).with("amount", "12345678")
	r := ask(t, g, api.ActionMAPPPAY, order, api.CodeSuccess)
	if !strings.Contains(r.plain, `prepay_id\\u003dwx`) {
		t.Errorf(`no \u003d inside payInfo: %s`, r.plain)
	}
	if !strings.Contains(r.plain, `"amount":12345678,`) { // digested as 1.2345678E7
		t.Errorf("no number: %s", r.plain)
	}
	seen := false
	for n := range 3 { // the length of data goes by blocks; one in three has no =
		order := order.with("order_id", strings.Repeat("x", 1+16*n))
		seen = seen || strings.Contains(ask(t, g, api.ActionMAPPPAY, order, api.CodeSuccess).body, `\u003d`)
	}
	if !seen {
		t.Error(`no \u003d in data`)
	}
}

// TestBlankAtTheEnd looks at data whose length is a multiple of 60.
func TestBlankAtTheEnd(t *testing.T) {
	t.Parallel()
	for n := 500; ; n++ {
		e, _ := opened(t, ottpaytest.NewNotification(ottpaytest.Notification{
			MerchantID: merchantID, SignKey: signKey, Extra: map[string]any{"remarks": strings.Repeat("r", n)},
		}))
		data := strings.ReplaceAll(e.Data, " ", "")
		if len(data)%60 != 0 {
			continue
		}
		if !strings.HasSuffix(e.Data, " ") || len(e.Data) != len(data)/60*61 {
			t.Errorf("%d letters became %d", len(data), len(e.Data))
		}
		return
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	order := request(t, api.ActionH5PAY)
	h5 := func(change func(*envelope.Request)) envelope.Request {
		e := seal(t, api.ActionH5PAY, order)
		change(&e)
		return e
	}
	foreign := func(plain string) envelope.Sealed {
		s, err := key(t, "FFFFFFFFFFFFFFFF").Seal([]byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tests := []struct {
		name    string
		request envelope.Request
		code    api.Code
		says    string // in rsp_msg
		sealed  bool   // once QuirkBareFailures is off
	}{
		{"unknown merchant", h5(func(e *envelope.Request) { e.MerchantID = "TS00000009" }), api.CodePwdIncorrect, "", false},
		{"foreign key", h5(func(e *envelope.Request) { e.Sealed = foreign(`{"order_id":"1"}`) }), api.CodePwdIncorrect, "", false},
		{"digest", h5(func(e *envelope.Request) { e.MD5 = strings.Repeat("0", 32) }), api.CodePwdIncorrect, "", false},
		{"numbers digested as written", h5(func(e *envelope.Request) { e.Action, e.Version, e.Sealed = "STATUS_QUERY", "1.0", rawForm }), api.CodePwdIncorrect, "", false},
		{"unknown action", h5(func(e *envelope.Request) { e.Action = "CC_REFUND" }), api.CodeParamError, "action", true},
		{"action in lower case", h5(func(e *envelope.Request) { e.Action = "h5pay" }), api.CodeParamError, "action", true},
		{"version", h5(func(e *envelope.Request) { e.Version = "1.0" }), api.CodeParamError, "version", true},
		{"no version", h5(func(e *envelope.Request) { e.Version = "" }), api.CodeParamError, "version", true},
		{"terminal", h5(func(e *envelope.Request) { e.TerminalNo = "1" }), api.CodeParamError, "terminal_no", true},
		{"md5 is not hexadecimal", h5(func(e *envelope.Request) { e.MD5 = strings.Repeat("z", 32) }), api.CodeParamError, "malformed", false},
		{"no data", h5(func(e *envelope.Request) { e.Data = "" }), api.CodeParamError, "malformed", false},
		{"no amount", seal(t, api.ActionH5PAY, order.with("amount", nil)), api.CodeParamError, "amount required", true},
		{"amount is a number", seal(t, api.ActionH5PAY, order.with("amount", 5)), api.CodeParamError, "amount string", true},
		{"amount 0", seal(t, api.ActionH5PAY, order.with("amount", "0")), api.CodeParamError, "amount", true},
		{"dollars", seal(t, api.ActionH5PAY, order.with("amount", "5.00")), api.CodeParamError, "amount", true},
		{"constant", seal(t, api.ActionH5PAY, order.with("biz_type", "ALIPAY")), api.CodeParamError, "biz_type", true},
		{"plain http", seal(t, api.ActionH5PAY, order.with("call_back_url", "http://shop.example/")), api.CodeParamError, "call_back_url", true},
		{"card number", seal(t, api.ActionH5PAY, order.with("cc_number", "4111")), api.CodeParamError, "card data", true},
		{"another merchant inside", seal(t, api.ActionH5PAY, order.with("merchant_id", "TS00000002")), api.CodeParamInvalid, "merchant_id", true},
		{"currency", seal(t, api.ActionH5PAY, order.with("currency_type", "USD")), api.CodeCurrencyNotSupport, "", true},
		{"unknown order", seal(t, api.ActionSTATUS_QUERY, object{"order_id": "none"}), api.CodeParamInvalid, "order", true},
		{"unknown checkout", seal(t, api.ActionPREPAY_QUERY, object{"prepay_order_id": "none", "merchant_id": merchantID}), api.CodeParamInvalid, "order", true},
		{"refund of nothing", seal(t, api.ActionREFUND, object{"order_id": "R", "ori_order_id": "none", "refund_amt": "1"}), api.CodeParamInvalid, "payment", true},
		{"refund of what is not paid", seal(t, api.ActionREFUND, object{"order_id": "R", "ori_order_id": "open", "refund_amt": "1"}), api.CodeParamInvalid, "paid", true},
		{"no rate", seal(t, api.ActionEX_RATE_QUERY, object{"fee_type": "XXX"}), api.CodeCurrencyNotSupport, "", true},
		{"another wallet's code", seal(t, api.ActionPASSIVEPAY, request(t, api.ActionPASSIVEPAY).with("biz_type", "ALIPAY")), api.CodeAuthCodeInvalid, "", true},
	}
	for _, quirk := range []ottpaytest.Quirk{0, ottpaytest.QuirkBareFailures} {
		g := newGateway(t, func(c *ottpaytest.Config) {
			c.Currency = "CAD"
			c.Without = quirk
			c.Rate = rateOfCAD
		})
		ask(t, g, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "open"), api.CodeSuccess)
		for _, tt := range tests {
			name := tt.name
			if quirk != 0 {
				name += " sealed"
			}
			t.Run(name, func(t *testing.T) {
				before := len(g.Orders())
				r := post(t, g, tt.request)
				if r.Code != string(tt.code) || !strings.Contains(r.Message, tt.says) || r.Message == "" {
					t.Errorf("%s: %s, want %s: …%s…", r.Code, r.Message, tt.code, tt.says)
				}
				if sealed := r.Data != ""; sealed != (tt.sealed && quirk != 0) {
					t.Errorf("sealed %t", sealed)
				}
				if after := len(g.Orders()); after != before {
					t.Errorf("%d orders, want %d", after, before)
				}
				for _, value := range []string{"4111", "5.00", "shop.example"} {
					if strings.Contains(r.Message, value) {
						t.Errorf("the message quotes a value: %s", r.Message)
					}
				}
			})
		}
		last := g.Requests()
		if n := len(last); n != len(tests)+1 || last[n-1].Code != string(tests[len(tests)-1].code) || last[n-1].Action != string(api.ActionPASSIVEPAY) {
			t.Errorf("%d requests, want %d", n, len(tests)+1)
		}
	}
}

// TestMalformed posts what is no envelope.
func TestMalformed(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, body := range []string{"", "{}", "[]", "null", "e30=", `{"action":"H5PAY","action":"H5PAY"}`, "a=b", strings.Repeat("[", 1000)} {
		if r := read(t, send(t, g, []byte(body))); r.Code != string(api.CodeParamError) || r.Data != "" {
			t.Errorf("%.20q: %s", body, r.body)
		}
	}
	r, err := g.Client().Get(g.URL + "/processV2")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %s", r.Status)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *ottpaytest.Config) {
		c.Versions = map[api.Action][]string{api.ActionMAPPPAY: {"1.0"}}
	})
	e := seal(t, api.ActionMAPPPAY, request(t, api.ActionMAPPPAY))
	e.Version = "1.0"
	if r := post(t, g, e); r.Code != "SUCCESS" {
		t.Errorf("1.0: %s %s", r.Code, r.Message)
	}
}

func TestMerchants(t *testing.T) {
	t.Parallel()
	const other, second = "TS00000002", "0000000000000002"
	g := newGateway(t, func(c *ottpaytest.Config) {
		c.Merchants = map[string][]string{other: {second}, merchantID: {"0000000000000001"}}
	})
	sealed := func(merchant, signKey string, data string) envelope.Request {
		s, err := key(t, signKey).Seal([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return envelope.Request{Action: "STATUS_QUERY", Version: "1.0", MerchantID: merchant, Sealed: s}
	}
	ask(t, g, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "mine"), api.CodeSuccess)
	if r := postRaw(t, g, sealed(other, second, `{"order_id":"mine"}`)); r.Code != "PARAM_INVALID" {
		t.Errorf("another merchant's order: %s", r.Code)
	}
	r := postRaw(t, g, sealed(merchantID, "0000000000000001", `{"order_id":"mine"}`))
	if _, err := key(t, "0000000000000001").Open(r.Sealed); r.Code != "SUCCESS" || err != nil {
		t.Errorf("second key: %s, %v", r.Code, err)
	}
	if r := postRaw(t, g, sealed(other, signKey, `{"order_id":"mine"}`)); r.Code != "PWD_INCORRECT" {
		t.Errorf("key of another merchant: %s", r.Code)
	}
	if got := g.Merchants(); !slices.Equal(got, []string{merchantID, other}) {
		t.Errorf("merchants %v", got)
	}
}

func TestInStore(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	online := ask(t, g, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY), api.CodeSuccess)
	e := seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "S1"))
	e.TerminalNo, e.OperatorID = "0001", "0000020156"
	inStore := post(t, g, e)
	if online.data.text("bizpay_order_id") == "" || inStore.Code != "SUCCESS" || inStore.data.text("bizpay_order_id") != "" {
		t.Errorf("online %s, in store %s", online.plain, inStore.plain)
	}
	if last := g.Requests()[1]; last.TerminalNo != "0001" || last.OperatorID != "0000020156" || last.Order != "S1" || last.Code != "SUCCESS" {
		t.Errorf("recorded %+v", last)
	}
}

func TestScannedCode(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *ottpaytest.Config) {
		c.Scan = func(o ottpaytest.Order, code string) api.Code {
			if o.Amount > 10_000 {
				return api.CodeProcessing // the payer must enter his password
			}
			return map[string]api.Code{"134567890123456789": api.CodeSuccess}[code]
		}
	})
	pay := request(t, api.ActionPASSIVEPAY)
	r := ask(t, g, api.ActionPASSIVEPAY, pay.with("order_id", "P1"), api.CodeSuccess)
	if r.data["order_status"] != "success" {
		t.Errorf("answer %s", r.plain)
	}
	r = ask(t, g, api.ActionPASSIVEPAY, pay.with("order_id", "P2", "amount", "10001"), api.CodeProcessing)
	if r.data["order_status"] != "processing" {
		t.Errorf("answer %s", r.plain)
	}
	if err := g.Pay("P2"); err != nil {
		t.Fatal(err)
	}
	if q := ask(t, g, api.ActionSTATUS_QUERY, object{"order_id": "P2"}, api.CodeSuccess); q.data["order_status"] != "success" {
		t.Errorf("query %s", q.plain)
	}
	if n := len(g.Deliveries("P2")); n != 0 {
		t.Errorf("%d callbacks for an order without a URL", n)
	}
}

func TestCheckout(t *testing.T) {
	t.Parallel()
	now := noon
	g, s := newGateway(t, func(c *ottpaytest.Config) { c.SetNow(func() time.Time { return now }) }), newShop(t)
	open := func(id string) reply {
		return ask(t, g, api.ActionPREPAY_INIT, request(t, api.ActionPREPAY_INIT).with(
			"prepay_order_id", id, "amount", "700", "sale_num", "S"+id, "duration", "60",
			"call_back_url", s.URL, "redirect_url", s.URL+"/thanks?x=1"), api.CodeSuccess)
	}
	query := func(id string) object {
		return ask(t, g, api.ActionPREPAY_QUERY, object{"prepay_order_id": id, "merchant_id": merchantID}, api.CodeSuccess).data
	}
	r := open("C1")
	if r.data["expire_time"] != "2025-03-04 07:01:00" {
		t.Errorf("answer %s", r.plain)
	}
	if q := query("C1"); q["status"] != "PROCESSING" || q.text("order_id") != "" || q["sale_num"] != "SC1" {
		t.Errorf("query %v", q)
	}

	// The payer's browser: the page, one wallet preselected, and the way back.
	link := r.data.text("payinfo") + "?selected=ALIPAY"
	page, err := g.Client().Get(link)
	if err != nil {
		t.Fatal(err)
	}
	html, err := io.ReadAll(page.Body)
	page.Body.Close()
	if err != nil || strings.Count(string(html), "Pay by") != 1 || !strings.Contains(string(html), "7.00 CAD") {
		t.Errorf("page: %s", html)
	}
	if page.StatusCode != http.StatusOK || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("page: %s", page.Status)
	}
	browser := &http.Client{Transport: g.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	done, err := browser.PostForm(link, url.Values{"method": {"ALIPAY"}})
	if err != nil {
		t.Fatal(err)
	}
	done.Body.Close()
	back, err := done.Location()
	if err != nil {
		t.Fatalf("%s: %v", done.Status, err)
	}
	if q := back.Query(); back.Path != "/thanks" || q.Get("x") != "1" || q.Get("total_fee") != "700" ||
		q.Get("out_trade_no") != "C1" || q.Get("trade_status") != " Trade_Finished" || !strings.HasPrefix(q.Get("trade_no"), "AL") {
		t.Errorf("back to %s", back)
	}

	wait(t, g)
	n := notified(t, s.received()[0])
	schema, _ := api.LookupSchema("CheckoutNotification")
	if err := schema.Check([]byte(n.plain)); err != nil || n.data["prepay_order_id"] != "C1" || n.data["sale_num"] != "SC1" {
		t.Errorf("callback %s: %v", n.plain, err)
	}
	payment := n.data.text("order_id")
	if q := query("C1"); q["status"] != "SUCCESS" || q.text("order_id") != payment || q.text("bizpay_order_id") != n.data["bizpay_order_id"] {
		t.Errorf("query %v", q)
	}
	if o, ok := g.Order(payment); !ok || o.CheckoutID != "C1" || o.Amount != 700 {
		t.Errorf("payment %+v", o)
	}
	if d := g.Deliveries("C1"); len(d) != 1 || d[0].OrderID != payment {
		t.Errorf("deliveries %v", d)
	}
	ask(t, g, api.ActionREFUND, object{"order_id": "R1", "ori_order_id": payment, "refund_amt": "700"}, api.CodeSuccess)

	open("C2")
	now = now.Add(time.Minute)
	if q := query("C2"); q["status"] != "ORDERCLOSE" {
		t.Errorf("expired: %v", q)
	}
	if err := g.Pay("C2"); err == nil {
		t.Error("a checkout that had expired was paid")
	}
}

func TestH5Link(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	browser := &http.Client{Transport: g.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tests := []struct {
		id, do, back string
		status       int
		paid         api.OrderStatus
	}{
		{"H1", "pay", "https://shop.example/back?x=1", http.StatusSeeOther, api.StatusSuccess},
		{"H2", "decline", "http://127.0.0.1/back", http.StatusSeeOther, api.StatusFailure},
		{"H3", "nonsense", "", http.StatusBadRequest, api.StatusInit},
		{"H4", "pay", "javascript:alert(1)", http.StatusSeeOther, api.StatusSuccess},
	}
	for _, tt := range tests {
		r := ask(t, g, api.ActionH5PAY, request(t, api.ActionH5PAY).with("order_id", tt.id), api.CodeSuccess)
		link := r.data.text("payinfo") + "?redirect_url=" + url.QueryEscape(tt.back)
		done, err := browser.PostForm(link, url.Values{"do": {tt.do}})
		if err != nil {
			t.Fatal(err)
		}
		done.Body.Close()
		to := done.Header.Get("Location")
		if web := strings.HasPrefix(tt.back, "http"); done.StatusCode != tt.status || web && to != tt.back || !web && strings.Contains(to, ":") {
			t.Errorf("%s: %s to %s", tt.id, done.Status, to)
		}
		if o, _ := g.Order(tt.id); o.Status != tt.paid {
			t.Errorf("%s is %s", tt.id, o.Status)
		}
		if tt.paid != api.StatusInit {
			again, err := browser.PostForm(link, url.Values{"do": {"pay"}})
			if err != nil {
				t.Fatal(err)
			}
			again.Body.Close()
			if again.StatusCode != http.StatusConflict {
				t.Errorf("%s again: %s", tt.id, again.Status)
			}
		}
	}
	none, err := browser.Get(g.URL + "/pay/" + merchantID + "/none")
	if err != nil {
		t.Fatal(err)
	}
	none.Body.Close()
	if none.StatusCode != http.StatusNotFound {
		t.Errorf("no order: %s", none.Status)
	}
}

func TestInAppPay(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t), newShop(t)
	call := func(data object) object {
		body, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := g.Client().Post(g.URL+"/inAppPay", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var out object
		if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	pay := object{
		"userId": "wxOurApp", "amount": "1250", "bizType": "WECHATPAY", "merchant_id": merchantID,
		"operator_id": "0000020156", "call_back_url": s.URL, "order_id": "I1", "tip": "5",
	}
	if r := call(pay); r["tradeNo"] != "I1" || r["appId"] != "wxOurApp" || r["reAmount"] != "1250" || r["package_"] != "Sign=WXPay" || r["rsp_code"] != nil {
		t.Errorf("answer %v", r)
	}
	for _, tt := range []struct {
		data object
		code api.Code
	}{
		{pay, api.CodeOrderUsed},
		{pay.with("merchant_id", "TS00000009", "order_id", "I2"), api.CodePwdIncorrect},
		{pay.with("userId", nil, "order_id", "I2"), api.CodeParamError},
		{pay.with("amount", "1.00", "order_id", "I2"), api.CodeParamError},
		{pay.with("bizType", "ALIPAY", "order_id", "I2"), api.CodeParamError},
	} {
		if r := call(tt.data); r["rsp_code"] != string(tt.code) || r["tradeNo"] != nil {
			t.Errorf("%v, want %s", r, tt.code)
		}
	}
	if err := g.Pay("I1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	if n := notified(t, s.received()[0]); n.data["order_id"] != "I1" || n.data["amount"] != "1250" || n.data["tip"] != "5" {
		t.Errorf("callback %s", n.plain)
	}
	if q := ask(t, g, api.ActionSTATUS_QUERY, object{"order_id": "I1"}, api.CodeSuccess); q.data["order_status"] != "success" {
		t.Errorf("query %s", q.plain)
	}
	if len(g.Orders()) != 1 || g.Attempts("I1") != 2 {
		t.Errorf("%d orders, %d attempts", len(g.Orders()), g.Attempts("I1"))
	}
}

func TestCard(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t), newShop(t)
	purchase := request(t, api.ActionCC_PURCHASE).with("orderId", "CC1", "txnAmt", "900", "backUrl", s.URL)
	r := ask(t, g, api.ActionCC_PURCHASE, purchase, api.CodeProcessing)
	if r.data.text("rspCode") != "PROCESSING" || !strings.HasPrefix(r.data.text("codeUrl"), g.URL+"/pay/") || r.data.text("amount") != "900" {
		t.Errorf("answer %s", r.plain)
	}
	status := func(action api.Action, id string) string {
		return ask(t, g, action, object{"order_id": id}, api.CodeSuccess).data.text("order_status")
	}
	if a, b := status(api.ActionCC_QUERYPAY, "CC1"), status(api.ActionSTATUS_QUERY, "CC1"); a != "processing" || b != a {
		t.Errorf("status %s, %s", a, b)
	}
	if err := g.Pay("CC1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	if a, b := status(api.ActionCC_QUERYPAY, "CC1"), status(api.ActionSTATUS_QUERY, "CC1"); a != "success" || b != a {
		t.Errorf("status %s, %s", a, b)
	}

	ask(t, g, api.ActionCC_PREAUTH, purchase.with("orderId", "CA1"), api.CodeProcessing)
	if err := g.Merchant(merchantID).Capture("CA1"); err == nil {
		t.Error("captured before it was authorised")
	}
	if err := g.Pay("CA1"); err != nil {
		t.Fatal(err)
	}
	if a := status(api.ActionCC_QUERYPAY, "CA1"); a != "authfinish" {
		t.Errorf("status %s", a)
	}
	refund := object{"order_id": "R1", "ori_order_id": "CA1", "refund_amt": "900"}
	ask(t, g, api.ActionREFUND, refund, api.CodeOrderTypeError)
	wait(t, g)
	if err := g.Merchant(merchantID).Capture("CA1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	ask(t, g, api.ActionREFUND, refund, api.CodeSuccess)
	var said []string
	for _, body := range s.received() {
		n := notified(t, body)
		said = append(said, n.data.text("order_id")+":"+n.data.text("order_status"))
	}
	if want := []string{"CC1:", "CA1:authorised", "CA1:captured"}; !slices.Equal(said, want) {
		t.Errorf("callbacks %v, want %v", said, want)
	}
}

func TestConvenienceFee(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t, func(c *ottpaytest.Config) { c.ConvenienceFee = 1 }), newShop(t)
	r := ask(t, g, api.ActionH5PAY, request(t, api.ActionH5PAY).with("order_id", "H1", "amount", "5", "call_back_url", s.URL), api.CodeSuccess)
	if r.data["amount"] != json.Number("6") {
		t.Errorf("answer %s", r.plain)
	}
	if err := g.Merchant(merchantID).Pay("H1", ottpaytest.Payment{Tip: 3, Extra: map[string]any{"remarks": "茶", "merchant_id": nil}}); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	n := notified(t, s.received()[0])
	if _, named := n.data["merchant_id"]; n.data["amount"] != "6" || n.data["convenience_fee"] != "1" || n.data["tip"] != "3" || n.data["remarks"] != "茶" || named {
		t.Errorf("callback %s", n.plain)
	}
}

func rateOfCAD(currency string) (field.Rate, bool) { return 650000000, currency == "CAD" }

// rawForm is the vector response-form-raw: it opens under signKey, with a
// digest that no Java makes.
var rawForm = envelope.Sealed{
	Data: "fjwtlN/RXGrdmVsbpzBgWADQ/3tcEpIEd1Bx2SR/IS0OYS4Q4DCM5+Y+UeaE3Y4a3ypqiPO4aks4q18j4CyMwH0WMPAX1WoBboVp85zvP2Pv6ruvVjvol9fUpjbiaaErfeH4eY4nzAOzypqVxw5hhw==",
	MD5:  "EB92F0DD5513984A0315C4F91CE48C55",
}
