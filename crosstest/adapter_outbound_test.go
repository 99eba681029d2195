package crosstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/go-resty/resty/v2"

	"github.com/ottpaykit/ottpay/crosstest/oapiclient"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// opened is the envelope as a program above the Transport sees it.
type opened struct {
	Code     string         `json:"rsp_code"`
	Verified bool           `json:"verified"`
	Data     map[string]any `json:"data"`
}

// recipe is a client of another library above the Transport.
type recipe struct {
	name string
	post func(ctx context.Context, transport http.RoundTripper, url, action, version string, data map[string]any) (opened, error)
}

var recipes = []recipe{
	{"http.Client", func(ctx context.Context, transport http.RoundTripper, url, action, version string, data map[string]any) (opened, error) {
		client := &http.Client{Transport: transport}
		body, err := json.Marshal(map[string]any{"action": action, "version": version, "merchant_id": merchant, "data": data})
		if err != nil {
			return opened{}, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return opened{}, err
		}
		resp, err := client.Do(r)
		if err != nil {
			return opened{}, err
		}
		defer resp.Body.Close()
		var o opened
		return o, json.NewDecoder(resp.Body).Decode(&o)
	}},
	{"resty", func(ctx context.Context, transport http.RoundTripper, url, action, version string, data map[string]any) (opened, error) {
		// Retries are on, as many have them: SendOnce keeps a payment from
		// leaving twice all the same.
		client := resty.New().SetTransport(transport).SetRetryCount(3).SetRetryWaitTime(1).SetRetryMaxWaitTime(1).SetLogger(silent{})
		var o opened
		_, err := client.R().SetContext(middleware.SendOnce(ctx)).SetResult(&o).
			SetBody(map[string]any{"action": action, "version": version, "merchant_id": merchant, "data": data}).Post(url)
		return o, err
	}},
	{"oapi-codegen", func(ctx context.Context, transport http.RoundTripper, url, action, version string, data map[string]any) (opened, error) {
		client, err := oapiclient.NewClientWithResponses(url, oapiclient.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			return opened{}, err
		}
		resp, err := client.ProcessWithResponse(ctx, oapiclient.RequestEnvelope{Action: action, Version: version, MerchantId: merchant, Data: data})
		if err != nil {
			return opened{}, err
		}
		if resp.JSON200 == nil {
			return opened{}, fmt.Errorf("status %s", resp.Status())
		}
		o := opened{Code: resp.JSON200.RspCode, Verified: resp.JSON200.Verified}
		if resp.JSON200.Data != nil {
			o.Data = *resp.JSON200.Data
		}
		return o, nil
	}},
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

// TestOutbound pays and asks through each client, and has the gateway fail in
// the ways that tempt a client to pay again.
func TestOutbound(t *testing.T) {
	t.Parallel()
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchant, SignKey: signKey, Reuse: true})
			defer gateway.Close()
			transport := &middleware.Transport{Keys: middleware.StaticKeys{merchant: {mustKey(t, signKey)}}}
			defer transport.CloseIdleConnections()
			pay := func(order string) (opened, error) {
				info, _ := api.LookupAction(string(api.ActionMAPPPAY))
				return r.post(t.Context(), transport, gateway.URL, string(info.Name), info.Version, map[string]any{
					"order_id": order, "operator_id": "0000000001", "amount": "1999", "biz_type": "WECHATPAY",
					"app_id": "wx0000000000000001", "open_id": "payer", "call_back_url": "https://shop.example/callback",
				})
			}
			ask := func(order string) (opened, error) {
				info, _ := api.LookupAction(string(api.ActionSTATUS_QUERY))
				return r.post(t.Context(), transport, gateway.URL, string(info.Name), info.Version, map[string]any{"order_id": order})
			}

			got, err := pay("GOOD1")
			if err != nil || got.Code != "SUCCESS" || !got.Verified || got.Data["order_id"] != "GOOD1" {
				t.Fatalf("%+v, %v", got, err)
			}
			if err := gateway.Merchant(merchant).Pay("GOOD1", ottpaytest.Payment{Silent: true}); err != nil {
				t.Fatal(err)
			}
			if got, err = ask("GOOD1"); err != nil || !got.Verified || !api.OrderStatus(fmt.Sprint(got.Data["order_status"])).Paid() {
				t.Errorf("%+v, %v", got, err)
			}
			if got, err = ask("NOSUCHORDER"); err != nil || got.Code == "SUCCESS" {
				t.Errorf("a refusal: %+v, %v", got, err)
			}

			for i, fault := range []ottpaytest.FaultKind{
				ottpaytest.FaultDrop, ottpaytest.FaultTruncate, ottpaytest.FaultHTML, ottpaytest.FaultRedirect,
				ottpaytest.FaultEmpty, ottpaytest.FaultWrongDigest, ottpaytest.FaultWrongKey, ottpaytest.FaultNoData,
			} {
				order := fmt.Sprint("BAD", i)
				id, err := gateway.Arm(ottpaytest.Fault{Kind: fault, Action: api.ActionMAPPPAY, Order: order, Times: -1})
				if err != nil {
					t.Fatal(err)
				}
				_, err = pay(order)
				if !errors.Is(err, middleware.ErrUnknownOutcome) {
					t.Errorf("%s: %v, want an unknown outcome", fault, err)
				}
				if n := gateway.Attempts(order); n != 1 {
					t.Errorf("%s: the payment arrived %d times", fault, n)
				}
				gateway.Disarm(id)
			}

			// Nothing leaves for a merchant without keys.
			keyless := &middleware.Transport{Keys: middleware.StaticKeys{}}
			if _, err := r.post(t.Context(), keyless, gateway.URL, "REFUND", "1.0", map[string]any{"order_id": "X"}); !errors.Is(err, middleware.ErrNotSent) {
				t.Errorf("without keys: %v", err)
			}
		})
	}
}
