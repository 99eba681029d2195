package ottpaytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// opened reads the body of a callback.
func opened(t *testing.T, r *http.Request) (envelope.Response, object) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	n := notified(t, string(body))
	return n.Response, n.data
}

func TestNewNotification(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(*ottpaytest.Notification)
		want    map[string]any // members of the data
		absent  []string
		code    string
		invalid bool // against the schema
	}{
		{
			name: "defaults",
			want: map[string]any{
				"order_id": "TEST2020041600000001", "bizpay_order_id": "WX781266859681754", "amount": "100",
				"tip": "0", "merchant_id": merchantID, "finish_time": "20200416050429",
			},
			absent: []string{"order_status", "remarks", "convenience_fee", "prepay_order_id"},
		},
		{
			name: "all said",
			change: func(n *ottpaytest.Notification) {
				n.OrderID, n.ChannelID, n.Amount, n.Tip = "A1", "AL1", 1250, 20
				n.FinishTime = time.Date(2025, 1, 1, 20, 0, 0, 0, time.UTC)
				n.Code, n.Message = "FAIL", "failure"
			},
			want: map[string]any{
				"order_id": "A1", "bizpay_order_id": "AL1", "amount": "1250", "tip": "20", "finish_time": "20250102040000",
			},
			code: "FAIL",
		},
		{
			name: "extras",
			change: func(n *ottpaytest.Notification) {
				n.Extra = map[string]any{
					"amount": 650000000, "merchant_id": nil, "remarks": "<两杯茶> & 'co'", "order_status": api.StatusCaptured,
					"new_member": true, "exchange_rate": json.RawMessage(`5.24740000`), "sale_num": json.RawMessage(`null`),
				}
			},
			want: map[string]any{
				"amount": json.Number("650000000"), "remarks": "<两杯茶> & 'co'", "order_status": "captured", "new_member": true,
				"exchange_rate": json.Number("5.24740000"), "sale_num": nil,
			},
			absent: []string{"merchant_id"},
		},
		{
			name:    "required member left out",
			change:  func(n *ottpaytest.Notification) { n.Extra = map[string]any{"finish_time": nil} },
			absent:  []string{"finish_time"},
			invalid: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := ottpaytest.Notification{MerchantID: merchantID, SignKey: signKey}
			if tt.change != nil {
				tt.change(&n)
			}
			r := ottpaytest.NewNotification(n)
			if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/ottpay" {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			e, data := opened(t, r)
			code := tt.code
			if code == "" {
				code = "SUCCESS"
			}
			if e.Code != code || e.MerchantID != merchantID {
				t.Errorf("outside: %s, %s", e.Code, e.MerchantID)
			}
			for name, want := range tt.want {
				if got, ok := data[name]; !ok || got != want {
					t.Errorf("%s = %v, want %v", name, got, want)
				}
			}
			for _, name := range tt.absent {
				if got, ok := data[name]; ok {
					t.Errorf("%s = %v, want none", name, got)
				}
			}
			plain, err := json.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			schema, _ := api.LookupSchema("Notification")
			if err := schema.Check(plain); (err != nil) != tt.invalid {
				t.Errorf("against the schema: %v", err)
			}
		})
	}
}

func TestNotificationWithoutQuirks(t *testing.T) {
	t.Parallel()
	for _, without := range []ottpaytest.Quirk{0, ottpaytest.AllQuirks} {
		body, err := ottpaytest.Notification{
			MerchantID: merchantID, SignKey: signKey, Without: without, Extra: map[string]any{"remarks": "a=b"},
		}.Body()
		if err != nil {
			t.Fatal(err)
		}
		n := notified(t, string(body))
		plain := without != 0
		if strings.Contains(n.Data, " ") == plain || strings.Contains(n.plain, "a=b") != plain || n.data["remarks"] != "a=b" {
			t.Errorf("without %b: %s holding %s", without, body, n.plain)
		}
	}
}

func TestNotificationWithoutKey(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]ottpaytest.Notification{
		"no key":        {MerchantID: merchantID},
		"no merchant":   {SignKey: signKey},
		"not JSON":      {MerchantID: merchantID, SignKey: signKey, Extra: map[string]any{"x": func() {}}},
		"unknown fault": {MerchantID: merchantID, SignKey: signKey, Fault: "nonsense"},
	} {
		_, err := n.Body()
		if err == nil || strings.Contains(err.Error(), signKey) {
			t.Errorf("%s: %v", name, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			ottpaytest.NewNotification(n)
		}()
	}
}

func TestNotificationTampered(t *testing.T) {
	t.Parallel()
	for how, want := range tampered {
		r := ottpaytest.NewNotification(ottpaytest.Notification{
			MerchantID: merchantID, SignKey: signKey, Fault: how,
			Extra: map[string]any{"amount": 100},
		})
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		e, err := envelope.ReadResponse(body)
		if err != nil {
			t.Fatal(err)
		}
		p, err := key(t, signKey).Open(e.Sealed)
		if (err == nil) != (want == "opens") {
			t.Errorf("%s: %v, want %s", how, err, want)
		}
		if how == ottpaytest.CallbackAmount && !strings.Contains(string(p.JSON), `"amount":"101"`) {
			t.Errorf("amount: %s", p.JSON)
		}
	}
}
