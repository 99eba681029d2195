package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

const attached = `{"order_id":"A1","bizpay_order_id":"WX1","amount":"1999","finish_time":"20200416050429","attach":"table 7","order_ID_":"no","tip":"5"}`

type (
	embedding struct {
		api.Notification
		Attach string `json:"attach"`
	}
	pointing struct {
		*api.Notification
		Attach string `json:"attach"`
	}
	deep struct {
		embedding
		Again string `json:"attach"`
	}
	middle   struct{ api.Notification }
	throughU struct {
		middle
		Attach string `json:"attach"`
	}
	generic[T any] struct {
		api.Notification
		Attach T `json:"attach"`
	}
	pair struct { // neither decoder is promoted: there are two
		api.Notification
		api.PayInfo
		Attach string `json:"attach"`
	}
	// own embeds a generated type and decodes itself.
	own struct {
		api.Notification
		Seen string `json:"-"`
	}
	genericOwn[T any] struct {
		api.Notification
		Seen T
	}
	ownByValue struct {
		*api.Notification
		seen *string
	}
	// ownMembers prefers the index.
	ownMembers struct {
		Count int
	}
	named struct {
		Inner api.Notification `json:"attach"`
	}
	text string
)

func (o *own) UnmarshalJSON(data []byte) error {
	o.Seen = "own"
	return o.Notification.UnmarshalJSON(data)
}

func (o *genericOwn[T]) UnmarshalJSON(data []byte) error {
	if s, ok := any(&o.Seen).(*string); ok {
		*s = "own"
	}
	return o.Notification.UnmarshalJSON(data)
}

func (o ownByValue) UnmarshalJSON([]byte) error {
	*o.seen = "own"
	return nil
}

func (o *ownMembers) UnmarshalMembers(m *wire.Members) error {
	o.Count = m.Len()
	return nil
}

func (o *ownMembers) UnmarshalJSON([]byte) error { return errors.New("not this one") }

func (t *text) UnmarshalText(b []byte) error {
	*t = text("text:" + string(b))
	return nil
}

// unmarshal parses an object and decodes it into what v points to.
func unmarshal(data []byte, v any) error {
	var m wire.Members
	if err := wire.Parse(data, &m); err != nil {
		return err
	}
	d, err := wire.NewDecoder(reflect.TypeOf(v).Elem())
	if err != nil {
		return err
	}
	return d.Decode(&m, v)
}

func decode[T any](t *testing.T, data string) T {
	t.Helper()
	var v T
	if err := unmarshal([]byte(data), &v); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	return v
}

// TestDecodeEmbedded: with encoding/json the promoted decoder takes it all.
func TestDecodeEmbedded(t *testing.T) {
	t.Parallel()
	check := func(name string, n api.Notification, attach string) {
		t.Helper()
		if n.OrderID != "A1" || n.Amount != 1999 || n.Tip == nil || *n.Tip != 5 || attach != "table 7" {
			t.Errorf("%s: %v, %q", name, n, attach)
		}
	}
	var lost embedding
	if err := json.Unmarshal([]byte(attached), &lost); err != nil || lost.Attach != "" {
		t.Fatalf("encoding/json does it, too: %v, %v", lost, err)
	}
	e := decode[embedding](t, attached)
	check("embedded", e.Notification, e.Attach)
	p := decode[pointing](t, attached)
	check("embedded pointer", *p.Notification, p.Attach)
	d := decode[deep](t, attached)
	check("embedded twice", d.Notification, d.Again)
	if d.Attach != "" {
		t.Errorf("the field that is hidden got %q", d.Attach)
	}
	u := decode[throughU](t, attached)
	check("through an unexported struct", u.Notification, u.Attach)
	g := decode[generic[string]](t, attached)
	check("generic", g.Notification, g.Attach)
	b := decode[pair](t, strings.Replace(attached, `"tip"`, `"appId":"wx","tip"`, 1))
	check("two embedded", b.Notification, b.Attach)
	if b.AppID != "wx" {
		t.Errorf("the second embedded type got %v", b.PayInfo)
	}
	a := decode[struct {
		api.Notification
		Attach string `json:"attach"`
	}](t, attached)
	check("without a name", a.Notification, a.Attach)
}

func TestDecodeByItself(t *testing.T) {
	t.Parallel()
	if n := decode[api.Notification](t, attached); n.OrderID != "A1" {
		t.Errorf("a generated type: %v", n)
	}
	if o := decode[own](t, attached); o.Seen != "own" || o.OrderID != "A1" {
		t.Errorf("a decoder of its own was passed over: %v", o)
	}
	if o := decode[genericOwn[string]](t, attached); o.Seen != "own" || o.OrderID != "A1" {
		t.Errorf("a generic type's own decoder was passed over: %v", o)
	}
	seen := ""
	v := ownByValue{seen: &seen}
	if err := unmarshal([]byte(attached), &v); err != nil || seen != "own" {
		t.Errorf("a decoder of its own on the value: %v, %q", err, seen)
	}
	if o := decode[ownMembers](t, attached); o.Count != 7 {
		t.Errorf("got %d members", o.Count)
	}
	n := decode[named](t, `{"attach":`+attached+`}`)
	if n.Inner.OrderID != "A1" {
		t.Errorf("a generated type in a member: %v", n.Inner)
	}
}

type (
	plain struct {
		A string `json:"a"`
		B int    `json:"b,omitempty"`
		C *float64
		D []plain          `json:"d"`
		E map[string]plain `json:"e"`
		F json.RawMessage  `json:"f"`
		G any              `json:"g"`
		H time.Time        `json:"h"`
		I *plain           `json:"i"`
		J [2]Pointed       `json:"j"`
		K field.Cents      `json:"k"`
		L int              `json:"l,string"`
		M text             `json:"m"`
		N map[int]*plain   `json:"n"`
		O *[]*plain        `json:"o"`
		P bool             `json:"p,string"`
		U []byte           `json:"u"`
		V []field.Cents    `json:"v"`
		W map[string]int   `json:"w"`
		X []int            `json:"x,string"`
		Y *plain           `json:"y,string"`
		Z string           `json:"z,string"`
		Q string           `json:"-"`
		R string           `json:"-,"`
		inner
		*Pointed
		hidden string //nolint:unused // it must not be touched
	}
	inner struct {
		S string `json:"s"`
		A string // hidden by no other: its name is A
	}
	Pointed struct {
		T string `json:"t,omitempty"`
	}
)

// TestDecodeAgrees decodes what holds no name in another case, so that
// encoding/json must give the same.
func TestDecodeAgrees(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`, `{"a":"x","b":1,"C":2.5}`, `{"d":[{"a":"1"},{"b":2}],"e":{"x":{"a":"2"},"y":{}}}`, `{"f":[1, 2],"g":{"x":[1]},"h":"2020-04-16T05:04:29Z"}`,
		`{"i":{"i":{"a":"deep"}},"j":[{"t":"1"},{"t":"2"}],"k":"19","l":"7","m":"t"}`, `{"j":[{"t":"1"}]}`, `{"j":[{"t":"1"},{"t":"2"},{"t":"3"}]}`, `{"n":{"1":{"a":"x"},"2":null},"o":[{"a":"x"},null],"p":"true"}`,
		`{"a":null,"b":null,"d":null,"e":null,"i":null,"j":null,"n":null,"o":null,"k":5,"g":null}`, `{"d":[],"e":{},"o":[]}`, `{"s":"in","t":"ptr","A":"inner","-":"dash"}`, `{"unknown":1,"hidden":"x","Pointed":{"t":"x"},"inner":{"s":"x"}}`, `{"u":"aGk=","v":["1",2],"w":{"a":1},"x":[1,2],"y":{"a":"x"},"z":"\"q\""}`, `{"u":null,"v":null,"w":null,"x":null,"y":null,"z":null,"C":null,"h":null}`,
	} {
		var got, want plain
		got.Pointed, want.Pointed = new(Pointed), new(Pointed)
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatal(err)
		}
		if err := unmarshal([]byte(data), &got); err != nil {
			t.Errorf("%s: %v", data, err)
		} else if g, w := encoded(t, got), encoded(t, want); g != w {
			t.Errorf("%s: got %s, want %s", data, g, w)
		}
	}
}

// TestDecodeOnto decodes onto a value that has something in every field.
func TestDecodeOnto(t *testing.T) {
	t.Parallel()
	full := func() plain {
		c, i, o := 1.5, &plain{A: "i"}, []*plain{{A: "o"}}
		return plain{
			A: "a", B: 1, C: &c, D: []plain{{A: "d"}}, E: map[string]plain{"e": {}}, F: json.RawMessage(`1`), G: 1, H: time.Unix(0, 0).UTC(), I: i, J: [2]Pointed{{"j"}, {"j"}},
			K: 5, L: 6, M: "m", N: map[int]*plain{1: i}, O: &o, P: true, U: []byte("u"), V: []field.Cents{1}, W: map[string]int{"w": 1}, X: []int{1}, Y: i, Z: "z", inner: inner{S: "s", A: "A"}, Pointed: &Pointed{T: "t"},
		}
	}
	for _, data := range []string{
		`{}`, `{"a":null,"b":null,"C":null,"d":null,"e":null,"g":null,"i":null,"j":null,"k":7,"n":null,"o":null,"p":null,"u":null,"v":null,"w":null,"x":null,"y":null,"z":null,"s":null,"t":null}`,
		`{"d":[],"e":{},"i":{"b":2},"n":{},"o":[null],"s":"new","t":"new","A":"new"}`,
	} {
		got, want := full(), full()
		pointed := got.Pointed
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatal(err)
		}
		if err := unmarshal([]byte(data), &got); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(data, `"e":{}`) {
			want.E = map[string]plain{} // encoding/json keeps the entries of a map that is there
			want.N = map[int]*plain{}
		}
		if g, w := encoded(t, got), encoded(t, want); g != w {
			t.Errorf("%s:\ngot  %s\nwant %s", data, g, w)
		}
		if got.Pointed != pointed {
			t.Errorf("%s: an embedded pointer that was set is another one", data)
		}
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestDecodeNamesAreExact(t *testing.T) {
	t.Parallel()
	got := decode[plain](t, `{"B":1,"c":2,"D":[{"a":"x"}],"d":[{"B":5,"b":6}],"e":{"x":{"B":7}},"i":{"B":8,"i":{"B":9}},"j":[{"T":"1"}],"T":"x"}`)
	if got.B != 0 || got.C != nil || got.D[0].B != 6 || got.E["x"].B != 0 || got.I.B != 0 || got.I.I.B != 0 || got.J[0].T != "" || got.T != "" {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeMisfits(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"a":"s3cret","b":"s3cret"}`:            "wire: member b does not fit a int",
		`{"d":[{"b":"s3cret"}]}`:                 "wire: member d.b does not fit a int",
		`{"d":"s3cret"}`:                         "wire: member d does not fit a []wire_test.plain",
		`{"e":{"s3cret":{"b":"s3cret"}}}`:        "wire: member e.b does not fit a int",
		`{"e":["s3cret"]}`:                       "wire: member e does not fit a map[string]wire_test.plain",
		`{"i":{"i":{"b":"s3cret"}}}`:             "wire: member i.i.b does not fit a int",
		`{"i":"s3cret"}`:                         "wire: member i does not fit a wire_test.plain",
		`{"h":"s3cret"}`:                         "wire: member h does not fit a time.Time",
		`{"k":"s3cret"}`:                         "wire: member k does not fit a field.Cents",
		`{"l":"s3cret"}`:                         "wire: member l does not fit a int",
		`{"n":{"s3cret":{}}}`:                    "wire: member n does not fit a map[int]*wire_test.plain",
		`{"b":99999999999999999999999999999999}`: "wire: member b does not fit a int",
		`{"a":{"x":"s3cret","x":"s3cret"}}`:      "wire: a member name stands twice",
	} {
		var v plain
		err := unmarshal([]byte(data), &v)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "s3cret") {
			t.Errorf("%s: the error holds a value: %#v", data, err)
		}
	}
	var misfit *wire.MisfitError
	if err := unmarshal([]byte(`{"attach":5}`), new(embedding)); !errors.As(err, &misfit) || misfit.Member != "attach" || misfit.Type != "string" {
		t.Errorf("got %v", err)
	}
	err := unmarshal([]byte(`{"amount":"s3cret"}`), new(embedding))
	if err == nil || !strings.Contains(err.Error(), "amount") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	if err := unmarshal([]byte(`{}`), new(failing)); err == nil || err.Error() != "wire: the object does not fit a wire_test.failing" {
		t.Errorf("got %v", err)
	}
}

type Tiny struct{ Seen bool } // its decoder is small enough to be inlined into what promotes it

func (t *Tiny) UnmarshalJSON([]byte) error { t.Seen = true; return nil }

type Stamp struct{ At string }

func (s *Stamp) UnmarshalText(b []byte) error { s.At = string(b); return nil }

type Text string

// TestDecodeWhatIsPromoted: decoders of several kinds, promoted from what a
// struct embeds.
func TestDecodeWhatIsPromoted(t *testing.T) {
	t.Parallel()
	type withTiny struct {
		Tiny
		Attach string `json:"attach"`
	}
	if v := decode[withTiny](t, attached); !v.Seen || v.Attach != "table 7" {
		t.Errorf("got %+v", v)
	}
	type withStamp struct {
		Stamp
		Attach string `json:"attach"`
	}
	if v := decode[withStamp](t, `{"Stamp":"now","attach":"x"}`); v.At != "now" || v.Attach != "x" {
		t.Errorf("got %+v", v)
	}
	type withInterface struct {
		json.Unmarshaler
		Attach string `json:"attach"`
	}
	if v := decode[withInterface](t, `{"attach":"x"}`); v.Attach != "x" {
		t.Errorf("got %+v", v)
	}
	type withText struct {
		Text
		Attach string `json:"attach"`
	}
	if v := decode[withText](t, `{"Text":"y","attach":"x"}`); v.Text != "y" || v.Attach != "x" {
		t.Errorf("got %+v", v)
	}
	type withName struct {
		api.Notification `json:"n"`
		Attach           string `json:"attach"`
	}
	if v := decode[withName](t, `{"n":`+attached+`,"attach":"x","order_id":"B1"}`); v.OrderID != "A1" || v.Attach != "x" {
		t.Errorf("got %v", v)
	}
	if v := decode[embedding](t, `{"Notification":{"order_id":"B1"},"order_id":"A1"}`); v.OrderID != "A1" {
		t.Errorf("an embedded type is not the member of its name: %v", v)
	}
}

type failing struct{ X int }

func (*failing) UnmarshalJSON([]byte) error { return errors.New("s3cret") }

type (
	recursive struct{ *recursive }
	Recursive struct{ *Recursive }
)

type (
	lower        struct{ X int }
	lowerDecodes struct{ X int }
)

func (*lowerDecodes) UnmarshalJSON([]byte) error { return nil }

func TestNewDecoderRefuses(t *testing.T) {
	t.Parallel()
	str := reflect.TypeFor[string]()
	twice := reflect.StructOf([]reflect.StructField{{Name: "A", Type: str, Tag: `json:"a"`}, {Name: "B", Type: str, Tag: `json:"a"`}})
	for name, typ := range map[string]reflect.Type{
		"nil": nil, "map": reflect.TypeFor[map[string]any](), "map of structs": reflect.TypeFor[map[string]plain](), "pointer": reflect.TypeFor[*plain](), "raw message": reflect.TypeFor[json.RawMessage](),
		"any": reflect.TypeFor[any](), "string": reflect.TypeFor[string](), "slice": reflect.TypeFor[[]plain](), "a text": reflect.TypeFor[text](),
		"two of one name": twice, "nested two of one name": reflect.StructOf([]reflect.StructField{{Name: "In", Type: twice}}),
		"unexported pointer": reflect.TypeFor[struct{ *lower }](),
		"unexported decoder": reflect.TypeFor[struct {
			lowerDecodes
			Y int
		}](),
		"itself": reflect.TypeFor[recursive](), "itself, exported": reflect.TypeFor[Recursive](),
		"slice of such": reflect.StructOf([]reflect.StructField{{Name: "In", Type: reflect.SliceOf(twice)}}), "map of such": reflect.StructOf([]reflect.StructField{{Name: "In", Type: reflect.MapOf(str, twice)}}),
		"pointer to such": reflect.StructOf([]reflect.StructField{{Name: "In", Type: reflect.PointerTo(twice)}}), "embeds such": reflect.StructOf([]reflect.StructField{{Name: "In", Type: twice, Anonymous: true}}),
		"embeds a pointer to such": reflect.StructOf([]reflect.StructField{{Name: "In", Type: reflect.PointerTo(twice), Anonymous: true}}),
	} {
		if d, err := wire.NewDecoder(typ); err == nil {
			t.Errorf("%s: %v", name, d)
		} else if !strings.HasPrefix(err.Error(), "wire: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, err := wire.NewDecoder(reflect.TypeFor[plain]())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{new(embedding), plain{}, (*plain)(nil), nil, new(*plain)} {
		if err := d.Decode(new(wire.Members), v); err == nil {
			t.Errorf("%T: no error", v)
		}
	}
	if err := unmarshal([]byte(`{"a":1,"a":2}`), new(plain)); err != wire.ErrDuplicate {
		t.Errorf("got %v", err)
	}
}

// TestDecodeOnce: of two fields of one name the less nested one counts, then the
// one whose tag has it.
func TestDecodeOnce(t *testing.T) {
	t.Parallel()
	type nested struct {
		A string `json:"a"`
		B string `json:"b"`
	}
	type outer struct {
		A string `json:"a"`
		nested
		B string `json:"b"`
		C string
		D string `json:"C"`
	}
	const data = `{"a":"1","b":"2","C":"3"}`
	var want outer
	if err := json.Unmarshal([]byte(data), &want); err != nil {
		t.Fatal(err)
	}
	if got := decode[outer](t, data); got != want || got.nested.A != "" || got.D != "3" {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestDecodeAllocations: a plan that is made once costs nothing but what the
// values need.
func TestDecodeAllocations(t *testing.T) {
	d, err := wire.NewDecoder(reflect.TypeFor[embedding]())
	if err != nil {
		t.Fatal(err)
	}
	var m wire.Members
	if err := wire.Parse([]byte(notification), &m); err != nil {
		t.Fatal(err)
	}
	var e embedding
	got := testing.AllocsPerRun(100, func() {
		if err := d.Decode(&m, &e); err != nil {
			t.Fatal(err)
		}
	})
	if got > 4 {
		t.Errorf("%v allocations, want at most 4", got)
	}
}
