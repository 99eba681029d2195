package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// FuzzWebhookBody: whatever is posted, nothing panics, the answer is one of
// the listed ones, and the handler runs only on what opens under the key.
func FuzzWebhookBody(f *testing.F) {
	f.Add([]byte(`{"rsp_code":"SUCCESS","data":"AAAA","md5":"00000000000000000000000000000000"}`))
	f.Add(callback(f, paid))
	f.Add(callbackWith(f, "wrong", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid))
	key := mustKey(f, publishedKey)
	f.Fuzz(func(t *testing.T, body []byte) {
		ran := false
		h := middleware.Handle(newWebhook(t, nil), func(context.Context, *api.Notification) error {
			ran = true
			return nil
		})
		rw := post(h, body)
		switch rw.Code {
		case 200, 400, 401, 413, 503:
		default:
			t.Fatalf("answer %d", rw.Code)
		}
		if ran != (rw.Code == 200) {
			t.Fatalf("answer %d, the handler ran: %v", rw.Code, ran)
		}
		if !ran {
			return
		}
		r, err := envelope.ReadResponse(body)
		if err != nil {
			t.Fatal("handled, and malformed")
		}
		if _, err := key.Open(r.Sealed); err != nil {
			t.Fatal("handled, and not authentic")
		}
	})
}

// FuzzWebhookPayload: of what is sealed under the key, the handler runs on
// notifications of this merchant alone, by the judgement of encoding/json. What
// has no finish_time gets 400, and whatever has one is never refused for good.
func FuzzWebhookPayload(f *testing.F) {
	f.Add([]byte(paid), "SUCCESS")
	f.Add([]byte(`{"order_id":"T1","amount":1,"order_status":"success"}`), "SUCCESS")
	f.Add([]byte(`{"finish_time":"0"}`), "0")
	f.Add([]byte(`{"order_id":"T1","amount":1e2,"bizpay_order_id":"x","finish_time":"y","Amount":"2"}`), "FAIL")
	f.Fuzz(func(t *testing.T, payload []byte, code string) {
		sealed, err := mustKey(t, publishedKey).Seal(payload)
		if err != nil {
			return
		}
		body, err := json.Marshal(envelope.Response{Code: code, MerchantID: merchant, Sealed: sealed})
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > 64<<10 {
			return
		}
		ran := false
		w := newWebhook(t, nil)
		rw := httptest.NewRecorder()
		w.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ran = true
			if b, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(b, payload) {
				t.Errorf("the handler read %q, %v", b, err)
			}
		})).ServeHTTP(rw, httptest.NewRequest("POST", "/", bytes.NewReader(body)))

		var m map[string]any
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatal(err)
		}
		text := func(name string) string {
			switch v := m[name].(type) {
			case string:
				return v
			case float64:
				return "a number"
			}
			return ""
		}
		id := text("merchant_id")
		switch {
		case ran != (rw.Code == 200):
			t.Fatalf("answer %d, ran %v", rw.Code, ran)
		case text("finish_time") == "" && rw.Code != 400:
			t.Fatalf("no finish_time: answer %d", rw.Code)
		case text("finish_time") != "" && rw.Code != 200 && rw.Code != 503:
			t.Fatalf("with a finish_time: answer %d", rw.Code)
		case ran && (text("order_id") == "" || m["amount"] == nil || id != "" && id != merchant):
			t.Fatal("the handler ran on what names no order, no amount or another merchant")
		}
	})
}
