package middleware_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// losing is a gateway that acts and whose answer is lost.
func losing(l *ledger) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		l.enter(r.Body)
		return nil, io.ErrUnexpectedEOF
	}
}

// answering is a gateway that answers every request with the same.
func answering(answer []byte) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(answer))}, nil
	}
}

// TestOwnActions: of an action that the document lacks, Info says what it is; of
// the document's own it says nothing.
func TestOwnActions(t *testing.T) {
	t.Parallel()
	query := &api.ActionInfo{Name: "GIFT_QUERY", Kind: api.KindQuery, OrderMember: "gift_id"}
	load := &api.ActionInfo{Name: "GIFT_LOAD", Kind: api.KindEffect, OrderMember: "gift_id"}
	for _, c := range []struct {
		name       string
		action     string
		info       *api.ActionInfo
		told, kind string
		order      string // by which the payment is remembered
	}{
		{"a query", "GIFT_QUERY", query, "GIFT_QUERY", "query", ""},
		{"an effect", "GIFT_LOAD", load, "GIFT_LOAD", "effect", "G1"},
		{"no info", "GIFT_LOAD", nil, "", "effect", ""},
		{"the info of another action", "GIFT_LOAD", query, "", "effect", ""},
		{"the document's, called a query", "REFUND", &api.ActionInfo{Name: "REFUND", Kind: api.KindQuery, OrderMember: "gift_id"}, "REFUND", "effect", "R1"},
		{"the document's, with the info of another", "STATUS_QUERY", load, "STATUS_QUERY", "query", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, observer := newLedger(t), new(callObserver)
			transport := l.transport(losing(l))
			transport.Observer = observer
			call := refundOf(t)
			call.Action, call.Info, call.Data = c.action, c.info, []byte(`{"gift_id":"G1","order_id":"R1"}`)
			ctx := middleware.SendOnce(t.Context())
			_, err := transport.Send(ctx, call)
			failed := wantSendError(t, err, false, "connection")
			if observer.action != c.told || observer.kind != c.kind || failed.Action != c.told {
				t.Errorf("told %q, %q; the error names %q", observer.action, observer.kind, failed.Action)
			}
			effect := c.kind == "effect"
			if observer.outcome.Unknown != effect || strings.Contains(err.Error(), "unknown") != effect {
				t.Errorf("unknown: %v, %v", observer.outcome.Unknown, err)
			}
			if sent, ok := middleware.SentUnder(ctx); ok != effect || sent.OrderID != c.order {
				t.Errorf("sent %+v, %v", sent, ok)
			}
			if c.order != "" && !transport.MayHaveLeft(t.Context(), transportMerchant, c.order) {
				t.Error("the payment is not remembered")
			}
		})
	}
}

// TestPlain: inAppPay goes and comes as it is, under no key, and is an effect.
func TestPlain(t *testing.T) {
	t.Parallel()
	var content string
	fail, answer := false, `{"merchant_id":"M","sign":"F00"}`
	transport := &middleware.Transport{Base: roundTripper(func(r *http.Request) (*http.Response, error) {
		b, _ := io.ReadAll(r.Body)
		content = string(b)
		if fail {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(answer))}, nil
	})}
	call := refundOf(t)
	call.Plain, call.Action, call.Version, call.Data = true, "inAppPay", "", []byte(`{"order_id":"R1"}`)
	ctx := middleware.SendOnce(t.Context())
	first, err := transport.Send(ctx, call)
	if err != nil || content != `{"order_id":"R1"}` || string(first.Data) != answer || first.Verified() {
		t.Fatalf("sent %s, got %+v, %v", content, first, err)
	}
	if _, sent := middleware.SentUnder(ctx); !sent {
		t.Error("it does not count as sent")
	}
	kept := answer
	answer = `{"merchant_id":"N","sign":"BAR"}`
	if second, err := transport.Send(t.Context(), call); err != nil || string(second.Data) != answer || string(first.Data) != kept {
		t.Errorf("got %+v, %v, and before %s", second, err, first.Data)
	}
	fail = true
	_, err = transport.Send(t.Context(), call)
	if failed := wantSendError(t, err, false, "connection"); failed.Action != "inAppPay" {
		t.Errorf("the error names %q", failed.Action)
	}
}

// TestObservedCall: a call that is observed ends as one that is not.
func TestObservedCall(t *testing.T) {
	t.Parallel()
	l, observer := newLedger(t), new(callObserver)
	transport := l.transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("breaker") }))
	transport.Observer = observer
	reply, err := transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, true, "connection")
	if want := (middleware.CallOutcome{Reason: "connection"}); reply != nil || observer.outcome != want || observer.ends != 1 {
		t.Errorf("got %+v, told %+v", reply, observer.outcome)
	}
	// Now one that may have left, and then one that has not while that one may.
	transport.Base = losing(l)
	_, err = transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, false, "connection")
	if want := (middleware.CallOutcome{Reason: "connection", Unknown: true}); observer.outcome != want {
		t.Errorf("told %+v", observer.outcome)
	}
	transport.Keys = middleware.StaticKeys{}
	_, err = transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, false, "keys")
	if want := (middleware.CallOutcome{Reason: "keys", Unknown: true}); observer.outcome != want {
		t.Errorf("told %+v", observer.outcome)
	}
}

// TestCallLimiters: the call's limiter takes the place of the Transport's, and
// the observer is told how long it took.
func TestCallLimiters(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	now := time.Unix(1_700_000_000, 0)
	full := waiting(func(context.Context) error { return errors.New("full") })
	room := waiting(func(context.Context) error { now = now.Add(2 * time.Second); return nil })
	for _, c := range []struct {
		name           string
		transport, own middleware.Limiter
		reason         string
		wait           time.Duration
	}{
		{"none", nil, nil, "", 0},
		{"the Transport's", room, nil, "", 2 * time.Second},
		{"the Transport's is full", full, nil, "limited", 0},
		{"its own", full, room, "", 2 * time.Second},
		{"its own is full", room, full, "limited", 0},
	} {
		observer := new(callObserver)
		transport := l.transport(answering(l.answer(t, "FAIL", `{"a":"1"}`)))
		transport.Limiter, transport.Observer = c.transport, observer
		transport.Now = func() time.Time { return now }
		call := refundOf(t)
		call.Limiter = c.own
		_, err := transport.Send(t.Context(), call)
		if (err != nil) != (c.reason != "") || err != nil && !errors.Is(err, middleware.ErrLimited) {
			t.Errorf("%s: %v", c.name, err)
		}
		if string(observer.outcome.Reason) != c.reason || observer.outcome.Wait != c.wait {
			t.Errorf("%s: told %+v", c.name, observer.outcome)
		}
	}
}

// TestZeroKey: nothing is sent without a key to seal it.
func TestZeroKey(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	transport := l.transport(roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, io.ErrUnexpectedEOF
	}))
	transport.Keys = middleware.StaticKeys{transportMerchant: {envelope.Key{}}}
	_, err := transport.Send(t.Context(), refundOf(t))
	wantSendError(t, err, true, "request")
}

// TestStatuses: an answer counts with a status of 2xx alone.
func TestStatuses(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for status, reason := range map[int]string{101: "status", 199: "status", 200: "", 299: "", 300: "redirect", 399: "redirect", 400: "status", 500: "status"} {
		_, err := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(l.answer(t, "SUCCESS", `{"order_id":"R1"}`)))}, nil
		})).Send(t.Context(), refundOf(t))
		if reason != "" {
			wantSendError(t, err, false, reason)
		} else if err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestAnswerIsClosed: the answer's body is closed on every path, or its
// connection would be lost.
func TestAnswerIsClosed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for status, body := range map[int][]byte{200: l.answer(t, "SUCCESS", `{"order_id":"R1"}`), 201: []byte("<html>"), 302: nil, 500: nil} {
		closed := &closing{Reader: bytes.NewReader(body)}
		_, _ = l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: status, Body: closed}, nil
		})).Send(t.Context(), refundOf(t))
		if !closed.closed {
			t.Errorf("%d: left open", status)
		}
	}
}

// TestLongAnswers: an answer may have 1 MiB, and one that says it is longer is
// not read.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	sealed := l.answer(t, "SUCCESS", `{"order_id":"R1"}`)
	longest := append(bytes.Repeat([]byte(" "), 1<<20-len(sealed)), sealed...)
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		reason string
	}{
		{"1 MiB", bytes.NewReader(longest), 1 << 20, ""},
		{"1 MiB, chunked", bytes.NewReader(longest), -1, ""},
		{"a byte more, chunked", io.MultiReader(strings.NewReader(" "), bytes.NewReader(longest)), -1, "too-large"},
		{"a byte more", unread{t}, 1<<20 + 1, "too-large"},
	} {
		_, err := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(c.body), ContentLength: c.length}, nil
		})).Send(t.Context(), refundOf(t))
		if c.reason != "" {
			wantSendError(t, err, false, c.reason)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("read")
	return 0, io.EOF
}

// TestRegisteredProtocol: what net/http hands to a protocol that was registered
// with it may have left, as nothing tells.
func TestRegisteredProtocol(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	base := &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	base.RegisterProtocol("https", losing(l))
	_, err := l.transport(base).Send(t.Context(), refundOf(t))
	wantSendError(t, err, false, "connection")
	if n := l.effects.Load(); n != 1 {
		t.Errorf("%d effects: it tests nothing", n)
	}
}

// TestOutgoing: the base gets the caller's request with the sealed content, and
// may change what it was given.
func TestOutgoing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for name, header := range map[string]http.Header{"none": nil, "one": {"X-Own": {"kept"}}, "empty": {}} {
		var again []byte
		transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			content, _ := io.ReadAll(r.Body)
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			if again, _ = io.ReadAll(body); !bytes.Equal(again, content) || len(content) == 0 || int64(len(content)) != r.ContentLength {
				t.Errorf("%s: a query's content is %q, and %q when it is sent again", name, content, again)
			}
			if r.Host != "front.example" || r.Header.Get("X-Own") != strings.Join(header["X-Own"], "") {
				t.Errorf("%s: host %q, headers %v", name, r.Host, r.Header)
			}
			r.Header.Add("Content-Type", "application/problem+json")
			if got := r.Header.Get("Accept"); got != "application/json" {
				t.Errorf("%s: Accept is %q", name, got)
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(l.answer(t, "SUCCESS", `{"order_id":"O1","order_status":"success"}`)))}, nil
		}))
		req := newCall(t, "https://gateway.example", queryCall)
		req.Host, req.Header = "front.example", header
		if _, err := transport.RoundTrip(req); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wireEnd is a connection that knows whether it was closed.
type wireEnd struct {
	net.Conn
	closed bool
}

func (w *wireEnd) Close() error { w.closed = true; return nil }

// TestSecondExchange: below a base of the shop's, the connection of an effect's
// second exchange is cut, and a query's is not. A connection alone is not sent.
func TestSecondExchange(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for opened, cut := range map[string]bool{refundCall: true, queryCall: false} {
		var first, second, third wireEnd
		_, err := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(r.Context())
			if trace == nil {
				trace = new(httptrace.ClientTrace)
			}
			got := func(c net.Conn) {
				if trace.GotConn != nil {
					trace.GotConn(httptrace.GotConnInfo{Conn: c})
				}
			}
			got(&first)
			got(&second)
			if first.closed || second.closed {
				t.Errorf("%.20s: closed before any of them was written to", opened)
			}
			if trace.WroteHeaders != nil {
				trace.WroteHeaders()
			}
			got(&third)
			return nil, errors.New("breaker")
		})).RoundTrip(newCall(t, "https://gateway.example", opened))
		wantSendError(t, err, true, "connection") // the content was not read
		if third.closed != cut || first.closed || second.closed {
			t.Errorf("%.20s: closed %v, %v, %v", opened, first.closed, second.closed, third.closed)
		}
	}
}

// TestReflectedWithoutOptionals: an earlier request that said no more than it had
// to is no answer to a later one.
func TestReflectedWithoutOptionals(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	optional := 0
	for _, info := range api.Actions() {
		schema, ok := api.LookupSchema(info.Request)
		if !ok {
			t.Fatal(info.Request)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(schema.Example), &members); err != nil {
			t.Fatal(err)
		}
		for _, m := range schema.Members {
			if !m.Required {
				delete(members, m.Name)
				optional++
			}
		}
		earlier, err := json.Marshal(members)
		if err != nil || len(members) == 0 {
			continue
		}
		c := refundOf(t)
		c.Action, c.Version, c.Data = string(info.Name), info.Version, []byte(schema.Example)
		_, err = l.transport(answering(l.answer(t, "SUCCESS", string(earlier)))).Send(t.Context(), c)
		wantSendError(t, err, false, "reflected")
	}
	if optional == 0 {
		t.Error("no member is optional: it tests nothing")
	}
}

// TestReflectedOwnAction: so it is for an action that Info describes.
func TestReflectedOwnAction(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	schema := api.NewSchema(api.Schema{Name: "GiftRequest", Request: true, Members: []api.Member{
		{Name: "gift_id", Kind: api.MemberString, Required: true}, {Name: "note", Kind: api.MemberString},
	}})
	described := &api.ActionInfo{Name: "GIFT_LOAD", Kind: api.KindEffect, OrderMember: "gift_id", RequestSchema: schema}
	for _, c := range []struct {
		info      *api.ActionInfo
		answer    string
		reflected bool
	}{
		{described, `{"gift_id":"G0"}`, true},
		{described, `{"gift_id":"G1","balance":"5"}`, false},
		{described, `{"note":"thanks"}`, false},
		{nil, `{"gift_id":"G0"}`, false}, // no schema says what such a request holds
	} {
		call := refundOf(t)
		call.Action, call.Info, call.Data = "GIFT_LOAD", c.info, []byte(`{"gift_id":"G1"}`)
		_, err := l.transport(answering(l.answer(t, "SUCCESS", c.answer))).Send(t.Context(), call)
		if c.reflected {
			wantSendError(t, err, false, "reflected")
		} else if err != nil {
			t.Errorf("%s: %v", c.answer, err)
		}
	}
}

// TestReflectedCallback: a callback has a finish_time and a channel's id, at any
// place; an answer may have one of them.
func TestReflectedCallback(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for answer, reflected := range map[string]bool{
		`{"finish_time":"20240102110405","bizpay_order_id":"WX1","order_id":"R1"}`: true,
		`{"bizpay_order_id":"WX1","order_id":"R1","finish_time":"20240102110405"}`: true,
		`{"finish_time":"20240102110405","order_id":"R1"}`:                         false,
		`{"bizpay_order_id":"WX1","order_id":"R1"}`:                                false,
	} {
		_, err := l.transport(answering(l.answer(t, "SUCCESS", answer))).Send(t.Context(), refundOf(t))
		if reflected {
			wantSendError(t, err, false, "reflected")
		} else if err != nil {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// TestAnswerUnderNoKey: of several keys, one that cannot open anything does not
// hide that the others did not open the answer.
func TestAnswerUnderNoKey(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	sealed := l.answer(t, "SUCCESS", `{"order_id":"R1"}`)
	wrong := mustKey(t, "0000000000000000")
	for _, keys := range [][]envelope.Key{{wrong}, {wrong, {}}, {wrong, {}, wrong}} {
		transport := l.transport(answering(sealed))
		transport.Keys = middleware.StaticKeys{transportMerchant: keys}
		_, err := transport.Send(t.Context(), refundOf(t))
		wantSendError(t, err, false, "unauthentic", envelope.ErrUnauthentic)
	}
}
