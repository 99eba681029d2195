package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// TestFloods: what a stranger can repeat at will is a few lines and a few
// alarms a minute, and hides nothing else.
func TestFloods(t *testing.T) {
	t.Parallel()
	const posts = 5000
	forged := func(m string) []byte { return callbackWith(t, "wrong", envelope.Response{MerchantID: m}, paid) }
	for _, c := range []struct {
		name   string
		body   func(int) []byte
		status int
		other  []byte // is told all the same
		want   string
	}{
		{"GETs of nothing hide no wrong key", func(int) []byte { return nil }, 400, forged("TS00000002"), "reason=unknown-merchant"},
		{"forgeries of many merchants", func(i int) []byte { return forged(fmt.Sprint("M", i%1000)) }, 401, callback(t, paid), "result=handled"},
		{"one captured message", func(int) []byte { return callback(t, strings.Replace(paid, "T1", "LATER", 1)) }, 503, callback(t, paid), "result=handled"},
		{"another captured message", func(int) []byte { return callback(t, strings.Replace(paid, "T1", "LATER", 1)) }, 503, callback(t, strings.Replace(paid, "T1", "LATER2", 1)), "order_id=LATER2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log, alarms := new(lines), 0
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) {
					if r.Authentic() {
						alarms++
					}
				}
			})
			h := middleware.Handle(w, func(_ context.Context, n *api.Notification) error {
				if strings.HasPrefix(n.OrderID, "LATER") {
					return fmt.Errorf("no such order")
				}
				return nil
			})
			for i := range posts {
				if code := post(h, c.body(i)).Code; code != c.status {
					t.Fatalf("answer %d", code)
				}
			}
			if n := strings.Count(log.String(), "\n"); n > 10 || alarms > 10 {
				t.Errorf("%d lines, %d alarms for %d posts", n, alarms, posts)
			}
			post(h, c.other)
			if !log.has(c.want) {
				t.Errorf("%s is hidden: %s", c.want, log)
			}
		})
	}
}

// TestFinishedFlood: so is a finished message that comes again and again.
func TestFinishedFlood(t *testing.T) {
	t.Parallel()
	log, conflicts := new(lines), 0
	now := time.Unix(1_700_000_000, 0)
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		cfg.OnConflict = func(context.Context, *middleware.Delivery) { conflicts++ }
		cfg.Now = func() time.Time { return now }
	})
	h := new(shop).behind(w)
	post(h, callback(t, paid))
	for range 1000 {
		for _, body := range [][]byte{callback(t, paid), callback(t, strings.Replace(paid, "1999", "2999", 1))} {
			if code := post(h, body).Code; code != 200 {
				t.Fatalf("answer %d", code)
			}
		}
	}
	if n := strings.Count(log.String(), "\n"); n > 10 || conflicts == 0 || conflicts > 5 {
		t.Errorf("%d lines, %d conflicts", n, conflicts)
	}
	now = now.Add(time.Minute)
	post(h, callback(t, paid))
	if !log.has("result=duplicate", "suppressed=997") {
		t.Errorf("nothing says how many were not told: %s", log)
	}
}

// TestSignKey: a merchant whose key has never opened anything is told so, and
// one whose key has is not.
func TestSignKey(t *testing.T) {
	t.Parallel()
	log := new(lines)
	var last *middleware.Refusal
	var body []byte
	w := newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		cfg.Keys = middleware.StaticKeys{merchant: {mustKey(t, publishedKey)}, "TS00000002": {mustKey(t, "typo")}}
		cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { last, body = r, bytes.Clone(r.Body()) }
	})
	h := new(shop).behind(w)
	for range 10 { // strangers
		post(h, callbackWith(t, "wrong", envelope.Response{MerchantID: "TS00000009"}, paid))
	}
	sealed := callbackWith(t, "right", envelope.Response{Code: "SUCCESS", MerchantID: "TS00000002"}, paid)
	r := httptest.NewRequest("POST", "/", bytes.NewReader(sealed))
	r.RemoteAddr = "198.51.100.7:4711"
	h.ServeHTTP(httptest.NewRecorder(), r)
	if !log.has("level=ERROR", "unverified_merchant=TS00000002", "source=198.51.100.7", "is the sign key right?") {
		t.Errorf("log: %s", log)
	}
	if last.UnverifiedMerchant != "TS00000002" || last.Source != "198.51.100.7" || last.Merchant != "" || last.Authentic() || last.Err == nil {
		t.Errorf("told %+v", last)
	}
	if !bytes.Equal(body, sealed) || last.Body() != nil {
		t.Errorf("the body was %q, and is %q afterwards", body, last.Body())
	}

	post(h, callback(t, paid))
	post(h, callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid))
	if last.UnverifiedMerchant != merchant || last.Err != nil || log.has("level=ERROR", "unverified_merchant="+merchant) {
		t.Errorf("told %+v, log %s", last, log)
	}
	if log.has("level=ERROR", "TS00000009") {
		t.Errorf("a stranger's merchant is an error: %s", log)
	}
}

// deliveries is an Observer that keeps what it is told.
type deliveries struct{ got []middleware.DeliveryOutcome }

func (o *deliveries) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	return r.Context(), func(d middleware.DeliveryOutcome) { o.got = append(o.got, d) }
}

func (o *deliveries) Call(r *http.Request, _, _ string) (context.Context, func(middleware.CallOutcome)) {
	return r.Context(), func(middleware.CallOutcome) {}
}

// TestObserver: the observer is told once of each delivery how it ended, how
// long the handler took, and how old the notification was.
func TestObserver(t *testing.T) {
	t.Parallel()
	arrived, _, err := field.Time("20240102110405").Parse()
	if err != nil {
		t.Fatal(err)
	}
	arrived = arrived.Add(7 * time.Second)
	payload := func(old, new string) []byte { return callback(t, strings.Replace(paid, old, new, 1)) }
	handled := middleware.DeliveryOutcome{Result: "handled", Status: 200, Handler: 3 * time.Second, Lag: 7 * time.Second, Form: "java"}
	for _, c := range []struct {
		name string
		body []byte
		want middleware.DeliveryOutcome
	}{
		{"paid", callback(t, paid), handled},
		{"again", callback(t, paid), middleware.DeliveryOutcome{Result: "duplicate", Status: 200, Lag: 7 * time.Second, Form: handled.Form}},
		{"another amount", payload("1999", "2999"), middleware.DeliveryOutcome{Result: "conflict", Status: 200, Lag: 7 * time.Second, Form: handled.Form}},
		{"a handler that fails", payload("T1", "FAILS"), middleware.DeliveryOutcome{Result: "failed", Reason: "handler", Status: 503, Handler: 3 * time.Second, Lag: 7 * time.Second, Form: handled.Form}},
		{"not believed", callbackWith(t, publishedKey, envelope.Response{Code: "FAIL", MerchantID: merchant}, strings.Replace(paid, "T1", "T2", 1)),
			middleware.DeliveryOutcome{Result: "deferred", Reason: "code", Status: 503, Lag: 7 * time.Second, Form: handled.Form}},
		{"finished in the future", payload(`"T1","finish_time":"20240102110405"`, `"T3","finish_time":"20240102110505"`),
			middleware.DeliveryOutcome{Result: "handled", Status: 200, Handler: 3 * time.Second, Form: handled.Form}},
		{"finished at no time", payload(`"T1","finish_time":"20240102110405"`, `"T4","finish_time":"yesterday"`),
			middleware.DeliveryOutcome{Result: "handled", Status: 200, Handler: 3 * time.Second, Form: handled.Form}},
		{"forged", callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid), middleware.DeliveryOutcome{Result: "refused", Reason: "padding", Status: 401}},
		{"no envelope", []byte("no"), middleware.DeliveryOutcome{Result: "refused", Reason: "not-an-object", Status: 400}},
	} {
		observer, log, now := new(deliveries), new(lines), arrived
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Observer, cfg.Logger = observer, slog.New(slog.NewTextHandler(log, nil))
			cfg.Now = func() time.Time { return now }
		})
		h := middleware.Handle(w, func(_ context.Context, n *api.Notification) error {
			now = now.Add(3 * time.Second)
			if n.OrderID == "FAILS" {
				return errors.New("no disk")
			}
			return nil
		})
		want := []middleware.DeliveryOutcome{c.want}
		if c.want.Result == "duplicate" || c.want.Result == "conflict" {
			post(h, callback(t, paid))
			now, want = arrived, []middleware.DeliveryOutcome{handled, c.want}
		}
		post(h, c.body)
		if fmt.Sprint(observer.got) != fmt.Sprint(want) {
			t.Errorf("%s: told %+v, want %+v", c.name, observer.got, want)
		}
		if ran := c.want.Handler > 0; c.want.Status != 200 && log.has("not acknowledged", "handler=") != ran {
			t.Errorf("%s: how long the handler took: %s", c.name, log)
		}
	}
}

// TestPanicOfAHook: a hook that panics is told as a failure of this delivery,
// and the answer asks for it again even if the delivery was refused for good.
func TestPanicOfAHook(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{
		"a forgery": callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid),
		"a payment": callback(t, paid),
	} {
		log, observer := new(lines), new(deliveries)
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Observer, cfg.Logger = observer, slog.New(slog.NewTextHandler(log, nil))
			cfg.OnRefused = func(context.Context, *middleware.Refusal) { panic("hook") }
		})
		h := middleware.Handle(w, func(context.Context, *api.Notification) error { return errors.New("no disk") })
		if code := post(h, body).Code; code != 503 {
			t.Errorf("%s: answer %d", name, code)
		}
		if len(observer.got) != 1 || observer.got[0].Result != "failed" || observer.got[0].Status != 503 {
			t.Errorf("%s: told %+v", name, observer.got)
		}
		if line := "reason=panic"; !log.has("level=ERROR", line, "TestPanicOfAHook") || log.has(line, "suppressed") || log.has(line, "order_id=T1") != (name == "a payment") {
			t.Errorf("%s: log %s", name, log)
		}
	}
}

// TestEachForgeryIsTold: the log is sampled, and who counts forgeries gets all.
func TestEachForgeryIsTold(t *testing.T) {
	t.Parallel()
	told := 0
	h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.OnRefused = func(context.Context, *middleware.Refusal) { told++ }
	}))
	forged := callbackWith(t, "wrong", envelope.Response{MerchantID: merchant}, paid)
	for range 10 {
		post(h, forged)
	}
	if told != 10 {
		t.Errorf("told %d times of 10", told)
	}
}

// TestSignKeys: a flood under one wrong sign key does not hide another one.
func TestSignKeys(t *testing.T) {
	t.Parallel()
	log := new(lines)
	h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		cfg.Keys = middleware.StaticKeys{merchant: {mustKey(t, "typo")}, "TS00000002": {mustKey(t, "typo")}}
	}))
	for range 10 {
		post(h, callback(t, paid))
	}
	post(h, callbackWith(t, "right", envelope.Response{Code: "SUCCESS", MerchantID: "TS00000002"}, paid))
	if !log.has("unverified_merchant="+merchant) || !log.has("unverified_merchant=TS00000002") {
		t.Errorf("log: %s", log)
	}
}

// behindProxy is a SourceLimiter that knows the client behind a proxy.
type behindProxy struct {
	admitFake
	client netip.Addr
}

func (b *behindProxy) Source(*http.Request) (netip.Addr, bool) { return b.client, b.client.IsValid() }

// TestSource: a refusal names the client that the limiter names, else the
// connection's, and nothing that is no address.
func TestSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, remote string
		limiter      middleware.SourceLimiter
		want         string
	}{
		{"no limiter", "198.51.100.7:4711", nil, "198.51.100.7"},
		{"a limiter that names none", "198.51.100.7:4711", &admitFake{allow: true}, "198.51.100.7"},
		{"a client behind a proxy", "198.51.100.7:4711", &behindProxy{admitFake{allow: true}, netip.MustParseAddr("203.0.113.9")}, "203.0.113.9"},
		{"a client that is not known", "198.51.100.7:4711", &behindProxy{admitFake{allow: true}, netip.Addr{}}, "198.51.100.7"},
		{"a socket without an address", "@", nil, ""},
	} {
		source, log := "none", new(lines)
		h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.SourceLimiter, cfg.Logger = c.limiter, slog.New(slog.NewTextHandler(log, nil))
			cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { source = r.Source }
		}))
		r := httptest.NewRequest("POST", "/", strings.NewReader("no"))
		r.RemoteAddr = c.remote
		h.ServeHTTP(httptest.NewRecorder(), r)
		if source != c.want || log.has("source=") != (c.want != "") {
			t.Errorf("%s: %q, want %q: %s", c.name, source, c.want, log)
		}
	}
}

// TestConflictWithoutAHook: a payment that came twice is acknowledged and in the
// log, also if nothing else is told.
func TestConflictWithoutAHook(t *testing.T) {
	t.Parallel()
	log := new(lines)
	h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) { cfg.Logger = slog.New(slog.NewTextHandler(log, nil)) }))
	post(h, callback(t, paid))
	if code := post(h, callback(t, strings.Replace(paid, "1999", "2999", 1))).Code; code != 200 || !log.has("level=ERROR", "result=conflict") {
		t.Errorf("answer %d, log %s", code, log)
	}
	if !log.has("level=INFO", "result=handled") || log.has("result=handled", "misfits") || log.has("result=handled", "reason=") || log.has("suppressed") {
		t.Errorf("a payment in which all is well: %s", log)
	}
}

// TestOneLeftOut: also a single line that was left out is counted in the next
// one, and none is where none was.
func TestOneLeftOut(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{
		"result=duplicate": callback(t, paid),
		"result=refused":   []byte("no"),
	} {
		log := new(lines)
		now := time.Unix(1_700_000_000, 0)
		h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			cfg.Now = func() time.Time { return now }
		}))
		post(h, callback(t, paid))
		for range 4 {
			post(h, body)
		}
		if n := strings.Count(log.String(), name); n != 3 || log.has("suppressed") {
			t.Errorf("%s: %d lines: %s", name, n, log)
		}
		now = now.Add(time.Minute)
		post(h, body)
		if !log.has(name, "suppressed=1\n") {
			t.Errorf("%s: what was left out is not counted: %s", name, log)
		}
	}
}

// TestBusyMinute: each payment has its line, however many other deliveries
// there are.
func TestBusyMinute(t *testing.T) {
	t.Parallel()
	const others, payments = 1 << 12, 10 // as many kinds as the sampler tells apart
	log, now := new(lines), time.Unix(1_700_000_000, 0)
	h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		cfg.Now = func() time.Time { return now }
	}))
	key := mustKey(t, publishedKey)
	deliver := func(code, order string) {
		sealed, err := key.Seal([]byte(strings.Replace(paid, "T1", order, 1)))
		if err != nil {
			t.Fatal(err)
		}
		post(h, fmt.Appendf(nil, `{"rsp_code":%q,"merchant_id":%q,"data":%q,"md5":%q}`, code, merchant, sealed.Data, sealed.MD5))
	}
	for i := range others {
		deliver("FAIL", fmt.Sprint("D", i))
	}
	for i := range payments {
		deliver("SUCCESS", fmt.Sprint("T", i))
	}
	if n := strings.Count(log.String(), "result=handled"); n != payments {
		t.Errorf("%d lines for %d payments", n, payments)
	}
	if !log.has("order_id=D4095", "reason=code") {
		t.Error("the last of the others is hidden")
	}
}

// endPanics is an Observer whose end panics.
type endPanics struct{ ends int }

func (o *endPanics) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	return r.Context(), func(middleware.DeliveryOutcome) { o.ends++; panic("end") }
}

func (o *endPanics) Call(r *http.Request, _, _ string) (context.Context, func(middleware.CallOutcome)) {
	return r.Context(), func(middleware.CallOutcome) {}
}

// TestObserverEndsOnce: an observer that panics when it is told is not told again.
func TestObserverEndsOnce(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{callback(t, paid), []byte("no")} {
		observer := new(endPanics)
		h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) { cfg.Observer = observer }))
		if code := post(h, body).Code; code != 503 || observer.ends != 1 {
			t.Errorf("answer %d, told %d times", code, observer.ends)
		}
	}
}

// staying is a claim that may fail to be released.
type staying struct {
	fakeClaim
	failed error
}

func (c *staying) Release(context.Context) error { return c.failed }

// TestReleaseFailure: a claim that stays behind has its cause in the line of the
// failure that left it.
func TestReleaseFailure(t *testing.T) {
	t.Parallel()
	log := new(lines)
	claim := &staying{failed: errors.New("connection lost")}
	h := middleware.Handle(newWebhook(t, func(cfg *middleware.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		cfg.Store = storeFunc(func() (dedupe.Claim, error) { return claim, nil })
	}), func(context.Context, *api.Notification) error { return errors.New("no disk") })
	if code := post(h, callback(t, paid)).Code; code != 503 || !log.has("reason=handler", `error="no disk"`, `release="`, "connection lost") {
		t.Errorf("answer %d, log %s", code, log)
	}
	claim.failed = nil
	post(h, callback(t, paid))
	if strings.Count(log.String(), "release=") != 1 {
		t.Errorf("log %s", log)
	}
}

// TestLevels: what a stranger brings about is a warning, what concerns money or
// the shop's own parts an error, and what solves itself neither.
func TestLevels(t *testing.T) {
	t.Parallel()
	forged := callbackWith(t, publishedKey, envelope.Response{Code: "SUCCESS", MerchantID: "TS00000002"}, paid)
	noTime := callback(t, strings.Replace(paid, `,"finish_time":"20240102110405"`, "", 1))
	says := func(status api.OrderStatus) func(*middleware.Config) {
		return func(cfg *middleware.Config) {
			cfg.Asker = askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
				return answer(status, 1999)(d)
			})
		}
	}
	fails := func(err error) func(*middleware.Config) {
		return func(cfg *middleware.Config) { cfg.Store = storeFunc(func() (dedupe.Claim, error) { return nil, err }) }
	}
	for _, c := range []struct {
		body   []byte
		change func(*middleware.Config)
		level  string
		words  string
	}{
		{[]byte("no"), nil, "WARN", "result=refused reason=not-an-object"},
		{forged, nil, "WARN", "unverified_merchant=TS00000002"},
		{callback(t, paid), func(cfg *middleware.Config) { cfg.SourceLimiter = new(admitFake) }, "WARN", "result=limited"},
		{noTime, nil, "ERROR", "reason=finish_time status=400 merchant=" + merchant},
		{callback(t, paid), fails(errors.New("down")), "ERROR", "reason=store status=503 merchant=" + merchant + " order_id=T1"},
		{callback(t, paid), says("fully_refunded"), "ERROR", "reason=refunded"},
		{callback(t, paid), says("notpay"), "INFO", "result=deferred reason=not-paid-yet"},
		{callback(t, paid), fails(dedupe.ErrInFlight), "INFO", "result=in-flight"},
	} {
		log := new(lines)
		h := new(shop).behind(newWebhook(t, func(cfg *middleware.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			if c.change != nil {
				c.change(cfg)
			}
		}))
		post(h, c.body)
		if !log.has("level="+c.level, c.words) {
			t.Errorf("want %s %s: %s", c.level, c.words, log)
		}
	}

	log := new(lines)
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	if err := w.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if post(new(shop).behind(w), callback(t, paid)); !log.has("level=INFO", "reason=shutdown") {
		t.Errorf("after Shutdown: %s", log)
	}
}
