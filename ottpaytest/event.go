package ottpaytest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// EventType says what happened.
type EventType string

// The types of event. The comments name the members that are set besides Seq,
// At and Type.
const (
	// EventReady: the server accepts connections. By [Gateway.Ready].
	EventReady EventType = "ready"
	// EventRequestReceived: a request was judged. Merchant, Order, Action, Code,
	// Amount, Currency, Fault, Lenient, MS; Message is Seq.
	EventRequestReceived EventType = "request.received"
	// EventOrderCreated: an order, a refund or a checkout is in the book.
	// Merchant, Order, Action, To, Amount, Currency.
	EventOrderCreated EventType = "order.created"
	// EventOrderStatus: its status changed. Merchant, Order, From, To, By,
	// Amount, Currency.
	EventOrderStatus EventType = "order.status"
	// EventPageOpened: a payer opened the page of an order. Merchant, Order.
	EventPageOpened EventType = "page.opened"
	// EventDeliveryScheduled: a callback will be sent later. Merchant, Order,
	// Kind, Try, Due.
	EventDeliveryScheduled EventType = "delivery.scheduled"
	// EventDeliverySent: a callback is on its way. Merchant, Order, Kind, Try,
	// URL, Fault; Message is Seq.
	EventDeliverySent EventType = "delivery.sent"
	// EventDeliveryAnswered: the shop answered. Merchant, Order, Kind, Try,
	// Status, MS, Acknowledged; Message is the Seq of its EventDeliverySent.
	EventDeliveryAnswered EventType = "delivery.answered"
	// EventDeliveryFailed: there was no answer, or nothing was sent. Merchant,
	// Order, Kind, Try, MS, Why, Fault; Message if it was sent.
	EventDeliveryFailed EventType = "delivery.failed"
	// EventDeliveryBlocked: the callback was not sent, because its address is not
	// on this machine or network. Merchant, Order, Kind, Try, URL, Why; Message.
	EventDeliveryBlocked EventType = "delivery.blocked"
	// EventFaultArmed: a fault waits for its case. Fault, FaultID, By, and
	// Merchant, Order, Action if it is limited to them.
	EventFaultArmed EventType = "fault.armed"
	// EventFaultHit: it took effect once. Fault, FaultID, Merchant, Order.
	EventFaultHit EventType = "fault.hit"
	// EventFaultCleared: it is used up or was disarmed. Fault, FaultID.
	EventFaultCleared EventType = "fault.cleared"
	// EventClockAdvanced: the clock was set forward. Advance, Clock.
	EventClockAdvanced EventType = "clock.advanced"
	// EventConfigChanged: a merchant was added or removed, or the settings
	// changed. Merchant, Why.
	EventConfigChanged EventType = "config.changed"
	// EventReset: everything was forgotten, or all of one merchant. Merchant.
	EventReset EventType = "reset"
)

// EventTypes returns all types.
func EventTypes() []EventType {
	return []EventType{
		EventReady, EventRequestReceived, EventOrderCreated, EventOrderStatus, EventPageOpened,
		EventDeliveryScheduled, EventDeliverySent, EventDeliveryAnswered, EventDeliveryFailed, EventDeliveryBlocked,
		EventFaultArmed, EventFaultHit, EventFaultCleared, EventClockAdvanced, EventConfigChanged, EventReset,
	}
}

// Event is one line of a Gateway's log. It holds no key and nothing that was
// encrypted but the amount and the ids. In JSON it has a member v, which is 1;
// members are only ever added, and those without a value are absent.
type Event struct {
	// Seq numbers the events from 1. Numbers never repeat, not even after Reset.
	Seq uint64
	// At is the time of the Gateway's clock, in UTC and whole milliseconds.
	At time.Time
	// Type says what happened, and which of the fields below are set.
	Type EventType

	Merchant string      // the merchant's id
	Order    string      // the order's id; of a checkout's payment, the payment's
	Action   api.Action  // of the request
	Code     string      // the response code that was answered
	Amount   field.Cents // 0 if there is none
	Currency string      // "" if the request named none
	// From and To are the order's statuses before and after.
	From, To api.OrderStatus
	By       string   // payer, gateway, api, clock or merchant
	Fault    string   // the name with its direction, such as answer:drop
	FaultID  int      // that Gateway.Arm returned
	Lenient  []string // what was taken although the document refuses it

	Kind         DeliveryKind // why a callback is posted
	Message      uint64       // for [Gateway.Message]; 0 if there is none
	Try          int          // from 1; 0 for a delivery outside of the schedule
	URL          string       // of the callback
	Status       int          // of the HTTP answer
	MS           int64        // how long the answer took, in milliseconds
	Acknowledged bool         // the shop answered with status 200
	Why          string       // why there was no answer; what was changed
	Due          time.Time    // of the next try

	Advance time.Duration // how far the clock was set forward
	Clock   time.Time     // what it shows since then
}

// millis is the layout of times in JSON.
const millis = "2006-01-02T15:04:05.000Z"

// eventJSON is an Event in JSON. Pointers are for values that are written even
// if they are zero.
type eventJSON struct {
	V            int             `json:"v"`
	Seq          uint64          `json:"seq"`
	At           string          `json:"at"`
	Type         EventType       `json:"type"`
	Merchant     string          `json:"merchant,omitempty"`
	Order        string          `json:"order,omitempty"`
	Action       api.Action      `json:"action,omitempty"`
	Code         string          `json:"code,omitempty"`
	Amount       int64           `json:"amount_cents,omitempty"`
	Currency     string          `json:"currency,omitempty"`
	From         api.OrderStatus `json:"from,omitempty"`
	To           api.OrderStatus `json:"to,omitempty"`
	By           string          `json:"by,omitempty"`
	Fault        string          `json:"fault,omitempty"`
	FaultID      int             `json:"fault_id,omitempty"`
	Lenient      []string        `json:"lenient,omitempty"`
	Kind         DeliveryKind    `json:"kind,omitempty"`
	Message      uint64          `json:"message,omitempty"`
	Try          int             `json:"try,omitempty"`
	URL          string          `json:"url,omitempty"`
	Status       int             `json:"status,omitempty"`
	MS           *int64          `json:"ms,omitempty"`
	Acknowledged *bool           `json:"acknowledged,omitempty"`
	Why          string          `json:"why,omitempty"`
	Due          string          `json:"due,omitempty"`
	Advance      string          `json:"advance,omitempty"`
	Clock        string          `json:"clock,omitempty"`
}

// MarshalJSON writes the event as one JSON object without line breaks.
func (e Event) MarshalJSON() ([]byte, error) { return json.Marshal(e.json()) }

func (e Event) json() eventJSON {
	j := eventJSON{
		V: 1, Seq: e.Seq, At: stamp(e.At), Type: e.Type, Merchant: e.Merchant, Order: e.Order,
		Action: e.Action, Code: e.Code, Amount: int64(e.Amount), Currency: e.Currency, From: e.From, To: e.To,
		By: e.By, Fault: e.Fault, FaultID: e.FaultID, Lenient: e.Lenient, Kind: e.Kind, Message: e.Message,
		Try: e.Try, URL: e.URL, Status: e.Status, Why: e.Why, Due: stamp(e.Due), Clock: stamp(e.Clock),
	}
	switch e.Type {
	case EventRequestReceived, EventDeliveryFailed:
		j.MS = &e.MS
	case EventDeliveryAnswered:
		j.MS, j.Acknowledged = &e.MS, &e.Acknowledged
	}
	if e.Advance != 0 {
		j.Advance = e.Advance.String()
	}
	return j
}

// UnmarshalJSON reads what MarshalJSON writes. Unknown members are ignored.
func (e *Event) UnmarshalJSON(text []byte) error {
	var j eventJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	return e.read(j)
}

func (e *Event) read(j eventJSON) error {
	*e = Event{
		Seq: j.Seq, Type: j.Type, Merchant: j.Merchant, Order: j.Order, Action: j.Action, Code: j.Code,
		Amount: field.Cents(j.Amount), Currency: j.Currency, From: j.From, To: j.To, By: j.By, Fault: j.Fault,
		FaultID: j.FaultID, Lenient: j.Lenient, Kind: j.Kind, Message: j.Message, Try: j.Try, URL: j.URL,
		Status: j.Status, Why: j.Why,
	}
	if j.MS != nil {
		e.MS = *j.MS
	}
	if j.Acknowledged != nil {
		e.Acknowledged = *j.Acknowledged
	}
	var err error
	for _, t := range []struct {
		to   *time.Time
		text string
	}{{&e.At, j.At}, {&e.Due, j.Due}, {&e.Clock, j.Clock}} {
		if *t.to, err = unstamp(t.text); err != nil {
			return err
		}
	}
	if j.Advance != "" {
		e.Advance, err = time.ParseDuration(j.Advance)
	}
	return err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(millis)
}

func unstamp(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t.UTC(), err
}

// maxEvents bounds the events that are kept: a message has two or three.
const maxEvents = 25_000

// eventLog is the log of a Gateway. Gateway.mu guards it.
type eventLog struct {
	seq     uint64        // of the last event
	floor   uint64        // events up to this one are not all kept
	events  []packedEvent // by seq
	fresh   []Event       // those since g.mu was taken, which may still change
	told    uint64        // the last event that waiters have been woken for
	changed chan struct{}

	words []string // the strings that many events have, by number
	known map[string]int

	sink chan struct{} // of capacity 1: there are lines for the sinks; nil if there are no sinks
	out  []entry       // what the sinks have not had yet, in order
}

// packedEvent is an event as it is kept: what is looked for stands apart.
type packedEvent struct {
	seq             uint64
	merchant, order string
	rest            string // the other members, see eventLog.pack
}

// append keeps an event.
func (l *eventLog) append(e Event) {
	if len(l.events) == maxEvents {
		l.floor = l.events[maxEvents/10-1].seq
		l.events = slices.Delete(l.events, 0, maxEvents/10)
	}
	l.events = append(l.events, l.pack(e))
}

// after returns the events after the one with this number.
func (l *eventLog) after(seq uint64) []Event {
	first, _ := slices.BinarySearchFunc(l.events, seq+1, func(p packedEvent, seq uint64) int { return cmp.Compare(p.seq, seq) })
	out := make([]Event, 0, len(l.events)-first+len(l.fresh))
	for _, p := range l.events[first:] {
		out = append(out, p.event(l))
	}
	for _, e := range l.fresh {
		if e.Seq > seq {
			out = append(out, e)
		}
	}
	return out
}

// forget drops the events of a merchant, or all.
func (l *eventLog) forget(merchant string) {
	if merchant == "" {
		l.events, l.fresh, l.words, l.known = nil, nil, nil, nil
		return
	}
	l.events = slices.DeleteFunc(l.events, func(p packedEvent) bool { return p.merchant == merchant })
	l.fresh = slices.DeleteFunc(l.fresh, func(e Event) bool { return e.Merchant == merchant })
}

// emit appends an event and returns it for more to be filled in before g.mu is
// released. g.mu is held. The pointer is good until the next emit.
func (g *Gateway) emit(e Event) *Event {
	l := &g.log
	l.seq++
	e.Seq, e.At = l.seq, g.now()
	l.fresh = append(l.fresh, e)
	return &l.fresh[len(l.fresh)-1]
}

// lock takes g.mu and lets time pass: orders whose time is over are closed.
func (g *Gateway) lock() {
	g.mu.Lock()
	g.expire()
}

// unlock releases g.mu and wakes those who wait for what was emitted.
func (g *Gateway) unlock() {
	l := &g.log
	if len(l.fresh) > 0 {
		if l.sink != nil {
			g.queue()
		}
		for _, e := range l.fresh {
			l.append(e)
		}
		l.fresh = l.fresh[:0]
	}
	if l.seq > l.told {
		l.tell()
	}
	g.mu.Unlock()
}

// tell wakes those who wait for what was emitted.
func (l *eventLog) tell() {
	l.told = l.seq
	close(l.changed)
	l.changed = make(chan struct{})
}

// queue hands the new events to the sinks. g.mu is held.
func (g *Gateway) queue() {
	l := &g.log
	l.out = append(l.out, g.entries(l.fresh)...)
	select {
	case l.sink <- struct{}{}:
	default:
	}
}

func bySeq(e Event, seq uint64) int {
	switch {
	case e.Seq < seq:
		return -1
	case e.Seq > seq:
		return 1
	}
	return 0
}

// Seq returns the number of the last event, 0 before the first.
func (g *Gateway) Seq() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.seq
}

// Events returns the events that came after the one with this number, oldest
// first. The last 25 000 are kept. whole reports whether that is all of them:
// it is false if some were forgotten since, or by [Gateway.Reset].
func (g *Gateway) Events(after uint64) (events []Event, whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.after(after), after >= g.log.floor
}

// Changed returns a channel that is closed at the next event. To wait for an
// event, call Changed first, then look at Events, then receive.
func (g *Gateway) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.changed
}

// feed hands events to Config.OnEvent and to the state file, in order, until
// the Gateway closes, and then what is left.
func (g *Gateway) feed() {
	for open := true; open; {
		select {
		case <-g.log.sink:
		case <-g.fed:
			open = false
		}
		g.mu.Lock()
		out, failed := g.log.out, g.stateErr != nil
		g.log.out = nil
		g.mu.Unlock()
		if g.state != nil && !failed {
			if err := g.state.append(out); err != nil {
				g.mu.Lock()
				g.stateErr = fmt.Errorf("ottpaytest: the state file cannot be written any more: %w", err)
				g.mu.Unlock()
			}
		}
		if g.cfg.OnEvent == nil {
			continue
		}
		for _, e := range out {
			if e.event.Type != "" {
				g.cfg.OnEvent(e.event)
			}
		}
	}
}

// StateError returns why the state file is not written any more, or nil.
func (g *Gateway) StateError() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stateErr
}
