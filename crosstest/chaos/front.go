package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// point is where the gateway fails.
type point string

// The points.
const (
	none      point = "none"
	connect   point = "connect"   // no listener
	handshake point = "handshake" // TLS fails

	midRequest point = "mid-request" // gone before the work

	afterWork     point = "after-work"     // gone without a word
	beforeHeaders point = "before-headers" // gone in the status line
	midBody       point = "mid-body"       // gone in the answer
	timeOut       point = "time-out"       // the caller's time is up before the answer

	wrongDigest  point = "wrong-digest"
	wrongKey     point = "wrong-key"
	noData       point = "success-without-data"
	anotherOrder point = "another-order"
	systemError  point = "SYSTEM_ERROR"
	emptyBody    point = "empty"
	garbage      point = "garbage"
	page         point = "html-200"
	badGateway   point = "html-502"
	unavailable  point = "503-retry-after"
	redirect307  point = "307"
	redirect308  point = "308"

	// Answers that open under the merchant's key and answer nothing.
	reflected  point = "reflected"          // the request come back
	rearranged point = "reflected-members"  // the same, its members in another order
	refusal    point = "reflected-as-FAIL"  // the same, under another code
	earlier    point = "earlier-answer"     // the answer to an earlier request of the action
	row        point = "row-of-a-payment"   // what STATUS_QUERY says of another payment
	called     point = "callback-as-answer" // a callback of the order
)

// points are all of them.
func points() []point {
	return []point{
		none, connect, handshake, midRequest, afterWork, beforeHeaders, midBody, timeOut,
		wrongDigest, wrongKey, noData, anotherOrder, systemError, emptyBody, garbage,
		page, badGateway, unavailable, redirect307, redirect308,
		reflected, rearranged, refusal, earlier, row, called,
	}
}

// replayed reports whether the answer is another message of the merchant's, for
// which the gateway need not have done anything.
func (p point) replayed() bool {
	switch p {
	case reflected, rearranged, refusal, earlier, row, called:
		return true
	}
	return false
}

// enveloped reports whether the point is about the envelope, which inAppPay
// has none of.
func (p point) enveloped() bool {
	switch p {
	case wrongDigest, wrongKey, noData, anotherOrder, systemError:
		return true
	}
	return p.replayed() && p != reflected
}

// sent reports whether the request's content may have left.
func (p point) sent() bool { return p != connect && p != handshake }

// front stands before the sandbox and fails at the point that is set. Only one
// call at a time goes through it.
type front struct {
	gateway *ottpaytest.Gateway
	server  *httptest.Server
	broken  net.Listener // takes connections and hangs up
	key     envelope.Key

	mu     sync.Mutex
	at     []point             // what happens to the next requests, in their order; afterwards nothing
	idle   bool                // a replayed answer comes in place of the work
	ran    int                 // how many requests were worked on
	expire func(error)         // ends the caller's time
	last   map[api.Action]wire // the latest good answer to each action
	row    []byte              // what the gateway says of a payment, opened
}

// wire is an envelope's members.
type wire map[string]string

func newFront(key envelope.Key, http2 bool) (*front, error) {
	gateway, err := ottpaytest.New(ottpaytest.Config{
		MerchantID:      merchant,
		SignKey:         signKey,
		Reuse:           true, // a second arrival takes effect, so that it shows
		Redelivery:      []time.Duration{},
		Callbacks:       deaf{},
		CallbackTimeout: time.Second,
	})
	if err != nil {
		return nil, err
	}
	f := &front{gateway: gateway, key: key, last: make(map[api.Action]wire)}
	if f.broken, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go f.hangUp()
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.EnableHTTP2 = http2
	f.server.StartTLS()
	return f, nil
}

func (f *front) close() {
	f.broken.Close()
	f.server.Close()
	f.gateway.Close()
}

// hangUp breaks every handshake. It ends with its listener.
func (f *front) hangUp() {
	for {
		conn, err := f.broken.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1))
		conn.Close()
	}
}

// path is what a client reaches the front with: its own connections, or one
// that fails.
type path struct {
	*http.Transport
	front   *front
	nowhere *http.Transport
}

func (f *front) path() *path {
	good := f.server.Client().Transport.(*http.Transport).Clone()
	nowhere := good.Clone()
	nowhere.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		addr := "127.0.0.1:1" // no listener, or one that hangs up
		if f.next() == handshake {
			addr = f.broken.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &path{Transport: good, front: f, nowhere: nowhere}
}

func (p *path) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.front.peek().sent() {
		return p.Transport.RoundTrip(r)
	}
	return p.nowhere.RoundTrip(r)
}

// set says what happens to the next requests.
func (f *front) set(expire func(error), at ...point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.expire, f.ran, f.idle = at, expire, 0, false
}

// rest has the next replayed answer come in place of the work.
func (f *front) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = true
}

// answered reports whether there is an earlier answer to the action.
func (f *front) answered(action api.Action) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[action] != nil
}

func (f *front) peek() point {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.at) == 0 {
		return none
	}
	return f.at[0]
}

// next uses a point up. What a library sends again gets on without one.
func (f *front) next() point {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.at) == 0 {
		return none
	}
	p := f.at[0]
	f.at = f.at[1:]
	return p
}

// worked returns how many requests were worked on since set.
func (f *front) worked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ran
}

func (f *front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p := f.next()
	if p == midRequest {
		_, _ = io.ReadFull(r.Body, make([]byte, 10))
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	expire, idle := f.expire, f.idle && p.replayed()
	if !idle {
		f.ran++
	}
	f.mu.Unlock()

	answer := httptest.NewRecorder()
	if !idle {
		inner := r.Clone(r.Context())
		inner.Body = io.NopCloser(bytes.NewReader(body))
		f.gateway.ServeHTTP(answer, inner)
	}
	f.fail(rw, r, p, body, answer.Body.Bytes(), expire)
}

// fail answers, in the way of p.
func (f *front) fail(rw http.ResponseWriter, r *http.Request, p point, asked, answer []byte, expire func(error)) {
	if p.replayed() {
		_, _ = rw.Write(f.replay(p, asked))
		return
	}
	if p == none {
		f.keep(asked, answer)
	}
	switch p {
	case afterWork:
		panic(http.ErrAbortHandler)
	case beforeHeaders:
		if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 2")
			conn.Close()
			return
		}
		panic(http.ErrAbortHandler) // HTTP/2 has no status line
	case midBody:
		rw.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = rw.Write(answer[:len(answer)/2])
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	case timeOut:
		if expire != nil {
			expire(context.DeadlineExceeded)
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	case emptyBody:
		rw.WriteHeader(http.StatusOK)
	case garbage:
		_, _ = io.WriteString(rw, "OK")
	case page:
		_, _ = io.WriteString(rw, "<html>sign in to the network</html>")
	case badGateway:
		rw.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(rw, "<html>bad gateway</html>")
	case unavailable:
		rw.Header().Set("Retry-After", "0")
		rw.WriteHeader(http.StatusServiceUnavailable)
	case redirect307, redirect308:
		status, _ := strconv.Atoi(string(p))
		http.Redirect(rw, r, r.URL.Path, status)
	case none:
		_, _ = rw.Write(answer)
	default:
		_, _ = rw.Write(f.spoil(p, answer))
	}
}

// spoil makes an answer that proves nothing.
func (f *front) spoil(p point, answer []byte) []byte {
	var m map[string]string
	if err := json.Unmarshal(answer, &m); err != nil {
		return nil
	}
	switch p {
	case wrongDigest:
		if m["md5"] == "" {
			return nil
		}
		last := len(m["md5"]) - 1
		m["md5"] = m["md5"][:last] + string("10"[strings.Count(m["md5"][last:], "1")])
	case noData:
		m = map[string]string{"rsp_code": "SUCCESS", "rsp_msg": "success"}
	case systemError:
		m = map[string]string{"rsp_code": "SYSTEM_ERROR", "rsp_msg": "system error"}
	case wrongKey, anotherOrder:
		payload, err := f.key.Open(envelope.Sealed{Data: m["data"], MD5: m["md5"]})
		if err != nil {
			return nil
		}
		key, text := f.key, payload.JSON
		if p == wrongKey {
			if key, err = envelope.NewKey("0000000000000000"); err != nil {
				return nil
			}
		} else if text, err = renamed(text); err != nil {
			return nil
		}
		sealed, err := key.Seal(text)
		if err != nil {
			return nil
		}
		m["data"], m["md5"] = sealed.Data, sealed.MD5
	}
	spoilt, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return spoilt
}

// keep remembers a good answer.
func (f *front) keep(asked, answer []byte) {
	var request, good wire
	if json.Unmarshal(asked, &request) != nil || json.Unmarshal(answer, &good) != nil || good["rsp_code"] != "SUCCESS" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[api.Action(request["action"])] = good
	if request["action"] != string(api.ActionSTATUS_QUERY) {
		return
	}
	if payload, err := f.key.Open(envelope.Sealed{Data: good["data"], MD5: good["md5"]}); err == nil && !bytes.Contains(payload.JSON, []byte(`"refund_fee":1`)) {
		f.row = payload.JSON
	}
}

// replay makes an answer of another message of the merchant's.
func (f *front) replay(p point, asked []byte) []byte {
	var request wire
	if err := json.Unmarshal(asked, &request); err != nil || request["md5"] == "" {
		return asked // inAppPay has no envelope
	}
	m := wire{"rsp_code": "SUCCESS", "rsp_msg": "success", "merchant_id": merchant, "data": request["data"], "md5": request["md5"]}
	payload, err := f.key.Open(envelope.Sealed{Data: request["data"], MD5: request["md5"]})
	if err != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	text := payload.JSON
	switch p {
	case refusal:
		m["rsp_code"] = "FAIL"
	case rearranged:
		text = backwards(text)
	case row:
		text = f.row
	case called:
		text = callbackOf(text)
	case earlier:
		m = f.last[api.Action(request["action"])]
	}
	if p != earlier && p != reflected && p != refusal {
		sealed, err := f.key.Seal(text)
		if err != nil {
			return nil
		}
		m["data"], m["md5"] = sealed.Data, sealed.MD5
	}
	replayed, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return replayed
}

// backwards writes the members of an object of texts in the opposite order.
func backwards(object []byte) []byte {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		return nil
	}
	names := slices.Sorted(maps.Keys(m))
	slices.Reverse(names)
	out := []byte("{")
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(strconv.AppendQuote(out, name), ':'), m[name]...), ' ')
	}
	return append(out, '}')
}

// callbackOf makes a callback of the order that the request names.
func callbackOf(request []byte) []byte {
	var m map[string]string
	_ = json.Unmarshal(request, &m)
	id := m["order_id"] + m["orderId"] + m["prepay_order_id"]
	notice, _ := json.Marshal(map[string]string{
		"order_id": id, "orderId": id, "prepay_order_id": id, "amount": "100", "merchant_id": merchant,
		"bizpay_order_id": "WX240102030405000001", "finish_time": "20240102110405", "order_status": "success",
	})
	return notice
}

// renamed makes an answer one about another order.
func renamed(payload []byte) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	found := false
	for _, name := range []string{"order_id", "orderId", "prepay_order_id"} {
		if _, ok := m[name]; ok {
			m[name], found = json.RawMessage(`"ANOTHER1"`), true
		}
	}
	if !found {
		return nil, errors.New("the answer names no order")
	}
	return json.Marshal(m)
}

// deaf takes every callback.
type deaf struct{}

func (deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// expiring is a context whose deadline passes when it is told to.
type expiring struct {
	context.Context
	done chan struct{}
	once sync.Once
	mu   sync.Mutex
	err  error
}

func newExpiring(parent context.Context) *expiring {
	return &expiring{Context: parent, done: make(chan struct{})}
}

func (e *expiring) Done() <-chan struct{} { return e.done }

func (e *expiring) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *expiring) end(err error) {
	e.once.Do(func() {
		e.mu.Lock()
		e.err = err
		e.mu.Unlock()
		close(e.done)
	})
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
