package ottpaywatermill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/ottpaykit/ottpay"
	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
	"github.com/ottpaykit/ottpay/validate"
)

const merchant = "TS00000001"

func key(t testing.TB) envelope.Key {
	t.Helper()
	k, err := envelope.NewKey("6698851A525C9433")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func callback(t testing.TB, order string, amount int) []byte {
	t.Helper()
	sealed, err := key(t).Seal(fmt.Appendf(nil, `{"amount":"%d","bizpay_order_id":"WX1","finish_time":"20240102110405","merchant_id":%q,"order_id":%q}`, amount, merchant, order))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func newWebhook(t testing.TB, store dedupe.Store) *middleware.Webhook {
	t.Helper()
	w, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchant: {key(t)}},
		Store:  store,
		Asker:  ottpaytest.Asker{},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newMemory() dedupe.Store { return dedupe.NewMemory(dedupe.MemoryConfig{}) }

// broker keeps what is published, or fails.
type broker struct {
	topic    string
	messages []*message.Message
	err      error
}

func (b *broker) Publish(topic string, messages ...*message.Message) error {
	if b.err != nil {
		return b.err
	}
	b.topic = topic
	for _, m := range messages {
		b.messages = append(b.messages, m.Copy())
	}
	return nil
}

func (b *broker) Close() error { return nil }

func post(h http.Handler, body []byte) int {
	rw := httptest.NewRecorder()
	h.ServeHTTP(rw, httptest.NewRequest("POST", "/", bytes.NewReader(body)))
	return rw.Code
}

// published returns the message of a callback.
func published(t testing.TB, store dedupe.Store, order string, amount int) *message.Message {
	t.Helper()
	b := new(broker)
	if status := post(ottpaywatermill.Publish(newWebhook(t, store), b, "payments"), callback(t, order, amount)); status != 200 {
		t.Fatalf("status %d", status)
	}
	return b.messages[0]
}

func TestPublish(t *testing.T) {
	t.Parallel()
	b := &broker{err: errors.New("the broker is away")}
	h := ottpaywatermill.Publish(newWebhook(t, newMemory()), b, "payments")
	body := callback(t, "T1", 1999)
	if status := post(h, body); status != 503 {
		t.Errorf("without a broker: %d", status)
	}
	b.err = nil
	for range 2 {
		if status := post(h, body); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if status := post(h, []byte("{}")); status != 400 {
		t.Errorf("malformed: %d", status)
	}
	if len(b.messages) != 1 || b.topic != "payments" {
		t.Fatalf("%d messages to %q", len(b.messages), b.topic)
	}
	m := b.messages[0]
	var n api.Notification
	if err := json.Unmarshal(m.Payload, &n); err != nil || n.OrderID != "T1" || n.Amount != 1999 {
		t.Errorf("payload %s: %v", m.Payload, err)
	}
	if m.Metadata.Get(ottpaywatermill.MetadataMerchant) != merchant || m.Metadata.Get(ottpaywatermill.MetadataKind) != "paid" {
		t.Errorf("metadata %v", m.Metadata)
	}
	if again := published(t, newMemory(), "T1", 1999); again.UUID != m.UUID || len(m.UUID) != 36 {
		t.Errorf("UUIDs %q and %q", m.UUID, again.UUID)
	}
	if err := ottpaywatermill.PublishDelivery(t.Context(), b, "payments"); err == nil {
		t.Error("published a delivery that is none")
	}
}

type askerFunc func(context.Context, *middleware.Delivery) (middleware.Answer, error)

func (f askerFunc) Ask(ctx context.Context, d *middleware.Delivery) (middleware.Answer, error) {
	return f(ctx, d)
}

// TestSettled: a payment that a query told of reaches the consumer as one of a
// notification does, and with that it is one.
func TestSettled(t *testing.T) {
	t.Parallel()
	store, b := newMemory(), new(broker)
	w, err := ottpay.NewWebhook(middleware.Config{
		Keys:  middleware.StaticKeys{merchant: {key(t)}},
		Store: store,
		Asker: askerFunc(func(_ context.Context, d *middleware.Delivery) (middleware.Answer, error) {
			amount := field.Cents(1999)
			return middleware.Answer{OrderID: d.OrderID, Status: "success", Amount: &amount}, nil
		}),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	order := middleware.Order{Merchant: merchant, ID: "T1", Amount: 1999}
	result, err := w.Settle(t.Context(), order, func(ctx context.Context, _ *api.Notification) error {
		return ottpaywatermill.PublishDelivery(ctx, b, "payments")
	})
	if result != middleware.ResultHandled || err != nil {
		t.Fatal(result, err)
	}
	runs := 0
	cfg := ottpaywatermill.Config{Store: store, Validator: validate.New()}
	h := handle(t, cfg, func(m *message.Message, n *api.Notification) error {
		runs++
		if n.OrderID != "T1" || n.Amount != 1999 || n.MerchantID != merchant || m.Metadata.Get(ottpaywatermill.MetadataSource) != "query" {
			t.Errorf("%+v of %v", n, m.Metadata)
		}
		return nil
	})
	for _, m := range []*message.Message{b.messages[0], published(t, newMemory(), "T1", 1999)} {
		if err := h(m); err != nil {
			t.Error(err)
		}
	}
	if runs != 1 {
		t.Errorf("handled %d times", runs)
	}
}

type handler = func(*message.Message, *api.Notification) error

func handle(t testing.TB, cfg ottpaywatermill.Config, fn handler) message.NoPublishHandlerFunc {
	t.Helper()
	if cfg.Consumer == "" {
		cfg.Consumer = "ship"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h, err := ottpaywatermill.Handle(cfg, fn)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The webhook's own claim is none of the consumer's, nor one consumer's of
// another's.
func TestHandleOnce(t *testing.T) {
	t.Parallel()
	store := newMemory()
	m := published(t, store, "T1", 1999)
	runs := map[string]int{}
	fail := true
	for _, name := range []string{"ship", "mail"} {
		h := handle(t, ottpaywatermill.Config{Store: store, Consumer: name}, func(m *message.Message, n *api.Notification) error {
			runs[name]++
			if n.OrderID != "T1" || m.Metadata.Get(ottpaywatermill.MetadataMerchant) != merchant {
				t.Errorf("%v of %v", n, m.Metadata)
			}
			if _, ok := m.Context().Deadline(); !ok {
				t.Error("the handler has no deadline")
			}
			if fail {
				return errors.New("no stock")
			}
			return nil
		})
		fail = true
		if err := h(m.Copy()); err == nil {
			t.Error("a failed message is acknowledged")
		}
		fail = false
		for range 2 {
			if err := h(m.Copy()); err != nil {
				t.Error(err)
			}
		}
		if runs[name] != 2 {
			t.Errorf("%s ran %d times", name, runs[name])
		}
	}
}

func TestHandleConflict(t *testing.T) {
	t.Parallel()
	store := newMemory()
	conflicts, runs := 0, 0
	var logs bytes.Buffer
	h := handle(t, ottpaywatermill.Config{
		Store: store, Logger: slog.New(slog.NewTextHandler(&logs, nil)),
		OnConflict: func(*message.Message) { conflicts++ },
	}, func(*message.Message, *api.Notification) error { runs++; return nil })
	for _, amount := range []int{1999, 2999} {
		if err := h(published(t, newMemory(), "T1", amount)); err != nil {
			t.Error(err)
		}
	}
	if conflicts != 1 || runs != 1 || !strings.Contains(logs.String(), "other content") {
		t.Errorf("%d conflicts, %d runs, log %s", conflicts, runs, logs.String())
	}
}

func TestHandleInFlight(t *testing.T) {
	t.Parallel()
	m := published(t, newMemory(), "T1", 1999)
	var h message.NoPublishHandlerFunc
	h = handle(t, ottpaywatermill.Config{Store: newMemory()}, func(*message.Message, *api.Notification) error {
		if err := h(m.Copy()); !errors.Is(err, dedupe.ErrInFlight) {
			t.Errorf("a second one while the first is handled: %v", err)
		}
		return nil
	})
	if err := h(m.Copy()); err != nil {
		t.Error(err)
	}
}

func TestHandlePanic(t *testing.T) {
	t.Parallel()
	m := published(t, newMemory(), "T1", 1999)
	panics := true
	h := handle(t, ottpaywatermill.Config{Store: newMemory()}, func(*message.Message, *api.Notification) error {
		if panics {
			panic("a bug")
		}
		return nil
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = h(m.Copy())
	}()
	panics = false
	if err := h(m.Copy()); err != nil { // the claim was released
		t.Error(err)
	}
}

// stubborn is a store whose claims fail to confirm with one error after the
// other, without telling the store below.
type stubborn struct {
	dedupe.Store
	confirm *[]error
}

type stubbornClaim struct {
	dedupe.Claim
	errs *[]error
}

func (s stubborn) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	c, err := s.Store.Claim(ctx, id, lease)
	return stubbornClaim{c, s.confirm}, err
}

func (c stubbornClaim) Confirm(ctx context.Context) error {
	if len(*c.errs) == 0 {
		return c.Claim.Confirm(ctx)
	}
	err := (*c.errs)[0]
	*c.errs = (*c.errs)[1:]
	return err
}

// A confirmation is repeated while the store is away. Work that may be kept is
// not given back, so that nothing is handled twice.
func TestHandleConfirmFails(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for _, test := range []struct {
		name  string
		errs  []error
		first error // of the first delivery
		then  error // of the second, while the lease lasts
	}{
		{"for a while", []error{away, away, away}, nil, nil},
		{"for good", slices.Repeat([]error{away}, 1000), dedupe.ErrUnknownOutcome, dedupe.ErrInFlight},
		{"lost", []error{dedupe.ErrLost}, dedupe.ErrLost, dedupe.ErrInFlight},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				m := published(t, newMemory(), "T1", 1999)
				cfg := ottpaywatermill.Config{Store: stubborn{newMemory(), &test.errs}, ConfirmTimeout: 5 * time.Second, Lease: time.Minute}
				h := handle(t, cfg, func(*message.Message, *api.Notification) error { runs++; return nil })
				begin := time.Now()
				if err := h(m.Copy()); !errors.Is(err, test.first) {
					t.Errorf("first: %v, want %v", err, test.first)
				}
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				if err := h(m.Copy()); !errors.Is(err, test.then) || runs != 1 {
					t.Errorf("second: %v, want %v; %d runs", err, test.then, runs)
				}
			})
		})
	}
}

// A handler whose own, inner claim was done before has failed.
func TestHandleInnerDone(t *testing.T) {
	t.Parallel()
	m := published(t, newMemory(), "T1", 1999)
	inner := fmt.Errorf("stock: %w", dedupe.ErrDone)
	h := handle(t, ottpaywatermill.Config{Store: newMemory()}, func(*message.Message, *api.Notification) error { return inner })
	if err := h(m); err != inner {
		t.Errorf("%v, want the handler's own error", err)
	}
}

func TestHandleDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := published(t, newMemory(), "T1", 1999)
		h := handle(t, ottpaywatermill.Config{Store: newMemory(), Timeout: time.Minute}, func(m *message.Message, _ *api.Notification) error {
			<-m.Context().Done()
			return m.Context().Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the subscriber's end ends no handler
		m.SetContext(ctx)
		start := time.Now()
		if err := h(m); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestHandleRefuses(t *testing.T) {
	t.Parallel()
	good := published(t, newMemory(), "T1", 1999)
	for name, change := range map[string]func(*message.Message){
		"no key":    func(m *message.Message) { m.Metadata = message.Metadata{} },
		"half mark": func(m *message.Message) { m.Metadata.Set("ottpay_mark", "00") },
		"no hex":    func(m *message.Message) { m.Metadata.Set("ottpay_key", strings.Repeat("x", 64)) },
		"no JSON":   func(m *message.Message) { m.Payload = []byte("CANARY") },
		"invalid":   func(m *message.Message) { m.Payload = []byte(`{"order_id":"CANARY"}`) },
	} {
		m := good.Copy()
		change(m)
		h := handle(t, ottpaywatermill.Config{Store: newMemory(), Validator: validate.New()}, func(*message.Message, *api.Notification) error {
			t.Errorf("%s: handled", name)
			return nil
		})
		if err := h(m); !errors.Is(err, ottpaywatermill.ErrMessage) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, cfg := range []ottpaywatermill.Config{
		{Consumer: "ship"}, {Store: newMemory()},
		{Store: newMemory(), Consumer: "ship", Timeout: -1},
		{Store: newMemory(), Consumer: "ship", ConfirmTimeout: -1},
		{Store: newMemory(), Consumer: "ship", Timeout: time.Minute, Lease: time.Second},
	} {
		if _, err := ottpaywatermill.Handle(cfg, func(*message.Message, *api.Notification) error { return nil }); err == nil {
			t.Errorf("Handle(%+v) succeeded", cfg)
		}
	}
}

// TestHandleEmbedded: a type that embeds a generated one gets its own members.
func TestHandleEmbedded(t *testing.T) {
	t.Parallel()
	type own struct {
		api.Notification
		Channel string `json:"bizpay_order_id"`
	}
	m := published(t, newMemory(), "T1", 1999)
	var got *own
	h, err := ottpaywatermill.Handle(ottpaywatermill.Config{Store: newMemory(), Consumer: "ship"}, func(_ *message.Message, v *own) error { got = v; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := h(m); err != nil || got.OrderID != "T1" || got.Channel == "" || got.Channel != got.BizpayOrderID {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ottpaywatermill.Handle(ottpaywatermill.Config{Store: newMemory(), Consumer: "ship"}, func(*message.Message, *int) error { return nil }); err == nil {
		t.Error("a type that cannot hold an object is no error")
	}
}
