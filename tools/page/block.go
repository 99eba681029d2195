package page

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

type blockKind int

const (
	aHeading   blockKind = iota
	aLine                // one line of running text
	aRow                 // one row of a table
	aDelimiter           // the line below a table's header
	aCode
	aRule // a horizontal rule, or another end of a table
)

// block is one piece of a page, in document order.
type block struct {
	kind  blockKind
	line  int // in the source, from 1
	group int // lines of one paragraph, rows of one HTML table
	// text is source for a line and for code, and clean for a heading.
	text  string
	cells []string // of a row, clean
	clean bool     // text needs no reading as Markdown
	open  bool     // of code: its end is missing
	wide  bool     // of a row: it comes from an HTML table, so its cells cannot be shifted by a missing bar
}

// blocks splits a decoded page.
func blocks(source string) []block {
	b := &blocker{}
	if isHTML(source) {
		b.html(source, 1)
	} else {
		b.markdown(source)
	}
	return b.rows(b.examples(b.out))
}

type blocker struct {
	out    []block
	tables []htmlTable // cut out of the Markdown
	source []byte
	group  int
}

type htmlTable struct {
	source string
	line   int
}

func (b *blocker) add(next block) { b.out = append(b.out, next) }

var htmlStart = regexp.MustCompile(`(?i)^\s*(<!--.*?-->\s*|<\?xml[^>]*\?>\s*)*<(!doctype\s+html|html|head|body)\b`)

func isHTML(source string) bool { return htmlStart.MatchString(source) }

var (
	frontMatter = regexp.MustCompile(`^\s*---[ \t]*\n((?:[^\n]*\n){0,60}?)---[ \t]*(?:\n|$)`)
	gitbookTag  = regexp.MustCompile(`\{%-?\s*[^%]*%\}`)
	htmlComment = regexp.MustCompile(`(?s)<!--.*?-->`)
	tabTitle    = regexp.MustCompile(`title="([^"]*)"`)
)

// blockParser parses a page. It is goldmark's default parser, made here because
// package goldmark brings its renderer along.
var blockParser = parser.NewParser(
	parser.WithBlockParsers(parser.DefaultBlockParsers()...),
	parser.WithInlineParsers(parser.DefaultInlineParsers()...),
	parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
)

// blank replaces text by the line feeds in it, so that lines keep their numbers.
func blank(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) }

// markdown reads Markdown, GitBook's dialect included, and plain text.
func (b *blocker) markdown(source string) {
	if m := frontMatter.FindStringIndex(source); m != nil && strings.Contains(source[:m[1]], ":") {
		source = blank(source[:m[1]]) + source[m[1]:]
	}
	source = htmlComment.ReplaceAllStringFunc(source, blank)
	source = gitbookTag.ReplaceAllStringFunc(source, func(tag string) string {
		if m := tabTitle.FindStringSubmatch(tag); m != nil && !strings.Contains(tag, "\n") {
			return m[1]
		}
		return blank(tag)
	})
	b.source = []byte(b.cutTables(source))
	root := blockParser.Parse(text.NewReader(b.source))
	b.walk(root)
}

var (
	tableTag = regexp.MustCompile(`(?i)</?table\b[^>]*>`)
	rowTags  = regexp.MustCompile(`(?is)<tr\b.*</tr\s*>`)
	cutMark  = regexp.MustCompile("\uE000([0-9]+)\uE001")
)

// cutTables takes HTML tables out of Markdown, which would end them at an empty
// line, and leaves a mark for each.
func (b *blocker) cutTables(source string) string {
	var out strings.Builder
	for {
		start := tableTag.FindStringIndex(source)
		if start == nil || source[start[0]+1] == '/' {
			break
		}
		end, depth := len(source), 0
		for _, tag := range tableTag.FindAllStringIndex(source[start[0]:], -1) {
			if source[start[0]+tag[0]+1] != '/' {
				depth++
			} else if depth--; depth == 0 {
				end = start[0] + tag[1]
				break
			}
		}
		out.WriteString(source[:start[0]])
		out.WriteString(b.cut(source[start[0]:end], out.String()))
		source = source[end:]
	}
	if rows := rowTags.FindStringIndex(source); rows != nil {
		out.WriteString(source[:rows[0]])
		out.WriteString(b.cut("<table>"+source[rows[0]:rows[1]]+"</table>", out.String()))
		source = source[rows[1]:]
	}
	out.WriteString(source)
	return out.String()
}

// cut keeps a table and returns what stands in its place.
func (b *blocker) cut(table, before string) string {
	b.tables = append(b.tables, htmlTable{table, 1 + strings.Count(before, "\n")})
	return fmt.Sprintf("\uE000%d\uE001%s", len(b.tables)-1, blank(table))
}

func (b *blocker) lineOf(offset int) int { return 1 + bytes.Count(b.source[:offset], []byte{'\n'}) }

func (b *blocker) walk(n ast.Node) {
	b.group++
	switch n := n.(type) {
	case *ast.Heading:
		b.heading(n)
	case *ast.ThematicBreak:
		b.add(block{kind: aRule})
	case *ast.FencedCodeBlock:
		code, line := b.raw(n)
		b.code(code, line, !b.closed(n))
	case *ast.CodeBlock:
		code, line := b.raw(n)
		b.code(code, line, false)
	case *ast.HTMLBlock:
		code, line := b.raw(n)
		if n.HasClosure() {
			code += string(n.ClosureLine.Value(b.source))
		}
		b.mixed(code, line)
	case *ast.Paragraph, *ast.TextBlock:
		code, line := b.raw(n)
		b.mixed(code, line)
	default:
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			b.walk(c)
		}
	}
}

// raw returns a node's source and its first line's number.
func (b *blocker) raw(n ast.Node) (string, int) {
	lines := n.Lines()
	if lines.Len() == 0 {
		return "", 0
	}
	return string(lines.Value(b.source)), b.lineOf(lines.At(0).Start)
}

// heading adds a heading. A setext underline makes one of everything above it,
// so only the last line counts as one; and a row that begins with # is a row.
func (b *blocker) heading(n *ast.Heading) {
	code, line := b.raw(n)
	all := strings.Split(strings.TrimRight(code, "\n"), "\n")
	b.lines(all[:len(all)-1], line)
	last := all[len(all)-1]
	if bars(last) >= 2 || cutMark.MatchString(last) {
		b.lines([]string{last}, line+len(all)-1)
		return
	}
	b.add(block{kind: aHeading, text: inlineText(last), line: line + len(all) - 1})
}

// closed reports whether the fence that begins a code block has its partner.
func (b *blocker) closed(n *ast.FencedCodeBlock) bool {
	var end int
	switch lines := n.Lines(); {
	case lines.Len() > 0:
		end = lines.At(lines.Len() - 1).Stop
	case n.Info != nil:
		end = n.Info.Segment.Stop
	default:
		return true
	}
	rest := strings.TrimLeft(string(b.source[end:]), "\n \t>")
	return strings.HasPrefix(rest, "```") || strings.HasPrefix(rest, "~~~")
}

// code adds code, unless it is a table or tags that stand in a code block or
// are only indented like one.
func (b *blocker) code(code string, line int, open bool) {
	trimmed := strings.TrimSpace(code)
	rows := 0
	for l := range strings.Lines(code) {
		if bars(l) >= 2 || strings.Count(strings.TrimSpace(l), "\t") >= 2 {
			rows++
		}
	}
	if cutMark.MatchString(code) || rows >= 2 && !strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "|") {
		b.lines(strings.Split(strings.TrimRight(code, "\n"), "\n"), line)
		return
	}
	b.add(block{kind: aCode, text: code, line: line, open: open, group: b.group})
}

// mixed adds a paragraph or an HTML block: tags that make blocks are read as
// HTML, everything else as lines of Markdown.
func (b *blocker) mixed(code string, line int) {
	if blockTag.MatchString(code) && bars(code) < 4 {
		b.html(code, line)
		return
	}
	b.lines(strings.Split(strings.TrimRight(code, "\n"), "\n"), line)
}

var blockTag = regexp.MustCompile(`(?i)<(h[1-6]|pre|dl|article|main|section|summary|details|ul|ol)\b`)

// lines adds lines of Markdown and puts the tables back that were cut out.
func (b *blocker) lines(all []string, line int) {
	for i, text := range all {
		for {
			m := cutMark.FindStringSubmatchIndex(text)
			if m == nil {
				break
			}
			b.line(text[:m[0]], line+i)
			n, _ := strconv.Atoi(text[m[2]:m[3]])
			b.html(b.tables[n].source, b.tables[n].line)
			text = text[m[1]:]
		}
		b.line(text, line+i)
	}
}

func (b *blocker) line(text string, line int) {
	if strings.TrimSpace(text) != "" {
		b.add(block{kind: aLine, text: text, line: line, group: b.group})
	}
}

// bars counts the bars of a line that are not escaped.
func bars(line string) int {
	return strings.Count(line, "|") - strings.Count(line, `\|`)
}

// html reads a document or a part of one.
func (b *blocker) html(source string, line int) {
	var roots []*html.Node
	if isHTML(source) {
		if doc, err := html.Parse(strings.NewReader(source)); err == nil {
			roots = []*html.Node{doc}
		}
	} else {
		body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
		roots, _ = html.ParseFragment(strings.NewReader(source), body)
	}
	d := &domReader{blocker: b, line: line}
	for _, n := range roots {
		d.node(n)
	}
	d.flush()
}

// domReader turns a tree into blocks.
type domReader struct {
	*blocker
	text strings.Builder
	line int
}

// flush ends a line of running text.
func (d *domReader) flush() {
	all := d.text.String()
	d.text.Reset()
	for line := range strings.Lines(all) {
		for {
			m := cutMark.FindStringSubmatchIndex(line)
			if m == nil {
				break
			}
			d.words(line[:m[0]])
			n, _ := strconv.Atoi(line[m[2]:m[3]])
			d.blocker.html(d.tables[n].source, d.tables[n].line)
			line = line[m[1]:]
		}
		d.words(line)
	}
}

func (d *domReader) words(line string) {
	if line = strings.TrimRight(line, "\n"); strings.TrimSpace(line) != "" {
		d.add(block{kind: aLine, text: line, line: d.line, group: d.group, clean: true})
	}
}

func (d *domReader) node(n *html.Node) {
	if n.Type == html.TextNode {
		d.text.WriteString(n.Data)
		return
	}
	if n.Type != html.ElementNode && n.Type != html.DocumentNode || hidden[n.Data] && n.Data != "head" {
		return
	}
	switch n.DataAtom {
	case atom.Head:
		return
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Summary, atom.Caption, atom.Dt:
		d.flush()
		d.add(block{kind: aHeading, text: cellText(n), line: d.line})
	case atom.Table:
		d.flush()
		d.table(n)
	case atom.Pre, atom.Textarea:
		d.flush()
		d.group++
		var b strings.Builder
		preText(&b, n)
		d.code(b.String(), d.line, false)
	case atom.Br:
		d.text.WriteByte('\n')
	case atom.Hr:
		d.flush()
		d.add(block{kind: aRule})
	default:
		apart := apart[n.Data]
		if apart {
			d.flush()
			d.group++
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			d.node(c)
		}
		if apart {
			d.flush()
			d.group++
		}
	}
}

// apart are the elements that stand on lines of their own.
var apart = set("address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "figure", "footer", "form", "header",
	"html", "li", "main", "ol", "p", "section", "ul", "center", "fieldset")

func preText(b *strings.Builder, n *html.Node) {
	if n.Type == html.TextNode {
		b.WriteString(n.Data)
	}
	if n.DataAtom == atom.Br {
		b.WriteByte('\n')
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if !hidden[c.Data] || c.Type != html.ElementNode {
			preText(b, c)
		}
		if apart[c.Data] && c.NextSibling != nil {
			b.WriteByte('\n')
		}
	}
}

// cellText returns the words of an element, a line for each break in it.
func cellText(n *html.Node) string {
	var b strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(strings.ReplaceAll(n.Data, "\n", " "))
		case n.Type == html.ElementNode && hidden[n.Data]:
			return
		case n.DataAtom == atom.Input:
			for _, a := range n.Attr {
				if a.Key == "checked" {
					b.WriteString("✅")
				}
			}
		case n.DataAtom == atom.Img:
			for _, a := range n.Attr {
				if a.Key == "alt" {
					b.WriteString(a.Val)
				}
			}
		}
		code := n.Type == html.ElementNode && (n.DataAtom == atom.Code || n.DataAtom == atom.Kbd || n.DataAtom == atom.Samp || n.DataAtom == atom.Tt)
		if breaks[n.Data] && n.Type == html.ElementNode {
			b.WriteByte('\n')
		}
		if code {
			b.WriteByte('`')
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if code {
			b.WriteByte('`')
		}
		if breaks[n.Data] && n.Type == html.ElementNode {
			b.WriteByte('\n')
		}
	}
	walk(n)
	return tidy(lightEscape.ReplaceAllString(strings.Map(plain, strings.ReplaceAll(b.String(), "**", "")), "$1"))
}

// table adds the rows of an HTML table, with cells that span several rows or
// columns spelled out.
func (d *domReader) table(table *html.Node) {
	d.group++
	group := d.group
	type span struct {
		text string
		rows int
	}
	spans := make(map[int]span)
	var rows func(n *html.Node)
	row := func(tr *html.Node) {
		var cells []string
		fill := func() {
			for {
				s, ok := spans[len(cells)]
				if !ok {
					return
				}
				if s.rows--; s.rows == 0 {
					delete(spans, len(cells))
				} else {
					spans[len(cells)] = s
				}
				cells = append(cells, s.text)
			}
		}
		for c := tr.FirstChild; c != nil; c = c.NextSibling {
			if c.DataAtom != atom.Td && c.DataAtom != atom.Th {
				continue
			}
			fill()
			text, across, down := cellText(c), 1, 1
			for _, a := range c.Attr {
				n, err := strconv.Atoi(strings.TrimSpace(a.Val))
				switch {
				case err != nil || n < 2 || n > 100:
				case a.Key == "colspan":
					across = n
				case a.Key == "rowspan":
					down = n
				}
			}
			for i := range across {
				if down > 1 {
					again := text
					if _, ok := parseFlag(text); !ok {
						again = "" // a name would otherwise stand twice
					}
					spans[len(cells)] = span{again, down - 1}
				}
				if i == 0 {
					cells = append(cells, text)
				} else {
					cells = append(cells, "")
				}
			}
		}
		fill()
		if len(cells) > 0 {
			d.group = group
			d.add(block{kind: aRow, cells: cells, line: d.line, group: group, wide: true})
		}
	}
	rows = func(n *html.Node) {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			switch c.DataAtom {
			case atom.Tr:
				row(c)
				// A table in a cell, as some exports wrap everything in one.
				for td := c.FirstChild; td != nil; td = td.NextSibling {
					d.nested(td)
				}
			case atom.Caption:
				d.add(block{kind: aHeading, text: cellText(c), line: d.line})
			default:
				rows(c)
			}
		}
	}
	rows(table)
	d.group++
	d.add(block{kind: aRule})
}

func (d *domReader) nested(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom == atom.Table {
			d.table(c)
		} else {
			d.nested(c)
		}
	}
}

// examples joins lines of running text that are JSON into code.
func (b *blocker) examples(all []block) []block {
	var out []block
	for i := 0; i < len(all); i++ {
		at := jsonStart(all[i].text)
		if all[i].kind != aLine || at < 0 {
			out = append(out, all[i])
			continue
		}
		if before := strings.TrimSpace(all[i].text[:at]); before != "" {
			lead := all[i]
			lead.text = before
			out = append(out, lead)
		}
		code, depth, j := "", 0, i
		for ; j < len(all) && j < i+200; j++ {
			next := all[j]
			if next.kind != aLine && (next.kind != aCode || !strings.HasPrefix(strings.TrimSpace(next.text), `"`)) || j > i && bars(next.text) >= 2 {
				break
			}
			text := next.text
			if j == i {
				text = text[at:]
			}
			code += text + "\n"
			if depth = braces(code); depth <= 0 {
				j++
				break
			}
		}
		out = append(out, block{kind: aCode, text: code, line: all[i].line, open: depth > 0, group: all[i].group})
		i = j - 1
	}
	return out
}

var jsonOpening = regexp.MustCompile("\\{\\s*($|[\"'“”„‘’`«「]|&quot;|&#34;|/\\*|//|[A-Za-z_]+\\s*[:：])")

// jsonStart returns where JSON begins in a line, or -1. The brace must be the
// first thing, or follow a colon.
func jsonStart(line string) int {
	m := jsonOpening.FindStringIndex(line)
	if m == nil {
		return -1
	}
	before := strings.TrimSpace(line[:m[0]])
	if before == "" || strings.HasSuffix(before, ":") || strings.HasSuffix(before, "=") {
		return m[0]
	}
	return -1
}

// braces returns how many braces are open at the end of code, strings aside.
func braces(code string) int {
	depth, quoted := 0, false
	for i := 0; i < len(code); i++ {
		switch c := code[i]; {
		case c == '\n': // no string goes over a line's end, so a stray quote costs one line at most
			quoted = false
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '{' && !quoted:
			depth++
		case c == '}' && !quoted:
			depth--
		}
	}
	return depth
}

var (
	delimiterCell = regexp.MustCompile(`^:?\s*[-=+_—–]+[-=+_—–\s]*:?$`)
	gridLine      = regexp.MustCompile(`^\s*\+[-=+:\s]*\+\s*$`)
)

// rows finds the lines that are rows of a table.
func (b *blocker) rows(all []block) []block {
	out := all[:0:0]
	for _, next := range all {
		if next.kind != aLine {
			out = append(out, next)
			continue
		}
		text := strings.TrimSpace(next.text)
		switch {
		case gridLine.MatchString(text):
			out = append(out, block{kind: aDelimiter, line: next.line, group: next.group})
		case bars(text) > 0:
			next.kind, next.cells = aRow, splitBars(text, next.clean)
		case strings.Contains(text, "\t"):
			next.kind, next.cells = aRow, splitTabs(text, next.clean)
		}
		if next.kind == aRow && isDelimiter(next.cells) {
			next.kind = aDelimiter
		}
		if !gridLine.MatchString(text) {
			out = append(out, next)
		}
	}
	return out
}

func isDelimiter(cells []string) bool {
	found := false
	for _, c := range cells {
		if c == "" {
			continue
		}
		if !delimiterCell.MatchString(c) {
			return false
		}
		found = found || strings.ContainsAny(c, "-=—–")
	}
	return found
}

// splitBars splits a row at its bars. Bars in code and escaped bars are text.
func splitBars(line string, clean bool) []string {
	var parts []string
	start, code := 0, false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '`':
			code = !code && strings.Contains(line[i+1:], "`")
		case '|':
			if !code {
				parts = append(parts, line[start:i])
				start = i + 1
			}
		}
	}
	parts = append(parts, line[start:])
	if len(parts) > 1 && strings.TrimSpace(parts[0]) == "" {
		parts = parts[1:]
	}
	if last := len(parts) - 1; last > 0 && strings.TrimSpace(parts[last]) == "" {
		parts = parts[:last]
	}
	return cleanCells(parts, clean)
}

func splitTabs(line string, clean bool) []string {
	return cleanCells(strings.Split(line, "\t"), clean)
}

func cleanCells(parts []string, clean bool) []string {
	cells := make([]string, len(parts))
	for i, part := range parts {
		part = strings.ReplaceAll(part, `\|`, "|")
		if clean {
			cells[i] = tidy(part)
		} else {
			cells[i] = inlineText(part)
		}
	}
	return cells
}
