package ottpaytest_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// secondKey is the key of a merchant that is added by hand.
const secondKey = "0011223344556677"

// scene makes a gateway with something of everything in its book.
func scene(t *testing.T, change ...func(*ottpaytest.Config)) *ottpaytest.Gateway {
	t.Helper()
	clock := ottpaytest.NewManualClock(noon)
	g := newGateway(t, append([]func(*ottpaytest.Config){func(c *ottpaytest.Config) {
		c.Clock, c.Seed = clock, 7
		c.Redelivery = []time.Duration{time.Hour}
	}}, change...)...)
	if _, err := g.AddMerchant(ottpaytest.MerchantConfig{ID: "TS00000002", SignKeys: []string{secondKey}, ConvenienceFee: 5}); err != nil {
		t.Fatal(err)
	}
	good, bad := newShop(t), newShop(t, 503)
	order(t, g, "A1", good.URL)
	order(t, g, "A2", bad.URL)
	order(t, g, "A3", "https://shop.example/")
	for _, id := range []string{"A1", "A2"} {
		if err := g.Merchant(merchantID).Pay(id, ottpaytest.Payment{Tip: 3, Extra: map[string]any{"remarks": "张三", "tip": nil, "level": 5}}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, g, "the second callback is due", func() bool { o, _ := g.Order("A2"); return !o.Callbacks.Due.IsZero() })
	until(t, g, "the first callback is acknowledged", func() bool { o, _ := g.Order("A1"); return o.Callbacks.Acknowledged })
	ask(t, g, api.ActionREFUND, object{"order_id": "R1", "ori_order_id": "A1", "refund_amt": "40"}, api.CodeSuccess)
	ask(t, g, api.ActionPREPAY_INIT, request(t, api.ActionPREPAY_INIT).with("prepay_order_id", "P1", "duration", "600"), api.CodeSuccess)
	post(t, g, seal(t, api.ActionACTIVEPAY, object{"order_id": "bad"}))
	send(t, g, []byte("\xff not JSON"))
	if _, err := g.Tamper("A1", ottpaytest.CallbackGzip); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Arm(ottpaytest.Fault{Callback: ottpaytest.CallbackDrop, Order: "A9", Times: 3, By: "test"}); err != nil {
		t.Fatal(err)
	}
	arm(t, g, ottpaytest.Fault{Action: api.ActionREFUND, Kind: ottpaytest.FaultHTML, Status: 503, Times: -1, Delay: time.Second})
	set := g.Settings()
	set.Lenient, set.Without = true, ottpaytest.QuirkBlanks
	g.Configure(set)
	return g
}

func until(t *testing.T, g *ottpaytest.Gateway, what string, holds func() bool) {
	t.Helper()
	for {
		changed := g.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("not: %s", what)
		}
	}
}

func save(t *testing.T, g *ottpaytest.Gateway, merchant string) string {
	t.Helper()
	var b bytes.Buffer
	if err := g.Save(&b, merchant); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// empty is a gateway with the merchants of scene and nothing else.
func empty(t *testing.T, change ...func(*ottpaytest.Config)) *ottpaytest.Gateway {
	t.Helper()
	return newGateway(t, append([]func(*ottpaytest.Config){func(c *ottpaytest.Config) {
		c.Clock, c.Seed = ottpaytest.NewManualClock(noon.Add(-time.Hour)), 7
		c.Merchants = map[string][]string{"TS00000002": {secondKey}}
	}}, change...)...)
}

// body is a record without its header and without the reset of its loading.
func body(record string) string {
	_, rest, _ := strings.Cut(record, "\n")
	lines := strings.SplitAfter(rest, "\n")
	kept := lines[:0]
	for _, l := range lines {
		if !strings.Contains(l, `"type":"reset"`) {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "")
}

func TestRecord(t *testing.T) {
	t.Parallel()
	g := scene(t)
	record := save(t, g, "")
	if path := os.Getenv("OTTPAY_WRITE_RECORD"); path != "" { // for testdata, when the format changes
		if err := os.WriteFile(path, []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again := empty(t)
	if err := again.Load(strings.NewReader(record)); err != nil {
		t.Fatal(err)
	}
	if back := save(t, again, ""); body(back) != body(record) {
		t.Errorf("saved, loaded and saved again:\n%s\nnot\n%s", back, record)
	}
	// What tests ask for is the same, too.
	for _, ask := range []func(*ottpaytest.Gateway) any{
		func(g *ottpaytest.Gateway) any { return g.Orders() },
		func(g *ottpaytest.Gateway) any { return g.Deliveries("A1")[0].Body },
		func(g *ottpaytest.Gateway) any { return len(g.Deliveries("A2")) },
		func(g *ottpaytest.Gateway) any { return g.Requests() },
		func(g *ottpaytest.Gateway) any { return g.Armed() },
		func(g *ottpaytest.Gateway) any { return g.Settings() },
		func(g *ottpaytest.Gateway) any { return g.Attempts("A1") },
		func(g *ottpaytest.Gateway) any { return g.Now() },
	} {
		if a, b := fmt.Sprintf("%+v", ask(g)), fmt.Sprintf("%+v", ask(again)); a != b {
			t.Errorf("%s\nis now\n%s", a, b)
		}
	}
	// The callback that was due is sent, and says what it would have said.
	if again.Quiet() {
		t.Error("the second callback of A2 is forgotten")
	}
	if err := again.Advance(2 * time.Hour); err != nil {
		t.Fatal(err)
	}
	wait(t, again)
	d := again.Deliveries("A2")
	if len(d) != 2 || !d[1].Acknowledged() || d[1].Try != 2 {
		t.Errorf("%+v", d)
	}
	if m, _ := again.Message(d[1].Seq); !strings.Contains(string(m.Plaintext), `"remarks":"张三"`) || strings.Contains(string(m.Plaintext), `"tip"`) {
		t.Errorf("callback %s", m.Plaintext)
	}
	if o, _ := again.Order("P1"); o.Status != api.StatusOrderclosed {
		t.Errorf("the checkout is %s", o.Status)
	}
	// A query answers with what the request said.
	if a, b := post(t, g, seal(t, api.ActionPREPAY_QUERY, object{"prepay_order_id": "P1", "merchant_id": merchantID})), request(t, api.ActionPREPAY_INIT); a.data.text("sale_num") != b.text("sale_num") {
		t.Errorf("%v", a.data)
	}

	for _, secret := range []string{signKey, secondKey} {
		if strings.Contains(record, secret) {
			t.Error("the record holds a key")
		}
	}
	if strings.Contains(record, "wxapikey") {
		t.Error("the record holds another secret")
	}
}

func TestRecordOfAMerchant(t *testing.T) {
	t.Parallel()
	g := scene(t)
	if record := save(t, g, "TS00000002"); strings.Contains(record, merchantID) {
		t.Errorf("%s", record)
	}
}

// TestTornRecord cuts a record at many bytes, and with -whole a small one at each:
// what is there must load.
func TestTornRecord(t *testing.T) {
	t.Parallel()
	small := newGateway(t)
	order(t, small, "A1", "https://shop.example/")
	if err := small.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	wait(t, small)
	each, many := 5, 997
	if *whole {
		each, many = 1, 97
	}
	torn(t, save(t, small, ""), each, 1)
	torn(t, save(t, scene(t), ""), many, 5)
}

func torn(t *testing.T, record string, step, want int) {
	t.Helper()
	orders := 0
	for n := range len(record) {
		if n%step != 0 && n < len(record)-200 {
			continue
		}
		g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Callbacks: roundTripper(nowhere), Clock: ottpaytest.NewManualClock(noon)})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Load(strings.NewReader(record[:n])); err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if k := len(g.Orders()); k < orders {
			t.Fatalf("cut at %d: %d orders, %d before", n, k, orders)
		} else {
			orders = k
		}
		g.Close()
	}
	if orders != want {
		t.Errorf("%d orders, want %d", orders, want)
	}
}

func nowhere(*http.Request) (*http.Response, error) { return nil, errors.New("nowhere") }

func TestNoRecord(t *testing.T) {
	t.Parallel()
	g := empty(t)
	order(t, g, "A1", "https://shop.example/")
	head, rest, _ := strings.Cut(save(t, scene(t), ""), "\n")
	for name, text := range map[string]string{
		"another file":   "Dear diary,\n",
		"JSON":           "{\"a\":1}\n",
		"newer":          strings.Replace(head, `"version":1`, `"version":2`, 1) + "\n" + rest,
		"damaged inside": head + "\n{\"v\":1,\n" + rest,
	} {
		if err := g.Load(strings.NewReader(text)); !errors.Is(err, ottpaytest.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(g.Orders()) != 1 {
		t.Error("what was there is gone")
	}
}

// TestOldRecords loads the records that earlier versions wrote.
func TestOldRecords(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/record-*.ndjson")
	if err != nil || len(files) == 0 {
		t.Fatal("no records", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g := empty(t)
		if err := g.Load(bytes.NewReader(text)); err != nil {
			t.Fatal(file, err)
		}
		if back := save(t, g, ""); body(back) != body(string(text)) {
			t.Errorf("%s is saved as\n%s", file, back)
		}
		if o, ok := g.Order("A1"); !ok || o.Status != api.StatusPartialRefunded || o.Refunded != 40 || len(g.Orders()) != 5 {
			t.Errorf("%s: %+v", file, g.Orders())
		}
	}
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.ndjson")
	with := func(c *ottpaytest.Config) { c.StateFile = path }
	g := scene(t, with)
	other, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, StateFile: path})
	if !errors.Is(err, ottpaytest.ErrStateInUse) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("used by two: %v", err)
		other.Close()
	}
	want := save(t, g, "")
	g.Close()
	if err := g.StateError(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), signKey) || strings.Contains(string(text), secondKey) {
		t.Error("the state file holds a key")
	}
	// Again, from the events; then again, from what the second one wrote.
	for range 2 {
		g := empty(t, with)
		if got := save(t, g, ""); body(got) != body(want) {
			t.Fatalf("loaded:\n%s\nsaved:\n%s", got, want)
		}
		g.Close()
	}
	// A torn one is what was whole of it.
	for _, n := range []int{0, 1, 20, len(text) / 3, len(text) / 2, len(text) - 1} {
		if err := os.WriteFile(path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		g := empty(t, with)
		order(t, g, "after", "https://shop.example/")
		g.Close()
		again := empty(t, with)
		if _, ok := again.Order("after"); !ok {
			t.Errorf("cut at %d: what came after is lost", n)
		}
		again.Close()
	}
	// A file that is none stays as it is.
	if err := os.WriteFile(path, []byte("Dear diary,\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, StateFile: path}); !errors.Is(err, ottpaytest.ErrRecord) {
		t.Errorf("a diary: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "Dear diary,\n" {
		t.Errorf("the diary is %q, %v", text, err)
	}
}

// TestStateFileAfterLoadAndReset puts a record into a gateway with a state
// file, and resets a merchant.
func TestStateFileAfterLoadAndReset(t *testing.T) {
	t.Parallel()
	record := save(t, scene(t), "")
	path := filepath.Join(t.TempDir(), "state.ndjson")
	with := func(c *ottpaytest.Config) { c.StateFile = path }
	g := empty(t, with)
	order(t, g, "before", "https://shop.example/")
	if err := g.Load(strings.NewReader(record)); err != nil {
		t.Fatal(err)
	}
	order(t, g, "after", "https://shop.example/")
	if err := g.ResetMerchant("TS00000002"); err != nil {
		t.Fatal(err)
	}
	want := save(t, g, "")
	g.Close()
	again := empty(t, with)
	if got := save(t, again, ""); got != want {
		t.Errorf("loaded:\n%s\nsaved:\n%s", got, want)
	}
	if _, ok := again.Order("before"); ok {
		t.Error("what was before the record is there")
	}
	again.Reset()
	again.Close()
	if n := len(empty(t, with).Orders()); n != 0 {
		t.Errorf("%d orders after a reset", n)
	}
}
