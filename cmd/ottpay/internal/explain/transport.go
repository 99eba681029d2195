package explain

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxMessage is what the kit reads at most.
const maxMessage = 1 << 20

// carrier is what a whole HTTP message says besides its body.
type carrier struct {
	method string // of a request
	status int    // of a response
	header http.Header
}

// unwrap takes the envelope out of what carries it. Containers that people
// paste (an HTTP message, a curl command) are no mistake; what was done to the
// body is.
func (r *run) unwrap(input []byte) []byte {
	body := input
	for range 8 { // containers nest, and not deeply
		next, changed := r.unwrapOnce(body)
		if !changed {
			return body
		}
		if len(next) > maxMessage {
			next = next[:maxMessage+1]
		}
		body = next
	}
	return body
}

func (r *run) unwrapOnce(b []byte) ([]byte, bool) {
	for _, layer := range []func([]byte) ([]byte, bool){
		r.compressed, r.byteOrderMark, r.httpMessage, r.curl, r.page, r.chunked, r.base64Body, r.form, r.jsonString, r.pastedLines, r.wrapped,
	} {
		if next, changed := layer(b); changed {
			return next, true
		}
	}
	return nil, false
}

// compressed undoes gzip and zlib.
func (r *run) compressed(b []byte) ([]byte, bool) {
	plain, name := inflate(b)
	if name == "" {
		return nil, false
	}
	r.fail(mistake{
		step: StepTransport, codes: []Code{"transport-gzip"}, at: offset("body", 0),
		why: "the body is compressed (" + name + "), and nothing in front has decompressed it",
		fix: "send it uncompressed, or let the proxy in front decompress request bodies; the gateway and the kit read plain JSON",
	})
	if plain == nil {
		return nil, false
	}
	return plain, true
}

// inflate returns what b holds compressed and the name of the format, and no
// bytes if it is damaged.
func inflate(b []byte) (plain []byte, name string) {
	read := func(r io.Reader, err error) []byte {
		if err != nil {
			return nil
		}
		out, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
		if err != nil {
			return nil
		}
		return out
	}
	switch {
	case len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, "gzip"
		}
		z.Multistream(false) // padding may follow
		return read(z, nil), "gzip"
	case len(b) > 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (int(b[0])<<8|int(b[1]))%31 == 0 && !utf8.Valid(b):
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, ""
		}
		if out := read(z, nil); out != nil {
			return out, "zlib"
		}
	case len(b) > 4 && b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd:
		return nil, "zstd"
	case len(b) > 16 && !utf8.Valid(b):
		if out := read(flate.NewReader(bytes.NewReader(b)), nil); len(out) > 0 && bytes.HasPrefix(bytes.TrimSpace(out), []byte("{")) {
			return out, "deflate"
		}
	}
	return nil, ""
}

// byteOrderMark takes marks off, and reads UTF-16.
func (r *run) byteOrderMark(b []byte) ([]byte, bool) {
	m := mistake{
		step: StepTransport, codes: []Code{"transport-bom"}, at: offset("body", 0),
		fix: "write the body as UTF-8 without a byte order mark",
	}
	switch {
	case bytes.HasPrefix(b, []byte("\ufeff")):
		m.why = "a UTF-8 byte order mark stands in front of the JSON"
		r.fail(m)
		return b[3:], true
	case bytes.HasPrefix(b, []byte("ï»¿")):
		m.why = "a byte order mark stands in front of the JSON, and was taken for Latin-1 text on the way"
		r.fail(m)
		return bytes.TrimPrefix(b, []byte("ï»¿")), true
	}
	little, marked := false, true
	switch {
	case len(b) >= 4 && b[0] == 0xff && b[1] == 0xfe:
		b, little = b[2:], true
	case len(b) >= 4 && b[0] == 0xfe && b[1] == 0xff:
		b = b[2:]
	case len(b) >= 8 && len(b)%2 == 0 && b[0] != 0 && b[1] == 0 && b[3] == 0 && b[5] == 0:
		little, marked = true, false
	case len(b) >= 8 && len(b)%2 == 0 && b[0] == 0 && b[1] != 0 && b[2] == 0 && b[4] == 0:
		marked = false
	default:
		return nil, false
	}
	m.codes = []Code{"transport-bom", "not-utf-8"}
	m.why = "the body is UTF-16 with a byte order mark"
	if !marked {
		m.codes = []Code{"not-utf-8", "not-json", "transport-bom"}
		m.why = "the body is UTF-16"
	}
	r.fail(m)
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		if little {
			units = append(units, uint16(b[i])|uint16(b[i+1])<<8)
		} else {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
	}
	return []byte(string(utf16.Decode(units))), true
}

var (
	httpRequestLine = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) \S+( HTTP/[0-9.]+)?\r?\n`)
	httpStatusLine  = regexp.MustCompile(`^HTTP/[0-9.]+ ([0-9]{3})[^\n]*\n`)
	httpHeaderLine  = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z-]+:[ \t]?[^\n]*\r?\n`)
)

// httpMessage takes the body out of a whole HTTP message.
func (r *run) httpMessage(b []byte) ([]byte, bool) {
	text := bytes.TrimLeft(b, " \t\r\n")
	var c carrier
	rest := text
	if m := httpRequestLine.FindSubmatch(text); m != nil {
		c.method = string(m[1])
		rest = text[len(m[0]):]
	} else if m := httpStatusLine.FindSubmatch(text); m != nil {
		c.status, _ = strconv.Atoi(string(m[1]))
		rest = text[len(m[0]):]
	} else {
		return nil, false
	}
	c.header = make(http.Header)
	for {
		m := httpHeaderLine.Find(rest)
		if m == nil {
			break
		}
		name, v, _ := strings.Cut(string(m), ":")
		c.header.Add(name, strings.TrimSpace(v))
		rest = rest[len(m):]
	}
	rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n"))
	r.carrier = c
	if strings.Contains(strings.ToLower(c.header.Get("Transfer-Encoding")), "chunked") {
		if whole, ok := dechunk(rest); ok {
			rest = whole
		}
	}
	if n, err := strconv.Atoi(c.header.Get("Content-Length")); err == nil && n > len(rest) {
		r.note("Content-Length says %d bytes, the body has %d: it was cut on the way, or when it was copied", n, len(rest))
	}
	if c.status != 0 && (c.status < 200 || c.status > 299) {
		r.note("the answer's status is %d; the kit's client believes no answer but 2xx", c.status)
	}
	if c.method != "" && c.method != http.MethodPost {
		r.note("the request is a %s; the gateway and the kit's webhook take POST alone. A redirect in front turns POST into GET", c.method)
	}
	return rest, true
}

// dechunk puts a chunked body together.
func dechunk(b []byte) ([]byte, bool) {
	var out []byte
	for {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return nil, false
		}
		size, _, _ := strings.Cut(strings.TrimSpace(string(line)), ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil || int(n) > len(rest) {
			return nil, false
		}
		if n == 0 {
			return out, true
		}
		out = append(out, rest[:n]...)
		b = bytes.TrimPrefix(bytes.TrimPrefix(rest[n:], []byte("\r")), []byte("\n"))
	}
}

var chunkLine = regexp.MustCompile(`^[0-9a-fA-F]{1,8}\r?\n`)

// chunked undoes chunk sizes that a proxy on the way took for the body.
func (r *run) chunked(b []byte) ([]byte, bool) {
	if !chunkLine.Match(b) {
		return nil, false
	}
	whole, ok := dechunk(b)
	if !ok || len(whole) == 0 {
		return nil, false
	}
	r.fail(mistake{
		step: StepTransport, codes: []Code{"not-json"}, at: offset("body", 0),
		why: "the sizes of HTTP's chunks stand in the body",
		fix: "read the body with an HTTP library; what is on the way has dropped Transfer-Encoding: chunked",
	})
	return whole, true
}

// page recognises HTML, and text that was escaped for HTML.
func (r *run) page(b []byte) ([]byte, bool) {
	text := bytes.TrimSpace(b)
	escaped := func(b []byte) bool {
		head := strings.TrimPrefix(strings.ToLower(string(b[:min(len(b), 16)])), "[")
		return strings.HasPrefix(head, "{&quot;") || strings.HasPrefix(head, "{&#34;") || strings.HasPrefix(head, "{&#x22;") ||
			strings.HasPrefix(head, "&#123;") || strings.HasPrefix(head, "&#x7b;") || strings.HasPrefix(head, "&lbrace;") ||
			strings.HasPrefix(head, "&quot;{")
	}
	switch {
	case escaped(text):
		r.fail(mistake{
			step: StepTransport, codes: []Code{"transport-html"}, at: offset("body", bytes.IndexByte(b, '&')),
			why: "the JSON was escaped for HTML: quotes became &quot;",
			fix: "write the JSON as it is; a template engine or a filter in front escapes it",
		})
		return []byte(html.UnescapeString(string(text))), true
	case len(text) == 0 || text[0] != '<':
		return nil, false
	}
	kind := "a page (HTML)"
	if bytes.HasPrefix(text, []byte("<?xml")) || !looksLikeHTML(text) {
		kind = "XML"
	}
	m := mistake{
		step: StepTransport, codes: []Code{"transport-html"}, at: offset("body", bytes.IndexByte(b, '<')),
		why: kind + " came in place of an envelope",
		fix: "look at what it says: mostly it is the error page of a proxy, a firewall, a login or a script",
	}
	// A warning of PHP, or markup around the JSON.
	if i := bytes.IndexByte(text, '{'); i > 0 {
		if inner, ok := envelopeIn(html.UnescapeString(string(text[i:]))); ok {
			m.why = kind + " stands around the envelope"
			m.fix = "print nothing but the JSON; a warning of a script, or markup, got into the body"
			r.fail(m)
			return inner, true
		}
	}
	r.fail(m)
	r.stop = true
	return nil, false
}

func looksLikeHTML(text []byte) bool {
	head := strings.ToLower(string(text[:min(len(text), 512)]))
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body", "<br", "<b>", "<p>", "<p ", "<pre", "<div", "<h1", "<script", "<center", "<title", "<!--", "<font", "<table", "<span"} {
		if strings.Contains(head, tag) {
			return true
		}
	}
	return false
}

// envelopeIn returns the JSON object at the start of text if it looks like an
// envelope.
func envelopeIn(text string) ([]byte, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	var raw json.RawMessage
	if d.Decode(&raw) != nil || !looksLikeEnvelope(raw) {
		return nil, false
	}
	return raw, true
}

// looksLikeEnvelope reports whether text is an object with the names of an
// envelope.
func looksLikeEnvelope(text []byte) bool {
	v, bad := parseJSON(bytes.TrimSpace(text))
	if bad != nil && v.kind != 'o' {
		return false
	}
	_, data := v.member("data")
	_, md5 := v.member("md5")
	_, code := v.member("rsp_code")
	_, action := v.member("action")
	return v.kind == 'o' && (data && md5 || code || action && (data || md5))
}

var (
	formStart      = regexp.MustCompile(`^[A-Za-z_][0-9A-Za-z_.\[\]%-]*=`)
	percentJSON    = regexp.MustCompile(`^(%(25)*(7[bB]|5[bB]|22%(25)*7[bB])|(%(25)*(20|0[dDaA])|\+)+%(25)*7[bB])`)
	percentOctet   = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	multipartStart = regexp.MustCompile(`(?i)^--[^\r\n]+\r?\n(content-[a-z-]+:[^\n]*\n)*content-disposition:\s*form-data`)
)

// form undoes form encodings.
func (r *run) form(b []byte) ([]byte, bool) {
	text := strings.TrimSpace(string(b))
	m := mistake{
		step: StepTransport, codes: []Code{"transport-form"}, at: offset("body", 0),
		fix: "send the JSON itself as the body, with Content-Type: application/json",
	}
	switch {
	case multipartStart.MatchString(text):
		m.why = "the body is a multipart form"
		r.fail(m)
		return multipartForm(text)
	case percentJSON.MatchString(text):
		m.why = "the whole JSON is percent-encoded"
		r.fail(m)
		return formJSON(text)
	case strings.HasPrefix(text, "{") && strings.HasSuffix(text, "="):
		if inner := strings.TrimRight(text, "="); looksLikeEnvelope([]byte(inner)) {
			m.why = "the JSON was sent as the name of a form field: an equals sign follows it"
			m.at = offset("body", bytes.LastIndexByte(b, '='))
			r.fail(m)
			return []byte(inner), true
		}
	case strings.HasPrefix(text, "{%22"), strings.HasPrefix(text, `{"`) && strings.HasPrefix(strings.TrimLeft(text[2:], "abcdefghijklmnopqrstuvwxyz_015"), "%22"):
		m.why = "the JSON is percent-encoded"
		r.fail(m)
		return formJSON(text)
	case formStart.MatchString(text) && !strings.ContainsAny(text, "\n\"{ "), formStart.MatchString(text) && formHoldsEnvelope(text):
		m.why = "the body is a form (name=value&…)"
		r.fail(m)
		return formFields(text)
	}
	return nil, false
}

// formJSON decodes percent-encoding until nothing changes.
func formJSON(text string) ([]byte, bool) {
	for range 4 {
		decode := url.QueryUnescape
		if strings.ContainsAny(text, "{\"") {
			decode = url.PathUnescape // a plus sign stands for itself
		}
		next, err := decode(text)
		if err != nil || next == text {
			break
		}
		text = next
		if strings.HasPrefix(strings.TrimSpace(text), "{") && !strings.Contains(text, "%22") {
			break
		}
	}
	return []byte(strings.TrimRight(text, "=&")), true
}

func formHoldsEnvelope(text string) bool {
	fields := formValues(text)
	_, data := fields["data"]
	_, md5 := fields["md5"]
	if data && md5 {
		return true
	}
	for _, v := range fields {
		if looksLikeEnvelope([]byte(v)) {
			return true
		}
	}
	return false
}

// formValues reads a form without turning plus signs into blanks where the
// sender has not encoded at all.
func formValues(text string) map[string]string {
	fields := make(map[string]string)
	for part := range strings.SplitSeq(text, "&") {
		name, v, _ := strings.Cut(part, "=")
		decode := url.QueryUnescape
		if !percentOctet.MatchString(v) {
			decode = url.PathUnescape
		}
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		if d, err := decode(v); err == nil {
			v = d
		}
		if _, twice := fields[name]; !twice {
			fields[name] = v
		}
	}
	return fields
}

// formFields makes an envelope of a form's fields.
func formFields(text string) ([]byte, bool) {
	return fieldsJSON(formValues(text))
}

func fieldsJSON(fields map[string]string) ([]byte, bool) {
	for _, v := range fields {
		if looksLikeEnvelope([]byte(v)) {
			return []byte(v), true
		}
		if _, err := base64.StdEncoding.DecodeString(v); err == nil && len(v) > 40 && fields["md5"] == "" {
			if inner, _ := base64.StdEncoding.DecodeString(v); looksLikeEnvelope(inner) {
				return inner, true
			}
		}
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		key, _ := json.Marshal(name)
		v, _ := json.Marshal(fields[name])
		out = append(append(append(out, key...), ':'), v...)
	}
	return append(out, '}'), true
}

func multipartForm(text string) ([]byte, bool) {
	first, _, _ := strings.Cut(text, "\n")
	boundary := strings.TrimPrefix(strings.TrimRight(first, "\r"), "--")
	if !strings.Contains(first, "\r") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	reader := multipart.NewReader(strings.NewReader(text), boundary)
	fields := make(map[string]string)
	for {
		part, err := reader.NextPart()
		if err != nil {
			break
		}
		v, err := io.ReadAll(io.LimitReader(part, maxMessage))
		if err != nil {
			break
		}
		fields[part.FormName()] = string(v)
	}
	if len(fields) == 0 {
		return nil, false
	}
	return fieldsJSON(fields)
}

// jsonString undoes JSON inside of a JSON string.
func (r *run) jsonString(b []byte) ([]byte, bool) {
	text := bytes.TrimSpace(b)
	m := mistake{
		step: StepTransport, codes: []Code{"transport-json-string"}, at: offset("body", 0),
		why: "the JSON stands inside of a JSON string: it was encoded twice",
		fix: "encode the object once, and send the result as it is",
	}
	if len(text) > 0 && text[0] == '"' {
		v, bad := parseJSON(text)
		if bad != nil && v.kind != 's' {
			return nil, false
		}
		r.fail(m)
		return []byte(v.text), true
	}
	if bytes.HasPrefix(text, []byte(`{\`)) && bytes.Contains(text, []byte(`\"`)) {
		quoted := append(append([]byte{'"'}, text...), '"')
		if v, bad := parseJSON(quoted); bad == nil {
			m.why = "the JSON is escaped as if it stood inside of a JSON string"
			r.fail(m)
			return []byte(v.text), true
		}
	}
	// What a shell or a debugger prints around a string.
	for _, quote := range []string{"'", "b'", "`"} {
		if inner, ok := bytes.CutPrefix(text, []byte(quote)); ok {
			inner = bytes.TrimSuffix(inner, []byte(quote[len(quote)-1:]))
			if looksLikeEnvelope(inner) {
				m.codes = []Code{"not-json", "transport-json-string"}
				m.step = StepJSON
				m.why = "the JSON stands in single quotes, which became a part of the body"
				m.fix = "take the quotes off; cmd.exe does not, and b'…' is how Python shows bytes"
				r.fail(m)
				return inner, true
			}
		}
	}
	return nil, false
}

// base64Body undoes Base64, or hexadecimal digits, of the whole body.
func (r *run) base64Body(b []byte) ([]byte, bool) {
	compact := strings.Join(strings.Fields(string(b)), "")
	if len(compact) < 24 || strings.ContainsAny(compact, "{}\":") {
		return nil, false
	}
	if isHex(compact) && len(compact)%2 == 0 {
		if inner, err := hex.DecodeString(compact); err == nil && plausibleBody(inner) {
			r.fail(mistake{
				step: StepTransport, codes: []Code{"not-json", "encoding-hex"}, at: offset("body", 0),
				why: "the whole body is hexadecimal digits",
				fix: "send the JSON as it is",
			})
			return inner, true
		}
	}
	inner, ok := decodeAnyBase64(compact)
	if !ok {
		return nil, false
	}
	m := mistake{
		step: StepTransport, codes: []Code{"transport-base64"}, at: offset("body", 0),
		why: "the whole body is Base64; the vendor's page says so, and the gateway does not do it",
		fix: "send plain JSON: only the member data is Base64",
	}
	if plausibleBody(inner) {
		r.fail(m)
		return inner, true
	}
	m.codes = []Code{"not-json", "no-md5"}
	m.step = StepJSON
	m.why = "the body is Base64, and no envelope stands in it: it looks like the data of an envelope alone"
	m.fix = "pass the whole envelope, or data and md5 together as JSON"
	r.fail(m)
	r.stop = true
	return nil, false
}

// plausibleBody reports whether b may carry an envelope.
func plausibleBody(b []byte) bool {
	text := bytes.TrimSpace(b)
	if len(text) == 0 {
		return false
	}
	if _, name := inflate(b); name != "" && name != "deflate" {
		return true
	}
	if !utf8.Valid(text) {
		return false
	}
	if _, again := decodeAnyBase64(string(text)); again && len(text) > 24 {
		return true
	}
	return bytes.IndexByte([]byte("{\"[%<\xef"), text[0]) >= 0 || formStart.Match(text)
}

// decodeAnyBase64 decodes either alphabet, with or without padding.
func decodeAnyBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return nil, false
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil
}

var pastedLine = regexp.MustCompile(`(?im)^\s*"?(data|md5|merchant_id|action|version|rsp_code|rsp_msg)"?\s*[:=]\s*"?([^"\r\n]*?)"?,?\s*$`)

// pastedLines reads "data: …" and "md5: …" on lines of their own, as people
// copy them from a log. It is no mistake of the sender.
func (r *run) pastedLines(b []byte) ([]byte, bool) {
	text := string(b)
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, false
	}
	fields := make(map[string]string)
	for _, m := range pastedLine.FindAllStringSubmatch(text, -1) {
		fields[strings.ToLower(m[1])] = m[2]
	}
	if fields["data"] == "" || fields["md5"] == "" {
		return nil, false
	}
	return fieldsJSON(fields)
}

// wrapped finds an envelope that is the value of a member.
func (r *run) wrapped(b []byte) ([]byte, bool) {
	v, bad := parseJSON(bytes.TrimSpace(b))
	if bad != nil {
		return nil, false
	}
	if v.kind == 'a' && len(v.items) == 1 {
		inner := bytes.TrimSpace(b)[v.items[0].at:v.items[0].end]
		if looksLikeEnvelope(inner) {
			r.fail(mistake{
				step: StepJSON, codes: []Code{"not-an-object"}, at: offset("body", 0),
				why: "the envelope stands in an array",
				fix: "send the object itself",
			})
			return inner, true
		}
	}
	if v.kind != 'o' || looksLikeEnvelope(b) && !envelopeInData(v) {
		return nil, false
	}
	for _, p := range v.members {
		var inner []byte
		switch p.value.kind {
		case 's':
			inner = []byte(p.value.text)
			if isEncoded, ok := v.member("isBase64Encoded"); ok && isEncoded.kind == 't' {
				if d, ok := decodeAnyBase64(p.value.text); ok {
					inner = d
				}
			}
		case 'o':
			inner = bytes.TrimSpace(b)[p.value.at:p.value.end]
		}
		if len(inner) == 0 || !looksLikeEnvelope(inner) {
			continue
		}
		codes := []Code{"transport-json-string", "no-data"}
		why := fmt.Sprintf("the envelope stands as a string in the member %s of another object", printableName(p.name))
		if p.value.kind == 'o' {
			why = fmt.Sprintf("the envelope stands in the member %s of another object", printableName(p.name))
		}
		if p.name == "data" {
			codes = []Code{"transport-json-string", "member-type"}
		}
		r.fail(mistake{
			step: StepTransport, codes: codes, at: At{In: "body", Member: printableName(p.name)},
			why: why,
			fix: "hand on the value of that member alone: an API gateway, a queue or a log wraps bodies so",
		})
		return inner, true
	}
	return nil, false
}

// envelopeInData reports whether the member data is itself an envelope.
func envelopeInData(v value) bool {
	d, ok := v.member("data")
	if !ok {
		return false
	}
	if d.kind == 's' {
		return looksLikeEnvelope([]byte(d.text)) && strings.HasPrefix(strings.TrimSpace(d.text), "{")
	}
	_, data := d.member("data")
	_, md5 := d.member("md5")
	return data && md5
}

// contentType notes a type that is none of JSON's.
func (r *run) contentType() {
	t := r.carrier.header.Get("Content-Type")
	if t == "" {
		return
	}
	if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
		r.note("the Content-Type is not application/json; the kit reads the body all the same, other receivers may not")
	}
}
