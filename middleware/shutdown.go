package middleware

import (
	"context"
	"net/http"
	"sync"
)

// gate counts the deliveries that are in and can be shut.
type gate struct {
	mu   sync.Mutex
	in   int
	shut chan struct{} // closed when the last one has left; nil while open
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		return false
	}
	g.in++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in--; g.in == 0 && g.shut != nil {
		close(g.shut)
	}
}

// Shutdown answers new deliveries with "send again later" and waits until
// those at work have been answered, or until ctx ends, whose error it then
// returns. It may be called again to wait on.
func (w *Webhook) Shutdown(ctx context.Context) error {
	g := &w.gate
	g.mu.Lock()
	if g.shut == nil {
		g.shut = make(chan struct{})
		if g.in == 0 {
			close(g.shut)
		}
	}
	empty := g.shut
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func shuttingDown() *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Reason: ReasonShutdown, result: ResultFailed}
}
