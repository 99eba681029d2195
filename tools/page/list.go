package page

import (
	"regexp"
	"slices"
	"strings"
)

var listItem = regexp.MustCompile("^\\s*(?:[-*+•·]|[0-9]+[.)])?\\s*[`*\"“]*([A-Za-z_$][A-Za-z0-9_$]{0,63})[`*\"”]*\\s*(.*)$")

// lists finds parameters on a page without tables: rows whose columns are only
// blanks apart, a cell on each line, or items of a list. It returns the blocks
// in which it found them.
func (r Reader) lists(all []block) ([]*Table, []block) {
	if aligned := realign(all); aligned != nil {
		if found := r.tables(aligned); len(found) > 0 {
			return found, aligned
		}
	}
	if stacked := r.unstack(all); stacked != nil {
		if found := r.tables(stacked); len(found) > 0 {
			return found, stacked
		}
	}
	return r.items(all), all
}

var wideBlank = regexp.MustCompile(`\s{2,}`)

// realign makes rows of lines whose columns are two blanks or more apart. It
// returns nil if there is no header among them.
func realign(all []block) []block {
	out := make([]block, len(all))
	found := false
	for i, b := range all {
		out[i] = b
		if b.kind != aLine && b.kind != aCode {
			continue
		}
		if cells := cleanCells(wideBlank.Split(strings.TrimSpace(b.text), -1), b.clean); b.kind == aLine && len(cells) >= 2 {
			out[i].kind, out[i].cells = aRow, cells
			found = found || isHeader(cells)
		}
	}
	if !found {
		return nil
	}
	return out
}

// unstack makes rows of a page that has each cell on a line of its own, as some
// browsers copy a table. A member begins with a line that is a name, and its
// flag follows within two lines.
func (r Reader) unstack(all []block) []block {
	var out []block
	for i := 0; i < len(all); {
		columns := 0
		var header []string
		var roles []role
		for columns < 6 && i+columns < len(all) && all[i+columns].kind == aLine {
			words := all[i+columns].words()
			role, _ := headerRole(words)
			if role == noRole || len(strings.Fields(words)) > 3 || strings.Contains(words, "_") || slices.Contains(roles, role) {
				break
			}
			roles = append(roles, role)
			header = append(header, words)
			columns++
		}
		if columns < 3 || !isHeader(header) {
			out = append(out, all[i])
			i++
			continue
		}
		group := all[i].group
		out = append(out, block{kind: aRow, cells: header, line: all[i].line, group: group})
		i += columns
		flag := -1
		for c, h := range header {
			if role, _ := headerRole(h); role == requiredRole {
				flag = c
			}
		}
		starts := func(j int) bool {
			if flag < 0 || j+flag >= len(all) || all[j].kind != aLine || all[j+flag].kind != aLine || !isIdentifier(all[j].words()) {
				return false
			}
			_, ok := parseFlag(all[j+flag].words())
			return ok
		}
		for starts(i) {
			row := block{kind: aRow, line: all[i].line, group: group}
			for c := 0; c <= flag; c++ {
				row.cells = append(row.cells, all[i+c].words())
			}
			i += flag + 1
			for i < len(all) && all[i].kind == aLine && len(row.cells) < columns && !starts(i) && all[i].group == all[i-1].group {
				row.cells = append(row.cells, all[i].words())
				i++
			}
			out = append(out, row)
		}
	}
	return out
}

// bulleted is an item that begins with a name in code.
var bulleted = regexp.MustCompile("^\\s*(?:[-*+•·]\\s+)?`[A-Za-z_$][A-Za-z0-9_$]*`")

var itemFlag = regexp.MustCompile(`(?i)\b(required|mandatory|optional|not required|必填|选填|可选|必须)\b|[(\[|,–—-]\s*(Y|N|yes|no|M|O|是|否)\s*(?:[)\]|,.:–—-]|$)`)

// items reads lists of parameters: "order_id (optional): the order". A list
// must hold two known names at least.
func (r Reader) items(all []block) []*Table {
	var out []*Table
	var heading []string
	var current *Table
	known := 0
	end := func() {
		if current != nil && known >= 2 {
			out = append(out, current)
			current.Number = len(out)
			heading = nil
		}
		current, known = nil, 0
	}
	for i, b := range all {
		if b.kind != aLine {
			end()
			if b.kind == aHeading {
				heading = append(heading, b.text)
			}
			continue
		}
		words := b.words()
		m := listItem.FindStringSubmatch(words)
		if m == nil || !r.known(m[1]) && (!itemFlag.MatchString(m[2]) || current == nil && !bulleted.MatchString(words)) {
			end()
			heading = append(heading, words)
			continue
		}
		if current == nil {
			current = &Table{Heading: heading, Line: b.line, Notes: true, position: i}
		}
		p := Param{Name: m[1], Line: b.line, Row: len(current.Params) + 1}
		rest := strings.TrimLeft(m[2], ":：-–—|, ")
		if f := itemFlag.FindStringSubmatch(m[2]); f != nil {
			word := f[1] + f[2]
			if strings.Contains(strings.ToLower(m[2]), "not required") {
				word = "optional"
			}
			p.Required, _ = parseFlag(word)
			rest = strings.TrimSpace(strings.Replace(m[2], f[0], " ", 1))
		}
		p.Notes = strings.TrimRight(strings.TrimLeft(rest, ":：-–—|,() "), ":：-–—|,( ")
		current.Params = append(current.Params, p)
		if r.known(m[1]) {
			known++
		}
	}
	end()
	return out
}
