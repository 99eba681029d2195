package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// member is one member of a JSON object, with where it stands in the text.
type member struct {
	name    string
	raw     json.RawMessage
	at, end int // of name and value together
	valueAt int
}

// text is the member's value without JSON's quotation marks and escapes.
func (m member) text() string {
	var s string
	if m.kind() == "string" && json.Unmarshal(m.raw, &s) == nil {
		return s
	}
	return string(m.raw)
}

// kind is the value's type in JSON's words.
func (m member) kind() string {
	if len(m.raw) == 0 {
		return "nothing"
	}
	switch m.raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

var errNotObject = errors.New("page: not a JSON object")

// objectMembers reads the members of one JSON object, in the order of the text.
func objectMembers(text []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	var out []member
	for d.More() {
		from := int(d.InputOffset())
		from += bytes.IndexByte(text[from:], '"')
		name, err := d.Token()
		if err != nil {
			return nil, errNotObject
		}
		var m member
		if err := d.Decode(&m.raw); err != nil {
			return nil, errNotObject
		}
		m.name, _ = name.(string)
		m.at, m.end = from, int(d.InputOffset())
		m.valueAt = m.end - len(m.raw)
		out = append(out, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotObject
	}
	return out, nil
}
