package splice_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"time"

	"net/http/httptest"
	"testing"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

const (
	publishedKey = "6698851A525C9433" // OTT Pay's published example
	merchant     = "TS00000001"
	paid         = `{"amount":"1999","bizpay_order_id":"WX240102030405000001","tip":"0","merchant_id":"TS00000001","order_id":"T1","finish_time":"20240102110405"}`
	published    = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"TS00000001","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`
)

func mustKey(tb testing.TB, text string) envelope.Key {
	tb.Helper()
	key, err := envelope.NewKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// newWebhook returns one that runs on the callback's word.
func newWebhook(tb testing.TB, change func(*middleware.Config)) *middleware.Webhook {
	tb.Helper()
	cfg := middleware.Config{
		Keys:      middleware.StaticKeys{merchant: {mustKey(tb, publishedKey)}},
		Store:     dedupe.NewMemory(dedupe.MemoryConfig{}),
		Validator: validate.New(),
		Logger:    slog.New(slog.DiscardHandler),

		InsecureTrustCallback: true,
	}
	change(&cfg)
	w, err := middleware.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func post(h http.Handler, body []byte) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/callback", bytes.NewReader(body)))
	return rw
}

// nothing is the store that remembers nothing.
type nothing struct{}

func (nothing) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	return nothing{}, nil
}
func (nothing) Confirm(context.Context) error { return nil }
func (nothing) Release(context.Context) error { return nil }
