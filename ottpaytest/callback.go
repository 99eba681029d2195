package ottpaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
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
)

// Delivery is one callback that was posted.
type Delivery struct {
	OrderID   string
	URL       string
	Kind      DeliveryKind
	Tampering Tampering // of a tampered one
	Try       int       // from 1, of an original one
	At        time.Time
	Sent      []byte // the body that was posted
	Status    int    // of the answer; 0 if there was none
	Body      string // of the answer, at most 64 KiB
	Err       error  // why there was no answer
}

// Acknowledged reports whether the merchant answered with status 200.
func (d Delivery) Acknowledged() bool { return d.Status == http.StatusOK }

const maxAcknowledgement = 64 << 10

// Deliveries returns the callbacks that were posted for an order, oldest
// first; for a checkout, those of its payment.
func (g *Gateway) Deliveries(id string) []Delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.paymentOf(id)
	if r == nil {
		return nil
	}
	return slices.Clone(r.deliveries)
}

// paymentOf is lookup, but of a paid checkout it finds the payment.
func (g *Gateway) paymentOf(id string) *record {
	r := g.lookup(id)
	if r != nil && r.PaymentID != "" {
		return g.orders[orderKey{r.MerchantID, r.PaymentID, false}]
	}
	return r
}

// Redeliver posts the callback of a paid order once more and returns what came
// of it: the same content, written anew in another member order.
func (g *Gateway) Redeliver(id string) (Delivery, error) {
	return g.again(id, Redelivery, Untampered)
}

// Replay posts the very bytes of the first callback again.
func (g *Gateway) Replay(id string) (Delivery, error) { return g.again(id, Replay, Untampered) }

// Tamper posts a callback for a paid order that was tampered with.
func (g *Gateway) Tamper(id string, how Tampering) (Delivery, error) {
	return g.again(id, Tampered, how)
}

func (g *Gateway) again(id string, kind DeliveryKind, how Tampering) (Delivery, error) {
	g.mu.Lock()
	r := g.paymentOf(id)
	var e errand
	var err error
	switch {
	case r == nil:
		err = ErrNoOrder
	case r.Finished.IsZero() || r.CallbackURL == "":
		err = fmt.Errorf("%w: %s is not called back", ErrState, r.Status)
	case kind == Replay && len(r.deliveries) == 0:
		err = fmt.Errorf("%w: nothing was delivered that could be replayed", ErrState)
	default:
		e = errand{key: r.key(), kind: kind, says: g.notification(r), try: len(r.deliveries)}
		e.says.Tampering = how
	}
	g.mu.Unlock()
	if err != nil {
		return Delivery{}, err
	}
	return g.deliver(g.ctx, e), nil
}

// errand is a callback that is to be posted.
type errand struct {
	key  orderKey
	kind DeliveryKind
	says Notification
	due  time.Time
	try  int // tries before this one
}

// deliver posts a callback and keeps what came of it.
func (g *Gateway) deliver(ctx context.Context, e errand) Delivery {
	d := Delivery{Kind: e.kind, Tampering: e.says.Tampering, At: g.cfg.Now()}
	if e.kind == Original {
		d.Try = e.try + 1
	}
	g.mu.Lock()
	r := g.orders[e.key]
	d.OrderID, d.URL = r.ID, r.CallbackURL
	if e.kind == Replay {
		d.Sent = r.deliveries[0].Sent
	}
	g.mu.Unlock()

	if d.Sent == nil {
		e.says.rotate = e.try
		d.Sent, d.Err = e.says.seal(g.keys[e.key.merchant][0])
	}
	if d.Err == nil {
		d.Status, d.Body, d.Err = g.post(ctx, d.URL, d.Sent)
	}
	g.mu.Lock()
	r = g.orders[e.key]
	r.deliveries = append(r.deliveries, d)
	g.mu.Unlock()
	return d
}

// notification is what there is to say about a paid order. g.mu is held.
func (g *Gateway) notification(r *record) Notification {
	n := Notification{
		MerchantID: r.MerchantID,
		OrderID:    r.ID,
		ChannelID:  r.ChannelID,
		Amount:     r.total(),
		Tip:        r.Tip,
		FinishTime: r.Finished,
		Extra:      make(map[string]any),
		Without:    g.cfg.Without,
	}
	// What the merchant said when he asked comes back, where a callback has a
	// place for it.
	for _, m := range notificationSchema().Members {
		if m.Role == "" && r.asked.text(m.Name) != "" {
			n.Extra[m.Name] = r.asked.text(m.Name)
		}
	}
	if r.Fee != 0 {
		n.Extra["convenience_fee"] = r.Fee
	}
	switch r.Status {
	case api.StatusAuthfinish:
		n.Extra["order_status"] = api.StatusAuthorised
	case api.StatusCaptured:
		n.Extra["order_status"] = api.StatusCaptured
	}
	maps.Copy(n.Extra, r.payment.Extra)
	return n
}

// post sends one callback. It follows no redirect.
func (g *Gateway) post(ctx context.Context, url string, body []byte) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.CallbackTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", errors.New("ottpaytest: the callback URL is none")
	}
	r.Header.Set("Content-Type", "application/json")
	w, err := g.cfg.Callbacks.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(io.LimitReader(w.Body, maxAcknowledgement))
	if err != nil {
		return 0, "", err
	}
	return w.StatusCode, string(text), nil
}

// Wait waits until no callback is under way and none is to be tried again.
func (g *Gateway) Wait(ctx context.Context) error {
	for {
		quiet := g.courier.quiet()
		if quiet == nil {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		case <-g.ctx.Done():
			return errors.New("ottpaytest: the gateway is closed")
		}
	}
}

// courier posts callbacks from a few goroutines and brings each back to the
// queue until it is acknowledged or has been tried often enough. One more
// goroutine keeps the queue.
type courier struct {
	gateway *Gateway
	work    chan *errand
	wake    chan struct{} // of capacity 1: the queue has changed
	running sync.WaitGroup

	mu    sync.Mutex
	queue []*errand     // by due time
	open  int           // errands in the queue or under way
	idle  chan struct{} // closed when open falls to 0; nil while it is 0
}

func (c *courier) start(g *Gateway) {
	c.gateway = g
	c.work = make(chan *errand)
	c.wake = make(chan struct{}, 1)
	c.running.Go(c.dispatch)
	for range g.cfg.Couriers {
		c.running.Go(c.carry)
	}
}

// wait returns once all goroutines have ended, after the Gateway's context.
func (c *courier) wait() { c.running.Wait() }

// quiet returns a channel that is closed when all is done, nil if it is.
func (c *courier) quiet() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		return nil
	}
	return c.idle
}

// send takes a new errand.
func (c *courier) send(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == 0 {
		c.idle = make(chan struct{})
	}
	c.open++
	c.enqueue(e)
}

func (c *courier) enqueue(e *errand) {
	c.queue = append(c.queue, e)
	slices.SortStableFunc(c.queue, func(a, b *errand) int { return a.due.Compare(b.due) })
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// dispatch hands out errands when they are due.
func (c *courier) dispatch() {
	g := c.gateway
	var armed *errand // the one that the alarm is for
	var alarm <-chan time.Time
	for {
		head, pause := c.head()
		var work chan<- *errand
		switch {
		case head == nil:
			armed, alarm = nil, nil
		case pause <= 0:
			work = c.work
		case armed != head:
			armed, alarm = head, g.cfg.After(pause)
		}
		select {
		case <-g.ctx.Done():
			return
		case <-c.wake:
		case <-alarm:
			c.dueNow(armed)
			armed, alarm = nil, nil
		case work <- head:
			c.remove(head)
			if armed == head { // it is another's now
				armed, alarm = nil, nil
			}
		}
	}
}

// head returns the first errand and how long it has to wait.
func (c *courier) head() (*errand, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, 0
	}
	return c.queue[0], c.queue[0].due.Sub(c.gateway.cfg.Now())
}

// dueNow makes an errand due: the alarm is believed, whatever Now says.
func (c *courier) dueNow(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.due = time.Time{}
	slices.SortStableFunc(c.queue, func(a, b *errand) int { return a.due.Compare(b.due) })
}

func (c *courier) remove(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = slices.DeleteFunc(c.queue, func(x *errand) bool { return x == e })
}

// carry posts what is due.
func (c *courier) carry() {
	for {
		select {
		case <-c.gateway.ctx.Done():
			return
		case e := <-c.work:
			c.done(e, c.gateway.deliver(c.gateway.ctx, *e))
		}
	}
}

// done puts an errand back into the queue, or off the books.
func (c *courier) done(e *errand, d Delivery) {
	pauses := c.gateway.cfg.Redelivery
	c.mu.Lock()
	defer c.mu.Unlock()
	if !d.Acknowledged() && e.try < len(pauses) {
		next := *e
		next.due = c.gateway.cfg.Now().Add(pauses[e.try])
		next.try++
		c.enqueue(&next)
		return
	}
	if c.open--; c.open == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// wire is a callback's envelope, its members in the order of the vendor's.
func wire(quirks Quirk, code, message, merchant string, s envelope.Sealed) []byte {
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
