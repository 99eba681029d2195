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
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
)

const (
	replicas = 2
	peak     = 20  // deliveries of one notification at a time
	underway = 256 // notifications; some wait for the lease of a process that was killed
	requests = 48  // deliveries at a time, of all notifications
	ahead    = 64  // notifications that begin before the next kill
	checked  = 5   // one in so many acknowledgements is looked into at once
)

// gateway delivers, kills and judges.
type gateway struct {
	run    run
	place  *place
	key    envelope.Key
	client *http.Client
	slots  [replicas]slot

	room    chan struct{} // for requests
	permits chan struct{} // to begin notifications
	acks    chan struct{} // one per notification

	deliveries, replays atomic.Int64

	// Of the goroutine that kills.
	processes int // started so far
	killed    map[int]bool
	kills     int // of a merchant alone
	dbKills   int

	mu    sync.Mutex
	acked map[string]bool
	early map[string]bool
	open  map[string]bool // begun and not acknowledged
	// touched are the orders that were open while a database was killed.
	touched map[string]bool
	wrong   error // what no crash explains
}

// slot is where a merchant runs.
type slot struct {
	url     atomic.Pointer[string]
	cmd     *exec.Cmd
	in      io.Closer // the merchant ends when it is closed
	process int
}

func newGateway(ctx context.Context, r run, p *place) (*gateway, error) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return nil, err
	}
	g := &gateway{
		run: r, place: p, key: key,
		client: &http.Client{
			Timeout:   confirmTimeout + 10*time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: requests, DisableCompression: true},
		},
		room:    make(chan struct{}, requests),
		permits: make(chan struct{}, r.n),
		acks:    make(chan struct{}, r.n),
		killed:  make(map[int]bool),
		acked:   make(map[string]bool, r.n),
		early:   make(map[string]bool),
		open:    make(map[string]bool),
		touched: make(map[string]bool),
	}
	for i := range g.slots {
		if err := g.start(ctx, &g.slots[i]); err != nil {
			g.end()
			return nil, err
		}
	}
	return g, nil
}

// start starts a merchant and waits until it listens.
func (g *gateway) start(ctx context.Context, s *slot) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	g.processes++
	cfg, err := json.Marshal(merchant{Place: g.place, Process: g.processes, Seed: g.run.seed, Fault: g.run.fault})
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), merchantVariable+"="+string(cfg))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.in, s.process = cmd, in, g.processes
	// Should it never say where it listens, killing it ends the reading.
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("a merchant did not start: %w", err)
	}
	url := "http://" + strings.TrimSpace(line) + "/ottpay"
	s.url.Store(&url)
	return nil
}

// stop ends a merchant with SIGKILL.
func (s *slot) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait() // its error says that it was killed
	s.in.Close()
}

// end ends the merchants that still run.
func (g *gateway) end() {
	for i := range g.slots {
		if g.slots[i].cmd != nil {
			g.slots[i].stop()
		}
	}
	g.client.CloseIdleConnections()
}

// deliver delivers and kills until everything is acknowledged, or ctx ends.
func (g *gateway) deliver(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var killer, all sync.WaitGroup
	var killing error
	killer.Go(func() {
		if killing = g.kill(ctx); killing != nil {
			cancel(killing)
		}
	})
	slots := make(chan struct{}, underway)
	for i := range g.run.n {
		if !take(ctx, g.permits) || !put(ctx, slots) {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			g.notify(ctx, i)
		})
	}
	all.Wait()
	killer.Wait()
	g.end()
	return errors.Join(killing, g.wrong)
}

func take(ctx context.Context, from <-chan struct{}) bool {
	select {
	case <-from:
		return true
	case <-ctx.Done():
		return false
	}
}

func put(ctx context.Context, to chan<- struct{}) bool {
	select {
	case to <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// kill kills a merchant or a database and starts it anew, at random moments that
// are spread over the run. Notifications begin no further ahead than a few of
// the next kill, so that all the kills fall into traffic.
func (g *gateway) kill(ctx context.Context) error {
	choose := rand.New(rand.NewPCG(g.run.seed, 0))
	kills, permitted, acked := g.run.kills()+g.run.dbKills(), 0, 0
	permit := func(n int) {
		for ; permitted < min(n, g.run.n); permitted++ {
			g.permits <- struct{}{}
		}
	}
	for i := range kills {
		moment := int((float64(i) + choose.Float64()) * 0.97 * float64(g.run.n) / float64(kills))
		for permit(moment + ahead); acked < moment; acked++ {
			if !take(ctx, g.acks) {
				return nil
			}
		}
		time.Sleep(time.Duration(choose.IntN(10_000)) * time.Microsecond)
		var err error
		if g.killsDatabase(i) {
			err = g.killDatabase(ctx, choose)
		} else {
			err = g.killMerchant(ctx, &g.slots[choose.IntN(replicas)])
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	permit(g.run.n)
	return nil
}

// killsDatabase reports whether the i-th kill, from 0, is a database's: they are
// spread evenly among all kills.
func (g *gateway) killsDatabase(i int) bool {
	all, db := g.run.kills()+g.run.dbKills(), g.run.dbKills()
	return (i+1)*db/all > i*db/all
}

func (g *gateway) killMerchant(ctx context.Context, s *slot) error {
	s.stop()
	g.kills++
	g.killed[s.process] = true
	return g.start(ctx, s)
}

// killDatabase kills a server, and starts it anew after a moment. SQLite has no
// server: there both merchants die at once and no process has the file open, so
// that the next one finds the database as the crash has left it.
func (g *gateway) killDatabase(ctx context.Context, choose *rand.Rand) error {
	g.dbKills++
	if len(g.place.servers) == 0 {
		for i := range g.slots {
			g.slots[i].stop()
			g.killed[g.slots[i].process] = true
		}
		if err := g.place.crash(); err != nil {
			return err
		}
		for i := range g.slots {
			if err := g.start(ctx, &g.slots[i]); err != nil {
				return err
			}
		}
		return nil
	}
	server := g.place.servers[choose.IntN(len(g.place.servers))]
	server.Kill()
	g.touch()
	time.Sleep(time.Duration(choose.IntN(200)) * time.Millisecond)
	err := g.place.startAgain(ctx, server)
	g.touch()
	return err
}

// touch notes which orders are open.
func (g *gateway) touch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for order := range g.open {
		g.touched[order] = true
	}
}

// notify delivers a notification until it is acknowledged, and sometimes
// afterwards.
func (g *gateway) notify(ctx context.Context, i int) {
	order := fmt.Sprintf("C%07d", i)
	body, err := g.seal(order)
	if err != nil {
		g.fault(err)
		return
	}
	g.mu.Lock()
	g.open[order] = true
	g.mu.Unlock()
	choose := rand.New(rand.NewPCG(g.run.seed, 1+uint64(i)))
	for wave := 1; !g.wave(ctx, order, body, crowd(choose), choose.IntN(checked) == 0); wave++ {
		wait := time.Duration(1+choose.IntN(10)) * time.Millisecond * time.Duration(min(wave, 20))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
	g.mu.Lock()
	g.acked[order] = true
	delete(g.open, order)
	g.mu.Unlock()
	g.acks <- struct{}{}
	if choose.IntN(4) == 0 {
		n := crowd(choose)
		g.replays.Add(int64(n))
		g.wave(ctx, order, body, n, false)
	}
}

// crowd is how many deliveries come at once.
func crowd(choose *rand.Rand) int {
	if choose.IntN(10) == 0 {
		return peak
	}
	return 1 + choose.IntN(4)
}

// seal makes a callback.
func (g *gateway) seal(order string) ([]byte, error) {
	sealed, err := g.key.Seal(fmt.Appendf(nil,
		`{"order_id":%q,"amount":"1999","bizpay_order_id":"WX%s","finish_time":"20240102110405","merchant_id":%q}`,
		order, order, merchantID))
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchantID, Sealed: sealed})
}

// wave makes n deliveries at once and reports whether one was acknowledged.
func (g *gateway) wave(ctx context.Context, order string, body []byte, n int, check bool) bool {
	var acknowledged atomic.Bool
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if !put(ctx, g.room) {
				return
			}
			ok := g.post(ctx, i, body)
			<-g.room
			if ok && !acknowledged.Swap(true) && check {
				g.look(ctx, order)
			}
		})
	}
	all.Wait()
	return acknowledged.Load()
}

// post makes a delivery and reports whether it was acknowledged. A merchant
// that is dead, or dies meanwhile, does not acknowledge.
func (g *gateway) post(ctx context.Context, i int, body []byte) bool {
	g.deliveries.Add(1)
	url := *g.slots[(int(body[len(body)/2])+i)%replicas].url.Load()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		g.fault(err)
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
		return true
	case http.StatusServiceUnavailable:
	default:
		g.fault(fmt.Errorf("a delivery was answered %s", resp.Status))
	}
	return false
}

// look looks for the row of a delivery that was acknowledged just now, or as soon
// as the database is back.
func (g *gateway) look(ctx context.Context, order string) {
	var seen bool
	err := errors.New("not asked")
	for began := time.Now(); err != nil && time.Since(began) < time.Minute && ctx.Err() == nil; {
		if seen, err = g.place.seen(ctx, order); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
	switch {
	case err != nil && ctx.Err() == nil:
		g.fault(err)
	case err == nil && !seen:
		g.mu.Lock()
		g.early[order] = true
		g.mu.Unlock()
	}
}

// fault keeps an error that makes the run worthless.
func (g *gateway) fault(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong == nil {
		g.wrong = err
	}
}

// judge looks into the database, after everything has ended.
func (g *gateway) judge(ctx context.Context) (verdict, error) {
	v := verdict{kills: g.kills, dbKills: g.dbKills, deliveries: g.deliveries.Load(), replays: g.replays.Load()}
	rows, err := g.place.rows(ctx)
	if err != nil {
		return v, err
	}
	var kept map[[32]byte]int
	if g.place.Mode == journaled {
		if kept, err = g.place.kept(ctx); err != nil {
			return v, err
		}
	}
	for i := range g.run.n {
		order := fmt.Sprintf("C%07d", i)
		processes := rows[order]
		switch {
		case !g.acked[order]:
			v.open++
		case len(processes) == 0:
			v.noRow++
		case g.early[order]:
			v.early++
		case kept != nil && kept[dedupe.Identify(merchantID, order, "paid").Key] != 1:
			v.noEntry++
		}
		if len(processes) > 1 {
			v.doubled++
			if !g.touched[order] && !g.explained(processes) {
				v.unexplained++
			}
		}
	}
	return v, nil
}

// explained reports whether each process but the last of those that left a row
// was killed, after its one and only row.
func (g *gateway) explained(processes []int) bool {
	seen := make(map[int]bool)
	for i, process := range processes {
		if seen[process] || i < len(processes)-1 && !g.killed[process] {
			return false
		}
		seen[process] = true
	}
	return true
}
