//go:build !race

// Under the race detector sync.Pool drops at random what it is given, so that
// allocations cannot be counted.

package middleware_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// TestAllocations gates what the benchmarks show.
func TestAllocations(t *testing.T) {
	check := func(w *middleware.Webhook) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = w.Check(r) })
	}
	handle := func(w *middleware.Webhook) http.Handler {
		return middleware.Handle(w, func(context.Context, *api.Notification) error { return nil })
	}
	var n uint64
	everyOne := func(cfg *middleware.Config) { // or all but the first are duplicates
		cfg.Identify = func(*middleware.Delivery) (id dedupe.ID) {
			n++
			binary.BigEndian.PutUint64(id.Key[:], n)
			return id
		}
	}
	forged := callbackWith(t, "wrong", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, seedPayload)
	for _, c := range []struct {
		name string
		most float64
		h    http.Handler
		body []byte
	}{
		{"body to notification", 8, check(newWebhook(t, nil)), callback(t, seedPayload)},
		{"a forgery, checked", 3, check(newWebhook(t, nil)), forged},
		{"a forgery, refused", 2, handle(newWebhook(t, nil)), forged},
		{"the whole path on a memory store", 11, handle(newWebhook(t, everyOne)), callback(t, seedPayload)},
	} {
		body, r, rw := &rewindBody{}, httptest.NewRequest(http.MethodPost, "/", nil), discard{http.Header{}}
		r.ContentLength = int64(len(c.body))
		if got := testing.AllocsPerRun(200, func() {
			body.Reset(c.body)
			r.Body = body
			c.h.ServeHTTP(rw, r)
		}); got > c.most {
			t.Errorf("%s: %.1f allocations, want at most %.0f", c.name, got, c.most)
		}
	}
}

// TestTransportAllocations gates what the Transport adds to a round trip over a
// base that answers from memory: deadline, key derivation, sealing, the request
// of its own, opening and spelling.
func TestTransportAllocations(t *testing.T) {
	l := newLedger(t)
	answer := l.answer(t, "SUCCESS", `{"order_id":"R1","order_status":"success","refund_fee":1}`)
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)), Request: r,
		}, nil
	})
	transport := l.transport(base)
	allocations := func(rt http.RoundTripper, call string) float64 {
		return testing.AllocsPerRun(200, func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://gateway.example", bytes.NewReader([]byte(call)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		})
	}
	const query = `{"action":"STATUS_QUERY","version":"1.0","merchant_id":"ON00004652","data":{"order_id":"R1"}}`
	for call, most := range map[string]float64{refundCall: 19, query: 16} {
		if added := allocations(transport, call) - allocations(base, call); added > most {
			t.Errorf("the Transport adds %v allocations to %.30s, want at most %v", added, call, most)
		}
	}
	send := testing.AllocsPerRun(200, func() {
		if _, err := transport.Send(t.Context(), refundOf(t)); err != nil {
			t.Fatal(err)
		}
	})
	if send > 32 { // with the call itself and the base's answer
		t.Errorf("Send makes %v allocations", send)
	}
}
