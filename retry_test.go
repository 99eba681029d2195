package ottpay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/gen/api"
)

// same reads as one number for ever.
type same uint64

func (s same) Read(p []byte) (int, error) {
	return copy(p, binary.LittleEndian.AppendUint64(nil, uint64(s))), nil
}

// TestBackoffWaits: a wait is half sure and half random, doubles, and stays
// between First and Max.
func TestBackoffWaits(t *testing.T) {
	t.Parallel()
	seconds := func(list ...float64) (waits []time.Duration) {
		for _, s := range list {
			waits = append(waits, time.Duration(s*float64(time.Second)))
		}
		return waits
	}
	for name, tt := range map[string]struct {
		poll ottpay.Backoff
		rand io.Reader
		want []time.Duration
	}{
		"the least":               {ottpay.Backoff{}, same(0), seconds(0.5, 1, 2, 4, 5, 5)},
		"the most of the first":   {ottpay.Backoff{}, same(time.Second / 2), seconds(1, 1.5, 2.5, 4.5, 5.5, 5.5)},
		"beyond the first":        {ottpay.Backoff{}, same(time.Second/2 + 1), append(seconds(0.5), time.Second*3/2+1)},
		"no randomness":           {ottpay.Backoff{}, strings.NewReader(""), seconds(1, 2, 4, 8, 10, 10)},
		"too little randomness":   {ottpay.Backoff{}, strings.NewReader("1234567"), seconds(1, 2)},
		"another first":           {ottpay.Backoff{First: 3 * time.Second}, strings.NewReader(""), seconds(3, 6, 10, 10)},
		"another longest":         {ottpay.Backoff{Max: 3 * time.Second}, strings.NewReader(""), seconds(1, 2, 3, 3)},
		"first over the longest":  {ottpay.Backoff{First: 20 * time.Second, Max: time.Second}, strings.NewReader(""), seconds(20, 20)},
		"first over the default":  {ottpay.Backoff{First: 20 * time.Second}, strings.NewReader(""), seconds(20, 20)},
		"an odd number":           {ottpay.Backoff{First: 3, Max: 3}, same(1), []time.Duration{3, 3}},
		"an odd number, at least": {ottpay.Backoff{First: 3, Max: 3}, same(2), []time.Duration{2, 2}},
		"without end":             {ottpay.Backoff{First: math.MaxInt64 - 1, Max: math.MaxInt64}, strings.NewReader(""), []time.Duration{math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64}},
	} {
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) { return b.say("NO_SUCH_ORDER", "") })
		cfg := b.config()
		cfg.Poll, cfg.Rand = tt.poll, tt.rand
		var waits []time.Duration
		cfg.Sleep = func(_ context.Context, d time.Duration) error {
			if waits = append(waits, d); len(waits) >= len(tt.want) {
				return context.DeadlineExceeded
			}
			return nil
		}
		if _, err := newClient(t, cfg).Resolve(t.Context(), lost(api.ActionH5PAY)); !errors.Is(err, context.DeadlineExceeded) || !slices.Equal(waits, tt.want) {
			t.Errorf("%s: waited %v, want %v; %v", name, waits, tt.want, err)
		}
	}
}

// TestQueryIsPutAgain: after what may have passed by then, and not after what has
// not. The line names the reason and the wait.
func TestQueryIsPutAgain(t *testing.T) {
	t.Parallel()
	answer := func(body string) func(*base) (*http.Response, error) {
		return func(*base) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	fails := func(err error) func(*base) (*http.Response, error) {
		return func(*base) (*http.Response, error) { return nil, err }
	}
	is := func(code int) func(*base) (*http.Response, error) {
		return func(*base) (*http.Response, error) { return status(code, "") }
	}
	for name, tt := range map[string]struct {
		first  func(*base) (*http.Response, error)
		reason string // of the line; "" is no second attempt
	}{
		"dial":            {fails(&net.OpError{Op: "dial", Err: errors.New("refused")}), "dial"},
		"connection":      {fails(io.ErrUnexpectedEOF), "connection"},
		"an empty answer": {answer(""), "empty"},
		"a page":          {answer("<!DOCTYPE html><html>"), "html"},
		"half an answer":  {answer(`{"rsp_code":`), "malformed"},
		"408":             {is(408), "status"},
		"425":             {is(425), "status"},
		"429":             {is(429), "status"},
		"500":             {is(500), "status"},
		"503":             {is(503), "status"},
		"599":             {is(599), "status"},
		"system error":    {func(b *base) (*http.Response, error) { return b.say("SYSTEM_ERROR", "") }, "code"},
		"400":             {is(400), ""},
		"403":             {is(403), ""},
		"499":             {is(499), ""},
		"a redirect":      {is(302), ""},
		"TLS":             {fails(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}), ""},
		"no such code":    {func(b *base) (*http.Response, error) { return b.say("WHAT", "") }, ""},
		"not authentic": {func(b *base) (*http.Response, error) {
			return (&base{key: newKey(t, "ANOTHERKEY")}).say("SUCCESS", `{"order_id":"O1","order_status":"success"}`)
		}, ""},
	} {
		b := newBase(t, func(b *base, n int, _ opened) (*http.Response, error) {
			if n == 1 {
				return tt.first(b)
			}
			return b.say("SUCCESS", `{"order_id":"O1","order_status":"success"}`)
		})
		var log bytes.Buffer
		cfg := b.config()
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.Rand = same(0)
		cfg.Sleep = func(context.Context, time.Duration) error { return nil }
		_, err := newClient(t, cfg).StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"})
		again := tt.reason != ""
		if want := map[bool]int{false: 1, true: 2}[again]; b.n != want || (err == nil) != again {
			t.Errorf("%s: put %d times, want %d; %v", name, b.n, want, err)
		}
		line := fmt.Sprintf(`msg="ottpay: query put again" reason=%s attempt=1 wait=125ms`, tt.reason)
		if strings.Contains(log.String(), line) != again {
			t.Errorf("%s: logged\n%s", name, &log)
		}
	}
}

// TestQueryThatHangs: an attempt leaves time for others, and none begins that the
// deadline or the caller has ended.
func TestQueryThatHangs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		timeout  time.Duration
		attempts int
		retry    string // Retry-After of a 503; "" is to hang
		times    int
		took     time.Duration
	}{
		{30 * time.Second, 3, "", 3, 30 * time.Second},                // 10 s each
		{60 * time.Second, 2, "", 2, 20*time.Second + 20*time.Second}, // and a wait that is none here
		{12 * time.Second, 9, "", 3, 12 * time.Second},                // 5 s, the least, twice and the rest
		{4 * time.Second, 3, "", 1, 4 * time.Second},                  // no time is left
		{30 * time.Second, 3, "10", 3, 20 * time.Second},              // two waits, as the gateway asks
		{20*time.Second - 1, 3, "10", 2, 10 * time.Second},            // a nanosecond less
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBase(t, nil)
			cfg := b.config()
			n := 0
			cfg.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
				n++
				_, _ = io.Copy(io.Discard, r.Body)
				if tt.retry != "" {
					return status(503, tt.retry)
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			cfg.Timeout, cfg.Attempts, cfg.Backoff = tt.timeout, tt.attempts, ottpay.Backoff{First: 1, Max: 1}
			start := time.Now()
			_, err := newClient(t, cfg).StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "O1"})
			if took := time.Since(start).Round(time.Microsecond); err == nil || n != tt.times || took != tt.took {
				t.Errorf("%v: put %d times in %v, want %d in %v; %v", tt.timeout, n, took, tt.times, tt.took, err)
			}
		})
	}
}
