package field

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a member's value; the object around it is one
// more.
const maxDepth = 31

// The scanners below take a position in text, which is valid UTF-8, and return
// the position behind what they read, or -1.

func skipSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
		at++
	}
	return at
}

func valueEnd(text string, at, depth int) int {
	if at >= len(text) {
		return -1
	}
	switch text[at] {
	case '"':
		end, _ := stringEnd(text, at)
		return end
	case '{', '[':
		return nestedEnd(text, at, depth)
	case 't':
		return wordEnd(text, at, "true")
	case 'f':
		return wordEnd(text, at, "false")
	case 'n':
		return wordEnd(text, at, "null")
	default:
		return numberEnd(text, at)
	}
}

func wordEnd(text string, at int, word string) int {
	if !strings.HasPrefix(text[at:], word) {
		return -1
	}
	return at + len(word)
}

// stringEnd also reports whether the string holds an escape.
func stringEnd(text string, at int) (end int, escaped bool) {
	if at >= len(text) || text[at] != '"' {
		return -1, false
	}
	for i := at + 1; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			return i + 1, escaped
		case c < 0x20:
			return -1, false
		case c != '\\':
			i++
		default:
			_, size := escape(text[i:])
			if size == 0 {
				return -1, false
			}
			escaped = true
			i += size
		}
	}
	return -1, false
}

// escape reads one escape sequence, a surrogate pair being one; size 0 means
// that it is none.
func escape(text string) (r rune, size int) {
	if len(text) < 2 {
		return 0, 0
	}
	switch text[1] {
	case '"', '\\', '/':
		return rune(text[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		high, ok := hex4(text[2:])
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(high) {
			return high, 6
		}
		if len(text) < 8 || text[6] != '\\' || text[7] != 'u' {
			return 0, 0
		}
		low, ok := hex4(text[8:])
		if r = utf16.DecodeRune(high, low); !ok || r == utf8.RuneError {
			return 0, 0
		}
		return r, 12
	default:
		return 0, 0
	}
}

func hex4(text string) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		c := text[i]
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

// unquote returns what a JSON string stands for. Without an escape the result
// is a part of raw and nothing is copied.
func unquote(raw string) (string, bool) {
	end, escaped := stringEnd(raw, 0)
	if end != len(raw) || end < 0 {
		return "", false
	}
	inner := raw[1 : len(raw)-1]
	if !escaped {
		return inner, true
	}
	return unescape(inner), true
}

// unescape resolves the escapes of a string that stringEnd has accepted.
func unescape(inner string) string {
	var b strings.Builder
	b.Grow(len(inner))
	for len(inner) > 0 {
		plain := strings.IndexByte(inner, '\\')
		if plain < 0 {
			b.WriteString(inner)
			break
		}
		b.WriteString(inner[:plain])
		r, size := escape(inner[plain:])
		b.WriteRune(r)
		inner = inner[plain+size:]
	}
	return b.String()
}

func numberEnd(text string, at int) int {
	if at < len(text) && text[at] == '-' {
		at++
	}
	switch {
	case at >= len(text):
		return -1
	case text[at] == '0':
		at++
	default:
		if at = digitsEnd(text, at); at < 0 {
			return -1
		}
	}
	if at < len(text) && text[at] == '.' {
		if at = digitsEnd(text, at+1); at < 0 {
			return -1
		}
	}
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		at++
		if at < len(text) && (text[at] == '+' || text[at] == '-') {
			at++
		}
		return digitsEnd(text, at)
	}
	return at
}

// digitsEnd wants one digit or more.
func digitsEnd(text string, at int) int {
	start := at
	for at < len(text) && text[at] >= '0' && text[at] <= '9' {
		at++
	}
	if at == start {
		return -1
	}
	return at
}

// nestedEnd reads an object or an array.
func nestedEnd(text string, at, depth int) int {
	if depth == 0 {
		return -1
	}
	object, closing := text[at] == '{', byte(']')
	if object {
		closing = '}'
	}
	at = skipSpace(text, at+1)
	if at < len(text) && text[at] == closing {
		return at + 1
	}
	for {
		if object {
			if at, _ = stringEnd(text, at); at < 0 {
				return -1
			}
			if at = skipSpace(text, at); at >= len(text) || text[at] != ':' {
				return -1
			}
			at = skipSpace(text, at+1)
		}
		if at = valueEnd(text, at, depth-1); at < 0 {
			return -1
		}
		if at = skipSpace(text, at); at >= len(text) {
			return -1
		}
		switch text[at] {
		case closing:
			return at + 1
		case ',':
			at = skipSpace(text, at+1)
		default:
			return -1
		}
	}
}
