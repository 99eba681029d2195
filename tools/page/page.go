// Package page reads the vendor's documentation pages: Markdown in the dialect
// that their documentation system serves, HTML, or the plain text that such a
// page becomes when it is copied. It finds tables of parameters, what their
// rows say, and examples. What the members mean is not its business.
//
// Pages are written by people. Reading is tolerant of everything that does not
// change what a page says: escapes, other headers, columns in another order,
// cells and rows that are broken, merged, moved or printed twice, and examples
// that are not quite JSON. It never guesses a name.
package page

import (
	"regexp"
	"strings"
)

// Reader reads pages. The zero value works. It is safe for concurrent use.
type Reader struct {
	// Known reports whether a name is that of a member which a document
	// describes. It tells a name from a word where a table is out of order. If
	// nil, no name is known.
	Known func(name string) bool
}

func (r Reader) known(name string) bool { return name != "" && r.Known != nil && r.Known(name) }

// Page is what one page says.
type Page struct {
	// Name is where the page came from: a file or a URL.
	Name string
	// Address is the page's URL at the vendor's, without ".md"; "" if unknown.
	Address string
	// Title is the first heading.
	Title    string
	Tables   []*Table
	Examples []*Example
	// Problem says why the page cannot be read; "" if it can be.
	Problem string
	// Cut reports that something is open at the end of the source.
	Cut bool
	// Open reports that the source ends with a row of a table.
	Open bool
	// Words is the number of words in it.
	Words int
}

// Read reads a page. It never fails: Problem says what is wrong with a page
// that cannot be read.
func (r Reader) Read(name, address string, data []byte) *Page {
	p := &Page{Name: name, Address: address}
	text := decode(data)
	p.Words = len(strings.Fields(text))
	all := blocks(text)
	for _, b := range all {
		if p.Title == "" && b.kind == aHeading {
			p.Title = b.text
		}
		if p.Title == "" && b.kind == aLine {
			p.Title = b.words()
		}
	}
	p.Tables = r.tables(all)
	if len(p.Tables) == 0 {
		p.Tables, all = r.lists(all)
	}
	p.Examples = examples(all, p.Tables)
	p.cut(text, all)
	p.Problem = problem(text, p)
	return p
}

// errorPage matches what servers say instead of a page.
var errorPage = regexp.MustCompile(`(?i)\b(404|403|401|500|502|503|504)\b|not found|access denied|forbidden|bad gateway|service unavailable|internal server error|gateway time-?out|too many requests|rate limit|just a moment|enable javascript|captcha|log ?in|sign in|moved permanently|redirecting|no such (key|page)|页面不存在|找不到`)

// problem says why a page cannot be read, or "".
func problem(text string, p *Page) string {
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "":
		return "the page is empty"
	case len(p.Tables) > 0:
		return ""
	case isHTML(text) && (p.Words < 400 || errorPage.MatchString(p.Title)):
		return "an HTML page without a table of parameters: an error page, or one that needs a browser"
	case p.Words < 200 && errorPage.MatchString(trimmed):
		return "an error message in place of the page"
	case strings.Count(trimmed, "\uFFFD")*20 > len(trimmed):
		return "not text"
	case p.Words < 40:
		return "too short to be a page: it may have been cut off"
	}
	return ""
}

// cut finds out whether the source ends in the middle of something.
func (p *Page) cut(text string, all []block) {
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	p.Open = last.kind == aRow
	switch last.kind {
	case aCode:
		p.Cut = last.open || braces(last.text) > 0 && jsonStart(strings.TrimSpace(last.text)) == 0 && !strings.Contains(last.text, "}\n")
	case aRow:
		// The last row has fewer cells than those before, and no closing bar
		// although they have one.
		source := strings.TrimRight(text, "\n")
		lines := strings.Split(source, "\n")
		end := strings.TrimSpace(lines[len(lines)-1])
		closed := 0
		for _, l := range lines[max(0, len(lines)-4) : len(lines)-1] {
			if strings.HasSuffix(strings.TrimSpace(l), "|") {
				closed++
			}
		}
		p.Cut = !last.wide && closed >= 2 && bars(end) > 0 && !strings.HasSuffix(end, "|")
	}
	lower := strings.ToLower(text)
	for _, tag := range []string{"table", "tr", "td", "html"} {
		open := strings.Count(lower, "<"+tag+">") + strings.Count(lower, "<"+tag+" ")
		if open > 0 && strings.Count(lower, "</"+tag) > 0 && open > strings.Count(lower, "</"+tag) && (tag == "table" || tag == "html") {
			p.Cut = true
		}
	}
	if p.Cut && len(p.Tables) > 0 && last.kind == aRow {
		p.Tables[len(p.Tables)-1].Cut = true
	}
}
