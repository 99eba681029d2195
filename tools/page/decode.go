package page

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// decode returns the page's text in UTF-8 with one kind of line end, one kind
// of blank and no characters that a reader cannot see. Full-width forms and
// box-drawing characters become the ASCII characters that they stand for.
// The number of lines stays what an editor shows.
func decode(data []byte) string {
	text := string(data)
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		text = decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		text = decodeUTF16(data[2:], binary.BigEndian)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(plain, strings.ToValidUTF8(text, "\uFFFD"))
}

func decodeUTF16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

// plain maps one character; -1 drops it.
func plain(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
		return '\n'
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return -1
	case r < 0x7f:
		return r
	case r == '\u00a0' || r >= '\u2000' && r <= '\u200a' || r == '\u202f' || r == '\u205f' || r == '\u3000' || r == '\u1680':
		return ' '
	case r == '\u00ad' || r >= '\u200b' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2060' && r <= '\u206f' || r == '\ufeff' || r == '\u034f' || r == '\u180e':
		return -1
	case r >= '\ufe00' && r <= '\ufe0f': // variation selectors, as in an emoji
		return -1
	case r >= '\uff01' && r <= '\uff5e':
		return r - 0xfee0
	case r == '│' || r == '┃' || r == '║' || r == '￨' || r == '❘' || r == '¦' || r == '┆' || r == '┊':
		return '|'
	case r == '─' || r == '━' || r == '═' || r == '┄' || r == '┈':
		return '-'
	case r >= '\u2500' && r <= '\u256c': // corners and crossings
		return '+'
	case r == '‐' || r == '‑' || r == '﹣' || r == '−':
		return '-'
	case r == '﹍' || r == '﹎' || r == '﹏':
		return '_'
	}
	return r
}
