package crosstest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/journal"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// swallower is a network between a client and a server that can stop to carry
// anything, without closing a connection.
type swallower struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	open   bool
	opened chan struct{} // closed while it carries
	after  []byte        // stop when a client has sent this
	pass   bool          // whether the server still gets what holds it
}

func newSwallower(t *testing.T, target string) *swallower {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &swallower{listener: l, target: target, open: true, opened: make(chan struct{})}
	close(s.opened)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.carry(ctx, client) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		all.Wait()
	})
	return s
}

func (s *swallower) carry(ctx context.Context, client net.Conn) {
	server, err := net.Dial("tcp", s.target)
	if err != nil {
		client.Close()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { client.Close(); server.Close() })()
	var both sync.WaitGroup
	both.Go(func() { s.copy(ctx, server, client, true); cancel() })
	both.Go(func() { s.copy(ctx, client, server, false); cancel() })
	both.Wait()
	client.Close()
	server.Close()
}

// copy carries one direction. While the network is dead, an end of the
// connection is not carried either.
func (s *swallower) copy(ctx context.Context, to io.Writer, from io.Reader, sent bool) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		if sent && s.open && s.after != nil && bytes.Contains(bytes.ToUpper(buffer[:n]), s.after) {
			if s.pass {
				to.Write(buffer[:n])
				n = 0
			}
			s.after, s.open, s.opened = nil, false, make(chan struct{})
		}
		opened := s.opened
		s.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
			return
		}
		if _, e := to.Write(buffer[:n]); err != nil || e != nil {
			return
		}
	}
}

// die stops the network now, or when a client has sent the text. The server gets
// what holds the text if pass is true.
func (s *swallower) die(text string, pass bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text != "" {
		s.after, s.pass = []byte(text), pass
		return
	}
	s.open, s.opened = false, make(chan struct{})
}

func (s *swallower) carries() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// heal carries again, what was held back first.
func (s *swallower) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = nil
	if !s.open {
		s.open = true
		close(s.opened)
	}
}

// behind returns the server's DSN through the network.
func (s server) behind(t *testing.T) (*swallower, string) {
	t.Helper()
	if s.dialect == dedupe.MySQL {
		before, rest, _ := strings.Cut(s.address(t), "@tcp(")
		host, after, _ := strings.Cut(rest, ")")
		network := newSwallower(t, host)
		return network, before + "@tcp(" + network.listener.Addr().String() + ")" + after
	}
	u, err := url.Parse(s.address(t))
	if err != nil {
		t.Fatal(err)
	}
	network := newSwallower(t, u.Host)
	u.Host = network.listener.Addr().String()
	return network, u.String()
}

const (
	netTimeout = 250 * time.Millisecond // the store's time-out
	netSlack   = 2 * time.Second        // of a machine with other things to do
)

// within runs f, which must end about when the store's time-out has passed.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	begin := time.Now()
	go func() { done <- f() }()
	select {
	case err := <-done:
		if took := time.Since(begin); took > netTimeout+netSlack {
			t.Errorf("%s took %v", what, took)
		}
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not end", what)
		return nil
	}
}

// A network that swallows packets: each operation ends by the store's time-out,
// at whatever step the network dies; nothing is said that is not so; and once
// the network is back, what was confirmed is done, what was not is claimed, and
// the pool is whole.
func TestSQLDeadNetwork(t *testing.T) {
	t.Parallel()
	for _, s := range []server{postgres, mariadb} {
		for _, mode := range []dedupe.Mode{dedupe.Transactional, dedupe.Lease} {
			for _, step := range []struct {
				name, text string
				pass       bool
			}{
				{"before", "", false},
				{"at the look", "SELECT MARK", false},
				{"at the claim", "INSERT INTO", false},
				{"at the claim, which arrives", "INSERT INTO", true},
				{"at BEGIN", "BEGIN", false},
				{"at START TRANSACTION", "START TRANSACTION", false},
				{"at the session's setting", "SET SESSION", false},
				{"at the transaction's setting", "SET_CONFIG('LOCK_TIMEOUT'", false},
				{"at confirm", "UPDATE ", false},
				{"at confirm, which arrives", "UPDATE ", true},
				{"at COMMIT", "COMMIT", false},
				{"at COMMIT, which arrives", "COMMIT", true},
				{"at ROLLBACK", "ROLLBACK", false},
				{"at ROLLBACK, which arrives", "ROLLBACK", true},
				{"at release", "DELETE FROM", false},
			} {
				t.Run(fmt.Sprintf("%s/%d/%s", s.name, mode, step.name), func(t *testing.T) {
					t.Parallel()
					s.deadNetwork(t, mode, step.text, step.pass)
				})
			}
		}
	}
}

func (s server) deadNetwork(t *testing.T, mode dedupe.Mode, text string, pass bool) {
	direct := s.open(t)
	cfg := dedupe.SQLConfig{Dialect: s.dialect, Table: s.table(t, direct, "dead"), Mode: mode, LockTimeout: 100 * time.Millisecond, Timeout: netTimeout}
	patient := cfg
	patient.Timeout = time.Minute
	near := s.store(t, direct, patient)
	work := s.workTable(t, direct)
	network, dsn := s.behind(t)
	db := s.openDSN(t, dsn)
	db.SetMaxOpenConns(3)
	store := newSQL(t, db, cfg)
	// The server is there, but on a busy machine not always within netTimeout.
	eventually(t, "the store answers", func() error { return store.Ping(t.Context()) })
	bracket := dedupe.Bracket{Timeout: 500 * time.Millisecond, ConfirmTimeout: 500 * time.Millisecond}
	var writes atomic.Int32
	deliver := func(fails bool, id dedupe.ID) error {
		return within(t, "a delivery", func() error {
			return dedupe.Do(t.Context(), store, id, bracket, func(ctx context.Context) error {
				if mode == dedupe.Transactional {
					if err := work.write(ctx, fmt.Sprint(id, writes.Add(1))); err != nil {
						return err
					}
				}
				if fails {
					return errors.New("the handler fails")
				}
				return nil
			})
		})
	}
	// Deliveries until the network has died under one, and of those beside it.
	network.die(text, pass)
	type outcome struct {
		id  dedupe.ID
		err error
	}
	var outcomes []outcome
	for i := 0; i < 2 || i < 4 && network.carries(); i++ {
		id := newID()
		outcomes = append(outcomes, outcome{id, deliver(i%2 == 1, id)})
	}
	dead := !network.carries()
	if err := within(t, "Ping", func() error { return store.Ping(context.Background()) }); err == nil && dead {
		t.Error("Ping succeeded on a dead network")
	}
	_ = within(t, "Migrate", func() error { return store.Migrate(context.Background()) })
	_ = within(t, "Look", func() error { return store.Look(context.Background(), newID()) })
	_ = within(t, "Prune", func() error { _, err := store.Prune(context.Background(), time.Hour); return err })

	if !strings.Contains(text, "ROLLBACK") { // the one call that go-sql-driver does not watch
		whole(t, db)
	}
	network.heal()
	for _, o := range outcomes {
		// A server that has not noticed yet keeps the row locked.
		var err error
		for range 100 {
			if err = near.Look(t.Context(), o.id); o.err == nil || errors.Is(err, dedupe.ErrDone) {
				break
			}
			var c dedupe.Claim
			if c, err = near.Claim(t.Context(), o.id, lease); err == nil {
				if err = c.Release(t.Context()); err == nil {
					break
				}
			}
			if mode == dedupe.Lease && errors.Is(err, dedupe.ErrInFlight) {
				break // until its lease is over
			}
		}
		done := errors.Is(err, dedupe.ErrDone)
		if o.err == nil && !done {
			t.Errorf("confirmed, and then: %v", err)
		}
		if !done && err != nil && (mode == dedupe.Transactional || !errors.Is(err, dedupe.ErrInFlight)) {
			t.Errorf("after %v: %v", o.err, err)
		}
		if mode == dedupe.Lease {
			continue
		}
		var n int
		if err := direct.QueryRowContext(t.Context(), s.bind("SELECT COUNT(*) FROM "+work.name+" WHERE name LIKE ?"), o.id.String()+"%").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 1, false: 0}[done]; n != want {
			t.Errorf("done is %t, and its work is kept %d times (%v)", done, n, o.err)
		}
	}
	// The pool has all of its connections, and the store works.
	whole(t, db)
	eventually(t, "a delivery on the network that is back", func() error { return deliver(false, newID()) })
}

// whole waits until no connection of the pool is in use.
func whole(t *testing.T, db *sql.DB) {
	t.Helper()
	eventually(t, "the pool is whole", func() error {
		if n := db.Stats().InUse; n > 0 {
			return fmt.Errorf("%d connections are in use", n)
		}
		return nil
	})
}

// The journal on such a network.
func TestJournalDeadNetwork(t *testing.T) {
	t.Parallel()
	for _, s := range []server{postgres, mariadb} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			direct := s.open(t)
			_, table := s.journal(t, direct, journal.SQLConfig{})
			network, dsn := s.behind(t)
			db := s.openDSN(t, dsn)
			j, err := journal.NewSQL(db, journal.SQLConfig{Dialect: s.dialect, Table: table, Timeout: netTimeout})
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Append(t.Context(), "M", []byte("{}"), newID()); err != nil {
				t.Fatal(err)
			}
			network.die("", false)
			for name, f := range map[string]func() error{
				"Append":  func() error { return j.Append(context.Background(), "M", []byte("{}"), newID()) },
				"Ping":    func() error { return j.Ping(context.Background()) },
				"Migrate": func() error { return j.Migrate(context.Background()) },
				"Prune":   func() error { _, err := j.Prune(context.Background(), time.Hour); return err },
				"All": func() (err error) {
					for _, err = range j.All(context.Background(), time.Time{}, time.Time{}) {
					}
					return err
				},
			} {
				if err := within(t, name, f); err == nil {
					t.Errorf("%s succeeded on a dead network", name)
				}
			}
			network.heal()
			whole(t, db)
		})
	}
}

// Redis on such a network: no operation takes longer than its context, and the
// claim is confirmed when the network is back.
func TestRedisDeadNetwork(t *testing.T) {
	t.Parallel()
	direct, prefix := redisClient(t)
	network := newSwallower(t, direct.Options().Addr)
	client := redis.NewClient(&redis.Options{Addr: network.listener.Addr().String()})
	defer client.Close()
	store := redisStore(t, client, redisstore.Config{Prefix: prefix})
	id := newID()
	c := mustClaim(t, store, id)
	network.die("", false)
	for name, f := range map[string]func(context.Context) error{
		"Claim":   func(ctx context.Context) error { _, err := store.Claim(ctx, newID(), lease); return err },
		"Confirm": c.Confirm,
		"Look":    func(ctx context.Context) error { return store.Look(ctx, id) },
		"Ping":    store.Ping,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), netTimeout)
		err := within(t, name, func() error { return f(ctx) })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, dedupe.ErrLost) || errors.Is(err, dedupe.ErrDone) {
			t.Errorf("%s on a dead network: %v", name, err)
		}
	}
	network.heal()
	mustConfirm(t, c)
	wantClaimError(t, store, id, dedupe.ErrDone)
}
