package api

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/wire"
)

// Member describes one member of a Schema.
type Member struct {
	Name    string   // the spelling that is sent
	Aliases []string // other spellings that are read
	// Description is for people.
	Description string
	// Kind is the shape of the value.
	Kind MemberKind
	// Role is the member's meaning for client and gateway, or "".
	Role Role
	// Echo names the request member whose value an answer repeats.
	Echo string
	// Required, Nullable, Number: must be present, may be null, may be a JSON
	// number.
	Required, Nullable, Number bool
	// Decides says that a decision rests on the member. Of an answer or a
	// notification only such a member can stop anything: the value of any other
	// one that does not fit is kept as it came, in AdditionalProperties.
	Decides bool
	// Sensitive members are never shown.
	Sensitive bool
	// Unknown members are not on the vendor's page.
	Unknown bool
	// Const is the one value that is allowed, or "".
	Const string
	// Enum are the values that are allowed, nil if there is no such list.
	Enum []string
	// Rule names the pattern, Pattern is it, or "".
	Rule, Pattern string
	// MinLength and MaxLength bound the characters; 0 is no bound.
	MinLength, MaxLength int
	// Min is the least amount.
	Min int64
	// UsualMin and UsualMax are lengths seen in practice, both 0 when nothing
	// is known. A value outside is suspect, not invalid.
	UsualMin, UsualMax int
	// Example is a valid value, as JSON, or "".
	Example string

	// Respell says that a request may send the member under an alias.
	Respell bool

	pattern *lazyPattern
}

type lazyPattern struct {
	once sync.Once
	re   *regexp.Regexp
}

// matchesPattern reports whether text fits the pattern, if there is one. The
// pattern is compiled once, when first needed.
func (m Member) matchesPattern(text string) bool {
	if m.Pattern == "" {
		return true
	}
	if m.pattern == nil { // a member that was written by hand
		return regexp.MustCompile(m.Pattern).MatchString(text)
	}
	m.pattern.once.Do(func() { m.pattern.re = regexp.MustCompile(m.Pattern) })
	return m.pattern.re.MatchString(text)
}

// check returns the rule that the value breaks, or "".
func (m Member) check(value json.RawMessage) string {
	switch {
	case string(value) == "null":
		if m.Nullable || m.Kind == MemberRaw {
			return ""
		}
		return "null"
	case string(value) == `""` && m.Nullable, m.Kind == MemberRaw:
		return ""
	case m.Kind == MemberAmount || m.Kind == MemberRate:
		return m.checkAmount(value)
	case value[0] != '"':
		if m.admits(string(value)) != nil {
			return "string"
		}
		return ""
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "string"
	}
	return m.CheckText(text)
}

func (m Member) checkAmount(value json.RawMessage) string {
	var c field.Cents
	if err := c.UnmarshalJSON(value); err != nil {
		return "amount"
	}
	switch {
	case int64(c) < m.Min:
		return "min"
	case value[0] != '"':
		if !m.Number {
			return "string"
		}
		return ""
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "string"
	}
	return m.CheckText(text)
}

// CheckText returns the rule that a text breaks as this member's value, or "".
// The empty text of an optional member breaks none.
func (m Member) CheckText(text string) string {
	switch {
	case text == "" && !m.Required:
		return ""
	case text == "":
		return "required"
	case m.MinLength > 1 && utf8.RuneCountInString(text) < m.MinLength:
		return "min"
	case m.MaxLength > 0 && len(text) > m.MaxLength && utf8.RuneCountInString(text) > m.MaxLength:
		return "max"
	case m.Const != "" && text != m.Const:
		return "const"
	case len(m.Enum) > 0 && !slices.Contains(m.Enum, text):
		return "enum"
	case !m.matchesPattern(text):
		if m.Rule == "" {
			return "pattern"
		}
		return m.Rule
	}
	return ""
}

// admits says why the text of a value that is not a string may not be kept as
// the member's text.
func (m *Member) admits(raw string) error {
	switch {
	case m.Kind == MemberJSON:
		if raw[0] != '{' || strings.TrimSpace(raw[1:]) == "}" {
			return errNotJSON
		}
	case !m.Number:
		return errNotString
	case !wire.IsNumber(raw):
		return errNotText
	}
	return nil
}

// MemberKind is the shape of a member's value on the wire.
type MemberKind string

// The kinds of member.
const (
	// MemberString is a string.
	MemberString MemberKind = "string"
	// MemberAmount is an amount in cents: a string of digits, and in answers
	// perhaps a number.
	MemberAmount MemberKind = "amount"
	// MemberRate is a rate times ten to the eighth, spelled as an amount.
	MemberRate MemberKind = "rate"
	// MemberText is a string or a number whose text is kept.
	MemberText MemberKind = "text"
	// MemberJSON is a string that holds JSON.
	MemberJSON MemberKind = "json"
	// MemberRaw is any JSON.
	MemberRaw MemberKind = "raw"
	// MemberTime is a string that holds a time.
	MemberTime MemberKind = "time"
	// MemberStatus is a string that holds an order status.
	MemberStatus MemberKind = "status"
)

// Role says what a member is to a client or a gateway. Most have none.
type Role string
