package explain

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/gen/api"
)

// The budgets bound the bytes that are hashed in each part of the search for a
// rule, so that a long message takes no longer than a short one.
const (
	budgetSingle       = 2 << 20
	budgetSubsets      = 2 << 20
	budgetPermutations = 6 << 20
	budgetExtras       = 1 << 20
	budgetProducts     = 5 << 20
)

// checkDigest compares md5 with the digest of the object. Where they differ it
// looks for the rule that the sender followed.
func (r *run) checkDigest(o *opening, object value) bool {
	for _, form := range acceptedForms() {
		if md5Is(joined(object, form), r.outer.md5) {
			o.form = form
			r.pass(StepDigest, "form %s", form)
			r.compareAgainst(object)
			return true
		}
	}
	if r.digestOfAgainst(object) {
		return true
	}
	if _, sure := r.inEncoding(o.payload, narrowEncodings()[:1]); sure {
		// 谢谢 in GBK happens to be UTF-8, of other letters.
		r.fail(mistake{
			step: StepPlaintext, codes: []Code{"plaintext", "not-utf-8"},
			why: "the plaintext is GBK, whose bytes happen to be UTF-8 as well",
			fix: "encrypt the bytes of the text in UTF-8",
		})
		return true
	}
	s := &search{run: r, object: object, src: o.payload, signKey: o.key.Text()}
	if want, ok := parseHex(r.outer.md5); ok {
		s.want = want
	}
	if found := s.find(); found != nil {
		r.reportRule(s, found)
		return true
	}
	m := mistake{
		step: StepDigest, codes: []Code{"digest"},
		why: "md5 fits the values by no rule that is known here",
		fix: "hash the texts of the values in key order, with nothing between them (docs/protocol.md 4.3); --against FILE compares with what was meant",
	}
	switch seam, sure := r.seam(o, object); {
	case sure:
		m.codes = []Code{"block-removed", "digest"}
		m.step = StepKey
		m.at, m.why, m.fix = seam.at, seam.why, seam.fix
	case o.ecb:
		m.codes = append(m.codes, "block-removed")
	}
	if !r.opt.Redact {
		m.right = s.show(s.texts(plainStyle()), keyOrder(object.members))
	}
	r.fail(m)
	return true
}

// seam looks for a place where a block was cut out and the JSON stayed whole:
// a name that is none, or a value that breaks its rule, across the edge of two
// blocks. It is sure if a required member is missing besides, or a value is
// broken.
func (r *run) seam(o *opening, object value) (m *mistake, sure bool) {
	if !o.ecb || len(o.payload) < 2*blockSize {
		return nil, false
	}
	schema := r.schemaOf(object)
	missing := ""
	if schema != nil {
		for _, member := range schema.Members {
			if _, ok := object.member(member.Name); !ok && member.Required && !hasAlias(object, member) {
				missing = member.Name
			}
		}
	}
	for _, p := range object.members {
		from, to := p.nameAt, p.value.end
		edge := (from/blockSize + 1) * blockSize
		if edge >= to {
			continue
		}
		last := (to - 1) / blockSize * blockSize // the edge that a value lies across
		what := ""
		switch {
		case !knownName(p.name):
			what = "the name " + printableName(p.name) + " is none of the document's"
		case last > p.value.at && p.value.kind == 's' && brokenValue(schema, p):
			what = "the value of " + p.name + " breaks its rule"
			edge, sure = last, true
		default:
			continue
		}
		sure = sure || missing != ""
		found := removedBlock(edge/blockSize, (len(o.payload)+blockSize)/blockSize)
		found.why = fmt.Sprintf("a block is missing from data, it seems: %s, and lies across the edge of blocks %d and %d", what, edge/blockSize, edge/blockSize+1)
		if missing != "" {
			found.why += "; " + missing + " is missing"
		}
		return &found, sure
	}
	return nil, false
}

// schemaOf returns the schema that the message should follow, or nil.
func (r *run) schemaOf(object value) *api.Schema {
	name := ""
	if action, ok := api.LookupAction(r.outer.action); ok {
		name = action.Request
	} else if _, ok := object.member("finish_time"); ok {
		name = "Notification"
	}
	schema, ok := api.LookupSchema(name)
	if !ok {
		return nil
	}
	return schema
}

func hasAlias(object value, m api.Member) bool {
	for _, a := range m.Aliases {
		if _, ok := object.member(a); ok {
			return true
		}
	}
	return false
}

// brokenValue reports whether the value breaks the rule of its member.
func brokenValue(schema *api.Schema, p pair) bool {
	if schema == nil {
		return false
	}
	m, ok := schema.Member(p.name)
	return ok && m.CheckText(p.value.text) != ""
}

func parseHex(s string) (sum [md5.Size]byte, ok bool) {
	if len(s) != 2*md5.Size {
		return sum, false
	}
	for i := range sum {
		high, low := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if high < 0 || low < 0 {
			return sum, false
		}
		sum[i] = byte(high<<4 | low)
	}
	return sum, true
}

// md5Is reports whether the MD5 of text is the one that md5Text spells.
func md5Is(text, md5Text string) bool {
	want, ok := parseHex(md5Text)
	return ok && md5.Sum([]byte(text)) == want
}

// compareAgainst compares an authentic message with what was meant.
func (r *run) compareAgainst(object value) {
	if len(r.opt.Against) == 0 {
		return
	}
	meant, bad := parseJSON(bytes.TrimPrefix(r.opt.Against, []byte("\ufeff")))
	if bad != nil || meant.kind != 'o' {
		r.note("what was meant to be sealed is not one JSON object, and was not compared")
		return
	}
	if name, what := firstDifference(meant, object, r.opt.Redact); name != "" {
		r.fail(mistake{
			step: StepDigest, codes: []Code{"differs"}, at: At{In: "plaintext", Member: printableName(name)},
			why: "the message is authentic, and not what was meant: " + what,
			fix: "look at what happens to the member between the object and its JSON text",
		})
	}
}

// digestOfAgainst reports a digest that was computed of what was meant, while
// something else was encrypted.
func (r *run) digestOfAgainst(object value) bool {
	if len(r.opt.Against) == 0 {
		return false
	}
	meant, bad := parseJSON(bytes.TrimPrefix(r.opt.Against, []byte("\ufeff")))
	if bad != nil || meant.kind != 'o' || !r.fitsHonestly(meant) {
		return false
	}
	name, what := firstDifference(meant, object, r.opt.Redact)
	if name == "" {
		return false
	}
	r.fail(mistake{
		step: StepDigest, codes: []Code{"digest"}, at: At{In: "plaintext", Member: printableName(name)},
		why: "md5 is the digest of what was meant, and something else was encrypted: " + what,
		fix: "encrypt the very object that the digest was computed of",
	})
	return true
}

// firstDifference returns the first member, in key order, whose text differs.
func firstDifference(meant, got value, redact bool) (name, what string) {
	st := plainStyle()
	show := func(v value) string {
		text := st.text(v)
		if redact {
			return fmt.Sprintf("%d characters", utf8.RuneCountInString(text))
		}
		return quoteShort(text)
	}
	for _, i := range keyOrder(meant.members) {
		p := meant.members[i]
		v, ok := got.member(p.name)
		if !ok {
			return p.name, fmt.Sprintf("%s is missing", printableName(p.name))
		}
		if st.text(v) != st.text(p.value) {
			return p.name, fmt.Sprintf("%s is %s, and was meant to be %s", printableName(p.name), show(v), show(p.value))
		}
	}
	for _, i := range keyOrder(got.members) {
		if _, ok := meant.member(got.members[i].name); !ok {
			return got.members[i].name, fmt.Sprintf("%s was not meant to be there", printableName(got.members[i].name))
		}
	}
	return "", ""
}

func quoteShort(s string) string {
	if utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:59]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// search looks for the rule by which a digest was made.
type search struct {
	run     *run
	object  value
	src     []byte // the plaintext
	signKey string
	want    [md5.Size]byte
	budget  int

	buf   []byte
	found []rule
}

// rule is one way to a digest, by its deviations from the right one.
type rule struct {
	devs  []*deviation
	order []int
	texts []string
}

// hit hashes the buffer and reports whether it is the digest.
func (s *search) hit(b []byte) bool {
	s.budget -= len(b) + 64
	return md5.Sum(b) == s.want
}

func (s *search) texts(st style) []string {
	out := make([]string, len(s.object.members))
	for i, p := range s.object.members {
		out[i] = st.text(p.value)
	}
	return out
}

// choice is one value of a dimension: the right one has no deviation.
type choice[T any] struct {
	is  T
	dev *deviation
}

// glue is how texts are joined.
type glue struct {
	names              bool
	kv                 string
	before, sep, after string
	nameOnly           bool
}

// keying is what the sign key does to the text. If mac, the digest is an HMAC.
type keying struct {
	before, after string
	mac           bool
}

// omission is which members are not joined.
type omission struct {
	drop func(p pair, text string) bool
}

const (
	fixDigestOrder     = "sort the names by UTF-16 code unit before joining (docs/protocol.md 4.4)"
	fixDigestNames     = "join the values alone, without their names"
	fixDigestSeparator = "put nothing between the values"
	fixDigestDropped   = "join every value of data"
	fixDigestNumbers   = "send every value as a string; then there is one way to write it"
	fixDigestKeyed     = "leave the sign key out of the digest: it serves the AES key alone"
	fixDigestEncoding  = "join the values as they are, decoded, and hash their UTF-8 bytes"
)

// find returns the rules that fit with the fewest deviations.
func (s *search) find() []rule {
	for _, part := range []struct {
		search func()
		budget int
	}{
		{s.singleRules, budgetSingle}, {s.extras, budgetExtras}, {s.subsets, budgetSubsets}, {s.permutations, budgetPermutations},
		{s.otherHashes, budgetExtras}, {s.products, budgetProducts},
	} {
		s.budget = part.budget
		part.search()
		if len(s.found) > 0 {
			break
		}
	}
	if len(s.found) == 0 {
		return nil
	}
	least := len(s.found[0].devs)
	for _, f := range s.found {
		least = min(least, len(f.devs))
	}
	return slices.DeleteFunc(s.found, func(f rule) bool { return len(f.devs) > least })
}

// dimensions are the choices that differ for this message.
type dimensions struct {
	orders  []choice[[]int]
	glues   []choice[glue]
	drops   []choice[omission]
	styles  []choice[style] // numbers, null, booleans, nested: one deviation each
	values  []choice[style] // transformations of texts
	keyings []choice[keying]
}

func (s *search) dimensions() dimensions {
	return dimensions{
		orders:  s.orders(),
		glues:   glues(),
		drops:   s.drops(),
		styles:  s.styles(),
		values:  s.transforms(),
		keyings: s.keyings(),
	}
}

// orders are the sequences in which senders join.
func (s *search) orders() []choice[[]int] {
	members := s.object.members
	right := keyOrder(members)
	list := []choice[[]int]{{right, nil}}
	add := func(order []int, what string) { list = addOrder(list, order, what) }
	sorted := func(compare func(a, b pair) int) []int {
		order := make([]int, len(members))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return compare(members[a], members[b]) })
		return order
	}
	document := make([]int, len(members))
	for i := range document {
		document[i] = i
	}
	add(document, "in document order")
	fold := strings.ToLower
	add(sorted(func(a, b pair) int { return cmp.Compare(fold(a.name), fold(b.name)) }), "in an order without regard to case")
	letters := func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsLetter(c) || unicode.IsDigit(c) {
				return unicode.ToLower(c)
			}
			return -1
		}, s)
	}
	add(sorted(func(a, b pair) int {
		return cmp.Or(cmp.Compare(letters(a.name), letters(b.name)), cmp.Compare(b.name, a.name))
	}), "in the order of a locale, which passes over _ and case")
	add(sorted(func(a, b pair) int {
		punct := func(s string) string { return strings.ReplaceAll(fold(s), "_", "\x01") }
		return cmp.Or(cmp.Compare(punct(a.name), punct(b.name)), cmp.Compare(b.name, a.name))
	}), "in the order of a locale (localeCompare), which puts _ before letters")
	reverse := slices.Clone(right)
	slices.Reverse(reverse)
	add(reverse, "in descending order")
	st := plainStyle()
	add(sorted(func(a, b pair) int { return cmp.Compare(st.text(a.value), st.text(b.value)) }), "in the order of the values")
	add(sorted(func(a, b pair) int { return cmp.Compare(len(a.name), len(b.name)) }), "by the length of the names")
	add(sorted(func(a, b pair) int { return cmp.Or(cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name)) }), "by the length of the names")
	add(sorted(func(a, b pair) int { return cmp.Compare(a.name, b.name) }), "in the order of UTF-8 bytes")
	back := slices.Clone(document)
	slices.Reverse(back)
	add(back, "in document order, backwards")
	add(sorted(func(a, b pair) int {
		return cmp.Or(cmp.Compare(javaBucket(a.name, len(members)), javaBucket(b.name, len(members))))
	}), "in the order of a Java HashMap")
	for _, name := range api.Schemas() {
		schema, ok := api.LookupSchema(name)
		if !ok {
			continue
		}
		place := func(p pair) int {
			for i, m := range schema.Members {
				if m.Name == p.name || slices.Contains(m.Aliases, p.name) {
					return i
				}
			}
			return len(schema.Members)
		}
		known := 0
		for _, p := range members {
			if place(p) < len(schema.Members) {
				known++
			}
		}
		if known >= 2 && known >= len(members)-1 {
			add(sorted(func(a, b pair) int { return cmp.Compare(place(a), place(b)) }), "in the order of the page's table")
		}
	}
	return list
}

// addOrder adds an order that is none of those before.
func addOrder(list []choice[[]int], order []int, what string) []choice[[]int] {
	for _, have := range list {
		if slices.Equal(have.is, order) {
			return list
		}
	}
	return append(list, choice[[]int]{order, dev("digest-order", "the values were joined "+what+"; they must be in key order", fixDigestOrder)})
}

// javaBucket returns the bucket of a name in a HashMap that holds n names.
func javaBucket(name string, n int) int {
	var h uint32
	for _, u := range utf16.Encode([]rune(name)) {
		h = 31*h + uint32(u)
	}
	h ^= h >> 16
	size := 16
	for n > size*3/4 {
		size *= 2
	}
	return int(h & uint32(size-1))
}

func glues() []choice[glue] {
	list := []choice[glue]{{glue{}, nil}}
	visible := strings.NewReplacer("\n", "a line feed", "\r", "a carriage return", "\t", "a tab", " ", "a blank", "\x00", "a NUL byte")
	call := func(sep string) string {
		if sep == " " || sep == "\n" || sep == "\t" || sep == "\x00" || sep == "\r\n" {
			return visible.Replace(sep)
		}
		return "\"" + sep + "\""
	}
	for _, sep := range []string{"&", ",", "|", " ", ";", "\n", "+", "-", "_", ":", "\t", "#", ", ", "/", ".", "||", "^", "\r\n", "\x00", "=", "$", "*", "~"} {
		why := call(sep) + " was put between the values"
		list = append(list,
			choice[glue]{glue{sep: sep}, dev("digest-separator", why, fixDigestSeparator)},
			choice[glue]{glue{sep: sep, after: sep}, dev("digest-separator", call(sep)+" was put behind each value", fixDigestSeparator)},
			choice[glue]{glue{sep: sep, before: sep}, dev("digest-separator", call(sep)+" was put before each value", fixDigestSeparator)},
		)
	}
	list = append(list,
		choice[glue]{glue{before: "[", sep: ", ", after: "]"}, dev("digest-separator", "the list of the values was printed ([a, b]) in place of being joined", fixDigestSeparator)},
		choice[glue]{glue{before: "[", sep: ",", after: "]"}, dev("digest-separator", "the list of the values was printed ([a,b]) in place of being joined", fixDigestSeparator)},
	)
	for _, kv := range []string{"=", ":", "", "=>", ": "} {
		for _, sep := range []string{"&", "", ",", "|", ";", " ", "\n", ", "} {
			why := fmt.Sprintf("names were joined with the values (name%svalue%sname%svalue)", kv, sep, kv)
			list = append(list, choice[glue]{glue{names: true, kv: kv, sep: sep}, dev("digest-names", why, fixDigestNames)})
			if sep != "" {
				list = append(list, choice[glue]{glue{names: true, kv: kv, sep: sep, after: sep}, dev("digest-names", why+", with "+call(sep)+" at the end", fixDigestNames)})
			}
		}
	}
	list = append(list,
		choice[glue]{glue{names: true, kv: "=", before: "{", sep: ", ", after: "}"}, dev("digest-names", "the map was printed ({name=value, …}) in place of joining its values", fixDigestNames)},
		choice[glue]{glue{names: true, nameOnly: true}, dev("digest-names", "the names were joined in place of the values", fixDigestNames)},
		choice[glue]{glue{names: true, kv: "=", before: "?", sep: "&"}, dev("digest-names", "a query string (?name=value&…) was hashed", fixDigestNames)},
	)
	return list
}

func (s *search) drops() []choice[omission] {
	list := []choice[omission]{{omission{func(pair, string) bool { return false }}, nil}}
	has := func(f func(p pair, text string) bool) bool { return s.hasMember(f) }
	add := func(what string, f func(p pair, text string) bool) { list = s.addDrop(list, what, f) }
	empty := func(p pair, text string) bool { return p.value.kind == 's' && text == "" }
	null := func(p pair, _ string) bool { return p.value.kind == 'z' }
	add("empty values were left out", empty)
	add("null values were left out", null)
	if has(empty) && has(null) {
		add("empty and null values were left out", func(p pair, text string) bool { return empty(p, text) || null(p, text) })
	}
	zero := func(p pair, text string) bool { return text == "0" || text == "0.0" }
	add("zeros were left out", zero)
	if has(zero) && (has(empty) || has(null)) {
		add("empty values and zeros were left out", func(p pair, text string) bool { return empty(p, text) || null(p, text) || zero(p, text) })
	}
	falsy := func(p pair, text string) bool {
		return empty(p, text) || null(p, text) || zero(p, text) || p.value.kind == 'f'
	}
	if has(func(p pair, _ string) bool { return p.value.kind == 'f' }) {
		add("values that count as false were left out", falsy)
	}
	nested := func(p pair, _ string) bool { return p.value.kind == 'o' || p.value.kind == 'a' }
	add("nested values were left out", nested)
	return list
}

// hasMember reports whether f is true of a member and its text.
func (s *search) hasMember(f func(p pair, text string) bool) bool {
	st := plainStyle()
	for i := range s.object.members {
		if f(s.object.members[i], st.text(s.object.members[i].value)) {
			return true
		}
	}
	return false
}

// addDrop adds an omission that makes a difference to this message.
func (s *search) addDrop(list []choice[omission], what string, f func(p pair, text string) bool) []choice[omission] {
	if !s.hasMember(f) {
		return list
	}
	return append(list, choice[omission]{omission{f}, dev("digest-dropped", what, fixDigestDropped)})
}

// styles are the ways to write what is not a string, one deviation each.
func (s *search) styles() []choice[style] {
	plain := plainStyle()
	list := []choice[style]{{plain, nil}}
	texts := [][]string{s.texts(plain)}
	add := func(st style, d *deviation) {
		t := s.texts(st)
		for i, have := range texts {
			if !slices.Equal(have, t) {
				continue
			}
			// Rules that give one text for this message are named together.
			if old := list[i].dev; old != nil && d != nil {
				if old.code == d.code {
					if !strings.Contains(old.why, d.why) && strings.Count(old.why, ", or ") < 2 {
						old.why += ", or " + strings.TrimPrefix(d.why, "numbers were written ")
					}
				} else if !slices.Contains(old.also, d.code) {
					old.also = append(old.also, d.code)
				}
			}
			return
		}
		texts = append(texts, t)
		list = append(list, choice[style]{st, d})
	}
	raw := plain
	raw.number = numberRaw
	nothing := plain
	nothing.null = ""
	rawNothing := raw
	rawNothing.null = ""
	add(raw, nil)
	add(nothing, nil)
	add(rawNothing, nil)
	bases := make([]style, len(list))
	for i := range list {
		bases[i] = list[i].is
	}
	for _, base := range bases {
		for _, n := range numberStyles() {
			st := base
			st.number = n.write
			add(st, dev("digest-numbers", "numbers were written "+n.name, fixDigestNumbers))
			for _, inner := range []func(string) string{numberJava, numberRaw} {
				st.nested = func(st *style, v value) string {
					inside := *st
					inside.number, inside.nested = inner, nil
					return string(inside.append(nil, v))
				}
				add(st, dev("digest-numbers", "numbers were written "+n.name, fixDigestNumbers))
			}
		}
		for _, n := range nullStyles() {
			st := base
			st.null = n.text
			add(st, dev("digest-null", "null was written as "+n.name, "leave out what is absent; a null counts as the four letters null"))
		}
		for _, b := range boolStyles() {
			st := base
			st.yes, st.no = b.yes, b.no
			add(st, dev("digest-booleans", "booleans were written as "+b.name, "send strings; a boolean counts as true or false"))
		}
		for _, n := range nestedStyles() {
			st := base
			st.nested = n.write
			add(st, dev("digest-nested", "nested values were written "+n.name, "send them as a string that holds JSON; a nested value counts as Java prints maps: {b=1.0, a=x}"))
		}
	}
	return list
}

// transforms are what senders do to the text of a string.
func (s *search) transforms() []choice[style] {
	var list []choice[style]
	plain := s.texts(plainStyle())
	seen := [][]string{plain}
	addStyle := func(code Code, why, fix string, st style) {
		t := s.texts(st)
		for _, have := range seen {
			if slices.Equal(have, t) {
				return
			}
		}
		seen = append(seen, t)
		list = append(list, choice[style]{st, dev(code, why, fix)})
	}
	add := func(code Code, why, fix string, f func(text string, v value) string) {
		st := plainStyle()
		st.transform = f
		addStyle(code, why, fix, st)
	}
	text := func(f func(string) string) func(string, value) string {
		return func(t string, _ value) string { return f(t) }
	}
	const fixCase = "join the values to the letter"
	add("digest-case", "the values were put in lower case", fixCase, text(strings.ToLower))
	add("digest-case", "the values were put in upper case", fixCase, text(strings.ToUpper))
	add("digest-trimmed", "white space around the values was dropped", "join the values to the letter", text(strings.TrimSpace))
	add("digest-trimmed", "blanks around the values were dropped", "join the values to the letter", text(func(t string) string { return strings.Trim(t, " ") }))
	add("digest-trimmed", "all white space in the values was dropped", "join the values to the letter", text(func(t string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsSpace(c) {
				return -1
			}
			return c
		}, t)
	}))
	add("digest-trimmed", "blanks in the values were dropped", "join the values to the letter", text(func(t string) string { return strings.ReplaceAll(t, " ", "") }))
	add("digest-trimmed", "white space at the end of the values was dropped", "join the values to the letter", text(func(t string) string { return strings.TrimRight(t, " \t\r\n") }))
	add("digest-trimmed", "runs of white space became one blank", "join the values to the letter", text(func(t string) string { return strings.Join(strings.Fields(t), " ") }))

	encoding := func(why string, f func(string, value) string) { add("digest-encoding", why, fixDigestEncoding, f) }
	encoding("the values were percent-encoded", text(url.QueryEscape))
	encoding("the values were percent-encoded", text(func(t string) string { return strings.ReplaceAll(url.QueryEscape(t), "+", "%20") }))
	encoding("the values were percent-encoded, in lower-case digits", text(func(t string) string { return lowerOctets(url.QueryEscape(t)) }))
	encoding("the values were percent-encoded, as encodeURIComponent does", text(func(t string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(t))
	}))
	encoding("the values were percent-encoded, as Java's URLEncoder does", text(func(t string) string {
		return strings.NewReplacer("%2A", "*", "~", "%7E").Replace(url.QueryEscape(t))
	}))
	encoding("the values were percent-encoded, as encodeURI does", text(func(t string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%3B", ";", "%2F", "/", "%3F", "?", "%3A", ":", "%40", "@", "%26", "&", "%3D", "=", "%2B", "+", "%24", "$", "%2C", ",", "%23", "#").Replace(url.QueryEscape(t))
	}))
	encoding("the values were percent-encoded, but for slashes", text(func(t string) string {
		return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(t))
	}))
	encoding("percent-encoding in the values was decoded", text(func(t string) string {
		if d, err := url.QueryUnescape(t); err == nil {
			return d
		}
		return t
	}))
	for _, e := range narrowEncodings() {
		encoding("the values were hashed in "+e.name+" in place of UTF-8", text(func(t string) string {
			if out, ok := e.encode(t); ok {
				return out
			}
			return t
		}))
	}
	replaced := func(by string) func(string) string {
		return func(t string) string {
			return strings.Map(func(c rune) rune {
				if c > 0x7e {
					return rune(by[0])
				}
				return c
			}, t)
		}
	}
	encoding("characters beyond ASCII were hashed as question marks", text(replaced("?")))
	encoding("characters beyond Latin-1 were hashed as question marks", text(func(t string) string {
		var out []byte
		for _, c := range t {
			if c > 0xff {
				out = append(out, '?')
			} else {
				out = append(out, byte(c))
			}
		}
		return string(out)
	}))
	encoding("characters beyond ASCII were cut to their low byte", text(func(t string) string {
		var out []byte
		for _, u := range utf16.Encode([]rune(t)) {
			out = append(out, byte(u))
		}
		return string(out)
	}))
	encoding("characters beyond ASCII were dropped", text(func(t string) string {
		return strings.Map(func(c rune) rune {
			if c > 0x7e {
				return -1
			}
			return c
		}, t)
	}))
	encoding("the values were turned into UTF-8 twice", text(func(t string) string {
		var out []rune
		for _, b := range []byte(t) {
			out = append(out, rune(b))
		}
		return string(out)
	}))
	encoding("the values were hashed as they stand in the JSON text, with its escapes", func(_ string, v value) string { return rawString(s.src, v) })
	for _, o := range []jsonOptions{{}, {ascii: true}, {slashes: true}, {ascii: true, slashes: true}} {
		encoding("the values were hashed with JSON's escapes", text(func(t string) string {
			b := o.quote(nil, t)
			return string(b[1 : len(b)-1])
		}))
	}
	encoding("the values were hashed with JSON's escapes", text(jsonString))
	encoding("the values were hashed as they stand in the JSON text, with quotes and escapes", func(_ string, v value) string { return `"` + rawString(s.src, v) + `"` })
	written := plainStyle()
	written.number = numberRaw
	written.nested = func(_ *style, v value) string { return string(s.src[v.at:v.end]) }
	written.transform = func(_ string, v value) string { return `"` + rawString(s.src, v) + `"` }
	addStyle("digest-encoding", "the values were hashed as they stand in the JSON text, with quotes and escapes", fixDigestEncoding, written)
	encoding("the values were hashed with their quotes", text(func(t string) string { return `"` + t + `"` }))
	encoding("the values were hashed with JSON's escapes, in upper-case digits", text(func(t string) string {
		b := jsonOptions{ascii: true}.quote(nil, t)
		return upperEscapes(string(b[1 : len(b)-1]))
	}))
	encoding("the values were escaped for HTML", text(html.EscapeString))
	encoding("the values were escaped for HTML", text(func(t string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(t)
	}))
	encoding("the values were escaped for HTML", text(func(t string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;").Replace(t)
	}))
	encoding("the values were escaped for HTML", text(func(t string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(t)
	}))
	encoding("the values were escaped for HTML, but for quotes", text(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace))
	encoding("the values were escaped as json.HTMLEscape does", text(strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace))
	encoding("characters beyond ASCII were hashed as escapes", text(escapedRunes))
	encoding("characters beyond ASCII were hashed as escapes, in upper-case digits", text(func(t string) string { return upperEscapes(escapedRunes(t)) }))
	encoding("the values were percent-encoded, as url.PathEscape does", text(url.PathEscape))
	encoding("HTML's escapes in the values were decoded", text(html.UnescapeString))
	s.numberTexts(func(why string, f func(string, value) string) {
		add("digest-numbers", why, "join a string to the letter, as it stands in the JSON: 1999", f)
	})
	encoding("slashes were escaped in the values", text(func(t string) string { return strings.ReplaceAll(t, "/", `\/`) }))
	return list
}

// escapedRunes writes what is beyond ASCII as JSON's escapes, and nothing else.
func escapedRunes(t string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(t)) {
		if u < utf8.RuneSelf {
			b.WriteByte(byte(u))
		} else {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

// numberTexts are what senders do who hold an amount as a number and send it as
// a string: the digest is then made of another spelling.
func (s *search) numberTexts(add func(why string, f func(text string, v value) string)) {
	amounts, fees := make(map[int]bool), make(map[int]bool) // by where the value stands
	for _, p := range s.object.members {
		name := strings.ToLower(p.name)
		amounts[p.value.at] = strings.Contains(name, "amount") || strings.Contains(name, "amt")
		fees[p.value.at] = amounts[p.value.at] || strings.Contains(name, "fee") || strings.Contains(name, "tip")
	}
	digits := func(t string) bool {
		return t != "" && len(t) < 16 && strings.Trim(t, "0123456789") == "" && (t == "0" || t[0] != '0')
	}
	for _, spelling := range []struct {
		name  string
		write func(string) string
	}{
		{"as doubles, with .0", func(t string) string { return t + ".0" }},
		{"with two decimal places", func(t string) string { return t + ".00" }},
		{"in dollars", func(t string) string {
			for len(t) < 3 {
				t = "0" + t
			}
			return t[:len(t)-2] + "." + t[len(t)-2:]
		}},
		{"with an exponent", func(t string) string {
			f, _ := strconv.ParseFloat(t, 64)
			return strconv.FormatFloat(f, 'e', -1, 64)
		}},
	} {
		for _, which := range []struct {
			name string
			is   func(at int) bool
		}{
			{"the amount, which is a string, was", func(at int) bool { return amounts[at] }},
			{"amounts that are strings were", func(at int) bool { return fees[at] }},
			{"strings of digits were", func(int) bool { return true }},
		} {
			add(which.name+" written "+spelling.name, func(t string, v value) string {
				if digits(t) && which.is(v.at) {
					return spelling.write(t)
				}
				return t
			})
		}
	}
}

func lowerOctets(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func upperEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+5 < len(b); i++ {
		if b[i] == '\\' && b[i+1] == 'u' {
			copy(b[i+2:i+6], bytes.ToUpper(b[i+2:i+6]))
		}
	}
	return string(b)
}

func (s *search) keyings() []choice[keying] {
	list := []choice[keying]{{keying{}, nil}}
	k := s.signKey
	add := func(why string, is keying) {
		list = append(list, choice[keying]{is, dev("digest-keyed", why, fixDigestKeyed)})
	}
	add("the sign key was put behind the joined values", keying{after: k})
	add("the sign key was put before the joined values", keying{before: k})
	add("the sign key was put before and behind the joined values", keying{before: k, after: k})
	for _, name := range []string{"&key=", "key=", "&", "|", "&sign_key=", "&signKey=", "&secret=", ":", ",", "_", "#", "\n", "+", " ", "&appkey=", "&app_key="} {
		add("the sign key was put behind the joined values", keying{after: name + k})
	}
	for _, name := range []string{"&", "|", ":", ",", "_", "+"} {
		add("the sign key was put before the joined values", keying{before: k + name})
	}
	add("the sign key was put before the joined values", keying{before: "key=" + k + "&"})
	add("the digest is an HMAC with the sign key", keying{mac: true})
	if lower := strings.ToLower(k); lower != k {
		add("the sign key, in lower case, was put behind the joined values", keying{after: lower})
		add("the sign key, in lower case, was put before the joined values", keying{before: lower})
	}
	return list
}

// build joins texts into the buffer.
func (s *search) build(order []int, texts []string, g glue, drop omission, k keying) []byte {
	b := append(append(s.buf[:0], k.before...), g.before...)
	first := true
	for _, i := range order {
		p := s.object.members[i]
		if drop.drop != nil && drop.drop(p, texts[i]) {
			continue
		}
		if !first {
			b = append(b, g.sep...)
		}
		first = false
		if g.names {
			b = append(append(b, p.name...), g.kv...)
		}
		if !g.nameOnly {
			b = append(b, texts[i]...)
		}
	}
	b = append(append(b, g.after...), k.after...)
	s.buf = b
	return b
}

func (s *search) matches(b []byte, k keying) bool {
	if k.mac {
		h := hmac.New(md5.New, []byte(s.signKey))
		h.Write(b)
		s.budget -= len(b) + 256
		return bytes.Equal(h.Sum(nil), s.want[:])
	}
	return s.hit(b)
}

// try tests one combination.
func (s *search) try(o choice[[]int], g choice[glue], d choice[omission], st choice[style], texts []string, k choice[keying]) {
	if s.budget < 0 {
		return
	}
	b := s.build(o.is, texts, g.is, d.is, k.is)
	if !s.matches(b, k.is) {
		return
	}
	all := digestDevs(o.dev, g.dev, d.dev, st.dev, k.dev)
	if len(all) == 0 {
		return // an accepted form: not reached
	}
	s.found = append(s.found, rule{all, slices.Clone(o.is), texts})
}

// digestRanks is the order in which deviations of one digest are named, and
// which of several that cannot be told apart is the likeliest.
func digestRanks() []Code {
	return []Code{
		"digest-json", "digest-order", "digest-names", "digest-separator", "digest-numbers", "digest-null", "digest-booleans", "digest-nested",
		"digest-dropped", "digest-case", "digest-encoding", "digest-trimmed", "digest-keyed", "digest-extra", "digest",
	}
}

func digestDevs(all ...*deviation) []*deviation {
	var out []*deviation
	for _, d := range all {
		if d != nil {
			out = append(out, d)
		}
	}
	order := digestRanks()
	slices.SortStableFunc(out, func(a, b *deviation) int { return slices.Index(order, a.code) - slices.Index(order, b.code) })
	return out
}

// singleRules tries one deviation at a time, and the language a sender is
// written in as one: Python writes True and None alike.
func (s *search) singleRules() {
	d := s.dimensions()
	right := d.orders[0]
	base := d.styles[0]
	baseTexts := s.texts(base.is)
	for _, st := range append(slices.Clone(d.styles), d.values...) {
		s.try(right, d.glues[0], d.drops[0], st, s.texts(st.is), d.keyings[0])
	}
	s.wholeJSON()
	joinedText := slices.Clone(s.build(right.is, baseTexts, glue{}, omission{}, keying{}))
	for _, whole := range wholeTexts() {
		if changed := whole.do(joinedText); !bytes.Equal(changed, joinedText) && s.hit(changed) {
			s.found = append(s.found, rule{[]*deviation{whole.dev}, right.is, baseTexts})
		}
	}
	for _, st := range d.styles {
		if st.dev != nil {
			continue
		}
		texts := s.texts(st.is)
		for _, o := range d.orders[1:] {
			s.try(o, d.glues[0], d.drops[0], st, texts, d.keyings[0])
		}
		for _, g := range d.glues[1:] {
			s.try(right, g, d.drops[0], st, texts, d.keyings[0])
		}
		for _, k := range d.keyings[1:] {
			s.try(right, d.glues[0], d.drops[0], st, texts, k)
		}
		for _, drop := range d.drops[1:] {
			s.try(right, d.glues[0], drop, st, texts, d.keyings[0])
		}
	}
	if len(s.found) == 0 {
		s.subsetsOf(baseTexts, right.is, 1)
	}
}

// products tries several deviations together: those that a habit brings along
// (names, a separator, empty values left out, the key behind) in full, others
// in pairs.
func (s *search) products() {
	d := s.dimensions()
	plain := d.keyings[0]
	for want := 2; want <= 4 && len(s.found) == 0; want++ {
		for _, st := range d.styles {
			if count(st.dev) > want {
				continue
			}
			texts := s.texts(st.is)
			for _, o := range d.orders {
				for _, g := range d.glues {
					n := count(st.dev, o.dev, g.dev)
					if n > want {
						continue
					}
					for _, drop := range d.drops {
						if n+count(drop.dev) > want || drop.dev != nil && g.dev == nil {
							continue
						}
						rest := want - n - count(drop.dev)
						switch {
						case rest == 0:
							s.try(o, g, drop, st, texts, plain)
						case rest == 1 && (st.dev == nil || g.dev == nil):
							for _, k := range d.keyings[1:] {
								s.try(o, g, drop, st, texts, k)
							}
						}
					}
				}
			}
		}
		for _, st := range d.values {
			texts := s.texts(st.is)
			for _, o := range d.orders {
				for _, g := range d.glues {
					if count(st.dev, o.dev, g.dev) == want {
						s.try(o, g, d.drops[0], st, texts, plain)
					}
					if count(st.dev, o.dev, g.dev) == want-1 && (o.dev == nil || g.dev == nil) {
						for _, k := range d.keyings[1:min(5, len(d.keyings))] {
							s.try(o, g, d.drops[0], st, texts, k)
						}
						for _, drop := range d.drops[1:] {
							s.try(o, g, drop, st, texts, plain)
						}
					}
				}
			}
		}
		if want == 2 && len(s.found) == 0 {
			s.mixedStyles(d)
			s.wholeCase(d)
		}
	}
}

// wholeText is what a sender does to the joined text as a whole.
type wholeText struct {
	dev *deviation
	do  func([]byte) []byte
}

func wholeTexts() []wholeText {
	wide := func(big, mark bool) func([]byte) []byte {
		return func(text []byte) []byte {
			var out []byte
			put := func(u uint16) {
				if big {
					out = append(out, byte(u>>8), byte(u))
				} else {
					out = append(out, byte(u), byte(u>>8))
				}
			}
			if mark {
				put(0xfeff)
			}
			for _, u := range utf16.Encode([]rune(string(text))) {
				put(u)
			}
			return out
		}
	}
	encoding := func(why string, do func([]byte) []byte) wholeText {
		return wholeText{dev("digest-encoding", why, fixDigestEncoding), do}
	}
	letters := func(why string, do func([]byte) []byte) wholeText {
		return wholeText{dev("digest-case", why, "join the values to the letter"), do}
	}
	return []wholeText{
		encoding("the joined text was hashed in UTF-16 in place of UTF-8", wide(false, false)),
		encoding("the joined text was hashed in UTF-16 in place of UTF-8", wide(true, false)),
		encoding("the joined text was hashed in UTF-16, with a byte order mark", wide(false, true)),
		encoding("the joined text was hashed in UTF-16, with a byte order mark", wide(true, true)),
		encoding("the joined text was percent-encoded", func(b []byte) []byte { return []byte(url.QueryEscape(string(b))) }),
		encoding("the joined text was percent-encoded", func(b []byte) []byte {
			return []byte(strings.ReplaceAll(url.QueryEscape(string(b)), "+", "%20"))
		}),
		encoding("the joined text was percent-encoded, in lower-case digits", func(b []byte) []byte { return []byte(lowerOctets(url.QueryEscape(string(b)))) }),
		encoding("the joined text was percent-encoded, as url.PathEscape does", func(b []byte) []byte { return []byte(url.PathEscape(string(b))) }),
		encoding("the Base64 of the joined text was hashed", func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }),
		encoding("the hexadecimal digits of the joined text were hashed", func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }),
		letters("the joined text was put in lower case", bytes.ToLower),
		letters("the joined text was put in upper case", bytes.ToUpper),
		{dev("digest-trimmed", "white space was dropped from the joined text", "join the values to the letter"), func(b []byte) []byte {
			return bytes.Join(bytes.Fields(b), nil)
		}},
		{dev("digest-trimmed", "the joined text was trimmed", "join the values to the letter"), bytes.TrimSpace},
	}
}

// wholeCase tries what is done to the whole joined text, names included.
func (s *search) wholeCase(d dimensions) {
	texts := s.texts(d.styles[0].is)
	all := wholeTexts()
	for _, o := range d.orders {
		for i, g := range d.glues {
			if i > 0 && !g.is.names {
				continue
			}
			b := slices.Clone(s.build(o.is, texts, g.is, d.drops[0].is, keying{}))
			for _, whole := range all {
				if s.budget < 0 {
					return
				}
				if changed := whole.do(b); !bytes.Equal(changed, b) && s.hit(changed) {
					s.found = append(s.found, rule{digestDevs(o.dev, g.dev, whole.dev), o.is, texts})
				}
			}
		}
	}
}

// mixedStyles tries deviations of numbers, null, booleans and nested values
// together.
func (s *search) mixedStyles(d dimensions) {
	kinds := make(map[byte]bool)
	for _, p := range s.object.members {
		kinds[p.value.kind] = true
	}
	type part struct {
		dev *deviation
		set func(*style)
	}
	none := []part{{nil, func(*style) {}}}
	numbers, nulls, bools, nesteds := slices.Clone(none), slices.Clone(none), slices.Clone(none), slices.Clone(none)
	nested := kinds['o'] || kinds['a']
	if kinds['n'] || nested {
		numbers = append(numbers, part{nil, func(st *style) { st.number = numberRaw }})
		for _, n := range numberStyles() {
			numbers = append(numbers, part{dev("digest-numbers", "numbers were written "+n.name, fixDigestNumbers), func(st *style) { st.number = n.write }})
		}
	}
	if kinds['z'] || nested {
		nulls = append(nulls, part{nil, func(st *style) { st.null = "" }})
		for _, n := range nullStyles() {
			nulls = append(nulls, part{dev("digest-null", "null was written as "+n.name, "leave out what is absent"), func(st *style) { st.null = n.text }})
		}
	}
	if kinds['t'] || kinds['f'] || nested {
		for _, b := range boolStyles() {
			bools = append(bools, part{dev("digest-booleans", "booleans were written as "+b.name, "send strings"), func(st *style) { st.yes, st.no = b.yes, b.no }})
		}
	}
	if nested {
		for _, n := range nestedStyles() {
			nesteds = append(nesteds, part{dev("digest-nested", "nested values were written "+n.name, "send them as a string that holds JSON"), func(st *style) { st.nested = n.write }})
		}
	}
	for _, n := range numbers {
		for _, u := range nulls {
			for _, b := range bools {
				for _, t := range nesteds {
					if s.budget < 0 {
						return
					}
					st := plainStyle()
					n.set(&st)
					u.set(&st)
					b.set(&st)
					t.set(&st)
					texts := s.texts(st)
					for i, o := range d.orders {
						if i > 1 {
							break // key order and document order
						}
						out := s.build(o.is, texts, glue{}, d.drops[0].is, keying{})
						if !s.hit(out) {
							continue
						}
						if all := digestDevs(o.dev, n.dev, u.dev, b.dev, t.dev); len(all) > 0 {
							s.found = append(s.found, rule{all, o.is, texts})
						}
					}
				}
			}
		}
	}
}

// wholeJSON tries JSON texts in place of joined values.
func (s *search) wholeJSON() {
	texts := [][]byte{s.src, bytes.TrimSpace(s.src)}
	for _, sorted := range []bool{false, true} {
		for _, o := range []jsonOptions{
			{}, {ascii: true}, {slashes: true}, {ascii: true, slashes: true},
			{comma: ", ", colon: ": "}, {comma: ", ", colon: ": ", ascii: true}, {indent: "  ", colon: ": "}, {indent: "    ", colon: ": "}, {double: true},
		} {
			o.sorted = sorted
			texts = append(texts, o.append(nil, s.object, 0))
		}
	}
	texts = append(texts, s.sortedSource())
	why := dev("digest-json", "the JSON text was hashed in place of the joined values", "join the texts of the values in key order, and hash that")
	for _, t := range texts {
		for _, k := range s.keyings() {
			if s.budget < 0 {
				return
			}
			b := append(append(append(s.buf[:0], k.is.before...), t...), k.is.after...)
			s.buf = b
			if s.matches(b, k.is) {
				s.found = append(s.found, rule{digestDevs(why, k.dev), nil, nil})
			}
		}
	}
}

// sortedSource is the plaintext without white space and with its members in key
// order, each written as it came.
func (s *search) sortedSource() []byte {
	members := slices.Clone(s.object.members)
	sort.SliceStable(members, func(i, j int) bool { return members[i].name < members[j].name })
	b := []byte{'{'}
	for i, p := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, jsonString(p.name)...)
		b = append(b, '"', ':')
		b = append(b, s.src[p.value.at:p.value.end]...)
	}
	return append(b, '}')
}

// subsets tries values that were left out.
func (s *search) subsets() {
	d := s.dimensions()
	for _, st := range d.styles {
		if st.dev != nil {
			continue
		}
		texts := s.texts(st.is)
		for _, o := range d.orders[:min(2, len(d.orders))] {
			s.subsetsOf(texts, o.is, len(texts))
			if len(s.found) > 0 {
				for i := range s.found {
					s.found[i].devs = digestDevs(append(s.found[i].devs, o.dev)...)
				}
				return
			}
		}
	}
	// One left out, with names or separators.
	texts := s.texts(d.styles[0].is)
	for _, g := range d.glues[1:] {
		for _, o := range d.orders[:min(2, len(d.orders))] {
			for _, left := range o.is {
				name := s.object.members[left].name
				drop := choice[omission]{omission{func(p pair, _ string) bool { return p.name == name }}, dev("digest-dropped", "the value of "+printableName(name)+" was not joined", fixDigestDropped)}
				s.try(o, g, drop, d.styles[0], texts, d.keyings[0])
			}
		}
	}
}

// subsetsOf leaves out up to most values that are not empty.
func (s *search) subsetsOf(texts []string, order []int, most int) {
	var full []int
	for _, i := range order {
		if texts[i] != "" {
			full = append(full, i)
		}
	}
	n := len(full)
	if n > 14 {
		most = min(most, 2)
	}
	if n > 40 {
		most = min(most, 1)
	}
	report := func(left []int) {
		var names []string
		for _, i := range left {
			names = append(names, printableName(s.object.members[i].name))
		}
		why := "the value of " + names[0] + " was not joined"
		if len(names) > 1 {
			why = "the values of " + strings.Join(names, ", ") + " were not joined"
		}
		d := dev("digest-dropped", why, fixDigestDropped)
		s.found = append(s.found, rule{[]*deviation{d}, slices.DeleteFunc(slices.Clone(order), func(i int) bool { return slices.Contains(left, i) }), texts})
	}
	var choose func(from int, left []int)
	choose = func(from int, left []int) {
		if s.budget < 0 || len(s.found) > 0 {
			return
		}
		if len(left) > 0 {
			b := s.buf[:0]
			for _, i := range full {
				if !slices.Contains(left, i) {
					b = append(b, texts[i]...)
				}
			}
			s.buf = b
			if len(left) < n && s.hit(b) {
				report(left)
				return
			}
		}
		if len(left) == most {
			return
		}
		for j := from; j < n; j++ {
			choose(j+1, append(slices.Clone(left), full[j]))
		}
	}
	for size := 1; size <= min(most, n-1); size++ {
		before := most
		most = size
		choose(0, nil)
		most = before
		if len(s.found) > 0 {
			return
		}
		if size >= 3 {
			most = n
			choose(0, nil)
			return
		}
	}
}

// permutations tries every order of few values: languages whose maps have no
// order join them in any.
func (s *search) permutations() {
	n := len(s.object.members)
	if n > 8 {
		return
	}
	for i, st := range s.styles() {
		if st.dev != nil || i > 1 && n > 6 {
			continue
		}
		texts := s.texts(st.is)
		order := make([]int, 0, n)
		used := make([]bool, n)
		var place func(text []byte) bool
		place = func(text []byte) bool {
			if len(order) == n {
				if !s.hit(text) {
					return false
				}
				d := dev("digest-order", "the values were joined in an order of no rule, as a map without order gives; they must be in key order", fixDigestOrder)
				s.found = append(s.found, rule{[]*deviation{d}, slices.Clone(order), texts})
				return true
			}
			for i := range n {
				if used[i] || s.budget < 0 {
					continue
				}
				used[i] = true
				order = append(order, i)
				if place(append(text, texts[i]...)) {
					return true
				}
				order = order[:len(order)-1]
				used[i] = false
			}
			return false
		}
		if place(s.buf[:0]) {
			return
		}
	}
}

// extras tries what was joined besides the values of data.
func (s *search) extras() {
	right := keyOrder(s.object.members)
	base := plainStyle()
	texts := s.texts(base)
	joinedText := string(s.build(right, texts, glue{}, omission{}, keying{}))
	found := func(why string) {
		s.found = append(s.found, rule{[]*deviation{dev("digest-extra", why, "hash the values of data alone")}, right, texts})
	}
	for _, end := range []struct{ text, what string }{
		{"\n", "a line feed"}, {"\r\n", "a carriage return and a line feed"}, {" ", "a blank"}, {"\x00", "a NUL byte"}, {"&", "an ampersand"}, {"\r", "a carriage return"},
	} {
		if s.hit([]byte(joinedText + end.text)) {
			found(end.what + " follows the joined values")
			s.found[len(s.found)-1].devs[0].also = []Code{"digest-separator"}
		}
	}
	var outer []pair
	for _, p := range s.run.outer.members {
		if p.name != "data" && p.name != "md5" && p.value.kind == 's' && p.value.text != "" {
			outer = append(outer, p)
		}
	}
	if len(outer) > 8 {
		outer = outer[:8]
	}
	for mask := 1; mask < 1<<len(outer) && s.budget > 0; mask++ {
		all := slices.Clone(s.object.members)
		var names []string
		appended, prepended := joinedText, ""
		for i, p := range outer {
			if mask&(1<<i) == 0 {
				continue
			}
			all = append(all, p)
			names = append(names, printableName(p.name))
			appended += p.value.text
			prepended += p.value.text
		}
		var b []byte
		var named []byte
		for i, at := range keyOrder(all) {
			b = base.append(b, all[at].value)
			if i > 0 {
				named = append(named, '&')
			}
			named = base.append(append(append(named, all[at].name...), '='), all[at].value)
		}
		why := strings.Join(names, ", ") + " of the envelope took part in the digest"
		switch {
		case s.hit(b), s.hit([]byte(appended)), s.hit([]byte(prepended + joinedText)):
			found(why)
			return
		case s.hit(named), s.hit(append(named, ("&key=" + s.signKey)...)):
			found(why)
			s.found[len(s.found)-1].devs = digestDevs(append(s.found[len(s.found)-1].devs, dev("digest-names", "names were joined with the values", fixDigestNames))...)
			return
		}
	}
}

// otherHashes tries digests that are no MD5 of the joined values.
func (s *search) otherHashes() {
	right := keyOrder(s.object.members)
	texts := s.texts(plainStyle())
	for _, st := range s.styles() {
		if st.dev != nil {
			continue
		}
		t := s.texts(st.is)
		text := slices.Clone(s.build(right, t, glue{}, omission{}, keying{}))
		report := func(why string) {
			s.found = append(s.found, rule{[]*deviation{dev("digest", why, "md5 is the MD5 of the joined values, once")}, right, texts})
		}
		once := md5.Sum(text)
		twiceUpper := md5.Sum([]byte(upperHex(once[:])))
		twiceLower := md5.Sum([]byte(strings.ToLower(upperHex(once[:]))))
		raw := md5.Sum(once[:])
		long := sha256.Sum256(text)
		short := sha1.Sum(text)
		switch s.want {
		case twiceUpper, twiceLower, raw:
			report("the joined values were hashed twice")
		case [16]byte(long[:16]), [16]byte(long[16:]):
			report("md5 is a part of a SHA-256")
		case [16]byte(short[:16]):
			report("md5 is a part of a SHA-1")
		}
		keyed := md5.Sum([]byte(upperHex(once[:]) + s.signKey))
		keyedLower := md5.Sum([]byte(strings.ToLower(upperHex(once[:])) + s.signKey))
		if s.want == keyed || s.want == keyedLower {
			s.found = append(s.found, rule{[]*deviation{dev("digest-keyed", "md5 is the hash of the digest and the sign key", fixDigestKeyed)}, right, texts})
		}
	}
}

// show lists texts in an order, with their joints.
func (s *search) show(texts []string, order []int) string {
	if s.run.opt.Redact {
		return s.lengths(texts, order)
	}
	var parts []string
	for i, at := range order {
		if i == 24 {
			parts = append(parts, "…")
			break
		}
		t := printable(texts[at])
		if utf8.RuneCountInString(t) > 40 {
			t = string([]rune(t)[:39]) + "…"
		}
		parts = append(parts, t)
	}
	return strings.Join(parts, " · ")
}

// lengths is show without values.
func (s *search) lengths(texts []string, order []int) string {
	var parts []string
	for _, at := range order {
		parts = append(parts, fmt.Sprintf("%s (%d)", printableName(s.object.members[at].name), utf8.RuneCountInString(texts[at])))
	}
	return strings.Join(parts, " · ")
}

// printable replaces what a terminal would not show.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == utf8.RuneError {
			return '?'
		}
		return c
	}, s)
}

// reportRule reports the rules that fit: the first deviation of each as what
// may have happened, the others as what follows.
func (r *run) reportRule(s *search, found []rule) {
	order := digestRanks()
	sort.SliceStable(found, func(i, j int) bool {
		return slices.Index(order, found[i].devs[0].code) < slices.Index(order, found[j].devs[0].code)
	})
	first := found[0]
	m := mistake{step: StepDigest, why: first.devs[0].why, fix: first.devs[0].fix}
	for _, f := range found {
		for _, c := range append([]Code{f.devs[0].code}, f.devs[0].also...) {
			if !slices.Contains(m.codes, c) {
				m.codes = append(m.codes, c)
			}
		}
	}
	if len(s.object.members) == 1 && m.codes[0] == "digest-separator" {
		m.codes = append(m.codes, "digest-extra") // what stands behind one value stands behind all
	}
	if len(found) > 1 && len(m.codes) > 1 {
		for _, f := range found[1:] {
			if f.devs[0].code != first.devs[0].code {
				m.why += "; or " + f.devs[0].why
				break
			}
		}
	}
	right := keyOrder(s.object.members)
	rightTexts := s.texts(plainStyle())
	if first.texts != nil {
		m.you = s.show(first.texts, first.order)
		m.right = s.show(rightTexts, right)
		if m.you == m.right {
			m.you = ""
		}
		m.at = At{In: "plaintext"}
		for i, at := range right {
			if i >= len(first.order) || first.order[i] != at || first.texts[at] != rightTexts[at] {
				m.at.Member = printableName(s.object.members[at].name)
				break
			}
		}
		if m.at.Member == "" {
			m.at = At{}
		}
	} else {
		m.right = s.show(rightTexts, right)
	}
	r.fail(m)
	for _, d := range first.devs[1:] {
		r.fail(mistake{step: StepDigest, codes: []Code{d.code}, why: d.why, fix: d.fix})
	}
}
