package ottpay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
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
	"github.com/ottpaykit/ottpay/wire"
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

	// CardQuery is the action that asks for a card order, as the vendor's pages
	// name two: CC_QUERYPAY, or STATUS_QUERY, which was observed for hosted
	// cards. Defaults to CC_QUERYPAY.
	CardQuery api.Action

	// NotificationQuery names the query that confirms a notification without a
	// checkout. If nil, or if it returns "", it is STATUS_QUERY.
	NotificationQuery func(*middleware.Delivery) api.Action

	// Limiter returns the limiter of a merchant's calls of one kind; nil holds
	// none back. [Limits.Limiter] is one; a limiter that several processes
	// share goes here. If nil, no call is held back.
	Limiter func(merchantID string, kind api.Kind) middleware.Limiter

	// Base sends the sealed requests, and must not repeat them. A proxy, a
	// client certificate or a circuit breaker go here. If nil, see
	// [middleware.Transport].
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
	query, effect                *middleware.Transport
}

// shared is what clients of several merchants have in common.
type shared struct {
	cfg       Config
	endpoints map[api.Action]*url.URL
	url       *url.URL
	inApp     *url.URL
	validate  middleware.Validator
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
	if cfg.Base == nil {
		cfg.Base = middleware.NewBase()
	}
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
	transport := func(kind api.Kind) *middleware.Transport {
		t := &middleware.Transport{Keys: s.cfg.Keys, Base: s.cfg.Base, Observer: s.cfg.Observer, Now: s.cfg.Now}
		if s.cfg.Limiter != nil {
			t.Limiter = s.cfg.Limiter(merchantID, kind)
		}
		return t
	}
	return &Client{
		shared: s, merchant: merchantID, operator: operatorID,
		query: transport(api.KindQuery), effect: transport(api.KindEffect),
	}
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
func (c *Client) CloseIdleConnections() { c.query.CloseIdleConnections() }

// request and response are what the generated types can do.
type request[T any] interface {
	*T
	json.Marshaler
	Filled(api.Defaults) *T
	Order() string
}

type response[T any] interface {
	*T
	json.Unmarshaler
	Order() string
	SetOrder(id string)
	EchoesOrder() bool
	SetPending(bool)
}

// call is every action, and its line in the log.
func call[Req, Resp any, PReq request[Req], PResp response[Resp]](ctx context.Context, c *Client, action api.Action, req *Req) (*Resp, error) {
	info, _ := api.LookupAction(string(action))
	start, failed := c.cfg.Now(), &Error{Action: action, MerchantID: c.merchant}
	resp, err := do[Req, Resp, PReq, PResp](ctx, c, info, req, failed)
	c.log(ctx, info, failed, err, c.cfg.Now().Sub(start))
	return resp, err
}

// do is the call: fill, validate, send, judge, decode, compare, validate.
func do[Req, Resp any, PReq request[Req], PResp response[Resp]](ctx context.Context, c *Client, info api.ActionInfo, req *Req, failed *Error) (*Resp, error) {
	if req == nil {
		return nil, failed.refused(middleware.ReasonRequest, errors.New("the request is nil"))
	}
	defaults := api.Defaults{MerchantID: c.merchant, OperatorID: c.operator}
	if info.Kind == api.KindEffect && PReq(req).Order() == "" {
		id, err := c.NewOrderID()
		if err != nil {
			return nil, failed.refused(middleware.ReasonRequest, err)
		}
		defaults.OrderID = id
	}
	filled := PReq(req).Filled(defaults)
	failed.OrderID = PReq(filled).Order()
	if err := c.check(ctx, filled); err != nil {
		return nil, failed.refused(middleware.ReasonRequest, err)
	}
	data, err := PReq(filled).MarshalJSON()
	if err != nil {
		return nil, failed.refused(middleware.ReasonRequest, err)
	}
	answer, err := c.send(ctx, info, data, failed)
	if err != nil {
		return nil, err
	}
	var resp Resp
	if err := receive[Resp, PResp](ctx, c, answer, failed, &resp); err != nil {
		return nil, err
	}
	// Not for a query, whose answer proves nothing without the id.
	if info.Kind == api.KindEffect && PResp(&resp).Order() == "" {
		PResp(&resp).SetOrder(failed.OrderID)
	}
	return &resp, nil
}

// receive judges the answer's code and reads its data into resp.
func receive[Resp any, PResp response[Resp]](ctx context.Context, c *Client, a *answer, failed *Error, resp *Resp) error {
	failed.Code, failed.Message = api.Code(clean(a.code, 64)), clean(a.message, 256)
	failed.Verified = a.verified
	class := api.Code(a.code).Class()

	var decodeErr error
	if a.verified {
		decodeErr = PResp(resp).UnmarshalJSON(a.data)
	}
	// Whatever the code says, it is not said of this order.
	if named := PResp(resp).Order(); decodeErr == nil && named != "" && failed.OrderID != "" {
		if named != failed.OrderID && PResp(resp).EchoesOrder() {
			return failed.unclear(middleware.ReasonOtherOrder, ErrOtherOrder)
		}
		failed.named = named == failed.OrderID
	}
	pending := false
	switch {
	case class == api.ClassPending && a.verified:
		pending = true
	case class != api.ClassSuccess:
		failed.Class = class
		return failed
	}
	if decodeErr != nil {
		return failed.unclear(middleware.ReasonSchema, errors.Join(ErrInvalid, decodeErr))
	}
	// What is still under way need not have all members yet.
	if err := c.check(ctx, resp); err != nil && !pending {
		return failed.unclear(middleware.ReasonSchema, err)
	}
	PResp(resp).SetPending(pending)
	return nil
}

func (c *Client) check(ctx context.Context, v any) error {
	if err := c.validate.StructCtx(ctx, v); err != nil {
		return errors.Join(ErrInvalid, validate.Explain(err))
	}
	return nil
}

// answer is the opened envelope that the Transport hands on.
type answer struct {
	code, message string
	data          json.RawMessage
	verified      bool
}

func readAnswer(body []byte) (*answer, error) {
	var a answer
	r := wire.NewReader(body)
	for r.Next() {
		switch r.Name() {
		case "rsp_code":
			a.code = r.String()
		case "rsp_msg":
			a.message = r.String()
		case "data":
			a.data, a.verified = r.Raw(), true
		}
	}
	_, err := r.Close()
	return &a, err
}

// send sends the call: an effect once, a query until it is answered, its
// attempts are used up or its time is.
func (c *Client) send(ctx context.Context, info api.ActionInfo, data []byte, failed *Error) (*answer, error) {
	timeout := c.cfg.Timeout
	if own := c.cfg.Timeouts[info.Name]; own > 0 {
		timeout = own
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if info.Kind != api.KindQuery {
		return c.attempt(middleware.SendOnce(ctx), c.effect, info, data, failed)
	}
	for n := 1; ; n++ {
		a, err := c.attemptWithin(ctx, max(timeout/3, minAttempt), info, data, failed)
		if !c.again(ctx, n, a, err) {
			return a, err
		}
	}
}

// attemptWithin leaves time for another attempt.
func (c *Client) attemptWithin(ctx context.Context, timeout time.Duration, info api.ActionInfo, data []byte, failed *Error) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.attempt(ctx, c.query, info, data, failed)
}

func (c *Client) attempt(ctx context.Context, t *middleware.Transport, info api.ActionInfo, data []byte, failed *Error) (*answer, error) {
	body, err := c.opened(info, data)
	if err != nil {
		return nil, failed.refused(middleware.ReasonRequest, err)
	}
	to := c.url
	if own, ok := c.endpoints[info.Name]; ok {
		to = own
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, failed.refused(middleware.ReasonRequest, err)
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, failed.transport(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, failed.unclear(middleware.ReasonConnection, err)
	}
	a, err := readAnswer(text)
	if err != nil {
		return nil, failed.unclear(middleware.ReasonMalformed, err)
	}
	return a, nil
}

// opened is the envelope with its data in the clear, as the Transport takes it.
func (c *Client) opened(info api.ActionInfo, data []byte) ([]byte, error) {
	w := wire.NewWriter()
	w.String("action", string(info.Name))
	w.String("version", or(c.cfg.Versions[info.Name], info.Version))
	w.String("merchant_id", c.merchant)
	if info.Terminal && c.terminal != "" {
		w.String("terminal_no", c.terminal)
		w.String("operator_id", c.operator)
	}
	w.Raw("data", data)
	return w.Close()
}

// refused says that the request did not get as far as the Transport.
func (e *Error) refused(reason middleware.Reason, err error) error {
	e.Class, e.NotSent, e.Reason, e.Err = api.ClassCaller, true, reason, err
	return e
}

// unclear says that an answer came which proves nothing.
func (e *Error) unclear(reason middleware.Reason, err error) error {
	e.Class, e.Reason, e.Err = api.ClassUnclear, reason, err
	return e
}

// transport takes over what the Transport says. It returns another Error, as a
// query may go on.
func (e *Error) transport(err error) error {
	failed := *e
	failed.Err = err
	var s *middleware.SendError
	if errors.As(err, &s) {
		failed.Reason, failed.NotSent, failed.Status, failed.RetryAfter = s.Reason, s.NotSent, s.Status, s.RetryAfter
	}
	return &failed
}

// violations lists the members and rules that err names, if it is about such.
func violations(err error) string {
	var v *validate.Error
	if errors.As(err, &v) {
		return v.Error()
	}
	return ""
}

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
