package ottpay

import (
	"context"
	"errors"
	"fmt"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Outcome is what became of a call that may move money.
type Outcome int

const (
	// StillUnknown means that nobody knows yet. Do not pay again.
	StillUnknown Outcome = iota
	// Happened means that the gateway has done what was asked: it refunded, it
	// charged the scanned code, or it made the order, which a payer may then
	// have paid or still pay. Resolution.Status says which.
	Happened
	// DidNotHappen means that nothing was done and nothing will: the request
	// never left, or the gateway says that the attempt failed, was closed or
	// cancelled. To ask again, take a new order id.
	DidNotHappen
)

// String returns the outcome in words.
func (o Outcome) String() string {
	switch o {
	case Happened:
		return "happened"
	case DidNotHappen:
		return "did not happen"
	default:
		return "still unknown"
	}
}

// Resolution is what [Client.Resolve] found out.
type Resolution struct {
	Outcome Outcome
	Action  api.Action
	OrderID string

	// Query is the action that was asked, "" if none was needed.
	Query api.Action
	// Status is what the gateway last said of the order, "" if nothing.
	Status api.OrderStatus
	// Amount is the amount that it named, nil if none.
	Amount *field.Cents
}

// Paid reports whether the gateway says that the order is paid.
func (r Resolution) Paid() bool { return r.Action != api.ActionREFUND && r.Status.Paid() }

// Resolve finds out what became of a call that failed with err, by asking the
// gateway until it is decided or ctx ends, with Config.Poll between the
// questions. The error is nil if and only if the outcome is decided; otherwise
// it says why not, and matches ctx's error if that is why.
//
// "Did not happen" is only said where it is provable. The vendor documents no
// code for an order that does not exist, so that a request which never arrived
// stays unknown until ctx ends. An answer that does not name the order proves
// nothing.
//
// A REFUND is asked for by its own order id.
func (c *Client) Resolve(ctx context.Context, err error) (Resolution, error) {
	var failed *Error
	if !errors.As(err, &failed) {
		return Resolution{}, errors.New("ottpay: nothing to resolve: not an *Error")
	}
	res := Resolution{Action: failed.Action, OrderID: failed.OrderID}
	info, known := api.LookupAction(string(failed.Action))
	if failed.Action == ActionInAppPay {
		info, known = api.ActionInfo{Name: ActionInAppPay, Kind: api.KindEffect, Effect: api.EffectCreateOrder}, true
	}
	switch {
	case !known || info.Kind != api.KindEffect:
		return res, errors.New("ottpay: nothing to resolve: not a payment or refund")
	case failed.over(info):
		res.Outcome = DidNotHappen
		return res, nil
	case failed.OrderID == "":
		return res, errors.New("ottpay: cannot resolve: the error has no order id")
	}
	if failed.MerchantID != "" && failed.MerchantID != c.merchant {
		c = c.ForMerchant(failed.MerchantID, c.operator)
	}
	res.Query = c.queryFor(info)
	return res, c.poll(ctx, func(ctx context.Context) (bool, error) {
		row, err := c.ask(ctx, res.Query, res.OrderID)
		if err != nil || row.Mismatch(c.wantedBy(failed, info, res.Query)) != "" {
			return false, err
		}
		res.Status, res.Amount = row.Status, row.Amount
		if info.Effect != api.EffectRefund {
			res.Status = row.State()
		}
		res.Outcome = outcomeOf(info.Effect, res.Status)
		return res.Outcome != StillUnknown, nil
	})
}

// over reports whether the error itself proves that nothing happened. The
// gateway's refusal does if it came with data that names the order; a refund's
// and a scanned code's failure is to be queried first (docs/protocol.md, 9).
func (e *Error) over(info api.ActionInfo) bool {
	if e.SentBefore {
		return false
	}
	if e.NotSent {
		return !e.ask
	}
	if !e.Verified || !e.named {
		return false
	}
	queryFirst := info.Effect == api.EffectRefund || info.Effect == api.EffectPayNow
	return e.Class == api.ClassCaller || e.Class == api.ClassFailed && !queryFirst
}

// wantedBy returns the payment or the refund that failed is the error of.
func (c *Client) wantedBy(failed *Error, info api.ActionInfo, query api.Action) middleware.Wanted {
	switch {
	case info.Effect != api.EffectRefund:
		return c.wanted(query, failed.OrderID)
	case failed.refund != nil:
		return c.wantedRefund(*failed.refund, true)
	default:
		return c.wantedRefund(RefundIntent{RefundID: failed.OrderID}, true)
	}
}

// outcomeOf says what a row of this status means for an effect.
func outcomeOf(effect api.Effect, status api.OrderStatus) Outcome {
	switch {
	case status.Paid(), status.Refunded(), status.Is(api.StatusFullyReversal):
		return Happened
	case status.Closed():
		return DidNotHappen
	case effect == api.EffectRefund, effect == api.EffectPayNow:
		return StillUnknown
	case status.Held(), status.Is(api.StatusInit), status.Is(api.StatusNotpay), status.Is(api.StatusProcessing):
		return Happened // the order stands
	default:
		return StillUnknown
	}
}

// poll calls ask until it is done, or ctx ends, or a question cannot be put at
// all.
func (c *Client) poll(ctx context.Context, ask func(context.Context) (done bool, _ error)) error {
	for n := 1; ; n++ {
		done, err := ask(ctx)
		if done {
			return nil
		}
		if hopeless(err) {
			return err
		}
		if ended := c.cfg.Sleep(ctx, c.delay(c.cfg.Poll, n)); ended != nil {
			if err != nil {
				return fmt.Errorf("ottpay: undecided: %w; the last query: %w", ended, err)
			}
			return fmt.Errorf("ottpay: undecided: %w", ended)
		}
	}
}

// hopeless reports whether the next question fails like this one: it did not
// get out of the house, and not for want of a network or of time.
func hopeless(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.NotSent && (failed.Class == api.ClassCaller || failed.Reason == middleware.ReasonKeys)
}
