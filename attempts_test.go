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
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// hooks are what a configuration brings, and what can go wrong with it.
type hooks struct {
	keys    func(context.Context, string) ([]envelope.Key, error)
	limiter func(context.Context) error
	log     func()
	now     func() time.Time
}

func (h *hooks) Keys(ctx context.Context, merchantID string) ([]envelope.Key, error) {
	return h.keys(ctx, merchantID)
}

func (h *hooks) Wait(ctx context.Context) error {
	if h.limiter == nil {
		return nil
	}
	return h.limiter(ctx)
}

func (h *hooks) Enabled(context.Context, slog.Level) bool { return true }
func (h *hooks) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *hooks) WithGroup(string) slog.Handler            { return h }
func (h *hooks) Handle(context.Context, slog.Record) error {
	if h.log != nil {
		h.log()
	}
	return nil
}

// payments are the ways to pay that the tests below try.
var payments = map[string]func(ctx context.Context, c *ottpay.Client, id string, bad bool) error{
	"MAPPPAY": func(ctx context.Context, c *ottpay.Client, id string, bad bool) error {
		req := &api.MiniProgramPayRequest{OrderID: id, Amount: 500, AppID: "wx1", OpenID: "o1", CallBackURL: "https://shop.example/x"}
		if bad {
			req.Amount = -1
		}
		_, err := c.MiniProgramPay(ctx, req)
		return err
	},
	"PASSIVEPAY": func(ctx context.Context, c *ottpay.Client, id string, bad bool) error {
		req := &api.PassivePayRequest{OrderID: id, Amount: 500, AuthCode: "130000000000000000", BizType: "WECHATPAY"}
		if bad {
			req.AuthCode = ""
		}
		_, err := c.PassivePay(ctx, req)
		return err
	},
	"REFUND": func(ctx context.Context, c *ottpay.Client, id string, bad bool) error {
		req := &api.RefundRequest{OrderID: id, OriOrderID: "P1", RefundAmt: 500}
		if bad {
			req.OriOrderID = ""
		}
		_, err := c.Refund(ctx, req)
		return err
	},
	"inAppPay": func(ctx context.Context, c *ottpay.Client, id string, bad bool) error {
		req := &ottpay.InAppPayRequest{AppID: "wx1", Amount: 500, CallBackURL: "https://shop.example/x", OrderID: id}
		if bad {
			req.CallBackURL = "http://shop.example/x"
		}
		_, err := c.InAppPay(ctx, req)
		return err
	},
}

// TestLaterAttempts: a first attempt takes effect, its answer is lost, and the
// second one is stopped before it is sent. It must not say that nothing was sent,
// and Resolve must ask, for the id of the first.
func TestLaterAttempts(t *testing.T) {
	t.Parallel()
	second := map[string]struct {
		bad bool // the request is
		set func(h *hooks, cfg *ottpay.Config)
		ctx func(context.Context) context.Context
	}{
		"invalid request": {bad: true},
		"limiter": {set: func(h *hooks, _ *ottpay.Config) {
			h.limiter = func(context.Context) error { return errors.New("full") }
		}},
		"limiter panics": {set: func(h *hooks, _ *ottpay.Config) { h.limiter = func(context.Context) error { panic("limiter") } }},
		"clock panics":   {set: func(h *hooks, _ *ottpay.Config) { h.now = func() time.Time { panic("clock") } }},
		"context ended": {ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx
		}},
	}
	for action, pay := range payments {
		for name, tt := range second {
			for _, once := range []bool{true, false} {
				t.Run(action+", "+name, func(t *testing.T) {
					t.Parallel()
					h := &hooks{now: time.Now}
					sent, asked := 0, ""
					b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
						if req.Action == "STATUS_QUERY" {
							asked = req.text("order_id")
							row := `","order_status":"success","total_amount":500}`
							if action == "REFUND" {
								row = `","order_status":"success","total_amount":500,"refund_fee":500}`
							}
							return b.say("SUCCESS", `{"order_id":"`+asked+row)
						}
						sent++
						return nil, io.ErrUnexpectedEOF
					})
					b.plain = func([]byte) (*http.Response, error) { sent++; return nil, io.ErrUnexpectedEOF }
					cfg := b.config()
					keys := cfg.Keys
					h.keys = func(ctx context.Context, id string) ([]envelope.Key, error) { return keys.Keys(ctx, id) }
					cfg.Keys, cfg.Logger, cfg.Now = h, slog.New(h), func() time.Time { return h.now() }
					cfg.Limiter = func(string, api.Kind) middleware.Limiter { return h }
					client := newClient(t, cfg)
					ctx, first, later := t.Context(), "O1", "O1"
					if once { // the second attempt has an id of its own
						ctx, later = middleware.SendOnce(ctx), "O2"
					}
					if err := pay(ctx, client, first, false); !errors.Is(err, ottpay.ErrUnknownOutcome) {
						t.Fatalf("the first: %v", err)
					}
					if tt.set != nil {
						tt.set(h, &cfg)
					}
					attempt := ctx
					if tt.ctx != nil {
						attempt = tt.ctx(ctx)
					}
					err := pay(attempt, client.ForMerchant(merchant, operator), later, tt.bad)
					*h = hooks{keys: h.keys, now: time.Now}
					var failed *ottpay.Error
					if !errors.As(err, &failed) || errors.Is(err, ottpay.ErrNotSent) || failed.NotSent || !errors.Is(err, ottpay.ErrUnknownOutcome) {
						t.Fatalf("the second: %v", err)
					}
					if failed.OrderID != first || string(failed.Action) != action {
						t.Errorf("the error names %s of order %s", failed.Action, failed.OrderID)
					}
					res, err := client.Resolve(t.Context(), err)
					if err != nil || res.Verdict != ottpay.VerdictHappened || asked != first || sent != 1 {
						t.Errorf("got %v, %v, asked for %q, sent %d times", res.Verdict, err, asked, sent)
					}
				})
			}
		}
	}
}

// TestLaterAttemptWithoutKeys: the same, where the query fails as well.
func TestLaterAttemptWithoutKeys(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(context.Context, string) ([]envelope.Key, error){
		"error": func(context.Context, string) ([]envelope.Key, error) { return nil, io.ErrUnexpectedEOF },
		"none":  func(context.Context, string) ([]envelope.Key, error) { return nil, nil },
		"panic": func(context.Context, string) ([]envelope.Key, error) { panic("keys") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBase(t, func(*base, int, opened) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
			cfg := b.config()
			h := &hooks{keys: cfg.Keys.Keys}
			cfg.Keys = h
			client := newClient(t, cfg)
			if err := payments["MAPPPAY"](t.Context(), client, "O1", false); !errors.Is(err, ottpay.ErrUnknownOutcome) {
				t.Fatal(err)
			}
			h.keys = broken
			err := payments["MAPPPAY"](t.Context(), client, "O1", false)
			if errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrUnknownOutcome) {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if res, err := client.Resolve(ctx, err); err == nil || res.Verdict != ottpay.VerdictUnknown {
				t.Errorf("got %v, %v", res, err)
			}
		})
	}
}

// TestNilRequestUnderSendOnce: even a call without a request is a later attempt.
func TestNilRequestUnderSendOnce(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(*base, int, opened) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	client := newClient(t, b.config())
	ctx := middleware.SendOnce(t.Context())
	_ = payments["MAPPPAY"](ctx, client, "O1", false)
	_, errH5 := client.H5Pay(ctx, nil)
	_, errInApp := client.InAppPay(ctx, nil)
	for _, err := range []error{errH5, errInApp} {
		var failed *ottpay.Error
		if !errors.As(err, &failed) || failed.OrderID != "O1" || failed.Action != api.ActionMAPPPAY || !errors.Is(err, ottpay.ErrUnknownOutcome) || errors.Is(err, ottpay.ErrNotSent) {
			t.Errorf("got %v of %q", err, failed.OrderID)
		}
	}
	if _, err := client.H5Pay(t.Context(), nil); !errors.Is(err, ottpay.ErrNotSent) {
		t.Errorf("alone: %v", err)
	}
}

// TestRefusalOfALaterAttempt: that the gateway refuses a second attempt, and says
// so under its key, proves nothing of the first.
func TestRefusalOfALaterAttempt(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"FAIL", "PARAM_INVALID"} {
		b := newBase(t, func(b *base, n int, req opened) (*http.Response, error) {
			switch {
			case n == 1:
				return nil, io.ErrUnexpectedEOF
			case req.Action == "STATUS_QUERY":
				return b.say("SUCCESS", `{"order_id":"O1","order_status":"success","total_amount":500}`)
			}
			return b.say(code, `{"order_id":"O1"}`)
		})
		client := newClient(t, b.config())
		_ = payments["MAPPPAY"](t.Context(), client, "O1", false)
		err := payments["MAPPPAY"](t.Context(), client, "O1", false)
		if !errors.Is(err, ottpay.ErrUnknownOutcome) {
			t.Errorf("%s: got %v", code, err)
		}
		if res, err := client.Resolve(t.Context(), err); err != nil || res.Verdict != ottpay.VerdictHappened || !res.Paid() {
			t.Errorf("%s: got %v, %v", code, res, err)
		}
	}
}

// TestPanickingLogger: a payment that was answered is not lost with its line.
func TestPanickingLogger(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		return b.say("SUCCESS", h5Answer(req.text("order_id")))
	})
	cfg := b.config()
	h := &hooks{log: func() { panic("logger") }}
	cfg.Logger = slog.New(h)
	client := newClient(t, cfg)
	resp, err := client.H5Pay(t.Context(), h5Request())
	if resp != nil || fmt.Sprint(classes(err)) != "[unknown]" {
		t.Errorf("got %v, %v", resp, err)
	}
	var failed *ottpay.Error
	if _, err := client.StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"}); !errors.As(err, &failed) || failed == nil || failed.Reason != middleware.ReasonPanic {
		t.Errorf("a query: %v", err)
	}
	if _, err := client.H5Pay(t.Context(), nil); !errors.Is(err, ottpay.ErrNotSent) {
		t.Errorf("not sent: %v", err)
	}
}
