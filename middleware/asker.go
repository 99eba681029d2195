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
	// error means that the outcome is unknown; the delivery is then answered "send
	// again later". Ask must end when ctx does. A [Webhook] lets one at a time and
	// one per Config.AskWindow through for an order.
	//
	// d may be one that no callback brought ([SourceQuery]): its Notification
	// then holds no more than the ids, and OrderID is "" when the shop knows
	// the checkout alone.
	Ask(ctx context.Context, d *Delivery) (Answer, error)
}

// Answer is what the gateway says of an order when it is asked: one row, opened
// and verified. It proves nothing by itself: [Answer.Mismatch] compares it with
// what was asked for.
type Answer struct {
	OrderID string          // the order that the answer names; "" proves nothing
	Status  api.OrderStatus // as it came; [Answer.State] says what the row means
	Amount  *field.Cents    // nil if the answer has none, which confirms none
	Action  string          // the query that was put
	// Returned is how much of Amount was returned, nil if the answer does not
	// say. It stands on the row of a payment and on that of a refund.
	Returned *field.Cents
	// ConvenienceFee is the part of Amount that the payer paid on top of the
	// order's price, nil if the answer names none.
	ConvenienceFee *field.Cents
	// MerchantID is the merchant that the answer names, "" if it names none.
	MerchantID string
	// Checkout is the checkout that the answer names, "" if it names none.
	Checkout string
	// BizpayOrderID is the payment's id at the channel, "" if the answer has
	// none. It is not compared: a query may spell it otherwise.
	BizpayOrderID string
	// Original is the payment that the row returns, "" if it names none. Only
	// the row of a refund names one.
	Original string
	// Refund says that the row is that of a refund or a void, whose success
	// is no payment. Original says so, too.
	Refund bool
}

// mismatch returns why the query's answer does not confirm d, or "" if it does.
func (a Answer) mismatch(d *Delivery) Reason {
	if a.OrderID == "" {
		return ReasonAnswerWithoutOrder
	}
	return a.Mismatch(Wanted{
		OrderID: d.OrderID, Checkout: d.Notification.PrepayOrderID, Merchant: d.Merchant, Kind: d.Kind, Amount: d.amountIs,
	})
}
