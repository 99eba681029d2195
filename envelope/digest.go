package envelope

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"strconv"
)

// Form is the canonical form under which an envelope's digest fitted: how
// numbers and top-level nulls became text before they were hashed
// (docs/protocol.md, 4.5). Forms that coincide for a message, as they always
// do when it holds strings alone, count as FormJava.
type Form int

const (
	// FormJava is the gateway's own rule: every number is a Java double, so
	// that 1 is hashed as 1.0, and null as the four letters.
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

// fit finds the first canonical form of a scanned object whose digest is want.
// text is scratch space.
func fit(s *scanner, want [md5.Size]byte, text []byte) (Form, *failure) {
	last := FormJava
	if s.forms {
		last = FormRawNullEmpty
	}
	for form := FormJava; form <= last; form++ {
		text, ok := s.appendDigested(text[:0], form)
		if !ok {
			return 0, errNumber
		}
		got := md5.Sum(text)
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return form, nil
		}
	}
	return 0, errDigest
}

// appendDigested appends what the digest is taken of: the texts of the top-level
// values in key order, nothing between them. It reports false if a number is
// not a finite double.
func (s *scanner) appendDigested(dst []byte, form Form) ([]byte, bool) {
	ok := true
	for _, m := range s.members() {
		value := s.text(m)
		if value[0] == 'n' && form.nullEmpty() {
			continue
		}
		if dst, _, ok = appendValue(dst, value, form); !ok {
			return nil, false
		}
	}
	return dst, true
}

// appendValue appends the text of the scanned value that v begins with and
// returns what follows it. Nested values are printed as Java prints its maps
// and lists: {b=1.0, a=x}, in document order, strings bare.
func appendValue(dst, v []byte, form Form) (_, rest []byte, ok bool) {
	switch v[0] {
	case '"':
		dst, rest = appendString(dst, v)
		return dst, rest, true
	case '{':
		return appendItems(append(dst, '{'), v[1:], '}', form)
	case '[':
		return appendItems(append(dst, '['), v[1:], ']', form)
	case 't', 'n':
		return append(dst, v[:4]...), v[4:], true
	case 'f':
		return append(dst, v[:5]...), v[5:], true
	}
	end := bytes.IndexAny(v, ",}] \t\r\n")
	if end < 0 {
		end = len(v)
	}
	dst, ok = appendNumber(dst, v[:end], form)
	return dst, v[end:], ok
}

// appendItems appends the items of an object or array up to and with its
// closing byte. v stands behind the opening one.
func appendItems(dst, v []byte, closing byte, form Form) (_, rest []byte, ok bool) {
	for first := true; ; first = false {
		v = trimSpace(v)
		if v[0] == closing {
			return append(dst, closing), v[1:], true
		}
		if !first {
			dst = append(dst, ", "...)
			v = trimSpace(v[1:]) // the comma
		}
		if closing == '}' {
			dst, v = appendString(dst, v)
			dst = append(dst, '=')
			v = trimSpace(trimSpace(v)[1:]) // the colon
		}
		if dst, v, ok = appendValue(dst, v, form); !ok {
			return nil, nil, false
		}
	}
}

// appendString appends the decoded text of the string that v begins with.
func appendString(dst, v []byte) (_, rest []byte) {
	escaped := false
	for i := 1; ; i++ {
		switch v[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			if escaped {
				return appendDecoded(dst, v[1:i]), v[i+1:]
			}
			return append(dst, v[1:i]...), v[i+1:]
		}
	}
}

// appendNumber appends a JSON number as written or as Java's
// Double.toString prints it: always with a point, plain from 0.001 up to but
// not including 10⁷, d.dddE±n beyond. Go's shortest digits are the ones that
// Java prints since release 19.
func appendNumber(dst, num []byte, form Form) ([]byte, bool) {
	f, err := strconv.ParseFloat(string(num), 64)
	if err != nil {
		return nil, false // 1e400: no finite double
	}
	if form.raw() {
		return append(dst, num...), true
	}
	if abs := max(f, -f); abs == 0 || abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if bytes.IndexByte(dst[start:], '.') < 0 {
			dst = append(dst, ".0"...)
		}
		return dst, true
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
	return append(dst, exponent...), true
}

func trimSpace(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t' || v[0] == '\r' || v[0] == '\n') {
		v = v[1:]
	}
	return v
}
