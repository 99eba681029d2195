package ottpaytest

import (
	"container/heap"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

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

// Quiet reports whether no callback is under way and none is to be tried again.
func (g *Gateway) Quiet() bool { return g.courier.quiet() == nil }

// quietOf is quiet for the orders of a merchant, or one of them.
func (c *courier) quietOf(merchant string, key *orderKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := func(r *row) bool { return r.MerchantID == merchant && (key == nil || r.key() == *key) }
	for r, n := range c.busy {
		if n > 0 && mine(r) {
			return false
		}
	}
	for _, e := range c.queue {
		if mine(e.row) {
			return false
		}
	}
	return true
}

// courier posts callbacks from a few goroutines and brings each back to the
// queue until it is acknowledged or has been tried often enough. One more
// goroutine keeps the queue.
type courier struct {
	gateway *Gateway
	work    chan *errand
	wake    chan struct{} // of capacity 1: the queue has changed
	running sync.WaitGroup

	mu    sync.Mutex // taken after Gateway.mu, if both are
	queue errands
	last  int           // numbers errands in the order in which they came
	open  int           // errands in the queue or under way
	busy  map[*row]int  // those under way
	idle  chan struct{} // closed when open falls to 0; nil while it is 0
}

func (c *courier) prepare(g *Gateway) {
	c.gateway = g
	c.busy = make(map[*row]int)
	c.work = make(chan *errand)
	c.wake = make(chan struct{}, 1)
}

func (c *courier) start() {
	c.running.Go(c.dispatch)
	for range c.gateway.cfg.Couriers {
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

// enqueue puts an errand into the queue. c.mu is held.
func (c *courier) enqueue(e *errand) {
	c.last++
	e.number = c.last
	heap.Push(&c.queue, e)
	c.look()
}

// look makes the dispatcher look at the queue and the clock again.
func (c *courier) look() {
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
	stop := func() {}
	defer func() { stop() }()
	for {
		head, copied, pause := c.head()
		var work chan<- *errand
		if armed != nil && armed != head {
			stop()
			armed, alarm = nil, nil
		}
		switch {
		case head == nil:
		case pause <= 0:
			work = c.work
		case armed == nil:
			armed = head
			alarm, stop = g.after(pause)
		}
		select {
		case <-g.ctx.Done():
			return
		case <-c.wake:
		case <-alarm:
			c.dueNow(armed)
			armed, alarm = nil, nil
		case work <- copied: // head is changed by the queue until it is removed
			c.remove(head)
			if armed == head { // it is another's now
				stop()
				armed, alarm = nil, nil
			}
		}
	}
}

// head returns the first errand, a copy of it, and how long it has to wait.
func (c *courier) head() (first, copied *errand, pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, nil, 0
	}
	e := *c.queue[0]
	return c.queue[0], &e, e.due.Sub(c.gateway.now())
}

// dueNow makes an errand due: the alarm is believed, whatever Now says.
func (c *courier) dueNow(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.index >= 0 {
		e.due = time.Time{}
		heap.Fix(&c.queue, e.index)
	}
}

func (c *courier) remove(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.index >= 0 {
		heap.Remove(&c.queue, e.index)
		c.count(e.row, 1)
	}
}

// count adds to how many errands of a row are under way. What carries an errand
// may be done with it before it is out of the queue, so that a number is
// negative for a moment. c.mu is held.
func (c *courier) count(r *row, n int) {
	if c.busy[r] += n; c.busy[r] == 0 {
		delete(c.busy, r)
	}
}

// release makes the errands of a merchant due that were held back until
// another one had been posted.
func (c *courier) release(merchant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.queue {
		if e.held && e.row.MerchantID == merchant {
			e.held, e.due = false, time.Time{}
		}
	}
	heap.Init(&c.queue)
	c.look()
}

// forget drops the errands of a merchant, or all if it is empty. Gateway.mu is
// held.
func (c *courier) forget(merchant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept errands
	for _, e := range c.queue {
		if merchant == "" || e.row.MerchantID == merchant {
			e.index = -1
			c.closed()
		} else {
			kept = append(kept, e)
		}
	}
	c.queue = kept
	for i, e := range c.queue {
		e.index = i
	}
	heap.Init(&c.queue)
	c.look()
}

// closed counts an errand that is over. c.mu is held.
func (c *courier) closed() {
	if c.open--; c.open == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// carry posts what is due.
func (c *courier) carry() {
	for {
		select {
		case <-c.gateway.ctx.Done():
			return
		case e := <-c.work:
			c.done(e, c.gateway.attempt(c.gateway.ctx, e))
		}
	}
}

// done puts the next try of an errand into the queue, or ends it.
func (c *courier) done(e, next *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(e.row, -1)
	if next != nil {
		c.enqueue(next)
		return
	}
	c.closed()
}

// dispatch puts a new errand into the queue. g.mu is held.
func (g *Gateway) dispatch(e *errand) {
	more := e.row.own()
	more.errands = append(more.errands, *e)
	g.changes.row(e.row)
	g.courier.send(e)
}

// attempt makes one try of an errand, with what goes wrong with it, and returns
// the next try, or nil. A row's errands are those of the record: one that is
// under way counts, so that it is sent again if the process ends meanwhile.
func (g *Gateway) attempt(ctx context.Context, e *errand) *errand {
	next := g.try(ctx, e)
	g.lock()
	defer g.unlock()
	more := e.row.own()
	more.errands = slices.DeleteFunc(more.errands, func(x errand) bool { return x.id == e.id })
	if next != nil {
		more.errands = append(more.errands, *next)
	}
	g.changes.row(e.row)
	return next
}

func (g *Gateway) try(ctx context.Context, e *errand) *errand {
	if next, later := g.misfortune(e); later {
		return next
	}
	d := g.carryOut(ctx, e)
	g.courier.release(e.row.MerchantID)

	g.lock()
	defer g.unlock()
	lost := e.fault.Callback == CallbackLostAnswer
	if d.Acknowledged() && !lost || d.Blocked() {
		return nil
	}
	return g.next(e)
}

// next returns the next try of an errand by the schedule, or nil. g.mu is
// held.
func (g *Gateway) next(e *errand) *errand {
	pauses := g.settings.Redelivery
	if e.try >= len(pauses) || e.row.gone {
		return nil
	}
	n := &errand{row: e.row, id: e.id, kind: e.kind, says: e.says, try: e.try + 1, due: g.now().Add(pauses[e.try])}
	g.schedule(n)
	return n
}

// schedule notes when an errand is due. g.mu is held.
func (g *Gateway) schedule(e *errand) {
	e.row.own().Callbacks.Due = e.due
	e.row.Changed = g.emit(Event{
		Type: EventDeliveryScheduled, Merchant: e.row.MerchantID, Order: e.row.ID, Kind: e.kind, Try: e.try + 1, Due: e.due,
	}).Seq
}

// held is how long a callback waits for another one to overtake it.
const held = time.Second

// misfortune looks for a fault that is armed for a try. If that keeps it from
// being sent now, later is true, and next is what is to be done instead.
func (g *Gateway) misfortune(e *errand) (next *errand, later bool) {
	g.lock()
	defer g.unlock()
	if e.row.gone {
		return nil, true
	}
	if e.fault.Callback == "" {
		r := e.row
		fits := func(f Fault) bool { return f.Callback != CallbackEarly }
		e.fault, _ = g.strike(ToShop, Fault{Merchant: r.MerchantID, Order: r.ID, Action: r.Action}, fits)
	}
	again := *e
	again.fault = Fault{Callback: CallbackNone}
	switch e.fault.Callback {
	case CallbackDelay, CallbackReorder:
		pause := e.fault.Delay
		if pause <= 0 {
			pause = held
		}
		again.due = g.now().Add(pause)
		again.held = e.fault.Callback == CallbackReorder
		g.schedule(&again)
		return &again, true
	case CallbackDrop, CallbackLost:
		r := e.row
		r.Changed = g.emit(Event{
			Type: EventDeliveryFailed, Merchant: r.MerchantID, Order: r.ID, Kind: e.kind, Try: e.try + 1,
			Fault: e.fault.name(), Why: "not sent, by the fault",
		}).Seq
		if e.fault.Callback == CallbackLost {
			return nil, true
		}
		return g.next(e), true
	}
	return nil, false
}

// carryOut posts a callback as often as its fault takes, and returns the last
// delivery; of several at once, the first that was acknowledged.
func (g *Gateway) carryOut(ctx context.Context, e *errand) Delivery {
	copies := e.fault.N
	switch e.fault.Callback {
	case CallbackDuplicate, CallbackReplay, CallbackPaidTwice, CallbackLostAnswer:
		copies = max(copies, 2)
	case CallbackTimeShapes:
		copies = 3
	case CallbackBurst:
		if copies <= 0 {
			copies = 8
		}
		return g.burst(ctx, e, copies)
	default:
		copies = 1
	}
	if e.fault.Callback == CallbackLostAnswer && e.kind == Original {
		copies = 1 // the schedule brings the second
	}
	var d Delivery
	for turn := range copies {
		again := *e
		again.turn = turn
		d = g.deliver(ctx, &again)
	}
	return d
}

func (g *Gateway) burst(ctx context.Context, e *errand, copies int) Delivery {
	all := make([]Delivery, copies)
	var group sync.WaitGroup
	for turn := range copies {
		group.Go(func() {
			again := *e
			again.turn = turn
			all[turn] = g.deliver(ctx, &again)
		})
	}
	group.Wait()
	for _, d := range all {
		if d.Status == http.StatusOK {
			return d
		}
	}
	return all[0]
}

// errands is a heap by due time, then by number.
type errands []*errand

func (h errands) Len() int { return len(h) }
func (h errands) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].number < h[j].number
}
func (h errands) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *errands) Push(x any) {
	e := x.(*errand)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is for container/heap.
func (h *errands) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.index = -1
	return e
}
