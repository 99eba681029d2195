package middleware

import (
	"strconv"
	"testing"
)

// TestAttempts: what is remembered of a payment while its attempts come and go.
func TestAttempts(t *testing.T) {
	t.Parallel()
	p := payment{"M", "1"}
	t.Run("none has left", func(t *testing.T) {
		t.Parallel()
		var a attempts
		for range 3 {
			at := a.begin(p)
			if !a.mayHaveLeft(p) {
				t.Error("one on its way is not counted")
			}
			if a.end(p, at, false) || a.mayHaveLeft(p) || len(a.of) != 0 {
				t.Error("one that did not leave is remembered")
			}
		}
	})
	t.Run("two at once, and none leaves", func(t *testing.T) {
		t.Parallel()
		var a attempts
		first, second := a.begin(p), a.begin(p)
		if !a.end(p, second, false) || !a.mayHaveLeft(p) {
			t.Error("the first is forgotten while it is on its way")
		}
		if a.end(p, first, false) || a.mayHaveLeft(p) || len(a.of) != 0 {
			t.Error("what did not leave is remembered")
		}
	})
	t.Run("two at once, and one leaves", func(t *testing.T) {
		t.Parallel()
		var a attempts
		first, second := a.begin(p), a.begin(p)
		if !a.end(p, first, true) || !a.end(p, second, false) || !a.mayHaveLeft(p) {
			t.Error("the one that left is forgotten")
		}
		if at := a.begin(p); !a.end(p, at, true) || !a.mayHaveLeft(p) || len(a.ring) != 1 {
			t.Errorf("a payment has %d places", len(a.ring))
		}
	})
}

// TestAttemptsAreBounded: the memory is bounded, and of the oldest payment what
// is on its way is not forgotten.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	var a attempts
	left := func(n int) payment {
		p := payment{"M", strconv.Itoa(n)}
		a.end(p, a.begin(p), true)
		return p
	}
	oldest := left(0)
	again, more := a.begin(oldest), a.begin(oldest)
	for n := range 3 * mostRemembered {
		left(n + 1)
	}
	if !a.mayHaveLeft(oldest) {
		t.Error("a payment is forgotten while an attempt of it is on its way")
	}
	if !a.end(oldest, again, false) || !a.mayHaveLeft(oldest) {
		t.Error("a payment is forgotten while the other attempt of it is on its way")
	}
	if a.end(oldest, more, true) || !a.mayHaveLeft(oldest) {
		t.Error("an attempt that has left is not noted anew")
	}
	if len(a.of) != mostRemembered || len(a.ring) != mostRemembered {
		t.Errorf("%d payments in %d places, want %d", len(a.of), len(a.ring), mostRemembered)
	}
	for n := range mostRemembered {
		left(-n - 1)
	}
	if a.mayHaveLeft(oldest) || len(a.of) != mostRemembered {
		t.Errorf("%d payments, and the oldest is one: %v", len(a.of), a.mayHaveLeft(oldest))
	}
}

// TestRoomIsBounded: a long answer does not hold its memory for later calls.
func TestRoomIsBounded(t *testing.T) {
	t.Parallel()
	var transport Transport
	for range 10 { // a pool may drop what it was given
		transport.rooms.Put(&room{buf: make([]byte, 0, 1<<20)})
		if r := transport.room(); cap(r.buf) > mostKept {
			t.Fatalf("%d bytes are kept", cap(r.buf))
		}
	}
}
