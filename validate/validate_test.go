package validate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/validate"
)

func TestExplainNamesMemberAndRuleNeverValue(t *testing.T) {
	t.Parallel()
	req := &api.MiniProgramPayRequest{
		OrderID: "s3cret order", Amount: 5_000_000_000_000, BizType: "s3cretPAY", AppID: "wx", OpenID: "s3cret",
		CallBackURL: "http://s3cret.example/",
	}
	err := validate.Explain(validate.New().Struct(req))
	var bad *validate.Error
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	got := make(map[string]string)
	for _, v := range bad.Violations {
		got[v.Member] = v.Rule
		if v.Schema != "MiniProgramPayRequest" {
			t.Errorf("schema %s", v.Schema)
		}
	}
	want := map[string]string{"order_id": "orderid", "operator_id": "required", "amount": "max", "biz_type": "eq", "call_back_url": "httpsurl"}
	for member, rule := range want {
		if got[member] != rule {
			t.Errorf("%s: rule %q, want %q", member, got[member], rule)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "5000000000000") {
		t.Errorf("the message quotes a value: %v", err)
	}
	if !strings.Contains(err.Error(), "MiniProgramPayRequest.operator_id: required") {
		t.Errorf("the message is %v", err)
	}
}

func TestExplainPassesOthersOn(t *testing.T) {
	t.Parallel()
	if validate.Explain(nil) != nil {
		t.Error("nil became an error")
	}
	other := errors.New("other")
	if validate.Explain(other) != other {
		t.Error("another error was changed")
	}
}

func TestCardDataIsRefused(t *testing.T) {
	t.Parallel()
	v := validate.New()
	for name, rule := range map[string]string{"cc_number": "nocarddata", "CC_NUMBER": "nocarddata", "cardNumber": "nocarddata", "cc-sha": "nocarddata", "card num": "nocarddata", "card.no": "nocarddata", "ssl_cvv2cvc2": "nocarddata", "note": "string"} {
		value := json.RawMessage(`"4111111111111111"`)
		if rule == "string" {
			value = json.RawMessage(`4111`)
		}
		req := api.StatusQueryRequest{OrderID: "1", AdditionalProperties: map[string]json.RawMessage{name: value}}
		err := validate.Explain(v.Struct(req))
		if err == nil || !strings.Contains(err.Error(), rule) || strings.Contains(err.Error(), "4111") {
			t.Errorf("%s: %v", name, err)
		}
	}
	fine := api.StatusQueryRequest{OrderID: "1", AdditionalProperties: map[string]json.RawMessage{"note": json.RawMessage(`"x"`)}}
	if err := v.Struct(fine); err != nil {
		t.Error(err)
	}
}

func TestAnswerMayHoldAnything(t *testing.T) {
	t.Parallel()
	n := api.Notification{OrderID: "1", BizpayOrderID: "2", Amount: 3, FinishTime: "4", AdditionalProperties: map[string]json.RawMessage{"cc_number": json.RawMessage(`{}`)}}
	if err := validate.New().Struct(n); err != nil {
		t.Error(err)
	}
}

func TestNegativeAmountIsRefused(t *testing.T) {
	t.Parallel()
	req := api.RefundRequest{OrderID: "R1", OriOrderID: "A1", RefundAmt: -5}
	if err := validate.Explain(validate.New().Struct(req)); err == nil || !strings.Contains(err.Error(), "refund_amt: min=1") {
		t.Errorf("got %v", err)
	}
}

// TestCallbackURL: what is accepted is a URL as it goes over the wire, which
// every reader reads alike.
func TestCallbackURL(t *testing.T) {
	t.Parallel()
	v := validate.New()
	for url, ok := range map[string]bool{
		"https://shop.example/ottpay?a=b": true, "https://shop.example": true, "https://shop.example?a": true, "https://shop.example/a;b:c@d/!$&'()*+,=~.-_%C3%A9": true,
		"https://a_b.shop-1.example:65535/": true, "https://127.0.0.1/": true, "https://[2001:db8::1]:8443/a": true, "https://[::]/": true, "https://[1:2:3:4:5:6:7:8]/": true,
		"http://127.0.0.1:8080/cb": true, "http://127.255.255.254/": true, "http://localhost:1/": true, "http://[::1]:8080/": true,

		"http://shop.example/": false, "http://localhost.shop.example/": false, "http://127.0.0.1@shop.example/": false, "http://127.0.0.1.shop.example/": false, "http://127.0.0.256/": false, "http://128.0.0.1/": false, "http://[::2]/": false,
		"https://user:pass@shop.example/": false, "https://user@shop.example/": false, "https://@shop.example/": false, "https://shop.example/#top": false, "https://shop.example#": false,
		"https://shop.example/é": false, "https://shöp.example/": false, "https://shop.example/a b": false, "https://shop.example/<": false, "https://shop.example/>": false, "https://shop.example/\"": false, "https://shop.example/{x}": false, "https://shop.example/a|b": false, "https://shop.example/a\\b": false, "https://shop.example/^": false, "https://shop.example/`": false, "https://shop.example/[]": false,
		"https://shop.example/%zz": false, "https://shop.example/%": false, "https://shop.example/%4": false, "https://shop.example/?a=%g1": false, "https://shop.example/\x01": false, "https://shop.example/\x7f": false, "https://shop.example/\n": false, "\thttps://shop.example/": false, "https://shop.example/\u202e": false,
		"https://": false, "https:///a": false, "https://:443/": false, "https://.example/": false, "https://shop..example/": false, "https://shop.example./": false, "https://-shop.example/": false, "https://shop-.example/": false, "https://a:b/": false, "https://shop.example:0/": false, "https://shop.example:65536/": false, "https://shop.example:/": false, "https://shop.example:443443/": false,
		"https://[::1/": false, "https://::1/": false, "https://[g::1]/": false, "https://[1:2:3]/": false, "https://[:::]/": false, "https://[fe80::1%25eth0]/": false, "https://[]/": false,
		"/ottpay": false, "shop.example": false, "ftp://shop.example/": false, "HTTPS://shop.example/": false, "https:shop.example": false, "https:/shop.example": false, "": false,
		"https://" + strings.Repeat("a", 64) + ".example/": false, "https://shop.example/" + strings.Repeat("a", 234): true, "https://shop.example/" + strings.Repeat("a", 235): false,
	} {
		req := api.ActivePayRequest{OrderID: "1", OperatorID: "2", Amount: 3, BizType: "ALIPAY", CallBackURL: url}
		if err := v.Struct(req); (err == nil) != ok {
			t.Errorf("%q: %v", url, validate.Explain(err))
		}
	}
}

// TestLongURL: a shop may have another limit.
func TestLongURL(t *testing.T) {
	t.Parallel()
	v := validate.New()
	req := api.ActivePayRequest{OrderID: "1", Amount: 3, BizType: "ALIPAY", CallBackURL: "https://shop.example/" + strings.Repeat("a", 1000)}
	if err := validate.Explain(v.Struct(req)); err == nil || !strings.Contains(err.Error(), "ActivePayRequest.call_back_url: urllength") {
		t.Errorf("error %v", err)
	}
	v = validate.New()
	if err := v.RegisterValidation("urllength", func(fl validator.FieldLevel) bool { return fl.Field().Len() <= 2048 }); err != nil {
		t.Fatal(err)
	}
	if err := v.Struct(req); err != nil {
		t.Error(err)
	}
}

func BenchmarkNotification(b *testing.B) {
	v := validate.New()
	data := []byte(`{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`)
	b.ReportAllocs()
	for b.Loop() {
		n := new(api.Notification)
		if err := n.UnmarshalJSON(data); err != nil {
			b.Fatal(err)
		}
		if err := v.Struct(n); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleExplain() {
	v := validate.New()
	err := v.Struct(&api.RefundRequest{OrderID: "R1", RefundAmt: field.Cents(100)})
	fmt.Println(validate.Explain(err))
	// Output: validate: RefundRequest.ori_order_id: required
}

// TestRefundOfItself: a query could not tell such a refund from its payment.
func TestRefundOfItself(t *testing.T) {
	t.Parallel()
	v := validate.New()
	r := api.RefundRequest{OrderID: "R1", OriOrderID: "P1", RefundAmt: 1}
	if err := v.Struct(r); err != nil {
		t.Error(err)
	}
	r.OrderID = "P1"
	if err := validate.Explain(v.Struct(r)); err == nil || !strings.Contains(err.Error(), "RefundRequest.order_id: nefield") {
		t.Errorf("error %v", err)
	}
}
