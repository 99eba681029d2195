package main

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"
)

var started = time.Now()

// usage is what a process holds.
type usage struct {
	heap, stack int64 // bytes
	goroutines  int64
}

// live returns what is held after a garbage collection. It collects twice: what
// a sync.Pool holds survives the first.
func live() usage {
	runtime.GC()
	runtime.GC()
	return now()
}

// now returns what is held now, garbage that was not collected yet included.
func now() usage {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(samples)
	return usage{int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64()), int64(samples[2].Value.Uint64())}
}

func (u usage) minus(v usage) usage {
	return usage{u.heap - v.heap, u.stack - v.stack, u.goroutines - v.goroutines}
}

// most returns the greater of each.
func (u usage) most(v usage) usage {
	return usage{max(u.heap, v.heap), max(u.stack, v.stack), max(u.goroutines, v.goroutines)}
}

// watch looks every few milliseconds until stop is called, which returns the
// greatest heap, stack and number of goroutines that it saw.
func watch() (stop func() usage) {
	done := make(chan struct{})
	var peak usage
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = peak.most(now())
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() usage {
		close(done)
		running.Wait()
		return peak
	}
}

func median[T int64 | float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
