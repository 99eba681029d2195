package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
)

// stream is a topic on NATS JetStream.
type stream struct {
	url, topic string
	conn       *nats.Conn
	js         nats.JetStreamContext
	publisher  message.Publisher
}

// jetStream keeps each message until one of the shop's workers acknowledged it.
// A notification that the webhook publishes twice, because it died in between,
// is one message: TrackMsgId.
func jetStream() watermillnats.JetStreamConfig {
	return watermillnats.JetStreamConfig{AutoProvision: true, TrackMsgId: true, DurablePrefix: "shop"}
}

func newStream(url, topic string) (*stream, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	js, err := conn.JetStream()
	if err != nil {
		return nil, err
	}
	// Not AckAsync: Publish returns when JetStream has the message.
	publisher, err := watermillnats.NewPublisher(watermillnats.PublisherConfig{URL: url, JetStream: jetStream()}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	return &stream{url, topic, conn, js, publisher}, nil
}

// work starts a worker, as a process of its own would have it, and returns what
// stops it.
func (s *stream) work(store dedupe.Store, book func(*message.Message, *api.Notification) error) (stop func() error, _ error) {
	handle, err := ottpaywatermill.Handle(ottpaywatermill.Config{
		Store: store, Consumer: "book", Logger: slog.New(slog.DiscardHandler),
	}, book)
	if err != nil {
		return nil, err
	}
	subscriber, err := watermillnats.NewSubscriber(watermillnats.SubscriberConfig{
		URL: s.url, QueueGroupPrefix: "shop", JetStream: jetStream(),
		AckWaitTimeout: 45 * time.Second, // more than the lease
		NakDelay:       watermillnats.NewStaticDelay(50 * time.Millisecond),
	}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	router.AddConsumerHandler("book", s.topic, subscriber, handle)
	done := make(chan error, 1)
	go func() { done <- router.Run(context.Background()) }() // until stop
	select {
	case <-router.Running():
	case err := <-done:
		return nil, err
	}
	return func() error { return errors.Join(router.Close(), <-done) }, nil // which closes the subscriber
}

func (s *stream) messages() (uint64, error) {
	info, err := s.js.StreamInfo(s.topic)
	if err != nil {
		return 0, err
	}
	return info.State.Msgs, nil
}

func (s *stream) remove() error {
	defer s.conn.Close()
	return errors.Join(s.publisher.Close(), s.js.DeleteStream(s.topic))
}
