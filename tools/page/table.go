package page

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Table is a table of parameters or of codes.
type Table struct {
	// Heading holds the headings and lines between the table or example before
	// and this one, in order.
	Heading []string
	// Params are the rows, in order. A row that stands twice is there twice.
	Params []Param
	// Row is the number of the table on the page, from 1.
	Number int
	// Line is where it begins in the source, from 1; 0 if unknown.
	Line int
	// Notes reports whether the table has a column for notes.
	Notes bool
	// Cut reports that the page ends in the middle of the table's last row.
	Cut bool

	position int // among the page's blocks
}

// Names returns the names of the table's members.
func (t *Table) Names() []string {
	names := make([]string, len(t.Params))
	for i := range t.Params {
		names[i] = t.Params[i].Name
	}
	return names
}

// Param is one row: a member, or a code.
type Param struct {
	Name        string
	Description string
	Required    Flag
	Notes       string
	Type        string // the cell of a column for types
	Length      string // the cell of a column for lengths
	Row         int    // in its table, from 1
	Line        int    // in the source, from 1; 0 if unknown
}

// columns says which cell of a row holds what; -1 where there is none.
type columns struct {
	of       map[role]int
	count    int
	contrary bool // the column "Required" is named "Optional"
	codes    bool // the names are codes, which may be numbers
}

func (c columns) at(r role) int {
	if i, ok := c.of[r]; ok {
		return i
	}
	return -1
}

type rawRow struct {
	cells []string
	line  int
	wide  bool
	loose bool // a line of text inside a table
}

func (r rawRow) filled() int {
	n := 0
	for _, c := range r.cells {
		if c != "" {
			n++
		}
	}
	return n
}

// run is a stretch of rows that nothing interrupts.
type run struct {
	heading  []string
	rows     []rawRow
	headers  map[int]bool // rows above a delimiter
	position int
	apart    bool // a heading or an example stands before it
}

// runs collects the stretches of rows and the code of a page.
func runs(all []block) []run {
	var out []run
	var heading []string
	apart := true
	var current *run
	last := 0 // group of the last row
	end := func() {
		if current != nil && len(current.rows) > 0 {
			out = append(out, *current)
			heading, apart = nil, false
		}
		current = nil
	}
	for i, b := range all {
		switch b.kind {
		case aRow:
			if current != nil && b.wide && b.group != last {
				end()
			}
			if current == nil {
				current = &run{heading: heading, headers: make(map[int]bool), position: i, apart: apart}
			}
			current.rows = append(current.rows, rawRow{cells: b.cells, line: b.line, wide: b.wide})
			last = b.group
		case aDelimiter:
			if current != nil && len(current.rows) > 0 {
				current.headers[len(current.rows)-1] = true
			}
		case aLine:
			if current != nil && b.group == last && !isTitle(b) && goesOn(all[i+1:], b.group) {
				current.rows = append(current.rows, rawRow{cells: []string{b.words()}, line: b.line, loose: true})
				continue
			}
			end()
			heading = append(heading, b.words())
		case aHeading:
			end()
			heading, apart = append(heading, b.text), true
		case aCode:
			end()
			heading, apart = nil, true
		case aRule:
			end()
		}
	}
	end()
	return out
}

// goesOn reports whether a table goes on behind a line of text: within two
// lines of the same paragraph comes a row that begins no new table.
func goesOn(rest []block, group int) bool {
	for i, b := range rest {
		switch {
		case i > 2 || b.group != group:
			return false
		case b.kind == aRow:
			return !isHeader(b.cells)
		case b.kind != aLine || isTitle(b):
			return false
		}
	}
	return false
}

// isTitle reports whether a line looks like a heading that is not marked as one.
func isTitle(b block) bool {
	words := b.words()
	if strings.HasSuffix(words, ":") || strings.HasSuffix(words, "：") {
		return true
	}
	bold := strings.TrimSpace(b.text)
	if strings.HasPrefix(bold, "**") && strings.HasSuffix(bold, "**") && len(bold) > 4 {
		return true
	}
	first, _ := utf8.DecodeRuneInString(words)
	return unicode.IsSymbol(first) && first != '+' && first != '<' && first != '>' && first != '$'
}

// words returns the clean text of a line.
func (b block) words() string {
	if b.clean {
		return tidy(b.text)
	}
	return inlineText(b.text)
}

// tables reads the runs of rows as tables.
func (r Reader) tables(all []block) []*Table {
	var out []*Table
	var columnsBefore *columns
	for _, run := range runs(all) {
		for len(run.rows) > 0 && run.rows[len(run.rows)-1].loose {
			run.rows = run.rows[:len(run.rows)-1]
		}
		start, heading := 0, run.heading
		apart := run.apart
		flush := func(end int) {
			rows := run.rows[start:end]
			if len(rows) == 0 {
				return
			}
			t, cols := r.table(rows, run.headers[start], columnsBefore)
			if t == nil {
				return
			}
			t.Heading, t.position = heading, run.position
			columnsBefore = &cols
			out = append(out, t)
		}
		if apart {
			columnsBefore = nil
		}
		for i, row := range run.rows {
			if i > start && (isHeader(row.cells) || run.headers[i] && !r.isData(row)) {
				flush(i)
				start, heading = i, nil
			}
			if title, ok := r.section(run.rows, i); ok {
				flush(i)
				start, heading = i+1, append(slices.Clip(heading), title)
				if i > 0 {
					heading = []string{title}
				}
			}
		}
		flush(len(run.rows))
	}
	for i, t := range out {
		t.Number = i + 1
	}
	return out
}

// isHeader reports whether a row names columns.
func isHeader(cells []string) bool {
	var found []role
	for _, c := range cells {
		if strings.Contains(c, "_") && isIdentifier(c) || quoted.MatchString(c) && !strings.HasPrefix(c, "`") {
			return false // a member, or its value
		}
		if f, ok := parseFlag(c); ok && len([]rune(strings.Trim(c, "`* "))) <= 3 && f != Unsaid && headerOnly(c) == noRole {
			return false
		}
		if r, _ := headerRole(c); r != noRole && !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	if !slices.Contains(found, nameRole) && !slices.Contains(found, descriptionRole) {
		return false // "remarks | … | N | Number" is a member
	}
	return len(found) >= 3 || len(found) == 2 && len(cells) <= 3 && (slices.Contains(found, nameRole) || slices.Contains(found, requiredRole))
}

// headerOnly is the role of a word that is no answer: 必填 names a column and
// answers it, 是 only answers.
func headerOnly(cell string) role {
	r, _ := headerRole(cell)
	return r
}

// isData reports whether a row holds a member.
func (r Reader) isData(row rawRow) bool {
	for _, c := range row.cells {
		if r.known(c) {
			return true
		}
	}
	flag := false
	for _, c := range row.cells {
		if f, ok := parseFlag(c); ok && f != Unsaid && headerOnly(c) == noRole {
			flag = true
		}
	}
	return flag
}

// section reports whether a row is a title over the rows below it, as where
// two tables were put into one.
func (r Reader) section(rows []rawRow, i int) (string, bool) {
	row := rows[i]
	if row.loose || len(row.cells) < 2 || row.filled() != 1 {
		return "", false
	}
	var text string
	for _, c := range row.cells {
		text += c
	}
	if i > 0 { // the rest of a long name
		for _, c := range rows[i-1].cells {
			if strings.HasSuffix(c, "_") || strings.HasPrefix(text, "_") || isIdentifier(c) && r.known(c+text) {
				return "", false
			}
		}
	}
	if r.known(text) || strings.HasSuffix(text, "_") || i+1 >= len(rows) || isIdentifier(text) && strings.Contains(text, "_") {
		return "", false
	}
	next := rows[i+1]
	if isHeader(next.cells) {
		return text, true
	}
	for _, c := range next.cells { // the next row must begin a member of its own
		if c != "" {
			return text, row.cells[0] != "" && isIdentifier(c) && len(next.cells) >= len(row.cells)-1 && r.isData(next)
		}
	}
	return "", false
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$.\-\[\]]{0,63}$`)

func isIdentifier(s string) bool { return identifier.MatchString(s) }

// table reads the rows of one table. It returns nil if they are no parameters.
func (r Reader) table(rows []rawRow, delimited bool, before *columns) (*Table, columns) {
	var cols columns
	header := isHeader(rows[0].cells)
	switch {
	case header:
		cols = r.columns(rows[0].cells, rows[1:])
		rows = rows[1:]
	case delimited && !r.isData(rows[0]):
		cols = r.columns(rows[0].cells, rows[1:])
		rows = rows[1:]
	case before != nil:
		cols = *before
		if guess := r.columns(nil, rows); guess.at(nameRole) >= 0 && guess.at(requiredRole) >= 0 && (guess.at(nameRole) != cols.at(nameRole) || guess.at(requiredRole) != cols.at(requiredRole)) && len(rows) > 2 {
			cols = guess
		}
	default:
		if len(rows) > 1 && !r.isData(rows[0]) && r.isData(rows[1]) { // a header in unknown words
			cols = r.columns(rows[0].cells, rows[1:])
			rows = rows[1:]
		} else {
			cols = r.columns(nil, rows)
		}
	}
	if cols.at(nameRole) < 0 || len(rows) == 0 {
		return nil, cols
	}
	t := &Table{Line: rows[0].line, Notes: cols.at(notesRole) >= 0}
	for _, row := range r.join(rows, cols) {
		t.Params = append(t.Params, r.params(row, cols)...)
	}
	for i := range t.Params {
		t.Params[i].Row = i + 1
	}
	if len(t.Params) == 0 || !header && before == nil && !r.plausible(t) {
		return nil, cols
	}
	return t, cols
}

// plausible keeps tables of other things out where no header says what a table
// is: a flag or a known name must be there.
func (r Reader) plausible(t *Table) bool {
	for _, p := range t.Params {
		if p.Required != Unsaid || r.known(p.Name) {
			return true
		}
	}
	return false
}

// columns finds out which column holds what: by the header's words, and by what
// the cells look like where the words are unknown or say something impossible.
func (r Reader) columns(header []string, rows []rawRow) columns {
	cols := columns{of: make(map[role]int), count: len(header)}
	if header == nil {
		counts := make(map[int]int)
		for _, row := range rows {
			if counts[len(row.cells)]++; counts[len(row.cells)] > counts[cols.count] || counts[len(row.cells)] == counts[cols.count] && len(row.cells) > cols.count {
				cols.count = len(row.cells)
			}
		}
	}
	type sample struct{ names, known, flags, types, numbers, filled, rows float64 }
	samples := make([]sample, cols.count)
	whole := 0
	for _, row := range rows {
		if len(row.cells) == cols.count {
			whole++
		}
	}
	least := cols.count
	if whole*2 < len(rows) && header == nil {
		least--
	}
	for _, row := range rows {
		if len(row.cells) > cols.count || len(row.cells) < least || row.filled() < 2 {
			continue
		}
		for i, c := range row.cells {
			s := &samples[i]
			s.rows++
			if name, rest, _ := r.name(c); name != "" {
				weight := 1.0
				if rest != "" { // a sentence that begins with a name
					weight = 0.5
				}
				s.names += weight
				if r.known(name) {
					s.known += weight
				}
			}
			if _, ok := parseFlag(c); ok {
				s.flags++
			} else if _, weak := weakFlags[strings.ToLower(c)]; weak {
				s.flags += 0.5
			}
			if _, ok := typeWords[strings.ToLower(strings.Trim(c, "`"))]; ok {
				s.types++
			}
			if number.MatchString(c) {
				s.numbers++
			}
			if c != "" {
				s.filled++
			}
		}
	}
	said := make([]role, cols.count)
	for i := range said {
		if i < len(header) {
			var contrary bool
			said[i], contrary = headerRole(header[i])
			if said[i] == requiredRole && contrary {
				cols.contrary = true
			}
			if said[i] == nameRole && strings.Contains(strings.ToLower(header[i]), "code") || strings.Contains(header[i], "码") {
				cols.codes = true
			}
		}
	}
	sure := whole*2 < len(rows) && slices.Contains(said, nameRole) && slices.Contains(said, requiredRole)
	take := func(r role, fits func(s sample) float64) {
		if sure { // most rows are broken, so the header's words must do
			cols.of[r] = slices.Index(said, r)
			return
		}
		best, where := 0.0, -1
		for i, s := range samples {
			if _, taken := cols.role(i); taken || s.rows == 0 {
				continue
			}
			score := fits(s)
			if said[i] == r && score > 0 {
				score += 0.6
			}
			if r == nameRole && i == 0 { // names come first where all else is equal
				score += 0.15
			}
			if score > best+1e-9 {
				best, where = score, i
			}
		}
		if where >= 0 && best >= 0.5 {
			cols.of[r] = where
		}
	}
	take(requiredRole, func(s sample) float64 { return s.flags / s.rows })
	take(nameRole, func(s sample) float64 { return 0.5*s.names/s.rows + 0.5*s.known/s.rows })
	if cols.at(nameRole) < 0 {
		for i := range samples {
			if _, taken := cols.role(i); !taken && (said[i] == nameRole || header == nil && i == 0) {
				cols.of[nameRole] = i
				break
			}
		}
	}
	for _, want := range []role{requiredRole, typeRole, lengthRole, exampleRole, indexRole, descriptionRole, notesRole} {
		for i := range samples {
			if _, taken := cols.role(i); !taken && said[i] == want && cols.at(want) < 0 {
				if want == requiredRole && samples[i].rows > 0 && samples[i].flags == 0 && samples[i].filled > 0 {
					continue
				}
				cols.of[want] = i
			}
		}
	}
	// Whatever is over: the first says what a member is, the last what to note.
	for i, s := range samples {
		if _, taken := cols.role(i); taken {
			continue
		}
		switch {
		case s.rows > 0 && s.types/s.rows > 0.6 && cols.at(typeRole) < 0:
			cols.of[typeRole] = i
		case s.rows > 0 && s.numbers/s.rows > 0.6 && cols.at(indexRole) < 0:
			cols.of[indexRole] = i
		case cols.at(descriptionRole) < 0:
			cols.of[descriptionRole] = i
		case cols.at(notesRole) < 0:
			cols.of[notesRole] = i
		}
	}
	return cols
}

var number = regexp.MustCompile(`^[0-9]{1,4}\.?$`)

// role returns what a column holds.
func (c columns) role(i int) (role, bool) {
	for r, at := range c.of {
		if at == i {
			return r, true
		}
	}
	return noRole, false
}

// join puts rows together that were broken, and takes those apart that were
// put into one line.
func (r Reader) join(rows []rawRow, cols columns) []rawRow {
	var apart []rawRow
	for _, row := range rows {
		apart = append(apart, r.unmerge(row, cols)...)
	}
	var out []rawRow
	for i := 0; i < len(apart); i++ {
		row := apart[i]
		if row.filled() == 0 {
			continue
		}
		// A cell with a line feed in it: the row goes on below.
		for i+1 < len(apart) && !row.wide && r.breaks(row, apart[i+1], cols) {
			row = rawRow{cells: glue(row.cells, apart[i+1].cells), line: row.line}
			i++
		}
		if len(out) > 0 && r.continues(out[len(out)-1], row, cols) {
			last := &out[len(out)-1]
			last.cells = r.overlay(last.cells, row.cells, cols)
			continue
		}
		if !row.loose {
			out = append(out, row)
		}
	}
	return out
}

// unmerge takes a line apart that holds several rows.
func (r Reader) unmerge(row rawRow, cols columns) []rawRow {
	n, name, flag := cols.count, cols.at(nameRole), cols.at(requiredRole)
	if n < 2 || flag < 0 || row.wide || len(row.cells) < 2*n-1 {
		return []rawRow{row}
	}
	for step := n; step <= n+1; step++ {
		var out []rawRow
		for start := 0; start < len(row.cells); start += step {
			cells := row.cells[start:min(start+n, len(row.cells))]
			if len(cells) <= max(name, flag) || !isIdentifier(cells[name]) {
				out = nil
				break
			}
			if _, ok := parseFlag(cells[flag]); !ok {
				out = nil
				break
			}
			out = append(out, rawRow{cells: cells, line: row.line})
		}
		if len(out) > 1 {
			return out
		}
	}
	return []rawRow{row}
}

// breaks reports whether row ends in a cell that goes on in next.
func (r Reader) breaks(row, next rawRow, cols columns) bool {
	flag := cols.at(requiredRole)
	if next.loose && len(row.cells) < cols.count && flag >= len(row.cells) {
		return true
	}
	if len(row.cells) >= cols.count || len(row.cells)+len(next.cells)-1 > cols.count || flag < 0 || next.filled() == 0 {
		return false
	}
	both := glue(row.cells, next.cells)
	if flag >= len(both) || cols.at(nameRole) >= len(both) {
		return false
	}
	if flag < len(next.cells) && cols.at(nameRole) < len(next.cells) && isFlag(next.cells[flag]) && r.isName(next.cells[cols.at(nameRole)], cols) {
		return false // the next row is a whole one
	}
	_, before := r.flagIn(row.cells, cols)
	name, _, _ := r.name(both[cols.at(nameRole)])
	return isFlag(both[flag]) && name != "" && !before
}

// flagIn returns where a row says whether its member is required.
func (r Reader) flagIn(cells []string, cols columns) (int, bool) {
	at := cols.at(requiredRole)
	if at >= 0 && at < len(cells) {
		if _, ok := parseFlag(cells[at]); ok {
			return at, true
		}
	}
	for _, d := range []int{-1, 1, -2, 2, -3, 3} {
		if i := at + d; at >= 0 && i >= 0 && i < len(cells) {
			if _, ok := parseFlag(cells[i]); ok {
				return i, true
			}
		}
	}
	return -1, false
}

// glue puts the first cell of b behind the last of a.
func glue(a, b []string) []string {
	out := append([]string(nil), a...)
	out[len(out)-1] = strings.TrimSpace(out[len(out)-1] + "\n" + b[0])
	return append(out, b[1:]...)
}

// continues reports whether row is the rest of the row before it.
func (r Reader) continues(last, row rawRow, cols columns) bool {
	if row.loose {
		return true
	}
	name := cols.at(nameRole)
	_, flagged := r.flagIn(row.cells, cols)
	_, lastFlagged := r.flagIn(last.cells, cols)
	if len(row.cells) == 1 && !flagged {
		return !r.known(row.cells[0]) || lastFlagged
	}
	if name >= len(row.cells) {
		return !flagged
	}
	text := row.cells[name]
	if text == "" {
		if flagged && lastFlagged {
			return false
		}
		for _, c := range row.cells { // a shifted row has its name elsewhere
			if flagged && r.known(c) {
				return false
			}
		}
		return true
	}
	if row.filled() == 1 && name < len(last.cells) { // the rest of a long name
		joined := strings.ReplaceAll(last.cells[name], "\n", "") + text
		return r.known(joined) || strings.HasSuffix(last.cells[name], "_") || strings.HasPrefix(text, "_")
	}
	return false
}

// overlay lays the rest of a row over its beginning.
func (r Reader) overlay(cells, rest []string, cols columns) []string {
	out := append([]string(nil), cells...)
	if len(rest) == 1 {
		out[len(out)-1] = strings.TrimSpace(out[len(out)-1] + "\n" + rest[0])
		return out
	}
	for i, c := range rest {
		switch {
		case c == "":
		case i >= len(out):
			for len(out) < i {
				out = append(out, "")
			}
			out = append(out, c)
		case out[i] == "":
			out[i] = c
		default:
			out[i] += "\n" + c
		}
	}
	return out
}

// params reads one row. A row may hold several members, one to a line.
func (r Reader) params(row rawRow, cols columns) []Param {
	cells := r.aligned(row.cells, cols)
	at := func(want role) string {
		if i := cols.at(want); i >= 0 && i < len(cells) {
			return cells[i]
		}
		return ""
	}
	names, flag, rest := r.names(at(nameRole), cols.codes)
	if len(names) == 0 {
		return nil
	}
	out := make([]Param, len(names))
	for i, name := range names {
		part := func(text string) string {
			if lines := strings.Split(text, "\n"); len(names) > 1 && len(lines) == len(names) {
				return lines[i]
			}
			return strings.ReplaceAll(text, "\n", " ")
		}
		p := Param{Name: name, Line: row.line, Description: part(at(descriptionRole)), Notes: part(at(notesRole)), Type: part(at(typeRole)), Length: part(at(lengthRole))}
		if cols.at(requiredRole) >= 0 {
			p.Required = parseWeakFlag(part(at(requiredRole)))
		}
		if cols.contrary {
			switch p.Required {
			case Required:
				p.Required = Optional
			case Optional:
				p.Required = Required
			}
		}
		if p.Required == Unsaid {
			p.Required = flag
		}
		if rest != "" {
			p.Description = strings.TrimSpace(rest + " " + p.Description)
		}
		if e := part(at(exampleRole)); e != "" && p.Notes == "" && cols.at(notesRole) < 0 {
			p.Notes = "Example: " + e
		}
		out[i] = p
	}
	return out
}

// aligned puts the cells of a row that has one too many or too few in front
// back under their columns. The name and the flag show where they belong.
func (r Reader) aligned(cells []string, cols columns) []string {
	n, f := cols.at(nameRole), cols.at(requiredRole)
	if len(cells) > cols.count && cols.count > 1 { // bars in the last cell
		extra := cells[cols.count-1:]
		if f < 0 || f >= len(cells) || isFlag(cells[f]) {
			cells = append(append([]string(nil), cells[:cols.count-1]...), strings.Trim(strings.Join(extra, "|"), "| "))
		}
	}
	named := n < len(cells) && r.isName(cells[n], cols)
	if f < 0 || named && f < len(cells) && isFlag(cells[f]) {
		return cells
	}
	for _, shift := range []int{1, -1, 2, -2} {
		if at := func(i int) int { return i + shift }; at(n) >= 0 && at(n) < len(cells) && at(f) >= 0 && at(f) < len(cells) &&
			r.isName(cells[at(n)], cols) && isFlag(cells[at(f)]) && !(named && r.known(cells[n])) {
			out := make([]string, max(len(cells), cols.count))
			for i := range out {
				if j := at(i); j >= 0 && j < len(cells) {
					out[i] = cells[j]
				}
			}
			return out
		}
	}
	where, ok := r.flagIn(cells, cols)
	if !ok || !named {
		return cells
	}
	// A cell is missing, or one too many, between the name and the flag.
	out := make([]string, cols.count)
	out[n], out[f] = cells[n], cells[where]
	for i, c := range cells {
		switch {
		case i == n || i == where || c == "":
		case (i < where) == (i > n):
			r.put(out, cols, descriptionRole, c)
		default:
			r.put(out, cols, notesRole, c)
		}
	}
	return out
}

func (r Reader) put(cells []string, cols columns, to role, text string) {
	i := cols.at(to)
	if i < 0 {
		i = cols.at(notesRole)
	}
	if i < 0 {
		return
	}
	cells[i] = strings.TrimSpace(cells[i] + " " + text)
}

func isFlag(cell string) bool {
	_, ok := parseFlag(cell)
	if !ok {
		_, ok = weakFlags[strings.ToLower(cell)]
	}
	return ok || parts(cell, isFlagPart)
}

func isFlagPart(s string) bool {
	_, ok := parseFlag(s)
	return ok
}

// parts reports whether each line of a cell with several passes.
func parts(cell string, pass func(string) bool) bool {
	lines := strings.Split(cell, "\n")
	if len(lines) < 2 {
		return false
	}
	for _, l := range lines {
		if !pass(l) {
			return false
		}
	}
	return true
}

func (r Reader) isName(cell string, cols columns) bool {
	names, _, _ := r.names(cell, cols.codes)
	return len(names) > 0
}

var (
	nameTrim  = " \t`*\"'“”‘’«»「」『』<>()[]{}:;,.、。·•└├─→»›>|~#^§†‡"
	nameSplit = regexp.MustCompile(`\s*(?:[,;、/&+]|\band\b|\bor\b|和|或)\s*|\s*\n\s*`)
	codeName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}$`)
)

// name reads a cell that holds one name. What follows the name is returned too.
func (r Reader) name(cell string) (name, rest string, flag Flag) {
	text := strings.ReplaceAll(cell, `\`, "")
	text = strings.TrimLeft(text, nameTrim+"-–—+")
	text = strings.TrimRight(text, nameTrim)
	if text == "" {
		return "", "", Unsaid
	}
	if strings.HasSuffix(strings.TrimSpace(cell), "*") && !strings.HasPrefix(strings.TrimSpace(cell), "*") {
		flag = Required
	}
	whole := strings.NewReplacer("\n", "", " ", "").Replace(text)
	switch {
	case isIdentifier(text):
		name = text
	case isIdentifier(whole) && (r.known(whole) || strings.ContainsAny(text, "_") && looseName.MatchString(text)):
		name = whole
	default:
		first := strings.FieldsFunc(text, func(c rune) bool {
			return c == ' ' || c == '\n' || c == '(' || c == '[' || c == ':' || c == '|' || c == '*'
		})
		if len(first) > 0 && isIdentifier(strings.Trim(first[0], nameTrim)) && (r.known(strings.Trim(first[0], nameTrim)) || strings.ContainsAny(first[0], "_") || strings.ContainsAny(text, "([")) {
			name = strings.Trim(first[0], nameTrim)
			rest = strings.Trim(text[strings.Index(text, first[0])+len(first[0]):], nameTrim)
			if f, ok := parseFlag(rest); ok {
				flag, rest = f, ""
			}
		}
	}
	if i := strings.LastIndex(name, "."); i >= 0 { // data.order_id
		name = name[i+1:]
	}
	name = strings.TrimSuffix(name, "[]")
	return name, rest, flag
}

// looseName is a name that was broken next to an underscore.
var looseName = regexp.MustCompile(`^[A-Za-z0-9]+(?:_?[A-Za-z0-9]+)*(?:_\s+|\s+_)[A-Za-z0-9_]+$`)

// names reads a cell that holds one name or several.
func (r Reader) names(cell string, codes bool) (names []string, flag Flag, rest string) {
	if codes {
		if c := strings.Trim(cell, nameTrim); codeName.MatchString(c) {
			return []string{c}, Unsaid, ""
		}
	}
	if name, rest, flag := r.name(cell); name != "" && (rest == "" || !strings.Contains(cell, "\n")) && !r.severalIn(cell) {
		return []string{name}, flag, rest
	}
	for _, part := range nameSplit.Split(cell, -1) {
		name, _, _ := r.name(part)
		if name == "" {
			if len(names) == 0 {
				return nil, Unsaid, ""
			}
			continue
		}
		// Two spellings of one name are one member.
		if n := len(names); n > 0 && fold(names[n-1]) == fold(name) {
			if !r.known(names[n-1]) {
				names[n-1] = name
			}
			continue
		}
		names = append(names, name)
	}
	return names, Unsaid, ""
}

// severalIn reports whether a cell lists more than one known name.
func (r Reader) severalIn(cell string) bool {
	n := 0
	for _, part := range nameSplit.Split(cell, -1) {
		if name := strings.Trim(part, nameTrim); r.known(name) {
			n++
		}
	}
	return n > 1
}

// fold maps the spellings of a name onto one: app_id and appId.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == ' ':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
