package splice_test

import (
	"bytes"
	"strings"

	"encoding/base64"
	"testing"

	"github.com/ottpaykit/ottpay/internal/splice"
)

// spliced seals payload and arranges the cipher blocks anew, without the key:
// blocks are counted from 0, and the one with padding is the last of order.
func spliced(tb testing.TB, payload string, order ...int) []byte {
	tb.Helper()
	sealed, err := mustKey(tb, publishedKey).Seal([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(sealed.Data)
	if err != nil {
		tb.Fatal(err)
	}
	var arranged []byte
	for _, b := range order {
		arranged = append(arranged, ciphertext[b*16:b*16+16]...)
	}
	sealed.Data = base64.StdEncoding.EncodeToString(arranged)
	opened, err := mustKey(tb, publishedKey).Open(sealed)
	if err != nil {
		tb.Fatal(err)
	}
	return opened.JSON
}

// upTo is the honest order. The functions below change it by one operation.
func upTo(last int) (all []int) {
	for b := range last + 1 {
		all = append(all, b)
	}
	return all
}

func without(last, block int) []int {
	return append(upTo(block-1), upTo(last)[block+1:]...)
}

func inserted(last, block, before int) []int {
	return append(append(upTo(before-1), block), upTo(last)[before:]...)
}

func moved(last, block, before int) (order []int) {
	for b := range last + 1 {
		if b == before {
			order = append(order, block)
		}
		if b != block {
			order = append(order, b)
		}
	}
	return order
}

// The splices below open under the digest of the honest message, fit every rule
// of the schema and say something that the gateway never said.
func splices(tb testing.TB) map[string]struct {
	payload []byte
	word    string
	wrong   string // what the payload must say now, to be worth refusing
} {
	return map[string]struct {
		payload []byte
		word    string
		wrong   string
	}{
		"an authorisation turned into a payment": {
			spliced(tb, `{"amount":"1","tip":"0","order_status":"authorised","order_id":"T20240102030405001","finish_time":"20240102160501","bizpay_order_id":"4200012345678901234567890123"}`,
				inserted(10, 9, 2)...),
			"name", `"order_s6789012345678901tatus":"authorised"`,
		},
		"an amount that takes a digit of the remark": {
			spliced(tb, `{"tip":"0","merchant_id":"TS00000001","biz_type":"WECHATPAY","bizpay_order_id":"2024081792417905977055165374","finish_time":"2024-03-22 01:18:08","amount":"1005","prepay_order_id":"Mg5e1iVgBK2CG1bFFtCU","remarks":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","attach":"9999999999999999999999999999999999999999999999999","order_id":"EDRG5E70QV49BLGWY09D"}`,
				moved(22, 9, 20)...),
			"reading", `"amount":"10059"`,
		},
		"a time that gives a block to the channel's id": {
			spliced(tb, `{"amount":"100463","order_status":"captured","order_id":"2022101007561O815O6754","finish_time":"2024-05-08 04:59:48 CST","bizpay_order_id":"WX202301281437446310"}`,
				moved(10, 6, 10)...),
			"length", `"finish_time":":48 CST"`,
		},
		"a status that takes the payer's id": {
			spliced(tb, `{"amount":"199978","biz_type":"WECHATPAY","bizpay_order_id":"4200059418510619782287975600","convenience_fee":"0","finish_time":"2025-02-13 16:07:45 CST","merchant_id":"TS00000001","order_id":"T354E1FJJJ26HU5DGGRT","order_status":"authorised","sub_openId":"oQsvINB3V3g4qkxgEXkHB0Kext8O","tip":"0"}`,
				without(18, 15)...),
			"length", `"order_status":"authorisedoQsvINB3V3g4qkxgEXkHB0Kext8O"`,
		},
		"a merchant whose name is gone": {
			spliced(tb, `{"order_id":"2023100718378O394O0799","amount":"554","bizpay_order_id":"AL487318155811118","sub_openId":"oUU14d6IjlugecEMKWlE0xuh72Ye","order_status":"AUTHORISED","tip":"100","remarks":"00000000000000000000000000","merchant_id":"TS00000001","finish_time":"2021-02-20 21:59:28 CST","attach_info":"","operator_id":"0000020156"}`,
				inserted(20, 18, 14)...),
			"block", `"merchant_iinfo":"","operatd":"TS00000001"`,
		},
		"a status and a merchant whose names are cut apart": {
			spliced(tb, `{"order_id":"2020070640266O214O1572","Tip":"250","amount":"100743","finish_time":"2024-07-09 02:22:05 CST","order_status":"success","operator_id":"0000020156","merchant_id":"TS00000001","bizpay_order_id":"2026010698038671971407731114","sale_num":"6653228657","remarks":"happy birthday"}`,
				moved(17, 9, 7)...),
			"name", `"orde":"0000020156","r_status":"success","operator_idmerchant_id":"TS00000001"`,
		},
		"a merchant under a payer's id": {
			spliced(tb, "{\n    \"currency\" : \"CAD\",\n    \"transaction_currency_code\" : \"124\",\n    \"amount\" : \"25004\",\n    \"tip\" : \"0\",\n    \"order_id\" : \"web_16395555\",\n    \"sub_openId\" : \"oTzRN95ogVV6lgv6SeLktnMs4-4p\",\n    \"bizpay_order_id\" : \"WX202312011346346851\",\n    \"merchant_id\" : \"TS00000001\",\n    \"remarks\" : \"3721027804658631699810726577789948423476701098380144705748090006\",\n    \"finish_time\" : \"2020-02-26 02:32:38 CST\",\n    \"order_status\" : \"captured\"\n}",
				append(append(upTo(14), 10), upTo(27)[16:]...)...),
			"name", `"oTzRN95ogVV6lgv" : "TS00000001"`,
		},
	}
}

// TestSign: splices that fit every rule of the schema show a sign.
func TestSign(t *testing.T) {
	t.Parallel()
	for name, c := range splices(t) {
		if got := splice.New([2]int{}).Sign(c.payload); got != c.word || !strings.Contains(string(c.payload), c.wrong) {
			t.Errorf("%s: sign %q, want %q, of %s", name, got, c.word, c.payload)
		}
	}
}

// TestSignName: a name is suspect if cutting whole blocks out of it leaves
// a known one, wherever in a block it stands.
func TestSignName(t *testing.T) {
	t.Parallel()
	const block = "0123456789abcdef"
	for name, want := range map[string]string{
		"amount" + block:                    "name",
		block + "merchant_id":               "name",
		"order_s" + block + "tatus":         "name",
		"order_s" + block + block + "tatus": "name",
		"Ti" + block + "p":                  "name",
		"order_s" + block + "x" + "tatus":   "",
		"order_s" + block + "tatuses":       "",
		"transaction_currency_code":         "",
	} {
		for shift := range 16 {
			p := strings.Replace(paid, `"tip":"0"`, `"z":"`+strings.Repeat("z", shift)+`","`+name+`":"1"`, 1)
			if got := splice.New([2]int{}).Sign([]byte(p)); got != want {
				t.Errorf("%s, moved by %d: sign %q, want %q", name, shift, got, want)
			}
		}
	}
}

// TestNoSign: what the gateway sends, and may come to send.
func TestNoSign(t *testing.T) {
	t.Parallel()
	payload := func(more string) string {
		return strings.Replace(paid, `"tip":"0"`, more, 1)
	}
	for name, p := range map[string]string{
		"paid":                    paid,
		"published":               published,
		"a short order id":        strings.Replace(paid, `"T1"`, `"1"`, 1),
		"a UUID":                  strings.Replace(paid, `"T1"`, `"0b4fb1a3-91f1-4b4e-8f0d-2a3c9d7e5f60"`, 1),
		"a UUID and a remark":     strings.Replace(payload(`"remarks":"two teas, no sugar"`), `"T1"`, `"0b4fb1a3-91f1-4b4e-8f0d-2a3c9d7e5f60"`, 1),
		"an order id of 64":       strings.Replace(paid, `"T1"`, `"`+strings.Repeat("0aB_-9zQ", 8)+`"`, 1),
		"a long channel's id":     strings.Replace(paid, "WX240102030405000001", "AA4843B-C2B2F2A1-0D6E-4C1B-9A2F-77D0B1E3C5A9", 1),
		"a new member":            payload(`"settlement_currency":"CAD"`),
		"a new member of a block": payload(`"transaction_code":"124"`),
		"a new nested member":     payload(`"payer":{"name":"x","ids":["a","b"],"n":[1,{}]}`),
		"a new free text":         payload(`"order_note":"thank you, see you soon"`),
		"a long remark":           payload(`"remarks":"` + strings.Repeat("-", 300) + `"`),
		"JSON in a remark":        payload(`"remarks":"{\"cart\":[1,2],\"order_id\":\"T2\",\"amount\":\"1\"}"`),
		"the order in a remark":   payload(`"remarks":"T1 WX240102030405000001 20240102110405"`),
		"escapes":                 payload(`"remarks":"\u8c22\u8c22 \/ \ud83c\udf75 \"x\""`),
		"everything null":         payload(`"tip":null,"remarks":null,"sale_num":null,"reference":null`),
		"a time of another shape": strings.Replace(paid, "20240102110405", "2024-01-02T11:04:05+08:00", 1),
		"numbers":                 payload(`"tip":0,"exchange_rate":5.24740000,"convenience_fee":1`),
		"spaced":                  strings.NewReplacer(",", " ,\n ", ":", " : ", "}", "\n}").Replace(paid),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := splice.New([2]int{}).Sign([]byte(p)); got != "" {
				t.Errorf("sign %q: %s", got, p)
			}
		})
	}
}

func TestOrderIDLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		min, max int
		order    string
		want     string
	}{
		{0, 0, "T1", ""},
		{36, 36, "0b4fb1a3-91f1-4b4e-8f0d-2a3c9d7e5f60", ""},
		{36, 36, "0b4fb1a3-91f1-4b4e-8", splice.Length},
		{1, 2, "T1", ""},
		{3, 12, "T1", splice.Length},
	} {
		p := strings.Replace(paid, `"T1"`, `"`+c.order+`"`, 1)
		if got := splice.New([2]int{c.min, c.max}).Sign([]byte(p)); got != c.want {
			t.Errorf("%d to %d, %q: sign %q, want %q", c.min, c.max, c.order, got, c.want)
		}
	}
}

// FuzzSign: the search ends, whatever strict JSON it gets, and leaves it as it is.
func FuzzSign(f *testing.F) {
	for _, c := range splices(f) {
		f.Add(c.payload)
	}
	f.Add([]byte(paid))
	key := mustKey(f, publishedKey)
	d := splice.New([2]int{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := key.Seal(payload); err != nil { // which reads it strictly
			return
		}
		kept := bytes.Clone(payload)
		if d.Sign(payload); !bytes.Equal(payload, kept) {
			t.Errorf("%q became %q", kept, payload)
		}
	})
}
