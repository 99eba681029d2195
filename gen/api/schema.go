package api

import (
	"encoding/json"
	"errors"
	"slices"

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
	Schema string // the schema's name
	Member string // the member's name, "" if the object itself is wrong
	Rule   string // the rule that it breaks, such as "required"
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
				return &SchemaError{s.Name, "", "holds card data"}
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

// errNoSchema says that there is no schema of a name.
var errNoSchema = errors.New("api: no schema of this name")

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
		return nil, errNoSchema
	}
	return s.make(), nil
}
