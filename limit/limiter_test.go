package limit_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay/limit"
)

// clock is a time that moves only when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newLimiter(t testing.TB, cfg limit.Config) *limit.Limiter {
	t.Helper()
	l, err := limit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// from is a request from addr, with header lines given as name, value pairs.
func from(addr string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/callback", nil)
	r.RemoteAddr = addr
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func wantAllow(t *testing.T, l *limit.Limiter, r *http.Request, want bool) {
	t.Helper()
	if got := l.Allow(r); got != want {
		t.Errorf("Allow from %s %v = %v, want %v", r.RemoteAddr, r.Header, got, want)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	ten := netip.MustParsePrefix("10.0.0.0/8")
	for _, tt := range []struct {
		name string
		cfg  limit.Config
		ok   bool
	}{
		{"zero", limit.Config{}, true},
		{"full", limit.Config{Rate: 2, Burst: 1, Capacity: 1, TrustedProxies: []netip.Prefix{ten}, Header: "X-Forwarded-For"}, true},
		{"negative rate", limit.Config{Rate: -1}, false},
		{"infinite rate", limit.Config{Rate: rate.Inf}, false},
		{"infinite float", limit.Config{Rate: rate.Limit(math.Inf(1))}, false},
		{"rate that is no number", limit.Config{Rate: rate.Limit(math.NaN())}, false},
		{"negative burst", limit.Config{Burst: -1}, false},
		{"negative capacity", limit.Config{Capacity: -1}, false},
		{"header without proxies", limit.Config{Header: "X-Forwarded-For"}, false},
		{"proxies without header", limit.Config{TrustedProxies: []netip.Prefix{ten}}, false},
		{"invalid prefix", limit.Config{TrustedProxies: []netip.Prefix{{}}, Header: "Forwarded"}, false},
		{"everybody", limit.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Header: "Forwarded"}, false},
		{"everybody in IPv6", limit.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::/0")}, Header: "Forwarded"}, false},
		{"everybody mapped", limit.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96")}, Header: "Forwarded"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := limit.New(tt.cfg)
			if (err == nil) != tt.ok || (l != nil) != tt.ok {
				t.Errorf("New = %v, %v; want ok %v", l, err, tt.ok)
			}
		})
	}
}

func TestAllowSpendsNothing(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limit.Config{Burst: 1, Now: newClock().Now})
	r := from("192.0.2.1:1234")
	for range 1000 {
		wantAllow(t, l, r, true)
	}
	l.Penalise(r)
	wantAllow(t, l, r, false)
}

func TestPenaliseSpendsAndTimeGivesBack(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, limit.Config{Rate: 2, Burst: 3, Now: c.Now})
	r, other := from("192.0.2.1:1234"), from("192.0.2.2:1234")
	for range 3 {
		wantAllow(t, l, r, true)
		l.Penalise(r)
	}
	wantAllow(t, l, r, false)
	wantAllow(t, l, from("192.0.2.1:9"), false) // the port is no part of it
	wantAllow(t, l, other, true)
	c.Advance(499 * time.Millisecond)
	wantAllow(t, l, r, false)
	c.Advance(time.Millisecond)
	wantAllow(t, l, r, true)
	l.Penalise(r)
	wantAllow(t, l, r, false)
	c.Advance(time.Hour)
	for range 3 {
		wantAllow(t, l, r, true)
		l.Penalise(r)
	}
	wantAllow(t, l, r, false) // an hour gives no more than a burst
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, limit.Config{Now: c.Now})
	r := from("192.0.2.1:1234")
	for range 20 {
		wantAllow(t, l, r, true)
		l.Penalise(r)
	}
	wantAllow(t, l, r, false)
	c.Advance(time.Second)
	wantAllow(t, l, r, true)
}

// Failures of requests that were let in side by side are counted as well, but
// the debt has a bottom.
func TestParallelFailuresMakeBoundedDebt(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, limit.Config{Rate: 1, Burst: 5, Now: c.Now})
	r := from("192.0.2.1:1234")
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() { l.Penalise(r) })
	}
	wg.Wait()
	c.Advance(5 * time.Second) // the debt is paid, no token remains
	wantAllow(t, l, r, false)
	c.Advance(time.Second)
	wantAllow(t, l, r, true)
	c.Advance(4 * time.Second)
	for range 5 {
		wantAllow(t, l, r, true)
		l.Penalise(r)
	}
	wantAllow(t, l, r, false)
}

func TestClockGoingBackwardsGivesNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, limit.Config{Rate: 1, Burst: 1, Now: c.Now})
	r := from("192.0.2.1:1234")
	l.Penalise(r)
	c.Advance(-time.Hour)
	wantAllow(t, l, r, false)
	wantAllow(t, l, from("192.0.2.2:1234"), true)
}

func address(i int) string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 443).String()
}

func TestCapacity(t *testing.T) {
	t.Parallel()

	t.Run("pushing oneself out makes no fresh burst", func(t *testing.T) {
		t.Parallel()
		l := newLimiter(t, limit.Config{Burst: 3, Capacity: 4, Now: newClock().Now})
		allowed := 0
		// One client with many more addresses than there is room for, taken
		// in turn, which is the order that pushes out the most.
		for range 100 {
			for i := range 20 {
				r := from(address(i))
				if l.Allow(r) {
					allowed++
					l.Penalise(r)
				}
			}
		}
		// Fresh bursts would leave every address with two tokens each time.
		r := from(address(0))
		l.Penalise(r)
		wantAllow(t, l, r, false)
		if allowed == 0 {
			t.Error("nothing was allowed at all")
		}
	})

	t.Run("a full table refuses no source that did not fail", func(t *testing.T) {
		t.Parallel()
		l := newLimiter(t, limit.Config{Burst: 1, Capacity: 4, Now: newClock().Now})
		for i := range 100 {
			l.Penalise(from(address(i)))
		}
		for i := 100; i < 200; i++ {
			wantAllow(t, l, from(address(i)), true)
		}
	})

	t.Run("who failed longest ago makes room", func(t *testing.T) {
		t.Parallel()
		l := newLimiter(t, limit.Config{Burst: 1, Capacity: 2, Now: newClock().Now})
		a, b, c := from(address(1)), from(address(2)), from(address(3))
		l.Penalise(a)
		l.Penalise(b)
		l.Penalise(c)
		wantAllow(t, l, a, true)
		wantAllow(t, l, b, false)
		wantAllow(t, l, c, false)
	})

	t.Run("the owner of a /48 does not fill the table", func(t *testing.T) {
		t.Parallel()
		l := newLimiter(t, limit.Config{Burst: 1, Capacity: 1000, Now: newClock().Now})
		victim, neighbour := from("[2001:db8:1::1]:443"), from("[2001:db8:2:ffff::1]:443")
		l.Penalise(victim)
		wantAllow(t, l, victim, false)
		for i := range 1 << 16 { // every /64 of one customer
			a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 2, byte(i >> 8), byte(i)}
			l.Penalise(from(netip.AddrPortFrom(netip.AddrFrom16(a), 443).String()))
		}
		wantAllow(t, l, victim, false) // still remembered
		for i := range 64 {
			a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 2, 0xff, byte(0xff - i)}
			wantAllow(t, l, from(netip.AddrPortFrom(netip.AddrFrom16(a), 443).String()), false)
		}
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0}
		wantAllow(t, l, from(netip.AddrPortFrom(netip.AddrFrom16(a), 443).String()), true) // displaced
		wantAllow(t, l, neighbour, false)
	})

	t.Run("who knocks while refused stays", func(t *testing.T) {
		t.Parallel()
		l := newLimiter(t, limit.Config{Burst: 1, Capacity: 2, Now: newClock().Now})
		a, b, c := from(address(1)), from(address(2)), from(address(3))
		l.Penalise(a)
		l.Penalise(b)
		wantAllow(t, l, a, false)
		l.Penalise(c)
		wantAllow(t, l, a, false)
		wantAllow(t, l, b, true)
	})

	t.Run("a bucket that was refilled is handed over full", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		l := newLimiter(t, limit.Config{Rate: 1, Burst: 2, Capacity: 1, Now: c.Now})
		l.Penalise(from(address(1)))
		l.Penalise(from(address(1)))
		c.Advance(2 * time.Second)
		l.Penalise(from(address(2)))
		wantAllow(t, l, from(address(2)), true)
		l.Penalise(from(address(2)))
		wantAllow(t, l, from(address(2)), false)
	})
}

// Not parallel: it measures the heap.
func TestMemoryPerSource(t *testing.T) {
	const capacity = 1 << 13
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	l := newLimiter(t, limit.Config{Capacity: capacity})
	r := from("")
	fill := func(n int) {
		for i := range n {
			a := [16]byte{0x20, 0x01, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)} // a /48 each
			r.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom16(a), 443).String()
			l.Penalise(r)
		}
	}
	before := heap()
	fill(capacity)
	full := heap() - before
	if per := float64(full) / capacity; per > 512 {
		t.Errorf("%.0f bytes per source, want at most 512", per)
	} else {
		t.Logf("%.0f bytes per source", per)
	}
	fill(64 * capacity)
	if after := heap() - before; after > full*11/10 {
		t.Errorf("%d bytes after 64 times as many sources as fit, %d when full", after, full)
	}
	runtime.KeepAlive(l)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limit.Config{Burst: 2, Capacity: 16})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				r := from(address((g*31 + i) % 64))
				if l.Allow(r) {
					l.Penalise(r)
				}
			}
		})
	}
	wg.Wait()
	wantAllow(t, l, from("203.0.113.9:1"), true)
}

func BenchmarkAllow(b *testing.B) {
	l := newLimiter(b, limit.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Header:         "X-Forwarded-For",
	})
	known := from("192.0.2.1:1234")
	l.Penalise(known)
	for _, bb := range []struct {
		name string
		r    *http.Request
	}{
		{"unknown", from("192.0.2.2:1234")},
		{"known", known},
		{"behind two proxies", from("10.0.0.1:1234", "X-Forwarded-For", "203.0.113.5, 10.0.0.2")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Allow(bb.r)
			}
		})
	}
}

func BenchmarkPenaliseFullTable(b *testing.B) {
	l := newLimiter(b, limit.Config{Capacity: 1024})
	requests := make([]*http.Request, 4096)
	for i := range requests {
		requests[i] = from(address(i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Penalise(requests[i%len(requests)])
		i++
	}
}

func Example() {
	l, err := limit.New(limit.Config{
		Rate:           rate.Every(time.Minute),
		Burst:          2,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Header:         "X-Forwarded-For",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	r := httptest.NewRequest(http.MethodPost, "/ottpay/callback", nil)
	r.RemoteAddr = "10.0.0.7:41000"                         // our load balancer,
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 203.0.113.5") // and whom it saw

	fmt.Println(l.Allow(r))
	l.Penalise(r)
	l.Penalise(r)
	fmt.Println(l.Allow(r))

	// Another invented address in front changes nothing.
	r.Header.Set("X-Forwarded-For", "2.2.2.2, 203.0.113.5")
	fmt.Println(l.Allow(r))
	// Output:
	// true
	// false
	// false
}
