package wire

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// The functions of this file take a position in a text and return the position
// behind what they read, or -1 if it is not there.

func skipSpace(b []byte, at int) int {
	for at < len(b) && b[at] <= ' ' && (b[at] == ' ' || b[at] == '\n' || b[at] == '\r' || b[at] == '\t') {
		at++
	}
	return at
}

// stringEnd reads the string that begins at at. Of a whole string it also
// reports whether it has an escape and whether it has a byte beyond ASCII.
func stringEnd(b []byte, at int) (end int, escaped, high bool) {
	if at >= len(b) || b[at] != '"' {
		return -1, false, false
	}
	var seen uint64
	for i := at + 1; i < len(b); {
		for i+8 <= len(b) {
			word := binary.LittleEndian.Uint64(b[i:])
			special := specials(word)
			if special == 0 {
				seen |= word
				i += 8
				continue
			}
			n := bits.TrailingZeros64(special) / 8
			seen |= word & (1<<(8*n) - 1)
			i += n
			break
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped, seen&tops != 0
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return -1, false, false
			}
			escaped = true
			i += n
		case c < 0x20:
			return -1, false, false
		default:
			seen |= uint64(c)
			i++
		}
	}
	return -1, false, false
}

const (
	each = 0x0101010101010101
	tops = 0x80 * each
)

// specials sets the top bit of the first of eight bytes that is a quotation
// mark, a backslash or a control character. The bits above that one mean
// nothing. It returns 0 if there is no such byte.
func specials(x uint64) uint64 {
	quote, backslash := x^'"'*each, x^'\\'*each
	return ((x-0x20*each)&^x | (quote-each)&^quote | (backslash-each)&^backslash) & tops
}

// numberEnd reads -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func numberEnd(b []byte, at int) int {
	if at < len(b) && b[at] == '-' {
		at++
	}
	if at < len(b) && b[at] == '0' {
		at++
	} else if at = digitsEnd(b, at); at < 0 {
		return -1
	}
	if at < len(b) && b[at] == '.' {
		if at = digitsEnd(b, at+1); at < 0 {
			return -1
		}
	}
	if at < len(b) && (b[at] == 'e' || b[at] == 'E') {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		return digitsEnd(b, at)
	}
	return at
}

// digitsEnd reads one digit or more.
func digitsEnd(b []byte, at int) int {
	start := at
	for at < len(b) && b[at] >= '0' && b[at] <= '9' {
		at++
	}
	if at == start {
		return -1
	}
	return at
}

// finite reports whether a JSON number is a finite double. Few can be none.
func finite(number []byte) bool {
	if len(number) < 300 && !hasExponent(number) {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

func hasExponent(number []byte) bool {
	for _, c := range number {
		if c == 'e' || c == 'E' {
			return true
		}
	}
	return false
}

func wordEnd(b []byte, at int, word string) int {
	if len(b)-at < len(word) || string(b[at:at+len(word)]) != word {
		return -1
	}
	return at + len(word)
}

// Token returns the token of a parsed text that stands at position at, or
// behind the white space there, and the position behind it. A token is one of
// { } [ ] : and the comma, a string with its quotation marks, a number, true,
// false or null. Behind the last one the token is empty.
//
//	for token, at := wire.Token(value, 0); len(token) > 0; token, at = wire.Token(value, at) {
//
// The text must be a part of what [Parse] or [Valid] has accepted, and at must
// not be within a token.
func Token(text []byte, at int) (token []byte, next int) {
	at = skipSpace(text, at)
	if at >= len(text) {
		return nil, at
	}
	end := at + 1
	switch text[at] {
	case '{', '}', '[', ']', ':', ',':
	case '"':
		end, _, _ = stringEnd(text, at)
	case 't', 'n':
		end = at + len("true")
	case 'f':
		end = at + len("false")
	default:
		end = numberEnd(text, at)
	}
	if end < 0 || end > len(text) {
		end = len(text) // it was not parsed
	}
	return text[at:end], end
}
