package ottpay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// The classes of docs/protocol.md, 9, for errors.Is. An [*Error] matches one of
// the first four at most. It may match ErrUnknownOutcome beside it: for a
// PROCESSING that nothing authenticates, and after an earlier call for the same
// payment ([Error].SentBefore).
var (
	// ErrPending says that the gateway is still working on it: query.
	ErrPending = errors.New("pending")
	// ErrDuplicate says that the order's id is taken: query it, and make no new
	// id for the same purchase before the answer is known.
	ErrDuplicate = errors.New("duplicate")
	// ErrCaller says that the request is wrong: the same one will fail again.
	ErrCaller = errors.New("request refused")
	// ErrFailed says that the attempt failed. A refund and a scanned code are
	// to be queried first.
	ErrFailed = errors.New("failed")
	// ErrUnknownOutcome says that the gateway may have acted. Call
	// [Client.Resolve]; do not pay again.
	ErrUnknownOutcome = middleware.ErrUnknownOutcome
)

// What else an [*Error] may match.
var (
	// ErrNotSent says that nothing has left and nothing will, neither of this
	// call nor of an earlier one for the same payment that this process knows of.
	// It excludes ErrUnknownOutcome.
	ErrNotSent = middleware.ErrNotSent
	// ErrInvalid says that a request or an answer breaks the document's rules;
	// the error's *validate.Error names members and rules. A request that does
	// is ErrCaller and ErrNotSent, too; an answer that does is ErrUnknownOutcome.
	ErrInvalid = errors.New("breaks the schema")
)

// Error is how a call failed. Every error of a [Client]'s method is one.
//
// Its text names the action, the code and the reason, and quotes the gateway's
// message, from which values of the request and long numbers were removed. It
// names no order and no value.
type Error struct {
	Action     api.Action // of the request
	MerchantID string     // "" is the client's
	OrderID    string     // of the request, made up by the client if the caller gave none

	// Code is the gateway's rsp_code as it came, "" without an answer. It is
	// authenticated by nothing but TLS.
	Code api.Code
	// Message is the gateway's rsp_msg, cleaned of control characters and cut
	// at 256 bytes. It is free text from outside.
	Message string
	// Class is the code's class. Without an answer that can be believed it is
	// [api.ClassUnclear]; of a request that the client refused,
	// [api.ClassCaller].
	Class api.Class
	// Verified says that the answer carried data that opened under the
	// merchant's key. A failure that comes without, as they do, does not.
	Verified bool

	// NotSent says that nothing has left and nothing will, neither of this call
	// nor, as far as this process knows, of an earlier one for the same payment.
	NotSent bool
	// SentBefore says that an earlier call for the same payment may have left:
	// one under the same [middleware.SendOnce] context, or for the same merchant
	// and order. The error then matches ErrUnknownOutcome, however this call
	// failed. Action and OrderID are those of the earlier call if it had others.
	SentBefore bool
	// Reason says what failed on the way, or is "".
	Reason middleware.Reason
	// Status is the HTTP status of the answer, 0 without one.
	Status int
	// RetryAfter is how long the gateway asks the client to wait.
	RetryAfter time.Duration
	// Err is the underlying error, or nil. Its text is not made for logs.
	Err error

	code  string // Code, fit to be shown
	said  string // Message, fit to be shown
	query bool   // it may be repeated
	named bool   // the verified data names the order
	ask   bool   // Resolve asks, though this call sent nothing: the store may have forgotten an earlier one

	order order // what is known of it beside OrderID
}

// Error returns the action, the code and what to make of it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("ottpay: ")
	if _, known := api.LookupAction(string(e.Action)); known || e.Action == ActionInAppPay || e.Action != "" && e.Action == e.order.info.Name {
		b.WriteString(string(e.Action) + ": ")
	}
	switch meaning := e.Code.Message(); {
	case meaning != "":
		b.WriteString(strings.ToUpper(string(e.Code)) + " (" + meaning + ")")
	case e.code != "" && e.code != "other":
		b.WriteString(e.code + " (undocumented response code)")
	case e.Code != "":
		b.WriteString("undocumented response code")
	case e.Reason != "":
		b.WriteString(string(e.Reason))
	default:
		b.WriteString("no answer")
	}
	if e.said != "" {
		b.WriteString(": the gateway says " + strconv.Quote(e.said))
	}
	if detail := detail(e.Err); detail != "" {
		b.WriteString(": " + detail)
	}
	switch {
	case e.Is(ErrNotSent):
		b.WriteString(": " + ErrNotSent.Error())
	case e.query: // it may be put again
	case e.unknown():
		b.WriteString(": " + ErrUnknownOutcome.Error())
	}
	return b.String()
}

// Is reports whether target is the error's class, ErrNotSent or
// ErrUnknownOutcome.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotSent:
		return e.NotSent && !e.SentBefore
	case ErrUnknownOutcome:
		return e.unknown()
	case ErrPending:
		return e.Class == api.ClassPending
	case ErrDuplicate:
		return e.Class == api.ClassDuplicate
	case ErrCaller:
		return e.Class == api.ClassCaller
	case ErrFailed:
		return e.Class == api.ClassFailed
	}
	return false
}

// unknown reports whether the gateway may have acted without the caller's
// knowledge. A PROCESSING that nothing authenticates may be from anyone. An
// answer that the order's id is taken says of an earlier call what there is to
// know: query.
func (e *Error) unknown() bool {
	switch {
	case e.SentBefore && (e.Code == "" || e.Class != api.ClassDuplicate):
		return true
	case e.NotSent:
		return false
	}
	return e.Class == api.ClassUnclear || e.Class == api.ClassPending && !e.Verified
}

// Unwrap returns the underlying error.
func (e *Error) Unwrap() error { return e.Err }

// LogValue names the order, too.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("error", e.Error()),
		slog.String("action", string(e.Action)),
		slog.String("order_id", clean(e.OrderID, 64)),
		slog.String("class", e.Class.String()),
		slog.Bool("verified", e.Verified),
		slog.Bool("not_sent", e.NotSent),
	}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	return slog.GroupValue(attrs...)
}

// Format writes the error's text, whatever the verb, and quoted for %q.
func (e Error) Format(f fmt.State, verb rune) {
	text := e.Error()
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}

// refused returns the error of a call that was not sent because the request is
// wrong.
func refused(reason middleware.Reason, err error) *Error {
	return &Error{Class: api.ClassCaller, NotSent: true, Reason: reason, Err: err}
}

// unclear returns the error of a call whose answer proves nothing.
func unclear(reason middleware.Reason, err error) *Error {
	return &Error{Class: api.ClassUnclear, Reason: reason, Err: err}
}

// unsent returns the error of a call that the Transport got no answer to.
func unsent(err error) *Error {
	e := &Error{Class: api.ClassUnclear, Err: err}
	var s *middleware.SendError
	if errors.As(err, &s) {
		e.Reason, e.NotSent, e.SentBefore, e.Status, e.RetryAfter = s.Reason, s.NotSent, s.SentBefore, s.Status, s.RetryAfter
	}
	return e
}

// constant is an error whose text is a constant of the program: it holds no value.
type constant string

// Error returns the text.
func (c constant) Error() string { return string(c) }

// Loggable marks the error for [middleware.Detail].
func (constant) Loggable() {}

// detail returns what of err may be shown: the members and rules that it is
// about, or a text without a value.
func detail(err error) string {
	if violations := violations(err); violations != "" {
		return violations
	}
	return middleware.Detail(err)
}

// violations lists the members and rules that err names, if it is about such.
func violations(err error) string {
	var v *validate.Error
	if errors.As(err, &v) {
		return v.Error()
	}
	return ""
}

// clean makes text from outside fit to be shown: printable and at most limit
// bytes long.
func clean(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	text = strings.ToValidUTF8(text, "") // a letter that was cut, too
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
