package ottpaytest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Config is how a Gateway is set up. MerchantID and SignKey are all that it
// needs.
type Config struct {
	// MerchantID and SignKey are the merchant's.
	MerchantID string
	SignKey    string

	// Merchants are further merchants, and further sign keys of the same one,
	// by merchant id. An answer is sealed with the key that opened the request,
	// a callback with the merchant's first key.
	Merchants map[string][]string

	// Currency is the only one that is taken. If empty, any is.
	Currency string

	// ConvenienceFee is what the gateway adds to the amount of each order.
	ConvenienceFee field.Cents

	// Rate returns the exchange rate of a currency and whether there is one.
	// If nil, it is 5.24740000 for every currency.
	Rate func(currency string) (field.Rate, bool)

	// Scan judges the code that was scanned of a payer: SUCCESS takes his money,
	// PROCESSING leaves the order to [Gateway.Pay], any other code is the
	// answer. It must not call the Gateway. If nil, every code is good that is
	// not known to be that of another wallet.
	Scan func(o Order, authCode string) api.Code

	// Versions are accepted besides the version that the action's page names.
	Versions map[api.Action][]string

	// Reuse lets an order id be used again, and each use take effect. The
	// default is to refuse it with ORDER_USED or ORDER_PAID. With Reuse, a
	// client that sends a request twice shows in Order.Effects.
	Reuse bool

	// Without are the quirks that are switched off. By default all are on.
	Without Quirk

	// Redelivery holds the pauses before the second try of a callback, the
	// third and so on; a callback is tried until it is answered with status
	// 200, at most len(Redelivery)+1 times. If nil, there are five tries with
	// pauses of 1, 2, 4 and 8 seconds. If empty but not nil, there is one.
	Redelivery []time.Duration

	// Callbacks sends the callbacks. If nil, a transport of the Gateway's own
	// that knows no proxy. One try may take CallbackTimeout, by default 10
	// seconds. Couriers is how many callbacks are posted at once, by default 4.
	Callbacks       http.RoundTripper
	CallbackTimeout time.Duration
	Couriers        int

	// Now and After are the clock. If nil, those of package time.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time

	// NewID makes what the gateway makes up: the ids of orders that came
	// without one, the channel's ids. It is called from one goroutine at a
	// time and should return digits. If nil, they are fifteen random digits.
	NewID func() string
}

// Gateway is an OTT Pay gateway in the box. It is safe for concurrent use.
// What its methods return are snapshots.
type Gateway struct {
	// URL is the base URL, http://127.0.0.1:port without a slash at the end;
	// empty if the Gateway came from [New].
	URL string

	cfg    Config
	keys   map[string][]envelope.Key
	server *httptest.Server
	ctx    context.Context // ends with Close; what runs in the background hangs on it
	cancel context.CancelFunc
	close  sync.Once

	courier courier

	mu       sync.Mutex // guards what follows; never held across I/O
	orders   map[orderKey]*record
	attempts map[string]int
	faults   []*fault
	requests []Request
}

// New returns a Gateway that is an http.Handler and listens nowhere. It must
// be closed.
func New(cfg Config) (*Gateway, error) {
	g := &Gateway{
		cfg:      cfg,
		keys:     make(map[string][]envelope.Key),
		orders:   make(map[orderKey]*record),
		attempts: make(map[string]int),
	}
	if cfg.MerchantID == "" {
		return nil, errors.New("ottpaytest: Config.MerchantID is empty")
	}
	signKeys := maps.Clone(cfg.Merchants)
	if signKeys == nil {
		signKeys = make(map[string][]string)
	}
	signKeys[cfg.MerchantID] = append([]string{cfg.SignKey}, signKeys[cfg.MerchantID]...)
	for merchant, texts := range signKeys {
		for _, text := range texts {
			key, err := envelope.NewKey(text)
			if err != nil {
				return nil, fmt.Errorf("ottpaytest: sign key of merchant %q: %w", merchant, err)
			}
			g.keys[merchant] = append(g.keys[merchant], key)
		}
	}
	g.cfg.Redelivery = slices.Clone(cfg.Redelivery)
	if cfg.Redelivery == nil {
		g.cfg.Redelivery = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
	}
	if cfg.Rate == nil {
		g.cfg.Rate = func(string) (field.Rate, bool) { return 524740000, true }
	}
	if cfg.Scan == nil {
		g.cfg.Scan = scan
	}
	if cfg.Now == nil {
		g.cfg.Now = time.Now
	}
	if cfg.After == nil {
		g.cfg.After = time.After
	}
	if cfg.NewID == nil {
		g.cfg.NewID = randomDigits
	}
	if cfg.CallbackTimeout <= 0 {
		g.cfg.CallbackTimeout = 10 * time.Second
	}
	if cfg.Couriers <= 0 {
		g.cfg.Couriers = 4
	}
	if cfg.Callbacks == nil {
		g.cfg.Callbacks = &http.Transport{DisableKeepAlives: true}
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.courier.start(g)
	return g, nil
}

// NewGateway starts a Gateway on a loopback port. Like httptest.NewServer it
// panics if it cannot, or if cfg lacks what it needs. It must be closed.
func NewGateway(cfg Config) *Gateway { return start(cfg, httptest.NewServer) }

// NewTLSGateway is NewGateway with TLS; [Gateway.Client] trusts its
// certificate.
func NewTLSGateway(cfg Config) *Gateway { return start(cfg, httptest.NewTLSServer) }

func start(cfg Config, serve func(http.Handler) *httptest.Server) *Gateway {
	g, err := New(cfg)
	if err != nil {
		panic(err)
	}
	g.server = serve(g)
	g.URL = g.server.URL
	return g
}

// Client returns an HTTP client that reaches the Gateway, and trusts its
// certificate if it has one.
func (g *Gateway) Client() *http.Client {
	if g.server == nil {
		return http.DefaultClient
	}
	return g.server.Client()
}

// Close stops the server, drops the callbacks that are still to be tried and
// waits for everything to end. It may be called again.
func (g *Gateway) Close() {
	g.close.Do(func() {
		g.cancel()
		if g.server != nil {
			g.server.Close()
		}
		g.courier.wait()
	})
}

// Merchants returns the ids of the merchants, sorted.
func (g *Gateway) Merchants() []string { return slices.Sorted(maps.Keys(g.keys)) }

func randomDigits() string {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000_000))
	if err != nil {
		panic("ottpaytest: " + err.Error()) // crypto/rand does not fail
	}
	return n.Add(n, big.NewInt(100_000_000_000_000)).String()
}
