package ottpaytest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// DeliveryKind is why a callback was posted.
type DeliveryKind string

// The kinds of delivery.
const (
	Original   DeliveryKind = "original"   // because the payer paid, and again until it is acknowledged
	Redelivery DeliveryKind = "redelivery" // by Gateway.Redeliver
	Replay     DeliveryKind = "replay"     // by Gateway.Replay
	Tampered   DeliveryKind = "tampered"   // by Gateway.Tamper
	Edited     DeliveryKind = "edited"     // by Merchant.Post
)

// ErrBlocked is for Config.Callbacks: a callback whose error matches it is not
// sent, and is not tried again.
var ErrBlocked = errors.New("ottpaytest: the callback is not allowed to leave")

// Delivery is one callback that was posted.
type Delivery struct {
	Seq        uint64        // for Gateway.Message
	MerchantID string        // the order's merchant
	OrderID    string        // the order that it tells of
	URL        string        // where it was posted
	Kind       DeliveryKind  // why it was posted
	Fault      CallbackFault // "" for none
	Try        int           // from 1, of an original one
	At         time.Time     // when it was posted
	Sent       []byte        // the body that was posted; nil if it is no longer kept
	Status     int           // of the answer; 0 if there was none
	Body       string        // of the answer, at most 64 KiB; empty if it is no longer kept
	MS         int64         // how long the answer took, in milliseconds
	Pending    bool          // it is under way
	Err        error         // why there was no answer
}

// Acknowledged reports whether the merchant answered with status 200.
func (d Delivery) Acknowledged() bool { return d.Status == http.StatusOK }

// Blocked reports whether it was not sent because of its address.
func (d Delivery) Blocked() bool { return errors.Is(d.Err, ErrBlocked) }

// Why is Err in the words of the log, "" for none.
func (d Delivery) Why() string {
	if d.Err == nil {
		return ""
	}
	return why(d.Err)
}

const maxAcknowledgement = 64 << 10

// delivery is what an order keeps of a Delivery. The bodies are in its message.
type delivery struct {
	seq     uint64
	at      time.Time
	url     string
	kind    DeliveryKind
	fault   CallbackFault
	try     int
	status  int
	ms      int64
	pending bool
	err     error
}

// Deliveries returns the callbacks that were posted for an order, oldest
// first; for a checkout, those of its payment.
func (g *Gateway) Deliveries(id string) []Delivery { return g.deliveries(anyones(id)) }

func (g *Gateway) deliveries(find finder) []Delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.payment(find)
	if r == nil {
		return nil
	}
	out := make([]Delivery, 0, len(r.deliveries))
	for _, d := range r.deliveries {
		out = append(out, g.delivery(r, d))
	}
	return out
}

// delivery returns what is known of a delivery. g.mu is held.
func (g *Gateway) delivery(r *row, d *delivery) Delivery {
	out := Delivery{
		Seq: d.seq, MerchantID: r.MerchantID, OrderID: r.ID, URL: d.url, Kind: d.kind, Fault: d.fault,
		Try: d.try, At: d.at, Status: d.status, MS: d.ms, Pending: d.pending, Err: d.err,
	}
	if m := g.messages.find(d.seq); m != nil {
		out.Sent, out.Body = m.body, string(m.answer)
	}
	return out
}

// AllDeliveries returns the last callbacks of a merchant, or of all merchants if
// it is empty, newest first, at most limit of them if that is not 0.
func (g *Gateway) AllDeliveries(merchant string, limit int) []Delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	type sent struct {
		row *row
		*delivery
	}
	var all []sent
	for _, r := range g.list {
		if merchant == "" || r.MerchantID == merchant {
			for _, d := range r.deliveries {
				all = append(all, sent{r, d})
			}
		}
	}
	slices.SortFunc(all, func(a, b sent) int { return cmp.Compare(b.seq, a.seq) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	out := make([]Delivery, 0, len(all))
	for _, s := range all {
		out = append(out, g.delivery(s.row, s.delivery))
	}
	return out
}

// Redeliver posts the callback of a paid order once more and returns what came
// of it: the same content, written anew in another member order.
func (g *Gateway) Redeliver(id string) (Delivery, error) {
	return g.again(anyones(id), Redelivery, "")
}

// Replay posts the very bytes of the first callback again.
func (g *Gateway) Replay(id string) (Delivery, error) { return g.again(anyones(id), Replay, "") }

// Tamper posts a faulty callback for a paid order. It
// returns the last delivery, if the fault takes several. Faults that only mean
// something within the schedule of redelivery, such as CallbackDrop, are for
// [Gateway.Arm].
func (g *Gateway) Tamper(id string, how CallbackFault) (Delivery, error) {
	return g.again(anyones(id), Tampered, how)
}

// Post posts bytes to an order's callback URL, whatever they are and whatever
// the order's state is. With a seal they are JSON that is sealed with the
// merchant's first key and put into an envelope.
func (m Merchant) Post(id string, body []byte, seal bool) (Delivery, error) {
	g := m.g
	g.lock()
	r := g.payment(m.find(id))
	var err error
	switch {
	case r == nil:
		err = ErrNoOrder
	case r.CallbackURL == "":
		err = fmt.Errorf("%w: %s has no callback URL", ErrState, r.ID)
	case seal:
		body, err = g.sealed(m.id, body)
	}
	if err != nil {
		g.unlock()
		return Delivery{}, err
	}
	e := g.errand(r)
	e.kind, e.try, e.bytes = Edited, len(r.deliveries), append(make([]byte, 0, len(body)), body...)
	g.unlock()
	return g.carryOut(g.ctx, e), nil
}

// sealed returns plaintext in a callback's envelope. g.mu is held.
func (g *Gateway) sealed(merchant string, plaintext []byte) ([]byte, error) {
	keys := g.keysOf(merchant)
	if len(keys) == 0 {
		return nil, ErrNoMerchant
	}
	s, err := keys[0].Seal(plaintext)
	if err != nil {
		return nil, fmt.Errorf("ottpaytest: it is not a JSON object: %w", err)
	}
	return envelopeOf(g.quirks(), string(api.CodeSuccess), api.CodeSuccess.Message(), merchant, s), nil
}

func (g *Gateway) again(find finder, kind DeliveryKind, how CallbackFault) (Delivery, error) {
	g.lock()
	r := g.payment(find)
	var err error
	switch {
	case r == nil:
		err = ErrNoOrder
	case r.Finished.IsZero():
		err = fmt.Errorf("%w: %s is %s and is not called back", ErrState, r.ID, r.Status)
	case r.CallbackURL == "":
		err = fmt.Errorf("%w: %s has no callback URL", ErrState, r.ID)
	case kind == Replay && g.firstSent(r) == nil:
		err = fmt.Errorf("%w: nothing was delivered that could be replayed", ErrState)
	}
	if err != nil {
		g.unlock()
		return Delivery{}, err
	}
	e := g.errand(r)
	e.kind = kind
	e.try = len(r.deliveries)
	e.fault = Fault{Callback: how}
	g.unlock()
	return g.carryOut(g.ctx, e), nil
}

// firstSent returns the bytes of an order's first callback, nil if there was
// none or it is no longer kept. g.mu is held.
func (g *Gateway) firstSent(r *row) []byte {
	for _, d := range r.deliveries {
		if m := g.messages.find(d.seq); m != nil && m.body != nil {
			return m.body
		}
	}
	return nil
}

// errand is a callback that is to be posted.
type errand struct {
	row   *row
	id    int // all tries of one callback have the same
	kind  DeliveryKind
	says  api.OrderStatus // the order's when it was paid, or captured
	due   time.Time
	try   int // tries before this one
	fault Fault
	turn  int  // of a fault that takes several
	held  bool // until another one has been posted
	index int  // in the queue; -1 when it is in no more

	number int    // the how manieth it was in the queue
	bytes  []byte // instead of what it says
}

// errand returns the first try of an order's callback. g.mu is held.
func (g *Gateway) errand(r *row) *errand {
	g.errandID++
	return &errand{row: r, id: g.errandID, due: g.now(), kind: Original, says: r.Status}
}

// notification is what there is to say about an order that became paid, or
// captured. g.mu is held.
func (g *Gateway) notification(r *row, status api.OrderStatus) Notification {
	n := Notification{
		MerchantID: r.MerchantID,
		OrderID:    r.ID,
		ChannelID:  r.ChannelID,
		Amount:     r.Total(),
		Tip:        r.Tip,
		FinishTime: r.Finished,
		Extra:      make(map[string]any),
		Without:    g.settings.Without,
	}
	// What the merchant said in the request comes back, where a callback has a
	// place for it.
	asked := parsed(g.asked.get(r.asked))
	for _, m := range notificationSchema().Members {
		if text := asked.text(m.Name); m.Role == "" && text != "" {
			n.Extra[m.Name] = text
		}
	}
	if r.Fee != 0 {
		n.Extra["convenience_fee"] = r.Fee
	}
	switch status {
	case api.StatusAuthfinish:
		n.Extra["order_status"] = api.StatusAuthorised
	case api.StatusCaptured:
		n.Extra["order_status"] = api.StatusCaptured
	}
	maps.Copy(n.Extra, r.payment.Extra)
	return n
}

// deliver posts a callback once and keeps what came of it.
func (g *Gateway) deliver(ctx context.Context, e *errand) Delivery {
	g.lock()
	r := e.row
	d := &delivery{kind: e.kind, fault: e.fault.Callback, at: g.now(), url: r.CallbackURL, pending: true}
	if d.fault == CallbackNone {
		d.fault = ""
	}
	if e.kind == Original {
		d.try = e.try + 1
	}
	p, err := g.parcel(e)
	d.seq = g.emit(Event{
		Type: EventDeliverySent, Merchant: r.MerchantID, Order: r.ID, Kind: d.kind, Try: d.try, URL: d.url,
		Fault: Fault{Callback: d.fault}.name(),
	}).Seq
	g.event(d.seq).Message = d.seq
	var sent *http.Request
	timeout, cancel := context.WithTimeout(ctx, g.patience(e.fault))
	defer cancel()
	if err == nil {
		sent, err = p.request(d.url, func(wait time.Duration) bool {
			rang, stop := g.after(wait)
			defer stop()
			select {
			case <-rang:
				return timeout.Err() == nil
			case <-timeout.Done():
				return false
			}
		})
	}
	m := &message{
		seq: d.seq, at: d.at, callback: true, merchant: r.MerchantID, order: r.ID, method: p.method, url: d.url,
		body: p.body, code: string(api.CodeSuccess), fault: Fault{Callback: d.fault}.name(),
	}
	if d.fault == CallbackCode {
		m.code = string(api.CodeFail)
	}
	if sent != nil {
		m.header = g.intern.header(sent.Header)
	}
	m.pending = true
	g.messages.add(m)
	more := r.own()
	more.deliveries = append(more.deliveries, d)
	g.changes.message(m, true)
	g.changes.delivery(r, d)
	more.Callbacks.Tries++
	more.Callbacks.Due = time.Time{}
	r.Changed = d.seq
	g.unlock()

	var status int
	var answer []byte
	if err == nil {
		status, answer, err = g.post(sent.WithContext(timeout))
	}
	if err == nil && e.fault.Callback == CallbackLostAnswer && e.turn == 0 {
		err = fmt.Errorf("%w: the answer, status %d, was lost", errFault, status)
		status = 0
	}

	g.lock()
	defer g.unlock()
	d.pending, d.status, d.err, d.ms = false, status, err, max(0, g.now().Sub(d.at).Milliseconds())
	if r.gone {
		return g.delivery(r, d)
	}
	m.status, m.answer, m.ms = status, answer, d.ms
	m.pending = false
	g.messages.grow(m)
	ev := Event{
		Type: EventDeliveryAnswered, Merchant: r.MerchantID, Order: r.ID, Kind: d.kind, Try: d.try, Status: status,
		MS: d.ms, Acknowledged: status == http.StatusOK, Message: d.seq, Fault: m.fault,
	}
	switch {
	case errors.Is(err, ErrBlocked):
		ev.Type, ev.Why, ev.URL = EventDeliveryBlocked, why(err), d.url
		more.Callbacks.Blocked = true
	case err != nil:
		ev.Type, ev.Why = EventDeliveryFailed, why(err)
	}
	m.err, m.verdict = ev.Why, verdict(ev)
	g.changes.delivery(r, d)
	g.changes.message(m, false)
	more.Callbacks.Status = status
	more.Callbacks.Acknowledged = more.Callbacks.Acknowledged || ev.Acknowledged
	r.Changed = g.emit(ev).Seq
	return g.delivery(r, d)
}

// parcel writes what an errand brings. g.mu is held.
func (g *Gateway) parcel(e *errand) (parcel, error) {
	if e.bytes != nil {
		return parcel{method: http.MethodPost, contentType: "application/json", cut: -1, stall: -1, body: e.bytes}, nil
	}
	if e.kind == Replay || e.fault.Callback == CallbackReplay && e.turn > 0 {
		p := parcel{method: http.MethodPost, contentType: "application/json", cut: -1, stall: -1, body: g.firstSent(e.row)}
		if p.body == nil {
			return p, errors.New("ottpaytest: what was delivered first is no longer kept")
		}
		return p, nil
	}
	says := g.notification(e.row, e.says)
	says.rotate = e.try + e.turn
	says.Fault = e.fault.Callback
	keys := g.keysOf(e.row.MerchantID)
	if len(keys) == 0 {
		return parcel{method: http.MethodPost, cut: -1, stall: -1}, fmt.Errorf("ottpaytest: no sign key for %s", e.row.MerchantID)
	}
	return says.pack(keys, e.turn, e.fault.At)
}

// patience is how long one try may take.
func (g *Gateway) patience(f Fault) time.Duration {
	if f.Callback == CallbackStall {
		return g.cfg.CallbackTimeout * 2 // the shop should be the first to give up
	}
	return g.cfg.CallbackTimeout
}

// post sends one callback. It follows no redirect.
func (g *Gateway) post(r *http.Request) (status int, answer []byte, err error) {
	w, err := g.cfg.Callbacks.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer w.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(w.Body, maxAcknowledgement))
	if err != nil {
		return 0, nil, err
	}
	return w.StatusCode, answer, nil
}

// why is an error in the words of the log.
func why(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the gateway was closed"
	}
	return strings.TrimPrefix(err.Error(), "ottpaytest: ")
}

// verdict says in one sentence what the shop made of a callback.
func verdict(e Event) string {
	switch {
	case e.Type == EventDeliveryBlocked:
		return "not sent: " + e.Why
	case e.Type == EventDeliveryFailed:
		return "no answer: " + e.Why
	case e.Acknowledged:
		return "acknowledged"
	case e.Status/100 == 3:
		return "not acknowledged: a redirect is not followed"
	case e.Status/100 == 4:
		return "refused by the shop"
	case e.Status/100 == 5:
		return "the shop asks to try again"
	}
	return "not acknowledged: only status 200 is"
}

// envelopeOf is a callback's envelope, its members in the order of the vendor's.
func envelopeOf(quirks Quirk, code, message, merchant string, s envelope.Sealed) []byte {
	s = quirks.wrap(s)
	out := []pair{{"data", quoted(s.Data)}, {"rsp_code", quoted(code)}, {"rsp_msg", quoted(message)}}
	if merchant != "" {
		out = append(out, pair{"merchant_id", quoted(merchant)})
	}
	return quirks.escape(object(append(out, pair{"md5", quoted(s.MD5)})))
}

func notificationSchema() *api.Schema {
	s, ok := api.LookupSchema("Notification")
	if !ok {
		panic("ottpaytest: the document has no Notification")
	}
	return s
}

func encode(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case string:
		return quoted(v), nil
	case json.RawMessage:
		return v, nil
	}
	return json.Marshal(v)
}
