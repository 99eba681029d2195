package explain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Key is a sign key that messages may be sealed with.
type Key struct {
	// Merchant is whose key it is; "" if it serves every merchant.
	Merchant string
	// From says where the key was found, such as OTTPAY_SIGN_KEY.
	From string
	// Text returns the key. It is a function so that no formatting shows it.
	Text func() string
}

// Config is what New makes an Explainer from.
type Config struct {
	// Keys are tried in their order. Without any, an explanation ends where a
	// key is needed.
	Keys []Key
}

// Explainer explains messages. It is safe for concurrent use.
type Explainer struct {
	keys []namedKey
}

type namedKey struct {
	Key
	key   envelope.Key
	index int // from one, among the keys of its merchant
	of    int
}

// New returns an Explainer, or an error if a key cannot be one.
func New(cfg Config) (*Explainer, error) {
	x := &Explainer{}
	count := make(map[string]int)
	for _, k := range cfg.Keys {
		if k.Text == nil {
			return nil, errors.New("explain: a key without its text")
		}
		key, err := envelope.NewKey(k.Text())
		if err != nil {
			return nil, fmt.Errorf("explain: %s: %w", k.From, err)
		}
		count[k.Merchant]++
		x.keys = append(x.keys, namedKey{Key: k, key: key, index: count[k.Merchant]})
	}
	for i := range x.keys {
		x.keys[i].of = count[x.keys[i].Merchant]
	}
	return x, nil
}

// Options say how one message is explained. The zero value asks for nothing
// special.
type Options struct {
	// Kind is what the message is meant to be. If empty, it is told by its
	// members.
	Kind Kind
	// Against is the plaintext that was meant to be sealed, as JSON; optional.
	Against []byte
	// Redact leaves out every value: names and lengths remain.
	Redact bool
}

// run is the explanation of one message.
type run struct {
	*Explanation
	x    *Explainer
	opt  Options
	stop bool // nothing more can be said

	carrier carrier
	wire    []byte // the body as it arrived: what the kit would be given

	body   []byte // after the transport was undone
	outer  outerObject
	opened *opening
}

// Explain explains a message: an envelope, data and md5 alone, a whole HTTP
// message, a curl command or a form body.
func (x *Explainer) Explain(message []byte, opt Options) *Explanation {
	r := &run{Explanation: &Explanation{V: 1, Type: "explanation"}, x: x, opt: opt, wire: message}
	r.explain(message)
	r.OK = r.Code == ""
	r.answers()
	r.hideKeys()
	return r.Explanation
}

func (r *run) explain(message []byte) {
	if len(message) > 4*maxMessage {
		r.tooLarge(len(message))
		return
	}
	r.body = r.unwrap(message)
	r.contentType()
	if r.stop {
		return
	}
	r.pass(StepTransport, "%s", r.transportText())
	if !r.readOuter() {
		return
	}
	if !r.sealed() {
		return
	}
	r.kind()
}

func (r *run) tooLarge(n int) {
	r.fail(mistake{
		step: StepJSON, codes: []Code{"too-large"},
		why: fmt.Sprintf("the message has %d bytes; the gateway's and the kit's limit is 1 MiB, and 64 KiB for a callback", n),
		fix: "send less: no message of the gateway comes near that",
	})
}

func (r *run) transportText() string {
	switch {
	case r.carrier.method != "":
		return "body of a " + r.carrier.method + " request"
	case r.carrier.status != 0:
		return fmt.Sprintf("body of an answer with status %d", r.carrier.status)
	}
	return "plain bytes"
}

// keysOf returns the keys that serve a merchant. An envelope that names none
// may be of any.
func (x *Explainer) keysOf(merchant string) []namedKey {
	if merchant == "" {
		return x.keys
	}
	var keys []namedKey
	for _, k := range x.keys {
		if k.Merchant == merchant || k.Merchant == "" {
			keys = append(keys, k)
		}
	}
	return keys
}

func (x *Explainer) otherKeys(merchant string) []namedKey {
	var keys []namedKey
	for _, k := range x.keys {
		if merchant != "" && k.Merchant != merchant && k.Merchant != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// keyName names a key without a trace of its text.
func (r *run) keyName(k namedKey) string {
	s := fmt.Sprintf("key %d of %d", k.index, k.of)
	if r.opt.Redact {
		return s
	}
	if k.Merchant != "" {
		s += " of " + k.Merchant
	}
	if k.From != "" {
		s += ", from " + k.From
	}
	return s
}

// outerObject is what stands around the sealed object.
type outerObject struct {
	value
	data, md5       string
	dataAt          int // offset of the first character of data in the body
	merchant        string
	action, version string
	code            string
	hasAction       bool
	hasCode         bool
	bareFailure     bool // a failure that comes without data, as the gateway's do
	terminal        bool
}

// readOuter reads the object and finds data and md5.
func (r *run) readOuter() bool {
	body := r.body
	if len(body) > maxMessage {
		r.tooLarge(len(body))
		return false
	}
	v, bad := parseJSON(body)
	if bad != nil && !r.badOuter(&v, bad) {
		return false
	}
	if v.kind != 'o' {
		r.fail(mistake{
			step: StepJSON, codes: []Code{"not-an-object"}, at: place("body", body, v.at),
			why: "the body is JSON, but a " + kindName(v.kind) + " in place of an object",
			fix: "send one object with the members of an envelope",
		})
		return false
	}
	o := &r.outer
	o.value = v
	if !r.outerTypes(v) {
		return false
	}
	o.merchant, o.action, o.version, o.code = v.str("merchant_id"), v.str("action"), v.str("version"), v.str("rsp_code")
	o.data, o.md5 = v.str("data"), v.str("md5")
	_, o.hasAction = v.member("action")
	_, o.hasCode = v.member("rsp_code")
	o.terminal = v.str("terminal_no") != ""
	if d, ok := v.member("data"); ok {
		o.dataAt = d.at + 1
	}
	return r.outerSealed()
}

// str returns a member's string, or "".
func (v value) str(name string) string {
	m, ok := v.member(name)
	if !ok || m.kind != 's' {
		return ""
	}
	return m.text
}

// badOuter reports a body that is not strict JSON. It returns true if the
// object can be read all the same.
func (r *run) badOuter(v *value, bad *badJSON) bool {
	body := r.body
	m := mistake{step: StepJSON, codes: []Code{bad.word}, at: place("body", body, bad.offset), why: "the JSON breaks off: " + bad.what}
	switch text := strings.TrimSpace(string(body)); {
	case text == "":
		m.at = At{}
		m.why = "the body is empty"
		m.fix = "send the envelope as the body of a POST; a redirect on the way drops the body"
	case bad.word == "not-utf-8":
		m.why = "the body is not UTF-8: " + guessEncoding(body)
		m.fix = "write the whole body as UTF-8"
	case bad.word == "trailing-bytes":
		m.why = bad.what
		m.fix = "send one JSON object and nothing after it"
		if rest := strings.TrimSpace(string(body[bad.offset:])); strings.HasPrefix(rest, "<") {
			m.codes = append(m.codes, "transport-html")
			m.why = "markup follows the JSON object: something on the way, or a script, added it"
		} else if strings.HasPrefix(rest, "{") {
			m.why = "a second object follows the first: two bodies were joined, or one was written twice"
		} else if strings.Trim(rest, "\x00") == "" {
			m.why = "NUL bytes follow the JSON object: a buffer was sent in its whole length"
		}
	case bad.word == "duplicate-name":
		m.why = "the member " + printableName(bad.name) + " stands twice"
		m.at.Member = printableName(bad.name)
		m.fix = "write each member once"
	case bad.word == "too-deep":
		m.why = bad.what
		m.fix = "an envelope has one level"
	case bad.offset >= len(strings.TrimRight(string(body), " \t\r\n")):
		m.why = fmt.Sprintf("%s after %d bytes: the body was cut on the way", bad.what, len(body))
		m.fix = "look for a limit of the proxy in front, or a Content-Length that is too small"
	default:
		m.fix = "write the envelope with a JSON library"
		if i := strings.IndexByte(text, '{'); i > 0 && v.kind != 'o' {
			if inner, ok := envelopeIn(text[i:]); ok {
				m.why = fmt.Sprintf("%d bytes stand in front of the JSON object", i)
				m.fix = "print nothing but the JSON"
				r.fail(m)
				again, bad := parseJSON(inner)
				if bad != nil {
					return false
				}
				r.body, *v = inner, again
				return true
			}
		}
		if strings.HasPrefix(text, "{") && strings.Contains(text[:min(len(text), 40)], "=") && !strings.Contains(text[:min(len(text), 40)], `"`) {
			m.why = "this is how a map is printed ({name=value, …}), and not JSON"
		}
	}
	r.fail(m)
	return bad.word == "trailing-bytes" && v.kind == 'o'
}

// outerTypes looks at the types of the members that count.
func (r *run) outerTypes(v value) bool {
	for _, name := range r.outerNames() {
		m, ok := v.member(name)
		if !ok || m.kind == 's' || m.kind == 'z' {
			continue
		}
		f := mistake{
			step: StepJSON, codes: []Code{"member-type"}, at: place("body", r.body, m.at),
			why: fmt.Sprintf("%s is a JSON %s; it must be a string", name, kindName(m.kind)),
			fix: "write it in quotes",
		}
		f.at.Member = name
		if name == "data" && (m.kind == 'o' || m.kind == 'a') {
			f.codes = append(f.codes, "not-encrypted")
			f.why = "data is a JSON " + kindName(m.kind) + ": it was not encrypted"
			f.fix = "encrypt the JSON text of the object and write the Base64 of it (docs/protocol.md 4.1)"
		}
		r.fail(f)
		return false
	}
	return true
}

// outerNames are the members that the kit reads of this envelope.
func (r *run) outerNames() []string {
	names := []string{"data", "md5", "merchant_id"}
	if _, ok := r.outer.member("action"); ok {
		return append(names, "action", "version", "terminal_no", "operator_id")
	}
	return append(names, "rsp_code", "rsp_msg")
}

// outerSealed looks for data and md5, before data is decoded.
func (r *run) outerSealed() bool {
	o := &r.outer
	if o.data == "" {
		failed := o.hasCode && !strings.EqualFold(o.code, string(api.CodeSuccess)) && r.opt.Kind != KindCallback && r.opt.Kind != KindRequest
		if failed && !o.hasAction {
			o.bareFailure = true
			r.pass(StepJSON, "an answer without data")
			r.note("a failure may come without data and md5; nothing but TLS authenticates it")
			r.kind()
			return false
		}
		m := mistake{step: StepJSON, codes: []Code{"no-data"}, at: At{In: "body", Member: "data"}, why: "the envelope has no member data", fix: "data is the Base64 of the encrypted object, md5 its digest"}
		if _, ok := o.member("data"); ok {
			m.why = "data is empty"
		} else if near := o.misspelled("data"); near != "" {
			m.why = fmt.Sprintf("there is no data; %s is another name: names are exact", near)
		} else if o.md5 == "" && !o.hasAction && !o.hasCode {
			m.why = "this is a JSON object without the members of an envelope (data, md5)"
			if _, looks := o.member("order_id"); looks {
				m.codes = append(m.codes, "not-encrypted")
				m.why = "this is the plain object: it was not sealed, and has no data and md5"
			}
		}
		r.fail(m)
		return false
	}
	if o.md5 == "" {
		m := mistake{step: StepJSON, codes: []Code{"no-md5"}, at: At{In: "body", Member: "md5"}, why: "the envelope has no member md5", fix: "md5 is the digest of the values in data, in 32 upper-case hexadecimal digits"}
		if _, ok := o.member("md5"); ok {
			m.why = "md5 is empty"
		} else if near := o.misspelled("md5"); near != "" {
			m.why = fmt.Sprintf("there is no md5; %s is another name: names are exact", near)
		}
		r.fail(m)
		return false
	}
	if len(o.md5) == 32 && isHex(o.md5) {
		r.pass(StepJSON, "%s", r.envelopeText())
		return true
	}
	m := mistake{
		step: StepJSON, codes: []Code{"bad-md5"}, at: At{In: "body", Member: "md5"},
		why: fmt.Sprintf("md5 has %d characters; it must be exactly 32 hexadecimal digits", utf8.RuneCountInString(o.md5)),
		fix: "md5 is the MD5 of the joined values in 32 upper-case hexadecimal digits",
	}
	repaired := ""
	trimmed := strings.TrimSpace(o.md5)
	bare := strings.NewReplacer("-", "", ":", "", " ", "").Replace(strings.TrimPrefix(strings.TrimPrefix(trimmed, "0x"), "0X"))
	raw, isBase64 := decodeAnyBase64(trimmed)
	switch n := len(o.md5); {
	case len(trimmed) == 32 && isHex(trimmed):
		m.why = "white space stands around md5"
		m.fix, repaired = "trim it", trimmed
	case len(bare) == 32 && isHex(bare):
		m.why = "md5 is written with signs between its digits, or with 0x in front"
		m.fix, repaired = "write the 32 digits alone", bare
	case n == 16 && isHex(o.md5):
		m.why = "md5 has 16 digits: this is the short form that the AES key is made of"
		m.fix = "send all 32 digits; the 16 in the middle serve the AES key alone"
	case n == 40 && isHex(o.md5):
		m.why = "md5 has 40 digits: this is a SHA-1"
	case n == 64 && isHex(o.md5):
		m.why = "md5 has 64 digits: this is a SHA-256"
	case isBase64 && len(raw) == 16 && (n == 24 || n == 22):
		m.why = "md5 is the Base64 of the 16 bytes of the digest"
		m.fix, repaired = "write the 16 bytes as 32 upper-case hexadecimal digits", fmt.Sprintf("%X", raw)
	case n > 40 && len(o.data) == 32 && isHex(o.data):
		m.why = "data and md5 are exchanged"
		m.fix = "data is the long Base64 text, md5 the 32 digits"
	case n == 32:
		i := strings.IndexFunc(o.md5, func(c rune) bool { return c > 0x7f || hexDigit(byte(c)) < 0 })
		c, _ := utf8.DecodeRuneInString(o.md5[i:])
		m.why = fmt.Sprintf("md5 holds %s, which is no hexadecimal digit", charName(c))
		m.at = offset("md5", i)
		m.at.Member = "md5"
	}
	r.fail(m)
	if repaired == "" {
		return false
	}
	o.md5 = repaired
	return true
}

// misspelled returns a member whose name is name in other letters, or "".
func (o *outerObject) misspelled(name string) string {
	others := map[string][]string{"md5": {"sign", "signature", "digest", "hash", "mac"}, "data": {"body", "payload", "content", "encrypted", "encryptedData"}}
	for _, p := range o.members {
		if p.name != name && strings.EqualFold(strings.TrimSpace(p.name), name) {
			return printableName(p.name)
		}
	}
	for _, p := range o.members {
		if slices.Contains(others[name], p.name) {
			return printableName(p.name)
		}
	}
	return ""
}

func (r *run) envelopeText() string {
	o := &r.outer
	switch {
	case o.hasAction:
		return "envelope of a request"
	case o.hasCode:
		return "envelope of a response or a callback"
	}
	return "data and md5"
}

// printableName returns a name that is safe to show on one line.
func printableName(s string) string {
	if s == "" {
		return `""`
	}
	clean := strings.Map(func(c rune) rune {
		if c < 0x21 || c == 0x7f || c == utf8.RuneError || c >= 0x80 && c < 0xa0 || c >= 0x200b && c <= 0x200f || c >= 0x202a && c <= 0x202e || c >= 0x2060 && c <= 0x206f || c == 0xfeff {
			return '?'
		}
		return c
	}, s)
	if utf8.RuneCountInString(clean) > 64 {
		clean = string([]rune(clean)[:63]) + "…"
	}
	return clean
}

// hideKeys takes care that no key is in what is shown, wherever it came from:
// a sender may have put it into the message.
func (r *run) hideKeys() {
	var texts []string
	for _, k := range r.x.keys {
		if t := k.Text(); len(t) >= 4 {
			texts = append(texts, t)
		}
	}
	hide := func(s *string) {
		for _, t := range texts {
			*s = replaceFold(*s, t, "<sign key>")
		}
	}
	for _, s := range []*string{&r.Why, &r.Fix, &r.You, &r.Right} {
		hide(s)
	}
	if r.At != nil {
		hide(&r.At.Member)
	}
	for i := range r.Steps {
		hide(&r.Steps[i].Text)
	}
	for i := range r.Notes {
		hide(&r.Notes[i])
	}
	for i := range r.Further {
		hide(&r.Further[i].Why)
		hide(&r.Further[i].Fix)
		if r.Further[i].At != nil {
			hide(&r.Further[i].At.Member)
		}
	}
	hide(&r.Action)
}

// replaceFold replaces old in s whatever the case of its letters.
func replaceFold(s, old, by string) string {
	lower, want := strings.ToLower(s), strings.ToLower(old)
	if len(lower) != len(s) || !strings.Contains(lower, want) {
		return strings.ReplaceAll(s, old, by)
	}
	var out strings.Builder
	for {
		i := strings.Index(lower, want)
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		out.WriteString(by)
		s, lower = s[i+len(old):], lower[i+len(old):]
	}
}
