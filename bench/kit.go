package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	signKey    = "6698851A525C9433" // OTT Pay's published example
	merchantID = "QC00005496"
	// seedPayload is the decrypted callback that the vendor's page prints.
	seedPayload = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`
)

// seal returns the seed's callback under a sign key.
func seal(tb testing.TB, signKey string) (envelope.Response, []byte) {
	tb.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	sealed, err := key.Seal([]byte(seedPayload))
	if err != nil {
		tb.Fatal(err)
	}
	r := envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchantID, Sealed: sealed}
	body, err := json.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	return r, body
}

func keys(tb testing.TB) middleware.StaticKeys {
	tb.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	return middleware.StaticKeys{merchantID: {key}}
}

// newWebhook returns the kit's webhook. It runs on the callback's word, because
// no peer asks anyone either.
func newWebhook(tb testing.TB, change func(*middleware.Config)) *middleware.Webhook {
	tb.Helper()
	cfg := middleware.Config{
		Keys:   keys(tb),
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	cfg.InsecureTrustCallback = cfg.Asker == nil
	w, err := ottpay.NewWebhook(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// distinct gives every delivery an identity of its own, so that each is
// handled although all have the same bytes.
func distinct(cfg *middleware.Config) {
	var n atomic.Uint64
	cfg.Identify = func(*middleware.Delivery) dedupe.ID {
		var id dedupe.ID
		binary.BigEndian.PutUint64(id.Key[:], n.Add(1))
		return id
	}
}

// requests repeats one request without cost to the benchmark.
type requests struct {
	bytes.Reader
	raw []byte
	r   *http.Request
}

func newRequests(raw []byte, header http.Header) *requests {
	q := &requests{raw: raw, r: httptest.NewRequest(http.MethodPost, "/", nil)}
	q.r.ContentLength = int64(len(raw))
	for name, values := range header {
		q.r.Header[name] = values
	}
	return q
}

func (q *requests) Close() error { return nil }

func (q *requests) next() *http.Request {
	q.Reset(q.raw)
	q.r.Body = q
	return q.r
}

// discard is a response that costs the benchmark nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func open() Group {
	return Group{Name: "Open", Title: "Decrypt and verify one callback", Rows: []Row{
		{"ottpay", "`envelope.Key.Open`: strict, the digest recomputed, four canonical forms", func(b *testing.B) {
			key, err := envelope.NewKey(signKey)
			if err != nil {
				b.Fatal(err)
			}
			r, _ := seal(b, signKey)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Open(r.Sealed); err != nil {
					b.Fatal(err)
				}
			}
		}},
		{"afternoon", "what an integrator writes with encoding/json; the digest is recomputed", func(b *testing.B) {
			r, _ := seal(b, signKey)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plainOpen(signKey, r.Sealed); err != nil {
					b.Fatal(err)
				}
			}
		}},
		{"unverified", "what public integrations do: decrypt, and never recompute the digest", func(b *testing.B) {
			r, _ := seal(b, signKey)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plainDecrypt(signKey, r.Sealed); err != nil {
					b.Fatal(err)
				}
			}
		}},
	}}
}

func receive() Group {
	g := Group{Name: "Receive", Title: "Body bytes to a verified, typed and validated notification", Rows: []Row{
		{"ottpay", "`Webhook.Check`", func(b *testing.B) {
			w := newWebhook(b, nil)
			_, raw := seal(b, signKey)
			q := newRequests(raw, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Check(q.next()); err != nil {
					b.Fatal(err)
				}
			}
		}},
		{"afternoon", "what an integrator writes; the digest is recomputed", func(b *testing.B) {
			v := newValidator()
			_, raw := seal(b, signKey)
			q := newRequests(raw, nil)
			b.ReportAllocs()
			for b.Loop() {
				body, err := io.ReadAll(q.next().Body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := plainReceive(v, signKey, body); err != nil {
					b.Fatal(err)
				}
			}
		}},
	}}
	for _, p := range peers() {
		g.Rows = append(g.Rows, Row{p.name, p.note, func(b *testing.B) {
			raw, header := p.sign([]byte(seedPayload), "evt_1", now())
			q := newRequests(raw, header)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.receive(q.next()); err != nil {
					b.Fatal(err)
				}
			}
		}})
	}
	return g
}

func forgery() Group {
	g := Group{Name: "Forgery", Title: "Refuse a forged body", Rows: []Row{
		{"ottpay", "`Webhook.Check`, sealed under a foreign key", func(b *testing.B) {
			w := newWebhook(b, nil)
			_, raw := seal(b, "a foreign sign key")
			q := newRequests(raw, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Check(q.next()); err == nil {
					b.Fatal("a forgery was opened")
				}
			}
		}},
	}}
	for _, p := range peers() {
		g.Rows = append(g.Rows, Row{p.name, "one letter of the signed body changed", func(b *testing.B) {
			raw, header := p.sign([]byte(seedPayload), "evt_1", now())
			raw = bytes.Replace(raw, []byte(`1`), []byte(`2`), 1)
			q := newRequests(raw, header)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.receive(q.next()); err == nil {
					b.Fatal("a forgery was accepted")
				}
			}
		}})
	}
	return g
}

func webhook() Group {
	serve := func(h func(tb testing.TB, runs *int) http.Handler, everyRuns bool) func(b *testing.B) {
		return func(b *testing.B) {
			runs := 0
			handler := h(b, &runs)
			_, raw := seal(b, signKey)
			q, rw := newRequests(raw, nil), discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(rw, q.next())
			}
			if everyRuns && runs != b.N || runs == 0 {
				b.Fatalf("the handler ran %d times for %d deliveries", runs, b.N)
			}
		}
	}
	kit := func(change func(*middleware.Config)) func(tb testing.TB, runs *int) http.Handler {
		return func(tb testing.TB, runs *int) http.Handler {
			return middleware.Handle(newWebhook(tb, change), func(context.Context, *api.Notification) error { *runs++; return nil })
		}
	}
	return Group{Name: "Webhook", Title: "A whole delivery, from the request to the acknowledgement", Rows: []Row{
		{"ottpay", "claim, handler, confirm, acknowledgement; memory store", serve(kit(distinct), true)},
		{"duplicate", "opened, verified, found done, acknowledged", serve(kit(nil), false)},
		{"bare", "reads the body and unmarshals the envelope: no key, no check, no store", serve(func(_ testing.TB, runs *int) http.Handler {
			return bare(func() { *runs++ })
		}, true)},
	}}
}

// bare is the least that an endpoint can do: it believes everything.
func bare(run func()) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var e plainEnvelope
		if err != nil || json.Unmarshal(body, &e) != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		run()
		_, _ = io.WriteString(rw, "SUCCESS")
	})
}
