package middleware

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

const (
	maxMessage  = 1 << 20 // of a request and of an answer
	callTimeout = 30 * time.Second
)

// Limiter holds a call back until there is room for it. *rate.Limiter implements
// it.
type Limiter interface {
	// Wait returns nil when the call may go, and an error at once when it
	// could not go before ctx's deadline.
	Wait(ctx context.Context) error
}

// Transport seals a request, sends it and opens the answer: [Transport.Send] for
// Go programs, [Transport.RoundTrip] for any HTTP client that speaks plain JSON.
//
// Every action that is not known to be a query is an effect. Send sends an effect
// at most once: nothing replays it, and a redirect is an error. A retry library
// above calls RoundTrip again, which looks like another payment. Put [SendOnce]
// around the context of a payment to have the second call refused.
//
// Every error is a *[SendError] and matches either [ErrNotSent] or
// [ErrUnknownOutcome]; an earlier attempt of the same payment counts, too. See
// docs/outbound.md, "Sent once" and "What an error says".
//
// A Transport is safe for concurrent use. It must not be copied, and its
// fields must not be changed, after the first call.
type Transport struct {
	// Keys finds the sign keys. Required.
	Keys Keys

	// Base sends the sealed request. It must not send it again by itself; a second
	// exchange is stopped only if Base ends in net/http. A proxy, a client
	// certificate or a private authority go here. An *http.Transport that does not
	// verify certificates is refused. If nil, http.DefaultTransport at the time of
	// the call; if that is an *http.Transport, a clone of it as [NewBase] returns it.
	Base http.RoundTripper

	// Limiter holds calls back. If nil, none is held back.
	Limiter Limiter

	// Timeout bounds a call whose context has no deadline. Defaults to 30 s.
	Timeout time.Duration

	// Observer receives one event per call. Optional.
	Observer Observer

	// Now is the clock, for a Retry-After that is a date and for how long the
	// limiter took. If nil, time.Now.
	Now func() time.Time

	attempts attempts
	fallback defaultBase
	checked  checkedBase
	rooms    sync.Pool // of *room
}

// Call is one call of the gateway before it is sealed.
type Call struct {
	// URL is where it goes: https, or http to a loopback host. Required.
	URL *url.URL
	// Action, Version and MerchantID stand in the envelope. Required.
	Action, Version, MerchantID string
	// TerminalNo and OperatorID stand in the envelope of in-store actions.
	// Optional.
	TerminalNo, OperatorID string
	// Data is the JSON object that is sealed, to the letter. Required.
	Data []byte
	// OrderID is the order's id in Data, by which the payment is remembered.
	// Defaults to what Data says.
	OrderID string
	// Limiter holds the call back. If nil, Transport.Limiter does.
	Limiter Limiter
	// Plain sends Data without an envelope, for inAppPay, the one API of the
	// vendor that has none. It is an effect. Version is not needed.
	Plain bool
	// Info describes an action that the document lacks. If nil, such an action
	// is taken for one that moves money, and its name is not shown. Of the
	// document's own actions the document decides.
	Info *api.ActionInfo

	fault error // found by RoundTrip while it read the request
}

// Reply is the gateway's answer to a [Call].
type Reply struct {
	// Code, Message and MerchantID stood outside the encrypted data: nothing but
	// TLS authenticates them. The Transport does not judge the code.
	Code, Message, MerchantID string
	// Data is the opened JSON object, or nil for an answer without data. Such an
	// answer has another code than SUCCESS. The answer to a Plain call is here
	// as it came.
	Data []byte
	// Members are the members of Data if it was opened, and nil otherwise.
	Members *wire.Members
	// SentBefore says that another effect of the same payment may have left
	// before: what this reply says may not be all that happened.
	SentBefore bool
}

// Verified reports whether Data was opened under the merchant's key.
func (r *Reply) Verified() bool { return r.Members != nil }

// Send seals the call, sends it once and opens the answer. The error is a
// *[SendError].
//
// An answer fails with [ReasonReflected] if it is the request come back, in
// whatever order of members or blocks, an earlier request of the same action, or
// a callback: all of these open under the merchant's key and answer nothing.
func (t *Transport) Send(ctx context.Context, c *Call) (*Reply, error) {
	reply, _, err := t.send(ctx, c, nil)
	return reply, err
}

// send is Send. via is the request that RoundTrip was called with, or nil.
func (t *Transport) send(ctx context.Context, c *Call, via *http.Request) (*Reply, *sending, error) {
	ctx, cancel := t.withDeadline(ctx)
	defer cancel()
	s := newSending(t, c, via)
	failed := s.protected(ctx)
	left := !s.latch.shut() // what has not left by now never will
	others := s.remember(ctx, left)
	failed = s.observed(failed, left || others)
	if failed != nil {
		return nil, nil, &SendError{
			Action: s.name, Reason: failed.reason, NotSent: !left && !others, SentBefore: others,
			Status: s.outcome.Status, RetryAfter: failed.retryAfter, Err: failed.err, query: !s.effect,
		}
	}
	s.reply.SentBefore = others
	return &s.reply, s, nil
}

// MayHaveLeft reports whether an effect of this payment may have left: under the
// [SendOnce] context that ctx belongs to, or by an earlier call of this
// Transport for the same merchant and order.
func (t *Transport) MayHaveLeft(ctx context.Context, merchantID, orderID string) bool {
	if _, sent := SentUnder(ctx); sent {
		return true
	}
	return t.attempts.mayHaveLeft(payment{merchantID, orderID})
}

// CloseIdleConnections closes the connections that are kept for later calls.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return t.fallback.current()
}

func (t *Transport) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

func (t *Transport) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = callTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// check returns an error if the call cannot be sent at all.
func (c *Call) check(t *Transport, base http.RoundTripper) error {
	if c.fault != nil {
		return c.fault
	}
	if err := api.CheckURL(c.URL); err != nil {
		return err
	}
	if err := t.checked.check(base); err != nil {
		return err
	}
	switch {
	case len(c.Data) == 0 || c.Data[0] != '{':
		return constant("the data is not a JSON object")
	case c.Plain:
		return nil
	case t.Keys == nil:
		return constant("the Transport has no Keys")
	case c.Action == "" || c.Version == "" || c.MerchantID == "":
		return constant("the call lacks action, version or merchant_id")
	}
	return nil
}
