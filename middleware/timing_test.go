package middleware_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/internal/vectors"
	"github.com/ottpaykit/ottpay/middleware"
)

var timing = flag.Int("timing", 0, "`samples` per class of TestTiming, which is skipped without")

// The ways in which an authentication fails, in the order of how long they take.
var failures = []struct{ name, reason string }{
	{"padding", "padding"},
	{"plaintext", "plaintext"},
	{"digest", "digest"},
	{"merchant", "unknown-merchant"},
}

// forgeries are requests of one length that fail to authenticate, one for each
// of failures.
func forgeries(t *testing.T, w *middleware.Webhook) [][]byte {
	payload := strings.Replace(paid, `"tip"`, `"remarks":"`+strings.Repeat("a remark of many blocks ", 40)+`","tip"`, 1)
	last := len(payload) / 16
	text := strings.Index(payload, "remarks")/16 + 2
	padding, plaintext, digest := vectors.UpTo(last), vectors.UpTo(last), vectors.UpTo(last)
	padding[last] = 0
	plaintext[0] = 1
	digest[text], digest[text+1] = text+1, text
	bodies := [][]byte{splice(t, payload, padding...), splice(t, payload, plaintext...), splice(t, payload, digest...)}
	bodies = append(bodies, bytes.Replace(bodies[2], []byte(merchant), []byte("TS00000009"), 1))
	requests := make([][]byte, len(bodies))
	for i, body := range bodies {
		if len(body) != len(bodies[0]) {
			t.Fatalf("%s: %d bytes, and not %d", failures[i].name, len(body), len(bodies[0]))
		}
		r, err := http.NewRequest(http.MethodPost, "http://shop.example/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Check(r); err == nil || !strings.HasSuffix(err.Error(), " "+failures[i].reason) {
			t.Fatalf("%s: %v", failures[i].name, err)
		}
		requests[i] = fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	return requests
}

// TestTiming is a test in the manner of dudect (Reparaz, Balasch and
// Verbauwhede, "Dude, is my code constant time?"): over loopback, from the last
// byte of the request to the last one of the answer, through the webhook behind
// an http.Server. Four connections send the failures in random order. Each pair
// of them is compared by Welch's t, over all samples and over those below each of
// some percentiles of all, because the slow ones are noise of the machine.
//
// The same without the holding back must show a difference, or the test is blind.
//
//	go test ./middleware -run TestTiming -timing=1000000 -timeout 2h -v
func TestTiming(t *testing.T) {
	if *timing == 0 {
		t.Skip("takes long, and a machine of its own: -timing=1000000")
	}
	w := newWebhook(t, nil)
	h := new(shop).behind(w)
	requests := forgeries(t, w)

	all := measure(t, h, requests, *timing)
	if most := welch(t, all); math.Abs(most) >= 4.5 {
		t.Errorf("the failures are told apart: |t| = %.2f", math.Abs(most))
	}
	blind := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(rw, r.WithContext(noServer{r.Context()}))
	})
	t.Log("without holding back:")
	if most := welch(t, measure(t, blind, requests, max(20_000, *timing/10))); math.Abs(most) < 4.5 {
		t.Errorf("and so they are not without holding back: the test sees nothing")
	}
}

// noServer hides that a server has brought the request.
type noServer struct{ context.Context }

func (c noServer) Value(key any) any {
	if key == http.ServerContextKey {
		return nil
	}
	return c.Context.Value(key)
}

// measure returns how many nanoseconds the answers took, by failure.
func measure(t *testing.T, h http.Handler, requests [][]byte, samples int) [][]int32 {
	const connections = 4
	server := quiet(t, h, nil)
	each := (samples + connections - 1) / connections
	var mu sync.Mutex
	var group sync.WaitGroup
	all := make([][]int32, len(requests))
	var first []byte
	for range connections {
		conn := dial(t, server)
		group.Go(func() {
			mine, answer, err := measureOn(conn, requests, each)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			for class := range all {
				all[class] = append(all[class], mine[class]...)
			}
			if first == nil {
				first = answer
			}
			if !bytes.Equal(answer, first) {
				t.Errorf("two answers:\n%s\n%s", first, answer)
			}
		})
	}
	group.Wait()
	return all
}

// measureOn also returns the one answer that all requests got, without its Date.
func measureOn(conn net.Conn, requests [][]byte, each int) (times [][]int32, answer []byte, err error) {
	times = make([][]int32, len(requests))
	order := make([]int, 0, 100*len(requests))
	for class := range requests {
		times[class] = make([]int32, 0, each)
		order = append(order, slices.Repeat([]int{class}, 100)...)
	}
	got := make([]byte, 4096)
	if _, err := conn.Write(requests[0]); err != nil {
		return times, nil, err
	}
	n, err := conn.Read(got)
	if err != nil {
		return times, nil, err
	}
	answer = undated(got[:n])
	for len(times[0]) < each {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, class := range order {
			start := time.Now()
			if _, err := conn.Write(requests[class]); err != nil {
				return times, nil, err
			}
			if _, err := io.ReadFull(conn, got[:n]); err != nil {
				return times, nil, err
			}
			times[class] = append(times[class], int32(min(time.Since(start), math.MaxInt32)))
			if !bytes.Equal(undated(got[:n]), answer) {
				return times, nil, fmt.Errorf("%s is answered:\n%s", failures[class].name, got[:n])
			}
		}
	}
	return times, answer, nil
}

func undated(answer []byte) []byte {
	before, after, _ := bytes.Cut(answer, []byte("\r\nDate: "))
	_, after, _ = bytes.Cut(after, []byte("\r\n"))
	return slices.Concat(before, []byte("\r\n"), after)
}

// welch returns the t that is the farthest from 0, and logs the others.
func welch(t *testing.T, all [][]int32) (most float64) {
	pooled := slices.Concat(all...)
	slices.Sort(pooled)
	t.Logf("%d samples each, median %v, first percentile %v, 99th %v", len(all[0]),
		time.Duration(pooled[len(pooled)/2]), time.Duration(pooled[len(pooled)/100]), time.Duration(pooled[len(pooled)*99/100]))
	for _, percentile := range []float64{100, 99.9, 99, 95, 90, 75, 50, 25, 10, 5, 1} {
		limit := pooled[min(len(pooled)-1, int(float64(len(pooled))*percentile/100))]
		var line strings.Builder
		moments := make([]moment, len(all))
		for class := range all {
			moments[class] = momentsBelow(all[class], limit)
			fmt.Fprintf(&line, "  %s %.2f µs", failures[class].name, moments[class].mean/1e3)
		}
		for i, a := range moments {
			for j, b := range moments[:i] {
				if min(a.n, b.n) < 100 {
					continue // all of one class are above
				}
				v := (a.mean - b.mean) / math.Sqrt(a.variance/a.n+b.variance/b.n)
				fmt.Fprintf(&line, "  t(%s, %s) = %.2f", failures[i].name, failures[j].name, v)
				if math.Abs(v) > math.Abs(most) {
					most = v
				}
			}
		}
		t.Logf("%5.1f %%:%s", percentile, &line)
	}
	return most
}

type moment struct{ n, mean, variance float64 }

func momentsBelow(samples []int32, limit int32) (m moment) {
	for _, s := range samples {
		if s > limit {
			continue
		}
		m.n++
		delta := float64(s) - m.mean
		m.mean += delta / m.n
		m.variance += delta * (float64(s) - m.mean)
	}
	m.variance /= m.n - 1
	return m
}

// TestHeld: an answer to a failed authentication takes a whole quantum, over a
// server and only there, and ends early with the request.
func TestHeld(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, nil)
	h := new(shop).behind(w)
	requests := forgeries(t, w)
	conn := dial(t, quiet(t, h, nil))
	got := make([]byte, 4096)
	for range 20 {
		for class, request := range requests {
			start := time.Now()
			if _, err := conn.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(got); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < time.Millisecond {
				t.Errorf("%s is answered after %s", failures[class].name, took)
			}
		}
	}
	_, body, _ := bytes.Cut(requests[0], []byte("\r\n\r\n"))
	quick := time.Hour
	for range 20 {
		start := time.Now()
		post(h, body)
		quick = min(quick, time.Since(start))
	}
	if quick >= time.Millisecond {
		t.Errorf("a request of a unit test takes %s", quick)
	}
}
