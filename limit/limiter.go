// Package limit holds back strangers: clients that keep sending callbacks
// which do not authenticate.
//
// A [Limiter] keeps one token bucket for each source that has failed lately.
// Only failures spend tokens, so a source that never fails is never refused
// and costs no memory. Give one to the webhook's configuration as its Admit.
package limit

import (
	"container/list"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultRate     = rate.Limit(1)
	defaultBurst    = 20
	defaultCapacity = 1 << 16
)

// Config is what [New] makes a Limiter from. The zero Config is usable on a
// server that its clients reach directly.
type Config struct {
	// Rate is how many failures a source is given back per second.
	// Defaults to 1.
	Rate rate.Limit

	// Burst is how many failures a source may cause before Rate is all it
	// gets. Defaults to 20.
	Burst int

	// Capacity is the greatest number of sources that are remembered at a
	// time. A remembered source takes about 250 bytes. Defaults to 65536.
	Capacity int

	// TrustedProxies are the addresses of one's own proxies. They, and
	// nobody else, are believed when they name a client in Header. If
	// empty, no header is read and the source is whoever connected.
	TrustedProxies []netip.Prefix

	// Header is the header in which the trusted proxies name the client:
	// "X-Forwarded-For", "Forwarded" (RFC 7239), or one of the kind that
	// holds a single address, such as "CF-Connecting-IP". It must be one
	// that the outermost proxy overwrites or appends to. Required with
	// TrustedProxies, refused without.
	Header string

	// Now is the clock. If nil, time.Now is used.
	Now func() time.Time
}

// Limiter tells which requests to turn away before any work is done for them.
//
// A source is an IPv4 address or an IPv6 /64. A request whose source cannot be
// told (a Unix socket, an address that does not parse, a trusted proxy that
// names no client) is let through and never spends a token: all such requests
// would share one bucket, and whoever emptied it would lock everybody out.
//
// When Capacity sources are remembered, a newcomer takes over the bucket of
// the one that failed longest ago, as that bucket stands. So being forgotten
// makes no tokens: nobody gets a fresh burst by pushing his own entry out. It
// does buy one failure, at the price of Capacity failures from as many other
// sources. And however full the table is, a source that does not fail is let
// through.
//
// A Limiter is safe for concurrent use.
type Limiter struct {
	clients  clients
	rate     rate.Limit
	burst    int
	capacity int
	now      func() time.Time

	mu      sync.Mutex
	sources map[netip.Addr]*list.Element // of *source
	order   list.List                    // front: failed or refused last
}

// source is one client that failed lately.
type source struct {
	addr   netip.Addr
	bucket *rate.Limiter
}

// New checks cfg and returns a Limiter that has seen nobody yet.
func New(cfg Config) (*Limiter, error) {
	if cfg.Rate == 0 {
		cfg.Rate = defaultRate
	}
	if cfg.Burst == 0 {
		cfg.Burst = defaultBurst
	}
	if cfg.Capacity == 0 {
		cfg.Capacity = defaultCapacity
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !(cfg.Rate > 0) || cfg.Rate == rate.Inf || math.IsInf(float64(cfg.Rate), 0) {
		return nil, fmt.Errorf("limit: Rate %v is not a positive number", float64(cfg.Rate))
	}
	if cfg.Burst < 0 {
		return nil, errors.New("limit: Burst is negative")
	}
	if cfg.Capacity < 0 {
		return nil, errors.New("limit: Capacity is negative")
	}
	c, err := newClients(cfg.TrustedProxies, cfg.Header)
	if err != nil {
		return nil, err
	}
	return &Limiter{
		clients:  c,
		rate:     cfg.Rate,
		burst:    cfg.Burst,
		capacity: cfg.Capacity,
		now:      cfg.Now,
		sources:  make(map[netip.Addr]*list.Element),
	}, nil
}

// Allow reports whether the source of r has a token left. It spends none.
func (l *Limiter) Allow(r *http.Request) bool {
	addr, ok := l.clients.source(r)
	if !ok {
		return true
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.sources[addr]
	if !known || e.Value.(*source).bucket.TokensAt(now) >= 1 {
		return true
	}
	// Who keeps knocking while he is refused stays remembered.
	l.order.MoveToFront(e)
	return false
}

// Penalise spends one token of the source of r.
//
// Requests that were let in together may each fail after the last token is
// gone. They are counted too, down to a debt of one Burst, so that a source
// gains nothing by sending in parallel and is free again after at most
// 2*Burst/Rate seconds of good conduct.
func (l *Limiter) Penalise(r *http.Request) {
	addr, ok := l.clients.source(r)
	if !ok {
		return
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.remember(addr)
	if bucket.TokensAt(now)-1 >= -float64(l.burst) {
		bucket.ReserveN(now, 1)
	}
}

// remember returns the bucket of addr and makes it the youngest.
func (l *Limiter) remember(addr netip.Addr) *rate.Limiter {
	if e, known := l.sources[addr]; known {
		l.order.MoveToFront(e)
		return e.Value.(*source).bucket
	}
	if len(l.sources) < l.capacity {
		s := &source{addr: addr, bucket: rate.NewLimiter(l.rate, l.burst)}
		l.sources[addr] = l.order.PushFront(s)
		return s.bucket
	}
	oldest := l.order.Back()
	s := oldest.Value.(*source)
	delete(l.sources, s.addr)
	s.addr = addr
	l.sources[addr] = oldest
	l.order.MoveToFront(oldest)
	return s.bucket
}
