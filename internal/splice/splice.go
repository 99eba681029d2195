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
	"github.com/ottpaykit/ottpay/wire"
)

// The signs that [Detector.Sign] returns.
const (
	Name    = "name"    // an unknown name that block operations make of known ones
	Block   = "block"   // a block with a quotation mark in it stands twice
	Length  = "length"  // a value outside its usual length, which moved or missing blocks would explain
	Style   = "style"   // members are separated in two ways, beside an unknown name or an unusual value
	Reading = "reading" // moved blocks make another plausible notification of it
)

const cipherBlock = 16

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

// Sign returns the sign that an authentic payload shows, or "" if it shows none.
//
// Names are not digested, and every block of 16 bytes is encrypted by itself
// under a key that equal digests share. So blocks can be left out, doubled and
// moved without the sign key, as long as the values, joined in key order, read
// the same (docs/protocol.md, 14.1). Sign looks for what this leaves behind and
// honest payloads hardly ever show.
func (d *Detector) Sign(payload *wire.Members) string {
	r, ok := d.readings.Get().(*reading)
	if !ok {
		r = new(reading)
	}
	defer d.readings.Put(r)
	defer r.forget()
	return r.sign(payload, d.orderID)
}

func (r *reading) sign(payload *wire.Members, orderID lengths) string {
	r.read(payload)
	p, odd, unknown := r.p, false, false
	for i := range r.members {
		m := &r.members[i]
		switch {
		case m.fact == nil:
			unknown = true
			if r.forgedName(m) {
				return Name
			}
		case m.is("order_status") && m.at < m.end && !api.OrderStatus(p[m.at:m.end]).Known():
			m.odd, odd = true, true
		case !orderID.fit(m, p):
			if m.is("order_id") && orderID.firm {
				return Length
			}
			m.odd, odd = true, true
		}
	}
	switch {
	case unknown && r.patched() && r.twin():
		return Block
	case unknown && r.exchangedName():
		return Name
	case odd && (r.merged(orderID) || r.blank()):
		return Length
	case (odd || unknown) && r.mixed():
		return Style
	case r.ambiguous(orderID):
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
	return p[m.at-1] != '"' && p[m.at] == 'n' || l.fitText(m, p[m.at:m.end])
}

// fitText is fit for another value of the member, as it is written.
func (l lengths) fitText(m *member, text []byte) bool {
	least, most := m.fact.UsualMin, m.fact.UsualMax
	if m.is("order_id") {
		least, most = l.min, l.max
	}
	if most == 0 || len(text) == 0 {
		return true
	}
	n := textLen(text)
	return n >= least && n <= most
}

// reading is a payload's members in the order of their names, which is the
// order in which their values are digested, and those values joined. Values
// stay as they are written: block operations keep their spelling.
type reading struct {
	p       []byte
	index   *wire.Members
	members []member
	text    []byte
	seams   []seams
	arrangement
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

// textLen counts the characters of a string as it is written.
func textLen(text []byte) int {
	if bytes.IndexByte(text, '\\') >= 0 {
		var s string
		if json.Unmarshal(slices.Concat([]byte{'"'}, text, []byte{'"'}), &s) == nil {
			return utf8.RuneCountInString(s)
		}
	}
	return utf8.RuneCount(text)
}

// first is the first block boundary in or at the end of the value. It is beyond
// its end if there is none.
func (m *member) first() int { return (m.at + cipherBlock - 1) / cipherBlock * cipherBlock }

// watched reports whether a shop rests a decision on the member.
func (m *member) watched() bool {
	switch string(m.name) {
	case "amount", "bizpay_order_id", "finish_time", "merchant_id", "order_id", "order_status", "prepay_order_id":
		return true
	}
	return false
}

// read takes the payload apart.
func (r *reading) read(payload *wire.Members) {
	p := payload.JSON()
	r.p, r.index, r.members, r.text = p, payload, r.members[:0], r.text[:0]
	known := facts()
	for n := range r.index.Len() {
		at := r.index.Span(r.index.Sorted(n))
		m := member{name: p[at.NameAt:at.NameEnd], nameAt: at.NameAt, at: at.At, end: at.End}
		m.fact = known[string(m.name)]
		if p[m.at] == '"' {
			m.at, m.end = m.at+1, m.end-1
		}
		m.text = len(r.text)
		r.text = append(r.text, p[m.at:m.end]...)
		r.members = append(r.members, m)
	}
}

// forget drops what r holds of a payment.
func (r *reading) forget() {
	clear(r.text)
	clear(r.members)
	clear(r.heads)
	clear(r.kinds)
	r.p, r.index = nil, nil
}

// facts returns what the schema says of the members of a notification, by name.
var facts = sync.OnceValue(func() map[string]*api.Member {
	schema, _ := api.LookupSchema("Notification")
	all := make(map[string]*api.Member)
	for i := range schema.Members {
		m := &schema.Members[i]
		all[m.Name] = m
		for _, alias := range m.Aliases {
			all[alias] = m
		}
	}
	return all
})

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

// exchangedName reports whether an unknown name and another one, which exchange
// what is behind a block boundary, make a known name that the payload lacks.
func (r *reading) exchangedName() bool {
	known := knownNames()
	r.seams = slices.Grow(r.seams[:0], len(known))[:len(known)]
	clear(r.seams)
	for i := range r.members {
		m := &r.members[i]
		first := m.nameBlock()
		if first > len(m.name) {
			continue // in one block
		}
		last := first + (len(m.name)-first)/cipherBlock*cipherBlock
		head, tail := m.name[:first], m.name[last:]
		for k, name := range known {
			r.seams[k].add(name, head, tail, m.fact == nil)
		}
	}
	for k, name := range known {
		if r.seams[k].join(len(name)) && !slices.ContainsFunc(r.members, func(m member) bool { return m.is(name) }) {
			return true
		}
	}
	return false
}

// seams are the lengths of the beginnings and of the ends of a known name that
// stand in front of and behind block boundaries in names, a bit each. The second
// of each pair is of unknown names.
type seams struct{ heads, tails [2]uint32 }

func (s *seams) add(name string, head, tail []byte, unknown bool) {
	if n := len(head); n < len(name) && name[:n] == string(head) {
		set(&s.heads, n, unknown)
	}
	if n := len(tail); 0 < n && n <= len(name) && name[len(name)-n:] == string(tail) {
		set(&s.tails, n, unknown)
	}
}

func set(lengths *[2]uint32, n int, unknown bool) {
	lengths[0] |= 1 << n
	if unknown {
		lengths[1] |= 1 << n
	}
}

// join reports whether a beginning and an end, one of an unknown name, are the
// whole name of this length.
func (s *seams) join(length int) bool {
	for n := range length {
		head, tail := uint32(1)<<n, uint32(1)<<(length-n)
		if s.heads[1]&head != 0 && s.tails[0]&tail != 0 || s.heads[0]&head != 0 && s.tails[1]&tail != 0 {
			return true
		}
	}
	return false
}

// knownNames are the names of a notification's members, aliases included, that
// are shorter than two blocks.
var knownNames = sync.OnceValue(func() (names []string) {
	for name := range facts() {
		if len(name) < 2*cipherBlock {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
})

// nameBlock is how many bytes of the name stand in front of its first block
// boundary. It may be more than the name has.
func (m *member) nameBlock() int { return (m.nameAt+cipherBlock-1)/cipherBlock*cipherBlock - m.nameAt }

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
func (r *reading) twin() bool {
	r.clear()
	for at := 0; at+cipherBlock <= len(r.p); at += cipherBlock {
		x := r.p[at : at+cipherBlock]
		if bytes.IndexByte(x, '"') < 0 {
			continue
		}
		if r.find(x, false, false) != nil {
			return true
		}
		r.add(x, false, false)
	}
	return false
}

// mixed reports whether the members are separated in more than one way, as those
// of two writers are: messages of one digest may be spelled differently, and
// their blocks fit into each other.
func (r *reading) mixed() bool {
	for n := 1; n < r.index.Len(); n++ {
		first, before, m := r.index.Span(0), r.index.Span(n-1), r.index.Span(n)
		second := r.index.Span(1)
		if !bytes.Equal(r.p[m.NameEnd+1:m.At], r.p[first.NameEnd+1:first.At]) ||
			!bytes.Equal(r.p[before.End:m.NameAt-1], r.p[first.End:second.NameAt-1]) {
			return true
		}
	}
	return false
}

// blank reports whether an id of unusual length has a blank in it, as the end of
// some free text has whose name is gone.
func (r *reading) blank() bool {
	for i := range r.members {
		m := &r.members[i]
		if m.odd && (m.is("order_id") || m.is("bizpay_order_id") || m.is("prepay_order_id")) && bytes.IndexByte(r.p[m.at:m.end], ' ') >= 0 {
			return true
		}
	}
	return false
}

// merged reports whether a value that is too long could be two: what stood
// between them filled whole blocks, and the second one's name is gone. A writer
// that sends absent members as "" leaves any number of those between the two, so
// that their length says nothing.
func (r *reading) merged(orderID lengths) bool {
	around, empties := r.around(), r.writesEmpties()
	if around == 0 {
		return false
	}
	for i := range r.members {
		m := &r.members[i]
		if !m.odd || r.p[m.at-1] != '"' {
			continue
		}
		for b := m.first(); b < m.end; b += cipherBlock {
			if r.mayEnd(m, b, orderID) && (empties && b > m.at || r.mayBegin(i, b, around, orderID)) {
				return true
			}
		}
	}
	return false
}

// mayEnd reports whether the value of m may have ended at a block boundary.
func (r *reading) mayEnd(m *member, at int, orderID lengths) bool {
	if m.is("order_status") {
		return api.OrderStatus(r.p[m.at:at]).Known()
	}
	return orderID.fit(&member{name: m.name, fact: m.fact, at: m.at, end: at}, r.p)
}

// mayBegin reports whether the value of another member may have begun at a block
// boundary within member i, with a name that filled whole blocks.
func (r *reading) mayBegin(i, at, around int, orderID lengths) bool {
	m, next := &r.members[i], i+1
	for next < len(r.members) && r.members[next].at == r.members[next].end {
		next++
	}
	schema, _ := api.LookupSchema("Notification")
	for k := range schema.Members {
		gone := &schema.Members[k]
		if (around+len(gone.Name))%cipherBlock != 0 || gone.Name <= string(m.name) ||
			next < len(r.members) && gone.Name >= string(r.members[next].name) {
			continue
		}
		if orderID.fit(&member{fact: gone, at: at, end: m.end}, r.p) && (gone.Name != "sub_openId" || walletID(r.p[at:m.end])) {
			return true
		}
	}
	return false
}

// writesEmpties reports whether this payload's writer sends absent members as "".
func (r *reading) writesEmpties() bool {
	return slices.ContainsFunc(r.members, func(m member) bool { return m.at == m.end })
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
