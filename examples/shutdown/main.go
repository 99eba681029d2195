// Command shutdown is a shop on PostgreSQL that knows when it is ready, and
// that is stopped without losing a payment. What a shop writes is shop.go; the
// rest of this program is a gateway in the box, a balancer, and what happens to
// three processes of the shop, one after the other.
//
//	go run ./examples/shutdown
//
// It needs a PostgreSQL at OTTPAY_TEST_POSTGRES, or else on the standard port
// of the loopback interface, where it makes a schema and drops it again. It
// exits with status 0 only if every step did what it says.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/examples/internal/postgres"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	// The sign key of the vendor's published example. A real one comes from
	// the environment or a vault, never from the source.
	signKey = "6698851A525C9433"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, postgres.Address(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shutdown:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dsn string, out io.Writer) (err error) {
	db, drop, err := database(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	balancer := newBalancer()
	defer balancer.Close()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey,
		Redelivery: []time.Duration{}, // this program redelivers
	})
	defer gateway.Close()
	st := &story{out: out, db: db, balancer: balancer, gateway: gateway, cfg: config{
		db: db, merchantID: merchantID, keys: middleware.StaticKeys{merchantID: {key}}, gatewayURL: gateway.URL,
		payments:  rate.NewLimiter(rate.Every(time.Hour), len(orders)),
		noticed:   func(context.Context) {},
		grace:     handlerTimeout,
		elsewhere: func(context.Context, string) error { return nil },
	}}
	for _, part := range []func(context.Context) error{st.ready, st.finishes, st.givenUp} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "\nAll of it happened.")
	return nil
}

var orders = [...]string{"QUICK", "SLOW", "LATE", "STUCK"}

// story is what happens to the shop.
type story struct {
	out      io.Writer
	db       *sql.DB
	balancer *balancer
	gateway  *ottpaytest.Gateway
	cfg      config // of the next process
}

// ready: readiness knows the store and the limiter.
func (st *story) ready(ctx context.Context) error {
	fmt.Fprintln(st.out, "1. Ready, and not")
	p, err := st.start(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := probe(ctx, p.url+"/readyz", 200, "ready"); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   GET /readyz: 200")

	holder, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer holder.Rollback()
	if _, err := holder.ExecContext(ctx, `LOCK TABLE ottpay_dedupe`); err != nil {
		return err
	}
	if err := errors.Join(probe(ctx, p.url+"/readyz", 503, "store"), probe(ctx, p.url+"/healthz", 200, "alive")); err != nil {
		return err
	}
	if err := holder.Rollback(); err != nil {
		return err
	}
	if err := probe(ctx, p.url+"/readyz", 200, "ready"); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   the store does not answer: 503, and /healthz 200; it answers again: 200")

	for _, id := range orders {
		if err := p.open(ctx, id, st.balancer.URL+"/ottpay/callback"); err != nil {
			return err
		}
	}
	if err := probe(ctx, p.url+"/readyz", 503, "limiter"); err != nil {
		return err
	}
	hurried, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = p.open(hurried, "TOOMUCH", st.balancer.URL+"/ottpay/callback")
	if !errors.Is(err, middleware.ErrLimited) || !errors.Is(err, ottpay.ErrNotSent) {
		return fmt.Errorf("a payment without room: %v", err)
	}
	p.payments.SetLimit(1000)
	if err := probe(ctx, p.url+"/readyz", 200, "ready"); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   the limiter has no room for another payment: 503; it has again: 200")

	err = st.gateway.Pay("QUICK")
	if err := errors.Join(err, st.answered(ctx, "QUICK", 200), st.booked(ctx, "QUICK", 1)); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   the callback of QUICK: 200")
	return p.end(nil)
}

// finishes: a stop lets a handler finish.
func (st *story) finishes(ctx context.Context) error {
	fmt.Fprintln(st.out, "\n2. SIGTERM while a handler is at work, which finishes")
	defer func(cfg config) { st.cfg = cfg }(st.cfg)
	atWork, goOn, noticed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	st.cfg.elsewhere = func(ctx context.Context, orderID string) error {
		if orderID != "SLOW" {
			return nil
		}
		close(atWork)
		return wait(ctx, goOn)
	}
	st.cfg.noticed = func(ctx context.Context) { _ = wait(ctx, noticed) }
	p, err := st.start(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := errors.Join(st.gateway.Pay("SLOW"), wait(ctx, atWork), terminate()); err != nil {
		return err
	}

	err = errors.Join(probe(ctx, p.url+"/readyz", 503, "stopping"), probe(ctx, p.url+"/healthz", 200, "alive"))
	if err := errors.Join(err, st.redelivered("QUICK", 200)); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   GET /readyz: 503, first of all; who still comes is served: 200")

	close(noticed)
	// Between this and the webhook's Shutdown lies no more than a function
	// call; what comes of QUICK before does no harm.
	if err := await(ctx, func() bool { return st.redelivered("QUICK", 503) == nil }); err != nil {
		return err
	}
	err = st.gateway.Pay("LATE")
	if err := errors.Join(err, st.answered(ctx, "LATE", 503), st.booked(ctx, "LATE", 0)); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   the balancer has noticed; the callback of LATE, a newcomer: 503, send again later")

	select {
	case err := <-p.ended:
		return fmt.Errorf("the shop did not wait for its handler: %v", err)
	default:
	}
	if d := st.gateway.Deliveries("SLOW"); len(d) > 0 && d[0].Status != 0 {
		return fmt.Errorf("the callback of SLOW was answered %d while its handler was at work", d[0].Status)
	}
	close(goOn)
	if err := errors.Join(st.answered(ctx, "SLOW", 200), p.ends(nil), st.booked(ctx, "SLOW", 1)); err != nil {
		return err
	}
	if _, _, err := get(ctx, p.url+"/healthz"); err == nil {
		return errors.New("the shop still answers")
	}
	fmt.Fprintln(st.out, "   the handler of SLOW finished: 200; then the server closed")
	return nil
}

// givenUp: a stop gives up a handler that does not end, and loses nothing.
func (st *story) givenUp(ctx context.Context) error {
	fmt.Fprintln(st.out, "\n3. SIGTERM while a handler is at work, which does not end")
	whole := st.cfg
	atWork, why := make(chan struct{}), make(chan error, 1)
	st.cfg.grace = 200 * time.Millisecond
	st.cfg.elsewhere = func(ctx context.Context, orderID string) error {
		if orderID != "STUCK" {
			return nil
		}
		close(atWork)
		<-ctx.Done()
		why <- context.Cause(ctx)
		return ctx.Err()
	}
	p, err := st.start(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := errors.Join(st.redelivered("LATE", 200), st.booked(ctx, "LATE", 1)); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   the next process; LATE comes again and is handled: 200")
	if err := errors.Join(st.gateway.Pay("STUCK"), wait(ctx, atWork), terminate()); err != nil {
		return err
	}
	if err := errors.Join(st.answered(ctx, "STUCK", 503), p.ends(errGivenUp), st.booked(ctx, "STUCK", 0)); err != nil {
		return err
	}
	if cause := <-why; !errors.Is(cause, errGivenUp) {
		return fmt.Errorf("the context of the handler of STUCK ended with: %v", cause)
	}
	fmt.Fprintln(st.out, "   the handler of STUCK was given up: its context ended, its work was undone, 503")

	st.cfg = whole
	next, err := st.start(ctx)
	if err != nil {
		return err
	}
	defer next.kill()
	if err := errors.Join(st.redelivered("STUCK", 200), st.booked(ctx, "STUCK", 1)); err != nil {
		return err
	}
	fmt.Fprintln(st.out, "   the next process; STUCK comes again, its claim was given back, and is handled: 200")
	if err := next.end(nil); err != nil {
		return err
	}
	for _, id := range orders {
		if err := st.booked(ctx, id, 1); err != nil {
			return err
		}
	}
	fmt.Fprintln(st.out, "   each order was booked once")
	return nil
}

// answered waits for the first delivery of an order and compares its answer.
func (st *story) answered(ctx context.Context, id string, status int) error {
	if err := await(ctx, func() bool {
		d := st.gateway.Deliveries(id)
		return len(d) > 0 && d[0].Status != 0
	}); err != nil {
		return fmt.Errorf("the callback of %s: %w", id, err)
	}
	return is(nil, "the callback of "+id, st.gateway.Deliveries(id)[0].Status, status)
}

// redelivered sends a callback once more and compares its answer.
func (st *story) redelivered(id string, status int) error {
	d, err := st.gateway.Redeliver(id)
	return is(err, "the callback of "+id+", again", d.Status, status)
}

func (st *story) booked(ctx context.Context, id string, want int) error {
	var n int
	err := st.db.QueryRowContext(ctx, `SELECT bookings FROM orders WHERE id = $1`, id).Scan(&n)
	return is(err, "bookings of "+id, n, want)
}

// process stands for a process of the shop.
type process struct {
	*shop
	ended  <-chan error // what run returned
	cancel context.CancelFunc
}

// start starts a process as a main function does, and sends the callbacks to
// it.
func (st *story) start(ctx context.Context) (*process, error) {
	s, err := newShop(st.cfg)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { defer close(ended); ended <- s.run(ctx) }() // until ends or kill
	st.balancer.to.Store(u)
	return &process{shop: s, ended: ended, cancel: cancel}, nil
}

// ends waits until the process has ended by itself, and compares how.
func (p *process) ends(want error) error {
	err := <-p.ended
	p.cancel()
	if !errors.Is(err, want) {
		return fmt.Errorf("the shop ended with: %v", err)
	}
	return nil
}

// end stops the process without a signal.
func (p *process) end(want error) error {
	p.cancel()
	return p.ends(want)
}

// kill ends what an error has left behind.
func (p *process) kill() {
	p.cancel()
	p.giveUp()
	p.server.Close()
	<-p.ended
}

// terminate sends this program a SIGTERM.
func terminate() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Signal(syscall.SIGTERM)
}

// balancer has one address for the processes.
type balancer struct {
	*httptest.Server
	to atomic.Pointer[url.URL]
}

func newBalancer() *balancer {
	b := &balancer{}
	b.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(b.to.Load()) },
		Transport: &http.Transport{DisableKeepAlives: true},
	})
	return b
}

// probe asks until the answer is the one that is wanted.
func probe(ctx context.Context, url string, status int, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var gotStatus int
	var gotBody string
	var err error
	if await(ctx, func() bool {
		gotStatus, gotBody, err = get(ctx, url)
		return err == nil && gotStatus == status && gotBody == body
	}) == nil {
		return nil
	}
	return fmt.Errorf("GET %s: %d %q, %v; want %d %q", url, gotStatus, gotBody, err, status, body)
}

func get(ctx context.Context, url string) (status int, body string, _ error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return resp.StatusCode, strings.TrimSpace(string(b)), err
}

func wait(ctx context.Context, on <-chan struct{}) error {
	select {
	case <-on:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func await(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// is returns an error unless what was asked for came without one and is so.
func is[T comparable](err error, what string, got, want T) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if got != want {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}

// database returns a pool with the shop's table and that of the claims, and a
// function that drops them.
func database(ctx context.Context, dsn string) (_ *sql.DB, drop func() error, err error) {
	db, drop, err := postgres.Schema(ctx, dsn, 10, // more than the deliveries at a time: each claim holds one
		`CREATE TABLE orders (id text PRIMARY KEY, amount bigint NOT NULL, bookings integer NOT NULL DEFAULT 0)`)
	if err != nil {
		return nil, nil, err
	}
	claims, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL})
	if err == nil {
		err = claims.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return db, drop, nil
}
