package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
	"github.com/ottpaykit/ottpay/validate"
)

// A rule of the shop's own: no payment above 500 dollars.
func Example_ownRule() {
	ctx := context.Background()

	v := validate.New()
	v.RegisterStructValidation(func(sl validator.StructLevel) {
		if r := sl.Current().Interface().(api.H5PayRequest); r.Amount > 50_000 {
			sl.ReportError(r.Amount, "amount", "Amount", "belowlimit", "")
		}
	}, api.H5PayRequest{})
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID,
		OperatorID: "0000000001",
		Keys:       keys(),
		Validator:  v,
		Logger:     logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.H5Pay(ctx, &api.H5PayRequest{
		OrderID: "A1001", Amount: 60_000, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay",
	})
	fmt.Println(errors.Is(err, ottpay.ErrInvalid), errors.Is(err, ottpay.ErrNotSent))
	// Output: true true
}

// A member of the shop's own in a notification.
func Example_ownStruct() {
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys(), Store: dedupe.NewMemory(dedupe.MemoryConfig{}), InsecureTrustCallback: true, Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}

	type notification struct {
		api.Notification
		StoreCode string `json:"store_code" validate:"omitempty,max=8"`
	}
	handler := middleware.Handle(webhook, func(ctx context.Context, n *notification) error {
		fmt.Println(n.OrderID, "at", n.StoreCode)
		return nil
	})

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, ottpaytest.NewNotification(ottpaytest.Notification{
		MerchantID: merchantID, SignKey: signKey, OrderID: "A1001000001", Extra: map[string]any{"store_code": "QC07"},
	}))
	fmt.Println(answer.Code)
	// Output:
	// A1001000001 at QC07
	// 200
}
