package wire

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Unmarshaler is a type that decodes from an index of members. The generated
// types do, so that an object that was parsed once is not read again.
type Unmarshaler interface {
	// UnmarshalMembers decodes an object from the index that [Parse] made of it.
	UnmarshalMembers(*Members) error
}

// MisfitError says that a member does not fit the Go type that it is decoded
// into. It holds no value.
type MisfitError struct {
	Member string // the path of names, "" for the object as a whole
	Type   string // the Go type
}

// Error names the member and the type.
func (e *MisfitError) Error() string {
	if e.Member == "" {
		return "wire: the object does not fit a " + e.Type
	}
	return "wire: member " + e.Member + " does not fit a " + e.Type
}

// Decoder decodes objects into a Go type. It is for the types of a program that
// receives messages. It is safe for concurrent use.
//
// A struct is decoded by its json tags as encoding/json does, but names are
// exact, in nested structs as well. The struct may embed a generated type, such
// as api.Notification: both get the members that they name. (With encoding/json
// the decoder of the embedded type would be promoted to the struct, and the
// other fields would stay empty.) An embedded pointer is allocated.
//
// A type that has UnmarshalMembers or UnmarshalJSON itself is decoded by that.
type Decoder struct {
	typ  reflect.Type
	plan *plan
}

// NewDecoder returns a decoder into values of type t. The error says why t
// cannot hold an object's members: it is not a struct and has no decoder of its
// own, two of its fields have the same name, or it embeds a pointer to a type
// that is not exported.
func NewDecoder(t reflect.Type) (*Decoder, error) {
	if t == nil {
		return nil, errors.New("wire: nil is not a type to decode into")
	}
	p, err := planOf(t, nil)
	if err != nil {
		return nil, fmt.Errorf("wire: %s: %w", t, err)
	}
	if p.how != byMembers && p.how != byMethod && p.how != byFields || t == reflect.TypeFor[json.RawMessage]() {
		return nil, fmt.Errorf("wire: %s: not a struct", t)
	}
	return &Decoder{typ: t, plan: p}, nil
}

// Decode decodes an object into v, a pointer to a value of the decoder's type.
// Members that v has no field for are ignored, unless an embedded type keeps
// them. The error of a member that does not fit is a [MisfitError], or that of
// a generated type, which holds no value either. If there is an error, v may
// have been changed.
func (d *Decoder) Decode(m *Members, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Type().Elem() != d.typ {
		return fmt.Errorf("wire: a %T is not a pointer to a %s", v, d.typ)
	}
	return d.plan.object(m, target.Elem(), "")
}

// how says by what a type is decoded.
type how int

const (
	byJSON    how = iota // encoding/json: the type has no names that it could confuse
	byMembers            // its UnmarshalMembers
	byMethod             // its UnmarshalJSON
	byFields             // the fields of a struct
	byPointer
	bySlice // of types that are decoded by their fields
	byMap
)

// plan is how a type is decoded.
type plan struct {
	typ    reflect.Type
	how    how
	elem   *plan   // of a pointer, slice, array or map
	embeds []field // decoded from all members of the object
	fields []field // decoded from one member each
}

// field is a field of a struct, or of a struct that it embeds.
type field struct {
	index  []int
	name   string // of the member
	tagged bool
	quoted bool // the value stands in a string: the tag says so
	plan   *plan
}

// planOf returns the plan of a type. outer are the types that it is a part of:
// a type that contains itself gets its one plan.
func planOf(t reflect.Type, outer []*plan) (*plan, error) {
	for _, p := range outer {
		if p.typ == t {
			return p, nil
		}
	}
	p := &plan{typ: t}
	outer = append(outer, p)
	pointer := reflect.PointerTo(t)
	var err error
	switch {
	case pointer.Implements(reflect.TypeFor[Unmarshaler]()) && declares(t, "UnmarshalMembers"):
		p.how = byMembers
	case pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) && declares(t, "UnmarshalJSON"):
		p.how = byMethod
	case pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && declares(t, "UnmarshalText"):
	case t.Kind() == reflect.Struct:
		p.how = byFields
		err = p.addFields(t, nil, outer)
	case t.Kind() == reflect.Pointer:
		err = p.over(byPointer, t, outer)
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		err = p.over(bySlice, t, outer)
	case t.Kind() == reflect.Map:
		err = p.over(byMap, t, outer)
	}
	return p, err
}

// over plans a pointer, slice, array or map by its element, if that has names
// that must be exact.
func (p *plan) over(by how, t reflect.Type, outer []*plan) error {
	elem, err := planOf(t.Elem(), outer)
	if err != nil {
		return err
	}
	if elem.how != byJSON && elem.how != byMethod {
		p.how, p.elem = by, elem
	}
	return nil
}

// declares reports whether a type has the method itself, and not from a type
// that it embeds. Package reflect does not tell, so the compiler's own mark of
// the wrapper that it makes for a promoted method does.
func declares(t reflect.Type, method string) bool {
	if !embeds(t, method) {
		return true
	}
	base, _, _ := strings.Cut(t.Name(), "[")
	if base == "" {
		return false // a type without a name declares nothing
	}
	for _, receiver := range []reflect.Type{t, reflect.PointerTo(t)} {
		m, ok := methodOf(receiver, method)
		if !ok {
			continue
		}
		f := runtime.FuncForPC(m.Func.Pointer())
		if file, _ := f.FileLine(m.Func.Pointer()); file == "<autogenerated>" {
			continue
		}
		// The wrapper may have the promoted method inlined: then the name is that one's.
		if name := f.Name(); strings.Contains(name, "."+base+".") || strings.Contains(name, "(*"+base+")") || strings.Contains(name, base+"[") {
			return true
		}
	}
	return false
}

// embeds reports whether a struct embeds a type with the method.
func embeds(t reflect.Type, method string) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.Anonymous {
			continue
		}
		if _, ok := methodOf(f.Type, method); ok {
			return true
		}
		if _, ok := methodOf(reflect.PointerTo(f.Type), method); ok {
			return true
		}
	}
	return false
}

// methodOf looks a method up by a constant name, so that the linker may drop all
// others.
func methodOf(t reflect.Type, method string) (reflect.Method, bool) {
	switch method {
	case "UnmarshalMembers":
		return t.MethodByName("UnmarshalMembers")
	case "UnmarshalJSON":
		return t.MethodByName("UnmarshalJSON")
	default:
		return t.MethodByName("UnmarshalText")
	}
}

// addFields adds the fields of a struct that stands at index in p's type.
func (p *plan) addFields(t reflect.Type, index []int, outer []*plan) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		at := append(slices.Clone(index), i)
		if f.Anonymous && name == "" {
			embedded, err := p.embed(f, at, outer)
			if err != nil {
				return err
			}
			if embedded {
				continue
			}
		}
		if !f.IsExported() {
			continue
		}
		if err := p.add(f, field{
			index: at, name: cmp.Or(name, f.Name), tagged: name != "",
			quoted: slices.Contains(strings.Split(options, ","), "string"),
		}, outer); err != nil {
			return err
		}
	}
	return nil
}

// embed adds what an embedded type takes of the object. It reports false if the
// field is an ordinary one.
func (p *plan) embed(f reflect.StructField, at []int, outer []*plan) (bool, error) {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	inner, err := planOf(t, outer)
	if err != nil {
		return false, err
	}
	switch {
	case inner.how != byMembers && inner.how != byMethod && inner.how != byFields:
		return false, nil
	case !f.IsExported() && f.Type.Kind() == reflect.Pointer:
		return false, fmt.Errorf("it embeds a pointer to %s, which is not exported and cannot be allocated", t)
	case slices.Contains(outer, inner):
		return false, fmt.Errorf("it embeds itself as %s", f.Name)
	case inner.how == byFields && f.Type.Kind() == reflect.Struct:
		return true, p.addFields(t, at, outer)
	case !f.IsExported():
		return false, fmt.Errorf("it embeds %s, which is not exported and has a decoder that cannot be called", t)
	}
	p.embeds = append(p.embeds, field{index: at, name: f.Name, plan: inner})
	return true, nil
}

// add adds a field. Of two of one name the less nested one counts, then the one
// whose tag has the name, as for encoding/json.
func (p *plan) add(of reflect.StructField, f field, outer []*plan) error {
	var err error
	if f.plan, err = planOf(of.Type, outer); err != nil {
		return fmt.Errorf("%s: %w", of.Name, err)
	}
	for i, other := range p.fields {
		if other.name != f.name {
			continue
		}
		switch {
		case len(other.index) != len(f.index):
			if len(f.index) < len(other.index) {
				p.fields[i] = f
			}
		case other.tagged != f.tagged:
			if f.tagged {
				p.fields[i] = f
			}
		default:
			return fmt.Errorf("two fields take the member %s", f.name)
		}
		return nil
	}
	p.fields = append(p.fields, f)
	return nil
}

// object decodes an object into v.
func (p *plan) object(m *Members, v reflect.Value, path string) error {
	switch p.how {
	case byMembers:
		return v.Addr().Interface().(Unmarshaler).UnmarshalMembers(m)
	case byFields:
		return p.structOf(m, v, path)
	default:
		return p.value(m.JSON(), v, path)
	}
}

func (p *plan) structOf(m *Members, v reflect.Value, path string) error {
	for i := range p.embeds {
		e := &p.embeds[i]
		target := v.FieldByIndex(e.index)
		if target.Kind() == reflect.Pointer {
			if target.IsNil() {
				target.Set(reflect.New(e.plan.typ))
			}
			target = target.Elem()
		}
		if err := e.plan.object(m, target, path); err != nil {
			return err
		}
	}
	for i := range p.fields {
		f := &p.fields[i]
		at := m.Find(f.name)
		if at < 0 {
			continue
		}
		raw, name := m.Value(at), strings.TrimPrefix(path+"."+f.name, ".")
		if f.quoted && raw[0] == '"' {
			raw = f.unquoted(raw)
		}
		if err := f.plan.value(raw, v.FieldByIndex(f.index), name); err != nil {
			return err
		}
	}
	return nil
}

// unquoted returns the JSON in a string, for a field whose tag says string. The
// option is for numbers and booleans, and for strings that are quoted twice.
func (f *field) unquoted(raw []byte) []byte {
	switch t := f.plan.typ; t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64, reflect.String:
		return AppendText(nil, raw)
	}
	return raw
}

// value decodes one JSON value into v.
func (p *plan) value(raw []byte, v reflect.Value, path string) error {
	switch {
	case p.how == byJSON, p.how == byMethod:
		if json.Unmarshal(raw, v.Addr().Interface()) != nil { // whose words quote values
			return &MisfitError{Member: path, Type: v.Type().String()}
		}
		return nil
	case string(raw) == "null":
		if k := v.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
			v.SetZero()
		}
		return nil
	case p.how == byPointer:
		if v.IsNil() {
			v.Set(reflect.New(p.elem.typ))
		}
		return p.elem.value(raw, v.Elem(), path)
	case p.how == bySlice:
		return p.slice(raw, v, path)
	case p.how == byMap:
		return p.mapOf(raw, v, path)
	}
	var m Members
	if Parse(raw, &m) != nil {
		return &MisfitError{Member: path, Type: v.Type().String()}
	}
	return p.object(&m, v, path)
}

func (p *plan) slice(raw []byte, v reflect.Value, path string) error {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return &MisfitError{Member: path, Type: v.Type().String()}
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	}
	for i := range min(len(items), v.Len()) {
		if err := p.elem.value(items[i], v.Index(i), path); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) mapOf(raw []byte, v reflect.Value, path string) error {
	items := reflect.New(reflect.MapOf(v.Type().Key(), reflect.TypeFor[json.RawMessage]()))
	if json.Unmarshal(raw, items.Interface()) != nil {
		return &MisfitError{Member: path, Type: v.Type().String()}
	}
	v.Set(reflect.MakeMap(v.Type()))
	for key, item := range items.Elem().Seq2() {
		elem := reflect.New(p.elem.typ).Elem()
		if err := p.elem.value(item.Bytes(), elem, path); err != nil {
			return err
		}
		v.SetMapIndex(key, elem)
	}
	return nil
}
