package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
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
