// Command redis-replicas is a merchant of three processes behind a round-robin
// balancer, with one Redis to decide which of them handles a payment.
//
//	go run ./examples/redis-replicas
//
// It needs a Redis at 127.0.0.1:6379, or at OTTPAY_TEST_REDIS, and exits with
// status 0 only if every payment was handled exactly once.
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	// The sign key of the vendor's published example. A real one comes from
	// the environment or a vault, never from the source.
	signKey = "6698851A525C9433"

	price    = 500 // of every order; a real shop looks it up
	payments = 12
	copies   = 5 // of each notification, at the same moment
)

var errNoRedis = errors.New("no Redis answers")

func main() {
	if r, ok, err := replicaConfig(); ok {
		exit(errors.Join(err, r.serve()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	exit(run(ctx, os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "redis-replicas:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, out io.Writer) (err error) {
	address := cmp.Or(os.Getenv("OTTPAY_TEST_REDIS"), "127.0.0.1:6379")
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w at %s: start one, or set OTTPAY_TEST_REDIS (%v)", errNoRedis, address, err)
	}
	prefix := "ottpay-example-" + rand.Text() + ":"
	defer func() { err = errors.Join(err, forget(context.WithoutCancel(ctx), client, prefix)) }()

	s := story{out: out, client: client, prefix: prefix}
	if err := s.connect(); err != nil {
		return err
	}
	defer s.gateway.Close()
	var (
		processes []*process
		urls      []*url.URL
	)
	defer func() {
		for _, p := range processes {
			p.stop()
		}
	}()
	for _, name := range []string{"one", "two", "three"} {
		p, err := start(ctx, replica{Name: name, Redis: address, Prefix: prefix, Gateway: s.gateway.URL})
		if err != nil {
			return err
		}
		processes = append(processes, p)
		urls = append(urls, p.url)
	}
	balancer := newBalancer(urls)
	front := httptest.NewServer(balancer)
	defer front.Close()
	fmt.Fprintf(out, "Three replicas behind %s, one Redis at %s\n", front.URL, address)

	s.callback = front.URL + "/ottpay/callback"
	if err := s.pay(ctx, "FIRST"); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nReplica two is killed; what the balancer still hands to it comes again")
	processes[1].kill()
	if err := s.pay(ctx, "SECOND"); err != nil {
		return err
	}
	if balancer.lost.Load() == 0 {
		return errors.New("nothing was handed to the killed replica")
	}
	fmt.Fprintf(out, "%d deliveries met the killed replica\n", balancer.lost.Load())

	counts, err := client.HGetAll(ctx, prefix+"replicas").Result()
	if err != nil {
		return err
	}
	if len(counts) < 2 {
		return fmt.Errorf("only %d replicas had work", len(counts))
	}
	fmt.Fprintf(out, "handled by replica one: %s, two: %s, three: %s\n",
		cmp.Or(counts["one"], "0"), cmp.Or(counts["two"], "0"), cmp.Or(counts["three"], "0"))
	fmt.Fprintf(out, "\nAll %d payments were handled exactly once.\n", 2*payments)
	return nil
}

// story pays orders and looks at what became of them.
type story struct {
	out      io.Writer
	callback string
	gateway  *ottpaytest.Gateway
	shop     *ottpay.Client
	client   *redis.Client
	prefix   string
}

// connect starts the gateway.
func (s *story) connect() error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	s.gateway = ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey,
		// Deliveries that are not acknowledged come again soon.
		Redelivery: []time.Duration{20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Second},
	})
	s.shop, err = ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchantID, OperatorID: "0000000001",
		Keys: middleware.StaticKeys{merchantID: {key}}, BaseURL: s.gateway.URL,
	})
	if err != nil {
		s.gateway.Close()
	}
	return err
}

// pay takes payments, has each notification delivered several times at the same
// moment, and prints how often each was handled.
func (s *story) pay(ctx context.Context, name string) error {
	var wg sync.WaitGroup
	errs := make([]error, payments*copies)
	for i := range payments {
		order := fmt.Sprintf("%s%02d", name, i)
		if _, err := s.shop.H5Pay(ctx, &api.H5PayRequest{
			OrderID: order, Amount: price, CurrencyType: "CAD", CallBackURL: s.callback,
		}); err != nil {
			return err
		}
		if err := s.gateway.Pay(order); err != nil { // is the first copy
			return err
		}
		for n := range copies - 1 {
			wg.Go(func() { _, errs[i*copies+n] = s.gateway.Redeliver(order) })
		}
	}
	wg.Wait()
	if err := errors.Join(append(errs, s.gateway.Wait(ctx))...); err != nil {
		return err
	}
	for i := range payments {
		order := fmt.Sprintf("%s%02d", name, i)
		deliveries, statuses := s.gateway.Deliveries(order), []string{}
		for _, d := range deliveries {
			statuses = append(statuses, fmt.Sprint(d.Status))
		}
		handled, err := s.client.HGet(ctx, s.prefix+"handled", order).Int()
		if err != nil {
			return fmt.Errorf("order %s was not handled: %w", order, err)
		}
		fmt.Fprintf(s.out, "   %-8s  handled %d×  delivered %d×: %s\n", order, handled, len(deliveries), strings.Join(statuses, " "))
		if handled != 1 {
			return fmt.Errorf("order %s was handled %d times", order, handled)
		}
	}
	return nil
}

// process is a replica as its parent has it.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   *url.URL
}

// start starts this program as a replica.
func start(ctx context.Context, r replica) (*process, error) {
	config, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), replicaVariable+"="+string(config))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("replica %s did not start: %w", r.Name, err)
	}
	p.url = &url.URL{Scheme: "http", Host: strings.TrimSpace(line)}
	return p, nil
}

// stop lets the replica finish what it is at.
func (p *process) stop() {
	p.stdin.Close()
	p.cmd.Wait()
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// forget deletes the run's keys.
func forget(ctx context.Context, client *redis.Client, prefix string) error {
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Del(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}
