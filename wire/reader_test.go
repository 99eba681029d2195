package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/wire"
)

// read walks data as generated code does; it knows order_id and amount.
func read(data string) (id, amount string, unknown map[string]json.RawMessage, err error) {
	r := wire.NewReader([]byte(data))
	for r.Next() {
		switch r.Name() {
		case "order_id":
			id = r.String()
		case "amount":
			amount = r.Text()
		default:
			r.Unknown()
		}
	}
	unknown, err = r.Close()
	return id, amount, unknown, err
}

func TestReader(t *testing.T) {
	t.Parallel()
	id, amount, unknown, err := read(" {\"order_id\" : \"a\\u0062\\/\\ud83d\\ude00\", \"x\":[1,{\"y\":null}], \"amount\":2.0,\n\"\\u007a\":\"\"}\t")
	if err != nil || id != "ab/😀" || amount != "2.0" {
		t.Fatalf("got %q, %q, %v", id, amount, err)
	}
	if string(unknown["x"]) != `[1,{"y":null}]` || string(unknown["z"]) != `""` || len(unknown) != 2 {
		t.Fatalf("unknown members: %s", unknown)
	}
	if _, _, unknown, err := read(`{}`); err != nil || unknown != nil {
		t.Fatalf("empty object: %v, %v", unknown, err)
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return `{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	if _, _, _, err := read(deep(31)); err != nil {
		t.Errorf("32 levels: %v", err)
	}
	for _, data := range []string{
		``, ` `, `null`, `[]`, `"x"`, `{`, `{}{}`, `{}x`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{'a':1}`,
		`{"a":1 "b":2}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":NaN}`, `{"a":tru}`, `{"a":"` + "\n" + `"}`,
		`{"a":"\x"}`, `{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\udc00"}`, `{"a":"\u12"}`, `{"a":"` + "\xff" + `"}`, `{"` + "\xff" + `":1}`,
		`{"a":[1,]}`, `{"a":[1}`, `{"a":{"b":1]}`, `{"a":{"b"}}`, `{"a":/**/1}`, `{"a":1`, `{"a":"x`, `{"a":[`, `{"a":{`, deep(32),
		`{"order_id":"1","order_id":"2"}`, `{"order_id":"1","order\u005fid":"2"}`, `{"x":1,"x":1}`,
		`{"order_id":"1","ORDER_ID":"2"}`, `{"ORDER_ID":"2","order_id":"1"}`, `{"ORDER_ID":"2","x":1,"order_id":"1"}`, `{"x":1,"ORDER_ID":"2","order_id":"1"}`, `{"x":1,"X":1}`, `{"key":1,"` + "\u212a" + `ey":1}`,
		`{"order_id":1}`, `{"order_id":null}`, `{"amount":true}`, `{"amount":null}`, `{"amount":{}}`,
	} {
		if id, amount, unknown, err := read(data); err == nil {
			t.Errorf("%.60q: read as %q %q %s", data, id, amount, unknown)
		}
	}
	if _, _, unknown, err := read(`{"ORDER_ID":"1","Amount":"x"}`); err != nil || len(unknown) != 2 {
		t.Errorf("other spellings alone are other members: %s, %v", unknown, err)
	}
}

func TestReaderManyMembers(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"order_id":"1"`)
	for i := range 100 {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	if _, _, unknown, err := read(b.String() + `}`); err != nil || len(unknown) != 100 {
		t.Fatalf("got %d members, %v", len(unknown), err)
	}
	for _, twin := range []string{`"m99":0`, `"m0":0`, `"M99":0`, `"M0":0`, `"order_id":"1"`, `"Order_id":"1"`} {
		if _, _, _, err := read(b.String() + `,` + twin + `}`); err == nil {
			t.Errorf("%s: read", twin)
		}
	}
}

func TestReaderErrorNamesTheMemberOnly(t *testing.T) {
	t.Parallel()
	_, _, _, err := read(`{"order_id":12.75}`)
	if err == nil || !strings.Contains(err.Error(), "order_id") || strings.Contains(err.Error(), "12.75") {
		t.Fatalf("got %v", err)
	}
	if _, _, _, err := read(`{"x":1,"X":2,"order_id":12}`); err == nil || errors.Is(err, wire.ErrTwins) {
		t.Errorf("the first error is not that of the twins: %v", err)
	}
	r := wire.NewReader([]byte(`{"a":1,"b":2}`))
	r.Next()
	_, _ = r.String(), r.Next()
	if _, err := r.Close(); err == nil || !strings.Contains(err.Error(), "a: ") {
		t.Errorf("got %v, want the first error", err)
	}
}

func TestReaderText(t *testing.T) {
	t.Parallel()
	r := wire.NewReader([]byte(`{"a":null,"b":"\u0078","c":1.50,"d":-2,"e":"","f":true}`))
	var got []string
	for r.Next() {
		if string(r.Raw()) == "null" {
			got = append(got, "null")
			continue
		}
		if r.Name() == "f" {
			break
		}
		got = append(got, r.Text())
	}
	if want := "null x 1.50 -2 "; strings.Join(got, " ") != want {
		t.Errorf("got %q", got)
	}
	if unknown, err := r.Close(); err != nil || unknown != nil {
		t.Errorf("got %s, %v", unknown, err)
	}
	r = wire.NewReader([]byte(`{"a":true,"b":"x"}`))
	for r.Next() {
		if got := r.Text(); got != "" {
			t.Errorf("got %q", got)
		}
	}
	if r.Next() {
		t.Error("the walk goes on after an error")
	}
	if unknown, err := r.Close(); err == nil || unknown != nil {
		t.Errorf("got %s, %v", unknown, err)
	}
	r = wire.NewReader([]byte(`{"a":1,`))
	if r.Next() {
		t.Error("a member of what is no object")
	}
	if unknown, err := r.Close(); err != wire.ErrSyntax || unknown != nil {
		t.Errorf("got %s, %v", unknown, err)
	}
}

// TestWriterQuotes: what is written is read as it was.
func TestWriterQuotes(t *testing.T) {
	t.Parallel()
	for c := range 0x180 {
		w := wire.NewWriter()
		w.String(string(rune(c))+"n", "x"+string(rune(c))+"y")
		out, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		var m wire.Members
		if err := wire.Parse(out, &m); err != nil || m.Len() != 1 {
			t.Fatalf("%q: %v", out, err)
		}
		if text, _ := m.Text(0); text != "x"+string(rune(c))+"y" || string(m.Name(0)) != string(rune(c))+"n" {
			t.Errorf("%q became %q", c, text)
		}
		if escaped := strings.Contains(string(out), `\`); escaped != (c < 0x20 || c == '"' || c == '\\') {
			t.Errorf("%q is written as %s", c, out)
		}
	}
}

// TestReaderKeepsNothing: what a Reader hands out is its own.
func TestReaderKeepsNothing(t *testing.T) {
	t.Parallel()
	data := []byte(`{"a":"x","b":[1],"\u0063":"\u0079"}`)
	r := wire.NewReader(data)
	clear(data)
	var got []string
	for r.Next() {
		if r.Name() == "b" {
			got = append(got, string(r.Raw()))
			continue
		}
		got = append(got, r.Name(), r.String())
	}
	if _, err := r.Close(); err != nil || strings.Join(got, " ") != "a x [1] c y" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	known := func(name string) bool { return name == "a" }
	lone := wire.NewWriter()
	lone.Unknown(known, map[string]json.RawMessage{"A": json.RawMessage(`1`)})
	if got, err := lone.Close(); err != nil || string(got) != `{"A":1}` {
		t.Errorf("another spelling alone is another member: %s, %v", got, err)
	}
	empty := wire.NewWriter()
	empty.String("a", "")
	empty.Raw("b", nil)
	empty.Unknown(known, nil)
	if got, err := empty.Close(); err != nil || string(got) != `{}` {
		t.Errorf("got %s, %v", got, err)
	}
	w := wire.NewWriter()
	w.String("a", "x\"\\\n\r\t\x01=<é")
	w.Raw("b", json.RawMessage(`[1, 2]`))
	w.Unknown(known, map[string]json.RawMessage{"z": json.RawMessage(`"1"`), "y": json.RawMessage(`""`), "x": nil})
	got, err := w.Close()
	want := `{"a":"x\"\\\n\r\t\u0001=<é","b":[1, 2],"y":"","z":"1"}`
	if err != nil || string(got) != want {
		t.Fatalf("got %s, %v", got, err)
	}
	for name, write := range map[string]func(*wire.Writer){
		"invalid UTF-8": func(w *wire.Writer) { w.String("a", "\xff") },
		"known name":    func(w *wire.Writer) { w.Unknown(known, map[string]json.RawMessage{"a": json.RawMessage(`1`)}) },
		"written by case": func(w *wire.Writer) {
			w.String("a", "x")
			w.Unknown(known, map[string]json.RawMessage{"A": json.RawMessage(`1`)})
		},
		"twins": func(w *wire.Writer) {
			w.Unknown(known, map[string]json.RawMessage{"b": json.RawMessage(`1`), "B": json.RawMessage(`1`)})
		},
		"not JSON":     func(w *wire.Writer) { w.Unknown(known, map[string]json.RawMessage{"b": json.RawMessage(`1,"c":2`)}) },
		"not readable": func(w *wire.Writer) { w.Raw("b", json.RawMessage(`{"c":1,"c":2}`)) },
	} {
		w := wire.NewWriter()
		write(&w)
		w.Fail(errors.New("a later error"))
		w.String("later", "x")
		if got, err := w.Close(); err == nil || got != nil || err.Error() == "a later error" {
			t.Errorf("%s: written as %s, %v", name, got, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{`{"order_id":"1","amount":1}`, `{"a":[{"b":1e5}],"\u0041":"x"}`, `{"a":"\ud83d\ude00"}`, `{}`} {
		f.Add(seed)
	}
	// The law: what is read, encoding/json reads too, and as the same values.
	f.Fuzz(func(t *testing.T, data string) {
		r := wire.NewReader([]byte(data))
		unknown, err := r.Close()
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatal(err)
		}
		if len(want) != len(unknown) {
			t.Fatalf("got %d members, want %d", len(unknown), len(want))
		}
		for name, value := range want {
			if string(unknown[name]) != string(value) {
				t.Fatalf("%q: got %s, want %s", name, unknown[name], value)
			}
		}
	})
}
