package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

type config struct {
	url        string // of the shop itself
	gatewayURL string
	merchantID string
	operatorID string
	signKey    string
	appID      string // of the mini-program
	login      login
	logger     *slog.Logger     // If nil, slog.Default().
	now        func() time.Time // If nil, time.Now.
}

// shop keeps its orders in memory. A real one has a database in place of the
// map, and a dedupe.SQL on it in place of the dedupe.Memory.
type shop struct {
	cfg      config
	client   *ottpay.Client
	webhook  *middleware.Webhook
	sessions sessions

	mu       sync.Mutex
	orders   map[string]*order     // by order id
	requests map[request]*creation // by what the mini-program calls its request
}

// item is what the shop sells. The price is known here and nowhere else.
type item struct {
	ID    string      `json:"id"`
	Name  string      `json:"name"`
	Price field.Cents `json:"-"`
}

var items = map[string]item{"tea": {ID: "tea", Name: "Oolong tea, 100 g", Price: 1250}}

type order struct {
	id     string
	openID string // of the payer
	amount field.Cents
	paid   int       // how often the handler booked it
	asked  time.Time // when the gateway was last asked
}

// request is one press of the button, however often it is sent.
type request struct{ openID, id string }

// creation makes the order of a request. Its mutex is held while the gateway
// is asked, so that the same request sent twice at once makes one order.
type creation struct {
	mu      sync.Mutex
	item    string
	orderID string
	payment json.RawMessage
}

func newShop(cfg config) (*shop, error) {
	if cfg.now == nil {
		cfg.now = time.Now
	}
	client, keys, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	s := &shop{
		cfg: cfg, client: client, sessions: sessions{now: cfg.now},
		orders: make(map[string]*order), requests: make(map[request]*creation),
	}
	s.webhook, err = ottpay.NewWebhook(middleware.Config{
		Keys: keys, Store: dedupe.NewMemory(dedupe.MemoryConfig{}),
		Asker: client, Expect: s.amountOf, Logger: cfg.logger,
	})
	return s, err
}

func (s *shop) close() { s.client.CloseIdleConnections() }

// buy makes the order of a request and returns its id and the argument of
// wx.requestPayment. For a request that has an order it returns that one.
func (s *shop) buy(ctx context.Context, r request, it item) (string, json.RawMessage, error) {
	s.mu.Lock()
	c := s.requests[r]
	if c == nil {
		c = &creation{item: it.ID}
		s.requests[r] = c
	}
	s.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.item != it.ID:
		return "", nil, errOtherItem
	case c.payment != nil:
		return c.orderID, c.payment, nil
	}
	// The order is written before the gateway hears of it: its callback may come
	// before its answer. If the answer is lost, the next try makes another
	// order id: without the answer there is no way to pay the first one, and
	// should it be paid all the same, it is in the book.
	id, err := s.client.NewOrderID()
	if err != nil {
		return "", nil, err
	}
	s.mu.Lock()
	s.orders[id] = &order{id: id, openID: r.openID, amount: it.Price}
	s.mu.Unlock()
	resp, err := s.client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{
		OrderID: id, Amount: it.Price, AppID: s.cfg.appID, OpenID: r.openID,
		CallBackURL: s.cfg.url + "/ottpay/callback",
	})
	if err != nil {
		return "", nil, err
	}
	payment, err := ottpay.RequestPayment(resp)
	if err != nil {
		return "", nil, err
	}
	c.orderID, c.payment = id, payment
	return id, payment, nil
}

var (
	errOtherItem = errors.New("mini-program: the request id was used for another item")
	errNoOrder   = errors.New("mini-program: this payer has no such order")
)

// status says what became of a payer's order. An order that is still open is
// asked for at the gateway, at most once a second: the callback may be late.
func (s *shop) status(ctx context.Context, openID, id string) (string, error) {
	s.mu.Lock()
	o := s.orders[id]
	if o == nil || o.openID != openID {
		s.mu.Unlock()
		return "", errNoOrder // that of another payer is none, too
	}
	ask := o.paid == 0 && s.cfg.now().Sub(o.asked) >= time.Second
	if ask {
		o.asked = s.cfg.now()
	}
	amount := o.amount
	s.mu.Unlock()

	if ask {
		// If the order is paid, Settle runs the handler as the callback would,
		// under the same claim. Its error says that it is not paid, or that
		// the gateway did not answer: either way the order stays open here.
		_, _ = s.webhook.Settle(ctx, middleware.Order{Merchant: s.cfg.merchantID, ID: id, Amount: amount}, s.pay)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.paid > 0 {
		return "paid", nil
	}
	return "open", nil
}

// pay is the webhook's handler. Returning nil says that its work is kept.
func (s *shop) pay(_ context.Context, n *api.Notification) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[n.OrderID]
	if !ok {
		return errNoOrder
	}
	o.paid++
	return nil
}

// amountOf is the webhook's Config.Expect.
func (s *shop) amountOf(_ context.Context, id string) (field.Cents, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[id]
	if !ok {
		return 0, errNoOrder
	}
	return o.amount, nil
}

// booked returns how often an order was booked.
func (s *shop) booked(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.orders[id]; ok {
		return o.paid
	}
	return 0
}

// price writes an amount for people.
func price(c field.Cents) string { return fmt.Sprintf("CA$%s", c.Decimal()) }
