package page

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Example is an object that a page shows. It was read leniently: comments,
// typographic quotes, missing quotes, commas and braces do not matter.
type Example struct {
	Members []Member
	// Heading holds the headings and lines above it.
	Heading []string
	// After is the number of tables that stand before it.
	After int
	Line  int // in the source, from 1; 0 if unknown
	// Cut reports that its end is missing, because the source ends or because
	// the example says "...".
	Cut bool

	position int
}

// Names returns the names of the members.
func (e *Example) Names() []string {
	names := make([]string, len(e.Members))
	for i, m := range e.Members {
		names[i] = m.Name
	}
	return names
}

// Member is a name with its value.
type Member struct {
	Name  string
	Value Value
}

// Value is a value of an example. Kind is "string", "number", "boolean",
// "null", "object" or "array".
type Value struct {
	Kind string
	// Text is a string's content, or the spelling of any other value.
	Text string
	// Members are an object's, also if it stands in a string.
	Members []Member
	// Bare reports a string without quotes.
	Bare bool
}

// JSON writes the value as JSON.
func (v Value) JSON() string {
	switch v.Kind {
	case "number", "boolean", "null":
		return v.Text
	case "object":
		var b strings.Builder
		b.WriteByte('{')
		for i, m := range v.Members {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(m.Name) + ":" + m.Value.JSON())
		}
		return b.String() + "}"
	case "array":
		return "[]"
	}
	return quote(v.Text)
}

func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(data)
}

// Object reads JSON that stands in a string, leniently. It returns nil if there
// is no object.
func Object(text string) []Member {
	l := lenient{s: text}
	l.space()
	if !l.eat('{') {
		return nil
	}
	return l.object(0)
}

// program matches code that is no example of a message.
var program = regexp.MustCompile(`\bfunction\b|=>|console\.log|<\?php|\bpublic\s+(static|class)\b|\bimport\s+[\w.{]|#include|\bdef\s+\w+\(|\bvar\s+\w+\s*=|\bnew\s+[A-Z]`)

// examples finds the objects in a page's code.
func examples(all []block, tables []*Table) []*Example {
	var out []*Example
	var heading []string
	for i, b := range all {
		switch b.kind {
		case aHeading:
			heading = append(heading, b.text)
		case aLine:
			heading = append(heading, b.words())
		case aRow:
			heading = nil
		case aCode:
			if program.MatchString(b.text) {
				heading = nil
				continue
			}
			after := 0
			for _, t := range tables {
				if t.position < i {
					after++
				}
			}
			for _, e := range objects(b.text) {
				e.Heading, e.After, e.position = heading, after, i
				e.Line = b.line + strings.Count(b.text[:e.Line], "\n")
				e.Cut = e.Cut || b.open
				out = append(out, e)
			}
			heading = nil
		}
	}
	return out
}

// objects reads the objects that stand in code one after the other. Line is
// their offset in the code.
func objects(code string) []*Example {
	var out []*Example
	l := lenient{s: code}
	for {
		i := strings.IndexByte(l.s[l.i:], '{')
		if i < 0 {
			return out
		}
		l.i += i
		e := &Example{Line: l.i}
		l.i++
		e.Members = l.object(0)
		e.Cut = l.elided
		if len(e.Members) > 0 {
			out = append(out, e)
		}
	}
}

// lenient reads what people write for JSON.
type lenient struct {
	s   string
	i   int
	cut bool // the text ended inside something
	// elided reports that something was left out: "...".
	elided bool
}

func (l *lenient) rune() (rune, int) { return utf8.DecodeRuneInString(l.s[l.i:]) }

func (l *lenient) done() bool { return l.i >= len(l.s) }

func (l *lenient) eat(c byte) bool {
	if !l.done() && l.s[l.i] == c {
		l.i++
		return true
	}
	return false
}

// space skips blanks and comments.
func (l *lenient) space() {
	for !l.done() {
		rest := l.s[l.i:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n':
			l.i++
		case strings.HasPrefix(rest, "//") || rest[0] == '#' || strings.HasPrefix(rest, "--"):
			l.line()
		case strings.HasPrefix(rest, "/*"):
			if end := strings.Index(rest, "*/"); end >= 0 {
				l.i += end + 2
			} else {
				l.i = len(l.s)
			}
		default:
			return
		}
	}
}

// line skips the rest of a line.
func (l *lenient) line() {
	if end := strings.IndexByte(l.s[l.i:], '\n'); end >= 0 {
		l.i += end
	} else {
		l.i = len(l.s)
	}
}

var (
	bareKey  = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*\s*[:=]`)
	nextLine = regexp.MustCompile("^\\s*(?:[\"'“”„‘’`«「][A-Za-z_$][A-Za-z0-9_$]*[\"'“”„‘’`»」]\\s*[:：]|\\}|$)")
)

// object reads members up to the closing brace, whose opening one was read.
func (l *lenient) object(depth int) []Member {
	var members []Member
	for {
		l.space()
		if l.done() {
			l.cut = true
			return members
		}
		r, _ := l.rune()
		switch {
		case r == '}':
			l.i++
			return members
		case r == '…' || strings.HasPrefix(l.s[l.i:], "..."):
			l.elided = true
			l.line()
		case r == ',' || r == ';' || r == '.' || r == '…' || r == '，' || r == '、':
			_, n := l.rune()
			l.i += n
		case isQuote(r):
			name, _ := l.text()
			l.space()
			if !l.eat(':') && !l.eat('=') {
				continue // a stray string
			}
			members = append(members, Member{strings.TrimSpace(name), l.value(depth)})
		case bareKey.MatchString(l.s[l.i:]):
			m := bareKey.FindString(l.s[l.i:])
			l.i += len(m)
			members = append(members, Member{strings.TrimSpace(strings.TrimRight(m, ":= \t\n")), l.value(depth)})
		default:
			l.line() // a remark
			if !l.done() && l.s[l.i] != '\n' {
				l.i++
			}
		}
	}
}

func isQuote(r rune) bool { return double(r) || single(r) }

func double(r rune) bool { return strings.ContainsRune("\"“”„‟″«»「」『』", r) }

func single(r rune) bool { return strings.ContainsRune("'‘’‚`´", r) }

// value reads one value.
func (l *lenient) value(depth int) Value {
	l.space()
	if l.done() || depth > 16 {
		l.cut = true
		return Value{Kind: "null", Text: "null"}
	}
	r, n := l.rune()
	switch {
	case r == '{':
		l.i++
		return Value{Kind: "object", Members: l.object(depth + 1)}
	case r == '[':
		return l.array(depth)
	case isQuote(r):
		// A quote and then an object, as the vendor prints payInfo.
		inside := lenient{s: l.s, i: l.i + n}
		inside.space()
		if inside.eat('{') {
			body := inside
			body.space()
			if next, _ := body.rune(); isQuote(next) || next == '}' || bareKey.MatchString(body.s[body.i:]) {
				members := inside.object(depth + 1)
				l.i, l.cut = inside.i, inside.cut
				l.space()
				if next, n := l.rune(); isQuote(next) {
					l.i += n
				}
				return Value{Kind: "string", Text: Value{Kind: "object", Members: members}.JSON(), Members: members}
			}
		}
		text, _ := l.text()
		return Value{Kind: "string", Text: text}
	}
	end := strings.IndexAny(l.s[l.i:], ",}\n")
	if end < 0 {
		end = len(l.s) - l.i
	}
	text := l.s[l.i : l.i+end]
	if c := strings.Index(text, "//"); c >= 0 && !strings.Contains(text[:c], ":") {
		text, end = text[:c], c
	}
	l.i += end
	text = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(text), "\"'“”‘’;"))
	switch {
	case text == "true" || text == "false":
		return Value{Kind: "boolean", Text: text}
	case text == "null" || text == "":
		return Value{Kind: "null", Text: "null"}
	case json.Valid([]byte(text)):
		return Value{Kind: "number", Text: text}
	}
	return Value{Kind: "string", Text: text, Bare: true}
}

func (l *lenient) array(depth int) Value {
	l.i++
	for {
		l.space()
		if l.done() {
			l.cut = true
			break
		}
		if l.eat(']') {
			break
		}
		if !l.eat(',') {
			before := l.i
			l.value(depth + 1)
			if l.i == before {
				l.i++
			}
		}
	}
	return Value{Kind: "array", Text: "[]"}
}

// text reads a string in any kind of quotes. It ends at a quote of its kind
// before something that may follow a string, or, where that is missing, at the
// end of a line before the next member.
func (l *lenient) text() (string, bool) {
	open, n := l.rune()
	l.i += n
	var b strings.Builder
	for !l.done() {
		r, n := l.rune()
		switch {
		case r == '\\' && l.i+1 < len(l.s):
			l.i += l.escape(&b)
			continue
		case double(r) && double(open) || single(r) && single(open):
			rest := strings.TrimLeft(l.s[l.i+n:], " \t")
			if rest == "" || strings.ContainsAny(rest[:1], ":,}]\n/#;=") || !strings.ContainsAny(before(rest, "\n"), string(r)) {
				l.i += n
				return b.String(), true
			}
			if next := strings.TrimLeft(rest, " \t"); nextLine.MatchString(before(next, "\n")) { // a missing comma
				l.i += n
				return b.String(), true
			}
		case r == '\n' && nextLine.MatchString(before(l.s[l.i+1:], "\n")) && strings.TrimSpace(b.String()) != "":
			return strings.TrimRight(b.String(), ", \t"), false
		}
		b.WriteRune(r)
		l.i += n
	}
	l.cut = true
	return b.String(), false
}

// before returns s up to the first sep.
func before(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}

// escape writes the character of an escape and returns the escape's length.
func (l *lenient) escape(b *strings.Builder) int {
	switch c := l.s[l.i+1]; c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r', 'b', 'f':
	case 'u':
		if l.i+6 <= len(l.s) {
			if n, err := strconv.ParseUint(l.s[l.i+2:l.i+6], 16, 32); err == nil {
				b.WriteRune(rune(n))
				return 6
			}
		}
		b.WriteString(`\u`)
	case '"', '\\', '/', '\'':
		b.WriteByte(c)
	default:
		b.WriteByte('\\')
		return 1
	}
	return 2
}
