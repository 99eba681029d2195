package ottpaytest

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Notification is a callback to be made. MerchantID and SignKey are all that
// it needs.
type Notification struct {
	MerchantID string
	SignKey    string

	OrderID    string      // defaults to TEST2020041600000001
	ChannelID  string      // bizpay_order_id; defaults to WX781266859681754
	Amount     field.Cents // defaults to 100
	Tip        field.Cents
	FinishTime time.Time // written in China's time; defaults to 2020-04-16 05:04:29 there

	// Extra are further members of the data, and other values for the usual
	// ones; nil leaves a member out. A value may be anything that JSON can
	// say, and json.RawMessage as it is.
	Extra map[string]any

	// Code and Message are what stands outside of the data. They default to
	// SUCCESS and success.
	Code    string
	Message string

	// URL is where the request goes; defaults to http://shop.example/ottpay.
	URL string

	// Tampering is done to it on the way; by default none.
	Tampering Tampering

	// Without are the quirks that are switched off.
	Without Quirk

	rotate int // how many members go from the front to the back
}

// NewNotification returns a callback for the test of a handler, as the gateway
// would post it. Like httptest.NewRequest it panics if there can be none.
func NewNotification(n Notification) *http.Request {
	body, err := n.Body()
	if err != nil {
		panic(err)
	}
	url := n.URL
	if url == "" {
		url = "http://shop.example/ottpay"
	}
	r := httptest.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// Body returns the sealed callback, with the vendor's quirks. It fails if
// MerchantID or SignKey is missing or Extra cannot be written as JSON.
func (n Notification) Body() ([]byte, error) {
	if n.MerchantID == "" {
		return nil, fmt.Errorf("ottpaytest: Notification.MerchantID is empty")
	}
	key, err := envelope.NewKey(n.SignKey)
	if err != nil {
		return nil, fmt.Errorf("ottpaytest: %w", err)
	}
	return n.seal(key)
}

// seal writes the callback, tampered with if that is wanted.
func (n Notification) seal(key envelope.Key) ([]byte, error) {
	n = n.withDefaults()
	plaintext, err := n.plaintext()
	if err != nil {
		return nil, err
	}
	return n.Tampering.seal(n, key, plaintext)
}

func (n Notification) withDefaults() Notification {
	if n.OrderID == "" {
		n.OrderID = "TEST2020041600000001"
	}
	if n.ChannelID == "" {
		n.ChannelID = "WX781266859681754"
	}
	if n.Amount == 0 {
		n.Amount = 100
	}
	if n.FinishTime.IsZero() {
		n.FinishTime = time.Date(2020, 4, 16, 5, 4, 29, 0, china)
	}
	if n.Code == "" {
		n.Code = string(api.CodeSuccess)
	}
	if n.Message == "" {
		n.Message = api.CodeSuccess.Message()
	}
	return n
}

// plaintext writes the data: the members of the schema in its order, then what
// else there is in Extra.
func (n Notification) plaintext() ([]byte, error) {
	extra := maps.Clone(n.Extra)
	var out []pair
	add := func(name string, value any) error {
		if value == nil {
			return nil
		}
		raw, err := encode(value)
		if err != nil {
			return fmt.Errorf("ottpaytest: Extra[%q] is no JSON", name)
		}
		out = append(out, pair{name, raw})
		return nil
	}
	for _, m := range notificationSchema().Members {
		value, given := extra[m.Name]
		delete(extra, m.Name)
		if !given {
			value = n.usual(m)
		}
		if err := add(m.Name, value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if err := add(name, extra[name]); err != nil {
			return nil, err
		}
	}
	if k := len(out); k > 0 {
		k = n.rotate % k
		out = slices.Concat(out[k:], out[:k])
	}
	return (AllQuirks &^ n.Without).escape(object(out)), nil
}

// usual is what a callback says in member m, nil for nothing.
func (n Notification) usual(m api.Member) any {
	switch m.Role {
	case api.RoleOrderID:
		return n.OrderID
	case api.RoleChannelID:
		return n.ChannelID
	case api.RoleAmount:
		return n.Amount.String()
	case api.RoleTip:
		return n.Tip.String()
	case api.RoleMerchant:
		return n.MerchantID
	}
	switch {
	case m.Kind == api.MemberTime && m.Required:
		return n.FinishTime.In(china).Format("20060102150405")
	case m.Required && m.Example != "":
		return (members{m.Name: []byte(m.Example)}).text(m.Name)
	case m.Required:
		return filler(m)
	}
	return nil
}

// Tampering is what is done to a callback.
type Tampering string

// The ways of tampering. The first group needs no sign key and must not be
// believed; the second is what its holder, or the gateway's own messages, can
// bring about.
const (
	// Untampered: nothing is done.
	Untampered Tampering = ""

	// TamperData changes one letter of data.
	TamperData Tampering = "data"
	// TamperDigest changes one digit of md5.
	TamperDigest Tampering = "digest"
	// TamperBlocks exchanges two blocks of data, so that it decrypts to JSON
	// with other values: only the digest can tell.
	TamperBlocks Tampering = "blocks"
	// TamperKey seals under a key that is not the merchant's.
	TamperKey Tampering = "key"
	// TamperMerchant names another merchant outside of the data.
	TamperMerchant Tampering = "merchant"
	// TamperCode says FAIL outside of the data, which nothing protects.
	TamperCode Tampering = "code"

	// TamperRequest posts a request of the merchant's as a callback. It opens.
	TamperRequest Tampering = "request"
	// TamperResponse posts an answer of the gateway's as a callback. It opens.
	TamperResponse Tampering = "response"
	// TamperAmount says another amount, sealed as it should be.
	TamperAmount Tampering = "amount"
)

// Tamperings returns all of them.
func Tamperings() []Tampering {
	return []Tampering{
		TamperData, TamperDigest, TamperBlocks, TamperKey, TamperMerchant, TamperCode,
		TamperRequest, TamperResponse, TamperAmount,
	}
}

// seal writes the callback n, whose data is plaintext, and tampers with it.
func (t Tampering) seal(n Notification, key envelope.Key, plaintext []byte) ([]byte, error) {
	switch t {
	case TamperKey:
		key = foreignKey()
	case TamperMerchant:
		n.MerchantID = another(n.MerchantID)
	case TamperCode:
		n.Code, n.Message = string(api.CodeFail), api.CodeFail.Message()
	case TamperBlocks:
		plaintext = swappable(plaintext)
	case TamperRequest:
		plaintext = object([]pair{
			{"order_id", quoted(n.OrderID)}, {"amount", quoted(n.Amount.String())},
			{"call_back_url", quoted("https://shop.example/ottpay")},
		})
	case TamperResponse:
		plaintext = object([]pair{
			{"order_id", quoted(n.OrderID)}, {"total_amount", []byte(n.Amount.String())},
			{"refund_fee", []byte("0")}, {"order_status", quoted(string(api.StatusSuccess))},
			{"tip", []byte("0")}, {"bizpay_order_id", quoted(n.ChannelID)},
		})
	case TamperAmount:
		n.Tampering, n.Amount = Untampered, n.Amount+1
		extra := maps.Clone(n.Extra)
		delete(extra, "amount")
		n.Extra = extra
		var err error
		if plaintext, err = n.plaintext(); err != nil {
			return nil, err
		}
	case Untampered, TamperData, TamperDigest:
	default:
		return nil, fmt.Errorf("ottpaytest: unknown tampering %q", t)
	}
	sealed, err := key.Seal(plaintext)
	if err != nil {
		return nil, fmt.Errorf("ottpaytest: %w", err)
	}
	switch t {
	case TamperData:
		i := len(sealed.Data) / 2
		sealed.Data = sealed.Data[:i] + otherLetter(sealed.Data[i]) + sealed.Data[i+1:]
	case TamperDigest:
		sealed.MD5 = spoilDigest(sealed.MD5)
	case TamperBlocks:
		if sealed.Data, err = swapped(sealed.Data); err != nil {
			return nil, err
		}
	}
	return wire(AllQuirks&^n.Without, n.Code, n.Message, n.MerchantID, sealed), nil
}

func otherLetter(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// swappable puts a member in front of an object so that the first two blocks
// but one lie within its value: `{          "x":"`, then 16 letters, then 16
// other ones.
func swappable(object []byte) []byte {
	return slices.Concat(
		[]byte(`{          "x":"`), []byte(strings.Repeat("a", 16)), []byte(strings.Repeat("b", 16)),
		[]byte(`",`), object[1:])
}
