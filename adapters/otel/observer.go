// Package ottpayotel reports an OTT Pay webhook and client to OpenTelemetry.
//
//	observer, err := ottpayotel.New(ottpayotel.Config{})
//	cfg.Observer = observer              // of the webhook and of the client
//	cfg.Store = observer.Store(store)    // of the webhook
//
// # Spans
//
// A callback is a span of kind server, a call a span of kind client, named and
// attributed after the HTTP semantic conventions. Where a span of the same
// process is the parent already, as below otelhttp, the callback's is an
// internal one. What the conventions know and these spans leave out is what a
// stranger or a route may put an id into: url.path, url.query, the Host and the
// User-Agent. Of our own there are
//
//	ottpay.result           how a callback ended: handled, duplicate, conflict, in-flight, refused, limited, deferred, failed
//	ottpay.reason           which check refused or failed, a word of the list at middleware.Refusal and middleware.SendError
//	ottpay.form             in which canonical form the digest was computed
//	ottpay.action           the action that was called
//	ottpay.kind             query or effect
//	ottpay.code             the documented response code, or "other"
//	ottpay.class            its class: success, pending, duplicate, caller, failed, unclear
//	ottpay.outcome_unknown  it is not known whether the gateway acted
//	ottpay.limiter.wait     seconds that the limiter held the call back
//
// # Metrics
//
//	ottpay.deliveries          callbacks by result
//	ottpay.refusals            callbacks not acknowledged, by result and reason
//	ottpay.handler.duration    seconds that the shop's handler ran, by result
//	ottpay.delivery.lag        seconds from the payment's finish_time to the callback's arrival
//	ottpay.dedupe.hits         callbacks that another delivery is or was handled of, by result
//	ottpay.dedupe.claims       claims held at the moment ([Observer.Store])
//	ottpay.calls               calls by action, class and reason
//	ottpay.call.duration       seconds that a call took, by action and class
//	ottpay.calls.unknown       effects whose outcome is unknown, by action and reason
//	ottpay.limiter.wait        seconds that the limiter held a call back, by action
//
// No name and no attribute holds an order, a merchant or anything of a payload;
// each attribute's values are a closed list.
package ottpayotel

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ottpaykit/ottpay/middleware"
)

const scope = "github.com/ottpaykit/ottpay/adapters/otel"

// Config is what [New] makes an [Observer] of.
type Config struct {
	// TracerProvider is where spans go. If nil, the global one.
	TracerProvider trace.TracerProvider
	// MeterProvider is where metrics go. If nil, the global one.
	MeterProvider metric.MeterProvider
	// Now is the clock that calls are timed by. If nil, time.Now.
	Now func() time.Time
}

// Observer is a middleware.Observer. It is safe for concurrent use.
type Observer struct {
	tracer trace.Tracer
	now    func() time.Time

	deliveries, refusals, hits, calls, unknown metric.Int64Counter
	claims                                     metric.Int64UpDownCounter
	handler, lag, duration, wait               metric.Float64Histogram
}

var _ middleware.Observer = (*Observer)(nil)

// New returns an Observer. The error is that of the MeterProvider.
func New(cfg Config) (*Observer, error) {
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	o := &Observer{
		tracer: cfg.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		now:    cfg.Now,
	}
	m := instruments{Meter: cfg.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))}
	o.deliveries = m.counter("ottpay.deliveries", "{callback}", "Callbacks by result.")
	o.refusals = m.counter("ottpay.refusals", "{callback}", "Callbacks that were not acknowledged, by reason.")
	o.hits = m.counter("ottpay.dedupe.hits", "{callback}", "Callbacks that another delivery is or was handled of.")
	o.claims = m.upDownCounter("ottpay.dedupe.claims", "{claim}", "Claims that are held at the moment.")
	o.handler = m.histogram("ottpay.handler.duration", "How long the shop's handler ran.", .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
	o.lag = m.histogram("ottpay.delivery.lag", "From the payment's finish_time to the callback's arrival.", 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
	o.calls = m.counter("ottpay.calls", "{call}", "Calls by action and class.")
	o.duration = m.histogram("ottpay.call.duration", "How long a call took.", .05, .1, .25, .5, 1, 2.5, 5, 10, 30)
	o.unknown = m.counter("ottpay.calls.unknown", "{call}", "Effects whose outcome is unknown.")
	o.wait = m.histogram("ottpay.limiter.wait", "How long the limiter held a call back.", .001, .01, .1, .5, 1, 2.5, 5, 10, 30)
	if m.err != nil {
		return nil, m.err
	}
	return o, nil
}

// instruments makes them and keeps the first error.
type instruments struct {
	metric.Meter
	err error
}

func (m *instruments) keep(err error) {
	if m.err == nil {
		m.err = err
	}
}

func (m *instruments) counter(name, unit, description string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.keep(err)
	return c
}

func (m *instruments) upDownCounter(name, unit, description string) metric.Int64UpDownCounter {
	c, err := m.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.keep(err)
	return c
}

func (m *instruments) histogram(name, description string, bounds ...float64) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
	m.keep(err)
	return h
}

const (
	keyResult  = attribute.Key("ottpay.result")
	keyReason  = attribute.Key("ottpay.reason")
	keyForm    = attribute.Key("ottpay.form")
	keyAction  = attribute.Key("ottpay.action")
	keyKind    = attribute.Key("ottpay.kind")
	keyCode    = attribute.Key("ottpay.code")
	keyClass   = attribute.Key("ottpay.class")
	keyUnknown = attribute.Key("ottpay.outcome_unknown")
	keyWait    = attribute.Key("ottpay.limiter.wait")
)

// Delivery begins a callback's span. The handler's spans are its children.
func (o *Observer) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	ctx := r.Context()
	ctx, span := o.tracer.Start(ctx, spanName(r), trace.WithSpanKind(serverKind(ctx)), trace.WithAttributes(serverAttributes(r)...))
	return ctx, func(d middleware.DeliveryOutcome) { o.delivered(ctx, span, d) }
}

func (o *Observer) delivered(ctx context.Context, span trace.Span, d middleware.DeliveryOutcome) {
	result := keyResult.String(string(d.Result))
	if o.deliveries.Enabled(ctx) {
		o.deliveries.Add(ctx, 1, metric.WithAttributes(result))
	}
	if d.Reason != "" && o.refusals.Enabled(ctx) {
		o.refusals.Add(ctx, 1, metric.WithAttributes(result, keyReason.String(string(d.Reason))))
	}
	switch d.Result {
	case middleware.ResultDuplicate, middleware.ResultConflict, middleware.ResultInFlight:
		if o.hits.Enabled(ctx) {
			o.hits.Add(ctx, 1, metric.WithAttributes(result))
		}
	}
	if d.Handler > 0 && o.handler.Enabled(ctx) {
		o.handler.Record(ctx, d.Handler.Seconds(), metric.WithAttributes(result))
	}
	if d.Lag > 0 && o.lag.Enabled(ctx) {
		o.lag.Record(ctx, d.Lag.Seconds())
	}
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(result, semconv.HTTPResponseStatusCode(d.Status))
	if d.Reason != "" {
		span.SetAttributes(keyReason.String(string(d.Reason)))
	}
	if d.Form != "" {
		span.SetAttributes(keyForm.String(d.Form))
	}
	if d.Status >= 500 { // a server's span has failed when the server has
		span.SetAttributes(semconv.ErrorTypeKey.String(string(d.Reason)))
		span.SetStatus(codes.Error, "")
	}
}

// Call begins a call's span.
func (o *Observer) Call(r *http.Request, action, kind string) (context.Context, func(middleware.CallOutcome)) {
	if action == "" {
		action = "other"
	}
	ctx, span := o.tracer.Start(r.Context(), "POST "+action, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			semconv.HTTPRequestMethodPost,
			semconv.ServerAddress(r.URL.Hostname()),
			semconv.ServerPort(port(r.URL.Scheme, r.URL.Port())),
			keyAction.String(action),
			keyKind.String(kind),
		))
	if span.IsRecording() {
		span.SetAttributes(semconv.URLFull(fullURL(*r.URL)))
	}
	start := o.now()
	return ctx, func(c middleware.CallOutcome) { o.called(ctx, span, action, o.now().Sub(start), c) }
}

func (o *Observer) called(ctx context.Context, span trace.Span, action string, took time.Duration, c middleware.CallOutcome) {
	name, class := keyAction.String(action), keyClass.String(c.Class)
	if o.calls.Enabled(ctx) {
		o.calls.Add(ctx, 1, metric.WithAttributes(name, class, keyReason.String(string(c.Reason))))
	}
	if o.duration.Enabled(ctx) {
		o.duration.Record(ctx, took.Seconds(), metric.WithAttributes(name, class))
	}
	if c.Unknown && o.unknown.Enabled(ctx) {
		o.unknown.Add(ctx, 1, metric.WithAttributes(name, keyReason.String(string(c.Reason))))
	}
	if c.Wait > 0 && o.wait.Enabled(ctx) {
		o.wait.Record(ctx, c.Wait.Seconds(), metric.WithAttributes(name))
	}
	defer span.End()
	if !span.IsRecording() {
		return
	}
	if c.Status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(c.Status))
	}
	if c.Code != "" {
		span.SetAttributes(keyCode.String(c.Code), class)
	}
	if c.Wait > 0 {
		span.SetAttributes(keyWait.Float64(c.Wait.Seconds()))
	}
	if c.Unknown {
		span.SetAttributes(keyUnknown.Bool(true))
	}
	if c.Reason != "" {
		span.SetAttributes(keyReason.String(string(c.Reason)), semconv.ErrorTypeKey.String(string(c.Reason)))
		span.SetStatus(codes.Error, "")
	}
}

// spanName is the method and the route, which net/http and chi know.
func spanName(r *http.Request) string {
	name := method(r.Method)
	if name == "_OTHER" {
		name = "HTTP"
	}
	if route := route(r); route != "" {
		name += " " + route
	}
	return name
}

// serverKind is internal where the server has a span of its own.
func serverKind(ctx context.Context) trace.SpanKind {
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() && !parent.IsRemote() {
		return trace.SpanKindInternal
	}
	return trace.SpanKindServer
}

func serverAttributes(r *http.Request) []attribute.KeyValue {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attrs := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(method(r.Method)),
		semconv.URLScheme(scheme),
		semconv.NetworkProtocolVersion(protocol(r.ProtoMajor, r.ProtoMinor)),
	}
	if route := route(r); route != "" {
		attrs = append(attrs, semconv.HTTPRoute(route))
	}
	return attrs
}

// fullURL leaves out what need not be seen.
func fullURL(u url.URL) string {
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// route is the pattern that the request was routed by, without its method and
// host.
func route(r *http.Request) string {
	if i := strings.IndexByte(r.Pattern, '/'); i >= 0 {
		return r.Pattern[i:]
	}
	return ""
}

// method is one of those that the conventions know.
func method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return m
	}
	return "_OTHER"
}

func protocol(major, minor int) string {
	switch {
	case major >= 2:
		return string(rune('0' + major%10))
	case minor == 0:
		return "1.0"
	}
	return "1.1"
}

func port(scheme, port string) int {
	n := 0
	for _, digit := range port {
		n = n*10 + int(digit-'0')
	}
	switch {
	case n != 0:
		return n
	case scheme == "http":
		return 80
	}
	return 443
}
