package splice_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/internal/splice"
	"github.com/ottpaykit/ottpay/wire"
)

// BenchmarkSign measures an ordinary payload beside the worst ones.
func BenchmarkSign(b *testing.B) {
	with := func(more string) string { return strings.Replace(paid, `"tip":"0"`, more, 1) }
	var random strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&random, "%08d ", i*2654435761%100000000)
	}
	members := make([]string, 0, 1800)
	for i := range cap(members) {
		members = append(members, fmt.Sprintf(`"member_%04d":"%04d"`, i, i))
	}
	for _, c := range []struct{ name, payload string }{
		{"ordinary", published},
		{"a long remark", with(`"remarks":"` + random.String() + `"`)},
		{"a long remark of one letter", with(`"remarks":"` + strings.Repeat("0", 47<<10) + `"`)},
		{"ids and remark of one letter", strings.NewReplacer(`"T1"`, `"`+strings.Repeat("0", 64)+`"`, "WX240102030405000001", strings.Repeat("0", 100), `"tip":"0"`, `"remarks":"`+strings.Repeat("0", 2000)+`","attach":"`+strings.Repeat("0", 2000)+`"`).Replace(paid)},
		{"many members", with(strings.Join(members, ","))},
		{"many empty members", with(strings.Join(members, ",") + `,"x":""`)},
		{"a long unknown name", with(`"` + strings.Repeat("order_status0123", 2000) + `":"1"`)},
	} {
		b.Run(c.name, func(b *testing.B) {
			d, m := splice.New([2]int{}), new(wire.Members)
			if err := wire.Parse([]byte(c.payload), m); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Sign(m)
			}
		})
	}
}
