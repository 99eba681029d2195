package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/ottpaykit/ottpay/wire"
)

// redacted is what every formatting of a Key shows.
const redacted = "envelope.Key(redacted)"

// Key is a merchant's sign key. It is safe for concurrent use and may be copied.
// The zero Key is not usable: Seal and Open return an error.
//
// No way of printing a Key shows the sign key: not the verbs of package fmt, not
// JSON or text marshalling, not slog, and not a struct that has the Key in an
// unexported field.
type Key struct {
	secret *secret
}

type secret struct {
	text    func() string // a closure: fmt prints through pointers, too, when a verb does not fit
	scratch sync.Pool     // of *scratch: what Open needs besides the plaintext that it returns
}

// scratch is what Open and Seal work in, so that a message that does not open
// leaves nothing to collect.
type scratch struct {
	members wire.Members
	plain   []byte // the data without Base64, encrypted or not
	text    []byte // the text that is hashed
}

// NewKey takes the sign key as OTT Pay gives it. It is used unchanged: NewKey
// does not trim it, change its case or check its length. An empty key, and one
// with white space around it, are errors, because they come from mistakes in the
// configuration. NewKey also fails if the program may not use MD5
// (GODEBUG=fips140=only).
func NewKey(signKey string) (Key, error) {
	if signKey == "" {
		return Key{}, errors.New("envelope: the sign key is empty")
	}
	if strings.TrimFunc(signKey, unicode.IsSpace) != signKey {
		return Key{}, errors.New("envelope: the sign key has white space around it")
	}
	if !hasMD5() {
		return Key{}, errors.New("envelope: this program may not use MD5 (GODEBUG=fips140=only), and the protocol needs it")
	}
	return Key{&secret{text: func() string { return signKey }}}, nil
}

// hasMD5 reports whether crypto/md5 works. It panics in FIPS 140-only mode.
func hasMD5() (ok bool) {
	defer func() { ok = recover() == nil }()
	_ = md5.Sum(nil)
	return
}

var errZeroKey = errors.New("envelope: the Key is its zero value; use NewKey")

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.secret == nil }

// Seal encrypts plaintext and computes its digest in [FormJava]. The plaintext
// must be one JSON object that [wire.Parse] accepts; its spelling and the order
// of its members do not matter. Seal keeps no reference to it. A plaintext that
// [Key.Open] would refuse is an error that matches [ErrMalformed].
func (k Key) Seal(plaintext []byte) (Sealed, error) {
	if k.IsZero() {
		return Sealed{}, errZeroKey
	}
	w := k.secret.borrow()
	defer k.secret.giveBack(w)
	if err := wire.Parse(plaintext, &w.members); err != nil {
		return Sealed{}, malformed(err)
	}
	w.text = appendDigested(w.text[:0], &w.members, FormJava)
	sum := md5.Sum(w.text)
	w.text = appendHex(w.text[:0], sum[:])
	digest := len(w.text)

	w.plain = pad(append(w.plain[:0], plaintext...))
	block := k.cipher(string(w.text))
	for b := w.plain; len(b) > 0; b = b[aes.BlockSize:] {
		block.Encrypt(b, b)
	}
	w.text = base64.StdEncoding.AppendEncode(w.text, w.plain)
	sealed := string(w.text) // one for both
	return Sealed{Data: sealed[digest:], MD5: sealed[:digest]}, nil
}

// Open decrypts s and verifies its digest. The error matches [ErrMalformed] or
// [ErrUnauthentic], and the payload is then zero.
func (k Key) Open(s Sealed) (Payload, error) {
	if k.IsZero() {
		return Payload{}, errZeroKey
	}
	want, ok := parseMD5(s.MD5)
	if !ok {
		return Payload{}, errBadMD5
	}
	w := k.secret.borrow()
	defer k.secret.giveBack(w)
	data, err := decodeData(w.plain, s.Data)
	w.plain = data
	if err != nil {
		return Payload{}, err
	}
	// The key is derived from the text of md5 as it was received: a sender
	// that writes lower case has derived it from lower case.
	block := k.cipher(s.MD5)
	for b := data; len(b) > 0; b = b[aes.BlockSize:] {
		block.Decrypt(b, b)
	}
	plaintext, ok := unpad(data)
	if !ok {
		return Payload{}, errPadding
	}
	if wire.Parse(plaintext, &w.members) != nil {
		return Payload{}, errPlaintext
	}
	w.text = slices.Grow(w.text[:0], len(plaintext))
	form, ok := fit(&w.members, want, w.text)
	if !ok {
		return Payload{}, errDigest
	}
	m := w.members.Clone()
	return Payload{JSON: m.JSON(), Form: form, members: m}, nil
}

// borrow takes scratch space, giveBack returns it.
func (s *secret) borrow() *scratch {
	if w, ok := s.scratch.Get().(*scratch); ok {
		return w
	}
	return &scratch{plain: make([]byte, 0, 512), text: make([]byte, 0, 512)}
}

// giveBack drops what the space holds of a payment, and space that an unusually
// large message took.
func (s *secret) giveBack(w *scratch) {
	w.members.Reset()
	clear(w.plain[:cap(w.plain)])
	clear(w.text[:cap(w.text)])
	if cap(w.plain) <= 4096 && cap(w.text) <= 4096 {
		s.scratch.Put(w)
	}
}

// cipher derives the AES key from the text of md5: the 16 characters in the
// middle of the hexadecimal MD5 of that text and the sign key. They serve as
// 16 ASCII bytes; they are not decoded.
func (k Key) cipher(md5Text string) cipher.Block {
	var in, out [96]byte
	sum := md5.Sum(append(append(in[:0], md5Text...), k.secret.text()...))
	block, err := aes.NewCipher(appendHex(out[:0], sum[:])[8:24])
	if err != nil {
		panic("envelope: " + err.Error()) // 16 bytes are an AES key
	}
	return block
}

// pad appends PKCS#5 padding.
func pad(b []byte) []byte {
	n := aes.BlockSize - len(b)%aes.BlockSize
	for range n {
		b = append(b, byte(n))
	}
	return b
}

// unpad takes PKCS#5 padding off whole blocks and looks at every byte of it.
func unpad(b []byte) ([]byte, bool) {
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, false
	}
	end := len(b) - n
	for _, c := range b[end:] {
		if int(c) != n {
			return nil, false
		}
	}
	return b[:end], true
}

// String returns a constant.
func (k Key) String() string { return redacted }

// GoString returns a constant.
func (k Key) GoString() string { return redacted }

// Format writes a constant, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns a constant.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a constant. It serves JSON, XML and their like, too.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
