package ottpay

import (
	"context"
	"log/slog"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// log writes the line of a call. failed is nil if it succeeded. An unknown
// outcome is an error, every other failure a warning.
func (a *attempt) log(failed *Error) {
	level, result := slog.LevelInfo, "success"
	var code api.Code
	if a.reply != nil {
		code = api.Code(clean(a.reply.Code, 64))
	}
	switch {
	case failed == nil && code.Class() == api.ClassPending:
		result = "pending"
	case failed == nil:
	case a.expected(failed):
		result = "unknown-order"
	case failed.NotSent:
		level, result = slog.LevelWarn, "not-sent"
	case failed.unknown() && a.info.Kind == api.KindEffect:
		level, result = slog.LevelError, "unknown"
	default:
		level, result = slog.LevelWarn, failed.Class.String()
	}
	if !a.cfg.Logger.Enabled(a.ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 9),
		slog.String("action", string(a.info.Name)),
		slog.String("result", result),
		slog.String("merchant", a.merchant),
		slog.Duration("took", a.cfg.Now().Sub(a.start)),
	)
	if id := clean(a.call.OrderID, 64); id != "" {
		attrs = append(attrs, slog.String("order_id", id))
	}
	if text := codeText(code, a.call.Data); text != "" {
		attrs = append(attrs, slog.String("code", text))
	}
	if len(a.misfits) > 0 {
		attrs = append(attrs, slog.Any("misfits", a.misfits))
	}
	if failed != nil {
		attrs = append(attrs, failed.attrs()...)
	}
	a.cfg.Logger.LogAttrs(a.ctx, level, "ottpay: call", attrs...)
}

// attrs are what a line says of the error beside the call.
func (e *Error) attrs() []slog.Attr {
	var attrs []slog.Attr
	if e.said != "" {
		attrs = append(attrs, slog.String("gateway", e.said))
	}
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(e.Reason)))
	}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if violations := violations(e.Err); violations != "" {
		attrs = append(attrs, slog.String("violations", violations))
	} else if detail := middleware.Detail(e.Err); detail != "" {
		attrs = append(attrs, slog.String("detail", detail))
	}
	return attrs
}

// quietly returns a context under which a query may find nothing: RefundOnce
// asks for a refund that was never sent.
func quietly(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

type quietKey struct{}

// expected reports whether the failure is what RefundOnce hopes for.
func (a *attempt) expected(failed *Error) bool {
	return a.ctx.Value(quietKey{}) != nil && noSuchOrder(failed)
}
