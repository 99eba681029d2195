package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"unicode/utf8"
)

// AppendText appends the text of a JSON string, its quotation marks included in
// value, escapes resolved. The value must be a string that [Parse] or [Valid]
// has accepted.
func AppendText(dst, value []byte) []byte { return appendDecoded(dst, value[1:len(value)-1]) }

// Text returns the text of a JSON string, escapes resolved. It reports false if
// value is not one strict JSON string.
func Text(value []byte) (string, bool) {
	end, escaped, high := stringEnd(value, 0)
	if end < 0 || end != len(value) || high && !utf8.Valid(value) {
		return "", false
	}
	inner := string(value[1 : len(value)-1])
	if escaped {
		inner = unescape(inner)
	}
	return inner, true
}

// unescape returns the text of what stands between the quotation marks of a
// string that stringEnd has accepted.
func unescape(inner string) string {
	return string(appendDecoded(make([]byte, 0, len(inner)), []byte(inner)))
}

// escapeLen returns the length of the escape at the start of b, a surrogate
// pair being one escape, or 0 if it is none or half of a pair.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok || r >= 0xDC00 && r < 0xE000:
			return 0
		case r < 0xD800 || r >= 0xE000:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if low, ok := hex4(b[8:]); !ok || low < 0xDC00 || low > 0xDFFF {
			return 0
		}
		return 12
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendDecoded appends the text of what stands between the quotation marks of
// a string that stringEnd has accepted.
func appendDecoded(dst, inner []byte) []byte {
	for {
		i := bytes.IndexByte(inner, '\\')
		if i < 0 {
			return append(dst, inner...)
		}
		dst = append(dst, inner[:i]...)
		n := escapeLen(inner[i:])
		switch escape := inner[i : i+n]; n {
		case 2:
			dst = append(dst, shortEscape(escape[1]))
		case 6:
			r, _ := hex4(escape[2:])
			dst = utf8.AppendRune(dst, r)
		default:
			high, _ := hex4(escape[2:])
			low, _ := hex4(escape[8:])
			dst = utf8.AppendRune(dst, 0x10000+(high-0xD800)<<10|(low-0xDC00))
		}
		inner = inner[i+n:]
	}
}

func shortEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// compareUTF16 orders valid UTF-8 as Java orders its strings: by UTF-16 code
// unit. That is byte order, except that the surrogates (D800 to DFFF) of
// characters above U+FFFF come before U+E000 to U+FFFF.
func compareUTF16(a, b []byte) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return cmp.Compare(rankUTF16(a[i]), rankUTF16(b[i]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// rankUTF16 turns byte order into UTF-16 order. 0xEE and 0xEF begin U+E000 to
// U+FFFF and come after 0xF0 to 0xF4, which begin a surrogate pair. No other
// byte of valid UTF-8 is as large.
func rankUTF16(c byte) byte {
	if c == 0xEE || c == 0xEF {
		return c + 0x10
	}
	return c
}

// prefixUTF16 returns the first eight bytes of a name as a number. Where the
// numbers of two names differ, they are ordered as compareUTF16 orders the names.
func prefixUTF16(name []byte) (prefix uint64) {
	if len(name) >= 8 {
		if prefix = binary.BigEndian.Uint64(name); prefix&tops == 0 {
			return prefix
		}
	}
	for i := range 8 {
		prefix <<= 8
		if i < len(name) {
			prefix |= uint64(rankUTF16(name[i]))
		}
	}
	return prefix
}
