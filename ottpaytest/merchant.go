package ottpaytest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
)

// ErrNoMerchant says that the gateway does not know the merchant.
var ErrNoMerchant = errors.New("ottpaytest: no such merchant")

// MerchantConfig is a merchant to be added to a Gateway. The zero value makes
// one up.
type MerchantConfig struct {
	// ID is the merchant id. If empty, one that is not in use.
	ID string
	// OperatorID is what the merchant's requests name as operator. The gateway
	// takes any. If empty, 0000000001.
	OperatorID string
	// SignKeys are the merchant's keys. An answer is sealed with the key that
	// opened the request, a callback with the first. If empty, one key is made
	// up: 16 hexadecimal digits.
	SignKeys []string
	// Currency is the only one that is taken. If empty, any is.
	Currency string
	// ConvenienceFee is what the gateway adds to the amount of each order.
	ConvenienceFee field.Cents
}

// merchant is what the Gateway knows of one. Gateway.mu guards it.
type merchant struct {
	id, operator string
	keys         []envelope.Key
	currency     string
	fee          field.Cents
}

// AddMerchant adds a merchant and returns it with what was made up. Orders of
// different merchants have nothing to do with each other, so that tests which
// run in parallel do not meet if each has a merchant of its own. The error
// matches [ErrState] if there is a merchant of this id.
func (g *Gateway) AddMerchant(c MerchantConfig) (MerchantConfig, error) {
	g.lock()
	defer g.unlock()
	for c.ID == "" {
		digits := "00000000" + g.newID()
		if id := "TS" + digits[len(digits)-8:]; g.merchants[id] == nil {
			c.ID = id
		}
	}
	if old := g.merchants[c.ID]; old != nil && len(old.keys) > 0 {
		return MerchantConfig{}, fmt.Errorf("%w: there is a merchant %s", ErrState, c.ID)
	}
	if c.OperatorID == "" {
		c.OperatorID = "0000000001"
	}
	c.SignKeys = slices.Clone(c.SignKeys)
	if len(c.SignKeys) == 0 {
		c.SignKeys = []string{g.newKey()}
	}
	m := &merchant{id: c.ID, operator: c.OperatorID, currency: c.Currency, fee: c.ConvenienceFee}
	for _, text := range c.SignKeys {
		key, err := envelope.NewKey(text)
		if err != nil {
			return MerchantConfig{}, fmt.Errorf("ottpaytest: sign key of merchant %q: %w", c.ID, err)
		}
		m.keys = append(m.keys, key)
	}
	g.merchants[c.ID] = m
	note(&g.changes, &g.changes.shops, c.ID, true)
	g.emit(Event{Type: EventConfigChanged, Merchant: c.ID, Why: "merchant added"})
	return c, nil
}

// RemoveMerchant forgets a merchant: keys, orders, messages, events. It reports
// whether there was one.
func (g *Gateway) RemoveMerchant(id string) bool {
	g.lock()
	defer g.unlock()
	if g.merchants[id] == nil {
		return false
	}
	g.forget(id)
	delete(g.merchants, id)
	note(&g.changes, &g.changes.shops, id, true)
	g.emit(Event{Type: EventConfigChanged, Merchant: id, Why: "merchant removed"})
	return true
}

// Merchants returns the ids of the merchants, sorted.
func (g *Gateway) Merchants() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.merchantIDs()
}

func (g *Gateway) merchantIDs() []string { return slices.Sorted(maps.Keys(g.merchants)) }

// MerchantInfo is what may be shown of a merchant.
type MerchantInfo struct {
	ID             string      // the merchant's id
	OperatorID     string      // what its requests name as operator
	Keys           int         // how many sign keys it has
	Currency       string      // the only one that it may use; "" for any
	ConvenienceFee field.Cents // what the gateway adds to each order
}

// MerchantInfo returns what may be shown of a merchant, and whether there is
// one.
func (g *Gateway) MerchantInfo(id string) (MerchantInfo, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.merchants[id]
	if m == nil {
		return MerchantInfo{}, false
	}
	return MerchantInfo{m.id, m.operator, len(m.keys), m.currency, m.fee}, true
}

// keysOf returns the keys of a merchant, nil for an unknown one. g.mu is held.
// They are not changed once they are set.
func (g *Gateway) keysOf(id string) []envelope.Key {
	if m := g.merchants[id]; m != nil {
		return m.keys
	}
	return nil
}

// newKey makes up a sign key. g.mu is held.
func (g *Gateway) newKey() string {
	const digits = "0123456789ABCDEF"
	text := make([]byte, 16)
	for i := range text {
		text[i] = digits[g.random.IntN(len(digits))]
	}
	return string(text)
}

// Merchant is the orders of one merchant. Other merchants may use the same ids.
// The errors of its methods match [ErrNoOrder] and [ErrState].
type Merchant struct {
	g  *Gateway
	id string
	by string
}

// Merchant returns the orders of a merchant. An unknown one has none.
func (g *Gateway) Merchant(id string) Merchant { return Merchant{g: g, id: id} }

// By returns the same orders, and says in the log who changes them.
func (m Merchant) By(who string) Merchant {
	m.by = who
	return m
}

// ID returns the merchant's id.
func (m Merchant) ID() string { return m.id }

func (m Merchant) who(otherwise string) string {
	if m.by != "" {
		return m.by
	}
	return otherwise
}

// find finds an order of the merchant, or a checkout.
func (m Merchant) find(id string) finder {
	return func(g *Gateway) *row { return g.of(m.id, id) }
}

// Order returns the order, refund or checkout with this id.
func (m Merchant) Order(id string) (Order, bool) { return m.g.snapshot(m.find(id)) }

// Pay is [Gateway.Pay] with the particulars of the payment.
func (m Merchant) Pay(id string, p Payment) error {
	return m.g.turn(m.find(id), p, m.who("payer"), m.g.pay)
}

// Capture takes what an authorised order holds, and calls back again.
func (m Merchant) Capture(id string) error {
	return m.g.turn(m.find(id), Payment{}, m.who("gateway"), capture)
}

// Expire closes an order that is not paid, as time does. The vendor is not
// known to call back for it.
func (m Merchant) Expire(id string) error {
	return m.g.turn(m.find(id), Payment{Silent: true}, m.who("gateway"), end(statusExpired))
}

// Decline makes the payment of an order fail for good. The vendor is not known
// to call back for it.
func (m Merchant) Decline(id string) error {
	return m.g.turn(m.find(id), Payment{Silent: true}, m.who("payer"), end(statusDeclined))
}

// Refund gives a payer money back from the gateway's side, as a merchant does
// in the vendor's web site. It returns the refund. The vendor is not known to
// call back for it.
func (m Merchant) Refund(id string, amount field.Cents) (Order, error) {
	return m.g.giveBack(m.find(id), amount, m.who("gateway"))
}

// Deliveries is [Gateway.Deliveries] for an order of this merchant.
func (m Merchant) Deliveries(id string) []Delivery { return m.g.deliveries(m.find(id)) }

// Redeliver is [Gateway.Redeliver] for an order of this merchant.
func (m Merchant) Redeliver(id string) (Delivery, error) {
	return m.g.again(m.find(id), Redelivery, "")
}

// Replay is [Gateway.Replay] for an order of this merchant.
func (m Merchant) Replay(id string) (Delivery, error) { return m.g.again(m.find(id), Replay, "") }

// Tamper is [Gateway.Tamper] for an order of this merchant.
func (m Merchant) Tamper(id string, how CallbackFault) (Delivery, error) {
	return m.g.again(m.find(id), Tampered, how)
}

// Attempts is [Gateway.Attempts] for an order of this merchant.
func (m Merchant) Attempts(id string) int {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.g.attempts[orderID{m.id, id}]
}

// Events returns the kept events about an order, oldest first: those of a
// checkout's payment as well.
func (m Merchant) Events(id string) []Event {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	also := id
	if r := m.g.of(m.id, id); r != nil && r.PaymentID != "" {
		also = r.PaymentID
	}
	var out []Event
	for _, p := range m.g.log.events {
		if p.merchant == m.id && (p.order == id || p.order == also) {
			out = append(out, p.event(&m.g.log))
		}
	}
	return out
}

// PageOpened notes that the payer opened the page of an order, for those who
// show a page of their own.
func (m Merchant) PageOpened(id string) {
	m.g.lock()
	defer m.g.unlock()
	if m.g.of(m.id, id) != nil {
		m.g.emit(Event{Type: EventPageOpened, Merchant: m.id, Order: id, By: "payer"})
	}
}

// Payment returns the id under which the callbacks of an order go: that of a
// paid checkout's payment, or id itself.
func (m Merchant) Payment(id string) string {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if r := m.g.payment(m.find(id)); r != nil {
		return r.ID
	}
	return id
}

// Quiet reports whether no callback of an order is under way and none is to be
// tried again; of any order, if id is empty.
func (m Merchant) Quiet(id string) bool {
	var key *orderKey
	if id != "" {
		m.g.mu.Lock()
		r := m.g.payment(m.find(id))
		m.g.mu.Unlock()
		if r == nil {
			return true
		}
		k := r.key()
		key = &k
	}
	return m.g.courier.quietOf(m.id, key)
}

// Seal encrypts a JSON object with the merchant's first key.
func (m Merchant) Seal(plaintext []byte) (envelope.Sealed, error) {
	m.g.mu.Lock()
	keys := m.g.keysOf(m.id)
	m.g.mu.Unlock()
	if len(keys) == 0 {
		return envelope.Sealed{}, ErrNoMerchant
	}
	return keys[0].Seal(plaintext)
}

// Opened is what a merchant's key makes of an envelope.
type Opened struct {
	Plaintext []byte        // the decrypted JSON
	Form      envelope.Form // the canonical form under which the digest fits
	Key, Keys int           // which key it was, from 1, and how many there are
}

// Open decrypts with the merchant's keys. It is for tests and people that look
// at messages; nothing that receives callbacks should have such a method.
func (m Merchant) Open(s envelope.Sealed) (Opened, error) {
	m.g.mu.Lock()
	keys := m.g.keysOf(m.id)
	m.g.mu.Unlock()
	err := ErrNoMerchant
	for i, key := range keys {
		var p envelope.Payload
		if p, err = key.Open(s); err == nil {
			return Opened{p.JSON, p.Form, i + 1, len(keys)}, nil
		}
	}
	return Opened{}, err
}

// ConfigureMerchant changes the currency and the convenience fee of a merchant,
// for orders to come.
func (g *Gateway) ConfigureMerchant(id, currency string, fee field.Cents) error {
	g.lock()
	defer g.unlock()
	m := g.merchants[id]
	if m == nil {
		return ErrNoMerchant
	}
	m.currency, m.fee = currency, fee
	note(&g.changes, &g.changes.shops, id, true)
	g.emit(Event{Type: EventConfigChanged, Merchant: id, Why: "merchant changed"})
	return nil
}
