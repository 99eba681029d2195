package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Refunding once, however often an operator clicks.
func Example_refund() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()
	if _, err := client.H5Pay(ctx, &api.H5PayRequest{
		OrderID: "A1001", Amount: 1999, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay/callback",
	}); err != nil {
		log.Fatal(err)
	}
	if err := gateway.Merchant(merchantID).Pay("A1001", ottpaytest.Payment{Silent: true}); err != nil {
		log.Fatal(err)
	}

	refund := func(id string) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		refunded, err := client.RefundOnce(ctx, ottpay.RefundIntent{
			RefundID: id, // stored with the intention to refund, before the first attempt
			OrderID:  "A1001",
			Amount:   1500,
		})
		switch {
		case errors.Is(err, ottpay.ErrRefundTooLarge), errors.Is(err, ottpay.ErrNotPaid), errors.Is(err, ottpay.ErrRefundIDUsed):
			fmt.Println("refused here, nothing was sent")
		case errors.Is(err, ottpay.ErrUnknownOutcome):
			resolution, err := client.Resolve(ctx, err)
			fmt.Println(resolution.Verdict, err)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(refunded.Status, "pending:", refunded.Pending(), "before:", refunded.Before)
		}
	}
	refund("R1")
	refund("R1")
	refund("R2") // 5.00 are left of 19.99
	// Output:
	// success pending: false before: false
	// success pending: false before: true
	// refused here, nothing was sent
}
