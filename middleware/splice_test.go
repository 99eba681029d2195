package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/vectors"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// splice seals payload and arranges the cipher blocks anew, without the key:
// blocks are counted from 0, and the one with padding is the last of order.
func splice(tb testing.TB, payload string, order ...int) []byte {
	tb.Helper()
	sealed, err := mustKey(tb, publishedKey).Seal([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	sealed.Data = vectors.Arrange(tb, sealed.Data, order...)
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// TestSplice: a splice reaches no handler without a query, and is never
// refused for good.
func TestSplice(t *testing.T) {
	t.Parallel()
	for _, c := range vectors.Splices() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			body := splice(t, c.Payload, c.Order...)
			var refusal *middleware.Refusal
			var log bytes.Buffer
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { refusal = r }
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			d, err := w.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if d.SpliceSign() != c.Sign || !strings.Contains(string(d.Payload.JSON), c.Says) {
				t.Errorf("sign %q, want %q, of %s", d.SpliceSign(), c.Sign, d.Payload.JSON)
			}
			var s shop
			if rw := post(s.behind(w), body); rw.Code != http.StatusServiceUnavailable || s.runs.Load() != 0 {
				t.Errorf("answer %d, handled %d times", rw.Code, s.runs.Load())
			}
			if refusal == nil || refusal.Reason != "possible-splice" || !refusal.Authentic() || refusal.OrderID != d.OrderID ||
				!strings.HasSuffix(fmt.Sprint(refusal.Err), c.Sign) {
				t.Errorf("refusal %+v", refusal)
			}
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "reason=possible-splice") {
				t.Errorf("no alarm: %s", &log)
			}
		})
	}
}

// TestSpliceAsked: with an Asker the answer decides, and the handler is told.
func TestSpliceAsked(t *testing.T) {
	t.Parallel()
	all := vectors.Splices()
	i := slices.IndexFunc(all, func(s vectors.Splice) bool { return s.Name == "an amount that takes a digit of the remark" })
	body := splice(t, all[i].Payload, all[i].Order...)
	for _, c := range []struct {
		paid   field.Cents
		status int
		runs   int32
	}{{1005, 503, 0}, {10059, 200, 1}} {
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				return middleware.Answer{OrderID: d.OrderID, Status: "success", Amount: &c.paid}, nil
			})
		})
		var s shop
		rw := post(middleware.Handle(w, func(ctx context.Context, n *api.Notification) error {
			if d, ok := middleware.FromContext(ctx); !ok || d.SpliceSign() != "reading" {
				t.Error("the handler is not told")
			}
			return s.handle(ctx, n)
		}), body)
		if rw.Code != c.status || s.runs.Load() != c.runs {
			t.Errorf("paid %d: answer %d, handled %d times", c.paid, rw.Code, s.runs.Load())
		}
	}
}

// TestSpliceAndFee: a fee that the gateway does not name explains no amount in a
// payload that may be a splice.
func TestSpliceAndFee(t *testing.T) {
	t.Parallel()
	all := vectors.Splices()
	i := slices.IndexFunc(all, func(s vectors.Splice) bool { return s.Name == "an amount that takes a digit of the remark" })
	payload := strings.Replace(all[i].Payload, "}", `,"convenience_fee":"9054"}`, 1)
	says := field.Cents(1005)
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.AskWindow = -1
		cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
			return middleware.Answer{OrderID: d.OrderID, Status: "success", Amount: &says}, nil
		})
	})
	var s shop
	spliced := splice(t, payload, vectors.Moved(len(payload)/16, 9, 20)...)
	d, err := w.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(spliced)))
	if err != nil || d.Amount != 10059 || d.SpliceSign() == "" {
		t.Fatalf("the splice says %v, sign %q: %v", d, d.SpliceSign(), err)
	}
	if code := post(s.behind(w), spliced).Code; code != 503 || s.runs.Load() != 0 {
		t.Errorf("1005 and a fee of 9054 for 10059: answer %d, handled %d times", code, s.runs.Load())
	}
	says = 10059 - 9054
	honest := callback(t, strings.Replace(paid, `"1999"`, `"10059","convenience_fee":"9054"`, 1))
	if code := post(s.behind(w), honest).Code; code != 200 || s.runs.Load() != 1 {
		t.Errorf("an honest fee: answer %d, handled %d times", code, s.runs.Load())
	}
}

func TestOrderIDLength(t *testing.T) {
	t.Parallel()
	with := func(min, max int) func(*middleware.Config) {
		return func(cfg *middleware.Config) { cfg.OrderIDLength = [2]int{min, max} }
	}
	for _, c := range []struct {
		min, max int
		order    string
		want     string
	}{
		{0, 0, "T1", ""},
		{36, 36, "0b4fb1a3-91f1-4b4e-8f0d-2a3c9d7e5f60", ""},
		{36, 36, "0b4fb1a3-91f1-4b4e-8", "length"},
		{1, 2, "T1", ""},
		{3, 12, "T1", "length"},
	} {
		w := newWebhook(t, with(c.min, c.max))
		body := callback(t, strings.Replace(paid, `"T1"`, `"`+c.order+`"`, 1))
		d, err := w.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		if err != nil || d.SpliceSign() != c.want {
			t.Errorf("%d to %d, %q: sign %q, %v", c.min, c.max, c.order, d.SpliceSign(), err)
		}
	}
	cfg := middleware.Config{Keys: middleware.StaticKeys{}, Store: nothing{}, Validator: validate.New(), OrderIDLength: [2]int{4, 3}}
	if _, err := middleware.New(cfg); err == nil {
		t.Error("no error")
	}
}
