package ottpaytest_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// order makes an order that is called back at url.
func order(t *testing.T, g *ottpaytest.Gateway, id, url string) {
	t.Helper()
	ask(t, g, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", id, "amount", "100", "call_back_url", url), api.CodeSuccess)
}

func TestRedeliveryUntilAcknowledged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var pauses []time.Duration
	g := newGateway(t, func(c *ottpaytest.Config) {
		c.Redelivery = []time.Duration{time.Second, time.Minute, time.Hour}
		c.SetAfter(func(d time.Duration) <-chan time.Time {
			mu.Lock()
			defer mu.Unlock()
			pauses = append(pauses, d)
			return atOnce(d)
		})
	})
	s := newShop(t, http.StatusServiceUnavailable, http.StatusCreated)
	order(t, g, "A1", s.URL)
	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)

	var got []int
	for i, d := range g.Deliveries("A1") {
		got = append(got, d.Status)
		if d.Try != i+1 || d.Kind != ottpaytest.Original || d.OrderID != "A1" || d.Body != "SUCCESS" || d.Err != nil || string(d.Sent) != s.received()[i] {
			t.Errorf("delivery %+v", d)
		}
	}
	if want := []int{503, 201, 200}; !slices.Equal(got, want) { // 201 is no acknowledgement
		t.Errorf("statuses %v, want %v", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []time.Duration{time.Second, time.Minute}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
}

func TestRedeliveryIsBounded(t *testing.T) {
	t.Parallel()
	for tries := range 4 {
		g := newGateway(t, func(c *ottpaytest.Config) { c.Redelivery = make([]time.Duration, tries) })
		s := newShop(t, 500, 500, 500, 500, 500, 500)
		order(t, g, "A1", s.URL)
		if err := g.Pay("A1"); err != nil {
			t.Fatal(err)
		}
		wait(t, g)
		if n := len(s.received()); n != tries+1 {
			t.Errorf("%d tries, want %d", n, tries+1)
		}
	}
}

// TestRedeliveryByTheClock runs the usual schedule on a clock of its own.
func TestRedeliveryByTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		g, err := ottpaytest.New(ottpaytest.Config{
			MerchantID: merchantID, SignKey: signKey, Couriers: 1,
			Callbacks: roundTripper(func(*http.Request) (*http.Response, error) {
				at = append(at, time.Since(start))
				return nil, errors.New("the shop is away")
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		serve(t, g, seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "A1")))
		if err := g.Pay("A1"); err != nil {
			t.Fatal(err)
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("tried after %v, want %v", at, want)
		}
		if d := g.Deliveries("A1"); len(d) != 5 || d[0].Err == nil || d[0].Status != 0 || d[0].Acknowledged() {
			t.Errorf("deliveries %v", d)
		}
	})
}

func TestAgain(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t), newShop(t)
	order(t, g, "A1", s.URL)
	for _, again := range []func(string) (ottpaytest.Delivery, error){g.Redeliver, g.Replay} {
		if _, err := again("A1"); !errors.Is(err, ottpaytest.ErrState) {
			t.Errorf("before it was paid: %v", err)
		}
		if _, err := again("none"); !errors.Is(err, ottpaytest.ErrNoOrder) {
			t.Errorf("no order: %v", err)
		}
	}
	if err := g.Merchant(merchantID).Pay("A1", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	if n := len(s.received()); n != 0 {
		t.Fatalf("%d callbacks of a silent payment", n)
	}
	if _, err := g.Replay("A1"); !errors.Is(err, ottpaytest.ErrState) {
		t.Errorf("nothing to replay: %v", err)
	}
	for _, again := range []func(string) (ottpaytest.Delivery, error){g.Redeliver, g.Redeliver, g.Replay} {
		if d, err := again("A1"); err != nil || !d.Acknowledged() {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	sent := s.received()
	first, second := notified(t, sent[0]), notified(t, sent[1])
	if sent[0] == sent[1] || first.MD5 != second.MD5 || first.data.text("order_id") != second.data.text("order_id") {
		t.Errorf("redelivered\n%s as\n%s", sent[0], sent[1])
	}
	if sent[2] != sent[0] {
		t.Errorf("replayed\n%s as\n%s", sent[0], sent[2])
	}
	var kinds []ottpaytest.DeliveryKind
	for _, d := range g.Deliveries("A1") {
		kinds = append(kinds, d.Kind)
	}
	if want := []ottpaytest.DeliveryKind{ottpaytest.Redelivery, ottpaytest.Redelivery, ottpaytest.Replay}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %v", kinds)
	}
}

func TestTamper(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t), newShop(t)
	order(t, g, "A1", s.URL)
	if err := g.Merchant(merchantID).Pay("A1", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	k := key(t, signKey)
	for i, how := range slices.Sorted(maps.Keys(tampered)) {
		d, err := g.Tamper("A1", how)
		if err != nil || d.Fault != how {
			t.Fatalf("%s: %v", how, err)
		}
		e, err := envelope.ReadResponse([]byte(s.received()[i]))
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		p, err := k.Open(e.Sealed)
		said := "opens"
		if err != nil {
			said = envelope.Reason(err)
		}
		if want := tampered[how]; said != want && !(want == "broken" && errors.Is(err, envelope.ErrUnauthentic)) {
			t.Errorf("%s: %s, want %s", how, said, want)
		}
		switch how {
		case ottpaytest.CallbackMerchant:
			if e.MerchantID == merchantID {
				t.Error("the merchant is the same")
			}
		case ottpaytest.CallbackCode:
			if e.Code != "FAIL" {
				t.Errorf("code %s", e.Code)
			}
		case ottpaytest.CallbackAmount:
			if !strings.Contains(string(p.JSON), `"amount":"101"`) {
				t.Errorf("amount: %s", p.JSON)
			}
		case ottpaytest.CallbackRequest, ottpaytest.CallbackResponse:
			if strings.Contains(string(p.JSON), "finish_time") {
				t.Errorf("%s: a callback: %s", how, p.JSON)
			}
		}
	}
	if _, err := g.Tamper("A1", "nonsense"); err != nil {
		t.Fatal(err)
	}
	if d := g.Deliveries("A1"); d[len(d)-1].Err == nil {
		t.Error("an unknown tampering was posted")
	}
}

// tampered says what the receiver's key finds; broken is any of the reasons.
var tampered = map[ottpaytest.CallbackFault]string{
	ottpaytest.CallbackData:     "broken",
	ottpaytest.CallbackDigest:   "broken",
	ottpaytest.CallbackBlocks:   "digest",
	ottpaytest.CallbackKey:      "broken",
	ottpaytest.CallbackMerchant: "opens",
	ottpaytest.CallbackCode:     "opens",
	ottpaytest.CallbackRequest:  "opens",
	ottpaytest.CallbackResponse: "opens",
	ottpaytest.CallbackAmount:   "opens",
}

// TestCouriersAreFew holds callbacks up and counts how many are under way.
func TestCouriersAreFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		g, err := ottpaytest.New(ottpaytest.Config{
			MerchantID: merchantID, SignKey: signKey, Couriers: 3,
			Callbacks: roundTripper(func(*http.Request) (*http.Response, error) {
				most.Store(max(most.Load(), now.Add(1)))
				<-time.After(time.Second)
				now.Add(-1)
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		start := time.Now()
		for i := range 10 {
			id := "A" + strconv.Itoa(i)
			serve(t, g, seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", id)))
			if err := g.Pay(id); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); most.Load() != 3 || took != 4*time.Second {
			t.Errorf("%d at once, took %v; want 3 and 4s", most.Load(), took)
		}
	})
}

// TestClose closes while one callback hangs, one waits for its next try and
// more stand in the queue. That no goroutine stays is for synctest to say.
func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		g, err := ottpaytest.New(ottpaytest.Config{
			MerchantID: merchantID, SignKey: signKey, Couriers: 1, CallbackTimeout: time.Hour,
			Callbacks: roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				<-time.After(time.Second)
				ended.Store(true)
				return nil, r.Context().Err()
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"A1", "A2", "A3"} {
			serve(t, g, seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", id)))
			if err := g.Pay(id); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		start := time.Now()
		g.Close()
		g.Close()
		if took := time.Since(start); !ended.Load() || took != time.Second {
			t.Errorf("Close took %v; the callback has ended: %t", took, ended.Load())
		}
		if err := g.Wait(t.Context()); err == nil {
			t.Error("Wait after Close found nothing left to do")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Wait(ctx); err == nil {
			t.Error("Wait took no notice of its context")
		}
	})
}

func TestAcknowledgementIsBounded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
	}))
	t.Cleanup(long.Close)
	order(t, g, "A1", long.URL)
	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	if d := g.Deliveries("A1"); len(d) != 1 || len(d[0].Body) != 64<<10 {
		t.Errorf("%d deliveries", len(d))
	}
}

func TestCallbackFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *ottpaytest.Config) { c.Redelivery = []time.Duration{} })
	s := newShop(t, http.StatusTemporaryRedirect)
	order(t, g, "A1", s.URL)
	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	if d := g.Deliveries("A1"); len(d) != 1 || d[0].Status != http.StatusTemporaryRedirect || d[0].Acknowledged() {
		t.Errorf("deliveries %v", d)
	}
}

// roundTripper is a function that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
