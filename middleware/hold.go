package middleware

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// quantum is what the answers to failed authentications take a whole number of.
// It is far longer than the opening of a usual envelope, and short for who waits.
const quantum = time.Millisecond

// holder holds such answers back, so that the time they take does not tell how
// far the opening came: a wrong key, a wrong padding, a bad plaintext, a wrong
// digest and an unknown merchant are not told apart. Its zero value works.
//
// Time is counted from the end of the body. From its beginning a stranger could
// choose, by when the rest comes, how much of a quantum remains for the opening,
// and measure it by which quantum the answer comes in.
//
// One goroutine releases all that are held, and ends when none is. A timer in
// each would not do: on Linux a process with nothing else to do sleeps for whole
// milliseconds from when it went to sleep, so that the answer would be late by
// what the opening took.
type holder struct {
	mu      sync.Mutex
	held    []held // by until
	running bool
}

type held struct {
	until    time.Time
	released chan struct{}
}

// hold returns at the next whole quantum since start, or when ctx ends.
func (h *holder) hold(ctx context.Context, start time.Time) {
	elapsed := time.Since(start)
	one := held{start.Add((elapsed/quantum + 1) * quantum), make(chan struct{})}
	h.mu.Lock()
	at := len(h.held)
	for at > 0 && h.held[at-1].until.After(one.until) {
		at--
	}
	h.held = slices.Insert(h.held, at, one)
	if !h.running {
		h.running = true
		go h.release()
	}
	h.mu.Unlock()
	select {
	case <-one.released:
	case <-ctx.Done():
	}
}

// release releases what is held until nothing is.
func (h *holder) release() {
	for now := time.Now(); ; {
		h.mu.Lock()
		due := 0
		for due < len(h.held) && !h.held[due].until.After(now) {
			close(h.held[due].released)
			due++
		}
		h.held = slices.Delete(h.held, 0, due)
		if len(h.held) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		next := h.held[0].until
		h.mu.Unlock()
		if now = time.Now(); now.Before(next) {
			pause(next.Sub(now))
			now = next
		}
	}
}

// fromNetwork reports whether an [http.Server] brought r: only then can a
// stranger measure how long the answer takes.
func fromNetwork(r *http.Request) bool { return r.Context().Value(http.ServerContextKey) != nil }
