package ottpaywatermill

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	defaultTimeout = 10 * time.Second
	defaultLease   = 30 * time.Second
	confirmTimeout = 5 * time.Second
)

// ErrMessage says that a message is not one of [NewMessage], or that its payload
// does not fit the handler's type. It does not get better by itself: with
// Watermill's PoisonQueueWithFilter such messages can be set aside. Its text
// holds nothing of the message.
var ErrMessage = errors.New("ottpaywatermill: not a notification that this handler takes")

// Config is what [Handle] makes a handler of.
type Config struct {
	// Store decides which message is handled: it may be the very store of the
	// webhook that publishes. Required.
	Store dedupe.Store
	// Consumer names what the handler does, as a consumer group does: of all
	// handlers of one name on one store, one handles a notification. It must
	// stay the same for good. Required.
	Consumer string

	// Validator checks the decoded value by its struct tags, unless a query told
	// it ([MetadataSource]): that lacks what only a callback has. If nil, what
	// the webhook validated is only decoded.
	Validator middleware.Validator
	// Timeout bounds the handler. Defaults to 10 s.
	Timeout time.Duration
	// Lease is how long a claim is held when its owner dies. It must exceed
	// Timeout; the broker's own time to acknowledge should exceed it. Defaults
	// to 30 s or three times Timeout.
	Lease time.Duration
	// OnConflict is told of a message that was handled before with another
	// amount or another channel's id: the payer may have paid twice. If nil,
	// the log has it all the same.
	OnConflict func(m *message.Message)
	// Logger gets the conflicts and what could not be released. If nil,
	// slog.Default() is used.
	Logger *slog.Logger
}

// Handle returns a handler for a Watermill router's AddNoPublisherHandler,
// which hands each notification to fn once, as far as the store can promise
// that. The message is acknowledged after the claim is confirmed, at once when
// that was done before, and not at all when fn fails or another process has it
// in hand: have the broker wait a little before it delivers again.
//
// T is api.Notification or what [middleware.Handle] says. The message's context
// ends with [Config.Timeout] and holds the transaction of a transactional store
// (dedupe.TxFromContext); its metadata names the merchant.
func Handle[T any](cfg Config, fn func(*message.Message, *T) error) (message.NoPublishHandlerFunc, error) {
	c, err := newConsumer(cfg)
	if err != nil {
		return nil, err
	}
	return func(m *message.Message) error {
		id, err := readID(m)
		if err != nil {
			return err
		}
		v := new(T)
		if err := json.Unmarshal(m.Payload, v); err != nil {
			return ErrMessage
		}
		told := m.Metadata.Get(MetadataSource) == string(middleware.SourceQuery)
		if cfg.Validator != nil && !told && cfg.Validator.StructCtx(m.Context(), v) != nil {
			return ErrMessage
		}
		return c.handle(m, id, func() error { return fn(m, v) })
	}, nil
}

type consumer struct{ Config }

func newConsumer(cfg Config) (*consumer, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Lease == 0 {
		cfg.Lease = max(defaultLease, 3*cfg.Timeout)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	switch {
	case cfg.Store == nil:
		return nil, errors.New("ottpaywatermill: Config.Store is nil: redeliveries would be handled again")
	case cfg.Consumer == "":
		return nil, errors.New("ottpaywatermill: Config.Consumer is empty: whose work is it?")
	case cfg.Timeout < 0:
		return nil, errors.New("ottpaywatermill: Config.Timeout is negative")
	case cfg.Lease <= cfg.Timeout:
		return nil, errors.New("ottpaywatermill: Config.Lease must exceed Config.Timeout: a handler would outlive its claim")
	}
	return &consumer{cfg}, nil
}

// own is the identity under which this consumer claims: the webhook has claimed
// the notification's own, and other consumers claim theirs.
func (c *consumer) own(id dedupe.ID) dedupe.ID {
	h := sha256.New()
	fmt.Fprintf(h, "ottpaywatermill %d:%s", len(c.Consumer), c.Consumer)
	h.Write(id.Key[:])
	h.Sum(id.Key[:0])
	return id
}

// handle runs fn under a claim. A nil error has Watermill acknowledge.
func (c *consumer) handle(m *message.Message, id dedupe.ID, fn func() error) (err error) {
	outer := m.Context()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(outer), c.Timeout)
	defer cancel()
	claim, err := c.Store.Claim(ctx, c.own(id), c.Lease)
	switch {
	case errors.Is(err, dedupe.ErrConflict):
		c.Logger.ErrorContext(outer, "ottpay: message was handled before with other content", "consumer", c.Consumer, "uuid", m.UUID)
		if c.OnConflict != nil {
			c.OnConflict(m)
		}
		return nil
	case errors.Is(err, dedupe.ErrDone):
		return nil
	case err != nil:
		return fmt.Errorf("ottpaywatermill: claim: %w", err)
	}

	kept := false
	defer func() { // on every way out, a panic too, which goes on
		m.SetContext(outer)
		if kept {
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(outer), confirmTimeout)
		defer cancel()
		if err := claim.Release(end); err != nil {
			c.Logger.WarnContext(outer, "ottpay: claim not released, its lease ends it", "consumer", c.Consumer, "error", err)
		}
	}()
	work := ctx
	if lends, ok := claim.(dedupe.Contexter); ok {
		work = lends.Context(ctx)
	}
	m.SetContext(work)
	if err := fn(); err != nil {
		return err
	}
	end, cancelEnd := context.WithTimeout(context.WithoutCancel(outer), confirmTimeout)
	defer cancelEnd()
	if err := claim.Confirm(end); err != nil {
		return fmt.Errorf("ottpaywatermill: confirm: %w", err)
	}
	kept = true
	return nil
}
