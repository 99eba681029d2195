package middleware_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const seedPayload = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"TS00000001","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`

// rewindBody is a request body that costs the benchmark nothing.
type rewindBody struct{ bytes.Reader }

func (*rewindBody) Close() error { return nil }

// BenchmarkCheck measures body bytes to a typed, validated notification.
func BenchmarkCheck(b *testing.B) {
	w := newWebhook(b, nil)
	raw := callback(b, seedPayload)
	body := &rewindBody{}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.ContentLength = int64(len(raw))
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(raw)
		r.Body = body
		if _, err := w.Check(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckForged measures what a stranger costs.
func BenchmarkCheckForged(b *testing.B) {
	w := newWebhook(b, nil)
	raw := callbackWith(b, "wrong", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, seedPayload)
	body := &rewindBody{}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.ContentLength = int64(len(raw))
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(raw)
		r.Body = body
		if _, err := w.Check(r); err == nil {
			b.Fatal("no error")
		}
	}
}

// nothing is the store that remembers nothing.
type nothing struct{}

func (nothing) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	return nothing{}, nil
}
func (nothing) Confirm(context.Context) error { return nil }
func (nothing) Release(context.Context) error { return nil }

// BenchmarkWebhook measures a whole delivery with the memory store beside one
// with a store that does nothing.
func BenchmarkWebhook(b *testing.B) {
	for name, store := range map[string]func() dedupe.Store{
		"nothing": func() dedupe.Store { return nothing{} },
		"memory":  newMemory,
	} {
		b.Run(name, func(b *testing.B) {
			w := newWebhook(b, func(cfg *middleware.Config) {
				cfg.Store = store()
				// A new identity each time: every delivery is handled.
				var n uint64
				cfg.Identify = func(d *middleware.Delivery) dedupe.ID {
					n++
					id := dedupe.ID{}
					for i := range 8 {
						id.Key[i] = byte(n >> (8 * i))
					}
					return id
				}
			})
			runs := 0
			h := middleware.Handle(w, func(context.Context, *api.Notification) error { runs++; return nil })
			raw := callback(b, seedPayload)
			body := &rewindBody{}
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.ContentLength = int64(len(raw))
			rw := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(raw)
				r.Body = body
				h.ServeHTTP(rw, r)
			}
			if runs != b.N {
				b.Fatalf("the handler ran %d times for %d deliveries", runs, b.N)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (d discard) WriteHeader(int)             {}
