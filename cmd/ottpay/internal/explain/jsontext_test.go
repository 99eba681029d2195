package explain

import (
	"errors"
	"testing"

	"github.com/ottpaykit/ottpay/wire"
)

// FuzzParseJSON holds the reader with positions and package wire together:
// they accept the same objects, with the same members.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1}`, ` {"a":"\u00e9","b":[1,{"c":null}]} `, `{"a":1,"a":2}`, `{"a":1e999}`, `{"a":"\ud83d"}`, `{"a":"\ud83d\ude00"}`, `{"a":01}`, `{"a":1.}`,
		"{\"a\":\"\xff\"}", `{"a":tru}`, `{"a":[1,]}`, `{"a":{"b":1,"b":2}}`, `[1]`, `{}{}`, ``, `{"a"`, `{"a":"x`, "{\"a\":\"\t\"}", `{'a':1}`, `{"a":-0.0e+5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, bad := parseJSON(text)
		var m wire.Members
		err := wire.Parse(text, &m)
		if len(text) > maxMessage && errors.Is(err, wire.ErrTooLarge) {
			return
		}
		if mine := bad == nil && v.kind == 'o'; mine != (err == nil) {
			t.Fatalf("%q: %+v, and wire says %v", text, bad, err)
		}
		if err != nil {
			return
		}
		if len(v.members) != m.Len() {
			t.Fatalf("%q: %d members, and wire says %d", text, len(v.members), m.Len())
		}
		for i, p := range v.members {
			if p.name != string(m.Name(i)) || string(text[p.value.at:p.value.end]) != string(m.Value(i)) {
				t.Errorf("%q: member %d is %q, and wire says %q", text, i, p.name, m.Name(i))
			}
			if s, ok := m.Text(i); ok && s != p.value.text {
				t.Errorf("%q: member %d is %q, and wire says %q", text, i, p.value.text, s)
			}
		}
	})
}
