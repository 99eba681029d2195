package field

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Writer writes the members of one JSON object, leaving out what is empty. It
// exists for the generated types. The first error is kept for Close.
type Writer struct {
	buf     []byte
	written []string
	err     error
}

// NewWriter returns a writer with the object opened.
func NewWriter() Writer { return Writer{buf: append(make([]byte, 0, 256), '{')} }

func (w *Writer) name(name string) {
	if len(w.buf) > 1 {
		w.buf = append(w.buf, ',')
	}
	w.buf = appendQuoted(w.buf, name)
	w.buf = append(w.buf, ':')
	w.written = append(w.written, name)
}

// String writes the member unless value is empty. Text that is not valid
// UTF-8 is an error, as its digest would not be the sender's.
func (w *Writer) String(name, value string) {
	if value == "" {
		return
	}
	if !utf8.ValidString(value) {
		w.fail(fmt.Errorf("%s: not valid UTF-8", name))
		return
	}
	w.name(name)
	w.buf = appendQuoted(w.buf, value)
}

// Spelled writes the member unless value is empty, under the one of names that
// is chosen, the first when chosen is empty.
func (w *Writer) Spelled(names []string, chosen, value string) {
	if chosen == "" {
		chosen = names[0]
	}
	if !slices.Contains(names, chosen) {
		w.fail(fmt.Errorf("%s: no such spelling", names[0]))
		return
	}
	w.String(chosen, value)
}

// Cents writes the member as a string of digits unless value is 0.
func (w *Writer) Cents(name string, value Cents) {
	if value != 0 {
		w.CentsPointer(name, &value)
	}
}

// CentsPointer writes the member as a string of digits unless value is nil.
func (w *Writer) CentsPointer(name string, value *Cents) {
	if value == nil {
		return
	}
	w.name(name)
	w.buf = append(w.buf, '"')
	buf, err := value.AppendText(w.buf)
	if err != nil {
		w.fail(fmt.Errorf("%s: %w", name, err))
	}
	w.buf = append(buf, '"')
}

// Rate writes the member as a string of digits unless value is 0.
func (w *Writer) Rate(name string, value Rate) { w.Cents(name, Cents(value)) }

// Raw writes the member's JSON as it is unless value is empty.
func (w *Writer) Raw(name string, value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	if !json.Valid(value) || !utf8.Valid(value) {
		w.fail(errors.New("an additional member is not JSON"))
		return
	}
	w.name(name)
	w.buf = append(w.buf, value...)
}

// Unknown writes additional members in the order of their names. None may bear
// a known name, nor one that differs only in case from a member's that is
// written: a reader would refuse the object.
func (w *Writer) Unknown(known []string, members map[string]json.RawMessage) {
	if len(members) == 0 {
		return
	}
	taken := make(map[string]bool, len(w.written)+len(members))
	for _, name := range w.written {
		taken[fold(name)] = true
	}
	names := make([]string, 0, len(members))
	for name := range members {
		f := fold(name)
		if taken[f] || slices.Contains(known, name) {
			w.fail(errors.New("an additional member bears the name of another"))
			return
		}
		taken[f] = true
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.Raw(name, members[name])
	}
}

// UnknownStrings is Unknown for a request, whose members are all strings, which
// bears no card data (refused says which names do), and where a name that
// differs from a known one only in case is a slip.
func (w *Writer) UnknownStrings(known []string, members map[string]json.RawMessage, refused func(name string) bool) {
	for name, value := range members {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			w.fail(errors.New("an additional member bears the name of another"))
			return
		}
		if refused(name) {
			w.fail(errors.New("an additional member is of a name that bears card data"))
			return
		}
		if _, ok := unquote(strings.TrimSpace(string(value))); !ok {
			w.fail(errors.New("an additional member of a request is not a string"))
			return
		}
	}
	w.Unknown(known, members)
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Close returns the object, or the first error.
func (w *Writer) Close() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	return append(w.buf, '}'), nil
}

// appendQuoted writes a JSON string. Nothing is escaped that need not be: the
// digest is over decoded values.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}
