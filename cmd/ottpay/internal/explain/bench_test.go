package explain_test

import (
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

func BenchmarkExplain(b *testing.B) {
	x := newExplainer(b)
	for _, m := range append(mistakes(), planted{name: "honest", plant: func(*sender) {}}) {
		switch m.name {
		case "honest", "removed", "unknown rule", "foreign", "wechat":
		default:
			continue
		}
		s := honest()
		m.plant(&s)
		body := s.request("H5PAY", "2.0")
		b.Run(m.name, func(b *testing.B) {
			for b.Loop() {
				x.Explain(body, explain.Options{})
			}
		})
	}
}
