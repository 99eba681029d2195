package ottpay

import (
	"context"
	"sync"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Payment is an order's payment, as far as it is known. It was authenticated.
type Payment struct {
	OrderID       string          // the order that was asked about
	Status        api.OrderStatus // as middleware.Answer.State has it; that of a notification is success
	Amount        *field.Cents    // nil if the gateway named none: then it is unconfirmed
	BizpayOrderID string          // the channel's id, "" if the gateway named none
	Notified      bool            // the webhook was told, before a query said so

	// ConvenienceFee is the part of Amount that the payer paid on top of the
	// order's price, nil if the gateway named none.
	ConvenienceFee *field.Cents
}

// Paid reports whether the payment stands: paid, and nothing returned.
func (p Payment) Paid() bool { return p.Status.Paid() }

// Matches reports whether expected was paid: the amount, or the amount less the
// convenience fee that the gateway named, is expected, which must exceed 0.
func (p Payment) Matches(expected field.Cents) bool {
	if !p.Paid() || p.Amount == nil || expected <= 0 {
		return false
	}
	fee := p.ConvenienceFee
	return *p.Amount == expected || fee != nil && *fee > 0 && *p.Amount-*fee == expected
}

// PaymentFeed tells of payments that a webhook has accepted. [Notifier] is one
// within a process; a shop of several processes writes one over what it stores.
type PaymentFeed interface {
	// Wait returns the order's payment as soon as a webhook has accepted it.
	// It must return when ctx ends, with ctx's error.
	Wait(ctx context.Context, merchantID, orderID string) (Payment, error)
}

// AwaitConfig says how [Client.AwaitPayment] waits. Its zero value polls with
// STATUS_QUERY.
type AwaitConfig struct {
	// Query is the action to ask with: STATUS_QUERY, CC_QUERYPAY, or
	// PREPAY_QUERY with the id of a checkout in place of an order's. Defaults
	// to STATUS_QUERY.
	Query api.Action

	// Card names the card order that is waited for, whose channel decides the
	// query. The zero value is for orders that are no card orders.
	Card HostedCard

	// Feed is listened to beside the query. If nil, there is only the query.
	Feed PaymentFeed
}

// AwaitPayment waits until the order is settled: paid, failed, closed or
// refunded. It asks the gateway with Config.Poll between the questions, and
// takes the webhook's word if that comes first. Look at Payment.Paid: an order
// that was closed is settled, too.
//
// When ctx ends, or no question can be put at all, it returns what was last
// heard and an error that matches ctx's. An order that was not paid yet may
// still be paid afterwards.
//
// It leaves no goroutine behind, if the Feed returns when its context ends.
func (c *Client) AwaitPayment(ctx context.Context, orderID string, cfg AwaitConfig) (Payment, error) {
	polling, stop := context.WithCancel(ctx)
	defer stop()
	heard := c.listen(polling, stop, orderID, cfg.Feed)

	var last Payment
	q := query{action: or(cfg.Query, api.ActionSTATUS_QUERY), id: orderID, card: cfg.Card}
	if cfg.Query == "" && cfg.Card.ChannelType != "" {
		q = c.queryFor(cardPurchase, order{id: orderID, card: cfg.Card})
	}
	err := c.poll(polling, func(ctx context.Context) (bool, error) {
		row, err := c.ask(ctx, q)
		if err != nil {
			return false, err
		}
		if reason := row.Mismatch(c.wanted(q)); reason != "" {
			return false, &unconfirmed{reason}
		}
		last = Payment{
			OrderID: row.OrderID, Status: row.State(), Amount: row.Amount,
			ConvenienceFee: row.ConvenienceFee, BizpayOrderID: row.BizpayOrderID,
		}
		return last.Status.Paid() || last.Status.Refunded() || last.Status.Final(), nil
	})
	stop()
	if told, ok := <-heard; err != nil && ok {
		return told, nil
	}
	return last, err
}

// listen waits for the feed and stops the polling when it has the payment. The
// channel is closed when the waiting is over.
func (c *Client) listen(ctx context.Context, stop context.CancelFunc, orderID string, feed PaymentFeed) <-chan Payment {
	heard := make(chan Payment, 1)
	if feed == nil {
		close(heard)
		return heard
	}
	go func() {
		defer close(heard)
		if p, err := feed.Wait(ctx, c.merchant, orderID); err == nil {
			p.Notified = true
			heard <- p
			stop()
		}
	}()
	return heard
}

// Notifier carries what a webhook has accepted to the waiting calls within
// one process. Call Notify at the end of the webhook's handler. It keeps
// nothing: who begins to wait afterwards is told by the query. The zero value
// is ready; it is safe for concurrent use and must not be copied.
type Notifier struct {
	mu      sync.Mutex
	waiting map[waitingFor]map[chan Payment]struct{}
}

type waitingFor struct{ merchant, id string }

var _ PaymentFeed = (*Notifier)(nil)

// Notify tells those who wait for the delivery's order, or for its checkout.
// Notifications of another kind than paid are not passed on.
func (n *Notifier) Notify(d *middleware.Delivery) {
	if !d.Paid() {
		return
	}
	amount := d.Amount // a copy: the handler may go on with d
	if d.Answer != nil && d.Answer.Amount != nil {
		amount = *d.Answer.Amount
	}
	p := Payment{OrderID: d.OrderID, Status: api.StatusSuccess, Amount: &amount, BizpayOrderID: d.BizpayOrderID}
	ids := []string{d.OrderID}
	if said := d.Notification; said != nil {
		p.ConvenienceFee = said.ConvenienceFee
		if said.PrepayOrderID != "" && said.PrepayOrderID != d.OrderID {
			ids = append(ids, said.PrepayOrderID)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		for ch := range n.waiting[waitingFor{d.Merchant, id}] {
			select {
			case ch <- p:
			default: // was told already
			}
		}
	}
}

// Wait implements [PaymentFeed].
func (n *Notifier) Wait(ctx context.Context, merchantID, orderID string) (Payment, error) {
	ch := make(chan Payment, 1)
	key := waitingFor{merchantID, orderID}
	n.add(key, ch)
	defer n.remove(key, ch)
	select {
	case p := <-ch:
		return p, nil
	case <-ctx.Done():
		return Payment{}, ctx.Err()
	}
}

func (n *Notifier) add(key waitingFor, ch chan Payment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = make(map[waitingFor]map[chan Payment]struct{})
	}
	if n.waiting[key] == nil {
		n.waiting[key] = make(map[chan Payment]struct{})
	}
	n.waiting[key][ch] = struct{}{}
}

func (n *Notifier) remove(key waitingFor, ch chan Payment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.waiting[key], ch)
	if len(n.waiting[key]) == 0 {
		delete(n.waiting, key)
	}
}
