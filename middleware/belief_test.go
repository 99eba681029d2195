package middleware_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// holding counts the claims that are held.
type holding struct {
	dedupe.Store
	held atomic.Int32
}

func (h *holding) Look(ctx context.Context, id dedupe.ID) error { return dedupe.Look(ctx, h.Store, id) }

func (h *holding) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	claim, err := h.Store.Claim(ctx, id, lease)
	if err != nil {
		return nil, err
	}
	h.held.Add(1)
	return held{claim, h}, nil
}

type held struct {
	dedupe.Claim
	h *holding
}

func (c held) Confirm(ctx context.Context) error { c.h.held.Add(-1); return c.Claim.Confirm(ctx) }
func (c held) Release(ctx context.Context) error { c.h.held.Add(-1); return c.Claim.Release(ctx) }

// TestBeliefHoldsNothing: no claim is held while the shop and the gateway are
// asked, and what is done is not asked about.
func TestBeliefHoldsNothing(t *testing.T) {
	t.Parallel()
	store := &holding{Store: newMemory()}
	var asked, expected atomic.Int32
	look := func(what string, n *atomic.Int32) {
		if n.Add(1); store.held.Load() != 0 {
			t.Errorf("a claim is held: %s", what)
		}
	}
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Store = store
		cfg.Expect = func(ctx context.Context, _ string) (field.Cents, error) {
			if _, ok := middleware.FromContext(ctx); !ok {
				t.Error("Expect does not find the delivery")
			}
			look("Expect", &expected)
			return 1999, nil
		}
		cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
			look("Asker", &asked)
			return answer("success", 1999)(d)
		})
	})
	h := middleware.Handle(w, func(context.Context, *api.Notification) error {
		if store.held.Load() != 1 {
			t.Error("the handler runs without a claim")
		}
		return nil
	})
	for range 3 {
		if code := post(h, callback(t, paid)).Code; code != 200 {
			t.Errorf("answer %d", code)
		}
	}
	if asked.Load() != 1 || expected.Load() != 1 || store.held.Load() != 0 {
		t.Errorf("asked %d, expected %d times, %d claims held", asked.Load(), expected.Load(), store.held.Load())
	}
}

// TestConflictIsAsked: "paid twice" is said only if the gateway confirms it.
func TestConflictIsAsked(t *testing.T) {
	t.Parallel()
	const channel = "WX240102030405000001" // of paid
	amount := func(c field.Cents) *field.Cents { return &c }
	again := func(old, new string) string { return strings.Replace(paid, old, new, 1) }
	for _, c := range []struct {
		name    string
		payload string
		answer  middleware.Answer
		err     error
		status  int
		alarm   bool
		reason  string
	}{
		{"a second payment", again(channel, "WX2"), middleware.Answer{Status: "success", Amount: amount(1999), BizpayOrderID: "WX2"}, nil, 200, true, ""},
		{"a second payment, no channel in the answer", again(channel, "WX2"), middleware.Answer{Status: "success", Amount: amount(1999)}, nil, 200, true, ""},
		{"a second payment of another amount", again("1999", "2999"), middleware.Answer{Status: "success", Amount: amount(2999), BizpayOrderID: channel}, nil, 200, true, ""},
		{"an amount that the gateway does not know", again("1999", "19990"), middleware.Answer{Status: "success", Amount: amount(1999), BizpayOrderID: channel}, nil, 200, false, "amount-mismatch"},
		{"a channel's id that the gateway does not know", again(channel, "X"+channel), middleware.Answer{Status: "success", Amount: amount(1999), BizpayOrderID: channel}, nil, 200, false, "bizpay_order_id"},
		{"refunded since", again(channel, "WX2"), middleware.Answer{Status: "fully_refunded", Amount: amount(1999)}, nil, 200, false, "refunded"},
		{"the gateway cannot be asked", again(channel, "WX2"), middleware.Answer{}, errors.New("no route"), 503, false, "ask-failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s shop
			alarms := 0
			log := new(lines)
			first := true
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.AskWindow, cfg.Logger = -1, slog.New(slog.NewTextHandler(log, nil))
				cfg.OnConflict = func(context.Context, *middleware.Delivery) { alarms++ }
				cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
					if first {
						return answer("success", 1999)(d)
					}
					a := c.answer
					a.OrderID = d.OrderID
					return a, c.err
				})
			})
			if code := post(s.behind(w), callback(t, paid)).Code; code != 200 {
				t.Fatalf("first: %d", code)
			}
			first = false
			if code := post(s.behind(w), callback(t, c.payload)).Code; code != c.status || s.runs.Load() != 1 {
				t.Errorf("answer %d, handled %d times", code, s.runs.Load())
			}
			if alarms == 1 != c.alarm || log.has("level=ERROR", "result=conflict") != c.alarm {
				t.Errorf("%d alarms: %s", alarms, log)
			}
			if c.status == 200 && !c.alarm && !log.has("level=WARN", "result=duplicate", "reason="+c.reason) {
				t.Errorf("no warning: %s", log)
			}
		})
	}
}

// TestUnusual: what opened under the key and could be money is asked about, and
// handled if the gateway confirms it.
func TestUnusual(t *testing.T) {
	t.Parallel()
	payload := func(old, new string) string { return strings.Replace(paid, old, new, 1) }
	for _, c := range []struct {
		name    string
		payload string
		amount  field.Cents // of the answer
		channel string      // that the handler gets
		reason  string
	}{
		{"another merchant", payload(merchant, "HK00000001"), 1999, "WX240102030405000001", "merchant"},
		{"no channel at all", payload(`"bizpay_order_id":"WX240102030405000001",`, ""), 1999, "", "bizpay_order_id"},
		{"a blank status", payload(`"tip"`, `"order_status":" ","tip"`), 1999, "WX240102030405000001", "kind"},
		{"a status of control characters", payload(`"tip"`, `"order_status":"\u0000\ufeff","tip"`), 1999, "WX240102030405000001", "kind"},
		{"dollars", payload(`"1999"`, `"19.99"`), 1999, "WX240102030405000001", "amount"},
		{"dollars, one decimal", payload(`"1999"`, `"19.9"`), 1990, "WX240102030405000001", "amount"},
		{"a sale without a channel", payload(`"bizpay_order_id":"WX240102030405000001"`, `"sale_num":"7"`), 1999, "", "bizpay_order_id"},
		{"a checkout without a channel", payload(`"bizpay_order_id":"WX240102030405000001"`, `"prepay_order_id":"P1"`), 1999, "", "bizpay_order_id"},
		{"a channel named otherwise", payload("bizpay_order_id", "out_trade_no"), 1999, "WX240102030405000001", ""},
		{"a tip that does not fit", payload(`"tip":"0"`, `"tip":"none"`), 1999, "WX240102030405000001", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got *api.Notification
			var d *middleware.Delivery
			log := new(lines)
			says := c.amount
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.AskWindow, cfg.Logger = -1, slog.New(slog.NewTextHandler(log, nil))
				cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
					return answer("success", says)(d)
				})
			})
			h := middleware.Handle(w, func(ctx context.Context, n *api.Notification) error {
				got = n
				d, _ = middleware.FromContext(ctx)
				return nil
			})
			says = 5
			if code := post(h, callback(t, c.payload)).Code; code != 503 || got != nil {
				t.Errorf("not confirmed: answer %d, handled %v", code, got != nil)
			}
			says = c.amount
			if code := post(h, callback(t, c.payload)).Code; code != 200 || got == nil {
				t.Fatalf("confirmed: answer %d, handled %v: %s", code, got != nil, log)
			}
			if got.Amount != c.amount || d.Amount != c.amount || got.BizpayOrderID != c.channel || d.BizpayOrderID != c.channel || !d.Matches(c.amount) {
				t.Errorf("handled %v, %v", got, d)
			}
			if c.reason != "" && !log.has("level=WARN", "result=handled", "reason="+c.reason) {
				t.Errorf("no warning: %s", log)
			}
			if strings.Contains(c.payload, "none") && !log.has("level=WARN", "result=handled", "misfits=[tip]") {
				t.Errorf("the member is not named: %s", log)
			}
		})
	}
}

// TestBlankStatus: a status that says nothing is not confirmed by every answer,
// and without an Asker it is no payment, also for who requires a status.
func TestBlankStatus(t *testing.T) {
	t.Parallel()
	body := callback(t, strings.Replace(paid, `"tip"`, `"order_status":" ","tip"`, 1))
	for _, status := range []api.OrderStatus{"notpay", "authorised", "failure", "fully_refunded", ""} {
		s := new(shop)
		h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				return answer(status, 1999)(d)
			})
		}))
		if code := post(h, body).Code; code != 503 || s.runs.Load() != 0 {
			t.Errorf("the query says %q: answer %d, handled %d times", status, code, s.runs.Load())
		}
	}
	trusting := middleware.Handle(newWebhook(t, nil), func(context.Context, *api.CardNotification) error {
		t.Error("handled on the callback's word")
		return nil
	})
	if code := post(trusting, body).Code; code != 503 {
		t.Errorf("without an Asker: answer %d", code)
	}
}

// TestCheckoutOfTheAnswer: a query that names a checkout confirms no other one.
func TestCheckoutOfTheAnswer(t *testing.T) {
	t.Parallel()
	body := callback(t, strings.Replace(paid, `"tip"`, `"prepay_order_id":"P1","tip"`, 1))
	for checkout, want := range map[string]int{"P1": 200, "": 200, "P2": 503} {
		s := new(shop)
		h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				a, err := answer("success", 1999)(d)
				a.Checkout = checkout
				return a, err
			})
		}))
		if code := post(h, body).Code; code != want {
			t.Errorf("the answer names %q: %d, want %d", checkout, code, want)
		}
	}
}

// TestSettleAsksOnce: the answer that Settle learns from is the one that it
// believes, also where no answer serves twice.
func TestSettleAsksOnce(t *testing.T) {
	t.Parallel()
	asker := new(counter)
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Asker, cfg.AskWindow = asker, -1
		cfg.Expect = func(context.Context, string) (field.Cents, error) { return 1999, nil }
	})
	var s shop
	result, err := w.Settle(t.Context(), middleware.Order{Merchant: merchant, ID: "T1"}, s.handle)
	if err != nil || result != middleware.ResultHandled || asker.asked.Load() != 1 {
		t.Errorf("%s, %v, asked %d times", result, err, asker.asked.Load())
	}
}
