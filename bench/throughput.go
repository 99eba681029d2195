package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Throughput is how many requests a second the webhook and a bare handler
// serve over loopback, in rounds that alternate between the two, so that a
// slow minute of the machine meets both.
type Throughput struct {
	Webhook, Bare []float64 // requests a second, by round
}

// Ratio returns the median of the rounds' ratios.
func (t Throughput) Ratio() float64 {
	ratios := make([]float64, len(t.Bare))
	for i := range ratios {
		ratios[i] = t.Webhook[i] / t.Bare[i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// MeasureThroughput runs pairs of rounds of length d, each with a number of
// connections. Every delivery of the webhook is of an order of its own and is
// handled; an answer other than 200 fails.
func MeasureThroughput(tb testing.TB, rounds, connections int, d time.Duration) Throughput {
	tb.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	// More orders than a round can serve.
	bodies := make([][]byte, 0, 1<<15)
	for i := range cap(bodies) {
		payload := strings.Replace(seedPayload, "2020041553699O153O0407", fmt.Sprintf("2020041553699O%08d", i), 1)
		sealed, err := key.Seal([]byte(payload))
		if err != nil {
			tb.Fatal(err)
		}
		body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: merchantID, Sealed: sealed})
		if err != nil {
			tb.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	var t Throughput
	for round := range rounds {
		var runs atomic.Int64
		// A webhook of its own in every round: the orders are new to it.
		kit := middleware.Handle(newWebhook(tb, nil), func(context.Context, *api.Notification) error { runs.Add(1); return nil })
		two := []func(){
			func() {
				rate, n := load(tb, kit, bodies, connections, d)
				if n <= int64(len(bodies)) && runs.Load() != n {
					tb.Fatalf("%d deliveries were acknowledged and %d handled", n, runs.Load())
				}
				t.Webhook = append(t.Webhook, rate)
			},
			func() {
				rate, _ := load(tb, bare(func() {}), bodies, connections, d)
				t.Bare = append(t.Bare, rate)
			},
		}
		if round%2 == 1 {
			slices.Reverse(two)
		}
		two[0]()
		two[1]()
	}
	return t
}

// load posts the bodies in turn for d and returns the rate and the number.
func load(tb testing.TB, h http.Handler, bodies [][]byte, connections int, d time.Duration) (rate float64, n int64) {
	server := httptest.NewServer(h)
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	defer transport.CloseIdleConnections()
	var next, bad atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for time.Since(start) < d {
				body := bodies[int(next.Add(1)-1)%len(bodies)]
				req, err := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(body))
				if err != nil {
					bad.Add(1)
					return
				}
				resp, err := transport.RoundTrip(req)
				if err != nil {
					bad.Add(1)
					return
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					bad.Add(1)
				}
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	if bad.Load() > 0 {
		tb.Fatalf("%d requests were not answered with 200", bad.Load())
	}
	return float64(next.Load()) / took.Seconds(), next.Load()
}
