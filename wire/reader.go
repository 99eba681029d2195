package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// Reader walks the members of one JSON object in the order in which they are
// written. Names are exact. The first error ends the walk; Close returns it. A
// Reader is not safe for concurrent use.
//
//	for r.Next() {
//		switch r.Name() {
//		case "order_id":
//			v.OrderID = r.String()
//		default:
//			r.Unknown()
//		}
//	}
//	unknown, err := r.Close()
type Reader struct {
	members Members
	text    string // a copy of the object: strings without escapes share it
	n       int    // members read so far
	err     error
	unknown map[string]json.RawMessage
}

// NewReader returns a reader before the first member of an object, which
// [Parse] reads. It copies what it hands out.
func NewReader(data []byte) Reader {
	var r Reader
	if r.err = Parse(data, &r.members); r.err == nil {
		r.text = string(data)
	}
	return r
}

// Next goes to the next member and reports whether there is one.
func (r *Reader) Next() bool {
	if r.err != nil || r.n == r.members.n {
		return false
	}
	r.n++
	return true
}

// Name returns the current member's name, escapes resolved.
func (r *Reader) Name() string {
	if e := r.members.entry(r.n - 1); e.decoded == 0 {
		return r.text[e.nameAt:e.nameEnd]
	}
	return string(r.members.Name(r.n - 1))
}

// value returns the current member's value as it is written.
func (r *Reader) value() string {
	e := r.members.entry(r.n - 1)
	return r.text[e.at:e.end]
}

// String returns the text of the current value, which must be a string.
func (r *Reader) String() string {
	text, ok := r.members.TextIn(r.text, r.n-1)
	if !ok {
		r.fail(fmt.Errorf("%s: not a string", r.Name()))
	}
	return text
}

// Text returns the text of the current value, which must be a string or a
// number. A number is returned as it is written.
func (r *Reader) Text() string {
	if v := r.value(); IsNumber(v) {
		return v
	}
	return r.String()
}

// Raw returns a copy of the current value's JSON.
func (r *Reader) Raw() json.RawMessage { return json.RawMessage(r.value()) }

// Unknown keeps the current member for Close.
func (r *Reader) Unknown() {
	if r.unknown == nil {
		r.unknown = make(map[string]json.RawMessage)
	}
	r.unknown[r.Name()] = r.Raw()
}

// fail ends the walk with an error, unless there is one already.
func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Close returns the members for which Unknown was called, nil if there are
// none, and the first error. Members that were not read yet count as unknown.
// An unknown name that differs from another name in case only is an error,
// [ErrTwins]: encoding/json would let one overwrite the other.
func (r *Reader) Close() (map[string]json.RawMessage, error) {
	for r.Next() {
		r.Unknown()
	}
	if r.err == nil && r.members.Twins(func(name string) bool { _, ok := r.unknown[name]; return ok }) {
		r.err = ErrTwins
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.unknown, nil
}

// Twins reports whether two names differ in case only and one of them is
// unknown.
func (m *Members) Twins(unknown func(name string) bool) bool {
	var folded map[string]string // an unknown name's folded form: the name
	for i := range m.Len() {
		if name := string(m.Name(i)); unknown(name) {
			if folded == nil {
				folded = make(map[string]string)
			}
			folded[fold(name)] = name
		}
	}
	if folded == nil {
		return false
	}
	for i := range m.Len() {
		name := string(m.Name(i))
		if other, ok := folded[fold(name)]; ok && other != name {
			return true
		}
	}
	return false
}

// fold returns one text for all names that strings.EqualFold calls equal.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// IsNumber reports whether a JSON value is a number. The value must be one that
// [Parse] or [Valid] has accepted.
func IsNumber[T string | []byte](value T) bool {
	return len(value) > 0 && (value[0] == '-' || value[0] >= '0' && value[0] <= '9')
}
