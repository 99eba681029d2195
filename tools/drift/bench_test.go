package drift

import "testing"

func BenchmarkDiff(b *testing.B) {
	d := document(b)
	text := miniProgram().clone()
	page := styles["gitbook"].write(text)
	for b.Loop() {
		diff(d, page)
	}
}
