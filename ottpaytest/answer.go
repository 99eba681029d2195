package ottpaytest

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

// china is the zone of finish_time.
var china = time.FixedZone("CST", 8*60*60)

// teller builds the decrypted object of an answer from its schema.
type teller struct {
	g      *Gateway
	asked  asked
	row    *row    // nil: the answer is about no order
	made   members // of the request that made it
	now    time.Time
	base   string
	code   api.Code
	quirks Quirk
}

func (t teller) tell() []byte {
	var out []pair
	for _, m := range t.asked.reply.Members {
		if value := t.value(m); value != nil {
			out = append(out, pair{m.Name, value})
		}
	}
	return object(out)
}

// value is what the answer says in member m, nil if it leaves it out. First
// comes what the gateway knows by the member's role, then what the request
// said, then the document's example.
func (t teller) value(m api.Member) json.RawMessage {
	if text, known := t.byRole(m); known {
		if text == "" && !m.Required {
			return nil
		}
		return t.spell(m, text)
	}
	if m.Kind == api.MemberJSON {
		if !m.Required {
			return nil
		}
		return t.json(m)
	}
	if text, ok := t.repeated(m); ok {
		return t.spell(m, text)
	}
	switch {
	case m.Kind == api.MemberTime:
		return t.time(m)
	case m.Example != "":
		return t.example(m)
	case m.Required:
		return t.spell(m, filler(m))
	}
	return nil
}

const tradeTime = "Jan 2, 2006 3:04:05 PM"

// time writes a time of which only the name is known, in the shape
// of the document's example.
func (t teller) time(m api.Member) json.RawMessage {
	at := t.now
	if t.row != nil {
		at = t.row.Created
		if m.Role == api.RoleExpiry || strings.HasPrefix(fold(m.Name), "expire") {
			at = t.row.Expires
		}
	}
	if at.IsZero() && !m.Required {
		return nil
	}
	layout := tradeTime
	if example := (members{"": []byte(m.Example)}).text(""); example != "" {
		if _, err := time.Parse(layout, example); err != nil {
			layout = time.DateTime
		}
	}
	return t.spell(m, inToronto(at).Format(layout))
}

// inToronto is a time on the vendor's clock. Where the zone database is
// missing, daylight saving time is, too.
func inToronto(at time.Time) time.Time {
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		zone = time.FixedZone("EST", -5*60*60)
	}
	return at.In(zone)
}

// byRole returns what the gateway knows about the member, and whether it is
// one of those that it does know about.
func (t teller) byRole(m api.Member) (string, bool) {
	switch m.Role {
	case api.RoleMerchant:
		return t.asked.merchant, true
	case api.RoleCode:
		return string(t.code), true
	case api.RoleMessage:
		return t.code.Message(), true
	case api.RoleRate:
		currency, _ := t.asked.role(api.RoleCurrency)
		rate, _ := t.g.rate(currency)
		return rate.String(), true
	}
	if t.row == nil {
		return "", false
	}
	if t.namesPayment(m) {
		return t.row.PaymentID, true
	}
	switch m.Role {
	case api.RoleOrderID:
		return t.row.ID, true
	case api.RoleOriginalOrderID:
		return t.row.OriginalID, true
	case api.RoleAmount:
		return t.row.Total().String(), true
	case api.RoleTip:
		return t.row.Tip.String(), true
	case api.RoleRefunded:
		return t.row.Refunded.String(), true
	case api.RoleCurrency:
		return t.row.Currency, t.row.Currency != ""
	case api.RoleOrderStatus:
		return t.status(), true
	case api.RoleChannelID:
		return t.channelID(m), true
	case api.RoleLink:
		return pageURL(t.base, t.row.order()), true
	}
	return "", false
}

// namesPayment reports whether a checkout's answer says in member m what the
// callback calls the order.
func (t teller) namesPayment(m api.Member) bool {
	if t.row.Effect != api.EffectCreateCheckout || m.Role == api.RoleOrderID {
		return false
	}
	order, ok := notificationSchema().WithRole(api.RoleOrderID)
	return ok && m.Name == order.Name
}

// channelID is empty where a channel had nothing to do with it yet: in a query
// for what is not paid, in store until the payer came.
func (t teller) channelID(m api.Member) string {
	early := t.row.Finished.IsZero()
	if early && !m.Required && (t.asked.inStore || t.asked.action.Kind == api.KindQuery) {
		return ""
	}
	return t.row.ChannelID
}

// status is the order's, in the words of the kind of query.
func (t teller) status() string {
	s := t.row.Status
	if t.row.Effect != api.EffectCreateCheckout {
		return string(s)
	}
	switch {
	case s.Final():
		return "ORDERCLOSE"
	case s.Paid():
		return "SUCCESS"
	}
	return "PROCESSING"
}

// repeated is what the request, or the request that made the order, said
// under the member's name.
func (t teller) repeated(m api.Member) (string, bool) {
	names := append([]string{m.Name}, m.Aliases...)
	if m.Echo != "" {
		names = append([]string{m.Echo}, names...)
	}
	for _, name := range names {
		if text := t.asked.members.text(name); text != "" {
			return text, true
		}
		if t.row == nil {
			continue
		}
		if text := t.made.text(name); text != "" {
			return text, true
		}
	}
	return "", false
}

// spell writes text as the member's kind demands: an amount in an answer is a
// number, if that quirk is on.
func (t teller) spell(m api.Member, text string) json.RawMessage {
	numeric := m.Kind == api.MemberAmount || m.Kind == api.MemberRate
	if numeric && m.Number && t.quirks.has(QuirkNumbers) {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return strconv.AppendInt(nil, n, 10)
		}
	}
	return quoted(text)
}

// example writes the document's example as this gateway spells such members.
func (t teller) example(m api.Member) json.RawMessage {
	raw := json.RawMessage(m.Example)
	if text := (members{m.Name: raw}).text(m.Name); text != "" && (m.Kind == api.MemberAmount || m.Kind == api.MemberRate) {
		return t.spell(m, text)
	}
	return raw
}

// json writes a string that holds JSON: the document's example with what is
// this order's own in it.
func (t teller) json(m api.Member) json.RawMessage {
	var text string
	if json.Unmarshal([]byte(m.Example), &text) != nil {
		return quoted("{}")
	}
	r := wire.NewReader([]byte(text))
	var inner []pair
	for r.Next() {
		inner = append(inner, pair{r.Name(), t.inner(r.Name(), r.Raw())})
	}
	if _, err := r.Close(); err != nil {
		return quoted(text)
	}
	return quoted(string(t.quirks.escape(object(inner))))
}

// inner is a member of the JSON in payInfo.
func (t teller) inner(name string, example json.RawMessage) json.RawMessage {
	for asked := range t.asked.members {
		if fold(asked) == fold(name) {
			return quoted(t.asked.members.text(asked))
		}
	}
	switch {
	case fold(name) == "timestamp":
		return quoted(inToronto(t.now).Format("2006010215")) // as was seen; WeChat takes it unchanged
	case t.row != nil && strings.HasPrefix(fold(name), "package"):
		return quoted("prepay_id=" + strings.ToLower(t.row.ChannelID))
	}
	return example
}

// filler makes up a value that the schema admits, for a member without an
// example.
func filler(m api.Member) string {
	switch {
	case m.Const != "":
		return m.Const
	case len(m.Enum) > 0:
		return m.Enum[0]
	case m.Kind == api.MemberAmount || m.Kind == api.MemberRate:
		return strconv.FormatInt(max(m.Min, 1), 10)
	}
	return strings.Repeat("0", max(m.MinLength, 1))
}

// another returns an id of the same length that is not id.
func another(id string) string {
	if strings.HasPrefix(id, "9") {
		return "8" + id[1:]
	}
	return "9" + id[min(1, len(id)):]
}

// pagePath is where payers go.
const pagePath = "/pay/"

func pageURL(base string, o Order) string {
	return base + pagePath + url.PathEscape(o.MerchantID) + "/" + url.PathEscape(o.ID)
}
