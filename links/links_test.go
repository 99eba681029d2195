package links_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/links"
)

const (
	merCode  = "1234567890123456"
	merchant = "ON00004652"
)

func order() links.Order {
	return links.Order{MerCode: merCode, OrderID: "O-1_a", OperatorID: "0000000696", Amount: 100}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestPages(t *testing.T) {
	t.Parallel()
	const back, notify = "https://shop.example/back?a=1&b=ü#done", "https://shop.example/notify?x=??"
	hex := order()
	hex.MerCode, hex.OperatorID = "0123456789abcdef0123456789ABCDEF", ""
	common := map[string]string{"merCode": merCode, "orderId": "O-1_a", "operId": "0000000696", "amount": "100"}
	alipay := map[string]string{"merchantId": merchant, "returnURL": b64(back), "notifyURL": b64(notify)}
	for _, tt := range []struct {
		name  string
		build func() (string, error)
		at    string
		want  []map[string]string
	}{
		{"webPay", links.WebPay{Order: order(), MerchantID: merchant, ReturnURL: back, NotifyURL: notify, SubmitType: "scan", Remarks: "a&b=c d"}.URL,
			"https://mppay.ottpay.com/webPay", []map[string]string{common, alipay, {"submit_type": "scan", "remarks": "a&b=c d"}}},
		{"webPay, the page's own values", links.WebPay{Order: order(), MerchantID: merchant, ReturnURL: "https://www.ottpay.com/result", NotifyURL: "https://www.ottpay.com/callback", SubmitType: "form"}.URL,
			"https://mppay.ottpay.com/webPay", []map[string]string{common, {
				"merchantId": merchant, "submit_type": "form",
				"returnURL": "aHR0cHM6Ly93d3cub3R0cGF5LmNvbS9yZXN1bHQ=", "notifyURL": "aHR0cHM6Ly93d3cub3R0cGF5LmNvbS9jYWxsYmFjaw==",
			}}},
		{"wapPay", links.WapPay{Order: order(), MerchantID: merchant, ReturnURL: back, NotifyURL: notify}.URL,
			"https://mppay.ottpay.com/wapPay", []map[string]string{common, alipay}},
		{"h5Pay", links.WeChat{Order: order(), ReturnURL: back}.URL,
			"http://qrpay.ottpay.com/h5Pay", []map[string]string{common, {"newURL": back}}},
		{"h5Pay, a code of 32 hexadecimal digits and no operator", links.WeChat{Order: hex, ReturnURL: back}.URL,
			"http://qrpay.ottpay.com/h5Pay", []map[string]string{{"merCode": string("0123456789abcdef0123456789ABCDEF"), "orderId": "O-1_a", "amount": "100", "newURL": back}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := tt.build()
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(text)
			if err != nil || !strings.HasPrefix(text, tt.at+"?") {
				t.Fatalf("%s: %v", text, err)
			}
			query, err := url.ParseQuery(u.RawQuery)
			if err != nil {
				t.Fatal(err)
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
				t.Errorf("%d parameters, want %d", len(query), members)
			}
		})
	}
}

// TestExamplesOfTheDocument builds a page from the example of every request that
// makes an order: an order id and an amount that an action admits, a page does.
func TestExamplesOfTheDocument(t *testing.T) {
	t.Parallel()
	built := 0
	for _, info := range api.Actions() {
		schema, ok := api.LookupSchema(info.Request)
		if !ok || info.Effect == api.EffectNone {
			continue
		}
		var example map[string]string
		if err := json.Unmarshal([]byte(schema.Example), &example); err != nil {
			t.Fatal(err)
		}
		o := order()
		if m, ok := schema.WithRole(api.RoleOrderID); ok {
			o.OrderID = example[m.Name]
		}
		notify := "https://shop.example/ottpay"
		if m, ok := schema.WithRole(api.RoleCallbackURL); ok && example[m.Name] != "" {
			notify = example[m.Name]
		}
		back := notify
		if m, ok := schema.WithRole(api.RoleRedirectURL); ok && example[m.Name] != "" {
			back = example[m.Name]
		}
		for _, page := range []interface{ URL() (string, error) }{
			links.WebPay{Order: o, MerchantID: merchant, ReturnURL: back, NotifyURL: notify, SubmitType: "scan"},
			links.WapPay{Order: o, MerchantID: merchant, ReturnURL: back, NotifyURL: notify},
			links.WeChat{Order: o, ReturnURL: back},
		} {
			if _, err := page.URL(); err != nil {
				t.Errorf("%s, %T: %v", info.Name, page, err)
			}
			built++
		}
	}
	if built < 21 {
		t.Errorf("built %d pages only", built)
	}
	for _, schema := range []string{"H5PayResponse", "PrepayInitResponse"} {
		s, _ := api.LookupSchema(schema)
		var err error
		if schema == "H5PayResponse" {
			var resp api.H5PayResponse
			if err = json.Unmarshal([]byte(s.Example), &resp); err == nil {
				_, err = links.H5(&resp, "https://shop.example/thanks")
			}
		} else {
			var resp api.PrepayInitResponse
			if err = json.Unmarshal([]byte(s.Example), &resp); err == nil {
				_, err = links.Checkout(&resp, links.CheckoutNone)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

func TestPagesRefuse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*links.WebPay){
		"no MerCode":      func(p *links.WebPay) { p.MerCode = "" },
		"long MerCode":    func(p *links.WebPay) { p.MerCode = links.MerCode(strings.Repeat("1", 65)) },
		"odd MerCode":     func(p *links.WebPay) { p.MerCode = merCode + "&" },
		"no operator":     func(p *links.WebPay) { p.OperatorID = "" },
		"odd operator":    func(p *links.WebPay) { p.OperatorID = "696 " },
		"order":           func(p *links.WebPay) { p.OrderID = "a&amount=1" },
		"no order":        func(p *links.WebPay) { p.OrderID = "" },
		"amount":          func(p *links.WebPay) { p.Amount = 0 },
		"huge amount":     func(p *links.WebPay) { p.Amount = 1_000_000_000_000 },
		"return":          func(p *links.WebPay) { p.ReturnURL = "javascript:alert(1)" },
		"no return":       func(p *links.WebPay) { p.ReturnURL = "" },
		"return to a CR":  func(p *links.WebPay) { p.ReturnURL = "https://shop.example/\r\n" },
		"notify":          func(p *links.WebPay) { p.NotifyURL = "http://shop.example" },
		"notify as typed": func(p *links.WebPay) { p.NotifyURL = "https://shop.example/ü" },
		"no merchant":     func(p *links.WebPay) { p.MerchantID = "" },
		"odd merchant":    func(p *links.WebPay) { p.MerchantID = "ON 1" },
		"type":            func(p *links.WebPay) { p.SubmitType = "link" },
	} {
		p := links.WebPay{Order: order(), MerchantID: merchant, ReturnURL: "https://shop.example/", NotifyURL: "https://shop.example/", SubmitType: "form"}
		if _, err := p.URL(); err != nil {
			t.Fatal(err)
		}
		change(&p)
		if _, err := p.URL(); err == nil || strings.Contains(err.Error(), merCode) || strings.Contains(err.Error(), "shop.example") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := (links.WeChat{Order: order(), ReturnURL: "http://shop.example/"}).URL(); err == nil {
		t.Error("WeChat: any return URL is taken")
	}
}

func TestMerCodeDoesNotShow(t *testing.T) {
	t.Parallel()
	p := links.WeChat{Order: order(), ReturnURL: "https://shop.example/secret"}
	marshalled, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q", p, p, p, p.MerCode, p.MerCode), string(marshalled),
		slog.AnyValue(p.MerCode).Resolve().String(), slog.AnyValue(p).Resolve().String(),
	} {
		if strings.Contains(text, merCode) {
			t.Errorf("the MerCode shows: %s", text)
		}
	}
	if text := fmt.Sprint(p); !strings.Contains(text, "O-1_a") || strings.Contains(text, "secret") {
		t.Errorf("got %s", text)
	}
}

func TestH5(t *testing.T) {
	t.Parallel()
	const back = "https://shop.example/back?a=1&b=2"
	const added = "redirect_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2"
	for link, want := range map[string]string{
		"https://pay.example":                         "https://pay.example?" + added,
		"https://pay.example/h5":                      "https://pay.example/h5?" + added,
		"https://pay.example/h5?":                     "https://pay.example/h5?" + added,
		"https://pay.example/h5?id=%7e1&sig=a/b":      "https://pay.example/h5?id=%7e1&sig=a/b&" + added,
		"https://pay.example/h5?id=1&":                "https://pay.example/h5?id=1&" + added,
		"https://pay.example/h5?#top":                 "https://pay.example/h5?" + added + "#top",
		"https://pay.example/h5;v=1?a=1;b=2":          "https://pay.example/h5;v=1?a=1;b=2&" + added,
		"https://pay.example/100%/h5?off=10%":         "https://pay.example/100%/h5?off=10%&" + added,
		"https://pay.example?x=a:b//c":                "https://pay.example?x=a:b//c&" + added,
		"HTTPS://pay.example:8443/?x=ü":               "HTTPS://pay.example:8443/?x=ü&" + added,
		"weixin://wap/pay?prepayid%3Dwx1&sign=A%&t=1": "weixin://wap/pay?prepayid%3Dwx1&sign=A%&t=1&" + added,
		"weixin:pay":                              "weixin:pay?" + added,
		"http://127.0.0.1:8080/h5":                "http://127.0.0.1:8080/h5?" + added,
		"https://pay.example/?not_redirect_url=1": "https://pay.example/?not_redirect_url=1&" + added,
	} {
		if got, err := links.H5(&api.H5PayResponse{PayInfo: link}, back); err != nil || got != want {
			t.Errorf("%s: got %s, %v", link, got, err)
		}
	}
	for _, link := range []string{
		"", "javascript:x", "data:text/html,x", "http://pay.example/", "//pay.example/", "/h5", "https:pay.example", "https://", "https:///h5", "weixin:",
		"https://user:secret@pay.example/", "https://pay.example/?redirect_url=x", "https://pay.example/?a=1;redirect_url=x", "https://pay.example/?redirect%5furl=x",
		"https://pay.example/ x", "https://pay.example/\"><script>", "https://pay.example\\@evil.example/", "https://pay.example/\n",
	} {
		if got, err := links.H5(&api.H5PayResponse{PayInfo: link}, back); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %s, %v", link, got, err)
		}
	}
	if _, err := links.H5(&api.H5PayResponse{PayInfo: "https://pay.example"}, "data:text/html,x"); err == nil {
		t.Error("any return URL is taken")
	}
}

func TestCheckout(t *testing.T) {
	t.Parallel()
	answer := &api.PrepayInitResponse{PayInfo: "https://pay.example/c?id=1"}
	if got, err := links.Checkout(answer, links.CheckoutCard); err != nil || got != "https://pay.example/c?id=1&selected=GP" {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := links.Checkout(answer, "PAYPAL"); err == nil {
		t.Error("any method is taken")
	}
	answer.PayInfo = "weixin://wap/pay"
	if _, err := links.Checkout(answer, links.CheckoutNone); err == nil {
		t.Error("a checkout in WeChat's scheme is taken")
	}
}

func TestParseReturn(t *testing.T) {
	t.Parallel()
	finished := links.UnverifiedReturn{ClaimedOrderID: "O1", ClaimedTradeID: "T1", ClaimedStatus: "Trade_Finished", ClaimedAmount: "1.00"}
	for text, want := range map[string]links.UnverifiedReturn{
		"total_fee=100&trade_no=T1&out_trade_no=O1&trade_status=%20Trade_Finished":            finished,
		"own=a;b&total_fee=100&trade_no=T1&out_trade_no=O1&trade_status=Trade_Finished&x=%zz": finished,
		"total_fee=MTAw&trade_no=VDE%3D&out_trade_no=TzE=&trade_status=IFRyYWRlX0ZpbmlzaGVk":  finished,
		"total_fee=MTAw&trade_no=VDE&out_trade_no=TzE&trade_status=VHJhZGVfRmluaXNoZWQ%3D":    finished,
		"total_fee=1999&trade_no=2020&out_trade_no=A101&trade_status=Trade_Finished":          {ClaimedOrderID: "A101", ClaimedTradeID: "2020", ClaimedStatus: "Trade_Finished", ClaimedAmount: "19.99"},
		"total_fee=1999&trade_no=2020&out_trade_no=A101&trade_status=WAIT":                    {ClaimedOrderID: "A101", ClaimedTradeID: "2020", ClaimedStatus: "WAIT", ClaimedAmount: "19.99"},
		"amount=1.00&orderID=O1&tranID=T1&status=success&own=x":                               {ClaimedOrderID: "O1", ClaimedTradeID: "T1", ClaimedStatus: "success", ClaimedAmount: "1.00"},
		"orderID=O1&amount=lots": {ClaimedOrderID: "O1"},
		"out_trade_no=O1":        {ClaimedOrderID: "O1"},
		"own=1&own=2&orderID=O1": {ClaimedOrderID: "O1"},
	} {
		if got, err := links.ParseReturn(&url.URL{RawQuery: text}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a=b", "orderID=1&orderID=2", "orderID=%zz", "orderID=" + strings.Repeat("x", 257), "amount=1.00&status=success"} {
		if got, err := links.ParseReturn(&url.URL{RawQuery: text}); err == nil {
			t.Errorf("%.40s: got %+v", text, got)
		}
	}
}
