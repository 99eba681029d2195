package middleware

import (
	"strings"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

const (
	sampleMost   = 3           // events of a kind per window that are told
	sampleWindow = time.Minute // of each kind
	sampleKinds  = 1 << 12     // that are told apart at a time
)

// sampled is a kind of event.
type sampled struct {
	what     string    // a reason or a result
	id       dedupe.ID // of an authentic delivery
	merchant string    // whose sign key may be wrong
}

// sampler lets a few events of each kind through per window, so that what a
// stranger can repeat at will does not fill the log. Its zero value works. It
// is safe for concurrent use.
type sampler struct {
	mu    sync.Mutex
	kinds map[sampled]*sample
}

type sample struct {
	start      time.Time
	n, dropped int
}

// take reports whether the event is told, and how many of its kind were not
// since the last one that was.
func (s *sampler) take(kind sampled, now time.Time) (dropped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[kind]
	if k == nil {
		k = s.add(kind, now)
	}
	if d := now.Sub(k.start); d >= sampleWindow || d < 0 {
		k.start, k.n = now, 0
	}
	if k.n++; k.n > sampleMost {
		k.dropped++
		return 0, false
	}
	dropped, k.dropped = k.dropped, 0
	return dropped, true
}

// add begins a kind. When there are too many, those that are over go; if none
// is, the identities of deliveries are not told apart any more.
func (s *sampler) add(kind sampled, now time.Time) *sample {
	if s.kinds == nil {
		s.kinds = make(map[sampled]*sample)
	}
	if len(s.kinds) >= sampleKinds {
		for old, k := range s.kinds {
			if d := now.Sub(k.start); d >= sampleWindow || d < 0 {
				delete(s.kinds, old)
			}
		}
	}
	if len(s.kinds) >= sampleKinds {
		kind = sampled{what: kind.what}
		if k := s.kinds[kind]; k != nil {
			return k
		}
	}
	kind.merchant = strings.Clone(kind.merchant) // it shares the memory of a whole envelope
	k := &sample{start: now}
	s.kinds[kind] = k
	return k
}

// maxMerchants bounds the merchants that are remembered.
const maxMerchants = 1 << 16

// merchants remembers whose callbacks have opened. Its zero value works.
type merchants struct {
	mu  sync.RWMutex
	ids map[string]struct{}
}

func (m *merchants) has(id string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.ids[id]
	return ok || len(m.ids) >= maxMerchants
}

func (m *merchants) add(id string) {
	if m.has(id) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids == nil {
		m.ids = make(map[string]struct{})
	}
	m.ids[strings.Clone(id)] = struct{}{}
}
