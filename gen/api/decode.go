package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/wire"
)

// object is a pointer to a value of a generated type. What the types do with
// JSON and logs is the same for all of them and does not stand in generated
// code; a type only says where its fields are.
type object interface {
	// slot returns a pointer to the field of member i of the type's schema: a
	// *string, *field.Cents, **field.Cents or *json.RawMessage.
	slot(i int) any
	// rest returns a pointer to AdditionalProperties.
	rest() *map[string]json.RawMessage
}

// respelled is an object with a member that may be sent under an alias.
type respelled interface {
	// spelling returns a pointer to the name under which member i is sent.
	spelling(i int) *string
}

// key is a name under which a member is read: its own or an alias.
type key struct {
	name   string
	member uint8 // its place in Schema.Members
	alias  uint8 // its place in Member.Aliases, plus one; 0: the member's own name
}

// lookup returns the key of this name. Few names have the same length, so that a
// search costs less than a hash.
func (s *Schema) lookup(name []byte) (key, bool) {
	if s.keys == nil { // a schema that was written by hand
		return s.search(string(name))
	}
	if len(name)+1 >= len(s.byLength) {
		return key{}, false
	}
	for i := s.byLength[len(name)]; i < s.byLength[len(name)+1]; i++ {
		if s.keys[i].name == string(name) {
			return s.keys[i], true
		}
	}
	return key{}, false
}

func (s *Schema) search(name string) (key, bool) {
	for i, m := range s.Members {
		if alias := slices.Index(m.Aliases, name); m.Name == name || alias >= 0 {
			return key{name, uint8(i), uint8(alias + 1)}, true
		}
	}
	return key{}, false
}

func (s *Schema) knows(name string) bool {
	_, ok := s.lookup([]byte(name))
	return ok
}

// lenient reports whether a value that does not fit the member stops nothing.
func (s *Schema) lenient(k key) bool { return !s.Request && !s.Members[k.member].Decides }

// misfits returns the names of the known members in rest, in the schema's
// order: decode puts those there that do not fit.
func misfits(s *Schema, rest map[string]json.RawMessage) []string {
	if len(rest) == 0 {
		return nil
	}
	var names []string
	for _, m := range s.Members {
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			if _, ok := rest[name]; ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// The reasons for which a value does not fit a member.
var (
	errNotString = errors.New("not a string")
	errNotText   = errors.New("not a string or a number")
	errNotJSON   = errors.New("neither a string nor an object with members")
	errRule      = errors.New("breaks a rule of the schema")
)

// unmarshal reads one strict JSON object and replaces all of v.
func unmarshal[T any, P interface {
	*T
	object
}](s *Schema, data []byte, v *T) error {
	var m wire.Members
	if err := wire.Parse(data, &m); err != nil {
		return fmt.Errorf("api: %s: %w", s.Name, err)
	}
	return unmarshalMembers[T, P](s, &m, v)
}

// unmarshalMembers replaces all of v. If there is an error, v is as it was.
func unmarshalMembers[T any, P interface {
	*T
	object
}](s *Schema, m *wire.Members, v *T) error {
	old := *v
	*v = *new(T)
	err := decode(s, m, P(v))
	if err != nil {
		*v = old
	}
	return err
}

// decode reads the members of m into v, which must be zero.
func decode(s *Schema, m *wire.Members, v object) error {
	if m.Len() == 0 {
		return nil
	}
	d := decoder{schema: s, text: string(m.JSON())}
	unknown := false
	for i := range m.Len() {
		k, ok := s.lookup(m.Name(i))
		if !ok {
			unknown = true
			d.keep(v, m, i)
			continue
		}
		if k.alias > 0 && d.preferred(m, k) {
			continue
		}
		err := d.member(v, m, k, i)
		switch {
		case err == nil:
		case s.lenient(k):
			d.keep(v, m, i)
		default:
			return fmt.Errorf("api: %s: %s: %w", s.Name, k.name, err)
		}
	}
	if unknown && m.Twins(func(name string) bool { return !s.knows(name) }) {
		return fmt.Errorf("api: %s: %w", s.Name, wire.ErrTwins)
	}
	return nil
}

// decoder reads the members of one object. It does not hold the Members: they
// would move to the heap with the strings that are read.
type decoder struct {
	schema *Schema
	text   string // the whole object; the strings that are read share it
}

// raw returns the value of member i of the object as it is written.
func (d *decoder) raw(m *wire.Members, i int) string {
	at := m.Span(i)
	return d.text[at.At:at.End]
}

// keep puts member i of the object into AdditionalProperties.
func (d *decoder) keep(v object, m *wire.Members, i int) {
	rest := v.rest()
	if *rest == nil {
		*rest = make(map[string]json.RawMessage)
	}
	(*rest)[string(m.Name(i))] = json.RawMessage(d.raw(m, i))
}

// preferred reports whether the object has the member under a name that is
// preferred to k's, and with a value.
func (d *decoder) preferred(m *wire.Members, k key) bool {
	for i := range d.schema.keys {
		other := &d.schema.keys[i]
		if other.member != k.member || other.alias >= k.alias {
			continue
		}
		if at := m.Find(other.name); at >= 0 && !absent(d.raw(m, at)) {
			return true
		}
	}
	return false
}

// absent reports whether a value stands for none. The vendor writes an empty
// text where a member has no value.
func absent(raw string) bool { return raw == "null" || raw == `""` }

// member reads member i of the object, which k names, into its field.
func (d *decoder) member(v object, m *wire.Members, k key, i int) error {
	raw, about := d.raw(m, i), &d.schema.Members[k.member]
	if about.Kind != MemberRaw && !d.schema.Request && absent(raw) {
		return nil
	}
	switch p := v.slot(int(k.member)).(type) {
	case *string:
		return d.string(v, m, k, i, p)
	case *field.Cents:
		if d.schema.Request {
			return p.UnmarshalDigits(m.Value(i))
		}
		return p.UnmarshalJSON(m.Value(i))
	case **field.Cents:
		c := new(field.Cents)
		if err := c.UnmarshalJSON(m.Value(i)); err != nil {
			return err
		}
		*p = c
	case *json.RawMessage:
		*p = json.RawMessage(raw)
	}
	return nil
}

func (d *decoder) string(v object, m *wire.Members, k key, i int, p *string) error {
	about := &d.schema.Members[k.member]
	text, ok := m.TextIn(d.text, i)
	if !ok {
		text = d.raw(m, i)
		if err := about.admits(text); err != nil {
			return err
		}
	}
	switch {
	case text == "":
		return nil
	case ok && d.schema.lenient(k) && about.CheckText(text) != "":
		return errRule
	}
	*p = text
	if about.Respell && k.alias > 0 {
		*v.(respelled).spelling(int(k.member)) = k.name
	}
	return nil
}
