package browsertest_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/ottpaykit/ottpay/gen/api"
)

// TestKeys: the shortcuts, and that they stay out of the way.
func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	for range 3 {
		b.make(api.ActionH5PAY, nil)
	}
	p := newTab(t, b.url, desktop)
	p.open("/")
	rows := func() int {
		t.Helper()
		return eval[int](p, `[...document.querySelectorAll(".rows .go")].indexOf(document.activeElement)`)
	}
	for _, step := range []struct {
		key  string
		want int
	}{{"j", 0}, {"j", 1}, {"j", 2}, {"j", 2}, {"k", 1}} {
		p.keys(step.key)
		if got := rows(); got != step.want {
			t.Errorf("after %s the focus is on row %d, want %d", step.key, got, step.want)
		}
	}
	p.keys(kb.ArrowDown)
	if got := rows(); got != 1 {
		t.Errorf("the arrows move the focus: row %d", got)
	}

	// Letters go into a field, and do nothing else.
	p.keys("/")
	p.wait(`document.activeElement.id === "q"`)
	p.keys("gdj?")
	if got := eval[string](p, `document.activeElement.value`); got != "gdj?" {
		t.Errorf("the search holds %q", got)
	}
	p.keys(kb.Escape)
	p.wait(`document.activeElement === document.body`)

	for key, path := range map[string]string{"d": "/deliveries", "f": "/faults", "e": "/explain", "s": "/settings", "o": "/"} {
		p.keys("g")
		p.leave(func() { p.keys(key) })
		if got := p.path(); got != path {
			t.Errorf("g %s leads to %s, want %s", key, got, path)
		}
	}

	// The dialog keeps the focus, and gives it back.
	p.open("/")
	p.keys("j")
	p.keys("?")
	p.wait(`document.querySelector("#help").open`)
	for range 12 {
		p.keys(kb.Tab)
		if !eval[bool](p, `document.activeElement === document.body || !!document.activeElement.closest("#help")`) {
			t.Fatal("the focus leaves the dialog")
		}
	}
	p.keys(kb.Escape)
	p.wait(`!document.querySelector("#help").open`)
	if got := rows(); got != 0 {
		t.Errorf("the dialog does not give the focus back: row %d", got)
	}

	// Single letters can be switched off, for good.
	p.keys("?")
	p.press("Single keys do something")
	p.keys(kb.Escape)
	p.keys("j")
	p.keys("j")
	if got := rows(); got != 0 {
		t.Errorf("a letter does something although it is switched off: row %d", got)
	}
	p.open("/")
	p.keys("j")
	if got := rows(); got != -1 {
		t.Error("the switch is forgotten")
	}
	p.clean()
}

// TestTabOrder: Tab reaches everything, the skip link first, and what has the
// focus is marked.
func TestTabOrder(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	p := newTab(t, b.url, desktop)
	p.open(orderPath(id))
	p.keys(kb.Tab)
	if got := eval[string](p, "document.activeElement.innerText"); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	p.keys(kb.Enter)
	p.keys(kb.Tab)
	if !eval[bool](p, `!!document.activeElement.closest("main")`) {
		t.Error("the skip link does not lead into the content")
	}
	p.open(orderPath(id))
	var stops []string
	for range 80 {
		p.keys(kb.Tab)
		at := eval[string](p, `(() => {
			const e = document.activeElement;
			if (e === document.body) return "";
			const s = getComputedStyle(e);
			const ring = e.matches(".tabs > input") ? getComputedStyle(e.nextElementSibling) : s;
			return (parseFloat(ring.outlineWidth) >= 2 && ring.outlineStyle !== "none" ? "" : "UNMARKED ") + (e.innerText || e.getAttribute("aria-label") || e.name || e.tagName).slice(0, 30);
		})()`)
		if at == "" {
			break
		}
		stops = append(stops, at)
	}
	all := strings.Join(stops, " | ")
	if strings.Contains(all, "UNMARKED") {
		t.Errorf("a stop is not marked: %s", all)
	}
	for _, want := range []string{"Orders", "Settings", "Pay", "Decline", "Expire", "Payer’s page", "Pay with", "Simulate fault", "H5PAY", "Keyboard and theme"} {
		if !strings.Contains(all, want) {
			t.Errorf("Tab does not reach %q: %s", want, all)
		}
	}
	p.clean()
}

// TestTheme: the switch wins over the system, and is kept.
func TestTheme(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	p := newTab(t, b.url, desktop)
	background := `getComputedStyle(document.documentElement).backgroundColor`
	p.open("/")
	light := eval[string](p, background)
	p.press("Keyboard and theme")
	p.press("dark")
	dark := eval[string](p, background)
	if light == dark {
		t.Errorf("dark is as light: %s", dark)
	}
	p.open("/faults")
	if got := eval[string](p, background); got != dark {
		t.Errorf("the theme is forgotten: %s", got)
	}
	for name, v := range map[string]view{"reduced motion": {width: 1280, height: 800, reduced: true}, "forced colors": {width: 1280, height: 800, forced: true}} {
		p.look(v)
		p.open("/")
		p.says("No order yet")
		if name == "reduced motion" && eval[string](p, `(() => { const e = document.querySelector("main"); e.classList.add("new"); return getComputedStyle(e).animationName; })()`) != "none" {
			t.Error("something moves")
		}
	}
	p.clean()
}
