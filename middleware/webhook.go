package middleware

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

const (
	maxCallback    = 64 << 10
	maxRoom        = 4 << 10 // of a body's buffer that is used again
	defaultTimeout = 10 * time.Second
	defaultLease   = 30 * time.Second
	readTimeout    = 10 * time.Second
	confirmTimeout = 5 * time.Second
)

// Validator is implemented by *validator.Validate.
type Validator interface {
	StructCtx(ctx context.Context, s any) error
}

// Admit turns strangers away before any cryptography. Package limit implements
// it. It is told of failed authentications only.
type Admit interface {
	Allow(r *http.Request) bool
	Penalise(r *http.Request)
}

// Journal keeps what came, sealed as it came. Package dedupe has one for SQL.
type Journal interface {
	Append(ctx context.Context, merchantID string, body []byte, id dedupe.ID) error
}

// Config is what [New] makes a [Webhook] of.
type Config struct {
	// Keys finds the sign keys. Required.
	Keys Keys
	// Store decides which delivery is handled. Required. dedupe.Memory serves
	// one process and forgets with it.
	Store dedupe.Store
	// Validator checks the decoded notification by its struct tags. Required;
	// ottpay.NewWebhook fills it in.
	Validator Validator

	// Merchant is whose callback it is when the callback names no merchant.
	// If empty, such a callback is malformed.
	Merchant string
	// Expect returns the amount that the shop expects for an order, in cents.
	// A notification of another amount is then left, with an alarm, and so is
	// every notification for which Expect fails, as it should for an order
	// that is not known (it may be written a moment later). It runs under the
	// claim, with the handler's context, in which [FromContext] finds the
	// delivery: a checkout is found by its own id, since OTT Pay makes up the
	// order's. A notification of another kind than paid is then left, too, for
	// the handler would take it for a payment, unless it is received as an
	// [api.CardNotification], whose handler looks at the status. If nil,
	// comparing is the handler's business: [Delivery.Matches].
	Expect func(ctx context.Context, orderID string) (field.Cents, error)
	// OrderIDLength is the length of the shortest and of the longest order id
	// that the shop gives out. A notification of another one is then suspect
	// ([Delivery.Suspect]), which closes what is left of splicing order ids
	// if the two are less than 16 apart. If zero, 10 to 25 are usual and no
	// more than a hint: an id of another length alone makes nothing suspect.
	OrderIDLength [2]int
	// Asker asks the gateway before a notification is believed. If nil, the
	// handler runs on the callback's word, and a callback whose rsp_code,
	// which nothing authenticates, is not SUCCESS is left.
	Asker Asker
	// AskWindow is how long an answer of the Asker, or its error, serves every
	// notification of the order: however many come, one query is put per
	// window, and one at a time. [Webhook.Settle] has windows of its own. If
	// negative, there is no window, and one at a time remains. Defaults to 10 s.
	AskWindow time.Duration
	// AskLimiter holds the Asker's queries back, beside the client's own
	// limiter, so that callbacks cannot use up what payments need. If nil,
	// nothing does.
	AskLimiter Limiter
	// Identify computes the identity under which a delivery is claimed. If
	// nil, it is merchant, order and kind, with the amount and the channel's
	// id beside it; see [dedupe.Identify].
	// What it rests on must be the same for a callback and for a query that
	// reports the same payment ([SourceQuery]: OrderID, Amount and Kind), or
	// [Webhook.Settle] handles it again.
	Identify func(d *Delivery) dedupe.ID
	// Journal keeps every claimed delivery, sealed as it came, before the
	// handler runs. If nil, none is kept.
	Journal Journal

	// Acknowledgement is what the gateway is told after the work is kept.
	Acknowledgement Acknowledgement
	// Timeout bounds Expect, Asker and handler together: their context ends
	// then. It does not end when the gateway goes away. Defaults to 10 s.
	Timeout time.Duration
	// Lease is how long a claim is held when its owner dies. It must exceed
	// Timeout. Defaults to 30 s.
	Lease time.Duration

	// Admit holds back sources that keep failing to authenticate. If nil,
	// none is held back.
	Admit Admit
	// OnRefused is told of every delivery that was not acknowledged. It runs
	// before the answer is written; it must be quick and safe for concurrent
	// use. An authentic one ([Refusal.Authentic]) deserves an alarm: money may
	// be waiting. If nil, the log has it all the same.
	OnRefused func(ctx context.Context, r *Refusal)
	// OnConflict is told of a finished notification that came again with
	// another amount or another channel's id: the payer may have paid twice.
	// It is acknowledged. If nil, the log has it all the same.
	OnConflict func(ctx context.Context, d *Delivery)
	// Observer is told of every delivery. If nil, nobody is.
	Observer Observer
	// Logger gets one line per delivery; those about forged traffic are
	// sampled. If nil, slog.Default() is used.
	Logger *slog.Logger
	// Now is the clock of logs, metrics, AskWindow and [Reconciler]. If nil, time.Now is used.
	Now func() time.Time
}

// Webhook is the endpoint that OTT Pay posts its callbacks to. It is safe for
// concurrent use.
//
// It acknowledges a delivery only after the handler's work is kept, and hands
// each notification to the handler once, as far as its [dedupe.Store] can
// promise that.
type Webhook struct {
	cfg       Config
	decoy     envelope.Key // opened in place of an unknown merchant's
	suspicion suspicion
	bodies    sync.Pool // of *[]byte
	forged    *sampler
	gate      gate
}

// New checks cfg and returns a Webhook. ottpay.NewWebhook also fills in the
// Validator.
func New(cfg Config) (*Webhook, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Lease == 0 {
		cfg.Lease = max(defaultLease, 3*cfg.Timeout)
	}
	if cfg.Acknowledgement.Body == "" {
		cfg.Acknowledgement.Body = "SUCCESS"
	}
	if cfg.Acknowledgement.ContentType == "" {
		cfg.Acknowledgement.ContentType = plainText
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Identify == nil {
		cfg.Identify = identify
	}
	if cfg.AskWindow == 0 {
		cfg.AskWindow = defaultAskWindow
	}
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("middleware: Config.Keys is nil: who may send callbacks?")
	case cfg.Store == nil:
		return nil, errors.New("middleware: Config.Store is nil: redeliveries would be handled again")
	case cfg.Validator == nil:
		return nil, errors.New("middleware: Config.Validator is nil: use ottpay.NewWebhook, or validate.New()")
	case cfg.OrderIDLength[0] < 0 || cfg.OrderIDLength[1] < cfg.OrderIDLength[0]:
		return nil, errors.New("middleware: Config.OrderIDLength is not a shortest and a longest length")
	case cfg.Timeout < 0:
		return nil, errors.New("middleware: Config.Timeout is negative")
	case cfg.Lease <= cfg.Timeout:
		return nil, errors.New("middleware: Config.Lease must exceed Config.Timeout: a handler would outlive its claim")
	}
	decoy, err := envelope.NewKey(rand.Text())
	if err != nil {
		return nil, err
	}
	if cfg.Asker != nil {
		cfg.Asker = &askOnce{
			asker: cfg.Asker, limiter: cfg.AskLimiter,
			window: cfg.AskWindow, timeout: cfg.Timeout,
			now: cfg.Now, most: maxAsked,
			asked: make(map[question]*asking),
		}
	}
	return &Webhook{
		cfg:       cfg,
		decoy:     decoy,
		suspicion: suspicion{orderID: usualOrderID(cfg.OrderIDLength)},
		forged:    &sampler{most: 10, window: 10 * time.Second, now: cfg.Now},
	}, nil
}

func identify(d *Delivery) dedupe.ID {
	return dedupe.Identify(d.Merchant, d.OrderID, d.Kind, d.Amount.String(), d.BizpayOrderID)
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
		return nil, &Refusal{Status: http.StatusMethodNotAllowed, Reason: "method", result: ResultRefused}
	}
	if w.cfg.Admit != nil && !w.cfg.Admit.Allow(r) {
		return nil, &Refusal{Status: http.StatusTooManyRequests, Reason: "limited", result: ResultLimited}
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
		return d, (&Refusal{Status: http.StatusServiceUnavailable, Reason: "schema", Err: err, result: ResultLeft}).about(d)
	}
	d.suspicion = &w.suspicion
	_, d.statusSeen = into.(*api.CardNotification)
	d.ID = w.cfg.Identify(d)
	return d, nil
}

// readBody reads the body once, bounded in size and time, into room.
func readBody(rw http.ResponseWriter, r *http.Request, room *[]byte) ([]byte, *Refusal) {
	if r.ContentLength > maxCallback {
		return nil, tooLarge()
	}
	if r.Body == nil {
		return nil, nil
	}
	end := deadline(rw, r)
	body, err := readInto(*room, http.MaxBytesReader(innermost(rw), r.Body, maxCallback), r.ContentLength)
	end(err == nil)
	if cap(body) <= maxRoom {
		*room = body
	}
	var tooLong *http.MaxBytesError
	switch {
	case err == nil && len(body) == 0 && r.ContentLength != 0,
		errors.Is(err, http.ErrBodyReadAfterClose):
		// The server itself would have said unexpected EOF. A chunked body
		// may have been empty from the start; nothing is lost by asking for
		// it again.
		return nil, &Refusal{
			Status: http.StatusServiceUnavailable, Reason: "body-consumed", result: ResultFailed,
			Err: errors.New("something in front of the webhook has read the request's body; mount the webhook before it"),
		}
	case err == nil:
		return body, nil
	case errors.As(err, &tooLong):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded), r.Context().Err() != nil:
		return nil, &Refusal{Status: http.StatusRequestTimeout, Reason: "body-slow", result: ResultRefused}
	}
	return nil, &Refusal{Status: http.StatusBadRequest, Reason: "body-unreadable", result: ResultRefused}
}

// deadline bounds how long the body may take, where the connection can: by
// readTimeout, and by the request's context if that ends earlier. end lifts it
// again if the body was read; if it was not, it stays, so that the server does
// not wait for the rest.
func deadline(rw http.ResponseWriter, r *http.Request) (end func(read bool)) {
	nothing := func(bool) {}
	if rw == nil {
		return nothing
	}
	rc := http.NewResponseController(rw)
	if rc.SetReadDeadline(time.Now().Add(readTimeout)) != nil {
		return nothing
	}
	passed := make(chan struct{})
	stop := context.AfterFunc(r.Context(), func() {
		_ = rc.SetReadDeadline(time.Unix(1, 0))
		close(passed)
	})
	return func(read bool) {
		if !stop() {
			<-passed // it must not meet the connection's next request
		}
		if read {
			_ = rc.SetReadDeadline(time.Time{})
		}
	}
}

// innermost is the server's own writer below those of routers and middleware.
// By it alone http.MaxBytesReader can have the connection closed.
func innermost(rw http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := rw.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return rw
		}
		rw = u.Unwrap()
	}
}

func tooLarge() *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Reason: "body-too-large", result: ResultRefused}
}

// readInto is io.ReadAll into room, which is made as large as the sender says
// that it must be.
func readInto(room []byte, r io.Reader, length int64) ([]byte, error) {
	b := room[:0]
	if need := int(max(512, length+1)); cap(b) < need { // one more, to meet the end
		b = make([]byte, 0, need)
	}
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

// open reads the envelope and opens it under one of the merchant's keys, and
// makes the checks that tell a callback from any other message under the same
// key. They are written out here, so that no validator and no schema can lose
// them.
func (w *Webhook) open(ctx context.Context, body []byte) (*Delivery, *Refusal) {
	outer, err := envelope.ReadResponse(body)
	if err != nil {
		return nil, &Refusal{Status: http.StatusBadRequest, Reason: envelope.Reason(err), result: ResultRefused}
	}
	merchant := outer.MerchantID // it selects a key and proves nothing
	if merchant == "" {
		merchant = w.cfg.Merchant
	}
	if merchant == "" {
		return nil, &Refusal{Status: http.StatusBadRequest, Reason: "no-merchant", result: ResultRefused}
	}
	var keys []envelope.Key
	if merchant == w.cfg.Merchant || isMerchant(merchant) {
		keys, err = w.cfg.Keys.Keys(ctx, merchant)
	}
	if err != nil {
		return nil, &Refusal{Status: http.StatusServiceUnavailable, Reason: "keys-unavailable", Err: err, result: ResultFailed}
	}
	reason := ""
	if len(keys) == 0 {
		reason, keys = "unknown-merchant", []envelope.Key{w.decoy} // takes as long as a wrong key
	}
	var payload envelope.Payload
	opened := 0
	for opened = range keys {
		if payload, err = keys[opened].Open(outer.Sealed); err == nil {
			break
		}
	}
	if err != nil || reason != "" {
		if reason == "" {
			reason = envelope.Reason(err)
		}
		return nil, &Refusal{Status: http.StatusUnauthorized, Reason: reason, result: ResultRefused, spend: true}
	}
	d := &Delivery{
		Source: SourceCallback, Merchant: merchant, KeyIndex: opened, Payload: payload,
		Claimed: Claimed{api.Code(outer.Code), outer.Message, outer.MerchantID},
	}
	if w.cfg.Journal != nil {
		d.sealed = bytes.Clone(body)
	}
	if reason := d.read(); reason != "" {
		return nil, (&Refusal{Status: http.StatusBadRequest, Reason: reason, result: ResultRefused}).about(d)
	}
	return d, nil
}

// isMerchant reports whether id may be a merchant's. A stranger has written it,
// and Keys may look it up in a database, which fails at some texts (a NUL in
// PostgreSQL): that would be told as an outage, each time.
func isMerchant(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= 64
}

// read takes what identifies a callback from the verified payload and returns
// the name of what is missing. No request and no response of the gateway has a
// finish_time: this is what a replayed one fails at.
func (d *Delivery) read() (missing string) {
	p := d.Payload
	d.OrderID, d.BizpayOrderID = text(p, "order_id"), text(p, "bizpay_order_id")
	d.FinishTime = field.Time(text(p, "finish_time"))
	d.Kind = kindOf(text(p, "order_status")) // what else it may be is the schema's business
	amount, _ := p.Member("amount")
	switch {
	case !d.isFor(p):
		return "merchant"
	case d.OrderID == "":
		return "order_id"
	case d.BizpayOrderID == "":
		return "bizpay_order_id"
	case d.FinishTime == "":
		return "finish_time"
	case d.Amount.UnmarshalJSON(amount) != nil:
		return "amount"
	}
	return ""
}

// isFor reports whether the payload names no merchant, or d's.
func (d *Delivery) isFor(p envelope.Payload) bool {
	value, ok := p.Member("merchant_id")
	if !ok || string(value) == "null" {
		return true
	}
	plain := len(value) == len(d.Merchant)+2 && value[0] == '"' && string(value[1:len(value)-1]) == d.Merchant
	return plain || text(p, "merchant_id") == d.Merchant && d.Merchant != ""
}

// text returns a member's string, "" if it is missing or something else.
func text(p envelope.Payload, name string) string {
	value, _ := p.Member(name)
	switch {
	case len(value) == 0 || value[0] != '"':
		return ""
	case bytes.IndexByte(value, '\\') < 0:
		return string(value[1 : len(value)-1])
	}
	var s string
	if json.Unmarshal(value, &s) != nil { // which cannot be: it was verified
		return ""
	}
	return s
}

// decode turns the payload into its generated type and validates it, and into
// what the handler wants, if that is another one.
func (w *Webhook) decode(ctx context.Context, d *Delivery, into any) error {
	n, wanted := into.(*api.Notification)
	if !wanted {
		n = new(api.Notification)
	}
	d.Notification = n
	if err := w.decodeInto(ctx, d, n); err != nil || wanted || into == nil {
		return err
	}
	return w.decodeInto(ctx, d, into)
}

func (w *Webhook) decodeInto(ctx context.Context, d *Delivery, v any) error {
	if u, ok := v.(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON(d.Payload.JSON); err != nil {
			return err
		}
	} else if err := json.Unmarshal(d.Payload.JSON, v); err != nil {
		return misfit(err, v)
	}
	return w.cfg.Validator.StructCtx(ctx, v)
}

// misfit says why a payload does not fit the shop's own type. The standard
// library's words quote values, and so may those of what it calls, as
// time.Time's do.
func misfit(err error, v any) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("member %s does not fit a %s", mismatch.Field, mismatch.Type)
	}
	return fmt.Errorf("a member does not fit its field of %T", v)
}

// work is the rest of the path: claim, believe, handle, confirm. It returns
// nil when the delivery may be acknowledged. handle runs under the claim, at
// most once. If it panics, the claim is released, panicked is told, and the
// panic goes on.
func (w *Webhook) work(ctx context.Context, d *Delivery, rec *record, handle func(context.Context) error, panicked func(*Refusal)) *Refusal {
	if w.cfg.Asker == nil && d.Claimed.Code.Class() != api.ClassSuccess {
		// Nothing authenticates the code, so it makes nothing paid and
		// nothing failed. Without a query nobody can decide.
		return left("code", nil).about(d)
	}
	if w.cfg.Asker == nil {
		if word := d.Suspect(); word != "" {
			return left("suspect", errors.New("cipher blocks may have been moved: "+word)).about(d)
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
		return (&Refusal{Status: http.StatusServiceUnavailable, Reason: "in-flight", result: ResultInFlight}).about(d)
	case err != nil:
		return failed("store", err).about(d)
	}

	refusal := failed("panic", nil) // unless what follows returns
	defer func() {
		if refusal == nil {
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
		defer cancel()
		if err := claim.Release(end); err != nil {
			rec.release = err // its lease ends it
		}
		if refusal.Reason == "panic" {
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
			return failed("journal", err)
		}
	}
	if refusal := w.believe(ctx, work, d); refusal != nil {
		return refusal
	}
	start := w.cfg.Now()
	err := handle(work)
	rec.handler = w.cfg.Now().Sub(start)
	if err != nil {
		return failed("handler", err)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	switch err := claim.Confirm(end); {
	case errors.Is(err, dedupe.ErrLost):
		return failed("claim-lost", err)
	case err != nil:
		return failed("store", err)
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
			return left("not-expected", err)
		}
		if !d.Paid() && !d.statusSeen {
			return left("kind", nil)
		}
		if !d.amountIs(expected) {
			return left("amount-mismatch", nil)
		}
	}
	if w.cfg.Asker == nil || d.Answer != nil { // nobody to ask, or asked already
		return nil
	}
	// Not under work: others share the query, and it may outlive the claim
	// and its transaction.
	answer, err := w.cfg.Asker.Ask(ctx, d)
	if err != nil {
		return left("ask-failed", err)
	}
	d.Answer = &answer
	if reason := answer.disbelief(d); reason != "" {
		return left(reason, nil)
	}
	if w.cfg.Expect != nil && !d.amountIs(expected) { // by what is confirmed
		return left("amount-mismatch", nil)
	}
	return nil
}

// left is an authentic delivery that is not believed, failed one that could
// not be finished. Both are to be sent again.
func left(reason string, err error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Reason: reason, Err: err, result: ResultLeft}
}

func failed(reason string, err error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Reason: reason, Err: err, result: ResultFailed}
}

// payloadRequest is the request that a handler sees: the decrypted JSON is its
// body.
func payloadRequest(ctx context.Context, r *http.Request, d *Delivery) *http.Request {
	r = r.Clone(ctx)
	r.Body = io.NopCloser(bytes.NewReader(d.Payload.JSON))
	r.ContentLength = int64(len(d.Payload.JSON))
	r.TransferEncoding = nil
	r.Header.Set("Content-Type", "application/json")
	r.Header.Del("Content-Length")
	r.Header.Del("Content-Encoding")
	return r
}
