package page

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

type messageView struct {
	shell
	Message    ottpaytest.Message
	Headers    []pairText
	Steps      []step // of the order, for the list beside
	Sent       side
	Answer     side
	Verdict    string
	Bad        bool
	Why        string // why the body does not open, in the words of explain
	Means      string // of a merchant's answer
	Snippets   []snippet
	CanSend    bool
	Edit       string // the plaintext, for the form
	EditURL    string
	Raw        string
	AnswerText string
}

// side is one direction of a message: the envelope and what it holds.
type side struct {
	ID      string // of its elements
	Title   string
	Wire    string
	Pretty  string
	Outer   []pairText // the envelope's members but data and md5
	Members []memberRow
	Pieces  []piece // the plaintext, cut at its members
	Digest  []digestPart
	MD5     string
	Blocks  []block
	Opened  bool
}

// memberRow is one decrypted member with the rule that the document has for it.
type memberRow struct {
	N           int
	Name, Value string
	Kind        string
	Rule        string
	Role        string
	Broken      string
	Unknown     bool
}

// piece is a stretch of the plaintext; N numbers the member that it is of, from
// 1, or is 0.
type piece struct {
	N    int
	Text string
}

// digestPart is a member's text as it enters the digest.
type digestPart struct {
	N          int
	Name, Text string
	Changed    string // the value as it is written, if the text differs
}

// block is one cipher block with the members that it covers.
type block struct {
	N       int
	Members string // their marks, for the script
	Text    string
}

const blockSize = 16

// message is one request or callback with its answer.
func (p *page) message(r *request) error {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		return problem{http.StatusNotFound, "A message has a number.", ""}
	}
	m, ok := p.Gateway.Message(seq)
	if !ok {
		return problem{http.StatusNotFound, "There is no message " + strconv.FormatUint(seq, 10) + ", or it is no longer kept.", ""}
	}
	kind := "Request "
	if m.Callback {
		kind = "Callback "
	}
	v := messageView{
		shell: p.shell(r, "/", kind+"#"+strconv.FormatUint(seq, 10)), Message: m,
		Verdict: m.Verdict, Bad: m.Err != "" || m.Callback && m.Status != http.StatusOK || !m.Callback && !taken(m.Code),
		CanSend: m.Callback, Raw: string(m.Body), AnswerText: string(m.Answer), EditURL: m.URL, Edit: pretty(m.Plaintext),
	}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		v.Headers = append(v.Headers, pairText{name, strings.Join(m.Header[name], ", ")})
	}
	schema := ""
	if m.Callback {
		schema = "Notification"
	} else if info, ok := api.LookupAction(m.Action); ok {
		schema = info.Request
		v.Answer = newSide("answer", "Answer", m.Answer, m.AnswerPlaintext, info.Response, p.form(m.Merchant, m.Answer))
	} else {
		v.Answer = newSide("answer", "Answer", m.Answer, m.AnswerPlaintext, "", p.form(m.Merchant, m.Answer))
	}
	v.Sent = newSide("sent", strings.TrimSpace(kind), m.Body, m.Plaintext, schema, p.form(m.Merchant, m.Body))
	if m.Callback {
		v.Means = means(m, p.kindOf(m))
	}
	if !v.Sent.Opened && p.Explain != nil && len(m.Body) > 0 {
		v.Why = p.Explain(m.Body, nil).Why
	}
	if o, ok := p.Gateway.Merchant(m.Merchant).Order(m.Order); ok {
		v.Steps = steps(p.Gateway.Merchant(m.Merchant).Events(m.Order), o)
	}
	v.Snippets = p.messageSnippets(r, m)
	return p.render(r, "message", v)
}

// means says what the gateway makes of a merchant's answer to a callback.
func means(m ottpaytest.Message, kind ottpaytest.DeliveryKind) string {
	text := "Anything but 200 acknowledges nothing."
	switch {
	case m.Err != "":
		text = "No answer."
	case m.Status == http.StatusOK:
		return "Status 200 acknowledges, whatever the body says. The gateway does not call back again."
	case m.Status >= 300 && m.Status < 400:
		text = "A redirect acknowledges nothing, and is not followed."
	case m.Status == http.StatusUnauthorized:
		text = "The shop does not believe the callback."
	case m.Status == http.StatusServiceUnavailable:
		text = "The shop asks to send it again later."
	case m.Status == 0:
		return ""
	}
	if kind == ottpaytest.Original {
		text += " The gateway tries again by its schedule."
	}
	return text
}

// kindOf returns why a callback was posted.
func (p *page) kindOf(m ottpaytest.Message) ottpaytest.DeliveryKind {
	for _, e := range p.Gateway.Merchant(m.Merchant).Events(m.Order) {
		if e.Type == ottpaytest.EventDeliverySent && e.Message == m.Seq {
			return e.Kind
		}
	}
	return ""
}

// newSide reads what went over the wire in one direction.
func newSide(id, title string, wire, plaintext []byte, schema string, form envelope.Form) side {
	s := side{ID: id, Title: title, Wire: string(wire), Opened: plaintext != nil}
	if outer, err := objectMembers(wire); err == nil {
		for _, m := range outer {
			if m.name != "data" && m.name != "md5" {
				s.Outer = append(s.Outer, pairText{m.name, m.text()})
			} else if m.name == "md5" {
				s.MD5 = m.text()
			}
		}
		s.Pretty = pretty(wire)
	}
	if !s.Opened {
		return s
	}
	inner, err := objectMembers(plaintext)
	if err != nil {
		s.Pieces = []piece{{Text: string(plaintext)}}
		return s
	}
	described, _ := api.LookupSchema(schema)
	s.Members = rows(inner, described, plaintext)
	s.Pieces = pieces(plaintext, inner)
	if s.MD5 != "" {
		s.Digest = digestParts(plaintext, inner, form)
		s.Blocks = blocks(id, plaintext, inner)
	}
	return s
}

// rows describes members by the document.
func rows(inner []member, schema *api.Schema, plaintext []byte) []memberRow {
	broken := ""
	rule := ""
	if schema != nil {
		var e *api.SchemaError
		if errors.As(schema.Check(plaintext), &e) {
			broken, rule = e.Member, e.Rule
		}
	}
	var out []memberRow
	for i, m := range inner {
		row := memberRow{N: i + 1, Name: m.name, Value: m.text(), Kind: m.kind()}
		if schema != nil {
			described, ok := schema.Member(m.name)
			row.Unknown = !ok
			if ok {
				row.Rule, row.Role = ruleOf(described), string(described.Role)
			}
		}
		if secretName(m.name) {
			row.Value = hidden
		}
		if m.name == broken {
			row.Broken = rule
		}
		out = append(out, row)
	}
	if broken != "" && !slices.ContainsFunc(inner, func(m member) bool { return m.name == broken }) {
		out = append(out, memberRow{Name: broken, Kind: "absent", Broken: rule})
	}
	return out
}

// hidden stands in place of a secret.
const hidden = "(hidden)"

// secretName reports whether a member holds what no page may show.
func secretName(name string) bool {
	switch strings.ToLower(name) {
	case "wxapikey", "mercode":
		return true
	}
	return false
}

// ruleOf is what the document demands of a member, in a few words.
func ruleOf(m api.Member) string {
	var out []string
	if m.Required {
		out = append(out, "required")
	}
	switch {
	case m.Const != "":
		out = append(out, "always "+m.Const)
	case len(m.Enum) > 0:
		out = append(out, "one of "+strings.Join(m.Enum, ", "))
	case m.Rule != "":
		out = append(out, m.Rule)
	}
	if m.MaxLength > 0 {
		out = append(out, "at most "+strconv.Itoa(m.MaxLength)+" characters")
	}
	return strings.Join(out, ", ")
}

// pieces cuts the plaintext at its members.
func pieces(plaintext []byte, inner []member) []piece {
	var out []piece
	at := 0
	for i, m := range inner {
		if m.at > at {
			out = append(out, piece{0, string(plaintext[at:m.at])})
		}
		text := string(plaintext[m.at:m.end])
		if secretName(m.name) {
			text = string(plaintext[m.at:m.valueAt]) + `"(hidden)"`
		}
		out = append(out, piece{i + 1, text})
		at = m.end
	}
	if at < len(plaintext) {
		out = append(out, piece{0, string(plaintext[at:])})
	}
	return out
}

// blocks cuts the plaintext into cipher blocks. Under ECB each block of it is one
// of the ciphertext's, so this is also which member stands in which block.
func blocks(id string, plaintext []byte, inner []member) []block {
	var out []block
	for at := 0; at < len(plaintext); at += blockSize {
		b := block{N: at/blockSize + 1, Text: string(plaintext[at:min(at+blockSize, len(plaintext))])}
		var in []string
		for i, m := range inner {
			if m.at < at+blockSize && m.end > at {
				in = append(in, id+strconv.Itoa(i+1))
			}
		}
		b.Members = strings.Join(in, " ")
		out = append(out, b)
	}
	return out
}

func pretty(raw []byte) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return ""
	}
	inner, err := objectMembers(raw)
	if err != nil {
		return string(raw)
	}
	var b strings.Builder
	b.WriteString("{\n")
	for i, m := range inner {
		name, _ := json.Marshal(m.name)
		value := compact(m.raw)
		if secretName(m.name) {
			value = `"(hidden)"`
		}
		b.WriteString("  " + string(name) + ": " + value)
		if i < len(inner)-1 {
			b.WriteString(",")
		}
		b.WriteString("\n")
	}
	b.WriteString("}")
	return b.String()
}

// resend posts an edited callback.
func (p *page) resend(r *request) error {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		return problem{http.StatusNotFound, "There is nothing to send again.", ""}
	}
	m, ok := p.Gateway.Message(seq)
	if !ok || !m.Callback {
		return problem{http.StatusNotFound, "There is no such callback.", ""}
	}
	body, seal := m.Body, false
	switch r.PostFormValue("as") {
	case "replay":
	case "sealed":
		// A browser sends line breaks as CR LF.
		body, seal = []byte(strings.ReplaceAll(r.PostFormValue("plaintext"), "\r\n", "\n")), true
	case "raw":
		body = []byte(strings.ReplaceAll(r.PostFormValue("body"), "\r\n", "\n"))
	default:
		return problem{http.StatusBadRequest, "as=replay, as=sealed or as=raw", ""}
	}
	sent, err := p.Gateway.Merchant(m.Merchant).Post(m.Order, body, seal)
	if err != nil {
		return err
	}
	return p.see(r, messagePath(sent.Seq))
}
