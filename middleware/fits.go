package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// sample is a notification, for trying out a type.
const sample = `{"amount":"1999","bizpay_order_id":"WX240102030405000001","finish_time":"20240102110405","merchant_id":"TS00000001","order_id":"T1"}`

// Fits returns an error if no notification can be received as T: T is no
// struct, or decoding into it or validating it panics, for example because a
// validate tag names a rule that does not exist. [Handle] panics with this
// error, as http.ServeMux does for a pattern that is not valid.
func Fits[T any](w *Webhook) error {
	if w == nil {
		return errors.New("middleware: the Webhook is nil")
	}
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("middleware: a notification cannot be received as %s: it is no struct", t)
	}
	panicked := guarded(func() *Refusal {
		_ = decodeJSON([]byte(sample), new(T)) // an error is not T's fault: the values are not the gateway's
		w.tryTags(t, make(map[reflect.Type]bool))
		return nil
	})
	var why *PanicError
	if panicked != nil && errors.As(panicked.Err, &why) {
		return fmt.Errorf("middleware: a notification cannot be received as %s: %v", t, why.Value)
	}
	return nil
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

// decodeJSON decodes a payload that has been verified.
func decodeJSON(payload []byte, v any) error {
	if u, ok := v.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(payload)
	}
	if err := json.Unmarshal(payload, v); err != nil {
		return misfit(err, v)
	}
	return nil
}
