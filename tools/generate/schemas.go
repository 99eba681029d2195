package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

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
		if !strings.HasPrefix(s.Description, "is ") || !strings.HasSuffix(s.Description, ".") {
			b.fault("schema %s: no description, such as \"is the request of ACTION.\": it becomes a sentence", name)
		}
		for _, property := range slices.Sorted(maps.Keys(value.Properties)) {
			b.member(s, property)
		}
		slices.SortFunc(s.Members, func(a, b *member) int { return order(a.value) - order(b.value) })
		b.oneOf(s)
		b.example(s)
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
		text, _ := v.(string) // strict has seen to it
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
	b.usualLength(m, where)
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

// usualLength reads the lengths that a value has in practice.
func (b *builder) usualLength(m *member, where string) {
	why, _ := m.value.Extensions["x-ottpay-usual-wide"].(string)
	usual, given := m.value.Extensions["x-ottpay-usual-length"]
	if !given {
		if why != "" {
			b.fault("%s: x-ottpay-usual-wide: there is no x-ottpay-usual-length", where)
		}
		return
	}
	var bounds []int
	b.decode(where+": x-ottpay-usual-length", usual, &bounds)
	if len(bounds) != 2 || bounds[0] < 0 || bounds[1] < max(1, bounds[0]) || m.MaxLength > 0 && bounds[1] > m.MaxLength {
		b.fault("%s: x-ottpay-usual-length: must be the least and the greatest length, which the member's own lengths admit", where)
		return
	}
	m.UsualMin, m.UsualMax = bounds[0], bounds[1]
	switch wide := m.UsualMax-m.UsualMin >= 16; {
	case wide && why == "":
		b.fault("%s: usual lengths must lie less than 16 apart, or x-ottpay-usual-wide must say why they do not", where)
	case !wide && why != "":
		b.fault("%s: x-ottpay-usual-wide: the usual lengths lie less than 16 apart: leave it out", where)
	}
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
	if m.Kind == "raw" != (m.value.Type == nil) {
		b.fault("%s: a member has a type, or says x-ottpay-kind: raw for any JSON", where)
	}
	if m.value.Type == nil {
		b.combination(m, where)
		return
	}
	if text, number := m.Kind == "text", m.value.Type.Permits("number"); number && !text && m.Kind != "time" || text && !number {
		b.fault("%s: a member that may be a number says x-ottpay-kind: text, and only such a one does", where)
	}
	if whole := m.Kind == "amount" || m.Kind == "rate"; m.value.Type.Permits("integer") && !m.value.Type.Permits("number") && !whole {
		b.fault("%s: only an amount or a rate may be an integer: say number, and x-ottpay-kind: text", where)
	}
	if (m.Kind == "json") != m.value.Type.Permits("object") {
		b.fault("%s: a member that is a string or an object says x-ottpay-kind: json, and no other does", where)
	}
	if !m.value.Type.Permits("string") {
		b.fault("%s: a member must be a string, perhaps beside other types, or say x-ottpay-kind: raw", where)
	}
	b.combination(m, where)
}

// combination refuses constraints that do not go together, or with the kind.
func (b *builder) combination(m *member, where string) {
	texts := m.Kind == "string" || m.Kind == "text"
	switch {
	case m.MaxLength > 0 && m.MinLength > m.MaxLength:
		b.fault("%s: minLength is greater than maxLength", where)
	case len(m.Enum) > 0 && m.Kind != "string":
		b.fault("%s: an enum is for a member of the kind string", where)
	case len(m.Enum) > 0 && (m.Pattern != "" || m.MinLength > 0 || m.MaxLength > 0):
		b.fault("%s: has an enum, so it needs no pattern and no lengths: leave them out", where)
	case m.Pattern != "" && !texts && m.Kind != "amount" && m.Kind != "rate" && m.Kind != "time":
		b.fault("%s: a pattern does not go with the kind %s", where, m.Kind)
	case (m.value.Min != nil || m.value.Max != nil) && m.Kind != "amount" && m.Kind != "rate":
		b.fault("%s: minimum and maximum are for amounts and rates: use a pattern", where)
	case (m.Kind == "json") != (m.value.MinProps == 1):
		b.fault("%s: a string or an object has minProperties: 1, and no other kind has it: an empty object is an absent value", where)
	case m.Kind == "json" && m.MaxLength > 0, m.Kind == "raw" && (m.MinLength > 0 || m.MaxLength > 0 || m.Pattern != ""):
		b.fault("%s: lengths and patterns do not go with the kind %s", where, m.Kind)
	case m.LengthRule != "" && m.MaxLength == 0:
		b.fault("%s: x-ottpay-length-rule: there is no maxLength", where)
	case m.Rule != "" && m.Pattern == "":
		b.fault("%s: x-ottpay-rule: there is no pattern", where)
	case m.Required && m.Nullable:
		b.fault("%s: is required, so it may not be null: a null is an absent value", where)
	case m.Respell && len(m.Aliases) == 0:
		b.fault("%s: x-ottpay-respell: there is no alias to send it under", where)
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
	case !isRuleName(m.LengthRule) || isTag(m.LengthRule) || b.rules[m.LengthRule] != "":
		b.fault("%s: x-ottpay-length-rule: %q is not a name of its own, of lower-case letters, which is no tag of the validator", where, m.LengthRule)
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
	if !isRuleName(m.Rule) || isTag(m.Rule) {
		b.fault("%s: a pattern needs a rule's name, x-ottpay-rule, of lower-case letters, which is no tag of the validator: %q", where, m.Rule)
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
			b.role(s, m)
			if s.Request && (m.Nullable || m.value.Type.Permits("integer") || m.value.Type.Permits("number") || m.Kind == "raw") {
				b.fault("%s.%s: a request holds strings only", s.Name, m.Name)
			}
		}
	}
}

// kindOfRole is the kind that a member of a role must have, because code rests
// on it.
var kindOfRole = map[string][]string{
	"order-id": {"string", "text"}, "original-order-id": {"string", "text"}, "merchant": {"string", "text"}, "operator": {"string", "text"}, "currency": {"string", "text"},
	"amount": {"amount"}, "refunded": {"amount"}, "tip": {"amount"}, "rate": {"rate"}, "order-status": {"status"}, "trade-time": {"time"},
}

// role checks what depends on the side of the wire and on the role.
func (b *builder) role(s *schema, m *member) {
	where := s.Name + "." + m.Name
	if kinds, ok := kindOfRole[m.Role]; ok && !slices.Contains(kinds, m.Kind) {
		b.fault("%s: has the role %s, so its kind must be %s", where, m.Role, strings.Join(kinds, " or "))
	}
	if other := s.WithRole(m.Role); m.Role != "" && m.Role != "expiry" && other != m {
		b.fault("%s: has the role %s, as %s has: remove one", where, m.Role, other.Name)
	}
	url := slices.Contains([]string{"callback-url", "redirect-url", "link", "auth-code"}, m.Role) || strings.Contains(strings.ToLower(m.Name), "url")
	switch {
	case url && !m.Sensitive:
		b.fault("%s: holds what opens a payment or a page, so it must say x-ottpay-sensitive: true", where)
	case m.Echo != "" && !s.Response:
		b.fault("%s: x-ottpay-echo is for the members of an answer", where)
	case m.Respell && !s.Request:
		b.fault("%s: x-ottpay-respell is for the members of a request", where)
	case !s.Request && !m.Required && !m.Nullable && m.Kind != "raw":
		b.fault("%s: an optional member of an answer or a notification must permit null", where)
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
