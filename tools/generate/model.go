package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ottpaykit/ottpay/tools/drift"
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

// OfClass returns the codes of a class.
func (m *model) OfClass(class string) []code {
	var out []code
	for _, c := range m.Codes {
		if c.Class == class && class != "unclear" {
			out = append(out, c)
		}
	}
	return out
}

// Folded returns the forbidden names as BearsCardData compares them.
func (m *model) Folded() []string {
	var out []string
	for _, name := range m.Forbidden {
		out = append(out, strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name)))
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
// at once.
func newModel(doc *openapi3.T) (*model, error) {
	b := &builder{model: &model{doc: doc, Classes: classes}, rules: make(map[string]string)}
	b.schemas()
	b.actions()
	b.codes()
	b.statuses()
	b.decode("x-ottpay-forbidden", doc.Extensions["x-ottpay-forbidden"], &b.Forbidden)
	for _, name := range slices.Sorted(maps.Keys(b.rules)) {
		b.Rules = append(b.Rules, rule{Name: name, Pattern: b.rules[name]})
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, fmt.Errorf("openapi/ottpay.yaml is incomplete:\n%w", err)
	}
	return b.model, nil
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

func (b *builder) schemas() {
	all := b.doc.Components.Schemas
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := all[name].Value
		if !value.Type.Is("object") || value.Extensions["x-ottpay-layer"] == "envelope" {
			continue
		}
		s := &schema{Name: name, GoName: goName(name), Description: value.Description, value: value}
		b.Schemas = append(b.Schemas, s)
		s.Pages = b.pages("schema "+name+": x-ottpay-pages", value.Extensions["x-ottpay-pages"])
		s.Decisions = b.decisions("schema "+name, "", value.Extensions)
		if s.Description == "" {
			b.fault("schema %s: no description", name)
		}
		for _, property := range slices.Sorted(maps.Keys(value.Properties)) {
			b.member(s, property)
		}
		slices.SortFunc(s.Members, func(a, b *member) int { return order(a.value) - order(b.value) })
		b.oneOf(s)
		b.example(s)
		b.names(s)
	}
}

// oneOf reads anyOf, which names members of which one must be there.
func (b *builder) oneOf(s *schema) {
	if len(s.value.AnyOf) == 0 {
		return
	}
	var group []*member
	var names []string
	for _, ref := range s.value.AnyOf {
		if len(ref.Value.Required) != 1 || s.named(ref.Value.Required[0]) == nil {
			b.fault("schema %s: anyOf: each entry must require one member of the schema, and no more", s.Name)
			return
		}
		m := s.named(ref.Value.Required[0])
		if m.Required || m.GoType != "string" {
			b.fault("%s.%s: stands in anyOf, so it must be an optional string", s.Name, m.Name)
			return
		}
		group, names = append(group, m), append(names, m.GoName)
	}
	if len(group) < 2 {
		b.fault("schema %s: anyOf: one member alone: list it under required", s.Name)
		return
	}
	s.OneOf = append(s.OneOf, group)
	rest := group[0].Tag
	if rest == "" {
		rest = "omitempty"
	}
	group[0].Tag = "required_without_all=" + strings.Join(names[1:], " ") + "," + rest
}

func order(s *openapi3.Schema) int {
	n, _ := s.Extensions["x-order"].(float64)
	return int(n)
}

// pages reads a list of the vendor's pages. None is no fault here: a request
// and an answer have those of their action.
func (b *builder) pages(where string, extension any) []string {
	var pages []string
	if extension != nil {
		b.decode(where, extension, &pages)
	}
	for _, page := range pages {
		if u, err := url.Parse(page); err != nil || u.Scheme != "https" || u.Host == "" {
			b.fault("%s: %q is not the https URL of the vendor's page", where, page)
		}
	}
	return pages
}

// decision is what was decided about a difference between the vendor's page
// and the document.
type decision struct {
	About   drift.Kind `json:"about"`
	Members []string   `json:"members"` // where it does not stand beside the member
	Pages   []string   `json:"pages"`   // actions or addresses; none: all pages
	Says    *string    `json:"says"`    // what the page says; "" where it says nothing
	Does    string     `json:"does"`
	Why     string     `json:"why"`
}

// decisions reads the decisions that stand at one place of the document.
func (b *builder) decisions(where, member string, extensions map[string]any) []decision {
	extension, ok := extensions["x-ottpay-decision"]
	if !ok {
		return nil
	}
	var out []decision
	b.decode(where+": x-ottpay-decision", extension, &out)
	for i := range out {
		switch d := &out[i]; {
		case !d.About.Decidable():
			b.fault("%s: x-ottpay-decision: about %q is not a kind of finding that can be decided", where, d.About)
		case d.Says == nil:
			b.fault("%s: x-ottpay-decision about %s: says is missing: what the page says, or the empty text", where, d.About)
		case d.Does == "" || d.Why == "":
			b.fault("%s: x-ottpay-decision about %s: does and why are missing: what the kit does, and for what reason", where, d.About)
		case member == "":
		case len(d.Members) > 0:
			b.fault("%s: x-ottpay-decision about %s: members is for decisions that do not stand beside the member", where, d.About)
		default:
			d.Members = []string{member}
		}
	}
	return out
}

func (b *builder) member(s *schema, name string) {
	value := s.value.Properties[name].Value
	where := s.Name + "." + name
	m := &member{
		Name: name, GoName: goName(name), Description: strings.TrimSpace(value.Description), value: value,
		Required: slices.Contains(s.value.Required, name),
		Nullable: value.Type.Permits("null"),
		Pattern:  value.Pattern,
	}
	s.Members = append(s.Members, m)
	if given, ok := value.Extensions["x-go-name"].(string); ok {
		m.GoName = given
	}
	if m.MinLength = int(value.MinLength); value.MaxLength != nil {
		m.MaxLength = int(*value.MaxLength)
	}
	if value.Min != nil {
		m.Min = int64(*value.Min)
	}
	for _, v := range value.Enum {
		text, ok := v.(string)
		if !ok || text == "" || strings.ContainsAny(text, " '|,") {
			b.fault("%s: an enumerated value must be a word", where)
		}
		m.Enum = append(m.Enum, text)
	}
	text := func(extension string, known []string) string {
		v, _ := value.Extensions[extension].(string)
		if v != "" && known != nil && !slices.Contains(known, v) {
			b.fault("%s: %s: %q is none of %v", where, extension, v, known)
		}
		return v
	}
	m.Kind = text("x-ottpay-kind", kinds)
	m.Role = text("x-ottpay-role", roles)
	m.Echo = text("x-ottpay-echo", nil)
	m.Rule = text("x-ottpay-rule", nil)
	m.LengthRule = text("x-ottpay-length-rule", nil)
	m.Sensitive = value.Extensions["x-ottpay-sensitive"] == true
	m.Unknown = value.Extensions["x-ottpay-unknown"] == true
	m.Decides = m.Required || value.Extensions["x-ottpay-decides"] == true
	m.Respell = value.Extensions["x-ottpay-respell"] == true
	if aliases := value.Extensions["x-ottpay-aliases"]; aliases != nil {
		b.decode(where, aliases, &m.Aliases)
	}
	if usual := value.Extensions["x-ottpay-usual-length"]; usual != nil {
		var bounds [2]int
		b.decode(where, usual, &bounds)
		m.UsualMin, m.UsualMax = bounds[0], bounds[1]
		why := text("x-ottpay-usual-wide", nil)
		if m.UsualMin > m.UsualMax || m.UsualMax-m.UsualMin >= 16 && why == "" {
			b.fault("%s: usual lengths must lie less than 16 apart, or x-ottpay-usual-wide must say why they do not", where)
		}
	}
	switch {
	case m.Description == "":
		b.fault("%s: no description", where)
	case !strings.HasSuffix(m.Description, "."):
		b.fault("%s: the description must end with a full stop: it becomes a sentence", where)
	}
	s.Decisions = append(s.Decisions, b.decisions(where, name, value.Extensions)...)
	b.types(m, where)
	b.constraints(m, where)
}

// types settles the member's kind and its Go type.
func (b *builder) types(m *member, where string) {
	given, _ := m.value.Extensions["x-go-type"].(string)
	switch {
	case m.Kind != "":
	case given == "OrderStatus":
		m.Kind = "status"
	case given == "field.Time":
		m.Kind = "time"
	default:
		m.Kind = "string"
	}
	byKind := map[string]string{
		"string": "string", "text": "string", "amount": "field.Cents", "rate": "field.Rate",
		"json": "field.JSONString", "raw": "json.RawMessage", "time": "field.Time", "status": "OrderStatus",
	}
	m.GoType = byKind[m.Kind]
	if m.Kind == "amount" && !m.Required && m.value.Type.Permits("null") {
		m.GoType = "*field.Cents"
	}
	if given != "" && given != m.GoType {
		b.fault("%s: the overlay says %s, the kind %s needs %s", where, given, m.Kind, m.GoType)
	}
	if m.Kind != "raw" && (m.Kind == "json") != m.value.Type.Permits("object") {
		b.fault("%s: a member that is a string or an object says x-ottpay-kind: json, and no other does", where)
	}
	if m.Kind != "raw" && !m.value.Type.Permits("string") {
		b.fault("%s: a member must be a string (or say x-ottpay-kind: raw)", where)
	}
	if !m.Required && !m.Nullable && m.Kind == "amount" && m.value.Type.Permits("integer") {
		b.fault("%s: an optional amount of an answer must permit null", where)
	}
}

// constraints derives the validate tag, and refuses what a tag cannot say.
func (b *builder) constraints(m *member, where string) {
	if m.Pattern != "" && m.Kind != "amount" && m.Kind != "rate" {
		b.pattern(m, where)
	}
	tags := []string{"omitempty"}
	if m.Required {
		tags[0] = "required"
	}
	switch m.Kind {
	case "amount", "rate":
		b.amount(m, where)
		if m.GoType == "*field.Cents" {
			return // a tag would cost an allocation, and the type has the range already
		}
		if digits := max(m.MaxLength, 1); digits < 15 { // 15 is the type's own range
			tags = append(tags, "min=1", "max="+strings.Repeat("9", digits))
		}
	case "raw":
	default:
		if m.Required && len(m.Enum) == 0 && m.MinLength == 0 && !refusesEmpty(m.Pattern) {
			b.fault("%s: a required string must refuse the empty one: minLength, pattern or enum", where)
		}
		if !m.Required && (len(m.Enum) > 0 || m.MinLength > 0 || refusesEmpty(m.Pattern)) {
			b.fault("%s: an optional string must admit the empty one", where)
		}
		if m.MinLength > 1 {
			tags = append(tags, "min="+strconv.Itoa(m.MinLength))
		}
		if m.LengthRule != "" {
			b.lengthRule(m, where)
			tags = append(tags, m.LengthRule)
		} else if m.MaxLength > 0 {
			tags = append(tags, "max="+strconv.Itoa(m.MaxLength))
		}
		if len(m.Enum) == 1 {
			tags = append(tags, "eq="+m.Enum[0])
		}
		if len(m.Enum) > 1 {
			tags = append(tags, "oneof="+strings.Join(m.Enum, " "))
		}
		if m.Rule != "" {
			tags = append(tags, m.Rule)
		}
	}
	if len(tags) > 1 || m.Required {
		m.Tag = strings.Join(tags, ",")
	}
}

// lengthRule notes a rule that stands for a maximal length.
func (b *builder) lengthRule(m *member, where string) {
	switch i := slices.IndexFunc(b.Lengths, func(r lengthRule) bool { return r.Name == m.LengthRule }); {
	case m.MaxLength == 0:
		b.fault("%s: x-ottpay-length-rule: there is no maxLength", where)
	case !isRuleName(m.LengthRule) || b.rules[m.LengthRule] != "":
		b.fault("%s: x-ottpay-length-rule: %q is not a name of its own, of lower-case letters", where, m.LengthRule)
	case i < 0:
		b.Lengths = append(b.Lengths, lengthRule{m.LengthRule, m.MaxLength})
	case b.Lengths[i].Max != m.MaxLength:
		b.fault("%s: x-ottpay-length-rule: %s stands for %d characters already", where, m.LengthRule, b.Lengths[i].Max)
	}
}

func isRuleName(name string) bool { return regexp.MustCompile(`^[a-z]+$`).MatchString(name) }

func refusesEmpty(pattern string) bool {
	if pattern == "" {
		return false
	}
	re, err := regexp.Compile(pattern)
	return err == nil && !re.MatchString("")
}

func (b *builder) pattern(m *member, where string) {
	var err error
	if m.re, err = regexp.Compile(m.Pattern); err != nil {
		b.fault("%s: pattern: %v", where, err)
		return
	}
	if !isRuleName(m.Rule) {
		b.fault("%s: a pattern needs a rule's name, x-ottpay-rule, of lower-case letters", where)
		return
	}
	if other, ok := b.rules[m.Rule]; ok && other != m.Pattern {
		b.fault("%s: rule %s stands for another pattern already", where, m.Rule)
	}
	b.rules[m.Rule] = m.Pattern
}

// The shapes of an amount that the types can read as the schema says.
const (
	requestAmount  = "^[1-9][0-9]*$"
	paidAmount     = "^0*[1-9][0-9]*$"
	optionalAmount = "^[0-9]*$"
)

func (b *builder) amount(m *member, where string) {
	want := paidAmount
	switch {
	case !m.value.Type.Permits("integer"):
		want = requestAmount
	case !m.Required:
		want = optionalAmount
	}
	if m.Pattern != want || m.MaxLength < 1 || m.MaxLength > 15 {
		b.fault("%s: an amount of this kind has the pattern %s and a maxLength of 1 to 15", where, want)
	}
	if m.value.Type.Permits("integer") && (m.value.Max == nil || *m.value.Max != 999_999_999_999_999 || m.value.Min == nil || (*m.value.Min == 1) != m.Required) {
		b.fault("%s: an amount that may be a number has a minimum and a maximum of 999999999999999", where)
	}
}

func (b *builder) example(s *schema) {
	example, ok := s.value.Example.(map[string]any)
	if !ok {
		b.fault("schema %s: no example", s.Name)
		return
	}
	var text strings.Builder
	text.WriteByte('{')
	for _, m := range s.Members {
		v, ok := example[m.Name]
		if !ok {
			continue
		}
		data, err := json.Marshal(v)
		if err != nil {
			b.fault("schema %s: example: %v", s.Name, err)
		}
		m.Example = string(data)
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, "%q:%s", m.Name, data)
	}
	s.Example = text.String() + "}"
}

// names refuses two members that Go or a reader without regard to case would
// take for one.
func (b *builder) names(s *schema) {
	goNames := map[string]string{"AdditionalProperties": "AdditionalProperties", "Processing": "Processing"}
	folded := make(map[string]string)
	for _, m := range s.Members {
		if other, ok := goNames[m.GoName]; ok {
			b.fault("%s.%s: has the Go name %s, as %s has: give it an x-go-name in the overlay", s.Name, m.Name, m.GoName, other)
		}
		goNames[m.GoName] = m.Name
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			if other, ok := folded[strings.ToLower(name)]; ok && other != m.Name {
				b.fault("%s.%s: differs from %s in case only", s.Name, name, other)
			}
			folded[strings.ToLower(name)] = m.Name
		}
	}
}

func (b *builder) actions() {
	var all map[string]struct {
		Summary, Version, Kind, Request, Response, Order, Effect string
		Terminal                                                 bool
		Unknown, Pages                                           []string
		Decision                                                 any    `json:"x-ottpay-decision"`
		GoName                                                   string `json:"x-go-name"`
	}
	b.decode("x-ottpay-actions", b.doc.Extensions["x-ottpay-actions"], &all)
	if len(all) == 0 {
		b.fault("x-ottpay-actions: none")
	}
	used := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		in := all[name]
		a := &action{
			Name: name, GoName: name, Method: in.GoName, Summary: in.Summary, Version: in.Version, Kind: in.Kind,
			Effect: in.Effect, Terminal: in.Terminal, Unknown: in.Unknown,
		}
		b.Actions = append(b.Actions, a)
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(name) {
			b.fault("action %s: a name is of capitals, digits and _", name)
		}
		if a.Method == "" {
			a.Method = goName(strings.ToLower(name))
		}
		if a.Pages = b.pages("action "+name+": pages", any(in.Pages)); len(a.Pages) == 0 {
			b.fault("action %s: no pages: the addresses at which the vendor describes it", name)
		}
		if in.Decision != nil {
			a.Decisions = b.decisions("action "+name, "", map[string]any{"x-ottpay-decision": in.Decision})
		}
		if a.Summary == "" {
			b.fault("action %s: no summary", name)
		}
		if !regexp.MustCompile(`^[0-9]+\.[0-9]+$`).MatchString(a.Version) {
			b.fault("action %s: no version", name)
		}
		if a.Kind != "query" && a.Kind != "effect" {
			b.fault("action %s: kind must say query or effect", name)
		}
		if !slices.Contains(effects, a.Effect) {
			b.fault("action %s: effect must be one of %v", name, effects)
		}
		if strings.HasPrefix(a.Effect, "query-") && a.Kind == "effect" || !strings.HasPrefix(a.Effect, "query-") && a.Effect != "none" && a.Kind == "query" {
			b.fault("action %s: kind %s does not go with effect %s", name, a.Kind, a.Effect)
		}
		if a.Request = b.schemaOf(name, "request", in.Request); a.Request != nil {
			a.Request.Request = true
			a.Request.pagesOf(a)
			b.orderOf(a, in.Order)
		}
		if a.Response = b.schemaOf(name, "response", in.Response); a.Response != nil {
			a.Response.Response = true
			a.Response.pagesOf(a)
			b.echoes(a)
		}
		for _, s := range []string{in.Request, in.Response} {
			if other, ok := used[s]; ok && s != "" && s != in.Response {
				b.fault("action %s: schema %s is that of %s already: an action has its own request", name, s, other)
			}
			used[s] = name
		}
	}
	b.sides()
	for _, s := range b.Schemas {
		if len(s.Pages) == 0 {
			b.fault("schema %s: x-ottpay-pages: it is no action's request or response, so the vendor's pages must be named", s.Name)
		}
	}
}

// pagesOf gives a schema the pages of its action, unless it names its own.
func (s *schema) pagesOf(a *action) {
	if len(s.Pages) == 0 {
		s.Pages = a.Pages
	}
}

func (b *builder) schemaOf(action, side, name string) *schema {
	for _, s := range b.Schemas {
		if s.Name == name {
			return s
		}
	}
	if name == "" {
		b.fault("action %s: no %s schema", action, side)
	} else {
		b.fault("action %s: there is no schema %s", action, name)
	}
	return nil
}

// orderOf finds the request member that holds the order's id. It must be named,
// or be said to be none.
func (b *builder) orderOf(a *action, name string) {
	withRole := a.Request.WithRole("order-id")
	switch {
	case name == "none":
		if withRole != nil {
			b.fault("action %s: order is none, yet %s has the role order-id", a.Name, withRole.Name)
		}
	case name == "":
		b.fault("action %s: no order: name the request member that holds the order's id, or none", a.Name)
	case withRole == nil || withRole.Name != name:
		b.fault("action %s: order is %s, so this member of %s needs the role order-id", a.Name, name, a.Request.Name)
	default:
		a.Order = withRole
	}
}

func (b *builder) echoes(a *action) {
	for _, m := range a.Response.Members {
		if m.Echo != "" && a.Request != nil && a.Request.named(m.Echo) == nil {
			b.fault("%s.%s: echoes %s, which is no member of %s", a.Response.Name, m.Name, m.Echo, a.Request.Name)
		}
	}
}

// sides checks what only makes sense on one side of the wire.
func (b *builder) sides() {
	for _, s := range b.Schemas {
		if s.Request && s.Response {
			b.fault("schema %s: is both a request and an answer", s.Name)
		}
		if s.Request && s.value.PropertyNames == nil {
			b.fault("schema %s: a request needs propertyNames: RequestName, against card data", s.Name)
		}
		for _, m := range s.Members {
			b.decides(s, m)
			if s.Request && (m.Nullable || m.value.Type.Permits("integer") || m.value.Type.Permits("number") || m.Kind == "raw") {
				b.fault("%s.%s: a request holds strings only", s.Name, m.Name)
			}
		}
	}
}

// deciding are the roles on which a decision may rest, so that an optional
// member of an answer with such a role must say whether one does.
var deciding = []string{"order-id", "original-order-id", "order-status", "amount", "refunded", "merchant"}

// decides checks what the document says of whether a decision rests on a member.
func (b *builder) decides(s *schema, m *member) {
	mark, given := m.value.Extensions["x-ottpay-decides"]
	switch {
	case given && mark != true && mark != false:
		b.fault("%s.%s: x-ottpay-decides must be true or false", s.Name, m.Name)
	case given && (s.Request || m.Required):
		b.fault("%s.%s: x-ottpay-decides is for optional members of answers and notifications: all others decide", s.Name, m.Name)
	case !given && !s.Request && !m.Required && slices.Contains(deciding, m.Role):
		b.fault("%s.%s: has the role %s, so x-ottpay-decides must say true or false: whether a value that does not fit stops the message", s.Name, m.Name, m.Role)
	}
	if s.Request {
		m.Decides = true
	}
}

func (s *schema) named(name string) *member {
	for _, m := range s.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// WithRole returns the member of this role, or nil.
func (s *schema) WithRole(role string) *member {
	for _, m := range s.Members {
		if m.Role == role {
			return m
		}
	}
	return nil
}

func (b *builder) codes() {
	var all map[string]struct{ Class, Message string }
	b.decode("x-ottpay-codes", b.doc.Extensions["x-ottpay-codes"], &all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(classes, all[name].Class) {
			b.fault("code %s: class must be one of %v", name, classes)
		}
		b.Codes = append(b.Codes, code{Name: name, GoName: "Code" + goName(strings.ToLower(name)), Class: all[name].Class, Message: all[name].Message})
	}
	if len(b.Codes) == 0 {
		b.fault("x-ottpay-codes: none")
	}
}

func (b *builder) statuses() {
	var all map[string]struct {
		Meaning, Same string
		Paid          any
		Held          bool
		Final         *bool
	}
	b.decode("x-ottpay-statuses", b.doc.Extensions["x-ottpay-statuses"], &all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		in := all[name]
		if in.Paid != true && in.Paid != false && in.Paid != "was" || in.Final == nil {
			b.fault("status %s: paid must be true, false or was, and final true or false", name)
			continue
		}
		if name != strings.ToLower(strings.TrimSpace(name)) {
			b.fault("status %s: write it in lower case, which is how statuses are compared", name)
		}
		if in.Held && in.Paid != false {
			b.fault("status %s: what is held is not paid", name)
		}
		s := status{
			Name: name, GoName: "Status" + goName(name), Meaning: in.Meaning,
			Paid: in.Paid == true, Held: in.Held, Was: in.Paid == "was", Final: *in.Final,
		}
		if in.Same != "" {
			other, ok := all[in.Same]
			if !ok || other.Same != "" || other.Paid != in.Paid || other.Held != in.Held || other.Final == nil || *other.Final != *in.Final {
				b.fault("status %s: same must name a status with the same paid, held and final", name)
			}
			s.Same = "Status" + goName(in.Same)
		}
		b.Statuses = append(b.Statuses, s)
	}
	if len(b.Statuses) == 0 {
		b.fault("x-ottpay-statuses: none")
	}
}

var initialisms = map[string]string{"id": "ID", "url": "URL", "cc": "CC", "api": "API"}

// goName turns call_back_url, txnTime and H5Pay into CallBackURL, TxnTime and
// H5Pay.
func goName(name string) string {
	var words []string
	start := 0
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			words = append(words, string(runes[start:i]))
			start = i + 1
		case i > start && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			words = append(words, string(runes[start:i]))
			start = i
		}
	}
	words = append(words, string(runes[start:]))
	var b strings.Builder
	for _, word := range words {
		if word == "" {
			continue
		}
		if short, ok := initialisms[strings.ToLower(word)]; ok {
			b.WriteString(short)
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
