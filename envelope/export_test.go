package envelope

import (
	"crypto/md5"

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

// DecodeData is appendData without the bytes.
func DecodeData(data string) error {
	_, err := appendData(nil, data)
	return err
}
