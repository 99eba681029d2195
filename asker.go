package ottpay

import (
	"context"
	"errors"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// The client can be a webhook's Asker.
var _ middleware.Asker = (*Client)(nil)

// Ask puts the query that confirms a notification: the one that d.Query names,
// else PREPAY_QUERY if the notification names a checkout, else what
// Config.NotificationQuery says, else STATUS_QUERY.
func (c *Client) Ask(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	if d.Merchant != c.merchant {
		c = c.ForMerchant(d.Merchant, c.operator)
	}
	query, id := api.ActionSTATUS_QUERY, d.OrderID
	checkout := d.Notification.PrepayOrderID
	switch {
	case d.Query != "":
		query = d.Query
	case checkout != "":
		query = api.ActionPREPAY_QUERY
	case c.cfg.NotificationQuery != nil:
		query = or(c.cfg.NotificationQuery(d), query)
	}
	if query == api.ActionPREPAY_QUERY && checkout != "" {
		id = checkout
	}
	r, err := c.ask(ctx, query, id)
	if err != nil {
		return middleware.Answer{}, err
	}
	return middleware.Answer{
		OrderID: r.order, Status: r.status, Amount: r.amount,
		Action: string(query), Refund: r.refundRow(), BizpayOrderID: r.channel,
	}, nil
}

// report is what the three queries have in common.
type report struct {
	id       string // what was asked for, as the answer names it; "" proves nothing
	order    string // the order; that of a checkout is another than what was asked for
	status   api.OrderStatus
	amount   *field.Cents
	refunded *field.Cents
	channel  string // the channel's id
}

// refundRow reports whether the row is that of a refund: success stands on
// those, too, and an amount returned only on those.
func (r report) refundRow() bool { return r.status.Paid() && r.refunded != nil && *r.refunded > 0 }

// ask puts one of the queries for an order or a checkout.
func (c *Client) ask(ctx context.Context, query api.Action, id string) (report, error) {
	switch query {
	case api.ActionSTATUS_QUERY:
		a, err := c.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: id})
		if err != nil {
			return report{}, err
		}
		return report{id: a.OrderID, order: a.OrderID, status: a.OrderStatus, amount: a.TotalAmount, refunded: a.RefundFee, channel: a.BizpayOrderID}, nil
	case api.ActionCC_QUERYPAY:
		a, err := c.CardQuery(ctx, &api.CardQueryRequest{OrderID: id})
		if err != nil {
			return report{}, err
		}
		return report{id: a.OrderID, order: a.OrderID, status: a.OrderStatus, amount: a.Amount, refunded: a.RefundAmount, channel: a.BizpayOrderID}, nil
	case api.ActionPREPAY_QUERY:
		a, err := c.PrepayQuery(ctx, &api.PrepayQueryRequest{PrepayOrderID: id})
		if err != nil {
			return report{}, err
		}
		r := report{id: a.PrepayOrderID, order: a.OrderID, status: a.OrderStatus, channel: a.BizpayOrderID}
		if a.Amount > 0 {
			r.amount = &a.Amount
		}
		return r, nil
	}
	return report{}, errors.New("ottpay: not a query for an order")
}

// queryFor returns the query that tells what became of an effect.
func (c *Client) queryFor(info api.ActionInfo) api.Action {
	switch {
	case info.Effect == api.EffectCreateCheckout:
		return api.ActionPREPAY_QUERY
	case info.Name == api.ActionCC_PURCHASE, info.Name == api.ActionCC_PREAUTH:
		return or(c.cfg.CardQuery, api.ActionCC_QUERYPAY)
	default:
		return api.ActionSTATUS_QUERY
	}
}
