package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// worldConfig is what the process around the shop does.
type worldConfig struct {
	Shop      string  // its URL
	Forgeries float64 // per second
	Slow      int     // senders that are slow, at a time
}

// worldResult is what it has seen in the end.
type worldResult struct {
	Paid, Unacknowledged                    int64
	Posted, Duplicates, Tampered            int64
	AnswersLost, QueriesDropped             int64
	Forgeries, Believed, Slow, SlowBelieved int64
	Refunds, WrongRefunds                   int64
}

const worldVariable = "OTTPAY_GROWTH_WORLD"

// world is the process, seen from the shop.
type world struct {
	*child
	gateway string // its URL
}

func startWorld(ctx context.Context, cfg worldConfig) (*world, error) {
	c, err := startChild(ctx, worldVariable, cfg)
	if err != nil {
		return nil, err
	}
	w := &world{child: c}
	if err := c.receive(&w.gateway); err != nil {
		c.end()
		return nil, err
	}
	return w, nil
}

// finish ends the evil, waits for the last callback, calls settled, and returns
// what the world has seen of so many orders.
func (w *world) finish(ctx context.Context, orders int, settled func()) (r worldResult, err error) {
	if err := w.send(orders); err != nil {
		return r, err
	}
	var quiet bool
	if err := w.receive(&quiet); err != nil {
		return r, err
	}
	settled()
	if err := w.send(true); err != nil {
		return r, err
	}
	return r, w.receive(&r)
}

// child is a process of this program that does another part of the work. The
// two talk in lines of JSON.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	once sync.Once
}

// startChild starts this program anew, which finds cfg in the variable. It ends
// with ctx, and when its standard input is closed.
func startChild(ctx context.Context, variable string, cfg any) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, exe)}
	c.cmd.Env = append(os.Environ(), variable+"="+string(text))
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

func (c *child) send(v any) error { return json.NewEncoder(c.in).Encode(v) }

func (c *child) receive(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the other process says nothing: %w", err)
	}
	return json.Unmarshal(line, v)
}

// end ends the process, if it runs.
func (c *child) end() {
	c.once.Do(func() {
		c.in.Close()
		c.cmd.Process.Kill()
		c.cmd.Wait() // its error says that it was killed
	})
}

// childConfig reads the configuration in the variable, if this is the child that
// it is for.
func childConfig(variable string, cfg any) bool {
	text, ok := os.LookupEnv(variable)
	if ok && json.Unmarshal([]byte(text), cfg) != nil {
		fmt.Fprintln(os.Stderr, "growth: "+variable+" is not a configuration")
		os.Exit(2)
	}
	return ok
}

// runWorld is the process itself.
func runWorld(cfg worldConfig) error {
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	w := &around{cfg: cfg, forger: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}}}
	w.gateway = ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey, Couriers: 16, Redelivery: redelivery(), OnEvent: w.event,
		Callbacks: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true},
	})
	defer w.gateway.Close()
	if err := w.arm(); err != nil {
		return err
	}
	if err := out.Encode(w.gateway.URL); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	evil, err := w.begin(ctx)
	if err != nil {
		return err
	}
	var orders int
	if err := json.NewDecoder(in).Decode(&orders); err != nil {
		return err // the shop has gone
	}
	stop()
	evil.Wait()
	for _, f := range w.gateway.Armed() {
		w.gateway.Disarm(f.ID)
	}
	settled, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := w.settle(settled, orders); err != nil {
		return err
	}
	if err := out.Encode(true); err != nil {
		return err
	}
	var refunded bool
	if err := json.NewDecoder(in).Decode(&refunded); err != nil {
		return err
	}
	return out.Encode(w.judge(orders))
}

// redelivery has more tries than all faults together use up.
func redelivery() []time.Duration {
	pauses := make([]time.Duration, 30)
	for i := range pauses {
		pauses[i] = 300 * time.Millisecond
	}
	return pauses
}

// around is the gateway with its payers and enemies.
type around struct {
	cfg     worldConfig
	gateway *ottpaytest.Gateway
	forger  *http.Client

	posted, duplicates, tampered, answersLost, queriesDropped atomic.Int64
	forgeries, believed, slow, slowBelieved                   atomic.Int64
}

// faults are what goes wrong between gateway and shop, and how often.
var faults = []struct {
	fault  ottpaytest.CallbackFault
	chance float64
}{
	{ottpaytest.CallbackDuplicate, 0.08},
	{ottpaytest.CallbackReplay, 0.04},
	{ottpaytest.CallbackBurst, 0.01},
	{ottpaytest.CallbackLostAnswer, 0.03},
	{ottpaytest.CallbackDrop, 0.02},
	{ottpaytest.CallbackData, 0.03},
	{ottpaytest.CallbackKey, 0.02},
	{ottpaytest.CallbackDigest, 0.02},
	{ottpaytest.CallbackBlocks, 0.01},
	{ottpaytest.CallbackCut, 0.01},
	{ottpaytest.CallbackTrickle, 0.005},
	{ottpaytest.CallbackEarly, 0.01},
}

func (w *around) arm() error {
	for _, f := range faults {
		if _, err := w.gateway.Arm(ottpaytest.Fault{Callback: f.fault, Chance: f.chance, Times: -1}); err != nil {
			return err
		}
	}
	_, err := w.gateway.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Action: api.ActionSTATUS_QUERY, Chance: 0.01, Times: -1})
	return err
}

// event is called for each event of the gateway: a payer pays every order.
func (w *around) event(e ottpaytest.Event) {
	switch e.Type {
	case ottpaytest.EventOrderCreated:
		if e.Action == api.ActionH5PAY {
			_ = w.gateway.Pay(e.Order) // one whose callback comes early is paid
		}
	case ottpaytest.EventDeliverySent:
		w.posted.Add(1)
	case ottpaytest.EventFaultHit:
		switch name := strings.TrimPrefix(e.Fault, "callback:"); ottpaytest.CallbackFault(name) {
		case ottpaytest.CallbackDuplicate, ottpaytest.CallbackReplay, ottpaytest.CallbackBurst:
			w.duplicates.Add(1)
		case ottpaytest.CallbackLostAnswer:
			w.answersLost.Add(1)
		case ottpaytest.CallbackData, ottpaytest.CallbackKey, ottpaytest.CallbackDigest, ottpaytest.CallbackBlocks, ottpaytest.CallbackCut:
			w.tampered.Add(1)
		case "answer:drop":
			w.queriesDropped.Add(1)
		}
	}
}

// begin lets the forgers and the slow senders loose until ctx ends.
func (w *around) begin(ctx context.Context) (*sync.WaitGroup, error) {
	forged, err := forgeries()
	if err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Duration(float64(time.Second) / w.cfg.Forgeries))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
				all.Go(func() { w.forge(forged[i%len(forged)].body) })
			case <-ctx.Done():
				return
			}
		}
	})
	for i := range w.cfg.Slow {
		all.Go(func() {
			for ctx.Err() == nil {
				if i%2 == 0 {
					w.stall(ctx)
				} else {
					w.trickle(ctx)
				}
			}
		})
	}
	return &all, nil
}

// forge posts a forgery from an address of its own.
func (w *around) forge(body []byte) {
	req, err := http.NewRequest(http.MethodPost, w.cfg.Shop, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("192.%d.%d.%d", rand.IntN(256), rand.IntN(256), rand.IntN(256)))
	resp, err := w.forger.Do(req)
	if err != nil {
		return
	}
	w.forgeries.Add(1)
	if resp.StatusCode < 300 {
		w.believed.Add(1)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// head begins a post of n bytes.
func head(n int) string {
	return fmt.Sprintf("POST /ottpay/callback HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nX-Forwarded-For: 198.51.100.7\r\nContent-Length: %d\r\n\r\n", n)
}

// stall promises a body and sends half of it, until the shop has had enough.
func (w *around) stall(ctx context.Context) {
	w.slowly(ctx, func(conn net.Conn) { io.WriteString(conn, head(600)+strings.Repeat("x", 300)) })
}

// trickle sends a byte at a time, gives up after a while and hangs up.
func (w *around) trickle(ctx context.Context) {
	w.slowly(ctx, func(conn net.Conn) {
		io.WriteString(conn, head(600))
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range 60 {
			if _, err := conn.Write([]byte{' '}); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		conn.Close()
	})
}

func (w *around) slowly(ctx context.Context, send func(net.Conn)) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.cfg.Shop, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	w.slow.Add(1)
	send(conn)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 {
		w.slowBelieved.Add(1)
	}
}

// settle waits until every order is in the book and paid, and its callbacks are
// over.
func (w *around) settle(ctx context.Context, orders int) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for w.paid(orders) < int64(orders) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil // the judge will say so
		}
	}
	if err := w.gateway.Wait(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// paid counts the orders that the book has as paid, or as paid and returned.
func (w *around) paid(orders int) (n int64) {
	for i := range orders {
		if o, ok := w.gateway.Order(orderID(i)); ok && !o.Finished.IsZero() {
			n++
		}
	}
	return n
}

func (w *around) judge(orders int) worldResult {
	r := worldResult{
		Paid: w.paid(orders), Posted: w.posted.Load(), Duplicates: w.duplicates.Load(), Tampered: w.tampered.Load(),
		AnswersLost: w.answersLost.Load(), QueriesDropped: w.queriesDropped.Load(),
		Forgeries: w.forgeries.Load(), Believed: w.believed.Load(), Slow: w.slow.Load(), SlowBelieved: w.slowBelieved.Load(),
	}
	for i := range orders {
		o, ok := w.gateway.Order(orderID(i))
		if !ok || !o.Callbacks.Acknowledged {
			r.Unacknowledged++
		}
		wanted := 0
		if refunds(i) {
			wanted = 1
		}
		if w.gateway.Effects(refundID(i)) != wanted || int(o.Refunded) != wanted {
			r.WrongRefunds++
		}
	}
	return r
}
