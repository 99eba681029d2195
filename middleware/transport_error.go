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

	// ErrStatus says that the answer's HTTP status is not 2xx.
	ErrStatus = errors.New("answer of an HTTP status other than 2xx")

	// ErrRedirect says that the answer is a redirect. It is not followed, as
	// 307 and 308 would send the content again. It goes with ErrStatus.
	ErrRedirect = errors.New("answer is a redirect")

	// ErrTooLarge says that the answer is longer than 1 MiB.
	ErrTooLarge = errors.New("answer too large")

	// ErrHTML says that a page came in place of an envelope, as proxies and
	// captive portals send it.
	ErrHTML = errors.New("answer is an HTML page")

	// ErrEmpty says that the answer has no content.
	ErrEmpty = errors.New("answer is empty")

	// ErrNoData says that the answer claims SUCCESS without the data that
	// would prove it.
	ErrNoData = errors.New("answer claims success without data")
)

// SendError says how a call failed. It matches ErrNotSent or ErrUnknownOutcome,
// never both, and what Err matches.
//
// Its text holds nothing that came over the wire: a broken answer may repeat
// the request, and net/http quotes what it cannot read. Err is the underlying
// error for errors.Is and errors.As. Its own text is not made for logs.
type SendError struct {
	Action     string        // the action's name; "" if it is not a known one
	Reason     Reason        // what failed, for logs and counters
	NotSent    bool          // no effect of the payment has left, and this one never will
	SentBefore bool          // another effect of the same payment may have left
	Status     int           // HTTP status of the answer, 0 without one
	RetryAfter time.Duration // what the answer asked for with a status other than 2xx, 0 if nothing
	Err        error

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

// answerError turns what envelope says about an answer into a sentinel and a
// reason.
func answerError(err error) (reason Reason, _ error) {
	switch word := Reason(envelope.Reason(err)); {
	case errors.Is(err, envelope.ErrUnauthentic):
		return ReasonUnauthentic, err
	case word == ReasonNoData:
		return word, errors.Join(ErrNoData, err)
	case word == ReasonTooLarge:
		return word, errors.Join(ErrTooLarge, err)
	default:
		return ReasonMalformed, err
	}
}

// constant is an error whose text is a constant of the program. It holds no value
// and may be shown.
type constant string

// Error returns the text.
func (c constant) Error() string { return string(c) }

// Loggable marks the error for [Detail].
func (constant) Loggable() {}

// Detail returns the text of the first error in err's tree that is marked as a
// constant by a method Constant, or "". Such a text holds no value and may be
// shown, while the text of err may not.
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
