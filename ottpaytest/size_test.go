package ottpaytest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// crowd makes n orders as a client on the wire does.
func crowd(t testing.TB, g *ottpaytest.Gateway, n int) {
	t.Helper()
	k, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		sealed, err := k.Seal(fmt.Appendf(nil, `{"order_id":"ORDER%08d","amount":"%d","currency_type":"CAD","biz_type":"WECHATPAY","operator_id":"0000000001","submit_type":"form","call_back_url":"http://127.0.0.1:9/ottpay","merchant_id":"TS00000001"}`, i, 100+i%5000))
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(envelope.Request{Action: string(api.ActionH5PAY), Version: "2.0", MerchantID: merchantID, Sealed: sealed})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/processV2", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "Go-http-client/1.1")
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		r.Header.Set("Accept-Encoding", "gzip")
		g.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// whole asks for the long forms of the tests, which take a minute under the race
// detector.
var whole = flag.Bool("whole", false, "fill gateways with 10 000 orders and more, and tear a record at every byte")

// TestSize fills a gateway and looks at its size and at what a look costs. It
// counts bytes, because a machine that is busy says nothing with its time: they
// find a list that is copied for each page, and a body that is kept as it came.
// BenchmarkLook has the times.
func TestSize(t *testing.T) {
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Callbacks: roundTripper(nowhere)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	before := heap()
	orders := 3000
	if *whole {
		orders = 10_000
	}
	crowd(t, g, orders)
	each := (heap() - before) / uint64(orders)
	if each > 1500 {
		t.Errorf("%d bytes an order", each)
	}
	for name, look := range looks(t, g, orders) {
		n := allocated(look)
		t.Logf("%s of %d orders, %d bytes each: %d bytes", name, orders, each, n)
		if n > 300<<10 {
			t.Errorf("%s allocates %d bytes", name, n)
		}
	}
}

// looks are the ways to look at a gateway that holds a crowd.
func looks(t testing.TB, g *ottpaytest.Gateway, orders int) map[string]func() {
	last := fmt.Sprintf("ORDER%08d", orders-1)
	return map[string]func(){
		"list": func() {
			if page, total := g.List(ottpaytest.Query{Limit: 50}); len(page) != 50 || total != orders {
				t.Errorf("%d of %d orders", len(page), total)
			}
		},
		"search": func() {
			if page, _ := g.List(ottpaytest.Query{Text: "order00000007", Limit: 50}); len(page) != 1 {
				t.Errorf("%d orders", len(page))
			}
		},
		"timeline": func() {
			if events := g.Merchant(merchantID).Events(last); len(events) != 2 {
				t.Errorf("events %v", events)
			}
		},
	}
}

// allocated is what one call allocates, at best: others may allocate meanwhile.
func allocated(f func()) uint64 {
	best := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		best = min(best, after.TotalAlloc-before.TotalAlloc)
	}
	return best
}

// BenchmarkLook times a look at 10 000 orders.
func BenchmarkLook(b *testing.B) {
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Callbacks: roundTripper(nowhere)})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	const orders = 10_000
	crowd(b, g, orders)
	for name, look := range looks(b, g, orders) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				look()
			}
		})
	}
}

// TestMany lets more events happen, and more messages come, than are kept, and
// looks whether that is bounded, and whether what is old is still what it was.
func TestMany(t *testing.T) {
	if testing.Short() {
		t.Skip("many events")
	}
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Callbacks: roundTripper(nowhere)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	orders := 21_000
	if *whole {
		orders = 30_000
	}
	crowd(t, g, orders/2)
	half := heap()
	crowd(t, g, orders/2) // the same ids: refused, and yet events and messages
	if n := g.Seq(); n < uint64(orders*3/2) {
		t.Fatalf("%d events", n)
	}
	if grown := int64(heap()) - int64(half); grown > 4<<20 {
		t.Errorf("%d bytes more after as many requests again", grown)
	}
	events, whole := g.Events(0)
	if whole || len(events) > 25_000 || len(events) < 20_000 {
		t.Errorf("%d events, whole %t", len(events), whole)
	}
	kept := g.Requests()
	if len(kept) > 10_000 || len(kept) < 9_000 {
		t.Errorf("%d requests", len(kept))
	}
	for i, r := range kept {
		if r.Order != fmt.Sprintf("ORDER%08d", orders/2-len(kept)+i) || !strings.Contains(string(r.Plaintext), r.Order) {
			t.Fatalf("request %d: %+v", i, r)
		}
		if k := g.Merchant(merchantID); i%997 == 0 {
			e, err := envelope.ReadRequest(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			if o, err := k.Open(e.Sealed); err != nil || string(o.Plaintext) != string(r.Plaintext) {
				t.Fatalf("request %d: %v", i, err)
			}
		}
	}
}
