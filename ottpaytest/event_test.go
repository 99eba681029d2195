package ottpaytest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// line writes what a test wants to know of an event.
func line(e ottpaytest.Event) string {
	parts := []string{string(e.Type), e.Order}
	for _, s := range []string{e.Code, string(e.From), string(e.To), e.By, e.Fault} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Try != 0 {
		parts = append(parts, fmt.Sprint("try ", e.Try))
	}
	if e.Status != 0 {
		parts = append(parts, fmt.Sprint(e.Status))
	}
	return strings.Join(parts, " ")
}

func lines(events []ottpaytest.Event) (out []string) {
	for _, e := range events {
		out = append(out, line(e))
	}
	return out
}

func TestEvents(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []ottpaytest.Event
	g := newGateway(t, func(c *ottpaytest.Config) {
		c.OnEvent = func(e ottpaytest.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		}
	})
	s := newShop(t, http.StatusServiceUnavailable)
	changed := g.Changed()
	order(t, g, "A1", s.URL)
	select {
	case <-changed:
	default:
		t.Error("nothing has changed")
	}
	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	ask(t, g, api.ActionREFUND, object{"order_id": "R1", "ori_order_id": "A1", "refund_amt": "40"}, api.CodeSuccess)

	events, whole := g.Events(0)
	want := []string{
		"request.received A1 SUCCESS",
		"order.created A1 init",
		"order.status A1 init success payer",
		"delivery.sent A1 try 1",
		"delivery.answered A1 try 1 503",
		"delivery.scheduled A1 try 2",
		"delivery.sent A1 try 2",
		"delivery.answered A1 try 2 200",
		"request.received R1 SUCCESS",
		"order.created R1 success",
		"order.status A1 success partial_refunded merchant",
	}
	if got := lines(events); !slices.Equal(got, want) || !whole {
		t.Fatalf("events, whole %t:\n%s", whole, strings.Join(got, "\n"))
	}
	for i, e := range events {
		if e.Seq != uint64(i+1) || !e.At.Equal(noon) || e.Merchant != merchantID {
			t.Errorf("event %d: %+v", i, e)
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back ottpaytest.Event
		if err := json.Unmarshal(text, &back); err != nil || fmt.Sprint(back) != fmt.Sprint(e) {
			t.Errorf("%s\nreads as %+v, not %+v: %v", text, back, e, err)
		}
		if strings.Contains(string(text), "null") {
			t.Errorf("a null in %s", text)
		}
	}
	if text, _ := json.Marshal(events[4]); string(text) != `{"v":1,"seq":5,"at":"2025-03-04T12:00:00.000Z","type":"delivery.answered","merchant":"TS00000001","order":"A1","kind":"original","message":4,"try":1,"status":503,"ms":0,"acknowledged":false}` {
		t.Errorf("%s", text)
	}
	if some, whole := g.Events(9); len(some) != 2 || !whole || g.Seq() != 11 {
		t.Errorf("%d events after 9 of %d", len(some), g.Seq())
	}

	// The messages of the events.
	m, ok := g.Message(1)
	if !ok || m.Callback || m.Order != "A1" || m.Code != "SUCCESS" || !strings.Contains(string(m.Plaintext), `"call_back_url"`) ||
		!strings.Contains(string(m.AnswerPlaintext), `"code_url"`) || m.Verdict != "taken" {
		t.Errorf("message %+v", m)
	}
	m, ok = g.Message(4)
	if !ok || !m.Callback || m.Status != 503 || string(m.Answer) != "SUCCESS" || string(m.Body) != s.received()[0] ||
		!strings.Contains(string(m.Plaintext), `"finish_time"`) || m.Verdict != "the shop asks to try again" {
		t.Errorf("message %+v", m)
	}
	if _, ok := g.Message(2); ok {
		t.Error("an event without a message has one")
	}

	// The order has the sum of it.
	o, _ := g.Order("A1")
	if c := o.Callbacks; c.Tries != 2 || c.Status != 200 || !c.Acknowledged || o.Seq != 2 || o.Changed != 11 {
		t.Errorf("order %+v", o)
	}

	g.Close() // after which OnEvent has had them all
	mu.Lock()
	defer mu.Unlock()
	if got := lines(told); !slices.Equal(got, want) {
		t.Errorf("told:\n%s", strings.Join(got, "\n"))
	}
}

// TestMerchantsApart gives two merchants an order of one id.
func TestMerchantsApart(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	made, err := g.AddMerchant(ottpaytest.MerchantConfig{Currency: "CAD", ConvenienceFee: 7})
	if err != nil || made.ID == "" || made.OperatorID == "" || len(made.SignKeys) != 1 || len(made.SignKeys[0]) != 16 {
		t.Fatalf("%+v, %v", made, err)
	}
	if _, err := g.AddMerchant(ottpaytest.MerchantConfig{ID: made.ID}); !errors.Is(err, ottpaytest.ErrState) {
		t.Errorf("added twice: %v", err)
	}
	order(t, g, "A1", "https://shop.example/")
	e := seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "A1", "amount", "100"))
	sealed, err := key(t, made.SignKeys[0]).Seal([]byte(`{"order_id":"A1","amount":"100","biz_type":"ALIPAY","operator_id":"0000000001","call_back_url":"https://other.example/"}`))
	if err != nil {
		t.Fatal(err)
	}
	e.MerchantID, e.Sealed = made.ID, sealed
	if r := postRaw(t, g, e); r.Code != "SUCCESS" {
		t.Fatalf("%+v", r)
	}
	theirs := g.Merchant(made.ID)
	if err := theirs.Pay("A1", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	ours, _ := g.Order("A1")
	other, _ := theirs.Order("A1")
	if ours.Status != api.StatusInit || other.Status != api.StatusSuccess || other.Fee != 7 || ours.Fee != 0 {
		t.Errorf("%+v\n%+v", ours, other)
	}
	refund, err := theirs.By("api").Refund("A1", 50)
	if err != nil || refund.OriginalID != "A1" || refund.Refunded != 50 {
		t.Errorf("%+v, %v", refund, err)
	}
	if _, err := theirs.Refund("A1", 58); !errors.Is(err, ottpaytest.ErrState) {
		t.Errorf("more than the rest: %v", err)
	}
	if got, want := lines(theirs.Events("A1")), []string{
		"request.received A1 SUCCESS", "order.created A1 init", "order.status A1 init success payer",
		"order.status A1 success partial_refunded api",
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if orders, total := g.List(ottpaytest.Query{Merchant: made.ID}); total != 2 || orders[0].ID != refund.ID {
		t.Errorf("%v", orders)
	}
	if !g.RemoveMerchant(made.ID) || g.RemoveMerchant(made.ID) {
		t.Error("not removed once")
	}
	if r := postRaw(t, g, e); r.Code != "PWD_INCORRECT" {
		t.Errorf("a merchant that is removed: %+v", r)
	}
	if len(g.Orders()) != 1 {
		t.Errorf("orders %v", g.Orders())
	}
	events, _ := g.Events(0)
	for _, e := range events {
		if e.Merchant == made.ID && e.Type != ottpaytest.EventConfigChanged && e.Code != "PWD_INCORRECT" {
			t.Errorf("kept: %+v", e)
		}
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *ottpaytest.Config) {
		c.Redelivery = []time.Duration{time.Hour}
		c.SetAfter(func(time.Duration) <-chan time.Time { return nil })
	})
	s := newShop(t, http.StatusServiceUnavailable)
	order(t, g, "A1", s.URL)
	arm(t, g, ottpaytest.Fault{Kind: ottpaytest.FaultHTML, Order: "none"})
	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	for len(s.received()) == 0 || g.Seq() < 7 {
		<-g.Changed()
	}
	before := g.Seq()
	g.Reset()
	wait(t, g) // the second try is dropped
	events, whole := g.Events(before - 1)
	if len(events) != 1 || events[0].Type != ottpaytest.EventReset || events[0].Seq != before+1 || whole {
		t.Errorf("events %v, whole %t", events, whole)
	}
	if _, whole := g.Events(before); !whole {
		t.Error("nothing was missed after the reset")
	}
	if len(g.Orders()) != 0 || len(g.Armed()) != 0 || len(g.Requests()) != 0 || g.Attempts("A1") != 0 {
		t.Error("something is kept")
	}
	order(t, g, "A1", s.URL)
}

// TestManualClock runs redelivery and expiry by hand.
func TestManualClock(t *testing.T) {
	t.Parallel()
	clock := ottpaytest.NewManualClock(noon)
	g := newGateway(t, func(c *ottpaytest.Config) { c.Clock = clock })
	s := newShop(t, 500, 500)
	order(t, g, "A1", s.URL)
	prepay := request(t, api.ActionPREPAY_INIT).with("prepay_order_id", "P1", "duration", "600")
	ask(t, g, api.ActionPREPAY_INIT, prepay, api.CodeSuccess)
	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for {
			changed := g.Changed()
			if holds() {
				return
			}
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
				t.Fatal(what)
			}
		}
	}
	until("no second try is due", func() bool { o, _ := g.Order("A1"); return o.Callbacks.Due.Equal(noon.Add(time.Second)) })
	if n := len(s.received()); n != 1 {
		t.Fatalf("%d callbacks", n)
	}
	if err := g.Advance(time.Second); err != nil {
		t.Fatal(err)
	}
	until("no third try is due", func() bool { o, _ := g.Order("A1"); return o.Callbacks.Due.Equal(noon.Add(3 * time.Second)) })
	if err := g.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	if n := len(s.received()); n != 3 {
		t.Errorf("%d callbacks", n)
	}
	events, _ := g.Events(0)
	if !slices.ContainsFunc(events, func(e ottpaytest.Event) bool { return line(e) == "order.status P1 init orderclosed clock" }) {
		t.Errorf("the checkout has not expired: %q", lines(events))
	}
	if err := g.Advance(-time.Second); !errors.Is(err, ottpaytest.ErrState) {
		t.Errorf("backwards: %v", err)
	}
	if err := newGateway(t).Advance(time.Second); !errors.Is(err, ottpaytest.ErrState) {
		t.Errorf("without a clock: %v", err)
	}
}
