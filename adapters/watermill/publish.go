// Package ottpaywatermill hands OTT Pay's notifications to a message broker
// through Watermill, and takes them from it.
//
//	mux.Handle("POST /ottpay/callback", ottpaywatermill.Publish(webhook, publisher, "payments"))
//
//	router.AddConsumerHandler("ship", "payments", subscriber, handler)
//
// Here handler is the result of [Handle].
//
// The gateway is acknowledged after the broker has the notification. So the
// publisher must not return before that. Watermill's publishers for NATS
// JetStream, SQL, Kafka (the default, synchronous one), RabbitMQ with
// ConfirmDelivery, Google Cloud Pub/Sub, AWS SQS and SNS are like that. A
// GoChannel keeps nothing and is for tests.
//
// Some brokers confirm a message that has no subscriber, and drop it: a
// RabbitMQ exchange without a queue, a Pub/Sub or SNS topic without a
// subscription. Create the queue or the subscription before the first callback,
// for example with the subscriber's SubscribeInitialize.
//
// If the process dies between the broker's answer and the store's, the
// notification is published again. [Handle] on the other side handles it once.
//
// The topic carries the decrypted payload, which names the payment and may hold
// a payer's wallet id. A program that may publish to it can claim that an order
// was paid: give that right to the shop only.
package ottpaywatermill

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/middleware"
)

// The metadata of a message.
const (
	// MetadataMerchant is the merchant whose key opened the envelope.
	MetadataMerchant = "ottpay_merchant"
	// MetadataKind is [middleware.Delivery.Kind]. Only "paid" says that money was
	// taken.
	MetadataKind = "ottpay_kind"
	// MetadataSource is [middleware.Delivery.Source].
	MetadataSource = "ottpay_source"

	metadataKey  = "ottpay_key" // of the dedupe.ID
	metadataMark = "ottpay_mark"
)

var errNoDelivery = errors.New("ottpaywatermill: the context has no delivery")

// Publish returns the endpoint that publishes each notification to topic. The
// gateway is acknowledged if publisher returns nil. Otherwise the answer is 503,
// so that the gateway sends again.
func Publish(w *middleware.Webhook, publisher message.Publisher, topic string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.Do(rw, r, func(_ http.ResponseWriter, r *http.Request) error {
			return PublishDelivery(r.Context(), publisher, topic)
		})
	})
}

// PublishDelivery publishes the notification in the context of a webhook's
// handler, for a handler that also does something else, and for adapters. With
// dedupe.TxFromContext and Watermill's SQL publisher, the message is kept in the
// transaction of the claim.
func PublishDelivery(ctx context.Context, publisher message.Publisher, topic string) error {
	d, ok := middleware.FromContext(ctx)
	if !ok {
		return errNoDelivery
	}
	m := NewMessage(d)
	m.SetContext(ctx)
	if err := publisher.Publish(topic, m); err != nil {
		return fmt.Errorf("ottpaywatermill: publish: %w", err)
	}
	return nil
}

// NewMessage returns the message that says what d says: its payload is the
// verified and decrypted JSON, its metadata whose it is and what identifies it.
// What a query told ([middleware.Webhook.Settle]) came with no payload: its
// payload is d.Notification, which lacks members.
// Its UUID is the same each time, so that a broker that drops doubles, as
// JetStream does with TrackMsgId, does so.
func NewMessage(d *middleware.Delivery) *message.Message {
	payload := d.Payload.JSON
	if d.Source == middleware.SourceQuery {
		payload, _ = d.Notification.MarshalJSON() // its one error is an amount that no answer can hold
	}
	key := hex.EncodeToString(d.ID.Key[:])
	m := message.NewMessage(fmt.Sprintf("%s-%s-%s-%s-%s", key[:8], key[8:12], key[12:16], key[16:20], key[20:32]), payload)
	m.Metadata.Set(MetadataMerchant, d.Merchant)
	m.Metadata.Set(MetadataKind, d.Kind)
	m.Metadata.Set(MetadataSource, string(d.Source))
	m.Metadata.Set(metadataKey, key)
	m.Metadata.Set(metadataMark, hex.EncodeToString(d.ID.Mark[:]))
	return m
}

// readID returns the identity that NewMessage wrote.
func readID(m *message.Message) (dedupe.ID, error) {
	var id dedupe.ID
	for _, part := range []struct {
		name string
		into *[32]byte
	}{{metadataKey, &id.Key}, {metadataMark, &id.Mark}} {
		text := m.Metadata.Get(part.name)
		if len(text) != 64 {
			return dedupe.ID{}, ErrMessage
		}
		if _, err := hex.Decode(part.into[:], []byte(text)); err != nil {
			return dedupe.ID{}, ErrMessage
		}
	}
	return id, nil
}
