package page

import (
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/net/html"
)

// inlines parses the inside of one line or cell.
var inlines = parser.NewParser(
	parser.WithBlockParsers(util.Prioritized(parser.NewParagraphParser(), 100)),
	parser.WithInlineParsers(parser.DefaultInlineParsers()...),
)

// strike matches text between single or double tildes, which GitHub's dialect
// shows struck out. Goldmark's own extension for it brings a renderer along.
var strike = regexp.MustCompile("(^|[^\\\\~`])(?:~~([^\\s~`](?:[^~`]*[^\\s~`])?)~~|~([^\\s~`](?:[^~`]*[^\\s~`])?)~)")

// inlineText returns the text that a reader sees of a line of Markdown: escapes
// and entities are resolved, emphasis, links and tags are gone. A break inside
// a cell, <br> or <p>, becomes a line feed. Code keeps its backquotes, because
// a constant is often written that way.
func inlineText(markdown string) string {
	markdown = strings.TrimSpace(markdown)
	if markdown == "" {
		return ""
	}
	if !strings.ContainsAny(markdown, "\\&*_`[<~!:") {
		return tidy(markdown)
	}
	source := []byte(strike.ReplaceAllString(markdown, "$1$2$3"))
	var b strings.Builder
	skip := 0 // depth inside an element whose text is not shown
	_ = ast.Walk(inlines.Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if code, ok := n.(*ast.CodeSpan); ok {
			if entering && skip == 0 {
				b.WriteByte('`')
				for c := code.FirstChild(); c != nil; c = c.NextSibling() {
					if t, ok := c.(*ast.Text); ok {
						b.Write(t.Segment.Value(source))
					}
				}
				b.WriteByte('`')
			}
			return ast.WalkSkipChildren, nil
		}
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			if skip > 0 {
				break
			}
			value := util.UnescapePunctuations(n.Segment.Value(source))
			if !n.IsRaw() {
				value = []byte(html.UnescapeString(string(value)))
			}
			b.Write(value)
			if n.HardLineBreak() || n.SoftLineBreak() {
				b.WriteByte('\n')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(source))
		case *ast.RawHTML:
			for i := range n.Segments.Len() {
				segment := n.Segments.At(i)
				writeTag(&b, string(segment.Value(source)), &skip)
			}
		}
		return ast.WalkContinue, nil
	})
	return tidy(strings.Map(plain, b.String())) // an entity may stand for any character
}

var tagName = regexp.MustCompile(`^<(/?)([A-Za-z][A-Za-z0-9]*)`)

// writeTag writes what a tag means for the text, if anything.
func writeTag(b *strings.Builder, tag string, skip *int) {
	m := tagName.FindStringSubmatch(tag)
	if m == nil {
		return
	}
	switch name := strings.ToLower(m[2]); {
	case hidden[name] && m[1] == "" && !strings.HasSuffix(tag, "/>"):
		*skip++
	case hidden[name] && *skip > 0:
		*skip--
	case name == "code" || name == "kbd" || name == "samp" || name == "tt":
		b.WriteByte('`')
	case breaks[name]:
		b.WriteByte('\n')
	}
}

var (
	// breaks are the elements that end a line inside a cell.
	breaks = set("br", "p", "div", "li", "ul", "ol", "section", "article", "tr")
	// hidden are the elements whose text is no part of the page's words.
	hidden = set("script", "style", "sup", "sub", "noscript", "template", "head", "svg", "button", "nav")
)

func set(words ...string) map[string]bool {
	out := make(map[string]bool, len(words))
	for _, w := range words {
		out[w] = true
	}
	return out
}

var (
	shortcode = regexp.MustCompile(`:(?:x|[a-z0-9]+(?:_[a-z0-9]+)+|[a-z]{4,}):`)
	blanks    = regexp.MustCompile(`[ \t]+`)
	// lightEscape is a Markdown escape that stands inside HTML.
	lightEscape = regexp.MustCompile("\\\\([_*`~\\[\\]()#+.!|<>-])")
)

// tidy joins runs of blanks, turns the short names of check marks into the
// marks and drops other short names, as in ":white_check_mark:".
func tidy(s string) string {
	if strings.Contains(s, ":") {
		s = shortcode.ReplaceAllStringFunc(s, func(name string) string {
			switch name {
			case ":white_check_mark:", ":heavy_check_mark:", ":ballot_box_with_check:":
				return "✅"
			case ":x:", ":negative_squared_cross_mark:", ":heavy_multiplication_x:":
				return "❌"
			}
			return " "
		})
	}
	lines := strings.Split(blanks.ReplaceAllString(s, " "), "\n")
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
