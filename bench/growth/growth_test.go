package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/middleware"
)

// The tests measure the heap of this process, and do not run beside each other.

func TestMain(m *testing.M) {
	if asChild() {
		return
	}
	os.Exit(m.Run())
}

// check fails unless the page's tables are whole and exactly these bounds were
// broken, each named by a part of its text.
func check(t *testing.T, p *page, broken ...string) {
	t.Helper()
	cells := 0
	for line := range strings.Lines(p.String()) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		n := strings.Count(line, "|")
		if cells != 0 && n != cells {
			t.Errorf("a row of %d cells in a table of %d: %s", n-1, cells-1, line)
		}
		cells = n
	}
	for _, want := range broken {
		if !slices.ContainsFunc(p.broken, func(b string) bool { return strings.Contains(b, want) }) {
			t.Errorf("this bound was not broken: %s", want)
		}
	}
	for _, b := range p.broken {
		if !slices.ContainsFunc(broken, func(want string) bool { return strings.Contains(b, want) }) {
			t.Errorf("broken: %s", b)
		}
	}
	if (p.err() != nil) != (len(broken) > 0) {
		t.Errorf("err: %v", p.err())
	}
	if t.Failed() {
		t.Log(p.String())
	}
}

// TestTimes: the tables without a bound.
func TestTimes(t *testing.T) {
	var p page
	short := timing{rounds: 2, each: time.Millisecond}
	if err := sizes(t.Context(), &p, short, []int{0, 16 << 10, limitOfBody}); err != nil {
		t.Fatal(err)
	}
	if err := keysAndMerchants(t.Context(), &p, short, []int{1, 8}, []int{1, 100}); err != nil {
		t.Fatal(err)
	}
	check(t, &p)
	for _, s := range shapes {
		for _, size := range []int{4 << 10, limitOfBody} {
			_, body, err := callback(ourKeys()[merchantID][0], s, size)
			if err != nil || len(body) > size || len(body) < size-64 {
				t.Errorf("%s: a body of %d bytes for %d, %v", s.name, len(body), size, err)
			}
		}
	}
}

// hoard is a store that keeps more than it should.
type hoard struct {
	dedupe.Store
	all [][]byte
}

func (h *hoard) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	h.all = append(h.all, make([]byte, 1<<10))
	return h.Store.Claim(ctx, id, lease)
}

// elephant is a limiter that never forgets.
type elephant map[string][]byte

func (e elephant) Allow(*http.Request) bool { return true }

func (e elephant) Penalise(r *http.Request) { e[r.RemoteAddr] = make([]byte, 100) }

func TestStores(t *testing.T) {
	const capacity = 1 << 13
	memory := func(capacity int) *dedupe.Memory { return dedupe.NewMemory(dedupe.MemoryConfig{Capacity: capacity}) }
	honest, large := memory(capacity), memory(4*capacity)
	limiter, err := limit.New(limit.Config{Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		kept   kept
		broken []string
	}{
		{"memory", claims("memory", honest, honest.Len, capacity), nil},
		{"limiter", failures("limiter", limiter, fourth, capacity), nil},
		{"limiter, one /48", failures("limiter", limiter, same, capacity), nil},
		{"too large", claims("memory", large, large.Len, capacity), []string{"memory: kept: 32 768, at most 8 192", "memory: heap"}},
		{"leaking", claims("memory", &hoard{Store: memory(capacity)}, nil, capacity), []string{"memory: heap"}},
		{"never forgets", failures("limiter", elephant{}, fourth, capacity), []string{"limiter: heap"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p page
			if err := stores(t.Context(), &p, []kept{c.kept}, 4*capacity); err != nil {
				t.Fatal(err)
			}
			check(t, &p, c.broken...)
		})
	}
	distinct := make(map[netip.Addr]bool)
	for i := range uint64(1000) {
		for _, addr := range []func(uint64) netip.Addr{fourth, sixth, same} {
			distinct[addr(i)] = true
		}
	}
	if len(distinct) != 3000 {
		t.Errorf("%d distinct addresses", len(distinct))
	}
}

func TestConnections(t *testing.T) {
	const size = 1 << 20
	honest, err := endpoint(ourKeys(), newLines())
	if err != nil {
		t.Fatal(err)
	}
	stay := make(chan struct{})
	defer close(stay)
	var bulk sync.Map
	all := floods(20, size, 20, 40)
	for _, c := range []struct {
		name         string
		handler      http.Handler
		header, read time.Duration
		floods       []flood
		broken       []string
	}{
		{"too large", honest, 30 * time.Second, 0, all[:3], nil},
		{"slow", honest, 30 * time.Second, 500 * time.Millisecond, all[3:5], nil},
		{"mute", honest, 300 * time.Millisecond, 0, all[5:], nil},
		{"reads all of it", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			bulk.Store(&body, true)
		}), 30 * time.Second, 0, all[1:2], []string{"held", "not ended with 413: 20"}},
		{"leaves a goroutine", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			go func() { <-stay }()
			honest.ServeHTTP(rw, r)
		}), 30 * time.Second, 0, all[:1], []string{"goroutines left"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p page
			if err := bodies(t.Context(), &p, c.handler, c.header, c.read, c.floods); err != nil {
				t.Fatal(err)
			}
			check(t, &p, c.broken...)
		})
	}
}

func TestForgeries(t *testing.T) {
	log := newLines()
	honest, err := endpoint(ourKeys(), log)
	if err != nil {
		t.Fatal(err)
	}
	stay := make(chan struct{})
	defer close(stay)
	var leak [][]byte
	for _, c := range []struct {
		name    string
		handler http.Handler
		broken  []string
	}{
		{"honest", honest, nil},
		{"believes", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "SUCCESS") }), []string{"believed"}},
		{"talks, keeps and leaves", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			slog.New(log).Warn("a forgery")
			if leak = append(leak, make([]byte, 4<<10)); len(leak)%100 == 0 {
				go func() { <-stay }()
			}
			honest.ServeHTTP(rw, r)
		}), []string{"log lines", "growth of the heap", "goroutines"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p page
			if err := refusals(t.Context(), &p, c.handler, log, 2000); err != nil {
				t.Fatal(err)
			}
			check(t, &p, c.broken...)
		})
	}
}

// TestForgeriesOfMany: those that name many merchants.
func TestForgeriesOfMany(t *testing.T) {
	var p page
	if err := foreign(t.Context(), &p, endpoint, 100, 2000); err != nil {
		t.Fatal(err)
	}
	check(t, &p)
	p = page{}
	var leak [][]byte
	if err := foreign(t.Context(), &p, func(keys middleware.Keys, log *lines) (http.Handler, error) {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			slog.New(log).Warn("a forgery")
			leak = append(leak, make([]byte, 4<<10))
		}), nil
	}, 100, 2000); err != nil {
		t.Fatal(err)
	}
	check(t, &p, "log lines", "growth of the heap")
	t.Log(len(leak))
}

// TestForgeriesAreForged: each kind ends at a step of its own.
func TestForgeriesAreForged(t *testing.T) {
	w, err := newWebhook(ourKeys(), newMemory(), slog.DiscardHandler)
	if err != nil {
		t.Fatal(err)
	}
	all, err := forgeries()
	if err != nil {
		t.Fatal(err)
	}
	want := []middleware.Reason{
		middleware.ReasonPadding, middleware.ReasonPadding, middleware.ReasonDigest, middleware.ReasonBadBase64, middleware.ReasonBadLength,
		middleware.ReasonUnknownMerchant, middleware.ReasonNoMD5, middleware.ReasonFinishTime, middleware.ReasonNotJSON,
	}
	for i, f := range all {
		_, err := w.Check(newPost(f.body).request())
		refusal, ok := err.(*middleware.Refusal)
		if !ok || refusal.Reason != want[i] {
			t.Errorf("%s: %v, want %s", f.name, err, want[i])
		}
	}
}

// amnesia is a store that remembers nothing.
type amnesia struct{}

func (amnesia) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	return amnesia{}, nil
}
func (amnesia) Confirm(context.Context) error { return nil }
func (amnesia) Release(context.Context) error { return nil }

// TestSoak runs a shop for a moment, as it is and broken in every way. How much
// heap and how many goroutines the moment took is not judged of the first.
func TestSoak(t *testing.T) {
	moment := soakConfig{duration: 1200 * time.Millisecond, every: 100 * time.Millisecond, rate: 200, memory: 1 << 10}
	t.Run("honest", func(t *testing.T) {
		r, err := soak(t.Context(), moment)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.samples) < 3 || r.opened < 10 || r.errors == 0 || r.panics == 0 || r.refunds == 0 ||
			r.world.Duplicates == 0 || r.world.Tampered == 0 || r.world.Forgeries == 0 || r.world.Slow == 0 {
			t.Errorf("not everything happened: %+v", r)
		}
		r.samples = []usage{{}, {}, {}}
		var p page
		r.write(&p)
		check(t, &p)
	})
	t.Run("broken", func(t *testing.T) {
		stay := make(chan struct{})
		defer close(stay)
		var mu sync.Mutex
		var leak [][]byte
		cfg, posts := moment, atomic.Int64{}
		cfg.store = amnesia{}
		cfg.kept = func() {
			go func() { <-stay }()
			mu.Lock()
			defer mu.Unlock()
			leak = append(leak, make([]byte, 256<<10))
		}
		cfg.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if posts.Add(1)%4 == 0 {
					return // with status 200
				}
				next.ServeHTTP(rw, r)
			})
		}
		r, err := soak(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var p page
		r.write(&p)
		check(t, &p, "heap", "goroutines", "never handled", "handled twice", "answered 200", "did not take effect once", "goroutines more")
		t.Log(len(leak))
	})
	t.Run("judged", func(t *testing.T) {
		r := soakResult{cfg: moment, samples: []usage{{}, {}, {}}, opened: 1, failed: []string{"no route"}}
		r.world.Unacknowledged, r.world.WrongRefunds = 1, 1
		var p page
		r.write(&p)
		check(t, &p, "opened and not paid", "not acknowledged", "did not take effect once", "calls of the client that failed", "no route")
		p = page{}
		soakResult{}.write(&p)
		check(t, &p, "too short")
	})
}

func TestPage(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 10_000_000: "10 000 000", 1_000_008: "1 000 008", -1234: "-1 234"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := replace(file, "x", "new\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if want := "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	if err := replace(file, "y", "new"); err == nil {
		t.Error("a page without marks was written")
	}
	var p page
	if cell := p.count("x", 1, 1); cell != "1 | 1" || p.err() != nil {
		t.Errorf("%q, %v", cell, p.err())
	}
	if cell := p.bytes("x", 2<<20, 1<<20); cell != "**2.0 MiB** | 1.0 MiB" || p.err() == nil {
		t.Errorf("%q, %v", cell, p.err())
	}
}

// TestWritesNothing: a broken bound leaves the page as it is.
func TestWritesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	const text = "<!-- growth: begin -->\n<!-- growth: end -->\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := func(_ context.Context, p *page, _ options) error {
		p.count("x", 1, 0)
		return nil
	}
	if err := run(t.Context(), options{write: file}, "growth", broken); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != text {
		t.Errorf("%q, %v", got, err)
	}
	kept := func(_ context.Context, p *page, _ options) error {
		fmt.Fprint(p, p.count("x", 1, 1))
		return nil
	}
	if err := run(t.Context(), options{write: file}, "growth", kept); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(file); err != nil || !strings.Contains(string(got), "\n1 | 1\n") {
		t.Errorf("%q, %v", got, err)
	}
}
