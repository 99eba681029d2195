package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/gen/api"
)

// editBudget bounds the bytes that are looked at while blocks are put back
// into their places.
const editBudget = 3 << 20

// blocks looks at decrypted blocks one by one. It returns true if what they
// hold can be read on, repaired if need be.
func (r *run) blocks(o *opening, ct []byte) bool {
	if r.verifies(o.plain) {
		return true
	}
	n := len(o.text)
	bad := o.badBlocks()
	if once, ok := unpad(o.plain); ok {
		if twice, ok := unpad(once); ok && json.Valid(twice) {
			return true // a block of padding is there twice: see takePaddingOff
		}
	}
	if n > 1 && o.onlyPaddingLooksOdd(bad) {
		if plain, m := r.undoEdit(o.plain, ct); plain != nil {
			r.fail(m)
			o.plain, o.text = plain, textBlocks(plain)
			return true
		}
	}
	if len(bad) == 0 {
		return r.noneMissing(o)
	}
	if extra := r.insertedBlock(o, bad); extra != nil {
		r.fail(*extra)
		return true
	}
	if len(bad) == 1 && bad[0] == n-1 && otherPadding(o.plain) {
		return true // reported with the padding
	}
	if o.otherEncoding(bad) {
		return true // reported with the plaintext
	}
	first := bad[0]
	m := mistake{
		step: StepKey, codes: []Code{"altered-data"}, at: At{Block: first + 1, Blocks: n, Member: "data"},
		fix: "hand data on to the letter; if nothing stands between you and the sender, it was tampered with",
	}
	from := first * blockSize * 4 / 3
	switch {
	case len(bad) == 1:
		m.why = fmt.Sprintf("data was changed after it was sealed: block %d of %d is not text (around letter %d of data), the others are", first+1, n, from)
	case len(bad) == 2 && bad[1] == first+1:
		m.why = fmt.Sprintf("data was changed after it was sealed: blocks %d and %d of %d are not text (around letter %d of data), the others are", first+1, first+2, n, from)
	default:
		m.why = fmt.Sprintf("data was changed after it was sealed: %d of %d blocks are not text, the first is block %d", len(bad), n, first+1)
	}
	r.fail(m)
	return false
}

func (o *opening) badBlocks() []int {
	var bad []int
	for i, t := range o.text {
		if !t {
			bad = append(bad, i)
		}
	}
	return bad
}

// block returns block i of the plaintext.
func (o *opening) block(i int) []byte { return o.plain[i*blockSize : (i+1)*blockSize] }

// onlyPaddingLooksOdd reports whether the blocks that are not text may be the
// last one, out of its place.
func (o *opening) onlyPaddingLooksOdd(bad []int) bool {
	for _, i := range bad {
		b := o.block(i)
		if p := paddingLen(b); p == 0 || !textBlock(b[:len(b)-p]) {
			return false
		}
	}
	return true
}

// verifies reports whether a padded plaintext fits md5 as the kit wants it.
func (r *run) verifies(plain []byte) bool {
	text, ok := unpad(plain)
	if !ok || !json.Valid(text) {
		return false
	}
	object, bad := parseJSON(text)
	return bad == nil && object.kind == 'o' && r.fitsHonestly(object)
}

// fitsHonestly reports whether md5 is the digest in one of the accepted forms.
func (r *run) fitsHonestly(object value) bool {
	for _, form := range acceptedForms() {
		if md5Is(joined(object, form), r.outer.md5) {
			return true
		}
	}
	return false
}

// unpad takes PKCS#5 padding off.
func unpad(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return nil, false
	}
	n := int(b[len(b)-1])
	if n == 0 || n > blockSize || n > len(b) {
		return nil, false
	}
	for _, c := range b[len(b)-n:] {
		if int(c) != n {
			return nil, false
		}
	}
	return b[:len(b)-n], true
}

// undoEdit looks for one operation on whole blocks that makes the message
// whole again, and reports what had been done.
func (r *run) undoEdit(plain, ct []byte) ([]byte, mistake) {
	n := len(plain) / blockSize
	broken := true // as JSON
	if text, ok := unpad(plain); ok && json.Valid(text) {
		broken = false
	}
	budget := editBudget
	var loose []byte // JSON of known names, though the digest does not fit
	var looseMistake mistake
	attempt := func(candidate []byte, m func() mistake) bool {
		budget -= len(candidate)
		if text, ok := unpad(candidate); ok && json.Valid(text) {
			if r.verifies(candidate) {
				loose, looseMistake = candidate, m()
				return true
			}
			if loose == nil && broken && onlyKnownNames(text) {
				loose, looseMistake = candidate, m()
			}
		}
		return false
	}
	b := func(i int) []byte { return plain[i*blockSize : (i+1)*blockSize] }
	c := func(i int) []byte { return ct[i*blockSize : (i+1)*blockSize] }

	for i := range n {
		twin := -1
		for j := range n {
			if j != i && bytes.Equal(c(i), c(j)) {
				twin = j
			}
		}
		if twin < 0 || n == 1 {
			continue
		}
		candidate := append(append(make([]byte, 0, len(plain)), plain[:i*blockSize]...), plain[(i+1)*blockSize:]...)
		if attempt(candidate, func() mistake { return doubledBlock(i, twin, n) }) {
			return loose, looseMistake
		}
	}
	exchange := func(i, j int) bool {
		candidate := bytes.Clone(plain)
		copy(candidate[i*blockSize:], b(j))
		copy(candidate[j*blockSize:], b(i))
		return attempt(candidate, func() mistake {
			return mistake{
				step: StepKey, codes: []Code{"exchanged-blocks"}, at: At{Block: i + 1, Blocks: n, Member: "data"},
				why: fmt.Sprintf("blocks %d and %d of %d of data are exchanged", i+1, j+1, n),
				fix: tamperedFix,
			}
		})
	}
	for i := 0; i+1 < n; i++ {
		if exchange(i, i+1) {
			return loose, looseMistake
		}
	}
	for i := range n {
		for j := i + 2; j < n && budget > 0; j++ {
			if exchange(i, j) {
				return loose, looseMistake
			}
		}
	}
	for i := range n {
		for j := range n {
			if budget <= 0 || i == j || j == i+1 {
				continue
			}
			// Block i goes back to place j.
			candidate := append(append(make([]byte, 0, len(plain)), plain[:i*blockSize]...), plain[(i+1)*blockSize:]...)
			candidate = append(candidate[:j*blockSize:j*blockSize], append(bytes.Clone(b(i)), candidate[j*blockSize:]...)...)
			if attempt(candidate, func() mistake {
				return mistake{
					step: StepKey, codes: []Code{"exchanged-blocks"}, at: At{Block: i + 1, Blocks: n, Member: "data"},
					why: fmt.Sprintf("block %d of %d of data was moved; it belongs to place %d", i+1, n, j+1),
					fix: tamperedFix,
				}
			}) {
				return loose, looseMistake
			}
		}
	}
	if n <= 64 {
		reversed := make([]byte, 0, len(plain))
		for i := n - 1; i >= 0; i-- {
			reversed = append(reversed, b(i)...)
		}
		if attempt(reversed, func() mistake {
			return mistake{
				step: StepKey, codes: []Code{"exchanged-blocks"}, at: At{Block: 1, Blocks: n, Member: "data"},
				why: "the blocks of data stand in reverse", fix: tamperedFix,
			}
		}) {
			return loose, looseMistake
		}
	}
	// One of two equal blocks is missing.
	for i := range n {
		for j := 0; j <= n && budget > 0; j++ {
			candidate := append(append(append(make([]byte, 0, len(plain)+blockSize), plain[:j*blockSize]...), b(i)...), plain[j*blockSize:]...)
			if attempt(candidate, func() mistake { return removedBlock(j, n) }) {
				return loose, looseMistake
			}
		}
	}
	return loose, looseMistake
}

const tamperedFix = "hand data on to the letter; if nothing stands between you and the sender, it was tampered with"

func doubledBlock(i, twin, n int) mistake {
	return mistake{
		step: StepKey, codes: []Code{"block-doubled"}, at: At{Block: max(i, twin) + 1, Blocks: n, Member: "data"},
		why: fmt.Sprintf("block %d of %d of data stands there twice: it is block %d again", max(i, twin)+1, n, min(i, twin)+1),
		fix: tamperedFix,
	}
}

func removedBlock(at, n int) mistake {
	return mistake{
		step: StepKey, codes: []Code{"block-removed"}, at: At{Block: at + 1, Blocks: n, Member: "data"},
		why: fmt.Sprintf("a block is missing from data, before block %d of %d", at+1, n),
		fix: tamperedFix,
	}
}

// insertedBlock finds one foreign block among whole text.
func (r *run) insertedBlock(o *opening, bad []int) *mistake {
	if len(bad) > 3 {
		return nil
	}
	n := len(o.text)
	candidate := make([]byte, 0, len(o.plain))
	for i := range n {
		if o.text[i] {
			candidate = append(candidate, o.block(i)...)
		}
	}
	if len(candidate) == 0 || !r.verifies(candidate) {
		return nil
	}
	o.plain, o.text = candidate, textBlocks(candidate)
	return &mistake{
		step: StepKey, codes: []Code{"altered-data"}, at: At{Block: bad[0] + 1, Blocks: n, Member: "data"},
		why: fmt.Sprintf("block %d of %d of data does not belong to the message: without it the message is whole", bad[0]+1, n),
		fix: tamperedFix,
	}
}

// noneMissing looks for a place where a block was cut out of text that is
// whole otherwise. It returns true if nothing speaks for that.
func (r *run) noneMissing(o *opening) bool {
	n := len(o.text)
	text, padded := unpad(o.plain)
	if !padded {
		end := bytes.TrimRight(o.plain, " \t\r\n\x00")
		if i := bytes.LastIndexByte(end, '}'); i >= len(end)-blockSize && i > 0 && json.Valid(end[:i+1]) {
			return true // something stands behind the JSON that is no padding
		}
		if json.Valid(end) || paddingLen(lastBlock(o.plain)) > 0 || bytes.HasSuffix(end, []byte("}")) || !bytes.HasPrefix(bytes.TrimSpace(end), []byte("{")) {
			return true // another padding, or none
		}
		m := removedBlock(n, n)
		m.codes = []Code{"block-removed", "padding"}
		m.why = fmt.Sprintf("data ends after block %d, in the middle of the JSON: the end was cut off at a block's edge", n)
		m.fix = cutFix
		r.fail(m)
		return false
	}
	if json.Valid(text) {
		return true
	}
	if seam := removedAt(text); seam >= 0 {
		m := removedBlock(seam, n)
		m.codes = []Code{"block-removed", "plaintext"}
		m.why = fmt.Sprintf("a block is missing from data, before block %d of %d: what stands on both sides is JSON, and breaks off there", seam+1, n)
		if seam == 0 {
			m.why = "the first block of data is missing"
		}
		r.fail(m)
		return false
	}
	return true
}

// removedAt returns the block before which one is missing: what is in front of
// it begins an object, and what follows ends one. It returns -1 if there is no
// such place.
func removedAt(text []byte) int {
	if len(text) > 1<<14 {
		return -1
	}
	object, bad := parseJSON(text)
	if bad == nil || bad.word != "not-json" && bad.word != "trailing-bytes" && bad.word != "not-an-object" {
		return -1
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if endsObject(text) {
			return 0
		}
		return -1
	}
	if bad.word == "trailing-bytes" && object.kind != 'o' {
		return -1
	}
	for i := 1; i*blockSize < len(text) && i*blockSize <= bad.offset; i++ {
		if endsObject(text[i*blockSize:]) {
			return i
		}
	}
	return -1
}

// endsObject reports whether text is the end of a JSON object, from whatever
// place on.
func endsObject(text []byte) bool {
	for _, head := range []string{
		`{"n":"x`,   // within a string
		`{"n`,       // within a name
		`{"n"`,      // behind a name
		`{"n":`,     // before a value
		`{"n":1`,    // behind a value, or within a number
		`{"n":"x"`,  // behind a string
		`{"n":1,`,   // before a name
		`{"n":tru`,  // within a word
		`{"n":fals`, // within a word
		`{"n":nul`,
		`{"n":{"m":"x`,
		`{"n":["x`,
	} {
		if json.Valid(append([]byte(head), text...)) {
			return true
		}
	}
	return false
}

// onlyKnownNames reports whether every name of an object is one that some
// page of the document has.
func onlyKnownNames(text []byte) bool {
	object, bad := parseJSON(text)
	if bad != nil || object.kind != 'o' || len(object.members) == 0 {
		return false
	}
	for _, p := range object.members {
		if !knownName(p.name) {
			return false
		}
	}
	return true
}

// knownName reports whether some schema of the document has the name.
func knownName(name string) bool {
	for _, s := range api.Schemas() {
		if schema, ok := api.LookupSchema(s); ok {
			if _, ok := schema.Member(name); ok {
				return true
			}
		}
	}
	return false
}

// otherEncoding reports whether the blocks that are not UTF-8 are text in
// another encoding.
func (o *opening) otherEncoding(bad []int) bool {
	for _, i := range bad {
		b := o.block(i)
		if i == len(o.text)-1 {
			if _, ok := unpad(o.plain); !ok {
				return false // broken padding as well: the block was changed
			}
			b = b[:len(b)-paddingLen(b)]
		}
		if !narrowText(b) && !(len(b) > 2 && narrowText(b[1:])) {
			return false
		}
	}
	text := o.plain[:len(o.plain)-paddingLen(lastBlock(o.plain))]
	return !utf8.Valid(text) && strings.IndexFunc(string(text), func(c rune) bool { return c < 0x20 && c != '\n' && c != '\r' && c != '\t' }) < 0
}
