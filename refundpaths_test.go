package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// countedStore grants every claim, or fails with err, and counts what becomes of it.
type countedStore struct {
	err, failing        error // of Claim, and of Release
	confirmed, released int
}

func (s *countedStore) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}
func (s *countedStore) Confirm(context.Context) error { s.confirmed++; return nil }
func (s *countedStore) Release(context.Context) error { s.released++; return s.failing }

// TestRefundPaths: what each answer of the gateway and of the store means for
// the refund, and whether its id can be used again.
func TestRefundPaths(t *testing.T) {
	t.Parallel()
	const (
		paid    = `{"order_id":"P1","order_status":"success","total_amount":500,"refund_fee":100}`
		refund  = `{"order_id":"R1","order_status":"success","total_amount":300,"refund_fee":300}`
		foreign = `{"order_id":"R1","order_status":"success","total_amount":900,"refund_fee":0}`
	)
	errRelease := errors.New("release failed")
	type say struct{ code, data string } // no code: a broken connection
	for _, tt := range []struct {
		name                string
		store               error // of Claim
		row, payment, sends say   // answers to the query for the refund, the query for the payment, and the refund
		limited             bool  // the refund is held back
		matches             []error
		not                 []error
		reason              middleware.Reason
		before              bool
		sent                int
		confirmed, released int
	}{
		{name: "sent", row: say{"ORDER_NOT_EXIST", ""}, payment: say{"SUCCESS", paid}, sends: say{"SUCCESS", `{"order_id":"R1"}`}, sent: 1, confirmed: 1},
		{name: "an undocumented code knows no order", row: say{"NO_SUCH", ""}, payment: say{"SUCCESS", paid}, sends: say{"SUCCESS", `{}`}, sent: 1, confirmed: 1},
		{name: "FAIL knows no order", row: say{"FAIL", ""}, payment: say{"SUCCESS", paid}, sends: say{"SUCCESS", `{}`}, sent: 1, confirmed: 1},
		{name: "lost", row: say{"FAIL", ""}, payment: say{"SUCCESS", paid}, sent: 1, confirmed: 1, matches: []error{ottpay.ErrUnknownOutcome, io.ErrUnexpectedEOF}, reason: middleware.ReasonConnection},
		{name: "answered FAIL", row: say{"FAIL", ""}, payment: say{"SUCCESS", paid}, sends: say{"FAIL", ""}, sent: 1, confirmed: 1, matches: []error{ottpay.ErrFailed}},
		{name: "answered a closed status", row: say{"FAIL", ""}, payment: say{"SUCCESS", paid}, sends: say{"SUCCESS", `{"order_status":"failure"}`}, sent: 1, confirmed: 1, matches: []error{ottpay.ErrFailed}, reason: middleware.ReasonRefund},
		{name: "refused", row: say{"FAIL", ""}, payment: say{"SUCCESS", paid}, sends: say{"PARAM_ERROR", ""}, sent: 1, released: 1, matches: []error{ottpay.ErrCaller}},
		{name: "held back", limited: true, row: say{"FAIL", ""}, payment: say{"SUCCESS", paid}, released: 1, matches: []error{ottpay.ErrNotSent, middleware.ErrLimited}, reason: middleware.ReasonLimited},

		{name: "the store has forgotten it", row: say{"SUCCESS", refund}, before: true, confirmed: 1},
		{name: "the store has it", store: dedupe.ErrDone, row: say{"SUCCESS", refund}, before: true},
		{name: "the store has it, and it failed", store: dedupe.ErrDone, row: say{"SUCCESS", `{"order_id":"R1","order_status":"failure","total_amount":300}`}, matches: []error{ottpay.ErrFailed}, not: []error{ottpay.ErrNotSent}, reason: middleware.ReasonRefund},
		{name: "the store has it, the gateway has not", store: dedupe.ErrDone, row: say{"FAIL", ""}, matches: []error{ottpay.ErrDuplicate, ottpay.ErrUnknownOutcome, dedupe.ErrDone}, not: []error{ottpay.ErrNotSent, ottpay.ErrRefundIDUsed}, reason: middleware.ReasonSentBefore},
		{name: "the store has it, the gateway another", store: dedupe.ErrDone, row: say{"SUCCESS", foreign}, matches: []error{ottpay.ErrDuplicate, ottpay.ErrUnknownOutcome, ottpay.ErrRefundIDUsed}, not: []error{ottpay.ErrNotSent}, reason: middleware.ReasonSentBefore},
		{name: "under way", store: dedupe.ErrInFlight, row: say{"FAIL", ""}, matches: []error{ottpay.ErrPending, ottpay.ErrUnknownOutcome}, not: []error{ottpay.ErrNotSent}, reason: middleware.ReasonInFlight},
		{name: "under way and done", store: dedupe.ErrInFlight, row: say{"SUCCESS", `{"order_id":"R1","order_status":"success"}`}, before: true},
		{name: "another under the id", store: dedupe.ErrConflict, row: say{"SUCCESS", refund}, matches: []error{ottpay.ErrRefundIDUsed, ottpay.ErrNotSent}, reason: middleware.ReasonRefundID},
		{name: "the store fails", store: io.ErrClosedPipe, row: say{"FAIL", ""}, matches: []error{ottpay.ErrNotSent, io.ErrClosedPipe}, reason: middleware.ReasonStore},

		{name: "the refund cannot be asked for", released: 1, matches: []error{ottpay.ErrNotSent, io.ErrUnexpectedEOF, errRelease}, not: []error{ottpay.ErrUnknownOutcome}, reason: middleware.ReasonQuery},
		{name: "the gateway is in trouble", row: say{"SYSTEM_ERROR", ""}, released: 1, matches: []error{ottpay.ErrNotSent}, reason: middleware.ReasonQuery},
		{name: "a row of another order", row: say{"SUCCESS", paid}, released: 1, matches: []error{ottpay.ErrNotSent}, reason: middleware.ReasonQuery},
		{name: "a payment under the id", row: say{"SUCCESS", foreign}, released: 1, matches: []error{ottpay.ErrRefundIDUsed, ottpay.ErrNotSent}, reason: middleware.ReasonAnswerOfAPayment},
		{name: "a row without an amount", row: say{"SUCCESS", `{"order_id":"R1","order_status":"success"}`}, released: 1, matches: []error{ottpay.ErrUnconfirmed, ottpay.ErrNotSent}, reason: middleware.ReasonAmountUnconfirmed},

		{name: "the payment cannot be asked for", row: say{"FAIL", ""}, released: 1, matches: []error{ottpay.ErrNotSent, io.ErrUnexpectedEOF}, not: []error{ottpay.ErrUnknownOutcome}, reason: middleware.ReasonRefund},
		{name: "a payment of another merchant", row: say{"FAIL", ""}, payment: say{"SUCCESS", `{"order_id":"P1","order_status":"success","total_amount":500,"merchant_id":"B2"}`}, released: 1, matches: []error{ottpay.ErrUnconfirmed}, reason: middleware.ReasonRefund},
		{name: "a payment without an amount", row: say{"FAIL", ""}, payment: say{"SUCCESS", `{"order_id":"P1","order_status":"success"}`}, released: 1, matches: []error{ottpay.ErrUnconfirmed}, reason: middleware.ReasonRefund},
		{name: "not paid", row: say{"FAIL", ""}, payment: say{"SUCCESS", `{"order_id":"P1","order_status":"notpay","total_amount":500}`}, released: 1, matches: []error{ottpay.ErrNotPaid}, reason: middleware.ReasonRefund},
		{name: "all returned", row: say{"FAIL", ""}, payment: say{"SUCCESS", `{"order_id":"P1","order_status":"success","total_amount":500,"refund_fee":500}`}, released: 1, matches: []error{ottpay.ErrNotPaid}, reason: middleware.ReasonRefund},
		{name: "too little", row: say{"FAIL", ""}, payment: say{"SUCCESS", `{"order_id":"P1","order_status":"success","total_amount":500,"refund_fee":201}`}, released: 1, matches: []error{ottpay.ErrRefundTooLarge}, reason: middleware.ReasonRefund},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sent := 0
			b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
				answer := tt.row
				switch {
				case req.Action == "REFUND":
					sent++
					answer = tt.sends
				case req.text("order_id") == "P1":
					answer = tt.payment
				}
				if answer.code == "" {
					return nil, io.ErrUnexpectedEOF
				}
				return b.say(answer.code, answer.data)
			})
			store := &countedStore{err: tt.store, failing: errRelease}
			cfg := b.config()
			cfg.RefundStore, cfg.Attempts = store, 1
			cfg.Limiter = func(_ string, kind api.Kind) middleware.Limiter {
				return &hooks{limiter: func(context.Context) error {
					if tt.limited && kind == api.KindEffect {
						return errors.New("full")
					}
					return nil
				}}
			}
			r, err := newClient(t, cfg).RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 300})
			if (err == nil) != (tt.matches == nil) || reasonOf(err) != tt.reason || r.Before != tt.before {
				t.Errorf("got %+v, %v, reason %q", r, err, reasonOf(err))
			}
			for _, want := range tt.matches {
				if !errors.Is(err, want) {
					t.Errorf("%v does not match %v", err, want)
				}
			}
			for _, not := range tt.not {
				if errors.Is(err, not) {
					t.Errorf("%v matches %v", err, not)
				}
			}
			if errors.Is(err, errRelease) != (tt.released > 0) {
				t.Errorf("got %v, released %d times", err, tt.released)
			}
			if sent != tt.sent || store.confirmed != tt.confirmed || store.released != tt.released {
				t.Errorf("sent %d, confirmed %d, released %d; want %d, %d, %d", sent, store.confirmed, store.released, tt.sent, tt.confirmed, tt.released)
			}
		})
	}
}

// TestRefundsThatWereRefused: each may be sent again after its cause is gone, and
// a refund that the process remembers keeps its claim.
func TestRefundsThatWereRefused(t *testing.T) {
	t.Parallel()
	g, _ := newTill(t)
	g.knows, g.answer = false, "PARAM_ERROR"
	b := newBase(t, g.step)
	store := new(countedStore)
	cfg := b.config()
	cfg.RefundStore = store
	client := newClient(t, cfg)
	refund := func(id string) error {
		_, err := client.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: id, OrderID: "P1", Amount: 100})
		return err
	}
	for _, id := range []string{"R1", "R2", "R3"} {
		if err := refund(id); !errors.Is(err, ottpay.ErrCaller) {
			t.Fatalf("%s: %v", id, err)
		}
	}
	g.answer = "SUCCESS"
	for _, id := range []string{"R1", "R2", "R3"} {
		if err := refund(id); err != nil {
			t.Errorf("%s, corrected: %v", id, err)
		}
	}
	if store.released != 3 || store.confirmed != 3 {
		t.Errorf("released %d claims, confirmed %d", store.released, store.confirmed)
	}
	if err := refund("R1"); !errors.Is(err, ottpay.ErrDuplicate) || store.released != 3 || store.confirmed != 4 || g.sent != 6 {
		t.Errorf("again: %v, released %d claims, confirmed %d, sent %d times", err, store.released, store.confirmed, g.sent)
	}
}

// TestRefundIntents: an intent that says too little reaches neither store nor gateway.
func TestRefundIntents(t *testing.T) {
	t.Parallel()
	for _, r := range []ottpay.RefundIntent{
		{OrderID: "P1", Amount: 1}, {RefundID: "R1", Amount: 1}, {RefundID: "R1", OrderID: "P1"},
		{RefundID: "R1", OrderID: "P1", Amount: -1}, {RefundID: "P1", OrderID: "P1", Amount: 1}, {},
	} {
		b := newBase(t, func(*base, int, opened) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		store := new(countedStore)
		cfg := b.config()
		cfg.RefundStore = store
		_, err := newClient(t, cfg).RefundOnce(t.Context(), r)
		if reasonOf(err) != middleware.ReasonRequest || !errors.Is(err, ottpay.ErrCaller) || b.n != 0 || store.released+store.confirmed != 0 {
			t.Errorf("%+v: %v, asked %d times", r, err, b.n)
		}
	}
}

func TestRefundPending(t *testing.T) {
	t.Parallel()
	underWay := new(api.RefundResponse)
	underWay.SetPending(true)
	for _, tt := range []struct {
		r    ottpay.RefundResult
		want bool
	}{
		{ottpay.RefundResult{Response: new(api.RefundResponse)}, false},
		{ottpay.RefundResult{Response: underWay}, true},
		{ottpay.RefundResult{Response: underWay, Status: "success"}, true},
		{ottpay.RefundResult{Before: true}, true},
		{ottpay.RefundResult{Before: true, Status: "success"}, false},
		{ottpay.RefundResult{Before: true, Status: "fully_refunded"}, false},
		{ottpay.RefundResult{Before: true, Status: "processing"}, true},
		{ottpay.RefundResult{Status: "processing", Response: new(api.RefundResponse)}, true},
	} {
		if got := tt.r.Pending(); got != tt.want {
			t.Errorf("%+v: %v", tt.r, got)
		}
	}
}

// TestRefundAnswersAreRememberedInTurn: the newest 4096 ids of OTT Pay's are
// known, and a full memory of refused refunds sends none of them again.
func TestRefundAnswersAreRememberedInTurn(t *testing.T) {
	t.Parallel()
	id := "REF0"
	b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
		return b.say("SUCCESS", `{"order_id":"`+id+`"}`)
	})
	cfg := b.config()
	cfg.Logger = slog.New(slog.DiscardHandler)
	client := newClient(t, cfg)
	refund := func(ref, order string) error {
		id = ref
		_, err := client.Refund(t.Context(), &api.RefundRequest{OrderID: order, OriOrderID: "P1", RefundAmt: field.Cents(5)})
		return err
	}
	const most = 4096
	for n := range most + 2 { // the last two take the places of the first two
		if err := refund(fmt.Sprintf("REF%d", n), fmt.Sprintf("R%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{2, 3, 100, most - 1, most, most + 1} {
		if err := refund(fmt.Sprintf("REF%d", n), "X1"); reasonOf(err) != middleware.ReasonReflected {
			t.Errorf("REF%d: %v", n, err)
		}
	}
	if err := refund("REF0", "X0"); err != nil {
		t.Errorf("the oldest is still known: %v", err)
	}
	for _, other := range []string{"REF", "REF1a", "REFX"} { // no ids of OTT Pay's: they name another order
		if err := refund(other, "X2"); reasonOf(err) != middleware.ReasonOtherOrder {
			t.Errorf("%s: %v", other, err)
		}
	}
}
