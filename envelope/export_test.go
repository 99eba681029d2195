package envelope

import "crypto/md5"

// Forms are all canonical forms in the order in which they are tried.
var Forms = []Form{FormJava, FormRaw, FormJavaNullEmpty, FormRawNullEmpty}

// Digest returns the text of plaintext in form and its digest.
func Digest(plaintext []byte, form Form) (text, sum string, err error) {
	var s scanner
	if err := s.scan(plaintext); err != nil {
		return "", "", err
	}
	b, ok := s.appendDigested(nil, form)
	if !ok {
		return "", "", errNumber
	}
	digest := md5.Sum(b)
	return string(b), string(appendHex(nil, digest[:])), nil
}

// AESKey returns the derived AES key, which is 16 characters of ASCII.
func (k Key) AESKey(md5Text string) string {
	sum := md5.Sum([]byte(md5Text + k.secret.text()))
	return string(appendHex(nil, sum[:])[8:24])
}

// PrefixUTF16 is prefixUTF16.
func PrefixUTF16(name string) uint64 { return prefixUTF16([]byte(name)) }

// CompareUTF16 is compareUTF16.
func CompareUTF16(a, b string) int { return compareUTF16([]byte(a), []byte(b)) }

// CheckData is checkData.
func CheckData(data string) error {
	if err := checkData(data); err != nil {
		return err
	}
	return nil
}

// DecodeData is decodeData without the bytes.
func DecodeData(data string) error {
	if _, err := decodeData(data); err != nil {
		return err
	}
	return nil
}
