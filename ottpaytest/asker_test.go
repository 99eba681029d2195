package ottpaytest_test

import (
	"errors"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

func TestAsker(t *testing.T) {
	t.Parallel()
	d := &middleware.Delivery{OrderID: "A1", Amount: 1999, BizpayOrderID: "WX1", Notification: &api.Notification{}}
	held := *d
	held.Notification = &api.Notification{OrderStatus: "authorised"}
	down := errors.New("down")
	for _, c := range []struct {
		asker  ottpaytest.Asker
		d      *middleware.Delivery
		status api.OrderStatus
		amount int64
		err    error
	}{
		{ottpaytest.Asker{}, d, "success", 1999, nil},
		{ottpaytest.Asker{}, &held, "authorised", 1999, nil},
		{ottpaytest.Asker{Status: "notpay"}, d, "notpay", 1999, nil},
		{ottpaytest.Asker{Amount: 5}, d, "success", 5, nil},
		{ottpaytest.Asker{Err: down}, d, "", 0, down},
	} {
		a, err := c.asker.Ask(t.Context(), c.d)
		if !errors.Is(err, c.err) || a.Status != c.status || c.err == nil && (a.OrderID != "A1" || int64(*a.Amount) != c.amount) {
			t.Errorf("%+v: %+v, %v", c.asker, a, err)
		}
	}
	if d.Amount != 1999 {
		t.Error("the delivery was changed")
	}
}
