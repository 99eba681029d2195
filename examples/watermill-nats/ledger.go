package main

import (
	"errors"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/ottpaykit/ottpay/gen/api"
)

// ledger is what payments are booked in.
type ledger struct {
	mu     sync.Mutex
	tries  map[string]int
	booked map[string]int
	await  int
	done   chan struct{}
}

func newLedger() *ledger {
	return &ledger{tries: map[string]int{}, booked: map[string]int{}}
}

// book fails the first time for each order.
func (l *ledger) book(_ *message.Message, n *api.Notification) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries[n.OrderID]++
	if l.tries[n.OrderID] == 1 {
		return errors.New("the stock is away")
	}
	l.booked[n.OrderID]++
	l.tell()
	return nil
}

// full returns a channel that is closed when n orders are booked.
func (l *ledger) full(n int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await, l.done = n, make(chan struct{})
	l.tell()
	return l.done
}

func (l *ledger) tell() {
	if l.done != nil && len(l.booked) == l.await {
		close(l.done)
		l.done = nil
	}
}

func (l *ledger) of(order string) (tries, booked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tries[order], l.booked[order]
}
