package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	openedRefund = `{"action":"REFUND","version":"1.0","merchant_id":"QC00005496","data":{"order_id":"R2020041553699","ori_order_id":"2020041553699O153O0407","refund_amt":"1"}}`
	gatewayURL   = "https://gateway.example/processV2"
)

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

// post makes one round trip and reads its answer.
func post(b *testing.B, rt http.RoundTripper) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, gatewayURL, bytes.NewReader([]byte(openedRefund)))
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
	_ = resp.Body.Close()
}

func answer(tb testing.TB) []byte {
	tb.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	sealed, err := key.Seal([]byte(`{"order_id":"R2020041553699","order_status":"success","refund_fee":1}`))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchantID, Sealed: sealed})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func roundTrip() Group {
	return Group{Name: "RoundTrip", Title: "A refund's round trip over a base that answers from memory", Rows: []Row{
		{"plain", "net/http's request and response, plain JSON", func(b *testing.B) {
			base := canned{answer(b)}
			b.ReportAllocs()
			for b.Loop() {
				post(b, base)
			}
		}},
		{"Transport", "the same through `middleware.Transport`: sealed, sent once, opened", func(b *testing.B) {
			rt := &middleware.Transport{Keys: keys(b), Base: canned{answer(b)}}
			b.ReportAllocs()
			for b.Loop() {
				post(b, rt)
			}
		}},
		{"Client", "`Client.Refund`: filled, validated, encoded, sent, decoded, compared, validated", func(b *testing.B) {
			client, err := ottpay.New(ottpay.Config{
				Logger: slog.New(slog.DiscardHandler), MerchantID: merchantID, OperatorID: "1",
				Keys: keys(b), BaseURL: gatewayURL, Base: canned{answer(b)},
			})
			if err != nil {
				b.Fatal(err)
			}
			req := &api.RefundRequest{OrderID: "R2020041553699", OriOrderID: "2020041553699O153O0407", RefundAmt: 1}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Refund(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		}},
	}}
}
