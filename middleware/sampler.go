package middleware

import (
	"sync"
	"time"
)

// sampler lets a few events of a kind through per window, so that forged
// traffic does not fill the log.
type sampler struct {
	most   int
	window time.Duration
	now    func() time.Time

	mu         sync.Mutex
	start      time.Time
	n, dropped int
}

// take reports whether the event may be logged, and how many were not since
// the last one that was.
func (s *sampler) take() (dropped int, ok bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := now.Sub(s.start); d >= s.window || d < 0 {
		s.start, s.n = now, 0
	}
	if s.n++; s.n > s.most {
		s.dropped++
		return 0, false
	}
	dropped, s.dropped = s.dropped, 0
	return dropped, true
}
