package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// record is what is known of one delivery on its way.
type record struct {
	request  *http.Request // with the context that the observer gave it
	endpoint endpoint      // nil if the delivery is only looked at
	handler  handler       // once the delivery is authentic

	start    time.Time
	opening  time.Time // when the body was there, zero if no server brought the request
	observed func(DeliveryOutcome)

	room       *[]byte // of body
	body       []byte
	unverified string // the merchant that the envelope names
	delivery   *Delivery

	result   Result
	doubt    Reason        // why a duplicate that says something else raises no alarm
	took     time.Duration // by the handler
	release  error         // a claim that could not be released
	answered bool

	refusal Refusal // room for that of a delivery that is not authentic
}

// refuse refuses a delivery that is not authentic, for good. It takes no memory.
func (rec *record) refuse(status int, reason Reason) *Refusal {
	rec.refusal = Refusal{Status: status, Reason: reason, result: ResultRefused}
	return &rec.refusal
}

// begin starts the record. The observer may put a context into the request.
func (w *Webhook) begin(rec *record) {
	rec.start = w.cfg.Now()
	if w.cfg.Observer != nil {
		ctx, end := w.cfg.Observer.Delivery(rec.request)
		rec.request, rec.observed = rec.request.WithContext(ctx), end
	}
}

// about completes a refusal with what is known of the delivery.
func (w *Webhook) about(rec *record, refusal *Refusal) *Refusal {
	if d := rec.delivery; d != nil {
		_ = refusal.about(d)
	}
	if isMerchant(rec.unverified) { // or it is not for a log
		refusal.UnverifiedMerchant = rec.unverified
	}
	if rec.request != nil {
		refusal.Source = w.source(rec.request)
	}
	refusal.body = rec.body
	return refusal
}

// source is the address that the request came from, "" if it cannot be told.
func (w *Webhook) source(r *http.Request) string {
	if l, ok := w.cfg.SourceLimiter.(interface {
		Source(*http.Request) (netip.Addr, bool)
	}); ok {
		if addr, ok := l.Source(r); ok {
			return addr.String()
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return short(host)
}

// tell reports a delivery that was not let through, and returns the status to
// answer. A panic in what is told does not keep the others from being told.
func (w *Webhook) tell(rec *record, refusal *Refusal) (status int) {
	_ = w.about(rec, refusal)
	rec.result, status = refusal.result, refusal.Status
	ctx := rec.request.Context()
	tell := func(f func()) {
		panicked := guarded(f)
		if panicked == nil {
			return
		}
		_ = w.about(rec, panicked)
		rec.result, status = panicked.result, panicked.Status
		_ = guarded(func() { rec.log(ctx, w, panicked, 0) }) // the log itself may be what panics
	}
	dropped, told := 0, true
	tell(func() { dropped, told = w.lines.take(rec.kind(refusal), rec.start) })
	if told {
		tell(func() { rec.log(ctx, w, refusal, dropped) })
	}
	if w.cfg.OnRefused != nil && (told || !refusal.Authentic()) {
		tell(func() { w.refused(ctx, *refusal) })
	}
	tell(func() { rec.observe(refusal.Reason, status) })
	return status
}

// refused calls OnRefused, which may keep the refusal but not its body.
func (w *Webhook) refused(ctx context.Context, refusal Refusal) {
	defer func() { refusal.body = nil }()
	w.cfg.OnRefused(ctx, &refusal)
}

// kind is what a refusal is a sample of.
func (rec *record) kind(refusal *Refusal) sampled {
	k := sampled{what: string(refusal.Reason)}
	switch {
	case rec.delivery != nil:
		k.id.Key = dedupe.Identify(rec.delivery.Merchant, refusal.OrderID, rec.delivery.Kind).Key
	case errors.Is(refusal.Err, errNeverOpened):
		k.merchant = refusal.UnverifiedMerchant
	}
	return k
}

// end reports that the delivery is acknowledged.
func (w *Webhook) end(rec *record) {
	level := slog.LevelInfo
	attrs := make([]slog.Attr, 0, 6)
	attrs = append(attrs,
		slog.String("result", string(rec.result)),
		slog.Any("delivery", rec.delivery),
		slog.Duration("handler", rec.took),
	)
	d := rec.delivery
	told := true
	if rec.result != ResultHandled { // which anybody who has it can bring again and again
		var dropped int
		if dropped, told = w.lines.take(sampled{what: string(rec.result), id: d.ID}, rec.start); dropped > 0 {
			attrs = append(attrs, slog.Int("suppressed", dropped))
		}
	}
	doubt := rec.doubt
	if doubt == "" {
		doubt = d.unusual
	}
	switch {
	case rec.result == ResultConflict:
		level = slog.LevelError // the payer may have paid twice
	case doubt != "":
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("reason", string(doubt)))
	}
	if misfits := d.Notification.Misfits(); len(misfits) > 0 {
		level = max(level, slog.LevelWarn)
		attrs = append(attrs, slog.Any("misfits", misfits))
	}
	ctx := rec.request.Context()
	if told {
		w.cfg.Logger.LogAttrs(ctx, level, "ottpay: callback acknowledged", attrs...)
	}
	if told && rec.result == ResultConflict && w.cfg.OnConflict != nil {
		w.cfg.OnConflict(ctx, d)
	}
	rec.observe(rec.doubt, http.StatusOK)
}

func (rec *record) observe(reason Reason, status int) {
	end := rec.observed
	if end == nil {
		return
	}
	rec.observed = nil // it is called once, also when it panics
	o := DeliveryOutcome{Result: rec.result, Reason: reason, Status: status, Handler: rec.took}
	if d := rec.delivery; d != nil {
		o.Form = d.Payload.Form.String()
		if at, _, err := d.FinishTime.Parse(); err == nil {
			o.Lag = max(0, rec.start.Sub(at))
		}
	}
	end(o)
}

// log writes the line of a refusal. What a stranger can bring about is a
// warning; what concerns an authentic notification or the shop's own parts is
// an error, but for what another delivery or the payer is at work on.
func (rec *record) log(ctx context.Context, w *Webhook, refusal *Refusal, dropped int) {
	level := slog.LevelError
	switch {
	case errors.Is(refusal.Err, errNeverOpened):
	case refusal.result == ResultRefused && !refusal.Authentic(), refusal.result == ResultLimited:
		level = slog.LevelWarn
	case refusal.result == ResultInFlight, refusal.Reason == ReasonNotPaidYet, refusal.Reason == ReasonShutdown:
		level = slog.LevelInfo
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("result", string(refusal.result)),
		slog.String("reason", string(refusal.Reason)),
		slog.Int("status", refusal.Status),
	)
	switch {
	case refusal.Authentic():
		attrs = append(attrs, slog.String("merchant", refusal.Merchant))
	case refusal.UnverifiedMerchant != "":
		attrs = append(attrs, slog.String("unverified_merchant", refusal.UnverifiedMerchant))
	}
	if refusal.OrderID != "" {
		attrs = append(attrs, slog.String("order_id", short(refusal.OrderID)))
	}
	if refusal.Source != "" {
		attrs = append(attrs, slog.String("source", refusal.Source))
	}
	attrs = appendError(attrs, refusal.Err)
	if rec.release != nil {
		attrs = append(attrs, slog.String("release", rec.release.Error()))
	}
	if rec.took > 0 {
		attrs = append(attrs, slog.Duration("handler", rec.took))
	}
	if dropped > 0 {
		attrs = append(attrs, slog.Int("suppressed", dropped))
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
