package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/page"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// BenchmarkPage renders screens of a sandbox that has 10 000 orders.
func BenchmarkPage(b *testing.B) {
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Callbacks: acknowledging{}})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	h, err := page.Handler(page.Config{Gateway: g})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		data := fmt.Sprintf(`{"merchant_id":%q,"order_id":"B%d","amount":"1999","currency_type":"CAD","biz_type":"WECHATPAY","operator_id":"0000000001","submit_type":"form","call_back_url":"http://127.0.0.1:1/"}`, merchantID, i)
		out, err := g.Merchant(merchantID).Submit(b.Context(), ottpaytest.Submission{Action: api.ActionH5PAY, Data: []byte(data)})
		if err != nil || out.Order == "" {
			b.Fatal(out, err)
		}
		if i%2 == 0 {
			if err := g.Pay(out.Order); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := g.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"/", "/?q=B99", "/orders/" + merchantID + "/B9998", "/deliveries", "/faults"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// acknowledging is a shop that takes everything.
type acknowledging struct{}

func (acknowledging) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}
