// Command multi-merchant serves three merchants with one client and one webhook,
// and changes a sign key while callbacks flow.
//
//	go run ./examples/multi-merchant
//
// It exits with status 0 only if every step did what it says.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Sign keys for the sandbox. Real ones come from a vault, never from the source.
const newKey = "SANDBOXKEY0002NEW"

// price is what every order costs. A real shop looks it up, by merchant and
// order.
const price = 500

var merchants = []struct{ id, operator, signKey string }{
	{"TS00000001", "0000000001", "SANDBOXKEY0001"},
	{"TS00000002", "0000000002", "SANDBOXKEY0002"},
	{"TS00000003", "0000000003", "SANDBOXKEY0003"},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "multi-merchant:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	ring := &keyRing{keys: map[string][]envelope.Key{}}
	for _, m := range merchants {
		if err := ring.add(m.id, m.signKey); err != nil {
			return err
		}
	}
	shop := &shop{payments: map[payment]int{}}
	server, err := shop.serve(ring)
	if err != nil {
		return err
	}
	defer server.Close()

	p := program{Writer: out, ring: ring, shop: shop, url: server.URL}
	for _, step := range []func(context.Context) error{p.takePayments, p.carryAcross, p.rotate} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "\nAll of it happened.")
	return nil
}

// shop is the merchants' common server.
type shop struct {
	mu       sync.Mutex
	payments map[payment]int // how often each was handled
}

type payment struct{ merchant, order string }

func (s *shop) serve(keys middleware.Keys) (*httptest.Server, error) {
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   keys,
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Asker:  ottpaytest.Asker{}, // a program asks with a client that has these Keys
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /ottpay/callback", middleware.Handle(webhook, s.paid))
	return httptest.NewServer(mux), nil
}

// paid books a payment for the merchant whose key opened the envelope: not for
// the one that stands outside of it, which anybody can write.
func (s *shop) paid(ctx context.Context, n *api.Notification) error {
	d, ok := middleware.FromContext(ctx)
	if !ok {
		return errors.New("no delivery in the context")
	}
	if !d.Matches(price) {
		return errors.New("not the amount of the order, or not paid")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payments[payment{d.Merchant, n.OrderID}]++
	return nil
}

func (s *shop) handled(merchant, order string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.payments[payment{merchant, order}]
}

func (s *shop) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.payments {
		n += times
	}
	return n
}

// program is the story.
type program struct {
	io.Writer
	ring *keyRing
	shop *shop
	url  string // of the shop
}

// gateway returns a sandbox that has these sign keys of the second merchant, the
// first of which seals its callbacks, and a client for each merchant.
func (p program) gateway(second ...string) (*ottpaytest.Gateway, []*ottpay.Client, error) {
	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchants[0].id, SignKey: merchants[0].signKey,
		Merchants: map[string][]string{
			merchants[1].id: second,
			merchants[2].id: {merchants[2].signKey},
		},
	})
	client, err := ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchants[0].id, OperatorID: merchants[0].operator, Keys: p.ring, BaseURL: gateway.URL,
	})
	if err != nil {
		gateway.Close()
		return nil, nil, err
	}
	clients := []*ottpay.Client{client}
	for _, m := range merchants[1:] {
		clients = append(clients, client.ForMerchant(m.id, m.operator))
	}
	return gateway, clients, nil
}

func (p program) takePayments(ctx context.Context) error {
	fmt.Fprintln(p, "1. Three merchants, one client, one webhook")
	gateway, clients, err := p.gateway(merchants[1].signKey)
	if err != nil {
		return err
	}
	defer gateway.Close()
	for i, client := range clients {
		order := fmt.Sprintf("SHOP%dORDER", i+1)
		if err := p.pay(ctx, gateway, client, order); err != nil {
			return err
		}
		if got, _ := gateway.Order(order); got.MerchantID != merchants[i].id {
			return fmt.Errorf("the gateway has %s as an order of %s", order, got.MerchantID)
		}
	}
	fmt.Fprintln(p, "   each took a payment, and each payment was handled as its merchant's")

	// Order numbers are each merchant's own.
	for _, m := range merchants {
		body, err := ottpaytest.Notification{MerchantID: m.id, SignKey: m.signKey, OrderID: "1001", Amount: price}.Body()
		if err != nil {
			return err
		}
		for range 2 {
			if err := p.post(ctx, body, http.StatusOK); err != nil {
				return err
			}
		}
		if n := p.shop.handled(m.id, "1001"); n != 1 {
			return fmt.Errorf("order 1001 of %s was handled %d times", m.id, n)
		}
	}
	fmt.Fprintln(p, "   all three have an order 1001: three payments, each delivered twice and handled once")

	body, err := ottpaytest.Notification{MerchantID: merchants[0].id, SignKey: merchants[0].signKey, OrderID: "1002", Amount: 1}.Body()
	if err != nil {
		return err
	}
	if err := p.post(ctx, body, http.StatusServiceUnavailable); err != nil {
		return err
	}
	if n := p.shop.handled(merchants[0].id, "1002"); n != 0 {
		return fmt.Errorf("order 1002 was handled %d times for a cent", n)
	}
	fmt.Fprintln(p, "   a callback that says a cent was paid is not handled")
	return nil
}

// pay takes a payment from end to end.
func (p program) pay(ctx context.Context, gateway *ottpaytest.Gateway, client *ottpay.Client, order string) error {
	if _, err := client.H5Pay(ctx, &api.H5PayRequest{
		OrderID: order, Amount: price, CurrencyType: "CAD", CallBackURL: p.url + "/ottpay/callback",
	}); err != nil {
		return err
	}
	if err := gateway.Pay(order); err != nil {
		return err
	}
	if err := gateway.Wait(ctx); err != nil {
		return err
	}
	if n := p.shop.handled(client.MerchantID(), order); n != 1 {
		return fmt.Errorf("order %s of %s was handled %d times", order, client.MerchantID(), n)
	}
	return nil
}

// carryAcross posts each merchant's callback in the name of each other one.
func (p program) carryAcross(ctx context.Context) error {
	fmt.Fprintln(p, "\n2. A stranger carries callbacks from one merchant to another")
	before := p.shop.total()
	for _, from := range merchants {
		for _, to := range merchants {
			if from == to {
				continue
			}
			body, err := ottpaytest.Notification{MerchantID: from.id, SignKey: from.signKey, OrderID: "CARRIED", Amount: price}.Body()
			if err != nil {
				return err
			}
			body = bytes.ReplaceAll(body, []byte(from.id), []byte(to.id))
			if err := p.post(ctx, body, http.StatusUnauthorized); err != nil {
				return err
			}
		}
	}
	if got := p.shop.total(); got != before {
		return fmt.Errorf("%d of them were handled", got-before)
	}
	fmt.Fprintln(p, "   six ways to do so: 401 each, and no handler ran")
	return nil
}

// rotate changes the second merchant's key under load.
func (p program) rotate(ctx context.Context) error {
	fmt.Fprintln(p, "\n3. The second merchant's key changes while callbacks flow")
	second := merchants[1]
	oldOnly, both, newOnly := []string{second.signKey}, []string{newKey, second.signKey}, []string{newKey}
	handled := 0
	for i, phase := range []struct {
		say    string
		seals  []string // the keys that the gateway seals with
		change func() error
	}{
		{"the new key is put in front of the old one", oldOnly, func() error { return p.ring.add(second.id, newKey) }},
		{"both are live, the gateway changes over", both, func() error { return p.payUnderBoth(ctx) }},
		{"the old key is removed", newOnly, func() error { p.ring.retire(second.id); return nil }},
	} {
		n, err := p.flow(ctx, i, phase.seals, phase.change)
		if err != nil {
			return fmt.Errorf("%s: %w", phase.say, err)
		}
		handled += n
		fmt.Fprintf(p, "   %s: %d callbacks of all merchants meanwhile, each handled once\n", phase.say, n)
	}

	body, err := ottpaytest.Notification{MerchantID: second.id, SignKey: second.signKey, OrderID: "TOOLATE", Amount: price}.Body()
	if err != nil {
		return err
	}
	if err := p.post(ctx, body, http.StatusUnauthorized); err != nil {
		return err
	}
	fmt.Fprintln(p, "   what the old key sealed is refused from now on: 401")

	gateway, clients, err := p.gateway(newKey)
	if err != nil {
		return err
	}
	defer gateway.Close()
	if err := p.pay(ctx, gateway, clients[1], "AFTERWARDS"); err != nil {
		return err
	}
	fmt.Fprintf(p, "   and the new one pays; %d callbacks, none refused\n", handled)
	return nil
}

// payUnderBoth takes a payment whose request is sealed with the new key and
// whose callback is sealed with the old one.
func (p program) payUnderBoth(ctx context.Context) error {
	gateway, clients, err := p.gateway(merchants[1].signKey, newKey)
	if err != nil {
		return err
	}
	defer gateway.Close()
	return p.pay(ctx, gateway, clients[1], "MEANWHILE")
}

// flow delivers callbacks of all merchants at a time, those of the second one
// sealed with each of the keys in turn, and runs change in their midst. It
// returns how many payments it delivered; each must have been handled once.
func (p program) flow(ctx context.Context, phase int, seals []string, change func() error) (int, error) {
	const (
		couriers = 3 // for each merchant
		each     = 20
	)
	var (
		wg      sync.WaitGroup
		errs    = make(chan error, len(merchants)*couriers)
		flowing = make(chan struct{}, 2*cap(errs))
	)
	for i, m := range merchants {
		keys := []string{m.signKey}
		if i == 1 {
			keys = seals
		}
		for courier := range couriers {
			wg.Go(func() {
				for n := range each {
					if n == 2 {
						flowing <- struct{}{}
					}
					order := fmt.Sprintf("FLOW%d%d%02d", phase, courier, n)
					body, err := ottpaytest.Notification{MerchantID: m.id, SignKey: keys[n%len(keys)], OrderID: order, Amount: price}.Body()
					if err == nil {
						err = p.post(ctx, body, http.StatusOK)
					}
					if err == nil && p.shop.handled(m.id, order) != 1 {
						err = fmt.Errorf("order %s of %s was handled %d times", order, m.id, p.shop.handled(m.id, order))
					}
					if err != nil {
						errs <- err
						flowing <- struct{}{}
						return
					}
				}
			})
		}
	}
	select {
	case <-flowing:
	case <-ctx.Done():
	}
	err := change()
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return len(merchants) * couriers * each, err
}

// post delivers a callback and compares the answer's status.
func (p program) post(ctx context.Context, body []byte, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/ottpay/callback", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("a callback was answered %d, want %d", resp.StatusCode, want)
	}
	return nil
}
