package ottpaytest

import (
	"context"
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
	MerchantID string // who is paid
	SignKey    string // seals the callback

	OrderID    string      // defaults to TEST2020041600000001
	ChannelID  string      // bizpay_order_id; defaults to WX781266859681754
	Amount     field.Cents // defaults to 100
	Tip        field.Cents // sent as 0 if there is none
	FinishTime time.Time   // written in China's time; defaults to 2020-04-16 05:04:29 there

	// Extra are further members of the data, and other values for the usual
	// ones; nil leaves a member out. A value may be anything that JSON can
	// say, and json.RawMessage as it is.
	Extra map[string]any

	Code    string // rsp_code, outside of the data; defaults to SUCCESS
	Message string // rsp_msg, outside of the data; defaults to success

	// URL is where the request goes; defaults to http://shop.example/ottpay.
	URL string

	// Fault is what goes wrong with it. If empty, nothing does. Those that take
	// more than one callback, or a Gateway that waits, cannot be had here:
	// FaultInfo.Alone says which can.
	Fault CallbackFault

	// OldKey is the sign key for CallbackOldKey. If empty, that fault cannot be
	// had.
	OldKey string

	// Without are the quirks that are switched off.
	Without Quirk

	rotate int // how many members go from the front to the back
}

// NewNotification returns a callback for the test of a handler, as the gateway
// would post it. Like httptest.NewRequest it panics if there can be none.
func NewNotification(n Notification) *http.Request {
	p, err := n.parcel()
	if err != nil {
		panic(err)
	}
	to := n.URL
	if to == "" {
		to = "http://shop.example/ottpay"
	}
	// The request of a server is what a handler gets; that of a client knows how
	// the parcel goes over the wire.
	sent, err := p.request(to, nil)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequestWithContext(context.Background(), p.method, to, sent.Body)
	r.ContentLength, r.Header = sent.ContentLength, sent.Header
	return r
}

// Body returns the sealed callback, with the vendor's quirks. It fails if
// MerchantID or SignKey is missing, Extra cannot be written as JSON, or a
// Gateway is needed for the Fault.
func (n Notification) Body() ([]byte, error) {
	p, err := n.parcel()
	return p.body, err
}

func (n Notification) parcel() (parcel, error) {
	if n.MerchantID == "" {
		return parcel{}, fmt.Errorf("ottpaytest: Notification.MerchantID is empty")
	}
	if !n.Fault.alone() {
		return parcel{}, fmt.Errorf("ottpaytest: the fault %s takes a Gateway", n.Fault)
	}
	texts := []string{n.SignKey}
	if n.OldKey != "" {
		texts = append(texts, n.OldKey)
	}
	var keys []envelope.Key
	for _, text := range texts {
		key, err := envelope.NewKey(text)
		if err != nil {
			return parcel{}, fmt.Errorf("ottpaytest: %w", err)
		}
		keys = append(keys, key)
	}
	return n.pack(keys, 0, 0)
}

// pack writes the callback, with what goes wrong with it. turn counts from 0
// where several are sent; at is Fault.At.
func (n Notification) pack(keys []envelope.Key, turn, at int) (parcel, error) {
	if n.Fault != "" {
		if _, ok := LookupFault(string(ToShop) + ":" + string(n.Fault)); !ok {
			return parcel{}, fmt.Errorf("ottpaytest: there is no callback fault %q", n.Fault)
		}
	}
	if n.Fault == CallbackOldKey && len(keys) < 2 {
		return parcel{}, fmt.Errorf("ottpaytest: old-key takes a merchant with two keys")
	}
	n = n.withDefaults()
	n.Fault.say(&n, turn)
	plaintext, err := n.plaintext()
	if err != nil {
		return parcel{}, err
	}
	if plaintext, err = n.Fault.plaintext(n, plaintext); err != nil {
		return parcel{}, err
	}
	sealed, err := n.Fault.seal(keys, plaintext)
	if err != nil {
		return parcel{}, err
	}
	return n.Fault.pack(n, sealed, at)
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
