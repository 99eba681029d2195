// Package dedupetest holds the suite that every [dedupe.Store] must pass.
package dedupetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// Harness is a store under test.
type Harness struct {
	// Store is the store. It may be shared by all the suite's tests.
	Store dedupe.Store

	// Expire makes the lease of a claim that holds the id run out now, by moving
	// the store's clock or the end of the lease. If nil, the suite claims with
	// leases of a fraction of a second and waits in Claim, which is for stores
	// whose Claim blocks while another holds the ID.
	Expire func(t *testing.T, id dedupe.ID)

	// Replica is a second store on the same data, as another process would have
	// it. If nil, the store is for one process and this is not tested.
	Replica dedupe.Store

	// Broken is a store of the same kind whose data cannot be reached. If nil, the
	// store has no outages.
	Broken dedupe.Store

	// Write writes a row of this name with what the context of a claim holds. It is
	// for stores whose claims are [dedupe.Contexter]s. If nil, the store gives its
	// handlers no context.
	Write func(ctx context.Context, name string) error
	// Written reports whether others see the row. Required with Write.
	Written func(t *testing.T, name string) bool
}

// lease is longer than any test.
const lease = 10 * time.Minute

// Run runs the suite. Each test calls newStore once; it may return the same
// store each time, since every test makes IDs of its own.
func Run(t *testing.T, newStore func(t *testing.T) Harness) {
	tests := []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"a confirmed id is done", done},
		{"a confirmed id stays done for good", doneForGood},
		{"a confirm may be repeated", confirmTwice},
		{"a confirmed claim cannot be released", releaseAfterConfirm},
		{"a released id is claimed again", released},
		{"a released claim is over", releasedIsOver},
		{"a held id is in flight", inFlight},
		{"an expired lease is taken over", takenOver},
		{"an expired lease that was not taken over", lateAlone},
		{"a late owner after the heir has confirmed", lateAfterConfirm},
		{"a late owner after the heir has released", lateAfterRelease},
		{"another mark conflicts", conflict},
		{"the zero mark conflicts with nothing", zeroMarks},
		{"the mark of the claim that was confirmed is kept", markOfConfirmed},
		{"ids that differ in one bit are different", oneBit},
		{"ids of texts that differ little are different", texts},
		{"extreme ids", extremeIDs},
		{"extreme leases", extremeLeases},
		{"a lease must be positive", badLease},
		{"fifty claims at once", atOnce},
		{"fifty takeovers at once", takeoversAtOnce},
		{"redeliveries until one succeeds", storm},
		{"a cancelled context", cancelled},
		{"a context that ends under a claim", contextEnds},
		{"replicas share", replicas},
		{"an outage is an error of its own", outage},
		{"work is kept with the claim", work},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, newStore(t))
		})
	}
}

// newID returns an ID that was never used, and marked as a notification is.
func newID() dedupe.ID {
	return dedupe.Identify("M", rand.Text(), "paid", "100", "AL1")
}

// claim claims an id that is free. A look must not say otherwise.
func claim(t *testing.T, s dedupe.Store, id dedupe.ID) dedupe.Claim {
	t.Helper()
	if err := dedupe.Look(t.Context(), s, id); err != nil {
		t.Fatalf("Look at a free id: %v", err)
	}
	c, err := s.Claim(t.Context(), id, lease)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return c
}

func confirm(t *testing.T, c dedupe.Claim) {
	t.Helper()
	if err := c.Confirm(t.Context()); err != nil {
		t.Fatalf("Confirm: %v", err)
	}
}

func release(t *testing.T, c dedupe.Claim) {
	t.Helper()
	if err := c.Release(t.Context()); err != nil {
		t.Fatalf("Release: %v", err)
	}
}

// refused claims, and demands the error want and no other of the sentinels. A
// look must say the same of what is done, and nothing of what is in flight.
func refused(t *testing.T, s dedupe.Store, id dedupe.ID, want error) {
	t.Helper()
	if l, ok := s.(dedupe.Looker); ok && id.Mark != [32]byte{} {
		looked := want
		if want == dedupe.ErrInFlight {
			looked = nil
		}
		err := l.Look(t.Context(), id)
		if !errors.Is(err, looked) || errors.Is(err, dedupe.ErrConflict) != (looked == dedupe.ErrConflict) {
			t.Fatalf("Look: %v, want %v", err, looked)
		}
	}
	c, err := s.Claim(t.Context(), id, lease)
	if err == nil {
		_ = c.Release(t.Context())
		t.Fatalf("Claim succeeded, want %v", want)
	}
	if c != nil {
		t.Errorf("Claim returned a claim and the error %v", err)
	}
	isDone := want == dedupe.ErrDone || want == dedupe.ErrConflict
	for _, sentinel := range []error{dedupe.ErrDone, dedupe.ErrConflict, dedupe.ErrInFlight, dedupe.ErrLost} {
		is := sentinel == want || sentinel == dedupe.ErrDone && isDone
		if errors.Is(err, sentinel) != is {
			t.Fatalf("Claim: %v, want %v", err, want)
		}
	}
}

func lost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("%s: %v, want ErrLost", what, err)
	}
}

// late returns a claim whose lease has run out or is about to.
func (h Harness) late(t *testing.T, id dedupe.ID) dedupe.Claim {
	t.Helper()
	if h.Expire != nil {
		c := claim(t, h.Store, id)
		h.Expire(t, id)
		return c
	}
	c, err := h.Store.Claim(t.Context(), id, 700*time.Millisecond)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return c
}

// heir claims an id whose lease has run out or is about to.
func (h Harness) heir(t *testing.T, id dedupe.ID, lease time.Duration) dedupe.Claim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		c, err := h.Store.Claim(ctx, id, lease)
		if h.Expire == nil && errors.Is(err, dedupe.ErrInFlight) {
			continue // the store has waited for the lease to run out, but not long enough
		}
		if err != nil {
			t.Fatalf("Claim of an expired lease: %v", err)
		}
		return c
	}
}

func done(t *testing.T, h Harness) {
	id := newID()
	confirm(t, claim(t, h.Store, id))
	refused(t, h.Store, id, dedupe.ErrDone)
	refused(t, h.Store, id, dedupe.ErrDone)
}

func doneForGood(t *testing.T, h Harness) {
	id := newID()
	c, err := h.Store.Claim(t.Context(), id, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	confirm(t, c)
	if h.Expire != nil {
		h.Expire(t, id)
	}
	refused(t, h.Store, id, dedupe.ErrDone)
	confirm(t, c)
	refused(t, h.Store, id, dedupe.ErrDone)
}

func confirmTwice(t *testing.T, h Harness) {
	id := newID()
	c := claim(t, h.Store, id)
	confirm(t, c)
	confirm(t, c)
	refused(t, h.Store, id, dedupe.ErrDone)
}

func releaseAfterConfirm(t *testing.T, h Harness) {
	id := newID()
	c := claim(t, h.Store, id)
	confirm(t, c)
	lost(t, "Release after Confirm", c.Release(t.Context()))
	refused(t, h.Store, id, dedupe.ErrDone)
	confirm(t, c)
}

func released(t *testing.T, h Harness) {
	id := newID()
	for range 3 {
		release(t, claim(t, h.Store, id))
	}
	confirm(t, claim(t, h.Store, id))
	refused(t, h.Store, id, dedupe.ErrDone)
}

func releasedIsOver(t *testing.T, h Harness) {
	id := newID()
	first := claim(t, h.Store, id)
	release(t, first)
	lost(t, "Confirm after Release", first.Confirm(t.Context()))
	lost(t, "Release after Release", first.Release(t.Context()))

	second := claim(t, h.Store, id)
	lost(t, "Confirm of a released claim", first.Confirm(t.Context()))
	lost(t, "Release of a released claim", first.Release(t.Context()))
	refused(t, h.Store, id, dedupe.ErrInFlight)
	confirm(t, second)
	lost(t, "Confirm of a released claim", first.Confirm(t.Context()))
	refused(t, h.Store, id, dedupe.ErrDone)
}

func inFlight(t *testing.T, h Harness) {
	id := newID()
	c := claim(t, h.Store, id)
	refused(t, h.Store, id, dedupe.ErrInFlight)
	other := id
	other.Mark[0] ^= 1
	refused(t, h.Store, other, dedupe.ErrInFlight)
	other.Mark = [32]byte{}
	refused(t, h.Store, other, dedupe.ErrInFlight)
	confirm(t, c)
	refused(t, h.Store, id, dedupe.ErrDone)
}

func takenOver(t *testing.T, h Harness) {
	id := newID()
	owner := h.late(t, id)
	heir := h.heir(t, id, lease)
	refused(t, h.Store, id, dedupe.ErrInFlight)
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	lost(t, "Release of a late owner", owner.Release(t.Context()))
	refused(t, h.Store, id, dedupe.ErrInFlight)
	confirm(t, heir)
	refused(t, h.Store, id, dedupe.ErrDone)
}

func lateAlone(t *testing.T, h Harness) {
	id := newID()
	if err := h.late(t, id).Confirm(t.Context()); err == nil {
		refused(t, h.Store, id, dedupe.ErrDone)
	} else {
		confirm(t, h.heir(t, id, lease))
	}

	id = newID()
	owner := h.late(t, id)
	_ = owner.Release(t.Context()) // whatever it says, the id is free
	release(t, h.heir(t, id, lease))
}

func lateAfterConfirm(t *testing.T, h Harness) {
	id := newID()
	owner := h.late(t, id)
	confirm(t, h.heir(t, id, lease))
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	lost(t, "Release of a late owner", owner.Release(t.Context()))
	refused(t, h.Store, id, dedupe.ErrDone)
}

func lateAfterRelease(t *testing.T, h Harness) {
	id := newID()
	owner := h.late(t, id)
	release(t, h.heir(t, id, lease))
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	lost(t, "Release of a late owner", owner.Release(t.Context()))
	confirm(t, claim(t, h.Store, id))
}

func conflict(t *testing.T, h Harness) {
	id := newID()
	confirm(t, claim(t, h.Store, id))
	for _, bit := range []int{0, 7, 130, 255} {
		other := id
		other.Mark[bit/8] ^= 1 << (bit % 8)
		refused(t, h.Store, other, dedupe.ErrConflict)
		refused(t, h.Store, other, dedupe.ErrConflict)
	}
	refused(t, h.Store, id, dedupe.ErrDone)
}

func zeroMarks(t *testing.T, h Harness) {
	marked := newID()
	zero := dedupe.ID{Key: marked.Key}
	confirm(t, claim(t, h.Store, marked))
	refused(t, h.Store, zero, dedupe.ErrDone)
	refused(t, h.Store, marked, dedupe.ErrDone)

	// The first mark is kept, though it comes after the confirmation.
	marked = newID()
	zero = dedupe.ID{Key: marked.Key}
	confirm(t, claim(t, h.Store, zero))
	refused(t, h.Store, zero, dedupe.ErrDone)
	refused(t, h.Store, marked, dedupe.ErrDone)
	refused(t, h.Store, marked, dedupe.ErrDone)
	refused(t, h.Store, zero, dedupe.ErrDone)
	other := marked
	other.Mark[31] ^= 0x80
	refused(t, h.Store, other, dedupe.ErrConflict)
}

func markOfConfirmed(t *testing.T, h Harness) {
	first := newID()
	second := first
	second.Mark[5] ^= 0x10

	release(t, claim(t, h.Store, first))
	confirm(t, claim(t, h.Store, second))
	refused(t, h.Store, second, dedupe.ErrDone)
	refused(t, h.Store, first, dedupe.ErrConflict)

	first = newID()
	second = first
	second.Mark[5] ^= 0x10
	owner := h.late(t, first)
	confirm(t, h.heir(t, second, lease))
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	refused(t, h.Store, second, dedupe.ErrDone)
	refused(t, h.Store, first, dedupe.ErrConflict)
}

func oneBit(t *testing.T, h Harness) {
	id := newID()
	confirm(t, claim(t, h.Store, id))
	for _, bit := range []int{0, 5, 8, 100, 128, 250, 255} {
		other := id
		other.Key[bit/8] ^= 1 << (bit % 8)
		confirm(t, claim(t, h.Store, other))
	}
	refused(t, h.Store, id, dedupe.ErrDone)
}

func texts(t *testing.T, h Harness) {
	order := "Order-" + rand.Text()
	events := [][3]string{
		{"M", order, "paid"},
		{"m", order, "paid"},
		{"M", "o" + order[1:], "paid"},
		{"M", order + " ", "paid"},
		{"M", order + "\x00", "paid"},
		{"M", order, "authorised"},
		{"M", order, "Paid"},
		{"M" + order, "", "paid"},
		{"", "M" + order, "paid"},
		{"M", order + "paid", ""},
		{"M", order + "é", "paid"},
		{"M", order + "e", "paid"},
	}
	for _, e := range events {
		id := dedupe.Identify(e[0], e[1], e[2])
		c, err := h.Store.Claim(t.Context(), id, lease)
		if err != nil {
			t.Fatalf("%q: %v", e, err)
		}
		confirm(t, c)
		refused(t, h.Store, id, dedupe.ErrDone)
	}
}

func extremeIDs(t *testing.T, h Harness) {
	// Bytes that a store which takes keys for text would lose: quotes, zero
	// bytes, line ends, invalid UTF-8, blanks at the end. Twenty random bytes in
	// the middle keep the tests of one database apart.
	for _, b := range []byte{0x00, 0x20, '\'', '\\', '%', '{', '\n', 0x80, 0xff} {
		var id dedupe.ID
		for i := range id.Key {
			id.Key[i], id.Mark[i] = b, b
		}
		rand.Read(id.Key[6:26])
		confirm(t, claim(t, h.Store, id))
		refused(t, h.Store, id, dedupe.ErrDone)
		other := id
		other.Key[31] ^= 0x20
		confirm(t, claim(t, h.Store, other))
	}
}

func extremeLeases(t *testing.T, h Harness) {
	id := newID()
	c, err := h.Store.Claim(t.Context(), id, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, h.Store, id, dedupe.ErrInFlight)
	confirm(t, c)
	refused(t, h.Store, id, dedupe.ErrDone)

	// The shortest lease is over at once or soon; that must not lose anything.
	id = newID()
	if c, err = h.Store.Claim(t.Context(), id, 1); err == nil {
		_ = c.Release(t.Context())
	}
	if h.Expire != nil {
		h.Expire(t, id)
	}
	confirm(t, h.heir(t, id, lease))
	refused(t, h.Store, id, dedupe.ErrDone)
}

func badLease(t *testing.T, h Harness) {
	for _, lease := range []time.Duration{0, -1, math.MinInt64} {
		id := newID()
		if c, err := h.Store.Claim(t.Context(), id, lease); err == nil || c != nil {
			t.Fatalf("Claim with a lease of %d succeeded", lease)
		}
		release(t, claim(t, h.Store, id))
	}
}

// race calls f n times at once.
func race(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// one demands that of the claims made at once exactly one was granted.
func one(t *testing.T, claims []dedupe.Claim, errs []error) (winner dedupe.Claim) {
	t.Helper()
	for i, err := range errs {
		switch {
		case err == nil && winner != nil:
			t.Fatal("two claims were granted")
		case err == nil:
			winner = claims[i]
		case !errors.Is(err, dedupe.ErrInFlight):
			t.Fatalf("Claim: %v, want ErrInFlight", err)
		}
	}
	if winner == nil {
		t.Fatal("no claim was granted")
	}
	return winner
}

func atOnce(t *testing.T, h Harness) {
	const n = 50
	id := newID()
	claims, errs := make([]dedupe.Claim, n), make([]error, n)
	race(n, func(i int) { claims[i], errs[i] = h.Store.Claim(t.Context(), id, lease) })
	confirm(t, one(t, claims, errs))

	race(n, func(i int) { _, errs[i] = h.Store.Claim(t.Context(), id, lease) })
	for _, err := range errs {
		if !errors.Is(err, dedupe.ErrDone) {
			t.Fatalf("Claim: %v, want ErrDone", err)
		}
	}
}

func takeoversAtOnce(t *testing.T, h Harness) {
	if h.Expire == nil {
		t.Skip("the store's leases cannot be made to run out at a point in time")
	}
	const n = 50
	id := newID()
	owner := h.late(t, id)
	claims, errs := make([]dedupe.Claim, n), make([]error, n)
	race(n, func(i int) { claims[i], errs[i] = h.Store.Claim(t.Context(), id, lease) })
	winner := one(t, claims, errs)
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	confirm(t, winner)
}

// storm delivers each of several ids by several goroutines until it is done;
// every second handling fails. Each id must succeed once and in no two places
// at a time.
func storm(t *testing.T, h Harness) {
	const ids, workers = 8, 6
	type state struct {
		sync.Mutex
		id             dedupe.ID
		tries, success int
		unclear        bool // a Confirm failed and may have confirmed
		handled        atomic.Bool
	}
	var states [ids]state
	for i := range states {
		states[i].id = newID()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	handle := func(s *state) (bool, error) {
		c, err := h.Store.Claim(ctx, s.id, lease)
		if errors.Is(err, dedupe.ErrInFlight) {
			return false, nil
		}
		if errors.Is(err, dedupe.ErrDone) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if !s.handled.CompareAndSwap(false, true) {
			return false, errors.New("two handlers at a time")
		}
		s.Lock()
		s.tries++
		fail := s.tries%2 == 1
		s.Unlock()
		runtime.Gosched() // the handler
		s.handled.Store(false)
		if fail {
			return false, c.Release(ctx)
		}
		err = c.Confirm(ctx)
		s.Lock()
		defer s.Unlock()
		if errors.Is(err, dedupe.ErrLost) {
			return false, err
		}
		if err != nil { // such as a commit that could not be serialized
			s.unclear = true
			_ = c.Release(ctx)
			return false, nil
		}
		s.success++
		return true, nil
	}
	race(workers, func(w int) {
		for i := range states {
			s := &states[(i+w)%ids]
			for over := false; !over && !t.Failed(); {
				var err error
				if over, err = handle(s); err != nil {
					t.Errorf("id %d: %v", i, err)
				}
			}
		}
	})
	for i := range states {
		if n := states[i].success; n > 1 || n == 0 && !states[i].unclear {
			t.Errorf("id %d was confirmed %d times, want once", i, states[i].success)
		}
	}
}

func cancelled(t *testing.T, h Harness) {
	id := newID()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := h.Store.Claim(ctx, id, lease)
	if err == nil || c != nil {
		t.Fatal("Claim succeeded under a cancelled context")
	}
	for _, sentinel := range []error{dedupe.ErrDone, dedupe.ErrInFlight, dedupe.ErrLost} {
		if errors.Is(err, sentinel) {
			t.Fatalf("Claim under a cancelled context: %v", err)
		}
	}
	confirm(t, claim(t, h.Store, id))
}

// contextEnds is a client that went away while its delivery is handled.
func contextEnds(t *testing.T, h Harness) {
	for _, end := range []func(*testing.T, dedupe.Claim){confirm, release} {
		id := newID()
		ctx, cancel := context.WithCancel(t.Context())
		c, err := h.Store.Claim(ctx, id, lease)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		end(t, c)
	}

	// Confirm and Release under a cancelled context may fail, but not lie.
	id := newID()
	ctx, cancel := context.WithCancel(t.Context())
	c := claim(t, h.Store, id)
	cancel()
	if err := c.Confirm(ctx); err != nil {
		confirm(t, c)
	}
	refused(t, h.Store, id, dedupe.ErrDone)

	id = newID()
	c = claim(t, h.Store, id)
	if err := c.Release(ctx); err != nil {
		_ = c.Release(t.Context())
	}
	confirm(t, claim(t, h.Store, id))
}

func replicas(t *testing.T, h Harness) {
	if h.Replica == nil {
		t.Skip("the store is for one process")
	}
	id := newID()
	c := claim(t, h.Store, id)
	refused(t, h.Replica, id, dedupe.ErrInFlight)
	release(t, c)

	c = claim(t, h.Replica, id)
	refused(t, h.Store, id, dedupe.ErrInFlight)
	confirm(t, c)
	refused(t, h.Store, id, dedupe.ErrDone)
	refused(t, h.Replica, id, dedupe.ErrDone)
	id.Mark[9] ^= 1
	refused(t, h.Store, id, dedupe.ErrConflict)
	refused(t, h.Replica, id, dedupe.ErrConflict)

	id = newID()
	owner := h.late(t, id)
	h.Store, h.Replica = h.Replica, h.Store
	heir := h.heir(t, id, lease)
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	confirm(t, heir)
}

func outage(t *testing.T, h Harness) {
	if h.Broken == nil {
		t.Skip("the store has no outages")
	}
	c, err := h.Broken.Claim(t.Context(), newID(), lease)
	if err == nil || c != nil {
		t.Fatal("Claim of a broken store succeeded")
	}
	if _, ok := h.Broken.(dedupe.Looker); ok {
		if err := dedupe.Look(t.Context(), h.Broken, newID()); err == nil || errors.Is(err, dedupe.ErrDone) {
			t.Fatalf("Look of a broken store: %v", err)
		}
	}
	for _, sentinel := range []error{dedupe.ErrDone, dedupe.ErrInFlight, dedupe.ErrLost} {
		if errors.Is(err, sentinel) {
			t.Fatalf("Claim of a broken store: %v", err)
		}
	}
}

func work(t *testing.T, h Harness) {
	if h.Write == nil {
		t.Skip("the store gives its handlers no context")
	}
	write := func(c dedupe.Claim, name string) {
		t.Helper()
		holder, ok := c.(dedupe.Contexter)
		if !ok {
			t.Fatalf("%T is no Contexter", c)
		}
		if err := h.Write(holder.Context(t.Context()), name); err != nil {
			t.Fatalf("writing under the claim: %v", err)
		}
	}
	written := func(name string, want bool) {
		t.Helper()
		if got := h.Written(t, name); got != want {
			t.Fatalf("written: %t, want %t", got, want)
		}
	}

	id, name := newID(), rand.Text()
	c := claim(t, h.Store, id)
	write(c, name)
	written(name, false)
	release(t, c)
	written(name, false)

	c = claim(t, h.Store, id)
	write(c, name)
	confirm(t, c)
	written(name, true)
	refused(t, h.Store, id, dedupe.ErrDone)
	lost(t, "Release after Confirm", c.Release(t.Context()))
	written(name, true)

	// A late owner's work is undone with its claim.
	id, name = newID(), rand.Text()
	owner := h.late(t, id)
	write(owner, name)
	heir := h.heir(t, id, lease)
	written(name, false)
	write(heir, name)
	confirm(t, heir)
	lost(t, "Confirm of a late owner", owner.Confirm(t.Context()))
	written(name, true)

	// Two events in turn on what may be one connection.
	for i := range 2 {
		name := fmt.Sprint(rand.Text(), i)
		c := claim(t, h.Store, newID())
		write(c, name)
		confirm(t, c)
		written(name, true)
	}
}
