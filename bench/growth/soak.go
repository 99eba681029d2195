package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/middleware"
)

// soakConfig says how long the soak is and what it is made of.
type soakConfig struct {
	duration time.Duration
	every    time.Duration // a sample is taken
	rate     float64       // posts to the webhook per second

	memory int // capacity of the shop's stores

	// For tests, which break the shop. Optional.
	wrap  func(http.Handler) http.Handler // its endpoint
	kept  func()                          // runs when the work of an order is kept
	store dedupe.Store                    // of the webhook, in place of a Memory
}

// What the posts to the webhook are made of. Duplicates, callbacks that are
// tampered with and second tries come on top of the orders.
const (
	ordersShare    = 0.5 // of the rate
	forgeriesShare = 0.3
	slowClients    = 8  // at a time
	failEvery      = 16 // one order in so many: the handler's first run returns an error
	panicEvery     = 31 // or panics
	refundEvery    = 8  // one order in so many gets a cent back
)

func fails(order int) bool   { return order%failEvery == 3 }
func panics(order int) bool  { return order%panicEvery == 5 }
func refunds(order int) bool { return order%refundEvery == 0 }

func refundID(order int) string { return fmt.Sprintf("BACK%012d", order) }

// amount is what an order costs, in cents.
func amount(order int) field.Cents { return field.Cents(100 + order%9000) }

// soakResult is what a soak found.
type soakResult struct {
	cfg     soakConfig
	samples []usage
	before  usage // before the shop was made
	after   usage // after it was stopped
	lines   int64
	errors  int64 // that the handler returned on purpose
	panics  int64
	opened  int
	lost    int
	twice   int
	refunds int64
	failed  []string // calls of the client
	world   worldResult
}

// soak runs a shop in this process and the world around it, which is the
// gateway, its payers and those who wish the shop ill, in another.
func soak(ctx context.Context, cfg soakConfig) (r soakResult, err error) {
	r.cfg = cfg
	r.before = live()
	orders := int(cfg.rate*ordersShare*cfg.duration.Seconds()) + 1
	s := &shop{cfg: cfg, log: newLines(), runs: make([]uint8, orders), kept: make([]uint8, orders), refunds: make(chan int, 1024)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	defer listener.Close()
	s.url = "http://" + listener.Addr().String()
	w, err := startWorld(ctx, worldConfig{Shop: s.url, Forgeries: cfg.rate * forgeriesShare, Slow: slowClients})
	if err != nil {
		return r, err
	}
	defer w.end()
	if err := s.build(w.gateway); err != nil {
		return r, err
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.log, slog.LevelError)}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	defer server.Close()

	working, stop := context.WithTimeout(ctx, cfg.duration)
	defer stop()
	var all sync.WaitGroup
	numbers := make(chan int)
	all.Go(func() { s.open(working, numbers) })
	for range 8 {
		all.Go(func() { s.pay(ctx, numbers) })
	}
	var refunding sync.WaitGroup
	for range 4 {
		refunding.Go(func() { s.refund(ctx) })
	}
	r.samples = sample(working, cfg.every)
	all.Wait()
	r.opened = int(s.opened.Load())
	r.world, err = w.finish(ctx, r.opened, func() {
		close(s.refunds) // every callback is acknowledged: no handler sends on it any more
		refunding.Wait()
	})
	if err != nil {
		return r, err
	}
	if err := errors.Join(s.webhook.Shutdown(ctx), server.Shutdown(ctx)); err != nil {
		return r, err
	}
	if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
		return r, err
	}
	w.end()
	s.client.CloseIdleConnections()
	r.judge(s)
	time.Sleep(100 * time.Millisecond) // the ends of connections
	r.after = live()
	return r, ctx.Err()
}

// sample looks at what is held at once and every so often until ctx ends.
func sample(ctx context.Context, every time.Duration) []usage {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var samples []usage
	for {
		select {
		case <-tick.C:
			u := live()
			samples = append(samples, u)
			if every >= 10*time.Second {
				fmt.Fprintf(os.Stderr, "growth: %v: heap %s MiB, %d goroutines\n", every*time.Duration(len(samples)), mib(u.heap), u.goroutines)
			}
		case <-ctx.Done():
			return samples
		}
	}
}

// judge counts what was handled. An order whose payment could not be asked for
// may be there or not.
func (r *soakResult) judge(s *shop) {
	r.lines, r.errors, r.panics, r.refunds = s.log.n.Load(), s.errors.Load(), s.panics.Load(), s.refunded.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	r.failed = s.failed
	for i := range r.opened {
		switch n := s.kept[i]; {
		case n == 0:
			r.lost++
		case n > 1:
			r.twice++
		}
	}
}

// shop is the merchant: a client, a webhook and a book.
type shop struct {
	cfg     soakConfig
	url     string
	log     *lines
	client  *ottpay.Client
	webhook *middleware.Webhook
	handler http.Handler

	opened, errors, panics, refunded atomic.Int64
	refunds                          chan int

	mu     sync.Mutex
	runs   []uint8 // of the handler, by order
	kept   []uint8 // how often the handler returned nil, by order
	failed []string
}

func (s *shop) build(gateway string) (err error) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	s.client, err = ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "0000000001", Keys: keys, BaseURL: gateway,
		RefundStore: dedupe.NewMemory(dedupe.MemoryConfig{Capacity: s.cfg.memory / refundEvery}),
		Base:        &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true},
		Logger:      slog.New(s.log),
	})
	if err != nil {
		return err
	}
	// The forgers come by a proxy that names them; the gateway, whose callbacks
	// name no client, is not limited.
	limiter, err := limit.New(limit.Config{
		Capacity: 4096, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Header: "X-Forwarded-For",
	})
	if err != nil {
		return err
	}
	store := s.cfg.store
	if store == nil {
		store = dedupe.NewMemory(dedupe.MemoryConfig{Capacity: s.cfg.memory})
	}
	s.webhook, err = ottpay.NewWebhook(middleware.Config{
		Keys: keys, Store: store, Asker: s.client,
		SourceLimiter: limiter, Logger: slog.New(s.log),
	})
	if err != nil {
		return err
	}
	s.handler = middleware.Handle(s.webhook, s.handle)
	if s.cfg.wrap != nil {
		s.handler = s.cfg.wrap(s.handler)
	}
	return nil
}

var errPlanned = errors.New("the handler fails on purpose")

// handle keeps the work of an order. It has failed before where it is to.
func (s *shop) handle(ctx context.Context, n *api.Notification) error {
	i, err := strconv.Atoi(strings.TrimPrefix(n.OrderID, "SOAK"))
	if err != nil || i >= len(s.kept) {
		return errors.New("no such order")
	}
	s.mu.Lock()
	s.runs[i] = min(s.runs[i]+1, 250)
	first := s.runs[i] == 1
	s.mu.Unlock()
	switch {
	case first && fails(i):
		s.errors.Add(1)
		return errPlanned
	case first && panics(i):
		s.panics.Add(1)
		panic(errPlanned)
	}
	if d, ok := middleware.FromContext(ctx); !ok || !d.Matches(amount(i)) {
		return errors.New("not the amount of the order")
	}
	s.mu.Lock()
	again := s.kept[i] > 0
	s.kept[i] = min(s.kept[i]+1, 250)
	s.mu.Unlock()
	if refunds(i) && !again {
		s.refunds <- i
	}
	if s.cfg.kept != nil {
		s.cfg.kept()
	}
	return nil
}

// open numbers the orders, at their rate, until ctx ends.
func (s *shop) open(ctx context.Context, numbers chan<- int) {
	defer close(numbers)
	start, pause := time.Now(), time.Duration(float64(time.Second)/(s.cfg.rate*ordersShare))
	for i := range s.kept {
		wait := time.NewTimer(time.Until(start.Add(time.Duration(i) * pause)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		numbers <- i
		s.opened.Add(1)
	}
}

// pay asks the gateway for the payments of the orders.
func (s *shop) pay(ctx context.Context, numbers <-chan int) {
	for i := range numbers {
		_, err := s.client.H5Pay(ctx, &api.H5PayRequest{
			OrderID: orderID(i), Amount: amount(i), CurrencyType: "CAD", CallBackURL: s.url + "/ottpay/callback",
		})
		s.note(err)
	}
}

// refund gives a cent back of each order that is due one.
func (s *shop) refund(ctx context.Context) {
	for i := range s.refunds {
		_, err := s.client.RefundOnce(ctx, ottpay.RefundIntent{RefundID: refundID(i), OrderID: orderID(i), Amount: 1})
		s.note(err)
		s.refunded.Add(1)
	}
}

// note keeps the error of a call, which none of these should have.
func (s *shop) note(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = append(s.failed, err.Error())
}

// write writes the table.
func (r soakResult) write(p *page) {
	third := len(r.samples) / 3
	of := func(samples []usage, what func(usage) int64) int64 {
		values := make([]int64, len(samples))
		for i, u := range samples {
			values[i] = what(u)
		}
		return median(values)
	}
	row := func(name string, grow func(int64) int64, what func(usage) int64, cell func(string, int64, int64) string, text func(int64) string) {
		if third == 0 {
			p.broken = append(p.broken, "the soak was too short for three samples")
			return
		}
		first, last := of(r.samples[:third], what), of(r.samples[len(r.samples)-third:], what)
		least, greatest := r.samples[0], r.samples[0]
		for _, u := range r.samples {
			greatest = greatest.most(u)
			least = usage{min(least.heap, u.heap), min(least.stack, u.stack), min(least.goroutines, u.goroutines)}
		}
		p.printf("| %s | %s | %s | %s to %s |\n", name, text(first), cell("soak, "+name, last, grow(first)), text(what(least)), text(what(greatest)))
	}
	p.printf("A shop ran for %v: `Client`, `Webhook`, `Memory` stores of %s IDs for payments and of %s for refunds, which are full after the first minutes, a `SourceLimiter`, a handler.\n", r.cfg.duration, thousands(int64(r.cfg.memory)), thousands(int64(r.cfg.memory/refundEvery)))
	p.printf("The gateway, its payers, the forgers and the slow senders were another process on the same machine.\n")
	p.printf("About %.0f posts a second came to the webhook.\n", r.cfg.rate)
	p.printf("Every %v the heap was measured after two garbage collections, %d times in all; the figures are the medians of the first and of the last third.\n\n", r.cfg.every, len(r.samples))
	p.printf("| | first third | last third | at most | all samples |\n| --- | ---: | ---: | ---: | ---: |\n")
	row("heap, MiB", func(n int64) int64 { return n + n/10 + 2<<20 }, func(u usage) int64 { return u.heap }, p.bytes, mib)
	row("goroutines", func(n int64) int64 { return n + 5 }, func(u usage) int64 { return u.goroutines }, p.count, thousands)
	p.printf("\n| | number | at most |\n| --- | ---: | ---: |\n")
	plain := func(what string, n int64) { p.printf("| %s | %s | |\n", what, thousands(n)) }
	bound := func(what string, n, most int64) { p.printf("| %s | %s |\n", what, p.count("soak, "+what, n, most)) }
	plain("orders that were paid", r.world.Paid)
	bound("orders that were opened and not paid", int64(r.opened)-r.world.Paid, 0)
	bound("payments that were never handled", int64(r.lost), 0)
	bound("payments that were handled twice", int64(r.twice), 0)
	bound("payments whose callback was not acknowledged in the end", r.world.Unacknowledged, 0)
	plain("callbacks that the gateway posted", r.world.Posted)
	plain("of these, duplicates and replays", r.world.Duplicates)
	plain("of these, tampered with or cut off", r.world.Tampered)
	plain("of these, answered and the answer lost", r.world.AnswersLost)
	plain("queries that the gateway dropped", r.world.QueriesDropped)
	plain("forgeries by strangers", r.world.Forgeries)
	bound("forgeries that were answered 200", r.world.Believed, 0)
	plain("slow senders", r.world.Slow)
	bound("slow senders that were answered 200", r.world.SlowBelieved, 0)
	plain("errors of the handler", r.errors)
	plain("panics of the handler", r.panics)
	plain("refunds", r.refunds)
	bound("refunds that did not take effect once", r.world.WrongRefunds, 0)
	bound("calls of the client that failed", int64(len(r.failed)), 0)
	if len(r.failed) > 0 {
		p.broken = append(p.broken, "the first failed call: "+r.failed[0])
	}
	plain("log lines", r.lines)
	bound("goroutines more after the shop was stopped than before", r.after.goroutines-r.before.goroutines, 5)
}
