package ottpaytest

import (
	"context"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Asker stands in for the gateway's query in the unit test of a handler:
//
//	webhook, err := ottpay.NewWebhook(middleware.Config{Asker: ottpaytest.Asker{}, …})
//
// Its zero value confirms every notification. A [Gateway] with a client answers
// as the real one does.
type Asker struct {
	Status api.OrderStatus // of every order. If empty, the one that the notification says.
	Amount field.Cents     // of every order, in cents. If 0, the one that the notification says.
	Err    error           // of every query. If nil, none.
}

// Ask implements [middleware.Asker].
func (a Asker) Ask(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	if a.Err != nil {
		return middleware.Answer{}, a.Err
	}
	answer := middleware.Answer{OrderID: d.OrderID, Status: a.Status, Amount: &a.Amount, BizpayOrderID: d.BizpayOrderID}
	if answer.Status == "" {
		answer.Status = api.StatusSuccess
		if d.Notification.OrderStatus != "" {
			answer.Status = d.Notification.OrderStatus
		}
	}
	if a.Amount == 0 {
		amount := d.Amount
		answer.Amount = &amount
	}
	return answer, nil
}
