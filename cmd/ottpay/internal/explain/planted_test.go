package explain_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
	"github.com/ottpaykit/ottpay/envelope"
)

// mistake is one mistake of a sender, or of something on the way.
type mistake struct {
	name  string
	code  explain.Code
	plant func(*sender)
	way   func([]byte) []byte
	only  func(message) bool // the messages that it can be made with; nil is all
}

// made returns the message with the mistake in it, and whether it can be made
// with this one.
func (m mistake) made(msg message) (body []byte, ok bool) {
	if m.only != nil && !m.only(msg) {
		return nil, false
	}
	s := msg.sender()
	if m.plant != nil {
		m.plant(&s)
	}
	if m.code == "digest-json" {
		text := string(plainJSON(s.members))
		s.join = func([]member, func(member) string) string { return text }
	}
	body = msg.body(s)
	if m.way != nil {
		body = m.way(body)
	}
	return body, true
}

func lower(s string) string { return strings.ToLower(s) }

func pairs(ms []member, v func(member) string, kv, sep string) string {
	var p []string
	for _, m := range ms {
		p = append(p, m.name+kv+v(m))
	}
	return strings.Join(p, sep)
}

func values(ms []member, v func(member) string) []string {
	var p []string
	for _, m := range ms {
		p = append(p, v(m))
	}
	return p
}

// edit changes the JSON object of a body member by member.
func edit(f func(object map[string]any)) func([]byte) []byte {
	return func(b []byte) []byte {
		var object map[string]any
		if err := json.Unmarshal(b, &object); err != nil {
			panic(err)
		}
		f(object)
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		_ = e.Encode(object)
		return bytes.TrimSpace(out.Bytes())
	}
}

// data changes the text of data.
func data(f func(string) string) func([]byte) []byte {
	return edit(func(o map[string]any) { o["data"] = f(o["data"].(string)) })
}

// sum changes the text of md5.
func sum(f func(string) string) func([]byte) []byte {
	return edit(func(o map[string]any) { o["md5"] = f(o["md5"].(string)) })
}

func blocks(f func([][]byte) [][]byte) func(*sender) {
	return func(s *sender) {
		s.blocks = func(b []byte) []byte {
			var list [][]byte
			for i := 0; i < len(b); i += 16 {
				list = append(list, b[i:i+16])
			}
			return bytes.Join(f(list), nil)
		}
	}
}

func replace(old, by string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(by), 1) }
}

func has(kind string) func(message) bool {
	return func(m message) bool {
		for _, x := range m.members {
			_, err := strconv.ParseFloat(x.raw, 64)
			switch {
			case kind == "number" && x.raw != "" && err == nil,
				kind == "big" && err == nil && len(x.raw) > 7 && !strings.Contains(x.raw, "."),
				kind == "fraction" && err == nil && strings.Contains(x.raw, "."),
				kind == "bool" && (x.raw == "true" || x.raw == "false"),
				kind == "null" && x.raw == "null",
				kind == "nested" && strings.HasPrefix(x.raw, "{"),
				kind == "empty" && x.raw == "" && x.text == "",
				kind == "wide" && strings.ContainsFunc(x.text, func(c rune) bool { return c > 0x7e }),
				kind == "blank" && strings.Contains(x.text, " "),
				kind == "url" && strings.Contains(x.text, "://"),
				kind == "query" && strings.Contains(x.text, "&"),
				kind == "letters" && lower(x.text) != x.text,
				kind == "long" && len(m.members) > 4,
				kind == "several" && len(m.members) > 1:
				return true
			}
		}
		return false
	}
}

func both(a, b func(message) bool) func(message) bool {
	return func(m message) bool { return a(m) && b(m) }
}

func isRequest(m message) bool  { return m.kind == explain.KindRequest }
func isCallback(m message) bool { return m.kind == explain.KindCallback }

func key(f func(m, k string) []byte) func(*sender) { return func(s *sender) { s.deriveKey = f } }

func crypt(f func(key, plain []byte) []byte) func(*sender) {
	return func(s *sender) {
		s.pad = func(b []byte) []byte { return b }
		s.encrypt = f
	}
}

func block(key []byte) cipher.Block {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return c
}

func cbc(iv func(key []byte) []byte, prefix bool) func(*sender) {
	return crypt(func(k, p []byte) []byte {
		v := iv(k)
		p = pkcs(p)
		out := make([]byte, len(p))
		cipher.NewCBCEncrypter(block(k), v).CryptBlocks(out, p)
		if prefix {
			return append(append([]byte{}, v...), out...)
		}
		return out
	})
}

func stream(f func(cipher.Block, []byte) cipher.Stream, iv func(key []byte) []byte, prefix bool) func(*sender) {
	return crypt(func(k, p []byte) []byte {
		v := iv(k)
		out := make([]byte, len(p))
		f(block(k), v).XORKeyStream(out, p)
		if prefix {
			return append(append([]byte{}, v...), out...)
		}
		return out
	})
}

func zeroIV([]byte) []byte  { return make([]byte, 16) }
func keyIV(k []byte) []byte { return k[:16] }
func someIV([]byte) []byte  { return []byte("q8Fz-mPx31!rTb0s") }

func joinWith(f func(ms []member, v func(member) string) string) func(*sender) {
	return func(s *sender) { s.join = f }
}

func order(less func(a, b member) bool) func(*sender) {
	return func(s *sender) {
		s.order = func(ms []member) []member {
			out := append([]member{}, ms...)
			sort.SliceStable(out, func(i, j int) bool { return less(out[i], out[j]) })
			return out
		}
	}
}

func valued(f func(m member, honest string) string) func(*sender) {
	return func(s *sender) { s.value = func(m member) string { return f(m, javaValue(m)) } }
}

func plain(f func(text []byte) []byte) func(*sender) {
	return func(s *sender) {
		s.plaintext = func(ms []member) []byte { return f(plainJSON(ms)) }
	}
}

func without(names ...string) func(*sender) {
	return func(s *sender) {
		s.members = slices.DeleteFunc(s.members, func(m member) bool { return slices.Contains(names, m.name) })
	}
}

func with(m member) func(*sender) {
	return func(s *sender) {
		without(m.name)(s)
		s.members = append(s.members, m)
	}
}

// isNumber reports whether the member is a JSON number, and its value.
func isNumber(m member) (float64, bool) {
	f, err := strconv.ParseFloat(m.raw, 64)
	return f, m.raw != "" && err == nil
}

func numbers(f func(f float64, text string) string) func(*sender) {
	return valued(func(m member, h string) string {
		if x, ok := isNumber(m); ok {
			return f(x, m.raw)
		}
		return h
	})
}

func packed(w func(b *bytes.Buffer, text []byte)) func([]byte) []byte {
	return func(b []byte) []byte {
		var z bytes.Buffer
		w(&z, b)
		return z.Bytes()
	}
}

func utf16Of(s string, big, mark bool) []byte {
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
	for _, u := range utf16.Encode([]rune(s)) {
		put(u)
	}
	return out
}

// opensslKey is what OpenSSL makes of a password.
func opensslKey(password, salt []byte) (key, iv []byte) {
	var all, last []byte
	for len(all) < 48 {
		h := md5.Sum(append(append(append([]byte{}, last...), password...), salt...))
		last = h[:]
		all = append(all, last...)
	}
	return all[:32], all[32:48]
}

// transportMistakes happen to the whole body.
func transportMistakes() []mistake {
	t := func(name string, code explain.Code, way func([]byte) []byte) mistake {
		return mistake{name: name, code: code, way: way}
	}
	quoted := func(b []byte) []byte { q, _ := json.Marshal(string(b)); return q }
	return []mistake{
		t("UTF-8 byte order mark", "transport-bom", func(b []byte) []byte { return append([]byte("\ufeff"), b...) }),
		t("byte order mark as Latin-1", "transport-bom", func(b []byte) []byte { return append([]byte("ï»¿"), b...) }),
		t("UTF-16LE with mark", "transport-bom", func(b []byte) []byte { return utf16Of(string(b), false, true) }),
		t("UTF-16BE with mark", "transport-bom", func(b []byte) []byte { return utf16Of(string(b), true, true) }),
		t("UTF-16LE", "not-utf-8", func(b []byte) []byte { return utf16Of(string(b), false, false) }),
		t("an error page", "transport-html", func([]byte) []byte {
			return []byte("<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>")
		}),
		t("a login page after blank lines", "transport-html", func([]byte) []byte { return []byte("\r\n\r\n<html lang=en><body>Please log in</body></html>") }),
		t("a warning of PHP in front", "transport-html", func(b []byte) []byte {
			return append([]byte("<br />\n<b>Warning</b>:  Undefined index: x in <b>/srv/a.php</b> on line <b>7</b><br />\n"), b...)
		}),
		t("escaped for HTML", "transport-html", func(b []byte) []byte { return []byte(html.EscapeString(string(b))) }),
		t("escaped for HTML by PHP", "transport-html", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte("&quot;")) }),
		t("in <pre>", "transport-html", func(b []byte) []byte {
			return append(append([]byte("<html><body><pre>"), b...), "</pre></body></html>"...)
		}),
		t("XML", "transport-html", func([]byte) []byte { return []byte(`<?xml version="1.0"?><error><code>500</code></error>`) }),
		t("form of data and md5", "transport-form", func(b []byte) []byte {
			v := url.Values{}
			edit(func(o map[string]any) {
				for k, x := range o {
					v.Set(k, x.(string))
				}
			})(b)
			return []byte(v.Encode())
		}),
		t("form without encoding", "transport-form", func(b []byte) []byte {
			var p []string
			edit(func(o map[string]any) {
				for k, x := range o {
					p = append(p, k+"="+x.(string))
				}
			})(b)
			return []byte(strings.Join(p, "&"))
		}),
		t("form with one field of JSON", "transport-form", func(b []byte) []byte { return []byte(url.Values{"json": {string(b)}}.Encode()) }),
		t("form with raw JSON", "transport-form", func(b []byte) []byte { return append([]byte("payload="), b...) }),
		t("JSON as the name of a field", "transport-form", func(b []byte) []byte { return []byte(url.QueryEscape(string(b)) + "=") }),
		t("JSON as the name of a field, raw", "transport-form", func(b []byte) []byte { return append(b, '=') }),
		t("percent-encoded", "transport-form", func(b []byte) []byte { return []byte(url.QueryEscape(string(b))) }),
		t("percent-encoded with %20", "transport-form", func(b []byte) []byte { return []byte(url.PathEscape(string(b))) }),
		t("percent-encoded twice", "transport-form", func(b []byte) []byte { return []byte(url.QueryEscape(url.QueryEscape(string(b)))) }),
		t("multipart", "transport-form", func(b []byte) []byte {
			var out strings.Builder
			edit(func(o map[string]any) {
				for k, x := range o {
					fmt.Fprintf(&out, "--XyZ\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", k, x)
				}
			})(b)
			return []byte(out.String() + "--XyZ--\r\n")
		}),
		t("Base64 of the body", "transport-base64", func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }),
		t("wrapped Base64 of the body", "transport-base64", func(b []byte) []byte {
			s := base64.StdEncoding.EncodeToString(b)
			var out []string
			for len(s) > 76 {
				out, s = append(out, s[:76]), s[76:]
			}
			return []byte(strings.Join(append(out, s), "\r\n"))
		}),
		t("URL-safe Base64 of the body", "transport-base64", func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) }),
		t("Base64 of the Base64 of the body", "transport-base64", func(b []byte) []byte {
			return []byte(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(b))))
		}),
		t("JSON in a string", "transport-json-string", quoted),
		t("JSON in a string in a string", "transport-json-string", func(b []byte) []byte { return quoted(quoted(b)) }),
		t("escaped without quotes", "transport-json-string", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte(`\"`)) }),
		t("wrapped by an API gateway", "transport-json-string", func(b []byte) []byte {
			return fmt.Appendf(nil, `{"httpMethod":"POST","headers":{"a":"b"},"body":%s,"isBase64Encoded":false}`, quoted(b))
		}),
		t("wrapped by an API gateway in Base64", "transport-json-string", func(b []byte) []byte {
			return fmt.Appendf(nil, `{"body":%q,"isBase64Encoded":true}`, base64.StdEncoding.EncodeToString(b))
		}),
		t("inside of another object", "transport-json-string", func(b []byte) []byte { return fmt.Appendf(nil, `{"request":%s}`, b) }),
		t("inside of data", "transport-json-string", func(b []byte) []byte { return fmt.Appendf(nil, `{"code":0,"data":%s}`, b) }),
		t("gzip", "transport-gzip", packed(func(z *bytes.Buffer, b []byte) { w := gzip.NewWriter(z); _, _ = w.Write(b); w.Close() })),
		t("zlib", "transport-gzip", packed(func(z *bytes.Buffer, b []byte) { w := zlib.NewWriter(z); _, _ = w.Write(b); w.Close() })),
		t("deflate", "transport-gzip", packed(func(z *bytes.Buffer, b []byte) {
			w, _ := flate.NewWriter(z, 9)
			_, _ = w.Write(b)
			w.Close()
		})),
		t("plus became blank", "transport-plus", data(func(d string) string { return strings.ReplaceAll(d, "+", " ") })),
		t("plus became blank in wrapped data", "transport-plus", data(func(d string) string {
			return strings.ReplaceAll(wrap60(d), "+", " ")
		})),
		t("curl with a file", "transport-curl", func([]byte) []byte { return []byte("curl -X POST -d @body.json https://shop.example/ottpay") }),
		t("curl without a body", "transport-curl", func([]byte) []byte { return []byte("curl -i https://shop.example/ottpay") }),
		t("curl with an open quote", "transport-curl", func(b []byte) []byte { return append([]byte("curl https://shop.example/ -d '"), b...) }),
		t("curl --data-urlencode", "transport-form", func(b []byte) []byte {
			return append(append([]byte("curl https://shop.example/ --data-urlencode '"), b...), '\'')
		}),
	}
}

// wrap60 writes Base64 as the gateway does: a blank after every 60 letters.
func wrap60(d string) string {
	var out strings.Builder
	for i := range len(d) {
		out.WriteByte(d[i])
		if (i+1)%60 == 0 {
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// jsonMistakes happen to the outer object.
func jsonMistakes() []mistake {
	t := func(name string, code explain.Code, way func([]byte) []byte) mistake {
		return mistake{name: name, code: code, way: way}
	}
	return []mistake{
		t("empty", "not-json", func([]byte) []byte { return nil }),
		t("blank", "not-json", func([]byte) []byte { return []byte(" \n") }),
		t("text", "not-json", func([]byte) []byte { return []byte("Service Unavailable") }),
		t("trailing comma", "not-json", func(b []byte) []byte { return append(b[:len(b)-1:len(b)-1], ",}"...) }),
		t("single quotes", "not-json", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte(`'`)) }),
		t("bare names", "not-json", replace(`"data"`, "data")),
		t("a comment", "not-json", replace("{", "{ // sent by us\n")),
		t("cut in the middle", "not-json", func(b []byte) []byte { return b[:len(b)/2] }),
		t("cut at the end", "not-json", func(b []byte) []byte { return b[:len(b)-1] }),
		t("typographic quotes", "not-json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"data"`), []byte("“data”"), 1) }),
		t("a missing comma", "not-json", replace(`,"md5"`, ` "md5"`)),
		t("a missing colon", "not-json", replace(`"data":`, `"data" `)),
		t("printed by Java", "not-json", func(b []byte) []byte {
			return []byte(strings.NewReplacer(`"`, "", ":", "=", ",", ", ").Replace(string(b)))
		}),
		t("an XSSI guard", "not-json", func(b []byte) []byte { return append([]byte(")]}',\n"), b...) }),
		t("JSONP", "not-json", func(b []byte) []byte { return append(append([]byte("cb("), b...), ");"...) }),
		t("text in front", "not-json", func(b []byte) []byte { return append([]byte("Notice: something\n"), b...) }),
		t("bytes of Python", "not-json", func(b []byte) []byte { return append(append([]byte("b'"), b...), '\'') }),
		t("chunk sizes", "not-json", func(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(b), b) }),
		t("a line break in data", "not-json", func(b []byte) []byte {
			i := bytes.Index(b, []byte(`"data":"`)) + 30
			return append(b[:i:i], append([]byte("\n"), b[i:]...)...)
		}),
		t("NaN", "not-json", replace("{", `{"x":NaN,`)),
		t("a half surrogate", "not-json", replace("{", `{"x":"\ud83d",`)),
		t("hexadecimal body", "not-json", func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }),
		t("an array", "not-an-object", func(b []byte) []byte { return append(append([]byte("["), b...), ']') }),
		t("a number", "not-an-object", func([]byte) []byte { return []byte("200") }),
		t("null", "not-an-object", func([]byte) []byte { return []byte("null") }),
		t("a word in quotes", "not-json", func([]byte) []byte { return []byte(`success`) }),
		t("an object behind", "trailing-bytes", func(b []byte) []byte { return append(b, "{}"...) }),
		t("twice", "trailing-bytes", func(b []byte) []byte { return append(append([]byte{}, b...), b...) }),
		t("NUL behind", "trailing-bytes", func(b []byte) []byte { return append(b, 0, 0, 0) }),
		t("a script behind", "trailing-bytes", func(b []byte) []byte { return append(b, "\n<script src=x></script>"...) }),
		t("a semicolon behind", "trailing-bytes", func(b []byte) []byte { return append(b, ';') }),
		t("md5 twice", "duplicate-name", replace(`"md5":`, `"md5":"","md5":`)),
		t("data twice", "duplicate-name", replace("{", `{"data":"",`)),
		t("Latin-1 in a member", "not-utf-8", replace("{", "{\"x\":\"Caf\xe9\",")),
		t("GBK in a member", "not-utf-8", replace("{", "{\"x\":\"\xb3\xc9\xb9\xa6\",")),
		t("nested too deeply", "too-deep", replace("{", `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+",")),
		t("too large", "too-large", replace("{", `{"x":"`+strings.Repeat("y", 1<<20)+`",`)),
		t("a number beyond doubles", "number-range", replace("{", `{"x":1e999,`)),
		t("md5 as a number", "member-type", edit(func(o map[string]any) { o["md5"] = 12345 })),
		t("data as an object", "member-type", edit(func(o map[string]any) { o["data"] = map[string]any{"order_id": "A1"} })),
		t("data as a list", "member-type", edit(func(o map[string]any) { o["data"] = []any{1, 2} })),
		t("merchant_id as a number", "member-type", edit(func(o map[string]any) { o["merchant_id"] = 1 })),
		t("no data", "no-data", edit(func(o map[string]any) { delete(o, "data") })),
		t("data is null", "no-data", edit(func(o map[string]any) { o["data"] = nil })),
		t("data is empty", "no-data", edit(func(o map[string]any) { o["data"] = "" })),
		t("Data", "no-data", edit(func(o map[string]any) { o["Data"] = o["data"]; delete(o, "data") })),
		t("no md5", "no-md5", edit(func(o map[string]any) { delete(o, "md5") })),
		t("md5 is null", "no-md5", edit(func(o map[string]any) { o["md5"] = nil })),
		t("MD5", "no-md5", edit(func(o map[string]any) { o["MD5"] = o["md5"]; delete(o, "md5") })),
		t("sign in place of md5", "no-md5", edit(func(o map[string]any) { o["sign"] = o["md5"]; delete(o, "md5") })),
		t("md5 a digit short", "bad-md5", sum(func(s string) string { return s[1:] })),
		t("md5 a digit long", "bad-md5", sum(func(s string) string { return s + "0" })),
		t("md5 with a blank", "bad-md5", sum(func(s string) string { return s + " " })),
		t("md5 with a line feed", "bad-md5", sum(func(s string) string { return s + "\n" })),
		t("md5 with a letter O", "bad-md5", sum(func(s string) string { return "O" + s[1:] })),
		t("md5 in Base64", "bad-md5", sum(func(s string) string { b, _ := hex.DecodeString(s); return base64.StdEncoding.EncodeToString(b) })),
		t("md5 of 16 digits", "bad-md5", sum(func(s string) string { return s[8:24] })),
		t("SHA-256", "bad-md5", sum(func(s string) string { h := sha256.Sum256([]byte(s)); return up(h[:]) })),
		t("md5 as a UUID", "bad-md5", sum(func(s string) string { return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:] })),
		t("0x", "bad-md5", sum(func(s string) string { return "0x" + s })),
		t("data and md5 exchanged", "bad-md5", edit(func(o map[string]any) { o["data"], o["md5"] = o["md5"], o["data"] })),
	}
}

// base64Mistakes happen to the spelling of data.
func base64Mistakes() []mistake {
	d := func(name string, code explain.Code, f func(string) string) mistake {
		return mistake{name: name, code: code, way: data(f)}
	}
	raw := func(f func([]byte) string) func(string) string {
		return func(s string) string { b, _ := base64.StdEncoding.DecodeString(s); return f(b) }
	}
	return []mistake{
		d("URL-safe letters", "bad-base64", func(s string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(s) }),
		d("Base64 of percent-encoded Base64", "encoding-twice", raw(func(b []byte) string {
			return base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(base64.StdEncoding.EncodeToString(b))))
		})),
		d("no padding", "bad-base64", func(s string) string { return strings.TrimRight(s, "=") }),
		d("percent-encoded", "bad-base64", url.QueryEscape),
		d("percent-encoded twice", "bad-base64", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }),
		d("escaped slashes, twice", "bad-base64", func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }),
		d("escaped equals signs, twice", "bad-base64", func(s string) string { return strings.ReplaceAll(s, "=", `\u003d`) }),
		d("escaped line breaks, twice", "bad-base64", func(s string) string { return s[:20] + `\r\n` + s[20:] }),
		d("escaped for HTML", "bad-base64", func(s string) string { return strings.NewReplacer("+", "&#43;", "=", "&#61;", "/", "&#47;").Replace(s) }),
		d("a no-break space", "bad-base64", func(s string) string { return s[:8] + "\u00a0" + s[8:] }),
		d("an invisible character", "bad-base64", func(s string) string { return s[:8] + "\u200b" + s[8:] }),
		d("quotes around", "bad-base64", func(s string) string { return `"` + s + `"` }),
		d("shortened by a log", "bad-base64", func(s string) string { return s[:20] + "..." }),
		d("masked by a log", "bad-base64", func(string) string { return "********" }),
		d("a data URL", "bad-base64", func(s string) string { return "data:application/octet-stream;base64," + s }),
		d("bytes of Python", "bad-base64", func(s string) string { return "b'" + s + "'" }),
		d("an asterisk", "bad-base64", func(s string) string { return s[:9] + "*" + s[10:] }),
		d("too much padding", "bad-base64", func(s string) string { return strings.TrimRight(s, "=") + "====" }),
		d("encoded in pieces", "bad-base64", raw(func(b []byte) string {
			return base64.StdEncoding.EncodeToString(b[:7]) + base64.StdEncoding.EncodeToString(b[7:])
		})),
		d("cut by one letter", "bad-base64", func(s string) string { return s[:len(s)-5] }),
		d("cut by three letters", "bad-base64", func(s string) string { return s[:len(s)-7] }),
		d("hexadecimal", "encoding-hex", raw(func(b []byte) string { return up(b) })),
		d("hexadecimal, lower case", "encoding-hex", raw(hex.EncodeToString)),
		d("Base64 of hexadecimal", "encoding-hex", raw(func(b []byte) string { return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(b))) })),
		d("hexadecimal of Base64", "encoding-hex", func(s string) string { return hex.EncodeToString([]byte(s)) }),
		d("Base64 twice", "encoding-twice", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		d("Base64 three times", "encoding-twice", func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
		}),
		{name: "not encrypted", code: "not-encrypted", plant: crypt(func(_, p []byte) []byte { return p })},
		{name: "not encrypted, padded", code: "not-encrypted", plant: func(s *sender) { s.encrypt = func(_, p []byte) []byte { return p } }},
		{name: "plain text in data", code: "not-encrypted", plant: func(s *sender) {
			text := s.plaintext(s.members)
			s.encode = func([]byte) string { return string(text) }
		}},
		d("four letters short", "bad-length", func(s string) string { return s[:len(s)-8] }),
		{name: "five bytes short", code: "bad-length", plant: func(s *sender) { s.blocks = func(b []byte) []byte { return b[:len(b)-5] } }},
		{name: "the first three bytes missing", code: "bad-length", plant: func(s *sender) { s.blocks = func(b []byte) []byte { return b[3:] } }},
		{name: "seven bytes missing in the middle", code: "bad-length", plant: func(s *sender) {
			s.blocks = func(b []byte) []byte { return append(append([]byte{}, b[:len(b)/2]...), b[len(b)/2+7:]...) }
		}},
		{name: "a byte too many", code: "bad-length", plant: func(s *sender) { s.blocks = func(b []byte) []byte { return append(b, '\n') } }},
	}
}

// keyMistakes are made on the way to the AES key, and in the cipher.
func keyMistakes() []mistake {
	k := func(name string, code explain.Code, f func(m, k string) []byte) mistake {
		return mistake{name: name, code: code, plant: key(f)}
	}
	c := func(name string, f func(*sender)) mistake { return mistake{name: name, code: "cipher-mode", plant: f} }
	slice := func(from, to int) func(m, k string) []byte {
		return func(m, k string) []byte { return []byte(md5Text(m + k)[from:to]) }
	}
	joined := func(f func(m, k string) string) func(m, k string) []byte {
		return func(m, k string) []byte { return []byte(md5Text(f(m, k))[8:24]) }
	}
	newline := func(name, text string) mistake {
		return k(name, "key-newline", joined(func(m, k string) string { return m + strings.ReplaceAll(text, "K", k) }))
	}
	separator := func(sep string) mistake {
		return k("separator "+sep, "key-separator", joined(func(m, k string) string { return m + sep + k }))
	}
	return []mistake{
		k("first 16", "key-slice", slice(0, 16)),
		k("last 16", "key-slice", slice(16, 32)),
		k("9 to 24", "key-slice", slice(9, 25)),
		k("7 to 22", "key-slice", slice(7, 23)),
		k("8 characters and zeros", "key-slice", func(m, k string) []byte { return append([]byte(md5Text(m + k)[8:16]), make([]byte, 8)...) }),
		k("every other character", "key-slice", func(m, k string) []byte {
			h := md5Text(m + k)
			var out []byte
			for i := 0; i < 32; i += 2 {
				out = append(out, h[i])
			}
			return out
		}),
		k("folded as MySQL does", "key-slice", func(m, k string) []byte {
			h := []byte(md5Text(m + k))
			out := h[:16]
			for i := range out {
				out[i] ^= h[16+i]
			}
			return out
		}),
		k("key first", "key-order", joined(func(m, k string) string { return k + m })),
		k("key on both sides", "key-order", joined(func(m, k string) string { return k + m + k })),
		k("key first with &", "key-order", joined(func(m, k string) string { return k + "&" + m })),
		k("lower-case hash", "key-case", func(m, k string) []byte { return []byte(lower(md5Text(m + k))[8:24]) }),
		k("lower-case md5", "key-case", joined(func(m, k string) string { return lower(m) + k })),
		k("all lower case", "key-case", func(m, k string) []byte { return []byte(lower(md5Text(lower(m) + k))[8:24]) }),
		k("lower-case sign key", "key-case", joined(func(m, k string) string { return m + lower(k) })),
		{name: "md5 sent in lower case", code: "key-case", plant: func(s *sender) { s.sendMD5 = lower }},
		k("bytes of the hash", "key-bytes", func(m, k string) []byte { h := md5.Sum([]byte(m + k)); return h[:] }),
		k("16 characters decoded, zeros", "key-bytes", func(m, k string) []byte {
			b, _ := hex.DecodeString(md5Text(m + k)[8:24])
			return append(b, make([]byte, 8)...)
		}),
		k("16 characters decoded, twice", "key-bytes", func(m, k string) []byte {
			b, _ := hex.DecodeString(md5Text(m + k)[8:24])
			return append(b, b...)
		}),
		k("sign key decoded", "key-bytes", joined(func(m, k string) string { b, _ := hex.DecodeString(k); return m + string(b) })),
		k("md5 decoded", "key-bytes", joined(func(m, k string) string { b, _ := hex.DecodeString(m); return string(b) + k })),
		k("SHA1PRNG of the 16", "key-bytes", func(m, k string) []byte {
			a := sha1.Sum([]byte(md5Text(m + k)[8:24]))
			b := sha1.Sum(a[:])
			return b[:16]
		}),
		k("password of createCipher", "key-bytes", func(m, k string) []byte { h := md5.Sum([]byte(md5Text(m + k)[8:24])); return h[:] }),
		k("the sign key itself", "key-raw", func(_, k string) []byte { return []byte(k) }),
		k("the sign key twice", "key-raw", func(_, k string) []byte { return []byte(k + k) }),
		k("the sign key with zeros", "key-raw", func(_, k string) []byte { return append([]byte(k), make([]byte, 16)...) }),
		k("SHA1PRNG of the sign key", "key-raw", func(_, k string) []byte { a := sha1.Sum([]byte(k)); b := sha1.Sum(a[:]); return b[:16] }),
		k("the sign key hashed, without md5", "key-no-md5", joined(func(_, k string) string { return k })),
		k("md5 hashed, without the key", "key-no-md5", joined(func(m, _ string) string { return m })),
		k("not hashed", "key-no-md5", func(m, k string) []byte { return []byte((m + k)[8:24]) }),
		k("hashed twice", "key-no-md5", func(m, k string) []byte { return []byte(md5Text(md5Text(m + k))[8:24]) }),
		k("SHA-256", "key-no-md5", func(m, k string) []byte { h := sha256.Sum256([]byte(m + k)); return []byte(up(h[:])[8:24]) }),
		k("SHA-1", "key-no-md5", func(m, k string) []byte { h := sha1.Sum([]byte(m + k)); return []byte(up(h[:])[8:24]) }),
		k("HMAC", "key-no-md5", func(m, k string) []byte {
			h := hmac.New(md5.New, []byte(k))
			h.Write([]byte(m))
			return []byte(up(h.Sum(nil))[8:24])
		}),
		separator("&key="), separator("&"), separator("|"), separator(","), separator(":"), separator(" "), separator("_"), separator("-"), separator("+"),
		k("names", "key-separator", joined(func(m, k string) string { return "md5=" + m + "&key=" + k })),
		newline("line feed", "K\n"), newline("CRLF", "K\r\n"), newline("blank", "K "), newline("tab", "K\t"), newline("blank in front", " K"), newline("quotes", `"K"`), newline("BOM", "\ufeffK"),
		c("CBC with zeros", cbc(zeroIV, false)),
		c("CBC with the key", cbc(keyIV, false)),
		c("CBC with an unknown vector", cbc(someIV, false)),
		c("CBC with the vector in front", cbc(someIV, true)),
		c("CTR with zeros", stream(cipher.NewCTR, zeroIV, false)),
		c("CTR with the vector in front", stream(cipher.NewCTR, someIV, true)),
		c("OFB with zeros", stream(cipher.NewOFB, zeroIV, false)),
		c("OFB with the key", stream(cipher.NewOFB, keyIV, false)),
		c("CFB with zeros", stream(cipher.NewCFBEncrypter, zeroIV, false)),
		c("CFB with the vector in front", stream(cipher.NewCFBEncrypter, someIV, true)),
		c("GCM with the nonce in front", crypt(func(k, p []byte) []byte {
			g, _ := cipher.NewGCM(block(k))
			nonce := []byte("0123456789ab")
			return g.Seal(nonce, nonce, p, nil)
		})),
		c("GCM with zeros", crypt(func(k, p []byte) []byte {
			g, _ := cipher.NewGCM(block(k))
			return g.Seal(nil, make([]byte, 12), p, nil)
		})),
		c("AES-256 with all 32", key(slice(0, 32))),
		c("AES-256 with zeros", key(func(m, k string) []byte { return append([]byte(md5Text(m + k)[8:24]), make([]byte, 16)...) })),
		c("AES-192", key(slice(8, 32))),
		c("AES-256 of a SHA-256", key(func(m, k string) []byte { h := sha256.Sum256([]byte(md5Text(m + k)[8:24])); return h[:] })),
		c("CryptoJS with a password", crypt(func(k, p []byte) []byte {
			salt := []byte("saltsalt")
			key, iv := opensslKey(k, salt)
			p = pkcs(p)
			out := make([]byte, len(p))
			cipher.NewCBCEncrypter(block(key), iv).CryptBlocks(out, p)
			return append(append([]byte("Salted__"), salt...), out...)
		})),
		c("DES", crypt(func(k, p []byte) []byte {
			d, _ := des.NewCipher(k[:8])
			n := 8 - len(p)%8
			p = append(append([]byte{}, p...), bytes.Repeat([]byte{byte(n)}, n)...)
			out := make([]byte, len(p))
			for i := 0; i < len(p); i += 8 {
				d.Encrypt(out[i:], p[i:])
			}
			return out
		})),
		{name: "foreign key", code: "foreign-key", plant: func(s *sender) { s.key = "FEDCBA9876543210" }},
		{name: "key with a typing error", code: "foreign-key", plant: func(s *sender) { s.key = "6698851A525C9438" }},
		{name: "another merchant's key", code: "merchant", plant: func(s *sender) { s.key = "0123456789ABCDEF" }},
		{name: "another merchant outside", code: "merchant", way: edit(func(o map[string]any) { o["merchant_id"] = "TS00000002" })},
		{name: "an unknown merchant outside", code: "unknown-merchant", way: edit(func(o map[string]any) { o["merchant_id"] = "QC00005496" })},
		{name: "merchant with a blank", code: "unknown-merchant", way: edit(func(o map[string]any) { o["merchant_id"] = merchant + " " })},
		{name: "a digit of md5", code: "altered-md5", way: sum(func(s string) string { return otherDigit(s, 5) })},
		{name: "the last digit of md5", code: "altered-md5", way: sum(func(s string) string { return otherDigit(s, 31) })},
		{name: "two digits of md5 exchanged", code: "altered-md5", way: sum(func(s string) string {
			for i := 0; i+1 < len(s); i++ {
				if s[i] != s[i+1] {
					return s[:i] + string(s[i+1]) + string(s[i]) + s[i+2:]
				}
			}
			return s
		})},
		{name: "md5 of another message", code: "foreign-key", way: sum(func(s string) string { return md5Text(s) })},
		{name: "a letter of data", code: "altered-data", way: data(func(d string) string { return otherLetter(d, 24) }), only: has("several")},
		{name: "a letter in the first block", code: "altered-data", way: data(func(d string) string { return otherLetter(d, 3) }), only: has("several")},
		{name: "a letter in the last block", code: "altered-data", way: data(func(d string) string { return otherLetter(d, len(d)-8) }), only: has("several")},
		{name: "data in lower case", code: "altered-data", way: data(lower), only: has("several")},
		{name: "data in upper case", code: "altered-data", way: data(strings.ToUpper), only: has("several")},
		{name: "neighbours exchanged", code: "exchanged-blocks", plant: blocks(func(b [][]byte) [][]byte { b = slices.Clone(b); b[1], b[2] = b[2], b[1]; return b }), only: has("several")},
		{name: "first and last exchanged", code: "exchanged-blocks", plant: blocks(func(b [][]byte) [][]byte { b = slices.Clone(b); n := len(b) - 1; b[0], b[n] = b[n], b[0]; return b }), only: has("several")},
		{name: "a block moved", code: "exchanged-blocks", plant: blocks(func(b [][]byte) [][]byte {
			b = slices.Clone(b)
			x := b[1]
			b = slices.Delete(b, 1, 2)
			return slices.Insert(b, 3, x)
		}), only: has("several")},
		{name: "all reversed", code: "exchanged-blocks", plant: blocks(func(b [][]byte) [][]byte { b = slices.Clone(b); slices.Reverse(b); return b }), only: has("several")},
		{name: "a block doubled", code: "block-doubled", plant: blocks(func(b [][]byte) [][]byte { return slices.Insert(slices.Clone(b), 2, b[2]) }), only: has("several")},
		{name: "a block doubled elsewhere", code: "block-doubled", plant: blocks(func(b [][]byte) [][]byte { return slices.Insert(slices.Clone(b), 4, b[1]) }), only: has("several")},
		{name: "the last block doubled", code: "block-doubled", plant: blocks(func(b [][]byte) [][]byte { return append(slices.Clone(b), b[len(b)-1]) }), only: has("several")},
		{name: "a block removed", code: "block-removed", plant: blocks(func(b [][]byte) [][]byte { return slices.Delete(slices.Clone(b), 2, 3) }), only: has("several")},
		{name: "the first block removed", code: "block-removed", plant: blocks(func(b [][]byte) [][]byte { return b[1:] }), only: has("several")},
		{name: "the last block removed", code: "block-removed", plant: blocks(func(b [][]byte) [][]byte { return b[:len(b)-1] }), only: has("several")},
		{name: "three blocks removed at the end", code: "block-removed", plant: blocks(func(b [][]byte) [][]byte { return b[:len(b)-3] }), only: has("long")},
		{name: "a foreign block inserted", code: "altered-data", plant: blocks(func(b [][]byte) [][]byte { return slices.Insert(slices.Clone(b), 2, []byte("0123456789abcdef")) }), only: has("several")},
		{name: "a foreign block behind", code: "altered-data", plant: blocks(func(b [][]byte) [][]byte { return append(slices.Clone(b), []byte("0123456789abcdef")) }), only: has("several")},
	}
}

func otherDigit(s string, i int) string {
	d := "0123456789ABCDEF"
	return s[:i] + string(d[(strings.IndexByte(d, strings.ToUpper(s)[i])+3)%16]) + s[i+1:]
}

func otherLetter(s string, i int) string {
	c := byte('A')
	if s[i] == 'A' {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

// paddingMistakes are other paddings.
func paddingMistakes() []mistake {
	p := func(name string, f func([]byte) []byte) mistake {
		return mistake{name: name, code: "padding-kind", plant: func(s *sender) { s.pad = f }}
	}
	fill := func(b []byte, size int, with byte, whole bool) []byte {
		n := size - len(b)%size
		if n == size && !whole {
			return b
		}
		return append(append([]byte{}, b...), bytes.Repeat([]byte{with}, n)...)
	}
	return []mistake{
		p("zeros", func(b []byte) []byte { return fill(b, 16, 0, true) }),
		p("zeros where needed", func(b []byte) []byte { return fill(b, 16, 0, false) }),
		p("blanks", func(b []byte) []byte { return fill(b, 16, ' ', true) }),
		p("the digit 0", func(b []byte) []byte { return fill(b, 16, '0', true) }),
		p("X9.23", func(b []byte) []byte {
			out := fill(b, 16, 0, true)
			out[len(out)-1] = byte(len(out) - len(b))
			return out
		}),
		p("ISO 10126", func(b []byte) []byte {
			out := fill(b, 16, 0, true)
			r := rand.New(rand.NewPCG(7, uint64(len(b))))
			for i := len(b); i < len(out); i++ {
				out[i] = byte(128 + r.IntN(120))
			}
			out[len(out)-1] = byte(len(out) - len(b))
			return out
		}),
		p("ISO 10126, a whole block", func(b []byte) []byte {
			out := append(fill(b, 16, ' ', false), "\x9c\x01\x80\xfe\x07\xc3\x9c\x13\x02\xe0\x81\x99\xaa\x1f\x88\x10"...)
			return out
		}),
		p("PKCS#5 for blocks of 8, then zeros", func(b []byte) []byte {
			for len(b)%16 != 4 {
				b = append(b, ' ')
			}
			return append(b, "\x04\x04\x04\x04\x00\x00\x00\x00\x00\x00\x00\x00"...)
		}),
		p("twice, with a whole block", func(b []byte) []byte { return pkcs(pkcs(fill(b, 16, ' ', false))) }),
		p("ISO 7816", func(b []byte) []byte { out := fill(b, 16, 0, true); out[len(b)] = 0x80; return out }),
		p("PKCS#7 to 32 bytes", func(b []byte) []byte {
			n := 32 - len(b)%32
			return append(append([]byte{}, b...), bytes.Repeat([]byte{byte(n)}, n)...)
		}),
		p("twice", func(b []byte) []byte { return pkcs(pkcs(b)) }),
		p("zeros, then PKCS#5", func(b []byte) []byte { return pkcs(fill(b, 16, 0, true)) }),
		p("a terminating zero, then PKCS#5", func(b []byte) []byte { return pkcs(append(append([]byte{}, b...), 0)) }),
		{name: "none", code: "padding-kind", plant: func(s *sender) {
			s.plaintext = func(ms []member) []byte {
				b := plainJSON(ms)
				for len(b)%16 != 0 {
					b = append([]byte("{ "), b[1:]...)
				}
				return b
			}
			s.pad = func(b []byte) []byte { return b }
		}},
	}
}

// plaintextMistakes are made before the encryption.
func plaintextMistakes() []mistake {
	p := func(name string, f func([]byte) []byte) mistake {
		return mistake{name: name, code: "plaintext", plant: plain(f)}
	}
	return []mistake{
		p("a trailing comma", func(b []byte) []byte { return append(b[:len(b)-1], ",}"...) }),
		p("printed by Python", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte("'")) }),
		p("printed by Java", func(b []byte) []byte {
			return []byte(strings.NewReplacer(`"`, "", ":", "=", ",", ", ").Replace(string(b)))
		}),
		p("UTF-16", func(b []byte) []byte { return utf16Of(string(b), false, false) }),
		p("UTF-16 with a mark", func(b []byte) []byte { return utf16Of(string(b), false, true) }),
		p("a byte order mark", func(b []byte) []byte { return append([]byte("\ufeff"), b...) }),
		p("a query string", func(b []byte) []byte {
			return []byte("order_id=A1001&amount=1999&biz_type=WECHATPAY&operator_id=0000000001")
		}),
		p("XML", func([]byte) []byte { return []byte("<xml><order_id>A1001</order_id><amount>1999</amount></xml>") }),
		p("Base64", func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }),
		p("percent-encoded", func(b []byte) []byte { return []byte(url.QueryEscape(string(b))) }),
		p("JSON in a string", func(b []byte) []byte { q, _ := json.Marshal(string(b)); return q }),
		p("escaped", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte(`\"`)) }),
		p("escaped for HTML", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"`), []byte("&quot;")) }),
		p("cut", func(b []byte) []byte { return b[:len(b)-9] }),
		{name: "a name twice", code: "plaintext", plant: func(s *sender) { s.plaintext = func(ms []member) []byte { return plainJSON(append(ms[:1:1], ms...)) } }},
		p("NaN", func(b []byte) []byte { return append([]byte(`{"x":NaN,`), b[1:]...) }),
		p("a line feed in a string", func(b []byte) []byte { return append([]byte("{\"x\":\"a\nb\","), b[1:]...) }),
		p("half a surrogate", func(b []byte) []byte { return append([]byte(`{"x":"\ud83d",`), b[1:]...) }),
		p("a number beyond doubles", func(b []byte) []byte { return append([]byte(`{"x":1e999,`), b[1:]...) }),
		p("an array", func(b []byte) []byte { return append(append([]byte("["), b...), ']') }),
		p("two objects", func(b []byte) []byte { return append(append([]byte{}, b...), b...) }),
		p("compressed", packed(func(z *bytes.Buffer, b []byte) { w := gzip.NewWriter(z); _, _ = w.Write(b); w.Close() })),
		p("a comment", func(b []byte) []byte { return append([]byte("{/* x */"), b[1:]...) }),
		{name: "GBK", code: "plaintext", plant: plain(func(b []byte) []byte {
			return []byte(gbk(string(b)))
		}), only: both(has("wide"), func(m message) bool {
			return !slices.ContainsFunc(m.members, func(x member) bool { return strings.Contains(gbk(x.text), "?") })
		})},
		{name: "GBK that is UTF-8", code: "plaintext", plant: func(s *sender) {
			s.members = append(s.members, str("attach", "谢谢"))
			s.plaintext = func(ms []member) []byte {
				return bytes.Replace(plainJSON(ms), []byte("谢谢"), []byte(gbk("谢谢")), 1)
			}
		}, only: func(m message) bool { return m.name == "callback" }},
		{name: "Latin-1", code: "plaintext", plant: func(s *sender) {
			s.members = append(s.members, str("remarks_2", "Café Zoë, naïve"))
			s.plaintext = func(ms []member) []byte {
				var clean []member
				for _, m := range ms {
					m.text = strings.Map(func(c rune) rune {
						if c > 0xff {
							return 'x'
						}
						return c
					}, m.text)
					clean = append(clean, m)
				}
				out, _ := charmap.ISO8859_1.NewEncoder().Bytes(plainJSON(clean))
				return out
			}
		}},
	}
}

// gbk encodes as Java does: what GBK does not have becomes a question mark.
func gbk(s string) string {
	var out strings.Builder
	for _, c := range s {
		b, err := simplifiedchinese.GBK.NewEncoder().String(string(c))
		if err != nil {
			b = "?"
		}
		out.WriteString(b)
	}
	return out.String()
}

// digestMistakes are made in the digest.
func digestMistakes() []mistake {
	o := func(name string, less func(a, b member) bool) mistake {
		return mistake{name: name, code: "digest-order", plant: order(less), only: has("several")}
	}
	names := func(name, kv, sep string) mistake {
		return mistake{name: name, code: "digest-names", plant: joinWith(func(ms []member, v func(member) string) string { return pairs(ms, v, kv, sep) })}
	}
	sep := func(s string) mistake {
		return mistake{name: fmt.Sprintf("separator %q", s), code: "digest-separator", only: has("several"), plant: joinWith(func(ms []member, v func(member) string) string {
			return strings.Join(values(ms, v), s)
		})}
	}
	num := func(name string, f func(f float64, text string) string) mistake {
		return mistake{name: name, code: "digest-numbers", plant: numbers(f), only: has("number")}
	}
	literal := func(name string, code explain.Code, kind string, by map[string]string) mistake {
		return mistake{name: name, code: code, only: has(kind), plant: valued(func(m member, h string) string {
			if s, ok := by[m.raw]; ok && m.raw != "" {
				return s
			}
			return h
		})}
	}
	nested := func(name, text string) mistake {
		return mistake{name: name, code: "digest-nested", only: has("nested"), plant: valued(func(m member, h string) string {
			if strings.HasPrefix(m.raw, "{") {
				return text
			}
			return h
		})}
	}
	text := func(name string, code explain.Code, kind string, f func(string) string) mistake {
		return mistake{name: name, code: code, only: has(kind), plant: valued(func(m member, h string) string {
			if m.raw != "" {
				return h
			}
			return f(m.text)
		})}
	}
	keyed := func(name string, f func(joined string) string) mistake {
		return mistake{name: name, code: "digest-keyed", plant: func(s *sender) { s.digestOf = func(j string) string { return md5Text(f(j)) } }}
	}
	drop := func(name string) mistake {
		return mistake{name: "without " + name, code: "digest-dropped", plant: valued(func(m member, h string) string {
			if m.name == name {
				return ""
			}
			return h
		}), only: both(has("several"), func(m message) bool {
			for _, x := range m.members {
				if x.name == name {
					return true
				}
			}
			return false
		})}
	}
	amount := func(name string, f func(string) string) mistake {
		return mistake{name: "an amount, sent as a string, " + name, code: "digest-numbers", plant: valued(func(m member, h string) string {
			if m.name == "amount" && m.raw == "" {
				return f(h)
			}
			return h
		}), only: func(m message) bool {
			return slices.ContainsFunc(m.members, func(x member) bool { return x.name == "amount" && x.raw == "" })
		}}
	}
	jsonOf := func(name string, f func(ms []member) string) mistake {
		return mistake{name: name, code: "digest-json", plant: func(s *sender) {
			s.join = func(ms []member, _ func(member) string) string { return f(ms) }
		}}
	}
	return []mistake{
		{name: "document order", code: "digest-order", plant: func(s *sender) { s.order = func(ms []member) []member { return ms } }, only: has("several")},
		o("without regard to case", func(a, b member) bool { return lower(a.name) < lower(b.name) }),
		o("descending", func(a, b member) bool { return a.name > b.name }),
		o("by value", func(a, b member) bool { return javaValue(a) < javaValue(b) }),
		o("by length", func(a, b member) bool { return len(a.name) < len(b.name) }),
		o("a locale", func(a, b member) bool {
			return strings.ReplaceAll(lower(a.name), "_", "") < strings.ReplaceAll(lower(b.name), "_", "")
		}),
		{name: "a map without order", code: "digest-order", plant: func(s *sender) {
			s.order = func(ms []member) []member {
				out := append([]member{}, ms...)
				rand.New(rand.NewPCG(1, 2)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
				return out
			}
		}, only: func(m message) bool { return len(m.members) > 2 && len(m.members) <= 8 }},
		names("k=v&k=v", "=", "&"), names("kv", "", ""), names("k=v", "=", ""), names("k:v,", ":", ","), names("k=v,", "=", ","), names("k=v|", "=", "|"),
		{name: "a printed map", code: "digest-names", plant: joinWith(func(ms []member, v func(member) string) string { return "{" + pairs(ms, v, "=", ", ") + "}" })},
		{name: "k=v& with & at the end", code: "digest-names", plant: joinWith(func(ms []member, v func(member) string) string { return pairs(ms, v, "=", "&") + "&" })},
		{name: "as WeChat signs", code: "digest-names", plant: joinWith(func(ms []member, v func(member) string) string {
			var kept []member
			for _, m := range ms {
				if v(m) != "" {
					kept = append(kept, m)
				}
			}
			return pairs(kept, v, "=", "&") + "&key=" + signKey
		})},
		{name: "k=v& in document order", code: "digest-order", only: has("long"), plant: func(s *sender) {
			s.order = func(ms []member) []member { return ms }
			s.join = func(ms []member, v func(member) string) string { return pairs(ms, v, "=", "&") }
		}},
		sep("&"), sep(","), sep("|"), sep(" "), sep("\n"), sep(";"), sep("+"), sep("-"), sep("_"), sep(":"), sep("\t"), sep(", "), sep("#"),
		{name: "a printed list", code: "digest-separator", plant: joinWith(func(ms []member, v func(member) string) string { return "[" + strings.Join(values(ms, v), ", ") + "]" })},
		drop("amount"), drop("operator_id"), drop("call_back_url"), drop("merchant_id"), drop("finish_time"), drop("order_status"), drop("convenience_fee"), drop("feeType"),
		{name: "k=v& without empty values", code: "digest-names", only: has("empty"), plant: joinWith(func(ms []member, v func(member) string) string {
			var kept []member
			for _, m := range ms {
				if v(m) != "" {
					kept = append(kept, m)
				}
			}
			return pairs(kept, v, "=", "&")
		})},
		num("two decimals", func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', 2, 64) }),
		num(".0 glued on", func(_ float64, t string) string { return t + ".0" }),
		num("six decimals", func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', 6, 64) }),
		{name: "integers as integers", code: "digest-numbers", only: has("fraction"), plant: numbers(func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', -1, 64) })},
		{name: "without an exponent", code: "digest-numbers", only: has("big"), plant: numbers(func(f float64, _ string) string {
			s := strconv.FormatFloat(f, 'f', -1, 64)
			if !strings.Contains(s, ".") {
				s += ".0"
			}
			return s
		})},
		{name: "Go's exponent", code: "digest-numbers", only: has("big"), plant: numbers(func(f float64, _ string) string { return strconv.FormatFloat(f, 'g', -1, 64) })},
		{name: "an exponent with a plus", code: "digest-numbers", only: has("big"), plant: numbers(func(f float64, _ string) string { return strings.Replace(javaDouble(f), "E", "E+", 1) })},
		literal("None", "digest-null", "null", map[string]string{"null": "None"}),
		literal("NULL", "digest-null", "null", map[string]string{"null": "NULL"}),
		literal("nil", "digest-null", "null", map[string]string{"null": "<nil>"}),
		literal("undefined", "digest-null", "null", map[string]string{"null": "undefined"}),
		literal("True and False", "digest-booleans", "bool", map[string]string{"true": "True", "false": "False"}),
		literal("1 and 0", "digest-booleans", "bool", map[string]string{"true": "1", "false": "0"}),
		literal("1 and nothing", "digest-booleans", "bool", map[string]string{"true": "1", "false": ""}),
		nested("as JSON", `{"sku":"a-1","n":2,"tags":["x","y"]}`),
		nested("as Python's JSON", `{"sku": "a-1", "n": 2, "tags": ["x", "y"]}`),
		nested("as Python prints", `{'sku': 'a-1', 'n': 2, 'tags': ['x', 'y']}`),
		nested("as JavaScript prints", "[object Object]"),
		nested("as PHP prints", "Array"),
		nested("as Go prints", "map[n:2 sku:a-1 tags:[x y]]"),
		nested("as Ruby prints", `{"sku"=>"a-1", "n"=>2, "tags"=>["x", "y"]}`),
		nested("sorted JSON", `{"n":2,"sku":"a-1","tags":["x","y"]}`),
		text("lower case", "digest-case", "letters", lower),
		text("upper case", "digest-case", "letters", strings.ToUpper),
		text("percent-encoded", "digest-encoding", "url", url.QueryEscape),
		text("percent-encoded as encodeURIComponent", "digest-encoding", "url", func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }),
		text("percent-encoded, lower-case digits", "digest-encoding", "url", func(s string) string {
			return regexp.MustCompile("%[0-9A-F]{2}").ReplaceAllStringFunc(url.QueryEscape(s), lower)
		}),
		text("escaped slashes", "digest-encoding", "url", func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }),
		text("escaped for HTML", "digest-encoding", "query", html.EscapeString),
		text("escaped for HTML, but for quotes", "digest-encoding", "query", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace),
		text("escaped by json.HTMLEscape", "digest-encoding", "query", strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace),
		text("percent-encoded as url.PathEscape", "digest-encoding", "url", url.PathEscape),
		{name: "percent-encoded as a whole", code: "digest-encoding", only: has("url"), plant: func(s *sender) {
			s.digestOf = func(j string) string { return md5Text(url.PathEscape(j)) }
		}},
		{name: "JSON texts of all values", code: "digest-encoding", only: has("several"), plant: valued(func(m member, _ string) string {
			if m.raw != "" {
				return m.raw
			}
			q, _ := json.Marshal(m.text)
			return strings.ReplaceAll(string(q), `\u0026`, "&") // as the plaintext has it
		})},
		amount("with .0", func(s string) string { return s + ".0" }),
		amount("with two decimal places", func(s string) string { return s + ".00" }),
		amount("in dollars", func(s string) string { s = fmt.Sprintf("%03s", s); return s[:len(s)-2] + "." + s[len(s)-2:] }),
		text("GBK", "digest-encoding", "wide", gbk),
		{name: "UTF-16", code: "digest-encoding", plant: func(s *sender) {
			s.digestOf = func(j string) string { return md5Text(string(utf16Of(j, false, false))) }
		}},
		text("question marks", "digest-encoding", "wide", func(s string) string {
			return strings.Map(func(c rune) rune {
				if c > 0x7e {
					return '?'
				}
				return c
			}, s)
		}),
		text("escapes", "digest-encoding", "wide", func(s string) string {
			var out strings.Builder
			for _, c := range s {
				if c > 0x7e {
					fmt.Fprintf(&out, `\u%04x`, c)
				} else {
					out.WriteRune(c)
				}
			}
			return out.String()
		}),
		text("UTF-8 twice", "digest-encoding", "wide", func(s string) string {
			var out []rune
			for _, b := range []byte(s) {
				out = append(out, rune(b))
			}
			return string(out)
		}),
		text("blanks dropped", "digest-trimmed", "blank", func(s string) string { return strings.ReplaceAll(s, " ", "") }),
		keyed("the key behind", func(j string) string { return j + signKey }),
		keyed("the key in front", func(j string) string { return signKey + j }),
		keyed("the key on both sides", func(j string) string { return signKey + j + signKey }),
		keyed("&key=", func(j string) string { return j + "&key=" + signKey }),
		{name: "HMAC", code: "digest-keyed", plant: func(s *sender) {
			s.digestOf = func(j string) string {
				h := hmac.New(md5.New, []byte(signKey))
				h.Write([]byte(j))
				return up(h.Sum(nil))
			}
		}},
		jsonOf("the JSON text", func([]member) string { return "" }),
		{name: "merchant_id of the envelope", code: "digest-extra", plant: func(s *sender) {
			s.order = func(ms []member) []member {
				out := append([]member{str("merchant_id", merchant)}, ms...)
				sort.SliceStable(out, func(i, j int) bool { return out[i].name < out[j].name })
				return out
			}
		}, only: func(m message) bool {
			return !slices.ContainsFunc(m.members, func(x member) bool { return x.name == "merchant_id" })
		}},
		{name: "a line feed behind", code: "digest-extra", plant: func(s *sender) { s.digestOf = func(j string) string { return md5Text(j + "\n") } }},
		{name: "hashed twice", code: "digest", plant: func(s *sender) { s.digestOf = func(j string) string { return md5Text(md5Text(j)) } }},
		{name: "an unknown salt", code: "digest", plant: func(s *sender) { s.digestOf = func(j string) string { return md5Text("pepper" + j) } }},
		{name: "another content", code: "digest", plant: func(s *sender) {
			s.digestOf = func(j string) string { return md5Text(strings.Replace(j, "0", "9", 1) + "x") }
		}},
	}
}

// kindMistakes are sealed as they should be.
func kindMistakes() []mistake {
	outer := func(name string, code explain.Code, only func(message) bool, f func(map[string]any)) mistake {
		return mistake{name: name, code: code, way: edit(f), only: only}
	}
	inner := func(name string, code explain.Code, only func(message) bool, f func(*sender)) mistake {
		return mistake{name: name, code: code, plant: f, only: only}
	}
	action := func(name string) func(message) bool { return func(m message) bool { return m.action == name } }
	isStatus := func(m message) bool { return m.name == "status response" }
	asCallback := func(o map[string]any) {
		delete(o, "action")
		delete(o, "version")
		o["rsp_code"], o["rsp_msg"] = "SUCCESS", "success"
	}
	return []mistake{
		outer("a request as a callback", "not-a-callback", action("H5PAY"), asCallback),
		outer("a checkout's request as a callback", "not-a-callback", action("PREPAY_INIT"), asCallback),
		outer("a query as a callback", "not-a-callback", action("STATUS_QUERY"), asCallback),
		inner("no finish_time", "not-a-callback", isCallback, without("finish_time")),
		inner("no bizpay_order_id", "not-a-callback", func(m message) bool { return m.name == "callback" }, without("bizpay_order_id")),
		inner("no amount", "schema", isCallback, without("amount")),
		inner("no order_id in a callback", "schema", isCallback, without("order_id")),
		inner("an amount with a point", "schema", isCallback, with(str("amount", "10.00"))),
		inner("a negative amount", "schema", isCallback, with(str("amount", "-100"))),
		inner("an empty amount", "schema", isCallback, with(str("amount", ""))),
		inner("another merchant inside", "merchant", isCallback, with(str("merchant_id", "TS00000002"))),
		inner("another merchant inside a request", "merchant", action("PREPAY_INIT"), with(str("merchant_id", "QC00005496"))),
		outer("no merchant outside of a callback", "merchant", isCallback, func(o map[string]any) { delete(o, "merchant_id") }),
		outer("an unknown code", "code-unknown", isCallback, func(o map[string]any) { o["rsp_code"] = "OKAY" }),
		outer("an unknown code of a response", "code-unknown", isStatus, func(o map[string]any) { o["rsp_code"] = "0" }),
		outer("rep_code", "code-unknown", isCallback, func(o map[string]any) { o["rep_code"] = o["rsp_code"]; delete(o, "rsp_code") }),
		outer("FAIL outside of a callback", "code", isCallback, func(o map[string]any) { o["rsp_code"] = "FAIL" }),
		outer("an unknown action", "schema", isRequest, func(o map[string]any) { o["action"] = "H5PAYY" }),
		outer("an action in lower case", "schema", action("H5PAY"), func(o map[string]any) { o["action"] = "h5pay" }),
		outer("a wrong version", "schema", action("H5PAY"), func(o map[string]any) { o["version"] = "3.0" }),
		outer("no version", "schema", action("H5PAY"), func(o map[string]any) { delete(o, "version") }),
		inner("no amount in a request", "schema", action("H5PAY"), without("amount")),
		inner("no call_back_url", "schema", action("H5PAY"), without("call_back_url")),
		inner("no biz_type", "schema", action("MAPPPAY"), without("biz_type")),
		inner("amount in dollars", "schema", action("H5PAY"), with(str("amount", "19.99"))),
		inner("amount 0", "schema", action("H5PAY"), with(str("amount", "0"))),
		inner("a wallet that is none", "schema", action("H5PAY"), with(str("biz_type", "PAYPAL"))),
		inner("callBackUrl", "schema", action("MAPPPAY"), func(s *sender) { without("call_back_url")(s); with(str("callBackUrl", "https://a.example/"))(s) }),
		inner("currency in lower case", "schema", action("H5PAY"), with(str("currency_type", "cad"))),
		inner("a relative callback URL", "schema", action("H5PAY"), with(str("call_back_url", "/ottpay"))),
		outer("another action's data", "schema", action("STATUS_QUERY"), func(o map[string]any) { o["action"] = "EX_RATE_QUERY" }),
	}
}

func allMistakes() []mistake {
	return slices.Concat(transportMistakes(), jsonMistakes(), base64Mistakes(), keyMistakes(), paddingMistakes(), plaintextMistakes(), digestMistakes(), kindMistakes())
}

// opens reports whether the kit opens a body: then the mistake has left no
// trace in this message.
func opens(body []byte) bool {
	k, err := envelope.NewKey(signKey)
	if err != nil {
		panic(err)
	}
	e, err := envelope.ReadRequest(body)
	if err != nil || e.MerchantID != merchant {
		return false
	}
	_, err = k.Open(e.Sealed)
	return err == nil
}

// TestMistakes plants each mistake into a fifth of the messages that it can be
// made with, and with -whole into all of them.
func TestMistakes(t *testing.T) {
	t.Parallel()
	x := newExplainer(t)
	all, first, listed, hidden := 0, 0, 0, 0
	for i, m := range allMistakes() {
		for j, msg := range messages() {
			if !*whole && (i+j)%5 != 0 {
				continue
			}
			body, ok := m.made(msg)
			if !ok {
				continue
			}
			e := x.Explain(body, explain.Options{})
			if kinds := slices.Contains([]explain.Code{"not-a-callback", "schema", "merchant", "code", "code-unknown"}, m.code); !kinds && opens(body) {
				hidden++
				if !e.OK && e.Code != "schema" {
					t.Errorf("%s in %s: %s (%s), though the kit opens it", m.name, msg.name, e.Code, e.Why)
				}
				continue
			}
			all++
			switch {
			case e.Code == m.code:
				first++
			case slices.Contains(e.Codes, m.code):
				listed++
				t.Logf("%s in %s: %v, want %s first", m.name, msg.name, e.Codes, m.code)
			default:
				t.Errorf("%s in %s: %s %v (%s), want %s", m.name, msg.name, e.Code, e.Codes, e.Why, m.code)
			}
		}
	}
	t.Logf("%d mistakes: %d named first, %d named together with others; %d left no trace", all, first, listed, hidden)
}
