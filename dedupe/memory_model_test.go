package dedupe_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// model is the slow, obvious memory store.
type model struct {
	capacity int
	now      time.Duration
	claims   int
	kept     []*modelEntry // confirmed in the order of their confirmation, and claimed in that of their claim
}

type modelEntry struct {
	id        dedupe.ID
	claim     int
	until     time.Duration
	confirmed bool
}

func (m *model) find(key [32]byte) *modelEntry {
	for _, e := range m.kept {
		if e.id.Key == key {
			return e
		}
	}
	return nil
}

func (m *model) drop(e *modelEntry) {
	m.kept = slices.DeleteFunc(m.kept, func(k *modelEntry) bool { return k == e })
}

// look says what is said of an id that is confirmed.
func (m *model) look(id dedupe.ID) error {
	e := m.find(id.Key)
	if e == nil || !e.confirmed {
		return nil
	}
	if id.Conflicts(e.id.Mark) {
		return dedupe.ErrConflict
	}
	if e.id.Mark == [32]byte{} {
		e.id.Mark = id.Mark
	}
	return dedupe.ErrDone
}

// claim returns the number of the claim.
func (m *model) claim(id dedupe.ID, lease time.Duration) (int, error) {
	if err := m.look(id); err != nil {
		return 0, err
	}
	e := m.find(id.Key)
	switch {
	case e != nil && m.now < e.until:
		return 0, dedupe.ErrInFlight
	case e != nil:
		m.drop(e)
	case len(m.kept) == m.capacity:
		i := slices.IndexFunc(m.kept, func(k *modelEntry) bool { return k.confirmed })
		if i < 0 {
			i = slices.IndexFunc(m.kept, func(k *modelEntry) bool { return k.until <= m.now })
		}
		if i < 0 {
			return 0, dedupe.ErrFull
		}
		m.kept = slices.Delete(m.kept, i, i+1)
	}
	m.claims++
	m.kept = append(m.kept, &modelEntry{id: id, claim: m.claims, until: m.now + lease})
	return m.claims, nil
}

func (m *model) of(claim int) *modelEntry {
	for _, e := range m.kept {
		if e.claim == claim {
			return e
		}
	}
	return nil
}

func (m *model) confirm(claim int) error {
	e := m.of(claim)
	if e == nil {
		return dedupe.ErrLost
	}
	if !e.confirmed {
		e.confirmed = true
		m.drop(e)
		m.kept = append(m.kept, e)
	}
	return nil
}

func (m *model) release(claim int) error {
	e := m.of(claim)
	if e == nil || e.confirmed {
		return dedupe.ErrLost
	}
	m.drop(e)
	return nil
}

// TestMemoryIsItsModel makes random steps on both and compares every answer:
// evictions, takeovers, late owners and repeated confirmations included.
func TestMemoryIsItsModel(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{1, 2, 5, 600} { // the last one spans two chunks
		for seed := range uint64(8) {
			memoryIsItsModel(t, capacity, rand.New(rand.NewPCG(seed, uint64(capacity))))
		}
	}
}

func memoryIsItsModel(t *testing.T, capacity int, choose *rand.Rand) {
	var now clock
	m := dedupe.NewMemory(dedupe.MemoryConfig{Capacity: capacity, Now: now.Now})
	want := &model{capacity: capacity}
	type pair struct {
		claim  dedupe.Claim
		number int
	}
	var pairs []pair
	for step := range 3000 {
		id := numbered(uint64(choose.IntN(capacity + capacity/2 + 2)))
		id.Mark = [32]byte{byte(choose.IntN(3))}
		lease := time.Duration(1+choose.IntN(5)) * time.Second
		var got, expected error
		what := "claim"
		switch n := choose.IntN(20); {
		case n < 2:
			d := time.Duration(choose.IntN(3)) * time.Second
			now.Add(d)
			want.now += d
			continue
		case n < 5:
			what = "look"
			got, expected = m.Look(t.Context(), id), want.look(id)
		case n < 9 && len(pairs) > 0:
			what = "confirm"
			p := pairs[max(0, len(pairs)-1-choose.IntN(2*capacity))]
			got, expected = p.claim.Confirm(t.Context()), want.confirm(p.number)
		case n < 11 && len(pairs) > 0:
			what = "release"
			p := pairs[max(0, len(pairs)-1-choose.IntN(2*capacity))]
			got, expected = p.claim.Release(t.Context()), want.release(p.number)
		default:
			var p pair
			p.claim, got = m.Claim(t.Context(), id, lease)
			p.number, expected = want.claim(id, lease)
			if got == nil && expected == nil {
				pairs = append(pairs, p)
			}
		}
		if !errors.Is(got, expected) || errors.Is(got, dedupe.ErrConflict) != (expected == dedupe.ErrConflict) {
			t.Fatalf("capacity %d, step %d, %s: %v, want %v", capacity, step, what, got, expected)
		}
		if n := m.Len(); n != len(want.kept) {
			t.Fatalf("capacity %d, step %d, %s: %d are kept, want %d", capacity, step, what, n, len(want.kept))
		}
	}
}
