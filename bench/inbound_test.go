// Package bench measures the kit beside other ways to do the same. Figures and
// how they were taken are in docs/performance.md.
package bench_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

const (
	signKey     = "6698851A525C9433" // OTT Pay's published example
	merchantID  = "QC00005496"
	seedPayload = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`
)

func seal(tb testing.TB) (envelope.Key, envelope.Response, []byte) {
	tb.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	sealed, err := key.Seal([]byte(seedPayload))
	if err != nil {
		tb.Fatal(err)
	}
	r := envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchantID, Sealed: sealed}
	body, err := json.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	return key, r, body
}

// BenchmarkOpen is decrypting and verifying the seed's callback.
func BenchmarkOpen(b *testing.B) {
	key, r, _ := seal(b)
	b.Run("ottpay", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := key.Open(r.Sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plainOpen(signKey, r.Sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// rewindBody is a request body that costs the benchmark nothing.
type rewindBody struct{ bytes.Reader }

func (*rewindBody) Close() error { return nil }

// BenchmarkReceive is the whole path from body bytes to a typed and validated
// notification.
func BenchmarkReceive(b *testing.B) {
	key, _, raw := seal(b)
	b.Run("ottpay", func(b *testing.B) {
		w, err := ottpay.NewWebhook(middleware.Config{
			Keys:   middleware.StaticKeys{merchantID: {key}},
			Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		body, r := &rewindBody{}, httptest.NewRequest(http.MethodPost, "/", nil)
		r.ContentLength = int64(len(raw))
		b.ReportAllocs()
		for b.Loop() {
			body.Reset(raw)
			r.Body = body
			if _, err := w.Check(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		v := validate.New()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plainReceive(v, signKey, raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestPlain keeps the peer honest: it must do the work that it is timed for.
func TestPlain(t *testing.T) {
	t.Parallel()
	_, r, body := seal(t)
	n, err := plainReceive(validate.New(), signKey, body)
	if err != nil || n.Amount != "1" || n.OrderID != "2020041553699O153O0407" {
		t.Errorf("plain: %+v, %v", n, err)
	}
	r.MD5 = "00000000000000000000000000000000"
	if _, err := plainOpen(signKey, r.Sealed); err == nil {
		t.Error("the plain version opens a forgery")
	}
}
