package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// faulty panics, or ends the goroutine, in the part that is named.
type faulty struct {
	part  string
	how   func()
	armed bool
}

func (f *faulty) at(part string) {
	if f.armed && f.part == part {
		f.how()
	}
}

func (f *faulty) Keys(context.Context, string) ([]envelope.Key, error) {
	f.at("Keys")
	return []envelope.Key{key}, nil
}

func (f *faulty) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	f.at("Claim")
	return f, nil
}
func (f *faulty) Look(context.Context, dedupe.ID) error {
	f.at("Look")
	if f.part == "OnConflict" {
		return dedupe.ErrConflict
	}
	return nil
}
func (f *faulty) Context(ctx context.Context) context.Context { f.at("Context"); return ctx }
func (f *faulty) Confirm(context.Context) error               { f.at("Confirm"); return nil }
func (f *faulty) Release(context.Context) error               { f.at("Release"); return nil }

func (f *faulty) Append(context.Context, string, []byte, dedupe.ID) error {
	f.at("Journal")
	return nil
}
func (f *faulty) StructCtx(context.Context, any) error { f.at("Validator"); return nil }
func (f *faulty) Allow(*http.Request) bool             { f.at("Allow"); return true }
func (f *faulty) Penalise(*http.Request)               { f.at("Penalise") }
func (f *faulty) Wait(context.Context) error           { f.at("AskLimiter"); return nil }

func (f *faulty) Ask(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	f.at("Asker")
	amount := d.Amount
	return middleware.Answer{OrderID: d.OrderID, Status: api.StatusSuccess, Amount: &amount}, nil
}

func (f *faulty) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	f.at("Observer")
	return r.Context(), func(middleware.DeliveryOutcome) { f.at("Observer's end") }
}
func (f *faulty) Call(r *http.Request, _, _ string) (context.Context, func(middleware.CallOutcome)) {
	return r.Context(), func(middleware.CallOutcome) {}
}

var key, _ = envelope.NewKey(publishedKey)

// parts is everything that a Webhook calls.
var parts = []string{
	"Keys", "Look", "Claim", "Context", "Confirm", "Journal", "Validator", "Allow", "AskLimiter", "Asker", "Observer", "Observer's end",
	"Logger", "OnConflict", "Expect", "Identify", "Now", "handler", "Penalise", "OnRefused", "Release",
}

// swallow is a careless recovery: it writes no status,
// and gets what was written only if nothing panics.
func swallow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }()
		kept := httptest.NewRecorder()
		next.ServeHTTP(kept, r)
		rw.WriteHeader(kept.Code)
	})
}

// TestPanicAnywhere: whatever panics, in anybody's code, the gateway never
// reads 200, the log has a line and the shop is told.
func TestPanicAnywhere(t *testing.T) {
	t.Parallel()
	for _, part := range parts {
		for name, how := range map[string]func(){
			"panic":         func() { panic("boom") },
			"runtime error": func() { _ = []int{}[len(part)] },
			"error":         func() { panic(errors.New("boom")) },
			"Goexit":        runtime.Goexit,
		} {
			t.Run(part+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := &faulty{part: part, how: how}
				var told []*middleware.Refusal
				log := &lines{panics: part == "Logger", how: how}
				w := f.webhook(t, log, &told)
				h := middleware.Handle(w, func(context.Context, *api.Notification) error {
					f.at("handler")
					if part == "Release" || part == "OnRefused" {
						return errors.New("no")
					}
					return nil
				})
				f.armed = true
				body := callback(t, paid)
				if part == "Penalise" {
					body = callbackWith(t, "0000000000000000", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid)
				}
				server := httptest.NewServer(swallow(h))
				if name == "Goexit" {
					server.Config.Handler = h // a goroutine that ends takes no recovery's answer along
				}
				defer server.Close()
				resp, err := http.Post(server.URL, "application/json", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != 503 {
					t.Errorf("answer %d", resp.StatusCode)
				}
				server.Close() // the goroutine has ended
				if part != "Logger" && !log.has("level=ERROR", "reason=panic") {
					t.Errorf("no line: %s", log)
				}
				if len(told) == 0 && part != "OnRefused" && !(part == "Logger" && name == "Goexit") {
					t.Error("the shop is not told")
				}
				for _, r := range told {
					var p *middleware.PanicError
					if name != "Goexit" && (r.Reason != middleware.ReasonPanic || !errors.As(r, &p) || len(p.Stack) == 0 || p.Value == nil) && part != "Observer's end" {
						t.Errorf("told %v, %v", r, r.Err)
					}
				}
				if err := w.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func (f *faulty) webhook(t *testing.T, log *lines, told *[]*middleware.Refusal) *middleware.Webhook {
	w, err := middleware.New(middleware.Config{
		Keys: f, Store: f, Validator: f, Asker: f, AskLimiter: f, Journal: f, SourceLimiter: f, Observer: f, AskWindow: -1,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
		Expect: func(context.Context, string) (field.Cents, error) { f.at("Expect"); return 1999, nil },
		Identify: func(d *middleware.Delivery) dedupe.ID {
			f.at("Identify")
			return dedupe.Identify(d.Merchant, d.OrderID, d.Kind)
		},
		OnConflict: func(context.Context, *middleware.Delivery) { f.at("OnConflict") },
		OnRefused: func(_ context.Context, r *middleware.Refusal) {
			f.at("OnRefused")
			*told = append(*told, r)
		},
		Now: func() time.Time { f.at("Now"); return time.Unix(1_700_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// lines is where a log goes.
type lines struct {
	b      bytes.Buffer
	panics bool
	how    func()
}

func (l *lines) Write(p []byte) (int, error) {
	if l.panics {
		l.how()
	}
	return l.b.Write(p)
}

func (l *lines) String() string { return l.b.String() }

// has reports whether one line holds all of the words.
func (l *lines) has(words ...string) bool {
	for line := range strings.Lines(l.b.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

// TestReconcilerPanic: an order whose handling panics does not keep the others
// from being handled, nor Run from going on.
func TestReconcilerPanic(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"handler", "Asker", "Orders", "Unpaid", "OnRefused", "Limiter"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			log := new(lines)
			var handled atomic.Int32
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.Logger, cfg.AskWindow = slog.New(slog.NewTextHandler(log, nil)), -1
				cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
					a := middleware.Answer{OrderID: d.OrderID, Status: "success", Amount: &d.Amount}
					switch {
					case d.OrderID == "T1" && part == "Asker":
						panic("asker")
					case d.OrderID == "T1" && part == "Unpaid":
						a.Status = "notpay"
					case d.OrderID == "T1" && part == "OnRefused":
						a.Status = "fully_refunded"
					}
					return a, nil
				})
				cfg.OnRefused = func(context.Context, *middleware.Refusal) {
					if part == "OnRefused" {
						panic("hook")
					}
				}
			})
			rounds, waits := 0, 0
			r := middleware.Reconciler{
				Webhook:  w,
				Interval: time.Millisecond, MaxBackoff: time.Millisecond,
				Orders: func(context.Context) iter.Seq2[middleware.Order, error] {
					rounds++
					return func(yield func(middleware.Order, error) bool) {
						if part == "Orders" && rounds == 1 {
							panic("orders")
						}
						for _, id := range []string{"T1", "T2"} {
							if !yield(middleware.Order{Merchant: merchant, ID: id, Amount: 5}, nil) {
								return
							}
						}
					}
				},
				Handle: func(_ context.Context, n *api.Notification) error {
					if part == "handler" && n.OrderID == "T1" {
						panic("poisoned")
					}
					handled.Add(1)
					return nil
				},
				Unpaid: func(context.Context, middleware.Order, api.OrderStatus) { panic("unpaid") },
				Limiter: limiterFunc(func(context.Context) error {
					if waits++; part == "Limiter" && waits == 1 {
						panic("limiter")
					}
					return nil
				}),
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			go func() {
				for handled.Load() == 0 && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
			if handled.Load() == 0 || !log.has("level=ERROR", "panic") {
				t.Errorf("handled %d, log: %s", handled.Load(), log)
			}
		})
	}
}

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// TestSettlePanic: outside of a request a panic is an error.
func TestSettlePanic(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = new(counter) })
	_, err := w.Settle(t.Context(), middleware.Order{Merchant: merchant, ID: "T1"}, func(context.Context, *api.Notification) error { panic("boom") })
	var refusal *middleware.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != middleware.ReasonPanic || refusal.OrderID != "T1" {
		t.Errorf("Settle: %v", err)
	}
	_, err = w.Replay(t.Context(), "", callback(t, paid), func(context.Context, *api.Notification) error { panic("boom") })
	if !errors.As(err, &refusal) || refusal.Reason != middleware.ReasonPanic {
		t.Errorf("Replay: %v", err)
	}
	bad := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Keys = keysFunc(func(context.Context, string) ([]envelope.Key, error) { panic("boom") })
		cfg.Validator = validate.New()
	})
	if _, err := bad.Check(httptest.NewRequest("POST", "/", bytes.NewReader(callback(t, paid)))); !errors.As(err, &refusal) || refusal.Reason != middleware.ReasonPanic {
		t.Errorf("Check: %v", err)
	}
}
