package ottpay

import (
	"context"
	"errors"

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
	return c.ask(ctx, query, id)
}

// ask puts one of the queries for an order or a checkout, and returns the
// answer's row.
func (c *Client) ask(ctx context.Context, query api.Action, id string) (middleware.Answer, error) {
	row := middleware.Answer{Action: string(query)}
	switch query {
	case api.ActionSTATUS_QUERY:
		a, err := c.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: id})
		if err != nil {
			return middleware.Answer{}, err
		}
		row.OrderID, row.Status, row.BizpayOrderID = a.OrderID, a.OrderStatus, a.BizpayOrderID
		row.Amount, row.Returned = a.TotalAmount, a.RefundFee
		if row.Amount == nil && a.ReceiveAmount != nil && *a.ReceiveAmount > 0 {
			row.Amount = a.ReceiveAmount // the merchant's amount; pay_amount is the payer's
		}
	case api.ActionCC_QUERYPAY:
		a, err := c.CardQuery(ctx, &api.CardQueryRequest{OrderID: id})
		if err != nil {
			return middleware.Answer{}, err
		}
		row.OrderID, row.Status, row.BizpayOrderID = a.OrderID, a.OrderStatus, a.BizpayOrderID
		row.Amount, row.Returned = a.Amount, a.RefundAmount
		if row.Amount == nil && a.ReceiptAmount != nil && *a.ReceiptAmount > 0 {
			row.Amount = a.ReceiptAmount
		}
	case api.ActionPREPAY_QUERY:
		a, err := c.PrepayQuery(ctx, &api.PrepayQueryRequest{PrepayOrderID: id})
		if err != nil {
			return middleware.Answer{}, err
		}
		row.OrderID, row.Status, row.BizpayOrderID = a.OrderID, a.OrderStatus, a.BizpayOrderID
		row.Checkout, row.MerchantID = a.PrepayOrderID, a.MerchantID
		if a.Amount > 0 {
			row.Amount = &a.Amount
		}
	default:
		return middleware.Answer{}, errors.New("ottpay: not a query for an order")
	}
	return row, nil
}

// wanted returns the payment that is asked for by this id with this query.
func (c *Client) wanted(query api.Action, id string) middleware.Wanted {
	w := middleware.Wanted{OrderID: id, Merchant: c.merchant}
	if query == api.ActionPREPAY_QUERY {
		w.OrderID, w.Checkout = "", id
	}
	return w
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
