package envelope

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

const (
	// maxDepth is how deep a document may nest; its outer object is level one.
	maxDepth = 32
	// maxSize bounds what is read: no gateway message comes near it.
	maxSize = 1 << 20
)

// member is one name and value of an object's top level, as offsets into the
// document: members are sorted and copied, and hold no pointer.
type member struct {
	prefix          uint64 // orders most names by itself; see prefixUTF16
	nameAt, nameEnd int32  // into scanner.names if escaped
	at, end         int32  // of the value
	escaped         bool   // the name was written with escapes
}

// scanner reads one strict JSON object: RFC 8259, valid UTF-8, no name twice
// at any depth, no half surrogate pair, bounded depth. encoding/json is no help
// here: it lets duplicate names through, mends bad UTF-8 silently and matches
// names without case.
type scanner struct {
	src    []byte
	pos    int
	room   [12]member // of the top level: most objects fit, and need no allocation
	used   int        // of room
	more   []member   // all of the top level, once it does not fit
	names  []byte     // decoded, of the members whose names were escaped
	nested [][]byte   // decoded names of the nested objects that are still open
	forms  bool       // a number or a top-level null was seen: the canonical forms may differ
	err    *failure
}

// members returns the top level, in the order that the digest wants once scan
// has returned.
func (s *scanner) members() []member {
	if s.more != nil {
		return s.more
	}
	return s.room[:s.used]
}

func (s *scanner) add(m member) {
	switch {
	case s.more != nil:
		s.more = append(s.more, m)
	case s.used < len(s.room):
		s.room[s.used] = m
		s.used++
	default:
		s.more = append(append(make([]member, 0, 4*len(s.room)), s.room[:]...), m)
	}
}

// sort orders the top level. Objects are small, and mostly sorted by prefix.
func (s *scanner) sort(members []member) {
	if len(members) > len(s.room) {
		slices.SortFunc(members, s.compare)
		return
	}
	for i := 1; i < len(members); i++ {
		m, j := members[i], i
		for ; j > 0 && s.compare(m, members[j-1]) < 0; j-- {
			members[j] = members[j-1]
		}
		members[j] = m
	}
}

func (s *scanner) compare(a, b member) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	return compareUTF16(s.name(a), s.name(b))
}

func (s *scanner) name(m member) []byte {
	if m.escaped {
		return s.names[m.nameAt:m.nameEnd]
	}
	return s.src[m.nameAt:m.nameEnd]
}

func (s *scanner) text(m member) []byte { return s.src[m.at:m.end] }

// scan reads all of src.
func (s *scanner) scan(src []byte) *failure {
	if len(src) > maxSize {
		return errTooLarge
	}
	if !utf8.Valid(src) {
		return errUTF8
	}
	s.src = src
	s.space()
	if s.pos == len(src) {
		return errNotJSON
	}
	if src[s.pos] != '{' {
		return errNotObject
	}
	if !s.object(1) {
		return s.err
	}
	s.space()
	if s.pos != len(src) {
		return errTrailing
	}
	members := s.members()
	s.sort(members)
	for i := 1; i < len(members); i++ {
		if bytes.Equal(s.name(members[i-1]), s.name(members[i])) {
			return errDuplicate
		}
	}
	return nil
}

func (s *scanner) fail(err *failure) bool {
	if s.err == nil {
		s.err = err
	}
	return false
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next skips white space and takes the byte c.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) value(depth int) bool {
	s.space()
	if s.pos == len(s.src) {
		return s.fail(errNotJSON)
	}
	switch c := s.src[s.pos]; c {
	case '"':
		_, _, ok := s.str()
		return ok
	case '{':
		return s.object(depth + 1)
	case '[':
		return s.array(depth + 1)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		s.forms = s.forms || depth == 1
		return s.literal("null")
	default:
		s.forms = true
		return s.number()
	}
}

func (s *scanner) object(depth int) bool {
	if depth > maxDepth {
		return s.fail(errDepth)
	}
	s.pos++
	base := len(s.nested)
	for first := true; ; first = false {
		if first && s.next('}') {
			return true
		}
		s.space()
		raw, escaped, ok := s.str()
		if !ok {
			return false
		}
		end := s.pos - 1
		if !s.next(':') {
			return s.fail(errNotJSON)
		}
		s.space()
		start := s.pos
		if !s.value(depth) {
			return false
		}
		switch {
		case depth == 1 && escaped:
			at := len(s.names)
			s.names = appendDecoded(s.names, raw)
			s.add(member{prefixUTF16(s.names[at:]), int32(at), int32(len(s.names)), int32(start), int32(s.pos), true})
		case depth == 1:
			s.add(member{prefixUTF16(raw), int32(end - len(raw)), int32(end), int32(start), int32(s.pos), false})
		case escaped:
			s.nested = append(s.nested, appendDecoded(nil, raw))
		default:
			s.nested = append(s.nested, raw)
		}
		if s.next(',') {
			continue
		}
		if !s.next('}') {
			return s.fail(errNotJSON)
		}
		return s.distinct(base)
	}
}

// distinct closes the nested object whose names begin at base.
func (s *scanner) distinct(base int) bool {
	names := s.nested[base:]
	slices.SortFunc(names, bytes.Compare)
	for i := 1; i < len(names); i++ {
		if bytes.Equal(names[i-1], names[i]) {
			return s.fail(errDuplicate)
		}
	}
	s.nested = s.nested[:base]
	return true
}

func (s *scanner) array(depth int) bool {
	if depth > maxDepth {
		return s.fail(errDepth)
	}
	s.pos++
	if s.next(']') {
		return true
	}
	for {
		if !s.value(depth) {
			return false
		}
		if s.next(',') {
			continue
		}
		if !s.next(']') {
			return s.fail(errNotJSON)
		}
		return true
	}
}

func (s *scanner) literal(word string) bool {
	if !bytes.HasPrefix(s.src[s.pos:], []byte(word)) {
		return s.fail(errNotJSON)
	}
	s.pos += len(word)
	return true
}

// number reads -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func (s *scanner) number() bool {
	i, src := s.pos, s.src
	if i < len(src) && src[i] == '-' {
		i++
	}
	switch n := digits(src[i:]); {
	case n == 0, n > 1 && src[i] == '0':
		return s.fail(errNotJSON)
	default:
		i += n
	}
	if i < len(src) && src[i] == '.' {
		n := digits(src[i+1:])
		if n == 0 {
			return s.fail(errNotJSON)
		}
		i += 1 + n
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		n := digits(src[i:])
		if n == 0 {
			return s.fail(errNotJSON)
		}
		i += n
	}
	s.pos = i
	return true
}

func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// str reads a string and returns what stands between its quotes.
func (s *scanner) str() (raw []byte, escaped, ok bool) {
	src := s.src
	if s.pos >= len(src) || src[s.pos] != '"' {
		return nil, false, s.fail(errNotJSON)
	}
	start := s.pos + 1
	for i := start; i < len(src); {
		for i+8 <= len(src) && plain(binary.LittleEndian.Uint64(src[i:])) {
			i += 8
		}
		if i == len(src) {
			break
		}
		switch c := src[i]; {
		case c == '"':
			s.pos = i + 1
			return src[start:i], escaped, true
		case c == '\\':
			n := escapeLen(src[i:])
			if n == 0 {
				return nil, false, s.fail(errNotJSON)
			}
			escaped = true
			i += n
		case c < 0x20:
			return nil, false, s.fail(errNotJSON)
		default:
			i++
		}
	}
	return nil, false, s.fail(errNotJSON)
}

// plain reports whether none of eight bytes is a quote, a backslash or a
// control character. It may err by saying no.
func plain(x uint64) bool {
	const (
		each = 0x0101010101010101
		top  = 0x80 * each
	)
	quote, backslash := x^'"'*each, x^'\\'*each
	return ((x-0x20*each)&^x|(quote-each)&^quote|(backslash-each)&^backslash)&top == 0
}

// escapeLen returns how long the escape at the start of b is, a surrogate pair
// being one escape, or 0 if it is none or half of a pair.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok || r >= 0xDC00 && r < 0xE000:
			return 0
		case r < 0xD800 || r >= 0xE000:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if low, ok := hex4(b[8:]); !ok || low < 0xDC00 || low > 0xDFFF {
			return 0
		}
		return 12
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		v := hexValue(c)
		if v < 0 {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}

// appendDecoded appends the text of a scanned string, whose escapes are known
// to be whole.
func appendDecoded(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		n := escapeLen(raw[i:])
		switch esc := raw[i : i+n]; n {
		case 2:
			dst = append(dst, shortEscape(esc[1]))
		case 6:
			r, _ := hex4(esc[2:])
			dst = utf8.AppendRune(dst, r)
		default:
			high, _ := hex4(esc[2:])
			low, _ := hex4(esc[8:])
			dst = utf8.AppendRune(dst, 0x10000+(high-0xD800)<<10|(low-0xDC00))
		}
		raw = raw[i+n:]
	}
}

func shortEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// compareUTF16 orders valid UTF-8 as Java orders its strings: by UTF-16 code
// unit. That is byte order, but for characters above U+FFFF: their surrogates
// (D800 to DFFF) come before U+E000 to U+FFFF.
func compareUTF16(a, b []byte) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return cmp.Compare(rankUTF16(a[i]), rankUTF16(b[i]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// rankUTF16 makes byte order UTF-16 order. A first byte of 0xF0 to 0xF4 begins
// a surrogate pair, 0xEE and 0xEF begin U+E000 to U+FFFF; no other byte of valid
// UTF-8 is as large.
func rankUTF16(c byte) byte {
	switch {
	case c >= 0xF0:
		return c - 2
	case c >= 0xEE:
		return c + 0x10
	}
	return c
}

// prefixUTF16 is the beginning of a name as a number: where two of them differ,
// they are ordered as compareUTF16 orders the names.
func prefixUTF16(name []byte) (prefix uint64) {
	for i := range 8 {
		prefix <<= 8
		if i < len(name) {
			prefix |= uint64(rankUTF16(name[i]))
		}
	}
	return prefix
}
