package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// takePaddingOff checks the padding, and says which kind it is if it is not
// PKCS#5.
func (r *run) takePaddingOff(o *opening) bool {
	if !o.padded && !o.ecb {
		if text, ok := unpad(o.plain); ok && json.Valid(text) {
			o.plain = text
		}
		return true // a stream has no padding
	}
	plain := o.plain
	if text, ok := unpad(plain); ok {
		o.plain = text
		if again, ok := unpad(text); ok && !bytes.HasSuffix(text, []byte("}")) && len(text)%blockSize == 0 && int(text[len(text)-1]) < 0x20 {
			r.fail(mistake{
				step: StepPadding, codes: []Code{"padding-kind"},
				why: "the plaintext was padded twice: by hand, and by the library",
				fix: "leave the padding to the library",
			})
			o.plain = again
			return true
		}
		if trimmed := bytes.TrimRight(text, "\x00"); len(trimmed) < len(text) && !wideText(text) && !compressedText(text) {
			m := mistake{
				step: StepPadding, codes: []Code{"padding-kind"},
				why: "the plaintext was filled up with zeros, and then padded",
				fix: "encrypt the text alone, with PKCS#5 padding",
			}
			if len(text)%blockSize != 0 {
				m.why = "the plaintext ends in " + plural(len(text)-len(trimmed), "zero byte") + ", as a string of C does, before its padding"
			}
			r.fail(m)
			o.plain = trimmed
			return true
		}
		r.pass(StepPadding, "PKCS#5")
		return true
	}
	m := mistake{step: StepPadding, codes: []Code{"padding-kind"}, fix: "pad with PKCS#5: n bytes of value n, 1 to 16 of them, and a whole block if the length is a multiple of 16"}
	n := len(plain)
	last := 0
	if n > 0 {
		last = int(plain[n-1])
	}
	trimZeros := bytes.TrimRight(plain, "\x00")
	trimBlank := bytes.TrimRight(plain, " ")
	whole := func(b []byte) bool { return json.Valid(b) || bytes.HasSuffix(bytes.TrimSpace(b), []byte("}")) }
	switch {
	case len(trimZeros) > 0 && trimZeros[len(trimZeros)-1] == 0x80 && (len(trimZeros) < n || whole(trimZeros[:len(trimZeros)-1])):
		m.why = "the plaintext is padded as ISO 7816 (80 and zeros)"
		o.plain = trimZeros[:len(trimZeros)-1]
	case len(trimZeros) < n && filledToEight(trimZeros):
		m.why = "the plaintext is padded to blocks of 8 bytes, and then filled up with zeros"
		o.plain, _ = unpad(trimZeros)
	case len(trimZeros) < n:
		m.why = fmt.Sprintf("the plaintext is padded with %s", plural(n-len(trimZeros), "zero byte"))
		o.plain = trimZeros
	case last > blockSize && last <= 32 && n >= last && allOf(plain[n-last:], byte(last)):
		m.why = fmt.Sprintf("the plaintext is padded to blocks of 32 bytes (%d bytes of value %d)", last, last)
		o.plain = plain[:n-last]
	case last >= 1 && last <= blockSize && n > last && allZero(plain[n-last:n-1]) && last > 1:
		m.why = "the plaintext is padded as ANSI X9.23 (zeros, and how many)"
		o.plain = plain[:n-last]
	case last >= 2 && last <= blockSize && n > last && whole(plain[:n-last]):
		m.why = "the plaintext is padded as ISO 10126 (random bytes, and how many)"
		o.plain = plain[:n-last]
	case len(trimBlank) < n && whole(trimBlank):
		m.why = fmt.Sprintf("the plaintext is padded with %s", plural(n-len(trimBlank), "blank"))
		o.plain = trimBlank
	case whole(plain):
		m.why = "the plaintext has no padding: its length is a multiple of 16, and the whole block of padding is missing"
		m.codes = append(m.codes, "block-removed")
	case strings.TrimRight(string(plain), "\n\r\t") != string(plain) && whole(bytes.TrimSpace(plain)):
		m.why = "the plaintext is padded with white space"
		o.plain = bytes.TrimSpace(plain)
	case bytes.LastIndexByte(plain, '}') >= n-blockSize && bytes.LastIndexByte(plain, '}') > 0:
		end := bytes.LastIndexByte(plain, '}')
		m.why = fmt.Sprintf("%s stand behind the JSON that are no padding", plural(n-1-end, "byte"))
		m.codes = append(m.codes, "padding")
		o.plain = plain[:end+1]
	default:
		m.codes = []Code{"padding"}
		m.why = "the padding is broken"
		r.fail(m)
		return false
	}
	r.fail(m)
	return true
}

// filledToEight reports whether b is a text with PKCS#5 padding for blocks of
// eight bytes, as DES has them.
func filledToEight(b []byte) bool {
	text, ok := unpad(b)
	return ok && len(b)%8 == 0 && len(b)-len(text) <= 8 && json.Valid(text)
}

// otherPadding reports whether the last block is no text because of what a
// sender filled it with: the JSON before it is whole.
func otherPadding(plain []byte) bool {
	n := len(plain)
	if n < blockSize {
		return false
	}
	if last := int(plain[n-1]); last >= 2 && last <= blockSize && n > last && json.Valid(plain[:n-last]) {
		return true
	}
	return filledToEight(bytes.TrimRight(plain, "\x00"))
}

func allOf(b []byte, c byte) bool {
	for _, x := range b {
		if x != c {
			return false
		}
	}
	return true
}
