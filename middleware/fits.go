package middleware

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

// target is a type that notifications are received as.
type target struct {
	decoder *wire.Decoder
	card    bool // it is or embeds api.CardNotification, whose handler looks at the status
}

// mustFit returns the target, or panics as http.ServeMux does for a pattern that
// is not valid.
func mustFit[T any](w *Webhook) *target {
	t, err := fit[T](w)
	if err != nil {
		panic(err)
	}
	return t
}

func fit[T any](w *Webhook) (*target, error) {
	if w == nil {
		return nil, errors.New("middleware: the Webhook is nil")
	}
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("middleware: a notification cannot be received as %s: it is no struct", t)
	}
	d, err := wire.NewDecoder(t)
	if err != nil {
		return nil, fmt.Errorf("middleware: a notification cannot be received as %s: %w", t, err)
	}
	panicked := guarded(func() { w.tryTags(t, make(map[reflect.Type]bool)) })
	var why *PanicError
	if panicked != nil && errors.As(panicked.Err, &why) {
		return nil, fmt.Errorf("middleware: a notification cannot be received as %s: %v", t, why.Value)
	}
	return &target{d, embeds(t, reflect.TypeFor[api.CardNotification]())}, nil
}

// embeds reports whether t is part or embeds it.
func embeds(t, part reflect.Type) bool {
	if t == part {
		return true
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Pointer {
			f.Type = f.Type.Elem()
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct && embeds(f.Type, part) {
			return true
		}
	}
	return false
}

// tryTags validates an empty and a filled value of every struct type that t
// reaches. A validator reads a tag, and panics at a wrong one, when it first
// meets its type or a value that is not empty.
func (w *Webhook) tryTags(t reflect.Type, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		w.tryTags(t.Elem(), seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[t] {
		return
	}
	seen[t] = true
	empty, filled := reflect.New(t), reflect.New(t)
	fill(filled.Elem())
	_ = w.cfg.Validator.StructCtx(context.Background(), empty.Interface())
	_ = w.cfg.Validator.StructCtx(context.Background(), filled.Interface())
	for i := range t.NumField() {
		w.tryTags(t.Field(i).Type, seen)
	}
}

// fill gives v's own fields values that are not zero.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.CanSet() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			f.Set(reflect.New(f.Type().Elem()))
			f = f.Elem()
		}
		switch {
		case f.Kind() == reflect.String:
			f.SetString("1")
		case f.CanInt():
			f.SetInt(1)
		case f.CanUint():
			f.SetUint(1)
		case f.CanFloat():
			f.SetFloat(1)
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.Kind() == reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case f.Kind() == reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
		}
	}
}
