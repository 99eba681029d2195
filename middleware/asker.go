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

// disbelief says why a does not bear out d: a word of the list at [Refusal],
// or "" if it does.
func (a Answer) disbelief(d *Delivery) string {
	switch {
	case a.OrderID == "":
		return "answer-without-order"
	case a.OrderID != d.OrderID:
		return "answer-of-another-order"
	case a.Refund:
		return "answer-of-a-refund"
	case d.Paid() && a.Status.Refunded():
		return "refunded"
	case !a.bearsOut(d.Kind):
		return "not-" + notWhat(d.Kind)
	case a.Amount == nil:
		return "amount-unconfirmed"
	case !d.amountIs(*a.Amount):
		return "amount-mismatch"
	}
	return ""
}

// bearsOut reports whether the answer's status is that of a notification of
// this kind. What was authorised may have been captured since.
func (a Answer) bearsOut(kind string) bool {
	is := kindOf(string(a.Status))
	return a.Status != "" && (is == kind || kind == kindAuthorised && is == kindPaid)
}

func notWhat(kind string) string {
	if kind == kindPaid {
		return "paid-yet"
	}
	return "borne-out"
}
