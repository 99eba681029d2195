package page_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/page"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestNoSecret: no key, no credential of a header and no wxapikey stands on any
// page, in any snippet or in the record; the key of an added merchant is shown
// once, in the answer that makes it.
func TestNoSecret(t *testing.T) {
	t.Parallel()
	const key, header = "CANARYKEY0123456789", "canary-header"
	s := newSite(t, func(g *ottpaytest.Config, _ *page.Config) { g.SignKey = key })
	shown := s.refused("/settings/merchant", url.Values{"currency": {"CAD"}, "fee": {"0.50"}}, http.StatusOK)
	_, after, ok := strings.Cut(seen(shown), "OTTPAY_SIGN_KEY=")
	if !ok || len(after) < 16 {
		t.Fatalf("the new merchant's key is not shown:\n%s", seen(shown))
	}
	made := after[:16]

	id := s.make(api.ActionH5PAY, nil)
	if err := s.g.Pay(id); err != nil {
		t.Fatal(err)
	}
	if err := s.g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	// inAppPay's answer holds a secret of the merchant's, and its request may
	// come with credentials.
	in := strings.NewReader(`{"userId":"wx1","amount":"1999","bizType":"WECHATPAY","merchant_id":"` + merchantID + `","operator_id":"0000000001","call_back_url":"` + s.server.URL + `/-/sample/callback","order_id":"I1"}`)
	inApp, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sandbox/inAppPay", in)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		inApp.Header.Set(name, header)
	}
	w := &discard{header: make(http.Header)}
	s.g.ServeHTTP(w, inApp)
	if !strings.Contains(w.String(), "this-is-a-secret") {
		t.Fatalf("inAppPay answers without the secret: %s", w)
	}
	var pages []string
	for _, p := range []string{"/", path(id), path("I1"), "/deliveries", "/faults", "/settings", "/settings/record", "/new", "/pay/", "/pay/" + merchantID + "/" + id, "/?q=I1"} {
		pages = append(pages, s.get(p, http.StatusOK))
	}
	events, _ := s.g.Events(0)
	for _, e := range events {
		if e.Message != 0 {
			pages = append(pages, s.get("/messages/"+itoa(e.Message), http.StatusOK))
		}
	}
	for _, text := range pages {
		for _, secret := range []string{key, made, header, "this-is-a-secret"} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%q is shown: …%s", secret, text[max(0, i-200):i])
			}
		}
	}
}

// discard keeps an answer.
type discard struct {
	bytes.Buffer
	header http.Header
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}

// TestSettings goes through what the settings change.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.post("/settings/behaviour", url.Values{
		"redelivery": {"1s, 5s"}, "rates": {"CNY=5.2474\nUSD=0.7"}, "lenient": {"yes"}, "quirk": {"numbers", "blanks"},
	})
	now := s.g.Settings()
	if len(now.Redelivery) != 2 || now.Rates["CNY"] != 524740000 || !now.Lenient || now.Reuse || now.Without != ottpaytest.QuirkEscapes|ottpaytest.QuirkBareFailures {
		t.Errorf("settings %+v", now)
	}
	if text := s.get("/settings", http.StatusOK); !strings.Contains(text, "1s, 5s") || !strings.Contains(text, "CNY=5.24740000") {
		t.Errorf("the settings do not show:\n%s", seen(text))
	}
	for name, bad := range map[string]url.Values{
		"pauses": {"redelivery": {"soon"}}, "rates": {"rates": {"CNY"}}, "a rate": {"rates": {"CNY=-1"}},
	} {
		t.Log(name)
		s.refused("/settings/behaviour", bad, http.StatusUnprocessableEntity)
	}
	before := s.g.Now()
	s.post("/settings/clock", url.Values{"advance": {"15m"}})
	if got := s.g.Now().Sub(before).Minutes(); got < 15 || got > 16 {
		t.Errorf("the clock went %v minutes", got)
	}
	s.refused("/settings/clock", url.Values{"to": {"expiry"}}, http.StatusConflict)
	s.post("/settings/clock", url.Values{"manual": {"yes"}})
	if !s.g.Clock().Manual() || !has(s.get("/settings", http.StatusOK), "Let it go on") {
		t.Error("the clock was not stopped")
	}
	s.post("/settings/clock", url.Values{"manual": {"no"}})
	s.refused("/settings/clock", url.Values{"advance": {"-1m"}}, http.StatusConflict)

	// A record goes out and in.
	id := s.make(api.ActionH5PAY, nil)
	record := s.get("/settings/record", http.StatusOK)
	s.post("/settings/reset", nil)
	if n := len(s.g.Orders()); n != 0 {
		t.Fatalf("%d orders after a reset", n)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("record", "record.ndjson")
	if err == nil {
		_, err = file.Write([]byte(record))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Post(s.server.URL+"/settings/load", form.FormDataContentType(), &body)
	s.body(resp, err)("/settings/load", http.StatusSeeOther)
	if _, ok := s.g.Order(id); !ok {
		t.Error("the order of the record is not there")
	}
	s.refused("/settings/load", url.Values{"record": {"x"}}, http.StatusUnprocessableEntity)
}

// TestFaults arms by the form, and disarms.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.post("/faults/arm", url.Values{"fault": {"answer:drop"}, "times": {"2"}, "action": {"H5PAY"}, "before": {"yes"}})
	s.post("/faults/arm", url.Values{"fault": {"callback:delay"}, "always": {"yes"}, "delay": {"1.5s"}, "order": {"A1"}})
	armed := s.g.Armed()
	if len(armed) != 2 || armed[0].Kind != ottpaytest.FaultDrop || armed[0].Left != 2 || !armed[0].Before || armed[0].Action != api.ActionH5PAY ||
		armed[1].Callback != ottpaytest.CallbackDelay || armed[1].Left >= 0 || armed[1].Delay.Milliseconds() != 1500 || armed[1].Order != "A1" || armed[1].By != "page" {
		t.Fatalf("armed %+v", armed)
	}
	text := s.get("/faults", http.StatusOK)
	for _, want := range []string{"answer: drop", "next 2", "callback: delay", "until disarmed", "2 faults", "page"} {
		if !has(text, want) {
			t.Errorf("the faults do not say %q", want)
		}
	}
	for _, bad := range []url.Values{
		{"fault": {"nonsense"}}, {"fault": {""}}, {"fault": {"answer:drop"}, "times": {"x"}}, {"fault": {"answer:delay"}, "delay": {"soon"}}, {"fault": {"answer:drop"}, "n": {"-1"}},
	} {
		s.refused("/faults/arm", bad, http.StatusUnprocessableEntity)
	}
	s.post("/faults/disarm", url.Values{"id": {itoa(uint64(armed[0].ID))}})
	s.post("/faults/disarm-all", nil)
	if left := s.g.Armed(); len(left) != 0 {
		t.Errorf("still armed: %+v", left)
	}
	for _, preset := range []string{"flaky", "down", "twice"} {
		s.post("/faults/preset", url.Values{"name": {preset}})
	}
	if len(s.g.Armed()) < 5 {
		t.Errorf("the presets arm %+v", s.g.Armed())
	}
	if text := s.get("/faults", http.StatusOK); !has(text, "The catalogue") || strings.Count(text, "<option value=\"callback:") < 50 {
		t.Error("the catalogue is not whole")
	}
}

// TestNewOrder makes an order of every action by the form, and shows what the
// gateway refuses.
func TestNewOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, action := range []string{"H5PAY", "ACTIVEPAY", "PASSIVEPAY", "MAPPPAY", "PREPAY_INIT", "CC_PREAUTH", "CC_PURCHASE"} {
		to := s.post("/new", url.Values{"merchant": {merchantID}, "action": {action}, "amount": {"12.50"}, "currency": {"CAD"}, "id": {"N" + strings.ReplaceAll(action, "_", "")}})
		if text := s.get(to, http.StatusOK); !has(text, "12.50") || !has(text, action) {
			t.Errorf("%s leads to %s:\n%s", action, to, seen(text))
		}
	}
	// An order whose id the gateway made up still has its request.
	unnamed := s.get(s.post("/new", url.Values{"merchant": {merchantID}, "action": {"H5PAY"}, "amount": {"12.50"}, "currency": {"CAD"}}), http.StatusOK)
	if !strings.Contains(unnamed, `href="/messages/`) || !strings.Contains(unnamed, "client.H5Pay(") {
		t.Errorf("an order without an id lost its request:\n%s", seen(unnamed))
	}
	again := s.refused("/new", url.Values{"merchant": {merchantID}, "action": {"H5PAY"}, "amount": {"12.50"}, "currency": {"CAD"}, "id": {"NH5PAY"}}, http.StatusUnprocessableEntity)
	if !has(again, "ORDER_USED") || !strings.Contains(again, `value="NH5PAY"`) {
		t.Errorf("a used id is not explained, or the form is empty:\n%s", seen(again))
	}
	s.refused("/new", url.Values{"merchant": {merchantID}, "action": {"H5PAY"}, "amount": {"much"}}, http.StatusUnprocessableEntity)
	s.refused("/new", url.Values{"merchant": {merchantID}, "action": {"NONE"}, "amount": {"1.00"}}, http.StatusBadRequest)
	s.refused("/new", url.Values{"merchant": {"unknown"}, "action": {"H5PAY"}, "amount": {"1.00"}}, http.StatusNotFound)
}
