package ottpaytest

import (
	"container/heap"
	"sync"
	"time"
)

// Clock is a clock that can be set forward, by [Gateway.Advance]. A real one goes
// on by itself, a manual one only when told. It is safe for concurrent use.
type Clock struct {
	mu     sync.Mutex
	manual bool
	at     time.Time     // of a manual one
	offset time.Duration // of a real one, to time.Now
	alarms alarms
}

// NewClock returns a clock that shows time.Now until it is advanced.
func NewClock() *Clock { return &Clock{} }

// NewManualClock returns a clock that stands still at a time.
func NewManualClock(at time.Time) *Clock {
	return &Clock{manual: true, at: at.UTC().Truncate(time.Millisecond)}
}

// Manual reports whether the clock stands still.
func (c *Clock) Manual() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manual
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if c.manual {
		return c.at
	}
	return time.Now().Add(c.offset)
}

// advance sets the clock forward. What was to happen in between happens now. A
// negative duration does nothing.
func (c *Clock) advance(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.manual {
		c.at = c.at.Add(d)
	} else {
		c.offset += d
	}
	c.ring()
}

// stop makes a real clock stand still at the time that it shows.
func (c *Clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.manual {
		return
	}
	c.at, c.manual = c.now().UTC().Truncate(time.Millisecond), true
	c.offset = 0
	for _, a := range c.alarms {
		if a.timer != nil {
			a.timer.Stop()
			a.timer = nil
		}
	}
}

// start makes a manual clock go on from the time that it shows.
func (c *Clock) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.manual {
		return
	}
	c.offset, c.manual = time.Until(c.at), false
	for _, a := range c.alarms {
		c.wind(a)
	}
}

// state is what a record keeps of the clock besides its time.
func (c *Clock) state() (manual bool, offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manual, c.offset
}

// set puts the clock into a recorded state. A clock that goes on is never set
// back.
func (c *Clock) set(at time.Time, manual bool, offset time.Duration) {
	if manual {
		c.stop()
	} else {
		c.start()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if manual {
		c.at = at
	} else {
		c.offset = max(c.offset, offset)
	}
	c.ring()
}

// alarm is one that waits for its time.
type alarm struct {
	due   time.Time
	rang  chan time.Time
	timer *time.Timer // of a real clock
	index int         // in the heap; -1 when it is in no more
}

// alarm returns a channel that receives the time once d has passed, and what
// takes it back.
func (c *Clock) alarm(d time.Duration) (rang <-chan time.Time, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{due: c.now().Add(d), rang: make(chan time.Time, 1)}
	heap.Push(&c.alarms, a)
	if d <= 0 {
		c.ring()
	} else if !c.manual {
		c.wind(a)
	}
	return a.rang, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remove(a)
	}
}

// wind sets the real timer of an alarm. c.mu is held.
func (c *Clock) wind(a *alarm) {
	a.timer = time.AfterFunc(a.due.Sub(c.now()), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.manual && a.index >= 0 {
			c.remove(a)
			a.rang <- c.now()
		}
	})
}

// ring lets go off what is due. c.mu is held.
func (c *Clock) ring() {
	now := c.now()
	for len(c.alarms) > 0 && !c.alarms[0].due.After(now) {
		a := c.alarms[0]
		c.remove(a)
		a.rang <- now
	}
	if c.manual {
		return
	}
	for _, a := range c.alarms {
		if a.timer != nil {
			a.timer.Reset(a.due.Sub(now))
		}
	}
}

func (c *Clock) remove(a *alarm) {
	if a.index < 0 {
		return
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	heap.Remove(&c.alarms, a.index)
}

// alarms is a heap by due time.
type alarms []*alarm

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *alarms) Push(x any) {
	a := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

// Pop is for container/heap.
func (h *alarms) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.index = -1
	return a
}
