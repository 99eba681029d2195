package explain_test

import (
	"slices"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

// TestTwoMistakes plants two mistakes of different steps: the first is named.
func TestTwoMistakes(t *testing.T) {
	t.Parallel()
	x := newExplainer(t)
	pick := func(all []mistake, names ...string) []mistake {
		var out []mistake
		for _, name := range names {
			i := slices.IndexFunc(all, func(m mistake) bool { return m.name == name })
			if i < 0 {
				t.Fatalf("there is no mistake %q", name)
			}
			out = append(out, all[i])
		}
		return out
	}
	// In the order of the steps; what happens to the body is done last.
	steps := [][]mistake{
		pick(transportMistakes(), "UTF-8 byte order mark", "form with one field of JSON", "Base64 of the body", "JSON in a string", "gzip", "percent-encoded", "escaped for HTML"),
		pick(jsonMistakes(), "an object behind", "md5 as a UUID", "an array"),
		pick(base64Mistakes(), "URL-safe letters", "hexadecimal", "Base64 twice"),
		pick(keyMistakes(), "first 16", "key first", "lower-case hash", "bytes of the hash", "the sign key itself", "separator &key=", "line feed", "CBC with zeros", "AES-256 with all 32", "CTR with zeros"),
		pick(paddingMistakes(), "zeros", "blanks"),
		pick(digestMistakes(), "document order", "k=v&k=v", "separator \"&\"", "without operator_id", "the key behind", "UTF-16"),
		pick(kindMistakes(), "no amount in a request", "a wallet that is none"),
	}
	n := 0
	for i, first := range steps {
		for _, a := range first {
			for _, second := range steps[i+1:] {
				for _, b := range second {
					msg := messages()[0]
					s := msg.sender()
					for _, m := range []mistake{b, a} {
						if m.plant != nil {
							m.plant(&s)
						}
					}
					if a.name == "CTR with zeros" && slices.Contains([]string{"zeros", "blanks"}, b.name) {
						continue // a stream has no padding
					}
					body := msg.body(s)
					for _, m := range []mistake{b, a} {
						if m.way != nil {
							body = m.way(body)
						}
					}
					n++
					e := x.Explain(body, explain.Options{})
					if e.Code != a.code {
						t.Errorf("%s, then %s: %s %v (%s), want %s", a.name, b.name, e.Code, e.Codes, e.Why, a.code)
						continue
					}
					found := slices.ContainsFunc(e.Further, func(f explain.Mistake) bool { return slices.Contains(f.Codes, b.code) })
					if !found && i > 1 {
						t.Logf("%s, then %s: the second is not named: %v", a.name, b.name, e.Further)
					}
				}
			}
		}
	}
	t.Logf("%d pairs", n)
}
