package explain_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

// FuzzExplain checks what holds for every input: it ends in time, says
// something that is in the list, shows no key, and calls nothing broken that
// the kit opens.
func FuzzExplain(f *testing.F) {
	for i, m := range allMistakes() {
		if body, ok := m.made(messages()[i%len(messages())]); ok && len(body) < 4096 {
			f.Add(body)
		}
	}
	x := newExplainer(f)
	var known []explain.Code
	for _, c := range explain.Codes() {
		known = append(known, c.Code)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		start := time.Now()
		e := x.Explain(body, explain.Options{Against: body})
		if took := time.Since(start); took > 5*time.Second { // a loaded machine; BenchmarkExplain has the figure
			t.Errorf("took %v", took)
		}
		if e.OK != (e.Code == "") || e.OK != (len(e.Codes) == 0) {
			t.Fatalf("ok %t, code %q, codes %v", e.OK, e.Code, e.Codes)
		}
		if !e.OK && (e.Codes[0] != e.Code || e.Why == "") {
			t.Errorf("code %q, codes %v, why %q", e.Code, e.Codes, e.Why)
		}
		for _, c := range e.Codes {
			if !slices.Contains(known, c) {
				t.Errorf("the code %q is not in the list", c)
			}
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := e.WriteText(&b, nil); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToUpper(string(text)+b.String()), signKey) {
			t.Errorf("the sign key is shown: %s", b.String())
		}
		if opens(body) && slices.Contains([]explain.Step{explain.StepBase64, explain.StepLength, explain.StepKey, explain.StepPadding, explain.StepPlaintext}, stepOf(e)) {
			t.Errorf("the kit opens it, and it is said to be broken: %s (%s)", e.Code, e.Why)
		}
	})
}

func stepOf(e *explain.Explanation) explain.Step {
	for _, s := range e.Steps {
		if !s.OK {
			return s.Step
		}
	}
	return ""
}
