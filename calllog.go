package ottpay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
)

// log writes the line of a call. What nobody knows the outcome of is an error,
// what was refused a warning.
func (c *Client) log(ctx context.Context, info api.ActionInfo, e *Error, err error, took time.Duration) {
	errors.As(err, &e) // which may be another one than the call began with
	level, result := slog.LevelInfo, "success"
	switch {
	case err == nil && e.Code.Class() == api.ClassPending:
		result = "pending"
	case err == nil:
	case errors.Is(err, ErrNotSent):
		level, result = slog.LevelWarn, "not-sent"
	case errors.Is(err, ErrUnknownOutcome) && info.Kind == api.KindEffect:
		level, result = slog.LevelError, "unknown"
	default:
		level, result = slog.LevelWarn, e.Class.String()
	}
	if !c.cfg.Logger.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 9),
		slog.String("action", string(info.Name)),
		slog.String("result", result),
		slog.String("merchant", c.merchant),
		slog.Duration("took", took),
	)
	if id := clean(e.OrderID, 64); id != "" {
		attrs = append(attrs, slog.String("order_id", id))
	}
	switch {
	case e.Code.Message() != "":
		attrs = append(attrs, slog.String("code", strings.ToUpper(string(e.Code))))
	case e.Code != "":
		attrs = append(attrs, slog.String("code", "other"))
	}
	// What a query that was put again has left behind says nothing any more.
	if err != nil && e.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(e.Reason)))
	}
	if err != nil && e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if violations := violations(e.Err); err != nil && violations != "" {
		attrs = append(attrs, slog.String("violations", violations))
	}
	c.cfg.Logger.LogAttrs(ctx, level, "ottpay: call", attrs...)
}
