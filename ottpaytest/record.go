package ottpaytest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// A record is JSON lines. The first is its header, each other one an event, or
// what has changed in the book, or both. What has changed is written as it is
// afterwards, and together with the last of the events that come of one change:
// so a record that ends within a line holds each change as a whole or not at
// all. A record holds no key: what was encrypted stays so.
const (
	recordFormat  = "ottpay-sandbox-record"
	recordVersion = 1
)

// header is the first line of a record.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Seed    uint64 `json:"seed,omitempty"`
	Seq     uint64 `json:"seq"` // of the last event, kept or not
	PID     int    `json:"pid,omitempty"`
}

// line is any other line of a record.
type line struct {
	eventJSON
	Change *delta `json:"change,omitempty"`
}

// delta is what has changed, as it is afterwards.
type delta struct {
	Reset      *string        `json:"reset,omitempty"` // all of this merchant was forgotten first; "" is everything
	Shops      []merchantJSON `json:"merchants,omitempty"`
	Settings   *settingsJSON  `json:"settings,omitempty"`
	Clock      *clockJSON     `json:"clock,omitempty"`
	Rows       []rowJSON      `json:"orders,omitempty"`
	Deliveries []deliveryJSON `json:"deliveries,omitempty"`
	Messages   []messageJSON  `json:"messages,omitempty"`
	Attempts   []attemptsJSON `json:"attempts,omitempty"`
	Faults     *[]faultJSON   `json:"faults,omitempty"` // all that are armed
}

// rowJSON is an order with what only the gateway needs.
type rowJSON struct {
	orderJSON
	// Asked is the request, sealed with the merchant's first key; nil if it was
	// written before, or if the merchant has no key.
	Asked   *envelope.Sealed `json:"asked,omitempty"`
	Payment *paymentJSON     `json:"payment,omitempty"`
	Errands []errandJSON     `json:"errands,omitempty"` // callbacks that are to be sent
}

type attemptsJSON struct {
	Merchant string `json:"merchant"`
	Order    string `json:"order"`
	N        int    `json:"n"`
}

type paymentJSON struct {
	Tip     int64                      `json:"tip_cents,omitempty"`
	Method  string                     `json:"method,omitempty"`
	Extra   map[string]json.RawMessage `json:"extra,omitempty"`
	Without []string                   `json:"without,omitempty"`
	Silent  bool                       `json:"silent,omitempty"`
}

type deliveryJSON struct {
	Merchant string        `json:"merchant"`
	Order    string        `json:"order"`
	Checkout bool          `json:"checkout,omitempty"`
	Seq      uint64        `json:"seq"`
	At       string        `json:"at"`
	URL      string        `json:"url"`
	Kind     DeliveryKind  `json:"kind"`
	Fault    CallbackFault `json:"fault,omitempty"`
	Try      int           `json:"try,omitempty"`
	Status   int           `json:"status,omitempty"`
	MS       int64         `json:"ms,omitempty"`
	Err      string        `json:"err,omitempty"`
	Blocked  bool          `json:"blocked,omitempty"`
}

type errandJSON struct {
	Says  api.OrderStatus `json:"says"`
	Due   string          `json:"due"`
	Try   int             `json:"try,omitempty"`
	Plain bool            `json:"plain,omitempty"` // faults have had their turn
	Held  bool            `json:"held,omitempty"`
}

type messageJSON struct {
	Seq      uint64      `json:"seq"`
	At       string      `json:"at"`
	Callback bool        `json:"callback,omitempty"`
	Merchant string      `json:"merchant,omitempty"`
	Order    string      `json:"order,omitempty"`
	Action   string      `json:"action,omitempty"`
	Version  string      `json:"version,omitempty"`
	Terminal string      `json:"terminal_no,omitempty"`
	Operator string      `json:"operator_id,omitempty"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Header   http.Header `json:"header,omitempty"`
	Wire     *bodyJSON   `json:"wire,omitempty"` // nil if it was written before
	Status   int         `json:"status,omitempty"`
	Answer   *bodyJSON   `json:"answer,omitempty"`
	MS       int64       `json:"ms,omitempty"`
	Code     string      `json:"code,omitempty"`
	Fault    string      `json:"fault,omitempty"`
	Err      string      `json:"err,omitempty"`
	Verdict  string      `json:"verdict,omitempty"`
	Member   string      `json:"member,omitempty"`
	Rule     string      `json:"rule,omitempty"`
	Lenient  []string    `json:"lenient,omitempty"`
}

// bodyJSON is a body: a string, or an object with its Base64 if it is not text.
type bodyJSON []byte

type base64JSON struct {
	Base64 string `json:"base64"`
}

// MarshalJSON writes the body.
func (b bodyJSON) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return quoted(string(b)), nil
	}
	return json.Marshal(base64JSON{base64.StdEncoding.EncodeToString(b)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (b *bodyJSON) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err == nil {
		*b = bodyJSON(s)
		return nil
	}
	var o base64JSON
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(o.Base64)
	*b = raw
	return err
}

type faultJSON struct {
	ID       int           `json:"id"`
	Left     int           `json:"left"`
	Hits     int           `json:"hits,omitempty"`
	Kind     FaultKind     `json:"answer,omitempty"`
	Callback CallbackFault `json:"callback,omitempty"`
	Action   api.Action    `json:"action,omitempty"`
	Merchant string        `json:"merchant,omitempty"`
	Order    string        `json:"order,omitempty"`
	Times    int           `json:"times,omitempty"`
	Chance   float64       `json:"chance,omitempty"`
	Before   bool          `json:"before,omitempty"`
	Delay    time.Duration `json:"delay_ns,omitempty"`
	At       int           `json:"at_byte,omitempty"`
	N        int           `json:"n,omitempty"`
	Status   int           `json:"status,omitempty"`
	Code     api.Code      `json:"code,omitempty"`
	By       string        `json:"by,omitempty"`
}

type merchantJSON struct {
	ID       string `json:"merchant_id"`
	Operator string `json:"operator_id"`
	Currency string `json:"currency,omitempty"`
	Fee      int64  `json:"fee_cents,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
}

type settingsJSON struct {
	Redelivery []string         `json:"redelivery"`
	Quirks     []string         `json:"quirks"`
	Reuse      bool             `json:"reuse,omitempty"`
	Lenient    bool             `json:"lenient,omitempty"`
	Rates      map[string]int64 `json:"rates,omitempty"`
}

type clockJSON struct {
	Now    string        `json:"now"`
	Manual bool          `json:"manual,omitempty"`
	Offset time.Duration `json:"offset_ns,omitempty"` // of one that goes on, to the machine's
}

// changes is what has changed since the lock was taken. Gateway.mu guards it.
type changes struct {
	recorded   bool // a reader waits
	any        bool
	reset      *string
	shops      map[string]bool
	settings   bool
	clock      bool
	rows       map[*row]bool // true: it is new
	deliveries map[*delivery]*row
	messages   map[*message]bool // true: it is new
	attempts   map[orderID]bool
	faults     bool
}

// set sets a flag of the changes.
func (c *changes) set(flag *bool) {
	if c.recorded {
		*flag, c.any = true, true
	}
}

func (c *changes) forgotten(merchant string) {
	if c.recorded {
		c.reset, c.any = &merchant, true
	}
}

func (c *changes) clear() { *c = changes{recorded: c.recorded} }

// note adds something to one of the sets.
func note[K comparable, V any](c *changes, set *map[K]V, key K, value V) {
	if !c.recorded {
		return
	}
	if c.any = true; *set == nil {
		*set = make(map[K]V)
	}
	(*set)[key] = value
}

func (c *changes) row(r *row) { note(c, &c.rows, r, c.rows[r]) }

func (c *changes) newRow(r *row) { note(c, &c.rows, r, true) }

func (c *changes) delivery(r *row, d *delivery) {
	note(c, &c.deliveries, d, r)
	c.row(r)
}

func (c *changes) message(m *message, isNew bool) { note(c, &c.messages, m, isNew || c.messages[m]) }

// entry is what the sinks get.
type entry struct {
	event Event
	text  []byte // its line; nil if there is no reader
}

// entries returns the lines of events, the last with what has changed. g.mu is
// held.
func (g *Gateway) entries(events []Event) []entry {
	out := make([]entry, len(events))
	for i, e := range events {
		out[i].event = e
		if !g.changes.recorded {
			continue
		}
		l := line{eventJSON: e.json()}
		if i == len(events)-1 && g.changes.any {
			l.Change = g.delta(g.changes)
		}
		out[i].text = l.text()
	}
	g.changes.clear()
	return out
}

func (l line) text() []byte { return encoded(l) }

// change is a line without an event.
type change struct {
	Change *delta `json:"change"`
}

func (c change) text() []byte { return encoded(c) }

func encoded(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("ottpaytest: " + err.Error()) // it holds nothing that JSON cannot say
	}
	return b.Bytes()
}

// delta writes changes down. g.mu is held.
func (g *Gateway) delta(c changes) *delta {
	d := &delta{Reset: c.reset}
	for _, id := range slices.Sorted(maps.Keys(c.shops)) {
		d.Shops = append(d.Shops, g.merchantJSON(id))
	}
	if c.settings {
		d.Settings = g.settings.json()
	}
	if c.clock {
		d.Clock = g.clockJSON()
	}
	for r, isNew := range c.rows {
		if !r.gone {
			d.Rows = append(d.Rows, g.rowJSON(r, isNew))
		}
	}
	sort.Slice(d.Rows, func(i, j int) bool { return d.Rows[i].Seq < d.Rows[j].Seq })
	for del, r := range c.deliveries {
		if !r.gone {
			d.Deliveries = append(d.Deliveries, del.json(r))
		}
	}
	sort.Slice(d.Deliveries, func(i, j int) bool { return d.Deliveries[i].Seq < d.Deliveries[j].Seq })
	for m, isNew := range c.messages {
		d.Messages = append(d.Messages, m.json(isNew))
	}
	sort.Slice(d.Messages, func(i, j int) bool { return d.Messages[i].Seq < d.Messages[j].Seq })
	for id := range c.attempts {
		d.Attempts = append(d.Attempts, attemptsJSON{id.merchant, id.id, g.attempts[id]})
	}
	sort.Slice(d.Attempts, func(i, j int) bool {
		return d.Attempts[i].Merchant+"/"+d.Attempts[i].Order < d.Attempts[j].Merchant+"/"+d.Attempts[j].Order
	})
	if c.faults {
		all := make([]faultJSON, 0, len(g.faults))
		for _, f := range g.faults {
			all = append(all, f.json())
		}
		d.Faults = &all
	}
	return d
}

// everything is changes that hold the whole book, or that of a merchant. g.mu is
// held.
func (g *Gateway) everything(merchant string) changes {
	c := changes{recorded: true, settings: true, clock: true, faults: merchant == ""}
	mine := func(id string) bool { return merchant == "" || merchant == id }
	for id := range g.merchants {
		if mine(id) {
			note(&c, &c.shops, id, true)
		}
	}
	for _, r := range g.list {
		if !mine(r.MerchantID) {
			continue
		}
		c.newRow(r)
		for _, d := range r.deliveries {
			c.delivery(r, d)
		}
	}
	for m := range g.messages.all {
		if mine(m.merchant) {
			c.message(m, true)
		}
	}
	for id := range g.attempts {
		if mine(id.merchant) {
			note(&c, &c.attempts, id, true)
		}
	}
	return c
}

func (g *Gateway) merchantJSON(id string) merchantJSON {
	m := g.merchants[id]
	if m == nil {
		return merchantJSON{ID: id, Gone: true}
	}
	return merchantJSON{ID: m.id, Operator: m.operator, Currency: m.currency, Fee: int64(m.fee)}
}

func (s Settings) json() *settingsJSON {
	j := &settingsJSON{Redelivery: []string{}, Quirks: (AllQuirks &^ s.Without).Names(), Reuse: s.Reuse, Lenient: s.Lenient}
	for _, d := range s.Redelivery {
		j.Redelivery = append(j.Redelivery, d.String())
	}
	for currency, rate := range s.Rates {
		if j.Rates == nil {
			j.Rates = make(map[string]int64)
		}
		j.Rates[currency] = int64(rate)
	}
	return j
}

func (j settingsJSON) settings() (Settings, error) {
	s := Settings{Redelivery: []time.Duration{}, Reuse: j.Reuse, Lenient: j.Lenient}
	on, err := ParseQuirks(strings.Join(j.Quirks, ","))
	if err != nil {
		return s, err
	}
	s.Without = AllQuirks &^ on
	for _, text := range j.Redelivery {
		d, err := time.ParseDuration(text)
		if err != nil {
			return s, err
		}
		s.Redelivery = append(s.Redelivery, d)
	}
	for currency, rate := range j.Rates {
		if s.Rates == nil {
			s.Rates = make(map[string]field.Rate)
		}
		s.Rates[currency] = field.Rate(rate)
	}
	return s, nil
}

// clockJSON is the Gateway's own clock, nil if it has none. g.mu is held.
func (g *Gateway) clockJSON() *clockJSON {
	if g.cfg.Clock == nil {
		return nil
	}
	manual, offset := g.cfg.Clock.state()
	return &clockJSON{Now: stamp(g.now()), Manual: manual, Offset: offset}
}

func (g *Gateway) rowJSON(r *row, isNew bool) rowJSON {
	j := rowJSON{orderJSON: r.order().json(), Payment: r.payment.json()}
	if keys := g.keysOf(r.MerchantID); isNew && len(keys) > 0 && r.asked != 0 {
		if sealed, err := keys[0].Seal(g.asked.get(r.asked)); err == nil {
			j.Asked = &sealed
		}
	}
	for _, e := range r.errands {
		j.Errands = append(j.Errands, errandJSON{
			Says: e.says, Due: stamp(e.due), Try: e.try, Plain: e.fault.Callback == CallbackNone, Held: e.held,
		})
	}
	return j
}

func (p Payment) json() *paymentJSON {
	j := paymentJSON{Tip: int64(p.Tip), Method: p.Method, Silent: p.Silent}
	for _, name := range slices.Sorted(maps.Keys(p.Extra)) {
		value := p.Extra[name]
		if value == nil {
			j.Without = append(j.Without, name)
			continue
		}
		if raw, err := encode(value); err == nil && json.Valid(raw) {
			if j.Extra == nil {
				j.Extra = make(map[string]json.RawMessage)
			}
			j.Extra[name] = raw
		}
	}
	if j.Tip == 0 && j.Method == "" && j.Extra == nil && j.Without == nil && !j.Silent {
		return nil
	}
	return &j
}

func (j *paymentJSON) payment() Payment {
	if j == nil {
		return Payment{}
	}
	p := Payment{Tip: field.Cents(j.Tip), Method: j.Method, Silent: j.Silent}
	if j.Extra != nil || j.Without != nil {
		p.Extra = make(map[string]any)
	}
	for name, raw := range j.Extra {
		p.Extra[name] = raw
	}
	for _, name := range j.Without {
		p.Extra[name] = nil
	}
	return p
}

func (d *delivery) json(r *row) deliveryJSON {
	j := deliveryJSON{
		Merchant: r.MerchantID, Order: r.ID, Checkout: r.Checkout(), Seq: d.seq, At: stamp(d.at), URL: d.url, Kind: d.kind,
		Fault: d.fault, Try: d.try, Status: d.status, MS: d.ms, Blocked: errors.Is(d.err, ErrBlocked),
	}
	switch {
	case d.pending:
		j.Err = "the gateway ended before there was an answer"
	case d.err != nil:
		j.Err = why(d.err)
	}
	return j
}

func (j deliveryJSON) delivery() (*delivery, error) {
	d := &delivery{seq: j.Seq, url: j.URL, kind: j.Kind, fault: j.Fault, try: j.Try, status: j.Status, ms: j.MS}
	switch {
	case j.Blocked:
		d.err = blocked(j.Err)
	case j.Err != "":
		d.err = errors.New(j.Err)
	}
	var err error
	d.at, err = unstamp(j.At)
	return d, err
}

// blocked is an error that matches ErrBlocked.
type blocked string

// Error is why.
func (b blocked) Error() string { return string(b) }

// Is is for errors.Is.
func (b blocked) Is(target error) bool { return target == ErrBlocked }

func (m *message) json(isNew bool) messageJSON {
	j := messageJSON{Seq: m.seq, Status: m.status, MS: m.ms, Err: m.err, Verdict: m.verdict}
	if m.answer != nil {
		answer := bodyJSON(m.answer)
		j.Answer = &answer
	}
	if !isNew {
		return j
	}
	wire := bodyJSON(m.body)
	j.Wire, j.At, j.Callback, j.Merchant, j.Order, j.Action = &wire, stamp(m.at), m.callback, m.merchant, m.order, m.action
	j.Version, j.Terminal, j.Operator, j.Method, j.URL, j.Header = m.version, m.terminal, m.oper, m.method, m.url, m.header
	j.Code, j.Fault, j.Member, j.Rule, j.Lenient = m.code, m.fault, m.member, m.rule, m.lenient
	return j
}

// into writes what is known of a message into m.
func (j messageJSON) into(m *message) (err error) {
	m.status, m.ms, m.err, m.verdict = j.Status, j.MS, j.Err, j.Verdict
	if j.Answer != nil {
		m.answer = *j.Answer
	}
	if j.Wire == nil {
		return nil
	}
	m.seq, m.body, m.callback, m.merchant, m.order, m.action = j.Seq, *j.Wire, j.Callback, j.Merchant, j.Order, j.Action
	m.version, m.terminal, m.oper, m.method, m.url, m.header = j.Version, j.Terminal, j.Operator, j.Method, j.URL, j.Header
	m.code, m.fault, m.member, m.rule, m.lenient = j.Code, j.Fault, j.Member, j.Rule, j.Lenient
	m.at, err = unstamp(j.At)
	return err
}

func (f *fault) json() faultJSON {
	return faultJSON{
		ID: f.id, Left: f.left, Hits: f.hits, Kind: f.Kind, Callback: f.Callback, Action: f.Action, Merchant: f.Merchant, Order: f.Order,
		Times: f.Times, Chance: f.Chance, Before: f.Before, Delay: f.Delay, At: f.At, N: f.N, Status: f.Status, Code: f.Code, By: f.By,
	}
}

func (j faultJSON) fault() *fault {
	return &fault{id: j.ID, left: j.Left, hits: j.Hits, Fault: Fault{
		Kind: j.Kind, Callback: j.Callback, Action: j.Action, Merchant: j.Merchant, Order: j.Order, Times: j.Times, Chance: j.Chance,
		Before: j.Before, Delay: j.Delay, At: j.At, N: j.N, Status: j.Status, Code: j.Code, By: j.By,
	}}
}

// Save writes the record: everything that the Gateway keeps, or what it keeps of
// one merchant if that is not empty. It holds no key.
func (g *Gateway) Save(w io.Writer, merchant string) error {
	g.mu.Lock()
	h := header{Format: recordFormat, Version: recordVersion, Seed: g.cfg.Seed, Seq: g.log.seq}
	d := g.delta(g.everything(merchant))
	events := g.log.after(0)
	g.mu.Unlock()
	return save(w, h, d, events, merchant)
}

func save(w io.Writer, h header, d *delta, events []Event, merchant string) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(h); err != nil {
		return err
	}
	for _, part := range d.parts() {
		if err := e.Encode(change{part}); err != nil {
			return err
		}
	}
	for _, event := range events {
		if merchant != "" && event.Merchant != merchant {
			continue
		}
		if err := e.Encode(event); err != nil {
			return err
		}
	}
	return b.Flush()
}

// parts splits a delta so that no line is long.
func (d *delta) parts() (out []*delta) {
	out = append(out, &delta{Shops: d.Shops, Settings: d.Settings, Clock: d.Clock, Attempts: d.Attempts, Faults: d.Faults})
	for i := range d.Rows {
		out = append(out, &delta{Rows: d.Rows[i : i+1]})
	}
	for i := range d.Deliveries {
		out = append(out, &delta{Deliveries: d.Deliveries[i : i+1]})
	}
	for i := range d.Messages {
		out = append(out, &delta{Messages: d.Messages[i : i+1]})
	}
	return out
}
