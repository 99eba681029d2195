package explain

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"
)

// gbkTable has the characters of GBK's two-byte codes, each in two bytes, the
// higher one first: the leads 0x81 to 0xfe, and of each the trails 0x40 to
// 0xfe without 0x7f. Zero is no character.
//
//go:embed gbk.bin
var gbkTable string

const gbkTrails = 190

// decodeGBK reports false if b is not GBK through and through.
func decodeGBK(b []byte) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c < utf8.RuneSelf {
			out.WriteByte(c)
			continue
		}
		if c < 0x81 || c > 0xfe || i+1 >= len(b) || !gbkTail(b[i+1]) {
			return "", false
		}
		i++
		trail := int(b[i]) - 0x40
		if b[i] > 0x7f {
			trail--
		}
		at := 2 * (int(c-0x81)*gbkTrails + trail)
		r := rune(gbkTable[at])<<8 | rune(gbkTable[at+1])
		if r == 0 {
			return "", false
		}
		out.WriteRune(r)
	}
	return out.String(), true
}

// gbkCodes returns the codes of characters, made when first needed.
func gbkCodes() map[rune][2]byte { return gbkCodesOnce() }

var gbkCodesOnce = sync.OnceValue(func() map[rune][2]byte {
	codes := make(map[rune][2]byte, len(gbkTable)/2)
	for at := 0; at < len(gbkTable); at += 2 {
		r := rune(gbkTable[at])<<8 | rune(gbkTable[at+1])
		lead, trail := at/2/gbkTrails, at/2%gbkTrails
		if trail >= 0x7f-0x40 {
			trail++
		}
		if _, twice := codes[r]; r != 0 && !twice {
			codes[r] = [2]byte{byte(0x81 + lead), byte(0x40 + trail)}
		}
	}
	return codes
})

// encodeGBK writes a question mark for what GBK does not have, as Java does. It
// reports false if there is nothing to encode.
func encodeGBK(s string) (string, bool) {
	codes := gbkCodes()
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
			continue
		}
		if code, ok := codes[r]; ok {
			out = append(out, code[0], code[1])
		} else {
			out = append(out, '?')
		}
	}
	return string(out), true
}

// windows1252 has the characters of the bytes 0x80 to 0x9f; the others are
// those of Latin-1.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

func decodeWindows1252(b []byte) (string, bool) {
	table := []rune(windows1252)
	var out strings.Builder
	for _, c := range b {
		if c >= 0x80 && c < 0xa0 {
			out.WriteRune(table[c-0x80])
		} else {
			out.WriteRune(rune(c))
		}
	}
	return out.String(), true
}

func encodeWindows1252(s string) (string, bool) {
	table := []rune(windows1252)
	out := make([]byte, 0, len(s))
next:
	for _, r := range s {
		for i, known := range table {
			if r == known {
				out = append(out, byte(0x80+i))
				continue next
			}
		}
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out), true
}

func decodeLatin1(b []byte) (string, bool) {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.String(), true
}

func encodeLatin1(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out), true
}

// narrowEncoding is an encoding besides UTF-8.
type narrowEncoding struct {
	name   string
	decode func([]byte) (string, bool)
	encode func(string) (string, bool)
}

func narrowEncodings() []narrowEncoding {
	return []narrowEncoding{
		{"GBK", decodeGBK, encodeGBK},
		{"Latin-1 (Windows-1252)", decodeWindows1252, encodeWindows1252},
		{"Latin-1", decodeLatin1, encodeLatin1},
	}
}
