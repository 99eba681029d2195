// Package deadline has a context that ends at a deadline and starts no timer
// until something waits for it. A delivery's time-outs seldom strike, and a
// store in memory never waits: such a context costs one allocation and reads
// the clock when it is asked.
package deadline

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Context is a [context.Context] that ends at its deadline or when Cancel is
// called. It has the values of its parent and does not end with it. It must not
// be copied. It is safe for concurrent use.
type Context struct {
	values context.Context
	at     time.Time

	mu     sync.Mutex
	err    error           // why it ended, once that was seen
	timed  context.Context // the context that has a timer, once something waits
	cancel context.CancelFunc
}

// Start makes c a context of parent's values that ends at the given time. It is
// called once, before c is used.
func (c *Context) Start(parent context.Context, at time.Time) { c.values, c.at = parent, at }

// Cancel ends the context, if it has not ended, and stops its timer. A context
// that nothing has asked since its deadline ends with [context.Canceled].
func (c *Context) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
		_ = c.ended()
	}
	if c.err == nil {
		c.err = context.Canceled
	}
}

// Deadline implements [context.Context].
func (c *Context) Deadline() (deadline time.Time, ok bool) { return c.at, true }

// Err implements [context.Context].
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended()
}

// ended returns why the context has ended, or nil.
func (c *Context) ended() error {
	switch {
	case c.err != nil:
	case c.timed != nil:
		c.err = c.timed.Err()
	case !time.Now().Before(c.at):
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} { return c.wait().Done() }

// wait returns the context that has a timer. It ends for the reason for which c
// has ended, if c has.
func (c *Context) wait() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		detached := context.WithoutCancel(c.values)
		if errors.Is(c.ended(), context.Canceled) {
			c.timed, c.cancel = context.WithCancel(detached)
			c.cancel()
		} else {
			c.timed, c.cancel = context.WithDeadline(detached, c.at)
		}
	}
	return c.timed
}

// Value implements [context.Context].
func (c *Context) Value(key any) any {
	// Package context looks for the nearest context of its own under a key of this
	// type: to hang a child onto it, and to tell the cause of an end.
	if _, own := key.(*int); own {
		return c.wait().Value(key)
	}
	return c.values.Value(key)
}

// String serves the names that package context gives to contexts.
func (c *Context) String() string { return "ottpay.Deadline" }
