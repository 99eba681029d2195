package ottpayecho_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/ottpaykit/ottpay"
	ottpayecho "github.com/ottpaykit/ottpay/adapters/echo4"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

func Example() {
	const merchantID, signKey = "TS00000001", "6698851A525C9433"
	key, err := envelope.NewKey(signKey)
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchantID: {key}},
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}), // for one process
		Asker:  ottpaytest.Asker{},                      // the client, in a program
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}

	router := echo.New()
	router.Group("/pay").POST("/ottpay", ottpayecho.Handle(webhook, func(c echo.Context, n *api.Notification) error {
		if d, _ := ottpayecho.Delivery(c); !d.Matches(1999) { // what the shop knows of n.OrderID, in cents
			return errors.New("not the amount of the order")
		}
		fmt.Println("order", n.OrderID, "was paid", n.Amount.Decimal())
		return nil
	}))

	for range 2 { // the gateway sends it twice
		rw := httptest.NewRecorder()
		router.ServeHTTP(rw, ottpaytest.NewNotification(ottpaytest.Notification{
			MerchantID: merchantID, SignKey: signKey, OrderID: "T1", Amount: 1999, URL: "http://shop.example/pay/ottpay",
		}))
		fmt.Println(rw.Code, rw.Body)
	}
	// Output:
	// order T1 was paid 19.99
	// 200 SUCCESS
	// 200 SUCCESS
}
