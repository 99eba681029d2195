package middleware

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

// sending is one call on its way. What belongs to one call lives in it, which
// saves allocations.
type sending struct {
	*Transport
	Call
	via    *http.Request // what RoundTrip was called with, or nil
	name   string        // of a known action, for errors and the Observer
	order  string        // the member of Data that holds the order's id, or ""
	schema string        // of the request, or ""
	effect bool
	keys   []envelope.Key
	sealed envelope.Sealed

	begun   *attempt // once it is noted
	of      payment
	target  http.RoundTripper
	direct  bool // target is net/http itself
	latch   latch
	body    latchedBody
	memory  bytes.Reader // the content, for net/http
	sought  atomic.Bool  // net/http has looked for a connection
	started exchanges
	trace   httptrace.ClientTrace
	types   [2]string // Content-Type and Accept of the request
	onWire  [512]byte // the content, if it is short
	outcome CallOutcome
	end     func(CallOutcome) // of the Observer

	reply    Reply
	resp     *http.Response
	opened   openedBody // of the response that RoundTrip returns
	respType [1]string
	spelled  [384]byte // the opened answer, if it is short
}

// failure is why a call failed, without what becomes of it.
type failure struct {
	reason     Reason
	err        error
	retryAfter time.Duration
}

func newSending(t *Transport, c *Call, via *http.Request) *sending {
	s := &sending{Transport: t, Call: *c, via: via}
	info, known := api.LookupAction(c.Action)
	if !known && c.Info != nil && string(c.Info.Name) == c.Action {
		info, known = *c.Info, true
	}
	s.effect = !known || info.Kind != api.KindQuery
	switch {
	case known:
		s.name, s.order, s.schema = string(info.Name), info.OrderMember, info.Request
	case c.Plain:
		s.name = c.Action // the caller's constant
	}
	return s
}

// protected is run, with a panic of Keys, Limiter, Base or Observer as a failure.
func (s *sending) protected(ctx context.Context) (failed *failure) {
	defer recovered(&failed)
	return s.run(ctx)
}

// run is the call from the first check to the opened answer.
func (s *sending) run(ctx context.Context) *failure {
	s.target = s.Transport.base()
	_, s.direct = s.target.(*http.Transport)
	if err := s.check(s.Transport, s.target); err != nil {
		return &failure{reason: ReasonRequest, err: err}
	}
	ctx = s.observe(ctx)
	if failed := s.findKeys(ctx); failed != nil {
		return failed
	}
	if failed := s.wait(ctx); failed != nil {
		return failed
	}
	content, failed := s.content()
	if failed != nil {
		return failed
	}
	if err := ctx.Err(); err != nil {
		return &failure{reason: sendReason(err), err: err}
	}
	if s.effect && !s.begin(ctx) {
		return &failure{reason: ReasonSentBefore, err: ErrSentBefore}
	}
	room := s.room()
	defer s.rooms.Put(room)
	body, failed := s.exchange(ctx, content, room)
	if failed != nil {
		return failed
	}
	return s.open(body)
}

// observe tells the Observer that the call begins.
func (s *sending) observe(ctx context.Context) context.Context {
	if s.Observer == nil {
		return ctx
	}
	kind := "query"
	if s.effect {
		kind = "effect"
	}
	ctx, s.end = s.Observer.Call(s.request(ctx), s.name, kind)
	return ctx
}

// observed tells the Observer how the call ended. A panic of its becomes the
// call's failure.
func (s *sending) observed(failed *failure, unknown bool) (result *failure) {
	if s.end == nil {
		return failed
	}
	if failed != nil {
		s.outcome.Reason, s.outcome.Unknown = failed.reason, unknown && s.effect
	}
	defer recovered(&result)
	s.end(s.outcome)
	return failed
}

func (s *sending) findKeys(ctx context.Context) *failure {
	if s.Plain {
		return nil
	}
	var err error
	if s.keys, err = s.Keys.Keys(ctx, s.MerchantID); err != nil {
		return &failure{reason: ReasonKeys, err: err}
	}
	if len(s.keys) == 0 {
		return &failure{reason: ReasonKeys, err: ErrNoKeys}
	}
	return nil
}

func (s *sending) wait(ctx context.Context) *failure {
	limiter := s.Call.Limiter
	if limiter == nil {
		limiter = s.Transport.Limiter
	}
	if limiter == nil {
		return nil
	}
	start := s.now()
	err := limiter.Wait(ctx)
	s.outcome.Wait = s.now().Sub(start)
	if err != nil {
		return &failure{reason: ReasonLimited, err: errors.Join(ErrLimited, err)}
	}
	return nil
}

// content returns what goes over the wire.
func (s *sending) content() ([]byte, *failure) {
	if s.Plain {
		return s.Data, nil
	}
	var err error
	if s.sealed, err = s.keys[0].Seal(s.Data); err != nil {
		return nil, &failure{reason: ReasonRequest, err: err}
	}
	return s.Call.envelope(s.onWire[:0], s.sealed), nil
}

// begin notes that the effect is about to leave. It reports false if another
// one has left under the same SendOnce context.
func (s *sending) begin(ctx context.Context) bool {
	s.of = s.payment()
	if o := onceOf(ctx); o != nil && !o.begin(Sent{Action: api.Action(s.Action), MerchantID: s.MerchantID, OrderID: s.orderID()}) {
		return false
	}
	s.begun = s.attempts.begin(s.of)
	return true
}

// remember notes whether the effect has left, and reports whether another one of
// the same payment may have.
func (s *sending) remember(ctx context.Context, left bool) (others bool) {
	if !s.effect {
		return false
	}
	if s.begun == nil {
		return s.MayHaveLeft(ctx, s.MerchantID, s.payment().order)
	}
	if o := onceOf(ctx); o != nil {
		o.end(left)
	}
	return s.attempts.end(s.of, s.begun, left)
}

// payment returns what the call is an attempt of. One without an order's id is
// known by its content.
func (s *sending) payment() payment {
	if s.of == (payment{}) {
		s.of = payment{s.MerchantID, s.orderID()}
		if s.of.order == "" {
			sum := sha256.Sum256(s.Data)
			s.of.order = "\x00" + string(sum[:]) // no order's id begins like that
		}
	}
	return s.of
}

// orderID returns the order's id that the request names, "" if it names none.
func (s *sending) orderID() string {
	if s.OrderID != "" || s.order == "" {
		return s.OrderID
	}
	var m wire.Members
	if err := wire.Parse(s.Data, &m); err != nil {
		return ""
	}
	i := m.Find(s.order)
	if i < 0 {
		return ""
	}
	id, _ := m.Text(i)
	return id
}

// exchange sends the content and reads the whole answer.
func (s *sending) exchange(ctx context.Context, content []byte, room *room) ([]byte, *failure) {
	resp, err := s.target.RoundTrip(s.outgoing(ctx, content))
	if s.direct && !s.sought.Load() {
		s.latch.leave() // a protocol of its own was registered: it cannot be told
	}
	if err != nil {
		return nil, &failure{reason: sendReason(err), err: err}
	}
	defer resp.Body.Close()
	s.resp = resp
	return s.read(resp, room)
}

// request returns the request without its content.
func (s *sending) request(ctx context.Context) *http.Request {
	if s.via != nil {
		return s.via.WithContext(ctx)
	}
	return (&http.Request{
		Method: http.MethodPost, URL: s.URL, Host: s.URL.Host, Header: make(http.Header, 2),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
}

// outgoing is the request as the base gets it.
func (s *sending) outgoing(ctx context.Context, content []byte) *http.Request {
	if s.effect || s.direct {
		ctx = s.traced(ctx)
	}
	out := s.request(ctx)
	if s.via != nil {
		out.Header = harmless(s.via.Header)
	}
	s.types = [2]string{"application/json", "application/json"}
	out.Header["Content-Type"], out.Header["Accept"] = s.types[:1:1], s.types[1:]
	out.Body, out.ContentLength = s.reader(content), int64(len(content))
	out.TransferEncoding, out.Trailer, out.GetBody = nil, nil, nil
	if !s.effect {
		out.GetBody = func() (io.ReadCloser, error) {
			return &latchedBody{content: content, latch: &s.latch}, nil
		}
	}
	return out
}

// harmless returns a copy without what makes net/http replay a POST, which are
// the first two, and without what describes the body that the caller wrote. The
// names are in the form that net/http looks for.
func harmless(header http.Header) http.Header {
	if len(header) == 0 {
		return make(http.Header, 2)
	}
	out := header.Clone()
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key", "Expect", "Content-Encoding", "Accept-Encoding", "Trailer"} {
		delete(out, name)
	}
	return out
}

// reader is the content as the base reads it. net/http itself writes headers and
// content at once, which saves a packet and a third of the time, only if it knows
// the reader. It tells by its hooks what has left.
func (s *sending) reader(content []byte) io.ReadCloser {
	if s.direct {
		s.memory.Reset(content)
		return io.NopCloser(&s.memory)
	}
	s.body = latchedBody{content: content, latch: &s.latch}
	return &s.body
}

// traced notes when net/http has got a connection to write to, and closes the
// connection of every exchange of an effect after the one whose headers went
// out. net/http does not start one, since the content cannot be rewound; a
// retry library that sits below the Transport does, and one that hedges does
// while the first is under way.
func (s *sending) traced(ctx context.Context) context.Context {
	if s.direct {
		s.trace.GetConn = func(string) { s.sought.Store(true) }
	}
	s.trace.GotConn = func(info httptrace.GotConnInfo) {
		if s.direct {
			s.latch.leave()
		}
		if s.effect {
			s.started.connected(info.Conn, !s.direct) // net/http itself starts no two at a time
		}
	}
	if s.effect {
		s.trace.WroteHeaders = s.started.wrote
	}
	return httptrace.WithClientTrace(ctx, &s.trace)
}

// read reads what came back, if it can be an answer at all.
func (s *sending) read(resp *http.Response, room *room) ([]byte, *failure) {
	s.outcome.Status = resp.StatusCode
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		return nil, &failure{reason: ReasonRedirect, err: errRedirect}
	case code < 200 || code > 299:
		return nil, &failure{reason: ReasonStatus, retryAfter: retryAfter(resp.Header, s.now), err: errStatus}
	}
	body, err := room.readAll(resp.Body, resp.ContentLength)
	switch text := bytes.TrimLeft(body, " \t\r\n"); {
	case errors.Is(err, errTooLong):
		return nil, &failure{reason: ReasonTooLarge, err: errTooLong}
	case err != nil:
		return nil, &failure{reason: sendReason(err), err: err}
	case len(text) == 0:
		return nil, &failure{reason: ReasonEmpty, err: errEmpty}
	case text[0] == '<':
		return nil, &failure{reason: ReasonHTML, err: errHTML}
	}
	return body, nil
}

// open opens the answer.
func (s *sending) open(body []byte) *failure {
	if s.Plain {
		s.reply.Data = bytes.Clone(body)
		return nil
	}
	answer, err := envelope.ReadAnswer(body)
	if err != nil {
		return &failure{reason: answerReason(err), err: err}
	}
	reply := &s.reply
	*reply = Reply{Code: answer.Code, Message: answer.Message, MerchantID: answer.MerchantID}
	if answer.Sealed != (envelope.Sealed{}) {
		payload, err := openWith(s.keys, answer.Sealed)
		if err != nil {
			return &failure{reason: answerReason(err), err: err}
		}
		reply.Data, reply.Members = payload.JSON, payload.Members()
		// The digest is part of the cipher key, so that what opens under the
		// request's digest was put together from the request's own blocks.
		reflected := strings.EqualFold(answer.MD5, s.sealed.MD5) || s.reflects(reply.Members)
		switch {
		case reflected && api.Code(answer.Code).Class() == api.ClassSuccess:
			return &failure{reason: ReasonReflected, err: errReflected}
		case reflected && s.effect: // the code stands alone, as if no data had come
			reply.Data, reply.Members = nil, nil
		}
	}
	s.judge(api.Code(answer.Code))
	return nil
}

const errReflected = constant("the answer is a request or a callback of the same merchant")

// reflects reports whether the members are those of a callback, of this request,
// or of another request of its action, which says all that such a request has to
// say and nothing else.
func (s *sending) reflects(m *wire.Members) bool {
	if m.Find("finish_time") >= 0 && m.Find("bizpay_order_id") >= 0 {
		return true // no request and no answer has it (docs/protocol.md, 8.2)
	}
	schema, ok := api.LookupSchema(s.schema)
	if !ok && s.Info != nil {
		schema, ok = s.Info.LookupRequest()
	}
	if !ok {
		return false
	}
	for _, member := range schema.Members {
		if member.Required && m.Find(member.Name) < 0 {
			return false
		}
	}
	for i := range m.Len() {
		name := m.Name(i)
		if !slices.ContainsFunc(schema.Members, func(member api.Member) bool { return member.Name == string(name) }) {
			return false
		}
	}
	return true
}

// judge keeps for the Observer what the answer's code is.
func (s *sending) judge(code api.Code) {
	s.outcome.Class = code.Class().String()
	s.outcome.Code = "other"
	if code.Message() != "" {
		s.outcome.Code = strings.ToUpper(string(code))
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

var errTooLong = errors.New("longer than 1 MiB")

// room is memory that is used again: for the body of a request that RoundTrip
// reads, and for that of an answer.
type room struct {
	buf     []byte
	members wire.Members
}

// mostKept is the largest buffer that is kept.
const mostKept = 16 << 10

func (t *Transport) room() *room {
	if r, ok := t.rooms.Get().(*room); ok {
		if cap(r.buf) > mostKept {
			r.buf = nil
		}
		return r
	}
	return new(room)
}

// readAll reads a body of at most 1 MiB. size is how long it claims to be. The
// bytes are good until the room is used again.
func (r *room) readAll(body io.Reader, size int64) ([]byte, error) {
	if size > maxMessage {
		return nil, errTooLong
	}
	b := r.buf[:0]
	if need := int(min(max(size, 0), mostKept)) + bytes.MinRead; cap(b) < need { // what is claimed may be a lie
		b = make([]byte, 0, need)
	}
	defer func() { r.buf = b }()
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
