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
	"net/url"
	"time"

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

// Config is what [New] makes a Client from.
type Config struct {
	// MerchantID is given by OTT Pay. Required.
	MerchantID string

	// OperatorID is given by OTT Pay, and goes into requests that have a place
	// for it and name none.
	OperatorID string

	// Keys finds the merchant's sign keys. Required.
	Keys middleware.Keys

	// BaseURL is where requests go. It must be https, or name a loopback host.
	// Defaults to [DefaultURL].
	BaseURL string

	// Endpoints are the URLs of single actions that go elsewhere.
	Endpoints map[api.Action]string

	// Versions replace the version that an action is sent with.
	Versions map[api.Action]string

	// Timeout bounds a call from the limiter to the last byte of the answer,
	// repeated queries included. A context may shorten it. Defaults to 30 s.
	Timeout time.Duration

	// Timeouts are those of single actions.
	Timeouts map[api.Action]time.Duration

	// Attempts is how often a query is put at most, 1 for no repetition.
	// Payments and refunds are never repeated. Defaults to 3.
	Attempts int

	// Backoff is how long the client waits between the attempts of a query.
	// Defaults to 250 ms, doubled up to 5 s.
	Backoff Backoff

	// Poll is how long Resolve and AwaitPayment wait between questions.
	// Defaults to 1 s, doubled up to 10 s.
	Poll Backoff

	// RefundStore is where RefundOnce notes the refunds that it has sent. All
	// processes should share it. New refuses a store in dedupe.Transactional
	// mode: a crash would undo its notes. If nil, it is in the memory of this
	// process.
	RefundStore dedupe.Store

	// CardQuery is the action that Resolve and AwaitPayment ask for a card order
	// with. If empty, its channel decides: CC_QUERYPAY for UnionPay, which the
	// vendor's page names, and STATUS_QUERY for the hosted page, which was seen.
	CardQuery api.Action

	// NotificationQuery names the query that confirms a notification without a
	// checkout. If nil, or if it returns "", it is STATUS_QUERY.
	NotificationQuery func(*middleware.Delivery) api.Action

	// Limiter returns the limiter of a merchant's calls of one kind; nil holds
	// none back. [Limits.Limiter] is one; a limiter that several processes
	// share goes here. If nil, no call is held back.
	Limiter func(merchantID string, kind api.Kind) middleware.Limiter

	// Base sends the sealed requests, and must not repeat them. A proxy, a
	// client certificate or a circuit breaker go here. If nil,
	// http.DefaultTransport at the time of the call; see [middleware.Transport].
	Base http.RoundTripper

	// Observer is told of every call. If nil, nobody is.
	Observer middleware.Observer

	// Logger gets one line per call, which names action, order, code and what
	// to make of it, and no value; and a line at level debug for every query
	// that is put again. If nil, slog.Default() is used.
	Logger *slog.Logger

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	// Sleep waits for d or until ctx ends, and then returns ctx's error. If
	// nil, a timer does.
	Sleep func(ctx context.Context, d time.Duration) error

	// Rand is where order ids and jitter come from. It must be safe for
	// concurrent use. If nil, crypto/rand.
	Rand io.Reader
}

// Client speaks for one merchant to the gateway. It is safe for concurrent
// use. What moves money is sent once, whatever fails; [middleware.Transport]
// says how.
type Client struct {
	*shared
	merchant, operator, terminal string
	queries, effects             middleware.Limiter // nil: not limited
}

// shared is what clients of several merchants have in common.
type shared struct {
	cfg       Config
	endpoints map[api.Action]*url.URL
	url       *url.URL
	inApp     *url.URL
	validate  middleware.Validator
	transport *middleware.Transport
	answers   answers
}

// New returns a client. It does not connect.
func New(cfg Config) (*Client, error) {
	if cfg.MerchantID == "" {
		return nil, errors.New("ottpay: Config.MerchantID is empty")
	}
	if cfg.Keys == nil {
		return nil, errors.New("ottpay: Config.Keys is nil")
	}
	for _, unknown := range []error{known("Endpoints", cfg.Endpoints), known("Versions", cfg.Versions), known("Timeouts", cfg.Timeouts)} {
		if unknown != nil {
			return nil, unknown
		}
	}
	s := &shared{cfg: cfg, endpoints: make(map[api.Action]*url.URL, len(cfg.Endpoints)), validate: validate.New()}
	var err error
	if s.url, err = endpoint(or(cfg.BaseURL, DefaultURL)); err != nil {
		return nil, fmt.Errorf("ottpay: Config.BaseURL: %w", err)
	}
	for action, text := range cfg.Endpoints {
		if s.endpoints[action], err = endpoint(text); err != nil {
			return nil, fmt.Errorf("ottpay: Config.Endpoints, %s: %w", action, err)
		}
	}
	if s.inApp = s.endpoints[ActionInAppPay]; s.inApp == nil {
		if s.inApp, err = endpoint(InAppPayURL); err != nil {
			return nil, err
		}
	}
	s.defaults()
	if dedupe.ModeOf(s.cfg.RefundStore) == dedupe.Transactional {
		return nil, errors.New("ottpay: Config.RefundStore is transactional: use dedupe.Lease")
	}
	if err := middleware.CheckBase(s.cfg.Base); err != nil {
		return nil, fmt.Errorf("ottpay: Config.Base: %w", err)
	}
	s.transport = &middleware.Transport{Keys: s.cfg.Keys, Base: s.cfg.Base, Observer: s.cfg.Observer, Now: s.cfg.Now}
	return s.client(cfg.MerchantID, cfg.OperatorID), nil
}

func (s *shared) defaults() {
	cfg := &s.cfg
	cfg.Versions, cfg.Timeouts = maps.Clone(cfg.Versions), maps.Clone(cfg.Timeouts)
	cfg.Timeout = or(cfg.Timeout, defaultTimeout)
	cfg.Attempts = or(cfg.Attempts, 3)
	cfg.Backoff = cfg.Backoff.or(250*time.Millisecond, 5*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Poll = cfg.Poll.or(time.Second, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RefundStore == nil {
		cfg.RefundStore = dedupe.NewMemory(dedupe.MemoryConfig{Now: cfg.Now})
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
}

func (s *shared) client(merchantID, operatorID string) *Client {
	c := &Client{shared: s, merchant: merchantID, operator: operatorID}
	if s.cfg.Limiter != nil {
		c.queries = s.cfg.Limiter(merchantID, api.KindQuery)
		c.effects = s.cfg.Limiter(merchantID, api.KindEffect)
	}
	return c
}

// ForMerchant returns a client for another merchant that Config.Keys knows. It
// shares connections and nothing else. Making one is cheap.
func (c *Client) ForMerchant(merchantID, operatorID string) *Client {
	return c.client(merchantID, operatorID)
}

// ForTerminal returns a client that names a terminal, and its operator, in the
// envelope of the in-store actions.
func (c *Client) ForTerminal(terminalNo string) *Client {
	t := *c
	t.terminal = terminalNo
	return &t
}

// MerchantID returns the merchant that the client speaks for.
func (c *Client) MerchantID() string { return c.merchant }

// CloseIdleConnections closes the connections that are kept for later calls,
// those of other merchants included.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }

func endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("not a URL") // url.Error quotes it
	}
	return u, middleware.CheckURL(u)
}

// known returns an error if an action of m is not one of the document's, which
// would be a slip of the pen that has no effect.
func known[V any](name string, m map[api.Action]V) error {
	for action := range m {
		if _, ok := api.LookupAction(string(action)); !ok && action != ActionInAppPay {
			return fmt.Errorf("ottpay: Config.%s: unknown action %q", name, string(action))
		}
	}
	return nil
}

// or returns v, or instead if v is zero.
func or[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}
