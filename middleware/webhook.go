package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/splice"
)

// Webhook is the endpoint that OTT Pay posts its callbacks to. It is safe for
// concurrent use.
//
// It acknowledges a delivery only after the handler's work is kept, and hands
// each notification to the handler once, as far as its [dedupe.Store] can
// promise that.
type Webhook struct {
	cfg     Config
	decoy   envelope.Key // opened in place of an unknown merchant's
	splices *splice.Detector
	bodies  sync.Pool // of *[]byte
	forged  *sampler
	gate    gate
}

// Handler returns middleware in front of next, for a router that has a handler
// already: next finds the decrypted JSON as the request's body and the
// [Delivery] in its context. A status below 300, or none, says that its work is
// kept. What else it writes is not sent.
func (w *Webhook) Handler(next http.Handler) http.Handler {
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
// shop's own with json and validate tags. A notification that does not fit T is
// left, with an alarm.
func Handle[T any](w *Webhook, fn func(context.Context, *T) error) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		Receive(w, rw, r, func(_ http.ResponseWriter, r *http.Request, v *T) error {
			return fn(r.Context(), v)
		})
	})
}

// Receive is [Webhook.Do] for an fn that takes the notification as T, as
// [Handle] does. It is there for adapters.
func Receive[T any](w *Webhook, rw http.ResponseWriter, r *http.Request, fn func(http.ResponseWriter, *http.Request, *T) error) {
	v := new(T)
	w.serve(rw, r, v, func(rw http.ResponseWriter, r *http.Request) error { return fn(rw, r, v) })
}

// Do is the core that Handler, Handle and the adapters stand on. It checks r,
// claims it, runs fn and writes the answer to rw: exactly one, also when fn
// panics, in which case the panic goes on. fn gets the request that a handler
// may see and a writer that keeps a status and swallows the rest; an error or
// a status of 300 and more says that its work is not kept.
func (w *Webhook) Do(rw http.ResponseWriter, r *http.Request, fn func(http.ResponseWriter, *http.Request) error) {
	w.serve(rw, r, nil, fn)
}

// serve is a callback's path. into is what the payload is decoded into besides
// the notification, or nil.
func (w *Webhook) serve(rw http.ResponseWriter, r *http.Request, into any, fn func(http.ResponseWriter, *http.Request) error) {
	rec := w.begin(&r)
	if !w.gate.enter() {
		w.refused(rw, r, rec, shuttingDown())
		return
	}
	defer w.gate.leave()

	d, refusal := w.check(rw, r, into)
	rec.delivery = d
	if refusal != nil {
		w.refused(rw, r, rec, refusal)
		return
	}
	refusal = w.work(r.Context(), d, rec, func(ctx context.Context) error {
		answer := &statusWriter{header: make(http.Header)}
		if err := fn(answer, payloadRequest(ctx, r, d)); err != nil {
			return err
		}
		if !answer.ok() {
			return fmt.Errorf("%w: %d", errHandlerStatus, answer.status)
		}
		return nil
	}, func(refusal *Refusal) { // the handler panics: answer on its way out
		w.refused(rw, r, rec, refusal)
		_ = http.NewResponseController(rw).Flush() // net/http drops what is not flushed
	})
	if refusal != nil {
		w.refused(rw, r, rec, refusal)
		return
	}
	rec.end(w, r.Context(), http.StatusOK)
	w.acknowledge(rw)
}

// Check only looks: it reads r's body and opens, verifies, decodes and
// validates it. It touches no store and no network beyond [Keys], and it
// answers nothing. The error is a *[Refusal].
func (w *Webhook) Check(r *http.Request) (*Delivery, error) {
	d, refusal := w.check(nil, r, nil)
	if refusal != nil {
		return nil, refusal
	}
	return d, nil
}

// check is steps one to five of docs/protocol.md 8.2. The delivery that it
// returns beside a refusal is authentic.
func (w *Webhook) check(rw http.ResponseWriter, r *http.Request, into any) (*Delivery, *Refusal) {
	if r.Method != http.MethodPost {
		return nil, &Refusal{Status: http.StatusMethodNotAllowed, Reason: ReasonMethod, result: ResultRefused}
	}
	if w.cfg.Admit != nil && !w.cfg.Admit.Allow(r) {
		return nil, &Refusal{Status: http.StatusTooManyRequests, Reason: ReasonLimited, result: ResultLimited}
	}
	room, ok := w.bodies.Get().(*[]byte)
	if !ok {
		room = new([]byte)
	}
	defer w.bodies.Put(room) // nothing of the body is kept
	body, refusal := readBody(rw, r, room)
	if refusal != nil {
		return nil, refusal
	}
	d, refusal := w.receive(r.Context(), body, into)
	if refusal != nil && refusal.spend && w.cfg.Admit != nil {
		w.cfg.Admit.Penalise(r)
	}
	return d, refusal
}

// receive is steps two to five, for a body that has been read.
func (w *Webhook) receive(ctx context.Context, body []byte, into any) (*Delivery, *Refusal) {
	d, refusal := w.open(ctx, body)
	if refusal != nil {
		return nil, refusal
	}
	if err := w.decode(ctx, d, into); err != nil {
		// It is authentic: the vendor may have changed a field, and a payment
		// refused for good would be lost.
		return d, (&Refusal{Status: http.StatusServiceUnavailable, Reason: ReasonSchema, Err: err, result: ResultDeferred}).about(d)
	}
	d.splices = w.splices
	_, d.statusSeen = into.(*api.CardNotification)
	d.ID = w.cfg.Identify(d)
	return d, nil
}

// work is the rest of the path: claim, believe, handle, confirm. It returns
// nil when the delivery may be acknowledged. handle runs under the claim, at
// most once. If it panics, the claim is released, panicked is told, and the
// panic goes on.
func (w *Webhook) work(ctx context.Context, d *Delivery, rec *record, handle func(context.Context) error, panicked func(*Refusal)) *Refusal {
	if w.cfg.Asker == nil && d.Claimed.Code.Class() != api.ClassSuccess {
		// Nothing authenticates the code, so it makes nothing paid and
		// nothing failed. Without a query nobody can decide.
		return deferred(ReasonCode, nil).about(d)
	}
	if w.cfg.Asker == nil {
		if sign := d.SpliceSign(); sign != "" {
			return deferred(ReasonPossibleSplice, errors.New("cipher blocks may have been moved: "+sign)).about(d)
		}
	}
	// The gateway may go away; what was begun is ended all the same.
	ctx = context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()

	claim, err := w.cfg.Store.Claim(ctx, d.ID, w.cfg.Lease)
	switch {
	case errors.Is(err, dedupe.ErrConflict):
		rec.result = ResultConflict
		if w.cfg.OnConflict != nil {
			w.cfg.OnConflict(ctx, d)
		}
		return nil
	case errors.Is(err, dedupe.ErrDone):
		rec.result = ResultDuplicate
		return nil
	case errors.Is(err, dedupe.ErrInFlight):
		return (&Refusal{Status: http.StatusServiceUnavailable, Reason: ReasonInFlight, result: ResultInFlight}).about(d)
	case err != nil:
		return failed(ReasonStore, err).about(d)
	}

	refusal := failed(ReasonPanic, nil) // unless what follows returns
	defer func() {
		if refusal == nil {
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
		defer cancel()
		if err := claim.Release(end); err != nil {
			rec.release = err // its lease ends it
		}
		if refusal.Reason == ReasonPanic {
			panicked(refusal.about(d))
		}
	}()
	if refusal = w.handle(ctx, claim, d, rec, handle); refusal != nil {
		return refusal.about(d)
	}
	rec.result = ResultHandled
	return nil
}

// handle runs under the claim and returns nil when the claim is confirmed.
func (w *Webhook) handle(ctx context.Context, claim dedupe.Claim, d *Delivery, rec *record, handle func(context.Context) error) *Refusal {
	work := withDelivery(ctx, d)
	if c, ok := claim.(dedupe.Contexter); ok {
		work = c.Context(work)
	}
	if w.cfg.Journal != nil && d.Source == SourceCallback {
		if err := w.cfg.Journal.Append(ctx, d.Merchant, d.sealed, d.ID); err != nil {
			return failed(ReasonJournal, err)
		}
	}
	if refusal := w.believe(ctx, work, d); refusal != nil {
		return refusal
	}
	start := w.cfg.Now()
	err := handle(work)
	rec.handler = w.cfg.Now().Sub(start)
	if err != nil {
		return failed(ReasonHandler, err)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	switch err := claim.Confirm(end); {
	case errors.Is(err, dedupe.ErrLost):
		return failed(ReasonClaimLost, err)
	case err != nil:
		return failed(ReasonStore, err)
	}
	return nil
}

// believe compares the notification with what the shop expects, who is asked
// under work, and with what the gateway says when it is asked.
func (w *Webhook) believe(ctx, work context.Context, d *Delivery) *Refusal {
	var expected field.Cents
	if w.cfg.Expect != nil {
		var err error
		if expected, err = w.cfg.Expect(work, d.OrderID); err != nil {
			return deferred(ReasonNotExpected, err)
		}
		if !d.Paid() && !d.statusSeen {
			return deferred(ReasonKind, nil)
		}
		if !d.amountIs(expected) {
			return deferred(ReasonAmountMismatch, nil)
		}
	}
	if w.cfg.Asker == nil || d.Answer != nil { // nobody to ask, or asked already
		return nil
	}
	// Not under work: others share the query, and it may outlive the claim
	// and its transaction.
	answer, err := w.cfg.Asker.Ask(ctx, d)
	if err != nil {
		return deferred(ReasonAskFailed, err)
	}
	d.Answer = &answer
	if reason := answer.mismatch(d); reason != "" {
		return deferred(reason, nil)
	}
	if w.cfg.Expect != nil && !d.amountIs(expected) { // by what is confirmed
		return deferred(ReasonAmountMismatch, nil)
	}
	return nil
}
