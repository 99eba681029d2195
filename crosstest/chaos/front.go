package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// point is where the gateway fails.
type point string

// The points.
const (
	none      point = "none"
	connect   point = "connect"   // nobody listens
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
)

// points are all of them.
func points() []point {
	return []point{
		none, connect, handshake, midRequest, afterWork, beforeHeaders, midBody, timeOut,
		wrongDigest, wrongKey, noData, anotherOrder, systemError, emptyBody, garbage,
		page, badGateway, unavailable, redirect307, redirect308,
	}
}

// enveloped reports whether the point is about the envelope, which inAppPay
// has none of.
func (p point) enveloped() bool {
	switch p {
	case wrongDigest, wrongKey, noData, anotherOrder, systemError:
		return true
	}
	return false
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
	at     []point     // what befalls the next requests, in their order; afterwards nothing
	ran    int         // how many requests were worked on
	expire func(error) // ends the caller's time
}

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
	f := &front{gateway: gateway, key: key}
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
	nowhere.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr = "127.0.0.1:1"; f.next() == handshake { // nobody, or somebody who hangs up
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

// set says what befalls the next requests.
func (f *front) set(expire func(error), at ...point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.expire, f.ran = at, expire, 0
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
	f.ran++
	expire := f.expire
	f.mu.Unlock()

	inner := r.Clone(r.Context())
	inner.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	f.gateway.ServeHTTP(answer, inner)
	f.fail(rw, r, p, answer.Body.Bytes(), expire)
}

// fail answers, in the way of p.
func (f *front) fail(rw http.ResponseWriter, r *http.Request, p point, answer []byte, expire func(error)) {
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
