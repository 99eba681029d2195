package ottpaytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Order is a row in the gateway's book: a payment, a refund or a checkout.
type Order struct {
	ID         string
	MerchantID string
	Action     api.Action // that made it
	Effect     api.Effect // of that action
	Status     api.OrderStatus
	Amount     field.Cents // as asked for
	Tip        field.Cents
	Fee        field.Cents // the convenience fee; the payer pays Amount + Fee
	Refunded   field.Cents
	Currency   string // "" if the request named none
	Method     string // the wallet or kind of card, as the request names it
	ChannelID  string
	OriginalID string // of a refund: the payment
	CheckoutID string // of a checkout's payment: the checkout
	PaymentID  string // of a checkout that is paid: the payment

	CallbackURL string
	RedirectURL string

	Created  time.Time
	Finished time.Time // zero unless paid
	Expires  time.Time // zero: never

	// Effects is how often a request took effect on this id. It is 1, or
	// somebody sent twice to a Gateway that lets him.
	Effects int
}

// total is what the payer pays.
func (o Order) total() field.Cents { return o.Amount + o.Fee }

func (o Order) open() bool {
	switch o.Status {
	case api.StatusInit, api.StatusNotpay, api.StatusProcessing:
		return true
	}
	return false
}

// orderKey is an order's place in the book. Orders of different merchants
// have nothing to do with each other, nor have checkouts with orders.
type orderKey struct {
	merchant, id string
	checkout     bool
}

// record is a row with what only the gateway needs.
type record struct {
	Order
	asked      members // the request's decrypted members
	payment    Payment
	deliveries []Delivery
}

func (r *record) key() orderKey {
	return orderKey{r.MerchantID, r.ID, r.Effect == api.EffectCreateCheckout}
}

// members are the members of a decrypted object.
type members map[string]json.RawMessage

// text returns a member that is a string or number, "" for any other.
func (m members) text(name string) string {
	raw := m[name]
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// asked is a request that has been found valid.
type asked struct {
	merchant string
	action   api.ActionInfo
	schema   *api.Schema // of the request
	reply    *api.Schema // of the answer
	members  members
	inStore  bool // the envelope names a terminal
}

// role returns the text of the member that has the role, and whether the
// schema has such a member.
func (a asked) role(role api.Role) (string, bool) {
	m, ok := a.schema.WithRole(role)
	if !ok {
		return "", false
	}
	return a.named(m.Name), true
}

// named returns the text of a member under whichever of its names it came.
func (a asked) named(name string) string {
	m, ok := a.schema.Member(name)
	if !ok {
		return a.members.text(name)
	}
	for _, n := range append([]string{m.Name}, m.Aliases...) {
		if text := a.members.text(n); text != "" {
			return text
		}
	}
	return ""
}

func (a asked) cents(role api.Role) field.Cents {
	text, _ := a.role(role)
	c, _ := field.ParseCents(text) // the schema has been checked; absent is 0
	return c
}

func (a asked) orderID() string {
	if a.action.OrderMember == "" {
		return ""
	}
	return a.named(a.action.OrderMember)
}

// refusal is why the gateway does not do as asked.
type refusal struct {
	code   api.Code
	detail string
}

// apply makes a valid request take effect, or answers a query. The order is
// nil if the request has to do with none. g.mu is held.
func (g *Gateway) apply(a asked) (*record, *refusal) {
	if a.action.Kind == api.KindEffect {
		if id := a.orderID(); id != "" {
			g.attempts[id]++
		}
	}
	if currency, ok := a.role(api.RoleCurrency); ok && g.cfg.Currency != "" && currency != "" && currency != g.cfg.Currency {
		return nil, &refusal{api.CodeCurrencyNotSupport, "the merchant's currency is another"}
	}
	switch a.action.Effect {
	case api.EffectRefund:
		return g.refund(a)
	case api.EffectQueryOrder, api.EffectQueryCheckout:
		r := g.find(orderKey{a.merchant, a.orderID(), a.action.Effect == api.EffectQueryCheckout})
		if r == nil {
			return nil, &refusal{api.CodeParamInvalid, "no such order"}
		}
		return r, nil
	case api.EffectQueryRate:
		currency, _ := a.role(api.RoleCurrency)
		if _, ok := g.cfg.Rate(currency); !ok {
			return nil, &refusal{api.CodeCurrencyNotSupport, "no rate"}
		}
		return nil, nil
	}
	if a.action.Kind == api.KindQuery {
		return g.find(orderKey{a.merchant, a.orderID(), false}), nil
	}
	return g.create(a)
}

// find returns an order as it stands now, or nil.
func (g *Gateway) find(key orderKey) *record {
	r := g.orders[key]
	if r != nil && r.open() && !r.Expires.IsZero() && !g.cfg.Now().Before(r.Expires) {
		r.Status = api.StatusOrderclosed
	}
	return r
}

func (g *Gateway) create(a asked) (*record, *refusal) {
	r, refused := g.draft(a)
	if refused != nil {
		return nil, refused
	}
	r.Fee = g.cfg.ConvenienceFee
	if a.action.Effect == api.EffectPayNow {
		authCode, _ := a.role(api.RoleAuthCode)
		switch code := g.cfg.Scan(r.Order, authCode); code {
		case api.CodeSuccess:
			r.Status, r.Finished = api.StatusSuccess, r.Created
		case api.CodeProcessing:
			r.Status = api.StatusProcessing
		default:
			return nil, &refusal{code, ""}
		}
	} else if answersProcessing(a.action) {
		r.Status = api.StatusProcessing
	}
	g.orders[r.key()] = r
	return r, nil
}

// scan goes by what was seen of the wallets' codes.
func scan(o Order, authCode string) api.Code {
	wallet := ""
	switch {
	case len(authCode) == 18 && authCode >= "10" && authCode < "16":
		wallet = "WECHATPAY"
	case len(authCode) >= 16 && len(authCode) <= 24 && authCode >= "25" && authCode < "31":
		wallet = "ALIPAY"
	case strings.HasPrefix(authCode, "hQVDUFY"):
		wallet = "UNIONPAY"
	}
	if wallet != "" && o.Method != "" && wallet != o.Method {
		return api.CodeAuthCodeInvalid
	}
	return api.CodeSuccess
}

// draft makes a new row, which is not in the book yet. Its id must not have
// been used.
func (g *Gateway) draft(a asked) (*record, *refusal) {
	r := &record{asked: a.members, Order: Order{
		ID:         a.orderID(),
		MerchantID: a.merchant,
		Action:     a.action.Name,
		Effect:     a.action.Effect,
		Status:     api.StatusInit,
		Amount:     a.cents(api.RoleAmount),
		Tip:        a.cents(api.RoleTip),
		Created:    g.cfg.Now(),
		Effects:    1,
	}}
	r.Currency, _ = a.role(api.RoleCurrency)
	r.CallbackURL, _ = a.role(api.RoleCallbackURL)
	r.RedirectURL, _ = a.role(api.RoleRedirectURL)
	r.Method = method(a.members)
	r.ChannelID = channelPrefix(r.Method) + g.cfg.NewID()
	if life, _ := a.role(api.RoleExpiry); life != "" {
		if seconds, err := time.ParseDuration(life + "s"); err == nil {
			r.Expires = r.Created.Add(seconds)
		}
	}
	if r.ID == "" {
		r.ID = g.cfg.NewID()
	}
	if old := g.find(r.key()); old != nil {
		switch {
		case g.cfg.Reuse:
			r.Effects = old.Effects + 1
			r.deliveries = old.deliveries
		case old.Effect != api.EffectRefund && (old.Status.Paid() || old.Status.Refunded()):
			return nil, &refusal{api.CodeOrderPaid, ""}
		default:
			return nil, &refusal{api.CodeOrderUsed, ""}
		}
	}
	return r, nil
}

// refund returns a payment, whole or in part.
func (g *Gateway) refund(a asked) (*record, *refusal) {
	original, _ := a.role(api.RoleOriginalOrderID)
	paid := g.find(orderKey{a.merchant, original, false})
	amount := a.cents(api.RoleAmount)
	switch {
	case paid == nil:
		return nil, &refusal{api.CodeParamInvalid, "no such payment"}
	case paid.Effect == api.EffectRefund:
		return nil, &refusal{api.CodeParamInvalid, "a refund cannot be refunded"}
	case paid.Status == api.StatusAuthfinish:
		return nil, &refusal{api.CodeOrderTypeError, ""}
	case !paid.Status.Paid() && paid.Status != api.StatusPartialRefunded && paid.Status != api.StatusFullyRefunded:
		return nil, &refusal{api.CodeParamInvalid, "not paid"}
	}
	if old := g.orders[orderKey{a.merchant, a.orderID(), false}]; old != nil && !g.cfg.Reuse {
		return nil, &refusal{api.CodeOrderUsed, ""}
	}
	if amount > paid.total()-paid.Refunded {
		return nil, &refusal{api.CodeParamInvalid, "more than what is left of the payment"}
	}
	r, refused := g.draft(a)
	if refused != nil {
		return nil, refused
	}
	g.orders[r.key()] = r
	r.Status, r.Finished, r.OriginalID = api.StatusSuccess, r.Created, original
	r.Refunded = amount
	paid.Refunded += amount
	paid.Status = api.StatusPartialRefunded
	if paid.Refunded == paid.total() {
		paid.Status = api.StatusFullyRefunded
	}
	return r, nil
}

// answersProcessing reports whether the action's answer says that the gateway
// is still at work, by the example in the document.
func answersProcessing(info api.ActionInfo) bool {
	s, ok := api.LookupSchema(info.Response)
	if !ok {
		return false
	}
	m, ok := s.WithRole(api.RoleCode)
	return ok && m.Example == `"PROCESSING"`
}

// method is the wallet or card network that a request names.
func method(asked members) string {
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if fold(name) == "biztype" {
			return asked.text(name)
		}
	}
	return ""
}

// channelPrefix returns the two letters that the channel's ids begin with.
func channelPrefix(method string) string {
	switch {
	case method == "WECHATPAY":
		return "WX"
	case len(method) >= 2:
		return strings.ToUpper(method[:2])
	}
	return "OT"
}

// fold makes the vendor's spellings of one name equal: app_id, appId.
func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// ErrNoOrder says that the gateway has no such order.
var ErrNoOrder = errors.New("ottpaytest: no such order")

// ErrState says that the order's state does not allow it.
var ErrState = errors.New("ottpaytest: not in this state")

// Payment is how a payer pays, where it matters. The zero value is an
// ordinary payment.
type Payment struct {
	// Tip, if not 0, replaces the order's.
	Tip field.Cents
	// Method, if not empty, is the wallet that the payer chose at a checkout,
	// such as ALIPAY.
	Method string
	// Extra are further members of the callback's data, and other values for
	// the usual ones; one that is nil leaves the member out.
	Extra map[string]any
	// Silent payments are not called back: the callback is lost.
	Silent bool
}

// Pay lets the payer pay: an order, or a checkout. The order's state has
// changed when it returns; the callback follows on its own. See [Gateway.Wait].
// An authorising order is then authorised, and awaits [Gateway.Capture].
func (g *Gateway) Pay(id string) error { return g.PayWith(id, Payment{}) }

// PayWith is [Gateway.Pay] with the particulars of the payment.
func (g *Gateway) PayWith(id string, p Payment) error {
	return g.turn(anyones(id), p, g.pay)
}

func (g *Gateway) pay(r *record) error {
	if !r.open() {
		return fmt.Errorf("%w: %s cannot be paid", ErrState, r.Status)
	}
	r.Finished = g.cfg.Now()
	r.Status = api.StatusSuccess
	if r.Effect == api.EffectAuthorise {
		r.Status = api.StatusAuthfinish
	}
	return nil
}

// Capture takes what an authorised order holds, and calls back again.
func (g *Gateway) Capture(id string) error {
	return g.turn(anyones(id), Payment{}, func(r *record) error {
		if r.Status != api.StatusAuthfinish {
			return fmt.Errorf("%w: %s cannot be captured", ErrState, r.Status)
		}
		r.Status = api.StatusCaptured
		return nil
	})
}

// Expire closes an order that is not paid, as time does. The vendor is not
// known to call back for it.
func (g *Gateway) Expire(id string) error {
	return g.turn(anyones(id), Payment{Silent: true}, end(api.StatusOrderclosed))
}

// Decline makes the payment of an order fail for good. The vendor is not known
// to call back for it.
func (g *Gateway) Decline(id string) error {
	return g.turn(anyones(id), Payment{Silent: true}, end(api.StatusFailure))
}

func end(status api.OrderStatus) func(*record) error {
	return func(r *record) error {
		if !r.open() {
			return fmt.Errorf("%w: %s cannot end", ErrState, r.Status)
		}
		r.Status = status
		return nil
	}
}

// turn changes the state of an order and sends the callback for it.
func (g *Gateway) turn(find func(*Gateway) *record, p Payment, change func(*record) error) error {
	e, err := g.change(find, p, change)
	if err == nil && e != nil {
		g.courier.send(e)
	}
	return err
}

func (g *Gateway) change(find func(*Gateway) *record, p Payment, change func(*record) error) (*errand, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := find(g)
	if r == nil {
		return nil, ErrNoOrder
	}
	if err := change(r); err != nil {
		return nil, err
	}
	if p.Tip != 0 {
		r.Tip = p.Tip
	}
	if p.Method != "" {
		r.Method = p.Method
		r.ChannelID = channelPrefix(p.Method) + r.ChannelID[2:]
	}
	if r.Effect == api.EffectCreateCheckout && r.Status == api.StatusSuccess {
		r = g.settle(r)
	}
	r.payment = p
	if p.Silent || r.CallbackURL == "" {
		return nil, nil
	}
	return &errand{key: r.key(), due: g.cfg.Now(), kind: Original, says: g.notification(r)}, nil
}

// anyones finds an order by its id alone.
func anyones(id string) func(*Gateway) *record {
	return func(g *Gateway) *record { return g.lookup(id) }
}

// settle enters the payment of a checkout that has just been paid.
func (g *Gateway) settle(checkout *record) *record {
	r := &record{Order: checkout.Order, asked: checkout.asked}
	r.ID = g.cfg.NewID()
	r.Effect = api.EffectCreateOrder
	r.CheckoutID = checkout.ID
	r.Expires = time.Time{}
	checkout.PaymentID = r.ID
	g.orders[r.key()] = r
	return r
}

// lookup finds an order by its id alone: the first merchant's before those of
// others, an order before a checkout. g.mu is held.
func (g *Gateway) lookup(id string) *record {
	merchants := append([]string{g.cfg.MerchantID}, g.Merchants()...)
	for _, checkout := range []bool{false, true} {
		for _, merchant := range merchants {
			if r := g.find(orderKey{merchant, id, checkout}); r != nil {
				return r
			}
		}
	}
	return nil
}

// Order returns the order, refund or checkout with this id. Where merchants
// use the same id, Config.MerchantID's comes first.
func (g *Gateway) Order(id string) (Order, bool) { return g.snapshot(anyones(id)) }

// Orders returns everything in the book, oldest first.
func (g *Gateway) Orders() []Order {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Order, 0, len(g.orders))
	for key := range g.orders {
		all = append(all, g.find(key).Order)
	}
	slices.SortFunc(all, func(a, b Order) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.MerchantID+"/"+a.ID, b.MerchantID+"/"+b.ID)
	})
	return all
}

// Attempts returns how many valid requests wanted to have an effect on this
// order id, those that were refused as duplicates included: more than 1 means
// that somebody sent twice.
func (g *Gateway) Attempts(id string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.attempts[id]
}

// Effects returns how often a request took effect on this order id.
func (g *Gateway) Effects(id string) int {
	o, _ := g.Order(id)
	return o.Effects
}
