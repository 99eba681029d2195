package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

const seed = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`

func TestSeedNotification(t *testing.T) {
	t.Parallel()
	var n api.Notification
	if err := json.Unmarshal([]byte(seed), &n); err != nil {
		t.Fatal(err)
	}
	if n.OrderID != "2020041553699O153O0407" || n.BizpayOrderID != "AL781266859681754" || n.Amount != 1 || n.MerchantID != "QC00005496" || n.FinishTime != "20200416050429" {
		t.Errorf("got %v", n)
	}
	if n.Tip == nil || *n.Tip != 0 {
		t.Error("a tip of 0 is not an absent one")
	}
	if n.ConvenienceFee != nil || n.AdditionalProperties != nil {
		t.Error("absent members are present")
	}
}

func TestNotificationAllocations(t *testing.T) {
	data := []byte(seed)
	var n api.Notification
	got := testing.AllocsPerRun(100, func() {
		if err := n.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
	})
	if got > 2 {
		t.Errorf("%v allocations, want one for the text and one for the tip", got)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	tests := []struct {
		schema, json string
		want         string // what is written again
	}{
		{"MiniProgramPayRequest", `{"Tip":"20"}`, `{"tip":"20"}`},
		{"MiniProgramPayRequest", `{"Tip":"20","tip":"30"}`, `{"tip":"30"}`},
		{"MiniProgramPayRequest", `{"tip":"30","Tip":"20"}`, `{"tip":"30"}`},
		{"Notification", `{"Tip":20,"tip":"30"}`, `{"tip":"30"}`},
		{"MiniProgramPayResponse", `{"payinfo":"{}"}`, `{"payInfo":"{}"}`},
		{"MiniProgramPayResponse", `{"payinfo":"a","payInfo":"b"}`, `{"payInfo":"b"}`},
		{"H5PayResponse", `{"payInfo":"weixin://"}`, `{"payinfo":"weixin://"}`},
		{"H5PayResponse", `{"payInfo":"a","payinfo":"b"}`, `{"payinfo":"b"}`},
		{"StatusQueryResponse", `{"buyer_logon_id":"x"}`, `{"buyer_login_id":"x"}`},
		{"StatusQueryResponse", `{"buyer_login_id":"y","buyer_logon_id":"x"}`, `{"buyer_login_id":"y"}`},
		{"PassivePayResponse", `{"buyer_logon_id":"x"}`, `{"buyer_login_id":"x"}`},
		{"ExchangeRateQueryResponse", `{"fee_type":"CAD","rate":6.5E8}`, `{"feeType":"CAD","rate":"650000000"}`},
		{"CardPurchaseResponse", `{"respcode":"PROCESSING","respmsg":"m","code_url":"u"}`, `{"rspCode":"PROCESSING","rspMsg":"m","codeUrl":"u"}`},
		{"CardPurchaseRequest", `{"biz_type":"securePay"}`, `{"biz_type":"securePay"}`},
		{"CardPurchaseRequest", `{"bizType":"securePay"}`, `{"bizType":"securePay"}`},
		{"CardPurchaseRequest", `{"biz_type":"old","bizType":"securePay"}`, `{"bizType":"securePay"}`},
		{"PrepayInitResponse", `{"payInfo":"u"}`, `{"payinfo":"u"}`},
		{"PrepayQueryResponse", `{"out_trade_no":"c","bizpay_order_id":null}`, `{"bizpay_order_id":"c"}`},
		{"StatusQueryResponse", `{"exchange_rate":5.24740000}`, `{"exchange_rate":"5.24740000"}`},
		{"RefundResponse", `{"refund_status":"success"}`, `{"order_status":"success"}`},
	}
	for _, tt := range tests {
		t.Run(tt.schema+tt.json, func(t *testing.T) {
			t.Parallel()
			v, err := api.New(tt.schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tt.json), v); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(v); err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestNamesAreExact(t *testing.T) {
	t.Parallel()
	var n api.Notification
	if err := json.Unmarshal([]byte(`{"AMOUNT":"900","x":[1, 2]}`), &n); err != nil {
		t.Fatal(err)
	}
	if n.Amount != 0 || string(n.AdditionalProperties["AMOUNT"]) != `"900"` || len(n.AdditionalProperties) != 2 {
		t.Errorf("another spelling is another member: %s", n.AdditionalProperties)
	}
	for _, twins := range []string{
		`{"amount":"1","AMOUNT":"900"}`, `{"AMOUNT":"900","amount":"1"}`, `{"amount":"1","amount":"1"}`, `{"x":1,"X":1}`,
		`{"tip":"1","TIP":"2"}`, `{"Tip":"1","Tip":"1"}`, `[]`, `{"amount":"1"}{}`,
	} {
		n := api.Notification{OrderID: "kept"}
		if err := n.UnmarshalJSON([]byte(twins)); err == nil {
			t.Errorf("%s: read", twins)
		}
		if n.OrderID != "kept" {
			t.Errorf("%s: a refused object changed the value", twins)
		}
	}
}

func TestErrorsNameMembersNotValues(t *testing.T) {
	t.Parallel()
	var n api.Notification
	err := n.UnmarshalJSON([]byte(`{"amount":"10.75"}`))
	var bad *field.AmountError
	if !errors.As(err, &bad) || bad.Raw != `"10.75"` {
		t.Fatalf("got %v", err)
	}
	if msg := err.Error(); strings.Contains(msg, "10.75") || !strings.Contains(msg, "Notification: amount") {
		t.Errorf("the message is %q", msg)
	}
}

func TestRequestsWriteStringsOnly(t *testing.T) {
	t.Parallel()
	for _, info := range api.Actions() {
		schema, _ := api.LookupSchema(info.Request)
		v, err := api.New(info.Request)
		if err != nil {
			t.Fatal(err)
		}
		if empty, err := json.Marshal(v); err != nil || string(empty) != `{}` {
			t.Errorf("%s: an empty request is %s, %v", info.Name, empty, err)
		}
		if err := json.Unmarshal([]byte(schema.Example), v); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]string
		if err := json.Unmarshal(out, &members); err != nil {
			t.Errorf("%s: not only strings: %v", info.Name, err)
		}
		if err := schema.Check(out); err != nil {
			t.Errorf("%s: %v", info.Name, err)
		}
	}
	for name, value := range map[string]string{"note": `1`, "n": `null`, "cc_number": `"4111"`, "CC-Number": `"4111"`, "cvv": `"1"`, "Amount": `"1"`, "Tip": `"1"`} {
		req := api.MiniProgramPayRequest{AdditionalProperties: map[string]json.RawMessage{name: json.RawMessage(value)}}
		if out, err := json.Marshal(req); err == nil {
			t.Errorf("%s: written: %s", name, out)
		}
	}
	req := api.CardPurchaseRequest{BizType: "securePay", BizTypeName: "biz_type", AdditionalProperties: map[string]json.RawMessage{"note": json.RawMessage(`"x"`)}}
	if out, err := json.Marshal(&req); err != nil || string(out) != `{"biz_type":"securePay","note":"x"}` {
		t.Errorf("got %s, %v", out, err)
	}
	req.BizTypeName = "bizTipe"
	if out, err := json.Marshal(&req); err == nil {
		t.Errorf("an unknown spelling is written: %s", out)
	}
}

func TestFilled(t *testing.T) {
	t.Parallel()
	d := api.Defaults{MerchantID: "TS00000001", OperatorID: "0000000001", OrderID: "ORDER1"}
	req := &api.H5PayRequest{Amount: 5}
	got := req.Filled(d)
	if got.MerchantID != d.MerchantID || got.OperatorID != d.OperatorID || got.Order() != d.OrderID || got.BizType != "WECHATPAY" || got.SubmitType != "form" || got.Amount != 5 {
		t.Errorf("got %v", got)
	}
	if req.OrderID != "" || req.BizType != "" {
		t.Error("the caller's request was changed")
	}
	own := (&api.H5PayRequest{OrderID: "mine", MerchantID: "other", OperatorID: "9"}).Filled(d)
	if own.OrderID != "mine" || own.MerchantID != "other" || own.OperatorID != "9" {
		t.Errorf("given values were replaced: %v", own)
	}
	if q := (api.StatusQueryRequest{}).Filled(d); q.OrderID != "" {
		t.Errorf("a query got an invented order id %s", q.OrderID)
	}
	if r := (api.RefundRequest{OriOrderID: "paid"}).Filled(d); r.Order() != d.OrderID || r.OriOrderID != "paid" {
		t.Errorf("got %v", r)
	}
	if c := (api.CardPurchaseRequest{}).Filled(d); c.OrderID != d.OrderID || c.Order() != d.OrderID {
		t.Errorf("got %v", c)
	}
	if c := (api.PrepayInitRequest{}).Filled(d); c.PrepayOrderID != d.OrderID || c.BizType != "PREPAY" {
		t.Errorf("got %v", c)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	var r api.CardPurchaseResponse
	if r.Pending() {
		t.Error("the zero value is pending")
	}
	r.SetPending(true)
	if !r.Pending() {
		t.Error("not pending")
	}
	if out, err := json.Marshal(r); err != nil || string(out) != `{}` {
		t.Errorf("it is written: %s, %v", out, err)
	}
}

// TestNothingSensitiveIsShown puts a mark into every sensitive member of every
// type and looks for it in every way to print a value.
func TestNothingSensitiveIsShown(t *testing.T) {
	t.Parallel()
	const mark = "s3cret-mark"
	sensitive := 0
	for _, name := range api.Schemas() {
		schema, _ := api.LookupSchema(name)
		members := map[string]any{"x_unknown": mark}
		for _, m := range schema.Members {
			if m.Sensitive || m.Kind == api.MemberJSON || m.Kind == api.MemberRaw || strings.Contains(strings.ToLower(m.Name), "url") {
				members[m.Name] = mark
				sensitive++
			}
		}
		data, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		v, err := api.New(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, v); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		fmt.Fprintf(&log, "%v %+v %#v %s %q %d %x", v, v, v, v, v, v, v)
		fmt.Fprintf(&log, "%v %+v %#v", struct{ V any }{v}, []any{v}, map[string]any{"v": v})
		if strings.Contains(log.String(), mark) || strings.Contains(log.String(), fmt.Sprintf("%x", mark)) {
			t.Errorf("%s shows it: %s", name, log.String())
		}
	}
	if sensitive < 30 {
		t.Errorf("only %d sensitive members", sensitive)
	}
	n := api.Notification{OrderID: "ORDER1", Amount: 5, Remarks: "free text", SubOpenID: "wallet"}
	if got, want := n.String(), "Notification[order_id=ORDER1 amount=5 sub_openId=[redacted] remarks=[redacted]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUsualLengths keeps the gap of every value that is not free text below a
// cipher block, as docs/protocol.md 14.1 asks.
func TestUsualLengths(t *testing.T) {
	t.Parallel()
	schema, _ := api.LookupSchema("Notification")
	for _, m := range schema.Members {
		if m.Name == "prepay_order_id" { // whose lengths are known to differ more
			continue
		}
		if m.UsualMax == 0 && m.Decides || m.UsualMax-m.UsualMin >= 16 {
			t.Errorf("%s: usual lengths %d to %d", m.Name, m.UsualMin, m.UsualMax)
		}
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(seed), &values); err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		if m, ok := schema.Member(name); !ok || len(value) < m.UsualMin || len(value) > m.UsualMax {
			t.Errorf("%s of the published callback is unusual", name)
		}
	}
}

// TestMarshalRefuses: what a reader would refuse, or take for another member, is
// not written.
func TestMarshalRefuses(t *testing.T) {
	t.Parallel()
	tip := field.Cents(5)
	raw := func(name, value string) map[string]json.RawMessage {
		return map[string]json.RawMessage{name: json.RawMessage(value)}
	}
	for name, v := range map[string]json.Marshaler{
		"amount below zero":     api.Notification{Amount: -1},
		"tip beyond all":        api.Notification{Tip: &[]field.Cents{field.MaxCents + 1}[0]},
		"rate below zero":       api.ExchangeRateQueryResponse{Rate: -1},
		"not UTF-8":             api.Notification{OrderID: "\xff"},
		"deciding member twice": api.Notification{AdditionalProperties: raw("order_status", `{}`)},
		"optional member twice": api.Notification{Tip: &tip, AdditionalProperties: raw("tip", `{}`)},
		"alias beside it":       api.Notification{Tip: &tip, AdditionalProperties: raw("Tip", `{}`)},
		"another case":          api.Notification{OrderID: "A", AdditionalProperties: raw("Order_ID", `1`)},
		"not JSON":              api.Notification{AdditionalProperties: raw("x", `{`)},
		"request: known member": api.RefundRequest{AdditionalProperties: raw("order_id", `"x"`)},
		"request: alias":        api.MiniProgramPayRequest{AdditionalProperties: raw("Tip", `"1"`)},
	} {
		out, err := v.MarshalJSON()
		if err == nil || out != nil || !strings.HasPrefix(err.Error(), "api: ") {
			t.Errorf("%s: written as %s, %v", name, out, err)
		}
	}
	for want, v := range map[string]json.Marshaler{
		`{"tip":{}}`:                         api.Notification{AdditionalProperties: raw("tip", `{}`)},
		`{"tip":"5","x":[1]}`:                api.Notification{Tip: &tip, AdditionalProperties: raw("x", `[1]`)},
		`{"feeType":"CAD","rate":"6500000"}`: api.ExchangeRateQueryResponse{FeeType: "CAD", Rate: 6500000},
		`{"bizType":"securePay"}`:            api.CardPurchaseRequest{BizType: "securePay", BizTypeName: "bizType"},
		`{"payments_methods":[{"a": 1}]}`:    api.PrepayQueryResponse{PaymentsMethods: json.RawMessage(`[{"a": 1}]`)},
	} {
		if out, err := v.MarshalJSON(); err != nil || string(out) != want {
			t.Errorf("got %s, %v; want %s", out, err, want)
		}
	}
}

func TestWhatIsShown(t *testing.T) {
	t.Parallel()
	zero, tip := field.Cents(0), field.Cents(5)
	for want, v := range map[string]fmt.Stringer{
		"Notification[]": api.Notification{},
		"Notification[amount=7 tip=0 additional=2]":                                             api.Notification{Amount: 7, Tip: &zero, AdditionalProperties: map[string]json.RawMessage{"a": nil, "b": nil}},
		"ExchangeRateQueryResponse[feeType=CAD rate=650000000]":                                 api.ExchangeRateQueryResponse{FeeType: "CAD", Rate: 650000000},
		"PrepayQueryResponse[status=SUCCESS tip=5 create_time=now payments_methods=[redacted]]": api.PrepayQueryResponse{OrderStatus: "SUCCESS", Tip: &tip, CreateTime: "now", PaymentsMethods: json.RawMessage(`"s3cret"`)},
		"StatusQueryResponse[order_status=init payInfo=[redacted]]":                             api.StatusQueryResponse{OrderStatus: "init", PayInfo: "s3cret"},
		"CardPurchaseResponse[rspCode=PROCESSING codeUrl=[redacted] tn=[redacted] order_id=A1]": &api.CardPurchaseResponse{RspCode: "PROCESSING", CodeURL: "s3cret", Tn: "s3cret", OrderID: "A1", Processing: true},
	} {
		if got := v.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := api.New("Nothing"); err == nil {
		t.Errorf("got %v", err)
	}
}
