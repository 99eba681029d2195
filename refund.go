package ottpay

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/wire"
)

// What RefundOnce refuses a refund for. The *Error matches ErrNotSent, too: this
// call sent nothing. Resolve it before another id is taken, because an earlier
// call that was forgotten may have sent the refund.
var (
	// ErrRefundTooLarge says that the sum exceeds what was paid and not yet
	// returned.
	ErrRefundTooLarge error = constant("refund exceeds what was paid and not yet returned")
	// ErrNotPaid says that the gateway does not call the order paid, or that all
	// of it was returned.
	ErrNotPaid = middleware.ErrNotPaid
	// ErrUnconfirmed says that the gateway's answer leaves out what it would
	// have to name, such as the order or its amount.
	ErrUnconfirmed error = constant("unconfirmed by the gateway")
	// ErrRefundIDUsed says that the refund's id stands for something else: for a
	// payment, for the refund of another payment, or for another amount.
	ErrRefundIDUsed error = constant("the refund id stands for something else")
)

// claimed is how long a refund that was under way when its process died is not
// sent again: practically for ever.
const claimed = 10 * 365 * 24 * time.Hour

// RefundIntent is a refund that is sent at most once.
type RefundIntent struct {
	// RefundID is the refund's own id. The shop chooses and stores it before the
	// first attempt: one for each intention to refund, the same at each click.
	// See [Client.NewOrderID]. Required.
	RefundID string
	// OrderID is the payment. Required.
	OrderID string
	// Amount is the amount to return, in cents: all of the payment or a part. Required.
	Amount field.Cents
	// Query is the action that asks for the payment: STATUS_QUERY or
	// CC_QUERYPAY. Defaults to STATUS_QUERY.
	Query api.Action
}

// RefundResult is the state of a refund.
type RefundResult struct {
	Status api.OrderStatus // of the refund, "" if the gateway named none
	Before bool            // it had been sent before, and was not sent now
	// Response is the answer to the refund; nil if it was sent before.
	Response *api.RefundResponse
}

// Pending reports whether the refund is still under way: call RefundOnce again
// later.
func (r RefundResult) Pending() bool {
	if r.Response != nil && r.Response.Pending() {
		return true
	}
	if r.Status == "" { // the answer to a refund need not name one, a row that names none is not done
		return r.Before
	}
	return !returned(r.Status)
}

// returned reports whether the status of a refund's row says that it is done.
func returned(s api.OrderStatus) bool { return s.Paid() || s.Refunded() }

// RefundOnce refunds a payment, and does not refund it again however often it is
// called with the same RefundID. It claims the id in Config.RefundStore, asks the
// gateway for the refund and for the payment, and sends the refund once. If the
// gateway knows this refund already, that is the result.
//
// The *Error matches [ErrRefundIDUsed] if the id stands for something else,
// [ErrRefundTooLarge] or [ErrNotPaid] if the payment does not admit the refund,
// ErrPending and ErrUnknownOutcome if another call is sending it, and ErrDuplicate
// and ErrUnknownOutcome if it was sent before and the gateway does not know it.
//
// A RefundID is good for one refund that left. If the refund failed, take another
// id after [Client.Resolve] has said that it did not happen. See
// docs/guides/refund.md.
func (c *Client) RefundOnce(ctx context.Context, r RefundIntent) (_ RefundResult, err error) {
	f := &refunding{Client: c, ctx: ctx, intent: r}
	defer func() { err = f.finish(recover(), err) }()
	return f.run()
}

// refunding is one call of RefundOnce.
type refunding struct {
	*Client
	ctx    context.Context
	intent RefundIntent
	claim  dedupe.Claim // nil if the id is not claimed
	sent   bool         // the store remembers the refund
	never  bool         // it is certain that this refund was not sent
}

func (f *refunding) run() (RefundResult, error) {
	r := f.intent
	if r.RefundID == "" || r.OrderID == "" || r.RefundID == r.OrderID || r.Amount <= 0 {
		return RefundResult{}, refused(middleware.ReasonRequest, constant("a refund needs an id of its own, an order and an amount"))
	}
	claimErr := f.take()
	if f.never {
		return RefundResult{}, refused(middleware.ReasonRefundID, ErrRefundIDUsed)
	}
	if transactional(f.ctx, f.claim) {
		// It would be undone when the process dies between sending and confirming.
		return RefundResult{}, f.release(refused(middleware.ReasonRefund, constant("Config.RefundStore is transactional: use dedupe.Lease")))
	}
	before, known, err := f.row()
	switch {
	case claimErr != nil && known:
		return before, err
	case claimErr != nil:
		return RefundResult{}, f.unclaimed(claimErr, err)
	case err != nil:
		return RefundResult{}, f.release(err)
	case known: // the store has forgotten it
		f.confirm()
		return before, nil
	}
	if err := f.refundable(); err != nil {
		return RefundResult{}, f.release(refused(middleware.ReasonRefund, aside{err}))
	}
	return f.send()
}

// take claims the refund's id.
func (f *refunding) take() error {
	r := f.intent
	id := dedupe.Identify(f.merchant, r.RefundID, "refund", r.OrderID, r.Amount.String())
	var err error
	if f.claim, err = f.cfg.RefundStore.Claim(f.ctx, id, claimed); err != nil {
		f.claim = nil
		f.never = errors.Is(err, dedupe.ErrConflict) // what was sent under the id was another refund
		f.sent = !f.never && (errors.Is(err, dedupe.ErrDone) || errors.Is(err, dedupe.ErrInFlight))
	}
	return err
}

// send sends the refund.
func (f *refunding) send() (RefundResult, error) {
	r, id := f.intent, payment{f.merchant, f.intent.RefundID}
	if f.transport.MayHaveLeft(context.Background(), id.merchant, id.order) && !f.refusals.take(id) {
		f.sent = true // and the store has forgotten it
		f.confirm()
		return RefundResult{}, &Error{Class: api.ClassDuplicate, Reason: middleware.ReasonSentBefore}
	}
	resp, err := f.Refund(f.ctx, &api.RefundRequest{OrderID: r.RefundID, OriOrderID: r.OrderID, RefundAmt: r.Amount})
	refusal := errors.Is(err, ErrCaller) && !errors.Is(err, ErrUnknownOutcome)
	if refusal {
		f.refusals.note(id)
	}
	if refusal || errors.Is(err, ErrNotSent) {
		return RefundResult{}, f.release(err)
	}
	f.confirm()
	switch {
	case err != nil:
		return RefundResult{}, err
	case resp.OrderStatus.Closed():
		return RefundResult{}, f.failed()
	}
	return RefundResult{Status: resp.OrderStatus, Response: resp}, nil
}

// confirm keeps the claim. If the store fails, the id stays claimed, which has
// the same effect.
func (f *refunding) confirm() { _ = f.claim.Confirm(context.WithoutCancel(f.ctx)) }

// release gives the refund's id back, as nothing was done under it, and returns
// err with what the store says.
func (f *refunding) release(err error) error {
	if failed := f.claim.Release(context.WithoutCancel(f.ctx)); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// failed returns the error of a refund that the gateway calls failed.
func (f *refunding) failed() *Error {
	return &Error{Class: api.ClassFailed, Verified: true, Reason: middleware.ReasonRefund}
}

// unclaimed returns the error of an id that is taken or could not be claimed.
// asked is what the query for it failed of, or nil.
func (f *refunding) unclaimed(err, asked error) *Error {
	if errors.Is(asked, ErrRefundIDUsed) {
		err = errors.Join(ErrRefundIDUsed, err)
	}
	switch {
	case errors.Is(err, dedupe.ErrDone):
		return &Error{Class: api.ClassDuplicate, Reason: middleware.ReasonSentBefore, Err: err}
	case errors.Is(err, dedupe.ErrInFlight):
		return &Error{Class: api.ClassPending, Reason: middleware.ReasonInFlight, Err: err}
	}
	return &Error{NotSent: true, Reason: middleware.ReasonStore, Err: err}
}

// row asks the gateway for the refund itself. It may know it and say that it
// failed: the error is then that of the refund.
func (f *refunding) row() (_ RefundResult, known bool, _ error) {
	row, err := f.ask(quietly(f.ctx), query{action: api.ActionSTATUS_QUERY, id: f.intent.RefundID})
	switch {
	case err != nil && noSuchOrder(err):
		return RefundResult{}, false, nil
	case err != nil:
		return RefundResult{}, false, &Error{NotSent: true, Reason: middleware.ReasonQuery, Err: aside{err}}
	}
	switch reason := row.Mismatch(f.wantedRefund(f.intent, f.sent)); reason {
	case "":
	case middleware.ReasonOrderUnknown:
		return RefundResult{}, false, nil
	case middleware.ReasonAnswerOfAPayment, middleware.ReasonAnswerOfAnotherRefund, middleware.ReasonAmountMismatch:
		return RefundResult{}, false, f.foreign(reason, ErrRefundIDUsed)
	default:
		return RefundResult{}, false, f.foreign(reason, ErrUnconfirmed)
	}
	if row.Status.Closed() {
		return RefundResult{}, true, f.failed()
	}
	return RefundResult{Status: row.Status, Before: true}, true, nil
}

// foreign returns the error of a row under the refund's id that does not show
// this refund. Resolve must not take the same row for it afterwards.
func (f *refunding) foreign(reason middleware.Reason, err error) *Error {
	e := refused(reason, err)
	e.order.foreign = !f.sent
	return e
}

// noSuchOrder reports whether the gateway has answered, and may have said that
// it does not know the order. The vendor documents no code for that, so that it
// is every code but those that say that the gateway is in trouble.
func noSuchOrder(err error) bool {
	var failed *Error
	if !errors.As(err, &failed) || failed.Code == "" || failed.Err != nil {
		return false
	}
	switch failed.Class {
	case api.ClassFailed, api.ClassCaller:
		return true
	case api.ClassUnclear:
		return failed.Code.Message() == ""
	}
	return false
}

// refundable asks the gateway what was paid.
func (f *refunding) refundable() error {
	q := query{action: or(f.intent.Query, api.ActionSTATUS_QUERY), id: f.intent.OrderID}
	paid, err := f.ask(f.ctx, q)
	if err != nil {
		return err
	}
	if paid.Mismatch(f.wanted(q)) != "" {
		return ErrUnconfirmed
	}
	state := paid.State()
	switch {
	case !state.Paid() && !state.Refunded(), state.Is(api.StatusFullyRefunded):
		return ErrNotPaid
	case paid.Amount == nil:
		return ErrUnconfirmed
	}
	rest := *paid.Amount
	if paid.Returned != nil {
		rest -= *paid.Returned
	}
	if f.intent.Amount > rest {
		return ErrRefundTooLarge
	}
	return nil
}

// refundContradicts returns the error of an answer to a REFUND that is about
// another payment or another amount, or that answered another refund before. Such
// an answer opens under the merchant's key, and proves nothing of this refund.
func (a *attempt) refundContradicts(m *wire.Members) *Error {
	o, id := orderOf(a.info, a.call.Data), memberText(m, "order_id")
	if original := memberText(m, "ori_order_id"); original != "" && original != o.original {
		return unclear(middleware.ReasonOtherOrder, constant("the answer names another payment"))
	}
	if id == o.original && memberText(m, "total_amount") != "" {
		return unclear(middleware.ReasonReflected, constant("the answer is the payment's row"))
	}
	for _, name := range returnedNames {
		returned, err := field.ParseCents(memberText(m, name))
		if err == nil && returned != o.amount && (returned > 0 || id == o.original) {
			return unclear(middleware.ReasonAmountMismatch, constant("the answer names another amount"))
		}
	}
	for _, name := range []string{"order_id", "refund_id"} {
		if id := memberText(m, name); ownRefundID(id) && !a.answers.first(payment{a.merchant, id}, a.call.OrderID) {
			return unclear(middleware.ReasonReflected, constant("the answer is that of an earlier refund"))
		}
	}
	return nil
}

// ownRefundID reports whether id is one that OTT Pay gives a refund: REF and
// digits. No two refunds have the same.
func ownRefundID(id string) bool {
	digits, own := strings.CutPrefix(id, "REF")
	return own && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// answers remembers which refund an id of OTT Pay's was the answer to, the newest
// 4096 of them. Its zero value is ready.
type answers struct {
	mu   sync.Mutex
	to   map[payment]string
	ring []payment
	next int
}

// payment is an order of a merchant's.
type payment struct{ merchant, order string }

// refusals remembers refunds that the gateway refused as wrong requests: these
// may be sent again, after the cause is gone. Its zero value is ready.
type refusals struct {
	mu sync.Mutex
	of map[payment]struct{}
}

// note keeps a refused refund. It forgets all of them rather than grow without
// end: a refund that is forgotten is not sent again.
func (r *refusals) note(id payment) {
	const most = 4096
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || len(r.of) >= most {
		r.of = make(map[payment]struct{})
	}
	r.of[id] = struct{}{}
}

// take reports whether the refund was refused, and forgets it: it is about to be
// sent again.
func (r *refusals) take(id payment) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, refused := r.of[id]
	delete(r.of, id)
	return refused
}

// first reports whether the id has not answered another refund than this one.
func (a *answers) first(id payment, refundID string) bool {
	const most = 4096
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.to[id]; ok {
		return known == refundID
	}
	if a.to == nil {
		a.to = make(map[payment]string)
	}
	if len(a.ring) < most {
		a.ring = append(a.ring, id)
	} else {
		delete(a.to, a.ring[a.next])
		a.ring[a.next] = id
		a.next = (a.next + 1) % most
	}
	a.to[id] = refundID
	return true
}

// finish completes the error. Unless it is certain that this refund was not
// sent, Resolve has to ask: the store may have forgotten an earlier attempt.
func (f *refunding) finish(panicked any, err error) error {
	if panicked != nil {
		err = refused(middleware.ReasonPanic, &middleware.PanicError{Value: panicked, Stack: debug.Stack()})
	}
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	e.ask = !f.never
	if e.OrderID == "" {
		e.Action, e.MerchantID, e.OrderID = api.ActionREFUND, f.merchant, f.intent.RefundID
		e.order = order{original: f.intent.OrderID, amount: f.intent.Amount, foreign: e.order.foreign}
	}
	if f.sent || !f.never && f.transport.MayHaveLeft(f.ctx, f.merchant, f.intent.RefundID) {
		e.SentBefore, e.NotSent = true, false
	}
	return err
}

// wantedRefund returns the refund as a row of the gateway has to show it. Only
// what r names is compared.
func (c *Client) wantedRefund(r RefundIntent, sent bool) middleware.Wanted {
	w := middleware.Wanted{Refund: true, Sent: sent, OrderID: r.RefundID, Merchant: c.merchant, Original: r.OrderID}
	if r.Amount > 0 {
		w.Amount = func(amount field.Cents) bool { return amount == r.Amount }
	}
	return w
}

// transactional reports whether the claim holds a transaction, in which the
// store keeps it.
func transactional(ctx context.Context, claim dedupe.Claim) bool {
	c, ok := claim.(dedupe.Contexter)
	if !ok {
		return false
	}
	_, ok = dedupe.TxFromContext(c.Context(ctx))
	return ok
}

// aside is the error of a query that was put before a refund. What it says of
// the query, that it was not sent or that its outcome is unknown, is not said of
// the refund.
type aside struct{ error }

// Is leaves out the verdicts.
func (a aside) Is(target error) bool {
	switch target {
	case ErrPending, ErrDuplicate, ErrCaller, ErrFailed, ErrUnknownOutcome, ErrNotSent:
		return false
	}
	return errors.Is(a.error, target)
}

// As is errors.As of the query's error.
func (a aside) As(target any) bool { return errors.As(a.error, target) }

// Loggable marks the error for [middleware.Detail]: it is an *Error or one of
// this package's constants.
func (aside) Loggable() {}
