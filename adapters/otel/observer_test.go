package ottpayotel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/ottpaykit/ottpay"
	ottpayotel "github.com/ottpaykit/ottpay/adapters/otel"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/dedupe/dedupetest"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// What may be in no span and no metric.
const (
	signKey  = "6698851A525C9433"
	merchant = "TS00000001"
	order    = "CANARYORDER1"
	channel  = "CANARYCHANNEL1"
)

// backend is an OpenTelemetry SDK that keeps everything.
type backend struct {
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
	tracer *sdktrace.TracerProvider
	*ottpayotel.Observer
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	b.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(b.spans))
	o, err := ottpayotel.New(ottpayotel.Config{
		TracerProvider: b.tracer,
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Observer = o
	return b
}

// metrics returns the sum or the count of each series, by its name and
// attributes.
func (b *backend) metrics(t *testing.T) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := b.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	series := make(map[string]int64)
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					series[name(m.Name, p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					series[name(m.Name, p.Attributes)] = int64(p.Count)
				}
			default:
				t.Fatalf("%s is %T", m.Name, data)
			}
		}
	}
	return series
}

func name(metric string, attrs attribute.Set) string {
	return metric + " " + attrs.Encoded(attribute.DefaultEncoder())
}

func attributes(s sdktrace.ReadOnlySpan) map[string]string {
	attrs := make(map[string]string)
	for _, a := range s.Attributes() {
		attrs[string(a.Key)] = a.Value.String()
	}
	return attrs
}

func key(tb testing.TB) envelope.Key {
	tb.Helper()
	k, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func callback(tb testing.TB) []byte {
	tb.Helper()
	sealed, err := key(tb).Seal(fmt.Appendf(nil, `{"amount":"1999","bizpay_order_id":%q,"finish_time":"20240102110405","merchant_id":%q,"order_id":%q}`, channel, merchant, order))
	if err != nil {
		tb.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func newWebhook(t *testing.T, b *backend) *middleware.Webhook {
	t.Helper()
	w, err := ottpay.NewWebhook(middleware.Config{
		Keys:     middleware.StaticKeys{merchant: {key(t)}},
		Store:    b.Store(dedupe.NewMemory(dedupe.MemoryConfig{})),
		Observer: b,
		Asker:    ottpaytest.Asker{},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	fail := true
	mux := http.NewServeMux()
	mux.Handle("POST /pay/{channel}", middleware.Handle(newWebhook(t, b), func(ctx context.Context, _ *api.Notification) error {
		if !trace.SpanContextFromContext(ctx).IsValid() {
			t.Error("the handler is in no span")
		}
		if got := b.metrics(t)["ottpay.dedupe.claims "]; got != 1 {
			t.Errorf("%d claims are held", got)
		}
		if fail {
			return errors.New("no stock of " + order)
		}
		return nil
	}))
	post := func(body []byte) {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/pay/"+order+"?merchant="+merchant, bytes.NewReader(body)))
	}
	post(callback(t)) // fails
	fail = false
	post(callback(t)) // handled
	post(callback(t)) // duplicate
	post([]byte("{}"))

	type span struct{ result, reason, status, errorType string }
	want := []span{
		{"failed", "handler", "503", "handler"},
		{"handled", "", "200", ""},
		{"duplicate", "", "200", ""},
		{"refused", "member-missing", "400", ""},
	}
	ended := b.spans.Ended()
	if len(ended) != len(want) {
		t.Fatalf("%d spans, want %d", len(ended), len(want))
	}
	for i, s := range ended {
		attrs := attributes(s)
		got := span{attrs["ottpay.result"], attrs["ottpay.reason"], attrs["http.response.status_code"], attrs["error.type"]}
		if want[i].result == "refused" {
			want[i].reason = got.reason // one of envelope's words
		}
		if got != want[i] {
			t.Errorf("span %d: %+v, want %+v", i, got, want[i])
		}
		if s.Name() != "POST /pay/{channel}" || attrs["http.route"] != "/pay/{channel}" || attrs["http.request.method"] != "POST" || attrs["url.scheme"] != "http" {
			t.Errorf("span %d: %s %v", i, s.Name(), attrs)
		}
		if s.SpanKind() != trace.SpanKindServer {
			t.Errorf("span %d is of kind %v", i, s.SpanKind())
		}
		if failed := s.Status().Code == codes.Error; failed != (want[i].status == "503") {
			t.Errorf("span %d: status %v", i, s.Status())
		}
		if (attrs["ottpay.form"] != "") != (want[i].status != "400") {
			t.Errorf("span %d: form %q", i, attrs["ottpay.form"])
		}
	}

	got := b.metrics(t)
	for series, n := range map[string]int64{
		"ottpay.deliveries ottpay.result=handled":                                                           1,
		"ottpay.deliveries ottpay.result=failed":                                                            1,
		"ottpay.deliveries ottpay.result=duplicate":                                                         1,
		"ottpay.deliveries ottpay.result=refused":                                                           1,
		"ottpay.refusals ottpay.reason=handler,ottpay.result=failed":                                        1,
		"ottpay.refusals ottpay.reason=" + attributes(ended[3])["ottpay.reason"] + ",ottpay.result=refused": 1,
		"ottpay.dedupe.hits ottpay.result=duplicate":                                                        1,
		"ottpay.handler.duration ottpay.result=handled":                                                     1,
		"ottpay.handler.duration ottpay.result=failed":                                                      1,
		"ottpay.delivery.lag ":                                                                              3,
		"ottpay.dedupe.claims ":                                                                             0,
	} {
		if value, ok := got[series]; !ok || value != n {
			t.Errorf("%s is %d, want %d", series, value, n)
		}
		delete(got, series)
	}
	if len(got) > 0 {
		t.Errorf("more series: %v", got)
	}
	clean(t, b)
}

// A span of the server's own makes ours a part of it.
func TestDeliveryBelowAnother(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	ctx, outer := b.tracer.Tracer("otelhttp").Start(t.Context(), "POST")
	r := httptest.NewRequest("POST", "/", bytes.NewReader(callback(t))).WithContext(ctx)
	newWebhook(t, b).Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	outer.End()
	s := b.spans.Ended()[0]
	if s.SpanKind() != trace.SpanKindInternal || s.Parent().SpanID() != outer.SpanContext().SpanID() {
		t.Errorf("kind %v, parent %v", s.SpanKind(), s.Parent().SpanID())
	}
}

// gateway answers every call as it is told.
type gateway func(*http.Request) (*http.Response, error)

func (g gateway) RoundTrip(r *http.Request) (*http.Response, error) { return g(r) }

// limiter takes a while.
type limiter struct{}

func (limiter) Wait(context.Context) error { return nil }

func TestCall(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) gateway {
		return func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			if !trace.SpanContextFromContext(r.Context()).IsValid() {
				t.Error("the request is sent in no span")
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	refused := `{"rsp_code":"ORDER_NOT_EXISTS","rsp_msg":"` + order + `","merchant_id":"` + merchant + `"}`
	for _, test := range []struct {
		name, action  string
		base          gateway
		span          map[string]string // "" for what must not be there
		metrics       []string
		unset, failed bool
	}{
		{
			"answered", "STATUS_QUERY", answer(200, refused),
			map[string]string{"ottpay.kind": "query", "http.response.status_code": "200", "ottpay.reason": "", "error.type": "", "ottpay.outcome_unknown": ""},
			[]string{"ottpay.call.duration ", "ottpay.calls ", "ottpay.limiter.wait "}, false, false,
		},
		{
			"unknown", "REFUND", answer(502, "<html>"),
			map[string]string{"ottpay.kind": "effect", "http.response.status_code": "502", "ottpay.reason": "status", "error.type": "status", "ottpay.outcome_unknown": "true", "ottpay.code": ""},
			[]string{"ottpay.call.duration ", "ottpay.calls ", "ottpay.calls.unknown ottpay.action=REFUND,ottpay.reason=status", "ottpay.limiter.wait "}, false, true,
		},
		{
			"not an action", order, answer(200, refused),
			map[string]string{"ottpay.action": "other", "ottpay.kind": "effect"},
			[]string{"ottpay.call.duration ottpay.action=other", "ottpay.calls ottpay.action=other", "ottpay.limiter.wait "}, false, false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			now := time.Unix(0, 0)
			transport := &middleware.Transport{
				Keys: middleware.StaticKeys{merchant: {key(t)}}, Base: test.base, Observer: b, Limiter: limiter{},
				Now: func() time.Time { now = now.Add(time.Second); return now },
			}
			body := fmt.Sprintf(`{"action":%q,"version":"1.0","merchant_id":%q,"data":{"order_id":%q}}`, test.action, merchant, order)
			r, err := http.NewRequestWithContext(t.Context(), "POST", "https://frontapi.example:8443/process?token="+merchant, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := transport.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
			ended := b.spans.Ended()
			if len(ended) != 1 || ended[0].SpanKind() != trace.SpanKindClient {
				t.Fatalf("spans: %v", ended)
			}
			attrs := attributes(ended[0])
			test.span["url.full"] = "https://frontapi.example:8443/process"
			test.span["server.address"] = "frontapi.example"
			test.span["server.port"] = "8443"
			test.span["http.request.method"] = "POST"
			for k, want := range test.span {
				if attrs[k] != want {
					t.Errorf("%s is %q, want %q", k, attrs[k], want)
				}
			}
			if ended[0].Name() != "POST "+attrs["ottpay.action"] {
				t.Errorf("the span is called %q", ended[0].Name())
			}
			if failed := ended[0].Status().Code == codes.Error; failed != test.failed {
				t.Errorf("status %v", ended[0].Status())
			}
			metrics := b.metrics(t)
			if len(metrics) != len(test.metrics) {
				t.Errorf("series: %v, want %v", metrics, test.metrics)
			}
			for _, want := range test.metrics {
				found := false
				for series, n := range metrics {
					found = found || strings.HasPrefix(series, want) && n == 1
				}
				if !found {
					t.Errorf("no %s in %v", want, metrics)
				}
			}
			clean(t, b)
		})
	}
}

// clean checks that no secret and no id is in what was reported.
func clean(t *testing.T, b *backend) {
	t.Helper()
	text := fmt.Sprintf("%+v", b.metrics(t))
	for _, s := range b.spans.Ended() {
		text += fmt.Sprintf("%s %v %v %v\n", s.Name(), s.Attributes(), s.Events(), s.Status())
	}
	for _, secret := range []string{order, merchant, signKey, channel, "1999"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
}

// The decorated store is a store.
func TestStore(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dedupetest.Run(t, func(t *testing.T) dedupetest.Harness {
		return dedupetest.Harness{Store: b.Store(dedupe.NewMemory(dedupe.MemoryConfig{}))}
	})
}

// provider is a store whose claims provide something, or nothing, to the
// handler, and cannot be ended.
type provider struct{ provides bool }

func (p provider) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	if p.provides {
		return providingClaim{}, nil
	}
	return awayClaim{}, nil
}
func (provider) Mode() dedupe.Mode { return dedupe.Transactional }

var errAway = errors.New("away")

type awayClaim struct{}

func (awayClaim) Confirm(context.Context) error { return errAway }
func (awayClaim) Release(context.Context) error { return errAway }

type providingClaim struct{ awayClaim }

type provided struct{}

func (providingClaim) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, provided{}, true)
}

// The decorated store has the properties of the store, and no others.
func TestStoreKeepsProperties(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	claim, err := b.Store(provider{true}).Claim(t.Context(), dedupe.ID{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if claim.(dedupe.Contexter).Context(t.Context()).Value(provided{}) == nil {
		t.Error("the handler gets no transaction")
	}
	if claim, err = b.Store(provider{false}).Claim(t.Context(), dedupe.ID{}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, ok := claim.(dedupe.Contexter); ok {
		t.Error("a claim that provides nothing became a Contexter")
	}
	if got := dedupe.ModeOf(b.Store(provider{})); got != dedupe.Transactional {
		t.Errorf("mode %v", got)
	}
	m := dedupe.NewMemory(dedupe.MemoryConfig{})
	if err := dedupe.Do(t.Context(), b.Store(m), dedupe.ID{}, dedupe.Bracket{}, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := dedupe.Look(t.Context(), b.Store(m), dedupe.ID{}); !errors.Is(err, dedupe.ErrDone) {
		t.Errorf("a look at what is done: %v", err)
	}
}

// A claim that cannot be ended is counted once, and not after its lease.
func TestStoreCountsClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(t)
		held := func(step string, want int64) {
			t.Helper()
			if got := b.metrics(t)["ottpay.dedupe.claims "]; got != want {
				t.Errorf("%s: %d claims are held, want %d", step, got, want)
			}
		}
		for _, provides := range []bool{false, true} {
			claim, err := b.Store(provider{provides}).Claim(t.Context(), dedupe.ID{}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			held("claim", 1)
			for range 2 {
				if err := claim.Confirm(t.Context()); !errors.Is(err, errAway) {
					t.Errorf("Confirm: %v", err)
				}
				held("confirm", 1)
			}
			if provides {
				time.Sleep(time.Minute)
				synctest.Wait()
				held("lease", 0)
			}
			for range 2 {
				if err := claim.Release(t.Context()); !errors.Is(err, errAway) {
					t.Errorf("Release: %v", err)
				}
				held("release", 0)
			}
		}
	})
}

func disabled(tb testing.TB) *ottpayotel.Observer {
	o, err := ottpayotel.New(ottpayotel.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()})
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// BenchmarkDisabled is what the adapter costs where nothing is collected.
func BenchmarkDisabled(b *testing.B) {
	o := disabled(b)
	b.Run("delivery", func(b *testing.B) {
		r := httptest.NewRequest("POST", "/pay/ottpay", nil)
		r.Pattern = "POST /pay/ottpay"
		outcome := middleware.DeliveryOutcome{Result: middleware.ResultHandled, Status: 200, Handler: time.Millisecond, Lag: time.Second, Form: "raw"}
		b.ReportAllocs()
		for b.Loop() {
			_, end := o.Delivery(r)
			end(outcome)
		}
	})
	b.Run("call", func(b *testing.B) {
		r := httptest.NewRequest("POST", "https://frontapi.example/process", nil)
		outcome := middleware.CallOutcome{Code: "SUCCESS", Class: "success", Status: 200, Wait: time.Millisecond}
		b.ReportAllocs()
		for b.Loop() {
			_, end := o.Call(r, "STATUS_QUERY", "query")
			end(outcome)
		}
	})
}

// Every word of a label is one of few: a stranger cannot make series.
func TestCardinality(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	w := newWebhook(t, b)
	for i := range 50 {
		r := httptest.NewRequest(fmt.Sprint("M", i), fmt.Sprint("/", i), strings.NewReader(fmt.Sprintf(`{"rsp_code":"C%d","merchant_id":"M%d"}`, i, i)))
		r.Header.Set("User-Agent", fmt.Sprint(i))
		if i%2 == 0 {
			r.Method = "POST"
		}
		w.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := len(b.metrics(t)); n > 4 {
		t.Errorf("%d series of 50 strange requests: %v", n, b.metrics(t))
	}
	var names []string
	for _, s := range b.spans.Ended() {
		if !slices.Contains(names, s.Name()) {
			names = append(names, s.Name())
		}
	}
	if len(names) > 2 {
		t.Errorf("span names %q", names)
	}
}
