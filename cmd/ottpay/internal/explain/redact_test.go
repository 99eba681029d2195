package explain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

// TestRedact explains broken messages that hold recognisable values: with
// Redact none of them is shown, and a plaintext that no given key has decrypted
// is never shown. With -whole that is every planted mistake, and else a sample.
func TestRedact(t *testing.T) {
	t.Parallel()
	known := newExplainer(t)
	stranger, err := explain.New(explain.Config{Keys: []explain.Key{{From: "test", Text: func() string { return "00000000FFFFFFFF" }}}})
	if err != nil {
		t.Fatal(err)
	}
	const canary = "CANARY"
	n := 0
	for i, m := range allMistakes() {
		if !*whole && i%6 != 0 {
			continue
		}
		msg := message{"canary", explain.KindRequest, "H5PAY", "2.0", []member{
			str("order_id", canary+"1"), str("amount", "1999"), str("biz_type", canary+"2"), str("operator_id", canary+"3"), str("currency_type", "CAD"),
			str("submit_type", "form"), str("call_back_url", "https://"+canary+".example/?a=b&c"), raw("x", "12345678"), raw("y", "null"),
		}}
		body, ok := m.made(msg)
		if !ok {
			continue
		}
		n++
		against := []byte(`{"order_id":"` + canary + `9"}`)
		for name, e := range map[string]*explain.Explanation{
			"redacted":    known.Explain(body, explain.Options{Redact: true, Against: against}),
			"another key": stranger.Explain(body, explain.Options{}),
		} {
			if name == "another key" && strings.HasPrefix(string(e.Code), "transport-curl") {
				continue
			}
			shown, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := e.WriteText(&text, nil); err != nil {
				t.Fatal(err)
			}
			if all := strings.ToUpper(string(shown) + text.String()); strings.Contains(all, canary) || strings.Contains(all, "12345678") {
				t.Errorf("%s, %s: a value is shown:\n%s", m.name, name, text.String())
			}
		}
	}
	if n < 25 || *whole && n < 150 {
		t.Errorf("%d mistakes; want many", n)
	}
}
