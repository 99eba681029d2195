package browsertest_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	shop := startShop(t, b)
	for _, way := range []string{"Buy with WeChat Pay", "Buy, any method"} {
		p.open(shop)
		p.leave(func() { p.press(way) })
		p.says("asks for")
		if strings.HasPrefix(p.path(), "/pay/") == false {
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

// startShop builds the example and starts it against the sandbox.
func startShop(t *testing.T, b *box) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shop")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", name, "./gin")
	build.Dir = "../examples"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, "-listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(),
		"OTTPAY_BASE_URL="+b.url+"/processV2", "OTTPAY_MERCHANT_ID="+merchantID, "OTTPAY_OPERATOR_ID=0000000001", "OTTPAY_SIGN_KEY="+signKey,
	)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(talk)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if _, url, ok := strings.Cut(lines.Text(), "the shop is open: "); ok {
			t.Cleanup(func() {
				cancel()
				for lines.Scan() {
				}
				_ = cmd.Wait()
			})
			return strings.TrimSpace(url)
		}
	}
	cancel()
	t.Fatalf("the shop does not open: %v\n%s", cmd.Wait(), strings.Join(said, "\n"))
	return ""
}
