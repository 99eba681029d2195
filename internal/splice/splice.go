// Package splice finds payloads that may have been put together from the cipher
// blocks of other ones. [Detector.Sign] is what callers need.
package splice

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/gen/api"
)

// The signs that [Detector.Sign] returns.
const (
	Name    = "name"    // an unknown name that block operations make of known ones
	Block   = "block"   // a block with a quotation mark in it stands twice
	Length  = "length"  // a value outside its usual length, which moved or missing blocks would explain
	Reading = "reading" // moved blocks make another plausible notification of it
)

const (
	cipherBlock = 16
	maxRun      = 3   // blocks moved together
	maxCuts     = 128 // the search for another reading costs the square of it
	maxReadings = 500 // and its time for each reading that it looks at
)

// Detector looks for signs of a splice. It is safe for concurrent use.
type Detector struct {
	orderID  lengths
	readings sync.Pool // of *reading
}

// New returns a Detector. orderIDLength is the length of the shortest and of
// the longest order id that the shop gives out, or zero if that is not known.
func New(orderIDLength [2]int) *Detector {
	return &Detector{orderID: usualOrderID(orderIDLength)}
}

// Sign returns the sign that p shows, or "" if it shows none. p is an authentic
// payload: one strict JSON object.
//
// Names are not digested, and every block of 16 bytes is encrypted by itself
// under a key that equal digests share. So blocks can be left out, doubled and
// moved without the sign key, as long as the values, joined in key order, read
// the same (docs/protocol.md, 14.1). Sign looks for what this leaves behind and
// honest payloads hardly ever show.
func (d *Detector) Sign(p []byte) string {
	r, ok := d.readings.Get().(*reading)
	if !ok {
		r = new(reading)
	}
	defer d.readings.Put(r)
	defer r.forget()
	return r.sign(p, d.orderID)
}

func (r *reading) sign(p []byte, orderID lengths) string {
	r.read(p)
	odd := false
	for i := range r.members {
		m := &r.members[i]
		switch {
		case m.fact == nil:
			if r.forgedName(m) {
				return Name
			}
		case !orderID.fit(m, p):
			if m.is("order_id") && orderID.firm {
				return Length
			}
			m.odd, odd = true, true
		}
	}
	switch {
	case r.patched() && twin(p):
		return Block
	case odd && (r.shifted() || r.merged(orderID)):
		return Length
	case r.another(orderID):
		return Reading
	}
	return ""
}

// lengths are those of the shop's own order ids; other values have theirs in
// the schema. firm: the shop has stated them.
type lengths struct {
	min, max int
	firm     bool
}

// usualOrderID takes Config.OrderIDLength.
func usualOrderID(stated [2]int) lengths {
	if stated != [2]int{} {
		return lengths{stated[0], stated[1], true}
	}
	schema, _ := api.LookupSchema("Notification")
	m, _ := schema.Member("order_id")
	return lengths{min: m.UsualMin, max: m.UsualMax}
}

// fit reports whether a known member's value has a usual length. An empty one
// counts as absent.
func (l lengths) fit(m *member, p []byte) bool {
	least, most := m.fact.UsualMin, m.fact.UsualMax
	if m.is("order_id") {
		least, most = l.min, l.max
	}
	if most == 0 || m.at == m.end || p[m.at-1] != '"' && p[m.at] == 'n' {
		return true
	}
	n := m.length(p)
	return n >= least && n <= most
}

// reading is a payload's members in the order of their names, which is the
// order in which their values are digested, and those values joined. Values
// stay as they are written: block operations keep their spelling.
type reading struct {
	p       []byte
	members []member
	text    []byte
	room    []cut
	tried   int // other readings looked at
}

type member struct {
	name    []byte
	nameAt  int
	at, end int // the value, without its quotation marks
	text    int // where it stands in the joined text
	fact    *api.Member
	odd     bool // of unusual length
}

func (m *member) is(name string) bool { return string(m.name) == name }

func (m *member) length(p []byte) int {
	v := p[m.at:m.end]
	if bytes.IndexByte(v, '\\') >= 0 {
		var s string
		if json.Unmarshal(p[m.at-1:m.end+1], &s) == nil {
			return utf8.RuneCountInString(s)
		}
	}
	return utf8.RuneCount(v)
}

// first and last are the first and the last block boundary in or at the end of
// the value; first is beyond its end if there is none.
func (m *member) first() int { return (m.at + cipherBlock - 1) / cipherBlock * cipherBlock }
func (m *member) last() int  { return m.end / cipherBlock * cipherBlock }

// watched reports whether a shop rests a decision on the member.
func (m *member) watched() bool {
	switch string(m.name) {
	case "amount", "bizpay_order_id", "finish_time", "merchant_id", "order_id", "order_status", "prepay_order_id":
		return true
	}
	return false
}

// read takes p apart, which must be a strict JSON object.
func (r *reading) read(p []byte) {
	r.p, r.members, r.text = p, r.members[:0], r.text[:0]
	schema, _ := api.LookupSchema("Notification")
	at := bytes.IndexByte(p, '{') + 1
	for {
		at = skipSpace(p, at)
		if p[at] == '}' {
			break
		}
		if p[at] == ',' {
			at = skipSpace(p, at+1)
		}
		m := member{nameAt: at + 1}
		at = stringEnd(p, at)
		m.name = p[m.nameAt : at-1]
		m.fact = factOf(schema, m.name)
		m.at = skipSpace(p, skipSpace(p, at)+1)
		at = valueEnd(p, m.at)
		if m.end = at; p[m.at] == '"' {
			m.at, m.end = m.at+1, at-1
		}
		r.members = append(r.members, m)
	}
	slices.SortFunc(r.members, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	for i := range r.members {
		m := &r.members[i]
		m.text = len(r.text)
		r.text = append(r.text, p[m.at:m.end]...)
	}
}

// forget drops what r holds of a payment, and space that a large one took.
func (r *reading) forget() {
	clear(r.text[:cap(r.text)])
	clear(r.members[:cap(r.members)])
	r.p = nil
	if cap(r.text) > 4096 {
		r.text, r.members, r.room = nil, nil, nil
	}
}

func factOf(s *api.Schema, name []byte) *api.Member {
	for i := range s.Members {
		if m := &s.Members[i]; m.Name == string(name) || len(m.Aliases) > 0 && slices.Contains(m.Aliases, string(name)) {
			return m
		}
	}
	return nil
}

func skipSpace(p []byte, at int) int {
	for isSpace(p[at]) {
		at++
	}
	return at
}

func stringEnd(p []byte, at int) int {
	for at++; p[at] != '"'; at++ {
		if p[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func valueEnd(p []byte, at int) int {
	for depth := 0; ; {
		switch p[at] {
		case '"':
			at = stringEnd(p, at)
		case '{', '[':
			depth++
			at++
			continue
		case '}', ']':
			depth--
			at++
		default:
			for !bytes.ContainsRune([]byte(",:]} \t\r\n"), rune(p[at])) {
				at++
			}
		}
		if depth == 0 {
			return at
		}
		for bytes.ContainsRune([]byte(",: \t\r\n"), rune(p[at])) {
			at++
		}
	}
}

// forgedName reports whether an unknown name is a known one with whole blocks
// put in, or was put together at block boundaries from the beginning of a
// known one, or of a value, and the end of a known one.
func (r *reading) forgedName(m *member) bool {
	name := string(m.name)
	first := min((m.nameAt+cipherBlock-1)/cipherBlock*cipherBlock-m.nameAt, len(name)+1)
	if first > len(name) && len(name) <= cipherBlock {
		return false // in one block
	}
	var head, tail, inserted bool
	schema, _ := api.LookupSchema("Notification")
	for i := range schema.Members {
		known := &schema.Members[i]
		inserted = inserted || widened(name, known.Name)
		for _, alias := range known.Aliases {
			inserted = inserted || widened(name, alias)
		}
		if first <= len(name) {
			last := first + (len(name)-first)/cipherBlock*cipherBlock
			head = head || strings.HasPrefix(known.Name, name[:first])
			tail = tail || strings.HasSuffix(known.Name, name[last:])
		}
	}
	// A value's block can stand for a name's if nothing but its quotation mark,
	// or the blank behind the colon, is in front of it.
	quote := m.nameAt - 1
	value := quote%cipherBlock == 0 || quote%cipherBlock == 1 && r.p[quote-1] == ' '
	return inserted || tail && (head || value)
}

// patched reports whether there is an unknown name that crosses a block boundary.
func (r *reading) patched() bool {
	return slices.ContainsFunc(r.members, func(m member) bool {
		return m.fact == nil && (m.nameAt+cipherBlock-1)/cipherBlock*cipherBlock <= m.nameAt+len(m.name)
	})
}

// widened reports whether cutting 16, 32, … bytes out of name leaves known.
func widened(name, known string) bool {
	n := len(name) - len(known)
	if n <= 0 || n%cipherBlock != 0 {
		return false
	}
	i := 0
	for i < len(known) && name[i] == known[i] {
		i++
	}
	return strings.HasSuffix(name, known[i:])
}

// twin reports whether a block that holds a quotation mark stands twice. Text
// may repeat itself; the seams of members do not.
func twin(p []byte) bool {
	for a := 0; a+2*cipherBlock <= len(p); a += cipherBlock {
		x := p[a : a+cipherBlock]
		if bytes.IndexByte(x, '"') < 0 {
			continue
		}
		for b := a + cipherBlock; b+cipherBlock <= len(p); b += cipherBlock {
			if bytes.Equal(x, p[b:b+cipherBlock]) {
				return true
			}
		}
	}
	return false
}

// shifted reports whether a value of unusual length and another one could have
// exchanged whole blocks: their text would read the same. Where a value ends
// and another begins at block boundaries, that is so for any text; elsewhere
// the text must repeat itself after that many blocks.
func (r *reading) shifted() bool {
	for i := range r.members {
		x := &r.members[i]
		for j := i + 1; j < len(r.members); j++ {
			y := &r.members[j]
			if !x.odd && !y.odd || x.first() > x.end || y.first() > y.end || x.at == x.end || y.at == y.end {
				continue
			}
			at := x.text + x.last() - x.at
			seam := r.text[at : y.text+y.first()-y.at]
			for n := y.first(); n+cipherBlock <= y.end; n += cipherBlock {
				if bytes.HasPrefix(r.text[at+n+cipherBlock-y.first():], seam) {
					return true
				}
			}
			for n := x.last(); n-cipherBlock >= x.at; n -= cipherBlock {
				if bytes.HasPrefix(r.text[at+n-cipherBlock-x.last():], seam) {
					return true
				}
			}
		}
	}
	return false
}

// merged reports whether a value that is too long could be two: what stood
// between them filled whole blocks, and the second one's name is gone.
func (r *reading) merged(orderID lengths) bool {
	around := r.around()
	if around == 0 {
		return false
	}
	schema, _ := api.LookupSchema("Notification")
	for i := range r.members {
		m := &r.members[i]
		if !m.odd || r.p[m.at-1] != '"' {
			continue
		}
		next := i + 1
		for next < len(r.members) && r.members[next].at == r.members[next].end {
			next++
		}
		for k := range schema.Members {
			gone := &schema.Members[k]
			if (around+len(gone.Name))%cipherBlock != 0 || gone.Name <= string(m.name) ||
				next < len(r.members) && gone.Name >= string(r.members[next].name) {
				continue
			}
			for b := m.first(); b < m.end; b += cipherBlock {
				x, y := member{name: m.name, fact: m.fact, at: m.at, end: b}, member{fact: gone, at: b, end: m.end}
				if orderID.fit(&x, r.p) && orderID.fit(&y, r.p) && (gone.Name != "sub_openId" || walletID(r.p[b:m.end])) {
					return true
				}
			}
		}
	}
	return false
}

// around returns how many bytes this payload's writer puts between two strings
// besides the second one's name, or 0.
func (r *reading) around() int {
	for i := range r.members {
		a := &r.members[i]
		for j := range r.members {
			if b := &r.members[j]; b.nameAt > a.end && r.p[a.at-1] == '"' && r.p[b.at-1] == '"' &&
				bytes.Count(r.p[a.end:b.at], []byte{'"'}) == 4 {
				return b.at - a.end - len(b.name)
			}
		}
	}
	return 0
}

// walletID reports whether v may be a payer's id: WeChat's begin with an o,
// Alipay's are digits.
func walletID(v []byte) bool {
	return v[0] == 'o' || len(bytes.Trim(v, "0123456789")) == 0
}

// cut is a block boundary where blocks can be joined anew.
type cut struct {
	block int // that begins there
	owner int // index of the member
	place place
}

// place is where in a member a boundary lies.
type place byte

const (
	beforeName place = iota
	inName           // or at one of its ends, within the quotation marks
	beforeColon
	beforeValue
	inValue // likewise
	beforeComma
)

// another looks for another reading: it takes two runs of up to three blocks,
// one of which may be empty, that begin and end within values, lets them
// change places, and asks whether the result is a notification as plausible as
// p, with the same text, that says something else where it matters.
func (r *reading) another(orderID lengths) bool {
	if !r.anyMatch() {
		return false
	}
	cuts := r.cuts()
	if len(cuts) > maxCuts {
		return true // more than two kilobytes: too long to search
	}
	r.tried = 0
	for x, i := range cuts {
		for r1 := 0; r1 <= maxRun; r1++ {
			a, ok := find(cuts, i.block+r1)
			if !ok {
				continue
			}
			for y := max(a, x+1); y < len(cuts); y++ {
				j := cuts[y]
				for r2 := 0; r2 <= maxRun; r2++ {
					b, ok := find(cuts, j.block+r2)
					if !ok || r1+r2 == 0 || !joins(cuts[x].place, cuts[a].place, cuts[y].place, cuts[b].place, r1, r2) || (j.block+r2)*cipherBlock > len(r.p) {
						continue
					}
					if r.worthwhile(cuts, x, a, y, b) && r.plausible(exchange(r.p, i.block, i.block+r1, j.block, j.block+r2), orderID) {
						return true
					}
				}
			}
		}
	}
	return r.swapped(cuts, orderID)
}

// joins reports whether the places at the ends of two runs allow an exchange.
func joins(x, a, y, b place, r1, r2 int) bool {
	if r1 > 0 && r2 > 0 {
		return x == y && a == b
	}
	return x == a && a == y && y == b
}

// swapped is another for two blocks that begin in values and end between them.
func (r *reading) swapped(cuts []cut, orderID lengths) bool {
	for x, i := range cuts {
		if _, ok := find(cuts, i.block+1); ok || (i.block+1)*cipherBlock > len(r.p) {
			continue
		}
		for y := x + 1; y < len(cuts); y++ {
			j := cuts[y]
			if _, ok := find(cuts, j.block+1); ok || (j.block+1)*cipherBlock > len(r.p) {
				continue
			}
			if i.place != j.place || i.place != inValue && i.place != inName || !r.match(i, j) && !r.match(j, i) {
				continue
			}
			if r.plausible(exchange(r.p, i.block, i.block+1, j.block, j.block+1), orderID) {
				return true
			}
		}
	}
	return false
}

// cuts finds the boundaries, but for those in values that are no strings.
func (r *reading) cuts() []cut {
	room := r.room[:0]
	for i := range r.members {
		m := &r.members[i]
		from, to := m.nameAt-1, m.end
		if r.p[to] == '"' {
			to++
		}
		for from > 0 && isSpace(r.p[from-1]) {
			from--
		}
		for isSpace(r.p[to]) {
			to++
		}
		colon := m.nameAt + len(m.name) + 1
		colon += bytes.IndexByte(r.p[colon:], ':')
		for at := (from + cipherBlock - 1) / cipherBlock * cipherBlock; at <= to; at += cipherBlock {
			c := cut{block: at / cipherBlock, owner: i}
			switch {
			case at < m.nameAt:
				c.place = beforeName
			case at <= m.nameAt+len(m.name):
				c.place = inName
			case at <= colon:
				c.place = beforeColon
			case at < m.at || at == m.at && r.p[at-1] != '"':
				c.place = beforeValue
			case at <= m.end && r.p[m.at-1] == '"':
				c.place = inValue
			case at < m.end:
				continue
			default:
				c.place = beforeComma
			}
			room = append(room, c)
		}
	}
	slices.SortFunc(room, func(a, b cut) int { return a.block - b.block })
	r.room = room
	return room
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func find(cuts []cut, block int) (int, bool) {
	return slices.BinarySearchFunc(cuts, block, func(c cut, block int) int { return c.block - block })
}

// anyMatch reports whether some boundary in a value could be followed by
// another block than it is. Mostly none can, and then none has been moved.
func (r *reading) anyMatch() bool {
	cuts := r.room[:0]
	watched := false
	for i := range r.members {
		m := &r.members[i]
		if r.p[m.at-1] != '"' || m.first() > m.end {
			continue
		}
		watched = watched || m.watched()
		for at := m.first(); at <= m.end; at += cipherBlock {
			cuts = append(cuts, cut{at / cipherBlock, i, inValue})
		}
	}
	r.room = cuts
	if !watched {
		return false
	}
	long := len(cuts) > maxCuts
	for i := range cuts {
		for j := range cuts {
			if long && !r.members[cuts[i].owner].watched() && !r.members[cuts[j].owner].watched() {
				continue
			}
			if i != j && r.match(cuts[i], cuts[j]) {
				return true
			}
		}
	}
	return false
}

// match reports whether block d could follow the boundary c: in a value, the
// text would go on as it does; in a name, it would be one that is known or here.
func (r *reading) match(c, d cut) bool {
	m, o := &r.members[c.owner], &r.members[d.owner]
	from := d.block * cipherBlock
	switch c.place {
	case inName:
		return r.hasName(string(m.name[:c.block*cipherBlock-m.nameAt]) + string(o.name[from-o.nameAt:]))
	case inValue:
	default:
		return true
	}
	text := r.text[m.text+c.block*cipherBlock-m.at:]
	if other := r.p[from:min(o.end, from+cipherBlock)]; len(other) > 0 {
		return bytes.HasPrefix(text, other)
	}
	if c.block*cipherBlock == m.end {
		return true // it ends here, as it would
	}
	// It would end here. Then another one must begin with what follows.
	for i := c.owner + 1; i < len(r.members); i++ {
		n := &r.members[i]
		if bytes.HasPrefix(text, r.p[n.at:min(n.end, n.first())]) {
			return true
		}
	}
	return false
}

func (r *reading) hasName(name string) bool {
	schema, _ := api.LookupSchema("Notification")
	return factOf(schema, []byte(name)) != nil ||
		slices.ContainsFunc(r.members, func(m member) bool { return m.is(name) })
}

// worthwhile reports whether exchanging the runs between the cuts x and a, y
// and b touches a watched value and leaves the text as it is at the first
// value, in the order of the text, that it touches.
func (r *reading) worthwhile(cuts []cut, x, a, y, b int) bool {
	type join struct{ from, to int }
	after := func(order ...int) int { // the first of the runs that is not empty
		for i := 0; i < len(order); i += 2 {
			if cuts[order[i]].block != cuts[order[i+1]].block {
				return order[i]
			}
		}
		return b
	}
	joins := [4]join{
		{x, after(y, b, a, y, x, a)},
		{b, after(a, y, x, a)},
		{y, after(x, a)},
		{a, b},
	}
	if x == a {
		joins[3] = join{x, x}
	}
	if y == b {
		joins[1] = join{y, y}
	}
	if a == y {
		joins[2] = join{y, y}
	}
	watched := false
	first := join{-1, -1}
	for _, j := range joins {
		if j.from == j.to {
			continue
		}
		c := cuts[j.from]
		if c.place != cuts[j.to].place {
			return false
		}
		if c.place != inValue {
			if !r.match(c, cuts[j.to]) {
				return false
			}
			watched = watched || c.place == inName
			continue
		}
		watched = watched || r.members[c.owner].watched()
		if f := first.from; f < 0 || c.owner < cuts[f].owner || c.owner == cuts[f].owner && c.block < cuts[f].block {
			first = j
		}
	}
	return watched && first.from >= 0 && r.match(cuts[first.from], cuts[first.to])
}

// exchange lets the blocks from a to b and those from c to d change places.
func exchange(p []byte, a, b, c, d int) []byte {
	a, b, c, d = a*cipherBlock, b*cipherBlock, c*cipherBlock, d*cipherBlock
	return slices.Concat(p[:a], p[c:d], p[b:c], p[a:b], p[d:])
}

// plausible reports whether q is an honest notification for all that can be
// seen, has r's text, and differs in a watched member. When too many have been
// looked at, the next one counts as plausible.
func (r *reading) plausible(q []byte, orderID lengths) bool {
	if r.tried++; r.tried > maxReadings {
		return true
	}
	if !json.Valid(q) {
		return false
	}
	var s reading
	s.read(q)
	if !bytes.Equal(s.text, r.text) {
		return false
	}
	differs, there, here := false, 0, 0 // there and here: values of unusual length in one of the two alone
	for i := range s.members {
		m := &s.members[i]
		if i > 0 && bytes.Equal(m.name, s.members[i-1].name) || m.fact == nil && s.forgedName(m) {
			return false
		}
		was := r.value(m.name)
		same := was != nil && bytes.Equal(was, q[m.at:m.end])
		if m.fact != nil && !same && !orderID.fit(m, q) {
			there++
		}
		differs = differs || !same && m.watched()
	}
	for i := range r.members {
		m := &r.members[i]
		now := s.value(m.name)
		differs = differs || m.watched() && now == nil
		if m.odd && !bytes.Equal(now, r.p[m.at:m.end]) {
			here++
		}
	}
	return differs && (there == 0 || there < here)
}

func (r *reading) value(name []byte) []byte {
	for i := range r.members {
		if m := &r.members[i]; bytes.Equal(m.name, name) {
			return r.p[m.at:m.end:m.end]
		}
	}
	return nil
}
