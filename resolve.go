package ottpay

import (
	"context"
	"errors"
	"fmt"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/wire"
)

// Verdict says whether a call that may move money took effect.
type Verdict int

const (
	// VerdictUnknown means that it is not decided yet. Do not pay again.
	VerdictUnknown Verdict = iota
	// VerdictHappened means that the gateway has done what was asked: it
	// refunded, it charged the scanned code, or it made the order, which a payer
	// may then have paid or still pay. Resolution.Status says which.
	VerdictHappened
	// VerdictDidNotHappen means that nothing was done and nothing will be: the
	// request never left, or the gateway says that the attempt failed, was closed
	// or cancelled. To ask again, use a new order id.
	VerdictDidNotHappen
)

// String returns the verdict in words.
func (v Verdict) String() string {
	switch v {
	case VerdictHappened:
		return "happened"
	case VerdictDidNotHappen:
		return "did not happen"
	default:
		return "still unknown"
	}
}

// Resolution is the result of [Client.Resolve].
type Resolution struct {
	Verdict Verdict    // whether the effect happened
	Action  api.Action // the effect that was asked about
	OrderID string     // its order; for a refund, the refund's own id

	// Query is the action that was asked with, "" if none was needed.
	Query api.Action
	// Status is the status of the order: that of a refund as the gateway wrote
	// it, that of a payment as [middleware.Answer.State] has it. It is "" if the
	// gateway has said nothing that can be believed.
	Status api.OrderStatus
	// Amount is the amount that the gateway named, in cents, nil if none. It may
	// include a fee.
	Amount *field.Cents
}

// Paid reports whether the gateway says that the order is paid, and that nothing
// of it was returned. Compare Amount.
func (r Resolution) Paid() bool { return r.Action != api.ActionREFUND && r.Status.Paid() }

// Resolve asks the gateway what became of a call that failed with err, until it is
// decided or ctx ends, with Config.Poll between the questions. err must hold an
// *Error of a payment or a refund. The returned error is nil if and only if the
// verdict is not [VerdictUnknown]; it matches ctx's error if that is why.
//
// VerdictDidNotHappen is only returned where it is provable. A request that never
// arrived stays unknown until ctx ends: see docs/outbound.md, "Resolve".
func (c *Client) Resolve(ctx context.Context, err error) (Resolution, error) {
	var failed *Error
	if !errors.As(err, &failed) {
		return Resolution{}, errors.New("ottpay: nothing to resolve: not an *Error")
	}
	if failed.MerchantID != "" && failed.MerchantID != c.merchant {
		c = c.ForMerchant(failed.MerchantID, c.operator)
	}
	o := failed.order
	o.id = failed.OrderID
	return c.resolve(ctx, failed.Action, o, failed.proves)
}

// ResolveOrder is [Client.Resolve] for a payment of which the shop knows no more
// than that it may have been sent, for example because the process was killed:
// the action, such as api.ActionMAPPPAY, and the order's id.
func (c *Client) ResolveOrder(ctx context.Context, action api.Action, orderID string) (Resolution, error) {
	return c.resolve(ctx, action, order{id: orderID}, nil)
}

// ResolveRefund is [Client.Resolve] for a refund that may have been sent. Only
// RefundID is required; a row of the gateway counts if it fits what r names.
func (c *Client) ResolveRefund(ctx context.Context, r RefundIntent) (Resolution, error) {
	return c.resolve(ctx, api.ActionREFUND, order{id: r.RefundID, original: r.OrderID, amount: r.Amount}, nil)
}

// order is what is known of the order of an effect.
type order struct {
	id       string
	amount   field.Cents // 0 if it is not known
	original string      // the payment that a refund returns, "" if it is not known
	card     HostedCard
	info     api.ActionInfo // of the action, if it is not the document's
	foreign  bool           // the gateway showed a row under the id that is not known to be this refund's
}

// ownAction returns info if the action is not the document's.
func ownAction(info api.ActionInfo) api.ActionInfo {
	if _, known := api.LookupAction(string(info.Name)); known {
		return api.ActionInfo{}
	}
	return info
}

// orderOf returns what the data of a request says of its order.
func orderOf(info api.ActionInfo, data []byte) order {
	var (
		o order
		m wire.Members
	)
	o.info = ownAction(info)
	schema, ok := info.LookupRequest()
	if !ok || wire.Parse(data, &m) != nil {
		return o
	}
	if amount, ok := schema.WithRole(api.RoleAmount); ok {
		o.amount, _ = field.ParseCents(memberText(&m, amount.Name))
	}
	if original, ok := schema.WithRole(api.RoleOriginalOrderID); ok {
		o.original = memberText(&m, original.Name)
	}
	o.card = HostedCard{
		ChannelType: memberText(&m, "channelType"), TxnTime: memberText(&m, "txnTime"),
		BizType: or(memberText(&m, "bizType"), memberText(&m, "biz_type")),
	}
	return o
}

func (c *Client) resolve(ctx context.Context, action api.Action, o order, proves func(api.ActionInfo) bool) (Resolution, error) {
	res := Resolution{Action: action, OrderID: o.id}
	info, known := api.LookupAction(string(action))
	switch {
	case action == ActionInAppPay:
		info, known = inAppPayInfo, true
	case !known && o.info.Name == action:
		info, known = o.info, true
	}
	switch {
	case !known || info.Kind != api.KindEffect:
		return res, errors.New("ottpay: nothing to resolve: not a payment or refund")
	case proves != nil && proves(info):
		res.Verdict = VerdictDidNotHappen
		return res, nil
	case o.id == "":
		return res, errors.New("ottpay: cannot resolve: there is no order id")
	}
	q := c.queryFor(info, o)
	res.Query = q.action
	err := c.poll(ctx, func(ctx context.Context) (bool, error) {
		row, err := c.ask(ctx, q)
		if err != nil {
			return false, err
		}
		if reason := row.Mismatch(c.wantedOf(info, q, o, row.Amount)); reason != "" {
			return false, &unconfirmed{reason}
		}
		res.Status, res.Amount = row.Status, row.Amount
		if info.Effect != api.EffectRefund {
			res.Status = row.State()
		}
		res.Verdict = verdictOf(info.Effect, res.Status)
		return res.Verdict != VerdictUnknown, nil
	})
	return res, err
}

// unconfirmed is the error of a row that proves nothing.
type unconfirmed struct{ reason middleware.Reason }

// Error names the reason.
func (u *unconfirmed) Error() string { return "unconfirmed: " + string(u.reason) }

// Loggable marks the error for [middleware.Detail].
func (*unconfirmed) Loggable() {}

// proves reports whether the error itself proves that nothing happened. The
// gateway's refusal does if it came with data that names the order; a refund's
// and a scanned code's failure is to be queried first (docs/protocol.md, 9).
func (e *Error) proves(info api.ActionInfo) bool {
	switch {
	case e.SentBefore:
		return false
	case e.NotSent:
		return !e.ask
	case !e.Verified || !e.named:
		return false
	}
	queryFirst := info.Effect == api.EffectRefund || info.Effect == api.EffectPayNow
	return e.Class == api.ClassCaller || e.Class == api.ClassFailed && !queryFirst
}

// wantedOf returns the payment or the refund as a row has to show it that names
// this amount. A payment may have become dearer by a fee or a tip, but not
// cheaper. Not every row of a payment names an amount.
func (c *Client) wantedOf(info api.ActionInfo, q query, o order, named *field.Cents) middleware.Wanted {
	if info.Effect == api.EffectRefund {
		return c.wantedRefund(RefundIntent{RefundID: o.id, OrderID: o.original, Amount: o.amount}, !o.foreign)
	}
	w := c.wanted(q)
	if named != nil {
		w.Amount = func(amount field.Cents) bool { return amount >= o.amount }
	}
	return w
}

// verdictOf returns what a row of this status means for an effect.
func verdictOf(effect api.Effect, status api.OrderStatus) Verdict {
	switch {
	case status.Paid(), status.Refunded(), status.Is(api.StatusFullyReversal):
		return VerdictHappened
	case status.Closed():
		return VerdictDidNotHappen
	case effect == api.EffectRefund, effect == api.EffectPayNow:
		return VerdictUnknown
	case status.Held(), status.Is(api.StatusInit), status.Is(api.StatusNotpay), status.Is(api.StatusProcessing):
		return VerdictHappened // the order stands
	default:
		return VerdictUnknown
	}
}

// poll calls ask until it is done, or ctx ends, or a question cannot be put at
// all.
func (c *Client) poll(ctx context.Context, ask func(context.Context) (done bool, _ error)) error {
	for n := 1; ; n++ {
		done, err := ask(ctx)
		switch {
		case done:
			return nil
		case hopeless(err):
			return err
		}
		ended := c.cfg.Sleep(ctx, c.delay(c.cfg.Poll, n))
		switch {
		case ended != nil && err != nil:
			return fmt.Errorf("ottpay: undecided: %w; the last query: %w", ended, err)
		case ended != nil:
			return fmt.Errorf("ottpay: undecided: %w", ended)
		}
	}
}

// hopeless reports whether the next query fails like this one: it failed before
// it was sent, and not for want of a network or of time.
func hopeless(err error) bool {
	var failed *Error
	if !errors.As(err, &failed) || !failed.NotSent {
		return false
	}
	return failed.Class == api.ClassCaller || failed.Reason == middleware.ReasonKeys || failed.Reason == middleware.ReasonRequest
}
