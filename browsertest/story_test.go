package browsertest_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestFirstLook goes from the empty page to a paid order and its callback: by
// clicks, by keys alone, and with JavaScript switched off.
func TestFirstLook(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]func(t *testing.T, b *box){
		"clicks": func(t *testing.T, b *box) {
			p := newTab(t, b.url, desktop)
			p.open("/")
			p.says("No order yet")
			p.leave(func() { p.press("Create a sample order") })
			p.says("No callback yet: the payer has not paid.")
			p.leave(func() { p.press("Pay") })
			p.says("acknowledged")
			p.leave(func() { p.press("Orders") })
			p.says("1 try, 200")
			p.clean()
		},
		"keys": func(t *testing.T, b *box) {
			p := newTab(t, b.url, desktop)
			p.open("/")
			p.says("No order yet")
			p.tabTo("Create a sample order")
			p.leave(func() { p.keys(kb.Enter) })
			p.says("No callback yet")
			p.leave(func() { p.keys("p") })
			p.says("acknowledged")
			p.leave(func() { p.keys("u") })
			p.says("1 try, 200")
			p.wait(`document.activeElement.matches(".rows .go")`) // the row that was open
			p.leave(func() { p.keys(kb.Enter) })
			p.says("Timeline")
			p.clean()
		},
		"no script": func(t *testing.T, b *box) {
			v := desktop
			v.noScript = true
			p := newTab(t, b.url, v)
			p.open("/")
			p.scriptless("No order yet")
			p.click(`form[action="/new"] button`)
			p.scriptless("No callback yet: the payer has not paid.")
			p.click(`form[action$="/pay"] button`)
			p.scriptless("acknowledged")
			p.click(`.crumbs a`)
			p.scriptless("1 try, 200")
			p.clean()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, nil)
			story(t, b)
			orders := b.g.Orders()
			if len(orders) != 1 || !orders[0].Status.Paid() || !orders[0].Callbacks.Acknowledged {
				t.Errorf("in the book: %+v", orders)
			}
		})
	}
}

// TestDeclineExpireRefundCapture presses what an order's state allows.
func TestDeclineExpireRefundCapture(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	p := newTab(t, b.url, desktop)

	declined := b.make(api.ActionH5PAY, nil)
	p.open(orderPath(declined))
	p.leave(func() { p.press("Decline") })
	p.says("declined")
	p.wait(`![...document.querySelectorAll("button")].some((b) => b.innerText === "Pay")`)

	// A checkout expires by the clock.
	expiring := b.make(api.ActionPREPAY_INIT, nil)
	o, _ := b.g.Order(expiring)
	if o.Expires.IsZero() {
		t.Fatal("a checkout without an end")
	}
	p.open("/settings")
	p.leave(func() { p.press("To the next expiry") })
	p.open(orderPath(expiring))
	p.says("expired")

	paid := b.make(api.ActionH5PAY, nil)
	b.pay(paid)
	p.open(orderPath(paid))
	for _, amount := range []string{"5.00", "4.99"} {
		p.press("Refund")
		p.fill(`input[name=amount]`, amount)
		p.leave(func() { p.click(`form[action$="/refund"] button`) })
		p.says("refunded")
	}
	p.says("10.00 CAD")
	p.press("Refund")
	p.fill(`input[name=amount]`, "10.01")
	p.leave(func() { p.click(`form[action$="/refund"] button`) })
	p.says("409")
	p.clean("409")

	held := b.make(api.ActionCC_PREAUTH, nil)
	p.open(orderPath(held))
	p.leave(func() { p.press("Pay") })
	p.says("held")
	p.leave(func() { p.press("Capture") })
	p.says("captured")
	p.clean()
}

// TestCheckout pays a checkout by each of its methods, on a phone.
func TestCheckout(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	p := newTab(t, b.url, phone)
	for title, method := range map[string]string{"WeChat Pay": "WECHATPAY", "Alipay": "ALIPAY", "UnionPay": "UNIONPAY", "Card": "GP"} {
		id := b.make(api.ActionPREPAY_INIT, nil)
		p.open(payPath(id))
		p.press(title)
		p.leave(func() { p.click(`button[value=pay]`) })
		p.says("Thank you")
		if o, _ := b.g.Order(id); o.Method != method {
			t.Errorf("%s: the order says %s", title, o.Method)
		}
	}
	// selected= opens one.
	id := b.make(api.ActionPREPAY_INIT, nil)
	p.open(payPath(id) + "?selected=ALIPAY")
	p.leave(func() { p.click(`button[value=pay]`) })
	p.says("Thank you")
	if q := eval[string](p, "location.search"); !strings.Contains(q, "out_trade_no="+id) || !strings.Contains(q, "Trade_Finished") {
		t.Errorf("the payer comes back with %s", q)
	}
	if o, _ := b.g.Order(id); o.Method != "ALIPAY" {
		t.Errorf("selected=ALIPAY paid by %s", o.Method)
	}
	p.clean()
}

// TestMiniProgram plays WeChat's part, and judges what a page passes.
func TestMiniProgram(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	p := newTab(t, b.url, phone)
	for button, want := range map[string]string{"ok: pay": "requestPayment:ok", "cancel": "requestPayment:fail cancel", "fail": "requestPayment:fail"} {
		id := b.make(api.ActionMAPPPAY, nil)
		p.open(miniPath(id))
		p.leave(func() { p.press(button) })
		p.says(want)
		o, _ := b.g.Order(id)
		if o.Status.Paid() != (button == "ok: pay") {
			t.Errorf("%s: the order is %s", button, o.Status)
		}
	}
	id := b.make(api.ActionMAPPPAY, nil)
	p.open(miniPath(id))
	p.press("Judge other arguments")
	p.fill(`textarea[name=params]`, `{"timeStamp": 1586927298, "nonceStr": "x", "packageStr": "prepay_id=wx1", "signType": "MD5", "paySign": "00"}`)
	p.leave(func() { p.press("Judge") })
	p.says("a number: WeChat takes a string only")
	p.says("missing: payInfo’s packageStr goes here under this name")
	p.says("not what the gateway answered")
	p.clean()
}

// TestScanned: PASSIVEPAY by each code that a payer can show, as the page shows
// it.
func TestScanned(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	p := newTab(t, b.url, phone)
	for _, c := range ottpaytest.AuthCodes() {
		p.open("/pay/")
		p.says(c.Meaning)
		text := eval[string](p, `[...document.querySelectorAll("pre")].map((e) => e.textContent).find((t) => t === "`+c.Text+`")`)
		for _, wallet := range []string{"WECHATPAY", "ALIPAY", "UNIONPAY"} {
			out := b.submit(api.ActionPASSIVEPAY, map[string]string{"biz_type": wallet, "auth_code": text})
			want := c.Code
			if wallet != c.Wallet {
				want = api.CodeAuthCodeInvalid
			}
			if out.Code != want {
				t.Errorf("%s, which %s, for %s: %s, want %s", text, c.Meaning, wallet, out.Code, want)
			}
			if want != api.CodeSuccess && want != api.CodeProcessing {
				continue
			}
			p.open(orderPath(out.Order))
			p.says("PASSIVEPAY")
			if want == api.CodeProcessing { // the payer types the password
				p.leave(func() { p.press("Pay") })
			}
			p.says("paid")
		}
	}
	p.clean()
}

// TestTamper: each fault of a callback that is sent at once is refused, or
// taken, as the catalogue says of the kit's webhook, and the page shows it.
func TestTamper(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	b.pay(id)
	p := newTab(t, b.url, desktop)
	p.open(orderPath(id))
	for fault, status := range map[string]string{"digest": "401", "blocks": "401", "key": "401", "truncate-body": "400", "amount": "503", "plain": "200"} {
		p.keys("t")
		p.wait(`document.querySelector("details.menu[open] select[name=fault]")`)
		eval[any](p, `document.querySelector("select[name=fault]").value = "`+fault+`"`)
		p.leave(func() { p.click(`form[action$="/tamper"] button`) })
		p.wait(`document.activeElement.closest(".seq")`) // the new delivery has the focus
		row := eval[string](p, `document.activeElement.closest("li").innerText`)
		if !strings.Contains(row, "callback:"+fault) || !strings.Contains(row, status+" ·") {
			t.Errorf("%s: the timeline says %q, want status %s", fault, row, status)
		}
	}
	p.clean()
}

// TestEveryFault sends every fault that one callback can show, and without -whole
// every third of them, to a shop on the kit. The open page shows each with the status of the shop's answer. What that
// should be is tested in crosstest.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *ottpaytest.Config) { c.Merchants = map[string][]string{merchantID: {oldKey}} })
	shop := newShop(t, kit(t, b))
	id := b.make(api.ActionH5PAY, map[string]string{"call_back_url": shop + "/ottpay/callback"})
	b.pay(id)
	p := newTab(t, b.url, desktop)
	p.open(orderPath(id))
	p.live("live")
	shown := 0
	for i, f := range ottpaytest.Faults() {
		if f.Direction != ottpaytest.ToShop || !f.Alone || f.Name == string(ottpaytest.CallbackStall) { // that one takes ten seconds
			continue
		}
		if !*whole && i%3 != 0 {
			continue
		}
		if status := eval[int](p, `fetch(location.pathname + "/tamper", {method: "POST", redirect: "manual", body: new URLSearchParams({fault: "`+f.Name+`"})}).then((r) => r.status)`); status != 0 { // an opaque redirect
			t.Errorf("%s: the form is answered %d", f.Name, status)
			continue
		}
		row := `[...document.querySelectorAll(".seq li")].find((e) => e.querySelector(".pill")?.innerText === "callback:` + f.Name + `" && !e.innerText.includes("under way"))`
		p.wait(row)
		text := eval[string](p, row+".innerText")
		sent := b.g.Deliveries(id)
		want := "no answer"
		if status := sent[len(sent)-1].Status; status != 0 {
			want = itoa(uint64(status)) + " ·"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: the timeline says %q, want %q", f.Name, text, want)
		}
		shown++
	}
	if shown < 10 || *whole && shown < 30 {
		t.Errorf("only %d faults were shown", shown)
	}
	p.clean()
}

// TestMark: what has the focus or the mouse marks its bytes, its text in the
// digest and its blocks.
func TestMark(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	b.pay(id)
	p := newTab(t, b.url, desktop)
	p.open("/messages/" + itoa(b.g.Deliveries(id)[0].Seq))
	p.press("Digest, step by step")
	eval[any](p, `[...document.querySelectorAll("tr[data-m]")].find((e) => e.innerText.includes("finish_time")).focus()`)
	for name, selector := range map[string]string{"its bytes": ".wire .lit", "its text in the join": ".join .lit", "its blocks": ".blocks .lit"} {
		p.wait(`document.querySelector("` + selector + `")`)
		if text := eval[string](p, `[...document.querySelectorAll("`+selector+`")].map((e) => e.innerText).join("")`); !strings.Contains(text, "20") {
			t.Errorf("%s: %q is marked", name, text)
		}
	}
	// A number in an answer is hashed as a double.
	p.open("/messages/1")
	eval[any](p, `document.querySelectorAll("details").forEach((d) => { d.open = true; }), 0`)
	p.says("1999 → 1999.0")
	p.clean()
}

// TestResend: an edited callback is sent to the letter.
func TestResend(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	b.pay(id)
	p := newTab(t, b.url, desktop)
	for as, text := range map[string]string{
		"raw":    "{ \"data\":\t\"x\",\n\"md5\": \"é 张三 \\u0001\" }\n",
		"sealed": `{"order_id":"` + id + `","amount":"1999","bizpay_order_id":"WX1","finish_time":"2020-04-16 05:04:29","remarks":"edited"}`,
	} {
		before := b.g.Deliveries(id)
		p.open("/messages/" + itoa(before[0].Seq))
		p.press("Edit and resend")
		field := map[string]string{"raw": "body", "sealed": "plaintext"}[as]
		p.fill(`textarea[name=`+field+`]`, text)
		p.leave(func() { p.click(`button[value=` + as + `]`) })
		p.says("Callback")
		after := b.g.Deliveries(id)
		if len(after) != len(before)+1 {
			t.Fatalf("%s: %d deliveries, had %d", as, len(after), len(before))
		}
		sent := after[len(after)-1]
		m, _ := b.g.Message(sent.Seq)
		if as == "raw" && string(m.Body) != text || as == "sealed" && string(m.Plaintext) != text {
			t.Errorf("%s: sent %q, holding %q, want %q", as, m.Body, m.Plaintext, text)
		}
	}
	p.clean()
}
