package api

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/wire"
)

// Schema describes the decrypted object of one message. It is shared: do not
// change it.
type Schema struct {
	// Name is the name of the schema and of its Go type.
	Name string
	// Pages is where the vendor describes it, one address at least.
	Pages []string
	// Request and Response say on which side it stands; notifications and
	// parts of answers are neither.
	Request, Response bool
	// Members are in the document's order.
	Members []Member
	// OneOf lists groups of members. Of each group one must be present.
	OneOf [][]string
	// Example is a valid object, as JSON.
	Example string

	// keys are the names under which members are read, the shorter ones first.
	// Those of n bytes are keys[byLength[n]:byLength[n+1]].
	keys     []key
	byLength []uint8
	make     func() any // returns a pointer to a new value of the Go type
}

// Member describes one member of a Schema.
type Member struct {
	// Name is the spelling that is sent; Aliases are read as well.
	Name    string
	Aliases []string
	// Description is for people.
	Description string
	// Kind is the shape of the value.
	Kind MemberKind
	// Role is what the member is to client and gateway, if anything.
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
	// Const is the one value, or "". Enum are the values, if they are closed.
	Const string
	Enum  []string
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

// MatchesPattern reports whether text fits the pattern, if there is one. The
// pattern is compiled once, when first needed.
func (m Member) MatchesPattern(text string) bool {
	if m.Pattern == "" {
		return true
	}
	m.pattern.once.Do(func() { m.pattern.re = regexp.MustCompile(m.Pattern) })
	return m.pattern.re.MatchString(text)
}

// Member returns the member of this name or alias.
func (s *Schema) Member(name string) (Member, bool) {
	for _, m := range s.Members {
		if m.Name == name || slices.Contains(m.Aliases, name) {
			return m, true
		}
	}
	return Member{}, false
}

// WithRole returns the member of this role.
func (s *Schema) WithRole(role Role) (Member, bool) {
	for _, m := range s.Members {
		if m.Role == role {
			return m, true
		}
	}
	return Member{}, false
}

// SchemaError names the member that breaks a schema and the rule it breaks,
// never a value.
type SchemaError struct {
	Schema, Member, Rule string
}

// Error returns the three words.
func (e *SchemaError) Error() string {
	if e.Member == "" {
		return "api: " + e.Schema + ": " + e.Rule
	}
	return "api: " + e.Schema + ": " + e.Member + ": " + e.Rule
}

// Check reports the first fault of an object: *SchemaError, or nil.
func (s *Schema) Check(object []byte) error {
	values := make(map[string]json.RawMessage, len(s.Members))
	var members wire.Members
	if err := wire.Parse(object, &members); err != nil {
		return &SchemaError{s.Name, "", err.Error()}
	}
	for i := range members.Len() {
		k, ok := s.lookup(members.Name(i))
		if !ok {
			if s.Request && BearsCardData(string(members.Name(i))) {
				return &SchemaError{s.Name, "", "bears card data"}
			}
			continue
		}
		name := s.Members[k.member].Name
		if _, given := values[name]; !given || k.alias == 0 {
			values[name] = json.RawMessage(members.Value(i))
		}
	}
	if members.Twins(func(name string) bool { return !s.knows(name) }) {
		return &SchemaError{s.Name, "", wire.ErrTwins.Error()}
	}
	for _, m := range s.Members {
		value, ok := values[m.Name]
		if !ok {
			if m.Required {
				return &SchemaError{s.Name, m.Name, "required"}
			}
			continue
		}
		if rule := m.check(value); rule != "" {
			return &SchemaError{s.Name, m.Name, rule}
		}
	}
	for _, group := range s.OneOf {
		if !slices.ContainsFunc(group, func(name string) bool { return !absent(string(values[name])) && values[name] != nil }) {
			return &SchemaError{s.Name, group[0], "required"}
		}
	}
	return nil
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
	case !m.MatchesPattern(text):
		if m.Rule == "" {
			return "pattern"
		}
		return m.Rule
	}
	return ""
}

// ErrNoSchema says that there is no schema of a name.
var ErrNoSchema = errors.New("api: no schema of this name")

// LookupSchema returns the schema of this name.
func LookupSchema(name string) (*Schema, bool) {
	for _, s := range schemas {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// Schemas returns the names of all schemas, sorted. The caller owns the slice.
func Schemas() []string {
	names := make([]string, len(schemas))
	for i, s := range schemas {
		names[i] = s.Name
	}
	return names
}

// New returns a pointer to a new value of a schema's Go type.
func New(schema string) (any, error) {
	s, ok := LookupSchema(schema)
	if !ok {
		return nil, ErrNoSchema
	}
	return s.make(), nil
}
