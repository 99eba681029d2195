package browsertest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// live waits until the page says how it is kept up to date.
func (b *tab) live(word string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.querySelector('#live').innerText === %q", word))
}

// TestLive: a payment elsewhere shows in an open page, and what the reader is at
// stays: focus, scroll, open details, a half-filled form.
func TestLive(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	for range 40 {
		b.make(api.ActionH5PAY, nil)
	}
	id := b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open("/")
	p.live("live")
	eval[any](p, `scrollTo(0, 400), document.querySelectorAll(".rows .go")[20].focus({preventScroll: true}), window.kept = document.activeElement`)
	at := eval[float64](p, "scrollY")
	paid := time.Now()
	b.pay(id)
	p.wait(`document.querySelector("[data-say='` + id + ` paid']")`)
	t.Logf("from the payment to the page: %v", time.Since(paid).Round(time.Millisecond))
	p.wait(`document.querySelector("#say").textContent === "` + id + ` paid"`)
	b.make(api.ActionH5PAY, nil)
	p.wait(`document.querySelectorAll(".rows .go").length === 42`)
	if !eval[bool](p, "document.activeElement === window.kept && kept.isConnected") {
		t.Error("the focus moved")
	}
	if now := eval[float64](p, "scrollY"); now < at {
		t.Errorf("the page scrolled from %v to %v", at, now)
	}

	// On an order: open details and what is typed stay. A region in which someone
	// types is not exchanged: a button says that there is something new.
	p.open(orderPath(id))
	p.live("live")
	p.press("Code to copy this case as a test, a call, a command")
	p.press("Refund")
	p.fill(`input[name=amount]`, "1.23")
	eval[any](p, `document.querySelector("input[name=amount]").focus()`)
	if _, err := b.g.Merchant(merchantID).Refund(id, 500); err != nil {
		t.Fatal(err)
	}
	p.wait(`document.querySelector("#timeline").innerText.includes("refunded 5.00")`)
	p.wait(`!document.querySelector("#fresh").hidden`)
	if got := eval[string](p, `document.querySelector("input[name=amount]").value`); got != "1.23" {
		t.Errorf("what was typed became %q", got)
	}
	if !eval[bool](p, `document.querySelector("details.code").open && document.activeElement.name === "amount"`) {
		t.Error("the details closed, or the focus moved")
	}
	p.click("#fresh")
	p.wait(`document.querySelector("#fresh").hidden`)
	p.clean()
}

// TestPause: a paused page stands still, and catches up.
func TestPause(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open("/")
	p.live("live")
	p.keys(".")
	p.live("paused")
	b.pay(id)
	other := p.beside(desktop)
	other.open("/")
	other.says("1 try, 200")
	if eval[bool](p, `document.body.innerText.includes("1 try, 200")`) {
		t.Error("a paused page went on")
	}
	p.keys(".")
	p.live("live")
	p.says("1 try, 200")
	p.clean()
}

// TestTwelveTabs: twelve tabs of one browser load quickly, share one stream, and
// are all live; when the tab that holds the stream is closed, another takes over.
func TestTwelveTabs(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	first := newTab(t, b.url, desktop)
	tabs := []*tab{first}
	for range 11 {
		tabs = append(tabs, first.beside(desktop))
	}
	slowest := 0.0
	for _, p := range tabs {
		p.open("/")
		slowest = max(slowest, eval[float64](p, `performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`))
	}
	t.Logf("the slowest of twelve tabs took %.0f ms", slowest)
	for _, p := range tabs {
		p.live("live")
	}
	if n := b.streams.Load(); n != 1 {
		t.Errorf("%d streams at the server, want 1", n)
	}
	b.pay(id)
	for _, p := range tabs {
		p.says("1 try, 200")
	}

	// The first tab has the stream: it was the first to ask for it.
	first.open("about:blank")
	b.waitFor("another stream", func() bool { return b.streams.Load() == 1 })
	second := b.make(api.ActionH5PAY, nil)
	b.pay(second)
	for _, p := range tabs[1:] {
		p.wait(`document.querySelectorAll(".rows .go").length === 2`)
	}
	for _, p := range tabs {
		p.clean()
	}
}

// TestRestart: a page says that the server is away, and finds its way back,
// whatever happened meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.make(api.ActionH5PAY, nil)
	b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open("/")
	p.live("live")
	b.stop()
	p.live("offline")
	b.start(nil)
	id := b.make(api.ActionACTIVEPAY, nil) // the new one's numbers begin again
	p.live("live")
	p.wait(`document.querySelectorAll(".rows .go").length === 1`)
	p.says("ACTIVEPAY")
	b.pay(id)
	p.says("1 try, 200")
	p.clean("ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "Failed to load resource")
}

// TestReset: what a page shows is forgotten, and the page says so.
func TestReset(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open(orderPath(id))
	p.live("live")
	other := p.beside(desktop)
	other.open("/")
	other.press("Reset")
	other.leave(func() { other.press("Forget everything") })
	other.says("No order yet")
	p.says("There is no order " + id)
	p.clean("404")
}

// TestPolling: where the stream is blocked, the page asks each second.
func TestPolling(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.blocked.Store(true)
	id := b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open("/")
	p.live("polling")
	b.pay(id)
	p.says("1 try, 200")
	p.live("polling")
	p.clean("404")
}

// TestPayerPage: the page that a payer has open on another device shows that the
// order was paid.
func TestPayerPage(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open(payPath(id))
	p.says("Or by phone")
	if err := b.g.Merchant(merchantID).Pay(id, ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	p.says("You can close this page.")
	opened := 0
	events, _ := b.g.Events(0)
	for _, e := range events {
		if e.Type == ottpaytest.EventPageOpened {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("the payer opened the page %d times, by the log", opened)
	}
	p.clean()
}

func (b *box) waitFor(what string, done func() bool) {
	b.t.Helper()
	for started := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(started) > patience {
			b.t.Fatal("never: ", what)
		}
	}
}
