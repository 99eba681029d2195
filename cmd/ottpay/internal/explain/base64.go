package explain

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf8"
)

const blockSize = 16

// decodeData turns data into cipher blocks, and says why it cannot.
func (r *run) decodeData() ([]byte, bool) {
	data := r.outer.data
	compact := withoutSpace(data)

	if ct, ok := r.blanksForPlus(data); ok {
		return r.wholeBlocks(ct)
	}
	if ct, ok := r.hexData(compact); ok {
		return r.wholeBlocks(ct)
	}
	ct, err := base64.StdEncoding.DecodeString(compact)
	if err != nil {
		if r.plainData(data, nil) {
			return nil, false
		}
		repaired, m := r.badBase64(data, compact)
		r.fail(m)
		if repaired == nil {
			return nil, false
		}
		return r.wholeBlocks(repaired)
	}
	if r.plainData(data, ct) {
		return nil, false
	}
	if inner, ok := r.encodedTwice(ct); ok {
		return r.wholeBlocks(inner)
	}
	r.pass(StepBase64, "%s", base64Text(data, compact))
	return r.wholeBlocks(ct)
}

func withoutSpace(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s)
}

func base64Text(data, compact string) string {
	if len(data) != len(compact) {
		return "Base64 (wrapped)"
	}
	return "Base64"
}

// blanksForPlus undoes a form decoder. Blanks are allowed in data, and the
// gateway's own encoder writes one after every 60 characters: they are taken
// for plus signs only if the message does not open with them as blanks.
func (r *run) blanksForPlus(data string) ([]byte, bool) {
	if !strings.Contains(data, " ") {
		return nil, false
	}
	without, plain := base64.StdEncoding.DecodeString(withoutSpace(data))
	if plain == nil && len(without)%blockSize == 0 && r.readable(without) {
		return nil, false
	}
	joined := strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(data)
	wrapped := []byte(joined)
	kept := wrapped[:0]
	for i, c := range []byte(joined) {
		switch {
		case c == ' ' && (i+1)%61 == 0:
		case c == ' ':
			kept = append(kept, '+')
		default:
			kept = append(kept, c)
		}
	}
	var fits []byte
	count := 0
	for _, candidate := range []string{strings.ReplaceAll(joined, " ", "+"), string(kept), strings.ReplaceAll(strings.TrimRight(joined, " "), " ", "+")} {
		ct, err := base64.StdEncoding.DecodeString(candidate)
		if err != nil || len(ct) == 0 || len(ct)%blockSize != 0 {
			continue
		}
		if r.readable(ct) {
			fits, count = ct, strings.Count(candidate, "+")
			break
		}
		if fits == nil && (plain != nil || len(without)%blockSize != 0) {
			fits, count = ct, strings.Count(candidate, "+")
		}
	}
	if fits == nil || count == 0 {
		return nil, false
	}
	at := strings.IndexByte(data, ' ')
	m := mistake{
		step: StepTransport, codes: []Code{"transport-plus"}, at: offset("data", at),
		why: fmt.Sprintf("blanks stand in data where the Base64 has plus signs (the first at offset %d): a form decoder went over it", at),
		fix: "send JSON with Content-Type: application/json, and read the body without a form decoder",
	}
	m.at.Member = "data"
	r.fail(m)
	return fits, true
}

// hexData undoes hexadecimal digits in place of Base64.
func (r *run) hexData(compact string) ([]byte, bool) {
	digits := compact
	for _, prefix := range []string{"0x", "0X", "\\x"} {
		digits = strings.TrimPrefix(digits, prefix)
	}
	digits = strings.NewReplacer(":", "", "-", "").Replace(digits)
	if len(digits) < 2*blockSize || len(digits)%2 != 0 || !isHex(digits) {
		return nil, false
	}
	ct, err := hex.DecodeString(digits)
	if err != nil {
		return nil, false
	}
	m := mistake{
		step: StepBase64, codes: []Code{"encoding-hex"}, at: At{In: "body", Member: "data"},
		why: "data is hexadecimal digits",
		fix: "write the encrypted bytes as standard Base64 with padding",
	}
	if inner, err := base64.StdEncoding.DecodeString(string(ct)); err == nil && len(inner) > 0 && len(inner)%blockSize == 0 {
		m.codes = append(m.codes, "encoding-twice")
		m.why = "data is the Base64, written in hexadecimal digits once more"
		r.fail(m)
		return inner, true
	}
	r.fail(m)
	return ct, true
}

// encodedTwice undoes Base64 of Base64, or of hexadecimal digits.
func (r *run) encodedTwice(ct []byte) ([]byte, bool) {
	inner := ct
	for range 3 {
		text := withoutSpace(string(inner))
		if u, err := url.PathUnescape(text); err == nil && u != text {
			text = u // percent-encoded between the two
		}
		if len(text) < 22 {
			return nil, false
		}
		m := mistake{
			step: StepBase64, codes: []Code{"encoding-twice"}, at: At{In: "body", Member: "data"},
			why: "data was encoded as Base64 twice",
			fix: "encode once: many libraries return Base64 already",
		}
		if isHex(text) && len(text)%32 == 0 {
			if b, err := hex.DecodeString(text); err == nil {
				m.codes = []Code{"encoding-hex", "encoding-twice"}
				m.why = "data is the Base64 of hexadecimal digits"
				m.fix = "encode the bytes that the cipher returns, not their hexadecimal text"
				r.fail(m)
				return b, true
			}
		}
		b, ok := decodeAnyBase64(text)
		if !ok {
			return nil, false
		}
		inner = b
		if len(inner) > 0 && !isBase64Text(inner) {
			r.fail(m)
			return inner, true
		}
	}
	return nil, false
}

func isBase64Text(b []byte) bool {
	_, ok := decodeAnyBase64(withoutSpace(string(b)))
	return ok && len(b) >= 16
}

// plainData recognises data that was not encrypted. ct is nil if data is not
// Base64.
func (r *run) plainData(data string, ct []byte) bool {
	m := mistake{
		step: StepBase64, codes: []Code{"not-encrypted"}, at: At{In: "body", Member: "data"},
		fix: "encrypt the JSON text with AES-128 in ECB mode, then write the Base64 of it",
	}
	text := string(ct)
	if ct == nil {
		text = data
		m.why = "data is the plain text itself: it was not encrypted"
	} else {
		m.why = "data is the Base64 of the plain text: it was not encrypted"
	}
	trimmed := strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if u, err := url.PathUnescape(trimmed); err == nil && strings.HasPrefix(u, "{") {
		trimmed = u
	}
	switch {
	case strings.HasPrefix(trimmed, "{") && (strings.Contains(trimmed, `"`) || strings.Contains(trimmed, "'") || strings.Contains(trimmed, "=")) && utf8.ValidString(trimmed):
	case ct != nil && readableText(ct) && strings.ContainsAny(trimmed, "={<&") && !isBase64Text(ct):
	case ct == nil && formStart.MatchString(trimmed) && strings.Contains(trimmed, "&"):
	default:
		return false
	}
	if ct == nil {
		m.codes = append(m.codes, "bad-base64")
	}
	r.fail(m)
	return true
}

// readableText reports whether b is text through and through.
func readableText(b []byte) bool {
	if len(b) < 8 || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// badBase64 says why data is not Base64, and returns the bytes that the repair
// gives, or nil.
func (r *run) badBase64(data, compact string) ([]byte, mistake) {
	m := mistake{
		step: StepBase64, codes: []Code{"bad-base64"}, at: At{In: "body", Member: "data"},
		fix: "write standard Base64 (A-Z a-z 0-9 + /) with padding",
	}
	bad := strings.IndexFunc(compact, func(c rune) bool {
		return c > 0x7f || !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", c)
	})
	if bad >= 0 {
		c, _ := utf8.DecodeRuneInString(compact[bad:])
		at := strings.IndexRune(data, c)
		m.at = offset("data", at)
		m.at.Member = "data"
		m.why = fmt.Sprintf("%s at offset %d of data is no letter of Base64", charName(c), at)
	}
	decoded := func(s string) []byte {
		b, ok := decodeAnyBase64(s)
		if !ok {
			return nil
		}
		return b
	}
	if bad >= 0 {
		rest := compact[bad:]
		switch urlSafe := strings.Trim(compact, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=") == ""; {
		case urlSafe:
			m.why = fmt.Sprintf("data is written in the URL-safe alphabet of Base64 (%q at offset %d)", rest[0], *m.at.Offset)
			m.fix = "use the standard alphabet (+ and /), with padding"
			return decoded(compact), m
		case percentOctet.MatchString(rest):
			m.codes = append(m.codes, "transport-form")
			m.why = fmt.Sprintf("data is percent-encoded (%% at offset %d)", *m.at.Offset)
			m.fix = "percent-encoding belongs into URLs and forms; in JSON the Base64 stands as it is"
			s := compact
			for range 4 {
				u, err := url.PathUnescape(s)
				if err != nil || u == s {
					break
				}
				s = u
			}
			return decoded(withoutSpace(s)), m
		case rest[0] == '\\':
			m.codes = append(m.codes, "transport-json-string")
			m.why = fmt.Sprintf("a backslash stands in data at offset %d: the text was escaped twice", *m.at.Offset)
			m.fix = "let the JSON library escape, once"
			s := compact
			for range 3 {
				s = strings.NewReplacer(`\\`, `\`, `\/`, "/", `\n`, "", `\r`, "", `\u003d`, "=", `\u003D`, "=", `\u002b`, "+", `\u002B`, "+", `\u002f`, "/", `\u002F`, "/").Replace(s)
			}
			return decoded(s), m
		case rest[0] == '&' && strings.Contains(rest, ";"):
			m.codes = append(m.codes, "transport-html")
			m.why = fmt.Sprintf("data was escaped for HTML (& at offset %d)", *m.at.Offset)
			m.fix = "write the Base64 as it is"
			return decoded(withoutSpace(html.UnescapeString(compact))), m
		case strings.Contains(rest, "...") || strings.Contains(rest, "…") || strings.Contains(rest, "***") || strings.Contains(rest, "•") || strings.HasPrefix(rest, "["):
			m.why = "data is shortened or masked, as a log does it"
			m.fix = "take the message from the wire; a log that hides parts of it is no help here"
			return nil, m
		case strings.HasPrefix(data, "data:"):
			m.why = "data begins as a data URL"
			m.fix = "write the Base64 alone"
			if _, b, ok := strings.Cut(compact, "base64,"); ok {
				return decoded(b), m
			}
			return nil, m
		case strings.HasPrefix(data, "-----BEGIN"):
			m.why = "data is wrapped as PEM"
			return nil, m
		case strings.HasPrefix(compact, "b'") || strings.HasPrefix(compact, `b"`):
			m.why = "data is how Python shows bytes (b'…'), not the text"
			m.fix = "decode the bytes: base64.b64encode(…).decode()"
			return decoded(strings.Trim(compact[1:], `'"`)), m
		}
		// Anything else: the letters that remain may still tell more.
		kept := strings.Map(func(c rune) rune {
			if c < 0x80 && strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c) {
				return c
			}
			return -1
		}, compact)
		if b := decoded(kept); b != nil && len(b)%blockSize == 0 && r.readable(b) {
			return b, m
		}
		return nil, m
	}

	letters := strings.TrimRight(compact, "=")
	padding := len(compact) - len(letters)
	raw := decoded(compact)
	m.at = offset("data", len(data))
	m.at.Member = "data"
	switch {
	case strings.Contains(letters, "="):
		i := strings.IndexByte(data, '=')
		m.at = offset("data", i)
		m.at.Member = "data"
		m.why = fmt.Sprintf("a padding sign (=) stands in the middle of data, at offset %d: pieces were encoded one by one and joined", i)
		m.fix = "encode all bytes at once"
		var joined []byte
		for piece := range strings.SplitSeq(letters, "=") {
			if piece == "" {
				continue
			}
			b := decoded(piece)
			if b == nil {
				return nil, m
			}
			joined = append(joined, b...)
		}
		return joined, m
	case len(letters)%4 == 1:
		m.codes = append(m.codes, "bad-length")
		m.why = fmt.Sprintf("data ends in the middle: %d letters are no Base64", len(letters))
		m.fix = cutFix
		return decoded(letters[:len(letters)-1]), m
	case raw != nil && len(raw)%blockSize == 0 && padding == 0:
		m.why = "the padding (=) of the Base64 is missing"
		m.fix = "use an encoder that writes padding"
	case raw != nil && len(raw)%blockSize == 0:
		m.why = fmt.Sprintf("the Base64 ends with %d padding signs; %d are right", padding, (4-len(letters)%4)%4)
		m.fix = "write as many = as fill four characters"
	default:
		m.codes = append(m.codes, "bad-length")
		m.why = fmt.Sprintf("data ends in the middle: its %d letters are neither whole Base64 nor whole blocks", len(letters))
		m.fix = cutFix
	}
	return raw, m
}

const cutFix = "look for a column, a buffer or a proxy that cuts long texts"

// wholeBlocks checks the length. What is not a whole number of blocks may be
// another cipher, or cut.
func (r *run) wholeBlocks(ct []byte) ([]byte, bool) {
	n := len(ct)
	if n > 0 && n%blockSize == 0 {
		r.pass(StepLength, "%d blocks", n/blockSize)
		return ct, true
	}
	if r.outer.merchant == "" || len(r.x.keysOf(r.outer.merchant)) > 0 {
		if o := r.otherCipher(ct, true); o != nil {
			o.report(r, "bad-length")
			r.opened = o
			return nil, true
		}
	}
	m := mistake{
		step: StepLength, codes: []Code{"bad-length"}, at: At{In: "body", Member: "data"},
		why: fmt.Sprintf("data holds %d bytes, %d short of %d cipher blocks of 16", n, blockSize-n%blockSize, n/blockSize+1),
		fix: cutFix,
	}
	if n == 0 {
		m.why = "data holds no bytes"
		r.fail(m)
		return nil, false
	}
	m.at.Blocks = n/blockSize + 1
	if where := r.whereCut(ct); where != "" {
		m.why += ": " + where
	}
	r.fail(m)
	return nil, false
}

// whereCut says where bytes are missing, by what decrypts from either end.
func (r *run) whereCut(ct []byte) string {
	whole, rest := len(ct)/blockSize, len(ct)%blockSize
	if whole == 0 {
		return ""
	}
	for _, k := range r.x.keysOf(r.outer.merchant) {
		block := honestCipher(r.outer.md5, k.Text())
		ahead := textBlocks(decryptECB(block, ct[:whole*blockSize]))
		behind := textBlocks(decryptECB(block, ct[rest:]))
		front, back := 0, 0
		for front < whole && ahead[front] {
			front++
		}
		for back < whole && behind[whole-1-back] {
			back++
		}
		switch {
		case front == whole:
			return "the end is missing"
		case back == whole:
			return "the beginning is missing"
		case front > 0 && back > 0:
			return fmt.Sprintf("something is missing in block %d, and the rest is there", front+1)
		case front > 0:
			return fmt.Sprintf("%d blocks are readable, block %d is not", front, front+1)
		}
	}
	return ""
}
