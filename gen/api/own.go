package api

import (
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/ottpaykit/ottpay/wire"
)

// Fields says where a value has its fields. It is for types outside this
// package, which tools/generate makes from an overlay of the document: they do
// with JSON and logs what the types of this package do.
type Fields struct {
	// Slot returns a pointer to the field of member i of the schema: a *string,
	// *field.Cents, **field.Cents or *json.RawMessage. Required.
	Slot func(i int) any
	// Rest points to the additional members. Required.
	Rest *map[string]json.RawMessage
	// Spelling returns a pointer to the name under which member i is sent. Only
	// for schemas with a member that says Respell.
	Spelling func(i int) *string
}

func (f Fields) slot(i int) any                    { return f.Slot(i) }
func (f Fields) rest() *map[string]json.RawMessage { return f.Rest }
func (f Fields) spelling(i int) *string            { return f.Spelling(i) }

// NewSchema returns a schema of a type outside this package, ready for use. It
// must have fewer than 256 names of members, aliases included.
func NewSchema(s Schema) *Schema {
	for i := range s.Members {
		m := &s.Members[i]
		if m.Pattern != "" {
			m.pattern = new(lazyPattern)
		}
		s.keys = append(s.keys, key{m.Name, uint8(i), 0})
		for j, alias := range m.Aliases {
			s.keys = append(s.keys, key{alias, uint8(i), uint8(j + 1)})
		}
	}
	slices.SortStableFunc(s.keys, func(a, b key) int { return len(a.name) - len(b.name) })
	for i, k := range s.keys {
		for len(s.byLength) <= len(k.name) {
			s.byLength = append(s.byLength, uint8(i))
		}
	}
	s.byLength = append(s.byLength, uint8(len(s.keys)))
	return &s
}

// Decode reads the members of m into the fields, all of which must be zero. It
// does not keep m.
func (s *Schema) Decode(m *wire.Members, f Fields) error { return decode(s, m, f) }

// Encode writes the fields that are set, as strings.
func (s *Schema) Encode(f Fields) ([]byte, error) { return encode(s, f) }

// LogValue returns the fields that are set, without the values that may not be
// shown.
func (s *Schema) LogValue(f Fields) slog.Value { return logValue(s, f) }

// Text returns what LogValue shows, in one line.
func (s *Schema) Text(f Fields) string { return text(s, f) }

// Misfits returns the names of the members among rest that are the schema's: of
// an answer or a notification, they do not fit, and no decision rests on them.
func (s *Schema) Misfits(rest map[string]json.RawMessage) []string { return misfits(s, rest) }

// LookupRequest returns the schema of the action's request: its own, or the one
// that the document has under the name.
func (a ActionInfo) LookupRequest() (*Schema, bool) {
	if a.RequestSchema != nil {
		return a.RequestSchema, true
	}
	return LookupSchema(a.Request)
}
