package main

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/ottpaykit/ottpay/field"
)

// shop keeps its orders in memory. A real one has a database in place of the
// maps, and a dedupe.SQL on it in place of the dedupe.Memory.
type shop struct {
	mu      sync.Mutex
	amounts map[string]field.Cents
	tries   map[string]int
	books   map[string]int
}

func newShop() *shop {
	return &shop{amounts: map[string]field.Cents{}, tries: map[string]int{}, books: map[string]int{}}
}

// expects writes an order down.
func (s *shop) expects(order string, amount field.Cents) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.amounts[order] = amount
}

// amountOf is the webhook's Config.Expect.
func (s *shop) amountOf(_ context.Context, order string) (field.Cents, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	amount, ok := s.amounts[order]
	if !ok {
		return 0, errors.New("no such order")
	}
	return amount, nil
}

// book is what a payment is for. It fails the first time for orders that are
// called FLAKY, and has a bug the first time for those called PANIC.
func (s *shop) book(order string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[order]++
	if s.tries[order] == 1 {
		switch {
		case strings.HasPrefix(order, "FLAKY"):
			return errors.New("the stock is away")
		case strings.HasPrefix(order, "PANIC"):
			panic("a bug")
		}
	}
	s.books[order]++
	return nil
}

func (s *shop) booked(order string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books[order]
}
