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

// What to do with the error of a payment, class by class.
func Example_failing() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()
	pay := func(id string) error {
		_, err := client.H5Pay(ctx, &api.H5PayRequest{
			OrderID: id, Amount: 1999, CurrencyType: "CAD", CallBackURL: "https://shop.example/ottpay/callback",
		})
		return err
	}
	// The gateway acts, and its answer is lost.
	if _, err := gateway.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Action: api.ActionH5PAY}); err != nil {
		log.Fatal(err)
	}

	judge := func(err error) {
		switch {
		case err == nil:
			fmt.Println("go on")
		case errors.Is(err, ottpay.ErrNotSent):
			fmt.Println("nothing has left: repair it, or try again")
		case errors.Is(err, ottpay.ErrUnknownOutcome):
			asking, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			resolution, err := client.Resolve(asking, err)
			fmt.Println(resolution.Verdict, resolution.Status, err)
		case errors.Is(err, ottpay.ErrPending):
			fmt.Println("query until it is decided")
		case errors.Is(err, ottpay.ErrDuplicate):
			fmt.Println("query this id; no new id before the answer is known")
		case errors.Is(err, ottpay.ErrCaller):
			fmt.Println("the same request will fail again")
		case errors.Is(err, ottpay.ErrFailed):
			fmt.Println("over; a refund or a scanned code: query first")
		}
	}
	judge(pay("A1001"))
	judge(pay("A1001"))
	judge(pay("A1002"))
	judge(pay("not an order id"))
	// Output:
	// happened init <nil>
	// query this id; no new id before the answer is known
	// go on
	// nothing has left: repair it, or try again
}
