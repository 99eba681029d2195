package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/wire"
)

const notification = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`

// agree parses text with the package and with the slow version and compares
// all that they say.
func agree(t testing.TB, text []byte, m *wire.Members) {
	t.Helper()
	err := wire.Parse(text, m)
	want, slowErr := slowParse(text)
	if (err == nil) != (slowErr == nil) {
		t.Fatalf("%.200q: error %v, the slow version's %v", text, err, slowErr)
	}
	if m.Len() != len(want) {
		t.Fatalf("%.200q: %d members, the slow version has %d", text, m.Len(), len(want))
	}
	number, null := false, false
	for i, w := range want {
		if string(m.Name(i)) != w.name || string(m.Value(i)) != w.value {
			t.Fatalf("%.200q: member %d is %q: %q, want %q: %q", text, i, m.Name(i), m.Value(i), w.name, w.value)
		}
		if found := m.Find(w.name); found != i {
			t.Fatalf("%.200q: Find(%q) = %d, want %d", text, w.name, found, i)
		}
		at := m.Span(i)
		if string(text[at.At:at.End]) != w.value || text[at.NameAt-1] != '"' || text[at.NameEnd] != '"' {
			t.Fatalf("%.200q: member %d is at %+v", text, i, at)
		}
		if name, _ := wire.Text(text[at.NameAt-1 : at.NameEnd+1]); name != w.name {
			t.Fatalf("%.200q: the name of member %d is %q", text, i, name)
		}
		agreeText(t, m, i, w.value)
		number = number || slowHasNumber(t, w.value)
		null = null || w.value == "null"
	}
	if m.HasNumber() != number || m.HasNull() != null {
		t.Fatalf("%.200q: number %v, null %v; want %v, %v", text, m.HasNumber(), m.HasNull(), number, null)
	}
	for n, i := range slowOrder(want) {
		if got := m.Sorted(n); got != i {
			t.Fatalf("%.200q: %d by name is %d, want %d", text, n, got, i)
		}
	}
}

func agreeText(t testing.TB, m *wire.Members, i int, value string) {
	t.Helper()
	var want string
	isString := value[0] == '"'
	if isString && json.Unmarshal([]byte(value), &want) != nil {
		t.Fatalf("%q is not a string", value)
	}
	text, ok := m.Text(i)
	shared, sharedOK := m.TextIn(string(m.JSON()), i)
	if text != want || ok != isString || shared != want || sharedOK != isString {
		t.Fatalf("text %q, %v and %q, %v; want %q, %v", text, ok, shared, sharedOK, want, isString)
	}
	if isString && string(m.AppendText([]byte("x"), i)) != "x"+want {
		t.Fatalf("appended text %q, want %q", m.AppendText(nil, i), want)
	}
}

func slowHasNumber(t testing.TB, value string) bool {
	dec := json.NewDecoder(strings.NewReader(value))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if err != nil {
			return false
		}
		if _, ok := tok.(json.Number); ok {
			return true
		}
	}
}

// texts are objects and what is none, one line each.
func texts() []string {
	deep := func(open, close string, n int) string {
		return `{"x":` + strings.Repeat(open, n) + "1" + strings.Repeat(close, n) + `}`
	}
	many := func(n int, more string) string {
		var b strings.Builder
		b.WriteByte('{')
		for i := range n {
			fmt.Fprintf(&b, `"m%d":%d,`, (i*7919)%n, i)
		}
		return b.String() + more + `}`
	}
	all := []string{
		notification, `{}`, " {} \t\r\n", ``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{}{}`, `{}x`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, "\ufeff{}", "{}\f",
		`{"a":1 "b":2}`, `{"a":01}`, `{"a":-01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":1e+}`, `{"a":-}`, `{"a":--1}`, `{"a":1.5.5}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":tru}`, `{"a":trues}`, `{"a":nul}`, `{"a":fals}`,
		`{"a":true,"b":false,"c":null,"d":-0,"e":0.5,"f":-1.25E+10,"g":1e-7,"h":10000000}`, `{"a":1e400}`, `{"a":-1e400}`, `{"a":1E400}`, `{"a":1e308}`, `{"a":1e-400}`, `{"a":[1e400]}`, `{"a":1` + strings.Repeat("0", 308) + `}`, `{"a":1` + strings.Repeat("0", 309) + `}`, `{"a":0.` + strings.Repeat("0", 400) + `1}`,
		`{"a":"` + "\n" + `"}`, `{"a":"` + "\x1f" + `"}`, `{"a":"` + "\x7f" + `"}`, `{"a":"` + "\x00" + `"}`, `{"a":"\x"}`, `{"a":"\`, `{"a":"\"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud800\ud800"}`, `{"a":"\ud800x\udc00"}`, `{"a":"\udc00"}`, `{"a":"\uD83D\uDE00"}`, `{"a":"\ud83d\ude00\u00e9\ud7ff\ue000"}`,
		`{"a":"\"\\\/\b\f\n\r\t"}`, `{"a":"\ud800\udc00\udbff\udfff\ud7ff\ue000"}`, `{"a":"\ud800\udbff"}`, `{"a":"\ud800\ue000"}`, `{"a":"\ud800\uDFFF\uDBFF\uDC00"}`, `{"a":"\udfff"}`, `{"a":"\udbff"}`, `{"a":"\udc00\udc00"}`, `{"a":"\udfff\udc00"}`, `{"a":"\ud800\\dc00"}`, `{"a":"\ud800\ndc00x"}`, `{"a":"\ud800\u"}`, `{"a":"\ud800\udc0"}`, `{"a":"\ud800\udc0g"}`, `{"a":"\ud800xudc00"}`,
		`{"a":"\u0000\u9999\uaAfF\uAaFf"}`, `{"a":"\u000/"}`, `{"a":"\u000:"}`, `{"a":"\u000@"}`, `{"a":"\u000G"}`, "{\"a\":\"\\u000`\"}", `{"a":"\u000g"}`, `{"a":"\u`, `{"a":"\u0`, `{"a":"\u000`, `{"a":"\U0041"}`, `{"a":"\v"}`, `{"a":"\ud800`, `{"a":"\ud800\`, `{"a":"\ud800\udc0`,
		`{"a":" "}`, `{"a":"!"}`, `{" ":1}`, `{"a":null,"b":[null],"c":{"d":null}}`, `{"b":[null]}`, `{"a":1,"b":[true],"c":"x"}`, `{"a":0}`, `{"a":-0}`, `{"a":9}`, `{"a":00}`, `{"a":1e0}`, `{"a":1E-0}`, `{"a":0.0}`, `{"a":123456789}`, `{"a":-`, `{"a":1.`, `{"a":1e`, `{"a":1e-`, `{"a":0`, `{"a":t`, `{"a":tru`, `{"a":f`, `{"a":n`, `{"a":true`, `{"a":"b"`, `{"a"`, `{"a":`, `{"a":[1,`, `{"a":{"b":`, `{"a":{"b"`, `{"a":{"b":1,`, `{"a":[1,2`, `{"a":{}`, `{"\u0061":1,"b\u005c":2}`, `{"a":1,"\u0061":2}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"a":{"b":1,"b":2}}`, `{"a":{"b":1,"\u0062":2}}`, `{"a":[{"b":1},{"b":2}]}`, `{"a":{"b":{"c":1},"d":{"c":1}},"c":2}`, `{"":1}`, `{"":1,"":2}`,
		`{"a":"` + "\xff" + `"}`, `{"` + "\xff" + `":1}`, `{"a":"` + "\xed\xa0\x80" + `"}`, `{"a":"` + "\xc0\x80" + `"}`, "{\"a\":1}\xff", "\xff{}", `{"a":"é😀` + "\u202f" + `"}`,
		`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1}`, `{"a":[1 2]}`, `{"a":{"b":1]}`, `{"a":{"b"}}`, `{"a":{,}}`, `{"a":{"b":1,}}`, `{"a":/**/1}`, `{"a":1`, `{"a":"x`, `{"a":[`, `{"a":{`, `{"a":[1`, `{"a":{"b":1`, `{"a":[]}`, `{"a":{}}`, "{ \"a\" :\t[ 1 ,\n{ \"b\" : { } } ] ,\r\"c\":\"\" }",
		deep("[", "]", 31), deep("[", "]", 32), deep(`{"y":`, "}", 31), deep(`{"y":`, "}", 32), deep(`[{"y":`, "}]", 15), deep(`[{"y":`, "}]", 16),
		`{"😀":1,"` + "\ue000" + `":2,"` + "\uffff" + `":3,"é":4,"z":5,"Z":6,"_":7,"0":8}`, `{"merchant_name":"a","merchant_id":"b","merchant_i":"c","merchant":"d"}`, `{"aaaaaaaa😀":1,"aaaaaaaa` + "\ue000" + `":2}`,
		many(14, `"x":1`), many(15, `"x":1`), many(16, `"x":1`), many(17, `"x":1`), many(15, `"m0":1`), many(16, `"m0":1`), many(16, `"m15":1`), many(40, `"x":"\u0041"`), many(400, `"\u006d3":1`), many(400, `"n":"\u006d3"`),
		`{"x":"` + strings.Repeat("x", 1<<20-8) + `"}`, `{"x":"` + strings.Repeat("x", 1<<20-7) + `"}`,
	}
	// A special byte at each place of a word, and at the end of the text.
	for n := range 20 {
		for _, special := range []string{`\n`, "é", "\x01", "\xff", `\ud83d\ude00`, `\ud83d`, ``} {
			all = append(all, `{"a":"`+strings.Repeat("x", n)+special+`"}`, `{"a":"`+strings.Repeat("x", n)+special, `{"a":"`+strings.Repeat("é", n)+special+strings.Repeat("y", n)+`"}`)
		}
	}
	return all
}

// TestParse parses each text with an index of its own and with one that is used
// again.
func TestParse(t *testing.T) {
	t.Parallel()
	var used wire.Members
	for _, text := range texts() {
		var fresh wire.Members
		agree(t, []byte(text), &fresh)
		agree(t, []byte(text), &used)
		clone := fresh.Clone()
		if clone.Len() != fresh.Len() || !bytes.Equal(clone.JSON(), fresh.JSON()) {
			t.Errorf("%.100q: the clone differs", text)
		}
	}
}

func TestParseSaysWhy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]wire.Error{
		``: wire.ErrSyntax, `  `: wire.ErrSyntax, `{"a":1,}`: wire.ErrSyntax, `{"a":"\ud800"}`: wire.ErrSyntax, `[]`: wire.ErrNotObject, `null`: wire.ErrNotObject, `{}{}`: wire.ErrTrailing, `{} x`: wire.ErrTrailing,
		`{"a":1,"\u0061":2}`: wire.ErrDuplicate, `{"x":{"a":1,"a":2}}`: wire.ErrDuplicate, `{"a":1e999}`: wire.ErrNumber, `{"a":[1e999]}`: wire.ErrNumber,
		`{"a":"` + "\xff" + `"}`: wire.ErrNotUTF8, "\xff": wire.ErrNotUTF8, `{"a":1,"` + "\xff" + `":}`: wire.ErrNotUTF8, `{"a":"` + "\xff": wire.ErrNotUTF8,
		`{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`: wire.ErrDepth, strings.Repeat(" ", 1<<20) + `{}`: wire.ErrTooLarge, strings.Repeat("\xff", 1<<20+1): wire.ErrTooLarge,
	} {
		var m wire.Members
		err := wire.Parse([]byte(text), &m)
		if err != want {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
		if m.Len() != 0 || m.JSON() != nil {
			t.Errorf("%.40q: refused, yet %d members", text, m.Len())
		}
		if err != nil && !strings.HasPrefix(err.Error(), "wire: ") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// TestCloneSharesNothing changes the text under a clone and parses another into
// the original.
func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"a":"1","\u0062":"2"}`, `{` + strings.Repeat(`"\u0061`, 1) + `":1,` + manyMembers(40) + `}`} {
		b := []byte(text)
		var m wire.Members
		if err := wire.Parse(b, &m); err != nil {
			t.Fatal(err)
		}
		clone := m.Clone()
		clear(b)
		if err := wire.Parse([]byte(`{"z":"\u0041","y":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,`+manyMembers(50)+`}`), &m); err != nil {
			t.Fatal(err)
		}
		want, err := slowParse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if string(clone.Name(i)) != w.name || string(clone.Value(i)) != w.value {
				t.Errorf("%s: member %d became %s: %s", text, i, clone.Name(i), clone.Value(i))
			}
		}
		for n, i := range slowOrder(want) {
			if clone.Sorted(n) != i {
				t.Errorf("%s: the order changed", text)
			}
		}
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"n%d":"%d"`, n-i, i)
	}
	return b.String()[1:]
}

func TestNoMembers(t *testing.T) {
	t.Parallel()
	var none *wire.Members
	if none.Len() != 0 || none.Find("a") != -1 {
		t.Error("nil has members")
	}
	var zero wire.Members
	if zero.Len() != 0 || zero.Find("a") != -1 {
		t.Error("the zero value has members")
	}
	var m wire.Members
	if err := wire.Parse([]byte(notification), &m); err != nil {
		t.Fatal(err)
	}
	m.Reset()
	if m.Len() != 0 || m.JSON() != nil {
		t.Error("Reset keeps members")
	}
}

func TestMembersShowNothing(t *testing.T) {
	t.Parallel()
	var m wire.Members
	if err := wire.Parse([]byte(notification), &m); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, v := range []any{m, &m, []wire.Members{m}, struct{ M wire.Members }{m}} {
		fmt.Fprintf(&log, "%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "m", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "m", v)
	}
	if got := m.LogValue().String(); got != "members(6)" {
		t.Errorf("LogValue is %s", got)
	}
	if text := log.String(); strings.Contains(text, "AL78") || strings.Contains(text, fmt.Sprintf("%x", "AL78")) || !strings.Contains(text, "members(6)") {
		t.Errorf("shown: %s", text)
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	values := []string{`-`, `0`, `-0`, `01`, `1.`, `1.5`, `1e`, `1e+`, `1e5`, `1e+5`, `t`, `true`, `truex`, `f`, `false`, `n`, `null`, `"`, `"\`, `"\u`, `"\ud800\u`, `[`, `[1`, `[1,`, `{`, `{"a"`, `{"a":`, `{"a":1`, `9`, `/`, `:`, `1`, `"x"`, `null`, ` true `, `[1,{"a":1}]`, `1 2`, `1,`, ``, ` `, `{"a":1,"a":1}`, `1e400`, `"\ud800"`, `"` + "\xff" + `"`, `tru`, `]`, `{}`, `[]`,
		strings.Repeat("[", 31) + strings.Repeat("]", 31), strings.Repeat("[", 32) + strings.Repeat("]", 32), `"` + strings.Repeat("x", 1<<20-2) + `"`, `"` + strings.Repeat("x", 1<<20-1) + `"`}
	for _, value := range values {
		if got, err := wire.Valid([]byte(value)), slowValid([]byte(value), 1); got != (err == nil) {
			t.Errorf("Valid(%.40q) = %v, the slow version says %v", value, got, err)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	value := ` { "a\"}" : [ 1.5e3 , true,null ,false ] , "b":{} } `
	var got []string
	for token, at := wire.Token([]byte(value), 0); len(token) > 0; token, at = wire.Token([]byte(value), at) {
		got = append(got, string(token))
	}
	want := `{ "a\"}" : [ 1.5e3 , true , null , false ] , "b" : { } }`
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	for _, broken := range []string{`"x`, `tru`, `-`, `x`, `1.`} { // was not parsed, and yet ends
		n := 0
		for token, at := wire.Token([]byte(broken), 0); len(token) > 0; token, at = wire.Token([]byte(broken), at) {
			if n++; n > len(broken) {
				t.Fatalf("%q does not end", broken)
			}
		}
	}
}

func TestIsNumber(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": false, "0": true, "9": true, "-1": true, "/": false, ":": false, `"1"`: false, "null": false, "[1]": false, "{": false, "+1": false} {
		if wire.IsNumber(value) != want || wire.IsNumber([]byte(value)) != want {
			t.Errorf("%q: %v", value, !want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`""`, `"x"`, `"\u0041\n\ud83d\ude00"`, `"é"`, `x`, `"`, ``, `"x`, `"x"y`, `"x" `, ` "x"`, `1`, `"\ud800"`, `"` + "\xff" + `"`, "\"\x01\"", `"\x"`} {
		var want string
		ok := slowValid([]byte(value), 0) == nil && value[0] == '"' && value[len(value)-1] == '"' && json.Unmarshal([]byte(value), &want) == nil
		if !ok {
			want = ""
		}
		if got, gotOK := wire.Text([]byte(value)); got != want || gotOK != ok {
			t.Errorf("Text(%q) = %q, %v; want %q, %v", value, got, gotOK, want, ok)
		}
		if ok && string(wire.AppendText([]byte("x"), []byte(value))) != "x"+want {
			t.Errorf("AppendText(%q)", value)
		}
	}
}

// TestAllocations gates what reading costs.
func TestAllocations(t *testing.T) {
	text, many, escaped := []byte(notification), []byte(`{`+manyMembers(100)+`}`), []byte(`{"\u0061":"\u0062","c":{"d":1,"e":2}}`)
	var used wire.Members
	for _, c := range []struct {
		name string
		most float64
		fn   func()
	}{
		{"Parse", 0, func() { var m wire.Members; wire.Parse(text, &m) }},
		{"Parse of a refused text", 0, func() { var m wire.Members; wire.Parse(text[1:], &m) }},
		{"Parse of many members into a used index", 0, func() { wire.Parse(many, &used) }},
		{"Parse of escaped names into a used index", 0, func() { wire.Parse(escaped, &used) }},
		{"Reader", 1, func() {
			r := wire.NewReader(text)
			for r.Next() {
				_, _ = r.Name(), r.String()
			}
		}},
		{"Valid", 0, func() { wire.Valid([]byte(`[1,"x",[null]]`)) }},
	} {
		c.fn()
		if got := testing.AllocsPerRun(100, c.fn); got > c.most {
			t.Errorf("%s: %.1f allocations, want at most %.0f", c.name, got, c.most)
		}
	}
}

// FuzzParse: Parse agrees with the slow version, and so do all that read what
// it found.
func FuzzParse(f *testing.F) {
	for _, text := range texts() {
		if len(text) < 4096 {
			f.Add([]byte(text))
		}
	}
	var used wire.Members
	f.Fuzz(func(t *testing.T, text []byte) {
		var fresh wire.Members
		agree(t, text, &fresh)
		agree(t, text, &used)
		if got, err := wire.Valid(text), slowValid(text, 1); got != (err == nil) {
			t.Fatalf("Valid says %v, the slow version %v", got, err)
		}
		unknown := func(name string) bool { return len(name)%2 == 0 }
		if members, err := slowParse(text); err == nil && len(members) < 50 && fresh.Twins(unknown) != slowTwins(members, unknown) {
			t.Fatalf("%q: twins: %v", text, fresh.Twins(unknown))
		}
		if fresh.Len() > 0 {
			agreeTokens(t, text)
		}
	})
}

// agreeTokens compares the tokens of a parsed text with the text without white
// space.
func agreeTokens(t *testing.T, text []byte) {
	t.Helper()
	var want bytes.Buffer
	if err := json.Compact(&want, text); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for token, at := wire.Token(text, 0); len(token) > 0; token, at = wire.Token(text, at) {
		got = append(got, token...)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("tokens %q, want %q", got, want.Bytes())
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(notification)
	var m wire.Members
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := wire.Parse(text, &m); err != nil {
			b.Fatal(err)
		}
	}
}
