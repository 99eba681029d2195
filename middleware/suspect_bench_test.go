package middleware

import "testing"

func BenchmarkSuspect(b *testing.B) {
	p := []byte(`{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"TS00000001","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`)
	s := suspicion{orderID: usualOrderID([2]int{})}
	b.ReportAllocs()
	for b.Loop() {
		if s.of(p) != "" {
			b.Fatal("suspect")
		}
	}
}
