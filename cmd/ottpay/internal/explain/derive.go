package explain

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// deviation is one way in which a sender does other than the protocol.
type deviation struct {
	code Code
	also []Code // codes that describe the same mistake as well
	why  string
	fix  string
}

// derivation is a way to an AES key.
type derivation struct {
	devs []*deviation
	key  []byte
}

// dev is not inlined: hundreds of literals would double the code of this package.
//
//go:noinline
func dev(code Code, why, fix string, also ...Code) *deviation {
	return &deviation{code: code, also: also, why: why, fix: fix}
}

const (
	fixSlice = "take characters 8 to 23, counted from zero, of the 32 (docs/protocol.md 4.1)"
	fixOrder = "hash the md5 first and the sign key behind it"
	fixCase  = "write every hexadecimal digit in upper case before it is hashed or cut"
	fixBytes = "the AES key is the 16 characters as ASCII bytes; do not decode them"
	fixHash  = "the AES key is cut from the hexadecimal MD5 of the md5 and the sign key"
	fixJoin  = "put nothing between the md5 and the sign key"
	fixKey   = "trim what the configuration file or the variable holds"
)

type ingredient struct {
	text string
	dev  *deviation
}

type mixture struct {
	mix func(m, k string) string
	dev *deviation
}

type hashing struct {
	hash func(joined string) (digits string, raw []byte)
	dev  *deviation
}

type cut struct {
	cut func(digits string, raw []byte) []byte
	dev *deviation
}

// derivations calls yield with every derivation of at most max deviations,
// those with fewer first.
func derivations(md5Text, signKey string, max int, yield func(derivation) bool) {
	ms := md5Spellings(md5Text)
	ks := keySpellings(signKey)
	mixes, hashes, cuts := mixtures(), hashings(), cuts()
	for want := range max + 1 {
		if want == 1 {
			for _, d := range otherKeys(md5Text, signKey) {
				if !yield(d) {
					return
				}
			}
		}
		for _, m := range ms {
			for _, k := range ks {
				for _, mx := range mixes {
					if count(m.dev, k.dev, mx.dev) > want {
						continue
					}
					joined := ""
					for _, h := range hashes {
						left := want - count(m.dev, k.dev, mx.dev, h.dev)
						if left < 0 || left > 1 {
							continue
						}
						if joined == "" {
							joined = mx.mix(m.text, k.text)
						}
						digits, raw := h.hash(joined)
						for _, c := range cuts {
							if count(c.dev) != left {
								continue
							}
							key := c.cut(digits, raw)
							if key == nil {
								continue
							}
							if !yield(derivation{devs(m.dev, k.dev, mx.dev, h.dev, c.dev), key}) {
								return
							}
						}
					}
				}
			}
		}
	}
}

func count(all ...*deviation) (n int) {
	for _, d := range all {
		if d != nil {
			n++
		}
	}
	return n
}

// ranks is the order in which deviations of one message are named.
func ranks() []Code {
	return []Code{"key-slice", "key-order", "key-separator", "key-case", "key-bytes", "key-no-md5", "key-newline", "key-raw", "cipher-mode"}
}

func devs(all ...*deviation) []*deviation {
	var out []*deviation
	for _, d := range all {
		if d != nil {
			out = append(out, d)
		}
	}
	order := ranks()
	slices.SortStableFunc(out, func(a, b *deviation) int {
		return slices.Index(order, a.code) - slices.Index(order, b.code)
	})
	return out
}

func md5Spellings(md5Text string) []ingredient {
	list := []ingredient{{md5Text, nil}}
	if lower := strings.ToLower(md5Text); lower != md5Text {
		list = append(list, ingredient{lower, dev("key-case", "the AES key was derived from the md5 in lower case, and md5 was sent in upper case", fixCase)})
	}
	if upper := strings.ToUpper(md5Text); upper != md5Text {
		list = append(list, ingredient{upper, dev("key-case", "the AES key was derived from the md5 in upper case, and md5 arrived in lower case", "send md5 in the spelling that the key was derived from: upper case", "altered-md5")})
	}
	if raw, err := hex.DecodeString(md5Text); err == nil {
		list = append(list, ingredient{string(raw), dev("key-bytes", "the 16 bytes of the md5 were hashed in place of its 32 digits", "hash the text of the 32 digits")})
	}
	return list
}

func keySpellings(signKey string) []ingredient {
	list := []ingredient{{signKey, nil}}
	add := func(text string, d *deviation) {
		for _, have := range list {
			if have.text == text {
				return
			}
		}
		list = append(list, ingredient{text, d})
	}
	add(strings.ToLower(signKey), dev("key-case", "the sign key was put in lower case", "use the sign key to the letter"))
	add(strings.ToUpper(signKey), dev("key-case", "the sign key was put in upper case", "use the sign key to the letter"))
	for _, end := range []struct{ text, what string }{
		{"\n", "a line feed"}, {"\r\n", "a carriage return and a line feed"}, {"\r", "a carriage return"}, {" ", "a blank"}, {"\t", "a tab"}, {"\x00", "a NUL byte"},
	} {
		add(signKey+end.text, dev("key-newline", end.what+" at the end of the sender's sign key took part in the derivation", fixKey))
	}
	add(" "+signKey, dev("key-newline", "a blank in front of the sender's sign key took part in the derivation", fixKey))
	add("\n"+signKey, dev("key-newline", "a line feed in front of the sender's sign key took part in the derivation", fixKey))
	add(" "+signKey+" ", dev("key-newline", "blanks around the sender's sign key took part in the derivation", fixKey))
	add("\ufeff"+signKey, dev("key-newline", "a byte order mark in front of the sender's sign key took part in the derivation", "save the file of the key without a byte order mark"))
	add(`"`+signKey+`"`, dev("key-newline", "quotes around the sender's sign key took part in the derivation", "take the quotes of the configuration off"))
	add("'"+signKey+"'", dev("key-newline", "quotes around the sender's sign key took part in the derivation", "take the quotes of the configuration off"))
	if raw, err := hex.DecodeString(signKey); err == nil {
		add(string(raw), dev("key-bytes", "the sign key was decoded from hexadecimal digits before it was hashed", "hash the text of the sign key"))
	}
	return list
}

func mixtures() []mixture {
	list := []mixture{
		{func(m, k string) string { return m + k }, nil},
		{func(m, k string) string { return k + m }, dev("key-order", "the sign key was put before the md5", fixOrder)},
		{func(m, k string) string { return k + m + k }, dev("key-order", "the sign key was put before and behind the md5", fixOrder)},
		{func(m, k string) string { return m + k + m }, dev("key-order", "the md5 was put before and behind the sign key", fixOrder)},
		{func(m, k string) string { return m + k + k }, dev("key-order", "the sign key was put behind the md5 twice", fixOrder)},
		{func(_, k string) string { return k }, dev("key-no-md5", "the AES key was derived from the sign key alone, without the md5", fixHash)},
		{func(m, _ string) string { return m }, dev("key-no-md5", "the AES key was derived from the md5 alone, without the sign key", fixHash)},
	}
	for _, sep := range []string{"&key=", "&", "key=", "|", ",", ":", ";", "_", "-", "+", " ", "\n", "\r\n", ".", "#", "=", "/", "&signKey=", "&sign_key=", "&secret=", "&sign=", "||", "\t", "\x00"} {
		list = append(list, mixture{func(m, k string) string { return m + sep + k }, dev("key-separator", "a separator stands between the md5 and the sign key", fixJoin)})
	}
	for _, sep := range []string{"&", "|", ":", ",", "_", "-", " "} {
		list = append(list, mixture{func(m, k string) string { return k + sep + m }, dev("key-order", "the sign key was put before the md5, with a separator", fixOrder)})
	}
	list = append(list,
		mixture{func(m, k string) string { return "md5=" + m + "&key=" + k }, dev("key-separator", "names were put before the md5 and the sign key", fixJoin)},
		mixture{func(m, k string) string { return m + "&" }, dev("key-separator", "a separator stands behind the md5, and the sign key is missing", fixJoin)},
	)
	return list
}

func hashings() []hashing {
	hexOf := func(sum []byte) (string, []byte) { return upperHex(sum), sum }
	return []hashing{
		{func(s string) (string, []byte) { h := md5.Sum([]byte(s)); return hexOf(h[:]) }, nil},
		{func(s string) (string, []byte) {
			h := md5.Sum([]byte(s))
			return strings.ToLower(upperHex(h[:])), nil // the raw bytes have no case
		}, dev("key-case", "the AES key was cut from the hash in lower case", fixCase)},
		{func(s string) (string, []byte) { return s, []byte(s) }, dev("key-no-md5", "the md5 and the sign key were not hashed before the AES key was cut", fixHash)},
		{func(s string) (string, []byte) {
			h := md5.Sum([]byte(s))
			h = md5.Sum([]byte(upperHex(h[:])))
			return hexOf(h[:])
		}, dev("key-no-md5", "the md5 and the sign key were hashed twice", fixHash)},
		{func(s string) (string, []byte) { h := sha1.Sum([]byte(s)); return hexOf(h[:]) }, dev("key-no-md5", "SHA-1 was used in place of MD5", fixHash)},
		{func(s string) (string, []byte) { h := sha256.Sum256([]byte(s)); return hexOf(h[:]) }, dev("key-no-md5", "SHA-256 was used in place of MD5", fixHash)},
	}
}

func cuts() []cut {
	part := func(from, to int) func(string, []byte) []byte {
		return func(d string, _ []byte) []byte {
			if len(d) < to {
				return nil
			}
			return []byte(d[from:to])
		}
	}
	padded := func(from, to, size int) func(string, []byte) []byte {
		return func(d string, _ []byte) []byte {
			if len(d) < to {
				return nil
			}
			key := make([]byte, size)
			copy(key, d[from:to])
			return key
		}
	}
	slice := func(from, to int, what string) cut {
		return cut{part(from, to), dev("key-slice", "the AES key is "+what, fixSlice)}
	}
	list := []cut{
		{part(8, 24), nil},
		slice(0, 16, "the first 16 characters of the hash"),
		slice(16, 32, "the last 16 characters of the hash"),
		slice(9, 25, "characters 9 to 24 of the hash: counted from one where zero is meant"),
		slice(7, 23, "characters 7 to 22 of the hash: off by one"),
		slice(10, 26, "characters 10 to 25 of the hash"),
		slice(6, 22, "characters 6 to 21 of the hash"),
		slice(4, 20, "characters 4 to 19 of the hash"),
		slice(12, 28, "characters 12 to 27 of the hash"),
		slice(1, 17, "characters 1 to 16 of the hash"),
		slice(15, 31, "characters 15 to 30 of the hash"),
		{padded(8, 16, 16), dev("key-slice", "the AES key is 8 characters of the hash, filled up with zeros", fixSlice)},
		{padded(8, 23, 16), dev("key-slice", "the AES key is 15 characters of the hash, filled up with a zero", fixSlice)},
		{padded(0, 8, 16), dev("key-slice", "the AES key is the first 8 characters of the hash, filled up with zeros", fixSlice)},
		{func(d string, _ []byte) []byte {
			if len(d) < 32 {
				return nil
			}
			key := make([]byte, 0, 16)
			for i := 0; i < 32; i += 2 {
				key = append(key, d[i])
			}
			return key
		}, dev("key-slice", "the AES key is every other character of the hash", fixSlice)},
		{func(d string, _ []byte) []byte {
			if len(d) < 32 {
				return nil
			}
			key := []byte(d[:16])
			xor(key, []byte(d[16:32]))
			return key
		}, dev("key-slice", "the 32 characters of the hash were folded into 16, as MySQL's AES_ENCRYPT does", fixSlice)},
		{func(d string, _ []byte) []byte {
			if len(d) < 24 {
				return nil
			}
			key := []byte(d[8:24])
			slices.Reverse(key)
			return key
		}, dev("key-slice", "the AES key is the 16 characters in reverse", fixSlice)},
		{part(0, 32), dev("cipher-mode", "AES-256 with all 32 characters of the hash as its key", "use AES-128 with characters 8 to 23", "key-slice")},
		{padded(8, 24, 32), dev("cipher-mode", "AES-256, the 16 characters of its key filled up with zeros, as PHP does", "use AES-128 (aes-128-ecb)")},
		{padded(8, 24, 24), dev("cipher-mode", "AES-192, the 16 characters of its key filled up with zeros, as PHP does", "use AES-128 (aes-128-ecb)")},
		{part(0, 24), dev("cipher-mode", "AES-192 with 24 characters of the hash as its key", "use AES-128 with characters 8 to 23", "key-slice")},
		{part(8, 32), dev("cipher-mode", "AES-192 with characters 8 to 31 of the hash as its key", "use AES-128 with characters 8 to 23", "key-slice")},
		{func(d string, _ []byte) []byte {
			if len(d) < 24 {
				return nil
			}
			return []byte(d[8:24] + d[8:24])
		}, dev("cipher-mode", "AES-256, its key being the 16 characters twice", "use AES-128")},

		{func(_ string, raw []byte) []byte {
			if len(raw) < 16 {
				return nil
			}
			return raw[:16]
		}, dev("key-bytes", "the AES key is the 16 bytes of the hash", fixBytes)},
		{func(_ string, raw []byte) []byte {
			if len(raw) < 32 {
				return nil
			}
			return raw[:32]
		}, dev("key-bytes", "the AES key is the bytes of the hash (AES-256)", fixBytes, "cipher-mode")},
	}
	decoded := func(fill func(half []byte) []byte) func(string, []byte) []byte {
		return func(d string, _ []byte) []byte {
			if len(d) < 24 {
				return nil
			}
			half, err := hex.DecodeString(d[8:24])
			if err != nil {
				return nil
			}
			return fill(half)
		}
	}
	list = append(list,
		cut{decoded(func(h []byte) []byte { return append(h, make([]byte, 8)...) }), dev("key-bytes", "the 16 characters were decoded to 8 bytes and filled up with zeros", fixBytes)},
		cut{decoded(func(h []byte) []byte { return append(h, h...) }), dev("key-bytes", "the 16 characters were decoded to 8 bytes, taken twice", fixBytes)},
		cut{decoded(func(h []byte) []byte { return append(make([]byte, 8), h...) }), dev("key-bytes", "the 16 characters were decoded to 8 bytes, with zeros in front", fixBytes)},
		cut{func(d string, _ []byte) []byte {
			if len(d) < 24 {
				return nil
			}
			return sha1PRNG(d[8:24])
		}, dev("key-bytes", "the 16 characters seeded Java's SHA1PRNG, which made the key", "make the key of the characters themselves: new SecretKeySpec(bytes, \"AES\")")},
		cut{func(d string, _ []byte) []byte {
			if len(d) != 32 {
				return nil
			}
			return sha1PRNG(d)
		}, dev("key-bytes", "the hash seeded Java's SHA1PRNG, which made the key", "make the key of the characters themselves: new SecretKeySpec(bytes, \"AES\")")},
		cut{func(d string, _ []byte) []byte {
			if len(d) < 24 {
				return nil
			}
			sum := md5.Sum([]byte(d[8:24]))
			return sum[:]
		}, dev("key-bytes", "the 16 characters were taken for a password, which a library hashed again", "hand the characters over as the key: createCipheriv, not createCipher")},
		cut{func(d string, _ []byte) []byte {
			if len(d) != 32 {
				return nil
			}
			sum := md5.Sum([]byte(d))
			return sum[:]
		}, dev("key-bytes", "the hash was taken for a password, which a library hashed again", "hand the characters over as the key: createCipheriv, not createCipher")},
		cut{func(d string, _ []byte) []byte {
			if len(d) < 24 {
				return nil
			}
			sum := sha256.Sum256([]byte(d[8:24]))
			return sum[:]
		}, dev("cipher-mode", "AES-256 with the SHA-256 of the 16 characters as its key", "use AES-128 with the characters themselves", "key-bytes")},
	)
	return list
}

// sha1PRNG is the key that Java's KeyGenerator makes of a seed.
func sha1PRNG(seed string) []byte {
	first := sha1.Sum([]byte(seed))
	second := sha1.Sum(first[:])
	return second[:16]
}

// otherKeys are keys that are not cut from a hash of the md5 and the sign key.
func otherKeys(md5Text, signKey string) []derivation {
	var list keyList
	add := list.add
	fill := func(s string, size int, with byte) []byte {
		key := bytes.Repeat([]byte{with}, size)
		copy(key, s)
		return key
	}
	add([]byte(signKey), "key-raw", "the sign key itself is the AES key")
	if len(signKey) != 16 {
		add(fill(signKey, 16, 0), "key-raw", "the sign key itself is the AES key, cut or filled up to 16 bytes with zeros")
		add(fill(signKey, 16, '0'), "key-raw", "the sign key itself is the AES key, filled up to 16 bytes with the digit 0")
		add(fill(signKey, 16, ' '), "key-raw", "the sign key itself is the AES key, filled up to 16 bytes with blanks")
	}
	if len(signKey) < 32 {
		add(fill(signKey, 32, 0), "key-raw", "the sign key itself is the key of AES-256, filled up with zeros", "cipher-mode")
	}
	add([]byte(strings.ToLower(signKey)), "key-raw", "the sign key itself, in lower case, is the AES key")
	add([]byte(signKey+signKey), "key-raw", "the sign key itself, taken twice, is the AES key")
	if raw, err := hex.DecodeString(signKey); err == nil {
		add(raw, "key-raw", "the bytes of the sign key are the AES key", "key-bytes")
		add(fill(string(raw), 16, 0), "key-raw", "the bytes of the sign key, filled up with zeros, are the AES key", "key-bytes")
		add(append(append([]byte{}, raw...), raw...), "key-raw", "the bytes of the sign key, taken twice, are the AES key", "key-bytes")
	}
	add(sha1PRNG(signKey), "key-raw", "the sign key seeded Java's SHA1PRNG, which made the AES key", "key-bytes", "key-no-md5")
	mac := func(key, text string) (string, []byte) {
		h := hmac.New(md5.New, []byte(key))
		h.Write([]byte(text))
		sum := h.Sum(nil)
		return upperHex(sum), sum
	}
	for _, pair := range [][2]string{{signKey, md5Text}, {md5Text, signKey}} {
		digits, raw := mac(pair[0], pair[1])
		add([]byte(digits[8:24]), "key-no-md5", "the AES key was cut from an HMAC in place of an MD5")
		add([]byte(strings.ToLower(digits[8:24])), "key-no-md5", "the AES key was cut from an HMAC, in lower case, in place of an MD5")
		add(raw, "key-no-md5", "the AES key is an HMAC", "key-bytes")
	}
	if raw, err := hex.DecodeString(md5Text); err == nil {
		add(raw, "key-no-md5", "the 16 bytes of the md5 are the AES key", "key-bytes")
	}
	return list
}

// keyList collects derivations whose key has a length that AES takes.
type keyList []derivation

func (l *keyList) add(key []byte, code Code, why string, also ...Code) {
	if len(key) == 16 || len(key) == 24 || len(key) == 32 {
		*l = append(*l, derivation{[]*deviation{dev(code, why, fixHash, also...)}, key})
	}
}

// saltedKey derives key and vector as OpenSSL's command and CryptoJS do from a
// password.
func saltedKey(password string, salt []byte, hash func([]byte) []byte) (key, iv []byte) {
	var out, last []byte
	for len(out) < 48 {
		last = hash(append(append(append([]byte{}, last...), password...), salt...))
		out = append(out, last...)
	}
	return out[:32], out[32:48]
}

// aesBlock makes a cipher of a derived key.
func aesBlock(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	return block
}
