package splice_test

import (
	"testing"

	"github.com/ottpaykit/ottpay/internal/splice"
)

func BenchmarkSign(b *testing.B) {
	p := []byte(`{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"TS00000001","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`)
	d := splice.New([2]int{})
	b.ReportAllocs()
	for b.Loop() {
		if d.Sign(p) != "" {
			b.Fatal("a sign")
		}
	}
}
