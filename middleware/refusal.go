package middleware

import (
	"errors"
	"fmt"
	"io"
)

// Refusal is the error of a delivery that was not let through. Its text and
// its fields are for the shop's own eyes and hold no value of the payload but
// the order's id; a stranger sees Status and nothing else.
type Refusal struct {
	// Status is the answer's HTTP status: 400, 401, 405, 408, 413 and 429
	// are final, 503 asks the gateway to send again.
	Status int
	// Reason says which check failed. The words are
	//
	//	before anything is opened: method, limited, body-too-large, body-slow,
	//	body-unreadable, body-consumed, no-merchant, keys-unavailable and those of [envelope.Reason];
	//	not authentic: unknown-merchant, padding, plaintext, digest;
	//	not a callback of this merchant: merchant, order_id, bizpay_order_id, finish_time, amount;
	//	authentic, but not as expected: schema, suspect;
	//	not believed: code, kind, not-paid-yet, refunded, not-borne-out, answer-without-order,
	//	answer-of-another-order, answer-of-a-refund, amount-unconfirmed, amount-mismatch, not-expected, ask-failed;
	//	not finished: in-flight, store, claim-lost, journal, handler, panic, shutdown.
	Reason string
	// Merchant and OrderID are those of an authentic envelope, or "".
	Merchant, OrderID string
	// Err is the cause, if there is one beyond Reason. It is nil for
	// everything that is not authentic.
	Err error

	result Result
	spend  bool // a failed authentication: costs the source a token
}

func (r *Refusal) Error() string {
	if r.OrderID == "" {
		return fmt.Sprintf("middleware: callback refused: %s", r.Reason)
	}
	return fmt.Sprintf("middleware: callback for order %q refused: %s", short(r.OrderID), r.Reason)
}

// Format writes the error's text, whatever the verb.
func (r Refusal) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.Error()) }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Authentic reports whether the envelope opened under the merchant's key.
func (r *Refusal) Authentic() bool { return r.Merchant != "" }

// about adds whose delivery it was, once that is certain.
func (r *Refusal) about(d *Delivery) *Refusal {
	r.Merchant, r.OrderID = d.Merchant, d.OrderID
	return r
}

var errHandlerStatus = errors.New("the handler answered with a status that is no success")
