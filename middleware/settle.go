package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Order is an order that the shop still holds as unpaid.
type Order struct {
	// Merchant is whose order it is. If empty, Config.Merchant.
	Merchant string
	// ID is the order's id, as a notification would name it. It may be empty
	// for a checkout: the gateway makes the order's id when the payer pays.
	ID string
	// Checkout is the prepay_order_id of a hosted checkout, or "".
	Checkout string
	// Amount is what the shop expects, in cents. If 0, comparing is the
	// business of Config.Expect and of the handler, as for a notification.
	Amount field.Cents
	// Query is the query to put, such as [api.ActionCC_QUERYPAY]. If empty, the [Asker]
	// chooses.
	Query api.Action
}

// Settle asks the gateway what became of an order whose notification did not
// come. If it is paid, fn handles that once, under the claim that the notification
// would have: the later of the two finds it done. It needs Config.Asker. ctx bounds
// the query; fn has Config.Timeout.
//
// fn gets a notification that holds what the query told, without a finish_time. The
// [Delivery] in its context is of [SourceQuery]. The result is [ResultHandled],
// [ResultDuplicate] or [ResultConflict] without an error, or what the *[Refusal]
// says: [ResultDeferred] and [ReasonNotPaidYet] for an order that is not paid.
// Nothing is logged, and Config.OnRefused is not told.
//
// If the shop holds a [ResultDuplicate] as unpaid, its work is lost or wrong: see
// [Webhook.Replay] and docs/inbound.md, "Reconcile".
func (w *Webhook) Settle(ctx context.Context, o Order, fn func(context.Context, *api.Notification) error) (Result, error) {
	_, result, err := w.settle(ctx, o, fn)
	return result, err
}

// settle also returns what was learned, also beside an error.
func (w *Webhook) settle(ctx context.Context, o Order, fn func(context.Context, *api.Notification) error) (*Delivery, Result, error) {
	o.Merchant = cmp.Or(o.Merchant, w.cfg.Merchant)
	switch {
	case w.cfg.Asker == nil:
		return nil, ResultFailed, errors.New("middleware: settle: Config.Asker is nil: the gateway cannot be asked")
	case o.Merchant == "":
		return nil, ResultFailed, errors.New("middleware: settle: the order has no merchant, and Config.Merchant is empty")
	case o.ID == "" && o.Checkout == "":
		return nil, ResultFailed, errors.New("middleware: settle: the order has no id")
	}
	if !w.gate.enter() {
		return nil, ResultFailed, shuttingDown()
	}
	defer w.gate.leave()

	d := &Delivery{
		Source: SourceQuery, Merchant: o.Merchant, OrderID: o.ID, Amount: o.Amount, Kind: api.KindPaid, Query: o.Query,
		Notification: &api.Notification{MerchantID: o.Merchant, OrderID: o.ID, PrepayOrderID: o.Checkout},
		Unverified:   Unverified{Code: api.CodeSuccess}, // there was no callback to say otherwise
	}
	var refusal *Refusal
	guardedInto(&refusal, func() { refusal = w.learn(ctx, d) })
	if refusal != nil {
		return d, refusal.result, refusal.about(d)
	}
	result, err := w.handleKnown(ctx, d, fn)
	return d, result, err
}

// learn asks the gateway and makes its answer what d says.
func (w *Webhook) learn(ctx context.Context, d *Delivery) *Refusal {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	answer, err := w.cfg.Asker.Ask(ctx, d)
	if err != nil {
		return askFailed(err)
	}
	d.Answer = &answer
	d.learn(answer)
	if reason := answer.mismatch(d); reason != "" {
		return deferred(reason, nil)
	}
	n := d.Notification
	n.OrderID, n.BizpayOrderID, n.Amount = d.OrderID, d.BizpayOrderID, d.Amount
	d.ID = w.identify(d)
	return nil
}

// learn fills in what the shop did not know of an order.
func (d *Delivery) learn(a Answer) {
	if d.Source != SourceQuery {
		return
	}
	d.BizpayOrderID = a.BizpayOrderID
	if d.OrderID == "" {
		d.OrderID = a.OrderID
	}
	if d.Amount == 0 && a.Amount != nil {
		d.Amount = *a.Amount
	}
}

// handleKnown is the rest of the path for what no request brought.
func (w *Webhook) handleKnown(ctx context.Context, d *Delivery, fn func(context.Context, *api.Notification) error) (Result, error) {
	rec := &record{start: w.cfg.Now(), delivery: d, handler: known{d.Notification, fn}}
	var refusal *Refusal
	guardedInto(&refusal, func() { refusal = w.work(ctx, rec) })
	if refusal != nil {
		if rec.release != nil {
			refusal.Err = errors.Join(refusal.Err, rec.release)
		}
		return refusal.result, refusal.about(d)
	}
	return rec.result, nil
}

// known is what the shop's function gets of a payment that no request brought.
type known struct {
	notification *api.Notification
	fn           func(context.Context, *api.Notification) error
}

func (known) into() any { return nil } // it is decoded

func (k known) handle(ctx context.Context, _ *http.Request, _ *Delivery) error {
	return k.fn(ctx, k.notification)
}

// Replay handles a delivery again that a [Journal] has kept. body is the envelope
// as it came. It is opened, checked and asked about like a new delivery, so the sign
// key of that day must still be among the Keys, and a payment that was refunded since
// is not handled. The [Delivery] is of [SourceJournal] and is not kept a second time.
// ctx bounds the opening; fn has Config.Timeout.
//
// If run is empty, a payment that is done is not handled: [ResultDuplicate]. Any
// other run names a repair, such as "2026-08 invoices", and FORCES fn to run once
// per run for each payment, done or not: a fn that ships goods ships them again.
//
// Results and errors are those of [Webhook.Settle]. See docs/inbound.md, "Journal
// and replay".
func (w *Webhook) Replay(ctx context.Context, run string, body []byte, fn func(context.Context, *api.Notification) error) (Result, error) {
	if !w.gate.enter() {
		return ResultFailed, shuttingDown()
	}
	defer w.gate.leave()
	rec := &record{body: body}
	if len(body) > maxCallback {
		return ResultRefused, rec.tooLarge(nil)
	}
	var refusal *Refusal
	guardedInto(&refusal, func() { refusal = w.receive(ctx, rec) })
	if refusal != nil {
		refusal = w.about(rec, refusal)
		refusal.body = nil
		return refusal.result, refusal
	}
	d := rec.delivery
	d.Source = SourceJournal
	if run != "" {
		d.ID.Key = dedupe.Identify("replay", run, string(d.ID.Key[:])).Key
	}
	return w.handleKnown(ctx, d, fn)
}

// Format writes the order's ids, whatever the verb.
func (o Order) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "order %q", short(cmp.Or(o.ID, o.Checkout)))
}
