package envelope

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"strconv"

	"github.com/ottpaykit/ottpay/wire"
)

// Form is the canonical form with which the digest of an envelope is right: how
// numbers and top-level nulls become text before they are hashed
// (docs/protocol.md, 4.5). If several forms give a message the same digest, the
// first one counts. A message of strings alone is always in FormJava.
type Form int

const (
	// FormJava is the gateway's own rule: every number is a Java double, so 1
	// is hashed as 1.0, and null is hashed as the four letters.
	FormJava Form = iota
	// FormRaw hashes numbers as they are written.
	FormRaw
	// FormJavaNullEmpty is FormJava, with nothing for a top-level null.
	FormJavaNullEmpty
	// FormRawNullEmpty is FormRaw, with nothing for a top-level null.
	FormRawNullEmpty
)

// String returns java, raw, java-null-empty or raw-null-empty.
func (f Form) String() string {
	switch f {
	case FormJava:
		return "java"
	case FormRaw:
		return "raw"
	case FormJavaNullEmpty:
		return "java-null-empty"
	case FormRawNullEmpty:
		return "raw-null-empty"
	}
	return "Form(" + strconv.Itoa(int(f)) + ")"
}

func (f Form) raw() bool       { return f == FormRaw || f == FormRawNullEmpty }
func (f Form) nullEmpty() bool { return f == FormJavaNullEmpty || f == FormRawNullEmpty }

// fit finds the first canonical form of an object whose digest is want. text is
// scratch space.
func fit(m *wire.Members, want [md5.Size]byte, text []byte) (form Form, ok bool) {
	last := FormJava
	if m.HasNumber() || m.HasNull() {
		last = FormRawNullEmpty
	}
	for form := FormJava; form <= last; form++ {
		got := md5.Sum(appendDigested(text[:0], m, form))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return form, true
		}
	}
	return 0, false
}

// appendDigested appends the text that is hashed: the texts of the members in
// key order, with nothing between them.
func appendDigested(dst []byte, m *wire.Members, form Form) []byte {
	for n := range m.Len() {
		dst = appendMember(dst, m, m.Sorted(n), form)
	}
	return dst
}

// appendMember appends the text of member i.
func appendMember(dst []byte, m *wire.Members, i int, form Form) []byte {
	switch value := m.Value(i); {
	case value[0] == '"':
		return m.AppendText(dst, i)
	case value[0] == 'n' && form.nullEmpty():
		return dst
	default:
		return appendValue(dst, value, form)
	}
}

// appendValue appends the text of a value. Java prints maps and lists, which
// nested values are, as {b=1.0, a=x}: in document order, strings bare.
func appendValue(dst, value []byte, form Form) []byte {
	for token, at := wire.Token(value, 0); len(token) > 0; token, at = wire.Token(value, at) {
		switch token[0] {
		case '"':
			dst = wire.AppendText(dst, token)
		case ',':
			dst = append(dst, ", "...)
		case ':':
			dst = append(dst, '=')
		case '{', '}', '[', ']', 't', 'f', 'n':
			dst = append(dst, token...)
		default:
			dst = appendNumber(dst, token, form)
		}
	}
	return dst
}

// appendNumber appends a JSON number as written or as Java's
// Double.toString prints it: always with a point, plain from 0.001 up to but
// not including 10⁷, d.dddE±n beyond. Go's shortest digits are the ones that
// Java prints since release 19.
func appendNumber(dst, num []byte, form Form) []byte {
	if form.raw() {
		return append(dst, num...)
	}
	f, _ := strconv.ParseFloat(string(num), 64) // finite: it was parsed
	if abs := max(f, -f); abs == 0 || abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if bytes.IndexByte(dst[start:], '.') < 0 {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	var digits [32]byte
	mantissa, exponent, _ := bytes.Cut(strconv.AppendFloat(digits[:0], f, 'E', -1, 64), []byte("E"))
	dst = append(dst, mantissa...)
	if bytes.IndexByte(mantissa, '.') < 0 {
		dst = append(dst, ".0"...)
	}
	dst = append(dst, 'E')
	if exponent[0] == '-' {
		dst = append(dst, '-')
	}
	exponent = exponent[1:]
	if exponent[0] == '0' {
		exponent = exponent[1:] // Go writes two digits at least
	}
	return append(dst, exponent...)
}

// Digested is one member of a payload as its digest takes it.
type Digested struct {
	Name string // as the payload names it
	Text string // its value, as it enters the digest
}

// DigestedMembers returns the members of a plaintext in the order in which the
// digest takes them, each with its text under a canonical form. The texts joined,
// with nothing between them, are what the MD5 is computed of. It is for tools
// that show how a digest comes about. The error matches [ErrMalformed] if the
// plaintext is not one strict JSON object.
func DigestedMembers(plaintext []byte, form Form) ([]Digested, error) {
	var m wire.Members
	if err := wire.Parse(plaintext, &m); err != nil {
		return nil, malformed(err)
	}
	out := make([]Digested, 0, m.Len())
	for n := range m.Len() {
		i := m.Sorted(n)
		out = append(out, Digested{Name: string(m.Name(i)), Text: string(appendMember(nil, &m, i, form))})
	}
	return out, nil
}
