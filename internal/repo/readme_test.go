package repo_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// readme is the README's code, so that it compiles. TestDocs compares.
func readme(
	ctx context.Context, appID, openID string, showInMiniProgram func(field.JSONString),
	shop interface {
		AmountOf(orderID string) field.Cents
		MarkPaid(ctx context.Context, orderID string) error
	},
) {
	key, err := envelope.NewKey(os.Getenv("OTTPAY_SIGN_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	keys := middleware.StaticKeys{os.Getenv("OTTPAY_MERCHANT_ID"): {key}}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: os.Getenv("OTTPAY_MERCHANT_ID"), OperatorID: os.Getenv("OTTPAY_OPERATOR_ID"), Keys: keys,
	})
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:  keys,
		Store: dedupe.NewMemory(dedupe.MemoryConfig{}), // one process; dedupe.NewSQL for production
		Asker: client,                                  // asks the gateway before a callback is believed
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/ottpay/callback", middleware.Handle(webhook, func(ctx context.Context, n *api.Notification) error {
		d, _ := middleware.FromContext(ctx)
		if !d.Matches(shop.AmountOf(n.OrderID)) { // cents
			return errors.New("not the amount of the order")
		}
		return shop.MarkPaid(ctx, n.OrderID) // nil: the gateway is told SUCCESS; an error: it sends again
	}))

	resp, err := client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{
		OrderID: "A1001", Amount: 1999, AppID: appID, OpenID: openID, CallBackURL: "https://shop.example/ottpay/callback",
	})
	switch {
	case errors.Is(err, ottpay.ErrUnknownOutcome): // the gateway may have acted: ask it, never pay again
		resolution, err := client.Resolve(ctx, err) // until ctx ends
		log.Println(resolution.Verdict, err)
	case err != nil: // refused: errors.Is tells ErrDuplicate, ErrCaller and ErrFailed apart
		log.Println(err)
	default:
		showInMiniProgram(resp.PayInfo)
	}
}

var _ = readme
