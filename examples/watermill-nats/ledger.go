package main

import (
	"errors"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// ledger is what payments are booked in.
type ledger struct {
	price  field.Cents // of every order; a real one looks it up
	mu     sync.Mutex
	tries  map[string]int
	booked map[string]int
	await  int
	done   chan struct{}
}

func newLedger(price field.Cents) *ledger {
	return &ledger{price: price, tries: map[string]int{}, booked: map[string]int{}}
}

// book books what was paid, if it is the order's amount. It fails the first
// time for each order.
func (l *ledger) book(m *message.Message, n *api.Notification) error {
	d := middleware.Delivery{Kind: m.Metadata.Get(ottpaywatermill.MetadataKind), Amount: n.Amount, Notification: n}
	if !d.Paid() {
		return nil // held or refunded, say: there is nothing to book
	}
	if !d.Matches(l.price) {
		return errors.New("not the amount of the order") // to be set aside: Watermill's PoisonQueue
	}
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
