package middleware_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	transportMerchant = "ON00004652"
	transportKey      = "6698851A525C9433"
	refundCall        = `{"action":"REFUND","version":"1.0","merchant_id":"ON00004652","data":{"order_id":"R1","ori_order_id":"O1","refund_amt":"5"}}`
	queryCall         = `{"action":"STATUS_QUERY","version":"1.0","merchant_id":"ON00004652","data":{"order_id":"O1"}}`
)

// ledger is a gateway that counts what it was asked to do before it fails.
type ledger struct {
	key     envelope.Key
	effects atomic.Int64
	last    atomic.Pointer[string]
}

// enter reads a request as the gateway does and counts it.
func (l *ledger) enter(r io.Reader) bool {
	body, err := io.ReadAll(r)
	if err != nil {
		return false
	}
	request, err := envelope.ReadRequest(body)
	if err != nil {
		return false
	}
	payload, err := l.key.Open(request.Sealed)
	if err != nil {
		return false
	}
	l.effects.Add(1)
	text := string(payload.JSON)
	l.last.Store(&text)
	return true
}

func newLedger(tb testing.TB) *ledger { return &ledger{key: mustKey(tb, transportKey)} }

func (l *ledger) answer(tb testing.TB, code, data string) []byte {
	tb.Helper()
	resp := envelope.Response{Code: code, Message: "words"}
	if data == "" {
		return []byte(`{"rsp_code":"` + code + `","rsp_msg":"words"}`)
	}
	var err error
	if resp.Sealed, err = l.key.Seal([]byte(data)); err != nil {
		tb.Fatal(err)
	}
	wire, err := json.Marshal(resp)
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

func (l *ledger) transport(base http.RoundTripper) *middleware.Transport {
	return &middleware.Transport{Keys: middleware.StaticKeys{transportMerchant: {l.key}}, Base: base}
}

func newCall(t testing.TB, url, opened string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(opened))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func wantSendError(t *testing.T, err error, notSent bool, reason string, matches ...error) *middleware.SendError {
	t.Helper()
	var failed *middleware.SendError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a *SendError", err)
	}
	if failed.NotSent != notSent || string(failed.Reason) != reason {
		t.Errorf("got %v, want reason %q, not sent %v", err, reason, notSent)
	}
	if errors.Is(err, middleware.ErrNotSent) != notSent || errors.Is(err, middleware.ErrUnknownOutcome) == notSent {
		t.Errorf("%v matches the wrong one of ErrNotSent and ErrUnknownOutcome", err)
	}
	for _, m := range matches {
		if !errors.Is(err, m) {
			t.Errorf("%v does not match %v", err, m)
		}
	}
	return failed
}

func TestTransportSealsAndOpens(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	var got http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		l.enter(r.Body)
		rw.Header().Set("X-Kept", "yes")
		_, _ = rw.Write(l.answer(t, "SUCCESS", `{"order_id":"O1", "total_amount":1}`))
	}))
	defer server.Close()

	transport := l.transport(server.Client().Transport)
	old := mustKey(t, "AAAAAAAAAAAAAAAA")
	transport.Keys = middleware.StaticKeys{transportMerchant: {l.key, old}}
	data := `{ "order_id" : "O\u0031" ,"remarks":"a\/b"}`
	req := newCall(t, server.URL, `{"data":`+data+`,"merchant_id":"ON00004652","version":"1.0","action":"STATUS_QUERY"}`)
	req.Header.Set("Idempotency-Key", "x")
	req.Header.Set("X-Own", "kept")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	const want = `{"rsp_code":"SUCCESS","rsp_msg":"words","data":{"order_id":"O1", "total_amount":1},"verified":true}`
	if string(body) != want || resp.ContentLength != int64(len(want)) || resp.Header.Get("X-Kept") != "yes" || resp.Request != req {
		t.Errorf("got %s, %d bytes", body, resp.ContentLength)
	}
	if sealed := *l.last.Load(); sealed != data {
		t.Errorf("sealed %s, want it to the letter", sealed)
	}
	if got.Get("Content-Type") != "application/json" || got.Get("Accept") != "application/json" || got.Get("X-Own") != "kept" || got.Get("Idempotency-Key") != "" {
		t.Errorf("headers %v", got)
	}
	if req.Header.Get("Idempotency-Key") != "x" || req.Header.Get("Accept") != "" {
		t.Error("the caller's request was changed")
	}
}

func TestTransportOpensWithAnOlderKey(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write(l.answer(t, "FAIL", `{"order_id":"O1"}`))
	}))
	defer server.Close()
	transport := l.transport(server.Client().Transport)
	transport.Keys = middleware.StaticKeys{transportMerchant: {mustKey(t, "AAAAAAAAAAAAAAAA"), l.key}}
	resp, err := transport.RoundTrip(newCall(t, server.URL, queryCall))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); !bytes.Contains(body, []byte(`"verified":true`)) {
		t.Errorf("got %s", body)
	}
}

func TestTransportAnswers(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	stranger := &ledger{key: mustKey(t, "0000000000000000")}
	sealed := string(l.answer(t, "SUCCESS", `{"order_id":"O1"}`))
	tests := []struct {
		name, body string
		status     int
		header     [2]string
		reason     string
		matches    []error
	}{
		{name: "redirect 307", status: 307, header: [2]string{"Location", "/again"}, reason: "redirect"},
		{name: "redirect 308", status: 308, header: [2]string{"Location", "/again"}, reason: "redirect"},
		{name: "redirect 302", status: 302, header: [2]string{"Location", "/again"}, reason: "redirect"},
		{name: "server error", status: 503, body: sealed, reason: "status"},
		{name: "not found", status: 404, body: sealed, reason: "status"},
		{name: "page", status: 200, body: "\n <!DOCTYPE html><html>", reason: "html"},
		{name: "empty", status: 200, body: " \r\n", reason: "empty"},
		{name: "no content", status: 204, reason: "empty"},
		{name: "too large", status: 200, body: strings.Repeat(" ", 1<<20) + sealed, reason: "too-large"},
		{name: "no JSON", status: 200, body: "OK", reason: "malformed", matches: []error{envelope.ErrMalformed}},
		{name: "twice", status: 200, body: sealed + sealed, reason: "malformed", matches: []error{envelope.ErrMalformed}},
		{name: "success without data", status: 200, body: `{"rsp_code":"success","rsp_msg":""}`, reason: "no-data"},
		{name: "success with null data", status: 200, body: `{"rsp_code":"SUCCESS","rsp_msg":"","data":null,"md5":null}`, reason: "no-data"},
		{name: "another key", status: 200, body: string(stranger.answer(t, "SUCCESS", `{"order_id":"O1"}`)), reason: "unauthentic", matches: []error{envelope.ErrUnauthentic}},
		{name: "failure under another key", status: 200, body: string(stranger.answer(t, "FAIL", `{"order_id":"O1"}`)), reason: "unauthentic", matches: []error{envelope.ErrUnauthentic}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var came atomic.Int64
			server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				came.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				if tt.header[0] != "" {
					rw.Header().Set(tt.header[0], tt.header[1])
				}
				rw.WriteHeader(tt.status)
				_, _ = io.WriteString(rw, tt.body)
			}))
			defer server.Close()
			client := &http.Client{Transport: l.transport(server.Client().Transport)}
			_, err := client.Do(newCall(t, server.URL, refundCall))
			failed := wantSendError(t, err, false, tt.reason, tt.matches...)
			if failed.Status != tt.status || failed.Action != "REFUND" {
				t.Errorf("status %d, action %q", failed.Status, failed.Action)
			}
			if came.Load() != 1 {
				t.Errorf("came %d times", came.Load())
			}
		})
	}
}

func TestTransportUnverifiedFailure(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write(l.answer(t, "ORDER_USED", ""))
	}))
	defer server.Close()
	resp, err := l.transport(server.Client().Transport).RoundTrip(newCall(t, server.URL, refundCall))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if want := `{"rsp_code":"ORDER_USED","rsp_msg":"words","verified":false}`; string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestTransportRefusesToSend(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("sent") }))
	defer server.Close()
	insecure := server.Client().Transport.(*http.Transport).Clone()
	insecure.TLSClientConfig.InsecureSkipVerify = true
	exhausted := rate.NewLimiter(rate.Every(time.Hour), 1)
	exhausted.Allow()

	tests := []struct {
		name   string
		url    string
		body   string
		change func(*middleware.Transport, *http.Request)
		reason string
		match  error
	}{
		{name: "plain http", url: "http://gateway.example/processV2", reason: "request"},
		{name: "plain http to a private address", url: "http://10.0.0.1/processV2", reason: "request"},
		{name: "credentials", url: "https://user:pass@gateway.example/", reason: "request"},
		{name: "no verification", change: func(tr *middleware.Transport, _ *http.Request) { tr.Base = insecure }, reason: "request"},
		{name: "no keys", change: func(tr *middleware.Transport, _ *http.Request) { tr.Keys = middleware.StaticKeys{} }, reason: "keys", match: middleware.ErrNoKeys},
		{name: "nil Keys", change: func(tr *middleware.Transport, _ *http.Request) { tr.Keys = nil }, reason: "request"},
		{name: "no Keys for now", change: func(tr *middleware.Transport, _ *http.Request) {
			tr.Keys = keysFunc(func(context.Context, string) ([]envelope.Key, error) { return nil, io.ErrUnexpectedEOF })
		}, reason: "keys", match: io.ErrUnexpectedEOF},
		{name: "limited", change: func(tr *middleware.Transport, _ *http.Request) { tr.Limiter = exhausted }, reason: "limited", match: middleware.ErrLimited},
		{name: "GET", change: func(_ *middleware.Transport, r *http.Request) { r.Method = http.MethodGet }, reason: "request"},
		{name: "no JSON", body: `{`, reason: "request"},
		{name: "member twice", body: `{"action":"REFUND","action":"REFUND","version":"1.0","merchant_id":"ON00004652","data":{}}`, reason: "request"},
		{name: "unknown member", body: `{"action":"REFUND","version":"1.0","merchant_id":"ON00004652","data":{},"md5":""}`, reason: "request"},
		{name: "data is text", body: `{"action":"REFUND","version":"1.0","merchant_id":"ON00004652","data":"{}"}`, reason: "request"},
		{name: "data has a name twice", body: `{"action":"REFUND","version":"1.0","merchant_id":"ON00004652","data":{"a":"1","a":"2"}}`, reason: "request"},
		{name: "no merchant", body: `{"action":"REFUND","version":"1.0","data":{}}`, reason: "request"},
		{name: "too large", body: `{"action":"REFUND","version":"1.0","merchant_id":"ON00004652","data":{"a":"` + strings.Repeat("a", 1<<20) + `"}}`, reason: "request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, url := tt.body, tt.url
			if body == "" {
				body = refundCall
			}
			if url == "" {
				url = server.URL
			}
			transport, req := l.transport(server.Client().Transport), newCall(t, url, body)
			closed := &closing{Reader: req.Body}
			req.Body = closed
			if tt.change != nil {
				tt.change(transport, req)
			}
			_, err := transport.RoundTrip(req)
			wantSendError(t, err, true, tt.reason)
			if tt.match != nil && !errors.Is(err, tt.match) {
				t.Errorf("%v does not match %v", err, tt.match)
			}
			if !closed.closed {
				t.Error("the request's body was left open")
			}
		})
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestTransportKnowsWhatLeft(t *testing.T) {
	t.Parallel()
	l := newLedger(t)

	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		_, err = l.transport(nil).RoundTrip(newCall(t, "https://"+ln.Addr().String(), refundCall))
		wantSendError(t, err, true, "dial")
	})
	t.Run("a certificate of an unknown authority", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("sent") }))
		server.Config.ErrorLog = nil
		server.StartTLS()
		defer server.Close()
		_, err := l.transport(&http.Transport{}).RoundTrip(newCall(t, server.URL, refundCall))
		wantSendError(t, err, true, "tls")
	})
	t.Run("the context had ended", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.transport(&http.Transport{}).RoundTrip(newCall(t, "https://127.0.0.1:1", refundCall).WithContext(ctx))
		wantSendError(t, err, true, "canceled", context.Canceled)
	})
	t.Run("a breaker that is open, and a body that is read too late", func(t *testing.T) {
		t.Parallel()
		var kept *http.Request
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			kept = r
			return nil, errors.New("open")
		})
		_, err := l.transport(base).RoundTrip(newCall(t, "https://gateway.example", refundCall))
		wantSendError(t, err, true, "connection")
		if n, err := kept.Body.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("the content could be read after it was said not to be sent: %d, %v", n, err)
		}
	})
	t.Run("the first byte", func(t *testing.T) {
		t.Parallel()
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = r.Body.Read(make([]byte, 1))
			return nil, context.DeadlineExceeded
		})
		_, err := l.transport(base).RoundTrip(newCall(t, "https://gateway.example", refundCall))
		wantSendError(t, err, false, "timeout", context.DeadlineExceeded)
	})
	t.Run("the connection breaks after the work is done", func(t *testing.T) {
		t.Parallel()
		own := newLedger(t)
		server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			own.enter(r.Body)
			panic(http.ErrAbortHandler)
		}))
		defer server.Close()
		_, err := own.transport(server.Client().Transport).RoundTrip(newCall(t, server.URL, refundCall))
		wantSendError(t, err, false, "connection")
		if own.effects.Load() != 1 {
			t.Errorf("%d effects", own.effects.Load())
		}
	})
	t.Run("half an answer", func(t *testing.T) {
		t.Parallel()
		own := newLedger(t)
		server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			own.enter(r.Body)
			wire := own.answer(t, "SUCCESS", `{"order_id":"R1"}`)
			rw.Header().Set("Content-Length", fmt.Sprint(len(wire)))
			_, _ = rw.Write(wire[:len(wire)/2])
			_ = http.NewResponseController(rw).Flush()
			panic(http.ErrAbortHandler)
		}))
		defer server.Close()
		_, err := own.transport(server.Client().Transport).RoundTrip(newCall(t, server.URL, refundCall))
		wantSendError(t, err, false, "connection")
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTransportSendsOnce lets gateways do their work and then break the
// connection in the ways that make net/http, http.Client and retry libraries
// send again. The control shows that they do, with the same content and
// without the Transport.
func TestTransportSendsOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// start returns a gateway and what sends to it; below is put under the
		// Transport, and under http.Client in the control.
		start func(t *testing.T, l *ledger) (url string, below http.RoundTripper)
	}{
		{"http.Client follows 307", redirecting(http.StatusTemporaryRedirect)},
		{"http.Client follows 308", redirecting(http.StatusPermanentRedirect)},
		{"net/http replays a refused HTTP/2 stream", refusing(false)},
		{"net/http replays after HTTP/2 GOAWAY", refusing(true)},
		{"a retry library below", retrying},
		{"a hedging library below", hedging},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			control := newLedger(t)
			url, below := tt.start(t, control)
			wire := sealedCall(t, control.key)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(wire))
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := (&http.Client{Transport: below}).Do(req); err == nil {
				resp.Body.Close()
			}
			if control.effects.Load() < 2 {
				t.Errorf("the control sent %d times; this case shows nothing", control.effects.Load())
			}

			own := newLedger(t)
			url, below = tt.start(t, own)
			_, err = (&http.Client{Transport: own.transport(below)}).Do(newCall(t, url, refundCall))
			if !errors.Is(err, middleware.ErrUnknownOutcome) {
				t.Errorf("got %v, want an unknown outcome", err)
			}
			if n := own.effects.Load(); n > 1 || n == 0 && tt.name != "a hedging library below" {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func sealedCall(tb testing.TB, key envelope.Key) []byte {
	tb.Helper()
	sealed, err := key.Seal([]byte(`{"order_id":"R1","ori_order_id":"O1","refund_amt":"5"}`))
	if err != nil {
		tb.Fatal(err)
	}
	wire, err := json.Marshal(envelope.Request{Action: "REFUND", Version: "1.0", MerchantID: transportMerchant, Sealed: sealed})
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

func redirecting(status int) func(*testing.T, *ledger) (string, http.RoundTripper) {
	return func(t *testing.T, l *ledger) (string, http.RoundTripper) {
		server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if l.enter(r.Body) && l.effects.Load() < 5 {
				http.Redirect(rw, r, "/again", status)
			}
		}))
		t.Cleanup(server.Close)
		return server.URL, server.Client().Transport
	}
}

// retrying is what retry libraries do: keep the content, and send it again
// whenever the answer is not to their liking.
func retrying(t *testing.T, l *ledger) (string, http.RoundTripper) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		l.enter(r.Body)
		rw.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	return server.URL, roundTripper(func(r *http.Request) (resp *http.Response, err error) {
		kept, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		for range 3 {
			again := r.Clone(r.Context())
			again.Body = io.NopCloser(bytes.NewReader(kept))
			resp, err = server.Client().Transport.RoundTrip(again)
			if err == nil && resp.StatusCode == http.StatusOK {
				return resp, nil
			}
			if err == nil {
				resp.Body.Close()
			}
		}
		return nil, errors.New("gave up")
	})
}

// hedging is what libraries do that will not wait for a slow answer: keep the
// content, and send it a second time while the first is under way. Both have
// their connections before either writes.
func hedging(t *testing.T, l *ledger) (string, http.RoundTripper) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		l.enter(r.Body)
		rw.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	return server.URL, roundTripper(func(r *http.Request) (*http.Response, error) {
		kept, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var ready, ended sync.WaitGroup
		ready.Add(2)
		for range 2 {
			ended.Go(func() {
				both := &httptrace.ClientTrace{WroteHeaders: func() { ready.Done(); ready.Wait() }}
				again := r.Clone(httptrace.WithClientTrace(r.Context(), both))
				again.Body = io.NopCloser(bytes.NewReader(kept))
				if resp, err := server.Client().Transport.RoundTrip(again); err == nil {
					resp.Body.Close()
				}
			})
		}
		ended.Wait()
		server.Close() // waits for what has arrived
		return nil, errors.New("gave up")
	})
}

// refusing speaks just enough HTTP/2 to take a request in and then to claim
// that it did not.
func refusing(goAway bool) func(*testing.T, *ledger) (string, http.RoundTripper) {
	return func(t *testing.T, l *ledger) (string, http.RoundTripper) {
		helper := httptest.NewUnstartedServer(nil) // for its certificate
		helper.EnableHTTP2 = true
		helper.StartTLS()
		t.Cleanup(helper.Close)
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: helper.TLS.Certificates, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				go refuse(conn, l, goAway)
			}
		}()
		return "https://" + ln.Addr().String(), helper.Client().Transport
	}
}

func refuse(conn net.Conn, l *ledger, goAway bool) {
	defer conn.Close()
	const (
		data, rst, settings, away = 0, 3, 4, 7
		endStream, ack            = 1, 1
		refusedStream             = 7
	)
	frame := func(kind, flags byte, stream uint32, payload ...byte) {
		b := []byte{0, 0, byte(len(payload)), kind, flags}
		b = binary.BigEndian.AppendUint32(b, stream)
		_, _ = conn.Write(append(b, payload...))
	}
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	frame(settings, 0, 0)
	var content bytes.Buffer
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		stream := binary.BigEndian.Uint32(head[5:])
		switch {
		case head[3] == settings && head[4]&ack == 0:
			frame(settings, ack, 0)
		case head[3] == data:
			content.Write(payload)
			if head[4]&endStream == 0 {
				continue
			}
			l.enter(&content)
			if l.effects.Load() >= 3 { // a replaying client would never end
				return
			}
			if goAway {
				frame(away, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
				return
			}
			frame(rst, 0, stream, 0, 0, 0, refusedStream)
		}
	}
}

// TestTransportStaleConnection sends on a connection that the gateway closes
// just as the request arrives.
func TestTransportStaleConnection(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		l.enter(r.Body)
		if l.effects.Load() > 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = rw.Write(l.answer(t, "SUCCESS", `{"order_id":"R1"}`))
	}))
	defer server.Close()
	transport := l.transport(server.Client().Transport)
	if _, err := transport.RoundTrip(newCall(t, server.URL, refundCall)); err != nil {
		t.Fatal(err)
	}
	_, err := transport.RoundTrip(newCall(t, server.URL, refundCall))
	wantSendError(t, err, false, "connection")
	if n := l.effects.Load(); n != 2 {
		t.Errorf("two calls arrived %d times", n)
	}
}

func TestSendOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		l.enter(r.Body)
		rw.WriteHeader(http.StatusBadGateway)
	}))
	defer server.Close()
	transport := l.transport(server.Client().Transport)
	ctx := middleware.SendOnce(t.Context())
	for range 2 { // queries do not count
		_, err := transport.RoundTrip(newCall(t, server.URL, queryCall).WithContext(ctx))
		wantSendError(t, err, false, "status")
	}
	_, err := transport.RoundTrip(newCall(t, server.URL, refundCall).WithContext(ctx))
	wantSendError(t, err, false, "status")
	_, err = transport.RoundTrip(newCall(t, server.URL, refundCall).WithContext(ctx))
	wantSendError(t, err, false, "sent-before", middleware.ErrSentBefore)
	_, err = transport.RoundTrip(newCall(t, server.URL, refundCall).WithContext(middleware.SendOnce(ctx)))
	wantSendError(t, err, false, "sent-before", middleware.ErrSentBefore)
	if n := l.effects.Load(); n != 3 {
		t.Errorf("%d requests arrived", n)
	}
}

// TestTransportErrorsAreSilent lets a server repeat the request in every place
// that net/http quotes.
func TestTransportErrorsAreSilent(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	l := newLedger(t)
	call := strings.ReplaceAll(refundCall, "O1", canary)
	for _, raw := range []string{
		"HTTP/1.1 " + canary + "\r\n\r\n",
		canary + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n",
		"HTTP/1.1 307 x\r\nLocation: https://gateway.example/?" + canary + "\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"rsp_code\":\"" + canary + "\"",
		"HTTP/1.1 500 " + canary + "\r\nContent-Length: 0\r\n\r\n",
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, raw)
		}()
		_, err = l.transport(&http.Transport{}).RoundTrip(newCall(t, "http://"+ln.Addr().String()+"/?q="+canary, call))
		ln.Close()
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), transportKey) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%.20q: got %v", raw, err)
		}
	}
}

func TestTransportRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLedger(t)
	for header, want := range map[string]time.Duration{
		"":           0,
		"7":          7 * time.Second,
		"10":         10 * time.Second,
		"3000000000": 0, // a century
		"-7":         0,
		"now":        0,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {header}}, Body: http.NoBody}, nil
		})
		transport := l.transport(base)
		transport.Now = func() time.Time { return now }
		_, err := transport.RoundTrip(newCall(t, "https://gateway.example", queryCall))
		if failed := wantSendError(t, err, false, "status"); failed.RetryAfter != want {
			t.Errorf("%q: got %v, want %v", header, failed.RetryAfter, want)
		}
	}
}

type callObserver struct {
	action, kind string
	outcome      middleware.CallOutcome
	ends         int
}

func (o *callObserver) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	return r.Context(), func(middleware.DeliveryOutcome) {}
}

func (o *callObserver) Call(r *http.Request, action, kind string) (context.Context, func(middleware.CallOutcome)) {
	o.action, o.kind = action, kind
	return r.Context(), func(c middleware.CallOutcome) { o.outcome, o.ends = c, o.ends+1 }
}

func TestTransportObserver(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, tt := range []struct {
		call, code string
		action     string
		kind       string
		want       middleware.CallOutcome
	}{
		{queryCall, "processing", "STATUS_QUERY", "query", middleware.CallOutcome{Code: "PROCESSING", Class: "pending", Status: 200}},
		{refundCall, "WHATEVER IT WRITES", "REFUND", "effect", middleware.CallOutcome{Code: "other", Class: "unclear", Status: 200}},
		{strings.ReplaceAll(refundCall, "REFUND", "whatever"), "FAIL", "", "effect", middleware.CallOutcome{Code: "FAIL", Class: "failed", Status: 200}},
		{refundCall, "", "REFUND", "effect", middleware.CallOutcome{Reason: "status", Unknown: true, Status: 500}},
		{queryCall, "", "STATUS_QUERY", "query", middleware.CallOutcome{Reason: "status", Status: 500}},
	} {
		observer := &callObserver{}
		transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			if tt.code == "" {
				return &http.Response{StatusCode: 500, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(l.answer(t, tt.code, `{"a":"1"}`)))}, nil
		}))
		transport.Observer = observer
		_, _ = transport.RoundTrip(newCall(t, "https://gateway.example", tt.call))
		if observer.action != tt.action || observer.kind != tt.kind || observer.outcome != tt.want || observer.ends != 1 {
			t.Errorf("%s %q: got %+v", tt.action, tt.code, observer)
		}
	}
}

func TestTransportDeadline(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return nil, r.Context().Err()
	}))
	transport.Timeout = time.Millisecond
	_, err := transport.RoundTrip(newCall(t, "https://gateway.example", refundCall).WithContext(context.Background()))
	wantSendError(t, err, false, "timeout", context.DeadlineExceeded)
}

// TestTransportContentOnce checks that net/http is given nothing to rewind an
// effect with. It is the first of two guards; the other is that a second
// exchange is cut.
func TestTransportContentOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for opened, want := range map[string]bool{refundCall: false, queryCall: true, strings.ReplaceAll(queryCall, "STATUS", "UNKNOWN"): false} {
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			if (r.GetBody != nil) != want {
				t.Errorf("%.30s: can be rewound: %v", opened, !want)
			}
			return nil, io.EOF
		})
		req := newCall(t, "https://gateway.example", opened)
		if req.GetBody == nil {
			t.Fatal("the request itself cannot be rewound")
		}
		_, err := l.transport(base).RoundTrip(req)
		wantSendError(t, err, true, "connection")
	}
}

func TestTransportEndlessAnswer(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	endless := &spaces{}
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(endless)}, nil
	})
	_, err := l.transport(base).RoundTrip(newCall(t, "https://gateway.example", refundCall))
	wantSendError(t, err, false, "too-large")
	if endless.read > 4<<20 {
		t.Errorf("read %d bytes", endless.read)
	}
}

// spaces are an answer that does not end, before the reader gives up.
type spaces struct{ read int }

func (s *spaces) Read(p []byte) (int, error) {
	if s.read > 64<<20 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = ' '
	}
	s.read += len(p)
	return len(p), nil
}

// TestTransportRetryAfterNow: without a clock of the shop's, a date counts from now.
func TestTransportRetryAfterNow(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	_, err := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		at := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
		return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {at}}, Body: http.NoBody}, nil
	})).RoundTrip(newCall(t, "https://gateway.example", queryCall))
	if failed := wantSendError(t, err, false, "status"); failed.RetryAfter <= 0 || failed.RetryAfter > time.Hour {
		t.Errorf("got %v", failed.RetryAfter)
	}
}

// TestTransportOwnDeadline: a caller's deadline takes the place of Timeout.
func TestTransportOwnDeadline(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	want, _ := ctx.Deadline()
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		if got, ok := r.Context().Deadline(); !ok || !got.Equal(want) {
			t.Errorf("the call ends at %v, want %v", got, want)
		}
		return nil, io.EOF
	}))
	transport.Timeout = time.Minute
	_, err := transport.Send(ctx, refundOf(t))
	wantSendError(t, err, true, "connection")
}

// TestCallLacksAPart: a call that says too little is not sent, a plain one included.
func TestCallLacksAPart(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, io.EOF
	}))
	for name, lack := range map[string]func(*middleware.Call){
		"action":      func(c *middleware.Call) { c.Action = "" },
		"version":     func(c *middleware.Call) { c.Version = "" },
		"merchant":    func(c *middleware.Call) { c.MerchantID = "" },
		"data":        func(c *middleware.Call) { c.Data = nil },
		"object":      func(c *middleware.Call) { c.Data = []byte("[]") },
		"plain data":  func(c *middleware.Call) { c.Plain, c.Data = true, nil },
		"plain text":  func(c *middleware.Call) { c.Plain, c.Data = true, []byte("order_id=R1") },
		"plain blank": func(c *middleware.Call) { c.Plain, c.Data = true, []byte(" ") },
	} {
		c := refundOf(t)
		lack(c)
		_, err := transport.Send(t.Context(), c)
		if wantSendError(t, err, true, "request"); middleware.Detail(err) == "" {
			t.Errorf("%s: %v does not say what is wrong", name, err)
		}
	}
}

// idle is a base with connections to close.
type idle struct {
	roundTripper
	closed int
}

func (i *idle) CloseIdleConnections() { i.closed++ }

func TestCloseIdleConnections(t *testing.T) {
	t.Parallel()
	base := new(idle)
	(&middleware.Transport{Base: base}).CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("closed %d times", base.closed)
	}
	(&middleware.Transport{Base: roundTripper(nil)}).CloseIdleConnections() // has none
}

// TestSendErrorText: the text says what failed of which action, and what that
// means for the money, and nothing that came over the wire.
func TestSendErrorText(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	refused := func(err error) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	for _, c := range []struct {
		call string
		base http.RoundTripper
		keys middleware.Keys
		want string
	}{
		{refundCall, refused(errors.New("SECRET")), nil, "middleware: REFUND: connection: not sent"},
		{refundCall, losing(l), nil, "middleware: REFUND: connection: outcome unknown: query, do not repeat"},
		{queryCall, losing(l), nil, "middleware: STATUS_QUERY: connection"},
		{refundCall, refused(nil), middleware.StaticKeys{}, "middleware: REFUND: keys: no sign keys for the merchant: not sent"},
		{strings.ReplaceAll(refundCall, "REFUND", "SECRET"), losing(l), nil, "middleware: connection: outcome unknown: query, do not repeat"},
		{refundCall, roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: 502, Body: http.NoBody}, nil
		}), nil, "middleware: REFUND: status (HTTP 502): outcome unknown: query, do not repeat"},
		{refundCall, refused(&net.OpError{Op: "dial", Err: errors.New("SECRET")}), nil, "middleware: REFUND: dial: not sent"},
		{refundCall, refused(&net.OpError{Op: "read", Err: errors.New("SECRET")}), nil, "middleware: REFUND: connection: not sent"},
		{refundCall, refused(&net.DNSError{Name: "SECRET"}), nil, "middleware: REFUND: dial: not sent"},
		{refundCall, refused(&net.DNSError{Name: "SECRET", IsTimeout: true}), nil, "middleware: REFUND: timeout: not sent"},
	} {
		transport := l.transport(c.base)
		if c.keys != nil {
			transport.Keys = c.keys
		}
		_, err := transport.RoundTrip(newCall(t, "https://gateway.example", c.call))
		var failed *middleware.SendError
		if !errors.As(err, &failed) || err.Error() != c.want || fmt.Sprintf("%+v", *failed) != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}
