package browsertest_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestShop: the gin example sells something to a payer on a phone. The browser
// comes back to the shop, and the shop has the order paid once, whichever way
// the payer chose.
func TestShop(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *ottpaytest.Config) { c.Redelivery = nil })
	p := newTab(t, b.url, phone)
	p.open("/") // or there is no browser, and nothing to build
	shop := startExample(t, b, "the shop is open: ", buildExample(t, "gin"), "-listen", "127.0.0.1:0")
	for _, way := range []string{"Buy with WeChat Pay", "Buy, any method"} {
		p.open(shop)
		p.leave(func() { p.press(way) })
		p.says("asks for")
		if !strings.HasPrefix(p.path(), "/pay/") {
			t.Fatalf("%s leads to %s", way, p.path())
		}
		if way == "Buy, any method" {
			p.press("Alipay")
		}
		p.leave(func() { p.click(`button[value=pay]`) })
		p.says("Paid. Booked 1 time.")
		if at := eval[string](p, "location.href"); !strings.HasPrefix(at, shop+"/thanks") {
			t.Errorf("%s ends at %s", way, at)
		}
	}
	p.clean("favicon")
}

// buildExample builds an example and returns the program's path.
func buildExample(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "example")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./"+name)
	build.Dir = "../examples"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// startExample starts an example against the sandbox, or alone if there is none.
// It returns what the program says behind a word.
func startExample(t *testing.T, b *box, word, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Env = os.Environ()
	if b != nil {
		cmd.Env = append(cmd.Env,
			"OTTPAY_BASE_URL="+b.url+"/processV2", "OTTPAY_MERCHANT_ID="+merchantID, "OTTPAY_OPERATOR_ID=0000000001", "OTTPAY_SIGN_KEY="+signKey,
		)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	talk, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(talk)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if _, text, ok := strings.Cut(lines.Text(), word); ok {
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for lines.Scan() { // or the program would stand still
				}
			}()
			t.Cleanup(func() {
				cancel()
				<-drained
				_ = cmd.Wait()
			})
			return strings.TrimSpace(text)
		}
	}
	cancel()
	t.Fatalf("%s does not start: %v\n%s", program, cmd.Wait(), strings.Join(said, "\n"))
	return ""
}

// TestPreview plays the page of the mini-program example in the browser. WeChat's
// window is the sandbox's, in another tab.
func TestPreview(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	p := newTab(t, b.url, phone)
	p.open("/")
	program := buildExample(t, "mini-program")
	for name, around := range map[string]*box{"sandbox elsewhere": b, "sandbox mounted in the shop": nil} {
		p.open(startExample(t, around, "preview ", program, "-addr", "127.0.0.1:0"))
		p.says("Oolong tea")
		for _, step := range []struct{ press, decide, says string }{
			{"Pay CA$12.50", "cancel", "You have not paid."},
			{"Try again", "ok: pay", "Paid. Thank you!"},
		} {
			p.press(step.press)
			window := p.popup(func() { p.press("Open WeChat’s window") })
			window.says("wx.requestPayment")
			if text := eval[string](window, "document.body.innerText"); strings.Contains(text, "would make WeChat refuse") {
				t.Errorf("%s: WeChat would refuse what the example passes:\n%s", name, text)
			}
			window.press(step.decide)
			p.says(step.says)
		}
	}
	p.clean("favicon")
}

// popup does something that opens another tab, and returns that. The sandbox's
// pages have no opener, so the tab is found by its profile.
func (b *tab) popup(do func()) *tab {
	b.t.Helper()
	do()
	profile := chromedp.FromContext(b.ctx).BrowserContextID
	for started := time.Now(); time.Since(started) < patience; time.Sleep(20 * time.Millisecond) {
		all, err := chromedp.Targets(b.ctx)
		if err != nil {
			b.t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(i *target.Info) bool {
			return i.Type == "page" && !i.Attached && i.BrowserContextID == profile && strings.Contains(i.URL, "/mini/")
		})
		if i >= 0 {
			ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(all[i].TargetID))
			b.t.Cleanup(cancel)
			return attach(ctx, b.t, b.base, desktop)
		}
	}
	b.t.Fatal("no other tab opens\nat ", b.where())
	return nil
}
