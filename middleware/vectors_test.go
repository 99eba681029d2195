package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// vectorFile reads a vector file of package envelope, or a foreign one of the
// same format. It reports false if a foreign directory lacks it.
func vectorFile(t *testing.T, name string, into any) bool {
	t.Helper()
	dir := os.Getenv("OTTPAY_VECTORS")
	foreign := dir != ""
	switch {
	case foreign && !filepath.IsAbs(dir):
		dir = filepath.Join("..", dir) // as seen from where go test ./middleware is typed
	case !foreign:
		dir = filepath.Join("..", "envelope", "testdata", "vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) && foreign {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return true
}

// TestVectors posts the vectors as callbacks: what must be refused is, with the
// answer that its stage asks for; what opens and is a callback is handled.
func TestVectors(t *testing.T) {
	t.Parallel()
	var rejects []struct {
		Name       string
		SignKey    string `json:"sign_key"`
		MerchantID string `json:"merchant_id"`
		Stage      string
		Reason     string
		Wire       string
	}
	ran := 0
	if vectorFile(t, "reject.json", &rejects) {
		ran++
	}
	for _, v := range rejects {
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

	var envelopes []struct {
		Name      string
		SignKey   string `json:"sign_key"`
		Form      string
		Plaintext string
		MD5       string
		AESKey    string `json:"aes_key"`
		Data      string
		Wire      string
	}
	if vectorFile(t, "envelopes.json", &envelopes) {
		ran++
	}
	for _, v := range envelopes {
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
	if ran == 0 {
		t.Fatal("no vector file")
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
