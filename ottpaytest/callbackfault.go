package ottpaytest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// CallbackFault is what goes wrong with a callback.
type CallbackFault string

// The faults of callbacks. [Faults] says of each what a correct shop does.
const (
	// CallbackNone is an honest callback.
	CallbackNone CallbackFault = "none"

	// Delivery: the content is honest.

	CallbackDuplicate  CallbackFault = "duplicate"   // the same content again, newly spelled
	CallbackReplay     CallbackFault = "replay"      // the very bytes again
	CallbackBurst      CallbackFault = "burst"       // several at once
	CallbackReorder    CallbackFault = "reorder"     // after a later one
	CallbackDelay      CallbackFault = "delay"       // later
	CallbackDrop       CallbackFault = "drop"        // not sent, then redelivered
	CallbackLost       CallbackFault = "lost"        // never sent
	CallbackLostAnswer CallbackFault = "lost-answer" // the acknowledgement is lost on its way
	CallbackEarly      CallbackFault = "early"       // before the request is answered

	// Forgery: needs no sign key, but for CallbackKey, CallbackOldKey and
	// CallbackInnerMerchant.

	CallbackData          CallbackFault = "data"           // a letter of data changed
	CallbackDigest        CallbackFault = "digest"         // a digit of md5 changed
	CallbackBlocks        CallbackFault = "blocks"         // two blocks exchanged: only the digest can tell
	CallbackSplice        CallbackFault = "splice"         // a block doubled so that the digest still fits
	CallbackKey           CallbackFault = "key"            // sealed under a key that is not the merchant's
	CallbackOldKey        CallbackFault = "old-key"        // sealed under the merchant's last key
	CallbackMerchant      CallbackFault = "merchant"       // another merchant outside of the data
	CallbackInnerMerchant CallbackFault = "inner-merchant" // another merchant inside
	CallbackNoMerchant    CallbackFault = "no-merchant"    // no merchant outside of the data
	CallbackCode          CallbackFault = "code"           // FAIL outside of the data, which nothing protects
	CallbackRequest       CallbackFault = "request"        // a request of the shop's as a callback: it opens
	CallbackResponse      CallbackFault = "response"       // an answer of the gateway's as a callback: it opens

	// Content: sealed as it should be.

	CallbackAmount         CallbackFault = "amount"          // another amount
	CallbackFee            CallbackFault = "fee"             // a convenience fee on top
	CallbackPaidTwice      CallbackFault = "paid-twice"      // then again with another channel id
	CallbackAuthorised     CallbackFault = "authorised"      // order_status authorised
	CallbackUnknownStatus  CallbackFault = "unknown-status"  // an undocumented order_status
	CallbackUnknownMember  CallbackFault = "unknown-member"  // members that the document does not know
	CallbackNumbers        CallbackFault = "numbers"         // amounts as JSON numbers
	CallbackAmountDecimal  CallbackFault = "amount-decimal"  // an amount with a point
	CallbackAmountNegative CallbackFault = "amount-negative" // a negative amount
	CallbackNoFinishTime   CallbackFault = "no-finish-time"  // a required member is missing
	CallbackNullOptional   CallbackFault = "null-optional"   // an optional member is null
	CallbackEmptyOptional  CallbackFault = "empty-optional"  // an optional amount is ""
	CallbackTimeShapes     CallbackFault = "time-shapes"     // finish_time in each of its shapes
	CallbackPlain          CallbackFault = "plain"           // without the vendor's quirks

	// Transport.

	CallbackTruncateBody  CallbackFault = "truncate-body"   // half of the JSON
	CallbackCut           CallbackFault = "cut"             // the connection ends within the body
	CallbackTrickle       CallbackFault = "trickle"         // a few bytes every 20 milliseconds
	CallbackStall         CallbackFault = "stall"           // stops within the body
	CallbackOversize      CallbackFault = "oversize"        // 70 KiB
	CallbackBOM           CallbackFault = "bom"             // a byte order mark first
	CallbackHTML          CallbackFault = "html"            // a page
	CallbackForm          CallbackFault = "form"            // a form body
	CallbackEmpty         CallbackFault = "empty"           // nothing
	CallbackTrailing      CallbackFault = "trailing"        // {} after the object
	CallbackTwiceNamed    CallbackFault = "twice-named"     // md5 twice
	CallbackNoMD5         CallbackFault = "no-md5"          // md5 is missing
	CallbackCapitalNames  CallbackFault = "capital-names"   // MD5 for md5
	CallbackBase64URL     CallbackFault = "base64-url"      // - and _ for + and /
	CallbackPlusBlank     CallbackFault = "plus-blank"      // + became a blank
	CallbackMD5Case       CallbackFault = "md5-case"        // md5 in lower case on the way
	CallbackGzip          CallbackFault = "gzip"            // compressed
	CallbackChunked       CallbackFault = "chunked"         // without a Content-Length
	CallbackContentType   CallbackFault = "content-type"    // text/plain
	CallbackNoContentType CallbackFault = "no-content-type" // no Content-Type
	CallbackGet           CallbackFault = "get"             // a GET
)

// parcel is a callback as it goes over the wire.
type parcel struct {
	method      string
	contentType string
	encoding    string
	body        []byte
	chunked     bool
	cut         int // the body ends with an error after so many bytes; negative: no
	stall       int // the body stops after so many bytes; negative: no
	trickle     bool
}

// request writes the parcel as a request. sleep waits, and reports whether to
// go on; it is nil where there is no client to wait for.
func (p parcel) request(to string, sleep func(time.Duration) bool) (*http.Request, error) {
	var body io.Reader = bytes.NewReader(p.body)
	switch {
	case p.cut >= 0:
		body = io.MultiReader(bytes.NewReader(p.body[:p.cut]), failing{})
	case p.stall >= 0:
		body = io.MultiReader(bytes.NewReader(p.body[:p.stall]), waiting{sleep})
	case p.trickle:
		body = &trickling{rest: p.body, step: max(1, len(p.body)/100), sleep: sleep}
	case p.method == http.MethodGet:
		body = http.NoBody
	case p.chunked:
		body = io.MultiReader(body) // hides the length
	}
	r, err := http.NewRequestWithContext(context.Background(), p.method, to, body)
	if err != nil {
		return nil, fmt.Errorf("ottpaytest: the callback URL is none")
	}
	r.ContentLength = int64(len(p.body))
	switch {
	case p.chunked:
		r.ContentLength = -1
	case p.method == http.MethodGet:
		r.ContentLength = 0
	}
	if p.contentType != "" {
		r.Header.Set("Content-Type", p.contentType)
	}
	if p.encoding != "" {
		r.Header.Set("Content-Encoding", p.encoding)
	}
	return r, nil
}

// failing is a body that cannot be read.
type failing struct{}

// Read fails.
func (failing) Read([]byte) (int, error) { return 0, errFault }

// waiting is a body that does not go on until no client waits for it any more.
type waiting struct{ sleep func(time.Duration) bool }

// Read waits, then fails.
func (w waiting) Read([]byte) (int, error) {
	for w.sleep != nil && w.sleep(time.Hour) {
	}
	return 0, errFault
}

// trickling is a slow body.
type trickling struct {
	rest  []byte
	step  int
	sleep func(time.Duration) bool
}

// Read returns a few bytes after a short time.
func (t *trickling) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		return 0, io.EOF
	}
	if t.sleep != nil && !t.sleep(trickled) {
		return 0, errFault
	}
	n := copy(p[:min(len(p), t.step)], t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// alone reports whether a single callback can show the fault, without a
// Gateway that sends others or waits.
func (f CallbackFault) alone() bool {
	switch f {
	case CallbackDuplicate, CallbackReplay, CallbackBurst, CallbackReorder, CallbackDelay, CallbackDrop, CallbackLost,
		CallbackLostAnswer, CallbackEarly, CallbackPaidTwice, CallbackTimeShapes:
		return false
	}
	return true
}

// say changes what a callback says, for the faults of its content. turn counts
// from 0 where several are sent.
func (f CallbackFault) say(n *Notification, turn int) {
	n.Extra = maps.Clone(n.Extra)
	if n.Extra == nil {
		n.Extra = make(map[string]any)
	}
	set := func(role api.Role, value any) {
		if m, ok := notificationSchema().WithRole(role); ok {
			n.Extra[m.Name] = value
		}
	}
	switch f {
	case CallbackInnerMerchant:
		set(api.RoleMerchant, another(n.MerchantID))
	case CallbackAmount:
		n.Amount++
		delete(n.Extra, "amount")
	case CallbackFee:
		const fee = field.Cents(30)
		n.Amount += fee
		n.Extra["convenience_fee"] = fee
	case CallbackPaidTwice:
		if turn > 0 {
			n.ChannelID = another(n.ChannelID)
		}
	case CallbackAuthorised:
		n.Extra["order_status"] = api.StatusAuthorised
	case CallbackUnknownStatus:
		n.Extra["order_status"] = "levitating"
	case CallbackUnknownMember:
		n.Extra["wallet"] = map[string]any{"name": "new", "levels": []any{1, "two", nil, true}}
		n.Extra["new_member"] = "new"
	case CallbackNumbers:
		set(api.RoleAmount, int64(n.Amount))
		set(api.RoleTip, int64(n.Tip))
	case CallbackAmountDecimal:
		set(api.RoleAmount, n.Amount.Decimal())
	case CallbackAmountNegative:
		set(api.RoleAmount, "-"+n.Amount.String())
	case CallbackNoFinishTime:
		n.Extra["finish_time"] = nil
	case CallbackNullOptional:
		n.Extra["remarks"] = json.RawMessage("null")
	case CallbackEmptyOptional:
		set(api.RoleTip, "")
	case CallbackTimeShapes:
		at := n.FinishTime.In(china)
		n.Extra["finish_time"] = []string{
			at.Format("20060102150405"), at.Format(time.DateTime), n.FinishTime.In(time.FixedZone("EST", -5*60*60)).Format(time.DateTime) + " EST",
		}[turn%3]
	case CallbackPlain:
		n.Without = AllQuirks
	case CallbackCode:
		n.Code, n.Message = string(api.CodeFail), api.CodeFail.Message()
	}
}

// plaintext changes the decrypted data, for the faults that are not said in
// members.
func (f CallbackFault) plaintext(n Notification, plaintext []byte) ([]byte, error) {
	switch f {
	case CallbackBlocks:
		return swappable(plaintext), nil
	case CallbackSplice:
		return spliceable(n)
	case CallbackRequest:
		return object([]pair{
			{"order_id", quoted(n.OrderID)}, {"amount", quoted(n.Amount.String())},
			{"call_back_url", quoted("https://shop.example/ottpay")},
		}), nil
	case CallbackResponse:
		return object([]pair{
			{"order_id", quoted(n.OrderID)}, {"total_amount", []byte(n.Amount.String())},
			{"refund_fee", []byte("0")}, {"order_status", quoted(string(api.StatusSuccess))},
			{"tip", []byte("0")}, {"bizpay_order_id", quoted(n.ChannelID)},
		}), nil
	}
	return plaintext, nil
}

// seal encrypts, and changes what needs no key to be changed.
func (f CallbackFault) seal(keys []envelope.Key, plaintext []byte) (envelope.Sealed, error) {
	key := keys[0]
	switch f {
	case CallbackKey:
		key = foreignKey()
	case CallbackOldKey:
		key = keys[len(keys)-1]
	}
	s, err := key.Seal(plaintext)
	if err != nil {
		return s, fmt.Errorf("ottpaytest: %w", err)
	}
	switch f {
	case CallbackData:
		i := len(s.Data) / 2
		s.Data = s.Data[:i] + otherLetter(s.Data[i]) + s.Data[i+1:]
	case CallbackDigest:
		s.MD5 = spoilDigest(s.MD5)
	case CallbackMD5Case:
		s.MD5 = strings.ToLower(s.MD5)
	case CallbackBlocks:
		s.Data, err = swapped(s.Data)
	case CallbackSplice:
		s.Data, err = spliced(s.Data, plaintext)
	case CallbackBase64URL:
		s.Data = strings.NewReplacer("+", "-", "/", "_").Replace(s.Data)
		if !strings.ContainsAny(s.Data, "-_") { // by chance there was nothing to change
			s.Data = "-" + s.Data[1:]
		}
	case CallbackPlusBlank:
		n := strings.Count(s.Data, "+")
		if n == 0 { // by chance there was nothing to change
			s.Data = "+" + s.Data[1:]
		} else if n%4 == 0 { // what is missing would look like a shorter message
			n--
		}
		s.Data = strings.Replace(s.Data, "+", " ", max(n, 1))
	}
	return s, err
}

// pack writes a callback as it goes over the wire. at is Fault.At.
func (f CallbackFault) pack(n Notification, s envelope.Sealed, at int) (parcel, error) {
	p := parcel{method: http.MethodPost, contentType: "application/json", cut: -1, stall: -1}
	quirks := AllQuirks &^ n.Without
	merchant := n.MerchantID
	switch f {
	case CallbackMerchant:
		merchant = another(merchant)
	case CallbackNoMerchant:
		merchant = ""
	case CallbackBase64URL, CallbackPlusBlank:
		quirks &^= QuirkBlanks
	}
	p.body = envelopeOf(quirks, n.Code, n.Message, merchant, s)
	middle := len(p.body) / 2
	if at > 0 {
		middle = min(at, len(p.body))
	}
	switch f {
	case CallbackTruncateBody:
		p.body = p.body[:len(p.body)/2]
	case CallbackCut:
		p.cut = middle
	case CallbackStall:
		p.stall = middle
	case CallbackTrickle:
		p.trickle = true
	case CallbackOversize:
		p.body = slices.Concat([]byte(`{"padding":"`), bytes.Repeat([]byte("x"), 70<<10), []byte(`",`), p.body[1:])
	case CallbackBOM:
		p.body = append([]byte("\ufeff"), p.body...)
	case CallbackHTML:
		p.contentType = "text/html"
		p.body = []byte("<html><head><title>Bad Gateway</title></head><body><h1>502</h1></body></html>")
	case CallbackForm:
		p.contentType = "application/x-www-form-urlencoded"
		p.body = []byte(url.Values{
			"rsp_code": {n.Code}, "rsp_msg": {n.Message}, "merchant_id": {merchant}, "data": {s.Data}, "md5": {s.MD5},
		}.Encode())
	case CallbackEmpty:
		p.body = nil
	case CallbackTrailing:
		p.body = append(p.body, "{}"...)
	case CallbackTwiceNamed:
		p.body = append([]byte(`{"md5":`+string(quoted(s.MD5))+`,`), p.body[1:]...)
	case CallbackNoMD5:
		p.body = bytes.Replace(p.body, []byte(`,"md5":`+string(quoted(s.MD5))), nil, 1)
	case CallbackCapitalNames:
		p.body = bytes.Replace(p.body, []byte(`"md5"`), []byte(`"MD5"`), 1)
	case CallbackGzip:
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(p.body)
		_ = z.Close() // into a buffer: cannot fail
		p.body, p.encoding = b.Bytes(), "gzip"
	case CallbackChunked:
		p.chunked = true
	case CallbackContentType:
		p.contentType = "text/plain; charset=iso-8859-1"
	case CallbackNoContentType:
		p.contentType = ""
	case CallbackGet:
		p.method = http.MethodGet
	}
	return p, nil
}

// spliceable writes an authorisation whose first block ends within the name of
// order_status and in which the channel's id fills a block.
func spliceable(n Notification) ([]byte, error) {
	channel := n.ChannelID
	if n := 16 - len(channel); n > 0 {
		channel += strings.Repeat("0", n)
	}
	if strings.ContainsAny(channel, `\"`) {
		return nil, fmt.Errorf("ottpaytest: a splice needs a channel id without quotation marks")
	}
	var b bytes.Buffer
	b.WriteString(`{       "order_s`) // a block
	b.WriteString(`tatus":"authorised","order_id":` + string(quoted(n.OrderID)) + `,`)
	b.WriteString(`"amount":` + string(quoted(n.Amount.String())) + `,`)
	for (b.Len()+len(`"bizpay_order_id":"`))%16 != 0 {
		b.WriteByte(' ')
	}
	b.WriteString(`"bizpay_order_id":"` + channel + `","finish_time":`)
	b.Write(quoted(n.FinishTime.In(china).Format("20060102150405")))
	b.WriteString(`,"merchant_id":` + string(quoted(n.MerchantID)) + `}`)
	return b.Bytes(), nil
}

// spliced doubles the block of the channel's id into the name of order_status,
// which is then an undocumented name: an authorisation that reads like a
// payment. Names are not digested, so the digest still fits.
func spliced(data string, plaintext []byte) (string, error) {
	const name = `"bizpay_order_id":"`
	b, err := base64.StdEncoding.DecodeString(data)
	at := bytes.Index(plaintext, []byte(name)) + len(name)
	if err != nil || at%16 != 0 || len(b) < at+16 {
		return "", fmt.Errorf("ottpaytest: there is no block to double")
	}
	return base64.StdEncoding.EncodeToString(slices.Concat(b[:16], b[at:at+16], b[16:])), nil
}
