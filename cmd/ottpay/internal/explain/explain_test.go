package explain_test

import (
	"flag"
	"strconv"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

// whole asks for the long forms of the tests, which take minutes under the race
// detector.
var whole = flag.Bool("whole", false, "every mistake in every message, 10 000 honest messages, 200 foreign keys")

const (
	merchant = "TS00000001"
	signKey  = "6698851A525C9433" // the vendor's published example
)

func newExplainer(t testing.TB) *explain.Explainer {
	t.Helper()
	x, err := explain.New(explain.Config{Keys: []explain.Key{
		{Merchant: merchant, From: "test", Text: func() string { return signKey }},
		{Merchant: "TS00000002", From: "test", Text: func() string { return "0123456789ABCDEF" }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestPlanted(t *testing.T) {
	t.Parallel()
	x := newExplainer(t)
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := honest()
			m.plant(&s)
			body := s.request("H5PAY", "2.0")
			if m.after != nil {
				body = m.after(body)
			}
			if e := x.Explain(body, explain.Options{}); e.Code != m.code {
				t.Errorf("%s %v (%s), want %s", e.Code, e.Codes, e.Why, m.code)
			}
		})
	}
}

// TestForeign explains messages under keys that no merchant has: none of the many
// derivations may seem to fit.
func TestForeign(t *testing.T) {
	t.Parallel()
	x := newExplainer(t)
	n := 30
	if *whole {
		n = 200
	}
	for i := range n {
		s := honest()
		s.key = md5Text(strconv.Itoa(i))[:16]
		s.members[0].text = strings.Repeat("A", 1+i%70)
		s.members[1].text = strconv.Itoa(i + 1)
		if i%3 == 0 {
			s.members = s.members[:1] // one or two blocks
		}
		if e := x.Explain(s.request("H5PAY", "2.0"), explain.Options{}); e.Code != "foreign-key" {
			t.Errorf("message %d: %s %v (%s), want foreign-key", i, e.Code, e.Codes, e.Why)
		}
	}
}
