package drift

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/tools/page"
)

// Options say what Diff reports beyond the usual.
type Options struct {
	// Wording reports changes of descriptions and notes, too. It needs Words.
	Wording bool
	// Words are the vendor's words as they were recorded; nil: none.
	Words *Words
	// All says that the pages are all of the vendor's pages, so that a schema
	// without one of them is reported.
	All bool
}

// Record puts the words of pages on record.
func (d *Document) Record(words *Words, pages []*page.Page) {
	for _, p := range pages {
		if p.Problem != "" {
			continue
		}
		for _, in := range d.split(p) {
			if a, _, _ := d.actionOf(p, in.tables, in.examples); a != nil {
				if r := d.reading(p, in, a); r.cutOff(p, false) == "" {
					words.record(r)
				}
			}
		}
	}
}

// Read reads a page with the names that the document knows.
func (d *Document) Read(name, address string, data []byte) *page.Page {
	return page.Reader{Known: d.Known}.Read(name, address, data)
}

// Diff compares pages with the document. Findings come in the order of the
// pages. A page that cannot be read is one finding, never a list of everything
// that it lacks.
func (d *Document) Diff(pages []*page.Page, o Options) []Finding {
	var out []Finding
	var names []string
	described := make(map[*schema]bool)
	for _, p := range pages {
		names = append(names, p.Name)
		for _, f := range d.diffPage(p, o, described) {
			if !slices.ContainsFunc(out, func(g Finding) bool { return same(f, g) }) {
				out = append(out, f)
			}
		}
	}
	sortFindings(out, names)
	if o.All {
		out = append(out, d.undescribed(described)...)
	}
	return out
}

// same reports whether two findings say the same, as those of a table that is
// printed twice do.
func same(a, b Finding) bool {
	return a.Page == b.Page && a.Action == b.Action && a.Where == b.Where && a.schema == b.schema && a.Member == b.Member && a.Kind == b.Kind && a.Now == b.Now
}

func (d *Document) undescribed(described map[*schema]bool) []Finding {
	var out []Finding
	for _, a := range d.actions {
		for _, s := range []*schema{a.request, a.response} {
			if s != nil && !described[s] && !slices.ContainsFunc(s.decisions, func(d decision) bool { return d.about == SchemaWithoutPage }) {
				where := InResponse
				if s.request {
					where = InRequest
				}
				out = append(out, Finding{Address: firstOf(a.pages), Action: a.name, Where: where, Kind: SchemaWithoutPage, Was: s.name, Line: s.line, schema: s.name,
					detail: "None of the pages describes this schema."})
			}
		}
	}
	return out
}

// diffPage compares one page. A page may describe several actions.
func (d *Document) diffPage(p *page.Page, o Options, described map[*schema]bool) []Finding {
	if p.Problem != "" {
		return []Finding{d.unreadable(p, "", p.Problem)}
	}
	if found, ok := d.codeTables(p); ok {
		return found
	}
	if len(p.Tables) == 0 {
		if len(d.at(p.Address))+len(d.at(p.Name)) > 0 || p.Words < 200 {
			return []Finding{d.unreadable(p, "", "no table of parameters was found in it")}
		}
		return nil // prose
	}
	parts := d.split(p)
	var out []Finding
	for _, part := range parts {
		found := d.diffPart(p, part, o, described, len(parts) > 1)
		out = append(out, found...)
		if len(found) == 1 && found[0].Kind == PageUnreadable {
			return found
		}
	}
	return out
}

func (d *Document) unreadable(p *page.Page, action, why string) Finding {
	return Finding{Page: p.Name, Address: p.Address, Action: action, Where: OnPage, Kind: PageUnreadable, Now: why}
}

// part is what a page says about one action.
type part struct {
	tables   []*page.Table
	examples []*page.Example
}

// split cuts a page that describes several actions before each table that
// names another one.
func (d *Document) split(p *page.Page) []part {
	out := []part{{}}
	var current []string
	start := 0
	for i, t := range p.Tables {
		if named, _ := d.actionsIn([]*page.Table{t}, nil); len(named) == 1 {
			if current != nil && !slices.Equal(named, current) {
				out = append(out, part{})
				start = i
			}
			current = named
		}
		last := &out[len(out)-1]
		last.tables = append(last.tables, t)
		for _, e := range p.Examples {
			if e.After == i+1 || i == 0 && e.After == 0 {
				moved := *e
				moved.After -= start
				last.examples = append(last.examples, &moved)
			}
		}
	}
	return out
}

func (d *Document) diffPart(p *page.Page, in part, o Options, described map[*schema]bool, several bool) []Finding {
	a, named, sure := d.actionOf(p, in.tables, in.examples)
	if a == nil {
		return d.unknown(p, in, named)
	}
	r := d.reading(p, in, a)
	if why := r.cutOff(p, several); why != "" {
		return []Finding{d.unreadable(p, a.name, why)}
	}
	for _, s := range r.slots {
		if len(r.rows[s]) > 0 {
			described[s.schema] = true
		}
	}
	found := r.compare(o)
	renamed := len(named) > 0 && !slices.Contains(named, a.name)
	if renamed && !sure && slices.ContainsFunc(found, func(f Finding) bool { return f.Kind != ActionChange }) {
		return d.unknown(p, in, named) // like a known action, but not the same
	}
	return found
}

// reading prepares the comparison of a page's part with an action.
func (d *Document) reading(p *page.Page, in part, a *action) *reading {
	address := p.Address
	if !slices.ContainsFunc(a.pages, func(page string) bool { return samePage(page, address) }) {
		address = ""
	}
	for _, page := range a.pages { // a file that lies as on the vendor's server
		if address == "" && samePage(page, p.Name) {
			address = page
		}
	}
	pages := a.pages
	if address != "" {
		pages = []string{address}
		for _, page := range a.pages {
			if samePage(page, address) {
				pages = []string{page}
			}
		}
	}
	if address == "" && len(a.pages) == 1 {
		address = a.pages[0]
	}
	r := &reading{doc: d, page: p, address: address, action: a, slots: d.slotsOf(a, pages), tables: in.tables, examples: in.examples}
	r.match()
	return r
}

// unknown reports a page that describes an action which the document lacks.
func (d *Document) unknown(p *page.Page, in part, named []string) []Finding {
	rows := 0
	for _, t := range in.tables {
		rows += len(t.Params)
	}
	if len(named) == 0 && rows < 4 {
		if p.Words < 200 {
			return []Finding{d.unreadable(p, "", "it has less than a table of parameters, so it may have been cut off")}
		}
		return nil // prose with a small table
	}
	name := firstOf(named)
	return []Finding{{Page: p.Name, Address: p.Address, Action: name, Where: OnPage, Member: name, Kind: PageWithoutSchema, Now: name,
		detail: fmt.Sprintf("The page has %d tables with %d members. `ottpay docs import` drafts the schemas.", len(in.tables), rows)}}
}

// cutOff says why a page seems to have lost its end, or "".
func (r *reading) cutOff(p *page.Page, several bool) string {
	last, missing := -1, 0
	for i, s := range r.slots {
		if len(r.rows[s]) > 0 {
			last = i
		} else if len(s.schema.members) > 0 && r.expects(s) {
			missing++
		}
	}
	if last < 0 {
		return "no table of " + r.action.name + " was found in it"
	}
	tail := 0
	for _, s := range r.slots[last+1:] {
		if r.expects(s) {
			tail++
		}
	}
	switch {
	case tail > 0 && !several:
		return fmt.Sprintf("it ends after the part %q; %q is missing, so it may have been cut off", r.slots[last].title, r.slots[last+1].title)
	case missing*2 > len(r.slots):
		return "most of its tables are missing"
	case p.Cut && !several:
		return "it ends in the middle of a table or an example, so it was cut off"
	case p.Open && !several:
		if n := r.missingAtEnd(r.slots[last]); n >= 2 {
			return fmt.Sprintf("it ends with a table that lacks its last %d members, so it may have been cut off", n)
		}
	}
	return ""
}

// expects reports whether the page should have a part.
func (r *reading) expects(s *slot) bool {
	for _, m := range s.schema.members {
		if m.required && !r.absent(s, m) {
			return r.decided(s, nil, "", SchemaWithoutPage) == nil
		}
	}
	return false
}

// missingAtEnd counts the members that a part's table lacks, if none of them
// can stand before one that it has.
func (r *reading) missingAtEnd(s *slot) int {
	n := 0
	for _, m := range s.schema.members {
		if r.absent(s, m) {
			continue
		}
		if !slices.ContainsFunc(r.rows[s], func(row param) bool { return s.schema.reads(row.Name) == m || fold(row.Name) == fold(m.name) }) {
			n++
		}
	}
	return n
}

// compare lists the differences between a reading and its action.
func (r *reading) compare(o Options) []Finding {
	var out []Finding
	for _, s := range r.slots {
		if len(r.rows[s]) == 0 {
			if r.expects(s) {
				out = append(out, r.finding(s, nil, SchemaWithoutPage, s.schema.name, "", "The page has no table for this schema any more."))
			}
			continue
		}
		out = append(out, r.compareTable(s)...)
		if o.Wording {
			out = append(out, r.compareWords(s, o.Words, out)...)
		}
	}
	explained := out
	for _, s := range r.slots {
		for _, e := range r.shown[s] {
			out = append(out, r.compareExample(s, s.schema, e.Members, e, explained)...)
		}
	}
	return out
}

// finding makes a finding about a member, or about a part if m is nil.
func (r *reading) finding(s *slot, m *member, k Kind, was, now, detail string) Finding {
	f := Finding{Page: r.page.Name, Address: r.address, Action: r.action.name, Where: s.where, Kind: k, Was: was, Now: now, Line: s.schema.line, schema: s.schema.name, slot: s, detail: detail}
	if m != nil {
		f.Member, f.Line = m.name, m.line
	}
	return f
}

// decided returns the decision about a kind of difference of a member on this
// page, or nil. Decisions that stand nearer, or that name the page, come first.
func (r *reading) decided(s *slot, m *member, name string, k Kind) *decision {
	d, _ := r.decisionsAbout(s, m, name, k, func(decision) bool { return true })
	return d
}

func (r *reading) decisionsAbout(s *slot, m *member, name string, k Kind, pass func(decision) bool) (*decision, bool) {
	lists := [][]decision{s.schema.decisions, r.action.decisions, r.doc.decisions}
	if m != nil {
		lists = append([][]decision{m.decisions}, lists...)
	}
	for _, named := range []bool{true, false} { // those that name the page first
		for _, list := range lists {
			for i := range list {
				d := &list[i]
				if d.about != k || !slices.Contains(d.members, name) && (len(d.members) > 0 || name != "") || (len(d.pages) > 0) != named || !r.on(d.pages) || !pass(*d) {
					continue
				}
				return d, true
			}
		}
	}
	return nil, false
}

// on reports whether a decision's pages include this one. Without an address
// every page of the action counts.
func (r *reading) on(pages []string) bool {
	if len(pages) == 0 {
		return true
	}
	for _, p := range pages {
		if p == r.action.name || r.address != "" && samePage(p, r.address) || r.address != "" && strings.HasSuffix(canonical(r.address), "/"+canonical(p)) {
			return true
		}
		if r.address == "" && slices.ContainsFunc(r.action.pages, func(page string) bool {
			return samePage(p, page) || strings.HasSuffix(canonical(page), "/"+canonical(p))
		}) {
			return true
		}
	}
	return false
}

// settle drops a finding that is on record with what the page says now, and
// adds to any other what was decided before.
func (r *reading) settle(f Finding, s *slot, m *member, name string) (Finding, bool) {
	if _, ok := r.decisionsAbout(s, m, name, f.Kind, func(d decision) bool { return d.says == f.Now }); ok {
		return f, false
	}
	if d := r.decided(s, m, name, f.Kind); d != nil {
		f.Decision = fmt.Sprintf("The page said %s; the kit %s, because %s", said(d.says), d.does, d.why)
		f.Was = d.says
	}
	return f, true
}

func said(s string) string {
	if s == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", s)
}

// compareTable compares the rows of a part with its schema.
func (r *reading) compareTable(s *slot) []Finding {
	var out []Finding
	add := func(f Finding, m *member, name string, row *param) {
		if row != nil {
			f.table, f.row, f.pageLine, f.param = row.table.Number, row.Row, row.Line, row
		} else {
			f.table = r.rows[s][0].table.Number
		}
		if f, ok := r.settle(f, s, m, name); ok {
			out = append(out, f)
		}
	}
	var added []*param
	found := make(map[*member]bool)
	rows := r.rows[s]
	check := func(m *member, row *param) {
		for _, f := range r.compareRow(s, m, row) {
			add(f, m, m.name, row)
		}
	}
	for i := range rows {
		row := &rows[i]
		m := s.schema.reads(row.Name)
		if m == nil {
			if !slices.ContainsFunc(added, func(p *param) bool { return p.Name == row.Name }) {
				added = append(added, row)
			}
			continue
		}
		found[m] = true
		if m.name != row.Name && !slices.ContainsFunc(rows, func(p param) bool { return p.Name == m.name }) {
			add(r.finding(s, m, MemberRenamed, m.name, row.Name, "The document reads both spellings."), m, m.name, row)
		}
		if r.absent(s, m) {
			continue // the page catches up
		}
		check(m, row)
	}
	var removed []*member
	for _, m := range s.schema.members {
		if !found[m] && !r.absent(s, m) {
			removed = append(removed, m)
		}
	}
	for _, pair := range renames(s.schema, rows, added, removed) {
		add(r.finding(s, pair.member, MemberRenamed, pair.member.name, pair.row.Name, "Renamed, or one member removed and another added."), pair.member, pair.member.name, pair.row)
		check(pair.member, pair.row)
		added = slices.DeleteFunc(added, func(p *param) bool { return p == pair.row })
		removed = slices.DeleteFunc(removed, func(m *member) bool { return m == pair.member })
	}
	for _, row := range added {
		f := r.finding(s, nil, MemberAdded, "", row.Name, row.Words())
		f.Member, f.optional = row.Name, row.Required == page.Optional
		add(f, nil, row.Name, row)
	}
	for _, m := range removed {
		add(r.finding(s, m, MemberRemoved, m.name, "", "No row of the table has it."), m, m.name, nil)
	}
	return out
}

// compareRow compares what a row says of a member.
func (r *reading) compareRow(s *slot, m *member, row *param) []Finding {
	var out []Finding
	if f, ok := r.compareRequired(s, m, row); ok {
		out = append(out, f)
	}
	if f, ok := r.compareConstant(s, m, row); ok {
		out = append(out, f)
	}
	for _, types := range row.Types() {
		if m.types != nil && m.kind != "raw" && !sameTypes(types, m.types) {
			out = append(out, r.finding(s, m, TypeChange, strings.Join(m.types, "/"), strings.Join(types, "/"), ""))
		}
	}
	if n, ok := row.MaxLength(); ok && n != m.longest() {
		was := ""
		if m.longest() > 0 {
			was = fmt.Sprint(m.longest())
		}
		out = append(out, r.finding(s, m, LengthChange, was, fmt.Sprint(n), ""))
	}
	return out
}

func (r *reading) compareRequired(s *slot, m *member, row *param) (Finding, bool) {
	was := page.Optional
	if m.required {
		was = page.Required
	}
	if row.Required == page.Unsaid || row.Required == was {
		return Finding{}, false
	}
	return r.finding(s, m, RequiredChange, string(was), string(row.Required), ""), true
}

// compareConstant compares the values that a row admits. The rows action and
// version of the request's envelope are those of the action.
func (r *reading) compareConstant(s *slot, m *member, row *param) (Finding, bool) {
	kind, expected, line := ConstantChange, m.enum, m.line
	if s.schema == r.doc.requestEnvelope {
		switch m.name {
		case "action":
			kind, expected, line = ActionChange, []string{r.action.name}, r.action.line
		case "version":
			kind, expected, line = VersionChange, []string{r.action.version}, r.action.versionLine
		}
	}
	said := expected
	if d := r.decided(s, m, m.name, kind); d != nil && d.says != "" {
		said = strings.Split(d.says, "/")
	}
	now := row.Constants(len(said) > 0)
	switch {
	case len(now) == 0 && (len(said) == 0 || !row.table.Notes || slices.ContainsFunc(said, row.Mentions)):
		return Finding{}, false
	case sameSet(now, expected) || sameSet(now, said):
		return Finding{}, false
	case kind == ActionChange && slices.Contains(now, r.action.name):
		return Finding{}, false // a page of several actions
	case s.schema == r.doc.responseEnvelope || s.schema == r.doc.callbackEnvelope:
		return Finding{}, false // codes, which are compared as such
	}
	f := r.finding(s, m, kind, strings.Join(expected, "/"), strings.Join(now, "/"), "")
	f.Line = line
	return f, true
}

func sameSet(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	for _, v := range b {
		if !slices.Contains(a, v) {
			return false
		}
	}
	return true
}

// sameTypes compares JSON types; a page that says number means integers too.
func sameTypes(a, b []string) bool {
	norm := func(list []string) []string {
		var out []string
		for _, t := range list {
			if t == "integer" {
				t = "number"
			}
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(norm(a), norm(b))
}

type rename struct {
	member *member
	row    *param
}

// renames pairs members that a table lacks with rows that the schema lacks.
// One of each in a table is a pair. Among several the names must be alike.
func renames(s *schema, rows []param, added []*param, removed []*member) []rename {
	if len(added) == 1 && len(removed) == 1 {
		return []rename{{removed[0], added[0]}}
	}
	var out []rename
	used := make(map[*member]bool)
	for _, row := range added {
		var best *member
		most := 0.5
		for _, m := range removed {
			if w := alike(m.name, row.Name); !used[m] && w > most {
				best, most = m, w
			}
		}
		if best != nil {
			used[best] = true
			out = append(out, rename{best, row})
		}
	}
	return out
}

// alike is how much two names have in common: 1 for spellings of one name.
func alike(a, b string) float64 {
	x, y := fold(a), fold(b)
	if x == y {
		return 1
	}
	common := 0
	for i := range len(x) { // the longest piece that both have
		for j := range len(y) {
			n := 0
			for i+n < len(x) && j+n < len(y) && x[i+n] == y[j+n] {
				n++
			}
			common = max(common, n)
		}
	}
	return 2 * float64(common) / float64(len(x)+len(y))
}

// compareExample judges an example by its schema. What a finding about the
// table explains already is not reported again.
func (r *reading) compareExample(s *slot, in *schema, members []page.Member, e *page.Example, explained []Finding) []Finding {
	var out []Finding
	known := func(name string) bool {
		return slices.ContainsFunc(explained, func(f Finding) bool {
			return f.schema == in.name && (f.Member == name || f.Was == name || f.Now == name)
		})
	}
	add := func(f Finding, m *member, name string) {
		f.schema, f.pageLine, f.table = in.name, e.Line, e.After
		if m == nil {
			f.Line = in.line
		}
		if f, ok := r.settle(f, s, m, name); ok {
			out = append(out, f)
		}
	}
	at := &slot{s.where, s.title, in, s.section}
	for _, v := range members {
		m := in.reads(v.Name)
		if m == nil {
			if !known(v.Name) {
				f := r.finding(at, nil, ExampleUnknownMember, "", v.Name, "")
				f.Member = v.Name
				add(f, nil, v.Name)
			}
			continue
		}
		if m.holds != nil {
			inner := v.Value.Members
			if inner == nil {
				inner = page.Object(v.Value.Text)
			}
			if inner != nil {
				where := &slot{InPayInfo, m.name, m.holds, s.section}
				out = append(out, r.compareExample(where, m.holds, inner, e, explained)...)
				continue
			}
		}
		if known(m.name) {
			continue
		}
		if f, ok := r.compareValue(at, m, v.Value); ok {
			add(f, m, m.name)
		}
	}
	if e.Cut {
		return out
	}
	has := func(name string) bool {
		return slices.ContainsFunc(members, func(v page.Member) bool { return in.reads(v.Name) == in.named(name) })
	}
	if len(in.oneOf) > 0 && !slices.ContainsFunc(in.oneOf, has) && !slices.ContainsFunc(in.oneOf, known) {
		m := in.named(in.oneOf[0])
		add(r.finding(at, m, ExampleInvalid, strings.Join(in.oneOf, "/"), "", "The example has none of the members of which the document requires one."), m, m.name)
	}
	for _, m := range in.members {
		if m.required && !known(m.name) && !has(m.name) {
			add(r.finding(at, m, ExampleInvalid, m.name, "", "The example lacks a member that the document requires."), m, m.name)
		}
	}
	return out
}

// compareValue judges one value of an example.
func (r *reading) compareValue(s *slot, m *member, v page.Value) (Finding, bool) {
	switch {
	case s.schema == r.doc.requestEnvelope && m.name == "action" && v.Text != r.action.name:
		return r.finding(s, m, ExampleInvalid, r.action.name, v.Text, "The example is of another action."), true
	case s.schema == r.doc.requestEnvelope && m.name == "version" && v.Text != r.action.version:
		return r.finding(s, m, ExampleInvalid, r.action.version, v.Text, "The example has another version."), true
	case m.name == "rsp_code" && s.where == InEnvelope:
		if !slices.ContainsFunc(r.doc.codes, func(c code) bool { return strings.EqualFold(c.name, v.Text) }) {
			f := r.finding(s, m, CodeAdded, "", v.Text, "The example has a code that the document lacks.")
			f.Where, f.Member = InCodes, v.Text
			return f, true
		}
		return Finding{}, false
	}
	why := m.refuses(v)
	if why == "" || v.Bare && v.Kind == "string" {
		return Finding{}, false
	}
	return r.finding(s, m, ExampleInvalid, strings.Join(m.enum, "/"), short(v.Text), "The document refuses the value: "+why+"."), true
}

func short(s string) string {
	if utf8.RuneCountInString(s) <= 60 {
		return s
	}
	return string([]rune(s)[:60]) + "…"
}
