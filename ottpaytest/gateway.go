package ottpaytest

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Config is how a Gateway is set up. MerchantID and SignKey are all that it
// needs.
type Config struct {
	MerchantID string // the id of the first merchant
	SignKey    string // its sign key

	// Merchants are further merchants, and further sign keys of the same one,
	// by merchant id. An answer is sealed with the key that opened the request,
	// a callback with the merchant's first key. See also [Gateway.AddMerchant].
	Merchants map[string][]string

	// Currency is the only one that these merchants may use. If empty, any is
	// taken.
	Currency string

	// ConvenienceFee is what the gateway adds to the amount of each order of
	// these merchants.
	ConvenienceFee field.Cents

	// Rate returns the exchange rate of a currency and whether there is one. It
	// must not call the Gateway. If nil, it is 5.24740000 for every currency;
	// Settings.Rates goes first.
	Rate func(currency string) (field.Rate, bool)

	// Scan judges the code that was scanned of a payer: SUCCESS takes the money,
	// PROCESSING leaves the order to [Gateway.Pay], any other code is the
	// answer. It must not call the Gateway. If nil, [AuthCodes] mean what they
	// say, and every other code is good that is not known to be that of another
	// wallet.
	Scan func(o Order, authCode string) api.Code

	// Versions are accepted besides the version that the action's page names.
	Versions map[api.Action][]string

	// Reuse lets an order id be used again, and each use take effect. The
	// default is to refuse it with ORDER_USED or ORDER_PAID. With Reuse, a
	// client that sends a request twice shows in Order.Effects.
	Reuse bool

	// Lenient takes requests that integrations are known to send although the
	// document refuses them, and says so: see [Settings].
	Lenient bool

	// Without are the quirks that are switched off. By default all are on.
	Without Quirk

	// Redelivery holds the pauses before the second try of a callback, the
	// third and so on; a callback is tried until it is answered with status
	// 200, at most len(Redelivery)+1 times. If nil, there are five tries with
	// pauses of 1, 2, 4 and 8 seconds. If empty but not nil, there is one.
	Redelivery []time.Duration

	// Callbacks sends the callbacks. An error that matches [ErrBlocked] ends the
	// redelivery. If nil, a transport of the Gateway's own that knows no proxy.
	Callbacks http.RoundTripper
	// CallbackTimeout bounds one try of a callback. Defaults to 10 s.
	CallbackTimeout time.Duration
	// Couriers is how many callbacks are posted at once. Defaults to 4.
	Couriers int

	// Clock is the clock. If nil, that of package time.
	Clock *Clock

	// Seed makes what the Gateway makes up the same in each run: ids, keys, the
	// order of a callback's members. 0 means: different each time.
	Seed uint64

	// NewID makes the ids that the gateway makes up: of orders that came
	// without one, and the channel's. It is called from one goroutine at a
	// time and should return digits. If nil, they are fifteen random digits.
	NewID func() string

	// StateFile, if not empty, is a file that keeps the book: it is made if need
	// be, loaded, locked, and written while the Gateway runs. It is of mode 0600
	// and holds no key. One Gateway uses it at a time; the error of New matches
	// ErrStateInUse if another does, and ErrRecord if it is no such file.
	StateFile string

	// OnEvent is called for each event, from one goroutine and in order, soon
	// after it happened. It may call the Gateway's methods, but Close. If nil,
	// [Gateway.Events] has them all the same.
	OnEvent func(Event)

	// now and after are the clock of a test of this package, whose time stands
	// still while its pauses pass at once.
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
}

// Gateway is an OTT Pay gateway in the box. It is safe for concurrent use.
// What its methods return are snapshots.
type Gateway struct {
	// URL is the base URL, http://127.0.0.1:port without a slash at the end;
	// empty if the Gateway came from [New].
	URL string

	cfg    Config // not changed after New
	server *httptest.Server
	ctx    context.Context // ends with Close; what runs in the background hangs on it
	cancel context.CancelFunc
	close  sync.Once
	fed    chan struct{} // closed when the sinks are to end
	feeder sync.WaitGroup

	courier courier

	mu        sync.Mutex // guards what follows; never held across I/O
	random    *rand.Rand
	settings  Settings
	merchants map[string]*merchant
	orders    map[orderKey]*row
	list      []*row // oldest first
	expiries  expiries
	attempts  map[orderID]int
	faults    []*fault
	faultID   int
	errandID  int
	doors     []*door
	wrong     *tls.Config // for FaultTLS; nil if there is no TLS
	log       eventLog
	messages  messageLog
	asked     texts // the decrypted requests that made orders
	intern    intern
	kinds     map[rowKind]*rowKind
	changes   changes
	state     *stateFile // the feeder's; nil if there is none
	stateErr  error
}

// Settings are what can be changed of a running Gateway.
type Settings struct {
	// Redelivery holds the pauses between the tries of a callback.
	Redelivery []time.Duration
	// Without are the quirks that are switched off.
	Without Quirk
	// Reuse lets an order id be used again.
	Reuse bool
	// Lenient takes what integrations are known to send although the document
	// refuses it: no operator_id, a tip of "0", amounts as numbers, the
	// version 1.0 of MAPPPAY, and the like. The event, the message and a header
	// of the answer, Ottpay-Sandbox-Lenient, say what was taken.
	Lenient bool
	// Rates are exchange rates by currency; Config.Rate has the others.
	Rates map[string]field.Rate
}

func (s Settings) clone() Settings {
	s.Redelivery, s.Rates = slices.Clone(s.Redelivery), maps.Clone(s.Rates)
	return s
}

// New returns a Gateway that is an http.Handler and listens nowhere. It must
// be closed.
func New(cfg Config) (*Gateway, error) {
	if cfg.MerchantID == "" {
		return nil, errors.New("ottpaytest: Config.MerchantID is empty")
	}
	g := &Gateway{
		cfg:       cfg,
		fed:       make(chan struct{}),
		merchants: make(map[string]*merchant),
		orders:    make(map[orderKey]*row),
		attempts:  make(map[orderID]int),
		settings: Settings{
			Redelivery: slices.Clone(cfg.Redelivery), Without: cfg.Without, Reuse: cfg.Reuse, Lenient: cfg.Lenient,
		},
	}
	g.log.changed = make(chan struct{})
	g.messages.keys = g.keysOf
	signKeys := maps.Clone(cfg.Merchants)
	if signKeys == nil {
		signKeys = make(map[string][]string)
	}
	signKeys[cfg.MerchantID] = append([]string{cfg.SignKey}, signKeys[cfg.MerchantID]...)
	for id, texts := range signKeys {
		m := &merchant{id: id, operator: defaultOperator, currency: cfg.Currency, fee: cfg.ConvenienceFee}
		for _, text := range texts {
			key, err := envelope.NewKey(text)
			if err != nil {
				return nil, fmt.Errorf("ottpaytest: sign key of merchant %q: %w", id, err)
			}
			m.keys = append(m.keys, key)
		}
		g.merchants[id] = m
	}
	if cfg.Redelivery == nil {
		g.settings.Redelivery = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
	}
	if cfg.Rate == nil {
		g.cfg.Rate = func(string) (field.Rate, bool) { return 524740000, true }
	}
	if cfg.Scan == nil {
		g.cfg.Scan = scan
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
	g.random = newRandom(cfg.Seed)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.courier.prepare(g)
	if cfg.StateFile != "" {
		if err := g.openState(cfg.StateFile); err != nil {
			g.cancel()
			return nil, err
		}
		g.changes.recorded = true
	}
	if cfg.OnEvent != nil || g.state != nil {
		g.log.sink = make(chan struct{}, 1)
		g.feeder.Go(g.feed)
	}
	g.courier.start()
	return g, nil
}

const defaultOperator = "0000000001"

func newRandom(seed uint64) *rand.Rand {
	var long [32]byte
	if seed == 0 {
		_, _ = crand.Read(long[:]) // does not fail
	} else {
		binary.LittleEndian.PutUint64(long[:], seed)
	}
	return rand.New(rand.NewChaCha8(long))
}

// NewGateway starts a Gateway on a loopback port. Like httptest.NewServer it
// panics if it cannot, or if cfg lacks what it needs. It must be closed.
func NewGateway(cfg Config) *Gateway { return newServer(cfg, false) }

// NewTLSGateway is NewGateway with TLS; [Gateway.Client] trusts its
// certificate.
func NewTLSGateway(cfg Config) *Gateway { return newServer(cfg, true) }

func newServer(cfg Config, encrypted bool) *Gateway {
	g, err := New(cfg)
	if err != nil {
		panic(err)
	}
	g.start(encrypted)
	return g
}

// Client returns an HTTP client that reaches the Gateway, and trusts its
// certificate if it has one.
func (g *Gateway) Client() *http.Client {
	if g.server == nil {
		return &http.Client{}
	}
	return g.server.Client()
}

// Ready notes in the log that the Gateway can be reached, for a server around
// it.
func (g *Gateway) Ready() {
	g.lock()
	defer g.unlock()
	g.emit(Event{Type: EventReady})
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
		close(g.fed)
		g.feeder.Wait()
		if g.state != nil {
			if err := g.state.close(); err != nil {
				g.mu.Lock()
				g.stateErr = cmp.Or(g.stateErr, err)
				g.mu.Unlock()
			}
		}
	})
}

// Settings returns what can be changed while the Gateway runs.
func (g *Gateway) Settings() Settings {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.settings.clone()
}

// Configure changes the settings.
func (g *Gateway) Configure(s Settings) {
	g.lock()
	defer g.unlock()
	g.settings = s.clone()
	g.changes.set(&g.changes.settings)
	g.emit(Event{Type: EventConfigChanged, Why: "settings"})
}

// Clock returns Config.Clock, nil if there is none.
func (g *Gateway) Clock() *Clock { return g.cfg.Clock }

// Now returns the time of the Gateway's clock.
func (g *Gateway) Now() time.Time { return g.now() }

// Advance sets Config.Clock forward. What was to happen in between, such as
// redeliveries and the end of orders, happens now. The error matches ErrState if
// there is no such clock.
func (g *Gateway) Advance(d time.Duration) error {
	if g.cfg.Clock == nil {
		return fmt.Errorf("%w: the clock is the machine's and cannot be set forward", ErrState)
	}
	if d <= 0 {
		return fmt.Errorf("%w: the clock goes forward only", ErrState)
	}
	g.lock()
	g.emit(Event{Type: EventClockAdvanced, Advance: d, Clock: g.now().Add(d)})
	g.cfg.Clock.advance(d)
	g.changes.set(&g.changes.clock)
	g.expire()
	g.unlock()
	g.courier.look()
	return nil
}

// SetManual makes Config.Clock stand still, or go on. The error matches ErrState
// if there is no such clock.
func (g *Gateway) SetManual(manual bool) error {
	c := g.cfg.Clock
	if c == nil {
		return fmt.Errorf("%w: the clock is the machine's and cannot be stopped", ErrState)
	}
	g.lock()
	if manual {
		c.stop()
	} else {
		c.start()
	}
	g.changes.set(&g.changes.clock)
	g.emit(Event{Type: EventConfigChanged, Why: "clock"})
	g.unlock()
	g.courier.look()
	return nil
}

// Reset forgets everything but the merchants and the settings: orders,
// messages, events, faults, and the callbacks that are still to be tried.
func (g *Gateway) Reset() {
	g.lock()
	defer g.unlock()
	g.forget("")
	g.emit(Event{Type: EventReset})
}

// ResetMerchant forgets the orders, messages, events and faults of one
// merchant.
func (g *Gateway) ResetMerchant(id string) error {
	g.lock()
	defer g.unlock()
	if g.merchants[id] == nil {
		return ErrNoMerchant
	}
	g.forget(id)
	g.emit(Event{Type: EventReset, Merchant: id})
	return nil
}

// forget drops what belongs to a merchant, or everything. g.mu is held.
func (g *Gateway) forget(merchant string) {
	g.courier.forget(merchant)
	g.changes.clear()
	g.changes.forgotten(merchant)
	if merchant == "" {
		for _, r := range g.list {
			r.gone = true
		}
		clear(g.orders)
		clear(g.attempts)
		g.list, g.expiries = nil, nil
		g.dropFaults(func(*fault) bool { return true })
		g.messages = messageLog{keys: g.keysOf}
		g.asked, g.intern, g.kinds = texts{}, intern{}, nil
		g.log.forget("")
		g.log.floor = g.log.seq
		return
	}
	for key, r := range g.orders {
		if key.merchant == merchant {
			delete(g.orders, key)
			r.gone = true
		}
	}
	g.list = slices.DeleteFunc(g.list, func(r *row) bool { return r.gone })
	g.expiries = slices.DeleteFunc(g.expiries, func(r *row) bool { return r.gone })
	g.expiries.init()
	maps.DeleteFunc(g.attempts, func(id orderID, _ int) bool { return id.merchant == merchant })
	g.dropFaults(func(f *fault) bool { return f.Merchant == merchant })
	g.messages.forget(merchant)
	g.log.forget(merchant)
	if len(g.list) < g.asked.size()/2 { // most of it was of orders that are gone
		var kept texts
		for _, r := range g.list {
			r.asked = kept.add(g.asked.get(r.asked))
		}
		g.asked = kept
	}
}

// now is the time in UTC and whole milliseconds, as the log has it.
func (g *Gateway) now() time.Time {
	now := time.Now
	switch {
	case g.cfg.Clock != nil:
		now = g.cfg.Clock.Now
	case g.cfg.now != nil:
		now = g.cfg.now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// after is an alarm of the Gateway's clock, and what takes it back.
func (g *Gateway) after(d time.Duration) (<-chan time.Time, func()) {
	switch {
	case g.cfg.Clock != nil:
		return g.cfg.Clock.alarm(d)
	case g.cfg.after != nil:
		return g.cfg.after(d), func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// rate returns the exchange rate of a currency. g.mu is held.
func (g *Gateway) rate(currency string) (field.Rate, bool) {
	if rate, ok := g.settings.Rates[currency]; ok {
		return rate, true
	}
	return g.cfg.Rate(currency)
}

// newID makes up an id. g.mu is held.
func (g *Gateway) newID() string {
	if g.cfg.NewID != nil {
		return g.cfg.NewID()
	}
	return strconv.FormatInt(100_000_000_000_000+g.random.Int64N(900_000_000_000_000), 10)
}
