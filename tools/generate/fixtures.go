package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// fixture is one object and whether its schema admits it. It is made from the
// schema's constraints. A JSON Schema validator must agree as it is made; that
// struct tags, the schema table and a round trip agree is checked by package
// validate's tests.
type fixture struct {
	Name  string `json:"name"`
	Valid bool   `json:"valid"`
	// Misfit is the member that makes the object invalid, if no decision rests
	// on it: the types read the object nevertheless, and name the member.
	Misfit string          `json:"misfit,omitempty"`
	JSON   json.RawMessage `json:"json"`
}

// pair is a member with its JSON value.
type pair struct{ name, value string }

func object(pairs []pair) json.RawMessage {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%s", text(p.name), p.value)
	}
	return json.RawMessage("{" + b.String() + "}")
}

// with returns a copy of pairs with one member set, or left out when value is
// empty.
func with(pairs []pair, name, value string) []pair {
	var out []pair
	found := false
	for _, p := range pairs {
		if p.name != name {
			out = append(out, p)
			continue
		}
		if found = true; value != "" {
			out = append(out, pair{name, value})
		}
	}
	if !found && value != "" {
		out = append(out, pair{name, value})
	}
	return out
}

func text(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(data)
}

// fixtures makes the fixtures of every schema, by path.
func fixtures(m *model) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, s := range m.Schemas {
		all, err := s.fixtures(m.Forbidden)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		for i, f := range all {
			line, err := json.Marshal(f)
			if err != nil {
				return nil, err
			}
			b.WriteString([]string{"[\n", ",\n"}[min(i, 1)])
			b.Write(line)
		}
		b.WriteString("\n]\n")
		files["gen/api/testdata/"+s.GoName+".json"] = b.Bytes()
	}
	return files, nil
}

func (s *schema) fixtures(forbidden []string) ([]fixture, error) {
	var full, least []pair
	for _, m := range s.Members {
		if m.Example == "" {
			continue
		}
		full = append(full, pair{m.Name, m.Example})
		if m.Required {
			least = append(least, pair{m.Name, m.Example})
		}
	}
	for _, group := range s.OneOf {
		least = with(least, group[0].Name, group[0].sample())
	}
	all := []fixture{
		{Name: "example", Valid: true, JSON: object(full)},
		{Name: "required members only", Valid: true, JSON: object(least)},
		{Name: "unknown member", Valid: true, JSON: object(with(full, "x_unknown_member", `"kept"`))},
	}
	for _, group := range s.OneOf {
		none := least
		for _, m := range group {
			none = with(none, m.Name, "")
		}
		all = append(all, fixture{Name: group[0].Name + ": neither it nor another one", JSON: object(none)})
	}
	for _, m := range s.Members {
		least := s.beside(m, least)
		for _, v := range m.values() {
			f := fixture{Name: m.Name + ": " + v.name, Valid: v.valid, JSON: object(with(least, m.Name, v.json))}
			if !f.Valid && !m.Decides {
				f.Misfit = m.Name
			}
			all = append(all, f)
		}
		if m.Required {
			all = append(all, fixture{Name: m.Name + ": absent", JSON: object(with(least, m.Name, ""))})
		}
	}
	if s.Request {
		for _, name := range forbidden {
			all = append(all, fixture{Name: name + ": card data", JSON: object(with(least, name, `"4111"`))})
		}
	}
	schema, err := newJudge(s.value)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", s.Name, err)
	}
	refused := 0
	for _, f := range all {
		if !f.Valid {
			refused++
		}
		if verdict := schema.verdict(f.JSON); (verdict == nil) != f.Valid {
			return nil, fmt.Errorf("schema %s: fixture %q should be valid=%v, JSON Schema says: %v", s.Name, f.Name, f.Valid, verdict)
		}
	}
	if refused < 3 {
		return nil, fmt.Errorf("schema %s: only %d fixtures are to be refused: it has no constraints", s.Name, refused)
	}
	return all, nil
}

// beside returns pairs to which any value of m can be added: if m is one of
// several members of which one must be there, with another of them.
func (s *schema) beside(m *member, pairs []pair) []pair {
	for _, group := range s.OneOf {
		for i, other := range group {
			if other == m {
				next := group[(i+1)%len(group)]
				return with(with(pairs, m.Name, ""), next.Name, next.sample())
			}
		}
	}
	return pairs
}

// sample is a value that the member admits, if the document shows none.
func (m *member) sample() string {
	if m.Example != "" {
		return m.Example
	}
	return `"x"`
}

// judge judges objects by a schema of the document, as JSON Schema 2020-12.
type judge struct{ schema *jsonschema.Schema }

// newJudge compiles a schema once: there are hundreds of fixtures for each.
func newJudge(s *openapi3.Schema) (judge, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return judge{}, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return judge{}, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	const url = "https://openapi.example/schema.json"
	if err := c.AddResource(url, doc); err != nil {
		return judge{}, err
	}
	compiled, err := c.Compile(url)
	return judge{compiled}, err
}

// verdict returns nil if the schema admits the object.
func (j judge) verdict(object []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(object))
	if err != nil {
		return err
	}
	return j.schema.Validate(v)
}

// value is a JSON value of a member and whether the member admits it.
type value struct {
	name, json string
	valid      bool
}

// values derives them from the member's constraints.
func (m *member) values() []value {
	if m.Kind == "raw" {
		return []value{{"any JSON", `[{"a":1}]`, true}}
	}
	out := []value{
		{"null", "null", m.Nullable},
		{"boolean", "true", false},
		{"object", "{}", false},
		{"object with a member", `{"a":"1"}`, m.Kind == "json"},
		{"array", "[]", false},
	}
	if m.Kind == "amount" || m.Kind == "rate" {
		return append(out, m.amounts()...)
	}
	out = append(out, value{"empty", `""`, !m.Required}, value{"number", "12", m.Number()})
	if m.MaxLength > 0 && m.Pattern == "" && len(m.Enum) == 0 {
		// Two bytes each: the bound counts characters.
		out = append(out, value{"longest", text(strings.Repeat("é", m.MaxLength)), true})
	}
	if m.MaxLength > 0 {
		out = append(out, value{"too long", text("https://a.example/" + strings.Repeat("a", m.MaxLength)), false})
	}
	for _, v := range m.Enum {
		out = append(out, value{"value " + v, text(v), true}, value{"value " + v + " with a blank", text(" " + v), false})
	}
	if len(m.Enum) > 0 {
		out = append(out, value{"another value", `"ANOTHER"`, false})
	}
	if m.Pattern != "" {
		for _, candidate := range candidates {
			if strings.Contains(candidate, "//") && !m.re.MatchString("https://shop.example/") && candidate != "//shop.example/" {
				continue // one URL is enough where none is admitted
			}
			valid := m.re.MatchString(candidate) && (m.MaxLength == 0 || len(candidate) <= m.MaxLength) && len(candidate) >= m.MinLength
			out = append(out, value{"text " + candidate, text(candidate), valid})
		}
	}
	return out
}

func (m *member) amounts() []value {
	number := m.Number()
	digits := m.MaxLength
	return []value{
		{"empty", `""`, number && !m.Required},
		{"one", `"1"`, true},
		{"zero", `"0"`, number && !m.Required},
		{"most digits", text(strings.Repeat("9", digits)), true},
		{"too many digits", text(strings.Repeat("9", digits+1)), false},
		{"leading zero", `"01"`, number},
		{"decimals", `"10.00"`, false},
		{"negative", `"-1"`, false},
		{"blank before", `" 1"`, false},
		{"other digits", `"٣"`, false},
		{"number", "1", number},
		{"number with zero decimals", "1.0", number},
		{"number with an exponent", "1e2", number},
		{"number zero", "0", number && !m.Required},
		{"fraction", "1.5", false},
		{"negative number", "-1", false},
		{"number too large", "1000000000000000", false},
	}
}

// candidates are tried against every pattern.
var candidates = []string{
	"a", "A1", "a_b-c", "a b", "é", "CAD", "cad", "100", "0", "20200416050429", "2020-04-16 05:04:29", strings.Repeat("Z", 20), strings.Repeat("Z", 21),
	strings.Repeat("z", 64), strings.Repeat("z", 65), "a\n", "shop.example", "http://shop.example/", "https://shop.example", "https://shop.example:8443/a?b=c#d",
	"https://", "https:///a", "https://shop.example/a b", "https://user@shop.example/", "http://localhost", "http://localhost:8080/a", "http://localhost.example/",
	"http://127.0.0.1:80/a", "http://127.0.0.1.example/", "http://[::1]:8080/", "http://[::2]/", "ftp://shop.example/", "HTTPS://shop.example/", "javascript:alert(1)", "//shop.example/",
}
