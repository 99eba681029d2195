package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	bytesPerID     = 190     // "An ID takes about 190 bytes", dedupe.Memory
	bytesPerSource = 450     // "A remembered source takes 250 to 450 bytes", limit.Config
	sources        = 1 << 16 // the default of limit.Config.Capacity
)

// kept is a table's row of something that keeps what it was told.
type kept struct {
	name      string
	tell      func(i uint64) error // the i-th thing, never told before
	len       func() int           // how many are kept; nil if it does not tell
	capacity  int
	bytesEach int64 // documented
}

// fill tells it n things, looks at the heap on the way, and states its bounds.
func (k kept) fill(ctx context.Context, p *page, n int) error {
	before := live()
	peak := usage{}
	start := processorTime()
	var looking time.Duration
	for i := range n {
		if err := k.tell(uint64(i)); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if (i+1)%max(1, n/10) == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			at := processorTime()
			peak = peak.most(live())
			looking += processorTime() - at
		}
	}
	took := processorTime() - start - looking
	most := int64(k.capacity) * k.bytesEach
	length := " | " // it does not tell
	if k.len != nil {
		length = p.count(k.name+": kept", int64(k.len()), int64(k.capacity))
	}
	p.printf("| %s | %s | %.2f | %s | %s |\n", k.name, thousands(int64(n)), float64(took.Nanoseconds())/float64(n)/1000,
		p.bytes(k.name+": heap", peak.heap-before.heap, most), length)
	runtime.KeepAlive(k)
	return nil
}

// claims is a store that claims and confirms each ID.
func claims(name string, store dedupe.Store, length func() int, capacity int) kept {
	ctx := context.Background()
	return kept{
		name: name, len: length, capacity: capacity, bytesEach: bytesPerID,
		tell: func(i uint64) error {
			var id dedupe.ID
			binary.BigEndian.PutUint64(id.Key[:], i*0x9E3779B97F4A7C15) // spread, as digests are
			binary.BigEndian.PutUint64(id.Key[8:], i)
			claim, err := store.Claim(ctx, id, time.Minute)
			if err != nil {
				return err
			}
			return claim.Confirm(ctx)
		},
	}
}

// failures is a limiter that is told of failures, each of another source.
func failures(name string, limiter middleware.SourceLimiter, addr func(i uint64) netip.Addr, capacity int) kept {
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}}
	return kept{
		name: name, capacity: capacity, bytesEach: bytesPerSource,
		tell: func(i uint64) error {
			r.RemoteAddr = netip.AddrPortFrom(addr(i), 443).String()
			limiter.Allow(r)
			limiter.Penalise(r)
			return nil
		},
	}
}

// fourth is an IPv4 address.
func fourth(i uint64) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 1<<24+uint32(i))
	return netip.AddrFrom4(a)
}

// sixth is an IPv6 address in a /48 of its own.
func sixth(i uint64) netip.Addr {
	a := [16]byte{0: 0x20, 15: 1}
	binary.BigEndian.PutUint32(a[2:], uint32(i))
	return netip.AddrFrom16(a)
}

// same is an IPv6 address in the one /48 of an attacker, in a /64 of its own as
// far as there are some.
func same(i uint64) netip.Addr {
	a := [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8}
	binary.BigEndian.PutUint64(a[6:], i<<16) // 16 bits of subnet, then the host
	return netip.AddrFrom16(a)
}

// keepers returns what keeps things, with the defaults.
func keepers() ([]kept, error) {
	memory := newMemory()
	all := []kept{claims("`dedupe.Memory`, IDs claimed and confirmed", memory, memory.Len, dedupe.DefaultCapacity)}
	for _, l := range []struct {
		name string
		addr func(uint64) netip.Addr
	}{
		{"`limit.Limiter`, IPv4 addresses", fourth},
		{"`limit.Limiter`, IPv6 addresses, each in a /48 of its own", sixth},
		{"`limit.Limiter`, IPv6 addresses of one /48", same},
	} {
		limiter, err := limit.New(limit.Config{})
		if err != nil {
			return nil, err
		}
		all = append(all, failures(l.name, limiter, l.addr, sources))
	}
	return all, nil
}

// stores measures what is kept of so many distinct things.
func stores(ctx context.Context, p *page, all []kept, n int) error {
	p.printf("\n### What is remembered\n\n")
	p.printf("Each is told of %s distinct things, with its default capacity: %s IDs of %d bytes, and %s sources of %d bytes, as their documentation says.\n",
		thousands(int64(n)), thousands(dedupe.DefaultCapacity), bytesPerID, thousands(sources), bytesPerSource)
	p.printf("The heap is the largest of ten looks, each after two garbage collections, less that before.\n\n")
	p.printf("| | told | µs each | heap | at most | kept | at most |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for i := range all {
		if err := all[i].fill(ctx, p, n); err != nil {
			return err
		}
		all[i] = kept{} // its memory is not the next one's
	}
	return nil
}
