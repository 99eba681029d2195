package explain

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"strings"
	"unicode"
	"unicode/utf8"
)

// honestKey derives the AES key as the gateway does: characters 8 to 23 of the
// upper-case hexadecimal MD5 of the text of md5 and the sign key.
func honestKey(md5Text, signKey string) []byte {
	sum := md5.Sum([]byte(md5Text + signKey))
	return []byte(upperHex(sum[:])[8:24])
}

func honestCipher(md5Text, signKey string) cipher.Block {
	block, err := aes.NewCipher(honestKey(md5Text, signKey))
	if err != nil {
		panic("explain: " + err.Error()) // 16 bytes are an AES key
	}
	return block
}

func upperHex(b []byte) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// decryptECB decrypts whole blocks into a new slice.
func decryptECB(block cipher.Block, ct []byte) []byte {
	out := make([]byte, len(ct))
	for i := 0; i+blockSize <= len(ct); i += blockSize {
		block.Decrypt(out[i:], ct[i:i+blockSize])
	}
	return out
}

// textBlock reports whether 16 decrypted bytes look like a piece of UTF-8
// text. A character may be cut at either end. Of random blocks about fourteen in
// a million pass, so that one block alone proves nothing.
func textBlock(b []byte) bool {
	for n := 0; n < 3 && len(b) > 0 && b[0]&0xc0 == 0x80; n++ {
		b = b[1:]
	}
	for len(b) > 0 {
		c := b[0]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
				return false
			}
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return len(b) < utf8.UTFMax && !utf8.FullRune(b)
		}
		if !unicode.IsPrint(r) && !unicode.In(r, unicode.Cf, unicode.Zs) {
			return false
		}
		b = b[n:]
	}
	return true
}

// textBlocks judges each block of a plaintext; of the last one, what is left
// without the padding.
func textBlocks(plain []byte) []bool {
	n := (len(plain) + blockSize - 1) / blockSize
	text := make([]bool, n)
	if wideText(plain) || compressedText(plain) {
		for i := range text {
			text[i] = true
		}
		return text
	}
	end := len(plain) - trailingPadding(plain)
	for i := range n {
		from, to := i*blockSize, min(end, (i+1)*blockSize)
		text[i] = from >= to || textBlock(plain[from:to])
	}
	return text
}

// trailingPadding returns how many bytes at the end look like padding, which
// may be longer than a block, or stand there twice.
func trailingPadding(plain []byte) int {
	total := 0
	for range 2 {
		rest := plain[:len(plain)-total]
		if len(rest) == 0 || len(rest)%blockSize != 0 {
			break
		}
		last, run := rest[len(rest)-1], 0
		for run < len(rest) && rest[len(rest)-1-run] == last {
			run++
		}
		n := paddingLen(lastBlock(rest))
		if run > blockSize && (last == 0 || int(last) == run && run <= 32) {
			n = run
		}
		if n == 0 {
			break
		}
		total += n
	}
	// A terminating zero of C, before the padding.
	for total > 0 && total < len(plain) && plain[len(plain)-total-1] == 0 {
		total++
	}
	return total
}

// paddingLen returns how many bytes at the end of the last block look like
// padding of some kind.
func paddingLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	last := b[len(b)-1]
	run := 0
	for run < len(b) && b[len(b)-1-run] == last {
		run++
	}
	switch n := int(last); {
	case n == 0x80 && len(b) > 1 && b[len(b)-2] == '}':
		return 1 // ISO 7816
	case n == 0, n == run && n <= blockSize:
		zeros := run
		if n == 0 && zeros < len(b) && b[len(b)-1-zeros] == 0x80 {
			zeros++ // ISO 7816
		}
		return zeros
	case n > blockSize && n <= 32 && run == len(b):
		return run // PKCS#7 to 32 bytes
	case n >= 2 && n <= len(b) && allZero(b[len(b)-n:len(b)-1]):
		return n // X9.23
	case n >= 2 && n <= len(b) && b[len(b)-n-min(1, len(b)-n)] == '}' && last < 0x20:
		return n // ISO 10126: random bytes, then how many
	}
	return 0
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// wideText reports whether plain is UTF-16: every other byte of its beginning
// is zero.
func wideText(plain []byte) bool {
	if len(plain) < blockSize {
		return false
	}
	head := plain[:blockSize]
	if head[0] == 0xff && head[1] == 0xfe || head[0] == 0xfe && head[1] == 0xff {
		head = head[2:]
	}
	odd, even := 0, 0
	for i, c := range head[:12] {
		if c == 0 {
			if i%2 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	return odd == 6 && even == 0 || even == 6 && odd == 0
}

// compressedText reports whether plain is compressed JSON.
func compressedText(plain []byte) bool {
	if len(plain) < blockSize || plain[0] != 0x1f && plain[0] != 0x78 {
		return false
	}
	out, name := inflate(plain)
	return name != "" && len(out) > 0 && utf8.Valid(out)
}

// startsLikeJSON reports whether the first decrypted block is the beginning of
// an object: a brace, perhaps white space, a name or a part of it, and text.
// Of random blocks, less than one in a hundred million passes.
func startsLikeJSON(b []byte) bool {
	text := bytes.TrimPrefix(b, []byte("\ufeff"))
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 || text[0] != '{' {
		return false
	}
	text = bytes.TrimLeft(text[1:], " \t\r\n")
	least := 6 // letters of a bare name, which must prove itself by its length
	if rest := bytes.TrimLeft(text, "\\"); len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		text, least = rest[1:], 2
		if len(text) < 2 {
			least = len(text) // white space has filled the block
		}
	}
	name := 0
	for name < len(text) && (text[name] == '_' || text[name] == '-' || text[name] == '.' || text[name] >= '0' && text[name] <= '9' || text[name]|0x20 >= 'a' && text[name]|0x20 <= 'z') {
		name++
	}
	switch rest := text[name:]; {
	case name < least:
		return false
	case len(rest) == 0:
		return true
	case bytes.IndexByte([]byte("\"'\\:= \t\r\n"), rest[0]) < 0:
		return false
	default:
		return textBlock(rest) || narrowText(rest)
	}
}

// plainText reports whether b is ASCII text, which random bytes are about once
// in five million blocks.
func plainText(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c > 0x7e {
			return false
		}
	}
	return len(b) > 0
}

// narrowText reports whether b has no control character, and no more bytes
// beyond ASCII than text in Latin-1 or GBK has.
func narrowText(b []byte) bool {
	high := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f:
			return false
		case c >= 0x81 && c <= 0xfe && i+1 < len(b) && gbkTail(b[i+1]) && commonGBK(c, b[i+1]):
			i++
		case c >= 0x80:
			high++
		}
	}
	return high <= 5
}

func gbkTail(c byte) bool { return c >= 0x40 && c <= 0xfe && c != 0x7f }

// commonGBK reports whether two bytes are one of the characters of GB 2312,
// which are those in use.
func commonGBK(lead, tail byte) bool {
	return tail >= 0xa1 && (lead >= 0xb0 && lead <= 0xf7 || lead >= 0xa1 && lead <= 0xa3)
}

// mode is how blocks were chained.
type mode string

const (
	modeECB mode = "ECB"
	modeCBC mode = "CBC"
	modeCFB mode = "CFB"
	modeOFB mode = "OFB"
	modeCTR mode = "CTR"
	modeGCM mode = "GCM"
)

// opensAs reports in which mode a key turns the blocks into text, if any. It
// looks at the first three blocks, so that one altered block does not hide a
// key.
func opensAs(block cipher.Block, ct []byte) (mode, bool) {
	size := block.BlockSize()
	n := len(ct) / size
	if n == 0 {
		return "", false
	}
	var d [3][blockSize]byte
	plain := func(i int) []byte {
		b := d[i][:size]
		if i == n-1 {
			b = b[:len(b)-paddingLen(b)]
		}
		return b
	}
	block.Decrypt(d[0][:], ct[:size])
	starts := startsLikeJSON(d[0][:size])
	if n == 1 {
		return modeECB, starts && (paddingLen(d[0][:size]) > 0 || bytes.HasSuffix(d[0][:size], []byte("}")))
	}
	block.Decrypt(d[1][:], ct[size:2*size])
	if starts {
		// With a vector of zeros the first block of CBC is that of ECB.
		if second := d[1]; !textBlock(plain(1)) {
			xor(second[:size], ct[:size])
			if textBlock(second[:size-lastPadding(second[:size], n == 2)]) {
				return modeCBC, true
			}
		}
		return modeECB, true
	}
	// Equal blocks decrypt to equal text: they are one piece of evidence.
	first, second := textBlock(d[0][:size]), textBlock(plain(1)) && !bytes.Equal(ct[:size], ct[size:2*size])
	if first && second && (n > 2 || size == blockSize && len(plain(1)) > 0) {
		return modeECB, true
	}
	if n > 2 {
		block.Decrypt(d[2][:], ct[2*size:3*size])
		third := textBlock(plain(2))
		fresh := !bytes.Equal(ct[2*size:3*size], ct[:size]) && !bytes.Equal(ct[2*size:3*size], ct[size:2*size])
		if (first || second) && third && fresh && len(plain(2)) >= size/2 {
			return modeECB, true
		}
		xor(d[2][:size], ct[size:2*size])
		third = textBlock(plain(2)) && len(plain(2)) > 0
		xor(d[1][:size], ct[:size])
		if textBlock(plain(1)) && third {
			return modeCBC, true
		}
		var e [2][blockSize]byte
		block.Encrypt(e[0][:], ct[:size])
		xor(e[0][:size], ct[size:2*size])
		block.Encrypt(e[1][:], ct[size:2*size])
		xor(e[1][:size], ct[2*size:3*size])
		last := e[1][:size]
		if n == 3 && len(ct) == 3*size {
			last = last[:len(last)-paddingLen(last)]
		}
		if textBlock(e[0][:size]) && textBlock(last) && len(last) > 0 {
			return modeCFB, true
		}
		return "", false
	}
	xor(d[1][:size], ct[:size])
	end, padded := unpad(d[1][:size])
	if !padded {
		end = bytes.TrimRight(d[1][:size], "\x00")
	}
	if startsLikeJSON(d[1][:size]) || plainText(end) && bytes.HasSuffix(bytes.TrimRight(end, " \r\n"), []byte("}")) {
		return modeCBC, true
	}
	return "", false
}

// lastPadding is paddingLen of a last block, and 0 of another.
func lastPadding(b []byte, last bool) int {
	if !last {
		return 0
	}
	return paddingLen(b)
}

func xor(dst, src []byte) {
	for i := range dst {
		dst[i] ^= src[i]
	}
}

// decryptIn decrypts in a chaining mode. It returns the plaintext, and whether
// its beginning is known: with an unknown initialisation vector the first
// block is not.
func decryptIn(m mode, block cipher.Block, ct []byte, ivs [][]byte) (plain []byte, whole bool) {
	size := block.BlockSize()
	switch m {
	case modeECB:
		out := make([]byte, len(ct)/size*size)
		for i := 0; i+size <= len(ct); i += size {
			block.Decrypt(out[i:], ct[i:i+size])
		}
		return out, true
	case modeCBC:
		out := make([]byte, len(ct)/size*size)
		for i := 0; i+size <= len(ct); i += size {
			block.Decrypt(out[i:], ct[i:i+size])
			if i > 0 {
				xor(out[i:i+size], ct[i-size:i])
			}
		}
		if len(out) > size && startsLikeJSON(out[size:2*size]) {
			return out[size:], true // the vector stands in front
		}
		return vectored(out, size, ivs, func(iv []byte) []byte { return iv })
	case modeCFB:
		out := make([]byte, len(ct))
		copy(out, ct)
		var e [blockSize]byte
		for i := size; i < len(ct); i += size {
			block.Encrypt(e[:], ct[i-size:i])
			xor(out[i:min(i+size, len(ct))], e[:size])
		}
		if len(out) >= 2*size && startsLikeJSON(out[size:2*size]) {
			return out[size:], true
		}
		return vectored(out, size, ivs, func(iv []byte) []byte {
			block.Encrypt(e[:], iv)
			return e[:size]
		})
	}
	return nil, false
}

// vectored finds the initialisation vector under which the first block is the
// beginning of an object.
func vectored(out []byte, size int, ivs [][]byte, mask func(iv []byte) []byte) ([]byte, bool) {
	if len(out) < size {
		return out, false
	}
	first := make([]byte, size)
	for _, iv := range ivs {
		if len(iv) < size {
			continue
		}
		copy(first, out[:size])
		xor(first, mask(iv[:size]))
		if startsLikeJSON(first) {
			copy(out, first)
			return out, true
		}
	}
	return out, false
}

// commonVectors are the initialisation vectors that people write.
func commonVectors(aesKey []byte, md5Text, signKey string) [][]byte {
	pad := func(s string) []byte {
		b := make([]byte, blockSize)
		copy(b, s)
		return b
	}
	sum := md5.Sum([]byte(md5Text + signKey))
	return [][]byte{
		make([]byte, blockSize),
		pad(string(aesKey)),
		pad(signKey),
		pad(md5Text),
		pad(md5Text[min(8, len(md5Text)):]),
		pad(md5Text[min(16, len(md5Text)):]),
		sum[:],
		pad(upperHex(sum[:])),
		pad(upperHex(sum[:])[16:]),
		pad("0000000000000000"),
		pad("0123456789abcdef"),
		pad("0123456789ABCDEF"),
		pad("0102030405060708"),
		pad("1234567890123456"),
		pad("1234567812345678"),
		pad("abcdefghijklmnop"),
		pad(strings.Repeat(" ", blockSize)),
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	}
}

// streamed is a plaintext of a mode that turns a block cipher into a stream.
type streamed struct {
	name  string
	plain []byte
}

// asStream tries the modes whose key stream does not depend on the text, with
// the vectors that people use.
func asStream(block cipher.Block, ct []byte, ivs [][]byte) (streamed, bool) {
	if block.BlockSize() != blockSize || len(ct) < 8 {
		return streamed{}, false
	}
	attempt := func(name string, stream []byte, body []byte) (streamed, bool) {
		head := make([]byte, min(blockSize, len(body)))
		copy(head, body)
		xor(head, stream[:len(head)])
		if !startsLikeJSON(head) {
			return streamed{}, false
		}
		return streamed{name: name}, true
	}
	finish := func(s streamed, plain []byte) (streamed, bool) {
		for i := 0; i+blockSize < len(plain); i += blockSize {
			if !textBlock(plain[i:i+blockSize]) && !narrowText(plain[i:i+blockSize]) {
				return streamed{}, false
			}
		}
		s.plain = plain
		return s, true
	}
	var e [blockSize]byte
	bodies := []struct {
		iv   []byte
		body []byte
	}{}
	for _, iv := range ivs {
		bodies = append(bodies, struct{ iv, body []byte }{iv[:blockSize], ct})
	}
	if len(ct) > blockSize+8 {
		bodies = append(bodies, struct{ iv, body []byte }{ct[:blockSize], ct[blockSize:]})
	}
	for _, b := range bodies {
		block.Encrypt(e[:], b.iv)
		s, ok := attempt("", e[:], b.body)
		if !ok {
			continue
		}
		// The first block of CFB, OFB and CTR is the same.
		ctr := make([]byte, len(b.body))
		cipher.NewCTR(block, b.iv).XORKeyStream(ctr, b.body)
		if s, ok := finish(streamed{name: string(modeCTR)}, ctr); ok {
			return s, true
		}
		ofb := make([]byte, len(b.body))
		cipher.NewOFB(block, b.iv).XORKeyStream(ofb, b.body) //nolint:staticcheck // a mode that senders use by mistake
		if s, ok := finish(streamed{name: string(modeOFB)}, ofb); ok {
			return s, true
		}
		cfb := make([]byte, len(b.body))
		cipher.NewCFBDecrypter(block, b.iv).XORKeyStream(cfb, b.body) //nolint:staticcheck // likewise
		if s, ok := finish(streamed{name: string(modeCFB)}, cfb); ok {
			return s, true
		}
		if len(b.body) <= blockSize {
			s.name = string(modeCTR)
			return finish(s, ctr)
		}
	}
	// GCM is counter mode from 2 on, with twelve bytes of nonce; the tag of 16
	// bytes stands behind, or is sent elsewhere.
	nonces := []struct{ nonce, body []byte }{}
	for _, iv := range ivs {
		nonces = append(nonces, struct{ nonce, body []byte }{iv[:12], ct})
	}
	if len(ct) > 12+8 {
		nonces = append(nonces, struct{ nonce, body []byte }{ct[:12], ct[12:]})
	}
	if len(ct) > blockSize+8 { // a nonce of 16 bytes is hashed; the common libraries cut it
		nonces = append(nonces, struct{ nonce, body []byte }{ct[:12], ct[16:]})
	}
	for _, b := range nonces {
		counter := append(append(make([]byte, 0, blockSize), b.nonce...), 0, 0, 0, 2)
		block.Encrypt(e[:], counter)
		s, ok := attempt(string(modeGCM), e[:], b.body)
		if !ok {
			continue
		}
		body := b.body
		if len(body) > blockSize {
			body = body[:len(body)-blockSize]
		}
		plain := make([]byte, len(b.body))
		cipher.NewCTR(block, counter).XORKeyStream(plain, b.body)
		if !bytes.HasSuffix(bytes.TrimSpace(plain), []byte("}")) {
			plain = plain[:len(body)]
		}
		if s, ok := finish(s, plain); ok {
			return s, true
		}
	}
	return streamed{}, false
}

// tripleDES returns the older ciphers that a key of 16 characters serves.
func olderCiphers(key []byte) map[string]cipher.Block {
	out := make(map[string]cipher.Block)
	if len(key) >= 8 {
		if b, err := des.NewCipher(key[:8]); err == nil {
			out["DES"] = b
		}
	}
	if len(key) >= 16 {
		long := append(append([]byte{}, key[:16]...), key[:8]...)
		if len(key) >= 24 {
			long = key[:24]
		}
		if b, err := des.NewTripleDESCipher(long); err == nil {
			out["Triple DES"] = b
		}
		if b, err := des.NewTripleDESCipher(append(append([]byte{}, key[:16]...), make([]byte, 8)...)); err == nil {
			out["Triple DES (padded key)"] = b
		}
	}
	return out
}
