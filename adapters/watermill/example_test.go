package ottpaywatermill_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/ottpaykit/ottpay"
	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
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
	store := dedupe.NewMemory(dedupe.MemoryConfig{}) // for one process
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchantID: {key}},
		Store:  store,
		Asker:  ottpaytest.Asker{}, // the client, in a program
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}

	// The broker. This one keeps nothing.
	pubsub := gochannel.NewGoChannel(gochannel.Config{Persistent: true}, watermill.NopLogger{})

	// One side: the webhook publishes.
	endpoint := ottpaywatermill.Publish(webhook, pubsub, "payments")

	// The other side: another process, as a rule.
	shipped := make(chan string)
	ship, err := ottpaywatermill.Handle(ottpaywatermill.Config{Store: store, Consumer: "ship"},
		func(m *message.Message, n *api.Notification) error {
			d := middleware.Delivery{Kind: m.Metadata.Get(ottpaywatermill.MetadataKind), Amount: n.Amount, Notification: n}
			if !d.Matches(1999) { // what the shop knows of n.OrderID, in cents
				return errors.New("not the amount of the order")
			}
			shipped <- n.OrderID
			return nil
		})
	if err != nil {
		log.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		log.Fatal(err)
	}
	router.AddConsumerHandler("ship", "payments", pubsub, ship)
	done := make(chan error)
	go func() { done <- router.Run(context.Background()) }()

	rw := httptest.NewRecorder()
	endpoint.ServeHTTP(rw, ottpaytest.NewNotification(ottpaytest.Notification{
		MerchantID: merchantID, SignKey: signKey, OrderID: "T1", Amount: 1999,
	}))
	fmt.Println("the gateway was answered", rw.Code)
	fmt.Println("shipped", <-shipped)
	if err := router.Close(); err != nil {
		log.Fatal(err)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	// Output:
	// the gateway was answered 200
	// shipped T1
}
