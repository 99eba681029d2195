package middleware_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// waiting is a Limiter of one function.
type waiting func(context.Context) error

func (w waiting) Wait(ctx context.Context) error { return w(ctx) }

// panicking is an Observer that panics when a call begins or ends.
type panicking struct{ begin, end bool }

func (p panicking) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	return r.Context(), func(middleware.DeliveryOutcome) {}
}

func (p panicking) Call(r *http.Request, _, _ string) (context.Context, func(middleware.CallOutcome)) {
	if p.begin {
		panic("begin")
	}
	return r.Context(), func(middleware.CallOutcome) {
		if p.end {
			panic("end")
		}
	}
}

// TestLaterAttempts lets a first attempt take effect and lose its answer, and a
// second one fail before it is sent, in every way there is. The second must not
// say that nothing was sent.
func TestLaterAttempts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		byID   bool // the Transport knows the payment without a SendOnce context
		change func(*middleware.Transport, *middleware.Call, *http.Request) context.Context
	}{
		{"limiter", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Limiter = waiting(func(context.Context) error { return errors.New("full") })
			return nil
		}},
		{"limiter panics", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Limiter = waiting(func(context.Context) error { panic("limiter") })
			return nil
		}},
		{"keys fail", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Keys = keysFunc(func(context.Context, string) ([]envelope.Key, error) { return nil, io.ErrUnexpectedEOF })
			return nil
		}},
		{"no keys", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Keys = middleware.StaticKeys{}
			return nil
		}},
		{"a zero key", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Keys = middleware.StaticKeys{transportMerchant: {envelope.Key{}}}
			return nil
		}},
		{"keys panic", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Keys = keysFunc(func(context.Context, string) ([]envelope.Key, error) { panic("keys") })
			return nil
		}},
		{"nil Keys", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Keys = nil
			return nil
		}},
		{"typed nil Keys", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Keys = (*nilKeys)(nil)
			return nil
		}},
		{"observer panics at the beginning", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Observer = panicking{begin: true}
			return nil
		}},
		{"base panics", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Base = roundTripper(func(*http.Request) (*http.Response, error) { panic("base") })
			return nil
		}},
		{"base returns nothing", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Base = roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })
			return nil
		}},
		{"breaker is open", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Base = roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("open") })
			return nil
		}},
		{"base does not verify", true, func(tr *middleware.Transport, _ *middleware.Call, _ *http.Request) context.Context {
			tr.Base = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			return nil
		}},
		{"plain http", true, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			to := &url.URL{Scheme: "http", Host: "gateway.example"}
			c.URL, r.URL = to, to
			return nil
		}},
		{"no URL", true, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.URL, r.URL = nil, nil
			return nil
		}},
		{"context has ended", true, func(_ *middleware.Transport, _ *middleware.Call, r *http.Request) context.Context {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			return ctx
		}},
		{"deadline has passed", true, func(_ *middleware.Transport, _ *middleware.Call, r *http.Request) context.Context {
			ctx, cancel := context.WithDeadline(r.Context(), time.Unix(0, 0))
			cancel()
			return ctx
		}},
		{"method", true, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.Version, r.Method = "", http.MethodGet
			return nil
		}},
		{"unknown member", true, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.Version = ""
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(refundCall, `"data"`, `"extra":1,"data"`, 1)))
			r.ContentLength = -1
			return nil
		}},
		{"no data", false, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.Data, c.OrderID = nil, ""
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"action":"REFUND","version":"1.0","merchant_id":"ON00004652"}`)), -1
			return nil
		}},
		{"no JSON", false, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.Data, c.OrderID = []byte("{"), ""
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{")), -1
			return nil
		}},
		{"no merchant", false, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.MerchantID = ""
			r.Body, r.ContentLength = http.NoBody, 0
			return nil
		}},
		{"body breaks", false, func(_ *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			c.Data, c.OrderID = []byte("{"), ""
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(refundCall[:20]), broken{})), -1
			return nil
		}},
		{"another action and id", false, func(tr *middleware.Transport, c *middleware.Call, r *http.Request) context.Context {
			tr.Keys = middleware.StaticKeys{}
			c.Action, c.Data, c.OrderID = "MAPPPAY", []byte(`{"order_id":"O2"}`), ""
			r.Body = io.NopCloser(strings.NewReader(`{"action":"MAPPPAY","version":"1.1","merchant_id":"ON00004652","data":{"order_id":"O2"}}`))
			r.ContentLength = -1
			return nil
		}},
	}
	for _, tt := range tests {
		for _, once := range []bool{true, false} {
			for _, send := range []bool{true, false} {
				if !once && !tt.byID {
					continue
				}
				t.Run(fmt.Sprintf("%s, SendOnce %v, Send %v", tt.name, once, send), func(t *testing.T) {
					t.Parallel()
					l := newLedger(t)
					transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
						l.enter(r.Body)
						return nil, io.ErrUnexpectedEOF
					}))
					ctx := t.Context()
					if once {
						ctx = middleware.SendOnce(ctx)
					}
					_, err := transport.RoundTrip(newCall(t, "https://gateway.example", refundCall).WithContext(ctx))
					wantSendError(t, err, false, "connection")

					req := newCall(t, "https://gateway.example", refundCall).WithContext(ctx)
					c := refundOf(t)
					ctx = req.Context()
					if changed := tt.change(transport, c, req); changed != nil {
						ctx = changed
					}
					if send {
						_, err = transport.Send(ctx, c)
					} else {
						_, err = transport.RoundTrip(req.WithContext(ctx))
					}
					var failed *middleware.SendError
					if !errors.As(err, &failed) {
						t.Fatalf("got %v, want a *SendError", err)
					}
					if failed.NotSent || !failed.SentBefore || errors.Is(err, middleware.ErrNotSent) || !errors.Is(err, middleware.ErrUnknownOutcome) {
						t.Errorf("got %v", err)
					}
					if n := l.effects.Load(); n != 1 {
						t.Errorf("%d effects", n)
					}
				})
			}
		}
	}
}

type nilKeys struct{ of middleware.StaticKeys }

func (n *nilKeys) Keys(ctx context.Context, merchantID string) ([]envelope.Key, error) {
	return n.of.Keys(ctx, merchantID)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func refundOf(t *testing.T) *middleware.Call {
	t.Helper()
	to, err := url.Parse("https://gateway.example")
	if err != nil {
		t.Fatal(err)
	}
	return &middleware.Call{
		URL: to, Action: "REFUND", Version: "1.0", MerchantID: transportMerchant,
		Data: []byte(`{"order_id":"R1","ori_order_id":"O1","refund_amt":"5"}`),
	}
}

// TestLaterAttemptsOfOthers: what may have left of one payment says nothing of
// another one, of another merchant's, or of a query.
func TestLaterAttemptsOfOthers(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		l.enter(r.Body)
		return nil, io.ErrUnexpectedEOF
	}))
	_, err := transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, false, "connection")
	transport.Limiter = waiting(func(context.Context) error { return errors.New("full") })
	for name, change := range map[string]func(*middleware.Call){
		"another order":    func(c *middleware.Call) { c.Data = []byte(`{"order_id":"R2","ori_order_id":"O1","refund_amt":"5"}`) },
		"another merchant": func(c *middleware.Call) { c.MerchantID = "B2" },
		"no order":         func(c *middleware.Call) { c.Data = []byte(`{"ori_order_id":"O1","refund_amt":"5"}`) },
		"a query":          func(c *middleware.Call) { c.Action, c.Data = "STATUS_QUERY", []byte(`{"order_id":"R1"}`) },
	} {
		c := refundOf(t)
		change(c)
		transport.Keys = middleware.StaticKeys{transportMerchant: {l.key}, "B2": {l.key}}
		_, err := transport.Send(t.Context(), c)
		if !errors.Is(err, middleware.ErrNotSent) || errors.Is(err, middleware.ErrUnknownOutcome) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if transport.MayHaveLeft(t.Context(), transportMerchant, "R2") || !transport.MayHaveLeft(t.Context(), transportMerchant, "R1") {
		t.Error("the wrong payment is remembered")
	}
}

// TestLaterAttemptsWithoutAnID: the same content may be the same payment.
func TestLaterAttemptsWithoutAnID(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		l.enter(r.Body)
		return nil, io.ErrUnexpectedEOF
	}))
	c := refundOf(t)
	c.Data = []byte(`{"ori_order_id":"O1","refund_amt":"5"}`)
	_, err := transport.Send(t.Context(), c)
	wantSendError(t, err, false, "connection")
	transport.Keys = middleware.StaticKeys{}
	_, err = transport.Send(t.Context(), c)
	wantSendError(t, err, false, "keys")
	c.Data = []byte(`{"ori_order_id":"O1","refund_amt":"6"}`)
	_, err = transport.Send(t.Context(), c)
	wantSendError(t, err, true, "keys")
}

// TestSendOnceAfterNothingLeft: an attempt that did not leave does not count.
func TestSendOnceAfterNothingLeft(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	open := false
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		if !open {
			return nil, errors.New("breaker")
		}
		l.enter(r.Body)
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(l.answer(t, "SUCCESS", `{"order_id":"R1","order_status":"success"}`)))}, nil
	}))
	ctx := middleware.SendOnce(t.Context())
	for range 2 {
		_, err := transport.Send(ctx, refundOf(t))
		wantSendError(t, err, true, "connection")
	}
	if _, sent := middleware.SentUnder(ctx); sent {
		t.Error("something is said to have left")
	}
	open = true
	reply, err := transport.Send(ctx, refundOf(t))
	if err != nil || reply.Code != "SUCCESS" || !reply.Verified() || reply.SentBefore {
		t.Fatalf("got %+v, %v", reply, err)
	}
	if sent, ok := middleware.SentUnder(ctx); !ok || sent != (middleware.Sent{Action: "REFUND", MerchantID: transportMerchant, OrderID: "R1"}) {
		t.Errorf("got %+v, %v", sent, ok)
	}
	_, err = transport.Send(ctx, refundOf(t))
	wantSendError(t, err, false, "sent-before", middleware.ErrSentBefore)
	if n := l.effects.Load(); n != 1 {
		t.Errorf("%d effects", n)
	}
}

// TestSendOnceAtOnce: of many attempts at once, one leaves.
func TestSendOnceAtOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		l.enter(r.Body)
		return nil, io.ErrUnexpectedEOF
	}))
	ctx := middleware.SendOnce(t.Context())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := transport.Send(ctx, refundOf(t)); !errors.Is(err, middleware.ErrUnknownOutcome) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if n := l.effects.Load(); n != 1 {
		t.Errorf("%d effects", n)
	}
}

// TestEarlierAttemptBesideAnAnswer: the answer to a second attempt says whether
// there was a first one.
func TestEarlierAttemptBesideAnAnswer(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		l.enter(r.Body)
		if l.effects.Load() == 1 {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(l.answer(t, "FAIL", `{"order_id":"R1"}`)))}, nil
	}))
	_, err := transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, false, "connection")
	reply, err := transport.Send(t.Context(), refundOf(t))
	if err != nil || !reply.SentBefore || !reply.Verified() {
		t.Errorf("got %+v, %v", reply, err)
	}
}

// TestPanicAfterTheEffect: an Observer that panics when the call has ended leaves
// the outcome unknown.
func TestPanicAfterTheEffect(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		l.enter(r.Body)
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(l.answer(t, "SUCCESS", `{"order_status":"success"}`)))}, nil
	}))
	transport.Observer = panicking{end: true}
	_, err := transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, false, "panic")
	var panicked *middleware.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "end" || len(panicked.Stack) == 0 || !strings.Contains(err.Error(), "panic with a string") {
		t.Errorf("got %v", err)
	}
}

// TestManyPayments: the memory is bounded, and the newest payments are in it.
func TestManyPayments(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return nil, io.ErrUnexpectedEOF
	}))
	c := refundOf(t)
	const n = 8192 + 10
	for i := range n {
		c.OrderID = fmt.Sprint(i)
		_, _ = transport.Send(t.Context(), c)
	}
	for i, want := range map[int]bool{0: false, 9: false, 10: true, n - 1: true} {
		if got := transport.MayHaveLeft(t.Context(), transportMerchant, fmt.Sprint(i)); got != want {
			t.Errorf("payment %d is remembered: %v", i, got)
		}
	}
}
