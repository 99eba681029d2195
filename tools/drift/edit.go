package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ottpaykit/ottpay/tools/page"
)

// Edit is what Apply made of the document.
type Edit struct {
	// Source is the new text.
	Source []byte
	// Done are the findings that were applied, Marked those that a comment in
	// the document asks a person to decide, Open those that have no line in it.
	Done, Marked, Open []Finding
}

// Apply writes the safe part of findings into the document: new optional
// members, new codes and changed descriptions. Everything else gets a comment
// at its line. Comments, order and layout stay as they are: only lines are
// inserted, or the text of one description is replaced. The result is read
// again, so a document that Apply would break is an error.
func (d *Document) Apply(all []Finding) (*Edit, error) {
	e := &editor{doc: d, lines: strings.SplitAfter(string(d.source), "\n")}
	out := &Edit{}
	for _, f := range all {
		switch {
		case e.apply(f):
			out.Done = append(out.Done, f)
		case e.mark(f):
			out.Marked = append(out.Marked, f)
		default:
			out.Open = append(out.Open, f)
		}
	}
	out.Source = []byte(e.text())
	if _, err := ReadDocument(d.Name, out.Source); err != nil {
		return nil, fmt.Errorf("the edit would break the document: %w", err)
	}
	return out, nil
}

type editor struct {
	doc     *Document
	lines   []string // with their line feeds
	inserts []insert
}

// insert is text before a line, numbered from 1.
type insert struct {
	before int
	text   string
	last   bool // behind other inserts at the same line
}

func (e *editor) text() string {
	slices.SortStableFunc(e.inserts, func(a, b insert) int {
		return cmp.Or(cmp.Compare(a.before, b.before), cmp.Compare(order(a.last), order(b.last)))
	})
	var b strings.Builder
	next := 0
	for i, line := range e.lines {
		for next < len(e.inserts) && e.inserts[next].before == i+1 {
			b.WriteString(e.inserts[next].text)
			next++
		}
		b.WriteString(line)
		if !strings.HasSuffix(line, "\n") && next < len(e.inserts) {
			b.WriteByte('\n')
		}
	}
	for ; next < len(e.inserts); next++ {
		b.WriteString(e.inserts[next].text)
	}
	return b.String()
}

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}

// apply makes the safe edits. It reports whether f is one.
func (e *editor) apply(f Finding) bool {
	switch f.Kind {
	case MemberAdded:
		return f.optional && e.addMember(f)
	case CodeAdded:
		return e.addCode(f)
	case WordingChange:
		return e.describe(f)
	}
	return false
}

// addMember inserts a member behind the one that stands before it on the page.
func (e *editor) addMember(f Finding) bool {
	s := e.doc.schemas[f.schema]
	if s == nil || f.param == nil || f.Where == InEnvelope {
		return false // package envelope reads the envelopes; a person has to follow
	}
	properties := value(s.node, "properties")
	if properties == nil || properties.Style&yaml.FlowStyle != 0 {
		return false
	}
	var last *yaml.Node // the key behind which it goes
	before := f.before()
	for i := 0; i+1 < len(properties.Content); i += 2 {
		if key := properties.Content[i]; key.Value != "<<" {
			if last = key; key.Value == before {
				break
			}
		}
	}
	if last == nil {
		return false
	}
	if before == "" { // first on the page
		last = properties.Content[0]
		e.inserts = append(e.inserts, insert{before: e.aboveComments(last), text: strings.Repeat(" ", last.Column-1) + f.member(e.doc, s) + "\n"})
		return true
	}
	e.inserts = append(e.inserts, insert{before: e.end(properties, last), text: strings.Repeat(" ", last.Column-1) + f.member(e.doc, s) + "\n"})
	return true
}

// before is the member above an added one on the page, by the document's name.
func (f *Finding) before() string {
	above := ""
	for _, p := range f.param.table.Params {
		if p.Row == f.param.Row {
			break
		}
		above = p.Name
	}
	return above
}

// member writes an added member as one line.
func (f *Finding) member(d *Document, s *schema) string {
	return fmt.Sprintf("%s: %s", key(f.Member), d.draftMember(f.param.Param, s.request, true, true))
}

// end returns the line behind a key's value: that of the next key or, behind
// the last one, that where the mapping ends.
func (e *editor) end(mapping, key *yaml.Node) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i] == key {
			if i+2 < len(mapping.Content) {
				return e.aboveComments(mapping.Content[i+2])
			}
		}
	}
	// Everything that is indented as deep as the key, or deeper, is inside.
	n := key.Line
	for n < len(e.lines) {
		line := e.lines[n]
		trimmed := strings.TrimLeft(line, " ")
		if strings.TrimSpace(line) != "" && len(line)-len(trimmed) < key.Column {
			break
		}
		n++
	}
	for n > key.Line && strings.TrimSpace(e.lines[n-1]) == "" {
		n--
	}
	return n + 1
}

// aboveComments returns the first of the comment lines above a key.
func (e *editor) aboveComments(key *yaml.Node) int {
	n := key.Line
	for n > 1 && strings.HasPrefix(strings.TrimSpace(e.lines[n-2]), "#") && indentOf(e.lines[n-2]) == key.Column-1 {
		n--
	}
	return n
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func (e *editor) addCode(f Finding) bool {
	codes := value(e.doc.root, "x-ottpay-codes")
	if codes == nil || len(codes.Content) < 2 || codes.Style&yaml.FlowStyle != 0 {
		return false
	}
	message := strings.ToLower(strings.ReplaceAll(f.Member, "_", " "))
	if f.param != nil && f.param.Words() != "" {
		message = strings.ReplaceAll(f.param.Words(), "\n", ". ")
	}
	last := codes.Content[len(codes.Content)-2]
	e.inserts = append(e.inserts, insert{before: e.end(codes, last), text: fmt.Sprintf("%s%s: {class: unclear, message: %s}\n", strings.Repeat(" ", last.Column-1), key(f.Member), scalar(message))})
	return true
}

// describe replaces a member's description.
func (e *editor) describe(f Finding) bool {
	s := e.doc.schemas[f.schema]
	if s == nil || f.param == nil {
		return false
	}
	m := s.named(f.Member)
	if m == nil || m.node.Kind != yaml.MappingNode {
		return false
	}
	words := scalar(describe(f.param.Param))
	for i := 0; i+1 < len(m.node.Content); i += 2 {
		if m.node.Content[i].Value == "description" {
			return e.replace(m.node.Content[i+1], words)
		}
	}
	if m.node.Style&yaml.FlowStyle == 0 {
		first := m.node.Content[0]
		e.inserts = append(e.inserts, insert{before: first.Line, text: strings.Repeat(" ", first.Column-1) + "description: " + words + "\n"})
		return true
	}
	// A flow mapping on one line: before its closing brace.
	last := m.node.Content[len(m.node.Content)-1]
	if last.Line != m.node.Line || last.Kind != yaml.ScalarNode {
		return false
	}
	line := e.lines[last.Line-1]
	close := strings.IndexByte(line[last.Column-1:], '}')
	if close < 0 {
		return false
	}
	at := last.Column - 1 + close
	e.lines[last.Line-1] = line[:at] + ", description: " + words + line[at:]
	return true
}

// replace puts text in the place of a scalar that stands on one line.
func (e *editor) replace(n *yaml.Node, text string) bool {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return false
	}
	line := e.lines[n.Line-1]
	start := offset(line, n.Column)
	length := scalarLength(line[start:], n)
	if length < 0 {
		return false
	}
	e.lines[n.Line-1] = line[:start] + text + line[start+length:]
	return true
}

// offset turns a column, which counts characters, into an index.
func offset(line string, column int) int {
	i := 0
	for range column - 1 {
		_, n := utf8.DecodeRuneInString(line[i:])
		i += n
	}
	return i
}

// scalarLength finds the end of a scalar in the rest of a line; -1 if it goes on
// below.
func scalarLength(rest string, n *yaml.Node) int {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return -1
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			if rest[i] == '\'' {
				if i+1 < len(rest) && rest[i+1] == '\'' {
					i++
					continue
				}
				return i + 1
			}
		}
		return -1
	case strings.HasPrefix(rest, n.Value):
		return len(n.Value)
	}
	return -1
}

// mark puts a comment above the line that a finding is about. It reports
// whether there is such a line.
func (e *editor) mark(f Finding) bool {
	if f.Line == 0 {
		return false
	}
	line := e.lines[f.Line-1]
	indent := strings.Repeat(" ", indentOf(line))
	text := fmt.Sprintf("# ottpay docs diff: %s %s", f.Sentence(), f.ToDo())
	for n := f.Line - 1; n > 0 && strings.HasPrefix(strings.TrimSpace(e.lines[n-1]), "#"); n-- {
		if strings.TrimSpace(e.lines[n-1]) == text {
			return true // marked by an earlier run
		}
	}
	for _, i := range e.inserts {
		if i.before == f.Line && strings.TrimSpace(i.text) == text {
			return true
		}
	}
	e.inserts = append(e.inserts, insert{before: f.Line, text: indent + text + "\n", last: true})
	return true
}

// key writes a mapping's key, quoted where YAML would read it otherwise.
func key(name string) string { return scalar(name) }

// scalar writes a text as YAML on one line.
func scalar(text string) string {
	var n yaml.Node
	n.SetString(text)
	plain := text != "" && strings.TrimSpace(text) == text && !strings.ContainsAny(text, "\n:#{}[],&*?|-<>=!%@`\"'\\") && resolvesToString(text)
	if plain {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\t", " ").Replace(text) + `"`
}

// resolvesToString reports whether YAML reads a plain scalar as a string.
func resolvesToString(text string) bool {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil || len(n.Content) != 1 {
		return false
	}
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off":
		return false
	}
	return n.Content[0].Kind == yaml.ScalarNode && n.Content[0].Tag == "!!str"
}

// sentenceCase begins a text with a capital, unless its first word is a name.
func sentenceCase(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLower(r) }) {
		return text
	}
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}

// describe makes a description of what a row says.
func describe(p page.Param) string {
	var words []string
	for _, w := range []string{p.Description, p.Notes} {
		w = strings.Join(strings.Fields(strings.NewReplacer("`", "", "**", "").Replace(w)), " ")
		if w = strings.Trim(w, ".;, "); w != "" {
			words = append(words, sentenceCase(w))
		}
	}
	if len(words) == 0 {
		return p.Name + "."
	}
	return strings.Join(words, ". ") + "."
}
