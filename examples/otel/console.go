package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// console is an exporter of a line each, in place of OTLP. The SDK's own
// console exporters (stdouttrace, stdoutmetric) say the same in pages of JSON.
type console struct {
	out    io.Writer
	said   map[string]bool
	tracer *sdktrace.TracerProvider
	meter  *sdkmetric.MeterProvider
	reader *sdkmetric.ManualReader
}

func newConsole(out io.Writer) (*console, error) {
	c := &console{out: out, said: map[string]bool{}, reader: sdkmetric.NewManualReader()}
	c.tracer = sdktrace.NewTracerProvider(sdktrace.WithBatcher(c))
	c.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(c.reader))
	_, err := fmt.Fprintln(out, "spans")
	return c, err
}

// ExportSpans writes them in the order in which they ended.
func (c *console) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		c.said[s.Name()] = true
		fmt.Fprintf(c.out, "  %-7s %-22s %s\n", s.SpanKind(), s.Name(), line(s.Attributes()))
	}
	return nil
}

// Shutdown has nothing to close.
func (c *console) Shutdown(context.Context) error { return nil }

// flush writes what is left.
func (c *console) flush(ctx context.Context) error {
	if err := c.tracer.Shutdown(ctx); err != nil {
		return err
	}
	var all metricdata.ResourceMetrics
	if err := c.reader.Collect(ctx, &all); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "metrics")
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			c.said[m.Name] = true
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					fmt.Fprintf(c.out, "  %-24s %4d  %s\n", m.Name, p.Value, line(p.Attributes.ToSlice()))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					fmt.Fprintf(c.out, "  %-24s %4d  %s\n", m.Name, p.Count, line(p.Attributes.ToSlice()))
				}
			}
		}
	}
	return c.meter.Shutdown(ctx)
}

// line leaves out what differs from run to run.
func line(attrs []attribute.KeyValue) string {
	var words []string
	for _, a := range attrs {
		switch a.Key {
		case "server.port", "server.address", "url.full", "ottpay.limiter.wait", "network.protocol.version", "url.scheme":
			continue
		}
		words = append(words, string(a.Key)+"="+a.Value.String())
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}
