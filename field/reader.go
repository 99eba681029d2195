package field

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errNoObject  = errors.New("not one JSON object")
	errTwice     = errors.New("a member name stands twice")
	errTwiceFold = errors.New("two member names differ only in case")
)

// Reader walks the members of one JSON object, once and strictly: valid UTF-8,
// RFC 8259, nothing behind the object, no name twice. Names are exact. It
// exists for the generated types; a program has encoding/json.
//
//	r := field.NewReader(data)
//	for r.Next() {
//		switch r.Name() {
//		case "order_id":
//			v.OrderID = r.String()
//		default:
//			r.Unknown()
//		}
//	}
//	unknown, err := r.Close()
//
// The first error ends the walk. Strings without escapes share one copy of
// data. A Reader is not safe for concurrent use.
type Reader struct {
	text string
	at   int // behind the last member; -1 behind the object
	err  error

	name, raw string // the current member

	first [24]string // the names so far; what does not fit is in seen
	names int
	seen  map[string]bool

	unknown map[string]json.RawMessage
}

// NewReader returns a reader before the first member of data, which it copies.
func NewReader(data []byte) Reader { return Reader{text: string(data)} }

// Next reads the next member and reports whether there is one.
func (r *Reader) Next() bool {
	switch {
	case r.err != nil || r.at < 0:
		return false
	case r.names == 0:
		if r.at = r.open(); r.at < 0 {
			return r.fail(errNoObject)
		}
		if r.text[r.at] == '}' {
			return r.end()
		}
	default:
		r.at = skipSpace(r.text, r.at)
		if r.at < len(r.text) && r.text[r.at] == '}' {
			return r.end()
		}
		if r.at >= len(r.text) || r.text[r.at] != ',' {
			return r.fail(errNoObject)
		}
		r.at = skipSpace(r.text, r.at+1)
	}
	return r.member()
}

// open returns the position of the first name, or of the closing brace.
func (r *Reader) open() int {
	at := skipSpace(r.text, 0)
	if at >= len(r.text) || r.text[at] != '{' || !utf8.ValidString(r.text) {
		return -1
	}
	if at = skipSpace(r.text, at+1); at >= len(r.text) {
		return -1
	}
	return at
}

func (r *Reader) end() bool {
	if skipSpace(r.text, r.at+1) != len(r.text) {
		return r.fail(errNoObject)
	}
	r.at = -1
	return false
}

func (r *Reader) member() bool {
	end, escaped := stringEnd(r.text, r.at)
	if end < 0 {
		return r.fail(errNoObject)
	}
	name := r.text[r.at+1 : end-1]
	if escaped {
		name = unescape(name)
	}
	at := skipSpace(r.text, end)
	if at >= len(r.text) || r.text[at] != ':' {
		return r.fail(errNoObject)
	}
	at = skipSpace(r.text, at+1)
	if end = valueEnd(r.text, at, maxDepth); end < 0 {
		return r.fail(errNoObject)
	}
	r.raw, r.at = r.text[at:end], end
	return r.note(name)
}

// note keeps the name and refuses one that was there before.
func (r *Reader) note(name string) bool {
	if r.Has(name) {
		return r.fail(errTwice)
	}
	r.name = name
	if r.names < len(r.first) {
		r.first[r.names] = name
		r.names++
		return true
	}
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	r.seen[name] = true
	return true
}

func (r *Reader) fail(err error) bool {
	if r.err == nil {
		r.err = err
	}
	return false
}

// Name returns the current member's name, escapes resolved.
func (r *Reader) Name() string { return r.name }

// Has reports whether a member of this name has been read so far.
func (r *Reader) Has(name string) bool {
	for i := range r.names {
		if r.first[i] == name {
			return true
		}
	}
	return r.seen[name]
}

// Null reports whether the current value is null.
func (r *Reader) Null() bool { return r.raw == "null" }

// String returns the current value, which must be a string.
func (r *Reader) String() string {
	if r.raw[0] != '"' {
		r.fail(fmt.Errorf("%s: not a string", r.Name()))
		return ""
	}
	inner := r.raw[1 : len(r.raw)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return unescape(inner)
}

// Text returns the current value, which must be a string or a number; a
// number's text is kept as it stood.
func (r *Reader) Text() string {
	if c := r.raw[0]; c == '-' || c >= '0' && c <= '9' {
		return r.raw
	}
	return r.String()
}

// Cents returns the current value, which must be an amount.
func (r *Reader) Cents() Cents { return Cents(r.integer()) }

// Digits returns the current value, which must be an amount as a request spells
// it: a string of digits without a leading zero, and not 0.
func (r *Reader) Digits() Cents {
	if text := r.String(); r.err == nil {
		n, ok := parseDigits(text)
		if ok && text[0] != '0' {
			return Cents(n)
		}
		r.fail(fmt.Errorf("%s: %w", r.Name(), &AmountError{Raw: strings.Clone(r.raw)}))
	}
	return 0
}

// Rate returns the current value, which must be a rate.
func (r *Reader) Rate() Rate { return Rate(r.integer()) }

func (r *Reader) integer() int64 {
	n, ok := parseInteger(r.raw)
	if !ok {
		r.fail(fmt.Errorf("%s: %w", r.Name(), &AmountError{Raw: strings.Clone(r.raw)}))
	}
	return n
}

// Raw returns a copy of the current value's JSON.
func (r *Reader) Raw() json.RawMessage { return json.RawMessage(r.raw) }

// Unknown keeps the current member for Close.
func (r *Reader) Unknown() {
	if r.unknown == nil {
		r.unknown = make(map[string]json.RawMessage)
	}
	r.unknown[r.Name()] = r.Raw()
}

// Close returns the unknown members, nil when there are none, and the first
// error. Two names that differ only in case are an error when one of them is
// unknown: encoding/json would have let one overwrite the other.
func (r *Reader) Close() (map[string]json.RawMessage, error) {
	if r.err == nil && r.at >= 0 {
		for r.Next() {
			r.Unknown()
		}
	}
	if r.err == nil && len(r.unknown) > 0 && r.foldTwins() {
		r.err = errTwiceFold
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.unknown, nil
}

func (r *Reader) foldTwins() bool {
	all := maps.Clone(r.seen)
	if all == nil {
		all = make(map[string]bool, r.names)
	}
	for _, name := range r.first[:r.names] {
		all[name] = true
	}
	known := make(map[string]bool, len(all))
	for name := range all {
		if _, ok := r.unknown[name]; !ok {
			known[fold(name)] = true
		}
	}
	folded := make(map[string]bool, len(r.unknown))
	for name := range r.unknown {
		f := fold(name)
		if known[f] || folded[f] {
			return true
		}
		folded[f] = true
	}
	return false
}

// fold maps names that strings.EqualFold calls equal to one text.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
