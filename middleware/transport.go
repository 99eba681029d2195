package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

const (
	maxMessage  = 1 << 20 // of a request and of an answer
	callTimeout = 30 * time.Second
)

// Limiter holds a call back until there is room for it. A *rate.Limiter is one.
type Limiter interface {
	// Wait returns nil when the call may go, and an error at once when it
	// could not go before ctx's deadline.
	Wait(ctx context.Context) error
}

// Transport is an http.RoundTripper that speaks plain JSON to the program
// above it and OTT Pay's envelope to the gateway below.
//
// The request is a POST whose body is the opened envelope
//
//	{"action":"STATUS_QUERY","version":"1.0","merchant_id":"…","data":{"order_id":"…"}}
//
// with terminal_no and operator_id where the action has them. data is sealed to
// the letter. The answer is handed on in the same manner,
//
//	{"rsp_code":"SUCCESS","rsp_msg":"…","merchant_id":"…","data":{…},"verified":true}
//
// where data has been opened and verified. An answer whose code is not SUCCESS
// may come without data; it then says "verified":false and is authenticated by
// nothing but TLS. rsp_code, rsp_msg and merchant_id are never authenticated
// beyond that. The Transport does not judge codes.
//
// # Sent once
//
// Whatever is not known to be a query is an effect, and an effect leaves at
// most once per RoundTrip: its content cannot be rewound, so that net/http
// does not replay it, neither on a stale connection nor on a refused HTTP/2
// stream; a header that would permit replaying is removed; a redirect is an
// error, which keeps an http.Client above from following it; and should
// something below start a second exchange all the same, as a retry library
// does, its connection is closed before the first byte. (That last guard needs
// a Base that ends in net/http, or calls httptrace's hooks as net/http does.)
//
// A retry library above calls RoundTrip again, which looks like another
// payment. Put [SendOnce] around the context of a payment to have the second
// call refused.
//
// Every error is a *[SendError] and tells whether the request may have left.
//
// A Transport is safe for concurrent use. It must not be copied, and its
// fields must not be changed, after the first call.
type Transport struct {
	// Keys finds the sign keys. Required.
	Keys Keys

	// Base sends the sealed request, and must not send it again by itself. A
	// proxy, a client certificate or a private authority go here. If nil,
	// what [NewBase] returns. An *http.Transport that does not verify
	// certificates is refused, also when http.DefaultTransport is the one.
	Base http.RoundTripper

	// Limiter holds requests back. If nil, none is.
	Limiter Limiter

	// Timeout bounds a call whose context has no deadline. Defaults to 30 s.
	Timeout time.Duration

	// Observer is told of every call. If nil, nobody is.
	Observer Observer

	// Now is the clock, for a Retry-After that is a date and for how long the
	// limiter took. If nil, time.Now.
	Now func() time.Time

	once  sync.Once
	plain http.RoundTripper // in place of a nil Base
}

// SendOnce returns a context under which a Transport sends at most one effect:
// every further one fails with ErrSentBefore, which matches ErrUnknownOutcome
// too. Give each payment its own. Queries are not counted. A context made from
// such a one counts with it.
func SendOnce(ctx context.Context) context.Context {
	if ctx.Value(sendOnceKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, sendOnceKey{}, new(atomic.Bool))
}

type sendOnceKey struct{}

// sentBefore reports whether an effect was sent under ctx, and notes this one.
func sentBefore(ctx context.Context) bool {
	sent, ok := ctx.Value(sendOnceKey{}).(*atomic.Bool)
	return ok && sent.Swap(true)
}

// RoundTrip seals the request, sends it once and opens the answer. It reads
// and closes the request's body on every path.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := t.prepare(req)
	if err != nil {
		return nil, &SendError{Reason: ReasonRequest, NotSent: true, Err: err}
	}
	ctx, cancel := t.withDeadline(req.Context())
	defer cancel()
	if t.Observer != nil {
		kind := "query"
		if c.effect {
			kind = "effect"
		}
		var end func(CallOutcome)
		ctx, end = t.Observer.Call(req.WithContext(ctx), c.name, kind)
		defer func() { end(c.outcome) }()
	}
	resp, err := c.run(ctx)
	if err != nil {
		return nil, c.failed(err)
	}
	return resp, nil
}

// SendPlain posts JSON as it is, with all that a Transport does for an effect
// but the envelope: for the one API of the vendor's that has none. It returns
// the answer's body, which nothing but TLS authenticates. name is for the
// Observer; it must be one of few.
func (t *Transport) SendPlain(ctx context.Context, name string, to *url.URL, body []byte) ([]byte, error) {
	c := &call{Transport: t, name: name, effect: true}
	c.req = (&http.Request{Method: http.MethodPost, URL: to, Header: make(http.Header)}).WithContext(ctx)
	if err := errors.Join(CheckURL(to), CheckBase(t.base())); err != nil {
		return nil, c.failed(&SendError{Reason: ReasonRequest, Err: err})
	}
	ctx, cancel := t.withDeadline(ctx)
	defer cancel()
	if t.Observer != nil {
		var end func(CallOutcome)
		ctx, end = t.Observer.Call(c.req.WithContext(ctx), name, "effect")
		defer func() { end(c.outcome) }()
	}
	answer, err := c.runPlain(ctx, body)
	if err != nil {
		return nil, c.failed(err)
	}
	return answer, nil
}

func (c *call) runPlain(ctx context.Context, body []byte) ([]byte, error) {
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	if sentBefore(ctx) {
		c.latch.leave() // the earlier one may have got through
		return nil, &SendError{Reason: ReasonSentBefore, Err: ErrSentBefore}
	}
	_, answer, err := c.exchange(ctx, body)
	return answer, err
}

// CloseIdleConnections closes the connections that are kept for later calls.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	t.once.Do(func() { t.plain = NewBase() })
	return t.plain
}

// NewBase returns what a Transport sends with when its Base is nil, for changes
// such as a proxy or a client certificate: a clone of http.DefaultTransport,
// the proxy of the environment included, with a gateway in mind. An idle
// connection is given up before a balancer on the way is likely to have
// forgotten it, because an effect that meets a dead one has an unknown outcome.
func NewBase() *http.Transport {
	base, ok := http.DefaultTransport.(*http.Transport)
	if ok {
		base = base.Clone()
	} else {
		base = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	}
	base.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	base.TLSHandshakeTimeout = 10 * time.Second
	base.IdleConnTimeout = 20 * time.Second
	base.MaxIdleConnsPerHost = 16
	base.MaxResponseHeaderBytes = 64 << 10
	base.DisableCompression = true
	return base
}

func (t *Transport) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

func (t *Transport) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = callTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// call is one round trip.
type call struct {
	*Transport
	req     *http.Request
	request envelope.Request
	data    []byte
	name    string // of a known action
	effect  bool
	latch   latch
	body    latchedBody
	direct  bool         // the base is net/http itself
	memory  bytes.Reader // the content for it
	sought  atomic.Bool  // it has looked for a connection
	started exchanges
	trace   httptrace.ClientTrace
	outcome CallOutcome
}

// prepare reads the opened envelope and closes the request's body.
func (t *Transport) prepare(req *http.Request) (*call, error) {
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = readAll(req.Body, req.ContentLength); err != nil {
			return nil, err
		}
	}
	if req.Method != http.MethodPost {
		return nil, errors.New("the method is not POST")
	}
	if err := CheckURL(req.URL); err != nil {
		return nil, err
	}
	if err := CheckBase(t.base()); err != nil {
		return nil, err
	}
	if t.Keys == nil {
		return nil, errors.New("the Transport has no Keys")
	}
	c := &call{Transport: t, req: req}
	if err := c.read(body); err != nil {
		return nil, err
	}
	info, known := api.LookupAction(c.request.Action)
	c.name = actionName(info, known)
	c.effect = !known || info.Kind != api.KindQuery
	return c, nil
}

func (c *call) read(body []byte) error {
	r := wire.NewReader(body)
	for r.Next() {
		switch r.Name() {
		case "action":
			c.request.Action = r.String()
		case "version":
			c.request.Version = r.String()
		case "merchant_id":
			c.request.MerchantID = r.String()
		case "terminal_no":
			c.request.TerminalNo = r.String()
		case "operator_id":
			c.request.OperatorID = r.String()
		case "data":
			c.data = r.Raw()
		default:
			r.Unknown()
		}
	}
	unknown, err := r.Close()
	switch {
	case err != nil:
		return fmt.Errorf("the opened envelope: %w", err)
	case len(unknown) > 0:
		return errors.New("the opened envelope has a member that an envelope has no place for")
	case c.request.Action == "" || c.request.Version == "" || c.request.MerchantID == "":
		return errors.New("the opened envelope lacks action, version or merchant_id")
	case len(c.data) == 0 || c.data[0] != '{':
		return errors.New("the opened envelope's data is not an object")
	}
	return nil
}

// run is the call from the limiter to the opened answer.
func (c *call) run(ctx context.Context) (*http.Response, error) {
	keys, err := c.Keys.Keys(ctx, c.request.MerchantID)
	if err != nil {
		return nil, &SendError{Reason: ReasonKeys, Err: err}
	}
	if len(keys) == 0 {
		return nil, &SendError{Reason: ReasonKeys, Err: ErrNoKeys}
	}
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	if c.request.Sealed, err = keys[0].Seal(c.data); err != nil {
		return nil, &SendError{Reason: ReasonRequest, Err: err}
	}
	wire := c.wire()
	if c.effect && sentBefore(ctx) {
		c.latch.leave() // the earlier one may have got through
		return nil, &SendError{Reason: ReasonSentBefore, Err: ErrSentBefore}
	}
	resp, body, err := c.exchange(ctx, wire)
	if err != nil {
		return nil, err
	}
	opened, err := c.open(body, keys)
	if err != nil {
		reason, err := answerError(err)
		return nil, &SendError{Reason: reason, Err: err}
	}
	return c.handOn(resp, opened), nil
}

// wire is the sealed request.
func (c *call) wire() []byte {
	r := &c.request
	b := make([]byte, 0, len(r.Action)+len(r.Version)+len(r.MerchantID)+len(r.TerminalNo)+len(r.OperatorID)+len(r.Data)+len(r.MD5)+112)
	b = appendMember(append(b, '{'), "action", r.Action)
	b = appendMember(append(b, ','), "version", r.Version)
	b = appendMember(append(b, ','), "merchant_id", r.MerchantID)
	if r.TerminalNo != "" {
		b = appendMember(append(b, ','), "terminal_no", r.TerminalNo)
	}
	if r.OperatorID != "" {
		b = appendMember(append(b, ','), "operator_id", r.OperatorID)
	}
	b = append(append(b, `,"data":"`...), r.Data...) // Base64
	b = append(append(b, `","md5":"`...), r.MD5...)
	return append(b, `"}`...)
}

// exchange sends what is on the wire and reads the whole answer.
func (c *call) exchange(ctx context.Context, wire []byte) (*http.Response, []byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, &SendError{Reason: sendReason(err), Err: err}
	}
	base := c.base()
	_, c.direct = base.(*http.Transport)
	resp, err := base.RoundTrip(c.outgoing(ctx, wire))
	if c.direct && !c.sought.Load() {
		c.latch.leave() // a protocol of its own was registered: nobody knows
	}
	if err != nil {
		return nil, nil, &SendError{Reason: sendReason(err), Err: err}
	}
	defer resp.Body.Close()
	body, err := c.answer(resp)
	return resp, body, err
}

func (c *call) wait(ctx context.Context) error {
	if c.Limiter == nil {
		return nil
	}
	start := c.now()
	err := c.Limiter.Wait(ctx)
	c.outcome.Wait = c.now().Sub(start)
	if err != nil {
		return &SendError{Reason: ReasonLimited, Err: errors.Join(ErrLimited, err)}
	}
	return nil
}

// outgoing is the request as the base gets it.
func (c *call) outgoing(ctx context.Context, wire []byte) *http.Request {
	if c.effect || c.direct {
		ctx = c.traced(ctx)
	}
	out := c.req.WithContext(ctx)
	if out.Header = c.req.Header.Clone(); out.Header == nil {
		out.Header = make(http.Header, 2)
	}
	// The first two make net/http replay a POST. The others describe the body
	// that the caller wrote.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key", "Expect", "Content-Encoding", "Accept-Encoding", "Trailer"} {
		out.Header.Del(name)
	}
	both := []string{"application/json", "application/json"}
	out.Header["Content-Type"], out.Header["Accept"] = both[:1:1], both[1:]
	out.Body, out.ContentLength = c.content(wire), int64(len(wire))
	out.TransferEncoding, out.Trailer, out.GetBody = nil, nil, nil
	if !c.effect {
		out.GetBody = func() (io.ReadCloser, error) {
			return &latchedBody{content: wire, latch: &c.latch}, nil
		}
	}
	return out
}

// answer reads what came back, if it can be an answer at all.
func (c *call) answer(resp *http.Response) ([]byte, error) {
	c.outcome.Status = resp.StatusCode
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		return nil, &SendError{Reason: ReasonRedirect, Err: errors.Join(ErrRedirect, ErrStatus)}
	case code < 200 || code > 299:
		return nil, &SendError{Reason: ReasonStatus, RetryAfter: retryAfter(resp.Header, c.now), Err: ErrStatus}
	}
	body, err := readAll(resp.Body, resp.ContentLength)
	switch text := bytes.TrimLeft(body, " \t\r\n"); {
	case errors.Is(err, errTooLong):
		return nil, &SendError{Reason: ReasonTooLarge, Err: ErrTooLarge}
	case err != nil:
		return nil, &SendError{Reason: sendReason(err), Err: err}
	case len(text) == 0:
		return nil, &SendError{Reason: ReasonEmpty, Err: ErrEmpty}
	case text[0] == '<':
		return nil, &SendError{Reason: ReasonHTML, Err: ErrHTML}
	}
	return body, nil
}

// handOn makes resp the answer for the program above, with its data in the
// clear.
func (c *call) handOn(resp *http.Response, opened []byte) *http.Response {
	if resp.Header == nil {
		resp.Header = make(http.Header, 1)
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Trailer"} {
		resp.Header.Del(name)
	}
	resp.Header["Content-Type"] = []string{"application/json"}
	body := &openedBody{}
	body.Reset(opened)
	resp.Body, resp.ContentLength, resp.Request = body, int64(len(opened)), c.req
	resp.TransferEncoding, resp.Trailer, resp.Uncompressed = nil, nil, false
	return resp
}

// open returns the answer with its data in the clear.
func (c *call) open(body []byte, keys []envelope.Key) ([]byte, error) {
	answer, err := envelope.ReadAnswer(body)
	if err != nil {
		return nil, err
	}
	var payload envelope.Payload
	verified := answer.Sealed != (envelope.Sealed{})
	if verified {
		if payload, err = openWith(keys, answer.Sealed); err != nil {
			return nil, err
		}
	}
	c.judge(api.Code(answer.Code))

	b := make([]byte, 0, len(payload.JSON)+len(answer.Code)+len(answer.Message)+len(answer.MerchantID)+80)
	b = appendMember(append(b, '{'), "rsp_code", answer.Code)
	b = appendMember(append(b, ','), "rsp_msg", answer.Message)
	if answer.MerchantID != "" {
		b = appendMember(append(b, ','), "merchant_id", answer.MerchantID)
	}
	if !verified {
		return append(b, `,"verified":false}`...), nil
	}
	b = append(append(b, `,"data":`...), payload.JSON...)
	return append(b, `,"verified":true}`...), nil
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, '"'), name...), `":`...)
	if strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) < 0 {
		return append(append(append(b, '"'), value...), '"')
	}
	quoted, _ := json.Marshal(value) // a string always can be
	return append(b, quoted...)
}

// judge keeps for the Observer what the answer's code is.
func (c *call) judge(code api.Code) {
	c.outcome.Class = code.Class().String()
	c.outcome.Code = "other"
	if code.Message() != "" {
		c.outcome.Code = strings.ToUpper(string(code))
	}
}

// openWith tries the keys in their order.
func openWith(keys []envelope.Key, sealed envelope.Sealed) (envelope.Payload, error) {
	var failed error
	for _, key := range keys {
		payload, err := key.Open(sealed)
		if err == nil {
			return payload, nil
		}
		if failed == nil || errors.Is(err, envelope.ErrUnauthentic) {
			failed = err
		}
	}
	return envelope.Payload{}, failed
}

// failed completes the error with what the call knows, and makes sure that
// nothing leaves from now on if nothing has so far.
func (c *call) failed(err error) error {
	var e *SendError
	if !errors.As(err, &e) {
		e = &SendError{Reason: ReasonConnection, Err: err}
	}
	e.Action, e.Status, e.NotSent = c.name, c.outcome.Status, c.latch.shut()
	c.outcome.Reason, c.outcome.Unknown = e.Reason, !e.NotSent && c.effect
	return e
}

// content is the sealed request as the base reads it. net/http itself writes
// headers and content at once, which saves a packet and a third of the time,
// only if it knows the reader. It tells by its hooks what has left.
func (c *call) content(wire []byte) io.ReadCloser {
	if c.direct {
		c.memory.Reset(wire)
		return io.NopCloser(&c.memory)
	}
	c.body = latchedBody{content: wire, latch: &c.latch}
	return &c.body
}

// traced notes when net/http has got a connection to write to, and closes the
// connection of every exchange of an effect after the one whose headers went
// out. net/http does not start one, since the content cannot be rewound; a
// retry library that sits below the Transport does, and one that hedges does
// while the first is under way.
func (c *call) traced(ctx context.Context) context.Context {
	c.trace.GetConn = func(string) { c.sought.Store(true) }
	c.trace.GotConn = func(info httptrace.GotConnInfo) {
		if c.direct {
			c.latch.leave()
		}
		if c.effect {
			c.started.connected(info.Conn, !c.direct) // net/http itself starts no two at a time
		}
	}
	c.trace.WroteHeaders = func() {
		if c.effect {
			c.started.wrote()
		}
	}
	return httptrace.WithClientTrace(ctx, &c.trace)
}

// exchanges are what was started below for one call. The content follows the
// headers, so that whoever is closed before or right after them sends none.
type exchanges struct {
	mu      sync.Mutex
	headers bool // of one went out
	conns   []net.Conn
}

// connected closes the connection if another exchange has begun to write.
// It remembers the others if they are to be kept.
func (e *exchanges) connected(conn net.Conn, keep bool) {
	e.mu.Lock()
	late := e.headers
	if keep && !late {
		e.conns = append(e.conns, conn)
	}
	e.mu.Unlock()
	if late {
		conn.Close()
	}
}

// wrote closes all connections when it is called for a second exchange, as
// nobody says whose headers these are. The first one's content may be away.
func (e *exchanges) wrote() {
	e.mu.Lock()
	var conns []net.Conn
	if e.headers {
		conns = e.conns
	}
	e.headers = true
	e.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// latch decides whether the content leaves: once read it may have, once shut it
// never will. Without the content no gateway can act. For net/http itself it
// goes by the connection: it may have left as soon as there is one.
type latch struct{ state atomic.Int32 }

const (
	latchFresh int32 = iota
	latchLeft
	latchShut
)

func (l *latch) leave() bool {
	return l.state.CompareAndSwap(latchFresh, latchLeft) || l.state.Load() == latchLeft
}

// shut reports whether nothing has left.
func (l *latch) shut() bool {
	return l.state.CompareAndSwap(latchFresh, latchShut) || l.state.Load() == latchShut
}

var errCallEnded = errors.New("middleware: the call has ended")

// latchedBody is the content on its way out. It is read by one goroutine.
type latchedBody struct {
	content []byte
	latch   *latch
}

func (b *latchedBody) Read(p []byte) (int, error) {
	if !b.latch.leave() {
		return 0, errCallEnded
	}
	if len(b.content) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.content)
	b.content = b.content[n:]
	return n, nil
}

func (b *latchedBody) Close() error { return nil }

// openedBody is the content of the answer that is handed on.
type openedBody struct{ bytes.Reader }

func (*openedBody) Close() error { return nil }

var errTooLong = errors.New("longer than 1 MiB")

// readAll reads a body of at most 1 MiB. size is how long it claims to be.
func readAll(body io.Reader, size int64) ([]byte, error) {
	if size > maxMessage {
		return nil, errTooLong
	}
	b := make([]byte, 0, max(size, 0)+bytes.MinRead)
	for {
		n, err := body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > maxMessage:
			return nil, errTooLong
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
	}
}

// CheckURL returns an error unless u is absolute and uses https, or plain http
// to a loopback host. The error does not quote u.
func CheckURL(u *url.URL) error {
	switch {
	case u == nil || u.Host == "":
		return errors.New("the gateway's URL is not absolute")
	case u.User != nil:
		return errors.New("the gateway's URL holds credentials")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return errors.New("the gateway's URL is not https")
	}
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// CheckBase returns an error if base is an *http.Transport that does not verify
// the gateway's certificate.
func CheckBase(base http.RoundTripper) error {
	if t, ok := base.(*http.Transport); ok && t != nil && t.TLSClientConfig != nil && t.TLSClientConfig.InsecureSkipVerify {
		return errors.New("the base transport does not verify certificates")
	}
	return nil
}
