package browsertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433" // the vendor's published example
)

// box is a sandbox on a loopback port, served as the command serves it.
type box struct {
	t    *testing.T
	g    *ottpaytest.Gateway
	url  string
	addr string
	shop string // a page that a payer comes back to

	streams  atomic.Int64 // open streams of events
	blocked  atomic.Bool  // streams are answered 404
	plant    atomic.Value // string: put into every page
	mu       sync.Mutex
	shutdown func()
}

func newBox(t *testing.T, change func(*ottpaytest.Config)) *box {
	t.Helper()
	b := &box{t: t, addr: "127.0.0.1:0"}
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><h1>Thank you</h1>`))
	}))
	t.Cleanup(shop.Close)
	b.shop = shop.URL
	b.start(change)
	t.Cleanup(b.stop)
	return b
}

// start starts the sandbox, at the same address if it ran before.
func (b *box) start(change func(*ottpaytest.Config)) {
	b.t.Helper()
	cfg := ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey, Clock: ottpaytest.NewClock(),
		Callbacks: sandbox.Callbacks(sandbox.CallbackConfig{}), Redelivery: []time.Duration{time.Hour},
	}
	if change != nil {
		change(&cfg)
	}
	g, err := ottpaytest.New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	h, err := sandbox.Handler(g, sandbox.Config{
		Version: "test", PublishedKey: signKey,
		Keys: []sandbox.SignKey{{Merchant: merchantID, From: "the test", Text: func() string { return signKey }}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(b.t.Context(), "tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.g, b.addr, b.url = g, listener.Addr().String(), "http://"+listener.Addr().String()
	server := sandbox.Serve(b.around(h), listener)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shutdown = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // what is left is closed
		g.Close()
	}
}

// stop stops it. It may be started again.
func (b *box) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shutdown != nil {
		b.shutdown()
		b.shutdown = nil
	}
}

// around counts streams, blocks them, and plants what a test wants to see
// refused.
func (b *box) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/-/events" {
			if b.blocked.Load() {
				http.NotFound(w, r)
				return
			}
			b.streams.Add(1)
			defer b.streams.Add(-1)
		}
		planted, _ := b.plant.Load().(string)
		if planted != "" {
			r.Header.Del("Accept-Encoding") // or it would stand behind what is compressed
		}
		h.ServeHTTP(w, r)
		if planted != "" && r.Method == http.MethodGet && r.URL.Path == "/" {
			_, _ = w.Write([]byte(planted))
		}
	})
}

// make makes an order over the wire's own path, with these members instead of
// the usual ones, and returns its id.
func (b *box) make(action api.Action, members map[string]string) string {
	b.t.Helper()
	out := b.submit(action, members)
	if c := out.Code.Class(); out.Order == "" || c != api.ClassSuccess && c != api.ClassPending {
		b.t.Fatalf("%s: %s %s", action, out.Code, out.Text)
	}
	return out.Order
}

func (b *box) submit(action api.Action, members map[string]string) ottpaytest.Outcome {
	b.t.Helper()
	info, ok := api.LookupAction(string(action))
	if !ok {
		b.t.Fatal("no action ", action)
	}
	schema, _ := api.LookupSchema(info.Request)
	data := make(map[string]string)
	for _, m := range schema.Members {
		var text string
		switch {
		case m.Name == info.OrderMember:
			text = "T" + itoa(b.g.Seq()+1)
		case m.Const != "":
			text = m.Const
		case m.Role == api.RoleCurrency:
			text = "CAD"
		case m.Role == api.RoleMerchant:
			text = merchantID
		case m.Role == api.RoleCallbackURL:
			text = b.url + "/-/sample/callback"
		case m.Role == api.RoleRedirectURL:
			text = b.shop + "/thanks"
		case m.Role == api.RoleAmount:
			text = "1999"
		case m.Required:
			if json.Unmarshal([]byte(m.Example), &text) != nil {
				text = m.Example
			}
		}
		if text != "" {
			data[m.Name] = text
		}
	}
	for name, text := range members {
		data[name] = text
		if text == "" {
			delete(data, name)
		}
	}
	raw, err := json.Marshal(data)
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := b.g.Merchant(merchantID).Submit(b.t.Context(), ottpaytest.Submission{Action: action, Data: raw, Base: b.url})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// pay pays an order, and waits for its callback.
func (b *box) pay(id string) {
	b.t.Helper()
	if err := b.g.Pay(id); err != nil {
		b.t.Fatal(err)
	}
	b.settle(id)
}

// settle waits until the first callback of an order was answered.
func (b *box) settle(id string) {
	b.t.Helper()
	for {
		changed := b.g.Changed()
		if d := b.g.Deliveries(id); len(d) > 0 && !d[0].Pending {
			return
		}
		select {
		case <-changed:
		case <-time.After(patience):
			b.t.Fatal("no callback of ", id)
		}
	}
}

func orderPath(id string) string { return "/orders/" + merchantID + "/" + url.PathEscape(id) }
func payPath(id string) string   { return "/pay/" + merchantID + "/" + url.PathEscape(id) }
func miniPath(id string) string  { return "/mini/" + merchantID + "/" + url.PathEscape(id) }

// newShop serves a shop of a test's own and returns its address.
func newShop(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// payment is a payment whose callback has further members.
func payment(extra map[string]any) ottpaytest.Payment { return ottpaytest.Payment{Extra: extra} }

// oldKey is the merchant's key before the rotation.
const oldKey = "0123456789ABCDEF"

// kit is a shop on the kit, which asks the gateway and expects what its book
// says.
func kit(t *testing.T, b *box) http.Handler {
	t.Helper()
	var keys []envelope.Key
	for _, text := range []string{signKey, oldKey} {
		key, err := envelope.NewKey(text)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	all := middleware.StaticKeys{merchantID: keys}
	quiet := slog.New(slog.DiscardHandler)
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "0000000001", Keys: all, BaseURL: b.url + "/processV2", Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: all, Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: client, Logger: quiet,
		Expect: func(_ context.Context, id string) (field.Cents, error) {
			o, ok := b.g.Order(id)
			if !ok {
				return 0, errors.New("no such order")
			}
			return o.Total(), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return middleware.Handle(webhook, func(context.Context, *api.Notification) error { return nil })
}
