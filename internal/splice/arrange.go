package splice

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// maxSteps bounds the search for another reading: a payload that needs more of
// them is so repetitive that another reading is taken for granted.
const maxSteps = 1 << 14

// arrangement searches for other readings of a payload: other places for its
// cipher blocks that leave the digest's text as it is.
//
// The text is the values, joined in the order of their names. A value that
// crosses block boundaries is a head, which stands in one block with what is in
// front of it, and pieces: one block each, and a last one that ends the value.
// After each boundary any piece may follow, wherever it came from and however
// many blocks go along with it: a run that changes places is two boundaries that
// go on with each other's pieces. So the search goes through the text from left
// to right, and tries at each boundary every piece that says what the text says.
// Mostly there is one, the honest one, and the search is as short as the text.
type arrangement struct {
	heads  []head
	kinds  []kind
	table  []int32 // of kinds by hash, plus 1
	ends   [2]uint16
	begin  []int32 // where each value begins in the text of the reading that is tried
	pieces int     // that are not placed
	steps  int
}

// head is the beginning of a value.
type head struct {
	text []byte
	open bool // pieces follow
	bare bool // no string
	used bool

	// A boundary in front of the value lets the head change its name.
	movable  bool
	place    place
	nameFrom int // of place inName: where the rest of the name begins
}

// place is what a boundary in front of a value is in.
type place byte

const (
	inName place = iota // or at one of its ends, within the quotation marks
	beforeColon
	beforeValue
)

// kind is pieces that say the same.
type kind struct {
	text  []byte
	end   bool // ends its value
	bare  bool
	left  int
	chain int32 // the next kind of the same hash, plus 1
}

// ambiguous reports whether p's blocks have another plausible reading, which
// says something else where it matters.
func (r *reading) ambiguous(orderID lengths) bool {
	if !r.split() {
		return false
	}
	r.steps = 0
	return r.member(0, 0, orderID)
}

// split takes the values apart. It returns false if nothing can be moved.
func (r *reading) split() bool {
	r.clear()
	r.heads, r.begin = r.heads[:0], r.begin[:0]
	watched := false
	for i := range r.members {
		m := &r.members[i]
		h := head{text: r.p[m.at:m.end], bare: r.p[m.at-1] != '"'}
		r.attach(m, &h)
		if first := m.first(); first <= m.end && !nested(r.p[m.at]) || first <= m.end && !h.bare {
			h.text, h.open = r.p[m.at:first], true
			watched = watched || m.watched()
			for at := first; ; at += cipherBlock {
				end := at+cipherBlock > m.end
				r.add(r.p[at:min(at+cipherBlock, m.end)], end, end && h.bare)
				if end {
					break
				}
			}
		}
		watched = watched || h.movable && m.watched()
		r.heads = append(r.heads, h)
		r.begin = append(r.begin, int32(m.text))
	}
	return watched
}

func nested(c byte) bool { return c == '{' || c == '[' }

// attach finds the last boundary between the beginning of a name and its value.
func (r *reading) attach(m *member, h *head) {
	value := m.at
	if !h.bare {
		value--
	}
	at := value / cipherBlock * cipherBlock
	if at < m.nameAt {
		return
	}
	quote := m.nameAt + len(m.name)
	h.movable = true
	switch {
	case at <= quote:
		h.place, h.nameFrom = inName, at-m.nameAt
	case at <= quote+1+bytes.IndexByte(r.p[quote+1:], ':'):
		h.place = beforeColon
	default:
		h.place = beforeValue
	}
}

// clear forgets all pieces.
func (r *reading) clear() {
	r.kinds, r.pieces, r.ends = r.kinds[:0], 0, [2]uint16{}
	size := 1 << bits.Len(uint(2*len(r.p)/cipherBlock+2))
	if cap(r.table) < size {
		r.table = make([]int32, size)
	}
	r.table = r.table[:size]
	clear(r.table)
}

// add adds a piece to its kind.
func (r *reading) add(text []byte, end, bare bool) {
	r.pieces++
	if end {
		r.ends[index(bare)] |= 1 << len(text)
	}
	if k := r.find(text, end, bare); k != nil {
		k.left++
		return
	}
	slot := &r.table[hash(text, end, bare)&uint64(len(r.table)-1)]
	r.kinds = append(r.kinds, kind{text: text, end: end, bare: bare, left: 1, chain: *slot})
	*slot = int32(len(r.kinds))
}

func (r *reading) find(text []byte, end, bare bool) *kind {
	for i := r.table[hash(text, end, bare)&uint64(len(r.table)-1)]; i > 0; {
		k := &r.kinds[i-1]
		if k.end == end && k.bare == bare && bytes.Equal(k.text, text) {
			return k
		}
		i = k.chain
	}
	return nil
}

func index(bare bool) int {
	if bare {
		return 1
	}
	return 0
}

func hash(text []byte, end, bare bool) uint64 {
	var b [cipherBlock]byte
	copy(b[:], text)
	h := binary.LittleEndian.Uint64(b[:8])*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(b[8:])*0xc2b2ae3d27d4eb4f ^ uint64(len(text))
	if end {
		h ^= 0xff51afd7ed558ccd
	}
	if bare {
		h ^= 0xc4ceb9fe1a85ec53
	}
	return (h ^ h>>29) * 0xbf58476d1ce4e5b9 >> 20
}

// member places the head of the value number i at the text's position.
func (r *reading) member(i, at int, orderID lengths) bool {
	if i == len(r.members) {
		return at == len(r.text) && r.pieces == 0 && r.differs(orderID)
	}
	r.begin[i] = int32(at)
	for j := range r.heads {
		if r.steps++; r.steps > maxSteps {
			return true
		}
		h := &r.heads[j]
		if h.used || !bytes.HasPrefix(r.text[at:], h.text) || j != i && !r.fits(i, j) {
			continue
		}
		h.used = true
		found := false
		if h.open {
			found = r.piece(i, at+len(h.text), h.bare, orderID)
		} else {
			found = r.member(i+1, at+len(h.text), orderID)
		}
		h.used = false
		if found {
			return true
		}
	}
	return false
}

// piece places a piece of the value number i at the text's position.
func (r *reading) piece(i, at int, bare bool, orderID lengths) bool {
	if r.steps++; r.steps > maxSteps {
		return true
	}
	rest := r.text[at:]
	if len(rest) >= cipherBlock {
		k := r.find(rest[:cipherBlock], false, false) // a block of digits may be part of a string or of a number
		if k != nil && k.left > 0 && (!bare || len(bytes.Trim(k.text, "0123456789.eE+-")) == 0) {
			r.take(k, -1)
			found := r.piece(i, at+cipherBlock, bare, orderID)
			if r.take(k, 1); found {
				return true
			}
		}
	}
	for lens := r.ends[index(bare)]; lens != 0; lens &= lens - 1 {
		n := bits.TrailingZeros16(lens)
		if n > len(rest) {
			break
		}
		k := r.find(rest[:n], true, bare)
		if k == nil || k.left == 0 {
			continue
		}
		r.take(k, -1)
		found := r.member(i+1, at+n, orderID)
		if r.take(k, 1); found {
			return true
		}
	}
	return false
}

func (r *reading) take(k *kind, n int) { k.left, r.pieces = k.left+n, r.pieces+n }

// fits reports whether the head of value j can stand behind name i.
func (r *reading) fits(i, j int) bool {
	h := &r.heads[j]
	if !h.movable {
		return false
	}
	if h.place != inName {
		return r.heads[i].movable && r.heads[i].place == h.place
	}
	name, rest := r.members[i].name, r.members[j].name[h.nameFrom:]
	if !bytes.HasSuffix(name, rest) {
		return false
	}
	for q := range r.heads { // whose beginning of a name is it?
		o := &r.heads[q]
		if o.movable && o.place == inName && bytes.Equal(r.members[q].name[:o.nameFrom], name[:len(name)-len(rest)]) {
			return true
		}
	}
	return false
}

// differs reports whether the reading that was found is as plausible as p and
// says something else in a watched member.
func (r *reading) differs(orderID lengths) bool {
	differs, there, here := false, 0, 0 // there and here: values of unusual length in one of the two alone
	for i := range r.members {
		m := &r.members[i]
		from, to := int(r.begin[i]), len(r.text)
		if i+1 < len(r.members) {
			to = int(r.begin[i+1])
		}
		if from == m.text && to-from == m.end-m.at || bytes.Equal(r.text[from:to], r.p[m.at:m.end]) {
			continue
		}
		if !m.admits(r.text[from:to]) {
			return false
		}
		switch usual := m.fact == nil || orderID.fitText(m, r.text[from:to]); {
		case usual && m.odd:
			here++
		case !usual && !m.odd:
			there++
		}
		differs = differs || m.watched()
	}
	return differs && there <= here
}

// admits reports whether the gateway could have written the value.
func (m *member) admits(value []byte) bool {
	switch string(m.name) {
	case "amount":
		return len(value) > 0 && len(bytes.Trim(value, "0123456789.")) == 0
	case "order_id", "finish_time":
		return len(value) > 0
	}
	return true
}
