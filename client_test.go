package ottpay_test

import (
	"net/http"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

func h5Request() *api.H5PayRequest {
	return &api.H5PayRequest{Amount: 500, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay"}
}

func TestCallFillsAndDecodes(t *testing.T) {
	t.Parallel()
	var f *far
	f = newFar(t, func(rw http.ResponseWriter, req opened) {
		f.say(rw, "success", `{"order_id":"`+req.text("order_id")+`","merchant_id":"`+merchant+`","amount":506,"payinfo":"https://pay.example/x","time_zone_id":null}`)
	})
	client := newClient(t, f.config())

	req := h5Request()
	resp, err := client.H5Pay(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Amount != 506 || resp.PayInfo != "https://pay.example/x" || resp.Pending() {
		t.Errorf("got %v", resp)
	}
	if len(resp.OrderID) != 20 {
		t.Errorf("order id %q", resp.OrderID)
	}
	if req.OrderID != "" || req.MerchantID != "" || req.OperatorID != "" || req.BizType != "" {
		t.Error("the caller's request was changed")
	}
	got := f.seen()[0]
	if got.Action != "H5PAY" || got.Version != "2.0" || got.MerchantID != merchant || got.OperatorID != "" {
		t.Errorf("envelope %q %q %q %q", got.Action, got.Version, got.MerchantID, got.OperatorID)
	}
	for name, want := range map[string]string{
		"merchant_id": merchant, "operator_id": operator, "amount": "500", "currency_type": "CAD",
		"biz_type": "WECHATPAY", "submit_type": "form", "call_back_url": "https://shop.example/ottpay",
	} {
		if got.text(name) != want {
			t.Errorf("%s is %q, want %q", name, got.text(name), want)
		}
	}
	if len(got.data) != 8 {
		t.Errorf("%d members were sent", len(got.data))
	}
}
