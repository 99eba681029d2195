package middleware

import (
	"context"
	"sync"

	"github.com/ottpaykit/ottpay/gen/api"
)

// SendOnce returns a context for one payment: under it a Transport sends at
// most one effect. Once one may have left, every further one fails with
// [ErrSentBefore], and every failure matches [ErrUnknownOutcome], whatever its
// cause. An attempt that is known not to have left does not count, nor do
// queries. Give each payment a context of its own. A context made from such a
// one belongs to the same payment.
func SendOnce(ctx context.Context) context.Context {
	if onceOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, sendOnceKey{}, new(once))
}

// SentUnder returns the effect that may have left under a [SendOnce] context,
// if there is one.
func SentUnder(ctx context.Context) (Sent, bool) {
	if o := onceOf(ctx); o != nil {
		return o.sent()
	}
	return Sent{}, false
}

// Sent names an effect that may have left.
type Sent struct {
	Action     api.Action // what was asked for
	MerchantID string     // the merchant that asked
	OrderID    string     // "" if the request named none
}

type sendOnceKey struct{}

// onceOf returns what the context remembers, nil if it is no SendOnce context.
func onceOf(ctx context.Context) *once {
	o, _ := ctx.Value(sendOnceKey{}).(*once)
	return o
}

// once is what a SendOnce context remembers.
type once struct {
	mu    sync.Mutex
	taken bool // an effect has left, or is on its way
	what  Sent
}

// begin takes the context for an effect. It reports false if another one has it.
func (o *once) begin(what Sent) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken {
		return false
	}
	o.taken, o.what = true, what
	return true
}

// end gives the context back if the effect is known not to have left.
func (o *once) end(left bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = left
}

func (o *once) sent() (Sent, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.what, o.taken
}

// mostRemembered bounds how many payments a Transport remembers.
const mostRemembered = 1 << 13

// attempts remembers the payments of which an effect may have left, the newest
// mostRemembered of them. Its zero value is ready.
type attempts struct {
	mu   sync.Mutex
	of   map[payment]*attempt
	ring []payment // of those that left, the oldest at next once it is full
	next int
}

// payment is what attempts are attempts of.
type payment struct{ merchant, order string }

type attempt struct {
	under int  // how many are on their way
	left  bool // one may have left
}

// begin notes that an effect is about to be sent. The attempt is for end.
func (a *attempts) begin(p payment) *attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.of[p]
	if at == nil {
		if a.of == nil {
			a.of = make(map[payment]*attempt)
		}
		at = new(attempt)
		a.of[p] = at
	}
	at.under++
	return at
}

// end notes what became of the attempt, and reports whether another effect of
// the same payment may have left.
func (a *attempts) end(p payment, at *attempt, left bool) (others bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at.under--
	others = at.left || at.under > 0
	switch {
	case left && !at.left:
		at.left = true
		a.keep(p)
	case !at.left && at.under == 0:
		delete(a.of, p)
	}
	return others
}

// keep puts p into the ring, and forgets the payment whose place it takes
// unless an effect of it is on its way.
func (a *attempts) keep(p payment) {
	if len(a.ring) < mostRemembered {
		a.ring = append(a.ring, p)
		return
	}
	old := a.ring[a.next]
	a.ring[a.next] = p
	a.next = (a.next + 1) % mostRemembered
	if at := a.of[old]; at != nil && at.under > 0 {
		at.left = false // noted anew when it has ended
	} else {
		delete(a.of, old)
	}
}

// mayHaveLeft reports whether an effect of p may have left.
func (a *attempts) mayHaveLeft(p payment) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.of[p]
	return at != nil && (at.left || at.under > 0)
}
