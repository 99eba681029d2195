package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/wire"
)

// encode writes the members that are set, as strings.
func encode(s *Schema, v object) ([]byte, error) {
	w := wire.NewWriter()
	for i := range s.Members {
		s.Members[i].encode(&w, v, i)
	}
	rest := *v.rest()
	if s.Request {
		if err := s.refuse(rest); err != nil {
			w.Fail(err)
		}
	}
	w.Unknown(func(name string) bool { return s.takes(v, name) }, rest)
	out, err := w.Close()
	if err != nil {
		return nil, fmt.Errorf("api: %s: %w", s.Name, err)
	}
	return out, nil
}

// takes reports whether a field of v, and not AdditionalProperties, is the place
// for a member of this name. A value that did not fit its field is among the
// additional ones.
func (s *Schema) takes(v object, name string) bool {
	k, known := s.lookup([]byte(name))
	return known && (!s.lenient(k) || fieldText(v.slot(int(k.member))) != "")
}

// encode writes the member, which is v's slot i, if it is set.
func (m *Member) encode(w *wire.Writer, v object, i int) {
	switch p := v.slot(i).(type) {
	case *string:
		name, err := m.sentAs(v, i)
		if err != nil {
			w.Fail(err)
		}
		w.String(name, *p)
	case *field.Cents:
		if *p != 0 {
			m.encodeCents(w, *p)
		}
	case **field.Cents:
		if *p != nil {
			m.encodeCents(w, **p)
		}
	case *json.RawMessage:
		w.Raw(m.Name, *p)
	}
}

func (m *Member) encodeCents(w *wire.Writer, amount field.Cents) {
	digits, err := amount.AppendText(nil)
	if err != nil {
		w.Fail(fmt.Errorf("%s: %w", m.Name, err))
		return
	}
	w.String(m.Name, string(digits))
}

// sentAs returns the name under which a member is sent: its own, unless v
// chooses an alias.
func (m *Member) sentAs(v object, i int) (string, error) {
	if !m.Respell {
		return m.Name, nil
	}
	chosen := *v.(respelled).spelling(i)
	if chosen == "" || chosen == m.Name {
		return m.Name, nil
	}
	if !slices.Contains(m.Aliases, chosen) {
		return m.Name, fmt.Errorf("%s: no such spelling", m.Name)
	}
	return chosen, nil
}

// refuse says why a request may not have these additional members. All must be
// strings, none may hold card data, and a name that differs from a known one in
// case only is a mistake.
func (s *Schema) refuse(members map[string]json.RawMessage) error {
	for name, value := range members {
		if slices.ContainsFunc(s.keys, func(k key) bool { return strings.EqualFold(k.name, name) }) {
			return errors.New("an additional member has the name of another")
		}
		if BearsCardData(name) {
			return errors.New("an additional member has a name of card data")
		}
		if _, ok := wire.Text(value); !ok {
			return errors.New("an additional member of a request is not a string")
		}
	}
	return nil
}
