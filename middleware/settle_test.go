package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

func TestSettle(t *testing.T) {
	t.Parallel()
	cents := func(c field.Cents) *field.Cents { return &c }
	order := middleware.Order{Merchant: merchant, ID: "T1", Amount: 1999}
	for _, c := range []struct {
		name   string
		order  middleware.Order
		answer middleware.Answer
		err    error
		result middleware.Result
		reason string
	}{
		{"paid", order, middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(1999)}, nil, "handled", ""},
		{"captured", order, middleware.Answer{OrderID: "T1", Status: "Captured", Amount: cents(1999)}, nil, "handled", ""},
		{"trade finished", order, middleware.Answer{OrderID: "T1", Status: "Trade_Finished", Amount: cents(1999)}, nil, "handled", ""},
		{"no amount expected", middleware.Order{Merchant: merchant, ID: "T1"}, middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(5)}, nil, "handled", ""},
		{"checkout", middleware.Order{Merchant: merchant, Checkout: "P1"}, middleware.Answer{OrderID: "O1", Status: "success", Amount: cents(5)}, nil, "handled", ""},
		{"checkout without order", middleware.Order{Merchant: merchant, Checkout: "P1"}, middleware.Answer{Status: "success", Amount: cents(5)}, nil, "deferred", "answer-without-order"},
		{"checkout named, without order", middleware.Order{Merchant: merchant, Checkout: "P1"}, middleware.Answer{Checkout: "P1", Status: "success", Amount: cents(5)}, nil, "deferred", "answer-without-order"},
		{"not paid", order, middleware.Answer{OrderID: "T1", Status: "notpay"}, nil, "deferred", "not-paid-yet"},
		{"held", order, middleware.Answer{OrderID: "T1", Status: "authorised", Amount: cents(1999)}, nil, "deferred", "not-paid-yet"},
		{"closed", order, middleware.Answer{OrderID: "T1", Status: "orderclosed", Amount: cents(1999)}, nil, "deferred", "not-paid-yet"},
		{"refunded", order, middleware.Answer{OrderID: "T1", Status: "fully_refunded", Amount: cents(1999)}, nil, "deferred", "refunded"},
		{"row of a refund", order, middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(1999), Refund: true}, nil, "deferred", "answer-of-a-refund"},
		{"another order", order, middleware.Answer{OrderID: "T2", Status: "success", Amount: cents(1999)}, nil, "deferred", "answer-of-another-order"},
		{"no order", order, middleware.Answer{Status: "success", Amount: cents(1999)}, nil, "deferred", "answer-without-order"},
		{"another amount", order, middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(1)}, nil, "deferred", "amount-mismatch"},
		{"nothing paid", middleware.Order{Merchant: merchant, ID: "T1"}, middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(0)}, nil, "deferred", "amount-mismatch"},
		{"no amount", order, middleware.Answer{OrderID: "T1", Status: "success"}, nil, "deferred", "amount-unconfirmed"},
		{"no amount at all", middleware.Order{Merchant: merchant, ID: "T1"}, middleware.Answer{OrderID: "T1", Status: "success"}, nil, "deferred", "amount-unconfirmed"},
		{"outage", order, middleware.Answer{}, errors.New("timeout"), "deferred", "ask-failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.Asker = askerFunc(func(context.Context, *middleware.Delivery) (middleware.Answer, error) { return c.answer, c.err })
			})
			var got []*api.Notification
			result, err := w.Settle(t.Context(), c.order, func(ctx context.Context, n *api.Notification) error {
				d, ok := middleware.FromContext(ctx)
				if !ok || d.Source != middleware.SourceQuery || d.Notification != n || !d.Paid() || d.Answer.Status != c.answer.Status {
					t.Errorf("delivery %+v", d)
				}
				got = append(got, n)
				return nil
			})
			var refusal *middleware.Refusal
			if errors.As(err, &refusal); result != c.result || (refusal == nil) != (c.reason == "") || refusal != nil && string(refusal.Reason) != c.reason {
				t.Fatalf("%s, %v, want %s %s", result, err, c.result, c.reason)
			}
			if result != middleware.ResultHandled {
				if len(got) != 0 {
					t.Error("the function ran")
				}
				return
			}
			if len(got) != 1 || got[0].OrderID != c.answer.OrderID || got[0].Amount != *c.answer.Amount ||
				got[0].PrepayOrderID != c.order.Checkout || got[0].MerchantID != merchant || got[0].FinishTime != "" {
				t.Errorf("handled %+v", got)
			}
		})
	}
}

// TestSettleAndCallback: a query and a callback that report the same payment
// are one, in either order, also if the query spells the channel's id otherwise.
func TestSettleAndCallback(t *testing.T) {
	t.Parallel()
	channel := "WX240102030405000001" // of paid
	for _, c := range []struct {
		name    string
		channel string
		amount  field.Cents
	}{
		{"query without channel", "", 1999},
		{"same channel's id", channel, 1999},
		{"another channel's id", "WX2", 1999},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, first := range []string{"query", "callback"} {
				var s shop
				conflicts := 0
				w := newWebhook(t, func(cfg *middleware.Config) {
					cfg.OnConflict = func(context.Context, *middleware.Delivery) { conflicts++ }
					// The callbacks are not asked about here.
					cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
						return middleware.Answer{OrderID: "T1", Status: "success", Amount: &c.amount, BizpayOrderID: c.channel}, nil
					})
				})
				settle := func() middleware.Result {
					result, err := w.Settle(t.Context(), middleware.Order{Merchant: merchant, ID: "T1"}, s.handle)
					if err != nil {
						t.Error(err)
					}
					return result
				}
				if first == "query" {
					if result := settle(); result != middleware.ResultHandled {
						t.Errorf("query: %s", result)
					}
				}
				if code := post(s.behind(w), callback(t, paid)).Code; code != 200 {
					t.Errorf("callback: %d", code)
				}
				if first == "callback" {
					if result := settle(); result != middleware.ResultDuplicate {
						t.Errorf("query: %s", result)
					}
				}
				if s.runs.Load() != 1 || conflicts != 0 {
					t.Errorf("%s first: handled %d times, %d conflicts", first, s.runs.Load(), conflicts)
				}
			}
		})
	}
}

func TestSettleFailures(t *testing.T) {
	t.Parallel()
	var s shop
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = new(counter) })
	order := middleware.Order{Merchant: merchant, ID: "T1"}

	s.err = errors.New("disk full")
	if result, err := w.Settle(t.Context(), order, s.handle); result != middleware.ResultFailed || !errors.Is(err, s.err) {
		t.Errorf("a failed handler: %s, %v", result, err)
	}
	func() {
		defer func() { recover() }()
		w.Settle(t.Context(), order, func(context.Context, *api.Notification) error { panic("shop") })
	}()
	s.err = nil
	if result, err := w.Settle(t.Context(), order, s.handle); result != middleware.ResultHandled || err != nil {
		t.Errorf("after an error and a panic: %s, %v", result, err)
	}

	for _, c := range []struct {
		name  string
		w     *middleware.Webhook
		order middleware.Order
	}{
		{"no id", w, middleware.Order{Merchant: merchant}},
		{"no merchant", w, middleware.Order{ID: "T1"}},
		{"no asker", newWebhook(t, nil), order},
	} {
		if result, err := c.w.Settle(t.Context(), c.order, s.handle); err == nil || result != middleware.ResultFailed {
			t.Errorf("%s: %s, %v", c.name, result, err)
		}
	}

	expected := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Merchant, cfg.Asker = merchant, new(counter)
		cfg.Expect = func(context.Context, string) (field.Cents, error) { return 2000, nil }
	})
	var refusal *middleware.Refusal
	if _, err := expected.Settle(t.Context(), middleware.Order{ID: "T1"}, s.handle); !errors.As(err, &refusal) || refusal.Reason != "amount-mismatch" {
		t.Errorf("Expect was not heard: %v", err)
	}

	if err := w.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Settle(t.Context(), order, s.handle); !errors.As(err, &refusal) || refusal.Reason != "shutdown" {
		t.Errorf("after Shutdown: %v", err)
	}
	if s.runs.Load() != 2 {
		t.Errorf("handled %d times, want 2", s.runs.Load())
	}
}

// TestReplay: what was kept can be handled again, once per run.
func TestReplay(t *testing.T) {
	t.Parallel()
	var kept [][]byte
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Journal = journalFunc(func(_ string, body []byte, _ dedupe.ID) error {
			kept = append(kept, bytes.Clone(body))
			return nil
		})
	})
	s := shop{err: errors.New("a bug")}
	other := callback(t, strings.ReplaceAll(paid, "T1", "T2"))
	post(s.behind(w), callback(t, paid)) // journaled, failed
	s.err = nil
	post(s.behind(w), callback(t, paid)) // journaled again, done
	s.err = errors.New("a bug")
	post(s.behind(w), other) // journaled, never done
	if len(kept) != 3 {
		t.Fatalf("%d deliveries kept, want 3", len(kept))
	}

	replay := func(run string, fail error) (results []middleware.Result, orders []string) {
		for _, body := range kept {
			result, err := w.Replay(t.Context(), run, body, func(ctx context.Context, n *api.Notification) error {
				if d, ok := middleware.FromContext(ctx); !ok || d.Source != middleware.SourceJournal {
					t.Errorf("delivery %v", d)
				}
				orders = append(orders, n.OrderID)
				return fail
			})
			if (err == nil) == (result == middleware.ResultFailed) {
				t.Errorf("%s, %v", result, err)
			}
			results = append(results, result)
		}
		return results, orders
	}
	for _, c := range []struct {
		name, run       string
		fail            error
		results, orders string
	}{
		{"what was never done", "", nil, "[duplicate duplicate handled]", "[T2]"},
		{"and now is", "", nil, "[duplicate duplicate duplicate]", "[]"},
		{"a repair that fails", "repair", errors.New("still"), "[failed failed failed]", "[T1 T1 T2]"},
		{"a repair", "repair", nil, "[handled duplicate handled]", "[T1 T2]"},
		{"a repair that was done", "repair", nil, "[duplicate duplicate duplicate]", "[]"},
		{"another repair", "repair it better", nil, "[handled duplicate handled]", "[T1 T2]"},
	} {
		results, orders := replay(c.run, c.fail)
		if fmt.Sprint(results) != c.results || fmt.Sprint(orders) != c.orders {
			t.Errorf("%s: %v %v, want %s %s", c.name, results, orders, c.results, c.orders)
		}
	}
	if len(kept) != 3 {
		t.Error("a replay is kept once more")
	}

	for _, c := range []struct {
		name   string
		body   []byte
		result middleware.Result
		reason string
		order  string
	}{
		{"forged", callbackWith(t, "0000000000000000", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid), "refused", "padding", ""},
		{"no envelope", []byte("{}"), "refused", "no-data", ""},
		{"no callback", callback(t, strings.Replace(paid, "finish_time", "time", 1)), "refused", "finish_time", "T1"},
		{"deferred on the day", callbackWith(t, publishedKey, envelope.Response{Code: "FAIL", MerchantID: merchant}, paid), "deferred", "code", "T1"},
		{"too large", make([]byte, 64<<10+1), "refused", "body-too-large", ""},
		{"not too large", bytes.Repeat([]byte(" "), 64<<10), "refused", "not-json", ""},
	} {
		var refusal *middleware.Refusal
		result, err := w.Replay(t.Context(), "repair "+c.name, c.body, s.handle)
		if !errors.As(err, &refusal) || string(refusal.Reason) != c.reason || result != c.result {
			t.Errorf("%s: %s, %v", c.name, result, err)
			continue
		}
		if refusal.OrderID != c.order || refusal.Authentic() != (c.order != "") || refusal.Body() != nil {
			t.Errorf("%s: refusal of %+v", c.name, *refusal)
		}
	}
}

// TestReplayAndShutdown: a replay that has ended is not waited for, and after a
// shutdown none begins.
func TestReplayAndShutdown(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	var s shop
	if _, err := w.Replay(t.Context(), "", callback(t, paid), s.handle); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 { // of two channels that are ready, select takes any
		if err := w.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var refusal *middleware.Refusal
	result, err := w.Replay(ended, "again", callback(t, paid), s.handle)
	if !errors.As(err, &refusal) || refusal.Reason != "shutdown" || result != middleware.ResultFailed || s.runs.Load() != 1 {
		t.Errorf("%s, %v, handled %d times", result, err, s.runs.Load())
	}
}

// TestSettleAfterARefund: what the gateway says now decides, also of an order
// that was handled before.
func TestSettleAfterARefund(t *testing.T) {
	t.Parallel()
	status := api.OrderStatus("success")
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.AskWindow = -1
		cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
			a, err := answer(status, 1999)(d)
			a.BizpayOrderID = "WX7"
			return a, err
		})
	})
	order := middleware.Order{Merchant: merchant, ID: "T1"}
	var channel string
	handle := func(_ context.Context, n *api.Notification) error { channel = n.BizpayOrderID; return nil }
	if result, err := w.Settle(t.Context(), order, handle); result != middleware.ResultHandled || channel != "WX7" {
		t.Errorf("%s, %v, channel's id %q", result, err, channel)
	}
	status = "fully_refunded"
	var refusal *middleware.Refusal
	if result, err := w.Settle(t.Context(), order, handle); result != middleware.ResultDeferred || !errors.As(err, &refusal) || refusal.Reason != "refunded" {
		t.Errorf("%s, %v", result, err)
	}
}

// TestSettleReleaseFailure: the error says that a claim stays behind, if one does.
func TestSettleReleaseFailure(t *testing.T) {
	t.Parallel()
	lost, disk := errors.New("connection lost"), errors.New("no disk")
	for _, release := range []error{lost, nil} {
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = new(counter)
			cfg.Store = storeFunc(func() (dedupe.Claim, error) { return &staying{failed: release}, nil })
		})
		result, err := w.Settle(t.Context(), middleware.Order{Merchant: merchant, ID: "T1"}, func(context.Context, *api.Notification) error { return disk })
		if result != middleware.ResultFailed || !errors.Is(err, disk) || errors.Is(err, lost) != (release != nil) {
			t.Errorf("%s, %v", result, err)
		}
		var refusal *middleware.Refusal
		if errors.As(err, &refusal); release == nil && refusal.Err != disk {
			t.Errorf("the cause is %v", refusal.Err)
		}
	}
}

// TestOrderIsSilent: an order that is logged names itself alone.
func TestOrderIsSilent(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]middleware.Order{
		`order "T1"`: {Merchant: merchant, ID: "T1", Checkout: "P1", Amount: 1999},
		`order "P1"`: {Merchant: merchant, Checkout: "P1", Amount: 1999},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
			if got := fmt.Sprintf(verb, o); got != want {
				t.Errorf("%s: %s", verb, got)
			}
		}
	}
}

// orders is a shop's list of unpaid orders.
type orders struct {
	mu     sync.Mutex
	unpaid []middleware.Order
	err    error
}

func (o *orders) all(context.Context) iter.Seq2[middleware.Order, error] {
	return func(yield func(middleware.Order, error) bool) {
		o.mu.Lock()
		list, err := append([]middleware.Order(nil), o.unpaid...), o.err
		o.mu.Unlock()
		for _, order := range list {
			if !yield(order, nil) {
				return
			}
		}
		if err != nil {
			yield(middleware.Order{}, err)
		}
	}
}

func (o *orders) paid(_ context.Context, n *api.Notification) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, order := range o.unpaid {
		if order.ID == n.OrderID {
			o.unpaid = append(o.unpaid[:i], o.unpaid[i+1:]...)
			return nil
		}
	}
	return errors.New("paid already")
}

func unpaid(ids ...string) *orders {
	o := new(orders)
	for _, id := range ids {
		o.unpaid = append(o.unpaid, middleware.Order{Merchant: merchant, ID: id, Amount: 1999})
	}
	return o
}

// TestReconcilerRound: one round's counts, alarms and lines.
func TestReconcilerRound(t *testing.T) {
	t.Parallel()
	says := map[string]func(*middleware.Delivery) (middleware.Answer, error){
		"paid":     answer("success", 1999),
		"before":   answer("success", 1999),
		"not-yet":  answer("processing", 1999),
		"closed":   answer("orderclosed", 1999),
		"cheap":    answer("success", 1),
		"lost":     answer("success", 1999),
		"no-reply": func(*middleware.Delivery) (middleware.Answer, error) { return middleware.Answer{}, errors.New("no") },
	}
	var alarms []string
	var log bytes.Buffer
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) { return says[d.OrderID](d) })
		cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) {
			alarms = append(alarms, r.OrderID+" "+string(r.Reason))
		}
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	var s shop
	if _, err := w.Settle(t.Context(), middleware.Order{Merchant: merchant, ID: "before"}, s.handle); err != nil {
		t.Fatal(err)
	}
	list := unpaid("paid", "before", "not-yet", "closed", "cheap", "no-reply", "lost", "")
	statuses := map[string]api.OrderStatus{}
	var limit limiterFake
	c := &middleware.Reconciler{
		Webhook: w, Orders: list.all, Limiter: &limit,
		Handle: func(ctx context.Context, n *api.Notification) error {
			if n.OrderID == "lost" {
				return errors.New("no disk")
			}
			return list.paid(ctx, n)
		},
		Unpaid: func(_ context.Context, o middleware.Order, status api.OrderStatus) { statuses[o.ID] = status },
	}
	got, err := c.Round(t.Context())
	want := middleware.Reconciled{Orders: 8, Handled: 1, Duplicate: 1, Unpaid: 2, Deferred: 2, Failed: 2}
	if err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if fmt.Sprint(statuses) != "map[closed:orderclosed not-yet:processing]" {
		t.Errorf("unpaid: %v", statuses)
	}
	if fmt.Sprint(alarms) != "[cheap amount-mismatch no-reply ask-failed lost handler]" {
		t.Errorf("alarms: %v", alarms)
	}
	if lines := strings.Count(log.String(), "level=ERROR"); lines != 4 || limit.waits != 8 {
		t.Errorf("%d lines of errors, limiter waited %d times:\n%s", lines, limit.waits, &log)
	}
	// All the others wait now.
	want = middleware.Reconciled{Orders: 7, Waiting: 7}
	if got, err := c.Round(t.Context()); err != nil || got != want {
		t.Errorf("second round: %+v, %v", got, err)
	}

	list.err = errors.New("database gone")
	if _, err := c.Round(t.Context()); !errors.Is(err, list.err) {
		t.Errorf("orders that cannot be read: %v", err)
	}
	if _, err := (&middleware.Reconciler{Webhook: newWebhook(t, nil), Orders: list.all, Handle: list.paid}).Round(t.Context()); err == nil {
		t.Error("a round without an Asker")
	}
}

// TestReconcilerRun: an order is asked about after 0, 1, 3, 7, 15 … minutes,
// at most an hour apart, until it is paid, and Run ends with its context.
func TestReconcilerRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var asked []int
		list := unpaid("T1")
		asker := &counter{answer: func(d *middleware.Delivery) (middleware.Answer, error) {
			asked = append(asked, int(time.Since(start).Minutes()))
			if time.Since(start) < 5*time.Hour {
				return answer("notpay", 1999)(d)
			}
			return answer("success", 1999)(d)
		}}
		c := &middleware.Reconciler{
			Webhook: newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker }),
			Orders:  list.all, Handle: list.paid,
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour+time.Second)
		defer cancel()
		got, err := c.Run(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		if want := "[0 1 3 7 15 31 63 123 183 243 303]"; fmt.Sprint(asked) != want {
			t.Errorf("asked after %v minutes, want %s", asked, want)
		}
		if got.Handled != 1 || got.Unpaid != 10 || got.Orders != 304 || got.Waiting != 293 {
			t.Errorf("counted %+v", got)
		}
		if since := time.Since(start); since != 10*time.Hour+time.Second {
			t.Errorf("ended after %s", since)
		}
	})
}

// TestReconcilerStops: a context that ends during a query ends the round.
func TestReconcilerStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := unpaid("T1", "T2")
		asker := &counter{takes: time.Hour}
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = asker
			cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { t.Errorf("alarm: %v", r) }
		})
		c := &middleware.Reconciler{Webhook: w, Orders: list.all, Handle: list.paid}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if got, err := c.Round(ctx); !errors.Is(err, context.DeadlineExceeded) || got != (middleware.Reconciled{Orders: 1}) {
			t.Errorf("%+v, %v", got, err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("ended after %s", took)
		}
	})
}

// TestReconcilerShutdown: Run outlives a list that cannot be read, and not the
// webhook.
func TestReconcilerShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := unpaid("T1")
		list.err = errors.New("database gone")
		w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = &counter{answer: answer("notpay", 1)} })
		c := &middleware.Reconciler{Webhook: w, Orders: list.all, Handle: list.paid}
		time.AfterFunc(90*time.Second, func() { w.Shutdown(context.Background()) })
		got, err := c.Run(t.Context())
		var refusal *middleware.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != "shutdown" || got.Unpaid != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestReconcilerReplicas: replicas reconcile beside each other and beside the
// callbacks, and each payment is handled once.
func TestReconcilerReplicas(t *testing.T) {
	t.Parallel()
	const n, replicas = 300, 4
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("T", i)
	}
	list := unpaid(ids...)
	var handled [n]atomic.Int32
	handle := func(_ context.Context, n *api.Notification) error {
		var i int
		fmt.Sscanf(n.OrderID, "T%d", &i)
		if handled[i].Add(1) > 1 {
			t.Errorf("%s was handled twice", n.OrderID)
		}
		return nil
	}
	store := newMemory()
	var all sync.WaitGroup
	for range replicas {
		w := newWebhook(t, func(cfg *middleware.Config) { cfg.Store, cfg.Asker = store, new(counter) })
		all.Go(func() {
			c := &middleware.Reconciler{Webhook: w, Orders: list.all, Handle: handle}
			got, err := c.Round(t.Context())
			if err != nil || got.Handled+got.Duplicate+got.InFlight != n {
				t.Errorf("%+v, %v", got, err)
			}
		})
		all.Go(func() {
			for i := range n {
				post(middleware.Handle(w, handle), callback(t, strings.ReplaceAll(paid, "T1", ids[n-1-i])))
			}
		})
	}
	all.Wait()
	for i := range handled {
		if handled[i].Load() != 1 {
			t.Errorf("%s was handled %d times", ids[i], handled[i].Load())
		}
	}
}
