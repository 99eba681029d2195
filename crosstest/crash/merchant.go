package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433"

	// A claim of a process that was killed is free again after the lease.
	lease   = 3 * time.Second
	timeout = time.Second
	// A restart of the database is survived by that.
	confirmTimeout = 10 * time.Second

	connections = 16 // of a merchant's pool
)

// faults are the mistakes that the command must find.
var faults = []string{confirmFirst, acknowledgeFirst, claimAnything}

const (
	confirmFirst     = "confirm-first"     // the claim is confirmed before the handler runs
	acknowledgeFirst = "acknowledge-first" // the gateway is told before the claim is confirmed
	claimAnything    = "claim-anything"    // each delivery is an event of its own
)

func known(fault string) bool { return slices.Contains(faults, fault) }

// merchantVariable makes a process a merchant. It holds a merchant's
// configuration.
const merchantVariable = "OTTPAY_CRASH_MERCHANT"

// merchant is a process that is killed.
type merchant struct {
	Place   *place
	Process int // its number
	Seed    uint64
	Fault   string
}

func merchantConfig() (m merchant, ok bool) {
	text, ok := os.LookupEnv(merchantVariable)
	if ok {
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			exit(err)
		}
	}
	return m, ok
}

// serveMerchant listens on a port of its own, which it writes to standard
// output, until standard input ends: with the gateway's process.
func serveMerchant(m merchant) error {
	db, err := sql.Open(m.Place.Driver, m.Place.DSN)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	store, err := m.Place.store(db)
	if err != nil {
		return err
	}
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	cfg := middleware.Config{
		Keys:    middleware.StaticKeys{merchantID: {key}},
		Store:   m.broken(store),
		Asker:   ottpaytest.Asker{},
		Timeout: timeout,
		Lease:   lease,
		Logger:  slog.New(slog.DiscardHandler),

		ConfirmTimeout: confirmTimeout,
	}
	if m.Place.Mode == journaled {
		if cfg.Journal, err = m.Place.journal(db); err != nil {
			return err
		}
	}
	w, err := ottpay.NewWebhook(cfg)
	if err != nil {
		return err
	}
	shop := &shop{merchant: m, db: db, rand: mathrand.New(mathrand.NewPCG(m.Seed, uint64(m.Process)))}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(listener.Addr())
	server := &http.Server{
		Handler:           middleware.Handle(w, shop.handle),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // it has every panic
	}
	return server.Serve(listener)
}

// shop is the merchant's own code.
type shop struct {
	merchant
	db *sql.DB

	mu   sync.Mutex
	rand *mathrand.Rand
}

var errHandler = errors.New("the handler fails")

// handle writes a row. Three in ten of its runs fail. Where the row is not
// bound to the claim, a handler that fails after its work would be handled
// again by its own word, so that it fails before.
func (s *shop) handle(ctx context.Context, n *api.Notification) error {
	before, after, fails, late, panics := s.choices()
	late = late && exact(s.Place.Mode)
	time.Sleep(before)
	if fails && !late {
		return s.fail(panics)
	}
	if err := s.write(ctx, n.OrderID); err != nil {
		return err
	}
	time.Sleep(after)
	if fails {
		return s.fail(panics)
	}
	return nil
}

func (s *shop) choices() (before, after time.Duration, fails, late, panics bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = time.Duration(s.rand.IntN(2000)) * time.Microsecond
	after = time.Duration(s.rand.IntN(2000)) * time.Microsecond
	return before, after, s.rand.IntN(10) < 3, s.rand.IntN(2) == 0, s.rand.IntN(4) == 0
}

func (s *shop) fail(panics bool) error {
	if panics {
		panic(errHandler)
	}
	return errHandler
}

func (s *shop) write(ctx context.Context, order string) error {
	const insert = "INSERT INTO %s (order_id, process) VALUES (?, ?)"
	query := s.Place.bind(fmt.Sprintf(insert, s.Place.Effects))
	if !exact(s.Place.Mode) {
		_, err := s.db.ExecContext(ctx, query, order, s.Process)
		return err
	}
	tx, ok := dedupe.TxFromContext(ctx)
	if !ok {
		return errors.New("no transaction in the context")
	}
	_, err := tx.ExecContext(ctx, query, order, s.Process)
	return err
}

// broken puts the fault into the store, if there is one to put.
func (m merchant) broken(store dedupe.Store) dedupe.Store {
	if m.Fault == "" {
		return store
	}
	return faulty{store, m.Fault}
}

// faulty is a store with a fault.
type faulty struct {
	dedupe.Store
	fault string
}

func (f faulty) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	if f.fault == claimAnything {
		id = dedupe.ID{Key: sha256.Sum256([]byte(rand.Text()))}
	}
	claim, err := f.Store.Claim(ctx, id, lease)
	if err != nil || f.fault == claimAnything {
		return claim, err
	}
	if f.fault == confirmFirst {
		if err := claim.Confirm(ctx); err != nil {
			return nil, err
		}
	}
	return faultyClaim{claim, f.fault}, nil
}

type faultyClaim struct {
	dedupe.Claim
	fault string
}

func (f faultyClaim) Context(ctx context.Context) context.Context {
	if c, ok := f.Claim.(dedupe.Contexter); ok {
		return c.Context(ctx)
	}
	return ctx
}

func (f faultyClaim) Confirm(ctx context.Context) error {
	if f.fault == acknowledgeFirst {
		go func() {
			time.Sleep(2 * time.Millisecond)
			f.Claim.Confirm(context.WithoutCancel(ctx))
		}()
	}
	return nil
}
