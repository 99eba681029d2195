package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"github.com/ottpaykit/ottpay/validate"
)

const (
	publishedKey = "6698851A525C9433" // OTT Pay's published example
	merchant     = "TS00000001"
	paid         = `{"amount":"1999","bizpay_order_id":"WX240102030405000001","tip":"0","merchant_id":"TS00000001","order_id":"T1","finish_time":"20240102110405"}`
)

func mustKey(tb testing.TB, signKey string) envelope.Key {
	tb.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newMemory() dedupe.Store { return dedupe.NewMemory(dedupe.MemoryConfig{}) }

// sharedValidator is one for all tests: it compiles its rules once.
var sharedValidator = sync.OnceValue(validate.New)

// newWebhook returns a webhook for one merchant, changed by change.
func newWebhook(tb testing.TB, change func(*middleware.Config)) *middleware.Webhook {
	tb.Helper()
	cfg := middleware.Config{
		Keys:      middleware.StaticKeys{merchant: {mustKey(tb, publishedKey)}},
		Store:     newMemory(),
		Validator: sharedValidator(),
		Logger:    slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	cfg.InsecureTrustCallback = cfg.Asker == nil
	w, err := middleware.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// callback returns the body of a callback that carries payload.
func callback(tb testing.TB, payload string) []byte {
	tb.Helper()
	return callbackWith(tb, publishedKey, envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchant}, payload)
}

func callbackWith(tb testing.TB, signKey string, r envelope.Response, payload string) []byte {
	tb.Helper()
	sealed, err := mustKey(tb, signKey).Seal([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	r.Sealed = sealed
	body, err := json.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func post(h http.Handler, body []byte) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/ottpay", bytes.NewReader(body)))
	return rw
}

// shop is a handler that counts and answers as it is told.
type shop struct {
	runs atomic.Int32
	err  error
}

func (s *shop) handle(context.Context, *api.Notification) error {
	s.runs.Add(1)
	return s.err
}

func (s *shop) behind(w *middleware.Webhook) http.Handler { return middleware.Handle(w, s.handle) }

func TestHandle(t *testing.T) {
	t.Parallel()
	var got *middleware.Delivery
	w := newWebhook(t, nil)
	h := middleware.Handle(w, func(ctx context.Context, n *api.Notification) error {
		d, ok := middleware.FromContext(ctx)
		if !ok {
			t.Error("no delivery in the context")
		}
		if n != d.Notification {
			t.Error("the handler's notification is not the delivery's")
		}
		got = d
		return nil
	})
	rw := post(h, callback(t, paid))
	if rw.Code != 200 || rw.Body.String() != "SUCCESS" || rw.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("answer %d %q %q", rw.Code, rw.Body, rw.Header().Get("Content-Type"))
	}
	if got == nil {
		t.Fatal("the handler did not run")
	}
	if got.Merchant != merchant || got.OrderID != "T1" || got.BizpayOrderID != "WX240102030405000001" ||
		got.Amount != 1999 || got.FinishTime != "20240102110405" || got.Kind != "paid" || !got.Paid() ||
		got.Unverified.Code != api.CodeSuccess || got.Unverified.MerchantID != merchant || string(got.Payload.JSON) != paid {
		t.Errorf("delivery %+v", *got)
	}
	if !got.Matches(1999) || got.Matches(1998) || got.Matches(0) {
		t.Error("Matches compares wrongly")
	}
}

func TestHandlerMiddleware(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	runs := 0
	next := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		runs++
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != paid {
			t.Errorf("body %q, %v", b, err)
		}
		if r.Header.Get("Content-Type") != "application/json" || r.ContentLength != int64(len(paid)) {
			t.Errorf("content type %q, length %d", r.Header.Get("Content-Type"), r.ContentLength)
		}
		if _, ok := middleware.FromContext(r.Context()); !ok {
			t.Error("no delivery in the context")
		}
		if _, ok := rw.(http.Flusher); ok {
			t.Error("the handler can flush its own answer")
		}
		rw.Header().Set("X-Shop", "yes")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.WriteHeader(http.StatusAccepted)
		fmt.Fprint(rw, "the shop's own words")
	})
	for range 2 {
		rw := post(w.Handler(next), callback(t, paid))
		if rw.Code != 200 || rw.Body.String() != "SUCCESS" || rw.Header().Get("X-Shop") != "" {
			t.Errorf("answer %d %q %v", rw.Code, rw.Body, rw.Header())
		}
	}
	if runs != 1 {
		t.Errorf("the handler ran %d times", runs)
	}
}

// TestHandlerFailures: whatever way a handler fails, nothing is acknowledged
// and the next delivery is handled.
func TestHandlerFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fail func(http.ResponseWriter) error
	}{
		{"error", func(http.ResponseWriter) error { return errors.New("no") }},
		{"error after a 200", func(rw http.ResponseWriter) error { rw.WriteHeader(200); return errors.New("no") }},
		{"status 500", func(rw http.ResponseWriter) error { rw.WriteHeader(500); return nil }},
		{"status 404", func(rw http.ResponseWriter) error { rw.WriteHeader(404); return nil }},
		{"redirect", func(rw http.ResponseWriter) error { rw.WriteHeader(302); return nil }},
		{"status 500, then 200", func(rw http.ResponseWriter) error { rw.WriteHeader(500); rw.WriteHeader(200); return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, runs := newWebhook(t, nil), 0
			h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				w.Do(rw, r, func(rw http.ResponseWriter, _ *http.Request) error {
					if runs++; runs == 1 {
						return c.fail(rw)
					}
					return nil
				})
			})
			if rw := post(h, callback(t, paid)); rw.Code != 503 || rw.Body.String() != "Service Unavailable\n" {
				t.Errorf("first answer %d %q", rw.Code, rw.Body)
			}
			for range 2 {
				if rw := post(h, callback(t, paid)); rw.Code != 200 {
					t.Errorf("later answer %d", rw.Code)
				}
			}
			if runs != 2 {
				t.Errorf("the handler ran %d times, want 2", runs)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	w, runs := newWebhook(t, nil), 0
	server := httptest.NewUnstartedServer(middleware.Handle(w, func(context.Context, *api.Notification) error {
		if runs++; runs == 1 {
			panic(http.ErrAbortHandler) // the one that the server does not log
		}
		return nil
	}))
	server.Start()
	t.Cleanup(server.Close)
	for i, want := range []int{503, 200, 200} {
		resp, err := http.Post(server.URL, "application/json", bytes.NewReader(callback(t, paid)))
		if err != nil {
			t.Fatalf("delivery %d: %v", i, err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("delivery %d: %d, want %d", i, resp.StatusCode, want)
		}
	}
	if runs != 2 {
		t.Errorf("the handler ran %d times, want 2", runs)
	}

	// The panic does not go on, after exactly one status.
	other, recovered := newWebhook(t, nil), any(nil)
	rw := &countingWriter{ResponseRecorder: httptest.NewRecorder()}
	func() {
		defer func() { recovered = recover() }()
		middleware.Handle(other, func(context.Context, *api.Notification) error { panic("shop") }).
			ServeHTTP(rw, httptest.NewRequest("POST", "/", bytes.NewReader(callback(t, paid))))
	}()
	if recovered != nil || rw.Code != 503 || rw.statuses != 1 {
		t.Errorf("recovered %v, status %d written %d times", recovered, rw.Code, rw.statuses)
	}
}

type countingWriter struct {
	*httptest.ResponseRecorder
	statuses int
}

func (w *countingWriter) WriteHeader(status int) {
	w.statuses++
	w.ResponseRecorder.WriteHeader(status)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	sealed := callback(t, paid)
	outer := func(r envelope.Response) []byte { return callbackWith(t, publishedKey, r, paid) }
	payload := func(old, new string) []byte { return callback(t, strings.Replace(paid, old, new, 1)) }
	for _, c := range []struct {
		name   string
		method string
		body   []byte
		status int
		reason string
	}{
		{"paid", "POST", sealed, 200, ""},
		{"get", "GET", sealed, 405, "method"},
		{"head", "HEAD", nil, 405, "method"},
		{"empty", "POST", nil, 400, "not-json"},
		{"text", "POST", []byte("SUCCESS"), 400, "not-an-object"},
		{"too large", "POST", bytes.Repeat([]byte(" "), 64<<10+1), 413, "body-too-large"},
		{"as large as may be", "POST", append(bytes.Repeat([]byte(" "), 64<<10-len(sealed)), sealed...), 200, ""},
		{"unknown merchant", "POST", outer(envelope.Response{Code: "SUCCESS", MerchantID: "TS00000002"}), 401, "unknown-merchant"},
		{"wrong key", "POST", callbackWith(t, "0000000000000000", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid), 401, "padding"},
		{"no merchant", "POST", outer(envelope.Response{Code: "SUCCESS"}), 400, "no-merchant"},
		{"code not success", "POST", outer(envelope.Response{Code: "FAIL", MerchantID: merchant}), 503, "code"},
		{"no code", "POST", outer(envelope.Response{MerchantID: merchant}), 503, "code"},
		{"code in small letters", "POST", outer(envelope.Response{Code: "success", MerchantID: merchant}), 200, ""},
		{"another merchant inside", "POST", payload(merchant, "TS00000002"), 503, "merchant"},
		{"merchant a number", "POST", payload(`"TS00000001"`, "1"), 503, "schema"},
		{"merchant null", "POST", payload(`"TS00000001"`, "null"), 200, ""},
		{"no merchant inside", "POST", payload(`"merchant_id":"TS00000001",`, ""), 200, ""},
		{"no finish time", "POST", payload(`,"finish_time":"20240102110405"`, ""), 400, "finish_time"},
		{"finish time a number", "POST", payload(`"20240102110405"`, "20240102110405"), 200, ""},
		{"finish time an object", "POST", payload(`"20240102110405"`, "{}"), 400, "finish_time"},
		{"merchant empty", "POST", payload(`"TS00000001"`, `""`), 200, ""},
		{"amount below zero", "POST", payload(`"1999"`, "-1999"), 503, "amount"},
		{"channel named otherwise", "POST", payload("bizpay_order_id", "pay_no"), 200, ""},
		{"no channel, but a sale", "POST", payload(`"bizpay_order_id":"WX240102030405000001"`, `"sale_num":"7"`), 503, "bizpay_order_id"},
		{"no channel, but a checkout", "POST", payload(`"bizpay_order_id":"WX240102030405000001"`, `"prepay_order_id":"P1"`), 503, "bizpay_order_id"},
		{"no order, but a checkout", "POST", payload(`"order_id":"T1"`, `"prepay_order_id":"P1"`), 503, "order_id"},
		{"finish time empty", "POST", payload(`"20240102110405"`, `""`), 400, "finish_time"},
		{"no order", "POST", payload(`"order_id":"T1",`, ""), 503, "order_id"},
		{"order null", "POST", payload(`"T1"`, "null"), 503, "order_id"},
		{"no acquirer order", "POST", payload(`"bizpay_order_id":"WX240102030405000001",`, ""), 503, "bizpay_order_id"},
		{"no amount", "POST", payload(`"amount":"1999",`, ""), 503, "amount"},
		{"amount in dollars", "POST", payload(`"1999"`, `"19.99"`), 503, "amount"},
		{"amount a number", "POST", payload(`"1999"`, `1999`), 200, ""},
		{"amount a whole decimal", "POST", payload(`"1999"`, `1999.0`), 200, ""},
		{"amount a fraction", "POST", payload(`"1999"`, `1999.5`), 503, "amount"},
		{"tip unreadable", "POST", payload(`"tip":"0"`, `"tip":"none"`), 200, ""},
		{"status no text", "POST", payload(`"tip":"0"`, `"order_status":{}`), 503, "schema"},
		{"names that differ in case", "POST", payload(`"tip":"0"`, `"AMOUNT":"1"`), 503, "schema"},
		{"unknown member", "POST", payload(`"tip":"0"`, `"new_member":{"a":1}`), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var refused []*middleware.Refusal
			var s shop
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { refused = append(refused, r) }
			})
			rw := httptest.NewRecorder()
			s.behind(w).ServeHTTP(rw, httptest.NewRequest(c.method, "/", bytes.NewReader(c.body)))
			if rw.Code != c.status {
				t.Errorf("status %d, want %d", rw.Code, c.status)
			}
			if allow := rw.Header().Get("Allow"); (allow == "POST") != (c.status == 405) || allow != "" && c.status != 405 {
				t.Errorf("Allow is %q", allow)
			}
			if runs := s.runs.Load(); (runs == 1) != (c.status == 200) {
				t.Errorf("the handler ran %d times", runs)
			}
			if c.status == 200 {
				if len(refused) != 0 {
					t.Errorf("refused: %v", refused)
				}
				return
			}
			if len(refused) != 1 || string(refused[0].Reason) != c.reason || refused[0].Status != c.status {
				t.Fatalf("refused %+v, want reason %s", refused, c.reason)
			}
			if want := http.StatusText(c.status) + "\n"; rw.Body.String() != want {
				t.Errorf("body %q, want %q", rw.Body, want)
			}
			if authentic := c.status == 503 || c.status == 400 && strings.Contains(c.reason, "_") || c.reason == "merchant" || c.reason == "amount"; refused[0].Authentic() != authentic {
				t.Errorf("authentic %v, want %v", refused[0].Authentic(), authentic)
			}
		})
	}
}

// TestUniformAnswer: status, headers and bytes are the same for every failed
// authentication.
func TestUniformAnswer(t *testing.T) {
	t.Parallel()
	h := new(shop).behind(newWebhook(t, nil))
	var sealed envelope.Response
	if err := json.Unmarshal(callback(t, paid), &sealed); err != nil {
		t.Fatal(err)
	}
	change := func(fn func(*envelope.Response)) []byte {
		r := sealed
		fn(&r)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var first *httptest.ResponseRecorder
	for name, body := range map[string][]byte{
		"unknown merchant": change(func(r *envelope.Response) { r.MerchantID = "XX00000000" }),
		"wrong key":        callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid),
		"wrong md5":        change(func(r *envelope.Response) { r.MD5 = strings.Repeat("0", 32) }),
		"case of md5":      change(func(r *envelope.Response) { r.MD5 = strings.ToLower(r.MD5) }),
		"flipped":          change(func(r *envelope.Response) { r.Data = "AAAA" + r.Data[4:] }),
		"spliced":          change(func(r *envelope.Response) { r.Data = r.Data[64:] + r.Data[:64] }),
	} {
		rw := post(h, body)
		if rw.Code != 401 {
			t.Errorf("%s: %d", name, rw.Code)
		}
		if first == nil {
			first = rw
		}
		if rw.Code != first.Code || rw.Body.String() != first.Body.String() || fmt.Sprint(rw.Header()) != fmt.Sprint(first.Header()) {
			t.Errorf("%s is told apart: %d %q %v", name, rw.Code, rw.Body, rw.Header())
		}
	}
}

// TestConcurrent: fifty at once are handled once, and while one is at work the
// others are told to come back.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	var runs atomic.Int32
	inside, release := make(chan struct{}), make(chan struct{})
	h := middleware.Handle(w, func(context.Context, *api.Notification) error {
		runs.Add(1)
		close(inside)
		<-release
		return nil
	})
	first := make(chan int, 1)
	go func() { first <- post(h, callback(t, paid)).Code }()
	<-inside
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if code := post(h, callback(t, paid)).Code; code != 503 {
				t.Errorf("while the first is at work: %d", code)
			}
		})
	}
	wg.Wait()
	close(release)
	if code := <-first; code != 200 {
		t.Errorf("the first: %d", code)
	}
	if code := post(h, callback(t, paid)).Code; code != 200 {
		t.Errorf("afterwards: %d", code)
	}
	if runs.Load() != 1 {
		t.Errorf("the handler ran %d times", runs.Load())
	}
}

// TestIdentity: what is one notification and what is another.
func TestIdentity(t *testing.T) {
	t.Parallel()
	re := func(old, new string) string { return strings.Replace(paid, old, new, 1) }
	status := func(s string) string { return re(`"tip"`, `"order_status":"`+s+`","tip"`) }
	for _, c := range []struct {
		name      string
		second    string
		runs      int32
		conflicts int32
	}{
		{"the same", paid, 1, 0},
		{"re-spelled", " " + strings.ReplaceAll(paid, ",", ", "), 1, 0},
		{"a member more", re(`"tip"`, `"remarks":"x","tip"`), 1, 0},
		{"another finish time", re("20240102110405", "20240102110406"), 1, 0},
		{"amount as a number", re(`"1999"`, `1999`), 1, 0},
		{"status success", status("SUCCESS"), 1, 0},
		{"captured", status("captured"), 1, 0},
		{"trade finished", status(" Trade_Finished"), 1, 0},
		{"blank status", status(" "), 1, 0},
		{"another amount", re(`"1999"`, `"2999"`), 1, 1},
		{"another acquirer order", re("WX24", "WX25"), 1, 1},
		{"boundary moved", re(`"1999","bizpay_order_id":"WX`, `"199","bizpay_order_id":"9WX`), 1, 1},
		{"another order", re(`"T1"`, `"T2"`), 2, 0},
		{"another order by case", re(`"T1"`, `"t1"`), 2, 0},
		{"authorised", status("authorised"), 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s shop
			var conflicts atomic.Int32
			h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
				cfg.OnConflict = func(context.Context, *middleware.Delivery) { conflicts.Add(1) }
			}))
			for _, p := range []string{paid, c.second} {
				if code := post(h, callback(t, p)).Code; code != 200 {
					t.Fatalf("answer %d", code)
				}
			}
			if s.runs.Load() != c.runs || conflicts.Load() != c.conflicts {
				t.Errorf("ran %d times with %d conflicts, want %d with %d", s.runs.Load(), conflicts.Load(), c.runs, c.conflicts)
			}
		})
	}
}

func TestAuthorisedThenCaptured(t *testing.T) {
	t.Parallel()
	var kinds []string
	var matched []bool
	h := middleware.Handle(newWebhook(t, nil), func(ctx context.Context, n *api.CardNotification) error {
		d, _ := middleware.FromContext(ctx)
		kinds, matched = append(kinds, d.Kind), append(matched, d.Matches(1999))
		return nil
	})
	for _, status := range []string{"authorised", "Authorized", "captured"} {
		body := callback(t, strings.Replace(paid, `"tip"`, `"order_status":"`+status+`","tip"`, 1))
		if code := post(h, body).Code; code != 200 {
			t.Errorf("%s: %d", status, code)
		}
	}
	if fmt.Sprint(kinds, matched) != "[authorised paid] [false true]" {
		t.Errorf("kinds %v matched %v", kinds, matched)
	}
	// A notification without a status does not fit the schema that wants one.
	if code := post(h, callback(t, strings.Replace(paid, "T1", "T2", 1))).Code; code != 503 {
		t.Errorf("without a status: %d", code)
	}
}

func TestMatchesFee(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	body := callback(t, strings.Replace(paid, `"tip"`, `"convenience_fee":"99","tip"`, 1))
	d, err := w.Check(httptest.NewRequest("POST", "/", bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	for amount, want := range map[field.Cents]bool{1999: true, 1900: true, 2098: false, 1901: false, 99: false, -1: false} {
		if d.Matches(amount) != want {
			t.Errorf("Matches(%d) = %v", amount, !want)
		}
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	var s shop
	var known atomic.Bool
	var reasons []string
	h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Expect = func(_ context.Context, orderID string) (field.Cents, error) {
			if orderID != "T1" {
				t.Errorf("asked for %q", orderID)
			}
			if !known.Load() {
				return 0, errors.New("no such order yet")
			}
			return 1999, nil
		}
		cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { reasons = append(reasons, string(r.Reason)) }
	}))
	if code := post(h, callback(t, paid)).Code; code != 503 {
		t.Errorf("unknown order: %d", code)
	}
	known.Store(true)
	if code := post(h, callback(t, strings.Replace(paid, "1999", "1", 1))).Code; code != 503 {
		t.Errorf("a cent: %d", code)
	}
	if code := post(h, callback(t, paid)).Code; code != 200 {
		t.Errorf("the amount: %d", code)
	}
	if s.runs.Load() != 1 || fmt.Sprint(reasons) != "[not-expected amount-mismatch]" {
		t.Errorf("ran %d times, refused %v", s.runs.Load(), reasons)
	}
}

// TestExpectNothing: what an unknown order's zero value says is no amount, not
// even beside a fee that makes up all of it.
func TestExpectNothing(t *testing.T) {
	t.Parallel()
	var s shop
	h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Expect = func(_ context.Context, orderID string) (field.Cents, error) {
			return map[string]field.Cents{}[orderID], nil
		}
	}))
	body := callback(t, strings.Replace(paid, `"tip"`, `"convenience_fee":"1999","tip"`, 1))
	if code := post(h, body).Code; code != 503 || s.runs.Load() != 0 {
		t.Errorf("answer %d, handled %d times", code, s.runs.Load())
	}
}

// TestExpectIsOfAPayment: with an automatic check of the amount, what is no
// payment reaches only a handler whose type requires the status.
func TestExpectIsOfAPayment(t *testing.T) {
	t.Parallel()
	var reasons []string
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Expect = func(context.Context, string) (field.Cents, error) { return 1999, nil }
		cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { reasons = append(reasons, string(r.Reason)) }
	})
	var s shop
	var cards []string
	card := middleware.Handle(w, func(_ context.Context, n *api.CardNotification) error {
		cards = append(cards, string(n.OrderStatus))
		return nil
	})
	for _, status := range []string{"authorised", "failure", "fully_refunded", "notpay"} {
		body := callback(t, strings.Replace(paid, `"tip"`, `"order_status":"`+status+`","tip"`, 1))
		if code := post(s.behind(w), body).Code; code != 503 {
			t.Errorf("%s: %d", status, code)
		}
		if code := post(card, body).Code; code != 200 {
			t.Errorf("%s, card: %d", status, code)
		}
	}
	if s.runs.Load() != 0 || fmt.Sprint(reasons) != "[kind kind kind kind]" || len(cards) != 4 {
		t.Errorf("ran %d times, refused %v, cards %v", s.runs.Load(), reasons, cards)
	}
}

type askerFunc func(context.Context, *middleware.Delivery) (middleware.Answer, error)

func (f askerFunc) Ask(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	return f(ctx, d)
}

func TestAsker(t *testing.T) {
	t.Parallel()
	cents := func(c field.Cents) *field.Cents { return &c }
	for _, c := range []struct {
		name, code, status string
		answer             middleware.Answer
		err                error
		reason             string
	}{
		{"paid", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(1999)}, nil, ""},
		{"the query decides over the code", "FAIL", "", middleware.Answer{OrderID: "T1", Status: "Success", Amount: cents(1999)}, nil, ""},
		{"not paid", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "notpay", Amount: cents(1999)}, nil, "not-paid-yet"},
		{"paid and part of it returned", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "Partial_Refunded", Amount: cents(1999)}, nil, "refunded"},
		{"held", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "authorised", Amount: cents(1999)}, nil, "not-paid-yet"},
		{"unclear", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "authfinish", Amount: cents(1999)}, nil, "not-paid-yet"},
		{"no status", "SUCCESS", "", middleware.Answer{OrderID: "T1", Amount: cents(1999)}, nil, "not-paid-yet"},
		{"refund", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(1999), Refund: true}, nil, "answer-of-a-refund"},
		{"no order", "SUCCESS", "", middleware.Answer{Status: "success", Amount: cents(1999)}, nil, "answer-without-order"},
		{"another order", "SUCCESS", "", middleware.Answer{OrderID: "T2", Status: "success", Amount: cents(1999)}, nil, "answer-of-another-order"},
		{"another amount", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "success", Amount: cents(1)}, nil, "amount-mismatch"},
		{"no amount", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: "success"}, nil, "amount-unconfirmed"},
		{"outage", "SUCCESS", "", middleware.Answer{}, errors.New("timeout"), "ask-failed"},
		{"held and said so", "SUCCESS", "authorised", middleware.Answer{OrderID: "T1", Status: "authorized", Amount: cents(1999)}, nil, ""},
		{"trade finished", "SUCCESS", "trade_finished", middleware.Answer{OrderID: "T1", Status: "SUCCESS", Amount: cents(1999)}, nil, ""},
		{"blank answer", "SUCCESS", "", middleware.Answer{OrderID: "T1", Status: " ", Amount: cents(1999)}, nil, "not-paid-yet"},
		{"held, captured since", "SUCCESS", "authorised", middleware.Answer{OrderID: "T1", Status: "captured", Amount: cents(1999)}, nil, ""},
		{"said to be held, is not", "SUCCESS", "authorised", middleware.Answer{OrderID: "T1", Status: "init", Amount: cents(1999)}, nil, "not-confirmed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s shop
			asked := 0
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
					asked++
					return c.answer, c.err
				})
				cfg.AskWindow = -1
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) {
					if string(r.Reason) != c.reason {
						t.Errorf("reason %s, want %s", r.Reason, c.reason)
					}
				}
			})
			p := paid
			if c.status != "" {
				p = strings.Replace(paid, `"tip"`, `"order_status":"`+c.status+`","tip"`, 1)
			}
			want := 200
			if c.reason != "" {
				want = 503
			}
			body := callbackWith(t, publishedKey, envelope.Response{Code: c.code, MerchantID: merchant}, p)
			if code := post(s.behind(w), body).Code; code != want {
				t.Errorf("answer %d, want %d", code, want)
			}
			if ran := s.runs.Load() == 1; ran != (want == 200) {
				t.Errorf("the handler ran: %v", ran)
			}
			// What is done is not asked again; what was left is.
			post(s.behind(w), body)
			if wantAsked := 1 + (want-200)/303; asked != wantAsked {
				t.Errorf("asked %d times, want %d", asked, wantAsked)
			}
		})
	}
}

// TestMerchantText: what a stranger writes for a merchant's id does not reach
// the shop's database, whose complaints would look like an outage.
func TestMerchantText(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"TS\x0000000001", "TS00000001 ", "T\nS", "商户", strings.Repeat("T", 65), strings.Repeat("T", 60_000)} {
		var reason string
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Keys = keysFunc(func(context.Context, string) ([]envelope.Key, error) { return nil, errors.New("invalid byte sequence") })
			cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) {
				if reason = string(r.Reason); r.UnverifiedMerchant != "" {
					t.Errorf("%.20q is told", id)
				}
			}
		})
		body := callbackWith(t, publishedKey, envelope.Response{Code: "SUCCESS", MerchantID: id}, paid)
		if code := post(new(shop).behind(w), body).Code; code != 401 || reason != "unknown-merchant" {
			t.Errorf("%.20q: answer %d, %s", id, code, reason)
		}
	}
}

// TestAskerAndFee: the amount that the gateway confirms is the one that the shop
// expects. A fee explains one difference, and not two: a notification of 1999,
// 1899 of it a fee, says neither that 1999 was paid for the goods nor that a
// query that knows of 100 has confirmed it.
func TestAskerAndFee(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                       string
		notified, fee, told, order field.Cents
		want                       bool
	}{
		{"no fee", 1999, 0, 1999, 1999, true},
		{"on top of the order", 2050, 51, 2050, 1999, true},
		{"unknown to the query", 2050, 51, 1999, 1999, true},
		{"part of the order", 1999, 51, 1999, 1999, true},
		{"explains both", 1999, 1899, 100, 1999, false},
		{"explains neither", 2050, 50, 2050, 1999, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asker := &counter{answer: answer("success", c.told)}
			body := callback(t, strings.NewReplacer(`"1999"`, `"`+c.notified.String()+`"`, `"tip":"0"`, `"convenience_fee":"`+c.fee.String()+`"`).Replace(paid))
			expect := func(context.Context, string) (field.Cents, error) { return c.order, nil }
			var s shop
			w := newWebhook(t, func(cfg *middleware.Config) { cfg.Asker, cfg.Expect = asker, expect })
			if code := post(s.behind(w), body).Code; (code == 200) != c.want || (s.runs.Load() == 1) != c.want {
				t.Errorf("with Expect: answer %d, handled %d times", code, s.runs.Load())
			}
			matched := false
			w = newWebhook(t, func(cfg *middleware.Config) { cfg.Asker = asker })
			post(middleware.Handle(w, func(ctx context.Context, _ *api.Notification) error {
				d, _ := middleware.FromContext(ctx)
				matched = d.Matches(c.order)
				return nil
			}), body)
			if matched != c.want {
				t.Errorf("Matches: %v", matched)
			}
		})
	}
}

// TestTimeout: the handler's context ends on its own time, not with the
// gateway's patience; a handler that gives up is not acknowledged.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t, nil)
		h := middleware.Handle(w, func(ctx context.Context, _ *api.Notification) error {
			<-ctx.Done()
			return ctx.Err()
		})
		start := time.Now()
		if code := post(h, callback(t, paid)).Code; code != 503 {
			t.Errorf("answer %d", code)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

// TestGatewayGone: a gateway that hangs up does not undo a handler's work.
func TestGatewayGone(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	h := middleware.Handle(w, func(ctx context.Context, _ *api.Notification) error {
		runs++
		cancel()
		return ctx.Err()
	})
	req := httptest.NewRequest("POST", "/", bytes.NewReader(callback(t, paid))).WithContext(ctx)
	h.ServeHTTP(httptest.NewRecorder(), req)
	if code := post(h, callback(t, paid)).Code; code != 200 || runs != 1 {
		t.Errorf("redelivery: %d, the handler ran %d times", code, runs)
	}
}

// storeFunc is a store whose outages the test decides.
type storeFunc func() (dedupe.Claim, error)

func (f storeFunc) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) { return f() }

type fakeClaim struct {
	confirm           error
	confirms, release int
}

func (c *fakeClaim) Confirm(ctx context.Context) error {
	c.confirms++
	return errors.Join(c.confirm, ctx.Err())
}

func (c *fakeClaim) Release(ctx context.Context) error {
	c.release++
	return ctx.Err()
}

func TestStoreFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		claim          *fakeClaim
		err            error
		reason         string
		runs, releases int
	}{
		{"outage", nil, errors.New("down"), "store", 0, 0},
		{"confirm fails", &fakeClaim{confirm: errors.New("down")}, nil, "confirm-unknown", 1, 0},
		{"claim lost", &fakeClaim{confirm: dedupe.ErrLost}, nil, "claim-lost", 1, 0},
		{"in flight", nil, dedupe.ErrInFlight, "in-flight", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s shop
			var reasons []string
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.Store = storeFunc(func() (dedupe.Claim, error) { return c.claim, c.err })
				cfg.ConfirmTimeout = 50 * time.Millisecond
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { reasons = append(reasons, string(r.Reason)) }
			})
			if code := post(s.behind(w), callback(t, paid)).Code; code != 503 {
				t.Errorf("answer %d", code)
			}
			if fmt.Sprint(reasons) != "["+c.reason+"]" || int(s.runs.Load()) != c.runs {
				t.Errorf("refused %v, ran %d times", reasons, s.runs.Load())
			}
			if c.claim != nil && c.claim.release != c.releases {
				t.Errorf("released %d times", c.claim.release)
			}
		})
	}
}

type keysFunc func(context.Context, string) ([]envelope.Key, error)

func (f keysFunc) Keys(ctx context.Context, m string) ([]envelope.Key, error) { return f(ctx, m) }

func TestKeys(t *testing.T) {
	t.Parallel()
	oldKey, newKey := mustKey(t, "old"), mustKey(t, "new")
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Merchant = "A"
		cfg.Keys = keysFunc(func(_ context.Context, m string) ([]envelope.Key, error) {
			switch m {
			case "A":
				return []envelope.Key{newKey, oldKey}, nil
			case "B":
				return []envelope.Key{mustKey(t, "other")}, nil
			case "down":
				return nil, errors.New("vault sealed")
			}
			return nil, nil
		})
	})
	noMerchant := strings.Replace(paid, `"merchant_id":"TS00000001",`, "", 1)
	for _, c := range []struct {
		name, key, merchant string
		status              int
	}{
		{"the new key", "new", "A", 200},
		{"the old key", "old", "A", 200},
		{"the default merchant", "old", "", 200},
		{"another merchant's key", "old", "B", 401},
		{"its own key", "other", "B", 200},
		{"unknown", "old", "C", 401},
		{"the key store is down", "old", "down", 503},
	} {
		body := callbackWith(t, c.key, envelope.Response{Code: "SUCCESS", MerchantID: c.merchant}, noMerchant)
		if code := post(new(shop).behind(w), body).Code; code != c.status {
			t.Errorf("%s: %d, want %d", c.name, code, c.status)
		}
	}
	d, err := w.Check(httptest.NewRequest("POST", "/", bytes.NewReader(callbackWith(t, "old", envelope.Response{Code: "SUCCESS"}, noMerchant))))
	if err != nil || d.Merchant != "A" || d.Unverified.MerchantID != "" || d.KeyIndex != 1 {
		t.Errorf("delivery %v, %v", d, err)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	var s shop
	t.Run("consumed", func(t *testing.T) {
		t.Parallel()
		var refusal *middleware.Refusal
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, err := w.Check(r)
			errors.As(err, &refusal)
		}))
		t.Cleanup(server.Close)
		resp, err := http.Post(server.URL, "", bytes.NewReader(callback(t, paid)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if refusal == nil || refusal.Reason != "body-consumed" || refusal.Status != 503 || refusal.Err == nil {
			t.Errorf("refusal %+v", refusal)
		}
	})
	t.Run("nil", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest("POST", "/", nil)
		r.Body = nil
		if _, err := w.Check(r); err == nil {
			t.Error("no error")
		}
	})
	t.Run("claims to be large", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest("POST", "/", &neverRead{t})
		r.ContentLength = 64<<10 + 1
		rw := httptest.NewRecorder()
		s.behind(w).ServeHTTP(rw, r)
		if rw.Code != 413 {
			t.Errorf("answer %d", rw.Code)
		}
	})
	t.Run("breaks off", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("{"), errReader{io.ErrUnexpectedEOF}))
		rw := httptest.NewRecorder()
		s.behind(w).ServeHTTP(rw, r)
		if rw.Code != 400 {
			t.Errorf("answer %d", rw.Code)
		}
	})
	t.Run("never ends", func(t *testing.T) {
		t.Parallel()
		ended := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
			defer cancel()
			s.behind(w).ServeHTTP(rw, r.WithContext(ctx))
			close(ended)
		}))
		t.Cleanup(server.Close)
		pr, pw := io.Pipe()
		defer pw.Close()
		go func() { _, _ = pw.Write([]byte("{")) }()
		resp, err := http.Post(server.URL, "", pr)
		<-ended
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 408 {
			t.Errorf("answer %d", resp.StatusCode)
		}
	})
	if s.runs.Load() != 0 {
		t.Error("the handler ran")
	}
}

type neverRead struct{ t *testing.T }

func (n *neverRead) Read([]byte) (int, error) {
	n.t.Error("the body was read")
	return 0, io.EOF
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

type admitFake struct {
	allow     bool
	penalised int
}

func (a *admitFake) Allow(*http.Request) bool { return a.allow }
func (a *admitFake) Penalise(*http.Request)   { a.penalised++ }

func TestAdmit(t *testing.T) {
	t.Parallel()
	admit := &admitFake{allow: true}
	var s shop
	h := s.behind(newWebhook(t, func(cfg *middleware.Config) { cfg.SourceLimiter = admit }))
	request := strings.Replace(paid, `,"finish_time":"20240102110405"`, "", 1)
	for _, c := range []struct {
		name      string
		body      []byte
		status    int
		penalised int
	}{
		{"honest", callback(t, paid), 200, 0},
		{"redelivered", callback(t, paid), 200, 0},
		{"malformed", []byte("x"), 400, 0},
		{"another message", callback(t, request), 400, 0},
		{"forged", callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid), 401, 1},
		{"unknown merchant", callbackWith(t, publishedKey, envelope.Response{MerchantID: "unknown"}, paid), 401, 1},
	} {
		admit.penalised = 0
		if code := post(h, c.body).Code; code != c.status || admit.penalised != c.penalised {
			t.Errorf("%s: %d, penalised %d times", c.name, code, admit.penalised)
		}
	}
	admit.allow = false
	if rw := post(h, callback(t, strings.Replace(paid, "T1", "T2", 1))); rw.Code != 429 {
		t.Errorf("held back: %d", rw.Code)
	}
}

type journalFunc func(merchantID string, body []byte, id dedupe.ID) error

func (f journalFunc) Append(_ context.Context, merchantID string, body []byte, id dedupe.ID) error {
	return f(merchantID, body, id)
}

func TestJournal(t *testing.T) {
	t.Parallel()
	var kept [][]byte
	var down error
	var s shop
	h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Journal = journalFunc(func(m string, body []byte, id dedupe.ID) error {
			if m != merchant || id.Key == [32]byte{} {
				t.Errorf("merchant %q, id %v", m, id)
			}
			if s.runs.Load() != int32(len(kept)) {
				t.Error("the handler ran before the journal was written")
			}
			if down == nil {
				kept = append(kept, body)
			}
			return down
		})
	}))
	body := callback(t, paid)
	down = errors.New("disk full")
	if code := post(h, body).Code; code != 503 || s.runs.Load() != 0 {
		t.Errorf("journal down: %d, ran %d times", code, s.runs.Load())
	}
	down = nil
	for range 2 {
		if code := post(h, body).Code; code != 200 {
			t.Errorf("answer %d", code)
		}
	}
	if len(kept) != 1 || !bytes.Equal(kept[0], body) {
		t.Errorf("kept %d, want the body as it came", len(kept))
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	inside, release := make(chan struct{}), make(chan struct{})
	h := middleware.Handle(w, func(context.Context, *api.Notification) error {
		close(inside)
		<-release
		return nil
	})
	first := make(chan int, 1)
	go func() { first <- post(h, callback(t, paid)).Code }()
	<-inside
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown with one at work: %v", err)
	}
	if code := post(h, callback(t, paid)).Code; code != 503 {
		t.Errorf("a newcomer: %d", code)
	}
	close(release)
	if err := w.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if code := <-first; code != 200 {
		t.Errorf("the one at work: %d", code)
	}
}

func TestAcknowledgement(t *testing.T) {
	t.Parallel()
	h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Acknowledgement = middleware.Acknowledgement{Body: `{"rsp_code":"SUCCESS"}`, ContentType: "application/json"}
	}))
	for range 2 {
		if rw := post(h, callback(t, paid)); rw.Body.String() != `{"rsp_code":"SUCCESS"}` || rw.Header().Get("Content-Type") != "application/json" {
			t.Errorf("answer %q %v", rw.Body, rw.Header())
		}
	}
}

// TestOwnStruct: a shop's own type is filled and validated, too.
func TestOwnStruct(t *testing.T) {
	t.Parallel()
	type own struct {
		OrderID string `json:"order_id"`
		SaleNum string `json:"sale_num" validate:"required"`
	}
	var got *own
	h := middleware.Handle(newWebhook(t, nil), func(_ context.Context, o *own) error { got = o; return nil })
	if code := post(h, callback(t, paid)).Code; code != 503 || got != nil {
		t.Errorf("without its required member: %d", code)
	}
	if code := post(h, callback(t, strings.Replace(paid, `"tip"`, `"sale_num":"7","tip"`, 1))).Code; code != 200 || got == nil || got.SaleNum != "7" {
		t.Errorf("answer %d, got %+v", code, got)
	}
}

// TestLog: every line names check, order and result; none holds a value.
func TestLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	secret := strings.NewReplacer(`"tip":"0"`, `"remarks":"CANARY-remark","sub_openId":"CANARY-wallet","tip":"0"`, "WX24", "CANARY-acquirer").Replace(paid)
	fail := true
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	h := middleware.Handle(w, func(ctx context.Context, _ *api.Notification) error {
		d, _ := middleware.FromContext(ctx)
		slog.New(slog.NewTextHandler(&log, nil)).Info("shop", "d", d, "payload", d.Payload)
		fmt.Fprintf(&log, "%v %+v %#v\n", d, d, d)
		if fail {
			fail = false
			return errors.New("database down")
		}
		return nil
	})
	body := callback(t, secret)
	post(h, body)
	post(h, body)
	post(h, body)
	post(h, callback(t, strings.Replace(secret, `"tip":"0"`, `"order_status":["CANARY-tip"]`, 1)))
	post(h, callbackWith(t, "wrong", envelope.Response{Code: "CANARY-code", Message: "CANARY-msg", MerchantID: "STRANGER"}, secret))
	var sealed struct{ Data, MD5 string }
	if err := json.Unmarshal(body, &sealed); err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{"CANARY", publishedKey, sealed.MD5, sealed.Data[:20], "1999"} {
		if i := strings.Index(log.String(), canary); i >= 0 {
			t.Errorf("%s in the log: %s", canary, log.String()[max(0, i-200):i+20])
		}
	}
	for _, want := range []string{"result=failed reason=handler status=503", "order_id=T1", `error="database down"`, "result=handled", "result=duplicate", "reason=schema", "result=refused reason=unknown-merchant status=401 unverified_merchant=STRANGER source=192.0.2.1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

// TestForgedLogIsSampled: a flood of forgeries is a few lines.
func TestForgedLogIsSampled(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Unix(0, 0)
	h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Now = func() time.Time { return now }
	}))
	forged := callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid)
	for range 1000 {
		post(h, forged)
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines for 1000 forgeries", n)
	}
	now = now.Add(time.Minute)
	post(h, forged)
	if !strings.Contains(log.String(), "suppressed=997") {
		t.Error("nothing says how many were left out")
	}
	log.Reset()
	for i := range 20 {
		post(h, callback(t, strings.Replace(paid, "T1", fmt.Sprint("T", i), 1)))
	}
	if n := strings.Count(log.String(), "\n"); n != 20 {
		t.Errorf("%d lines for 20 payments", n)
	}
}

// TestEmbedded: a struct of the shop's own may embed a generated type, by value
// or by pointer, and gets its own members, too.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	type byValue struct {
		api.Notification
		Attach string `json:"attach" validate:"max=20"`
	}
	type byPointer struct {
		*api.Notification
		Attach string `json:"attach"`
	}
	type card struct {
		api.CardNotification
		Attach string `json:"attach"`
	}
	type twice struct{ byValue }
	body := callback(t, strings.Replace(paid, `"tip"`, `"attach":"table 7","order_status":"captured","tip"`, 1))
	got := make(map[string]string)
	for _, h := range []http.Handler{
		middleware.Handle(newWebhook(t, nil), func(_ context.Context, v *byValue) error { got["value"] = v.OrderID + v.Attach; return nil }),
		middleware.Handle(newWebhook(t, nil), func(_ context.Context, v *byPointer) error { got["pointer"] = v.OrderID + v.Attach; return nil }),
		middleware.Handle(newWebhook(t, nil), func(_ context.Context, v *card) error { got["card"] = v.OrderID + v.Attach; return nil }),
		middleware.Handle(newWebhook(t, nil), func(_ context.Context, v *twice) error { got["twice"] = v.OrderID + v.Attach; return nil }),
	} {
		if code := post(h, body).Code; code != 200 {
			t.Errorf("answer %d", code)
		}
	}
	for _, name := range []string{"value", "pointer", "card", "twice"} {
		if got[name] != "T1table 7" {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	if code := post(middleware.Handle(newWebhook(t, nil), func(context.Context, *byValue) error { return nil }),
		callback(t, strings.Replace(paid, `"tip"`, `"attach":"`+strings.Repeat("x", 21)+`","tip"`, 1))).Code; code != 503 {
		t.Errorf("the shop's own rule is broken: %d", code)
	}
}

// TestAnswersAreKept: what a middleware adds to an answer's headers is not in
// the next answer.
func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	h := new(shop).behind(newWebhook(t, nil))
	for range 2 {
		for _, body := range [][]byte{callback(t, paid), []byte("no")} {
			rw := post(h, body)
			for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options"} {
				rw.Header().Add(name, "more")
				if values := rw.Header()[name]; len(values) != 2 {
					t.Errorf("%s: %q", name, values)
				}
			}
		}
	}
}
