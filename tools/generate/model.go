package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// model is what the templates see: the document's facts, checked and named for
// Go. All lists are in a fixed order.
type model struct {
	doc       *openapi3.T
	Schemas   []*schema
	Actions   []*action
	Codes     []code
	Classes   []string
	Statuses  []status
	Rules     []rule
	Lengths   []lengthRule
	Forbidden []string
}

type schema struct {
	Name, GoName, Description string
	Pages                     []string // where the vendor describes it
	Decisions                 []decision
	Request, Response         bool
	Members                   []*member
	OneOf                     [][]*member // of each group one must be there
	Example                   string
	value                     *openapi3.Schema
}

// Respelled reports whether a request may send a member under an alias.
func (s *schema) Respelled() bool {
	return slices.ContainsFunc(s.Members, func(m *member) bool { return m.Respell })
}

// key is a name under which a member is read.
type key struct {
	Name          string
	Member, Alias int // its place among the members, and among the aliases, from 1
}

// Keys are the names under which members are read, the shorter ones first.
func (s *schema) Keys() []key {
	var keys []key
	for i, m := range s.Members {
		keys = append(keys, key{Name: m.Name, Member: i})
		for j, alias := range m.Aliases {
			keys = append(keys, key{alias, i, j + 1})
		}
	}
	slices.SortStableFunc(keys, func(a, b key) int { return len(a.Name) - len(b.Name) })
	return keys
}

// ByLength says where in Keys the names of each length begin, and at last where
// those of the greatest length end.
func (s *schema) ByLength() []int {
	keys := s.Keys()
	starts := make([]int, len(keys[len(keys)-1].Name)+2)
	for n := range starts {
		starts[n], _ = slices.BinarySearchFunc(keys, n, func(k key, n int) int { return len(k.Name) - n })
	}
	return starts
}

type member struct {
	Name, GoName, Description string
	Kind, GoType              string
	Aliases                   []string
	Role, Echo                string
	Required, Nullable        bool
	Decides                   bool // only such a member of an answer can stop anything
	Sensitive, Unknown        bool
	Respell                   bool
	Pattern, Rule, LengthRule string
	MinLength, MaxLength      int
	Min                       int64
	Enum                      []string
	UsualMin, UsualMax        int
	Tag                       string
	Example                   string
	value                     *openapi3.Schema
	re                        *regexp.Regexp // of Pattern
}

type action struct {
	Name, GoName, Method   string
	Summary, Version, Kind string
	Effect                 string
	Pages                  []string
	Decisions              []decision
	Request, Response      *schema
	Order                  *member // nil: none
	Terminal               bool
	Unknown                []string
}

// Number reports whether the value may be a JSON number.
func (m *member) Number() bool {
	return m.value.Type.Permits("number") || m.value.Type.Permits("integer")
}

// HasRate reports whether a schema has an exchange rate.
func (m *model) HasRate() bool {
	return slices.ContainsFunc(m.Schemas, func(s *schema) bool {
		return slices.ContainsFunc(s.Members, func(m *member) bool { return m.Kind == "rate" })
	})
}

// Roles are all roles.
func (*model) Roles() []string { return roles }

// Folded returns the forbidden names as BearsCardData compares them.
func (m *model) Folded() []string {
	var out []string
	for _, name := range m.Forbidden {
		out = append(out, foldCard(name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

type code struct{ Name, GoName, Class, Message string }

type status struct {
	Name, GoName, Meaning  string
	Same                   string // the Go name of the status that this one is another spelling of, or ""
	Paid, Held, Was, Final bool
}

type rule struct{ Name, Pattern string }

// lengthRule is a named rule for a maximal number of characters.
type lengthRule struct {
	Name string
	Max  int
}

var (
	kinds   = []string{"string", "amount", "rate", "text", "json", "raw", "time", "status"}
	roles   = []string{"order-id", "amount", "callback-url", "redirect-url", "original-order-id", "merchant", "operator", "order-status", "channel-id", "code", "message", "rate", "currency", "trade-time", "refunded", "expiry", "link", "tip", "auth-code"}
	effects = []string{"create-order", "pay-now", "authorise", "refund", "create-checkout", "query-order", "query-checkout", "query-rate", "none"}
	classes = []string{"success", "pending", "duplicate", "caller", "failed", "unclear"}
)

// newModel reads the document and reports everything that is incomplete in it
// at once. root is where the hand-written code is, whose names are taken.
func newModel(doc *openapi3.T, root string) (*model, error) {
	b := &builder{model: &model{doc: doc, Classes: classes}, rules: make(map[string]string)}
	b.schemas()
	b.actions()
	b.codes()
	b.statuses()
	for _, s := range b.Schemas {
		b.memberNames(s) // once it is known which are requests and answers
	}
	b.declarations(root)
	b.forbidden()
	for _, name := range slices.Sorted(maps.Keys(b.rules)) {
		b.Rules = append(b.Rules, rule{Name: name, Pattern: b.rules[name]})
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, fmt.Errorf("openapi/ottpay.yaml is incomplete:\n%w", err)
	}
	return b.model, nil
}

func (b *builder) forbidden() {
	b.decode("x-ottpay-forbidden", b.doc.Extensions["x-ottpay-forbidden"], &b.Forbidden)
	if len(b.Forbidden) == 0 {
		b.fault("x-ottpay-forbidden: names no member: a request could hold card data")
	}
	for _, name := range b.Forbidden {
		if !regexp.MustCompile(`^[0-9a-z_-]{1,24}$`).MatchString(name) {
			b.fault("x-ottpay-forbidden: %q must be 1 to 24 lower-case letters, digits, _ and -: that is what is compared", name)
		}
	}
	folded := b.Folded()
	for _, s := range b.Schemas {
		for _, m := range s.Members {
			for _, name := range append([]string{m.Name}, m.Aliases...) {
				if s.Request && slices.Contains(folded, foldCard(name)) {
					b.fault("%s.%s: %s is a name of card data, which the kit does not send: remove it", s.Name, m.Name, name)
				}
			}
		}
	}
}

// foldCard maps a name as BearsCardData does: letters and digits, in lower case.
func foldCard(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

type builder struct {
	*model
	rules  map[string]string // by name
	faults []error
}

func (b *builder) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf(format, args...))
}

// decode reads an extension into v.
func (b *builder) decode(where string, extension any, v any) {
	data, err := json.Marshal(extension)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		b.fault("%s: %v", where, err)
	}
}
