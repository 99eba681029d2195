package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Writer writes the members of one JSON object and leaves out what is empty.
// Close returns the first error. A Writer is not safe for concurrent use.
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

// String writes the member unless value is empty. A value that is not valid
// UTF-8 is an error: the receiver would compute another digest.
func (w *Writer) String(name, value string) {
	if value == "" {
		return
	}
	if !utf8.ValidString(value) {
		w.Fail(fmt.Errorf("%s: not valid UTF-8", name))
		return
	}
	w.name(name)
	w.buf = appendQuoted(w.buf, value)
}

// Raw writes the member's JSON as it is unless value is empty. A value that is
// not [Valid] is an error.
func (w *Writer) Raw(name string, value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	if !Valid(value) {
		w.Fail(errors.New("an additional member is not JSON"))
		return
	}
	w.name(name)
	w.buf = append(w.buf, value...)
}

// Unknown writes additional members in the order of their names. It is an error
// if one has a known name, or a name that differs in case only from that of a
// member that is written: a reader would refuse the object.
func (w *Writer) Unknown(known func(name string) bool, members map[string]json.RawMessage) {
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
		if taken[f] || known(name) {
			w.Fail(errors.New("an additional member has the name of another"))
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

// Fail keeps err for Close, unless there is an error already.
func (w *Writer) Fail(err error) {
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

// appendQuoted writes a JSON string. It escapes only what JSON demands: the
// digest is over the decoded text.
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
