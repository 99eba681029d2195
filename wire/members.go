package wire

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"unicode/utf8"
)

const (
	// maxDepth is how deep an object may nest; the object itself is level one.
	maxDepth = 32
	// maxSize bounds what is read. No message of the gateway comes near it.
	maxSize = 1 << 20
	// room is how many members an index holds without an allocation.
	room = 16
)

// Members is an index of the members of one JSON object: where each name and
// each value stands. A member is named by its place in the document, from 0.
// The zero value is the index of no members, and so is a nil *Members.
//
// A Members refers to the text that was parsed; the text must not change while
// the index is in use. It may be read by several goroutines at once. A value
// that is copied shares memory with the original: use Clone.
type Members struct {
	json   []byte
	n      int
	first  [room]entry
	order  [room]uint8 // of first, by name
	number bool
	null   bool
	rare   *rare // what most objects need none of; nil until it is needed
}

// entry is one member. It holds positions and no pointer.
type entry struct {
	nameAt, nameEnd int32 // between the quotation marks
	at, end         int32 // of the value
	decoded         int32 // where the name stands in rare.names, plus one; 0: nowhere
	escaped         bool  // the value is a string with escapes
}

// rare is what an index of many members, of names with escapes or of nested
// objects needs.
type rare struct {
	more   []entry // all members, once they do not fit into Members.first
	sorted []int32 // of more, by name
	names  []byte  // names that are written with escapes, decoded; each ends with endOfName
	nested []nestedName
}

// nestedName is a name of a nested object that is still open: where it stands in
// the text, or in rare.names if it is written with escapes.
type nestedName struct {
	at, end int32
	escaped bool
}

const endOfName = 0xFF // occurs in no UTF-8

// Span says where a member stands in the text: its name as it is written,
// between the quotation marks, and its value.
type Span struct {
	NameAt, NameEnd int // the first byte of the name, and the first after it
	At, End         int // the first byte of the value, and the first after it
}

// Parse reads one JSON object into m and replaces all of it. The memory of m is
// used again: after a few calls Parse does not allocate. The error is an [Error],
// and m is then empty.
//
// The text is RFC 8259 JSON in valid UTF-8, of at most 1 MiB, with white space
// around the object and nothing else. No name stands twice in an object at any
// depth, names being compared with their escapes resolved. No escape is half of
// a surrogate pair. Every number is a finite double. Nothing nests more than 32
// levels deep, the object included.
func Parse(json []byte, m *Members) error {
	m.begin(json)
	p := parser{b: json, m: m}
	err := p.document()
	if err == 0 && (!p.high || utf8.Valid(json)) {
		return nil
	}
	m.Reset()
	if err != ErrTooLarge && !utf8.Valid(json) {
		return ErrNotUTF8
	}
	return err
}

// Valid reports whether value is one JSON value, of any kind, that a member of
// an object that [Parse] accepts can have.
func Valid(value []byte) bool {
	var m Members
	p := parser{b: value, m: &m}
	return len(value) <= maxSize && utf8.Valid(value) && p.value(1) == 0 && skipSpace(value, p.at) == len(value)
}

// begin empties m for another text.
func (m *Members) begin(json []byte) {
	m.json, m.n, m.number, m.null = json, 0, false, false
	if r := m.rare; r != nil {
		r.more, r.sorted, r.names, r.nested = r.more[:0], r.sorted[:0], r.names[:0], r.nested[:0]
	}
}

// Reset empties m and drops what it holds of the text.
func (m *Members) Reset() { m.json, m.n, m.number, m.null, m.rare = nil, 0, false, false, nil }

// needRare returns what most objects need none of.
func (m *Members) needRare() *rare {
	if m.rare == nil {
		m.rare = new(rare)
	}
	return m.rare
}

// Clone returns a copy of m, text included, that shares no memory with it.
func (m *Members) Clone() *Members {
	c := new(Members)
	*c = *m
	c.json = make([]byte, len(m.json)) // to the byte: bytes.Clone may take more
	copy(c.json, m.json)
	if r := m.rare; r != nil {
		c.rare = &rare{more: slices.Clone(r.more), sorted: slices.Clone(r.sorted), names: bytes.Clone(r.names)}
	}
	return c
}

// JSON returns the text that was parsed.
func (m *Members) JSON() []byte { return m.json }

// Len returns the number of members.
func (m *Members) Len() int {
	if m == nil {
		return 0
	}
	return m.n
}

// Name returns the name of member i, escapes resolved.
func (m *Members) Name(i int) []byte {
	e := m.entry(i)
	if e.decoded == 0 {
		return m.json[e.nameAt:e.nameEnd]
	}
	name := m.rare.names[e.decoded-1:]
	return name[:bytes.IndexByte(name, endOfName)]
}

// Value returns the value of member i as it is written.
func (m *Members) Value(i int) []byte {
	e := m.entry(i)
	return m.json[e.at:e.end:e.end]
}

// Text returns the text of member i, escapes resolved. It reports false if the
// value is not a string.
func (m *Members) Text(i int) (text string, ok bool) {
	e := m.entry(i)
	if m.json[e.at] != '"' {
		return "", false
	}
	inner := string(m.json[e.at+1 : e.end-1])
	if e.escaped {
		inner = unescape(inner)
	}
	return inner, true
}

// TextIn is [Members.Text] for a caller that has the text of m as a string: the
// result shares its memory unless there are escapes.
func (m *Members) TextIn(json string, i int) (text string, ok bool) {
	e := m.entry(i)
	if json[e.at] != '"' {
		return "", false
	}
	if !e.escaped {
		return json[e.at+1 : e.end-1], true
	}
	return unescape(json[e.at+1 : e.end-1]), true
}

// AppendText appends what [Members.Text] returns of a string.
func (m *Members) AppendText(dst []byte, i int) []byte {
	e := m.entry(i)
	inner := m.json[e.at+1 : e.end-1]
	if e.escaped {
		return appendDecoded(dst, inner)
	}
	return append(dst, inner...)
}

// Span returns where member i stands in the text.
func (m *Members) Span(i int) Span {
	e := m.entry(i)
	return Span{NameAt: int(e.nameAt), NameEnd: int(e.nameEnd), At: int(e.at), End: int(e.end)}
}

// Sorted returns the place in the document of the member that is the n-th by
// name, from 0. Names are ordered by UTF-16 code unit, as Java orders them; the
// digest joins the values in this order.
func (m *Members) Sorted(n int) int {
	if m.n > room {
		return int(m.rare.sorted[n])
	}
	return int(m.order[n])
}

// Find returns the member of this name, or -1. The name is exact.
func (m *Members) Find(name string) int {
	for i := range m.Len() {
		if string(m.Name(i)) == name {
			return i
		}
	}
	return -1
}

// HasNumber reports whether a number stands anywhere in the object.
func (m *Members) HasNumber() bool { return m.number }

// HasNull reports whether a member of the object itself is null.
func (m *Members) HasNull() bool { return m.null }

// Format writes how many members there are, whatever the verb: the text is a
// payment's.
func (m Members) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "members(%d)", m.n) }

// LogValue returns how many members there are.
func (m Members) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

func (m *Members) entry(i int) *entry {
	if m.n > room {
		return &m.rare.more[i]
	}
	return &m.first[:m.n][i]
}

// sort orders the members by name and reports whether the names are unique.
func (m *Members) sort() bool {
	if m.n > room {
		return m.sortMany()
	}
	var prefixes [room]uint64 // order most names by themselves; see prefixUTF16
	for i := range m.n {
		prefix := prefixUTF16(m.Name(i))
		prefixes[i] = prefix
		j := i
		for ; j > 0; j-- {
			before := m.order[j-1]
			c := cmp.Compare(prefix, prefixes[before])
			if c == 0 {
				c = compareUTF16(m.Name(i), m.Name(int(before)))
			}
			if c == 0 {
				return false
			}
			if c > 0 {
				break
			}
			m.order[j] = before
		}
		m.order[j] = uint8(i)
	}
	return true
}

func (m *Members) sortMany() bool {
	r := m.rare
	for i := range m.n {
		r.sorted = append(r.sorted, int32(i))
	}
	compare := func(a, b int32) int { return compareUTF16(m.Name(int(a)), m.Name(int(b))) }
	slices.SortFunc(r.sorted, compare)
	for i := 1; i < m.n; i++ {
		if compare(r.sorted[i-1], r.sorted[i]) == 0 {
			return false
		}
	}
	return true
}

// parser is one pass over a text. Its methods return 0, or why the text is
// refused.
type parser struct {
	b    []byte
	at   int
	m    *Members
	high bool // a string holds a byte beyond ASCII
}

func (p *parser) document() Error {
	if len(p.b) > maxSize {
		return ErrTooLarge
	}
	p.at = skipSpace(p.b, 0)
	if p.at == len(p.b) {
		return ErrSyntax
	}
	if p.b[p.at] != '{' {
		return ErrNotObject
	}
	if err := p.outer(); err != 0 {
		return err
	}
	if skipSpace(p.b, p.at) != len(p.b) {
		return ErrTrailing
	}
	return 0
}

// next skips white space and takes the byte c.
func (p *parser) next(c byte) bool {
	p.at = skipSpace(p.b, p.at)
	if p.at < len(p.b) && p.b[p.at] == c {
		p.at++
		return true
	}
	return false
}

// value reads one value, white space before it included, that stands depth
// levels deep.
func (p *parser) value(depth int) Error {
	p.at = skipSpace(p.b, p.at)
	if p.at == len(p.b) {
		return ErrSyntax
	}
	start := p.at
	var end int
	switch p.b[p.at] {
	case '"':
		_, err := p.str()
		return err
	case '{':
		return p.object(depth + 1)
	case '[':
		return p.array(depth + 1)
	case 't':
		end = wordEnd(p.b, p.at, "true")
	case 'f':
		end = wordEnd(p.b, p.at, "false")
	case 'n':
		p.m.null = p.m.null || depth == 1
		end = wordEnd(p.b, p.at, "null")
	default:
		p.m.number = true
		if end = numberEnd(p.b, p.at); end >= 0 && !finite(p.b[start:end]) {
			return ErrNumber
		}
	}
	if end < 0 {
		return ErrSyntax
	}
	p.at = end
	return 0
}

// str reads a string and reports whether it has escapes.
func (p *parser) str() (escaped bool, err Error) {
	end, escaped, high := stringEnd(p.b, p.at)
	if end < 0 {
		return false, ErrSyntax
	}
	p.at, p.high = end, p.high || high
	return escaped, 0
}

// outer reads the object whose members are indexed.
func (p *parser) outer() Error {
	p.at++
	if p.next('}') {
		return 0
	}
	for {
		p.at = skipSpace(p.b, p.at)
		nameAt := p.at + 1
		escaped, err := p.str()
		if err != 0 {
			return err
		}
		nameEnd := p.at - 1
		if !p.next(':') {
			return ErrSyntax
		}
		p.at = skipSpace(p.b, p.at)
		e := p.enter(nameAt, nameEnd, escaped)
		e.at = int32(p.at)
		if p.at < len(p.b) && p.b[p.at] == '"' {
			e.escaped, err = p.str()
		} else {
			err = p.value(1)
		}
		if err != 0 {
			return err
		}
		e.end = int32(p.at)
		if p.next(',') {
			continue
		}
		if !p.next('}') {
			return ErrSyntax
		}
		if !p.m.sort() {
			return ErrDuplicate
		}
		return 0
	}
}

// enter adds a member to the index and returns it, for its value.
func (p *parser) enter(nameAt, nameEnd int, escaped bool) *entry {
	if p.m.n >= room {
		p.grow()
	} else {
		p.m.n++
	}
	e := p.m.entry(p.m.n - 1)
	*e = entry{nameAt: int32(nameAt), nameEnd: int32(nameEnd)}
	if escaped {
		r := p.m.needRare()
		e.decoded = int32(len(r.names) + 1)
		r.names = append(appendDecoded(r.names, p.b[nameAt:nameEnd]), endOfName)
	}
	return e
}

// grow makes room for another member beyond those that fit into Members.first.
func (p *parser) grow() {
	r := p.m.needRare()
	if p.m.n == room {
		r.more = append(r.more[:0], p.m.first[:]...)
	}
	r.more = append(r.more, entry{})
	p.m.n++
}

// object reads a nested object that stands depth levels deep.
func (p *parser) object(depth int) Error {
	if depth > maxDepth {
		return ErrDepth
	}
	p.at++
	if p.next('}') {
		return 0
	}
	base := len(p.m.needRare().nested)
	for {
		p.at = skipSpace(p.b, p.at)
		nameAt := p.at + 1
		escaped, err := p.str()
		if err != 0 {
			return err
		}
		p.nest(nameAt, escaped)
		if !p.next(':') {
			return ErrSyntax
		}
		if err := p.value(depth); err != 0 {
			return err
		}
		if p.next(',') {
			continue
		}
		if !p.next('}') {
			return ErrSyntax
		}
		if !p.distinct(base) {
			return ErrDuplicate
		}
		return 0
	}
}

// nest keeps the name of a nested object that was just read, until distinct has
// seen it.
func (p *parser) nest(at int, escaped bool) {
	n := nestedName{at: int32(at), end: int32(p.at - 1), escaped: escaped}
	r := p.m.needRare()
	if escaped {
		n.at = int32(len(r.names))
		r.names = appendDecoded(r.names, p.b[at:p.at-1])
		n.end = int32(len(r.names))
	}
	r.nested = append(r.nested, n)
}

// distinct ends the nested object whose names begin at base of rare.nested. It
// reports whether they are unique.
func (p *parser) distinct(base int) bool {
	names := p.m.rare.nested[base:]
	slices.SortFunc(names, p.compareNested)
	for i := 1; i < len(names); i++ {
		if p.compareNested(names[i-1], names[i]) == 0 {
			return false
		}
	}
	p.m.rare.nested = p.m.rare.nested[:base]
	return true
}

func (p *parser) compareNested(a, b nestedName) int {
	return bytes.Compare(p.nestedText(a), p.nestedText(b))
}

func (p *parser) nestedText(n nestedName) []byte {
	if n.escaped {
		return p.m.rare.names[n.at:n.end]
	}
	return p.b[n.at:n.end]
}

func (p *parser) array(depth int) Error {
	if depth > maxDepth {
		return ErrDepth
	}
	p.at++
	if p.next(']') {
		return 0
	}
	for {
		if err := p.value(depth); err != 0 {
			return err
		}
		if p.next(',') {
			continue
		}
		if !p.next(']') {
			return ErrSyntax
		}
		return 0
	}
}
