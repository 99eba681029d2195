package drift

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/tools/page"
)

// refuses says why a member does not admit a value, or "". It judges what the
// document's schemas use of JSON Schema; that it agrees with a full judge is
// tested with the fixtures of the generator.
func (m *member) refuses(v page.Value) string {
	if v.Kind == "null" {
		if m.nullable || m.types == nil {
			return ""
		}
		return "null is not admitted"
	}
	if m.types != nil && !m.admits(v) {
		return "a " + v.Kind + " where the document has " + strings.Join(m.types, " or ")
	}
	if v.Kind == "number" {
		f, err := strconv.ParseFloat(v.Text, 64)
		switch {
		case err != nil:
			return "not a number"
		case m.min != nil && f < *m.min:
			return "below " + spell(*m.min)
		case m.max != nil && f > *m.max:
			return "above " + spell(*m.max)
		}
	}
	if v.Kind == "object" && len(v.Members) < m.minProperties {
		return "an empty object"
	}
	if v.Kind != "string" {
		return ""
	}
	n := utf8.RuneCountInString(v.Text)
	switch {
	case len(m.enum) > 0 && !slices.Contains(m.enum, v.Text):
		return "not " + strings.Join(m.enum, " or ")
	case n < m.minLength:
		return "shorter than " + strconv.Itoa(m.minLength)
	case m.maxLength > 0 && n > m.maxLength:
		return "longer than " + strconv.Itoa(m.maxLength)
	case m.pattern != nil && !m.pattern.MatchString(v.Text):
		return "not of the pattern " + m.pattern.String()
	}
	return ""
}

func (m *member) admits(v page.Value) bool {
	if slices.Contains(m.types, v.Kind) {
		return true
	}
	if v.Kind != "number" || !slices.Contains(m.types, "integer") {
		return false
	}
	f, err := strconv.ParseFloat(v.Text, 64)
	return err == nil && f == math.Trunc(f)
}

func spell(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// valueOf reads strict JSON as a Value.
func valueOf(raw json.RawMessage) page.Value {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return page.Value{Kind: "null", Text: "null"}
	}
	switch v := v.(type) {
	case string:
		return page.Value{Kind: "string", Text: v}
	case json.Number:
		return page.Value{Kind: "number", Text: v.String()}
	case bool:
		return page.Value{Kind: "boolean", Text: strconv.FormatBool(v)}
	case nil:
		return page.Value{Kind: "null", Text: "null"}
	case []any:
		return page.Value{Kind: "array", Text: "[]"}
	}
	out := page.Value{Kind: "object"}
	for name := range v.(map[string]any) {
		out.Members = append(out.Members, page.Member{Name: name})
	}
	return out
}
