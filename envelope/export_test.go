package envelope

import (
	"crypto/md5"
	"encoding/base64"

	"github.com/ottpaykit/ottpay/wire"
)

// Forms are all canonical forms in the order in which they are tried.
var Forms = []Form{FormJava, FormRaw, FormJavaNullEmpty, FormRawNullEmpty}

// Digest returns the text of plaintext in form and its digest.
func Digest(plaintext []byte, form Form) (text, sum string, err error) {
	var m wire.Members
	if err := wire.Parse(plaintext, &m); err != nil {
		return "", "", malformed(err)
	}
	b := appendDigested(nil, &m, form)
	digest := md5.Sum(b)
	return string(b), string(appendHex(nil, digest[:])), nil
}

// AESKey returns the derived AES key, which is 16 characters of ASCII.
func (k Key) AESKey(md5Text string) string {
	sum := md5.Sum([]byte(md5Text + k.secret.text()))
	return string(appendHex(nil, sum[:])[8:24])
}

// CheckData is checkData.
func CheckData(data string) error {
	if err := checkData(data); err != nil {
		return err
	}
	return nil
}

// DecodeData is decodeData without the bytes.
func DecodeData(data string) error {
	_, err := decodeData(nil, data)
	return err
}

// Encrypt encrypts whole blocks, padding included, under the AES key that md5
// gives.
func (k Key) Encrypt(md5Text string, blocks []byte) Sealed {
	out := make([]byte, len(blocks))
	block := k.cipher(md5Text)
	for i := 0; i < len(blocks); i += block.BlockSize() {
		block.Encrypt(out[i:], blocks[i:])
	}
	return Sealed{Data: base64.StdEncoding.EncodeToString(out), MD5: md5Text}
}

// Pad is pad.
func Pad(b []byte) []byte { return pad(b) }

// Scratch returns all memory of the scratch space that the next Open works in,
// and whether it is a used one.
func (k Key) Scratch() (memory []byte, used bool) {
	w, used := k.secret.scratch.Get().(*scratch)
	if !used {
		return nil, false
	}
	defer k.secret.scratch.Put(w)
	return append(append(append([]byte(nil), w.plain[:cap(w.plain)]...), w.text[:cap(w.text)]...), w.members.JSON()...), true
}
