package explain_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// honestMaker makes messages that are as they should be, in all the spellings
// that the protocol allows. It writes and digests by its own code.
type honestMaker struct {
	r *rand.Rand
}

// value makes a valid value of a member, as text or as JSON.
func (h honestMaker) value(m api.Member) (text, raw string) {
	r := h.r
	digits := func(n int) string {
		b := []byte{byte('1' + r.IntN(9))}
		for range n - 1 {
			b = append(b, byte('0'+r.IntN(10)))
		}
		return string(b)
	}
	switch {
	case m.Const != "":
		return m.Const, ""
	case len(m.Enum) > 0:
		return m.Enum[r.IntN(len(m.Enum))], ""
	case m.Role == api.RoleMerchant || m.Name == "merchant_id":
		return merchant, ""
	case m.Kind == api.MemberAmount || m.Kind == api.MemberRate:
		n := digits(1 + r.IntN(9))
		if m.Number && r.IntN(2) == 0 {
			return "", n
		}
		return n, ""
	case m.Kind == api.MemberRaw || m.Kind == api.MemberJSON || m.Example != "":
		if strings.HasPrefix(m.Example, `"`) {
			var s string
			if json.Unmarshal([]byte(m.Example), &s) == nil {
				return s, ""
			}
		}
		if m.Example != "" {
			return "", m.Example
		}
		return "", `["x"]`
	case m.Kind == api.MemberText && m.Number && r.IntN(2) == 0:
		return "", []string{"5.24740000", "0.001", "12345678", "1", "2.10", "1e3", "0"}[r.IntN(7)]
	case m.Kind == api.MemberTime:
		return "20201127101112", ""
	}
	words := []string{"A1001", "李雷 & 韩梅梅", "Zoë's \"shop\"", "x/y\\z", "😀 ok", "plain text", "a\tb", "0"}
	return words[r.IntN(len(words))], ""
}

// object makes the members of a message that its schema takes, in any order.
func (h honestMaker) object(schema *api.Schema) []member {
	for range 50 {
		var ms []member
		for _, m := range schema.Members {
			required := m.Required || m.Role == api.RoleChannelID && !schema.Request && !schema.Response
			if !required && h.r.IntN(2) == 0 {
				continue
			}
			if !required && m.Nullable && h.r.IntN(8) == 0 {
				ms = append(ms, raw(m.Name, "null"))
				continue
			}
			text, json := h.value(m)
			ms = append(ms, member{m.Name, text, json})
		}
		if !schema.Request && h.r.IntN(4) == 0 {
			ms = append(ms, raw("new_member", []string{`{"a":1,"b":[true,null,"x"]}`, "true", "false", "null", "[]", "7"}[h.r.IntN(6)]), str("另一个", "新"))
		}
		h.r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		if schema.Check(plainJSON(ms)) == nil {
			return ms
		}
	}
	return nil
}

// spell writes a JSON string in one of the ways that mean the same.
func (h honestMaker) spell(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '/' && h.r.IntN(2) == 0:
			b.WriteString(`\/`)
		case c < 0x20, h.r.IntN(30) == 0, c > 0x7e && h.r.IntN(2) == 0:
			for _, u := range utf16.Encode([]rune{c}) {
				fmt.Fprintf(&b, []string{`\u%04x`, `\u%04X`}[h.r.IntN(2)], u)
			}
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (h honestMaker) space() string {
	return []string{"", "", "", " ", "\n  ", "\t", "\r\n"}[h.r.IntN(7)]
}

func (h honestMaker) write(ms []member) []byte {
	var b strings.Builder
	b.WriteString(h.space() + "{" + h.space())
	for i, m := range ms {
		if i > 0 {
			b.WriteString("," + h.space())
		}
		b.WriteString(h.spell(m.name) + h.space() + ":" + h.space())
		if m.raw != "" {
			b.WriteString(m.raw)
		} else {
			b.WriteString(h.spell(m.text))
		}
		b.WriteString(h.space())
	}
	b.WriteString("}" + h.space())
	return []byte(b.String())
}

// digest joins by one of the accepted forms.
func digestBy(form envelope.Form, v any, top bool) string {
	javaNumbers := form == envelope.FormJava || form == envelope.FormJavaNullEmpty
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if !javaNumbers {
			return v.String()
		}
		f, _ := v.Float64()
		if f < 0 {
			return "-" + javaDouble(-f)
		}
		if f != 0 && f < 1e-3 {
			m, e, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
			if !strings.Contains(m, ".") {
				m += ".0"
			}
			n, _ := strconv.Atoi(e)
			return m + "E" + strconv.Itoa(n)
		}
		return javaDouble(f)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		if top && (form == envelope.FormJavaNullEmpty || form == envelope.FormRawNullEmpty) {
			return ""
		}
		return "null"
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, digestBy(form, x, false))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case ordered:
		var parts []string
		for i, n := range v.names {
			parts = append(parts, n+"="+digestBy(form, v.values[i], false))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	panic(fmt.Sprintf("%T", v))
}

// ordered is an object in document order.
type ordered struct {
	names  []string
	values []any
}

func decode(d *json.Decoder) any {
	t, err := d.Token()
	if err != nil {
		panic(err)
	}
	switch t {
	case json.Delim('{'):
		var o ordered
		for d.More() {
			n, _ := d.Token()
			o.names = append(o.names, n.(string))
			o.values = append(o.values, decode(d))
		}
		_, _ = d.Token()
		return o
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, decode(d))
		}
		_, _ = d.Token()
		return list
	}
	return t
}

func (h honestMaker) sealed(ms []member) (data, sum string) {
	form := envelope.FormJava
	if h.r.IntN(3) == 0 {
		form = envelope.Form(h.r.IntN(4))
	}
	s := honest()
	s.members = ms
	s.order = func(ms []member) []member {
		out := append([]member{}, ms...)
		for i := range out { // insertion sort by UTF-16 code unit
			for j := i; j > 0 && less16(out[j].name, out[j-1].name); j-- {
				out[j], out[j-1] = out[j-1], out[j]
			}
		}
		return out
	}
	s.value = func(m member) string {
		if m.raw == "" {
			return m.text
		}
		d := json.NewDecoder(strings.NewReader(m.raw))
		d.UseNumber()
		return digestBy(form, decode(d), true)
	}
	s.plaintext = h.write
	if h.r.IntN(5) == 0 { // a sender that writes lower case has derived from it
		s.digestOf = func(j string) string { return strings.ToLower(md5Text(j)) }
	}
	s.encode = func(b []byte) string {
		text := base64.StdEncoding.EncodeToString(b)
		switch h.r.IntN(4) {
		case 0:
			return wrap60(text)
		case 1:
			var out strings.Builder
			for i := range len(text) {
				if i > 0 && i%76 == 0 {
					out.WriteString("\r\n")
				}
				out.WriteByte(text[i])
			}
			return out.String() + "\n"
		}
		return text
	}
	return s.seal()
}

func less16(a, b string) bool {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

// message makes one honest message.
func (h honestMaker) message() (body []byte, kind explain.Kind, what string) {
	schemas := api.Schemas()
	var schema *api.Schema
	for schema == nil || schema.Name == "PayInfo" {
		schema, _ = api.LookupSchema(schemas[h.r.IntN(len(schemas))])
	}
	ms := h.object(schema)
	if ms == nil {
		return nil, "", ""
	}
	data, sum := h.sealed(ms)
	outer := []member{str("merchant_id", merchant), str("data", data), str("md5", sum)}
	switch {
	case schema.Request:
		kind = explain.KindRequest
		for _, action := range api.Actions() {
			if action.Request == schema.Name {
				outer = append(outer, str("action", string(action.Name)), str("version", action.Version))
				if action.Terminal && h.r.IntN(3) == 0 {
					outer = append(outer, str("terminal_no", "T1"), str("operator_id", "0000000001"))
				}
				break
			}
		}
	case schema.Response:
		kind = explain.KindResponse
		outer = append(outer, str("rsp_code", []string{"SUCCESS", "success", "PROCESSING"}[h.r.IntN(3)]), str("rsp_msg", "操作成功"))
		if h.r.IntN(4) == 0 {
			outer = outer[1:] // a response need not name the merchant
		}
	default:
		kind = explain.KindCallback
		outer = append(outer, str("rsp_code", "SUCCESS"), str("rsp_msg", "success"))
	}
	if h.r.IntN(4) == 0 {
		outer = append(outer, raw("future", `{"a":[1,2,3]}`))
	}
	h.r.Shuffle(len(outer), func(i, j int) { outer[i], outer[j] = outer[j], outer[i] })
	if h.r.IntN(12) == 0 { // data and md5 alone
		return h.write([]member{str("md5", sum), str("data", data)}), "", schema.Name
	}
	return h.write(outer), kind, schema.Name
}

// carried puts a body into one of the containers that people paste.
func (h honestMaker) carried(body []byte) []byte {
	switch h.r.IntN(10) {
	case 0:
		r := httptest.NewRequest(http.MethodPost, "http://shop.example/ottpay?x=1", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		out, err := httputil.DumpRequest(r, true)
		if err != nil {
			panic(err)
		}
		return out
	case 1:
		return append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nServer: nginx\r\n\r\n"), body...)
	case 2:
		quoted := strings.ReplaceAll(string(body), "'", `'\''`)
		return []byte("curl -sS -X POST 'https://frontapi.ottpay.com/processV2' \\\n  -H 'Content-Type: application/json' \\\n  --data-raw '" + quoted + "' --compressed")
	}
	return body
}

// TestHonest explains honest messages, 10 000 of them with -whole: never
// anything but ok.
func TestHonest(t *testing.T) {
	t.Parallel()
	x := newExplainer(t)
	n := 1500
	if *whole {
		n = 10_000
	}
	h := honestMaker{rand.New(rand.NewPCG(2026, 11))}
	seen := make(map[string]int)
	for i := range n {
		body, kind, what := h.message()
		if body == nil {
			continue
		}
		seen[what]++
		opt := explain.Options{Redact: h.r.IntN(4) == 0}
		if h.r.IntN(2) == 0 {
			opt.Kind = kind
		}
		e := x.Explain(h.carried(body), opt)
		if !e.OK {
			t.Fatalf("message %d (%s): %s %v: %s\n%s", i, what, e.Code, e.Codes, e.Why, body)
		}
		if opt.Kind != "" && e.Kind != kind {
			t.Errorf("message %d (%s) is said to be a %s", i, what, e.Kind)
		}
	}
	for _, name := range api.Schemas() {
		if schema, _ := api.LookupSchema(name); schema.Name != "PayInfo" && seen[name] < 5 {
			t.Errorf("%s: %d messages", name, seen[name])
		}
	}
}
