package dedupe

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Inside the package, since the queue is not exported.

func TestQueueKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q queue
		a, b := [32]byte{1}, [32]byte{2}
		leave, waited, err := q.key(t.Context(), a, time.Second)
		if err != nil || waited {
			t.Fatalf("a free key: waited %t, %v", waited, err)
		}
		if leaveB, waited, err := q.key(t.Context(), b, time.Second); err != nil || waited {
			t.Fatalf("another key: waited %t, %v", waited, err)
		} else {
			leaveB()
		}

		begin := time.Now()
		if _, _, err := q.key(t.Context(), a, time.Second); err != ErrInFlight || time.Since(begin) != time.Second {
			t.Errorf("a held key: %v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := q.key(ctx, a, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a held key, and a context that ends: %v", err)
		}

		// Ten wait, and have it one after the other.
		var inside, done atomic.Int32
		for range 10 {
			go func() {
				leave, waited, err := q.key(t.Context(), a, time.Minute)
				if err != nil || !waited {
					t.Errorf("waited %t, %v", waited, err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two have one key")
				}
				time.Sleep(time.Second)
				inside.Add(-1)
				done.Add(1)
				leave()
			}()
		}
		synctest.Wait()
		leave()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if done.Load() != 10 {
			t.Errorf("%d have had the key, want 10", done.Load())
		}
		if len(q.keys) != 0 {
			t.Errorf("%d keys are kept", len(q.keys))
		}
	})
}

// The wait for a key is one wait, however many claims have it in the meantime.
func TestQueueKeyWaitsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q queue
		key := [32]byte{1}
		held := make(chan struct{})
		q.keys = map[[32]byte]chan struct{}{key: held}
		go func() { // at once another claim has it, each time that one ends
			for range 3 {
				time.Sleep(600 * time.Millisecond)
				next := make(chan struct{})
				q.mu.Lock()
				q.keys[key] = next
				q.mu.Unlock()
				close(held)
				held = next
			}
		}()
		begin := time.Now()
		if _, _, err := q.key(t.Context(), key, time.Second); err != ErrInFlight || time.Since(begin) != time.Second {
			t.Errorf("%v after %v, want ErrInFlight after 1s", err, time.Since(begin))
		}
		time.Sleep(time.Minute)
	})
}

func TestQueueConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q queue
		var leaves []func()
		for range 3 {
			leave, err := q.connection(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.connection(ctx, 3); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 connections") {
			t.Errorf("a full pool: %v", err)
		}

		// In the order in which they came, and also when one of them gives up.
		var order []int
		for i := range 4 {
			go func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i == 1 {
					ctx, cancel = context.WithTimeout(ctx, time.Second)
					defer cancel()
				}
				leave, err := q.connection(ctx, 3)
				if (err != nil) != (i == 1) {
					t.Errorf("%d: %v", i, err)
				}
				if err == nil {
					order = append(order, i)
					time.Sleep(time.Second)
					leave()
				}
			}()
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		leaves[0]()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(order) != 3 || order[0] != 0 || order[1] != 2 || order[2] != 3 {
			t.Errorf("the turns were %v, want [0 2 3]", order)
		}
		leaves[1]()
		leaves[2]()
		if q.open != 0 || len(q.waits) != 0 {
			t.Errorf("%d are open and %d wait, of none", q.open, len(q.waits))
		}

		// One is a limit, and no limit is no limit.
		leave, err := q.connection(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.connection(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second connection of one: %v", err)
		}
		if _, err := q.connection(t.Context(), 0); err != nil {
			t.Errorf("without a limit: %v", err)
		}
		q.leave()

		// A claim that finds a limit that was raised does not overtake one that
		// waits for the old one.
		order = nil
		for limit := 1; limit <= 2; limit++ {
			go func() {
				leave, err := q.connection(t.Context(), limit)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, limit)
				leave()
			}()
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		if len(order) != 2 || order[0] != 1 {
			t.Errorf("the limits' turns were %v, want [1 2]", order)
		}
	})
}

// endsWithItsTurn is a context that ends at the moment in which the waiter is
// given the turn.
type endsWithItsTurn struct {
	context.Context
	turn func()
}

func (c endsWithItsTurn) Done() <-chan struct{} {
	c.turn()
	ended := make(chan struct{})
	close(ended)
	return ended
}

// A claim that was given its turn has it, also if its context has ended: if not,
// it would never be given back.
func TestQueueTurnAtTheEndOfTheContext(t *testing.T) {
	t.Parallel()
	for range 64 { // select takes one of the two
		var q queue
		first, err := q.connection(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		leave, err := q.connection(endsWithItsTurn{t.Context(), first}, 1)
		if err != nil || leave == nil {
			t.Fatalf("no turn: %v", err)
		}
		leave()
		if q.open != 0 || len(q.waits) != 0 {
			t.Fatalf("%d are open and %d wait, of none", q.open, len(q.waits))
		}
	}
}

// A turn that comes together with the end of the context is not lost.
func TestQueueTurnIsNotLost(t *testing.T) {
	t.Parallel()
	for range 200 {
		var q queue
		leave, _ := q.connection(t.Context(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			if leave, err := q.connection(ctx, 1); err == nil {
				leave()
			}
		}()
		go cancel()
		leave()
		<-over
		if q.open != 0 || len(q.waits) != 0 {
			t.Fatalf("%d are open and %d wait, of none", q.open, len(q.waits))
		}
	}
}
