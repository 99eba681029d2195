package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/links"
	"github.com/ottpaykit/ottpay/middleware"
)

// shop is a merchant's server with its orders. A real one has a database in
// place of the map, and a dedupe.SQL on it in place of the dedupe.Memory.
type shop struct {
	url      string
	client   *ottpay.Client
	webhook  *middleware.Webhook
	server   *http.Server
	stopping atomic.Bool
	before   func(orderID string) // runs at the beginning of the handler

	mu     sync.Mutex
	orders map[string]*order
}

type order struct {
	amount field.Cents
	paid   int // how often the handler booked it
}

// newShop returns a shop that serves on a loopback port.
func newShop(client *ottpay.Client, keys middleware.Keys, before func(orderID string)) (*shop, error) {
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   keys,
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Asker:  client,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &shop{
		url: "http://" + listener.Addr().String(), client: client, webhook: webhook,
		before: before, orders: map[string]*order{},
	}
	s.server = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(listener) // until stop
	return s, nil
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", s.open)
	mux.HandleFunc("GET /orders/{id}", s.show)
	mux.Handle("POST /ottpay/callback", middleware.Handle(s.webhook, s.paid))
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

// open makes an order and sends the payer to where he pays.
func (s *shop) open(rw http.ResponseWriter, r *http.Request) {
	const price = 1999
	id := r.PathValue("id")
	// The order is written before the gateway hears of it: its callback may
	// come before its answer.
	s.mu.Lock()
	_, taken := s.orders[id]
	if !taken {
		s.orders[id] = &order{amount: price}
	}
	s.mu.Unlock()
	if taken {
		http.Error(rw, "this order exists", http.StatusConflict)
		return
	}
	resp, err := s.client.H5Pay(r.Context(), &api.H5PayRequest{
		OrderID: id, Amount: price, CurrencyType: "CAD", CallBackURL: s.url + "/ottpay/callback",
	})
	if err != nil {
		http.Error(rw, "the payment could not be opened", http.StatusBadGateway)
		return
	}
	link, err := links.H5(resp, s.url+"/orders/"+id)
	if err != nil {
		http.Error(rw, "the payment could not be opened", http.StatusBadGateway)
		return
	}
	http.Redirect(rw, r, link, http.StatusSeeOther)
}

func (s *shop) show(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[r.PathValue("id")]
	switch {
	case !ok:
		http.NotFound(rw, r)
	case o.paid == 0:
		fmt.Fprint(rw, "open")
	default:
		fmt.Fprint(rw, "paid")
	}
}

// paid is the webhook's handler. A nil says that its work is kept.
func (s *shop) paid(ctx context.Context, n *api.Notification) error {
	s.before(n.OrderID)
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[n.OrderID]
	if !ok {
		return errors.New("no such order")
	}
	if d, ok := middleware.FromContext(ctx); !ok || !d.Matches(o.amount) {
		return errors.New("not the amount of the order")
	}
	o.paid++
	return nil
}

// ready is asked by the balancer, which sends no requests here once it says 503. A
// shop with a database pings it here, too: see dedupe.SQL.Ping.
func (s *shop) ready(rw http.ResponseWriter, _ *http.Request) {
	if s.stopping.Load() {
		http.Error(rw, "stopping", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(rw, "ready")
}

// stop is what a program does when it is told to end (signal.NotifyContext).
// The webhook comes first: it waits for the handlers, which a server's own
// Shutdown does not do for those whose client has gone away.
func (s *shop) stop(ctx context.Context) error {
	s.stopping.Store(true)
	return errors.Join(s.webhook.Shutdown(ctx), s.server.Shutdown(ctx))
}
