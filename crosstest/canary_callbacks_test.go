package crosstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	inbound "github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// hookConfig is a webhook's configuration that tells the spy everything.
func (w *watch) hookConfig(store dedupe.Store) middleware.Config {
	return middleware.Config{
		Keys: w.keys, Store: w.observer.Store(store), Logger: w.logger, Observer: w.observer, AskWindow: -1,
		OnRefused:  func(_ context.Context, r *middleware.Refusal) { w.failure("OnRefused", r) },
		OnConflict: func(_ context.Context, d *middleware.Delivery) { w.value("OnConflict", d) },
	}
}

// newHook returns a webhook that runs on the callback's word unless cfg has an
// Asker.
func newHook(cfg middleware.Config) (*middleware.Webhook, error) {
	cfg.InsecureTrustCallback = cfg.Asker == nil
	return ottpay.NewWebhook(cfg)
}

// post brings a callback the way a stranger would, and shows others the answer.
func (w *watch) post(t *testing.T, h http.Handler, method, body string) int {
	t.Helper()
	r := httptest.NewRequest(method, "/ottpay/"+canary+"?token="+canary, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+canary)
	r.Header.Set("X-Forwarded-For", canary)
	r.Header.Set("User-Agent", canary)
	r.Header.Set("Traceparent", canary)
	r.AddCookie(&http.Cookie{Name: "session", Value: canary})
	w.wire([]byte(body))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	w.public("answer", fmt.Sprint(rec.Code, rec.Header(), rec.Body))
	return rec.Code
}

func (w *watch) notification(t *testing.T) map[string]any {
	t.Helper()
	n := object(t, "Notification")
	n["order_id"], n["merchant_id"], n["bizpay_order_id"] = w.newOrder(), finchShop, finch+"channel"
	return n
}

func with(o map[string]any, name string, v any) map[string]any {
	o = maps.Clone(o)
	if o[name] = v; v == nil {
		delete(o, name)
	}
	return o
}

// custom is a shop's own type, whose members are such that the standard library
// quotes what does not fit.
type custom struct {
	Remarks time.Time `json:"remarks"`
	Open    int       `json:"sub_openId,string"`
}

// callbacks brings about every refusal that there is.
func (w *watch) callbacks(t *testing.T) {
	ok := func(context.Context, *api.Notification) error { return nil }
	reasons := map[string]bool{}
	hook := func(change func(*middleware.Config)) *middleware.Webhook {
		cfg := w.hookConfig(dedupe.NewMemory(dedupe.MemoryConfig{}))
		refused := cfg.OnRefused
		cfg.OnRefused = func(ctx context.Context, r *middleware.Refusal) {
			reasons[string(r.Reason)] = true
			refused(ctx, r)
		}
		if change != nil {
			change(&cfg)
		}
		webhook, err := newHook(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.value("Webhook", webhook)
		return webhook
	}
	send := func(change func(*middleware.Config), fn func(context.Context, *api.Notification) error, method, body string) int {
		return w.post(t, middleware.Handle(hook(change), fn), method, body)
	}
	body := func(o map[string]any) string { return w.seal(t, w.key, "SUCCESS", o) }
	n := func() map[string]any { return w.notification(t) }

	if code := send(nil, func(_ context.Context, got *api.Notification) error {
		if !strings.HasPrefix(got.Remarks, canary) || !strings.HasPrefix(got.SubOpenID, canary) {
			t.Errorf("the handler did not get its canaries")
		}
		w.value("Notification", got)
		return nil
	}, "POST", body(n())); code != 200 {
		t.Errorf("a good callback: %d", code)
	}

	for _, method := range []string{"GET", "PUT", canary} {
		send(nil, ok, method, body(n()))
	}
	for _, text := range []string{
		"", canary, `"` + canary + `"`, `{"` + canary + `":"` + canary + `"}`, `{"rsp_code":"SUCCESS","data":"` + canary + `","md5":"` + canary + `"}`,
		`{"data":"` + canary + `==","md5":"C12F9560769C2CB55E6954935B325916","merchant_id":"` + canary + `"}`,
		`{"` + canary + `":1,"` + canary + `":2}`, strings.Repeat(canary, 20000), body(n()) + canary, `{"rsp_msg":"` + canary + "\xff\"}",
		strings.Repeat("[", 5000) + canary, `{"a":1e` + canary + `}`, `{"data":"` + canary + `A=","md5":"C12F9560769C2CB55E6954935B325916"}`,
		w.seal(t, mustKey(t, canary+"other"), "SUCCESS", n()), strings.ReplaceAll(body(n()), finchShop, finch+"merchant"),
		strings.ReplaceAll(body(n()), `"merchant_id":"`+finchShop+`",`, ""),
	} {
		if code := send(nil, ok, "POST", text); code == 200 {
			t.Errorf("acknowledged: %.100s", text)
		}
	}
	for _, f := range ottpaytest.Faults() {
		if !f.Alone || f.Name == string(ottpaytest.CallbackOldKey) {
			continue
		}
		b, err := ottpaytest.Notification{
			MerchantID: finchShop, SignKey: canaryKey, OrderID: w.newOrder(), ChannelID: finch, Fault: ottpaytest.CallbackFault(f.Name),
			Message: canary, Extra: map[string]any{"remarks": canary},
		}.Body()
		if err != nil {
			t.Fatal(err)
		}
		send(nil, ok, "POST", string(b))
	}
	schema, _ := api.LookupSchema("Notification")
	for _, m := range schema.Members {
		for _, bad := range []any{nil, map[string]any{canary: canary}, []any{canary}, 1.5, -1, true, canary + strings.Repeat("x", 3000), ""} {
			if m.Name == "order_id" && bad != nil && bad != "" {
				continue // an id is for the log
			}
			o := with(n(), m.Name, bad)
			send(nil, ok, "POST", body(o))
		}
	}
	send(nil, ok, "POST", body(with(n(), "merchant_id", canary)))
	send(nil, ok, "POST", body(with(n(), "amount", canary)))
	send(nil, ok, "POST", body(with(n(), "order_status", finch)))
	send(nil, ok, "POST", w.seal(t, w.key, "FAIL", n()))
	send(nil, ok, "POST", w.seal(t, w.key, canary, n()))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *custom) error { return nil }), "POST", body(n()))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *custom) error { return nil }), "POST", body(with(n(), "remarks", "2020-01-01T00:00:00Z")))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *api.CheckoutNotification) error { return nil }), "POST", body(with(n(), "prepay_order_id", nil)))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *api.CardNotification) error { return nil }), "POST", body(with(n(), "order_status", nil)))

	errHandler := errors.New("the shop's own words")
	send(nil, func(context.Context, *api.Notification) error { return errHandler }, "POST", body(n()))
	send(nil, func(context.Context, *api.Notification) error { panic(canary) }, "POST", body(n()))
	send(func(c *middleware.Config) { c.Timeout = time.Millisecond }, func(ctx context.Context, _ *api.Notification) error { <-ctx.Done(); return ctx.Err() }, "POST", body(n()))
	send(func(c *middleware.Config) {
		c.Expect = func(context.Context, string) (field.Cents, error) { return 77, nil }
	}, ok, "POST", body(n()))
	send(func(c *middleware.Config) {
		c.Expect = func(context.Context, string) (field.Cents, error) { return 0, errHandler }
	}, ok, "POST", body(n()))
	send(func(c *middleware.Config) { c.Keys = noKeys{errHandler} }, ok, "POST", body(n()))
	send(func(c *middleware.Config) { c.Journal = noJournal{errHandler} }, ok, "POST", body(n()))

	// The store's other answers.
	held := hook(nil)
	o := n()
	w.post(t, middleware.Handle(held, func(context.Context, *api.Notification) error {
		w.post(t, middleware.Handle(held, ok), "POST", body(o)) // in flight
		return nil
	}), "POST", body(o))
	w.post(t, middleware.Handle(held, ok), "POST", body(o))                         // a duplicate
	w.post(t, middleware.Handle(held, ok), "POST", body(with(o, "amount", "4711"))) // a conflict
	for _, store := range []dedupe.Store{badStore{claim: errHandler}, badStore{confirm: errHandler}, badStore{confirm: dedupe.ErrLost}, badStore{confirm: errHandler, release: errHandler}} {
		send(func(c *middleware.Config) { c.Store, c.ConfirmTimeout = store, 100*time.Millisecond }, ok, "POST", body(n()))
	}
	shut := hook(nil)
	if err := shut.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.post(t, middleware.Handle(shut, ok), "POST", body(n()))

	// The limit.
	limiter, err := inbound.New(inbound.Config{Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		send(func(c *middleware.Config) { c.SourceLimiter = limiter }, ok, "POST", w.seal(t, mustKey(t, canary+"other"), "SUCCESS", n()))
	}
	w.value("Limiter", limiter)
	_, err = inbound.New(inbound.Config{Header: canary})
	w.failure("limit.New", err)

	// The gateway is asked, and says all sorts of things.
	status := object(t, "StatusQueryResponse")
	for _, change := range map[string]map[string]any{
		"good": {}, "no order": {"order_id": nil}, "other order": {"order_id": finch + "other"}, "open": {"order_status": "wait"}, "closed": {"order_status": "closed"},
		"odd": {"order_status": canary}, "no amount": {"total_amount": nil, "amount": nil}, "other amount": {"total_amount": "99999", "amount": "99999"}, "broken": {"order_status": map[string]any{canary: canary}},
	} {
		callback := n()
		answer := maps.Clone(status)
		answer["order_id"], answer["order_status"] = callback["order_id"], "success"
		for member, v := range change {
			if answer[member] = v; v == nil {
				delete(answer, member)
			}
		}
		client := w.client(t, "http://127.0.0.1:1", respond(200, w.seal(t, w.key, "SUCCESS", answer)))
		send(func(c *middleware.Config) { c.Asker = client }, func(ctx context.Context, _ *api.Notification) error {
			if d, ok := middleware.FromContext(ctx); ok {
				w.value("Delivery", d)
			}
			return nil
		}, "POST", body(callback))
	}
	for _, said := range []middleware.Answer{
		{OrderID: finch + "other", Status: "success"}, {Status: "success"}, {OrderID: "same", Status: "closed"}, {OrderID: "same", Status: "refund"},
		{OrderID: "same", Status: finch}, {OrderID: "same", Status: "success", Refund: true},
	} {
		callback := n()
		if said.OrderID == "same" {
			said.OrderID = callback["order_id"].(string)
		}
		send(func(c *middleware.Config) { c.Asker = saying(said) }, ok, "POST", body(callback))
		send(func(c *middleware.Config) { c.Asker = saying(said) }, ok, "POST", body(with(callback, "order_status", "authorised")))
	}
	for _, base := range []http.RoundTripper{respond(500, canary), respond(200, "<html>"+canary), answering(func(*http.Request) (*http.Response, error) { return nil, errors.New(canary) })} {
		client := w.client(t, "http://127.0.0.1:1", base)
		send(func(c *middleware.Config) { c.Asker = client }, ok, "POST", body(n()))
	}

	// A real server, for bodies that are too long, broken off or read before.
	server := httptest.NewUnstartedServer(middleware.Handle(hook(nil), ok))
	server.Config.ErrorLog = log.New(w.spy, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	for _, raw := range [][]byte{
		request("POST", "/"+canary, "X-A: "+canary+"\r\n", bytes.Repeat([]byte(canary), 20000)),
		[]byte("POST /" + canary + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "\r\n"),
		[]byte("POST /" + canary + " HTTP/1.1\r\nHost: " + canary + "\r\n" + canary + "\r\n\r\n"),
	} {
		w.public("answer", strings.ReplaceAll(answer(t, server, raw), canary+" ", ""))
	}
	consumed := middleware.Handle(hook(nil), ok)
	w.post(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		consumed.ServeHTTP(rw, r)
	}), "POST", body(n()))

	for _, want := range []string{
		"method", "limited", "body-too-large", "body-unreadable", "body-consumed", "no-merchant", "keys-unavailable", "not-json", "unknown-merchant", "padding", "digest",
		"merchant", "order_id", "bizpay_order_id", "finish_time", "amount", "schema", "code", "not-paid-yet", "not-confirmed", "answer-without-order", "answer-of-another-order",
		"amount-unconfirmed", "amount-mismatch", "not-expected", "ask-failed", "in-flight", "store", "claim-lost", "journal", "handler", "panic", "shutdown",
	} {
		if !reasons[want] {
			t.Errorf("no refusal for %s", want)
		}
	}
}

// saying is an Asker with an answer ready.
type saying middleware.Answer

func (s saying) Ask(context.Context, *middleware.Delivery) (middleware.Answer, error) {
	return middleware.Answer(s), nil
}

type noKeys struct{ error }

func (k noKeys) Keys(context.Context, string) ([]envelope.Key, error) { return nil, k.error }

type noJournal struct{ error }

func (j noJournal) Append(context.Context, string, []byte, dedupe.ID) error { return j.error }

// badStore is a store whose steps fail.
type badStore struct{ claim, confirm, release error }

func (s badStore) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	if s.claim != nil {
		return nil, s.claim
	}
	return badClaim(s), nil
}

type badClaim struct{ claim, confirm, release error }

func (c badClaim) Confirm(context.Context) error { return c.confirm }
func (c badClaim) Release(context.Context) error { return c.release }

// settle is what a shop runs that misses its callbacks.
func (w *watch) settle(t *testing.T) {
	for name, base := range map[string]http.RoundTripper{
		"down": respond(500, canary), "page": respond(200, "<html>"+canary), "bare": respond(200, `{"rsp_code":"FAIL","rsp_msg":"for `+canary+`@shop.example, see https://pay.example/`+canary+`"}`),
		"paid": respond(200, w.seal(t, w.key, "SUCCESS", map[string]any{"order_id": finch + "settled", "order_status": "success", "total_amount": "100", "buyer_login_id": canary, "remarks": canary})),
	} {
		cfg := w.hookConfig(dedupe.NewMemory(dedupe.MemoryConfig{}))
		cfg.Asker = w.client(t, "http://127.0.0.1:1", base)
		webhook, err := newHook(cfg)
		if err != nil {
			t.Fatal(err)
		}
		order := middleware.Order{Merchant: finchShop, ID: finch + "settled", Amount: 100}
		for _, fail := range []error{errors.New("the shop's own words"), nil} {
			result, err := webhook.Settle(t.Context(), order, func(ctx context.Context, n *api.Notification) error {
				d, _ := middleware.FromContext(ctx)
				w.value("Delivery", d)
				return fail
			})
			w.failure("Settle "+name, err)
			w.value("Result", result)
		}
		rounds := middleware.Reconciler{
			Webhook: webhook,
			Orders: func(context.Context) iter.Seq2[middleware.Order, error] {
				return func(yield func(middleware.Order, error) bool) { yield(order, nil) }
			},
			Handle: func(context.Context, *api.Notification) error { return nil },
		}
		counted, err := rounds.Round(t.Context())
		w.failure("Round", err)
		w.value("Reconciled", counted)
		for _, text := range []string{canary, `{"data":"` + canary + `"}`, w.seal(t, w.key, "SUCCESS", with(w.notification(t), "remarks", 1))} {
			_, err := webhook.Replay(t.Context(), "run", []byte(text), func(context.Context, *api.Notification) error { return nil })
			w.failure("Replay", err)
		}
	}
}
