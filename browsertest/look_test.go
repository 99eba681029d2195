package browsertest_test

import (
	"bytes"
	"fmt"
	"image"
	_ "image/png" // to decode screenshots
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestReflow: no screen scrolls sideways, whatever stands in it and however
// small the window or large the letters, and everything that can be pressed is
// large enough.
func TestReflow(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	paths := screens(b)
	long := b.make(api.ActionH5PAY, map[string]string{"order_id": strings.Repeat("W", 64)})
	if err := b.g.Merchant(merchantID).Pay(long, payment(map[string]any{"remarks": "张三 😀 مرحبا " + strings.Repeat("ש", 200)})); err != nil {
		t.Fatal(err)
	}
	b.settle(long)
	shouting := newShop(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 64<<10))
	}))
	loud := b.make(api.ActionH5PAY, map[string]string{"call_back_url": shouting + "/" + strings.Repeat("y", 150)})
	b.pay(loud)
	for _, id := range []string{long, loud} {
		paths = append(paths, orderPath(id), "/messages/"+itoa(b.g.Deliveries(id)[0].Seq))
	}
	p := newTab(t, b.url, desktop)
	for _, path := range paths {
		p.open(path)
		eval[any](p, `document.querySelectorAll("details").forEach((d) => { d.open = true; }), 0`)
		for name, v := range map[string]view{
			"small phone": {width: 360, height: 740, touch: true}, "phone": phone, "tablet": {width: 768, height: 1024, touch: true},
			"desktop": desktop, "wide": {width: 1920, height: 1080}, "200 %": {width: 640, height: 400, zoom: 2}, "320": {width: 320, height: 640},
		} {
			if !*whole && (name == "phone" || name == "tablet" || name == "wide") {
				continue // between the others, or larger than them all
			}
			p.look(v)
			if wide := eval[[]float64](p, "[document.documentElement.scrollWidth, innerWidth]"); wide[0] > wide[1] {
				t.Errorf("%s, %s: %v wide in a window of %v: %s", path, name, wide[0], wide[1], eval[string](p,
					`[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).join(" | ")`))
			}
			// A link within a line of text may be as high as the line.
			least := 24
			if v.touch {
				least = 40 // 44 without the borders of what stands close
			}
			small := eval[[]string](p, `[...document.querySelectorAll("button,.button,input,select,nav a")].filter((e) => {
				const r = e.getBoundingClientRect();
				if (!r.width || e.matches("input[type=radio],input[type=checkbox],[type=hidden],.sr,.tabs > input") || !e.offsetParent) return false;
				return r.height < (e.matches("button,.button,select,input,.top nav a") ? `+itoa(uint64(least))+` : 18);
			}).map((e) => e.outerHTML.slice(0, 100) + " " + e.getBoundingClientRect().height)`)
			if len(small) > 0 {
				t.Errorf("%s, %s: too small to press: %s", path, name, small)
			}
		}
	}
}

// TestFirstLoad: few requests, few bytes, nothing from elsewhere, and a console
// without a word.
func TestFirstLoad(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	for range 50 {
		b.pay(b.make(api.ActionH5PAY, nil))
	}
	p := newTab(t, b.url, desktop)
	for _, path := range []string{"/", orderPath(b.g.Orders()[0].ID)} {
		p.open(path)
		p.wait(`document.readyState === "complete"`)
		requests, wire := p.asked()
		loaded := 0
		for _, r := range requests {
			if !strings.HasPrefix(r, b.url) {
				t.Errorf("%s asks for %s", path, r)
			}
			if !strings.Contains(r, "/-/events") { // the stream never ends
				loaded++
			}
		}
		t.Logf("%s: %d requests, %.1f KB", path, loaded, wire/1024)
		if loaded > 4 || loaded == 0 {
			t.Errorf("%s: %d requests: %v", path, loaded, requests)
		}
		if path == "/" && (wire > 40<<10 || wire == 0) {
			t.Errorf("%s: %.0f bytes over the wire", path, wire)
		}
	}
	for _, path := range screens(b) {
		p.open(path)
		p.wait(`document.readyState === "complete"`)
		p.clean("404")
	}
}

// TestPolicy: an inline script that is planted into a page does not run, and the
// browser says so.
func TestPolicy(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.make(api.ActionH5PAY, nil)
	b.plant.Store(`<script>window.planted = true</script><img src="x" onerror="window.planted = true"><p style="color:red" id="styled">x</p>`)
	p := newTab(t, b.url, desktop)
	p.open("/")
	p.wait(`document.readyState === "complete"`)
	if eval[bool](p, "!!window.planted") {
		t.Error("a planted script ran")
	}
	said := strings.Join(p.seen(), "\n")
	if !strings.Contains(said, "Content Security Policy") {
		t.Errorf("the browser does not mind: %s", said)
	}
}

// TestHostile: text from a shop stays text, wherever it stands, and its control
// characters are seen.
func TestHostile(t *testing.T) {
	t.Parallel()
	const nasty = "<script>window.pwned=1</script>\"><img src=x onerror=window.pwned=1>\u202Egnp.exe\x07\x1b[31m 张三 😀 مرحبا"
	answers := http.NewServeMux()
	b := newBox(t, nil)
	shop := newShop(t, answers)
	answers.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Shop", "<b>bold</b>")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(nasty))
	})
	id := b.make(api.ActionH5PAY, map[string]string{"call_back_url": shop + "/callback"})
	if err := b.g.Merchant(merchantID).Pay(id, payment(map[string]any{"remarks": nasty, nasty: "name"})); err != nil {
		t.Fatal(err)
	}
	b.settle(id)
	checkout := b.make(api.ActionPREPAY_INIT, map[string]string{"redirect_url": "https://shop.example/%22%3E%3Cscript%3Ewindow.pwned=1%3C/script%3E"})
	p := newTab(t, b.url, desktop)
	seq := itoa(b.g.Deliveries(id)[0].Seq)
	for _, path := range []string{
		"/", "/?q=" + "%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E", orderPath(id), "/messages/" + seq, "/deliveries", orderPath(checkout), payPath(checkout),
		payPath(id) + "?redirect_url=javascript:alert(1)", "/orders/" + merchantID + "/%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E", "/faults?order=%22%3E%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
		miniPath(id) + "?return_url=javascript:alert(1)&params=%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
	} {
		p.open(path)
		p.wait(`document.readyState === "complete"`)
		if eval[bool](p, "!!window.pwned") {
			t.Errorf("%s: text ran as a script", path)
		}
		if n := eval[int](p, `document.querySelectorAll("body script, img, [onerror]").length`); n != 0 {
			t.Errorf("%s: text became %d elements", path, n)
		}
		if links := eval[[]string](p, `[...document.querySelectorAll("[href],[action],[formaction]")].map((e) => new URL(e.getAttribute("href") ?? e.getAttribute("action") ?? e.getAttribute("formaction"), location).href).filter((u) => !/^(https?:|data:image)/.test(u))`); len(links) > 0 {
			t.Errorf("%s: links to %q", path, links)
		}
	}
	p.open("/messages/" + seq)
	for _, want := range []string{`\u202e`, `\u0007`, `\u001b`, "张三 😀"} {
		p.says(want)
	}
	if n := eval[int](p, `[...document.querySelectorAll("bdi")].filter((e) => e.innerText.includes("gnp.exe")).length`); n == 0 {
		t.Error("the shop's text is not isolated")
	}
	// The payer's decision does not lead to what is no web address.
	p.open(payPath(b.make(api.ActionH5PAY, nil)) + "?redirect_url=javascript:window.pwned=1")
	p.leave(func() { p.click(`button[value=pay]`) })
	p.says("You can close this page.")
	p.clean("404")
}

// TestQR: the code on the payer's page, as it is seen, says where it leads.
func TestQR(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionACTIVEPAY, nil)
	p := newTab(t, b.url, desktop)
	for _, dark := range []bool{false, true} {
		v := desktop
		v.dark = dark
		p.look(v)
		p.open(payPath(id))
		p.wait(`document.querySelector("svg.qr")`)
		png, err := chromedp.Run(p.ctx, chromedp.Screenshot(chromedp.CSS("svg.qr")))
		if err != nil {
			t.Fatal(err)
		}
		picture, _, err := image.Decode(bytes.NewReader(png))
		if err != nil {
			t.Fatal(err)
		}
		bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			t.Fatal(err)
		}
		result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil {
			t.Fatalf("dark %v: a scanner does not read it: %v", dark, err)
		}
		if want := b.url + payPath(id); result.GetText() != want {
			t.Errorf("the code says %q, want %q", result.GetText(), want)
		}
	}
	p.clean()
}

// TestScreenshots writes pictures for the eye into a directory that git ignores:
// six screens, two widths, light and dark, and the one of the README.
func TestScreenshots(t *testing.T) {
	if !*whole {
		t.Skip("pictures for the eye are taken with -whole")
	}
	t.Parallel()
	b := newBox(t, func(c *ottpaytest.Config) { c.Redelivery = []time.Duration{10 * time.Millisecond, time.Hour} })
	var tries atomic.Int64
	shop := newShop(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			http.Error(w, "the stock is away", http.StatusServiceUnavailable)
			return
		}
		answer, err := http.Post(b.url+"/-/sample/callback", "application/json", r.Body)
		if err != nil {
			panic(err)
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	})) + "/ottpay/callback"
	for i, o := range []struct {
		action api.Action
		cents  string
		paid   bool
	}{
		{api.ActionH5PAY, "4550", true}, {api.ActionACTIVEPAY, "899", false}, {api.ActionCC_PREAUTH, "12000", true}, {api.ActionMAPPPAY, "1250", true},
		{api.ActionPREPAY_INIT, "6400", false}, {api.ActionACTIVEPAY, "2075", true}, {api.ActionMAPPPAY, "1250", false},
	} {
		info, _ := api.LookupAction(string(o.action))
		schema, _ := api.LookupSchema(info.Request)
		amount, _ := schema.WithRole(api.RoleAmount)
		id := b.make(o.action, map[string]string{info.OrderMember: fmt.Sprintf("A%d", 1001+i), amount.Name: o.cents})
		if o.paid {
			b.pay(id)
		}
	}
	paid := b.make(api.ActionH5PAY, map[string]string{"order_id": "A1008", "call_back_url": shop})
	b.g.Merchant(merchantID).PageOpened(paid)
	b.pay(paid)
	b.waitFor("the second try", func() bool { o, _ := b.g.Order(paid); return o.Callbacks.Acknowledged })
	if _, err := b.g.Tamper(paid, ottpaytest.CallbackDigest); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Merchant(merchantID).Refund(paid, 500); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Action: api.ActionREFUND, Times: 2, By: "page"}); err != nil {
		t.Fatal(err)
	}
	p := newTab(t, b.url, desktop)
	if err := os.MkdirAll("screenshots", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"orders": "/", "order": orderPath(paid), "message": "/messages/" + itoa(b.g.Deliveries(paid)[1].Seq), "faults": "/faults",
		"payer": payPath("A1005"), "mini": miniPath("A1007"),
	} {
		for size, v := range map[string]view{"desktop": {width: 1280, height: 900}, "phone": {width: 390, height: 844, touch: true}} {
			for _, dark := range []bool{false, true} {
				v.dark = dark
				p.look(v)
				p.open(path)
				p.shoot(name + "-" + size + "-" + map[bool]string{false: "light", true: "dark"}[dark])
			}
		}
	}
	p.look(view{width: 1180, height: 840})
	p.open(orderPath(paid))
	p.shoot("readme")
}

// shoot writes what is seen into a file.
func (b *tab) shoot(name string) {
	b.t.Helper()
	b.wait(`document.readyState === "complete" && (!document.querySelector("#live") || document.querySelector("#live").innerText === "live")`)
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("screenshots", name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
