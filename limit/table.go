package limit

import (
	"hash/maphash"
	"maps"
	"net/netip"
)

// tableParts is how many maps a table consists of.
const tableParts = 64

// table is a map that may live by deleting and inserting for ever. Go's maps
// double from time to time under that, although they have no more elements:
// after eight times as many insertions as elements, after some hundred times, and
// so on. So they are made anew now and then, a part at a time, because the time
// for all of a full Limiter would be felt.
type table[V any] struct {
	seed  maphash.Seed
	parts [tableParts]part[V]
}

type part[V any] struct {
	of      map[netip.Addr]V
	deleted int // since the map was made
}

func newTable[V any]() *table[V] {
	t := &table[V]{seed: maphash.MakeSeed()}
	for i := range t.parts {
		t.parts[i].of = make(map[netip.Addr]V)
	}
	return t
}

func (t *table[V]) part(addr netip.Addr) *part[V] {
	b := addr.As16()
	return &t.parts[maphash.Bytes(t.seed, b[:])%tableParts]
}

// get returns the value of addr, the zero V if there is none.
func (t *table[V]) get(addr netip.Addr) V { return t.part(addr).of[addr] }

func (t *table[V]) set(addr netip.Addr, v V) { t.part(addr).of[addr] = v }

func (t *table[V]) remove(addr netip.Addr) {
	p := t.part(addr)
	delete(p.of, addr)
	if p.deleted++; p.deleted > 2*len(p.of)+8 {
		renewed := make(map[netip.Addr]V, len(p.of)+1)
		maps.Copy(renewed, p.of)
		p.of, p.deleted = renewed, 0
	}
}
