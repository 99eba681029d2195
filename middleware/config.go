package middleware

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/internal/splice"
)

const (
	defaultTimeout = 10 * time.Second
	defaultLease   = 30 * time.Second
)

// Validator is implemented by *validator.Validate.
type Validator interface {
	// StructCtx checks a struct by its tags.
	StructCtx(ctx context.Context, s any) error
}

// SourceLimiter turns away sources that keep failing to authenticate, before
// any cryptography. A *limit.Limiter is one. It may have a method
// Source(*http.Request) (netip.Addr, bool), which names the source of a request
// behind the shop's proxies. Implementations are safe for concurrent use.
type SourceLimiter interface {
	// Allow reports whether a request of this source may be looked at.
	Allow(r *http.Request) bool
	// Penalise is called for each request that failed to authenticate.
	Penalise(r *http.Request)
}

// Journal keeps authentic deliveries, sealed as they came. A *journal.SQL is one.
// Implementations are safe for concurrent use.
type Journal interface {
	// Append keeps a delivery. An error defers it. A delivery that comes again
	// has the same id, and need not be kept twice.
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

	// Merchant is the merchant of a callback that names none. If empty, such a
	// callback is malformed.
	Merchant string
	// Expect returns the amount in cents that the shop expects for an order. The
	// delivery is deferred if the amount differs, if Expect fails (the order may be
	// written a moment later), and if the notification is of another kind than paid,
	// unless it is received as an [api.CardNotification].
	//
	// It runs before the claim, without a transaction. [FromContext] finds the
	// delivery in its context. If nil, the handler compares: [Delivery.Matches]. See
	// docs/guides/receive.md, "The amount".
	Expect func(ctx context.Context, orderID string) (field.Cents, error)
	// OrderIDLength is the length of the shortest and of the longest order id
	// that the shop gives out. An id of another length is then a sign of a
	// splice ([Delivery.SpliceSign]). If the two are less than 16 apart, no order
	// id can gain or lose a block unnoticed. If zero, 10 to 25 are usual, and an
	// id of another length alone is no sign.
	OrderIDLength [2]int
	// Asker asks the gateway before a notification is believed; the client of
	// package ottpay is one. Required, unless InsecureTrustCallback is set.
	Asker Asker
	// InsecureTrustCallback runs the handler on the callback's word alone, without
	// an Asker. The protocol authenticates only part of that word: "paid" rests on
	// a member that nothing binds to the sign key, and a party that has captured
	// callbacks can rearrange them (SECURITY.md). A callback whose rsp_code is not
	// SUCCESS, or that shows a [Delivery.SpliceSign], is deferred.
	InsecureTrustCallback bool
	// AskWindow is how long an answer of the Asker serves the notifications that
	// it confirms. An answer that does not confirm a notification, or an error, is
	// asked for again after less than a second. However many notifications come
	// for an order, one query runs at a time. [Webhook.Settle] has windows of its
	// own. If negative, no answer serves twice. Defaults to 10 s.
	AskWindow time.Duration
	// AskLimiter holds the Asker's queries back, beside the client's own
	// limiter, so that callbacks cannot use up what payments need. If nil,
	// nothing does.
	AskLimiter Limiter
	// Identify computes the identity under which a delivery is claimed. A callback
	// and a query ([SourceQuery]) that report the same payment must have the same
	// Key; the Mark of a query's is ignored. If nil, that of docs/inbound.md,
	// "Identity", made by [dedupe.Identify].
	Identify func(d *Delivery) dedupe.ID
	// Journal keeps every claimed delivery, sealed as it came, before the
	// handler runs. If nil, none is kept.
	Journal Journal

	// Acknowledgement is what the gateway is told after the work is kept.
	Acknowledgement Acknowledgement
	// Timeout bounds Expect, Asker, claim and handler together: their context
	// ends then. It does not end when the gateway goes away. Defaults to 10 s.
	Timeout time.Duration
	// Lease is how long a claim is held when its owner dies. It must exceed
	// Timeout. Defaults to 30 s or three times Timeout, whichever is longer.
	Lease time.Duration
	// ConfirmTimeout bounds the confirmation of the claim after the handler has
	// returned, with its repetitions. A longer time survives a longer restart of
	// the database. Defaults to 15 s.
	ConfirmTimeout time.Duration

	// SourceLimiter holds back sources that keep failing to authenticate. If nil,
	// none is held back.
	SourceLimiter SourceLimiter
	// OnRefused is told of deliveries that were not acknowledged. It runs before
	// the answer is written; it must be quick and safe for concurrent use. An
	// authentic one ([Refusal.Authentic]) deserves an alarm: money may be waiting.
	// When one notification is refused for one reason again and again, it is told
	// three times a minute, as the log is. If nil, only the log has it.
	OnRefused func(ctx context.Context, r *Refusal)
	// OnConflict is told of a finished notification that came again with another
	// amount or another channel's id, if the gateway confirms it: the payer may
	// have paid twice. It is acknowledged. If nil, only the log has it.
	OnConflict func(ctx context.Context, d *Delivery)
	// Observer receives one event per delivery. Optional.
	Observer Observer
	// Logger gets one line per delivery; those about forged traffic are
	// sampled. If nil, slog.Default() is used.
	Logger *slog.Logger
	// Now is the clock of logs, metrics, AskWindow and [Reconciler]. If nil, time.Now is used.
	Now func() time.Time
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
	if cfg.AskWindow == 0 {
		cfg.AskWindow = defaultAskWindow
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("middleware: %w", err)
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
		cfg:      cfg,
		decoy:    decoy,
		splices:  splice.New(cfg.OrderIDLength),
		bracket:  dedupe.Bracket{Lease: cfg.Lease, Timeout: -1, ConfirmTimeout: cfg.ConfirmTimeout}, // the context has the time-out
		accepted: newReply(http.StatusOK, cfg.Acknowledgement.ContentType, cfg.Acknowledgement.Body),
		refusals: newRefusals(),
	}, nil
}

// check returns what is wrong with cfg, after its defaults are filled in.
func (cfg *Config) check() error {
	for _, part := range []struct {
		name     string
		value    any
		required string // why
	}{
		{"Keys", cfg.Keys, "who may send callbacks?"},
		{"Store", cfg.Store, "redeliveries would be handled again"},
		{"Validator", cfg.Validator, "use ottpay.NewWebhook, or validate.New()"},
		{"Asker", cfg.Asker, ""},
		{"AskLimiter", cfg.AskLimiter, ""},
		{"Journal", cfg.Journal, ""},
		{"SourceLimiter", cfg.SourceLimiter, ""},
		{"Observer", cfg.Observer, ""},
	} {
		switch {
		case part.value == nil && part.required != "":
			return fmt.Errorf("Config.%s is nil: %s", part.name, part.required)
		case isNil(part.value):
			return fmt.Errorf("Config.%s is a nil %T", part.name, part.value)
		}
	}
	switch {
	case cfg.Asker == nil && !cfg.InsecureTrustCallback:
		return errors.New("Config.Asker is nil: callbacks are believed only if the gateway confirms them. Set it to the client; for a unit test, to ottpaytest.Asker{}")
	case cfg.Asker != nil && cfg.InsecureTrustCallback:
		return errors.New("Config.InsecureTrustCallback is set beside an Asker")
	case cfg.Merchant != "" && !isMerchant(cfg.Merchant):
		return errors.New("Config.Merchant is no merchant id: it is too long, or holds white space or non-ASCII text")
	case cfg.OrderIDLength[0] < 0 || cfg.OrderIDLength[1] < cfg.OrderIDLength[0]:
		return errors.New("Config.OrderIDLength is not a shortest and a longest length")
	case cfg.Timeout < 0:
		return errors.New("Config.Timeout is negative")
	case cfg.ConfirmTimeout < 0:
		return errors.New("Config.ConfirmTimeout is negative")
	case cfg.Lease <= cfg.Timeout:
		return errors.New("Config.Lease must exceed Config.Timeout: a handler would outlive its claim")
	case strings.ContainsFunc(cfg.Acknowledgement.ContentType, unicode.IsControl):
		return errors.New("Config.Acknowledgement.ContentType is no header's value")
	case cfg.Logger.Handler() == nil:
		return errors.New("Config.Logger has no handler")
	}
	if keys, ok := cfg.Keys.(StaticKeys); ok {
		return keys.Check(cfg.Merchant)
	}
	return nil
}

// isNil reports whether v is a nil pointer, map, func or the like in an
// interface that is not nil.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Chan, reflect.Func, reflect.Map, reflect.Pointer, reflect.Slice:
		return r.IsNil()
	}
	return false
}

// identify returns the identity of d. What a query told has no mark: the
// gateway may spell the channel's id and the amount otherwise there, and two
// spellings of one payment are no conflict.
func (w *Webhook) identify(d *Delivery) dedupe.ID {
	if w.cfg.Identify == nil {
		if d.Source == SourceQuery {
			return dedupe.Identify(d.Merchant, d.OrderID, d.Kind)
		}
		return dedupe.Identify(d.Merchant, d.OrderID, d.Kind, d.Amount.String(), d.BizpayOrderID)
	}
	id := w.cfg.Identify(d)
	if d.Source == SourceQuery {
		id.Mark = [32]byte{}
	}
	return id
}
