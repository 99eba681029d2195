package ottpay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

func TestRequestPayment(t *testing.T) {
	t.Parallel()
	// As it stands in an answer: JSON in a string, the = escaped once more.
	var resp api.MiniProgramPayResponse
	if err := json.Unmarshal([]byte(`{"payInfo":"{\"timeStamp\":\"1586927298\",\"packageStr\":\"prepay_id\\u003dwx1&<2\",\"paySign\":\"AB\",\"appId\":\"wx5f\",\"signType\":\"MD5\",\"nonceStr\":\"n1\"}"}`), &resp); err != nil {
		t.Fatal(err)
	}
	const want = `{"appId":"wx5f","timeStamp":"1586927298","nonceStr":"n1","package":"prepay_id=wx1&<2","signType":"MD5","paySign":"AB"}`
	if got, err := ottpay.RequestPayment(&resp); err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	resp.PayInfo = field.JSONString(strings.Replace(string(resp.PayInfo), `\u003d`, `\\u003d`, 1))
	if got, err := ottpay.RequestPayment(&resp); err != nil || string(got) != want {
		t.Errorf("escaped twice: got %s, %v", got, err)
	}
	for _, bad := range []field.JSONString{"", "https://pay.example", "[]", `{"appId":"wx5f"}`, `{"appId":1}`} {
		if got, err := ottpay.RequestPayment(&api.MiniProgramPayResponse{PayInfo: bad}); err == nil {
			t.Errorf("%q: got %s", bad, got)
		}
	}
}

func TestWallet(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"101234567890123456": "WECHATPAY", "151234567890123456": "WECHATPAY", "161234567890123456": "", "09123456789012345": "",
		"1012345678901234567": "", "2512345678901234": "ALIPAY", "301234567890123456789012": "ALIPAY", "251234567890123": "",
		"3012345678901234567890123": "", "3112345678901234": "", "hQVDUFYwMWEYTw8": "UNIONPAY", "": "", "25x2345678901234": "",
	} {
		if got := ottpay.Wallet(code); got != want {
			t.Errorf("%q: got %q, want %q", code, got, want)
		}
	}
}

func TestInAppPay(t *testing.T) {
	t.Parallel()
	const good = `{"appId":"wx1","bizType":"WECHATPAY","nonceStr":"n","package_":"Sign=WXPay","partnerId":"p","paySign":"SIGN","prepayId":"pre","reAmount":1,"timeStamp":1586927298,"tradeNo":"O1","wxapikey":"SECRET"}`
	req := &ottpay.InAppPayRequest{AppID: "wx1", Amount: 100, CallBackURL: "https://shop.example/ottpay", OrderID: "O1"}
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"good", good, 200, "<nil>"},
		{"a code", `{"rsp_code":"PARAM_INVALID"}`, 200, "[caller]"},
		{"another code", `{"rsp_code":"WHAT"}`, 200, "[unknown]"},
		{"incomplete", `{"appId":"wx1"}`, 200, "[unknown]"},
		{"no JSON", `ok`, 200, "[unknown]"},
		{"redirect", ``, 307, "[unknown]"},
		{"broken", good, 500, "[unknown]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var came atomic.Int64
			var got map[string]string
			server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				came.Add(1)
				body, _ := io.ReadAll(r.Body)
				_ = json.Unmarshal(body, &got)
				rw.Header().Set("Location", "/again")
				rw.WriteHeader(tt.status)
				_, _ = io.WriteString(rw, tt.body)
			}))
			defer server.Close()
			b := newBase(t, nil)
			cfg := b.config()
			cfg.Base = server.Client().Transport
			cfg.Endpoints = map[api.Action]string{ottpay.ActionInAppPay: server.URL}
			resp, err := newClient(t, cfg).InAppPay(t.Context(), req)
			if came.Load() != 1 || got["userId"] != "wx1" || got["amount"] != "100" || got["merchant_id"] != merchant || got["operator_id"] != operator || got["order_id"] != "O1" || len(got) != 7 {
				t.Errorf("came %d times: %v", came.Load(), got)
			}
			if tt.want != "<nil>" {
				var failed *ottpay.Error
				if fmt.Sprint(classes(err)) != tt.want || !errors.As(err, &failed) || failed.OrderID != "O1" {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			params, err := resp.AppParameters()
			if want := `{"appid":"wx1","noncestr":"n","package":"Sign=WXPay","partnerid":"p","prepayid":"pre","sign":"SIGN","timestamp":"1586927298"}`; string(params) != want || err != nil {
				t.Errorf("got %s, %v", params, err)
			}
			if text := fmt.Sprintf("%v %+v %#v", resp, resp, resp); strings.Contains(text, "SIGN") || strings.Contains(string(params)+text, "SECRET") {
				t.Errorf("shows %s", text)
			}
		})
	}
	b := newBase(t, nil)
	for _, bad := range []*ottpay.InAppPayRequest{nil, {}, {AppID: "wx1", Amount: 1, CallBackURL: "http://x"}, {AppID: "wx1", CallBackURL: "https://x"}, {AppID: "wx1", Amount: 1, CallBackURL: "https://x", OrderID: "ü"}} {
		if _, err := newClient(t, b.config()).InAppPay(t.Context(), bad); !errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrCaller) {
			t.Errorf("got %v", err)
		}
	}
}
