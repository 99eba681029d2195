package middleware

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/internal/splice"
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
	// that the shop gives out. An id of another length is then a sign of a
	// splice ([Delivery.SpliceSign]). If the two are less than 16 apart, no order
	// id can gain or lose a block unnoticed. If zero, 10 to 25 are usual, and an
	// id of another length alone is no sign.
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
		cfg:     cfg,
		decoy:   decoy,
		splices: splice.New(cfg.OrderIDLength),
		forged:  &sampler{most: 10, window: 10 * time.Second, now: cfg.Now},
	}, nil
}

func identify(d *Delivery) dedupe.ID {
	return dedupe.Identify(d.Merchant, d.OrderID, d.Kind, d.Amount.String(), d.BizpayOrderID)
}
