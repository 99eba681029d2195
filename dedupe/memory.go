package dedupe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"
)

// ErrFull says that a [Memory] is full of claims in flight. It is an outage: the
// delivery must come again later.
var ErrFull = errors.New("dedupe: memory store is full of claims in flight")

// DefaultCapacity is the number of IDs that a [Memory] keeps by default.
const DefaultCapacity = 1 << 18

// MemoryConfig configures [NewMemory]. Its zero value works.
type MemoryConfig struct {
	// Capacity is the largest number of IDs to keep, confirmed and in flight
	// together. At the limit the ID that was confirmed longest ago is forgotten. If
	// a delivery of it comes again, it is handled again. Zero or less means
	// [DefaultCapacity].
	Capacity int

	// Now is the clock of the leases. If nil, time.Now.
	Now func() time.Time
}

// Memory is a [Store] in the memory of one process. It is for tests, and for a
// service of one process whose handler is harmless when repeated. It does not
// know of other replicas. It forgets everything when the process ends: after a
// restart every callback of the past can be replayed.
//
// It is bounded. At Capacity it forgets the ID that was confirmed longest ago,
// never one in flight. If there are only IDs in flight, Claim returns [ErrFull].
// An ID takes about 190 bytes, which are allocated when they are needed and kept;
// 256 were measured after ten million had come and gone, as the index grows.
//
// Memory is safe for concurrent use.
type Memory struct {
	capacity int
	now      func() time.Time
	start    time.Time

	mu     sync.Mutex
	index  map[[32]byte]int32
	chunks []*[chunkLen]entry
	len    int32  // entries in chunks that were ever used
	claims uint64 // claims ever made; the newest's fencing token

	free     list  // entries to be used again
	done     list  // confirmed, the oldest first
	inFlight list  // claimed, the oldest first
	soonest  int64 // no lease in inFlight runs out before
}

// Format writes the type's name, whatever the verb: fmt would read what claims
// are changing.
func (*Memory) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "dedupe.Memory") }

// The slab's unit. Entries never move, and neither they nor the index hold a
// pointer, so that the garbage collector does not walk them.
const chunkLen = 512

type entry struct {
	id         ID
	token      uint64 // the claim that holds or confirmed the ID; 0 in the free list
	until      int64  // end of the lease, nanoseconds since start
	prev, next int32  // neighbours in the entry's list, 1-based; 0: none
	confirmed  bool
}

// list is a doubly linked list of entries, 1-based so that its zero value is
// an empty list.
type list struct{ first, last int32 }

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) *Memory {
	if cfg.Capacity <= 0 {
		cfg.Capacity = DefaultCapacity
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Memory{
		capacity: min(cfg.Capacity, math.MaxInt32),
		now:      cfg.Now,
		start:    cfg.Now(),
		index:    make(map[[32]byte]int32),
		soonest:  math.MaxInt64,
	}
}

// Claim implements [Store].
func (m *Memory) Claim(ctx context.Context, id ID, lease time.Duration) (Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if lease <= 0 {
		return nil, errLease
	}
	now := int64(m.now().Sub(m.start))

	m.mu.Lock()
	defer m.mu.Unlock()
	i, known := m.index[id.Key]
	if known {
		if err := m.refuse(m.at(i), id, now); err != nil {
			return nil, err
		}
		m.unlink(&m.inFlight, i)
	} else {
		if i = m.room(now); i == 0 {
			return nil, ErrFull
		}
		m.index[id.Key] = i
	}
	m.claims++
	e := m.at(i)
	*e = entry{id: id, token: m.claims, until: endOf(now, lease)}
	m.push(&m.inFlight, i)
	m.soonest = min(m.soonest, e.until)
	return &memoryClaim{m: m, at: i, token: e.token}, nil
}

// Look implements [Looker].
func (m *Memory) Look(ctx context.Context, id ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, known := m.index[id.Key]
	if !known || !m.at(i).confirmed {
		return nil
	}
	return m.refuse(m.at(i), id, 0)
}

// refuse returns why the entry may not be claimed, or nil.
func (m *Memory) refuse(e *entry, id ID, now int64) error {
	if !e.confirmed {
		if now < e.until {
			return ErrInFlight
		}
		return nil
	}
	if id.Conflicts(e.id.Mark) {
		return ErrConflict
	}
	if e.id.Mark == [32]byte{} {
		e.id.Mark = id.Mark
	}
	return ErrDone
}

// endOf returns now + lease, without overflow.
func endOf(now int64, lease time.Duration) int64 {
	if end := now + int64(lease); end > now {
		return end
	}
	return math.MaxInt64
}

// room returns an unused entry: one that was given back, a new one, or that of
// the ID that is forgotten for it. It returns 0 if there is none.
func (m *Memory) room(now int64) int32 {
	if i := m.free.first; i != 0 {
		m.unlink(&m.free, i)
		return i
	}
	if int(m.len) < m.capacity {
		if int(m.len) == len(m.chunks)*chunkLen {
			m.chunks = append(m.chunks, new([chunkLen]entry))
		}
		m.len++
		return m.len
	}
	if i := m.done.first; i != 0 {
		m.unlink(&m.done, i)
		delete(m.index, m.at(i).id.Key)
		return i
	}
	if i := m.abandoned(now); i != 0 {
		m.unlink(&m.inFlight, i)
		delete(m.index, m.at(i).id.Key)
		return i
	}
	return 0
}

// abandoned returns an entry whose lease ran out, or 0. It looks through the
// whole list only if there may be one.
func (m *Memory) abandoned(now int64) (found int32) {
	if now < m.soonest {
		return 0
	}
	m.soonest = math.MaxInt64
	for i := m.inFlight.first; i != 0; i = m.at(i).next {
		if found == 0 && m.at(i).until <= now {
			found = i
			continue
		}
		m.soonest = min(m.soonest, m.at(i).until)
	}
	return found
}

// Len returns the number of IDs that are kept now, confirmed and in flight.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.index)
}

func (m *Memory) at(i int32) *entry {
	return &m.chunks[(i-1)/chunkLen][(i-1)%chunkLen]
}

func (m *Memory) push(l *list, i int32) {
	e := m.at(i)
	e.prev, e.next = l.last, 0
	if l.last != 0 {
		m.at(l.last).next = i
	} else {
		l.first = i
	}
	l.last = i
}

func (m *Memory) unlink(l *list, i int32) {
	e := m.at(i)
	if e.prev != 0 {
		m.at(e.prev).next = e.next
	} else {
		l.first = e.next
	}
	if e.next != 0 {
		m.at(e.next).prev = e.prev
	} else {
		l.last = e.prev
	}
}

type memoryClaim struct {
	m     *Memory
	at    int32
	token uint64
}

// held reports whether the entry is still this claim's. Tokens are never used
// again, so that an entry of another ID has another token.
func (c *memoryClaim) held() bool { return c.m.at(c.at).token == c.token }

// Format writes the fencing token, whatever the verb: see [Memory.Format].
func (c *memoryClaim) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "dedupe.Claim(memory, %d)", c.token)
}

func (c *memoryClaim) Confirm(context.Context) error {
	m := c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !c.held() {
		return ErrLost
	}
	if e := m.at(c.at); !e.confirmed {
		m.unlink(&m.inFlight, c.at)
		e.confirmed = true
		m.push(&m.done, c.at)
	}
	return nil
}

func (c *memoryClaim) Release(context.Context) error {
	m := c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.at(c.at)
	if !c.held() || e.confirmed {
		return ErrLost
	}
	m.unlink(&m.inFlight, c.at)
	delete(m.index, e.id.Key)
	*e = entry{}
	m.push(&m.free, c.at)
	return nil
}
