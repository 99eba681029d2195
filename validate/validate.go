// Package validate checks the generated types by their struct tags. The tags come
// from openapi/ottpay.yaml, as the types do.
//
// New returns a *validator.Validate, to which a program may add rules. Explain
// turns its errors into messages that name the member and the rule, and hold no
// value.
package validate

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay/gen/api"
)

// New returns a validator with the document's named rules. It names members as
// the wire does, and refuses a request whose additional members hold card data
// or are not strings.
//
// A program may add rules, and replace the document's: for example urllength,
// which is 255 characters, by RegisterValidation. It must do so before the first
// use; from then on the validator is safe for concurrent use.
func New() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return strings.TrimPrefix(name, "-") // what is not on the wire keeps its Go name
	})
	for name, pattern := range patterns() {
		match := func(fl validator.FieldLevel) bool { return pattern.MatchString(fl.Field().String()) }
		if err := v.RegisterValidation(name, match); err != nil {
			panic("validate: " + err.Error()) // a generated name that the library refuses
		}
	}
	for name, most := range lengths() {
		match := func(fl validator.FieldLevel) bool { return utf8.RuneCountInString(fl.Field().String()) <= most }
		if err := v.RegisterValidation(name, match); err != nil {
			panic("validate: " + err.Error())
		}
	}
	v.RegisterStructValidation(additional, requests()...)
	return v
}

// additional checks the additional members of a request. It also refuses a refund
// under the id of its payment: a query could not tell the two apart.
func additional(sl validator.StructLevel) {
	if r, ok := sl.Current().Interface().(api.RefundRequest); ok && r.OrderID != "" && r.OrderID == r.OriOrderID {
		sl.ReportError(r.OrderID, "order_id", "OrderID", "nefield", "ori_order_id")
	}
	members, _ := sl.Current().FieldByName("AdditionalProperties").Interface().(map[string]json.RawMessage)
	for name, value := range members {
		var text *string
		switch {
		case api.BearsCardData(name):
			sl.ReportError(members, "AdditionalProperties", "AdditionalProperties", "nocarddata", "")
		case json.Unmarshal(value, &text) != nil || text == nil:
			sl.ReportError(members, "AdditionalProperties", "AdditionalProperties", "string", "")
		}
	}
}

// Error lists the rules that a value of a generated type breaks. It holds no
// value.
type Error struct {
	Violations []Violation // at least one
}

// Violation is one rule that one member breaks.
type Violation struct {
	// Schema is the type's name and Member the wire's name of the member.
	Schema, Member string
	// Rule is the tag, such as "required" or "orderid", and Param its
	// parameter, such as the 64 of max=64.
	Rule, Param string
}

// Error names members and rules.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("validate: ")
	for i, v := range e.Violations {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(v.String())
	}
	return b.String()
}

// String returns one line such as "Notification.order_id: required".
func (v Violation) String() string {
	s := v.Schema + "." + v.Member + ": " + v.Rule
	if v.Param != "" {
		s += "=" + v.Param
	}
	return s
}

// Explain turns the validator's error into an *Error, which unlike it holds no
// values. Any other error, and nil, is returned as it is.
func Explain(err error) error {
	var all validator.ValidationErrors
	if !errors.As(err, &all) {
		return err
	}
	out := &Error{Violations: make([]Violation, 0, len(all))}
	for _, f := range all {
		schema, _, _ := strings.Cut(f.Namespace(), ".")
		out.Violations = append(out.Violations, Violation{Schema: schema, Member: f.Field(), Rule: f.Tag(), Param: f.Param()})
	}
	return out
}
