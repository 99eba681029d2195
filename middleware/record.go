package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// record is what the log line and the observer are told of one delivery.
type record struct {
	request  *http.Request // with the context that the observer gave it
	start    time.Time
	observed func(DeliveryOutcome)

	delivery *Delivery
	result   Result
	doubt    Reason // why a duplicate that says something else raises no alarm
	handler  time.Duration
	release  error // a claim that could not be released
	answered bool
}

// begin starts the record. The observer may put a context into the request.
func (w *Webhook) begin(rec *record) {
	rec.start = w.cfg.Now()
	if w.cfg.Observer != nil {
		ctx, end := w.cfg.Observer.Delivery(rec.request)
		rec.request, rec.observed = rec.request.WithContext(ctx), end
	}
}

// tell reports a delivery that was not let through, and returns the status to
// answer. A panic in what is told does not keep the others from being told.
func (w *Webhook) tell(rec *record, refusal *Refusal) (status int) {
	if rec.delivery != nil {
		refusal.about(rec.delivery)
	}
	rec.result, status = refusal.result, refusal.Status
	ctx := rec.request.Context()
	tell := func(f func()) {
		panicked := guarded(func() *Refusal { f(); return nil })
		if panicked == nil {
			return
		}
		rec.result, status = panicked.result, panicked.Status
		guarded(func() *Refusal { rec.log(w, ctx, panicked); return nil }) // the log itself may be what panics
	}
	tell(func() { rec.log(w, ctx, refusal) })
	if w.cfg.OnRefused != nil {
		tell(func() { w.cfg.OnRefused(ctx, refusal) })
	}
	tell(func() { rec.observe(refusal.Reason, status) })
	return status
}

// end reports that the delivery is acknowledged.
func (rec *record) end(w *Webhook) {
	level := slog.LevelInfo
	attrs := make([]slog.Attr, 0, 4)
	attrs = append(attrs,
		slog.String("result", string(rec.result)),
		slog.Any("delivery", rec.delivery),
		slog.Duration("handler", rec.handler),
	)
	switch {
	case rec.result == ResultConflict:
		level = slog.LevelError // the payer may have paid twice
	case rec.doubt != "":
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("reason", string(rec.doubt)))
	}
	w.cfg.Logger.LogAttrs(rec.request.Context(), level, "ottpay: callback acknowledged", attrs...)
	rec.observe(rec.doubt, http.StatusOK)
}

func (rec *record) observe(reason Reason, status int) {
	end := rec.observed
	if end == nil {
		return
	}
	rec.observed = nil // it is called once, also when it panics
	o := DeliveryOutcome{Result: rec.result, Reason: reason, Status: status, Handler: rec.handler}
	if d := rec.delivery; d != nil {
		o.Form = d.Payload.Form.String()
		if at, _, err := d.FinishTime.Parse(); err == nil {
			o.Lag = max(0, rec.start.Sub(at))
		}
	}
	end(o)
}

// log writes the line of a refusal. What a stranger can bring about is a
// warning and sampled; what concerns an authentic notification is an error,
// but for another delivery's being at work on it.
func (rec *record) log(w *Webhook, ctx context.Context, refusal *Refusal) {
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("result", string(refusal.result)),
		slog.String("reason", string(refusal.Reason)),
		slog.Int("status", refusal.Status),
	)
	level := slog.LevelError
	switch {
	case refusal.result == ResultRefused && !refusal.Authentic(), refusal.result == ResultLimited:
		level = slog.LevelWarn
		dropped, ok := w.forged.take()
		if !ok {
			return
		}
		if dropped > 0 {
			attrs = append(attrs, slog.Int("suppressed", dropped))
		}
	case refusal.result == ResultInFlight, refusal.Reason == ReasonNotPaidYet, refusal.Reason == ReasonShutdown:
		level = slog.LevelInfo
	}
	if refusal.OrderID != "" {
		attrs = append(attrs, slog.String("merchant", refusal.Merchant), slog.String("order_id", short(refusal.OrderID)))
	}
	attrs = appendError(attrs, refusal.Err)
	if rec.release != nil {
		attrs = append(attrs, slog.String("release", rec.release.Error()))
	}
	if rec.handler > 0 {
		attrs = append(attrs, slog.Duration("handler", rec.handler))
	}
	w.cfg.Logger.LogAttrs(ctx, level, "ottpay: callback not acknowledged", attrs...)
}

// appendError adds err, if it is one, and the stack of a panic.
func appendError(attrs []slog.Attr, err error) []slog.Attr {
	if err == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("error", err.Error()))
	var panicked *PanicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
	}
	return attrs
}
