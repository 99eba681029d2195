// Package shop is the shop that the router examples share: what it sells, what
// it books, and the pages that a payer sees. Each example adds a router.
package shop

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Shop keeps its orders in memory. A real one has a database instead of the
// maps, and a dedupe.SQL on it instead of the dedupe.Memory. A Shop is safe for
// concurrent use.
type Shop struct {
	mu      sync.Mutex
	amounts map[string]field.Cents
	tries   map[string]int
	books   map[string]int
}

// New returns a shop without orders.
func New() *Shop {
	return &Shop{amounts: map[string]field.Cents{}, tries: map[string]int{}, books: map[string]int{}}
}

// Add writes an order before its payer is sent to the gateway. amount is in
// cents.
func (s *Shop) Add(order string, amount field.Cents) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.amounts[order] = amount
}

// Expect is the webhook's Config.Expect: the amount of an order, in cents. A
// checkout is known by its own id, because OTT Pay makes the order's.
func (s *Shop) Expect(ctx context.Context, order string) (field.Cents, error) {
	if d, ok := middleware.FromContext(ctx); ok && d.Notification != nil {
		order = cmp.Or(d.Notification.PrepayOrderID, order)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	amount, ok := s.amounts[order]
	if !ok {
		return 0, errors.New("no such order")
	}
	return amount, nil
}

// Paid is what the webhook's handler does with a payment.
func (s *Shop) Paid(n *api.Notification) error {
	return s.book(cmp.Or(n.PrepayOrderID, n.OrderID))
}

// book does the work that a payment is for. To show what a failure looks like,
// it returns an error the first time for an order named FLAKY…, and panics the
// first time for one named PANIC….
func (s *Shop) book(order string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[order]++
	if s.tries[order] == 1 {
		switch {
		case strings.HasPrefix(order, "FLAKY"):
			return errors.New("the stock service is down")
		case strings.HasPrefix(order, "PANIC"):
			panic("a bug")
		}
	}
	s.books[order]++
	return nil
}

// Booked returns how often the order was booked: 0 or 1, if the shop is right.
func (s *Shop) Booked(order string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books[order]
}
