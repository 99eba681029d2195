package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// byOrder is a store that fails as the order's id says.
type byOrder struct{ dedupe.Store }

func (s byOrder) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	switch string(bytes.TrimRight(id.Key[:], "\x00")) {
	case "conflict":
		return nil, dedupe.ErrConflict
	case "in-flight":
		return nil, dedupe.ErrInFlight
	case "duplicate":
		return nil, dedupe.ErrDone
	case "store":
		return nil, errors.New("no disk")
	}
	return s.Store.Claim(ctx, id, lease)
}

// named gives each order the identity that byOrder reads.
func named(d *middleware.Delivery) (id dedupe.ID) {
	copy(id.Key[:], d.OrderID)
	return id
}

// TestReconcilerTotals: Run counts the orders of all its rounds.
func TestReconcilerTotals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		list := unpaid("conflict", "in-flight", "duplicate", "store", "unpaid", "deferred", "paid")
		var alarms []string
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Store, cfg.Identify, cfg.AskWindow = byOrder{newMemory()}, named, -1
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) {
				if r.OrderID != "deferred" && r.OrderID != "store" {
					alarms = append(alarms, r.OrderID)
				}
			}
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				switch d.OrderID {
				case "unpaid":
					return answer("notpay", 1999)(d)
				case "deferred":
					return middleware.Answer{}, errors.New("no route")
				}
				return answer("success", 1999)(d)
			})
		})
		c := &middleware.Reconciler{Webhook: w, Orders: list.all, Handle: list.paid}
		// Rounds at 0, 1, 2, 3 and 4 minutes; the backoff lets the orders be
		// asked about at 0, 1 and 3.
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute+time.Second)
		defer cancel()
		got, err := c.Run(ctx)
		want := middleware.Reconciled{Orders: 7 + 4*6, Waiting: 2 * 6, Handled: 1, Duplicate: 3, Conflict: 3, InFlight: 3, Unpaid: 3, Deferred: 3, Failed: 3}
		if !errors.Is(err, context.DeadlineExceeded) || got != want {
			t.Errorf("%v, %+v\nwant %+v", err, got, want)
		}
		if log.has("stopped short") {
			t.Errorf("a round that went well is an error: %s", log)
		}
		for _, want := range [][]string{
			{"level=ERROR", "result=conflict", "order_id=conflict"}, // the payer may have paid twice
			{"level=ERROR", "result=failed", "reason=store", `error="no disk"`, "order_id=store"},
			{"level=ERROR", "result=deferred", "reason=ask-failed", `error="no route"`, "order_id=deferred"},
			{"level=INFO", "result=in-flight", "order_id=in-flight"},
			{"level=INFO", "result=duplicate", "order_id=duplicate"},
			{"level=INFO", "result=handled", "order_id=paid"},
		} {
			if !log.has(want...) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
		}
		if log.has("order_id=unpaid") || len(alarms) != 0 {
			t.Errorf("an order that is only unpaid has a line, or %v an alarm: %s", alarms, log)
		}
	})
}

// TestReconcilerRunEndsDuringARound: a context that ends in a round is no
// failure of it, and what the round has done is counted.
func TestReconcilerRunEndsDuringARound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		list := unpaid("T1", "T2", "T3")
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			cfg.Asker = askerFunc(func(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				if d.OrderID == "T2" {
					<-ctx.Done()
					return middleware.Answer{}, ctx.Err()
				}
				return answer("success", 1999)(d)
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := (&middleware.Reconciler{Webhook: w, Orders: list.all, Handle: list.paid}).Run(ctx)
		if want := (middleware.Reconciled{Orders: 2, Handled: 1}); !errors.Is(err, context.DeadlineExceeded) || got != want {
			t.Errorf("%v, %+v, want %+v", err, got, want)
		}
		if log.has("level=ERROR") {
			t.Errorf("an alarm: %s", log)
		}
	})
}

// TestReconcilerLacksAPart: a Reconciler that can never work says so at once,
// and asks about nothing.
func TestReconcilerLacksAPart(t *testing.T) {
	t.Parallel()
	asker := new(counter)
	list := unpaid("T1")
	with := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker })
	for name, c := range map[string]*middleware.Reconciler{
		"Webhook": {Orders: list.all, Handle: list.paid},
		"Asker":   {Webhook: newWebhook(t, nil), Orders: list.all, Handle: list.paid},
		"Orders":  {Webhook: with, Handle: list.paid},
		"Handle":  {Webhook: with, Orders: list.all},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, run := range []func(context.Context) (middleware.Reconciled, error){c.Round, c.Run} {
			got, err := run(ctx)
			if err == nil || !strings.HasSuffix(err.Error(), "are required") || got != (middleware.Reconciled{}) {
				t.Errorf("without %s: %+v, %v", name, got, err)
			}
		}
	}
	if n := asker.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// TestReconcilerRoundStops: what ends a round keeps it from asking further.
func TestReconcilerRoundStops(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, c := range []struct {
		name   string
		change func(*middleware.Reconciler, context.CancelFunc)
		asked  int32
		want   middleware.Reconciled
		err    error
	}{
		{"a context that ended before", func(_ *middleware.Reconciler, cancel context.CancelFunc) { cancel() }, 0, middleware.Reconciled{}, context.Canceled},
		{"a context that ends with the first order", func(c *middleware.Reconciler, cancel context.CancelFunc) {
			c.Handle = func(context.Context, *api.Notification) error { cancel(); return nil }
		}, 1, middleware.Reconciled{Orders: 1, Handled: 1}, context.Canceled},
		{"a context that ends with the last order", func(c *middleware.Reconciler, cancel context.CancelFunc) {
			c.Handle = func(_ context.Context, n *api.Notification) error {
				if n.OrderID == "T2" {
					cancel()
				}
				return nil
			}
		}, 2, middleware.Reconciled{Orders: 2, Handled: 2}, context.Canceled},
		{"a context that ends with a handler that fails", func(c *middleware.Reconciler, cancel context.CancelFunc) {
			c.Handle = func(context.Context, *api.Notification) error { cancel(); return errors.New("no disk") }
		}, 1, middleware.Reconciled{Orders: 1, Failed: 1}, context.Canceled},
		{"a limiter that gives no room", func(c *middleware.Reconciler, _ context.CancelFunc) {
			c.Limiter = limiterFunc(func(context.Context) error { return gone })
		}, 0, middleware.Reconciled{Orders: 1}, gone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asker := new(counter)
			r := &middleware.Reconciler{
				Webhook: newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker }),
				Orders:  unpaid("T1", "T2").all,
				Handle:  func(context.Context, *api.Notification) error { return nil },
			}
			c.change(r, cancel)
			got, err := r.Round(ctx)
			if !errors.Is(err, c.err) || got != c.want || asker.asked.Load() != c.asked {
				t.Errorf("%v, %+v, asked %d times; want %v, %+v, %d times", err, got, asker.asked.Load(), c.err, c.want, c.asked)
			}
		})
	}
}

// TestReconcilerWithoutHooks: neither hook is required, nor an order that can
// be asked about.
func TestReconcilerWithoutHooks(t *testing.T) {
	t.Parallel()
	log := new(lines)
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
			if d.OrderID == "T1" {
				return answer("notpay", 1999)(d)
			}
			return answer("success", 1)(d)
		})
	})
	list := unpaid("T1", "T2", "")
	got, err := (&middleware.Reconciler{Webhook: w, Orders: list.all, Handle: list.paid}).Round(t.Context())
	if want := (middleware.Reconciled{Orders: 3, Unpaid: 1, Deferred: 1, Failed: 1}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if !log.has("level=ERROR", "result=failed", "the order has no id") || log.has("PANIC") || log.has("panic") {
		t.Errorf("log: %s", log)
	}
}

// TestReconcilerForgets: an order that is listed again after a round without it
// is asked about at once, and one that is listed in each round is not.
func TestReconcilerForgets(t *testing.T) {
	t.Parallel()
	var listed []string
	asker := &counter{answer: answer("notpay", 1999)}
	c := &middleware.Reconciler{
		Webhook: newWebhook(t, func(cfg *middleware.Config) { cfg.Asker, cfg.AskWindow = asker, -1 }),
		Handle:  func(context.Context, *api.Notification) error { return nil },
		Orders: func(ctx context.Context) iter.Seq2[middleware.Order, error] {
			return unpaid(listed...).all(ctx)
		},
	}
	for i, round := range []struct {
		listed        []string
		asked, waited int
	}{
		{[]string{"T1", "T2"}, 2, 0},
		{[]string{"T2"}, 0, 1},
		{[]string{"T1", "T2"}, 1, 1},
		{[]string{"T1", "T2"}, 0, 2},
	} {
		listed = round.listed
		got, err := c.Round(t.Context())
		if err != nil || got.Unpaid != round.asked || got.Waiting != round.waited {
			t.Errorf("round %d: %+v, %v", i+1, got, err)
		}
	}
}
