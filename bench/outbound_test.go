package bench_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const openedRefund = `{"action":"REFUND","version":"1.0","merchant_id":"QC00005496","data":{"order_id":"R2020041553699","ori_order_id":"2020041553699O153O0407","refund_amt":"1"}}`

// canned answers every request with the same bytes, without a network.
type canned struct{ answer []byte }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(c.answer)), ContentLength: int64(len(c.answer)), Request: r,
	}, nil
}

// post makes one round trip and reads its answer, as each row does.
func post(b *testing.B, rt http.RoundTripper, url, body string) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		b.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
}

// BenchmarkRoundTrip is a refund's round trip, without a network and over
// loopback: plain JSON, the same through the Transport, which seals the request
// and opens the answer, and through the client, which also fills, validates,
// encodes and decodes. What the kit adds is the difference of the rows.
func BenchmarkRoundTrip(b *testing.B) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		b.Fatal(err)
	}
	sealed, err := key.Seal([]byte(`{"order_id":"R2020041553699","order_status":"success","refund_fee":1}`))
	if err != nil {
		b.Fatal(err)
	}
	answer, err := json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchantID, Sealed: sealed})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = rw.Write(answer)
	}))
	defer server.Close()

	for _, over := range []struct {
		name string
		base http.RoundTripper
	}{
		{"nothing", canned{answer}},
		{"loopback", server.Client().Transport},
	} {
		keys := middleware.StaticKeys{merchantID: {key}}
		client, err := ottpay.New(ottpay.Config{Logger: slog.New(slog.DiscardHandler), MerchantID: merchantID, OperatorID: "1", Keys: keys, BaseURL: server.URL, Base: over.base})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(over.name+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				post(b, over.base, server.URL, openedRefund)
			}
		})
		b.Run(over.name+"/transport", func(b *testing.B) {
			transport := &middleware.Transport{Keys: keys, Base: over.base}
			b.ReportAllocs()
			for b.Loop() {
				post(b, transport, server.URL, openedRefund)
			}
		})
		b.Run(over.name+"/client", func(b *testing.B) {
			req := &api.RefundRequest{OrderID: "R2020041553699", OriOrderID: "2020041553699O153O0407", RefundAmt: 1}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Refund(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
