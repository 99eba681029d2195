package middleware

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
)

const (
	defaultAskWindow = 10 * time.Second
	// noWindow is how long a query that does not confirm a notification serves
	// the next ones. A redelivery a second later is asked about again: the payer
	// may have paid meanwhile.
	noWindow = 750 * time.Millisecond
	maxAsked = 1 << 14 // finished queries that are remembered at a time
)

// askOnce stands in front of an [Asker], so that no number of notifications
// for an order makes more than one query at a time. An answer that confirms a
// notification serves it until the window that began with the query is over.
// Anything else, an error included, serves for [noWindow] after the query.
// Notifications and [Webhook.Settle] learn nothing from each other: a payer
// often pays right after a query that said "not paid", and the notification
// that says so may not come twice.
type askOnce struct {
	asker   Asker
	limiter Limiter // nil: none
	window  time.Duration
	timeout time.Duration // of one query, for all that wait for it
	now     func() time.Time
	most    int

	mu    sync.Mutex
	asked map[question]*asking
	done  []*asking // the finished ones that are remembered, in the order of their end
}

// question is what makes two queries the same.
type question struct {
	merchant, order, checkout string
	query                     api.Action
	settle                    bool // no notification asks
}

func (q question) clone() question {
	q.merchant, q.order, q.checkout = strings.Clone(q.merchant), strings.Clone(q.order), strings.Clone(q.checkout)
	return q
}

// asking is one query and what it learned.
type asking struct {
	question question
	start    time.Time          // under askOnce.mu
	end      time.Time          // likewise
	waiting  int                // under askOnce.mu
	cancel   context.CancelFunc // ends the query when no caller waits any more
	finished chan struct{}      // closed when the rest is set

	answer    Answer
	err       error
	confirmed bool // the notification that asked
}

// Ask implements [Asker].
func (o *askOnce) Ask(ctx context.Context, d *Delivery) (Answer, error) {
	q := question{
		merchant: d.Merchant, order: d.OrderID, checkout: d.Notification.PrepayOrderID,
		query: d.Query, settle: d.Source == SourceQuery,
	}
	a := o.join(ctx, q, d)
	defer o.leave(a)
	select {
	case <-a.finished:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	answer := a.answer
	if answer.Amount != nil { // each caller gets a copy
		amount := *answer.Amount
		answer.Amount = &amount
	}
	return answer, a.err
}

// join returns the query that is under way or remembered, or begins one.
func (o *askOnce) join(ctx context.Context, q question, d *Delivery) *asking {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	if a := o.asked[q]; a != nil && o.serves(a, d) {
		a.waiting++
		return a
	}
	// The query belongs to everybody who waits for it: it has a time of its
	// own, and ends early only when all of them have gone.
	query, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.timeout)
	q = q.clone() // it is kept, and d's texts share the memory of a whole message
	a := &asking{question: q, start: o.now(), waiting: 1, cancel: cancel, finished: make(chan struct{})}
	o.asked[q] = a
	alone := *d // the handler of d may return, and write to it, before the query ends
	go o.ask(query, a, &alone)
	return a
}

// leave ends a query that no caller waits for any more.
func (o *askOnce) leave(a *asking) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.waiting--; a.waiting > 0 {
		return
	}
	a.cancel()
	if a.end.IsZero() && o.asked[a.question] == a {
		delete(o.asked, a.question) // its error would be that of who gave up
	}
}

// errNotPut is of a query that was never sent.
var errNotPut = errors.New("middleware: not asked")

// ask puts the query. It runs on a goroutine of its own, which ends when the
// Asker returns, at the latest when ctx is over.
func (o *askOnce) ask(ctx context.Context, a *asking, d *Delivery) {
	defer o.finish(a)
	a.err = errGoexit // unless what follows returns
	defer func() {
		if v := recover(); v != nil {
			a.err = &PanicError{v, debug.Stack()}
		}
	}()
	if o.limiter != nil {
		if err := o.limiter.Wait(ctx); err != nil {
			a.err = fmt.Errorf("%w: %w", errNotPut, err)
			return
		}
		o.mu.Lock()
		a.start = o.now() // the window is between queries, and not between wishes
		o.mu.Unlock()
	}
	a.answer, a.err = o.asker.Ask(ctx, d)
	a.confirmed = a.err == nil && a.answer.confirmsAll(d)
}

func (o *askOnce) finish(a *asking) {
	a.cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	a.end = o.now()
	close(a.finished)
	if o.asked[a.question] != a {
		return // given up
	}
	if o.window <= 0 || errors.Is(a.err, errNotPut) {
		delete(o.asked, a.question)
		return
	}
	o.done = append(o.done, a)
	o.forget()
}

// serves reports whether a, which is under way or remembered, is good for d.
func (o *askOnce) serves(a *asking, d *Delivery) bool {
	if a.end.IsZero() {
		return true
	}
	if a.err == nil && a.answer.confirmsAll(d) {
		return !o.over(a)
	}
	// It is a "no" for d. It serves if it was one for who asked, too: an answer
	// that confirmed another notification of the order says nothing of this one.
	age := o.now().Sub(a.end)
	return !a.confirmed && age >= 0 && age < min(noWindow, o.window)
}

// confirmsAll reports whether a confirms d, which may lack what it is to learn
// from a.
func (a Answer) confirmsAll(d *Delivery) bool {
	full := *d
	full.learn(a)
	return a.mismatch(&full) == ""
}

// over reports whether the window of a finished query has passed.
func (o *askOnce) over(a *asking) bool {
	age := o.now().Sub(a.start)
	return age < 0 || age >= o.window
}

// forget drops the oldest of what is over, or of too much.
func (o *askOnce) forget() {
	for len(o.done) > 0 && (len(o.done) > o.most || o.over(o.done[0])) {
		a := o.done[0]
		o.done[0] = nil
		o.done = o.done[1:]
		if o.asked[a.question] == a {
			delete(o.asked, a.question)
		}
	}
}
