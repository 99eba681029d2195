//go:build !race

package envelope_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

// TestAllocations gates what the benchmarks show.
func TestAllocations(t *testing.T) {
	key, sealed := sealSeed(t)
	forged, plaintext := sealed, []byte(seedPayload)
	forged.MD5 = strings.Repeat("0", 32)
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: "QC00005496", Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		most float64
		fn   func()
	}{
		// The AES key, and of a message that opens the plaintext and its members.
		{"Open", 3, func() { key.Open(sealed) }},
		{"Open of a forgery", 1, func() { key.Open(forged) }},
		// The AES key, the digest and the data.
		{"Seal", 3, func() { key.Seal(plaintext) }},
		{"ReadResponse", 1, func() { envelope.ReadResponse(body) }},
		{"ReadResponse of what is no envelope", 0, func() { envelope.ReadResponse(body[1:]) }},
	} {
		if got := testing.AllocsPerRun(200, c.fn); got > c.most {
			t.Errorf("%s: %.1f allocations, want at most %.0f", c.name, got, c.most)
		}
	}
}
