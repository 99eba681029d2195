package ottpay_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

const merCode = "1234567890123456"

func payLink() ottpay.Link {
	return ottpay.Link{MerCode: merCode, OrderID: "O-1_a", OperatorID: "0000000696", Amount: 100}
}

func TestLinksToPages(t *testing.T) {
	t.Parallel()
	const back, notify = "https://shop.example/back?a=1&b=ü", "https://shop.example/notify?x=??>>"
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	web := ottpay.WebPay{Link: payLink(), MerchantID: merchant, ReturnURL: back, NotifyURL: notify, SubmitType: "scan", Remarks: "a&b=c d"}
	wap := ottpay.WapPay{Link: payLink(), MerchantID: merchant, ReturnURL: back, NotifyURL: notify}
	wechat := ottpay.WeChatLink{Link: payLink(), ReturnURL: back}
	common := map[string]string{"merCode": merCode, "orderId": "O-1_a", "operId": "0000000696", "amount": "100"}
	alipay := map[string]string{"merchantId": merchant, "returnURL": b64(back), "notifyURL": b64(notify)}
	for _, tt := range []struct {
		build func() (string, error)
		at    string
		want  []map[string]string
	}{
		{web.URL, "https://mppay.ottpay.com/webPay", []map[string]string{common, alipay, {"submit_type": "scan", "remarks": "a&b=c d"}}},
		{wap.URL, "https://mppay.ottpay.com/wapPay", []map[string]string{common, alipay}},
		{wechat.URL, "http://qrpay.ottpay.com/h5Pay", []map[string]string{common, {"newURL": back}}},
	} {
		text, err := tt.build()
		if err != nil {
			t.Error(err)
			continue
		}
		u, err := url.Parse(text)
		if err != nil || !strings.HasPrefix(text, tt.at+"?") {
			t.Errorf("%s: %v", text, err)
			continue
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			t.Error(err)
		}
		members := 0
		for _, want := range tt.want {
			for name, value := range want {
				members++
				if len(query[name]) != 1 || query.Get(name) != value {
					t.Errorf("%s is %q, want %q", name, query[name], value)
				}
			}
		}
		if len(query) != members {
			t.Errorf("%s has %d parameters, want %d", tt.at, len(query), members)
		}
		if strings.ContainsAny(u.RawQuery, " +/\"") && !strings.Contains(text, "remarks") {
			t.Errorf("not encoded: %s", u.RawQuery)
		}
	}
}

func TestLinksRefuse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*ottpay.WebPay){
		"MerCode":     func(p *ottpay.WebPay) { p.MerCode = "123456789012345" },
		"operator":    func(p *ottpay.WebPay) { p.OperatorID = "696" },
		"order":       func(p *ottpay.WebPay) { p.OrderID = "a&amount=1" },
		"no order":    func(p *ottpay.WebPay) { p.OrderID = "" },
		"amount":      func(p *ottpay.WebPay) { p.Amount = 0 },
		"huge amount": func(p *ottpay.WebPay) { p.Amount = 1_000_000_000_000 },
		"return":      func(p *ottpay.WebPay) { p.ReturnURL = "javascript:alert(1)" },
		"notify":      func(p *ottpay.WebPay) { p.NotifyURL = "http://shop.example" },
		"merchant":    func(p *ottpay.WebPay) { p.MerchantID = "" },
		"type":        func(p *ottpay.WebPay) { p.SubmitType = "link" },
	} {
		p := ottpay.WebPay{Link: payLink(), MerchantID: merchant, ReturnURL: "https://shop.example/", NotifyURL: "https://shop.example/", SubmitType: "form"}
		if _, err := p.URL(); err != nil {
			t.Fatal(err)
		}
		change(&p)
		if _, err := p.URL(); err == nil || strings.Contains(err.Error(), merCode) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p := ottpay.WeChatLink{Link: payLink(), ReturnURL: "https://shop.example/"}
	marshalled, _ := json.Marshal(p)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", p, p, p, p.MerCode, p.MerCode), string(marshalled), slog.AnyValue(p.MerCode).Resolve().String()} {
		if strings.Contains(text, merCode) {
			t.Errorf("the MerCode shows: %s", text)
		}
	}
}

func TestParseReturn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ottpay.UnverifiedReturn{
		"https://s/?total_fee=100&trade_no=T1&out_trade_no=O1&trade_status=%20Trade_Finished": {ClaimedOrderID: "O1", ClaimedTradeID: "T1", ClaimedStatus: "Trade_Finished", ClaimedAmount: "1.00"},
		"https://s/?amount=1.00&orderID=O1&tranID=T1&status=success&own=x":                    {ClaimedOrderID: "O1", ClaimedTradeID: "T1", ClaimedStatus: "success", ClaimedAmount: "1.00"},
		"https://s/?orderID=O1&amount=lots":                                                   {ClaimedOrderID: "O1"},
	} {
		u, _ := url.Parse(text)
		if got, err := ottpay.ParseReturn(u); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"https://s/", "https://s/?a=b", "https://s/?orderID=1&orderID=2", "https://s/?orderID=%zz", "https://s/?orderID=" + strings.Repeat("x", 257)} {
		u, _ := url.Parse(text)
		if got, err := ottpay.ParseReturn(u); err == nil {
			t.Errorf("%.40s: got %+v", text, got)
		}
	}
}

func TestLinksFromAnswers(t *testing.T) {
	t.Parallel()
	const back = "https://shop.example/back?a=1&b=2"
	for link, want := range map[string]string{
		"https://pay.example/h5":                 "https://pay.example/h5?redirect_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2",
		"https://pay.example/h5?id=%7e1&sig=a/b": "https://pay.example/h5?id=%7e1&sig=a/b&redirect_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2",
		"https://pay.example/h5?#top":            "https://pay.example/h5?redirect_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2#top",
	} {
		if got, err := ottpay.H5Link(&api.H5PayResponse{PayInfo: link}, back); err != nil || got != want {
			t.Errorf("got %s, %v", got, err)
		}
	}
	for _, link := range []string{"", "javascript:x", "http://pay.example/", "https://pay.example/?redirect_url=x", "https://pay.example/?%zz"} {
		if got, err := ottpay.H5Link(&api.H5PayResponse{PayInfo: link}, back); err == nil {
			t.Errorf("%q: got %s", link, got)
		}
	}
	if _, err := ottpay.H5Link(&api.H5PayResponse{PayInfo: "https://pay.example"}, "data:text/html,x"); err == nil {
		t.Error("any return URL is taken")
	}
	checkout := &api.PrepayInitResponse{PayInfo: "https://pay.example/c?id=1"}
	if got, err := ottpay.CheckoutLink(checkout, ottpay.CheckoutCard); err != nil || got != "https://pay.example/c?id=1&selected=GP" {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := ottpay.CheckoutLink(checkout, "PAYPAL"); err == nil {
		t.Error("any method is taken")
	}
}

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
