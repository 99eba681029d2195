package splice_test

import (
	"bytes"
	"slices"
	"strings"

	"testing"

	"github.com/ottpaykit/ottpay/internal/splice"
	"github.com/ottpaykit/ottpay/internal/vectors"
	"github.com/ottpaykit/ottpay/wire"
)

// sign is the sign of a payload as it is written.
func sign(d *splice.Detector, payload []byte) string {
	var m wire.Members
	if wire.Parse(payload, &m) != nil {
		return "" // it would not have opened
	}
	return d.Sign(&m)
}

// spliced is the payload that s opens to.
func spliced(tb testing.TB, s vectors.Splice) []byte {
	tb.Helper()
	key := mustKey(tb, publishedKey)
	sealed, err := key.Seal([]byte(s.Payload))
	if err != nil {
		tb.Fatal(err)
	}
	sealed.Data = vectors.Arrange(tb, sealed.Data, s.Order...)
	opened, err := key.Open(sealed)
	if err != nil {
		tb.Fatal(err)
	}
	return opened.JSON
}

// TestSign: splices that fit every rule of the schema show a sign.
func TestSign(t *testing.T) {
	t.Parallel()
	for _, s := range vectors.Splices() {
		payload := spliced(t, s)
		if got := sign(splice.New([2]int{}), payload); got != s.Sign || !strings.Contains(string(payload), s.Says) {
			t.Errorf("%s: sign %q, want %q, of %s", s.Name, got, s.Sign, payload)
		}
	}
}

// TestSignEmpties: a run that is left out takes members with it that the writer
// sent as "", so that nothing can be said of how long it was. Found by the search.
func TestSignEmpties(t *testing.T) {
	t.Parallel()
	for _, s := range []vectors.Splice{
		{
			Name:    "a status that takes the reference",
			Payload: "{\n    \"amount\": \"1355\",\n    \"bizpay_order_id\": \"WX202104080816077440\",\n    \"convenience_fee\": \"0\",\n    \"exchange_rate\": \"\",\n    \"finish_time\": \"2025-04-22 20:52:58\",\n    \"merchant_id\": \"TS00000001\",\n    \"order_id\": \"2021031041286O523O4816\",\n    \"order_status\": \"authorized\",\n    \"prepay_order_id\": \"\",\n    \"reference\": \"lXMvR4L\",\n    \"sub_openId\": \"\"\n}",
			Order:   slices.Concat(vectors.UpTo(16), []int{20, 21, 22}),
			Sign:    splice.Length, Says: `"authorizedlXMvR4L"`,
		},
		{
			Name:    "a channel's id that takes an unknown member",
			Payload: `{"amount":"5197","bizpay_order_id":"2020022774183201478024975109","convenience_fee":"","email":"{\"cart\":[1,2],\"note\":\"x\"}PrUC","exchange_rate":"","finish_time":"20200202000013","merchant_id":"TS00000001","order_id":"2026120202488O841O9289","order_status":"AUTHORISED","prepay_order_id":"","reference":"BdZvfuJaTnfxjPnF","remarks":"","sub_openId":"","tip":""}`,
			Order:   slices.Concat(vectors.UpTo(3), vectors.UpTo(22)[6:]),
			Sign:    splice.Length, Says: `109{\"cart`,
		},
		{
			Name:    "an order that takes the number of the sale",
			Payload: `{"amount":528,"bizpay_order_id":"AL346746910555312","convenience_fee":"","exchange_rate":"5.10000000","finish_time":"20201115204331","merchant_id":"TS00000001","order_id":"F6732WNRLGBKG9SUFH6D","prepay_order_id":"","remarks":"","sale_num":"6789348913039015107","sub_openId":"oRsyOEouFspeVSsbdGHQWEcwaxt1","tip":"0"}`,
			Order:   slices.Concat(vectors.UpTo(11), vectors.UpTo(19)[15:]),
			Sign:    splice.Length, Says: `"F6732WNRLGBKG9SUFH6D6789348913039015107"`,
		},
		{
			Name:    "a merchant behind the name of an operator",
			Payload: `{"exchange_rate":"","convenience_fee":"","operator_id":"0000020156","amount":"2500","finish_time":"20231120164217","remarks":"","reference":"","sale_num":"37395849806496622","bizpay_order_id":"2023072726936419489108705080","merchant_id":"TS00000001","email":"\\\",\"order_id\":\"19RiB3RSHR7vOZ","prepay_order_id":"KJdwtACLBqEUOgiGLSgs","order_id":"web_3750318705","tip":"100"}`,
			Order:   []int{0, 1, 2, 14, 15, 16, 17, 18, 19, 20, 8, 9, 10, 11, 12, 13, 3, 4, 5, 6, 7, 21, 22, 23},
			Sign:    splice.Name, Says: `"operatmerchant_id":"TS00000001"`,
		},
	} {
		payload := spliced(t, s)
		if got := sign(splice.New([2]int{}), payload); got != s.Sign || !strings.Contains(string(payload), s.Says) {
			t.Errorf("%s: sign %q, want %q, of %s", s.Name, got, s.Sign, payload)
		}
		if got := sign(splice.New([2]int{}), []byte(s.Payload)); got != "" {
			t.Errorf("%s: the honest payload has sign %q", s.Name, got)
		}
	}
}

// TestSignStyle: blocks of two spellings of one message, found by the search.
func TestSignStyle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ payload, want string }{
		{"{\"amount\":\"1\",\"biz_type\":\"WECHATPAY\",\"bizpay_order_id\":\"WX987327708284507662\",\"finish_time\":\"2022-06-23 08:16:16TS00000001\",\n\t\"order_id\": \"KGM3Q77U6O491W5SAFHA\",\n\t\"order_status\": \"captured\",\n\t\"reference\": \"mInGLdF3\",\n\t\"sub_openId\": \"2088915290323327\",\n\t\"tip\": \"1500\"\n}", splice.Style},
		{"{\n    \"merchant_msg\":\"TS00000001\",\n    \"finish_time\": \"20220709053840\",\n    \"bizpay_order_id\": \"AL172461511428951\",\n    \"sub_openId\": \"o44dU_YK9RQusnzs7znesckOueuR\",\n    \"amount\": \"1\",\n    \"order_id\": \"9447668192583706\",\n    \"attach_msg\": \"TS00000001\"\n}", splice.Style},
		{strings.Replace(published, ",", ", ", 1), ""}, // written by hand: odd, and nothing else is
		{strings.ReplaceAll(strings.Replace(published, `"tip"`, `"biz_type":"WECHATPAY","tip"`, 1), ",", ",\n  "), ""},
	} {
		if got := sign(splice.New([2]int{}), []byte(c.payload)); got != c.want {
			t.Errorf("sign %q, want %q, of %s", got, c.want, c.payload)
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
			if got := sign(splice.New([2]int{}), []byte(p)); got != want {
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
			if got := sign(splice.New([2]int{}), []byte(p)); got != "" {
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
		if got := sign(splice.New([2]int{c.min, c.max}), []byte(p)); got != c.want {
			t.Errorf("%d to %d, %q: sign %q, want %q", c.min, c.max, c.order, got, c.want)
		}
	}
}

// FuzzSign: the search ends, whatever strict JSON it gets, and leaves it as it is.
func FuzzSign(f *testing.F) {
	for _, s := range vectors.Splices() {
		f.Add(spliced(f, s))
	}
	f.Add([]byte(paid))
	key := mustKey(f, publishedKey)
	d := splice.New([2]int{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := key.Seal(payload); err != nil { // which reads it strictly
			return
		}
		kept := bytes.Clone(payload)
		if sign(d, payload); !bytes.Equal(payload, kept) {
			t.Errorf("%q became %q", kept, payload)
		}
	})
}
