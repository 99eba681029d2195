package envelope_test

import (
	"errors"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

const (
	publishedKey = "6698851A525C9433" // OTT Pay's published example
	seedPayload  = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`
)

func sealSeed(tb testing.TB) (envelope.Key, envelope.Sealed) {
	tb.Helper()
	key := mustKey(tb, publishedKey)
	sealed, err := key.Seal([]byte(seedPayload))
	if err != nil {
		tb.Fatal(err)
	}
	return key, sealed
}

func BenchmarkOpen(b *testing.B) {
	key, sealed := sealSeed(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Open(sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenForged(b *testing.B) {
	key, sealed := sealSeed(b)
	forged := []byte(sealed.Data)
	forged[len(forged)/2] ^= 1 // another letter of the alphabet
	sealed.Data = string(forged)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Open(sealed); !errors.Is(err, envelope.ErrUnauthentic) {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	key := mustKey(b, publishedKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Seal([]byte(seedPayload)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadResponse(b *testing.B) {
	_, sealed := sealSeed(b)
	body := []byte(`{"rsp_code":"SUCCESS","rsp_msg":"success","merchant_id":"QC00005496","data":"` + sealed.Data + `","md5":"` + sealed.MD5 + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.ReadResponse(body); err != nil {
			b.Fatal(err)
		}
	}
}
