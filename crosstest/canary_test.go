package crosstest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	ottpayotel "github.com/ottpaykit/ottpay/adapters/otel"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// A canary is in every secret and in everything personal. A finch is in the ids
// of orders, merchants and channels: logs name those, strangers, spans and
// metrics must not.
const (
	canary    = "KANARI" // not in the name of a test, which is in the names of files
	finch     = "FINCH"
	canaryKey = canary + "signkey1"
	finchShop = finch + "M01"
	merCode   = "4242000011112222" // sixteen digits have no room for a bird
)

// TestCanary plants secrets and personal data in configuration and messages,
// runs what there is, and looks for them in every log line, error, formatted
// value, span, metric and answer to a stranger, and in the quickstart's output.
// What handlers are given, and what pays, is the shop's and is not looked at.
func TestCanary(t *testing.T) {
	t.Parallel()
	s := newSpy()
	w := newWatch(t, s)
	for _, scenario := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"configuration", w.configuration},
		{"gateway", w.gateway},
		{"hostile gateway", w.hostile},
		{"invalid requests", w.invalid},
		{"callbacks", w.callbacks},
		{"stores", w.stores},
		{"settle", w.settle},
		{"links", w.links},
		{"adapters", w.adapters},
		{"values", w.values},
	} {
		t.Run(scenario.name, scenario.run)
	}
	t.Run("quickstart", func(t *testing.T) {
		run := exec.CommandContext(t.Context(), "go", "run", "./quickstart")
		run.Dir = "../examples"
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, secret := range []string{signKey, "o0000000000000000000000000001", "wx0000000000000001", "Y2+GoqBBPc6EJ9Jz"} {
			if strings.Contains(string(out), secret) {
				t.Errorf("the quickstart prints %s", secret)
			}
		}
	})
	w.telemetry(t)
	if leaks := s.found(); len(leaks) > 0 {
		t.Errorf("%d leaks:\n%s", len(leaks), strings.Join(leaks, "\n"))
	}
	t.Logf("%d texts for the shop, %d for others, %d ciphertexts and digests", len(s.seen), len(s.wild), len(s.cages))
	if len(s.seen) < 5000 || len(s.wild) < 100 || len(s.cages) < 500 {
		t.Error("that is too little to have looked at everything")
	}
}

// watch is what the scenarios share.
type watch struct {
	*spy
	key      envelope.Key
	keys     middleware.StaticKeys
	logger   *slog.Logger
	observer *watcher
	spans    *tracetest.SpanRecorder
	metrics  *sdkmetric.ManualReader
	orders   atomic.Int64
}

func newWatch(t *testing.T, s *spy) *watch {
	t.Helper()
	key := mustKey(t, canaryKey)
	w := &watch{
		spy: s, key: key,
		keys:    middleware.StaticKeys{finchShop: {key}},
		logger:  slog.New(slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		spans:   tracetest.NewSpanRecorder(),
		metrics: sdkmetric.NewManualReader(),
	}
	o, err := ottpayotel.New(ottpayotel.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans)),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.metrics)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.observer = &watcher{o, s}
	return w
}

func (w *watch) newOrder() string { return fmt.Sprintf("%s%05d", finch, w.orders.Add(1)) }

// watcher looks at what every Observer is told.
type watcher struct {
	*ottpayotel.Observer
	*spy
}

func (o *watcher) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	ctx, end := o.Observer.Delivery(r)
	return ctx, func(d middleware.DeliveryOutcome) {
		o.public("delivery outcome", fmt.Sprintf("%+v", d))
		end(d)
	}
}

func (o *watcher) Call(r *http.Request, action, kind string) (context.Context, func(middleware.CallOutcome)) {
	ctx, end := o.Observer.Call(r, action, kind)
	return ctx, func(c middleware.CallOutcome) {
		o.public("call outcome", fmt.Sprintf("%+v %s %s", c, action, kind))
		end(c)
	}
}

// telemetry looks at the spans and the metrics.
func (w *watch) telemetry(t *testing.T) {
	t.Helper()
	ended := w.spans.Ended()
	if len(ended) < 500 {
		t.Errorf("only %d spans", len(ended))
	}
	for _, span := range ended {
		w.public("span", fmt.Sprint(span.Name(), span.Attributes(), span.Status(), span.Resource()))
		for _, event := range span.Events() {
			w.public("span event", fmt.Sprint(event.Name, event.Attributes))
		}
	}
	var all metricdata.ResourceMetrics
	if err := w.metrics.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	w.public("metrics", string(text))
	w.public("metrics", fmt.Sprintf("%+v", all))
}
