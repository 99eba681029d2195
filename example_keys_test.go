package ottpay_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Changing the sign key: both are live, the first one seals.
func Example_rotateKeys() {
	const newSignKey = "0F1E2D3C4B5A6978"
	oldKey, err := envelope.NewKey(signKey)
	if err != nil {
		log.Fatal(err)
	}
	newKey, err := envelope.NewKey(newSignKey)
	if err != nil {
		log.Fatal(err)
	}

	before := middleware.StaticKeys{merchantID: {oldKey, newKey}} // the old one seals, both open
	during := middleware.StaticKeys{merchantID: {newKey, oldKey}} // the new one seals, both open
	after := middleware.StaticKeys{merchantID: {newKey}}

	for _, keys := range []middleware.Keys{before, during, after} {
		webhook, err := ottpay.NewWebhook(middleware.Config{
			Keys: keys, Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: ottpaytest.Asker{}, Logger: logger,
		})
		if err != nil {
			log.Fatal(err)
		}
		handler := middleware.Handle(webhook, func(context.Context, *api.Notification) error { return nil })
		for _, text := range []string{signKey, newSignKey} {
			rw := httptest.NewRecorder()
			handler.ServeHTTP(rw, ottpaytest.NewNotification(ottpaytest.Notification{
				MerchantID: merchantID, SignKey: text, OrderID: "sealed-by-" + text[:2],
			}))
			fmt.Print(rw.Code, " ")
		}
	}
	// Output:
	// 200 200 200 200 401 200
}
