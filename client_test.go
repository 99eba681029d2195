package ottpay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

func h5Request() *api.H5PayRequest {
	return &api.H5PayRequest{Amount: 500, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay"}
}

func h5Answer(orderID string) string {
	return `{"order_id":"` + orderID + `","merchant_id":"` + merchant + `","amount":506,"payinfo":"https://pay.example/x","time_zone_id":null}`
}

func TestCallFillsAndDecodes(t *testing.T) {
	t.Parallel()
	var f *far
	f = newFar(t, func(rw http.ResponseWriter, req opened) { f.say(rw, "success", h5Answer(req.text("order_id"))) })
	client := newClient(t, f.config())

	req := h5Request()
	resp, err := client.H5Pay(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Amount != 506 || resp.PayInfo != "https://pay.example/x" || resp.Pending() {
		t.Errorf("got %v", resp)
	}
	if !regexp.MustCompile(`^[0-9A-Z]{20}$`).MatchString(resp.OrderID) {
		t.Errorf("order id %q", resp.OrderID)
	}
	if req.OrderID != "" || req.MerchantID != "" || req.OperatorID != "" || req.BizType != "" {
		t.Error("the caller's request was changed")
	}
	got := f.seen()[0]
	if got.Action != "H5PAY" || got.Version != "2.0" || got.MerchantID != merchant || got.OperatorID != "" {
		t.Errorf("envelope %q %q %q %q", got.Action, got.Version, got.MerchantID, got.OperatorID)
	}
	for name, want := range map[string]string{
		"merchant_id": merchant, "operator_id": operator, "amount": "500", "currency_type": "CAD",
		"biz_type": "WECHATPAY", "submit_type": "form", "call_back_url": "https://shop.example/ottpay",
	} {
		if got.text(name) != want {
			t.Errorf("%s is %q, want %q", name, got.text(name), want)
		}
	}
	if len(got.data) != 8 {
		t.Errorf("%d members were sent", len(got.data))
	}
}

func TestCallKeepsTheCallersOrderID(t *testing.T) {
	t.Parallel()
	var f *far
	f = newFar(t, func(rw http.ResponseWriter, req opened) { f.say(rw, "SUCCESS", h5Answer(req.text("order_id"))) })
	req := h5Request()
	req.OrderID, req.OperatorID = "mine_1", "7"
	resp, err := newClient(t, f.config()).H5Pay(t.Context(), req)
	if err != nil || resp.OrderID != "mine_1" || f.seen()[0].text("operator_id") != "7" {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestEffectWhoseAnswerHasNoOrderIDSaysIt(t *testing.T) {
	t.Parallel()
	var f *far
	f = newFar(t, func(rw http.ResponseWriter, req opened) { f.say(rw, "SUCCESS", `{}`) })
	resp, err := newClient(t, f.config()).Refund(t.Context(), &api.RefundRequest{OriOrderID: "O1", RefundAmt: 5})
	if err != nil || len(resp.OrderID) != 20 || resp.OrderID != f.seen()[0].text("order_id") {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestVersionsEndpointsAndTerminal(t *testing.T) {
	t.Parallel()
	var f *far
	var paths sync.Map
	f = newFar(t, func(rw http.ResponseWriter, req opened) {
		f.say(rw, "SUCCESS", `{"order_id":"`+req.text("order_id")+`","code_url":"weixin://x","order_status":"notpay"}`)
	})
	inner := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		paths.Store(r.URL.Path, true)
		inner.ServeHTTP(rw, r)
	})
	cfg := f.config()
	cfg.BaseURL = f.URL + "/processV2"
	cfg.Endpoints = map[api.Action]string{api.ActionSTATUS_QUERY: f.URL + "/processV3"}
	cfg.Versions = map[api.Action]string{api.ActionACTIVEPAY: "1.1"}
	client := newClient(t, cfg)
	pay := &api.ActivePayRequest{Amount: 1, BizType: "ALIPAY", CallBackURL: "https://shop.example/x"}
	if _, err := client.ForTerminal("T1").ActivePay(t.Context(), pay); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ActivePay(t.Context(), pay); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ForTerminal("T1").StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"}); err != nil {
		t.Fatal(err)
	}
	seen := f.seen()
	if seen[0].Version != "1.1" || seen[0].TerminalNo != "T1" || seen[0].OperatorID != operator {
		t.Errorf("in store: %q %q %q", seen[0].Version, seen[0].TerminalNo, seen[0].OperatorID)
	}
	if seen[1].TerminalNo != "" || seen[1].OperatorID != "" || seen[2].TerminalNo != "" {
		t.Error("a terminal was named where there is none")
	}
	for _, path := range []string{"/processV2", "/processV3"} {
		if _, ok := paths.Load(path); !ok {
			t.Errorf("nothing came to %s", path)
		}
	}
}

// reasonOf returns the reason of an *ottpay.Error, "" of another error.
func reasonOf(err error) middleware.Reason {
	var failed *ottpay.Error
	if !errors.As(err, &failed) {
		return ""
	}
	return failed.Reason
}

// classes lists the sentinels and which of them an error matches.
func classes(err error) []string {
	var names []string
	for _, c := range []struct {
		name string
		err  error
	}{
		{"pending", ottpay.ErrPending},
		{"duplicate", ottpay.ErrDuplicate},
		{"caller", ottpay.ErrCaller},
		{"failed", ottpay.ErrFailed},
		{"unknown", ottpay.ErrUnknownOutcome},
		{"not sent", ottpay.ErrNotSent},
	} {
		if errors.Is(err, c.err) {
			names = append(names, c.name)
		}
	}
	return names
}

func TestCodes(t *testing.T) {
	t.Parallel()
	type want struct {
		code    api.Code
		matches string
	}
	tests := []want{
		{"orDer_paid", "[duplicate]"}, {"NO_SUCH_THING", "[unknown]"}, {"x\x00" + api.Code(strings.Repeat("y", 300)), "[unknown]"}, {"", "[unknown]"},
	}
	for _, code := range api.Codes() {
		matches := map[api.Class]string{
			api.ClassDuplicate: "[duplicate]", api.ClassCaller: "[caller]",
			api.ClassFailed: "[failed]", api.ClassUnclear: "[unknown]",
		}[code.Class()]
		if matches != "" {
			tests = append(tests, want{code, matches})
		}
	}
	for _, data := range []string{"", `{"order_id":"O1"}`} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%.20s with %d bytes", tt.code, len(data)), func(t *testing.T) {
				t.Parallel()
				var f *far
				f = newFar(t, func(rw http.ResponseWriter, _ opened) { f.say(rw, string(tt.code), data) })
				req := h5Request()
				req.OrderID = "O1"
				_, err := newClient(t, f.config()).H5Pay(t.Context(), req)
				var failed *ottpay.Error
				if !errors.As(err, &failed) {
					t.Fatalf("got %v", err)
				}
				if got := fmt.Sprint(classes(err)); got != tt.matches {
					t.Errorf("matches %s, want %s", got, tt.matches)
				}
				if failed.Verified != (data != "") || failed.OrderID != "O1" || failed.Action != api.ActionH5PAY || failed.MerchantID != merchant {
					t.Errorf("got %+v", failed)
				}
				if len(tt.code) < 64 && failed.Code != tt.code || len(failed.Code) > 64 || strings.ContainsRune(string(failed.Code), 0) {
					t.Errorf("code %q", failed.Code)
				}
				if failed.Message != "the gateway's words" || !strings.Contains(err.Error(), `the gateway says "the gateway's words"`) {
					t.Errorf("message %q, text %q", failed.Message, err)
				}
				if len(f.seen()) != 1 {
					t.Errorf("sent %d times", len(f.seen()))
				}
			})
		}
	}
}

func TestProcessing(t *testing.T) {
	t.Parallel()
	data := ""
	var f *far
	f = newFar(t, func(rw http.ResponseWriter, _ opened) { f.say(rw, "PROCESSING", data) })
	client := newClient(t, f.config())
	req := &api.RefundRequest{OrderID: "R1", OriOrderID: "O1", RefundAmt: 5}

	_, err := client.Refund(t.Context(), req)
	if got := fmt.Sprint(classes(err)); got != "[pending unknown]" {
		t.Errorf("unverified: %s", got)
	}
	data = `{"order_id":"R1"}`
	resp, err := client.Refund(t.Context(), req)
	if err != nil || !resp.Pending() {
		t.Errorf("verified: %v, %v", resp, err)
	}
	pay := &api.ActivePayRequest{OrderID: "R1", Amount: 5, BizType: "ALIPAY", CallBackURL: "https://shop.example/"}
	data = `{"order_id":"R2"}`
	_, err = client.ActivePay(t.Context(), pay)
	if reasonOf(err) != middleware.ReasonOtherOrder || !errors.Is(err, ottpay.ErrUnknownOutcome) {
		t.Errorf("of another order: %v", err)
	}
	for id, ok := range map[string]bool{"O1": true, "REF202004155369901": true, "R2": false, "REF": false, "REF1X": false} {
		data = `{"order_id":"` + id + `"}`
		resp, err := client.Refund(t.Context(), req)
		if ok && (err != nil || resp.OrderID != id) || !ok && reasonOf(err) != middleware.ReasonOtherOrder {
			t.Errorf("a refund's answer that names %s: %v, %v", id, resp, err)
		}
	}
	data = `{"order_id":7}`
	_, err = client.ActivePay(t.Context(), pay)
	if !errors.Is(err, ottpay.ErrInvalid) || !errors.Is(err, ottpay.ErrUnknownOutcome) {
		t.Errorf("undecodable: %v", err)
	}
}

func TestAnswersThatProveNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, code, data string
		want             middleware.Reason
	}{
		{"of another order", "SUCCESS", h5Answer("O2"), middleware.ReasonOtherOrder},
		{"failure of another order", "FAIL", `{"order_id":"O2"}`, middleware.ReasonOtherOrder},
		{"of a refund", "SUCCESS", h5Answer("REF202004155369901"), middleware.ReasonOtherOrder},
		{"without what it must have", "SUCCESS", `{"order_id":"O1"}`, middleware.ReasonSchema},
		{"with an amount in dollars", "SUCCESS", strings.Replace(h5Answer("O1"), "506", `"5.06"`, 1), middleware.ReasonSchema},
		{"without data", "SUCCESS", "", middleware.ReasonNoData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var f *far
			f = newFar(t, func(rw http.ResponseWriter, _ opened) { f.say(rw, tt.code, tt.data) })
			req := h5Request()
			req.OrderID = "O1"
			resp, err := newClient(t, f.config()).H5Pay(t.Context(), req)
			if resp != nil || reasonOf(err) != tt.want || fmt.Sprint(classes(err)) != "[unknown]" {
				t.Errorf("got %v, %v %v", resp, err, classes(err))
			}
		})
	}
}

func TestInvalidRequestIsNotSent(t *testing.T) {
	t.Parallel()
	f := newFar(t, func(http.ResponseWriter, opened) {})
	client := newClient(t, f.config())
	req := h5Request()
	req.CallBackURL = "http://shop.example/secret-path"
	_, err := client.H5Pay(t.Context(), req)
	var invalid *validate.Error
	if !errors.As(err, &invalid) || invalid.Violations[0].Member != "call_back_url" || !errors.Is(err, ottpay.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if got := fmt.Sprint(classes(err)); got != "[caller not sent]" {
		t.Errorf("matches %s", got)
	}
	if !strings.Contains(err.Error(), "call_back_url") || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("text %q", err)
	}
	if _, err := client.H5Pay(t.Context(), nil); !errors.Is(err, ottpay.ErrNotSent) || err.Error() != "ottpay: H5PAY: request: the request is nil: not sent" {
		t.Errorf("nil request: %v", err)
	}
	// A member that has a field cannot come beside it.
	req = h5Request()
	req.AdditionalProperties = map[string]json.RawMessage{"amount": json.RawMessage("1")}
	if _, err := client.H5Pay(t.Context(), req); fmt.Sprint(classes(err)) != "[caller not sent]" || reasonOf(err) != middleware.ReasonRequest {
		t.Errorf("a member beside its field: %v", err)
	}
	// A query has no order id made up for it.
	if _, err := client.StatusQuery(t.Context(), &api.StatusQueryRequest{}); fmt.Sprint(classes(err)) != "[caller not sent]" || !errors.Is(err, ottpay.ErrInvalid) {
		t.Errorf("a query for no order: %v", err)
	}
	if len(f.seen()) != 0 {
		t.Error("sent all the same")
	}
}

func TestNewRefusesClients(t *testing.T) {
	t.Parallel()
	insecure := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	for name, change := range map[string]func(*ottpay.Config){
		"no merchant":         func(c *ottpay.Config) { c.MerchantID = "" },
		"no keys":             func(c *ottpay.Config) { c.Keys = nil },
		"plain http":          func(c *ottpay.Config) { c.BaseURL = "http://gateway.example/secret" },
		"no URL":              func(c *ottpay.Config) { c.BaseURL = "://secret" },
		"relative":            func(c *ottpay.Config) { c.BaseURL = "/secret" },
		"plain http endpoint": func(c *ottpay.Config) { c.Endpoints = map[api.Action]string{api.ActionREFUND: "http://secret.example"} },
		"unknown action":      func(c *ottpay.Config) { c.Versions = map[api.Action]string{"REFUNDS": "1.0"} },
		"no verification":     func(c *ottpay.Config) { c.Base = insecure },
		"a nil base":          func(c *ottpay.Config) { c.Base = (*http.Transport)(nil) },
		"a nil store":         func(c *ottpay.Config) { c.RefundStore = (*dedupe.Memory)(nil) },
		"a nil observer":      func(c *ottpay.Config) { c.Observer = (*nilObserver)(nil) },
		"a nil validator":     func(c *ottpay.Config) { c.Validator = (*validator.Validate)(nil) },
		"keys of another":     func(c *ottpay.Config) { c.MerchantID = "B2" },
		"no static keys":      func(c *ottpay.Config) { c.Keys = middleware.StaticKeys(nil) },
		"a zero key":          func(c *ottpay.Config) { c.Keys = middleware.StaticKeys{merchant: {envelope.Key{}}} },
		"a blank in the id":   func(c *ottpay.Config) { c.MerchantID += " " },
		"a blank operator":    func(c *ottpay.Config) { c.OperatorID = "\t" },
		"negative timeout":    func(c *ottpay.Config) { c.Timeout = -1 },
		"negative attempts":   func(c *ottpay.Config) { c.Attempts = -1 },
		"negative backoff":    func(c *ottpay.Config) { c.Backoff.First = -1 },
		"negative poll":       func(c *ottpay.Config) { c.Poll.Max = -1 },
		"negative timeouts":   func(c *ottpay.Config) { c.Timeouts = map[api.Action]time.Duration{api.ActionREFUND: -1} },
	} {
		cfg := ottpay.Config{MerchantID: merchant, Keys: staticKeys(t)}
		change(&cfg)
		if _, err := ottpay.New(cfg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, loopback := range []string{"http://localhost:1/x", "http://127.0.0.2:1", "http://[::1]:1/"} {
		if _, err := ottpay.New(ottpay.Config{MerchantID: merchant, Keys: staticKeys(t), BaseURL: loopback}); err != nil {
			t.Errorf("%s: %v", loopback, err)
		}
	}
}

// staticKeys are those of the merchant of the tests.
func staticKeys(t *testing.T) middleware.StaticKeys {
	return middleware.StaticKeys{merchant: {newKey(t, "6698851A525C9433")}}
}

type nilObserver struct{ middleware.Observer }

// TestLongCallbackURL: the rule is the document's, and a shop can replace it.
func TestLongCallbackURL(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		return b.say("SUCCESS", h5Answer(req.text("order_id")))
	})
	req := h5Request()
	req.CallBackURL = "https://shop.example/" + strings.Repeat("x", 255)
	if _, err := newClient(t, b.config()).H5Pay(t.Context(), req); !errors.Is(err, ottpay.ErrInvalid) || !errors.Is(err, ottpay.ErrNotSent) {
		t.Errorf("got %v", err)
	}
	cfg := b.config()
	own := validate.New()
	if err := own.RegisterValidation("urllength", func(validator.FieldLevel) bool { return true }); err != nil {
		t.Fatal(err)
	}
	cfg.Validator = own
	if _, err := newClient(t, cfg).H5Pay(t.Context(), req); err != nil {
		t.Errorf("with a rule of the shop's own: %v", err)
	}
}

// base answers without a network, so that synctest's clock can run.
type base struct {
	key  envelope.Key
	mu   sync.Mutex
	n    int // how many requests came
	step func(n int, req opened) (*http.Response, error)

	plain func(body []byte) (*http.Response, error) // answers what is no envelope
}

func (b *base) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	request, err := envelope.ReadRequest(body)
	if err != nil && b.plain != nil {
		return b.plain(body)
	}
	if err != nil {
		return nil, err
	}
	payload, err := b.key.Open(request.Sealed)
	if err != nil {
		return nil, err
	}
	o := opened{Request: request}
	if err := json.Unmarshal(payload.JSON, &o.data); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.n++
	n := b.n
	b.mu.Unlock()
	return b.step(n, o)
}

func (b *base) say(code, data string) (*http.Response, error) {
	resp := envelope.Response{Code: code}
	if data != "" {
		var err error
		if resp.Sealed, err = b.key.Seal([]byte(data)); err != nil {
			return nil, err
		}
	}
	return b.answer(resp)
}

// answer leaves out the data if there is none.
func (b *base) answer(resp envelope.Response) (*http.Response, error) {
	body, err := json.Marshal(resp)
	if resp.Sealed == (envelope.Sealed{}) {
		body, err = json.Marshal(map[string]string{"rsp_code": resp.Code, "rsp_msg": resp.Message})
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, err
}

func status(code int, retryAfter string) (*http.Response, error) {
	return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {retryAfter}}, Body: http.NoBody}, nil
}

func (b *base) config() ottpay.Config {
	return ottpay.Config{MerchantID: merchant, OperatorID: operator, Keys: middleware.StaticKeys{merchant: {b.key}}, Base: b}
}

func newBase(t *testing.T, step func(b *base, n int, req opened) (*http.Response, error)) *base {
	b := &base{key: newKey(t, "6698851A525C9433")}
	b.step = func(n int, req opened) (*http.Response, error) { return step(b, n, req) }
	return b
}

func TestQueriesAreRepeated(t *testing.T) {
	t.Parallel()
	const row = `{"order_id":"O1","order_status":"success"}`
	for _, tt := range []struct {
		name     string
		attempts int
		timeout  time.Duration
		first    func(*base) (*http.Response, error) // what fails at first
		times    int                                 // how often it is put
		ok       bool
		least    time.Duration // how long it takes
		most     time.Duration
	}{
		{name: "broken connection", first: func(*base) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, times: 2, ok: true, least: 125 * time.Millisecond, most: 250 * time.Millisecond},
		{name: "500", first: func(*base) (*http.Response, error) { return status(500, "") }, times: 2, ok: true, most: time.Second},
		{name: "429 with Retry-After", first: func(*base) (*http.Response, error) { return status(429, "3") }, times: 2, ok: true, least: 3 * time.Second, most: 3 * time.Second},
		{name: "Retry-After beyond the deadline", first: func(*base) (*http.Response, error) { return status(429, "300") }, times: 1},
		{name: "SYSTEM_ERROR", first: func(b *base) (*http.Response, error) { return b.say("SYSTEM_ERROR", "") }, times: 2, ok: true, most: time.Second},
		{name: "an undocumented code", first: func(b *base) (*http.Response, error) { return b.say("NO_SUCH_ORDER", "") }, times: 1},
		{name: "FAIL", first: func(b *base) (*http.Response, error) { return b.say("FAIL", "") }, times: 1},
		{name: "404", first: func(*base) (*http.Response, error) { return status(404, "") }, times: 1},
		{name: "redirect", first: func(*base) (*http.Response, error) { return status(307, "") }, times: 1},
		{name: "no repetition wanted", attempts: 1, first: func(*base) (*http.Response, error) { return status(500, "") }, times: 1},
		{name: "little time", timeout: 100 * time.Millisecond, first: func(*base) (*http.Response, error) { return status(500, "") }, times: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBase(t, func(b *base, n int, _ opened) (*http.Response, error) {
					if n == 1 {
						return tt.first(b)
					}
					return b.say("SUCCESS", row)
				})
				cfg := b.config()
				cfg.Attempts, cfg.Timeout = tt.attempts, tt.timeout
				start := time.Now()
				_, err := newClient(t, cfg).StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"})
				if (err == nil) != tt.ok || b.n != tt.times {
					t.Errorf("put %d times, %v", b.n, err)
				}
				if took := time.Since(start); took < tt.least || took > tt.most {
					t.Errorf("took %v, want %v to %v", took, tt.least, tt.most)
				}
			})
		})
	}
}

// TestBackoffWithoutEnd: the longest wait there is must not turn into none.
func TestBackoffWithoutEnd(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(*base, int, opened) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	cfg := b.config()
	cfg.Attempts, cfg.Poll = 1, ottpay.Backoff{Max: math.MaxInt64}
	waits, short := 0, 0
	cfg.Sleep = func(_ context.Context, d time.Duration) error {
		if d < 500*time.Millisecond {
			short++
		}
		if waits++; waits == 100 {
			return context.DeadlineExceeded
		}
		return nil
	}
	if _, err := newClient(t, cfg).Resolve(t.Context(), lost(api.ActionREFUND)); err == nil || short > 0 {
		t.Errorf("%d of %d waits are too short, %v", short, waits, err)
	}
}

func TestQueryGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := newBase(t, func(*base, int, opened) (*http.Response, error) { return status(503, "") })
		cfg := b.config()
		cfg.Attempts = 5
		cfg.Backoff = ottpay.Backoff{First: time.Second, Max: 2 * time.Second}
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		start := time.Now()
		_, err := newClient(t, cfg).StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"})
		if failed := new(ottpay.Error); !errors.As(err, &failed) || failed.Reason != middleware.ReasonStatus || b.n != 5 {
			t.Errorf("put %d times, %v", b.n, err)
		}
		if took := time.Since(start); took < 3500*time.Millisecond || took > 7*time.Second {
			t.Errorf("took %v", took) // half to all of 1 + 2 + 2 + 2
		}
		again, calls := strings.Count(log.String(), "query put again"), strings.Count(log.String(), `"ottpay: call"`)
		if again != 4 || calls != 1 {
			t.Errorf("logged %d repetitions and %d calls:\n%s", again, calls, &log)
		}
	})
}

func TestEffectsAreNeverRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []func(*base) (*http.Response, error){
		func(*base) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		func(*base) (*http.Response, error) { return status(503, "1") },
		func(b *base) (*http.Response, error) { return b.say("SYSTEM_ERROR", "") },
		func(b *base) (*http.Response, error) { return b.say("TIMEOUT", `{"order_id":"R1"}`) },
	} {
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return tt(b) })
		_, err := newClient(t, b.config()).Refund(t.Context(), &api.RefundRequest{OrderID: "R1", OriOrderID: "O1", RefundAmt: 5})
		if !errors.Is(err, ottpay.ErrUnknownOutcome) || b.n != 1 {
			t.Errorf("sent %d times, %v", b.n, err)
		}
	}
}

// TestSendOnceHoldsForAClient: who calls again under the context of a payment
// gets no second one, though the client makes a new order id.
func TestSendOnceHoldsForAClient(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(*base, int, opened) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	client := newClient(t, b.config())
	ctx := middleware.SendOnce(t.Context())
	for _, want := range []error{ottpay.ErrUnknownOutcome, middleware.ErrSentBefore} {
		if _, err := client.H5Pay(ctx, h5Request()); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if b.n != 1 {
		t.Errorf("sent %d times", b.n)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		cfg := ottpay.Config{MerchantID: merchant, OperatorID: operator, Keys: middleware.StaticKeys{merchant: {newKey(t, "K")}}, Base: hang}
		cfg.Timeouts = map[api.Action]time.Duration{api.ActionREFUND: 7 * time.Second}
		client := newClient(t, cfg)
		took := func(call func() error) time.Duration {
			start := time.Now()
			if err := call(); !errors.Is(err, ottpay.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			return time.Since(start)
		}
		if d := took(func() error { _, err := client.H5Pay(t.Context(), h5Request()); return err }); d != 30*time.Second {
			t.Errorf("default: %v", d)
		}
		refund := &api.RefundRequest{OriOrderID: "O1", RefundAmt: 5}
		if d := took(func() error { _, err := client.Refund(t.Context(), refund); return err }); d != 7*time.Second {
			t.Errorf("of the action: %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if d := took(func() error { _, err := client.Refund(ctx, refund); return err }); d != 2*time.Second {
			t.Errorf("of the context: %v", d)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOrderIDs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	client := newClient(t, ottpay.Config{MerchantID: merchant, Keys: staticKeys(t), Now: func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	}})
	var ids []string
	for range 1000 {
		id, err := client.NewOrderID()
		if err != nil || !regexp.MustCompile(`^[0-9A-Z]{20}$`).MatchString(id) {
			t.Fatalf("%q, %v", id, err)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 1000 {
		t.Error("ids are not in order, or not unique")
	}
	cfg := ottpay.Config{MerchantID: merchant, OperatorID: operator, Keys: staticKeys(t), Rand: strings.NewReader("")}
	if _, err := newClient(t, cfg).H5Pay(t.Context(), h5Request()); !errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrCaller) || !errors.Is(err, io.EOF) {
		t.Errorf("without randomness: %v", err)
	}
	given := h5Request()
	given.OrderID = "O1"
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) { return b.say("SUCCESS", h5Answer("O1")) })
	cfg.Base, cfg.Keys = b, b.config().Keys
	if _, err := newClient(t, cfg).H5Pay(t.Context(), given); err != nil { // it needs none
		t.Errorf("with an id: %v", err)
	}
}

func TestForMerchantKeepsApart(t *testing.T) {
	t.Parallel()
	keys := middleware.StaticKeys{"A1": {newKey(t, "KEYA")}, "B2": {newKey(t, "KEYB")}}
	var mu sync.Mutex
	held := make(map[string]int)
	cfg := ottpay.Config{MerchantID: "A1", OperatorID: "1", Keys: keys}
	cfg.Limiter = func(merchantID string, kind api.Kind) middleware.Limiter {
		return limiterFunc(func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			held[merchantID+" "+kind.String()]++
			return nil
		})
	}
	cfg.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		request, err := envelope.ReadRequest(body)
		if err != nil {
			return nil, err
		}
		key := keys[request.MerchantID][0]
		payload, err := key.Open(request.Sealed) // only the merchant's own key opens
		if err != nil {
			return nil, err
		}
		var data struct {
			OrderID    string `json:"order_id"`
			OperatorID string `json:"operator_id"`
		}
		if err := json.Unmarshal(payload.JSON, &data); err != nil {
			return nil, err
		}
		return (&base{key: key}).say("SUCCESS", strings.Replace(h5Answer(data.OrderID), "https://pay.example/x", "https://"+request.MerchantID+data.OperatorID, 1))
	})
	a := newClient(t, cfg)
	b := a.ForMerchant("B2", "2")
	var wg sync.WaitGroup
	for range 20 {
		for client, want := range map[*ottpay.Client]string{a: "https://A11", b: "https://B22"} {
			wg.Go(func() {
				resp, err := client.H5Pay(t.Context(), h5Request())
				if err != nil || resp.PayInfo != want {
					t.Errorf("%s: got %v", client.MerchantID(), err)
				}
			})
		}
	}
	wg.Wait()
	if fmt.Sprint(held) != "map[A1 effect:20 B2 effect:20]" {
		t.Errorf("held %v", held)
	}
	if _, err := a.ForMerchant("C3", "3").H5Pay(t.Context(), h5Request()); !errors.Is(err, middleware.ErrNoKeys) || !errors.Is(err, ottpay.ErrNotSent) {
		t.Errorf("a stranger: %v", err)
	}
}

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

func TestLimitsAreFairAndFailFast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits, err := ottpay.NewLimits(ottpay.LimitsConfig{Effects: ottpay.Quota{PerSecond: 1, Burst: 2}, Queries: ottpay.Quota{PerSecond: 10}})
		if err != nil {
			t.Fatal(err)
		}
		b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
			return b.say("SUCCESS", `{"order_status":"success","order_id":"`+req.text("order_id")+`"}`)
		})
		cfg := b.config()
		cfg.Limiter = limits.Limiter
		cfg.Keys = middleware.StaticKeys{merchant: {b.key}, "B2": {b.key}}
		client := newClient(t, cfg)
		refund := func(c *ottpay.Client) error {
			_, err := c.Refund(t.Context(), &api.RefundRequest{OriOrderID: "O1", RefundAmt: 5})
			return err
		}
		start := time.Now()
		for range 33 { // a burst of two, and one each second
			if err := refund(client); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 31*time.Second {
			t.Errorf("33 refunds took %v", took)
		}
		start = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err = client.Refund(ctx, &api.RefundRequest{OriOrderID: "O1", RefundAmt: 5})
		if !errors.Is(err, middleware.ErrLimited) || !errors.Is(err, ottpay.ErrNotSent) || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := refund(client.ForMerchant("B2", operator)); err != nil || time.Since(start) != 0 {
			t.Errorf("another merchant waited %v, %v", time.Since(start), err)
		}
		if _, err := client.StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"}); err != nil || time.Since(start) != 0 {
			t.Errorf("a query waited %v, %v", time.Since(start), err)
		}
	})
	if _, err := ottpay.NewLimits(ottpay.LimitsConfig{Effects: ottpay.Quota{PerSecond: -1}}); err == nil {
		t.Error("a negative quota was taken")
	}
	if free, err := ottpay.NewLimits(ottpay.LimitsConfig{}); err != nil || free.Limiter(merchant, api.KindEffect) != nil {
		t.Error("no quota is a limit")
	}
}

func TestErrorsHoldNoValue(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	req := &api.MiniProgramPayRequest{
		OrderID: canary, Amount: 77777, AppID: canary, OpenID: canary,
		CallBackURL: "https://shop.example/" + canary, AdditionalProperties: map[string]json.RawMessage{canary: json.RawMessage(`"` + canary + `"`)},
	}
	for name, step := range map[string]func(b *base) (*http.Response, error){
		"failure":    func(b *base) (*http.Response, error) { return b.say("FAIL", "") },
		"odd code":   func(b *base) (*http.Response, error) { return b.say(canary, "") },
		"broken":     func(b *base) (*http.Response, error) { return nil, errors.New(canary) },
		"undecoded":  func(b *base) (*http.Response, error) { return b.say("SUCCESS", `{"amount":"`+canary+`"}`) },
		"invalid":    func(b *base) (*http.Response, error) { return b.say("SUCCESS", `{"order_id":"`+canary+`"}`) },
		"other":      func(b *base) (*http.Response, error) { return b.say("SUCCESS", `{"order_id":"`+canary+`2"}`) },
		"no success": func(b *base) (*http.Response, error) { return status(502, "") },
	} {
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return step(b) })
		cfg := b.config()
		cfg.BaseURL = "https://gateway.example/?" + canary
		_, err := newClient(t, cfg).MiniProgramPay(t.Context(), req)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%v", err), fmt.Sprintf("%s", fmt.Errorf("wrapped: %w", err))} {
			if strings.Contains(text, canary) || strings.Contains(text, "77777") || strings.Contains(text, "6698851A525C9433") || strings.Contains(text, "gateway.example") {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
}

func TestNotSentIsNotUnknown(t *testing.T) {
	t.Parallel()
	b := newBase(t, nil)
	cfg := b.config()
	cfg.Base = roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.EOF }) // reads nothing
	_, err := newClient(t, cfg).H5Pay(t.Context(), h5Request())
	var failed *ottpay.Error
	if got := fmt.Sprint(classes(err)); got != "[not sent]" || !errors.As(err, &failed) || len(failed.OrderID) != 20 {
		t.Errorf("got %v, matches %s", err, got)
	}
}

// closer counts how often it is told to close idle connections.
type closer struct {
	http.RoundTripper
	closed int
}

func (c *closer) CloseIdleConnections() { c.closed++ }

// TestClientItself: printing a client shows nothing of it, closing reaches the
// base, and the client of a terminal is another one.
func TestClientItself(t *testing.T) {
	t.Parallel()
	base := new(closer)
	client := newClient(t, ottpay.Config{MerchantID: merchant, OperatorID: "CANARY", Keys: staticKeys(t), Base: base})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if got := fmt.Sprintf(verb, client); got != "ottpay.Client" {
			t.Errorf("%s: %s", verb, got)
		}
	}
	client.ForMerchant("B2", "").CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("told %d times", base.closed)
	}
	if client.MerchantID() != merchant || client.ForTerminal("T1").MerchantID() != merchant || client.ForMerchant("B2", "").MerchantID() != "B2" {
		t.Error("a client names another merchant")
	}
}

// TestQueriesAndEffectsHaveTheirLimiters: neither takes from the other, and no
// limiter limits nothing.
func TestQueriesAndEffectsHaveTheirLimiters(t *testing.T) {
	t.Parallel()
	b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
		return b.say("SUCCESS", `{"order_status":"success","order_id":"`+req.text("order_id")+`"}`)
	})
	for _, limited := range []api.Kind{api.KindEffect, api.KindQuery} {
		cfg := b.config()
		cfg.Limiter = func(_ string, kind api.Kind) middleware.Limiter {
			if kind != limited {
				return nil
			}
			return limiterFunc(func(context.Context) error { return errors.New("full") })
		}
		client := newClient(t, cfg)
		_, effect := client.Refund(t.Context(), &api.RefundRequest{OriOrderID: "O1", RefundAmt: 5})
		_, query := client.StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"})
		if errors.Is(effect, middleware.ErrLimited) != (limited == api.KindEffect) || errors.Is(query, middleware.ErrLimited) != (limited == api.KindQuery) {
			t.Errorf("%v limited: %v; %v", limited, effect, query)
		}
	}
}
