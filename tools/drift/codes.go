package drift

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/tools/page"
)

var codeWord = regexp.MustCompile(`^[A-Z][A-Z0-9_]{2,63}$`)

// codeTables compares the tables of a page that list response codes. It reports
// whether the page is about nothing else.
func (d *Document) codeTables(p *page.Page) ([]Finding, bool) {
	address := p.Address != "" && slices.ContainsFunc(d.codePages, func(c string) bool { return samePage(c, p.Address) })
	var out []Finding
	found := make(map[string]bool)
	others := 0
	for _, t := range p.Tables {
		if !d.isCodes(t) {
			others++
			continue
		}
		for i := range t.Params {
			row := &t.Params[i]
			found[row.Name] = true
			if d.code(row.Name) != nil || slices.ContainsFunc(d.decisions, func(c decision) bool { return c.about == CodeAdded && slices.Contains(c.members, row.Name) }) {
				continue
			}
			out = append(out, Finding{Page: p.Name, Address: p.Address, Where: InCodes, Member: row.Name, Kind: CodeAdded, Now: row.Name,
				table: t.Number, row: row.Row, pageLine: row.Line, detail: row.Words(), param: &param{*row, t}})
		}
	}
	if others > 0 && !address || len(found) == 0 {
		return nil, false // an action's page may list some codes as well
	}
	for _, c := range d.codes {
		if !found[c.name] && !slices.ContainsFunc(d.decisions, func(k decision) bool { return k.about == CodeRemoved && slices.Contains(k.members, c.name) }) {
			out = append(out, Finding{Page: p.Name, Address: p.Address, Where: InCodes, Member: c.name, Kind: CodeRemoved, Was: c.name, Line: c.line})
		}
	}
	return out, true
}

// isCodes reports whether a table lists response codes.
func (d *Document) isCodes(t *page.Table) bool {
	known, words := 0, 0
	for _, p := range t.Params {
		if d.code(p.Name) != nil {
			known++
		}
		if codeWord.MatchString(p.Name) {
			words++
		}
	}
	return known >= 2 && words*3 >= len(t.Params)*2
}

func (d *Document) code(name string) *code {
	for i := range d.codes {
		if strings.EqualFold(d.codes[i].name, name) {
			return &d.codes[i]
		}
	}
	return nil
}
