package explain_test

import (
	"fmt"
	"strings"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

// message is what mistakes are planted into.
type message struct {
	name    string
	kind    explain.Kind
	action  string // of a request
	version string
	members []member
}

func str(name, text string) member { return member{name: name, text: text} }
func raw(name, json string) member { return member{name: name, raw: json} }

// messages are of every kind, with strings alone, numbers, nulls, booleans,
// nested values, Chinese, empty values, and of one block or of many.
func messages() []message {
	return []message{
		{"H5PAY", explain.KindRequest, "H5PAY", "2.0", []member{
			str("order_id", "A1001"), str("amount", "1999"), str("biz_type", "WECHATPAY"), str("operator_id", "0000000001"),
			str("currency_type", "CAD"), str("submit_type", "form"), str("call_back_url", "https://shop.example/ottpay?x=1&y=2"),
		}},
		{"MAPPPAY", explain.KindRequest, "MAPPPAY", "1.1", []member{
			str("order_id", "M20201127000000000001"), str("operator_id", "0000020156"), str("amount", "100"), str("tip", "15"), str("biz_type", "WECHATPAY"),
			str("app_id", "wx0123456789abcdef"), str("open_id", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"), str("call_back_url", "https://shop.example/notify"),
		}},
		{"PREPAY_INIT", explain.KindRequest, "PREPAY_INIT", "2.0", []member{
			str("merchant_id", merchant), str("shop_id", "9001"), str("operator_id", "0000020156"), str("prepay_order_id", "prepay20220727132626764"), str("sale_num", "88120455"),
			str("amount", "4500"), str("currency_type", "CAD"), str("biz_type", "PREPAY"), str("redirect_url", "https://shop.example/thanks"), str("call_back_url", "https://shop.example/ottpay"),
			str("duration", "900"), str("email", "li@example.com"), str("remarks", "张三 的 订单"),
		}},
		{"STATUS_QUERY", explain.KindRequest, "STATUS_QUERY", "1.0", []member{str("order_id", "A20201127-000017")}},
		{"callback", explain.KindCallback, "", "", []member{
			str("finish_time", "20200416050429"), str("order_id", "2020041553699O153O0407"), str("amount", "1"), str("bizpay_order_id", "AL781266859681754"),
			str("merchant_id", merchant), str("tip", "0"),
		}},
		{"callback with remarks", explain.KindCallback, "", "", []member{
			str("order_id", "A1001-2020-11"), str("bizpay_order_id", "WX781266859681754"), str("amount", "2299"), str("finish_time", "2020-04-16 05:04:29"),
			str("convenience_fee", "300"), str("sale_num", "77120455"), str("remarks", "谢谢 Zoë & Søn"), str("tip", ""),
		}},
		{"status response", explain.KindResponse, "", "", []member{
			str("order_id", "2020041468976O124O000857"), raw("total_amount", "1"), raw("refund_fee", "0"), str("order_status", "init"),
			str("trade_time", "Apr 14, 2020 12:08:58 AM"), raw("tip", "0"),
		}},
		{"rate response", explain.KindResponse, "", "", []member{str("feeType", "CAD"), raw("rate", "650000000"), str("valid", "20201127")}},
		{"callback of all types", explain.KindCallback, "", "", []member{
			raw("amount", "12345678"), str("bizpay_order_id", "WX781266859681755"), str("finish_time", "20201127101112"), str("order_id", "ORDER-000000000001"),
			raw("exchange_rate", "5.24740000"), raw("test", "true"), raw("live", "false"), raw("coupon", "null"), raw("items", `{"sku":"a-1","n":2,"tags":["x","y"]}`),
		}},
	}
}

// wrapped returns the body of a message.
func (m message) body(s sender) []byte {
	if m.kind == explain.KindRequest {
		return s.request(m.action, m.version)
	}
	return s.callback()
}

// sender returns an honest sender of the message.
func (m message) sender() sender {
	s := honest()
	s.members = append([]member{}, m.members...)
	s.value = javaValue
	return s
}

// javaValue is the text of a value by the gateway's rule, for the values of the
// tests.
func javaValue(m member) string {
	if m.raw == "" {
		return m.text
	}
	switch m.raw {
	case "true", "false", "null":
		return m.raw
	}
	if strings.HasPrefix(m.raw, "{") {
		return "{sku=a-1, n=2.0, tags=[x, y]}"
	}
	var f float64
	if _, err := fmt.Sscan(m.raw, &f); err != nil {
		panic(err)
	}
	return javaDouble(f)
}
