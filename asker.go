package ottpay

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/wire"
)

// The client can be a webhook's Asker.
var _ middleware.Asker = (*Client)(nil)

// Ask puts the query that confirms a notification: the one that d.Query names,
// else PREPAY_QUERY if the notification names a checkout, else what
// Config.NotificationQuery says, else STATUS_QUERY. If the row of a paid checkout
// names no order, STATUS_QUERY is put for the notification's as well.
func (c *Client) Ask(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	if d.Merchant != c.merchant {
		c = c.ForMerchant(d.Merchant, c.operator)
	}
	q := query{action: api.ActionSTATUS_QUERY, id: d.OrderID}
	checkout := d.Notification.PrepayOrderID
	switch {
	case d.Query != "":
		q.action = d.Query
	case checkout != "":
		q.action = api.ActionPREPAY_QUERY
	case c.cfg.NotificationQuery != nil:
		q.action = or(c.cfg.NotificationQuery(d), q.action)
	}
	if q.action == api.ActionPREPAY_QUERY && checkout != "" {
		q.id = checkout
	}
	a, err := c.ask(ctx, q)
	if err != nil || q.action != api.ActionPREPAY_QUERY || a.OrderID != "" || d.OrderID == "" || d.SpliceSign() != "" {
		return a, err
	}
	paid := c.wanted(q)
	if paid.Kind = api.KindPaid; a.Mismatch(paid) != "" {
		return a, nil
	}
	return c.askPayer(ctx, a, d.OrderID)
}

// askPayer asks for the order that the row of a paid checkout does not name: the
// vendor's table calls order_id optional, and its example of a paid checkout has
// none. The order's row counts if it is paid with the checkout's amount. Nothing
// but the callback says that the two belong together, so that a possible splice
// is not asked about.
func (c *Client) askPayer(ctx context.Context, checkout middleware.Answer, orderID string) (middleware.Answer, error) {
	a, err := c.askStatus(ctx, query{action: api.ActionSTATUS_QUERY, id: orderID})
	if err != nil {
		return middleware.Answer{}, err
	}
	if a.OrderID != orderID || a.Amount == nil || checkout.Amount == nil || *a.Amount != *checkout.Amount {
		return checkout, nil
	}
	a.Checkout = checkout.Checkout
	return a, nil
}

// query is a query for one order or checkout.
type query struct {
	action api.Action
	id     string
	card   HostedCard
}

// HostedCard holds the members that a query for an order on the hosted card page
// (ELAVONECOM) repeats from the request that made the order. The zero value leaves
// them out.
type HostedCard struct {
	ChannelType string // ELAVONECOM
	BizType     string // converge_hosted
	TxnTime     string // the request's txnTime, to the letter
}

// cardPurchase stands for both card actions where their query is chosen.
var cardPurchase = api.ActionInfo{Name: api.ActionCC_PURCHASE, Kind: api.KindEffect}

// hosted is the ChannelType of the hosted card page.
const hosted = "ELAVONECOM"

// ask puts the query and returns the answer's row.
func (c *Client) ask(ctx context.Context, q query) (middleware.Answer, error) {
	switch q.action {
	case api.ActionSTATUS_QUERY:
		return c.askStatus(ctx, q)
	case api.ActionCC_QUERYPAY:
		return c.askCard(ctx, q)
	case api.ActionPREPAY_QUERY:
		return c.askCheckout(ctx, q)
	}
	return middleware.Answer{}, errors.New("ottpay: not a query for an order")
}

func (c *Client) askStatus(ctx context.Context, q query) (middleware.Answer, error) {
	req := &api.StatusQueryRequest{OrderID: q.id}
	if q.card.ChannelType == hosted { // seen with these members; the page does not say
		req.CardOrderID, req.MerchantID = q.id, c.merchant
		req.BizType, req.TxnTime, req.ChannelType = q.card.BizType, q.card.TxnTime, q.card.ChannelType
	}
	a, err := c.StatusQuery(ctx, req)
	if err != nil {
		return middleware.Answer{}, err
	}
	return middleware.Answer{
		Action: string(q.action), OrderID: a.OrderID, Status: a.OrderStatus, BizpayOrderID: a.BizpayOrderID,
		// receive_amount is the merchant's amount, pay_amount the payer's.
		Amount: firstAmount(a.TotalAmount, a.ReceiveAmount), Returned: returnedOf(a.RefundFee, a.AdditionalProperties), ConvenienceFee: a.ConvenienceFee,
		MerchantID: extra(a.AdditionalProperties, "merchant_id"), Original: extra(a.AdditionalProperties, "ori_order_id"),
	}, nil
}

func (c *Client) askCard(ctx context.Context, q query) (middleware.Answer, error) {
	a, err := c.CardQuery(ctx, &api.CardQueryRequest{OrderID: q.id})
	if err != nil {
		return middleware.Answer{}, err
	}
	return middleware.Answer{
		Action: string(q.action), OrderID: a.OrderID, Status: a.OrderStatus, BizpayOrderID: a.BizpayOrderID,
		Amount: firstAmount(a.Amount, a.ReceiptAmount), Returned: returnedOf(a.RefundAmount, a.AdditionalProperties),
		MerchantID: extra(a.AdditionalProperties, "merchant_id"), Original: extra(a.AdditionalProperties, "ori_order_id"),
	}, nil
}

func (c *Client) askCheckout(ctx context.Context, q query) (middleware.Answer, error) {
	a, err := c.PrepayQuery(ctx, &api.PrepayQueryRequest{PrepayOrderID: q.id})
	if err != nil {
		return middleware.Answer{}, err
	}
	return middleware.Answer{
		Action: string(q.action), OrderID: a.OrderID, Status: a.OrderStatus, BizpayOrderID: a.BizpayOrderID,
		Checkout: a.PrepayOrderID, MerchantID: a.MerchantID, Amount: firstAmount(&a.Amount, nil),
		Returned: returnedOf(nil, a.AdditionalProperties), Original: extra(a.AdditionalProperties, "ori_order_id"),
	}, nil
}

// firstAmount returns amount, or instead if there is none, or nil. An amount of
// 0 instead is how the gateway writes none.
func firstAmount(amount, instead *field.Cents) *field.Cents {
	switch {
	case amount != nil:
		return amount
	case instead != nil && *instead > 0:
		return instead
	}
	return nil
}

// returnedOf returns how much was returned: the largest amount that the answer
// names under any of the names that the gateway has for it, nil if there is none.
// The document knows one of them for each query.
func returnedOf(named *field.Cents, members map[string]json.RawMessage) *field.Cents {
	for _, name := range returnedNames {
		amount, err := field.ParseCents(or(extra(members, name), string(members[name])))
		if err == nil && (named == nil || amount > *named) {
			named = &amount
		}
	}
	return named
}

// returnedNames are the names of an amount that was returned.
var returnedNames = [...]string{"refund_fee", "refund_amt", "refund_amount"}

// extra returns the text of a member that the document does not name.
func extra(members map[string]json.RawMessage, name string) string {
	text, _ := wire.Text(members[name])
	return text
}

// wanted returns the payment that q asks for.
func (c *Client) wanted(q query) middleware.Wanted {
	w := middleware.Wanted{OrderID: q.id, Merchant: c.merchant}
	if q.action == api.ActionPREPAY_QUERY {
		w.OrderID, w.Checkout = "", q.id
	}
	return w
}

// queryFor returns the query that tells what became of an effect. A card order
// is asked for by its channel: the vendor's pages name CC_QUERYPAY for UnionPay,
// and STATUS_QUERY was seen for the hosted page.
func (c *Client) queryFor(info api.ActionInfo, o order) query {
	q := query{action: api.ActionSTATUS_QUERY, id: o.id, card: o.card}
	switch {
	case info.Effect == api.EffectCreateCheckout:
		q.action = api.ActionPREPAY_QUERY
	case info.Name != api.ActionCC_PURCHASE && info.Name != api.ActionCC_PREAUTH:
	case c.cfg.CardQuery != "":
		q.action = c.cfg.CardQuery
	case o.card.ChannelType != hosted:
		q.action = api.ActionCC_QUERYPAY
	}
	return q
}
