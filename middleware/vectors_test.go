package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/vectors"
	"github.com/ottpaykit/ottpay/middleware"
)

// TestVectors posts the vectors as callbacks: what must be refused is, with the
// answer that its stage asks for; what opens and is a callback is handled.
func TestVectors(t *testing.T) {
	t.Parallel()
	set := vectors.Read(t)
	for _, v := range set.Rejects {
		t.Run("reject/"+v.Name, func(t *testing.T) {
			t.Parallel()
			status, runs := deliver(t, v.SignKey, v.MerchantID, v.Wire)
			if runs != 0 {
				t.Error("the handler ran")
			}
			// Refusing earlier than the named stage is as good. What opens and
			// could be money is deferred.
			allowed := map[int]bool{400: true}
			switch v.Stage {
			case "envelope":
			case "crypto":
				allowed[401] = true
			case "content":
				allowed[401], allowed[503] = true, true
			default:
				t.Fatalf("unknown stage %q", v.Stage)
			}
			if !allowed[status] {
				t.Errorf("answer %d to: %s", status, v.Reason)
			}
		})
	}

	for _, v := range set.Envelopes {
		t.Run("envelopes/"+v.Name, func(t *testing.T) {
			t.Parallel()
			var outer struct {
				MerchantID string `json:"merchant_id"`
				Code       string `json:"rsp_code"`
			}
			if err := json.Unmarshal([]byte(v.Wire), &outer); err != nil {
				t.Fatal(err)
			}
			if outer.MerchantID == "" {
				outer.MerchantID = merchant
			}
			want, wantRuns := 400, 0 // authentic, and another kind of message
			if isCallback(v.Plaintext, outer.MerchantID) {
				want, wantRuns = 200, 1
				if outer.Code != "SUCCESS" {
					want, wantRuns = 503, 0
				}
			}
			if status, runs := deliver(t, v.SignKey, outer.MerchantID, v.Wire); status != want || runs != wantRuns {
				t.Errorf("answer %d, %d runs; want %d, %d", status, runs, want, wantRuns)
			}
		})
	}
}

// isCallback says what docs/protocol.md 8.2, 3 and 4 say, in its own way.
func isCallback(plaintext, merchantID string) bool {
	var m map[string]any
	if err := json.Unmarshal([]byte(plaintext), &m); err != nil {
		return false
	}
	for _, name := range []string{"order_id", "bizpay_order_id", "finish_time"} {
		if s, ok := m[name].(string); !ok || s == "" {
			return false
		}
	}
	if id, ok := m["merchant_id"]; ok && id != merchantID {
		return false
	}
	_, ok := m["amount"]
	return ok
}

func deliver(t *testing.T, signKey, merchantID, wire string) (status, runs int) {
	t.Helper()
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Keys = middleware.StaticKeys{merchantID: []envelope.Key{mustKey(t, signKey)}}
		cfg.Merchant = merchantID
	})
	h := middleware.Handle(w, func(context.Context, *api.Notification) error {
		runs++
		return nil
	})
	rw := httptest.NewRecorder()
	h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte(wire))))
	return rw.Code, runs
}
