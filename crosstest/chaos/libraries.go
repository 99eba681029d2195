package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/ottpaykit/ottpay/envelope"
)

// library is what a shop might send payments with. wrap returns it around base.
type library struct {
	name string
	wrap func(base http.RoundTripper) http.RoundTripper
}

// libraries have their default policies, but for the pauses, which are cut
// short to save time.
func libraries() []library {
	return []library{
		{"hashicorp/go-retryablehttp, default policy", func(base http.RoundTripper) http.RoundTripper {
			c := retryablehttp.NewClient()
			c.HTTPClient = &http.Client{Transport: base}
			c.Logger = nil
			c.RetryWaitMin, c.RetryWaitMax = time.Microsecond, time.Microsecond
			return c.StandardClient().Transport
		}},
		{"failsafe-go/failsafehttp, default retry policy", func(base http.RoundTripper) http.RoundTripper {
			policy := failsafehttp.NewRetryPolicyBuilder().Build()
			return failsafehttp.NewRoundTripper(base, policy)
		}},
	}
}

// send makes the run's call with the library: a payment of a scanned code.
func (w *worker) send(ctx context.Context, id string) {
	data := fmt.Sprintf(`{"order_id":%q,"operator_id":%q,"amount":"100","auth_code":"101234567890123456","biz_type":"WECHATPAY"}`, id, operator)
	sealed, err := w.front.key.Seal([]byte(data))
	if err != nil {
		w.misjudge("%v", err)
		return
	}
	wire, err := json.Marshal(envelope.Request{Action: "PASSIVEPAY", Version: "1.0", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		w.misjudge("%v", err)
		return
	}
	_, _ = post(ctx, w.sender, w.front.server.URL+"/processV2", wire) // what becomes of it stands in the book
	effects := w.front.gateway.Effects(id)
	w.effects += effects
	w.duplicates += max(effects-1, 0)
}
