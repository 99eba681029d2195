package middleware

import (
	"context"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Asker asks the gateway what became of an order: a callback is a hint, the
// query is the truth. The client of package ottpay implements it.
// Implementations are safe for concurrent use.
type Asker interface {
	// Ask puts the query that fits d: the one that d.Query names, if any, else
	// for the checkout if the notification names one, else for the order. An
	// error means that nobody knows; the delivery is then answered "send again
	// later". Ask must end when ctx does. A [Webhook] lets one at a time and
	// one per Config.AskWindow through for an order.
	//
	// d may be one that no callback brought ([SourceQuery]): its Notification
	// then holds no more than the ids, and OrderID is "" when the shop knows
	// the checkout alone.
	Ask(ctx context.Context, d *Delivery) (Answer, error)
}

// Answer is what the gateway says when it is asked. It has been opened and
// verified.
type Answer struct {
	OrderID string          // the order that the answer names; "" proves nothing
	Status  api.OrderStatus // as it came; docs/protocol.md, 10
	Amount  *field.Cents    // nil if the answer has none, which confirms none
	Action  string          // the query that was put
	// BizpayOrderID is the payment's id at the channel, "" if the answer has
	// none. It is not compared: a query may spell it otherwise.
	BizpayOrderID string
	// Refund says that the row is that of a refund or a void, whose success
	// is no payment.
	Refund bool
}

// mismatch returns why the query's answer does not confirm d, or "" if it does.
func (a Answer) mismatch(d *Delivery) Reason {
	switch {
	case a.OrderID == "":
		return ReasonAnswerWithoutOrder
	case a.OrderID != d.OrderID:
		return ReasonAnswerOfAnotherOrder
	case a.Refund:
		return ReasonAnswerOfARefund
	case d.Paid() && a.Status.Refunded():
		return ReasonRefunded
	case !a.confirms(d.Kind) && d.Paid():
		return ReasonNotPaidYet
	case !a.confirms(d.Kind):
		return ReasonNotConfirmed
	case a.Amount == nil:
		return ReasonAmountUnconfirmed
	case !d.amountIs(*a.Amount):
		return ReasonAmountMismatch
	}
	return ""
}

// confirms reports whether the answer's status is that of a notification of
// this kind. An order that was authorised may have been captured since.
func (a Answer) confirms(kind string) bool {
	is := kindOf(string(a.Status))
	return a.Status != "" && (is == kind || kind == kindAuthorised && is == kindPaid)
}
