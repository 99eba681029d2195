package ottpay

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
	"github.com/ottpaykit/ottpay/wire"
)

// Request is the method set of a generated request type.
type Request[T any] interface {
	*T
	json.Marshaler
	// Filled returns a copy with the constants and, where empty, the defaults.
	Filled(api.Defaults) *T
	// Order returns the order's id, or "" for an action about no order.
	Order() string
}

// Response is the method set of a generated answer type.
type Response[T any] interface {
	*T
	// UnmarshalMembers decodes the answer from the index of its members.
	UnmarshalMembers(*wire.Members) error
	// Order returns the id of the order that the answer names, or "".
	Order() string
	// SetOrder puts in the id that the answer leaves out.
	SetOrder(id string)
	// EchoesOrder reports whether Order is the id that the request sent.
	EchoesOrder() bool
	// Misfits returns the names of the members that do not fit and stop nothing.
	Misfits() []string
	// SetPending keeps whether the gateway is still working on it.
	SetPending(bool)
}

// Call sends an action with types of the shop's own, which tools/generate makes
// from an overlay of the document, and otherwise does what the methods of
// [Client] do. An action that the document lacks is described by info alone: an
// effect is never sent twice, and [Client.Resolve] asks about it.
//
// The generated code calls it; docs/guides/own-fields.md shows how.
func Call[Req, Resp any, PReq Request[Req], PResp Response[Resp]](ctx context.Context, c *Client, info api.ActionInfo, req *Req) (*Resp, error) {
	if known, ok := api.LookupAction(string(info.Name)); ok { // what the document says of its actions is not the caller's to change
		known.RequestSchema = info.RequestSchema
		info = known
	}
	return send[Req, Resp, PReq, PResp](ctx, c, info, req)
}

// call is an action of the document.
func call[Req, Resp any, PReq Request[Req], PResp Response[Resp]](ctx context.Context, c *Client, action api.Action, req *Req) (*Resp, error) {
	info, _ := api.LookupAction(string(action))
	return send[Req, Resp, PReq, PResp](ctx, c, info, req)
}

// send is every action: it fills and checks the request, sends it, and reads the
// answer. The error is an *Error.
func send[Req, Resp any, PReq Request[Req], PResp Response[Resp]](ctx context.Context, c *Client, info api.ActionInfo, req *Req) (resp *Resp, err error) {
	a := c.begin(ctx, info)
	defer func() {
		if err = a.finish(recover(), err); err != nil {
			resp = nil
		}
	}()
	if req != nil {
		a.call.OrderID = PReq(req).Order()
	}
	a.start = c.cfg.Now()
	if err := prepare[Req, PReq](a, req); err != nil {
		return nil, err
	}
	if err := a.send(); err != nil {
		return nil, err
	}
	return receive[Resp, PResp](a)
}

// attempt is one call of an action.
type attempt struct {
	*Client
	ctx   context.Context
	info  api.ActionInfo
	start time.Time
	call  middleware.Call
	reply *middleware.Reply // nil until an answer came

	misfits []string // members of the answer that do not fit and stop nothing
}

func (c *Client) begin(ctx context.Context, info api.ActionInfo) *attempt {
	a := &attempt{Client: c, ctx: ctx, info: info, call: middleware.Call{
		URL: c.url, Action: string(info.Name), Version: info.Version, MerchantID: c.merchant, Limiter: c.queries,
	}}
	if _, known := api.LookupAction(string(info.Name)); !known {
		a.call.Info = &a.info
	}
	if info.Kind == api.KindEffect {
		a.call.Limiter = c.effects
	}
	if own := c.endpoints[info.Name]; own != nil {
		a.call.URL = own
	}
	if own := c.cfg.Versions[info.Name]; own != "" {
		a.call.Version = own
	}
	if info.Terminal && c.terminal != "" {
		a.call.TerminalNo, a.call.OperatorID = c.terminal, c.operator
	}
	return a
}

// prepare makes the call of the request.
func prepare[Req any, PReq Request[Req]](a *attempt, req *Req) error {
	if req == nil {
		return refused(middleware.ReasonRequest, constant("the request is nil"))
	}
	defaults := api.Defaults{MerchantID: a.merchant, OperatorID: a.operator}
	if a.info.Kind == api.KindEffect && PReq(req).Order() == "" {
		id, err := a.NewOrderID()
		if err != nil {
			return refused(middleware.ReasonRequest, err)
		}
		defaults.OrderID = id
	}
	filled := PReq(req).Filled(defaults)
	a.call.OrderID = PReq(filled).Order()
	if err := a.check(a.ctx, filled); err != nil {
		return refused(middleware.ReasonRequest, err)
	}
	var err error
	if a.call.Data, err = PReq(filled).MarshalJSON(); err != nil {
		return refused(middleware.ReasonRequest, err)
	}
	return nil
}

// send sends the call: an effect once, a query until it is answered, its
// attempts are used up or its time is over.
func (a *attempt) send() error {
	timeout := a.cfg.Timeout
	if own := a.cfg.Timeouts[a.info.Name]; own > 0 {
		timeout = own
	}
	ctx, cancel := context.WithTimeout(a.ctx, timeout)
	defer cancel()
	if a.info.Kind != api.KindQuery {
		return a.sendOnce(ctx)
	}
	for n := 1; ; n++ {
		err := a.sendWithin(ctx, max(timeout/3, minAttempt))
		if !a.again(ctx, n, err) {
			return err
		}
	}
}

// sendWithin leaves time for another attempt.
func (a *attempt) sendWithin(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return a.sendOnce(ctx)
}

func (a *attempt) sendOnce(ctx context.Context) error {
	var err error
	if a.reply, err = a.transport.Send(ctx, &a.call); err != nil {
		return unsent(err)
	}
	return nil
}

// receive judges the answer's code and reads its data.
func receive[Resp any, PResp Response[Resp]](a *attempt) (*Resp, error) {
	var (
		resp      = new(Resp)
		decodeErr error
		class     = api.Code(a.reply.Code).Class()
		verified  = a.reply.Verified()
		asked     = a.call.OrderID
	)
	if verified {
		decodeErr = PResp(resp).UnmarshalMembers(a.reply.Members)
	}
	named := ""
	if decodeErr == nil {
		named = PResp(resp).Order()
	}
	if named != "" && asked != "" && named != asked && (PResp(resp).EchoesOrder() || !a.mayName(named)) {
		return nil, unclear(middleware.ReasonOtherOrder, constant("the answer names another order")) // whatever the code says, it is not said of this order
	}
	pending := class == api.ClassPending && verified
	if class != api.ClassSuccess && !pending {
		return nil, &Error{Class: class, named: named != "" && named == asked && !a.admits(a.reply.Members)}
	}
	if decodeErr != nil {
		return nil, unclear(middleware.ReasonSchema, errors.Join(ErrInvalid, decodeErr))
	}
	if failed := a.contradicts(a.reply.Members); failed != nil {
		return nil, failed
	}
	// What is still under way need not have all members yet.
	if err := a.check(a.ctx, resp); err != nil && !pending {
		return nil, unclear(middleware.ReasonSchema, err)
	}
	// Not for a query, whose answer proves nothing without the id.
	if a.info.Kind == api.KindEffect && named == "" {
		PResp(resp).SetOrder(asked)
	}
	PResp(resp).SetPending(pending)
	a.misfits = PResp(resp).Misfits()
	return resp, nil
}

// admits reports whether the data of a refusal says that something was done: it
// holds a status that is not closed, an amount returned, or a place to pay. The
// data is authenticated and the code is not.
func (a *attempt) admits(m *wire.Members) bool {
	for i := range m.Len() {
		text := memberText(m, string(m.Name(i)))
		switch name := strings.ToLower(string(m.Name(i))); name {
		case "order_status", "refund_status", "trade_status", "status":
			if status := api.OrderStatus(text); status.Normal() != "" && !status.Closed() {
				return true
			}
		case "refund_fee", "refund_amt", "refund_amount":
			if amount, err := field.ParseCents(text); err != nil && text != "" || amount > 0 {
				return true
			}
		case "code_url", "codeurl", "tn", "payinfo", "pay_info", "tradeno", "prepay_order_id":
			if text != "" || len(m.Value(i)) > 2 && m.Value(i)[0] == '{' {
				return true
			}
		}
	}
	return false
}

// contradicts returns the error of an answer that does not fit what was asked,
// or that leaves the payer with nowhere to go.
func (a *attempt) contradicts(m *wire.Members) *Error {
	switch {
	case a.info.Effect == api.EffectRefund:
		return a.refundContradicts(m)
	case a.info.Name == api.ActionCC_PURCHASE, a.info.Name == api.ActionCC_PREAUTH:
		for _, name := range []string{"codeUrl", "code_url", "codeurl", "tn"} {
			if memberText(m, name) != "" {
				return nil
			}
		}
		return unclear(middleware.ReasonSchema, errors.Join(ErrInvalid, constant("the answer names no page for the payer: neither codeUrl nor tn")))
	}
	return nil
}

// mayName reports whether the answer to a REFUND may name an id that is not the
// one that was sent: the payment's, or OTT Pay's own of the refund.
func (a *attempt) mayName(id string) bool {
	return id == orderOf(a.info, a.call.Data).original || ownRefundID(id)
}

func (c *Client) check(ctx context.Context, v any) error {
	if err := c.cfg.Validator.StructCtx(ctx, v); err != nil {
		return errors.Join(ErrInvalid, validate.Explain(err))
	}
	return nil
}

// finish completes the error with what the attempt knows, and writes the line of
// the call. panicked is what was recovered, or nil.
func (a *attempt) finish(panicked any, err error) (result error) {
	defer func() {
		if v := recover(); v != nil { // of the Logger
			result = a.complete(a.panicked(v))
		}
	}()
	var failed *Error
	switch {
	case panicked != nil:
		failed = a.complete(a.panicked(panicked))
		err = failed
	case errors.As(err, &failed):
		_ = a.complete(failed) // it is failed
	}
	a.log(failed)
	return err
}

// panicked returns the error of a panic of what the configuration brought: a
// clock, a logger, a source of randomness.
func (a *attempt) panicked(v any) *Error {
	if a.reply != nil {
		return unclear(middleware.ReasonPanic, &middleware.PanicError{Value: v, Stack: debug.Stack()})
	}
	return refused(middleware.ReasonPanic, &middleware.PanicError{Value: v, Stack: debug.Stack()})
}

// complete fills in what every error of a call says, and what is known of
// earlier attempts of the same payment.
func (a *attempt) complete(e *Error) *Error {
	e.Action, e.MerchantID, e.OrderID = a.info.Name, a.merchant, a.call.OrderID
	if a.reply != nil {
		e.Code, e.Message = api.Code(clean(a.reply.Code, 64)), clean(a.reply.Message, 256)
		e.code, e.said = codeText(e.Code, a.call.Data), said(e.Code, a.reply.Message, a.call.Data)
		e.Verified = a.reply.Verified()
		e.SentBefore = a.reply.SentBefore
	}
	if a.info.Kind == api.KindQuery {
		e.query, e.order.info = true, ownAction(a.info)
		return e
	}
	e.order = orderOf(a.info, a.call.Data)
	if e.NotSent && a.transport.MayHaveLeft(a.ctx, a.merchant, a.call.OrderID) {
		e.NotSent, e.SentBefore = false, true
	}
	// Under a SendOnce context the earlier attempt may have had another id: it is
	// the one that can be resolved.
	if sent, ok := middleware.SentUnder(a.ctx); ok && e.SentBefore && sent.OrderID != "" && sent.OrderID != e.OrderID {
		e.Action, e.MerchantID, e.OrderID, e.order = sent.Action, sent.MerchantID, sent.OrderID, order{}
	}
	return e
}
