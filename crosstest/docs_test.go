package crosstest

import (
	"context"
	"errors"
	"log"
	"net/http"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/ottpaykit/ottpay"
	ottpayotel "github.com/ottpaykit/ottpay/adapters/otel"
	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// The Go of docs/brokers.md and docs/opentelemetry.md: it only has to compile.
// The root's TestDocs compares.
var (
	_ = docsBrokers
	_ = docsOpenTelemetry
)

func docsBrokers(mux *http.ServeMux, webhook *middleware.Webhook, store dedupe.Store, publisher message.Publisher,
	subscriber message.Subscriber, router *message.Router, shop interface {
		AmountOf(orderID string) field.Cents
		Book(ctx context.Context, n *api.Notification) error
	},
) error {
	// The process that OTT Pay posts to.
	mux.Handle("POST /ottpay/callback", ottpaywatermill.Publish(webhook, publisher, "payments"))

	// The processes that work.
	book, err := ottpaywatermill.Handle(ottpaywatermill.Config{Store: store, Consumer: "book"},
		func(m *message.Message, n *api.Notification) error {
			d := middleware.Delivery{Kind: m.Metadata.Get(ottpaywatermill.MetadataKind), Amount: n.Amount, Notification: n}
			if !d.Paid() {
				return nil // held or refunded, for example: there is nothing to book
			}
			if !d.Matches(shop.AmountOf(n.OrderID)) { // cents
				return errors.New("not the amount of the order")
			}
			return shop.Book(m.Context(), n)
		})
	if err != nil {
		return err
	}
	router.AddConsumerHandler("book", "payments", subscriber, book)
	return nil
}

func docsOpenTelemetry(id string, keys middleware.Keys, store dedupe.Store) (*middleware.Webhook, *ottpay.Client) {
	observer, err := ottpayotel.New(ottpayotel.Config{}) // the global providers
	if err != nil {
		log.Fatal(err)
	}
	client, err := ottpay.New(ottpay.Config{MerchantID: id, Keys: keys, Observer: observer})
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := ottpay.NewWebhook(middleware.Config{Keys: keys, Store: observer.Store(store), Asker: client, Observer: observer})
	if err != nil {
		log.Fatal(err)
	}
	return webhook, client
}
