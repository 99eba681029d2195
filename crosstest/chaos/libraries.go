package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/ottpaykit/ottpay/envelope"
)

// sender posts an envelope and says nothing of what became of it.
type sender func(ctx context.Context, url string, wire []byte) error

type newSender func(base http.RoundTripper) sender

// library is what a shop might send payments with.
type library struct {
	name   string
	sender newSender
}

// libraries have their default policies, but for the pauses, which are cut
// short to save time.
func libraries() []library {
	return []library{
		{"hashicorp/go-retryablehttp, default policy", func(base http.RoundTripper) sender {
			c := retryablehttp.NewClient()
			c.HTTPClient = &http.Client{Transport: base}
			c.Logger = nil
			c.RetryWaitMin, c.RetryWaitMax = time.Microsecond, time.Microsecond
			return post(c.StandardClient())
		}},
		{"failsafe-go/failsafehttp, default retry policy", func(base http.RoundTripper) sender {
			policy := failsafehttp.NewRetryPolicyBuilder().Build()
			return post(&http.Client{Transport: failsafehttp.NewRoundTripper(base, policy)})
		}},
	}
}

func post(c *http.Client) sender {
	return func(ctx context.Context, url string, wire []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(wire))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
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
	_ = w.sender(ctx, w.front.server.URL+"/processV2", wire) // what becomes of it stands in the book
	effects := w.front.gateway.Effects(id)
	w.effects += effects
	w.duplicates += max(effects-1, 0)
}
