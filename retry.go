package ottpay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"encoding/binary"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Backoff is how long to wait between repeated questions: half of it sure, half
// of it random, doubled each time.
type Backoff struct {
	First time.Duration // the first wait
	Max   time.Duration // the longest one
}

func (b Backoff) or(first, longest time.Duration) Backoff {
	b.First = or(b.First, first)
	b.Max = max(or(b.Max, longest), b.First)
	return b
}

// delay returns the nth wait, from 1 on.
func (c *Client) delay(b Backoff, n int) time.Duration {
	d := b.First
	for ; n > 1 && d < b.Max; n-- {
		d += min(d, b.Max-d) // which does not overflow, as the double may
	}
	d = min(d, b.Max)
	var random [8]byte
	if _, err := io.ReadFull(c.cfg.Rand, random[:]); err != nil {
		return d
	}
	half := uint64(d / 2)
	return d - time.Duration(half) + time.Duration(binary.LittleEndian.Uint64(random[:])%(half+1))
}

// again waits and reports true if the query's nth attempt is worth another.
func (a *attempt) again(ctx context.Context, n int, err error) bool {
	if n >= a.cfg.Attempts || ctx.Err() != nil || !a.passing(err) {
		return false
	}
	wait := a.delay(a.cfg.Backoff, n)
	reason := middleware.ReasonCode
	var failed *Error
	if errors.As(err, &failed) {
		wait, reason = max(wait, failed.RetryAfter), failed.Reason
	}
	if deadline, ok := ctx.Deadline(); ok && a.cfg.Now().Add(wait).After(deadline) {
		return false
	}
	a.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "ottpay: query put again",
		slog.String("reason", string(reason)), slog.Int("attempt", n), slog.Duration("wait", wait))
	return a.cfg.Sleep(ctx, wait) == nil
}

// passing reports whether what went wrong with a query may be over by the next
// one. A wrong key, a redirect or a refused request will not.
func (a *attempt) passing(err error) bool {
	if err == nil {
		code := api.Code(a.reply.Code)
		return code.Message() != "" && code.Class() == api.ClassUnclear
	}
	var failed *Error
	if !errors.As(err, &failed) {
		return false
	}
	switch failed.Reason {
	case middleware.ReasonDial, middleware.ReasonConnection, middleware.ReasonTimeout,
		middleware.ReasonEmpty, middleware.ReasonHTML, middleware.ReasonMalformed:
		return true
	case middleware.ReasonStatus:
		switch failed.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		}
		return failed.Status >= 500
	}
	return false
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
