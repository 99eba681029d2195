package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
)

const (
	defaultInterval   = time.Minute
	defaultMaxBackoff = time.Hour
)

// Reconciler asks the gateway about the orders that the shop still holds as
// unpaid, round after round, and handles what turns out to be paid. Whether a
// notification that was not acknowledged comes again is undocumented: a shop
// that must not miss a payment runs one.
//
// It is [Webhook.Settle] for many orders, and safe on any number of replicas
// beside each other and beside the webhook: the claim decides who handles a
// payment. It is enough to run it on one replica, as each one asks for itself.
//
// A Reconciler must not be used by two goroutines at a time.
type Reconciler struct {
	// Webhook is whose store, Asker and alarms are used. Required.
	Webhook *Webhook
	// Orders returns the orders to ask about, at the beginning of each round:
	// those that are unpaid and old enough for their notification to be
	// overdue, and not so old that the shop has given them up. They are read
	// one by one, and nothing is done between one and the next but asking and
	// handling; a query that is open meanwhile holds its connection. An error
	// ends the round. Required.
	Orders func(ctx context.Context) iter.Seq2[Order, error]
	// Handle handles a payment, as the function behind [Handle] does. Required.
	Handle func(ctx context.Context, n *api.Notification) error

	// Unpaid is told of each order that the gateway was asked about and that
	// is not paid, with the status that the gateway gave, so that the shop can
	// close what is final ([api.OrderStatus.Final]) or too old. One that is
	// [api.OrderStatus.Refunded] was paid, and its payment never handled: let
	// a person look at it. Optional.
	Unpaid func(ctx context.Context, o Order, status api.OrderStatus)

	// Interval is the time between the rounds of Run, and that before an order
	// is asked about for the second time, which doubles each time up to
	// MaxBackoff. They default to one minute and one hour.
	Interval, MaxBackoff time.Duration
	// Limiter holds the queries of the rounds back, beside Config.AskLimiter.
	// If nil, nothing does.
	Limiter Limiter

	rounds int
	known  map[question]*backoff
}

// backoff is when an order may be asked about again.
type backoff struct {
	next  time.Time
	wait  time.Duration
	round int // the last one that had the order
}

// Reconciled counts what became of the orders of a round.
type Reconciled struct {
	Orders  int // that the shop holds as unpaid
	Waiting int // of these, not asked about: their backoff runs

	Handled   int // paid, and handled now
	Duplicate int // paid, and handled before: by a notification meanwhile, or else see [Webhook.Settle]
	Conflict  int // the same, with another amount or channel's id
	InFlight  int // paid, and being handled by another delivery
	Unpaid    int // not paid yet
	Deferred  int // not believed: no answer, or one that does not fit the order
	Failed    int // the handler or the store failed
}

func (c *Reconciled) add(o Reconciled) {
	c.Orders += o.Orders
	c.Waiting += o.Waiting
	c.Handled += o.Handled
	c.Duplicate += o.Duplicate
	c.Conflict += o.Conflict
	c.InFlight += o.InFlight
	c.Unpaid += o.Unpaid
	c.Deferred += o.Deferred
	c.Failed += o.Failed
}

// Run runs rounds until ctx ends or the Webhook is shut down, and returns what
// they counted together and ctx's error or that. A round that fails otherwise
// is logged, and the next one is tried.
func (c *Reconciler) Run(ctx context.Context) (Reconciled, error) {
	var total Reconciled
	timer := time.NewTimer(cmp.Or(c.Interval, defaultInterval))
	defer timer.Stop()
	for {
		n, err := c.Round(ctx)
		total.add(n)
		if ctx.Err() != nil {
			return total, ctx.Err()
		}
		var shutdown *Refusal
		if errors.Is(err, errReconciler) || errors.As(err, &shutdown) {
			return total, err // and so would every other round
		}
		if err != nil {
			c.Webhook.cfg.Logger.LogAttrs(ctx, slog.LevelError, "ottpay: reconciling stopped short", appendError(nil, err)...)
		}
		timer.Reset(cmp.Or(c.Interval, defaultInterval))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
}

var errReconciler = errors.New("middleware: Reconciler: Webhook with an Asker, Orders and Handle are required")

// Round goes through the orders once, and returns early when ctx ends, with
// its error. An order that fails does not keep it from the others: it is
// counted, logged, told to Config.OnRefused if it is more than unpaid, and
// asked about again in a later round. A panic in Handle is such a failure; one
// in Orders or Limiter ends the round with an error.
func (c *Reconciler) Round(ctx context.Context) (n Reconciled, err error) {
	if c.Webhook == nil || c.Webhook.cfg.Asker == nil || c.Orders == nil || c.Handle == nil {
		return n, errReconciler
	}
	panicked := guarded(func() { err = c.round(ctx, &n) })
	if panicked != nil {
		err = fmt.Errorf("middleware: reconcile: %w", panicked.Err)
	}
	return n, err
}

func (c *Reconciler) round(ctx context.Context, n *Reconciled) error {
	c.rounds++
	for o, err := range c.Orders(ctx) {
		if err != nil {
			return fmt.Errorf("middleware: reconcile: orders: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n.Orders++
		if !c.due(o) {
			n.Waiting++
			continue
		}
		if c.Limiter != nil {
			if err := c.Limiter.Wait(ctx); err != nil {
				return fmt.Errorf("middleware: reconcile: limiter: %w", err)
			}
		}
		if err := c.settle(ctx, o, n); err != nil {
			return err
		}
	}
	c.forget()
	return ctx.Err()
}

// due reports whether o's backoff is over, and if so begins the next one.
func (c *Reconciler) due(o Order) bool {
	if c.known == nil {
		c.known = make(map[question]*backoff)
	}
	key, now := question{merchant: o.Merchant, order: o.ID, checkout: o.Checkout}, c.Webhook.cfg.Now()
	b := c.known[key]
	if b == nil {
		b = &backoff{wait: cmp.Or(c.Interval, defaultInterval)}
		c.known[key] = b
	}
	b.round = c.rounds
	if now.Before(b.next) {
		return false
	}
	b.next = now.Add(b.wait)
	b.wait = min(2*b.wait, max(b.wait, cmp.Or(c.MaxBackoff, defaultMaxBackoff)))
	return true
}

// forget drops what a whole round did not have: the shop does not hold it as
// unpaid any more.
func (c *Reconciler) forget() {
	for key, b := range c.known {
		if b.round != c.rounds {
			delete(c.known, key)
		}
	}
}

// settle settles one order and counts. It fails if going on makes no sense.
func (c *Reconciler) settle(ctx context.Context, o Order, n *Reconciled) error {
	w := c.Webhook
	d, result, err := w.settle(ctx, o, c.Handle)
	var refusal *Refusal
	switch errors.As(err, &refusal); {
	case refusal != nil && refusal.Reason == ReasonShutdown:
		return err
	case refusal != nil && refusal.Reason == ReasonNotPaidYet:
		n.Unpaid++
		if c.Unpaid != nil {
			c.tell(ctx, d, func() { c.Unpaid(ctx, o, d.Answer.Status) })
		}
		return nil
	case result == ResultHandled:
		n.Handled++
	case result == ResultDuplicate:
		n.Duplicate++
	case result == ResultConflict:
		n.Conflict++
	case result == ResultInFlight:
		n.InFlight++
	case result == ResultDeferred && ctx.Err() != nil: // not the gateway: the caller ended it
		return ctx.Err()
	case result == ResultDeferred:
		n.Deferred++
	default:
		n.Failed++
	}
	c.log(ctx, d, result, err)
	if refusal != nil && result != ResultInFlight && w.cfg.OnRefused != nil {
		c.tell(ctx, d, func() { w.cfg.OnRefused(ctx, refusal) })
	}
	return nil
}

// tell runs a hook. Its panic is logged.
func (c *Reconciler) tell(ctx context.Context, d *Delivery, hook func()) {
	if panicked := guarded(hook); panicked != nil {
		c.log(ctx, d, panicked.result, panicked)
	}
}

// log writes the line of an order that is more than unpaid.
func (c *Reconciler) log(ctx context.Context, d *Delivery, result Result, err error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("result", string(result))}
	if d != nil { // an order that could not be asked about has none
		attrs = append(attrs, slog.Any("delivery", d))
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		attrs = append(attrs, slog.String("reason", string(refusal.Reason)))
		err = refusal.Err
	}
	attrs = appendError(attrs, err)
	switch result {
	case ResultConflict, ResultDeferred, ResultFailed: // for a conflict, the payer may have paid twice
		level = slog.LevelError
	}
	c.Webhook.cfg.Logger.LogAttrs(ctx, level, "ottpay: order reconciled", attrs...)
}
