package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/deadline"
	"github.com/ottpaykit/ottpay/internal/splice"
)

// Delivery is one attempt of the gateway to bring a notification. What stands
// in it directly was opened under the merchant's sign key; what merely stood
// around it is in Unverified. It must not be changed.
type Delivery struct {
	// Source says how it came to be known.
	Source Source
	// Merchant is the merchant whose key opened the envelope.
	Merchant string
	// KeyIndex is which of the merchant's keys it was, counted from 0 in the
	// order of [Keys]. While a key is being changed it tells when the gateway
	// has stopped using the old one.
	KeyIndex int
	// OrderID is the merchant's order. It is not empty.
	OrderID string
	// BizpayOrderID is the payment's id at the channel. It may be empty for a
	// checkout, and for what only a query told.
	BizpayOrderID string
	// Amount is what was paid, in the smallest unit of the order's currency,
	// which the notification does not name. It may include ConvenienceFee.
	Amount field.Cents
	// FinishTime is the time of the payment, as the gateway wrote it.
	FinishTime field.Time
	// Kind is [api.KindPaid], "authorised" (held, not captured) or another
	// [api.OrderStatus.Kind]. The classic API sends no status; its
	// notifications are of kind paid. A status that is sent is no more than
	// an optional member: require it by receiving [api.CardNotification].
	Kind string

	// ID is the identity under which the delivery is claimed.
	ID dedupe.ID
	// Payload is the decrypted JSON and how its digest was computed.
	Payload envelope.Payload
	// Notification is the payload, decoded and validated.
	Notification *api.Notification
	// Answer is what the gateway said when it was asked; nil without an
	// [Asker].
	Answer *Answer
	// Query is the query that the shop names for the order, as in
	// [Order]; "" leaves the choice to the [Asker].
	Query api.Action

	// Unverified is not authenticated: any party that carried the message may have
	// written it.
	Unverified Unverified

	splices    *splice.Detector
	unusual    Reason // why only the gateway's word makes it believed, or ""
	statusSeen bool   // the handler's type requires the status
}

// Source is how a payment came to be known.
type Source string

// The sources.
const (
	SourceCallback Source = "callback" // the gateway's own delivery
	SourceQuery    Source = "query"    // [Webhook.Settle]: Payload and FinishTime are empty, BizpayOrderID may be
	SourceJournal  Source = "journal"  // [Webhook.Replay]: a delivery that came before
)

// Unverified is what stood outside the encrypted data. Nothing binds it to the
// sign key. It must decide nothing.
type Unverified struct {
	Code       api.Code // rsp_code
	Message    string   // rsp_msg
	MerchantID string   // "" if the callback named none
}

// kindOf returns the kind of a notification whose payload has this
// order_status. The classic API sends none and notifies of payments only.
func kindOf(status string) string {
	if status == "" {
		return api.KindPaid
	}
	return api.OrderStatus(status).Kind()
}

// Paid reports whether the notification says that money was taken: not that
// it was authorised, refunded or that the payment failed.
func (d *Delivery) Paid() bool { return d.Kind == api.KindPaid }

// Matches reports whether the notification says that expected was paid: its
// amount, or its amount less the convenience fee that it names, is expected,
// and so is the [Answer]'s, if the gateway was asked. Without this check
// a shop would ship for a cent.
func (d *Delivery) Matches(expected field.Cents) bool {
	return d.Paid() && d.amountIs(expected)
}

// amountIs compares without the kind. The fee may explain how the notification
// differs from the order or from the answer, but not both: what is confirmed
// must itself come to what is expected.
func (d *Delivery) amountIs(expected field.Cents) bool {
	confirmed := d.Answer == nil || d.Answer.Amount == nil || d.comesTo(*d.Answer.Amount, expected)
	return confirmed && d.comesTo(d.Amount, expected)
}

// comesTo reports whether amount is expected, or is it less the fee. A fee is
// what the payer paid on top, so a forged one only makes the shop demand more.
// 0 is never expected: it is the amount of an order that is not there.
func (d *Delivery) comesTo(amount, expected field.Cents) bool {
	if expected <= 0 {
		return false
	}
	if amount == expected {
		return true
	}
	fee := d.Notification.ConvenienceFee
	return fee != nil && *fee > 0 && amount-*fee == expected
}

// SpliceSign returns the sign that the payload, though it opened under the
// merchant's key, was put together from cipher blocks of another one: "name",
// "block", "length", "style", "reading", or "" for none. SECURITY.md explains them. Each
// call searches again.
//
// Without an [Asker] a notification with such a sign never reaches the handler.
// With one, the gateway's answer has confirmed OrderID, Amount and Kind, and
// nothing else that the notification says: not its BizpayOrderID, its FinishTime
// or an optional member.
func (d *Delivery) SpliceSign() string {
	if d.splices == nil {
		return "" // no callback brought it
	}
	return d.splices.Sign(d.Payload.Members())
}

// LogValue names the order, never what was said of it.
func (d Delivery) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("merchant", d.Merchant),
		slog.String("order_id", short(d.OrderID)),
		slog.String("kind", short(d.Kind)),
		slog.String("form", d.Payload.Form.String()),
		slog.Int("key", d.KeyIndex),
	)
}

// Format writes the order's id, whatever the verb.
func (d Delivery) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "delivery of order %q", short(d.OrderID))
}

// short bounds what a log line takes from outside.
func short(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

type deliveryKey struct{}

// FromContext returns the delivery that a handler behind a [Webhook] is
// handling. ctx is the request's context or, with gin, the *gin.Context.
func FromContext(ctx context.Context) (*Delivery, bool) {
	d, ok := dedupe.Value(ctx, deliveryKey{}).(*Delivery)
	return d, ok
}

// deliveryContext has the values of the request's context and the delivery. It
// does not end with the request's.
type deliveryContext struct {
	deadline.Context
	delivery *Delivery
}

// Value implements [context.Context].
func (c *deliveryContext) Value(key any) any {
	if key == (deliveryKey{}) {
		return c.delivery
	}
	return c.Context.Value(key)
}

// String serves the names that package context gives to contexts.
func (c *deliveryContext) String() string { return "ottpay.Delivery" }
