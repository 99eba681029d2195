package ottpaychi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/ottpaykit/ottpay"
	ottpaychi "github.com/ottpaykit/ottpay/adapters/chi"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

func Example() {
	key, err := envelope.NewKey("6698851A525C9433")
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{"TS00000001": {key}},
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}), // for one process
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}

	router := chi.NewRouter()
	router.Route("/pay", func(r chi.Router) {
		r.Post("/{channel}", ottpaychi.Handle(webhook, func(r *http.Request, n *api.Notification) error {
			if d, _ := ottpaychi.Delivery(r); !d.Matches(1999) { // what the shop knows of n.OrderID, in cents
				return errors.New("not the amount of the order")
			}
			fmt.Println("order", n.OrderID, "was paid", n.Amount.Decimal())
			return nil
		}))
	})

	body := callback(key)
	for range 2 { // the gateway sends it twice
		rw := httptest.NewRecorder()
		router.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/pay/ottpay", strings.NewReader(body)))
		fmt.Println(rw.Code, rw.Body)
	}
	// Output:
	// order T1 was paid 19.99
	// 200 SUCCESS
	// 200 SUCCESS
}

// callback is what OTT Pay sends.
func callback(key envelope.Key) string {
	sealed, err := key.Seal([]byte(`{"amount":"1999","bizpay_order_id":"WX1","finish_time":"20240102110405","merchant_id":"TS00000001","order_id":"T1"}`))
	if err != nil {
		log.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: "TS00000001", Sealed: sealed})
	if err != nil {
		log.Fatal(err)
	}
	return string(body)
}
