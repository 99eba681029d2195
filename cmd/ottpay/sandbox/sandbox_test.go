package sandbox_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433"
)

// box is a sandbox under test.
type box struct {
	t *testing.T
	g *ottpaytest.Gateway
	*httptest.Server
}

func newBox(t *testing.T, change func(*ottpaytest.Config, *sandbox.Config)) *box {
	t.Helper()
	cfg := ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey, Clock: ottpaytest.NewClock(),
		Redelivery: []time.Duration{50 * time.Millisecond, time.Hour},
		Callbacks:  sandbox.Callbacks(sandbox.CallbackConfig{}),
	}
	outer := sandbox.Config{Version: "v0.0.0-test"}
	if change != nil {
		change(&cfg, &outer)
	}
	g, err := ottpaytest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	h, err := sandbox.Handler(g, outer)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return &box{t, g, s}
}

// call makes an API call and decodes the answer, which must have a status.
func (b *box) call(method, path string, body any, status int, headers ...string) map[string]any {
	b.t.Helper()
	var r io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	q, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+"/-/api/v1"+path, r)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	w, err := b.Client().Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if w.StatusCode != status {
		b.t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.StatusCode, status, text)
	}
	if status == http.StatusNoContent {
		return nil
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		b.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return out
}

// at walks into decoded JSON.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// shop answers callbacks, with these statuses first and 200 after them.
type shop struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	bodies   []string
}

func newShop(t *testing.T, statuses ...int) *shop {
	t.Helper()
	s := &shop{statuses: statuses}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bodies = append(s.bodies, string(body))
		if len(s.statuses) > 0 {
			w.WriteHeader(s.statuses[0])
			s.statuses = s.statuses[1:]
		}
		_, _ = io.WriteString(w, "SUCCESS")
	}))
	t.Cleanup(s.Close)
	return s
}

// h5 is a request for a payment.
func h5(order, callback string) map[string]any {
	return map[string]any{"action": "H5PAY", "data": map[string]any{
		"order_id": order, "amount": "1999", "currency_type": "CAD", "biz_type": "WECHATPAY", "operator_id": "0000000001",
		"submit_type": "form", "call_back_url": callback,
	}}
}

// TestWalk is a whole test of a shop.
func TestWalk(t *testing.T) {
	t.Parallel()
	b, s := newBox(t, nil), newShop(t, 503)
	m := b.call("POST", "/merchants", map[string]any{"currency": "CAD", "fee_cents": 30}, 201)
	id, _ := m["merchant_id"].(string)
	if id == "" || len(m["sign_key"].(string)) != 16 {
		t.Fatalf("merchant %v", m)
	}
	o := b.call("POST", "/orders/"+id, h5("A1", s.URL+"/ottpay"), 201)
	if at(o, "order", "status") != "init" || at(o, "order", "total_cents") != 2029.0 || at(o, "code") != "SUCCESS" ||
		!strings.HasPrefix(at(o, "data", "payinfo").(string), b.URL+"/pay/"+id+"/A1") {
		t.Fatalf("order %v", o)
	}
	paid := b.call("POST", "/orders/"+id+"/A1/pay", nil, 200, "Prefer", "wait=5")
	if at(paid, "order", "status") != "success" || at(paid, "delivery", "status") != 503.0 || at(paid, "delivery", "acknowledged") != false {
		t.Fatalf("paid %v", paid)
	}
	w := b.call("GET", "/wait?merchant="+id+"&order=A1&for=acknowledged&timeout=5s", nil, 200)
	if at(w, "event", "type") != "delivery.answered" || at(w, "event", "try") != 2.0 {
		t.Errorf("waited %v", w)
	}
	b.call("GET", "/wait?merchant="+id+"&for=quiet&timeout=5s", nil, 200)
	if p := b.call("POST", "/orders/"+id+"/A1/pay", nil, 409); p["code"] != "state" || p["state"] != "success" {
		t.Errorf("paid twice: %v", p)
	}
	if p := b.call("POST", "/orders/"+id+"/A1/refund", map[string]any{"amount_cents": 3000}, 409); p["code"] != "state" {
		t.Errorf("refunded too much: %v", p)
	}
	back := b.call("POST", "/orders/"+id+"/A1/refund", map[string]any{"amount_cents": 29}, 200)
	if at(back, "order", "status") != "partial_refunded" || at(back, "refund", "refunded_cents") != 29.0 {
		t.Errorf("refunded %v", back)
	}
	again := b.call("POST", "/orders/"+id+"/A1/redeliver", map[string]any{"fault": "data", "times": 2}, 200)
	if n := len(at(again, "deliveries").([]any)); n != 2 || at(again, "delivery", "fault") != "data" {
		t.Errorf("redelivered %v", again)
	}
	if p := b.call("POST", "/orders/"+id+"/A1/redeliver", map[string]any{"fault": "dato"}, 422); p["hint"] != "did you mean callback:data?" {
		t.Errorf("unknown fault: %v", p)
	}
	first, _ := at(paid, "delivery", "message").(float64)
	msg := b.call("GET", "/messages/"+jsonText(first), nil, 200)
	if at(msg, "wire") != s.bodies[0] || at(msg, "answer", "status") != 503.0 || !strings.Contains(at(msg, "plaintext").(string), `"bizpay_order_id"`) {
		t.Errorf("message %v", msg)
	}
	joined, _ := at(msg, "digest", "joined").(string)
	if sum := md5.Sum([]byte(joined)); strings.ToUpper(hex.EncodeToString(sum[:])) != at(msg, "digest", "md5") || at(msg, "digest", "order", 0) != "amount" || at(msg, "digest", "form") != "java" {
		t.Errorf("digest %v", at(msg, "digest"))
	}
	whole := b.call("GET", "/orders/"+id+"/A1", nil, 200)
	if n := len(at(whole, "deliveries").([]any)); n != 4 || whole["attempts"] != 1.0 || whole["effects"] != 1.0 {
		t.Errorf("order %v", whole)
	}
	if p := b.call("GET", "/orders/"+id+"/A2", nil, 404); p["code"] != "no-order" || !strings.Contains(p["hint"].(string), "the last one is ") {
		t.Errorf("unknown order: %v", p)
	}
	b.call("DELETE", "/merchants/"+id, nil, 204)
	if p := b.call("GET", "/orders/"+id+"/A1", nil, 404); p["code"] != "no-merchant" {
		t.Errorf("removed merchant: %v", p)
	}
}

func jsonText(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	order := h5("A1", "http://127.0.0.1:1/")
	delete(order["data"].(map[string]any), "currency_type")
	if p := b.call("POST", "/orders/"+merchantID, order, 422); p["member"] != "currency_type" || p["rule"] != "required" || p["code"] != "document" {
		t.Errorf("%v", p)
	}
	b.call("POST", "/orders/"+merchantID, h5("A1", "http://127.0.0.1:1/"), 201)
	if p := b.call("POST", "/orders/"+merchantID, h5("A1", "http://127.0.0.1:1/"), 409); !strings.Contains(p["detail"].(string), "ORDER_USED") {
		t.Errorf("%v", p)
	}
	for _, c := range []struct{ method, path, body, code string }{
		{"POST", "/orders/unknown", `{"action":"H5PAY","data":{}}`, "no-merchant"},
		{"POST", "/orders/" + merchantID, `{"action":"H5PAY"`, "json"},
		{"POST", "/orders/" + merchantID, `{"action":"H5PAY","data":{},"dta":1}`, "json"},
		{"POST", "/orders/" + merchantID, `{"action":5,"data":{}}`, "json"},
		{"POST", "/orders/" + merchantID, `{} {}`, "json"},
		{"POST", "/orders/" + merchantID, `{}`, "request"},
		{"POST", "/merchants", `{"fee_cents":-1}`, "value"},
		{"POST", "/merchants", `{"merchant_id":"TS00000001"}`, "state"},
		{"POST", "/clock", `{}`, "request"},
		{"POST", "/clock", `{"advance":"soon"}`, "value"},
		{"POST", "/faults", `{"name":"drop"}`, "no-fault"},
		{"POST", "/faults", `{"name":"answer:drop","direction":"callback"}`, "no-fault"},
		{"DELETE", "/faults/77", ``, "no-fault"},
		{"PATCH", "/config", `{"quirks":["none","x"]}`, "value"},
		{"GET", "/wait?for=nothing", ``, "parameter"},
		{"GET", "/events?type=nothing", ``, "parameter"},
		{"GET", "/orders?after=x", ``, "parameter"},
		{"GET", "/messages/x", ``, "no-message"},
		{"POST", "/open", `{"merchant":"TS00000001","data":"AAAA","md5":"x"}`, "not-authentic"},
		{"GET", "/nothing", ``, "no-such-path"},
	} {
		q, err := http.NewRequestWithContext(t.Context(), c.method, b.URL+"/-/api/v1"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		w, err := b.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		var p map[string]any
		err = json.NewDecoder(w.Body).Decode(&p)
		w.Body.Close()
		if err != nil || p["code"] != c.code || w.Header.Get("Content-Type") != "application/problem+json" || p["status"] != float64(w.StatusCode) {
			t.Errorf("%s %s %s: %d %v (%v), want %s", c.method, c.path, c.body, w.StatusCode, p, err, c.code)
		}
	}
}

func TestWaitSaysWhatHappenedInstead(t *testing.T) {
	t.Parallel()
	b, s := newBox(t, nil), newShop(t, 503, 503)
	p := b.call("GET", "/wait?merchant="+merchantID+"&order=A1&for=acknowledged&timeout=10ms", nil, 408)
	if p["detail"] != "not acknowledged within 10ms: there is no order A1" {
		t.Errorf("%v", p["detail"])
	}
	b.call("POST", "/orders/"+merchantID, h5("A1", s.URL), 201)
	b.call("POST", "/orders/"+merchantID+"/A1/pay", `{}`, 200)
	p = b.call("GET", "/wait?merchant="+merchantID+"&order=A1&for=acknowledged&timeout=700ms", nil, 408)
	if d, _ := p["detail"].(string); !strings.HasPrefix(d, "not acknowledged within 700ms: A1 is success, callback answered 503 twice, next try in 59m") || p["code"] != "timeout" || len(p["events"].([]any)) == 0 {
		t.Errorf("%v", p)
	}
}
