package drift

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/tools/page"
)

// slot is a part of a page that one schema describes.
type slot struct {
	where   Where
	title   string // for people
	schema  *schema
	section section
}

// section is the third of a page that a part belongs to.
type section int

const (
	noSection section = iota
	requestSection
	responseSection
	callbackSection
)

// param is a row of a page's table.
type param struct {
	page.Param
	table *page.Table
}

// reading is a page, or the part of one that describes one action.
type reading struct {
	doc     *Document
	page    *page.Page
	address string
	action  *action
	slots   []*slot

	tables   []*page.Table
	sections []section // of the tables
	examples []*page.Example
	rows     map[*slot][]param
	shown    map[*slot][]*page.Example
}

// slotsOf lists the parts of an action's page in their usual order.
func (d *Document) slotsOf(a *action, pages []string) []*slot {
	var out []*slot
	add := func(where Where, title string, s *schema, in section) {
		if s != nil {
			out = append(out, &slot{where, title, s, in})
		}
	}
	add(InEnvelope, "request envelope", d.requestEnvelope, requestSection)
	add(InRequest, "request", a.request, requestSection)
	add(InEnvelope, "answer envelope", d.responseEnvelope, responseSection)
	add(InResponse, "answer", a.response, responseSection)
	if a.response != nil {
		for _, m := range a.response.members {
			if m.holds != nil {
				add(InPayInfo, m.name, m.holds, responseSection)
			}
		}
	}
	if n := d.notificationOf(pages); n != nil {
		add(InEnvelope, "callback envelope", d.callbackEnvelope, callbackSection)
		add(InCallback, "callback", n, callbackSection)
	}
	return out
}

// notificationOf returns the schema of the callback that one of the pages
// describes.
func (d *Document) notificationOf(pages []string) *schema {
	for _, name := range d.order {
		s := d.schemas[name]
		if s.action != nil || d.held(s) || s == d.requestEnvelope || s == d.responseEnvelope || s == d.callbackEnvelope {
			continue
		}
		for _, p := range s.pages {
			if slices.Contains(pages, p) {
				return s
			}
		}
	}
	return nil
}

// held reports whether a schema is that of JSON in another one's string.
func (d *Document) held(s *schema) bool {
	for _, name := range d.order {
		for _, m := range d.schemas[name].members {
			if m.holds == s {
				return true
			}
		}
	}
	return false
}

// match gives each row and each example of a reading to the part that it
// belongs to.
func (r *reading) match() {
	r.rows, r.shown = make(map[*slot][]param), make(map[*slot][]*page.Example)
	var rows []param
	var bonus []section
	var first []bool
	if r.sections == nil {
		r.sections = sectionsOf(r.tables)
	}
	for n, t := range r.tables {
		for i, p := range t.Params {
			rows = append(rows, param{p, t})
			bonus = append(bonus, r.sections[n])
			first = append(first, i == 0)
		}
	}
	path := r.align(rows, bonus, first)
	for i, s := range path {
		if s != nil {
			r.rows[s] = append(r.rows[s], rows[i])
		}
	}
	last := make(map[*page.Table]*slot) // where a table ends
	for i, s := range path {
		if s != nil {
			last[rows[i].table] = s
		}
	}
	for _, e := range r.examples {
		in, near := noSection, (*slot)(nil)
		if e.After > 0 && e.After <= len(r.tables) {
			in, near = r.sections[e.After-1], last[r.tables[e.After-1]]
		}
		if s := r.slotOf(e, near, sectionOf(e.Heading, in)); s != nil {
			r.shown[s] = append(r.shown[s], e)
		}
	}
}

var (
	callbackWords = regexp.MustCompile(`(?i)call\s*-?\s*back|notif|webhook|回调|回調|通知|异步`)
	requestWords  = regexp.MustCompile(`(?i)request|to be encrypted|请求|請求|加密前|requête`)
	responseWords = regexp.MustCompile(`(?i)respon|answer|return param|返回|响应|響應|应答|réponse`)
)

// sectionsOf returns the section of each table.
func sectionsOf(tables []*page.Table) []section {
	out := make([]section, len(tables))
	in := noSection
	for i, t := range tables {
		in = sectionOf(t.Heading, in)
		out[i] = in
	}
	return out
}

// sectionOf follows the headings from one table to the next.
func sectionOf(headings []string, in section) section {
	for _, h := range headings {
		switch {
		case len([]rune(h)) > 90: // prose
		case callbackWords.MatchString(h):
			in = callbackSection
		case responseWords.MatchString(h) && in != callbackSection:
			in = responseSection
		case requestWords.MatchString(h) && !responseWords.MatchString(h):
			in = requestSection
		}
	}
	return in
}

// The weights of align. What the rows say decides; headings and the usual order
// settle what the rows leave open.
const (
	fits        = 1.0  // a row with a member that the page should have
	fitsSeen    = 0.6  // a row with a member that the page is known not to have
	fitsSpelled = 0.8  // a row with a member in another spelling
	fitsNot     = -0.3 // a row with a name that the schema lacks
	inSection   = 0.5  // a table under a heading of the part's third of the page
	staying     = -0.2 // the next table belongs to the same part
	skipping    = -0.3 // for each part that is passed over
	going       = -1.5 // back to an earlier part
	switching   = -1.5 // to another part inside a table
	turning     = -0.2 // against the order of the schema
	outside     = -0.1 // a row that belongs to no part
)

// align finds the parts of all rows at once: the path with the greatest weight
// through rows and parts. The last part, nil, takes rows that belong nowhere.
func (r *reading) align(rows []param, in []section, first []bool) []*slot {
	if len(rows) == 0 {
		return nil
	}
	parts := append(slices.Clone(r.slots), nil)
	type cell struct {
		weight float64
		from   int
	}
	table := make([][]cell, len(rows))
	for i, row := range rows {
		table[i] = make([]cell, len(parts))
		for j, part := range parts {
			own := r.weight(row, part)
			if first[i] && part != nil && in[i] == part.section {
				own += inSection
			}
			best := cell{weight: own + r.enter(-1, j, parts), from: -1}
			if i > 0 {
				best = cell{weight: -1e9}
				for k := range parts {
					w := table[i-1][k].weight + own
					switch {
					case !first[i] && k == j:
						w += r.turned(rows[i-1], row, part)
					case !first[i]:
						w += switching + r.enter(k, j, parts)
					case k == j:
						w += staying
					default:
						w += r.enter(k, j, parts)
					}
					if w > best.weight {
						best = cell{w, k}
					}
				}
			}
			table[i][j] = best
		}
	}
	at := 0
	for j := range parts {
		if table[len(rows)-1][j].weight > table[len(rows)-1][at].weight {
			at = j
		}
	}
	path := make([]*slot, len(rows))
	for i := len(rows) - 1; i >= 0; i-- {
		path[i] = parts[at]
		at = table[i][at].from
	}
	r.part(rows, path)
	return path
}

// part moves the border between two parts of one table. A member that stands
// twice belongs to the second part, if that has it. A new name at the border
// belongs to the part that lacks a member, which then has another name; and if
// none does, to the data, because envelopes hardly change.
func (r *reading) part(rows []param, path []*slot) {
	lacks := func(s *slot) bool {
		for _, m := range s.schema.members {
			found := r.absent(s, m)
			for i := range rows {
				found = found || path[i] == s && s.schema.reads(rows[i].Name) == m
			}
			if !found {
				return true
			}
		}
		return false
	}
	for i := 1; i < len(rows); i++ {
		a, b := path[i-1], path[i]
		if a == b || a == nil || b == nil || rows[i].table != rows[i-1].table {
			continue
		}
		la, lb := lacks(a), lacks(b)
		if lb && !la || la == lb && b.where != InEnvelope && a.where == InEnvelope {
			for j := i - 1; j > 0 && path[j] == a && rows[j].table == rows[i].table && a.schema.reads(rows[j].Name) == nil; j-- {
				path[j] = b
			}
		}
		if la && !lb || la == lb && a.where != InEnvelope && b.where == InEnvelope {
			for j := i; j < len(rows)-1 && path[j] == b && rows[j].table == rows[i].table && b.schema.reads(rows[j].Name) == nil; j++ {
				path[j] = a
			}
		}
		if path[i] == a {
			continue
		}
		for j := i - 1; j >= 0 && path[j] == a && rows[j].table == rows[i].table && b.schema.reads(rows[j].Name) != nil; j-- {
			twice := false
			for k := j - 1; k >= 0 && path[k] == a && rows[k].table == rows[i].table; k-- {
				twice = twice || rows[k].Name == rows[j].Name && k < j-1
			}
			if !twice {
				break
			}
			path[j] = b
		}
	}
}

// turned is the weight of two neighbours in a table that stand the other way
// round in the schema.
func (r *reading) turned(a, b param, part *slot) float64 {
	if part == nil {
		return 0
	}
	x, y := part.schema.reads(a.Name), part.schema.reads(b.Name)
	if x == nil || y == nil || x.index <= y.index {
		return 0
	}
	return turning
}

// enter is the weight of going from part k to part j.
func (r *reading) enter(k, j int, parts []*slot) float64 {
	none := len(parts) - 1
	switch {
	case k == none || j == none:
		return 0
	case j > k:
		return skipping * float64(j-k-1)
	}
	return going
}

func (r *reading) weight(row param, part *slot) float64 {
	if part == nil {
		return outside
	}
	if m := part.schema.reads(row.Name); m != nil {
		if m.name == row.Name && r.absent(part, m) {
			return fitsSeen
		}
		return fits
	}
	if part.schema.folded[fold(row.Name)] != nil {
		return fitsSpelled
	}
	return fitsNot
}

// absent reports whether it is on record that the page lacks a member.
func (r *reading) absent(part *slot, m *member) bool {
	d := r.decided(part, m, m.name, MemberRemoved)
	return d != nil && d.says == ""
}

// slotOf finds the part that an example shows.
func (r *reading) slotOf(e *page.Example, near *slot, in section) *slot {
	var best *slot
	most := 0.5
	for _, s := range r.slots {
		w := 0.0
		for _, m := range e.Members {
			row := param{}
			row.Name = m.Name
			w += r.weight(row, s)
		}
		w /= float64(len(e.Members))
		if w <= 0.2 {
			continue
		}
		if s == near {
			w += 0.3
		}
		if s.section == in {
			w += 0.3
		}
		if w > most {
			best, most = s, w
		}
	}
	return best
}

// envelopeNames tell an envelope's table from others.
func (d *Document) isEnvelope(t *page.Table) bool {
	n := 0
	for _, p := range t.Params {
		if d.requestEnvelope.named(p.Name) != nil {
			n++
		}
	}
	return n >= 3
}

// actionsIn returns the actions that a page's tables name, and those that its
// examples name.
func (d *Document) actionsIn(tables []*page.Table, examples []*page.Example) (named, shown []string) {
	for _, t := range tables {
		for _, p := range t.Params {
			if p.Name == "action" && d.isEnvelope(t) {
				for _, c := range p.Constants(true) {
					if !slices.Contains(named, c) {
						named = append(named, c)
					}
				}
			}
		}
	}
	for _, e := range examples {
		envelope := false
		for _, m := range e.Members {
			envelope = envelope || m.Name == "data" || m.Name == "md5"
		}
		for _, m := range e.Members {
			if m.Name == "action" && envelope && m.Value.Kind == "string" && !slices.Contains(shown, m.Value.Text) {
				shown = append(shown, m.Value.Text)
			}
		}
	}
	return named, shown
}

func (d *Document) action(name string) *action {
	for _, a := range d.actions {
		if a.name == name {
			return a
		}
	}
	return nil
}

// at returns the actions that are described at an address. A file that lies as
// the vendor's server has it, …/api-for-x/payment-request-api.md, counts as
// that address.
func (d *Document) at(address string) []*action {
	var out []*action
	for _, a := range d.actions {
		if slices.ContainsFunc(a.pages, func(p string) bool { return samePage(p, address) }) {
			out = append(out, a)
		}
	}
	return out
}

func samePage(page, address string) bool {
	if address == "" {
		return false
	}
	page, address = canonical(page), canonical(address)
	if page == address {
		return true
	}
	// Below the documentation's root, one element at least must say more than
	// "payment-request-api", which several pages are called.
	i := strings.Index(page, "/payment-api/")
	return i >= 0 && strings.Count(page[i+1:], "/") >= 2 && strings.HasSuffix(address, page[i+len("/payment-api"):])
}

func canonical(address string) string {
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		address = address[:i]
	}
	address = strings.TrimSuffix(strings.TrimRight(address, "/"), ".md")
	return strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"), "www."))
}

// likeness is how much the tables of a page are those of an action: 1 is all
// the same names.
func (d *Document) likeness(a *action, tables []*page.Table, sections []section) float64 {
	want := make(map[string]bool)
	pages := a.pages
	r := &reading{doc: d, action: a, address: firstOf(pages), sections: sections}
	for _, s := range d.slotsOf(a, pages) {
		if s.where == InEnvelope {
			continue
		}
		for _, m := range s.schema.members {
			if !r.absent(s, m) {
				want[string(s.where)+" "+m.name] = true
			}
		}
	}
	r.slots, r.tables = d.slotsOf(a, pages), tables
	r.match()
	found, extra := 0, 0
	have := make(map[string]bool)
	for s, rows := range r.rows {
		if s.where == InEnvelope {
			continue
		}
		for _, row := range rows {
			m := s.schema.reads(row.Name)
			switch {
			case m == nil:
				extra++
			case !have[string(s.where)+" "+m.name]:
				have[string(s.where)+" "+m.name] = true
				if want[string(s.where)+" "+m.name] {
					found++
				}
			}
		}
	}
	if found == 0 {
		return 0
	}
	return 2 * float64(found) / float64(len(want)+found+extra)
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// actionOf finds out which action a page describes. Sure says that the page
// names it or lies at its address.
func (d *Document) actionOf(p *page.Page, tables []*page.Table, examples []*page.Example) (best *action, named []string, sure bool) {
	named, shown := d.actionsIn(tables, examples)
	here := d.at(p.Address)
	if len(here) == 0 {
		here = d.at(p.Name)
	}
	most := 0.0
	sections := sectionsOf(tables)
	for _, a := range d.actions {
		like := d.likeness(a, tables, sections)
		w := like
		evidence := false
		if slices.Contains(named, a.name) {
			w, evidence = w+0.35, true
		}
		if slices.Contains(shown, a.name) {
			w, evidence = w+0.2, true
		}
		if slices.Contains(here, a) {
			w, evidence = w+0.4, true
		}
		if !evidence && like < 0.8 {
			continue
		}
		if w > most+1e-9 {
			best, most, sure = a, w, evidence
		}
	}
	return best, named, sure
}
