package dedupe_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/dedupe/dedupetest"
)

// clock is a clock that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(c.ahead.Load()))
}

func (c *clock) Add(d time.Duration) { c.ahead.Add(int64(d)) }

func TestMemory(t *testing.T) {
	t.Parallel()
	dedupetest.Run(t, func(t *testing.T) dedupetest.Harness {
		var now clock
		return dedupetest.Harness{
			Store:  dedupe.NewMemory(dedupe.MemoryConfig{Now: now.Now}),
			Expire: func(*testing.T, dedupe.ID) { now.Add(time.Hour) },
		}
	})
}

func numbered(n uint64) (id dedupe.ID) {
	binary.BigEndian.PutUint64(id.Key[:], n)
	id.Mark[0] = 1
	return id
}

func mustClaim(t testing.TB, s dedupe.Store, id dedupe.ID) dedupe.Claim {
	t.Helper()
	c, err := s.Claim(t.Context(), id, time.Minute)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return c
}

func mustConfirm(t testing.TB, c dedupe.Claim) {
	t.Helper()
	if err := c.Confirm(t.Context()); err != nil {
		t.Fatalf("Confirm: %v", err)
	}
}

func TestMemoryForgetsTheOldestConfirmed(t *testing.T) {
	t.Parallel()
	const capacity = 1000
	m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: capacity})

	held := mustClaim(t, m, numbered(0)) // the oldest of all, but in flight
	slow := mustClaim(t, m, numbered(1)) // claimed first, confirmed last
	for n := range uint64(capacity) {
		mustConfirm(t, mustClaim(t, m, numbered(2+n)))
		if m.Len() > capacity {
			t.Fatalf("%d ids are kept, want at most %d", m.Len(), capacity)
		}
	}
	mustConfirm(t, slow) // 2 and 3 are forgotten by now; the next is 4

	want := func(n uint64, want error) {
		t.Helper()
		c, err := m.Claim(t.Context(), numbered(n), time.Minute)
		if !errors.Is(err, want) {
			t.Fatalf("Claim of id %d: %v, want %v", n, err, want)
		}
		if err == nil {
			c.Release(t.Context())
		}
	}
	want(0, dedupe.ErrInFlight)
	want(1, dedupe.ErrDone)
	want(4, dedupe.ErrDone)
	want(capacity+1, dedupe.ErrDone)
	want(2, nil)            // forgotten, and asking made 4 be forgotten
	want(4, nil)            // takes the room that was given back
	want(5, dedupe.ErrDone) // and nothing else is gone
	mustConfirm(t, held)    // which is a confirmation like any other
	want(0, dedupe.ErrDone)
}

func TestMemoryFullOfClaims(t *testing.T) {
	t.Parallel()
	var now clock
	m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: 3, Now: now.Now})
	claims := make([]dedupe.Claim, 3)
	for i := range claims {
		claims[i] = mustClaim(t, m, numbered(uint64(i)))
	}
	full := func(n uint64) {
		t.Helper()
		_, err := m.Claim(t.Context(), numbered(n), time.Minute)
		if !errors.Is(err, dedupe.ErrFull) || errors.Is(err, dedupe.ErrInFlight) || errors.Is(err, dedupe.ErrDone) {
			t.Fatalf("Claim: %v, want ErrFull", err)
		}
	}
	full(10)
	full(11)
	if err := claims[1].Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	claims[1] = mustClaim(t, m, numbered(10))
	full(11)
	mustConfirm(t, claims[0])
	mustConfirm(t, mustClaim(t, m, numbered(12))) // 0 is forgotten, then 12 is the only one confirmed
	mustConfirm(t, mustClaim(t, m, numbered(13)))

	// Claims whose owners never come back do not fill the store for ever, and an
	// owner that does come back finds that it lost.
	mustClaim(t, m, numbered(14))
	full(15)
	now.Add(time.Minute)
	for n := range uint64(3) {
		mustClaim(t, m, numbered(20+n))
	}
	full(15)
	if err := claims[2].Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("Confirm of a forgotten claim: %v, want ErrLost", err)
	}
}

func TestMemoryZeroConfig(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{0, -1, math.MinInt, math.MaxInt} {
		m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: capacity})
		mustConfirm(t, mustClaim(t, m, numbered(1)))
		if _, err := m.Claim(t.Context(), numbered(1), time.Minute); !errors.Is(err, dedupe.ErrDone) {
			t.Errorf("capacity %d: Claim: %v, want ErrDone", capacity, err)
		}
	}
}

// Of the claims that fill a store, the one whose lease ran out makes room, be it
// the oldest or not.
func TestMemoryFullOfLeasesOfDifferentLength(t *testing.T) {
	t.Parallel()
	var now clock
	m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: 3, Now: now.Now})
	var claims []dedupe.Claim
	for i, lease := range []time.Duration{time.Hour, time.Second, math.MaxInt64} {
		c, err := m.Claim(t.Context(), numbered(uint64(i)), lease)
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, c)
	}
	now.Add(time.Second)
	mustClaim(t, m, numbered(3))
	for i, want := range []error{nil, dedupe.ErrLost, nil} {
		if err := claims[i].Confirm(t.Context()); !errors.Is(err, want) {
			t.Errorf("Confirm of claim %d: %v, want %v", i, err, want)
		}
	}
}

func TestMemoryLongestLease(t *testing.T) {
	t.Parallel()
	var now clock
	m := dedupe.NewMemory(dedupe.MemoryConfig{Now: now.Now})
	now.Add(time.Hour)
	if _, err := m.Claim(t.Context(), numbered(1), math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	now.Add(100 * 365 * 24 * time.Hour)
	if _, err := m.Claim(t.Context(), numbered(1), time.Minute); !errors.Is(err, dedupe.ErrInFlight) {
		t.Fatalf("Claim: %v, want ErrInFlight", err)
	}
}

// The clock going back shortens no lease into nothing and frees nothing.
func TestMemoryClockGoesBack(t *testing.T) {
	t.Parallel()
	var now clock
	m := dedupe.NewMemory(dedupe.MemoryConfig{Now: now.Now})
	c := mustClaim(t, m, numbered(1))
	now.Add(-24 * time.Hour)
	if _, err := m.Claim(t.Context(), numbered(1), time.Minute); !errors.Is(err, dedupe.ErrInFlight) {
		t.Fatalf("Claim: %v, want ErrInFlight", err)
	}
	mustConfirm(t, c)
	second := mustClaim(t, m, numbered(2))
	if _, err := m.Claim(t.Context(), numbered(2), time.Minute); !errors.Is(err, dedupe.ErrInFlight) {
		t.Fatalf("Claim: %v, want ErrInFlight", err)
	}
	mustConfirm(t, second)
}

// TestMemoryBytes keeps the figure in Memory's comment true.
func TestMemoryBytes(t *testing.T) {
	const n = 1 << 17
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: n})
	for i := range uint64(2 * n) {
		mustConfirm(t, mustClaim(t, m, numbered(i)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perID := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes per id", perID)
	if perID > 200 {
		t.Errorf("%.0f bytes per id, want at most 200", perID)
	}
	runtime.KeepAlive(m)
}

func BenchmarkMemory(b *testing.B) {
	ctx := context.Background()
	for _, bench := range []struct {
		name     string
		capacity int
	}{{"new", math.MaxInt32}, {"evicting", 1 << 16}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: bench.capacity})
			var n uint64
			for b.Loop() {
				n++
				c, err := m.Claim(ctx, numbered(n), time.Minute)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Confirm(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("done", func(b *testing.B) {
		b.ReportAllocs()
		m := dedupe.NewMemory(dedupe.MemoryConfig{})
		mustConfirm(b, mustClaim(b, m, numbered(1)))
		for b.Loop() {
			if _, err := m.Claim(ctx, numbered(1), time.Minute); err != dedupe.ErrDone {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: 1 << 16})
		var n atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c, err := m.Claim(ctx, numbered(n.Add(1)), time.Minute)
				if err != nil {
					b.Fatal(err)
				}
				c.Confirm(ctx)
			}
		})
	})
}

func TestMemoryLookUnderACancelledContext(t *testing.T) {
	t.Parallel()
	m := dedupe.NewMemory(dedupe.MemoryConfig{})
	mustConfirm(t, mustClaim(t, m, numbered(1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Look(ctx, numbered(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Look: %v", err)
	}
}

// fmt reads what a pointer points to, and a Memory is written all the time.
func TestMemoryFormat(t *testing.T) {
	t.Parallel()
	m := dedupe.NewMemory(dedupe.MemoryConfig{})
	c, err := m.Claim(t.Context(), dedupe.ID{Key: [32]byte{1}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, c); got != "dedupe.Claim(memory, 1)" {
			t.Errorf("%s of a claim: %q", verb, got)
		}
		if got := fmt.Sprintf(verb, m); got != "dedupe.Memory" {
			t.Errorf("%s of a store: %q", verb, got)
		}
	}
}
