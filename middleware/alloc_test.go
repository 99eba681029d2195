//go:build !race

package middleware_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

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
