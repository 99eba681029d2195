package drift

import (
	"slices"
	"testing"

	"github.com/ottpaykit/ottpay/tools/page"
)

// FuzzDiff reads any bytes as a page. The laws: it returns; it says the same
// twice; and every kind of finding is one of the documented list.
func FuzzDiff(f *testing.F) {
	d := document(f)
	for _, name := range []string{"mini-program-payment", "h5-payment"} {
		f.Add([]byte(seed(f, name)))
	}
	for _, s := range []string{"", "<html><body>502</body></html>", `{"error":"not found"}`, "| a |\n|---|\n| b", "\xff\xfe|\x00", "<table><tr><td rowspan=99999999>a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			t.Skip("a page is smaller")
		}
		read := func() []Finding {
			return d.Diff([]*page.Page{d.Read("page.md", "", text)}, Options{})
		}
		first := read()
		if again := read(); !slices.Equal(say(first), say(again)) {
			t.Errorf("first\n%q\nthen\n%q", say(first), say(again))
		}
		for _, finding := range first {
			if !slices.Contains(Kinds(), finding.Kind) {
				t.Errorf("the kind %q is not documented", finding.Kind)
			}
		}
	})
}
