package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	watermillnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

var errNoBroker = errors.New("no server answers")

// queue is a broker. Messages that were not acknowledged come again soon.
type queue struct {
	name, title string
	publisher   func(q queueConfig, db *sql.DB) (message.Publisher, error)
	subscriber  func(q queueConfig, db *sql.DB) (message.Subscriber, error)
	// remove deletes the topic. It returns errNoBroker if there is no server.
	remove func(q queueConfig) error
}

var queues = []queue{
	{"nats", "NATS JetStream", natsPublisher, natsSubscriber, removeNATS},
	{"rabbitmq", "RabbitMQ", rabbitPublisher, rabbitSubscriber, removeRabbit},
	{"sql", "PostgreSQL (watermill-sql)", sqlPublisher, sqlSubscriber, func(queueConfig) error { return nil }},
}

// queueConfig says where the messages are, and where the rows go.
type queueConfig struct {
	Broker, Topic string
	DSN           string // of PostgreSQL
	Consumer      int    // its number
}

var (
	natsURL   = cmp.Or(os.Getenv("OTTPAY_TEST_NATS"), "nats://127.0.0.1:4222")
	rabbitURL = cmp.Or(os.Getenv("OTTPAY_TEST_RABBITMQ"), "amqp://guest:guest@127.0.0.1:5672/")

	jetStream = watermillnats.JetStreamConfig{
		AutoProvision: true, TrackMsgId: true, DurablePrefix: "shop",
		SubscribeOptions: []nats.SubOpt{nats.AckWait(2 * time.Second)},
	}
)

func natsPublisher(queueConfig, *sql.DB) (message.Publisher, error) {
	return watermillnats.NewPublisher(watermillnats.PublisherConfig{URL: natsURL, JetStream: jetStream}, watermill.NopLogger{})
}

func natsSubscriber(queueConfig, *sql.DB) (message.Subscriber, error) {
	return watermillnats.NewSubscriber(watermillnats.SubscriberConfig{
		URL: natsURL, QueueGroupPrefix: "shop", JetStream: jetStream,
		SubscribersCount: 4, AckWaitTimeout: 2 * time.Second, CloseTimeout: time.Second,
		NakDelay: watermillnats.NewStaticDelay(20 * time.Millisecond),
	}, watermill.NopLogger{})
}

func removeNATS(q queueConfig) error {
	conn, err := nats.Connect(natsURL)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoBroker, err)
	}
	defer conn.Close()
	js, err := conn.JetStream()
	if err != nil {
		return err
	}
	if err := js.DeleteStream(q.Topic); err != nil && !errors.Is(err, nats.ErrStreamNotFound) {
		return err
	}
	return nil
}

func rabbitConfig() amqp.Config {
	cfg := amqp.NewDurableQueueConfig(rabbitURL)
	cfg.Publish.ConfirmDelivery = true
	cfg.Consume.Qos.PrefetchCount = 8
	return cfg
}

func rabbitPublisher(queueConfig, *sql.DB) (message.Publisher, error) {
	return amqp.NewPublisher(rabbitConfig(), watermill.NopLogger{})
}

func rabbitSubscriber(queueConfig, *sql.DB) (message.Subscriber, error) {
	return amqp.NewSubscriber(rabbitConfig(), watermill.NopLogger{})
}

func removeRabbit(q queueConfig) error {
	conn, err := amqp.NewConnection(amqp.ConnectionConfig{AmqpURI: rabbitURL}, watermill.NopLogger{})
	if err != nil {
		return fmt.Errorf("%w: %w", errNoBroker, err)
	}
	defer conn.Close()
	channel, err := conn.Connection().Channel()
	if err != nil {
		return err
	}
	_, err = channel.QueueDelete(q.Topic, false, false, false) // one that is not there is deleted, too
	return err
}

func sqlPublisher(_ queueConfig, db *sql.DB) (message.Publisher, error) {
	return watermillsql.NewPublisher(db, watermillsql.PublisherConfig{
		SchemaAdapter: watermillsql.DefaultPostgreSQLSchema{}, AutoInitializeSchema: true,
	}, watermill.NopLogger{})
}

func sqlSubscriber(_ queueConfig, db *sql.DB) (message.Subscriber, error) {
	return watermillsql.NewSubscriber(db, watermillsql.SubscriberConfig{
		ConsumerGroup: "shop", InitializeSchema: true,
		SchemaAdapter: watermillsql.DefaultPostgreSQLSchema{}, OffsetsAdapter: watermillsql.DefaultPostgreSQLOffsetsAdapter{},
		PollInterval: 20 * time.Millisecond, ResendInterval: 20 * time.Millisecond, RetryInterval: 20 * time.Millisecond,
	}, watermill.NopLogger{})
}

// brokers measures every queue and writes the table.
func brokers(ctx context.Context, o options, page *bytes.Buffer) error {
	fmt.Fprintf(page, "| broker | deliveries | consumers killed | published per second | handled per second | lost | handled twice |\n"+
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, q := range queues {
		if !o.wants(q.name) {
			continue
		}
		err := q.measure(ctx, o, page)
		if absent(err) {
			fmt.Fprintf(page, "| %s | not installed |\n", q.title)
		} else if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	fmt.Fprintf(page, "\nThe webhook publishes each delivery and acknowledges it then. %d consumer processes handle it under a claim of their own, "+
		"in one transaction with a row,\non a private PostgreSQL. Meanwhile they are killed with SIGKILL and started again.\n", o.consumers)
	return nil
}

func (q queue) measure(ctx context.Context, o options, page *bytes.Buffer) (err error) {
	cfg := queueConfig{Broker: q.name, Topic: "load_" + strings.ToLower(rand.Text()[:12])}
	if err := q.remove(cfg); err != nil { // is there a server?
		return err
	}
	p, err := kinds[0].open(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	cfg.DSN = p.dsn
	publisher, err := q.publisher(cfg, p.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.Close(), q.remove(cfg)) }()
	if err := q.initialize(cfg, p.db); err != nil {
		return err
	}
	w, err := newWebhook(dedupe.NewMemory(dedupe.MemoryConfig{}))
	if err != nil {
		return err
	}
	endpoint := ottpaywatermill.Publish(w, publisher, cfg.Topic)

	crowd := &crowd{cfg: cfg}
	defer crowd.end()
	for range o.consumers {
		if err := crowd.start(ctx); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := publish(ctx, endpoint, o.messages); err != nil {
		return err
	}
	published := time.Since(start)
	handled, err := crowd.killUntil(ctx, p.db, o.messages)
	if err != nil {
		return err
	}
	took := time.Since(start)
	var rows int
	if err := p.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM effects").Scan(&rows); err != nil {
		return err
	}
	line := fmt.Sprintf("| %s | %d | %d | %.0f | %.0f | %d | %d |", q.title, o.messages, crowd.killed,
		float64(o.messages)/published.Seconds(), float64(handled)/took.Seconds(), o.messages-handled, rows-handled)
	fmt.Fprintln(os.Stderr, "load:", line)
	fmt.Fprintln(page, line)
	if handled != o.messages || rows != handled {
		return fmt.Errorf("%d of %d deliveries have a row, and there are %d rows", handled, o.messages, rows)
	}
	return nil
}

// initialize makes what the consumers read from, before anything is published:
// RabbitMQ confirms a message for which there is no queue, and drops it.
func (q queue) initialize(cfg queueConfig, db *sql.DB) error {
	s, err := q.subscriber(cfg, db)
	if err != nil {
		return err
	}
	if init, ok := s.(message.SubscribeInitializer); ok {
		err = init.SubscribeInitialize(cfg.Topic)
	}
	return errors.Join(err, s.Close())
}

// publish makes the deliveries, eight at a time.
func publish(ctx context.Context, endpoint http.Handler, n int) error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range numbers {
				body, err := callback(key, fmt.Sprintf("B%08d", i))
				if err != nil {
					cancel(err)
					return
				}
				rec := httptest.NewRecorder()
				endpoint.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body)))
				if rec.Code != http.StatusOK {
					cancel(fmt.Errorf("a delivery was answered %d", rec.Code))
					return
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
	}
	close(numbers)
	all.Wait()
	return context.Cause(ctx)
}

// crowd is the consumer processes.
type crowd struct {
	cfg     queueConfig
	running []*exec.Cmd
	inputs  []io.Closer
	killed  int
}

const consumerVariable = "OTTPAY_LOAD_CONSUMER"

func (c *crowd) start(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	c.cfg.Consumer++
	text, err := json.Marshal(c.cfg)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), consumerVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // it ends with this process
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.running, c.inputs = append(c.running, cmd), append(c.inputs, in)
	return nil
}

// killUntil kills the oldest consumer, and starts another one, each time that a
// tenth of the deliveries has been handled, until all have. It returns how many
// have a row in the end.
func (c *crowd) killUntil(ctx context.Context, db *sql.DB, n int) (handled int, err error) {
	next := n / 10
	for last, since := 0, time.Now(); handled < n; {
		if err := db.QueryRowContext(ctx, "SELECT COUNT(DISTINCT order_id) FROM effects").Scan(&handled); err != nil {
			return handled, err
		}
		if handled > last {
			last, since = handled, time.Now()
		} else if time.Since(since) > time.Minute {
			return handled, nil // what has not come by now is lost
		}
		if handled >= next && handled < n {
			c.stop()
			c.killed++
			next += n / 10
			if err := c.start(ctx); err != nil {
				return handled, err
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	// What was handled twice shows a little later.
	time.Sleep(3 * time.Second)
	return handled, nil
}

func (c *crowd) stop() {
	c.running[0].Process.Kill()
	c.running[0].Wait() // its error says that it was killed
	c.inputs[0].Close()
	c.running, c.inputs = c.running[1:], c.inputs[1:]
}

func (c *crowd) end() {
	for len(c.running) > 0 {
		c.stop()
	}
}

func consumerConfig() (cfg queueConfig, ok bool) {
	text, ok := os.LookupEnv(consumerVariable)
	if ok && json.Unmarshal([]byte(text), &cfg) != nil {
		fmt.Fprintln(os.Stderr, "load: "+consumerVariable+" is not a configuration")
		os.Exit(2)
	}
	return cfg, ok
}

// consume is a consumer process.
func consume(cfg queueConfig) error {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	db, err := sql.Open(kinds[0].driver, cfg.DSN)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	store, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: kinds[0].dialect, Mode: dedupe.Transactional})
	if err != nil {
		return err
	}
	insert := inserter(kinds[0].dialect, cfg.Consumer)
	h, err := ottpaywatermill.Handle(ottpaywatermill.Config{Store: store, Consumer: "ship"}, func(m *message.Message, n *api.Notification) error {
		return insert(m.Context(), n)
	})
	if err != nil {
		return err
	}
	for _, q := range queues {
		if q.name != cfg.Broker {
			continue
		}
		subscriber, err := q.subscriber(cfg, db)
		if err != nil {
			return err
		}
		router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
		if err != nil {
			return err
		}
		router.AddConsumerHandler("ship", cfg.Topic, subscriber, h)
		return router.Run(context.Background())
	}
	return fmt.Errorf("there is no broker %q", cfg.Broker)
}
