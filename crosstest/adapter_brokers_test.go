package crosstest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	watermillnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// broker is a real one. Its subscriber's messages come again soon after they
// were not acknowledged.
type broker struct {
	name string
	// open returns a publisher and a maker of subscribers for topic.
	open func(t *testing.T, topic string) (message.Publisher, func(t *testing.T) message.Subscriber)
}

var brokers = []broker{
	{"NATS JetStream", openNATS},
	{"RabbitMQ", openRabbitMQ},
	{"PostgreSQL", openSQLQueue},
}

func openNATS(t *testing.T, topic string) (message.Publisher, func(*testing.T) message.Subscriber) {
	const env = "OTTPAY_TEST_NATS"
	url := cmp.Or(os.Getenv(env), "nats://127.0.0.1:4222")
	conn, err := nats.Connect(url)
	if err != nil {
		absent(t, "NATS", env, err)
	}
	t.Cleanup(conn.Close)
	js, err := conn.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := js.DeleteStream(topic); err != nil {
			t.Errorf("deleting the stream: %v", err)
		}
	})
	jetStream := watermillnats.JetStreamConfig{AutoProvision: true, TrackMsgId: true, DurablePrefix: "shop"}
	publisher, err := watermillnats.NewPublisher(watermillnats.PublisherConfig{URL: url, JetStream: jetStream}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	return publisher, func(t *testing.T) message.Subscriber {
		s, err := watermillnats.NewSubscriber(watermillnats.SubscriberConfig{
			URL: url, QueueGroupPrefix: "shop", JetStream: jetStream,
			SubscribersCount: 2, AckWaitTimeout: 30 * time.Second, CloseTimeout: 5 * time.Second,
			NakDelay: watermillnats.NewStaticDelay(20 * time.Millisecond),
		}, watermill.NopLogger{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func openRabbitMQ(t *testing.T, topic string) (message.Publisher, func(*testing.T) message.Subscriber) {
	const env = "OTTPAY_TEST_RABBITMQ"
	cfg := amqp.NewDurableQueueConfig(cmp.Or(os.Getenv(env), "amqp://guest:guest@127.0.0.1:5672/"))
	cfg.Publish.ConfirmDelivery = true
	conn, err := amqp.NewConnection(cfg.Connection, watermill.NopLogger{})
	if err != nil {
		absent(t, "RabbitMQ", env, err)
	}
	t.Cleanup(func() {
		channel, err := conn.Connection().Channel()
		if err == nil {
			_, err = channel.QueueDelete(topic, false, false, false)
		}
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Errorf("deleting the queue: %v", err)
		}
	})
	publisher, err := amqp.NewPublisher(cfg, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	return publisher, func(t *testing.T) message.Subscriber {
		s, err := amqp.NewSubscriber(cfg, watermill.NopLogger{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func openSQLQueue(t *testing.T, topic string) (message.Publisher, func(*testing.T) message.Subscriber) {
	db := postgres.open(t)
	t.Cleanup(func() {
		for _, table := range []string{"watermill_" + topic, "watermill_offsets_" + topic} {
			if _, err := db.ExecContext(context.Background(), `DROP TABLE IF EXISTS "`+table+`"`); err != nil {
				t.Error(err)
			}
		}
	})
	publisher, err := watermillsql.NewPublisher(db, watermillsql.PublisherConfig{
		SchemaAdapter: watermillsql.DefaultPostgreSQLSchema{}, AutoInitializeSchema: true,
	}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	return publisher, func(t *testing.T) message.Subscriber {
		s, err := watermillsql.NewSubscriber(db, watermillsql.SubscriberConfig{
			ConsumerGroup: "shop", InitializeSchema: true,
			SchemaAdapter: watermillsql.DefaultPostgreSQLSchema{}, OffsetsAdapter: watermillsql.DefaultPostgreSQLOffsetsAdapter{},
			PollInterval: 20 * time.Millisecond, ResendInterval: 20 * time.Millisecond, RetryInterval: 20 * time.Millisecond,
		}, watermill.NopLogger{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// ledger counts how often each order was handled.
type ledger struct {
	mu      sync.Mutex
	tries   map[string]int
	handled map[string]int
	all     chan struct{} // closed when want orders were handled
	want    int
}

func newLedger(want int) *ledger {
	return &ledger{tries: map[string]int{}, handled: map[string]int{}, all: make(chan struct{}), want: want}
}

// handle fails the first time for each order, and panics the second.
func (l *ledger) handle(_ *message.Message, n *api.Notification) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries[n.OrderID]++
	switch l.tries[n.OrderID] {
	case 1:
		return errShop
	case 2:
		panic("the shop has a bug")
	}
	l.handled[n.OrderID]++
	if len(l.handled) == l.want && l.handled[n.OrderID] == 1 {
		close(l.all)
	}
	return nil
}

// consumeTopic runs a router with one handler until the test ends.
func consumeTopic(t *testing.T, topic string, subscriber message.Subscriber, h message.NoPublishHandlerFunc) {
	t.Helper()
	r, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	r.AddMiddleware(func(next message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) (out []*message.Message, err error) {
			defer func() {
				if recover() != nil {
					err = errors.New("panic")
				}
			}()
			return next(m)
		}
	})
	r.AddConsumerHandler("ship", topic, subscriber, h)
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background()) }()
	t.Cleanup(func() { // the router closes the subscriber
		if err := errors.Join(r.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-r.Running():
	case <-time.After(30 * time.Second):
		t.Fatal("the router does not start")
	}
}

// A payment goes from the gateway through a real broker to one of two
// consumers, which handle it once, whatever fails on the way.
func TestBrokers(t *testing.T) {
	t.Parallel()
	for _, b := range brokers {
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			name := b.name + "/lease"
			if mode == dedupe.Transactional {
				name = b.name + "/transactional"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				store := postgres.store(t, postgres.open(t), dedupe.SQLConfig{Mode: mode})
				topic := "payments_" + strings.ToLower(rand.Text()[:10])
				publisher, subscribe := b.open(t, topic)
				t.Cleanup(func() { publisher.Close() })

				const orders = 5
				ledger := newLedger(orders)
				for range 2 {
					h, err := ottpaywatermill.Handle(ottpaywatermill.Config{
						Store: store, Consumer: "ship", Logger: slog.New(slog.DiscardHandler),
					}, ledger.handle)
					if err != nil {
						t.Fatal(err)
					}
					consumeTopic(t, topic, subscribe(t), h)
				}

				flaky := &flakyPublisher{Publisher: publisher}
				server := serve(t, ottpaywatermill.Publish(newWebhook(t, store, io.Discard), flaky, topic))
				for range orders {
					body := callback(t, signKey, newOrder())
					flaky.away.Store(true)
					if got := answer(t, server, request("POST", "/", "", body)); status(got) != "503" {
						t.Errorf("without a broker: %s", got)
					}
					flaky.away.Store(false)
					for range 2 {
						if got := answer(t, server, request("POST", "/", "", body)); status(got) != "200" {
							t.Errorf("published: %s", got)
						}
					}
				}
				// The process dies after the broker's answer: published again.
				again := newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard)
				body := callback(t, signKey, newOrder())
				first := serve(t, ottpaywatermill.Publish(newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard), publisher, topic))
				second := serve(t, ottpaywatermill.Publish(again, publisher, topic))
				for _, s := range []string{answer(t, first, request("POST", "/", "", body)), answer(t, second, request("POST", "/", "", body))} {
					if status(s) != "200" {
						t.Errorf("published: %s", s)
					}
				}

				select {
				case <-ledger.all:
				case <-time.After(60 * time.Second):
					t.Error("not all orders were handled in time")
				}
				eventually(t, "the sixth order is handled", func() error {
					ledger.mu.Lock()
					defer ledger.mu.Unlock()
					if len(ledger.handled) != orders+1 {
						return errors.New("not yet")
					}
					return nil
				})
				ledger.mu.Lock()
				defer ledger.mu.Unlock()
				for order, n := range ledger.handled {
					if n != 1 {
						t.Errorf("order %s was handled %d times", order, n)
					}
				}
			})
		}
	}
}

type flakyPublisher struct {
	message.Publisher
	away atomic.Bool
}

func (p *flakyPublisher) Publish(topic string, messages ...*message.Message) error {
	if p.away.Load() {
		return errors.New("the broker is away")
	}
	return p.Publisher.Publish(topic, messages...)
}

// With Watermill's SQL publisher on the claim's own transaction, message and
// claim are kept together or not at all.
func TestOutbox(t *testing.T) {
	t.Parallel()
	db := postgres.open(t)
	store := postgres.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
	topic := "outbox_" + strings.ToLower(rand.Text()[:10])
	// Its table is made beforehand: a transaction makes none.
	_, subscribe := openSQLQueue(t, topic)
	subscriber := subscribe(t)
	defer subscriber.Close()
	if err := subscriber.(message.SubscribeInitializer).SubscribeInitialize(topic); err != nil {
		t.Fatal(err)
	}
	fail := true
	h := middleware.Handle(newWebhook(t, store, io.Discard), func(ctx context.Context, _ *api.Notification) error {
		tx, ok := dedupe.TxFromContext(ctx)
		if !ok {
			return errors.New("no transaction")
		}
		p, err := watermillsql.NewPublisher(tx, watermillsql.PublisherConfig{SchemaAdapter: watermillsql.DefaultPostgreSQLSchema{}}, watermill.NopLogger{})
		if err != nil {
			return err
		}
		if err := ottpaywatermill.PublishDelivery(ctx, p, topic); err != nil {
			return err
		}
		if fail {
			return errShop // after the insert
		}
		return nil
	})
	body := callback(t, signKey, newOrder())
	for _, step := range []struct {
		fail         bool
		status, rows int
	}{{true, 503, 0}, {false, 200, 1}, {false, 200, 1}} {
		fail = step.fail
		rw := send(h, "POST", "/", "", body)
		if rw.Code != step.status {
			t.Errorf("status %d, want %d", rw.Code, step.status)
		}
		if n := count(t, db, `SELECT COUNT(*) FROM "watermill_`+topic+`"`); n != step.rows {
			t.Errorf("%d messages, want %d", n, step.rows)
		}
	}
}

func count(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
