package drift

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const schemaRef = "#/components/schemas/"

// Document is openapi/ottpay.yaml, as far as the vendor's pages say the same
// things. It is safe for concurrent use once it is read.
type Document struct {
	// Name is the file's name, for messages.
	Name string

	source  []byte
	root    *yaml.Node // the top mapping
	actions []*action
	schemas map[string]*schema
	order   []string // names of schemas
	codes   []code
	known   map[string]bool // names of members, aliases included
	// The schemas of the three envelopes.
	requestEnvelope, responseEnvelope, callbackEnvelope *schema
	codePages, envelopePages                            []string
	decisions                                           []decision
}

type action struct {
	name, version     string
	line, versionLine int
	pages             []string
	request, response *schema
	decisions         []decision
	node              *yaml.Node
}

type schema struct {
	name      string
	line      int
	pages     []string
	members   []*member
	decisions []decision
	action    *action // of a request or an answer
	request   bool
	oneOf     []string // one of these members must be there
	node      *yaml.Node
	byName    map[string]*member // aliases included
	folded    map[string]*member
}

type member struct {
	name, description    string
	line                 int
	aliases              []string
	required, nullable   bool
	types                []string // without null, sorted; nil: any
	enum                 []string
	pattern              *regexp.Regexp
	minLength, maxLength int // 0: none
	minProperties        int
	min, max             *float64
	kind, role           string
	holds                *schema // of the JSON in the string
	decisions            []decision
	node                 *yaml.Node // its own mapping, without what it refers to
	holdsName            string
	index                int // in its schema
}

type code struct {
	name string
	line int
}

// decision is what was decided about a known difference: x-ottpay-decision.
type decision struct {
	about   Kind
	members []string // none: of the schema, the action or the document
	pages   []string // actions or addresses; none: every page
	says    string
	does    string
	why     string
	line    int
}

// ReadDocument reads the document. Name is used in errors only.
func ReadDocument(name string, source []byte) (*Document, error) {
	var top yaml.Node
	if err := yaml.Unmarshal(source, &top); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(top.Content) == 0 || top.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: no document", name)
	}
	d := &Document{Name: name, source: source, root: top.Content[0], schemas: make(map[string]*schema), known: make(map[string]bool)}
	r := reader{Document: d}
	r.readSchemas()
	r.readEnvelopes()
	r.readActions()
	r.readCodes()
	d.decisions = r.decisionsOf(d.root, "")
	for _, s := range d.schemas {
		for _, m := range s.members {
			d.known[m.name] = true
			for _, a := range m.aliases {
				d.known[a] = true
			}
			if m.holdsName != "" {
				if m.holds = d.schemas[m.holdsName]; m.holds == nil {
					r.fault("%s.%s: x-ottpay-schema: there is no schema %s", s.name, m.name, m.holdsName)
				}
			}
		}
	}
	if err := errors.Join(r.faults...); err != nil {
		return nil, fmt.Errorf("%s:\n%w", name, err)
	}
	return d, nil
}

// Known reports whether name is that of a member somewhere in the document.
func (d *Document) Known(name string) bool { return d.known[name] }

type reader struct {
	*Document
	faults []error
}

func (r *reader) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf(format, args...))
}

// pairs calls fn for each key and value of a mapping, with aliases and merge
// keys resolved. A key of the mapping itself wins over a merged one and comes
// in the merged one's place.
func pairs(n *yaml.Node, fn func(key, value *yaml.Node)) {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	type entry struct{ key, value *yaml.Node }
	var all []entry
	put := func(key, value *yaml.Node) {
		for i := range all {
			if all[i].key.Value == key.Value {
				all[i] = entry{key, value}
				return
			}
		}
		all = append(all, entry{key, value})
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" || key.Value == "<<" {
			pairs(value, put)
			continue
		}
		put(key, value)
	}
	for _, e := range all {
		fn(e.key, e.value)
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// child returns the key and the value under a name, or nils.
func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	pairs(n, func(k, v *yaml.Node) {
		if k.Value == name {
			key, value = k, resolve(v)
		}
	})
	return key, value
}

func value(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if _, n = child(n, name); n == nil {
			return nil
		}
	}
	return n
}

func text(n *yaml.Node) string {
	if n = resolve(n); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// texts reads a list, or a single value as a list of one.
func texts(n *yaml.Node) []string {
	n = resolve(n)
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}
	}
	var out []string
	for _, c := range n.Content {
		out = append(out, text(c))
	}
	return out
}

func (r *reader) readSchemas() {
	all := value(r.root, "components", "schemas")
	if all == nil {
		r.fault("no components.schemas")
		return
	}
	pairs(all, func(k, v *yaml.Node) {
		if text(value(v, "type")) != "object" {
			return
		}
		s := &schema{name: k.Value, line: k.Line, node: resolve(v), pages: texts(value(v, "x-ottpay-pages"))}
		s.decisions = r.decisionsOf(v, "")
		required := texts(value(v, "required"))
		if any := value(v, "anyOf"); any != nil {
			for _, one := range any.Content {
				s.oneOf = append(s.oneOf, texts(value(one, "required"))...)
			}
		}
		pairs(value(v, "properties"), func(name, body *yaml.Node) {
			m := r.readMember(all, s.name, name, body)
			m.required = slices.Contains(required, m.name)
			s.members = append(s.members, m)
		})
		s.index()
		r.schemas[s.name] = s
		r.order = append(r.order, s.name)
	})
}

func (r *reader) readMember(all *yaml.Node, schema string, name, body *yaml.Node) *member {
	m := &member{name: name.Value, line: name.Line, node: resolve(body)}
	where := schema + "." + m.name
	fields := make(map[string]*yaml.Node)
	lay := func(n *yaml.Node) {
		pairs(n, func(k, v *yaml.Node) {
			if k.Value != "x-ottpay-decision" { // those of the member come before those of what it shares
				fields[k.Value] = resolve(v)
			}
		})
	}
	m.decisions = r.decisionsOf(body, m.name)
	if ref := text(value(body, "$ref")); ref != "" {
		_, shared := child(all, strings.TrimPrefix(ref, schemaRef))
		if shared == nil {
			r.fault("%s: refers to nothing: %s", where, ref)
		}
		lay(shared)
		m.decisions = append(m.decisions, r.decisionsOf(shared, m.name)...)
	}
	lay(body)
	m.description = text(fields["description"])
	m.aliases = texts(fields["x-ottpay-aliases"])
	m.kind, m.role = text(fields["x-ottpay-kind"]), text(fields["x-ottpay-role"])
	m.holdsName = text(fields["x-ottpay-schema"])
	m.enum = texts(fields["enum"])
	for _, t := range texts(fields["type"]) {
		if t == "null" {
			m.nullable = true
		} else {
			m.types = append(m.types, t)
		}
	}
	slices.Sort(m.types)
	if p := text(fields["pattern"]); p != "" {
		var err error
		if m.pattern, err = regexp.Compile(p); err != nil {
			r.fault("%s: pattern: %v", where, err)
		}
	}
	m.minLength, m.maxLength = number(fields["minLength"]), number(fields["maxLength"])
	m.minProperties = number(fields["minProperties"])
	for field, to := range map[string]**float64{"minimum": &m.min, "maximum": &m.max} {
		if n := fields[field]; n != nil {
			if f, err := strconv.ParseFloat(n.Value, 64); err == nil {
				*to = &f
			}
		}
	}
	return m
}

func number(n *yaml.Node) int {
	i, err := strconv.Atoi(text(n))
	if err != nil {
		return 0
	}
	return i
}

// readEnvelopes finds the schemas of the envelopes by the operations that use
// them.
func (r *reader) readEnvelopes() {
	find := func(n *yaml.Node, to **schema) {
		for _, c := range []string{"application/json"} {
			if ref := text(value(n, "content", c, "schema", "$ref")); ref != "" {
				*to = r.schemas[strings.TrimPrefix(ref, schemaRef)]
			}
		}
	}
	pairs(value(r.root, "paths"), func(_, path *yaml.Node) {
		find(value(path, "post", "requestBody"), &r.requestEnvelope)
		find(value(path, "post", "responses", "200"), &r.responseEnvelope)
	})
	pairs(value(r.root, "webhooks"), func(_, hook *yaml.Node) {
		find(value(hook, "post", "requestBody"), &r.callbackEnvelope)
	})
	pages := value(r.root, "x-ottpay-pages")
	r.codePages, r.envelopePages = texts(value(pages, "codes")), texts(value(pages, "envelope"))
}

func (r *reader) readActions() {
	pairs(value(r.root, "x-ottpay-actions"), func(k, v *yaml.Node) {
		a := &action{name: k.Value, line: k.Line, node: resolve(v), pages: texts(value(v, "pages")), decisions: r.decisionsOf(v, "")}
		if key, version := child(v, "version"); key != nil {
			a.version, a.versionLine = text(version), key.Line
		}
		side := func(name string, to **schema) {
			s := r.schemas[text(value(v, name))]
			if s == nil {
				r.fault("action %s: no %s schema", a.name, name)
				return
			}
			if *to = s; s.action == nil {
				s.action = a
			}
			if len(s.pages) == 0 {
				s.pages = a.pages
			}
		}
		side("request", &a.request)
		side("response", &a.response)
		if a.request != nil {
			a.request.request = true
		}
		r.actions = append(r.actions, a)
	})
}

func (r *reader) readCodes() {
	pairs(value(r.root, "x-ottpay-codes"), func(k, _ *yaml.Node) {
		r.codes = append(r.codes, code{k.Value, k.Line})
	})
}

func (r *reader) decisionsOf(n *yaml.Node, member string) []decision {
	list := value(n, "x-ottpay-decision")
	if list == nil {
		return nil
	}
	var out []decision
	for _, c := range list.Content {
		c = resolve(c)
		d := decision{
			about: Kind(text(value(c, "about"))), members: texts(value(c, "members")), pages: texts(value(c, "pages")),
			says: text(value(c, "says")), does: text(value(c, "does")), why: text(value(c, "why")), line: c.Line,
		}
		if !d.about.Decidable() {
			r.fault("line %d: x-ottpay-decision: %q is not a kind of finding that can be decided", c.Line, d.about)
		}
		if member != "" {
			d.members = []string{member}
		}
		out = append(out, d)
	}
	return out
}

func (s *schema) named(name string) *member {
	if m := s.reads(name); m != nil && m.name == name {
		return m
	}
	return nil
}

// reads returns the member that is read from a name, by its own spelling or by
// an alias.
func (s *schema) reads(name string) *member {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// index makes the schema's members findable by name.
func (s *schema) index() {
	s.byName, s.folded = make(map[string]*member), make(map[string]*member)
	for _, m := range s.members {
		for _, a := range m.aliases {
			s.byName[a] = m
		}
	}
	for i, m := range s.members {
		s.byName[m.name], s.folded[fold(m.name)], m.index = m, m, i
	}
}

// longest returns the greatest length that a member may have; 0: none is said.
func (m *member) longest() int {
	if m.maxLength > 0 {
		return m.maxLength
	}
	if m.pattern != nil {
		if found := boundedPattern.FindStringSubmatch(m.pattern.String()); found != nil {
			return number(&yaml.Node{Kind: yaml.ScalarNode, Value: found[len(found)-1]})
		}
	}
	return 0
}

// boundedPattern is one class of characters with a bound: ^[0-9A-Z]{0,64}$ or,
// for an optional member, ^([A-Z]{3})?$.
var boundedPattern = regexp.MustCompile(`^\^\(?\[[^\]]*\]\{(?:[0-9]*,)?([0-9]+)\}(?:\)\?)?\$$`)

// fold maps the spellings of a name onto one: app_id and appId.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// lineText returns a line of the source, for messages.
func (d *Document) lineText(n int) string {
	lines := bytes.Split(d.source, []byte("\n"))
	if n < 1 || n > len(lines) {
		return ""
	}
	return strings.TrimSpace(string(lines[n-1]))
}
