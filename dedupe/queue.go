package dedupe

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// queue lets the claims of one process wait for each other without holding a
// connection. Its zero value is ready.
type queue struct {
	mu    sync.Mutex
	keys  map[[32]byte]chan struct{} // of the claims that are held; closed when they are over
	open  int                        // connections that are held
	waits []chan struct{}            // for a connection, the oldest first
}

// key waits until no other claim of this process holds the key, and holds it. It
// returns [ErrInFlight] if that takes longer than wait. waited reports whether
// another claim has ended meanwhile.
func (q *queue) key(ctx context.Context, key [32]byte, wait time.Duration) (leave func(), waited bool, err error) {
	var timer *time.Timer
	for {
		q.mu.Lock()
		held, taken := q.keys[key]
		if !taken {
			if q.keys == nil {
				q.keys = make(map[[32]byte]chan struct{})
			}
			over := make(chan struct{})
			q.keys[key] = over
			q.mu.Unlock()
			return func() {
				q.mu.Lock()
				delete(q.keys, key)
				q.mu.Unlock()
				close(over)
			}, timer != nil, nil
		}
		q.mu.Unlock()
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		}
		select {
		case <-held:
		case <-timer.C:
			return nil, true, ErrInFlight
		case <-ctx.Done():
			return nil, true, ctx.Err()
		}
	}
}

// connection waits until fewer than limit connections are held. A limit below
// one means that there is none.
func (q *queue) connection(ctx context.Context, limit int) (leave func(), err error) {
	q.mu.Lock()
	if limit < 1 || q.open < limit && len(q.waits) == 0 {
		q.open++
		q.mu.Unlock()
		return q.leave, nil
	}
	turn := make(chan struct{})
	q.waits = append(q.waits, turn)
	q.mu.Unlock()
	select {
	case <-turn:
		return q.leave, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waits {
		if w == turn {
			q.waits = append(q.waits[:i], q.waits[i+1:]...)
			return nil, fmt.Errorf("claims hold %d connections: %w", q.open, ctx.Err())
		}
	}
	return q.leave, nil // it was given the turn meanwhile
}

// leave passes the connection's place on to the longest waiter.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waits) == 0 {
		q.open--
		return
	}
	close(q.waits[0])
	q.waits = q.waits[1:]
}
