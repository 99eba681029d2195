package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
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
