package ottpay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// DefaultURL is where every action of the gateway goes.
const DefaultURL = "https://frontapi.ottpay.com/processV2"

const (
	defaultTimeout = 30 * time.Second
	minAttempt     = 5 * time.Second
)

// Config configures a Client: see [New]. MerchantID, OperatorID and Keys are
// enough for most shops; a shop that refunds also sets RefundStore.
type Config struct {
	// MerchantID is given by OTT Pay. Required.
	MerchantID string

	// OperatorID is given by OTT Pay. It goes into requests that have a place for
	// it and name none. Optional, but most actions require one.
	OperatorID string

	// Keys finds the merchant's sign keys. [middleware.StaticKeys] is one.
	// Required.
	Keys middleware.Keys

	// BaseURL is where requests go: https, or http to a loopback host. Defaults
	// to [DefaultURL].
	BaseURL string

	// Endpoints are the URLs of actions that go elsewhere. Optional.
	Endpoints map[api.Action]string

	// Versions replace the version that an action is sent with. Optional.
	Versions map[api.Action]string

	// Timeout bounds a call from the limiter to the last byte of the answer,
	// repeated queries included. A context may shorten it. Defaults to 30 s.
	Timeout time.Duration

	// Timeouts replace Timeout for single actions. Optional.
	Timeouts map[api.Action]time.Duration

	// Attempts is how often a query is sent at most; 1 means no repetition.
	// Payments and refunds are never repeated. Defaults to 3.
	Attempts int

	// Backoff is the wait between the attempts of a query. Defaults to 250 ms,
	// doubled up to 5 s.
	Backoff Backoff

	// Poll is the wait between the queries of Resolve and AwaitPayment. Defaults
	// to 1 s, doubled up to 10 s.
	Poll Backoff

	// RefundStore is where RefundOnce notes the refunds that it has sent. All
	// processes should share it. New refuses a store in mode
	// dedupe.Transactional, because a crash would undo its notes. If nil, the
	// memory of this process.
	RefundStore dedupe.Store

	// CardQuery is the action that Resolve and AwaitPayment ask for a card order
	// with. If empty, its channel decides: CC_QUERYPAY for UnionPay, as the
	// vendor's page says, and STATUS_QUERY for the hosted page, as was observed.
	CardQuery api.Action

	// NotificationQuery returns the query that confirms a notification without a
	// checkout. If nil, or if it returns "", it is STATUS_QUERY.
	NotificationQuery func(*middleware.Delivery) api.Action

	// Limiter returns the limiter of a merchant's calls of one kind, or nil for
	// no limit. [Limits.Limiter] is one. If nil, no call is limited.
	Limiter func(merchantID string, kind api.Kind) middleware.Limiter

	// Validator checks requests and answers by their struct tags, for example
	// validate.New() with a rule that was replaced. If nil, validate.New().
	Validator middleware.Validator

	// Base sends the sealed requests. It must not repeat them. A proxy, a client
	// certificate or a circuit breaker go here. If nil, http.DefaultTransport at
	// the time of the call; see [middleware.Transport].
	Base http.RoundTripper

	// Observer receives one event per call. Optional.
	Observer middleware.Observer

	// Logger gets one line per call, which names action, order, code and result,
	// and a line at level debug for every query that is sent again. If nil,
	// slog.Default().
	Logger *slog.Logger

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	// Sleep waits for d or until ctx ends, and then returns ctx's error. If nil,
	// it uses a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	// Rand is where order ids and jitter come from. It must be safe for
	// concurrent use. If nil, crypto/rand.
	Rand io.Reader
}

// check returns what is wrong with cfg, or nil.
func (cfg *Config) check() error {
	for _, part := range []struct {
		name     string
		value    any
		required bool
	}{
		{"Keys", cfg.Keys, true},
		{"RefundStore", cfg.RefundStore, false},
		{"Validator", cfg.Validator, false},
		{"Base", cfg.Base, false},
		{"Observer", cfg.Observer, false},
		{"Rand", cfg.Rand, false},
	} {
		if part.value == nil && part.required || isNil(part.value) {
			return fmt.Errorf("Config.%s is nil", part.name)
		}
	}
	switch {
	case cfg.MerchantID == "":
		return errors.New("Config.MerchantID is empty")
	case !visible(cfg.MerchantID) || !visible(cfg.OperatorID):
		return errors.New("Config.MerchantID or Config.OperatorID holds white space")
	case cfg.Timeout < 0 || cfg.Attempts < 0:
		return errors.New("Config.Timeout or Config.Attempts is negative")
	case cfg.Backoff.First < 0 || cfg.Backoff.Max < 0 || cfg.Poll.First < 0 || cfg.Poll.Max < 0:
		return errors.New("Config.Backoff or Config.Poll is negative")
	}
	for action, timeout := range cfg.Timeouts {
		if timeout < 0 {
			return fmt.Errorf("Config.Timeouts, %s: negative", action)
		}
	}
	if err := errors.Join(known("Endpoints", cfg.Endpoints), known("Versions", cfg.Versions), known("Timeouts", cfg.Timeouts)); err != nil {
		return err
	}
	if cfg.RefundStore != nil && dedupe.ModeOf(cfg.RefundStore) == dedupe.Transactional {
		return errors.New("Config.RefundStore is transactional: use dedupe.Lease")
	}
	if cfg.Base != nil {
		if err := middleware.CheckBase(cfg.Base); err != nil {
			return fmt.Errorf("Config.Base: %w", err)
		}
	}
	if keys, ok := cfg.Keys.(middleware.StaticKeys); ok {
		if err := keys.Check(cfg.MerchantID); err != nil {
			return fmt.Errorf("Config.Keys: %w", err)
		}
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

func visible(id string) bool {
	return !strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// known returns an error if an action of m is not one of the document's: a slip
// of the pen would have no effect.
func known[V any](name string, m map[api.Action]V) error {
	for action := range m {
		if _, ok := api.LookupAction(string(action)); !ok && action != ActionInAppPay {
			return fmt.Errorf("Config.%s: unknown action %q", name, string(action))
		}
	}
	return nil
}

// withDefaults returns cfg with its optional fields filled in.
func (cfg Config) withDefaults() Config {
	cfg.Versions, cfg.Timeouts = maps.Clone(cfg.Versions), maps.Clone(cfg.Timeouts)
	cfg.BaseURL = or(cfg.BaseURL, DefaultURL)
	cfg.Timeout = or(cfg.Timeout, defaultTimeout)
	cfg.Attempts = or(cfg.Attempts, 3)
	cfg.Backoff = cfg.Backoff.or(250*time.Millisecond, 5*time.Second)
	cfg.Poll = cfg.Poll.or(time.Second, 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RefundStore == nil {
		cfg.RefundStore = dedupe.NewMemory(dedupe.MemoryConfig{Now: cfg.Now})
	}
	if cfg.Validator == nil {
		cfg.Validator = validate.New()
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return cfg
}

// or returns v, or instead if v is zero.
func or[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}
