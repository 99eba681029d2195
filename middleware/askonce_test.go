package middleware_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// counter is an Asker that counts and says what it is told to.
type counter struct {
	asked, at, most atomic.Int32
	takes           time.Duration
	answer          func(*middleware.Delivery) (middleware.Answer, error)
}

func (c *counter) Ask(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	c.asked.Add(1)
	c.most.Store(max(c.most.Load(), c.at.Add(1)))
	defer c.at.Add(-1)
	if c.takes > 0 {
		select {
		case <-time.After(c.takes):
		case <-ctx.Done():
			return middleware.Answer{}, ctx.Err()
		}
	}
	if c.answer == nil {
		return answer("success", 1999)(d)
	}
	return c.answer(d)
}

// answer says the same of every order.
func answer(status api.OrderStatus, amount field.Cents) func(*middleware.Delivery) (middleware.Answer, error) {
	return func(d *middleware.Delivery) (middleware.Answer, error) {
		return middleware.Answer{OrderID: d.OrderID, Status: status, Amount: &amount}, nil
	}
}

// everyOne gives each delivery an identity of its own, so that no claim keeps
// the others from asking.
func everyOne() func(*middleware.Delivery) dedupe.ID {
	var n atomic.Uint64
	return func(*middleware.Delivery) (id dedupe.ID) {
		binary.BigEndian.PutUint64(id.Key[:], n.Add(1))
		return id
	}
}

// TestAskOnce: 10 000 notifications for one order make one query at a time. A
// confirming answer serves its window, any other one less than a second.
func TestAskOnce(t *testing.T) {
	t.Parallel()
	const deliveries = 2_000
	for _, c := range []struct {
		name   string
		answer func(*middleware.Delivery) (middleware.Answer, error)
		status int
	}{
		{"not paid", answer("notpay", 1999), 503},
		{"paid", answer("success", 1999), 200},
		{"outage", func(*middleware.Delivery) (middleware.Answer, error) {
			return middleware.Answer{}, errors.New("no route")
		}, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asker := &counter{takes: time.Second, answer: c.answer}
				h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
					cfg.Asker, cfg.Identify = asker, everyOne()
				}))
				body := callback(t, paid)
				for window := range int32(2) {
					var all sync.WaitGroup
					for i := range deliveries {
						all.Go(func() {
							if i%2 == 0 { // half of them find what the others learned
								time.Sleep(1700 * time.Millisecond)
							}
							if code := post(h, body).Code; code != c.status {
								t.Errorf("answer %d, want %d", code, c.status)
							}
						})
					}
					all.Wait()
					if asked := asker.asked.Load(); asked != window+1 {
						t.Fatalf("asked %d times after %d windows", asked, window+1)
					}
					time.Sleep(9 * time.Second)
				}
				if asker.most.Load() != 1 {
					t.Errorf("%d queries at a time", asker.most.Load())
				}
			})
		})
	}
}

// TestAskAgain: a redelivery a second after a "no" or an error finds the payer
// who has paid meanwhile, and so does one with a capture after an authorisation.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	card := func(status string) []byte {
		return callback(t, strings.Replace(paid, `"tip"`, `"order_status":"`+status+`","tip"`, 1))
	}
	for _, c := range []struct {
		name  string
		first func(*middleware.Delivery) (middleware.Answer, error)
		body  []byte
		want  int
	}{
		{"not paid", answer("notpay", 1999), callback(t, paid), 503},
		{"another amount", answer("success", 1), callback(t, paid), 503},
		{"outage", func(*middleware.Delivery) (middleware.Answer, error) {
			return middleware.Answer{}, errors.New("no route")
		}, callback(t, paid), 503},
		{"held", answer("authorised", 1999), card("authorised"), 200},
	} {
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			t.Run(fmt.Sprint(c.name, " ", wait), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					asker := &counter{answer: c.first}
					var s shop
					h := s.behind(newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker }))
					if code := post(h, c.body).Code; code != c.want {
						t.Fatalf("answer %d, want %d", code, c.want)
					}
					asker.answer = answer("captured", 1999)
					time.Sleep(wait)
					if code := post(h, card("captured")).Code; code != 200 {
						t.Errorf("the next answer is %d", code)
					}
				})
			})
		}
	}
}

// TestAskOnceLongQuery: a query that takes longer than its window is still the
// only one.
func TestAskOnceLongQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asker := &counter{takes: 5 * time.Second}
		h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker, cfg.Identify, cfg.AskWindow = asker, everyOne(), time.Second
		}))
		body := callback(t, paid)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 500 * time.Millisecond)
				post(h, body)
			})
		}
		all.Wait()
		if asked := asker.asked.Load(); asked != 1 {
			t.Errorf("asked %d times at once", asked)
		}
		if post(h, body); asker.asked.Load() != 2 {
			t.Error("the window began with the answer and not with the query")
		}
	})
}

// TestAskOnceSettle: a notification does not learn what was so before it came.
func TestAskOnceSettle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(*middleware.Delivery) (middleware.Answer, error)
	}{
		{"not paid", answer("notpay", 1999)},
		{"outage", func(*middleware.Delivery) (middleware.Answer, error) {
			return middleware.Answer{}, errors.New("no route")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s shop
			asker := &counter{answer: c.answer}
			w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker })
			order := middleware.Order{Merchant: merchant, ID: "T1"}
			for range 2 { // the second one within the window of the first
				if result, err := w.Settle(t.Context(), order, s.handle); result != middleware.ResultDeferred {
					t.Fatal(result, err)
				}
			}
			asker.answer = answer("success", 1999)
			if code := post(s.behind(w), callback(t, paid)).Code; code != 200 || s.runs.Load() != 1 {
				t.Errorf("answer %d, handled %d times", code, s.runs.Load())
			}
			if asked := asker.asked.Load(); asked != 2 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// TestAskOnceLeaving: a waiter that goes leaves the query to the others, and
// the last one ends it.
func TestAskOnceLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asker := &counter{takes: 3 * time.Second}
		var s shop
		w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker })
		settle := func(patience time.Duration) (middleware.Result, time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			result, _ := w.Settle(ctx, middleware.Order{Merchant: merchant, ID: "T1"}, s.handle)
			return result, time.Since(start)
		}
		var all sync.WaitGroup
		all.Go(func() {
			if result, took := settle(time.Second); result != middleware.ResultDeferred || took != time.Second {
				t.Errorf("the first one got %s after %s", result, took)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if result, took := settle(8 * time.Second); result != middleware.ResultHandled || took != 3*time.Second {
				t.Errorf("the other one got %s after %s", result, took)
			}
		})
		all.Wait()
		if asker.asked.Load() != 1 {
			t.Errorf("asked %d times", asker.asked.Load())
		}

		time.Sleep(time.Minute)
		settle(time.Second)
		settle(time.Nanosecond)
		synctest.Wait()
		if at := asker.at.Load(); at != 0 {
			t.Errorf("%d queries run on without a waiter", at)
		}
	})
}

func TestAskOnceLimiter(t *testing.T) {
	t.Parallel()
	asker := new(counter)
	var limit limiterFake
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker, cfg.AskLimiter = asker, &limit })
	var s shop
	body := callback(t, paid)
	limit.err = errors.New("no room before the deadline")
	if code := post(s.behind(w), body).Code; code != 503 || asker.asked.Load() != 0 {
		t.Errorf("answer %d, asked %d times without room", code, asker.asked.Load())
	}
	// What was not asked is no answer to remember.
	limit.err = nil
	if code := post(s.behind(w), body).Code; code != 200 || asker.asked.Load() != 1 || limit.waits != 2 {
		t.Errorf("answer %d, asked %d times, waited %d times", code, asker.asked.Load(), limit.waits)
	}
}

type limiterFake struct {
	waits int
	err   error
}

func (l *limiterFake) Wait(context.Context) error {
	l.waits++
	return l.err
}

// TestAskOncePanic: an Asker's panic is the delivery's, as any handler's, and
// not the process's.
func TestAskOncePanic(t *testing.T) {
	t.Parallel()
	asker := &counter{answer: func(*middleware.Delivery) (middleware.Answer, error) { panic("asker") }}
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker, cfg.AskWindow = asker, -1 })
	var s shop
	body := callback(t, paid)
	if code := post(s.behind(w), body).Code; code != 503 || s.runs.Load() != 0 {
		t.Errorf("answer %d, handled %d times", code, s.runs.Load())
	}
	asker.answer = nil
	if code := post(s.behind(w), body).Code; code != 200 {
		t.Errorf("the next answer is %d", code)
	}
}

// TestAskOncePerOrder: one order's answer is not another's, nor another
// checkout's, nor another merchant's.
func TestAskOncePerOrder(t *testing.T) {
	t.Parallel()
	asker := new(counter)
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker })
	var s shop
	for i, o := range []middleware.Order{
		{Merchant: merchant, ID: "T1"},
		{Merchant: merchant, ID: "T2"},
		{Merchant: "TS00000002", ID: "T1"},
		{Merchant: merchant, ID: "T1", Checkout: "P1"},
		{Merchant: merchant, ID: "T1", Query: api.ActionCC_QUERYPAY},
	} {
		for range 3 {
			w.Settle(t.Context(), o, s.handle)
		}
		if asked := asker.asked.Load(); asked != int32(i+1) {
			t.Errorf("%v: asked %d times in all, want %d", o, asked, i+1)
		}
	}
	// A callback finds what Settle learned.
	if post(s.behind(w), callback(t, strings.Replace(paid, "T1", "T2", 1))); asker.asked.Load() != 5 {
		t.Error("the callback asked again")
	}
}

// TestAskOnceForgets: what is remembered is bounded, and the oldest goes.
func TestAskOnceForgets(t *testing.T) {
	t.Parallel()
	const most = 1 << 14
	asker := &counter{answer: answer("notpay", 1)}
	now := time.Unix(1_700_000_000, 0)
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Asker, cfg.Now = asker, func() time.Time { return now }
	})
	ask := func(i int) bool {
		before := asker.asked.Load()
		w.Settle(t.Context(), middleware.Order{Merchant: merchant, ID: fmt.Sprint("T", i)}, nil)
		return asker.asked.Load() > before
	}
	for i := range most + 100 {
		if !ask(i) {
			t.Fatalf("order %d was not asked about", i)
		}
	}
	if ask(100) || ask(most+99) {
		t.Error("asked again about one of the last")
	}
	if !ask(99) {
		t.Error("the oldest is still remembered")
	}
	now = now.Add(-time.Hour)
	if !ask(most) {
		t.Error("a clock that was set back keeps an answer for an hour")
	}
}

// TestAskOnceWithoutTransaction: the claim's context is for the shop's own code
// and not for a query that others share.
func TestAskOnceWithoutTransaction(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Store = storeFunc(func() (dedupe.Claim, error) { return withContext{new(fakeClaim)}, nil })
		cfg.Expect = func(ctx context.Context, _ string) (field.Cents, error) {
			if ctx.Value(claimValue{}) != nil {
				t.Error("Expect runs under the claim")
			}
			return 1999, nil
		}
		cfg.Asker = askerFunc(func(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
			if ctx.Value(claimValue{}) != nil {
				t.Error("the query has the claim's context")
			}
			return answer("success", 1999)(d)
		})
	})
	h := middleware.Handle(w, func(ctx context.Context, _ *api.Notification) error {
		if ctx.Value(claimValue{}) == nil {
			t.Error("the handler does not find the claim's context")
		}
		return nil
	})
	if code := post(h, callback(t, paid)).Code; code != 200 {
		t.Errorf("answer %d", code)
	}
}

type claimValue struct{}

// withContext is a claim with a context of its own.
type withContext struct{ dedupe.Claim }

func (withContext) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, claimValue{}, true)
}

// TestAskOnceGivenUp: the error of a query that was given up is not that of the
// next one who asks.
func TestAskOnceGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(shop)
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = askerFunc(func(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				select {
				case <-ctx.Done():
					time.Sleep(time.Millisecond) // it takes a moment to notice
					return middleware.Answer{}, ctx.Err()
				case <-time.After(time.Second):
					return answer("success", 1999)(d)
				}
			})
		})
		order := middleware.Order{Merchant: merchant, ID: "T1", Amount: 1999}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if result, err := w.Settle(ctx, order, s.handle); err == nil {
			t.Fatalf("%s in half the time that the query takes", result)
		}
		for range 2 {
			if _, err := w.Settle(t.Context(), order, s.handle); err != nil {
				t.Error(err)
			}
		}
		if s.runs.Load() != 1 {
			t.Errorf("handled %d times", s.runs.Load())
		}
	})
}

// TestAskOnceApart: a handler that changes the answer it was given changes no
// other delivery's.
func TestAskOnceApart(t *testing.T) {
	t.Parallel()
	asker := new(counter)
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker, cfg.Identify = asker, everyOne() })
	h := middleware.Handle(w, func(ctx context.Context, _ *api.Notification) error {
		d, _ := middleware.FromContext(ctx)
		*d.Answer.Amount = 1
		return nil
	})
	for range 3 {
		if code := post(h, callback(t, paid)).Code; code != 200 {
			t.Errorf("answer %d", code)
		}
	}
	if n := asker.asked.Load(); n != 1 {
		t.Errorf("asked %d times: it tests nothing", n)
	}
}

// TestAskOnceSlow: a delivery whose time is over is deferred because nothing was
// said, also if the Asker does not end with its context.
func TestAskOnceSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var refused []middleware.Reason
		var s shop
		h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.Timeout = time.Second
			cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { refused = append(refused, r.Reason) }
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				time.Sleep(time.Minute)
				return answer("success", 1999)(d)
			})
		}))
		start := time.Now()
		if code := post(h, callback(t, paid)).Code; code != 503 || time.Since(start) != time.Second || s.runs.Load() != 0 {
			t.Errorf("answer %d after %v", code, time.Since(start))
		}
		if len(refused) != 1 || refused[0] != "ask-failed" {
			t.Errorf("refused %v", refused)
		}
		time.Sleep(time.Hour)
	})
}
