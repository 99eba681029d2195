package ottpay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

// TestInAppPayAsks: what goes out, where it goes, and what does not go at all.
func TestInAppPayAsks(t *testing.T) {
	t.Parallel()
	const good = `{"rsp_code":"success","appId":"wx1","nonceStr":"n","package_":"Sign=WXPay","partnerId":"p","prepayId":"pre","timeStamp":"1586927298"}`
	for name, tt := range map[string]struct {
		change func(*ottpay.InAppPayRequest, *ottpay.Config)
		member string
		want   string // of the member; "" is not sent
		bad    bool   // nothing is sent
	}{
		"a tip":               {func(r *ottpay.InAppPayRequest, _ *ottpay.Config) { r.Tip = 1 }, "tip", "1", false},
		"no tip":              {func(*ottpay.InAppPayRequest, *ottpay.Config) {}, "tip", "", false},
		"a shop":              {func(r *ottpay.InAppPayRequest, _ *ottpay.Config) { r.ShopID = "S1" }, "shopId", "S1", false},
		"an operator":         {func(r *ottpay.InAppPayRequest, _ *ottpay.Config) { r.OperatorID = "7" }, "operator_id", "7", false},
		"the operator alone":  {func(r *ottpay.InAppPayRequest, c *ottpay.Config) { r.OperatorID, c.OperatorID = "7", "" }, "operator_id", "7", false},
		"the callback":        {func(*ottpay.InAppPayRequest, *ottpay.Config) {}, "call_back_url", "https://shop.example/ottpay", false},
		"the channel":         {func(*ottpay.InAppPayRequest, *ottpay.Config) {}, "bizType", "WECHATPAY", false},
		"a negative tip":      {func(r *ottpay.InAppPayRequest, _ *ottpay.Config) { r.Tip = -1 }, "", "", true},
		"no operator":         {func(_ *ottpay.InAppPayRequest, c *ottpay.Config) { c.OperatorID = "" }, "", "", true},
		"no app":              {func(r *ottpay.InAppPayRequest, _ *ottpay.Config) { r.AppID = "" }, "", "", true},
		"an app not in UTF-8": {func(r *ottpay.InAppPayRequest, _ *ottpay.Config) { r.AppID = "\xff" }, "", "", true},
		"no randomness":       {func(r *ottpay.InAppPayRequest, c *ottpay.Config) { r.OrderID, c.Rand = "", strings.NewReader("") }, "", "", true},
	} {
		var got map[string]string
		var url string
		b := newBase(t, nil)
		b.plain = func(body []byte) (*http.Response, error) {
			err := json.Unmarshal(body, &got)
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(good))}, err
		}
		cfg := b.config()
		cfg.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
			url = r.URL.String()
			return b.RoundTrip(r)
		})
		req := &ottpay.InAppPayRequest{AppID: "wx1", Amount: 100, CallBackURL: "https://shop.example/ottpay", OrderID: "O1"}
		tt.change(req, &cfg)
		given := *req
		resp, err := newClient(t, cfg).InAppPay(t.Context(), req)
		if tt.bad {
			if !errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrCaller) || resp != nil || got != nil {
				t.Errorf("%s: got %v, sent %v", name, err, got)
			}
			continue
		}
		if err != nil || resp.PrepayID != "pre" || resp.PaySign != "" || resp.TradeNo != "" {
			t.Errorf("%s: got %v, %v", name, resp, err)
		}
		if text, sent := got[tt.member]; text != tt.want || sent != (tt.want != "") {
			t.Errorf("%s: %s is %q", name, tt.member, text)
		}
		if url != "https://mppay.ottpay.com/inAppPay" || *req != given {
			t.Errorf("%s: sent to %s; the request became %+v", name, url, *req)
		}
	}
}

// TestInAppPayNeedsEveryMember: an app cannot open WeChat with less, and the order
// may be there.
func TestInAppPayNeedsEveryMember(t *testing.T) {
	t.Parallel()
	whole := map[string]string{
		"appId": "wx1", "nonceStr": "n", "package_": "Sign=WXPay", "partnerId": "p", "prepayId": "pre", "timeStamp": "1586927298", "paySign": "SIGN", "tradeNo": "T1",
	}
	for missing, want := range map[string]error{
		"": nil, "paySign": nil, "tradeNo": nil,
		"appId": ottpay.ErrInvalid, "nonceStr": ottpay.ErrInvalid, "package_": ottpay.ErrInvalid,
		"partnerId": ottpay.ErrInvalid, "prepayId": ottpay.ErrInvalid, "timeStamp": ottpay.ErrInvalid,
	} {
		b := newBase(t, nil)
		var id string
		b.plain = func(body []byte) (*http.Response, error) {
			var sent map[string]string
			err := json.Unmarshal(body, &sent)
			id = sent["order_id"]
			answer := maps.Clone(whole)
			delete(answer, missing)
			text, _ := json.Marshal(answer)
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(text))}, err
		}
		resp, err := newClient(t, b.config()).InAppPay(t.Context(), &ottpay.InAppPayRequest{AppID: "wx1", Amount: 100, CallBackURL: "https://shop.example/ottpay"})
		if len(id) != 20 {
			t.Errorf("the order's id is %q", id)
		}
		if want == nil {
			if err != nil || resp.PaySign != answered(whole["paySign"], missing == "paySign") || resp.TradeNo != answered("T1", missing == "tradeNo") {
				t.Errorf("without %q: got %+v, %v", missing, resp, err)
			}
			continue
		}
		var failed *ottpay.Error
		if !errors.Is(err, want) || !errors.Is(err, ottpay.ErrUnknownOutcome) || resp != nil || !errors.As(err, &failed) || failed.OrderID != id {
			t.Errorf("without %q: got %v, %v", missing, resp, err)
		}
	}
}

// answered is text, or "" if the answer lacks it.
func answered(text string, missing bool) string {
	if missing {
		return ""
	}
	return text
}

// TestInAppPayShowsNoSecret: neither the request nor the answer prints what it holds.
func TestInAppPayShowsNoSecret(t *testing.T) {
	t.Parallel()
	req := ottpay.InAppPayRequest{OrderID: "O1", AppID: "CANARY", CallBackURL: "https://shop.example/CANARY"}
	resp := ottpay.InAppPayResponse{PaySign: "CANARY", PrepayID: "CANARY"}
	var log lockedBuffer
	log.logger().Info("x", "req", req, "pointer", &req, "resp", resp, "another", &resp)
	if text := log.String(); strings.Contains(text, "CANARY") || !strings.Contains(text, "req.order_id=O1 pointer.order_id=O1 resp=InAppPayResponse another=InAppPayResponse") {
		t.Errorf("logged %s", text)
	}
	const want = `InAppPayRequest of order "O1" InAppPayResponse`
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if got := fmt.Sprintf(verb+" "+verb, req, &resp); got != want {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
