// Package limit holds back clients that keep sending callbacks which do not
// authenticate.
//
// A [Limiter] keeps one token bucket for each source that has failed lately.
// Only failures spend tokens, so a source that never fails is never refused and
// costs no memory. It goes into middleware.Config.SourceLimiter.
package limit

import (
	"container/list"
	"errors"
	"fmt"
	"io"
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

	// siteCapacity is how many sources of one IPv6 /48, which is what one
	// customer may be given, are remembered at a time.
	siteCapacity = 64
)

// Config configures a Limiter: see [New]. The zero Config is usable on a
// server that its clients reach directly.
type Config struct {
	// Rate is how many failures a source is given back per second.
	// Defaults to 1.
	Rate rate.Limit

	// Burst is how many failures a source may cause before Rate is all it
	// gets. Defaults to 20.
	Burst int

	// Capacity is the greatest number of sources that are remembered at a
	// time. A remembered source takes 250 to 450 bytes. Defaults to 65536.
	Capacity int

	// TrustedProxies are the addresses of the shop's own proxies. Only they are
	// believed when they name a client in Header. If empty, no header is read and
	// the source is the address that connected.
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
// A source is an IPv4 address or an IPv6 /64. A request whose source is unknown
// (a Unix socket, an address that does not parse, a trusted proxy that names no
// client) is let through and never spends a token: all such requests would share
// one bucket, and one client could lock all others out. Memory is bounded by
// Config.Capacity; a source that does not fail is let through, however full the
// table is. See SECURITY.md, "Limiting by source".
//
// A Limiter is safe for concurrent use.
type Limiter struct {
	clients  clients
	rate     rate.Limit
	burst    int
	capacity int
	now      func() time.Time

	mu      sync.Mutex
	sources *table[*source]
	order   list.List          // of *source; front: failed or refused last
	sites   *table[*list.List] // of *source, likewise, by IPv6 /48
}

// Format writes the type's name, whatever the verb: fmt would read what requests
// are changing.
func (*Limiter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "limit.Limiter") }

// source is one client that failed lately.
type source struct {
	addr   netip.Addr
	bucket *rate.Limiter
	place  *list.Element // in Limiter.order
	inSite *list.Element // in its site, or nil
}

// New checks cfg and returns a Limiter that remembers no source yet.
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
		sources:  newTable[*source](),
		sites:    newTable[*list.List](),
	}, nil
}

// Source returns the address of the client of r: behind trusted proxies, the one
// that they name. It reports false if the client is unknown.
func (l *Limiter) Source(r *http.Request) (netip.Addr, bool) { return l.clients.client(r) }

// Allow reports whether the source of r has a token left. It spends none.
func (l *Limiter) Allow(r *http.Request) bool {
	addr, ok := l.clients.source(r)
	if !ok {
		return true
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sources.get(addr)
	if s == nil || s.bucket.TokensAt(now) >= 1 {
		return true
	}
	l.touch(s) // a source that goes on while it is refused stays remembered
	return false
}

// Penalise spends one token of the source of r.
//
// Requests that were let in together may each fail after the last token is
// gone. They are counted too, down to a debt of one Burst, so that a source
// gains nothing by sending in parallel and is free again after at most
// 2*Burst/Rate seconds without a failure.
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
	if s := l.sources.get(addr); s != nil {
		l.touch(s)
		return s.bucket
	}
	bucket := l.displace(addr)
	if bucket == nil {
		bucket = rate.NewLimiter(l.rate, l.burst)
	}
	s := &source{addr: addr, bucket: bucket}
	l.sources.set(addr, s)
	s.place = l.order.PushFront(s)
	if site, ok := siteOf(addr); ok {
		others := l.sites.get(site)
		if others == nil {
			others = list.New()
			l.sites.set(site, others)
		}
		s.inSite = others.PushFront(s)
	}
	return bucket
}

// displace forgets a source where there is no room for addr, and returns its
// bucket.
func (l *Limiter) displace(addr netip.Addr) *rate.Limiter {
	oldest := l.order.Back()
	if others := l.site(addr); others != nil && others.Len() >= siteCapacity {
		oldest = others.Back()
	} else if l.order.Len() < l.capacity {
		return nil
	}
	s := oldest.Value.(*source)
	l.sources.remove(s.addr)
	l.order.Remove(s.place)
	if s.inSite != nil {
		others := l.site(s.addr)
		others.Remove(s.inSite)
		if others.Len() == 0 {
			site, _ := siteOf(s.addr)
			l.sites.remove(site)
		}
	}
	return s.bucket
}

// touch makes s the youngest.
func (l *Limiter) touch(s *source) {
	l.order.MoveToFront(s.place)
	if s.inSite != nil {
		l.site(s.addr).MoveToFront(s.inSite)
	}
}

// site returns the sources of the /48 of an IPv6 address, nil if there are none.
func (l *Limiter) site(addr netip.Addr) *list.List {
	site, ok := siteOf(addr)
	if !ok {
		return nil
	}
	return l.sites.get(site)
}

// siteOf returns the /48 of an IPv6 address.
func siteOf(addr netip.Addr) (netip.Addr, bool) {
	if addr.Is4() {
		return netip.Addr{}, false
	}
	p, err := addr.Prefix(48)
	return p.Addr(), err == nil
}
