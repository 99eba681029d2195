package browsertest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is the Chromium of all tests, a window with its own profile for each.
var browser struct {
	context.Context
	why string // there is none
}

// whole asks for the long forms of the tests: every screen in every window, light
// and dark, every fault, and the screenshots.
var whole = flag.Bool("whole", false, "every screen in every window, every fault, and screenshots/")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path, err := chromium()
	if err != nil {
		browser.why = err.Error()
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "ottpay-browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove(dir)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		browser.why = "Chromium does not start: " + err.Error()
		return m.Run()
	}
	browser.Context = ctx
	return m.Run()
}

// chromium finds the browser.
func chromium() (string, error) {
	if path := os.Getenv("OTTPAY_TEST_CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium; install it, or name it in OTTPAY_TEST_CHROMIUM")
}

// remove removes the profile, in which Chromium may still write for a moment.
func remove(dir string) {
	for range 50 {
		if os.RemoveAll(dir) == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// view is how large the window is, and what it is like.
type view struct {
	width, height int64
	touch         bool
	dark          bool
	noScript      bool
	reduced       bool    // prefers-reduced-motion
	forced        bool    // forced-colors
	zoom          float64 // the device's pixels for one of the page; 0 is 1
}

var (
	desktop = view{width: 1280, height: 800}
	phone   = view{width: 390, height: 844, touch: true}
)

// tab is a tab of the browser.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	errors   []string // of the console, uncaught, and violations of the policy
	requests []string // the URLs that were asked for since the last open
	wire     float64  // bytes that came over the wire since then
}

// patience is how long a page may take for anything. Tests wait for things to be
// seen, and never for a time to pass.
const patience = 30 * time.Second

// newTab opens a tab with a profile of its own, or skips the test.
func newTab(t *testing.T, base string, v view) *tab {
	t.Helper()
	if browser.Context == nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI has to have a browser: ", browser.why)
		}
		t.Skip(browser.why)
	}
	ctx, cancel := chromedp.NewContext(browser.Context, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return attach(ctx, t, base, v)
}

// beside opens another tab with the same profile.
func (b *tab) beside(v view) *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	return attach(ctx, b.t, b.base, v)
}

func attach(ctx context.Context, t *testing.T, base string, v view) *tab {
	t.Helper()
	b := &tab{t: t, ctx: ctx, base: base}
	if err := chromedp.Do(ctx); err != nil { // the first one opens the tab, and must not have a deadline
		t.Fatal(err)
	}
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	}))
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.look(v)
	return b
}

// look changes how the page is looked at.
func (b *tab) look(v view) {
	b.t.Helper()
	var options []chromedp.EmulateViewportOption
	if v.touch {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	if v.zoom != 0 {
		options = append(options, chromedp.EmulateScale(v.zoom))
	}
	scheme, motion, colors := "light", "no-preference", "none"
	if v.dark {
		scheme = "dark"
	}
	if v.reduced {
		motion = "reduce"
	}
	if v.forced {
		colors = "active"
	}
	b.do(chromedp.EmulateViewport(v.width, v.height, options...), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}, {Name: "forced-colors", Value: colors},
		}})
		if err != nil || !v.noScript {
			return err
		}
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// listen keeps what goes wrong, and what is asked for.
func (b *tab) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, "uncaught: "+ev.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" {
			b.errors = append(b.errors, "console: "+string(ev.Type))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == "error" || ev.Entry.Source == "violation" && ev.Entry.Level != "verbose" {
			b.errors = append(b.errors, fmt.Sprintf("%s: %s (%s)", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, "data:") {
			b.requests = append(b.requests, ev.Request.URL)
		}
	case *network.EventLoadingFinished:
		b.wire += ev.EncodedDataLength
	}
}

// clean fails the test if the console saw an error, but for those that hold one
// of the texts.
func (b *tab) clean(but ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
entries:
	for _, e := range b.errors {
		for _, text := range but {
			if strings.Contains(e, text) {
				continue entries
			}
		}
		b.t.Errorf("the console says: %s", e)
	}
	b.errors = nil
}

// seen returns what the console said, and forgets it.
func (b *tab) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.errors
	b.errors = nil
	return out
}

// do runs steps.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\nat %s", err, b.where())
	}
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v\nin %s\nat %s", err, expression, b.where())
	}
	return v
}

// where says where the tab is, and shows the beginning of its text.
func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText.replaceAll("\n", " ").slice(0, 600) : "")`))
	if err != nil {
		return err.Error()
	}
	return text
}

// open goes to a path of the sandbox, or to a whole URL.
func (b *tab) open(path string) {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.base + path
	}
	b.mu.Lock()
	b.requests, b.wire = nil, 0
	b.mu.Unlock()
	b.do(chromedp.Navigate(path))
}

// path is where the tab is.
func (b *tab) path() string {
	b.t.Helper()
	return eval[string](b, "location.pathname + location.search")
}

// wait waits until an expression is true in the page.
func (b *tab) wait(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for started := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		switch {
		case err == nil && ok:
			return
		case time.Since(started) > patience || ctx.Err() != nil:
			b.t.Fatalf("not within %v: %s (%v)\nat %s", patience, expression, err, b.where())
		}
	}
}

// says waits until the page shows a text.
func (b *tab) says(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", text))
}

// press clicks the button, link or summary that shows a text. It waits for the
// page that follows, if one does.
func (b *tab) press(name string) {
	b.t.Helper()
	found := fmt.Sprintf(`[...document.querySelectorAll("button,a,summary,label")].find((e) => e.getClientRects().length && (e.innerText.trim() === %q || e.getAttribute("aria-label") === %[1]q))`, name)
	b.wait(found)
	at := eval[[]float64](b, `(() => { const e = `+found+`; e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// leave does something that leads to another page, and waits until that is
// there.
func (b *tab) leave(do func()) {
	b.t.Helper()
	eval[any](b, "window.stale = true, 0")
	do()
	b.wait(`!window.stale && document.readyState === "complete"`)
}

// keys presses keys, one after the other, as a keyboard does: a letter is typed
// only if nothing prevents that.
func (b *tab) keys(keys string) {
	b.t.Helper()
	for _, key := range keys {
		if key > ' ' && key < 0x7f {
			b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
				for _, kind := range []input.DispatchKeyEventType{"keyDown", "keyUp"} {
					press := input.DispatchKeyEventParams{Type: kind, Key: string(key)}
					if kind == "keyDown" {
						press.Text = string(key)
					}
					if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, press); err != nil {
						return err
					}
				}
				return nil
			}))
			continue
		}
		b.do(chromedp.KeyEvent(string(key)))
	}
}

// asked returns the requests since the last open.
func (b *tab) asked() ([]string, float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...), b.wire
}

// click clicks the first element that a selector finds, script or no script.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces what a field holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.querySelector(%q)", selector))
	b.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// scriptless is says for a page in which no script runs.
func (b *tab) scriptless(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for ; ; time.Sleep(20 * time.Millisecond) {
		got, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
		if err == nil && strings.Contains(got, text) {
			return
		}
		if ctx.Err() != nil {
			b.t.Fatalf("the page does not say %q (%v):\n%s", text, err, got)
		}
	}
}

// tabTo presses Tab until the element with this text has the focus.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	for range 60 {
		b.keys(kb.Tab)
		if eval[bool](b, fmt.Sprintf("document.activeElement.innerText === %q", name)) {
			return
		}
	}
	b.t.Fatalf("Tab does not lead to %q\nat %s", name, b.where())
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
