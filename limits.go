package ottpay

import (
	"errors"
	"sync"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Quota is a rate with a burst. The zero Quota is no limit.
type Quota struct {
	PerSecond rate.Limit // calls per second on average; 0 is no limit
	Burst     int        // calls at once; defaults to 1
}

// LimitsConfig are the quotas that each merchant has for itself. The vendor
// documents none.
type LimitsConfig struct {
	Effects Quota // payments and refunds
	Queries Quota // everything that only asks
}

// Limits holds calls back in this process. Each merchant has a bucket of its
// own for payments and refunds and another for queries, so that neither a busy
// merchant nor a busy poller takes from others. A call that its bucket could
// not let go before the context's deadline fails at once. Limits is safe for
// concurrent use.
type Limits struct {
	cfg LimitsConfig

	mu      sync.Mutex
	buckets map[bucket]*rate.Limiter
}

type bucket struct {
	merchant string
	kind     api.Kind
}

// NewLimits returns Limits with full buckets.
func NewLimits(cfg LimitsConfig) (*Limits, error) {
	for _, q := range []*Quota{&cfg.Effects, &cfg.Queries} {
		if q.PerSecond < 0 || q.Burst < 0 {
			return nil, errors.New("ottpay: a quota is negative")
		}
		q.Burst = or(q.Burst, 1)
	}
	return &Limits{cfg: cfg, buckets: make(map[bucket]*rate.Limiter)}, nil
}

// Limiter returns the merchant's limiter for calls of this kind, always the
// same one, or nil if they are not limited. It fits Config.Limiter.
func (l *Limits) Limiter(merchantID string, kind api.Kind) middleware.Limiter {
	quota := l.cfg.Effects
	if kind == api.KindQuery {
		quota = l.cfg.Queries
	}
	if quota.PerSecond == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := bucket{merchantID, kind}
	limiter, ok := l.buckets[key]
	if !ok {
		limiter = rate.NewLimiter(quota.PerSecond, quota.Burst)
		l.buckets[key] = limiter
	}
	return limiter
}
