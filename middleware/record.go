package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// record is what the log line and the observer are told of one delivery.
type record struct {
	start    time.Time
	observed func(DeliveryOutcome)

	delivery *Delivery
	result   Result
	handler  time.Duration
	release  error // a claim that could not be released
}

// begin starts the record. The observer may put a context into the request.
func (w *Webhook) begin(r **http.Request) *record {
	rec := &record{start: w.cfg.Now()}
	if w.cfg.Observer != nil {
		ctx, end := w.cfg.Observer.Delivery(*r)
		*r, rec.observed = (*r).WithContext(ctx), end
	}
	return rec
}

// refused tells everybody that the delivery was not let through and answers.
func (w *Webhook) refused(rw http.ResponseWriter, r *http.Request, rec *record, refusal *Refusal) {
	rec.result = refusal.result
	rec.log(w, r.Context(), refusal)
	rec.observe(refusal.Reason, refusal.Status)
	if w.cfg.OnRefused != nil {
		w.cfg.OnRefused(r.Context(), refusal)
	}
	refuse(rw, refusal.Status)
}

// end tells everybody that the delivery is acknowledged.
func (rec *record) end(w *Webhook, ctx context.Context, status int) {
	level := slog.LevelInfo
	if rec.result == ResultConflict {
		level = slog.LevelError // the payer may have paid twice
	}
	w.cfg.Logger.LogAttrs(ctx, level, "ottpay: callback acknowledged",
		slog.String("result", string(rec.result)),
		slog.Any("delivery", rec.delivery),
		slog.Duration("handler", rec.handler),
	)
	rec.observe("", status)
}

func (rec *record) observe(reason Reason, status int) {
	if rec.observed == nil {
		return
	}
	o := DeliveryOutcome{Result: rec.result, Reason: reason, Status: status, Handler: rec.handler}
	if d := rec.delivery; d != nil {
		o.Form = d.Payload.Form.String()
		if at, _, err := d.FinishTime.Parse(); err == nil {
			o.Lag = max(0, rec.start.Sub(at))
		}
	}
	rec.observed(o)
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
	if refusal.Err != nil {
		attrs = append(attrs, slog.String("error", refusal.Err.Error()))
	}
	if rec.release != nil {
		attrs = append(attrs, slog.String("release", rec.release.Error()))
	}
	if rec.handler > 0 {
		attrs = append(attrs, slog.Duration("handler", rec.handler))
	}
	w.cfg.Logger.LogAttrs(ctx, level, "ottpay: callback not acknowledged", attrs...)
}
