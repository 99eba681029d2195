package middleware

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
)

// What a [SendError] matches besides [envelope.ErrMalformed] and
// [envelope.ErrUnauthentic].
var (
	// ErrUnknownOutcome says that the gateway may have acted: the request may
	// have left, or an earlier one of the same payment, and no answer came that
	// can be believed. Query; do not pay again.
	ErrUnknownOutcome = errors.New("outcome unknown: query, do not repeat")

	// ErrNotSent says that no byte of the request's content has left and none
	// will, and that no earlier effect of the same payment may have left. It
	// excludes ErrUnknownOutcome.
	ErrNotSent = errors.New("not sent")

	// ErrSentBefore says that an effect was refused because one was sent under
	// the same [SendOnce] context before. What became of that one is unknown.
	ErrSentBefore = errors.New("sent before")

	// ErrNoKeys says that there are no sign keys for the request's merchant.
	ErrNoKeys error = constant("no sign keys for the merchant")

	// ErrLimited says that the limiter did not let the request through before
	// its deadline.
	ErrLimited = errors.New("held back by the limiter")
)

// What the Reason of a [SendError] says already.
var (
	errStatus   = errors.New("answer of an HTTP status other than 2xx")
	errRedirect = errors.New("answer is a redirect") // not followed: 307 and 308 would send the content again
	errHTML     = errors.New("answer is an HTML page")
	errEmpty    = errors.New("answer is empty")
)

// SendError says how a call failed. It matches ErrNotSent or ErrUnknownOutcome,
// never both, and what Err matches.
//
// Its text holds nothing that came over the wire: a broken answer may repeat
// the request, and net/http quotes what it cannot read.
type SendError struct {
	Action     string        // the action's name; "" if it is not a known one
	Reason     Reason        // what failed, for logs and counters
	NotSent    bool          // no effect of the payment has left, and this one never will
	SentBefore bool          // another effect of the same payment may have left
	Status     int           // HTTP status of the answer, 0 without one
	RetryAfter time.Duration // what the answer asked for with a status other than 2xx, 0 if nothing
	Err        error         // underlying error, for errors.Is and errors.As; its own text is not made for logs

	query bool
}

// Error names the action, the reason and whether the request may have left.
func (e *SendError) Error() string {
	text := "middleware: "
	if e.Action != "" {
		text += e.Action + ": "
	}
	text += string(e.Reason)
	if e.Status != 0 {
		text += " (HTTP " + strconv.Itoa(e.Status) + ")"
	}
	if detail := Detail(e.Err); detail != "" {
		text += ": " + detail
	}
	switch {
	case e.NotSent:
		return text + ": " + ErrNotSent.Error()
	case e.query:
		return text // a query may be repeated
	}
	return text + ": " + ErrUnknownOutcome.Error()
}

// Format writes the error's text, whatever the verb: Err's is not made for logs.
func (e SendError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// Is reports whether target is ErrNotSent or ErrUnknownOutcome and applies.
func (e *SendError) Is(target error) bool {
	return target == ErrNotSent && e.NotSent || target == ErrUnknownOutcome && !e.NotSent
}

// Unwrap returns the underlying error.
func (e *SendError) Unwrap() error { return e.Err }

// sendReason names what the base RoundTripper or reading the answer failed of.
func sendReason(err error) Reason {
	var (
		timeout   net.Error
		dial      *net.OpError
		dns       *net.DNSError
		cert      *tls.CertificateVerificationError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	case errors.As(err, &cert), errors.As(err, &alert), errors.As(err, &record), errors.As(err, &authority):
		return ReasonTLS
	case errors.As(err, &dns), errors.As(err, &dial) && dial.Op == "dial":
		return ReasonDial
	default:
		return ReasonConnection
	}
}

// answerReason returns the reason of an error of package envelope.
func answerReason(err error) Reason {
	word := Reason(envelope.Reason(err))
	switch {
	case errors.Is(err, envelope.ErrUnauthentic):
		return ReasonUnauthentic
	case word == ReasonNoData, word == ReasonTooLarge:
		return word
	default:
		return ReasonMalformed
	}
}

// constant is an error whose text is a constant of the program. It holds no value
// and may be shown.
type constant string

// Error returns the text.
func (c constant) Error() string { return string(c) }

// Loggable marks the error for [Detail].
func (constant) Loggable() {}

// Detail returns the text of the first error in err's tree that has a method
// Loggable, or "". Such a text holds no value and may be logged, while the text
// of err may not.
func Detail(err error) string {
	var safe interface {
		error
		Loggable()
	}
	if errors.As(err, &safe) {
		return safe.Error()
	}
	return ""
}

// recovered makes the failure of a panic. It is to be deferred.
func recovered(failed **failure) {
	if v := recover(); v != nil {
		*failed = &failure{reason: ReasonPanic, err: &PanicError{v, debug.Stack()}}
	}
}

// retryAfter reads the header of that name as a time from now on.
func retryAfter(h http.Header, now func() time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now()))
}
