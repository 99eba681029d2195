package ottpaytest_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// outcome sends a request and says what became of it: a word.
func outcome(t *testing.T, g *ottpaytest.Gateway, e envelope.Request) string {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: g.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Post(g.URL, "application/json", bytes.NewReader(body))
	if err != nil {
		return "no answer"
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return "half an answer"
	case r.StatusCode != http.StatusOK:
		return http.StatusText(r.StatusCode)
	case len(text) == 0:
		return "nothing"
	}
	a, err := envelope.ReadAnswer(text)
	if err != nil {
		return envelope.Reason(err)
	}
	if a.Data == "" {
		return a.Code + " without data"
	}
	p, err := key(t, signKey).Open(a.Sealed)
	if errors.Is(err, envelope.ErrUnauthentic) {
		if envelope.Reason(err) == "digest" {
			return "wrong digest"
		}
		return "not authentic"
	}
	var data object
	if err := json.Unmarshal(p.JSON, &data); err != nil {
		t.Fatal(err)
	}
	if data["order_id"] != "F1" {
		return a.Code + " of another order"
	}
	if data["call_back_url"] != nil {
		return "the request"
	}
	return a.Code
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault ottpaytest.Fault
		want  string
		lost  bool // the request takes no effect
	}{
		{ottpaytest.Fault{Kind: ottpaytest.FaultDrop}, "no answer", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Before: true}, "no answer", true},
		{ottpaytest.Fault{Kind: ottpaytest.FaultTruncate}, "half an answer", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultWrongDigest}, "wrong digest", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultWrongKey}, "not authentic", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultHTML}, "Bad Gateway", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultHTML, Status: 503, Before: true}, "Service Unavailable", true},
		{ottpaytest.Fault{Kind: ottpaytest.FaultHTML, Status: 200}, "not-an-object", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultRedirect}, "Temporary Redirect", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultRedirect, Status: 308, Before: true}, "Permanent Redirect", true},
		{ottpaytest.Fault{Kind: ottpaytest.FaultEmpty}, "nothing", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultNoData}, "no-data", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultAnotherOrder}, "SUCCESS of another order", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultReflect}, "the request", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultHuge}, "too-large", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultCode}, "SYSTEM_ERROR without data", false},
		{ottpaytest.Fault{Kind: ottpaytest.FaultCode, Code: api.CodeTimeout, Before: true}, "TIMEOUT without data", true},
		{ottpaytest.Fault{Kind: ottpaytest.FaultProcessing}, "PROCESSING", false},
		{ottpaytest.Fault{Delay: time.Hour}, "SUCCESS", false},
	}
	for _, tt := range tests {
		name := string(tt.fault.Kind)
		if tt.fault.Before {
			name += " before"
		}
		t.Run(name+" "+tt.want, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			e := seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "F1"))
			tt.fault.Action = api.ActionACTIVEPAY
			arm(t, g, tt.fault)
			if got := outcome(t, g, e); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if _, kept := g.Order("F1"); kept == tt.lost {
				t.Errorf("the order is there: %t", kept)
			}
			last := g.Requests()
			if k := last[len(last)-1].Fault; k != "answer:"+string(cmp.Or(tt.fault.Kind, ottpaytest.FaultDelay)) {
				t.Errorf("recorded as %q", k)
			}
			// One request is all that it changes.
			want := "ORDER_USED without data"
			if tt.lost {
				want = "SUCCESS"
			}
			if got := outcome(t, g, e); got != want {
				t.Errorf("afterwards %s, want %s", got, want)
			}
		})
	}
}

func TestFaultOfAnOrder(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	order(t, g, "F1", "https://shop.example/")
	order(t, g, "F2", "https://shop.example/")
	query := func(id string) string {
		return outcome(t, g, seal(t, api.ActionSTATUS_QUERY, object{"order_id": id}))
	}
	arm(t, g, ottpaytest.Fault{Action: api.ActionSTATUS_QUERY, Kind: ottpaytest.FaultEmpty, Order: "F1", Times: 2})
	arm(t, g, ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Order: "F2", Times: -1})
	arm(t, g, ottpaytest.Fault{Action: api.ActionREFUND, Kind: ottpaytest.FaultDrop, Times: -1})
	for i, want := range []string{"nothing", "nothing", "SUCCESS", "SUCCESS"} {
		if got := query("F1"); got != want {
			t.Errorf("query %d of F1: %s, want %s", i, got, want)
		}
		if got := query("F2"); got != "no answer" {
			t.Errorf("query %d of F2: %s", i, got)
		}
	}
	for _, f := range g.Armed() {
		g.Disarm(f.ID)
	}
	if got := query("F2"); got != "SUCCESS of another order" {
		t.Errorf("healed: %s", got)
	}
}

// TestProcessing leaves a payment open until the payer pays.
func TestProcessing(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	arm(t, g, ottpaytest.Fault{Action: api.ActionPASSIVEPAY, Kind: ottpaytest.FaultProcessing})
	pay := request(t, api.ActionPASSIVEPAY).with("order_id", "P1")
	ask(t, g, api.ActionPASSIVEPAY, pay, api.CodeProcessing)
	status := func() string {
		return ask(t, g, api.ActionSTATUS_QUERY, object{"order_id": "P1"}, api.CodeSuccess).data.text("order_status")
	}
	if s := status(); s != "processing" {
		t.Errorf("status %s", s)
	}
	ask(t, g, api.ActionPASSIVEPAY, pay, api.CodeOrderUsed)
	if err := g.Pay("P1"); err != nil {
		t.Fatal(err)
	}
	if s := status(); s != "success" {
		t.Errorf("status %s", s)
	}
	ask(t, g, api.ActionPASSIVEPAY, pay, api.CodeOrderPaid)
}

// TestRedirectDoublesAnEffect shows what Reuse is for: a client that follows a
// 307 refunds twice, and the gateway has counted.
func TestRedirectDoublesAnEffect(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *ottpaytest.Config) { c.Reuse = true })
	order(t, g, "A1", "https://shop.example/")
	if err := g.Merchant(merchantID).Pay("A1", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	arm(t, g, ottpaytest.Fault{Action: api.ActionREFUND, Kind: ottpaytest.FaultRedirect})
	ask(t, g, api.ActionREFUND, object{"order_id": "R1", "ori_order_id": "A1", "refund_amt": "40"}, api.CodeSuccess)
	o, _ := g.Order("A1")
	if g.Effects("R1") != 2 || g.Attempts("R1") != 2 || o.Refunded != 80 {
		t.Errorf("%d effects, %d attempts, %d refunded; want 2, 2 and 80", g.Effects("R1"), g.Attempts("R1"), o.Refunded)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		arm(t, g, ottpaytest.Fault{Delay: 5 * time.Second})
		start := time.Now()
		e := seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY))
		if r := read(t, serve(t, g, e)); r.Code != "SUCCESS" || time.Since(start) != 5*time.Second {
			t.Errorf("%s after %v", r.Code, time.Since(start))
		}
	})
}

// serve hands a request to the gateway as an http.Handler.
func serve(t *testing.T, g http.Handler, e envelope.Request) string {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://pay.example/processV2", bytes.NewReader(body)))
	return w.Body.String()
}
