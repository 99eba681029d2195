package ottpay

import (
	"context"
	"errors"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// What a refund is refused for before it is sent. The *Error matches
// ErrNotSent, too.
var (
	// ErrRefundTooLarge says that the sum exceeds what was paid and not yet
	// returned.
	ErrRefundTooLarge = errors.New("refund exceeds what was paid")
	// ErrNotPaid says that the gateway does not call the order paid.
	ErrNotPaid = middleware.ErrNotPaid
	// ErrUnconfirmed says that the gateway's answer leaves out what it would
	// have to name: the order, or its amount.
	ErrUnconfirmed = errors.New("unconfirmed by the gateway")
	// ErrRefundIDUsed says that the refund's id stood for another order or
	// another amount before.
	ErrRefundIDUsed = errors.New("refund id was used for another refund")
)

// claimed is as good as for ever: a refund whose process died while it was
// under way must not be sent again because time has passed.
const claimed = 10 * 365 * 24 * time.Hour

// RefundOrder is a refund that is sent at most once.
type RefundOrder struct {
	// RefundID is the refund's own id, chosen and stored by the shop before the
	// first attempt: one for each intention to refund, the same at each click.
	// See [Client.NewOrderID]. Required.
	RefundID string
	// OrderID is the payment. Required.
	OrderID string
	// Amount is what to return, whole or in part. Required.
	Amount field.Cents
	// Query is the action that asks for the payment: STATUS_QUERY or
	// CC_QUERYPAY. Defaults to STATUS_QUERY.
	Query api.Action
}

// Refunded is what became of a refund.
type Refunded struct {
	Status api.OrderStatus // of the refund, "" if the gateway named none
	Before bool            // it had been sent before, and was not sent now
	// Response is the answer to the refund; nil if it was sent before.
	Response *api.RefundResponse
}

// Pending reports whether the refund is still under way: ask again.
func (r Refunded) Pending() bool {
	if r.Response != nil && r.Response.Pending() {
		return true
	}
	if r.Status == "" { // the answer to a refund need not name one, a row that names none is not done
		return r.Before
	}
	return !returned(r.Status)
}

func returned(s api.OrderStatus) bool { return s.Paid() || s.Refunded() }

// RefundOnce refunds a payment, and does not refund it again however often it
// is called with the same RefundID:
//
//  1. The refund is claimed in Config.RefundStore, which tells whether it was
//     sent before, is being sent, or was when a process died. Of another sum
//     or order, an *Error matches ErrRefundIDUsed.
//  2. The gateway is asked for the refund. If it knows it, that is the result.
//     If not, and it was sent before, an *Error matches ErrDuplicate; if it is
//     being sent, ErrPending and ErrUnknownOutcome.
//  3. The gateway is asked for the payment. The sum must not exceed what was
//     paid and not yet returned, as far as the answer tells.
//  4. The refund is sent, once.
//
// A RefundID is good for one refund that left. When that failed, take another
// after [Client.Resolve] has said that it did not happen: that this call sent
// nothing does not mean that an earlier one with the id did not. Two refunds of one
// payment that run at the same time under different ids are each compared with
// what was paid; the gateway has to refuse the second.
func (c *Client) RefundOnce(ctx context.Context, r RefundOrder) (Refunded, error) {
	failed := &Error{Action: api.ActionREFUND, MerchantID: c.merchant, OrderID: r.RefundID, refund: &r}
	if r.RefundID == "" || r.OrderID == "" || r.RefundID == r.OrderID || r.Amount <= 0 {
		return Refunded{}, failed.refused(middleware.ReasonRequest, errors.New("a refund needs an id of its own, an order and an amount"))
	}
	claim, claimErr := c.cfg.RefundStore.Claim(ctx, dedupe.Identify(c.merchant, r.RefundID, "refund", r.OrderID, r.Amount.String()), claimed)
	if errors.Is(claimErr, dedupe.ErrConflict) {
		return Refunded{}, failed.refused(middleware.ReasonRefundID, ErrRefundIDUsed)
	}
	if transactional(ctx, claim) {
		// It would be undone when the process dies between sending and confirming.
		return Refunded{}, errors.Join(failed.refused(middleware.ReasonRefund, errors.New("Config.RefundStore is transactional: use dedupe.Lease")), release(ctx, claim))
	}
	before, known, err := c.refundRow(ctx, r, errors.Is(claimErr, dedupe.ErrDone) || errors.Is(claimErr, dedupe.ErrInFlight))
	switch {
	case claimErr != nil && known:
		return before, err
	case claimErr != nil && errors.Is(err, ErrRefundIDUsed):
		return Refunded{}, failed.unclaimed(errors.Join(claimErr, ErrRefundIDUsed))
	case claimErr != nil:
		return Refunded{}, failed.unclaimed(claimErr)
	case err != nil:
		return Refunded{}, errors.Join(err, release(ctx, claim))
	case known: // somebody sent it whom the store does not remember
		_ = claim.Confirm(context.WithoutCancel(ctx))
		return before, nil
	}
	if err := c.refundable(ctx, r); err != nil {
		return Refunded{}, errors.Join(failed.refused(middleware.ReasonRefund, aside{err}), release(ctx, claim))
	}
	resp, err := c.Refund(ctx, &api.RefundRequest{OrderID: r.RefundID, OriOrderID: r.OrderID, RefundAmt: r.Amount})
	if errors.Is(err, ErrNotSent) || errors.Is(err, ErrCaller) {
		return Refunded{}, errors.Join(err, release(ctx, claim))
	}
	// What cannot be kept now stays claimed, which has the same effect.
	_ = claim.Confirm(context.WithoutCancel(ctx))
	if err != nil {
		return Refunded{}, err
	}
	return Refunded{Status: resp.OrderStatus, Response: resp}, nil
}

// transactional reports whether the claim is part of a transaction. A claim that
// provides anything else to a handler may be confirmed on its own.
func transactional(ctx context.Context, claim dedupe.Claim) bool {
	c, ok := claim.(dedupe.Contexter)
	if !ok {
		return false
	}
	_, ok = dedupe.TxFromContext(c.Context(ctx))
	return ok
}

// release gives the refund's id back, as nothing was done under it.
func release(ctx context.Context, claim dedupe.Claim) error {
	return claim.Release(context.WithoutCancel(ctx))
}

// wantedRefund returns the refund as a row of the gateway has to show it. Only
// what r names is compared.
func (c *Client) wantedRefund(r RefundOrder, sent bool) middleware.Wanted {
	w := middleware.Wanted{Refund: true, Sent: sent, OrderID: r.RefundID, Merchant: c.merchant, Original: r.OrderID}
	if r.Amount > 0 {
		w.Amount = func(amount field.Cents) bool { return amount == r.Amount }
	}
	return w
}

// refundRow asks the gateway for the refund itself. It may know it and say that
// it failed. sent says that the store remembers the refund.
func (c *Client) refundRow(ctx context.Context, r RefundOrder, sent bool) (_ Refunded, known bool, _ error) {
	failed := &Error{Action: api.ActionREFUND, MerchantID: c.merchant, OrderID: r.RefundID, refund: &r}
	row, err := c.ask(ctx, api.ActionSTATUS_QUERY, r.RefundID)
	switch {
	case err != nil && noSuchOrder(err):
		return Refunded{}, false, nil
	case err != nil:
		failed.NotSent, failed.Reason, failed.Err, failed.unasked = true, middleware.ReasonQuery, aside{err}, true
		return Refunded{}, false, failed
	}
	switch row.Mismatch(c.wantedRefund(r, sent)) {
	case "":
	case middleware.ReasonOrderUnknown:
		return Refunded{}, false, nil
	case middleware.ReasonAnswerOfAPayment, middleware.ReasonAnswerOfAnotherRefund, middleware.ReasonAmountMismatch:
		failed.unasked = true
		return Refunded{}, false, failed.refused(middleware.ReasonRefundID, ErrRefundIDUsed)
	default:
		failed.unasked = true
		return Refunded{}, false, failed.refused(middleware.ReasonRefund, ErrUnconfirmed)
	}
	if row.Status.Closed() {
		failed.Class, failed.Verified, failed.Reason = api.ClassFailed, true, middleware.ReasonRefund
		return Refunded{}, true, failed
	}
	return Refunded{Status: row.Status, Before: true}, true, nil
}

// noSuchOrder reports whether the gateway has answered, and may have said that
// it does not know the order. The vendor documents no code for that, so every
// code is taken for it but those that say that the gateway is in trouble.
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
func (c *Client) refundable(ctx context.Context, r RefundOrder) error {
	query := or(r.Query, api.ActionSTATUS_QUERY)
	paid, err := c.ask(ctx, query, r.OrderID)
	if err != nil {
		return err
	}
	if paid.Mismatch(c.wanted(query, r.OrderID)) != "" {
		return ErrUnconfirmed
	}
	state := paid.State()
	switch {
	case !state.Paid() && !state.Refunded(), state.Is(api.StatusFullyRefunded):
		return ErrNotPaid
	case paid.Amount == nil:
		return ErrUnconfirmed
	}
	left := *paid.Amount
	if paid.Returned != nil {
		left -= *paid.Returned
	}
	if r.Amount > left {
		return ErrRefundTooLarge
	}
	return nil
}

// aside is the error of a query that was put before a refund. What it says of
// the query, that it was not sent or that nobody knows, is not said of the
// refund.
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

// unclaimed says that the refund's id is taken, or that nobody knows.
func (e *Error) unclaimed(err error) error {
	switch {
	case errors.Is(err, dedupe.ErrDone):
		e.Class, e.Reason, e.Err = api.ClassDuplicate, middleware.ReasonSentBefore, err
	case errors.Is(err, dedupe.ErrInFlight):
		e.Class, e.Reason, e.Err = api.ClassPending, middleware.ReasonInFlight, err
	default:
		e.NotSent, e.Reason, e.Err, e.unasked = true, middleware.ReasonStore, err, true
	}
	return e
}
