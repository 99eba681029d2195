// Package envelope seals and opens OTT Pay's messages. A message is a JSON object
// that is encrypted under the merchant's sign key, and a digest of its values.
//
// [Key.Seal] encrypts a message and [Key.Open] decrypts one. Open returns no byte
// of plaintext unless the digest is right. [ReadRequest], [ReadResponse] and
// [ReadAnswer] read the JSON around the encrypted data.
//
// # What an opened envelope proves
//
// Someone who knows the sign key sealed these values. It proves nothing else.
// The encryption is AES-128 in ECB mode, under a key that is derived from an MD5
// digest of the values. The digest is neither a signature nor a MAC. It does not
// cover the names of members, the boundaries between values, or anything outside
// the data: not rsp_code, not merchant_id, not the direction and not the time.
// The gateway requires MD5 and ECB; a merchant cannot replace them. SECURITY.md
// explains what follows from this.
//
// The facts about the wire are from OTT Pay's "Appendix A" (encryption) and its
// action pages. docs/protocol.md, sections 3 and 4, lists them, with our
// decisions where the vendor says nothing.
package envelope

import (
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ottpaykit/ottpay/wire"
)

// Sealed is the part of a message that the sign key protects.
type Sealed struct {
	// Data is the Base64 text of the encrypted JSON object. White space in it
	// is ignored when reading: the gateway's encoder writes some.
	Data string `json:"data"`
	// MD5 is the digest of the object's values, 32 hexadecimal digits. The AES
	// key is derived from this text, so the case of its letters matters.
	MD5 string `json:"md5"`
}

// Request is the envelope that a merchant posts to the gateway. Nothing outside
// Sealed is authenticated.
type Request struct {
	Action     string `json:"action"`                // such as STATUS_QUERY
	Version    string `json:"version"`               // of the action
	MerchantID string `json:"merchant_id"`           // selects the sign key
	TerminalNo string `json:"terminal_no,omitempty"` // in-store actions only
	OperatorID string `json:"operator_id,omitempty"` // in-store actions only
	Sealed
}

// Response is the envelope of the gateway's answer to a request. Callbacks have
// the same shape. Nothing outside Sealed is authenticated.
type Response struct {
	Code       string `json:"rsp_code"`              // such as SUCCESS; proves nothing
	Message    string `json:"rsp_msg"`               // free text
	MerchantID string `json:"merchant_id,omitempty"` // selects the sign key; "" if absent
	Sealed
}

// Payload is a verified plaintext. Its zero value is empty.
type Payload struct {
	JSON []byte // one strict JSON object, as it was sealed
	Form Form   // how its digest was computed

	members *wire.Members
}

// Members returns the index of the payload's members that [Key.Open] made, so
// that the JSON need not be parsed again. It is nil for a Payload that Open did
// not return. It refers to JSON, which must not be changed.
func (p Payload) Members() *wire.Members { return p.members }

// Member returns the value of a top-level member as it is written in JSON, and
// whether there is one. The name is exact.
func (p Payload) Member(name string) (value []byte, ok bool) {
	i := p.members.Find(name)
	if i < 0 {
		return nil, false
	}
	return p.members.Value(i), true
}

// ReadRequest reads the body of a request. It is for the gateway's side of the
// wire. The error matches [ErrMalformed].
func ReadRequest(body []byte) (Request, error) {
	var o outer
	if err := o.read(body); err != nil {
		return Request{}, err
	}
	r := Request{
		Action:     o.string("action"),
		Version:    o.string("version"),
		MerchantID: o.string("merchant_id"),
		TerminalNo: o.string("terminal_no"),
		OperatorID: o.string("operator_id"),
		Sealed:     o.sealed(),
	}
	if o.fault != nil {
		return Request{}, o.fault
	}
	return r, nil
}

// ReadResponse reads the body of a callback, or of an answer that must have data
// (docs/protocol.md, 3.5). The body is one JSON object that [wire.Parse] accepts,
// with well-formed data and md5. Unknown members are ignored. The error matches
// [ErrMalformed].
func ReadResponse(body []byte) (Response, error) {
	return readResponse(body, false)
}

// ReadAnswer reads the gateway's answer to a request. It is [ReadResponse], but
// an answer whose code is not SUCCESS may have no data. Sealed is then zero, and
// nothing in the answer is authenticated.
func ReadAnswer(body []byte) (Response, error) {
	return readResponse(body, true)
}

func readResponse(body []byte, mayFail bool) (Response, error) {
	var o outer
	if err := o.read(body); err != nil {
		return Response{}, err
	}
	r := Response{
		Code:       o.string("rsp_code"),
		Message:    o.string("rsp_msg"),
		MerchantID: o.string("merchant_id"),
	}
	if !mayFail || strings.EqualFold(r.Code, "SUCCESS") || !o.absent("data") {
		r.Sealed = o.sealed()
	}
	if o.fault != nil {
		return Response{}, o.fault
	}
	return r, nil
}

// outer is the JSON around the data: its members, and the last fault found in
// them.
type outer struct {
	members wire.Members
	body    string
	fault   *failure
}

func (o *outer) read(body []byte) error {
	if err := wire.Parse(body, &o.members); err != nil {
		return malformed(err)
	}
	o.body = string(body)
	return nil
}

// absent reports whether name is missing, null or the empty string.
func (o *outer) absent(name string) bool {
	i := o.members.Find(name)
	return i < 0 || string(o.members.Value(i)) == "null" || string(o.members.Value(i)) == `""`
}

// string returns a member's string, "" if it is missing or null.
func (o *outer) string(name string) string {
	i := o.members.Find(name)
	if i < 0 {
		return ""
	}
	text, ok := o.members.TextIn(o.body, i)
	if !ok && o.members.Value(i)[0] != 'n' {
		o.fault = errMember
	}
	return text
}

func (o *outer) sealed() Sealed {
	s := Sealed{Data: o.string("data"), MD5: o.string("md5")}
	if o.fault != nil {
		return Sealed{}
	}
	switch _, ok := parseMD5(s.MD5); {
	case s.Data == "":
		o.fault = errNoData
	case s.MD5 == "":
		o.fault = errNoMD5
	case !ok:
		o.fault = errBadMD5
	default:
		if err := checkData(s.Data); err != nil {
			o.fault = err
		}
	}
	return s
}

// checkData judges the spelling of data without decoding it: standard Base64
// with padding, white space anywhere, a positive number of whole AES blocks.
func checkData(data string) *failure {
	letters, padding := 0, 0
	for letters < len(data) && isBase64[data[letters]] { // mostly all of it
		letters++
	}
	for i := letters; i < len(data); i++ {
		c := data[i]
		if isBase64[c] && padding == 0 {
			letters++
			continue
		}
		switch {
		case c == ' ', c == '\t', c == '\r', c == '\n':
		case c == '=' && padding < 2:
			padding++
		default:
			return errBase64
		}
	}
	if (letters+padding)%4 != 0 {
		return errBase64
	}
	if n := letters * 3 / 4; n == 0 || n%aes.BlockSize != 0 {
		return errBlocks
	}
	return nil
}

// decodeData decodes what checkData accepts, and nothing else, into the memory
// of room. It returns that memory even with an error, for another use.
func decodeData(room []byte, data string) ([]byte, error) {
	if strings.IndexByte(data, ' ') >= 0 || strings.IndexByte(data, '\t') >= 0 { // the decoder skips CR and LF only
		data = strings.NewReplacer(" ", "", "\t", "").Replace(data)
	}
	b, err := base64.StdEncoding.AppendDecode(room[:0], []byte(data))
	switch {
	case err != nil:
		return b, errBase64
	case len(b) == 0 || len(b)%aes.BlockSize != 0:
		return b, errBlocks
	}
	return b, nil
}

// parseMD5 reads exactly 32 hexadecimal digits of either case.
func parseMD5(s string) (sum [md5.Size]byte, ok bool) {
	if len(s) != 2*md5.Size {
		return sum, false
	}
	for i := range sum {
		high, low := hexValues[s[2*i]], hexValues[s[2*i+1]]
		if high|low > 0x0F {
			return sum, false
		}
		sum[i] = high<<4 | low
	}
	return sum, true
}

// appendHex appends b in upper-case hexadecimal digits.
func appendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// isBase64 reports whether a byte is a letter of the alphabet.
var isBase64 = func() (is [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		is[c] = true
	}
	return is
}()

// hexValues are the values of the hexadecimal digits of either case, and 0xFF
// for all other bytes.
var hexValues = func() (values [256]byte) {
	for c := range values {
		switch {
		case c >= '0' && c <= '9':
			values[c] = byte(c - '0')
		case c >= 'A' && c <= 'F':
			values[c] = byte(c - 'A' + 10)
		case c >= 'a' && c <= 'f':
			values[c] = byte(c - 'a' + 10)
		default:
			values[c] = 0xFF
		}
	}
	return values
}()

// Format writes the length of the sealed data, whatever the verb: envelopes do
// not belong in logs.
func (s Sealed) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "envelope(%d bytes)", len(s.Data)) }

// LogValue returns the length of the sealed data.
func (s Sealed) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Format writes the length of the payload, whatever the verb.
func (p Payload) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "payload(%d bytes, %s)", len(p.JSON), p.Form)
}

// LogValue returns the length of the payload.
func (p Payload) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }
