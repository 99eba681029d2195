//go:build !race

package ottpay_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

// TestClientAllocations gates what a call costs over a base that answers from
// memory: filling, validating, encoding, sealing, opening, decoding.
func TestClientAllocations(t *testing.T) {
	b := newBase(t, nil)
	answer, err := b.say("SUCCESS", `{"order_id":"R1","order_status":"success","refund_fee":1}`)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	cfg := b.config()
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
		}, nil
	})
	client := newClient(t, cfg)
	req := &api.RefundRequest{OrderID: "R1", OriOrderID: "O1", RefundAmt: 1}
	made := testing.AllocsPerRun(200, func() {
		if _, err := client.Refund(context.Background(), req); err != nil {
			t.Fatal(err)
		}
	})
	plain := testing.AllocsPerRun(200, func() {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://gateway.example", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := cfg.Base.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	})
	const most = 27
	if added := made - plain; added > most {
		t.Errorf("a refund adds %v allocations to a round trip, want at most %v", added, most)
	} else {
		t.Logf("a refund adds %v allocations", added)
	}
}
