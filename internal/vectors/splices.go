package vectors

import (
	"encoding/base64"
	"testing"
)

const cipherBlock = 16

// Splice is a payload whose cipher blocks can be arranged anew, without the sign
// key, so that the envelope opens under the digest of the honest message, fits
// every rule of the schema and says something that the gateway never said.
type Splice struct {
	Name    string
	Payload string
	Order   []int // of the blocks; the last one holds the padding
	Sign    string
	Says    string // what the payload says then
}

// Splices returns one of each kind.
func Splices() []Splice {
	return []Splice{
		{
			"an authorisation turned into a payment",
			`{"amount":"1","tip":"0","order_status":"authorised","order_id":"T20240102030405001","finish_time":"20240102160501","bizpay_order_id":"4200012345678901234567890123"}`,
			Inserted(10, 9, 2),
			"name", `"order_s6789012345678901tatus":"authorised"`,
		},
		{
			"an amount that takes a digit of the remark",
			`{"tip":"0","merchant_id":"TS00000001","biz_type":"WECHATPAY","bizpay_order_id":"2024081792417905977055165374","finish_time":"2024-03-22 01:18:08","amount":"1005","prepay_order_id":"Mg5e1iVgBK2CG1bFFtCU","remarks":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","attach":"9999999999999999999999999999999999999999999999999","order_id":"EDRG5E70QV49BLGWY09D"}`,
			Moved(22, 9, 20),
			"reading", `"amount":"10059"`,
		},
		{
			"a time that gives a block to the channel's id",
			`{"amount":"100463","order_status":"captured","order_id":"2022101007561O815O6754","finish_time":"2024-05-08 04:59:48 CST","bizpay_order_id":"WX202301281437446310"}`,
			Moved(10, 6, 10),
			"length", `"finish_time":":48 CST"`,
		},
		{
			"a status that takes the payer's id",
			`{"amount":"199978","biz_type":"WECHATPAY","bizpay_order_id":"4200059418510619782287975600","convenience_fee":"0","finish_time":"2025-02-13 16:07:45 CST","merchant_id":"TS00000001","order_id":"T354E1FJJJ26HU5DGGRT","order_status":"authorised","sub_openId":"oQsvINB3V3g4qkxgEXkHB0Kext8O","tip":"0"}`,
			Without(18, 15),
			"length", `"order_status":"authorisedoQsvINB3V3g4qkxgEXkHB0Kext8O"`,
		},
		{
			"a merchant whose name is gone",
			`{"order_id":"2023100718378O394O0799","amount":"554","bizpay_order_id":"AL487318155811118","sub_openId":"oUU14d6IjlugecEMKWlE0xuh72Ye","order_status":"AUTHORISED","tip":"100","remarks":"00000000000000000000000000","merchant_id":"TS00000001","finish_time":"2021-02-20 21:59:28 CST","attach_info":"","operator_id":"0000020156"}`,
			Inserted(20, 18, 14),
			"block", `"merchant_iinfo":"","operatd":"TS00000001"`,
		},
		{
			"a status and a merchant whose names are cut apart",
			`{"order_id":"2020070640266O214O1572","Tip":"250","amount":"100743","finish_time":"2024-07-09 02:22:05 CST","order_status":"success","operator_id":"0000020156","merchant_id":"TS00000001","bizpay_order_id":"2026010698038671971407731114","sale_num":"6653228657","remarks":"happy birthday"}`,
			Moved(17, 9, 7),
			"name", `"orde":"0000020156","r_status":"success","operator_idmerchant_id":"TS00000001"`,
		},
		{
			"a merchant under a payer's id",
			"{\n    \"currency\" : \"CAD\",\n    \"transaction_currency_code\" : \"124\",\n    \"amount\" : \"25004\",\n    \"tip\" : \"0\",\n    \"order_id\" : \"web_16395555\",\n    \"sub_openId\" : \"oTzRN95ogVV6lgv6SeLktnMs4-4p\",\n    \"bizpay_order_id\" : \"WX202312011346346851\",\n    \"merchant_id\" : \"TS00000001\",\n    \"remarks\" : \"3721027804658631699810726577789948423476701098380144705748090006\",\n    \"finish_time\" : \"2020-02-26 02:32:38 CST\",\n    \"order_status\" : \"captured\"\n}",
			append(append(UpTo(14), 10), UpTo(27)[16:]...),
			"name", `"oTzRN95ogVV6lgv" : "TS00000001"`,
		},
	}
}

// Arrange arranges the cipher blocks of an envelope's data anew.
func Arrange(tb testing.TB, data string, order ...int) string {
	tb.Helper()
	ciphertext, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		tb.Fatal(err)
	}
	arranged := make([]byte, 0, len(order)*cipherBlock)
	for _, b := range order {
		arranged = append(arranged, ciphertext[b*cipherBlock:(b+1)*cipherBlock]...)
	}
	return base64.StdEncoding.EncodeToString(arranged)
}

// UpTo is the honest order of the blocks 0 to last.
func UpTo(last int) []int {
	all := make([]int, last+1)
	for b := range all {
		all[b] = b
	}
	return all
}

// Without is the honest order without one block.
func Without(last, block int) []int {
	return append(UpTo(block-1), UpTo(last)[block+1:]...)
}

// Inserted is the honest order with one block doubled in front of another.
func Inserted(last, block, before int) []int {
	return append(append(UpTo(before-1), block), UpTo(last)[before:]...)
}

// Moved is the honest order with one block moved in front of another.
func Moved(last, block, before int) []int {
	order := make([]int, 0, last+1)
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
