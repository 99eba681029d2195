package ottpaywatermill

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/wire"
)

// ErrMessage says that a message was not made by [NewMessage], or that its
// payload does not fit the handler's type. A redelivery cannot fix that: use
// Watermill's PoisonQueueWithFilter to set such messages aside. Its text holds
// nothing of the message.
var ErrMessage = errors.New("ottpaywatermill: not a notification that this handler takes")

// Config configures [Handle].
type Config struct {
	// Store decides which message is handled. It may be the same store that the
	// publishing webhook uses. Required.
	Store dedupe.Store
	// Consumer names the handler, like a consumer group: of all handlers with one
	// name on one store, one handles a notification. Never change it: under a new
	// name, all notifications would be handled again. Required.
	Consumer string

	// Validator checks the decoded value by its struct tags, but not if it comes
	// from a query ([MetadataSource]), which lacks members that only a callback
	// has. If nil, the value is only decoded.
	Validator middleware.Validator
	// Timeout bounds the claim and the handler together. Defaults to 10 s.
	Timeout time.Duration
	// Lease is how long a claim is held when its process dies. It must exceed
	// Timeout; the broker's own time to acknowledge should exceed Lease. Defaults
	// to 30 s or three times Timeout, whichever is longer.
	Lease time.Duration
	// ConfirmTimeout bounds the confirmation, which is repeated while the store
	// does not answer. Defaults to 15 s.
	ConfirmTimeout time.Duration
	// OnConflict receives a message that was handled before with another amount
	// or another channel's id: the payer may have paid twice. The log has it in
	// any case. Optional.
	OnConflict func(m *message.Message)
	// Logger receives conflicts and failed releases. Defaults to slog.Default().
	Logger *slog.Logger
}

// Handle returns a handler for a Watermill router's AddConsumerHandler,
// which passes each notification to fn once, as far as the store can promise
// that; see [dedupe.Do]. The message is acknowledged after the claim is
// confirmed, and at once if that was done before. It is not acknowledged if fn
// fails or if another process is handling it: configure the broker to wait a
// little before it delivers again.
//
// T is api.Notification, or any type that [middleware.Handle] accepts. The message's context
// ends with [Config.Timeout] and holds the transaction of a transactional store
// (dedupe.TxFromContext); its metadata names the merchant.
func Handle[T any](cfg Config, fn func(*message.Message, *T) error) (message.NoPublishHandlerFunc, error) {
	c, err := newConsumer(cfg)
	if err != nil {
		return nil, err
	}
	decoder, err := wire.NewDecoder(reflect.TypeFor[T]())
	if err != nil {
		return nil, fmt.Errorf("ottpaywatermill: a notification cannot be received: %w", err)
	}
	return func(m *message.Message) error {
		id, err := readID(m)
		if err != nil {
			return err
		}
		var members wire.Members
		v := new(T)
		if wire.Parse(m.Payload, &members) != nil || decoder.Decode(&members, v) != nil {
			return ErrMessage
		}
		told := m.Metadata.Get(MetadataSource) == string(middleware.SourceQuery)
		if cfg.Validator != nil && !told && cfg.Validator.StructCtx(m.Context(), v) != nil {
			return ErrMessage
		}
		return c.handle(m, id, func() error { return fn(m, v) })
	}, nil
}

type consumer struct {
	Config
	bracket dedupe.Bracket
}

func newConsumer(cfg Config) (*consumer, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	c := &consumer{cfg, dedupe.Bracket{Timeout: cfg.Timeout, Lease: cfg.Lease, ConfirmTimeout: cfg.ConfirmTimeout}}
	switch {
	case cfg.Store == nil:
		return nil, errors.New("ottpaywatermill: Config.Store is nil: redeliveries would be handled again")
	case cfg.Consumer == "":
		return nil, errors.New("ottpaywatermill: Config.Consumer is empty: it tells the handlers of one notification apart")
	case cfg.Timeout < 0:
		return nil, errors.New("ottpaywatermill: Config.Timeout is negative")
	}
	if err := c.bracket.Check(); err != nil {
		return nil, fmt.Errorf("ottpaywatermill: Config: %w", err)
	}
	return c, nil
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

// handle runs fn under a claim. A nil error makes Watermill acknowledge.
func (c *consumer) handle(m *message.Message, id dedupe.ID, fn func() error) error {
	outer := m.Context()
	defer m.SetContext(outer) // after a panic as well, which goes on
	b := c.bracket
	b.ReleaseFailed = func(err error) {
		c.Logger.WarnContext(outer, "ottpay: claim not released, its lease ends it", "consumer", c.Consumer, "error", err)
	}
	// The subscriber may close: a handler that has begun is finished all the same.
	err := dedupe.Do(context.WithoutCancel(outer), c.Store, c.own(id), b, func(ctx context.Context) error {
		m.SetContext(ctx)
		return fn()
	})
	var work *dedupe.WorkError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &work):
		return work.Err
	case errors.Is(err, dedupe.ErrConflict):
		c.Logger.ErrorContext(outer, "ottpay: message was handled before with other content", "consumer", c.Consumer, "uuid", m.UUID)
		if c.OnConflict != nil {
			c.OnConflict(m)
		}
		return nil
	case errors.Is(err, dedupe.ErrDone):
		return nil
	}
	return fmt.Errorf("ottpaywatermill: %w", err)
}
