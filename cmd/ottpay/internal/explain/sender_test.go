package explain_test

import (
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

// member is one member of a plaintext: a string, or JSON as it is.
type member struct {
	name string
	text string
	raw  string // if not empty, the JSON in place of text
}

// sender seals messages as an integration does, each step of it a field that
// a mistake replaces. It shares no code with the package under test.
type sender struct {
	merchant string
	key      string
	members  []member

	order     func([]member) []member
	value     func(member) string
	join      func(members []member, value func(member) string) string
	digestOf  func(joined string) string // 32 digits
	sendMD5   func(string) string
	deriveKey func(md5Text, key string) []byte
	plaintext func([]member) []byte
	pad       func([]byte) []byte
	encrypt   func(key, padded []byte) []byte
	blocks    func([]byte) []byte
	encode    func([]byte) string
}

func up(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

func md5Text(s string) string { sum := md5.Sum([]byte(s)); return up(sum[:]) }

func honest() sender {
	return sender{
		merchant: merchant,
		key:      signKey,
		members: []member{
			{name: "order_id", text: "A1001"},
			{name: "amount", text: "1999"},
			{name: "biz_type", text: "WECHATPAY"},
			{name: "operator_id", text: "0000000001"},
			{name: "currency_type", text: "CAD"},
			{name: "submit_type", text: "form"},
			{name: "call_back_url", text: "http://127.0.0.1:3000/ottpay"},
		},
		order: func(ms []member) []member {
			out := append([]member{}, ms...)
			sort.SliceStable(out, func(i, j int) bool { return out[i].name < out[j].name })
			return out
		},
		value: func(m member) string {
			if m.raw == "" {
				return m.text
			}
			if f, err := strconv.ParseFloat(m.raw, 64); err == nil {
				return javaDouble(f)
			}
			return m.raw
		},
		join: func(ms []member, value func(member) string) string {
			var b strings.Builder
			for _, m := range ms {
				b.WriteString(value(m))
			}
			return b.String()
		},
		digestOf:  md5Text,
		sendMD5:   func(s string) string { return s },
		deriveKey: func(m, k string) []byte { return []byte(md5Text(m + k)[8:24]) },
		plaintext: func(ms []member) []byte { return plainJSON(ms) },
		pad:       pkcs,
		encrypt:   ecb,
		blocks:    func(b []byte) []byte { return b },
		encode:    base64.StdEncoding.EncodeToString,
	}
}

// javaDouble is Double.toString for the numbers of the tests.
func javaDouble(f float64) string {
	if f == 0 || f >= 1e-3 && f < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	m, e, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if !strings.Contains(m, ".") {
		m += ".0"
	}
	n, _ := strconv.Atoi(e)
	return m + "E" + strconv.Itoa(n)
}

func plainJSON(ms []member) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range ms {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(m.name)
		b.Write(name)
		b.WriteByte(':')
		if m.raw != "" {
			b.WriteString(m.raw)
			continue
		}
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(m.text)
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func pkcs(b []byte) []byte {
	n := 16 - len(b)%16
	return append(append([]byte{}, b...), bytes.Repeat([]byte{byte(n)}, n)...)
}

func ecb(key, padded []byte) []byte {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(padded))
	for i := 0; i+16 <= len(padded); i += 16 {
		c.Encrypt(out[i:], padded[i:i+16])
	}
	return out
}

// seal returns data and md5.
func (s sender) seal() (data, sum string) {
	digest := s.digestOf(s.join(s.order(s.members), s.value))
	sent := s.sendMD5(digest)
	ct := s.encrypt(s.deriveKey(digest, s.key), s.pad(s.plaintext(s.members)))
	return s.encode(s.blocks(ct)), sent
}

func (s sender) request(action, version string) []byte {
	data, sum := s.seal()
	return fmt.Appendf(nil, `{"action":%q,"version":%q,"merchant_id":%q,"data":%s,"md5":%q}`, action, version, s.merchant, jsonText(data), sum)
}

func (s sender) callback() []byte {
	data, sum := s.seal()
	return fmt.Appendf(nil, `{"rsp_code":"SUCCESS","rsp_msg":"success","merchant_id":%q,"data":%s,"md5":%q}`, s.merchant, jsonText(data), sum)
}

func jsonText(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

// planted is a mistake.
type planted struct {
	name  string
	code  explain.Code
	plant func(*sender)
	after func([]byte) []byte // done to the body on the way
}

func mistakes() []planted {
	return []planted{
		{"document order", "digest-order", func(s *sender) { s.order = func(m []member) []member { return m } }, nil},
		{"k=v&", "digest-names", func(s *sender) {
			s.join = func(ms []member, v func(member) string) string {
				var p []string
				for _, m := range ms {
					p = append(p, m.name+"="+v(m))
				}
				return strings.Join(p, "&")
			}
		}, nil},
		{"first sixteen", "key-slice", func(s *sender) { s.deriveKey = func(m, k string) []byte { return []byte(md5Text(m + k)[:16]) } }, nil},
		{"key first", "key-order", func(s *sender) { s.deriveKey = func(m, k string) []byte { return []byte(md5Text(k + m)[8:24]) } }, nil},
		{"lower", "key-case", func(s *sender) {
			s.deriveKey = func(m, k string) []byte { return []byte(strings.ToLower(md5Text(m + k))[8:24]) }
		}, nil},
		{"zeros", "padding-kind", func(s *sender) { s.pad = func(b []byte) []byte { return append(b, make([]byte, 16-len(b)%16)...) } }, nil},
		{"foreign", "foreign-key", func(s *sender) { s.key = "FFFF000011112222" }, nil},
		{"cbc", "cipher-mode", func(s *sender) {
			s.encrypt = func(k, p []byte) []byte {
				c, _ := aes.NewCipher(k)
				out := make([]byte, len(p))
				cipher.NewCBCEncrypter(c, []byte("fedcba9876543210")).CryptBlocks(out, p)
				return out
			}
		}, nil},
		{"sha1prng", "key-bytes", func(s *sender) {
			s.deriveKey = func(m, k string) []byte {
				a := sha1.Sum([]byte(md5Text(m + k)[8:24]))
				b := sha1.Sum(a[:])
				return b[:16]
			}
		}, nil},
		{"wechat", "digest-names", func(s *sender) {
			s.join = func(ms []member, v func(member) string) string {
				var p []string
				for _, m := range ms {
					p = append(p, m.name+"="+v(m))
				}
				return strings.Join(p, "&") + "&key=" + signKey
			}
		}, nil},
		{"hmac", "digest-keyed", func(s *sender) {
			s.digestOf = func(j string) string {
				h := hmac.New(md5.New, []byte(signKey))
				h.Write([]byte(j))
				return up(h.Sum(nil))
			}
		}, nil},
		{"urlencoded", "digest-encoding", func(s *sender) { s.value = func(m member) string { return url.QueryEscape(m.text) } }, nil},
		{"swap", "exchanged-blocks", func(s *sender) {
			s.blocks = func(b []byte) []byte {
				c := append([]byte{}, b...)
				copy(c[32:48], b[64:80])
				copy(c[64:80], b[32:48])
				return c
			}
		}, nil},
		{"removed", "block-removed", func(s *sender) {
			s.blocks = func(b []byte) []byte { return append(append([]byte{}, b[:32]...), b[48:]...) }
		}, nil},
		{"gbk", "plaintext", func(s *sender) {
			s.members = append(s.members, member{name: "remarks", text: "张三的商店"})
			s.plaintext = func(ms []member) []byte {
				b, _ := simplifiedchinese.GBK.NewEncoder().Bytes(plainJSON(ms))
				return b
			}
		}, nil},
		{"gzip", "transport-gzip", func(s *sender) {}, func(b []byte) []byte {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			w.Write(b)
			w.Close()
			return z.Bytes()
		}},
		{"dropped", "digest-dropped", func(s *sender) {
			s.value = func(m member) string {
				if m.name == "submit_type" {
					return ""
				}
				return m.text
			}
		}, nil},
		{"map order", "digest-order", func(s *sender) {
			s.order = func(m []member) []member { return []member{m[3], m[0], m[6], m[2], m[1], m[5], m[4]} }
		}, nil},
		{"truncated", "bad-base64", func(s *sender) {
			s.encode = func(b []byte) string { return base64.StdEncoding.EncodeToString(b)[:130] }
		}, nil},
		{"unknown rule", "digest", func(s *sender) { s.digestOf = func(j string) string { return md5Text("salt!" + j) } }, nil},
		{"altered", "altered-data", func(s *sender) { s.blocks = func(b []byte) []byte { b[40] ^= 1; return b } }, nil},
		{"md5 digit", "altered-md5", func(s *sender) {
			s.sendMD5 = func(m string) string {
				b := []byte(m)
				b[7] = "0123456789ABCDEF"[(strings.IndexByte("0123456789ABCDEF", b[7])+1)%16]
				return string(b)
			}
		}, nil},
	}
}
