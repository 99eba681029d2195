package middleware

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrNotPaid is matched by the [Refusal] of an order that the gateway was asked
// about and that is not paid: [ReasonNotPaidYet]. It may be paid later.
var ErrNotPaid = errors.New("order is not paid")

// Refusal is the error of a delivery that was not let through. Its text and
// its fields are for the shop's own eyes and hold no value of the payload but
// the order's id; a stranger sees Status and nothing else.
type Refusal struct {
	// Status is the answer's HTTP status: 400, 401, 405, 408, 413 and 429
	// are final, 503 asks the gateway to send again.
	Status int
	// Reason says which check failed.
	Reason Reason
	// Merchant and OrderID are those of an authentic envelope, or "".
	Merchant, OrderID string
	// UnverifiedMerchant is the merchant that the envelope names, or "" if it
	// could not be read. Any sender can write it.
	UnverifiedMerchant string
	// Source is the address that the request came from, as Config.SourceLimiter
	// or else the connection tells it, or "".
	Source string
	// Err is the cause, if there is one beyond Reason.
	Err error

	body   []byte
	result Result
	spend  bool // a failed authentication: costs the source a token
}

// Body returns the body as it came, sealed, for diagnosis: keep it like a secret.
// It is valid while Config.OnRefused runs, which must copy what it keeps, and
// nil otherwise and where the body was not read.
func (r *Refusal) Body() []byte { return r.body }

// Error names the reason and, of an authentic envelope, the order.
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

// Is reports whether target is [ErrNotPaid] and the gateway said so.
func (r *Refusal) Is(target error) bool { return target == ErrNotPaid && r.Reason == ReasonNotPaidYet }

// Authentic reports whether the envelope opened under the merchant's key.
func (r *Refusal) Authentic() bool { return r.Merchant != "" }

// about adds whose delivery it was, once that is certain.
func (r *Refusal) about(d *Delivery) *Refusal {
	r.Merchant, r.OrderID = d.Merchant, d.OrderID
	if r.OrderID == "" {
		r.OrderID = string(value(d.Payload.Members(), "order_id"))
	}
	return r
}

var errHandlerStatus = errors.New("the handler answered with a status that is no success")

// deferred refuses an authentic delivery that is not believed (yet), and asks
// for it again.
func deferred(reason Reason, err error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Reason: reason, Err: err, result: ResultDeferred}
}

// failed refuses a delivery that could not be finished, and asks for it again.
func failed(reason Reason, err error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Reason: reason, Err: err, result: ResultFailed}
}
