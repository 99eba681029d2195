package middleware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/internal/splice"
)

// Webhook is the endpoint that OTT Pay posts its callbacks to. It is safe for
// concurrent use.
//
// It acknowledges a delivery only after the handler's work is kept, and hands
// each notification to the handler once, as far as its [dedupe.Store] can
// promise that. [Handle] returns the endpoint.
type Webhook struct {
	cfg      Config
	decoy    envelope.Key // opened in place of an unknown merchant's
	splices  *splice.Detector
	bodies   sync.Pool // of *[]byte
	bounds   sync.Pool // of *bound, whose readings have ended before their time
	lines    sampler
	opened   merchants
	bracket  dedupe.Bracket
	accepted *reply
	refusals map[int]*reply // by status
	gate     gate
	holder   holder
}

// Format writes the type's name, whatever the verb: fmt would read what requests
// are changing, and a pool's address may hold a password.
func (*Webhook) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "middleware.Webhook") }

// Handler returns middleware in front of next, for a router that has a handler
// already: next finds the decrypted JSON as the request's body and the
// [Delivery] in its context. Its work is kept if it writes a status below 300,
// or none, and no other one: a 500 behind a 200 says that it failed. What else
// it writes is not sent. Handler panics if next is nil.
//
// A recovery middleware between the two must answer through the writer that it
// gets here. One that stands behind a wrapper which drops a second status, as
// chi's Logger does, hides that the handler failed after it wrote 200. [Handle]
// has no such gap.
func (w *Webhook) Handler(next http.Handler) http.Handler {
	if next == nil || isNil(next) {
		panic("middleware: the handler is nil")
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.Do(rw, r, func(rw http.ResponseWriter, r *http.Request) error {
			next.ServeHTTP(rw, r)
			return nil
		})
	})
}

// Handle returns the endpoint around fn, which gets each notification once,
// decrypted, verified, decoded and validated. A nil error says that its work
// is kept; only then is the gateway told so. The [Delivery] is in the context.
// Without Config.Expect its kind may say that nothing was paid: ask
// [Delivery.Paid] or [Delivery.Matches].
//
// T is [api.Notification], or one of the schemas that require more of it
// ([api.CardNotification], [api.CheckoutNotification]), or a struct of the
// shop's own with json and validate tags, which may embed one of these. A
// notification that does not fit T is deferred, with an alarm. Handle panics if
// T can never be received: it is no struct, two of its fields have one name, or a
// validate tag names a rule that does not exist.
func Handle[T any](w *Webhook, fn func(context.Context, *T) error) http.Handler {
	if fn == nil {
		panic("middleware: the handler is nil")
	}
	e := &typed[T]{mustFit[T](w), fn}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(rw, r, e) })
}

// typed is the endpoint of [Handle].
type typed[T any] struct {
	t  *target
	fn func(context.Context, *T) error
}

func (e *typed[T]) target() *target { return e.t }
func (e *typed[T]) begin() handler  { return &typedHandler[T]{fn: e.fn} }

type typedHandler[T any] struct {
	value T
	fn    func(context.Context, *T) error
}

func (h *typedHandler[T]) into() any { return &h.value }

func (h *typedHandler[T]) handle(ctx context.Context, _ *http.Request, _ *Delivery) error {
	return h.fn(ctx, &h.value)
}

// Receiver returns [Webhook.Do] for functions that take the notification as T,
// as [Handle]'s does. It is there for adapters, and panics as Handle does.
func Receiver[T any](w *Webhook) func(http.ResponseWriter, *http.Request, func(http.ResponseWriter, *http.Request, *T) error) {
	t := mustFit[T](w)
	return func(rw http.ResponseWriter, r *http.Request, fn func(http.ResponseWriter, *http.Request, *T) error) {
		v := new(T)
		w.do(rw, r, t, v, func(rw http.ResponseWriter, r *http.Request) error { return fn(rw, r, v) })
	}
}

// Do is the core that Handler and the adapters stand on. It checks r, claims
// it, runs fn and writes one answer to rw. fn gets the request that a handler
// may see and a writer that keeps a status and drops the rest. An error or a
// status of 300 and more says that the work is not kept, whatever else fn
// writes.
//
// A panic in fn, or in anything else that the Webhook calls, is answered 503,
// logged, told to Config.OnRefused as a [PanicError] and does not go on: a
// recovery middleware in front that writes no status would turn it into 200.
func (w *Webhook) Do(rw http.ResponseWriter, r *http.Request, fn func(http.ResponseWriter, *http.Request) error) {
	w.do(rw, r, nil, nil, fn)
}

func (w *Webhook) do(rw http.ResponseWriter, r *http.Request, t *target, value any, fn func(http.ResponseWriter, *http.Request) error) {
	w.serve(rw, r, &exchange{t, value, fn})
}

// exchange is the endpoint of one delivery, whose handler takes a request.
type exchange struct {
	t     *target
	value any
	fn    func(http.ResponseWriter, *http.Request) error
}

func (e *exchange) target() *target { return e.t }
func (e *exchange) begin() handler  { return e }
func (e *exchange) into() any       { return e.value }

func (e *exchange) handle(ctx context.Context, r *http.Request, d *Delivery) error {
	answer := &statusWriter{header: make(http.Header)}
	if err := e.fn(answer, payloadRequest(ctx, r, d)); err != nil {
		return err
	}
	if !answer.ok() {
		return fmt.Errorf("%w: %d", errHandlerStatus, answer.status)
	}
	return nil
}

// endpoint is what deliveries come to.
type endpoint interface {
	target() *target // of [handler.into]
	begin() handler  // for a delivery that is authentic
}

// handler handles one delivery.
type handler interface {
	into() any // what is decoded besides the notification, or nil
	handle(ctx context.Context, r *http.Request, d *Delivery) error
}

// serve is a callback's path. The record stays on the stack, so that a stranger's
// request leaves little to collect: nothing may keep a pointer to it.
func (w *Webhook) serve(rw http.ResponseWriter, r *http.Request, to endpoint) {
	rec := &record{request: r, endpoint: to}
	defer w.forget(rec)
	defer func() {
		if rec.answered { // else runtime.Goexit runs, as t.FailNow in a handler calls it
			return
		}
		w.refusals[http.StatusServiceUnavailable].write(rw)
		_ = http.NewResponseController(rw).Flush() // net/http drops what is not flushed
		w.tell(rec, failed(ReasonPanic, errGoexit))
	}()
	var refusal *Refusal
	if !w.gate.enter() {
		guardedInto(&refusal, func() {
			w.begin(rec)
			refusal = shuttingDown()
		})
		w.answer(rw, rec, refusal)
		return
	}
	defer w.gate.leave()
	guardedInto(&refusal, func() { refusal = w.deliver(rw, rec) })
	w.answer(rw, rec, refusal)
}

// deliver returns nil when the delivery may be acknowledged.
func (w *Webhook) deliver(rw http.ResponseWriter, rec *record) *Refusal {
	w.begin(rec)
	if refusal := w.check(rw, rec); refusal != nil {
		return refusal
	}
	return w.work(rec.request.Context(), rec)
}

// answer tells how the delivery ended and writes the one answer.
func (w *Webhook) answer(rw http.ResponseWriter, rec *record, refusal *Refusal) {
	if refusal == nil {
		refusal = guarded(func() { w.end(rec) })
	}
	if refusal == nil {
		rec.answered = true
		w.accepted.write(rw)
		return
	}
	status := w.tell(rec, refusal)
	rec.answered = true
	if refusal.spend && !rec.opening.IsZero() { // its time would tell what failed
		w.holder.hold(rec.request.Context(), rec.opening)
	}
	w.refusals[status].write(rw)
}

// Check only looks: it reads r's body and opens, verifies, decodes and
// validates it. It touches no store and no network beyond [Keys], and it
// answers nothing. The error is a *[Refusal].
func (w *Webhook) Check(r *http.Request) (*Delivery, error) {
	rec := &record{request: r}
	defer w.forget(rec)
	var refusal *Refusal
	guardedInto(&refusal, func() { refusal = w.check(nil, rec) })
	if refusal != nil {
		kept := *w.about(rec, refusal)
		kept.body = nil
		return nil, &kept
	}
	return rec.delivery, nil
}

// check is steps one to five of docs/protocol.md 8.2. rec.delivery is set as
// soon as it is authentic.
func (w *Webhook) check(rw http.ResponseWriter, rec *record) *Refusal {
	r := rec.request
	if r.Method != http.MethodPost {
		return rec.refuse(http.StatusMethodNotAllowed, ReasonMethod)
	}
	if w.cfg.SourceLimiter != nil && !w.cfg.SourceLimiter.Allow(r) {
		refusal := rec.refuse(http.StatusTooManyRequests, ReasonLimited)
		refusal.result = ResultLimited
		return refusal
	}
	if refusal := w.readBody(rw, rec); refusal != nil {
		return refusal
	}
	if fromNetwork(r) {
		rec.opening = time.Now()
	}
	refusal := w.receive(r.Context(), rec)
	if refusal != nil && refusal.spend && w.cfg.SourceLimiter != nil {
		w.cfg.SourceLimiter.Penalise(r)
	}
	return refusal
}

// receive is steps two to five, for a body that has been read.
func (w *Webhook) receive(ctx context.Context, rec *record) *Refusal {
	if refusal := w.open(ctx, rec); refusal != nil {
		return refusal
	}
	d := rec.delivery
	if refusal := d.identify(); refusal != nil {
		return refusal
	}
	if err := w.decode(ctx, rec); err != nil {
		// It is authentic: the vendor may have changed a field, and a payment
		// refused for good would be lost.
		return deferred(ReasonSchema, err)
	}
	d.splices = w.splices
	d.ID = w.identify(d)
	return nil
}

// work is the rest of the path: done before, believe, claim, handle, confirm.
// It returns nil when the delivery may be acknowledged. The handler runs under the
// claim, at most once. Nothing is claimed and no connection is held while the shop and
// the gateway are asked.
func (w *Webhook) work(ctx context.Context, rec *record) *Refusal {
	d := rec.delivery
	// The gateway may go away; what was begun is finished all the same.
	working := &deliveryContext{delivery: d}
	working.Start(ctx, time.Now().Add(w.cfg.Timeout))
	defer working.Cancel()
	ctx = working

	if err := dedupe.Look(ctx, w.cfg.Store, d.ID); err != nil {
		return w.notClaimed(ctx, rec, err)
	}
	if w.cfg.Journal != nil && d.Source == SourceCallback {
		if err := w.cfg.Journal.Append(ctx, d.Merchant, bytes.Clone(rec.body), d.ID); err != nil {
			return failed(ReasonJournal, err)
		}
	}
	if refusal := w.believe(ctx, d); refusal != nil {
		return refusal
	}
	return w.claim(ctx, rec)
}

// claim runs the handler under a claim.
func (w *Webhook) claim(ctx context.Context, rec *record) *Refusal {
	bracket := w.bracket
	bracket.ReleaseFailed = func(err error) { rec.release = err }
	err := dedupe.Do(ctx, w.cfg.Store, rec.delivery.ID, bracket, func(ctx context.Context) error {
		start := w.cfg.Now()
		defer func() { rec.took = w.cfg.Now().Sub(start) }()
		return rec.handler.handle(ctx, rec.request, rec.delivery)
	})
	if err == nil {
		rec.result = ResultHandled
		return nil
	}
	var work *dedupe.WorkError
	switch {
	case errors.As(err, &work):
		return failed(ReasonHandler, work.Err)
	case errors.Is(err, dedupe.ErrLost):
		return failed(ReasonClaimLost, err)
	case errors.Is(err, dedupe.ErrUnknownOutcome):
		return failed(ReasonConfirmUnknown, err)
	}
	return w.notClaimed(ctx, rec, err)
}

// notClaimed judges the error of a look at the store or of a claim.
func (w *Webhook) notClaimed(ctx context.Context, rec *record, err error) *Refusal {
	switch {
	case errors.Is(err, dedupe.ErrConflict):
		return w.conflict(ctx, rec)
	case errors.Is(err, dedupe.ErrDone):
		rec.result = ResultDuplicate
		return nil
	case errors.Is(err, dedupe.ErrInFlight):
		return &Refusal{Status: http.StatusServiceUnavailable, Reason: ReasonInFlight, result: ResultInFlight}
	}
	return failed(ReasonStore, err)
}

// conflict acknowledges a notification that was handled before and now names
// another amount or another channel's id. It alarms only if that is confirmed:
// a splice of a captured message says such things, too.
func (w *Webhook) conflict(ctx context.Context, rec *record) *Refusal {
	d := rec.delivery
	rec.result = ResultDuplicate
	refusal := w.confirm(ctx, d)
	switch {
	case refusal != nil && (refusal.Reason == ReasonAskFailed || refusal.Reason == ReasonPanic):
		return refusal // it is asked again with the next delivery
	case refusal != nil:
		rec.doubt = refusal.Reason
	case d.Answer != nil && d.Answer.BizpayOrderID != "" && d.Answer.BizpayOrderID != d.BizpayOrderID:
		rec.doubt = ReasonBizpayOrderID
	default:
		rec.result = ResultConflict
	}
	return nil
}
