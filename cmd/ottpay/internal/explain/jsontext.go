package explain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep the kit lets JSON nest; the outer object is level one.
const maxDepth = 32

// value is one JSON value with its place in the document.
type value struct {
	kind    byte // s string, n number, t true, f false, z null, o object, a array
	at, end int
	text    string // decoded, of a string; as written, of a number
	members []pair // of an object, in document order
	items   []value
}

type pair struct {
	name   string
	nameAt int
	value  value
}

// member returns the first member of this name.
func (v value) member(name string) (value, bool) {
	for _, p := range v.members {
		if p.name == name {
			return p.value, true
		}
	}
	return value{}, false
}

// badJSON is where and why a text is not strict JSON. Its word is the one that
// package envelope uses.
type badJSON struct {
	offset int
	word   Code
	what   string // continues "the JSON breaks off: "
	name   string // of the member in whose value it happened, if any
}

// parseJSON reads one strict JSON value with nothing but white space around
// it. It accepts what package envelope accepts, and says where it does not;
// tests hold the two together.
func parseJSON(src []byte) (value, *badJSON) {
	p := jsonParser{src: src}
	if !utf8.Valid(src) {
		return value{}, &badJSON{offset: invalidUTF8(src), word: "not-utf-8", what: "these bytes are not UTF-8"}
	}
	p.space()
	v, ok := p.value(0)
	if !ok {
		return value{}, p.err
	}
	p.space()
	if p.pos != len(src) {
		p.fail("trailing-bytes", "something follows the "+kindName(v.kind)+": "+p.see())
		return v, p.err
	}
	return v, nil
}

func kindName(kind byte) string {
	switch kind {
	case 's':
		return "string"
	case 'n':
		return "number"
	case 't', 'f':
		return "boolean"
	case 'z':
		return "null"
	case 'a':
		return "array"
	}
	return "object"
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// position returns line and column, both from one and the column in
// characters, of an offset.
func position(src []byte, offset int) (line, column int) {
	offset = min(offset, len(src))
	before := src[:offset]
	line = 1 + strings.Count(string(before), "\n")
	if i := strings.LastIndexByte(string(before), '\n'); i >= 0 {
		before = before[i+1:]
	}
	return line, 1 + utf8.RuneCount(before)
}

type jsonParser struct {
	src  []byte
	pos  int
	name string // of the member that is being read
	err  *badJSON
}

func (p *jsonParser) fail(word Code, what string) bool {
	if p.err == nil {
		p.err = &badJSON{offset: p.pos, word: word, what: what, name: p.name}
	}
	return false
}

func (p *jsonParser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// see describes what stands at the position, without quoting more than one
// character of it.
func (p *jsonParser) see() string {
	if p.pos >= len(p.src) {
		return "the text ends"
	}
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	return charName(r)
}

// charName names a character so that it can be found again.
func charName(r rune) string {
	switch r {
	case ' ':
		return "a blank"
	case '\t':
		return "a tab"
	case '\n':
		return "a line feed"
	case '\r':
		return "a carriage return"
	case '\'':
		return "a single quote"
	case '"':
		return "a quote"
	case '\\':
		return "a backslash"
	case 0:
		return "a NUL byte"
	case '\u00a0':
		return "a no-break space (U+00A0)"
	case '\u200b', '\u200c', '\u200d', '\u2060':
		return fmt.Sprintf("an invisible character (%U)", r)
	case '\ufeff':
		return "a byte order mark (U+FEFF)"
	case '“', '”', '„', '‘', '’':
		return fmt.Sprintf("a typographic quote (%U)", r)
	case utf8.RuneError:
		return "a byte that is no character"
	}
	if r < 0x20 || r == 0x7f {
		return fmt.Sprintf("a control character (%U)", r)
	}
	if r > 0x7e {
		return fmt.Sprintf("%q (%U)", r, r)
	}
	return fmt.Sprintf("%q", r)
}

func (p *jsonParser) value(depth int) (value, bool) {
	start := p.pos
	if p.pos == len(p.src) {
		if start == 0 || strings.TrimSpace(string(p.src)) == "" {
			return value{}, p.fail("not-json", "there is nothing")
		}
		return value{}, p.fail("not-json", "the text ends where a value should be")
	}
	v := value{at: start}
	ok := false
	switch c := p.src[p.pos]; {
	case c == '"':
		v.kind = 's'
		v.text, ok = p.str("a value")
	case c == '{':
		v.kind = 'o'
		v.members, ok = p.object(depth + 1)
	case c == '[':
		v.kind = 'a'
		v.items, ok = p.array(depth + 1)
	case c == '-' || c >= '0' && c <= '9':
		v.kind = 'n'
		ok = p.number()
		v.text = string(p.src[start:p.pos])
	default:
		for kind, word := range map[byte]string{'t': "true", 'f': "false", 'z': "null"} {
			if strings.HasPrefix(string(p.src[p.pos:min(len(p.src), p.pos+len(word))]), word) {
				v.kind, ok = kind, true
				p.pos += len(word)
				break
			}
		}
		if !ok {
			return value{}, p.fail("not-json", p.noValue())
		}
	}
	v.end = p.pos
	return v, ok
}

// noValue says what stands in the place of a value.
func (p *jsonParser) noValue() string {
	rest := string(p.src[p.pos:])
	for _, w := range []struct{ word, what string }{
		{"None", "None is Python; JSON writes null"},
		{"True", "True is Python; JSON writes true"},
		{"False", "False is Python; JSON writes false"},
		{"NaN", "NaN is not a JSON number"},
		{"Infinity", "Infinity is not a JSON number"},
		{"undefined", "undefined is JavaScript; leave the member out"},
		{"nil", "nil is not JSON; it writes null"},
		{"NULL", "NULL is not JSON; it writes null"},
		{"'", "single quotes; JSON strings stand in double quotes"},
		{"//", "a comment; JSON has none"},
		{"/*", "a comment; JSON has none"},
		{"#", "a comment; JSON has none"},
		{"}", "a } where a value should be"},
		{"]", "a ] where a value should be; a comma too many"},
		{",", "a comma where a value should be"},
		{"+", "a number with a plus sign"},
		{".", "a number without a digit before its point"},
	} {
		if strings.HasPrefix(rest, w.word) {
			return w.what
		}
	}
	return p.see() + " where a value should be"
}

func (p *jsonParser) object(depth int) ([]pair, bool) {
	if depth > maxDepth {
		return nil, p.fail("too-deep", fmt.Sprintf("more than %d levels", maxDepth))
	}
	p.pos++
	var members []pair
	seen := make(map[string]bool)
	outside := p.name
	for first := true; ; first = false {
		p.space()
		if first && p.take('}') {
			return members, true
		}
		at := p.pos
		if at == len(p.src) {
			return nil, p.fail("not-json", "the text ends in the middle of an object")
		}
		if p.src[at] != '"' {
			return nil, p.fail("not-json", p.noName(first))
		}
		name, ok := p.str("a name")
		if !ok {
			return nil, false
		}
		p.space()
		if !p.take(':') {
			return nil, p.fail("not-json", p.see()+" where the colon after a name should be")
		}
		if depth == 1 {
			p.name = name
		}
		p.space()
		v, ok := p.value(depth)
		if !ok {
			return nil, false
		}
		p.name = outside
		if seen[name] {
			p.pos = at
			p.name = name
			return nil, p.fail("duplicate-name", "a name stands twice in one object")
		}
		seen[name] = true
		members = append(members, pair{name, at, v})
		p.space()
		switch {
		case p.take(','):
		case p.take('}'):
			return members, true
		case p.pos == len(p.src):
			return nil, p.fail("not-json", "the text ends in the middle of an object")
		default:
			return nil, p.fail("not-json", p.see()+" where a comma or } should be")
		}
	}
}

// noName says what stands in the place of a name.
func (p *jsonParser) noName(first bool) string {
	switch c := p.src[p.pos]; {
	case c == '\'':
		return "single quotes; JSON names stand in double quotes"
	case c == '}' && !first:
		return "a comma too many before }"
	case c == '/' || c == '#':
		return "a comment; JSON has none"
	case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return "a name without quotes; JSON names stand in double quotes"
	case c == '\\':
		return "a backslash; the JSON is escaped as if it stood inside of a string"
	}
	return p.see() + " where a name should be"
}

func (p *jsonParser) array(depth int) ([]value, bool) {
	if depth > maxDepth {
		return nil, p.fail("too-deep", fmt.Sprintf("more than %d levels", maxDepth))
	}
	p.pos++
	p.space()
	if p.take(']') {
		return nil, true
	}
	var items []value
	for {
		p.space()
		v, ok := p.value(depth)
		if !ok {
			return nil, false
		}
		items = append(items, v)
		p.space()
		switch {
		case p.take(','):
		case p.take(']'):
			return items, true
		case p.pos == len(p.src):
			return nil, p.fail("not-json", "the text ends in the middle of an array")
		default:
			return nil, p.fail("not-json", p.see()+" where a comma or ] should be")
		}
	}
}

func (p *jsonParser) take(c byte) bool {
	if p.pos < len(p.src) && p.src[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *jsonParser) digits() int {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}

func (p *jsonParser) number() bool {
	p.take('-')
	start := p.pos
	switch n := p.digits(); {
	case n == 0:
		return p.fail("not-json", "a minus sign without a digit behind it")
	case n > 1 && p.src[start] == '0':
		p.pos = start
		return p.fail("not-json", "a number with a leading zero")
	}
	if p.take('.') && p.digits() == 0 {
		return p.fail("not-json", "a number without a digit behind its point")
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if p.digits() == 0 {
			return p.fail("not-json", "a number without a digit in its exponent")
		}
	}
	if _, err := strconv.ParseFloat(string(p.src[start:p.pos]), 64); err != nil {
		p.pos = start
		return p.fail("number-range", "a number that is too large for a double")
	}
	return true
}

// str reads a string and returns it decoded.
func (p *jsonParser) str(what string) (string, bool) {
	start := p.pos
	p.pos++
	var decoded []byte
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '"':
			p.pos++
			return string(decoded), true
		case c == '\\':
			r, n, bad := escape(p.src[p.pos:])
			if bad != "" {
				return "", p.fail("not-json", bad)
			}
			decoded = utf8.AppendRune(decoded, r)
			p.pos += n
		case c < 0x20:
			return "", p.fail("not-json", charName(rune(c))+" inside of a string; JSON wants it escaped")
		default:
			decoded = append(decoded, c)
			p.pos++
		}
	}
	p.pos = len(p.src)
	_ = start
	return "", p.fail("not-json", "the text ends inside of "+what)
}

// escape reads one escape, a surrogate pair being one, and says what is wrong
// with it.
func escape(b []byte) (r rune, n int, bad string) {
	if len(b) < 2 {
		return 0, 0, "the text ends inside of an escape"
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		return rune(c), 2, ""
	case 'b':
		return '\b', 2, ""
	case 'f':
		return '\f', 2, ""
	case 'n':
		return '\n', 2, ""
	case 'r':
		return '\r', 2, ""
	case 't':
		return '\t', 2, ""
	case 'u':
	case '\'':
		return 0, 0, `the escape \' is not JSON; a single quote needs none`
	case 'x':
		return 0, 0, `the escape \x is not JSON; it writes \u00…`
	default:
		return 0, 0, "a backslash before " + charName(rune(c)) + " is no escape of JSON"
	}
	high, ok := hex4(b[2:])
	switch {
	case !ok:
		return 0, 0, `four hexadecimal digits must follow \u`
	case high < 0xD800 || high >= 0xE000:
		return high, 6, ""
	case high >= 0xDC00:
		return 0, 0, "half of a surrogate pair"
	}
	if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
		return 0, 0, "half of a surrogate pair"
	}
	low, ok := hex4(b[8:])
	if !ok || low < 0xDC00 || low >= 0xE000 {
		return 0, 0, "half of a surrogate pair"
	}
	return 0x10000 + (high-0xD800)<<10 | (low - 0xDC00), 12, ""
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		d := hexDigit(c)
		if d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isHex reports whether s has nothing but hexadecimal digits.
func isHex(s string) bool {
	for i := range len(s) {
		if hexDigit(s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
