package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

// misfitting is what every type but a request can do.
type misfitting interface {
	json.Unmarshaler
	json.Marshaler
	Misfits() []string
}

// TestOnlyDecidingMembersStop puts every kind of value into every member of
// every answer and notification, beside a whole example. An optional member on
// which no decision rests stops nothing.
func TestOnlyDecidingMembersStop(t *testing.T) {
	t.Parallel()
	values := []string{`""`, `null`, `12`, `1.5`, `-1`, `1e400`, `true`, `{}`, `{"a":{"b":[1]}}`, `[]`, `[1]`, `"x"`, `" "`, `"10.00"`, `"` + strings.Repeat("x", 2000) + `"`, `"\ud83d\ude00"`}
	values = slices.DeleteFunc(values, func(v string) bool { return !wire.Valid([]byte(v)) })
	for _, name := range api.Schemas() {
		schema, _ := api.LookupSchema(name)
		if schema.Request {
			continue
		}
		for _, m := range schema.Members {
			for _, value := range values {
				object := with(t, schema.Example, m.Name, value)
				v, err := api.New(name)
				if err != nil {
					t.Fatal(err)
				}
				err = v.(misfitting).UnmarshalJSON([]byte(object))
				if m.Decides {
					continue // TestFixtures has the verdicts
				}
				if err != nil {
					t.Errorf("%s: %s: %s stops it: %v", name, m.Name, value, err)
					continue
				}
				misfits := v.(misfitting).Misfits()
				if fits := schema.Check([]byte(object)) == nil; fits != (len(misfits) == 0) && !emptyText(value) || len(misfits) > 1 || len(misfits) == 1 && misfits[0] != m.Name {
					t.Errorf("%s: %s: %s: misfits %v, the schema says %v", name, m.Name, value, misfits, schema.Check([]byte(object)))
				}
				out, err := v.(misfitting).MarshalJSON()
				if err != nil {
					t.Errorf("%s: %s: %s: %v", name, m.Name, value, err)
				}
				if len(misfits) == 1 && !strings.Contains(string(out), value) {
					t.Errorf("%s: %s: %s is lost: %s", name, m.Name, value, out)
				}
			}
		}
	}
}

func emptyText(value string) bool { return value == `""` || value == "null" }

// with returns an object with one member set.
func with(t *testing.T, object, name, value string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	members[name] = json.RawMessage(value)
	out, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestHonestOddities are spellings that the gateway is known to use.
func TestHonestOddities(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		schema, json string
		want         string // what is written again
		misfits      string
	}{
		{"Notification", `{"order_id":"A1","tip":"","merchant_id":"","remarks":5,"convenience_fee":null,"sale_num":12.50,"exchange_rate":5.24740000,"finish_time":20200416050429}`, `{"order_id":"A1","finish_time":"20200416050429","sale_num":"12.50","exchange_rate":"5.24740000","remarks":"5"}`, ""},
		{"Notification", `{"order_id":"A1","pay_no":"WX1"}`, `{"order_id":"A1","bizpay_order_id":"WX1"}`, ""},
		{"Notification", `{"order_id":"A1","bizpay_order_id":"","out_trade_no":"WX1","payNo":null}`, `{"order_id":"A1","bizpay_order_id":"WX1"}`, ""},
		{"Notification", `{"order_id":"A1","payNo":"WX1","pay_no":"WX2","out_trade_no":"WX3"}`, `{"order_id":"A1","bizpay_order_id":"WX1"}`, ""},
		{"Notification", `{"order_id":"A1","out_trade_no":"WX3","pay_no":"WX2"}`, `{"order_id":"A1","bizpay_order_id":"WX2"}`, ""},
		{"Notification", `{"order_id":"A1","tip":{"a":1},"Tip":[2],"remarks":[]}`, `{"order_id":"A1","remarks":[],"tip":{"a":1}}`, "tip remarks"},
		{"Notification", `{"order_id":"A1","Tip":"none"}`, `{"order_id":"A1","Tip":"none"}`, "Tip"},
		{"StatusQueryResponse", `{"order_status":"init","payInfo":{},"return_code":7,"buyer_login_id":12}`, `{"order_status":"init","buyer_login_id":"12","return_code":"7","payInfo":{}}`, "payInfo"},
		{"StatusQueryResponse", `{"orderStatus":"success","orderId":"A1","amount":5,"refund_fee":""}`, `{"order_status":"success","order_id":"A1","total_amount":"5"}`, ""},
		{"MiniProgramPayResponse", `{"order_id":"A1","amount":"5","sale_num":"","merchant_id":"","payInfo":{"appId":"wx","timeStamp":2018091015}}`, `{"payInfo":"{\"appId\":\"wx\",\"timeStamp\":2018091015}","order_id":"A1","amount":"5"}`, ""},
		{"PayInfo", `{"appId":"wx","timeStamp":2018091015,"nonceStr":"n","packageStr":"prepay_id\u003dwx1","signType":"MD5","paySign":123}`, `{"appId":"wx","timeStamp":"2018091015","nonceStr":"n","packageStr":"prepay_id=wx1","signType":"MD5","paySign":"123"}`, ""},
		{"PrepayQueryResponse", `{"status":"SUCCESS","amount":"5","prepay_order_id":"P1","rspMsg":"","create_time":20220727132626,"payments_methods":[1, {}]}`, `{"status":"SUCCESS","amount":"5","prepay_order_id":"P1","create_time":"20220727132626","payments_methods":[1, {}]}`, ""},
		{"RefundResponse", `{"order_id":"REF202004155369900","refund_amt":1,"refund_status":"success","ori_order_id":"A1","refund_id":7}`, `{"order_id":"REF202004155369900","refund_id":"7","ori_order_id":"A1","order_status":"success","refund_fee":"1"}`, ""},
	} {
		v, err := api.New(tt.schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.json), v); err != nil {
			t.Errorf("%s: %s: %v", tt.schema, tt.json, err)
			continue
		}
		// Not json.Marshal, which would make the kept JSON compact.
		if got, err := v.(json.Marshaler).MarshalJSON(); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s:\ngot  %s, %v\nwant %s", tt.schema, tt.json, got, err, tt.want)
		}
		if got := strings.Join(v.(misfitting).Misfits(), " "); got != tt.misfits {
			t.Errorf("%s: %s: misfits %q, want %q", tt.schema, tt.json, got, tt.misfits)
		}
	}
}

// TestRequestsAreStrict: a request is read as it must be sent.
func TestRequestsAreStrict(t *testing.T) {
	t.Parallel()
	for _, object := range []string{`{"tip":""}`, `{"tip":5}`, `{"tip":"05"}`, `{"tip":null}`, `{"tip":"0"}`, `{"amount":5}`, `{"order_id":null}`, `{"order_id":5}`, `{"order_id":{}}`} {
		r := api.MiniProgramPayRequest{OrderID: "kept"}
		if err := r.UnmarshalJSON([]byte(object)); err == nil || r.OrderID != "kept" {
			t.Errorf("%s: %v, %v", object, r, err)
		}
	}
	var r api.MiniProgramPayRequest
	if err := r.UnmarshalJSON([]byte(`{"order_id":"","tip":"5","note":"x"}`)); err != nil || r.Tip != 5 || r.OrderID != "" || len(r.AdditionalProperties) != 1 {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestUnmarshalMembers: decoding from an index is decoding.
func TestUnmarshalMembers(t *testing.T) {
	t.Parallel()
	for _, name := range api.Schemas() {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var fixtures []struct{ JSON json.RawMessage }
		if err := json.Unmarshal(data, &fixtures); err != nil {
			t.Fatal(err)
		}
		for _, f := range fixtures {
			whole, _ := api.New(name)
			indexed, _ := api.New(name)
			err := whole.(json.Unmarshaler).UnmarshalJSON(f.JSON)
			var m wire.Members
			if parsed := wire.Parse(f.JSON, &m); parsed != nil {
				t.Fatal(parsed)
			}
			other := indexed.(wire.Unmarshaler).UnmarshalMembers(&m)
			if fmt.Sprint(err) != fmt.Sprint(other) || fmt.Sprint(whole) != fmt.Sprint(indexed) {
				t.Errorf("%s: %s: %v, %v; %v, %v", name, f.JSON, err, other, whole, indexed)
			}
		}
	}
	n := api.Notification{OrderID: "old"}
	if err := n.UnmarshalMembers(nil); err != nil || n.OrderID != "" {
		t.Errorf("no members: %v, %v", n, err)
	}
}

// TestHandWrittenSchema: a schema of a program's own checks like a generated one.
func TestHandWrittenSchema(t *testing.T) {
	t.Parallel()
	s := api.Schema{Name: "Own", Members: []api.Member{
		{Name: "id", Kind: api.MemberString, Required: true, MinLength: 2, MaxLength: 3},
		{Name: "code", Kind: api.MemberString, Pattern: "^[a-z]*$", Rule: "lower"},
		{Name: "size", Aliases: []string{"Size", "sz"}, Kind: api.MemberAmount, Number: true, Min: 1},
	}}
	for object, want := range map[string]string{
		`{"id":"ab"}`: "", `{"id":"ab","sz":5}`: "", `{"id":"ab","Size":"5","x":1}`: "", `{"id":"éèê"}`: "", `{"id":"ab","code":"x"}`: "", `{"id":"ab","code":"X"}`: "api: Own: code: lower",
		`{}`: "api: Own: id: required", `{"id":""}`: "api: Own: id: required", `{"id":"a"}`: "api: Own: id: min", `{"id":"é"}`: "api: Own: id: min", `{"id":"abcd"}`: "api: Own: id: max", `{"id":5}`: "api: Own: id: string", `{"id":null}`: "api: Own: id: null",
		`{"id":"ab","sz":0}`: "api: Own: size: min", `{"id":"ab","size":"x"}`: "api: Own: size: amount", `{"id":"ab","sz":5,"size":0}`: "api: Own: size: min", `{"id":"ab","size":0,"sz":5}`: "api: Own: size: min",
		`{"id":"ab","ID":1}`: "api: Own: wire: two member names differ in case only", `[]`: "api: Own: wire: not a JSON object", `{"id":"ab","id":"ab"}`: "api: Own: wire: a member name stands twice",
	} {
		err := s.Check([]byte(object))
		if got := fmt.Sprint(err); got != want && !(err == nil && want == "") {
			t.Errorf("%s: %v, want %s", object, err, want)
		}
	}
	if m, ok := s.Member("sz"); !ok || m.Name != "size" {
		t.Errorf("got %v", m)
	}
	if _, ok := s.Member("SIZE"); ok {
		t.Error("names are exact")
	}
	if _, ok := s.WithRole(api.RoleAmount); ok {
		t.Error("no member has the role")
	}
}

// TestCheckNamesTheRule walks the rules of a request.
func TestCheckNamesTheRule(t *testing.T) {
	t.Parallel()
	schema, _ := api.LookupSchema("PassivePayRequest")
	for change, want := range map[[2]string]string{
		{"order_id", `"a b"`}: "order_id: orderid", {"operator_id", `"` + strings.Repeat("x", 65) + `"`}: "operator_id: max", {"amount", `"0"`}: "amount: requestamount", {"amount", `5`}: "amount: string", {"amount", `"` + strings.Repeat("9", 13) + `"`}: "amount: max", {"amount", `"x"`}: "amount: amount",
		{"biz_type", `"PAYPAL"`}: "biz_type: enum", {"tip", `"\u0030"`}: "tip: ", {"sale_num", `true`}: "sale_num: string", {"cc_number", `"4111"`}: "holds card data",
	} {
		err := schema.Check([]byte(with(t, schema.Example, change[0], change[1])))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, "requestamount")) {
			t.Errorf("%s: %s: %v, want %s", change[0], change[1], err, want)
		}
	}
	mini, _ := api.LookupSchema("MiniProgramPayRequest")
	if err := mini.Check([]byte(with(t, mini.Example, "biz_type", `"ALIPAY"`))); err == nil || !strings.HasSuffix(err.Error(), "biz_type: const") {
		t.Errorf("got %v", err)
	}
	card, _ := api.LookupSchema("CardPurchaseResponse")
	for object, ok := range map[string]bool{`{}`: false, `{"codeUrl":""}`: false, `{"codeUrl":null,"tn":""}`: false, `{"codeurl":"u"}`: true, `{"tn":"1"}`: true, `{"tn":1}`: true} {
		if err := card.Check([]byte(object)); (err == nil) != ok {
			t.Errorf("%s: %v", object, err)
		}
	}
}

func TestBearsCardData(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"cc_number": true, "CC_NUMBER": true, "ccNumber": true, "c-c.n u m b e r": true, "cvv2": true, "CVV_2": true, "PAN": true, "track1": true, "TRACK_1": true,
		"": false, "_": false, "cc_numbe": false, "cc_numbers": false, "cc_numb3r": false, "span": false, "cvv1": false, "track3": false, "cc{number": true, "cc@number": true, "cc[number": true, "cc`number": true, "cc/number": true, "cc:number": true,
		strings.Repeat("x", 30): false, "cc_number" + strings.Repeat("x", 30): false, strings.Repeat("_", 100) + "cc_number": true,
	} {
		if api.BearsCardData(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
