package ottpaytest

import (
	"container/heap"
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

// Order is a row in the gateway's book: a payment, a refund or a checkout. In
// JSON, members without a value are absent.
type Order struct {
	ID         string          `json:"order"`                    // the shop's, or made up by the gateway if the request named none
	MerchantID string          `json:"merchant"`                 // whose order it is
	Action     api.Action      `json:"action"`                   // that made it
	Effect     api.Effect      `json:"effect"`                   // of that action
	Status     api.OrderStatus `json:"status"`                   // as a query tells it
	Amount     field.Cents     `json:"-"`                        // as asked for
	Tip        field.Cents     `json:"-"`                        // on top of Amount
	Fee        field.Cents     `json:"-"`                        // the convenience fee; the payer pays Amount + Fee
	Refunded   field.Cents     `json:"-"`                        // what was returned of it
	Currency   string          `json:"currency,omitempty"`       // "" if the request named none
	Method     string          `json:"method,omitempty"`         // the wallet or kind of card, as the request names it
	ChannelID  string          `json:"channel_id"`               // bizpay_order_id, the channel's id
	OriginalID string          `json:"original_order,omitempty"` // of a refund: the payment
	CheckoutID string          `json:"checkout_order,omitempty"` // of a checkout's payment: the checkout
	PaymentID  string          `json:"payment_order,omitempty"`  // of a checkout that is paid: the payment

	CallbackURL string `json:"callback_url,omitempty"` // where the notification goes
	RedirectURL string `json:"redirect_url,omitempty"` // where the payer's browser goes

	Created  time.Time `json:"created"`           // when the request came
	Finished time.Time `json:"finished,omitzero"` // zero unless paid
	Expires  time.Time `json:"expires,omitzero"`  // zero: never

	// Effects is how often a request took effect on this id. It is 1, unless
	// the Gateway lets ids be used again and a request was sent twice.
	Effects int `json:"effects"`

	Seq     uint64 `json:"seq"`     // the number of the event that made it
	Changed uint64 `json:"changed"` // the number of the last event that changed it

	// Callbacks says how its callbacks went.
	Callbacks Callbacks `json:"callbacks,omitzero"`
}

// Callbacks is how the callbacks of an order went.
type Callbacks struct {
	Tries        int       `json:"tries"`             // how many were sent
	Status       int       `json:"status,omitempty"`  // of the last answer; 0 if there was none
	Acknowledged bool      `json:"acknowledged"`      // at least one was
	Blocked      bool      `json:"blocked,omitempty"` // at least one was not sent because of its address
	Due          time.Time `json:"due,omitzero"`      // of the next try
}

// Checkout reports whether it is a checkout, whose id is its own, and not the
// payment's.
func (o Order) Checkout() bool { return o.Effect == api.EffectCreateCheckout }

// Total is what the payer pays, but for a tip.
func (o Order) Total() field.Cents { return o.Amount + o.Fee }

// Open reports whether it can still be paid.
func (o Order) Open() bool {
	switch o.Status {
	case api.StatusInit, api.StatusNotpay, api.StatusProcessing:
		return true
	}
	return false
}

// orderJSON is an Order in JSON: amounts are numbers of cents there.
type orderJSON struct {
	plainOrder
	Checkout bool  `json:"checkout,omitempty"`
	Open     bool  `json:"open,omitempty"`
	Amount   int64 `json:"amount_cents"`
	Tip      int64 `json:"tip_cents,omitempty"`
	Fee      int64 `json:"fee_cents,omitempty"`
	Total    int64 `json:"total_cents"`
	Refunded int64 `json:"refunded_cents,omitempty"`
}

type plainOrder Order

// MarshalJSON writes the order as one JSON object, with the amounts in cents.
func (o Order) MarshalJSON() ([]byte, error) { return json.Marshal(o.json()) }

func (o Order) json() orderJSON {
	return orderJSON{
		plainOrder: plainOrder(o), Checkout: o.Checkout(), Open: o.Open(), Amount: int64(o.Amount),
		Tip: int64(o.Tip), Fee: int64(o.Fee), Total: int64(o.Total()), Refunded: int64(o.Refunded),
	}
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Order) UnmarshalJSON(text []byte) error {
	var j orderJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*o = j.order()
	return nil
}

func (j orderJSON) order() Order {
	o := Order(j.plainOrder)
	o.Amount, o.Tip, o.Fee, o.Refunded = field.Cents(j.Amount), field.Cents(j.Tip), field.Cents(j.Fee), field.Cents(j.Refunded)
	return o
}

// orderID is an id with its merchant, orderKey an order's place in the book.
// Orders of different merchants have nothing to do with each other, nor have
// checkouts with orders.
type (
	orderID  struct{ merchant, id string }
	orderKey struct {
		merchant, id string
		checkout     bool
	}
)

// row is an Order with what only the gateway needs, in a form that is small while
// nothing has happened to the order yet: a sandbox may hold many of those.
type row struct {
	*rowKind // never changed: rows of one kind share it
	*rowMore // never nil; changed by way of own alone

	ID, ChannelID, CallbackURL string
	Status                     api.OrderStatus
	Amount, Fee                field.Cents
	Created                    time.Time
	Seq, Changed               uint64

	asked int32 // the decrypted request, in Gateway.asked
	heap  int32 // its place among those that expire; -1 if it does not
	gone  bool  // it is in the book no more
}

// rowKind is what many orders have in common.
type rowKind struct {
	MerchantID       string
	Action           api.Action
	Effect           api.Effect
	Currency, Method string
}

// rowMore is what an order has that something has happened to.
type rowMore struct {
	Tip, Refunded                                  field.Cents
	OriginalID, CheckoutID, PaymentID, RedirectURL string
	Finished, Expires                              time.Time
	again                                          int // how often the id was used again
	Callbacks                                      Callbacks
	payment                                        Payment
	deliveries                                     []*delivery
	errands                                        []errand // what is to be sent, or is under way; copies
}

// nothingYet is the rowMore of orders that nothing has happened to.
var nothingYet = new(rowMore)

// own returns the row's rowMore for a change.
func (r *row) own() *rowMore {
	if r.rowMore == nothingYet {
		r.rowMore = new(rowMore)
	}
	return r.rowMore
}

// be makes the row one of a kind. g.mu is held.
func (g *Gateway) be(r *row, kind rowKind) {
	shared := g.kinds[kind]
	if shared == nil {
		shared = &kind
		if g.kinds == nil {
			g.kinds = make(map[rowKind]*rowKind)
		}
		if len(g.kinds) < maxInterned {
			g.kinds[kind] = shared
		}
	}
	r.rowKind = shared
}

// row returns the row of an order. g.mu is held.
func (g *Gateway) row(o Order) *row {
	r := &row{
		rowMore: nothingYet, ID: o.ID, ChannelID: o.ChannelID, CallbackURL: o.CallbackURL, Status: o.Status, Amount: o.Amount, Fee: o.Fee,
		Created: o.Created, Seq: o.Seq, Changed: o.Changed, heap: -1,
	}
	g.be(r, rowKind{o.MerchantID, o.Action, o.Effect, o.Currency, o.Method})
	more := rowMore{
		Tip: o.Tip, Refunded: o.Refunded, OriginalID: o.OriginalID, CheckoutID: o.CheckoutID, PaymentID: o.PaymentID,
		RedirectURL: o.RedirectURL, Finished: o.Finished, Expires: o.Expires, again: o.Effects - 1, Callbacks: o.Callbacks,
	}
	if o.Tip != 0 || o.Refunded != 0 || o.OriginalID+o.CheckoutID+o.PaymentID+o.RedirectURL != "" || !o.Finished.IsZero() || !o.Expires.IsZero() ||
		more.again != 0 || o.Callbacks != (Callbacks{}) {
		r.rowMore = &more
	}
	return r
}

// order returns what may be seen of the row.
func (r *row) order() Order {
	return Order{
		ID: r.ID, MerchantID: r.MerchantID, Action: r.Action, Effect: r.Effect, Status: r.Status, Amount: r.Amount, Tip: r.Tip,
		Fee: r.Fee, Refunded: r.Refunded, Currency: r.Currency, Method: r.Method, ChannelID: r.ChannelID, OriginalID: r.OriginalID,
		CheckoutID: r.CheckoutID, PaymentID: r.PaymentID, CallbackURL: r.CallbackURL, RedirectURL: r.RedirectURL, Created: r.Created,
		Finished: r.Finished, Expires: r.Expires, Effects: r.again + 1, Seq: r.Seq, Changed: r.Changed, Callbacks: r.Callbacks,
	}
}

// Total is what the payer pays, but for a tip.
func (r *row) Total() field.Cents { return r.Amount + r.Fee }

// Open reports whether it can still be paid.
func (r *row) Open() bool { return Order{Status: r.Status}.Open() }

// Checkout reports whether it is a checkout.
func (r *row) Checkout() bool { return r.Effect == api.EffectCreateCheckout }

func (r *row) key() orderKey { return orderKey{r.MerchantID, r.ID, r.Checkout()} }

// members are the members of a decrypted object.
type members map[string]json.RawMessage

// parsed returns the members of an object that was checked before.
func parsed(object []byte) members {
	var m members
	if len(object) == 0 || json.Unmarshal(object, &m) != nil {
		return nil
	}
	return m
}

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

// pairs returns the members by name.
func (m members) pairs() (out []pair) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{name, m[name]})
	}
	return out
}

// asked is a request that has been found valid.
type asked struct {
	merchant string
	action   api.ActionInfo
	schema   *api.Schema // of the request
	reply    *api.Schema // of the answer
	members  members
	plain    []byte // what members are of
	id       string // the order's
	inStore  bool   // the envelope names a terminal
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

// currency is the one that the request names.
func (a asked) currency() string {
	if a.schema == nil {
		return ""
	}
	currency, _ := a.role(api.RoleCurrency)
	return currency
}

func (a asked) orderID() string {
	if a.id != "" || a.action.OrderMember == "" {
		return a.id
	}
	return a.named(a.action.OrderMember)
}

// refusal is why the gateway does not do as asked.
type refusal struct {
	code         api.Code
	detail       string
	member, rule string // of the document, that the request breaks
}

func refuse(code api.Code, detail string) *refusal { return &refusal{code: code, detail: detail} }

// apply makes a valid request take effect, or answers a query. The order is
// nil if the request has to do with none. g.mu is held.
func (g *Gateway) apply(a asked, f Fault) (*row, *refusal) {
	if a.action.Kind == api.KindEffect {
		if id := a.orderID(); id != "" {
			g.attempts[orderID{a.merchant, id}]++
			note(&g.changes, &g.changes.attempts, orderID{a.merchant, id}, true)
		}
	}
	m := g.merchants[a.merchant]
	if currency, ok := a.role(api.RoleCurrency); ok && m.currency != "" && currency != "" && currency != m.currency {
		return nil, refuse(api.CodeCurrencyNotSupport, "the merchant's currency is another")
	}
	switch a.action.Effect {
	case api.EffectRefund:
		return g.refund(a, "merchant")
	case api.EffectQueryOrder, api.EffectQueryCheckout:
		r := g.find(orderKey{a.merchant, a.orderID(), a.action.Effect == api.EffectQueryCheckout})
		if r == nil {
			return nil, refuse(api.CodeParamInvalid, "no such order")
		}
		return r, nil
	case api.EffectQueryRate:
		currency, _ := a.role(api.RoleCurrency)
		if _, ok := g.rate(currency); !ok {
			return nil, refuse(api.CodeCurrencyNotSupport, "no rate")
		}
		return nil, nil
	}
	if a.action.Kind == api.KindQuery {
		return g.find(orderKey{a.merchant, a.orderID(), false}), nil
	}
	return g.create(a, f)
}

// find returns an order, or nil. g.mu is held.
func (g *Gateway) find(key orderKey) *row { return g.orders[key] }

// enter puts a row into the book. g.mu is held.
func (g *Gateway) enter(r *row) {
	if old := g.orders[r.key()]; old != nil {
		g.drop(old)
	}
	g.orders[r.key()] = r
	g.list = append(g.list, r)
	r.heap = -1
	if !r.Expires.IsZero() {
		heap.Push(&g.expiries, r)
	}
	r.Seq = g.emit(Event{
		Type: EventOrderCreated, Merchant: r.MerchantID, Order: r.ID, Action: r.Action,
		To: r.Status, Amount: r.Total(), Currency: r.Currency,
	}).Seq
	r.Changed = r.Seq
	g.changes.newRow(r)
}

// drop takes a row out of what lists the book. g.mu is held.
func (g *Gateway) drop(r *row) {
	if i := slices.Index(g.list, r); i >= 0 {
		g.list = slices.Delete(g.list, i, i+1)
	}
	if r.heap >= 0 {
		heap.Remove(&g.expiries, int(r.heap))
	}
}

// become changes the status of a row. g.mu is held.
func (g *Gateway) become(r *row, status api.OrderStatus, by string) {
	from := r.Status
	r.Status = status
	if r.heap >= 0 && !r.Open() {
		heap.Remove(&g.expiries, int(r.heap))
	}
	amount := r.Total()
	if r.Status == api.StatusPartialRefunded || r.Status == api.StatusFullyRefunded {
		amount = r.Refunded
	}
	r.Changed = g.emit(Event{
		Type: EventOrderStatus, Merchant: r.MerchantID, Order: r.ID, From: from, To: status, By: by,
		Amount: amount, Currency: r.Currency,
	}).Seq
	g.changes.row(r)
}

// expire closes the open orders whose time is over. g.mu is held.
func (g *Gateway) expire() {
	if len(g.expiries) == 0 {
		return
	}
	for now := g.now(); len(g.expiries) > 0 && !now.Before(g.expiries[0].Expires); {
		g.become(g.expiries[0], statusExpired, "clock")
	}
}

// expiries is a heap of open rows by the time that they are closed.
type expiries []*row

func (h expiries) Len() int           { return len(h) }
func (h expiries) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h expiries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heap, h[j].heap = int32(i), int32(j)
}

// init makes a heap of what is there.
func (h expiries) init() {
	for i, r := range h {
		r.heap = int32(i)
	}
	heap.Init(&h)
}

// Push is for container/heap.
func (h *expiries) Push(x any) {
	r := x.(*row)
	r.heap = int32(len(*h))
	*h = append(*h, r)
}

// Pop is for container/heap.
func (h *expiries) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	r.heap = -1
	return r
}

func (g *Gateway) create(a asked, f Fault) (*row, *refusal) {
	r, refused := g.draft(a)
	if refused != nil {
		return nil, refused
	}
	r.Fee = g.merchants[a.merchant].fee
	if a.action.Effect == api.EffectPayNow {
		authCode, _ := a.role(api.RoleAuthCode)
		switch code := g.cfg.Scan(r.order(), authCode); code {
		case api.CodeSuccess:
			r.Status, r.own().Finished = api.StatusSuccess, r.Created
		case api.CodeProcessing:
			r.Status = api.StatusProcessing
		default:
			return nil, refuse(code, "")
		}
	} else if answersProcessing(a.action) {
		r.Status = api.StatusProcessing
	}
	if f.Kind == FaultProcessing {
		r.Status = api.StatusProcessing
		if !r.Finished.IsZero() {
			r.own().Finished = time.Time{}
		}
	}
	g.enter(r)
	return r, nil
}

// AuthCode is a payer's code for PASSIVEPAY that this gateway knows.
type AuthCode struct {
	Wallet  string   // WECHATPAY, ALIPAY or UNIONPAY
	Text    string   // what is scanned
	Meaning string   // in a few words
	Code    api.Code // what Config.Scan returns by default
}

// AuthCodes returns codes of each wallet that pay, that do not, and one that
// asks the payer for a password first. A code is for its own wallet only.
func AuthCodes() []AuthCode {
	var all []AuthCode
	for _, wallet := range []struct{ name, start string }{
		{"WECHATPAY", "1300000000000000"}, {"ALIPAY", "2800000000000000"}, {"UNIONPAY", "hQVDUFY0000000000"},
	} {
		for _, c := range []struct {
			end     string
			meaning string
			code    api.Code
		}{
			{"00", "pays", api.CodeSuccess},
			{"01", "has not enough money", api.CodeFail},
			{"02", "has expired", api.CodeAuthCodeInvalid},
			{"03", "asks for a password first", api.CodeProcessing},
		} {
			all = append(all, AuthCode{wallet.name, wallet.start + c.end, c.meaning, c.code})
		}
	}
	return all
}

// scan goes by AuthCodes, and of other codes by what was seen of the wallets'.
func scan(o Order, authCode string) api.Code {
	wallet, code := "", api.CodeSuccess
	for _, c := range AuthCodes() {
		if c.Text == authCode {
			wallet, code = c.Wallet, c.Code
		}
	}
	switch {
	case wallet != "":
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
	return code
}

// draft makes a new row, which is not in the book yet. Its id must not have
// been used.
func (g *Gateway) draft(a asked) (*row, *refusal) {
	text := func(role api.Role) string {
		s, _ := a.role(role)
		return g.intern.text(s)
	}
	o := Order{
		ID:          a.orderID(),
		MerchantID:  g.intern.text(a.merchant),
		Action:      a.action.Name,
		Effect:      a.action.Effect,
		Status:      api.StatusInit,
		Amount:      a.cents(api.RoleAmount),
		Tip:         a.cents(api.RoleTip),
		Currency:    text(api.RoleCurrency),
		Method:      g.intern.text(method(a.members)),
		CallbackURL: text(api.RoleCallbackURL),
		RedirectURL: text(api.RoleRedirectURL),
		Created:     g.now(),
		Effects:     1,
	}
	o.ChannelID = channelPrefix(o.Method) + g.newID()
	if life, _ := a.role(api.RoleExpiry); life != "" {
		if seconds, err := time.ParseDuration(life + "s"); err == nil {
			o.Expires = o.Created.Add(seconds)
		}
	}
	if o.ID == "" {
		o.ID = g.newID()
	}
	r := g.row(o)
	if old := g.find(r.key()); old != nil {
		switch {
		case g.settings.Reuse:
			r.own().again = old.again + 1
			r.deliveries = old.deliveries
		case old.Effect != api.EffectRefund && (old.Status.Paid() || old.Status.Refunded()):
			return nil, refuse(api.CodeOrderPaid, "")
		default:
			return nil, refuse(api.CodeOrderUsed, "")
		}
	}
	r.asked = g.asked.add(a.plain)
	return r, nil
}

// refund returns a payment, whole or in part.
func (g *Gateway) refund(a asked, by string) (*row, *refusal) {
	original, _ := a.role(api.RoleOriginalOrderID)
	paid := g.find(orderKey{a.merchant, original, false})
	amount := a.cents(api.RoleAmount)
	switch {
	case paid == nil:
		return nil, refuse(api.CodeParamInvalid, "no such payment")
	case paid.Effect == api.EffectRefund:
		return nil, refuse(api.CodeParamInvalid, "a refund cannot be refunded")
	case paid.Status == api.StatusAuthfinish:
		return nil, refuse(api.CodeOrderTypeError, "")
	case !paid.Status.Paid() && paid.Status != api.StatusPartialRefunded && paid.Status != api.StatusFullyRefunded:
		return nil, refuse(api.CodeParamInvalid, "not paid")
	}
	if old := g.find(orderKey{a.merchant, a.orderID(), false}); old != nil && !g.settings.Reuse {
		return nil, refuse(api.CodeOrderUsed, "")
	}
	if amount > paid.Total()-paid.Refunded {
		return nil, refuse(api.CodeParamInvalid, "more than the rest of the payment")
	}
	r, refused := g.draft(a)
	if refused != nil {
		return nil, refused
	}
	more := r.own()
	r.Status, more.Finished, more.OriginalID, more.Refunded = api.StatusSuccess, r.Created, original, amount
	g.be(r, rowKind{r.MerchantID, r.Action, r.Effect, paid.Currency, paid.Method})
	g.enter(r)
	paid.own().Refunded += amount
	status := api.StatusPartialRefunded
	if paid.Refunded == paid.Total() {
		status = api.StatusFullyRefunded
	}
	g.become(paid, status, by)
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

// finder finds the order that a method is about. g.mu is held when it is
// called.
type finder func(*Gateway) *row

// statusExpired and statusDeclined are what an order becomes.
const (
	statusExpired  = api.StatusOrderclosed
	statusDeclined = api.StatusFailure
)

// Pay lets the payer pay an order or a checkout. The order's state has changed
// when it returns; the callback follows on its own, see [Gateway.Wait]. An
// authorising order is then authorised, and awaits [Merchant.Capture].
//
// Where merchants use the same id, Config.MerchantID's order is meant, here and
// in the Gateway's other methods that take an id; [Gateway.Merchant] has those
// of one merchant, and more. The errors match [ErrNoOrder] and [ErrState].
func (g *Gateway) Pay(id string) error { return g.turn(anyones(id), Payment{}, "payer", g.pay) }

func (g *Gateway) pay(r *row) (api.OrderStatus, error) {
	if !r.Open() {
		return "", fmt.Errorf("%w: %s is %s and cannot be paid", ErrState, r.ID, r.Status)
	}
	r.own().Finished = g.now()
	if r.Effect == api.EffectAuthorise {
		return api.StatusAuthfinish, nil
	}
	return api.StatusSuccess, nil
}

func capture(r *row) (api.OrderStatus, error) {
	if r.Status != api.StatusAuthfinish {
		return "", fmt.Errorf("%w: %s is %s and cannot be captured", ErrState, r.ID, r.Status)
	}
	return api.StatusCaptured, nil
}

func end(status api.OrderStatus) func(*row) (api.OrderStatus, error) {
	return func(r *row) (api.OrderStatus, error) {
		if !r.Open() {
			verb := "declined"
			if status == statusExpired {
				verb = "closed"
			}
			return "", fmt.Errorf("%w: %s is %s and cannot be %s", ErrState, r.ID, r.Status, verb)
		}
		return status, nil
	}
}

func (g *Gateway) giveBack(find finder, amount field.Cents, by string) (Order, error) {
	info, ok := api.LookupAction(string(api.ActionREFUND))
	if !ok {
		return Order{}, errors.New("ottpaytest: the document has no REFUND")
	}
	schema, ok := api.LookupSchema(info.Request)
	if !ok {
		return Order{}, errors.New("ottpaytest: the document has no REFUND")
	}
	g.lock()
	defer g.unlock()
	paid := g.payment(find)
	if paid == nil {
		return Order{}, ErrNoOrder
	}
	a := asked{merchant: paid.MerchantID, action: info, schema: schema, members: members{}}
	for role, text := range map[api.Role]string{
		api.RoleOrderID: "R" + g.newID(), api.RoleOriginalOrderID: paid.ID, api.RoleAmount: amount.String(),
	} {
		if m, ok := schema.WithRole(role); ok {
			a.members[m.Name] = quoted(text)
		}
	}
	a.plain = object(a.members.pairs())
	if amount <= 0 {
		return Order{}, fmt.Errorf("%w: an amount of nothing cannot be refunded", ErrState)
	}
	r, refused := g.refund(a, by)
	if refused != nil {
		detail := refused.detail
		if detail == "" {
			detail = refused.code.Message()
		}
		return Order{}, fmt.Errorf("%w: %s is %s: %s", ErrState, paid.ID, paid.Status, detail)
	}
	return r.order(), nil
}

// turn changes the state of an order and sends the callback for it.
func (g *Gateway) turn(find finder, p Payment, by string, change func(*row) (api.OrderStatus, error)) error {
	g.lock()
	defer g.unlock()
	e, err := g.turned(find(g), p, by, change)
	if e != nil {
		g.dispatch(e)
	}
	return err
}

// turned is turn within g.mu. It returns the callback that is to be sent.
func (g *Gateway) turned(r *row, p Payment, by string, change func(*row) (api.OrderStatus, error)) (*errand, error) {
	if r == nil {
		return nil, ErrNoOrder
	}
	status, err := change(r)
	if err != nil {
		return nil, err
	}
	if p.Tip != 0 {
		r.own().Tip = p.Tip
	}
	if p.Method != "" {
		g.be(r, rowKind{r.MerchantID, r.Action, r.Effect, r.Currency, p.Method})
		r.ChannelID = channelPrefix(p.Method) + r.ChannelID[2:]
	}
	if r.payment.json() != nil || p.json() != nil {
		r.own().payment = p
	}
	g.become(r, status, by)
	if r.Checkout() && r.Status == api.StatusSuccess {
		r = g.settle(r)
	}
	if p.Silent || r.CallbackURL == "" {
		return nil, nil
	}
	return g.errand(r), nil
}

// anyones finds an order by its id alone: the first merchant's before those of
// others, an order before a checkout.
func anyones(id string) finder {
	return func(g *Gateway) *row {
		merchants := append([]string{g.cfg.MerchantID}, g.merchantIDs()...)
		for _, checkout := range []bool{false, true} {
			for _, merchant := range merchants {
				if r := g.find(orderKey{merchant, id, checkout}); r != nil {
					return r
				}
			}
		}
		return nil
	}
}

// of finds an order of the merchant, or a checkout. g.mu is held.
func (g *Gateway) of(merchant, id string) *row {
	if r := g.find(orderKey{merchant, id, false}); r != nil {
		return r
	}
	return g.find(orderKey{merchant, id, true})
}

// payment finds an order, and of a paid checkout its payment. g.mu is held.
func (g *Gateway) payment(find finder) *row {
	r := find(g)
	if r != nil && r.PaymentID != "" {
		return g.find(orderKey{r.MerchantID, r.PaymentID, false})
	}
	return r
}

// settle enters the payment of a checkout that has just been paid.
func (g *Gateway) settle(checkout *row) *row {
	o := checkout.order()
	o.ID, o.Callbacks = g.newID(), Callbacks{}
	o.Effect, o.CheckoutID, o.Expires = api.EffectCreateOrder, checkout.ID, time.Time{}
	r := g.row(o)
	r.asked, r.own().payment = checkout.asked, checkout.payment
	checkout.own().PaymentID = r.ID
	g.enter(r)
	return r
}

// Order returns the order, refund or checkout with this id. Where merchants
// use the same id, Config.MerchantID's comes first.
func (g *Gateway) Order(id string) (Order, bool) { return g.snapshot(anyones(id)) }

func (g *Gateway) snapshot(find finder) (Order, bool) {
	g.lock()
	defer g.unlock()
	r := find(g)
	if r == nil {
		return Order{}, false
	}
	return r.order(), true
}

// Orders returns everything in the book, oldest first.
func (g *Gateway) Orders() []Order {
	orders, _ := g.List(Query{})
	slices.Reverse(orders)
	return orders
}

// Query selects orders. The zero value selects all.
type Query struct {
	Merchant string          // the merchant's id
	Status   api.OrderStatus // the order's status now
	Action   api.Action      // that made the order
	// Text is found in the order's id, the channel's, that of the checkout or
	// of the refunded payment, or it is the amount in cents or dollars. Letters'
	// case does not matter.
	Text string
	// Original selects the refunds of the payment with this id.
	Original string
	// Unacknowledged selects the orders with callbacks of which none was
	// acknowledged.
	Unacknowledged bool
	// Before selects the orders whose Seq is less, for the next page. 0 is no
	// bound.
	Before uint64
	// Limit is how many are returned at most. 0 is no limit.
	Limit int
}

// List returns the orders that a query selects, newest first, and how many
// there are without regard to Before and Limit.
func (g *Gateway) List(q Query) (orders []Order, total int) {
	g.lock()
	defer g.unlock()
	q.Text = strings.ToLower(strings.TrimSpace(q.Text))
	for i := len(g.list) - 1; i >= 0; i-- {
		r := g.list[i]
		if !q.selects(r) {
			continue
		}
		total++
		if (q.Before == 0 || r.Seq < q.Before) && (q.Limit == 0 || len(orders) < q.Limit) {
			orders = append(orders, r.order())
		}
	}
	return orders, total
}

func (q *Query) selects(r *row) bool {
	switch {
	case q.Merchant != "" && r.MerchantID != q.Merchant,
		q.Status != "" && r.Status != q.Status,
		q.Action != "" && r.Action != q.Action,
		q.Original != "" && r.OriginalID != q.Original,
		q.Unacknowledged && (r.Callbacks.Acknowledged || r.Callbacks.Tries == 0 && !r.Callbacks.Blocked):
		return false
	case q.Text == "":
		return true
	}
	for _, id := range [...]string{r.ID, r.ChannelID, r.OriginalID, r.CheckoutID} {
		if containsFold(id, q.Text) {
			return true
		}
	}
	if q.Text[0] < '0' || q.Text[0] > '9' {
		return false
	}
	return r.Amount.String() == q.Text || r.Amount.Decimal() == q.Text || r.Total().Decimal() == q.Text
}

// containsFold reports whether text contains lower, which is in lower case, by
// the letters of ASCII, which ids are of.
func containsFold(text, lower string) bool {
	for at := 0; at+len(lower) <= len(text); at++ {
		n := 0
		for n < len(lower) {
			c := text[at+n]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c != lower[n] {
				break
			}
			n++
		}
		if n == len(lower) {
			return true
		}
	}
	return false
}

// Attempts returns how many valid requests wanted to have an effect on this
// order id, those that were refused as duplicates included: more than 1 means
// that a request was sent twice.
func (g *Gateway) Attempts(id string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, merchant := range g.merchantIDs() {
		n += g.attempts[orderID{merchant, id}]
	}
	return n
}

// Effects returns how often a request took effect on this order id.
func (g *Gateway) Effects(id string) int {
	o, _ := g.Order(id)
	return o.Effects
}
