package explain

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// readPlaintext reads what was encrypted. It returns the object if there is
// one, though a mistake may have been reported.
func (r *run) readPlaintext(o *opening) (value, bool) {
	text := o.plain
	m := mistake{step: StepPlaintext, codes: []Code{"plaintext"}}
	if wideText(text) || bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		m.codes = append(m.codes, "not-utf-8")
		m.why = "the plaintext is UTF-16"
		m.fix = "encrypt the bytes of the text in UTF-8"
		r.fail(m)
		return value{}, false
	}
	if compressedText(text) {
		m.why = "the plaintext is compressed"
		m.fix = "encrypt the JSON as it is"
		r.fail(m)
		return value{}, false
	}
	if rest, ok := bytes.CutPrefix(text, []byte("\ufeff")); ok {
		m.codes = append(m.codes, "transport-bom")
		m.at = offset("plaintext", 0)
		m.why = "a byte order mark stands in front of the plaintext"
		m.fix = "encrypt the text without it"
		r.fail(m)
		text = rest
	}
	if !utf8.Valid(text) {
		return r.notUTF8(o, text)
	}
	object, bad := parseJSON(text)
	switch {
	case bad == nil && object.kind == 's':
		m.codes = append(m.codes, "transport-json-string")
		m.why = "the plaintext is a JSON string that holds the object: it was encoded twice"
		m.fix = "encode the object once"
		r.fail(m)
		if object, bad = parseJSON([]byte(object.text)); bad != nil || object.kind != 'o' {
			return value{}, false
		}
	case bad == nil && object.kind != 'o':
		m.codes = append(m.codes, "not-an-object")
		m.why = fmt.Sprintf("the plaintext is a JSON %s in place of an object", kindName(object.kind))
		m.fix = "encrypt one JSON object"
		r.fail(m)
		return value{}, false
	case bad != nil:
		return r.badPlaintext(o, text, object, bad)
	}
	o.payload = text
	r.pass(StepPlaintext, "JSON of %s", plural(len(object.members), "member"))
	return object, true
}

// badPlaintext says what a plaintext is that is not strict JSON.
func (r *run) badPlaintext(o *opening, text []byte, object value, bad *badJSON) (value, bool) {
	m := mistake{
		step: StepPlaintext, codes: []Code{"plaintext"}, at: place("plaintext", text, bad.offset),
		why: "the plaintext is not strict JSON: " + bad.what,
		fix: "write it with a JSON library",
	}
	if bad.name != "" && bad.word != "not-utf-8" {
		m.at.Member = printableName(bad.name)
	}
	trimmed := strings.TrimSpace(string(text))
	decoded := func(what string, codes ...Code) (value, bool) {
		m.at = At{}
		m.codes = append(m.codes, codes...)
		m.why = "the plaintext is " + what
		m.fix = "encrypt the JSON object itself"
		r.fail(m)
		return value{}, false
	}
	switch bad.word {
	case "duplicate-name":
		m.codes = append(m.codes, bad.word)
		m.at = At{In: "plaintext", Offset: m.at.Offset, Member: printableName(bad.name)}
		m.why = "the name " + printableName(bad.name) + " stands twice in the plaintext"
		m.fix = "write each member once"
		r.fail(m)
		return value{}, false
	case "trailing-bytes":
		m.codes = append(m.codes, bad.word)
		m.why = "after the JSON object of the plaintext " + bad.what
		rest := strings.TrimRight(string(text[bad.offset:]), " \r\n\t")
		if strings.Trim(rest, "\x00") == "" || strings.TrimFunc(rest, func(c rune) bool { return c < 0x20 }) == "" {
			m.codes = append([]Code{"padding-kind"}, m.codes...)
			m.step = StepPadding
			m.why = "control characters stand behind the JSON: the plaintext was padded by hand, and again by the library"
			m.fix = "leave the padding to the library"
		}
		r.fail(m)
		if object.kind == 'o' {
			o.payload = text[object.at:object.end]
			again, bad := parseJSON(o.payload)
			return again, bad == nil
		}
		return value{}, false
	case "too-deep":
		m.codes = append(m.codes, bad.word)
	case "number-range":
		m.codes = append(m.codes, bad.word)
		m.why = "the plaintext holds " + bad.what
		m.fix = "write it as a string"
		r.fail(m)
		return value{}, false
	}
	switch {
	case trimmed == "":
		return decoded("empty")
	case strings.HasPrefix(trimmed, "<"):
		return decoded("XML or HTML")
	case percentJSON.MatchString(trimmed):
		return decoded("percent-encoded JSON", "transport-form")
	case formStart.MatchString(trimmed) && !strings.HasPrefix(trimmed, "{"):
		return decoded("a form (name=value&…) in place of JSON", "transport-form")
	case strings.HasPrefix(html.UnescapeString(trimmed), `{"`) && !strings.HasPrefix(trimmed, `{"`):
		return decoded("escaped for HTML", "transport-html")
	case strings.HasPrefix(trimmed, `{\"`):
		return decoded("escaped as if it stood inside of a JSON string", "transport-json-string")
	}
	if b, err := base64.StdEncoding.DecodeString(withoutSpace(trimmed)); err == nil && bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return decoded("the Base64 of the JSON", "encoding-twice")
	}
	if u, err := url.QueryUnescape(trimmed); err == nil && strings.HasPrefix(u, `{"`) && !strings.HasPrefix(trimmed, `{"`) {
		return decoded("percent-encoded JSON", "transport-form")
	}
	if strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed[:min(40, len(trimmed))], "=") && !strings.Contains(trimmed[:min(40, len(trimmed))], `"`) {
		return decoded("how a map is printed ({name=value, …})")
	}
	if bad.offset >= len(bytes.TrimRight(text, " \t\r\n")) {
		m.why = "the plaintext ends in the middle: " + bad.what
		m.fix = "it was cut before it was encrypted: look for the length of a column or a buffer"
	}
	r.fail(m)
	return value{}, false
}

// notUTF8 reports text in another encoding.
func (r *run) notUTF8(o *opening, text []byte) (value, bool) {
	at := invalidUTF8(text)
	m := mistake{
		step: StepPlaintext, codes: []Code{"plaintext", "not-utf-8"}, at: place("plaintext", text, at),
		why: "the plaintext is not UTF-8: " + guessEncoding(text),
		fix: "encrypt the bytes of the text in UTF-8: getBytes(StandardCharsets.UTF_8), mb_convert_encoding, .encode('utf-8')",
	}
	object, sure := r.inEncoding(text, narrowEncodings())
	if !sure && o.ecb {
		m.codes = append(m.codes, "altered-data")
	}
	r.fail(m)
	_ = object
	return value{}, false
}

// inEncoding reads text in the encodings that senders use by mistake. It is
// sure if the digest fits.
func (r *run) inEncoding(text []byte, encodings []narrowEncoding) (value, bool) {
	var last value
	if !bytes.ContainsFunc(text, func(c rune) bool { return c > 0x7e }) {
		return last, false // ASCII is the same in all of them
	}
	for _, e := range encodings {
		decoded, ok := e.decode(text)
		if !ok {
			continue
		}
		object, bad := parseJSON([]byte(decoded))
		if bad != nil || object.kind != 'o' {
			continue
		}
		last = object
		for _, form := range acceptedForms() {
			joinedText := joined(object, form)
			if md5Is(joinedText, r.outer.md5) {
				return object, true
			}
			if encoded, ok := e.encode(joinedText); ok && md5Is(encoded, r.outer.md5) {
				return object, true
			}
		}
	}
	return last, false
}

// guessEncoding says where bytes stop being UTF-8, and what they may be.
func guessEncoding(b []byte) string {
	at := invalidUTF8(b)
	pairs, lone := 0, 0
	for i := 0; i < len(b); i++ {
		if b[i] < 0x80 {
			continue
		}
		if i+1 < len(b) && gbkTail(b[i+1]) && commonGBK(b[i], b[i+1]) {
			pairs++
			i++
			continue
		}
		lone++
	}
	where := "byte " + strconv.Itoa(at)
	switch {
	case at == len(b):
		return "UTF-8 throughout"
	case pairs > 0 && lone == 0:
		return where + " begins a character of GBK, as it seems"
	case lone > 0 && pairs <= lone:
		return fmt.Sprintf("%s (%#02x) may be Latin-1 or Windows-1252", where, b[at])
	}
	return fmt.Sprintf("%s (%#02x) is no character", where, b[at])
}
