package explain

import (
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/envelope"
)

// opening is how a message was decrypted.
type opening struct {
	key   namedKey
	devs  []*deviation // none: as the gateway does
	plain []byte       // with its padding; nil if it is not known
	text  []bool       // by block: it is text
	ecb   bool

	padded  bool   // plain still has its padding
	payload []byte // one JSON object, once it is known to be one
	form    envelope.Form
	honest  bool // the kit opens it
}

// sealed opens what data holds, and says why that fails. It returns true once
// there is a payload.
func (r *run) sealed() bool {
	keys := r.x.keysOf(r.outer.merchant)
	if r.honestly(keys) {
		return true
	}
	ct, ok := r.decodeData()
	if !ok {
		return false
	}
	if r.opened == nil { // an other cipher may have been found already
		if r.opened = r.findKey(ct); r.opened == nil {
			return false
		}
	}
	o := r.opened
	if o.plain == nil {
		return false
	}
	if !r.takePaddingOff(o) {
		return false
	}
	object, ok := r.readPlaintext(o)
	if !ok {
		return false
	}
	return r.checkDigest(o, object)
}

// honestly lets the kit open the envelope.
func (r *run) honestly(keys []namedKey) bool {
	s := envelope.Sealed{Data: r.outer.data, MD5: r.outer.md5}
	for _, k := range keys {
		p, err := k.key.Open(s)
		if err != nil {
			continue
		}
		object, bad := parseJSON(p.JSON)
		if bad != nil {
			continue // the kit has read it; tests hold the two readers together
		}
		compact := withoutSpace(r.outer.data)
		r.pass(StepBase64, "%s", base64Text(r.outer.data, compact))
		r.pass(StepLength, "%s", plural(base64.StdEncoding.DecodedLen(len(compact))/blockSize, "block"))
		r.pass(StepKey, "%s", r.keyName(k))
		r.pass(StepPadding, "PKCS#5")
		r.pass(StepPlaintext, "JSON of %s", plural(len(object.members), "member"))
		r.pass(StepDigest, "form %s", p.Form)
		r.opened = &opening{key: k, payload: p.JSON, form: p.Form, honest: true, ecb: true}
		if p.Form != envelope.FormJava {
			r.note("the digest fits in the form %s; the kit accepts it, the gateway is known to use the form java alone", p.Form)
		}
		r.compareAgainst(object)
		return true
	}
	return false
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// readable reports whether a key that fits the envelope turns some block into
// text.
func (r *run) readable(ct []byte) bool {
	if len(ct) == 0 || len(ct)%blockSize != 0 {
		return false
	}
	for _, k := range r.x.keysOf(r.outer.merchant) {
		if _, ok := opensAs(honestCipher(r.outer.md5, k.Text()), ct); ok {
			return true
		}
	}
	return false
}

// findKey finds out how the blocks were encrypted, and reports what is unusual
// about it. It returns nil if nothing more can be said.
func (r *run) findKey(ct []byte) *opening {
	o := &r.outer
	keys, others := r.x.keysOf(o.merchant), r.x.otherKeys(o.merchant)
	if len(keys) == 0 {
		return r.unknownMerchant(ct, others)
	}
	for _, k := range keys {
		if found := r.asGateway(k, ct); found != nil {
			return found
		}
	}
	for _, k := range others {
		if found := r.asGateway(k, ct); found != nil {
			return found
		}
	}
	for _, k := range keys {
		if found := r.wholeMD5Case(k, ct); found != nil {
			return found
		}
	}
	for _, k := range keys {
		if found := r.derived(k, ct, 1); found != nil {
			return r.reportKey(found)
		}
	}
	if found := r.repairedMD5(keys, ct); found != nil {
		return found
	}
	for _, k := range keys {
		if found := r.derived(k, ct, 2); found != nil {
			return r.reportKey(found)
		}
	}
	if found := r.otherCipher(ct, false); found != nil {
		return r.reportKey(found)
	}
	if found := r.keyOfAgainst(keys, ct); found != nil {
		return found
	}
	r.foreign(ct)
	return nil
}

func (r *run) unknownMerchant(ct []byte, others []namedKey) *opening {
	o := &r.outer
	name := o.merchant
	if r.opt.Redact {
		name = fmt.Sprintf("a name of %d characters", utf8.RuneCountInString(name))
	} else {
		name = printableName(name)
	}
	m := mistake{
		step: StepKey, codes: []Code{"unknown-merchant"}, at: At{In: "body", Member: "merchant_id"},
		why: "there is no sign key for the merchant that the envelope names (" + name + ")",
		fix: "give its key, or look whether merchant_id was changed: nothing authenticates it",
	}
	if o.merchant == "" {
		m.why = "there is no sign key to try"
		m.fix = "give one: --keys FILE, or OTTPAY_SIGN_KEY"
		m.at = At{}
	}
	for _, k := range others {
		block := honestCipher(o.md5, k.Text())
		if m, ok := opensAs(block, ct); !ok || m != modeECB {
			continue
		}
		m.why += "; the message opens with " + r.keyName(k)
		m.fix = "merchant_id was changed outside, or the sender has mixed up two merchants"
		r.fail(m)
		plain := decryptECB(block, ct)
		return &opening{key: k, plain: plain, text: textBlocks(plain), ecb: true, padded: true}
	}
	r.fail(m)
	return nil
}

// asGateway decrypts as the gateway does, and reports what was done to the
// blocks. It returns nil if the key is not the one.
func (r *run) asGateway(k namedKey, ct []byte) *opening {
	block := honestCipher(r.outer.md5, k.Text())
	plain := decryptECB(block, ct)
	text := textBlocks(plain)
	good := 0
	for _, t := range text {
		if t {
			good++
		}
	}
	found := &opening{key: k, plain: plain, text: text, ecb: true, padded: true}
	if good == len(text) {
		if len(text) == 1 && !startsLikeJSON(plain) && !plausibleSingle(plain) {
			return nil
		}
	} else if m, ok := opensAs(block, ct); ok && m != modeECB || !ok && !mostlyText(plain, text) {
		return nil
	}
	r.foundMerchant(k)
	if !r.blocks(found, ct) {
		return found // altered: nothing behind it can be trusted
	}
	r.pass(StepKey, "%s", r.keyName(k))
	return found
}

// plausibleSingle judges the only block of a message.
func plausibleSingle(plain []byte) bool {
	text := plain[:len(plain)-paddingLen(plain)]
	return len(text) >= 12 && plainText(text)
}

// mostlyText reports whether enough blocks are text to tell a key from chance:
// one that is ASCII through and through, or two of other text.
func mostlyText(plain []byte, text []bool) bool {
	plainBlocks, others := 0, 0
	seen := make(map[string]bool)
	for i, t := range text {
		b := plain[i*blockSize : (i+1)*blockSize]
		if seen[string(b)] {
			continue
		}
		seen[string(b)] = true
		if i == len(text)-1 {
			b = b[:len(b)-paddingLen(b)]
		}
		switch {
		case !t || len(b) < 12:
		case plainText(b):
			plainBlocks++
		default:
			others++
		}
	}
	return plainBlocks > len(text)/256 || plainBlocks+others >= 2+len(text)/64
}

// convincing reports whether most of a plaintext is text. One derivation among
// thousands may turn a block or two into text by chance.
func convincing(plain []byte, text []bool, whole bool) bool {
	good, all := 0, len(text)
	seen := make(map[string]bool)
	for i, t := range text {
		b := string(plain[i*blockSize : min(len(plain), (i+1)*blockSize)])
		if i == 0 && !whole || seen[b] {
			all-- // the vector of the first one is not known, or it is no new evidence
			continue
		}
		seen[b] = true
		if t || narrowText([]byte(b)) {
			good++
		}
	}
	return good > 0 && 2*good >= all && (all > 1 || startsLikeJSON(plain[:min(len(plain), blockSize)]) || !whole)
}

// foundMerchant reports a message that opens with the key of another merchant
// than it names.
func (r *run) foundMerchant(k namedKey) {
	o := &r.outer
	if o.merchant == "" || k.Merchant == "" || k.Merchant == o.merchant {
		return
	}
	m := mistake{
		step: StepKey, codes: []Code{"merchant"}, at: At{In: "body", Member: "merchant_id"},
		why: fmt.Sprintf("merchant_id says %s, and the message is sealed with the key of %s", printableName(o.merchant), k.Merchant),
		fix: "name the merchant whose key seals; if it arrived so, merchant_id was changed on the way",
	}
	if r.opt.Redact {
		m.why = "merchant_id names one configured merchant, and the message is sealed with the key of another"
	}
	r.fail(m)
}

// wholeMD5Case finds a key that was derived from md5 in the other case.
func (r *run) wholeMD5Case(k namedKey, ct []byte) *opening {
	received := r.outer.md5
	for _, m := range md5Spellings(received)[1:] {
		if m.dev == nil || m.dev.code != "key-case" {
			continue
		}
		block := honestCipher(m.text, k.Text())
		if m, ok := opensAs(block, ct); !ok || m != modeECB {
			continue
		}
		plain := decryptECB(block, ct)
		if strings.ToLower(received) != received && strings.ToUpper(received) != received {
			// Only some digits differ in case: they were changed one by one.
			r.fail(mistake{
				step: StepKey, codes: []Code{"altered-md5", "key-case"}, at: At{In: "md5", Member: "md5"},
				why: "md5 holds letters of both cases; the message was sealed with " + map[bool]string{true: "lower", false: "upper"}[m.text == strings.ToLower(received)] + "-case ones",
				fix: "hand md5 on to the letter: the AES key is derived from its text",
			})
			return &opening{key: k, plain: plain, text: textBlocks(plain), ecb: true, padded: true}
		}
		found := &opening{key: k, devs: []*deviation{m.dev}, plain: plain, text: textBlocks(plain), ecb: true, padded: true}
		r.reportKey(found)
		return found
	}
	return nil
}

// derived searches the derivations of at most max deviations in the chaining
// modes that show themselves.
func (r *run) derived(k namedKey, ct []byte, max int) *opening {
	var found *opening
	var foundKey []byte
	var foundMode mode
	size := 0
	derivations(r.outer.md5, k.Text(), max, func(d derivation) bool {
		if found != nil && len(d.devs) > size {
			return false // those of as many deviations were all looked at
		}
		if found != nil && string(d.key) != string(foundKey) {
			return true
		}
		block := aesBlock(d.key)
		if block == nil {
			return true
		}
		if found != nil { // another way to the same key
			for _, have := range found.devs {
				for _, same := range d.devs {
					if have.code != same.code && !slices.Contains(have.also, same.code) {
						have.also = append(slices.Clone(have.also), same.code)
					}
				}
			}
			return true
		}
		m, ok := opensAs(block, ct)
		if !ok || m == modeECB && len(d.devs) == 0 {
			return true
		}
		plain, whole := decryptIn(m, block, ct, commonVectors(d.key, r.outer.md5, k.Text()))
		text := textBlocks(plain)
		if !convincing(plain, text, whole) {
			return true
		}
		found = &opening{key: k, devs: copyDevs(d.devs), plain: plain, text: text, ecb: m == modeECB, padded: m != modeCFB}
		foundKey, foundMode, size = d.key, m, len(d.devs)
		if m != modeECB {
			found.devs = append(found.devs, modeDeviation(string(m), whole))
			if !whole {
				found.plain = nil
			}
		}
		return len(d.devs) > 0
	})
	if found != nil && foundMode == modeCFB {
		found.padded = paddingLen(lastBlock(found.plain)) > 0
	}
	return found
}

func lastBlock(plain []byte) []byte {
	if len(plain) == 0 || len(plain)%blockSize != 0 {
		return nil
	}
	return plain[len(plain)-blockSize:]
}

func copyDevs(all []*deviation) []*deviation {
	out := make([]*deviation, len(all))
	for i, d := range all {
		c := *d
		out[i] = &c
	}
	return out
}

func modeDeviation(m string, whole bool) *deviation {
	why := "AES in " + m + " mode"
	if !whole {
		why += ", with an initialisation vector that is not known"
	}
	return dev("cipher-mode", why, "use AES-128 in ECB mode, without an initialisation vector")
}

// reportKey reports the deviations of a key that was found.
func (r *run) reportKey(found *opening) *opening {
	found.report(r)
	return found
}

// report names the first deviation, and the others as what follows.
func (o *opening) report(r *run, also ...Code) {
	for _, d := range o.devs {
		codes := append([]Code{d.code}, d.also...)
		for _, c := range also {
			if !slices.Contains(codes, c) {
				codes = append(codes, c)
			}
		}
		r.fail(mistake{step: StepKey, codes: codes, why: d.why, fix: d.fix})
	}
	r.note("the message opens with %s, derived so", r.keyName(o.key))
}

// repairedMD5 tells an altered md5 from a foreign key by trying what one slip
// makes of it.
func (r *run) repairedMD5(keys []namedKey, ct []byte) *opening {
	received := r.outer.md5
	attempt := func(k namedKey, text, why string, at int) *opening {
		block := honestCipher(text, k.Text())
		if m, ok := opensAs(block, ct); !ok || m != modeECB {
			return nil
		}
		plain := decryptECB(block, ct)
		if !convincing(plain, textBlocks(plain), true) {
			return nil
		}
		place := offset("md5", at)
		place.Member = "md5"
		r.fail(mistake{
			step: StepKey, codes: []Code{"altered-md5"}, at: place, why: why,
			fix: "hand md5 on to the letter: the AES key is derived from its text",
		})
		r.note("the message opens with %s once md5 is repaired", r.keyName(k))
		r.outer.md5 = text
		return &opening{key: k, plain: plain, text: textBlocks(plain), ecb: true, padded: true}
	}
	digits := "0123456789ABCDEF"
	if strings.ToUpper(received) != received {
		digits = "0123456789abcdef"
		if strings.ToLower(received) != received {
			digits = "0123456789ABCDEFabcdef"
		}
	}
	for _, k := range keys {
		b := []byte(received)
		for i, old := range b {
			for _, d := range []byte(digits) {
				if d == old {
					continue
				}
				b[i] = d
				if found := attempt(k, string(b), fmt.Sprintf("digit %d of md5 was changed after the message was sealed", i+1), i); found != nil {
					return found
				}
			}
			b[i] = old
		}
		for i := range b {
			for j := i + 1; j < len(b); j++ {
				if b[i] == b[j] {
					continue
				}
				b[i], b[j] = b[j], b[i]
				found := attempt(k, string(b), fmt.Sprintf("digits %d and %d of md5 are exchanged", i+1, j+1), i)
				b[i], b[j] = b[j], b[i]
				if found != nil {
					return found
				}
			}
		}
		reversed := []byte(received)
		slices.Reverse(reversed)
		if found := attempt(k, string(reversed), "the digits of md5 stand in reverse", 0); found != nil {
			return found
		}
		// Two bytes of each pair, or the order of 32-bit words.
		swapped := []byte(received)
		for i := 0; i+1 < len(swapped); i += 2 {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		}
		if found := attempt(k, string(swapped), "the two digits of each byte of md5 are exchanged", 0); found != nil {
			return found
		}
	}
	return nil
}

// keyOfAgainst uses what was meant to be sealed: if its digest opens the
// message, md5 was exchanged for another.
func (r *run) keyOfAgainst(keys []namedKey, ct []byte) *opening {
	object, bad := parseJSON(r.opt.Against)
	if bad != nil || object.kind != 'o' {
		return nil
	}
	for _, form := range acceptedForms() {
		sum := md5.Sum([]byte(joined(object, form)))
		for _, spelled := range []string{upperHex(sum[:]), strings.ToLower(upperHex(sum[:]))} {
			for _, k := range keys {
				block := honestCipher(spelled, k.Text())
				if m, ok := opensAs(block, ct); !ok || m != modeECB {
					continue
				}
				r.fail(mistake{
					step: StepKey, codes: []Code{"altered-md5"}, at: At{In: "body", Member: "md5"},
					why: "md5 is not the digest that data was sealed under: it belongs to another message, or was computed again",
					fix: "send the md5 that the AES key was derived from",
				})
				r.outer.md5 = spelled
				plain := decryptECB(block, ct)
				return &opening{key: k, plain: plain, text: textBlocks(plain), ecb: true, padded: true}
			}
		}
	}
	return nil
}

// otherCipher tries what does not show in pairs of blocks: stream modes, other
// ciphers, passwords, and single blocks. Any length will do.
func (r *run) otherCipher(ct []byte, odd bool) *opening {
	for _, k := range r.x.keysOf(r.outer.merchant) {
		if found := r.salted(k, ct); found != nil {
			return found
		}
		var found *opening
		derivations(r.outer.md5, k.Text(), 1, func(d derivation) bool {
			ivs := commonVectors(d.key, r.outer.md5, k.Text())
			if block := aesBlock(d.key); block != nil {
				if s, ok := asStream(block, ct, ivs); ok {
					found = &opening{key: k, plain: s.plain, devs: append(copyDevs(d.devs), modeDeviation(s.name, true))}
				} else if odd && len(ct) > 2*blockSize {
					// An unknown vector hides the first block of CFB alone.
					if m, ok := opensAs(block, ct[:len(ct)/blockSize*blockSize]); ok && m == modeCFB {
						found = &opening{key: k, devs: append(copyDevs(d.devs), modeDeviation(string(m), false))}
						if plain, whole := decryptIn(m, block, ct, ivs); whole {
							found.plain = plain
							found.devs[len(found.devs)-1] = modeDeviation(string(m), true)
						}
					}
				} else if !odd && len(ct) <= 2*blockSize {
					if plain, whole := decryptIn(modeCBC, block, ct, ivs); whole {
						found = &opening{key: k, plain: plain, padded: true, devs: append(copyDevs(d.devs), modeDeviation(string(modeCBC), true))}
					}
				}
			}
			if found == nil && len(ct)%8 == 0 {
				for name, block := range olderCiphers(d.key) {
					for _, m := range []mode{modeECB, modeCBC} {
						plain, whole := decryptIn(m, block, ct, ivs)
						if whole && len(plain) >= 16 && startsLikeJSON(plain[:16]) && (len(plain) < 32 || textBlock(plain[16:24])) {
							found = &opening{key: k, plain: plain, padded: true, devs: append(copyDevs(d.devs), dev("cipher-mode", name+" in "+string(m)+" mode in place of AES", "use AES-128 in ECB mode"))}
						}
					}
				}
			}
			return found == nil
		})
		if found != nil {
			found.text = textBlocks(found.plain)
			return found
		}
	}
	return nil
}

// salted recognises what a password-based library writes: Salted__, a salt,
// and AES-256 in CBC mode.
func (r *run) salted(k namedKey, ct []byte) *opening {
	if len(ct) < 32 || string(ct[:8]) != "Salted__" {
		return nil
	}
	d := dev("cipher-mode", "data is what OpenSSL and CryptoJS write for a password: Salted__, a salt, and AES-256 in CBC mode",
		"hand the 16 characters over as a key, not as a password (CryptoJS: enc.Utf8.parse), with ECB mode")
	found := &opening{key: k, devs: []*deviation{d}, padded: true}
	hashes := []func([]byte) []byte{
		func(b []byte) []byte { s := md5.Sum(b); return s[:] },
		func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
	}
	derivations(r.outer.md5, k.Text(), 1, func(c derivation) bool {
		for _, hash := range hashes {
			key, iv := saltedKey(string(c.key), ct[8:16], hash)
			block := aesBlock(key)
			first := make([]byte, blockSize)
			block.Decrypt(first, ct[16:32])
			xor(first, iv)
			if startsLikeJSON(first) {
				plain := make([]byte, len(ct)-16)
				if len(plain)%blockSize != 0 {
					return false
				}
				cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, ct[16:])
				found.plain = plain
				found.devs = append(found.devs, copyDevs(c.devs)...)
				return false
			}
		}
		return true
	})
	return found
}

// foreign reports that nothing opens the message.
func (r *run) foreign(ct []byte) {
	keys := r.x.keysOf(r.outer.merchant)
	blocks := len(ct) / blockSize
	m := mistake{
		step: StepKey, codes: []Code{"foreign-key", "altered-md5"}, at: At{Blocks: blocks},
		why: fmt.Sprintf("no key that was given opens the message: none of its %d blocks is text", blocks),
		fix: "compare the sender's sign key with yours to the letter; if it is the same, md5 is not the one that was sealed with",
	}
	if len(keys) > 1 {
		m.why = fmt.Sprintf("none of the %d keys opens the message: none of its %d blocks is text", len(keys), blocks)
	}
	letters := withoutSpace(r.outer.data)
	switch {
	case len(letters) >= 64 && letters == strings.ToLower(letters), len(letters) >= 64 && letters == strings.ToUpper(letters):
		m.codes = []Code{"altered-data"}
		m.why = "all letters of data have the same case: something on the way has changed them"
		m.fix = "hand data on as it is; Base64 needs both cases"
	case blocks == 1:
		m.codes = append(m.codes, "altered-data")
		m.why = "no key that was given opens the message; with one block, a foreign key and an altered message look the same"
	}
	r.fail(m)
}
