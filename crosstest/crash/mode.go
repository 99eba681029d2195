package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/ottpaykit/ottpay/crosstest/private"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/internal/sqldb"
	"github.com/ottpaykit/ottpay/journal"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// database is a kind of database, and how its server runs.
type database struct {
	name    string
	dialect dedupe.Dialect
	driver  string
	start   func(context.Context, private.Options) (*private.Server, error) // nil for SQLite
	options private.Options
}

var (
	postgres = database{"postgres", dedupe.PostgreSQL, "pgx", private.PostgreSQL, private.Options{}}
	mariadb  = database{"mariadb", dedupe.MySQL, "mysql", private.MariaDB, private.Options{}}
	// A slow disk: each fsync takes ten milliseconds.
	slowMariaDB = database{"mariadb-slow", dedupe.MySQL, "mysql", private.MariaDB, private.Options{SlowSync: 10 * time.Millisecond}}
	sqlite      = database{"sqlite", dedupe.SQLite, "sqlite", nil, private.Options{}} // a file
)

// The kinds of modes.
const (
	sqlTx     = "sql-tx"     // the claim and the handler's row are one transaction
	journaled = "tx-journal" // the same, and each delivery is kept in a journal, too
	sqlLease  = "lease"      // the handler's row is written on a connection of its own
	redisMode = "redis"      // the same, with the claim in Redis
)

// mode is a way to keep claims, and where the handler's rows go.
type mode struct {
	name string
	database
}

// exact reports whether the mode doubles nothing.
func exact(name string) bool { return name == sqlTx || name == journaled }

func modes() []mode {
	return []mode{
		{sqlTx, postgres}, {sqlTx, mariadb}, {sqlTx, slowMariaDB}, {sqlTx, sqlite},
		{journaled, postgres}, {journaled, mariadb},
		{sqlLease, postgres}, {sqlLease, mariadb}, {sqlLease, sqlite}, {redisMode, postgres},
	}
}

func (m mode) String() string { return m.name + "/" + m.database.name }

// choose returns the modes of a list of names.
func choose(only string) ([]mode, error) {
	if only == "" {
		return modes(), nil
	}
	var chosen []mode
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(modes(), func(m mode) bool { return m.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %s: there is no such mode", name)
		}
		chosen = append(chosen, modes()[i])
	}
	return chosen, nil
}

// place is where a run of a mode keeps what it keeps. The merchants are told of
// it as JSON.
type place struct {
	Mode                     string
	Dialect                  dedupe.Dialect
	Driver, DSN              string
	Redis                    string // its address
	Claims, Effects, Journal string // tables

	dir     string // of SQLite's file
	servers []*private.Server

	mu sync.Mutex
	db *sql.DB // by pool, since a crash replaces it
}

// open starts the servers and creates the tables.
func (m mode) open(ctx context.Context) (_ *place, err error) {
	p := &place{
		Mode: m.name, Dialect: m.dialect, Driver: m.driver,
		Claims: "crash_claims", Effects: "crash_effects", Journal: "crash_journal",
	}
	defer func() {
		if err != nil {
			p.drop()
		}
	}()
	if m.start == nil {
		if p.dir, err = os.MkdirTemp("", "crash"); err != nil {
			return nil, err
		}
		p.DSN = "file:" + filepath.Join(p.dir, "crash.db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(2000)"
	} else {
		server, err := p.startServer(ctx, m.start, m.options)
		if err != nil {
			return nil, err
		}
		p.DSN = server.DSN
	}
	if p.Mode == redisMode {
		// Synced at each command: what Redis forgets otherwise is not the question.
		server, err := p.startServer(ctx, private.Redis, private.Options{Args: []string{"--appendfsync", "always"}})
		if err != nil {
			return nil, err
		}
		p.Redis = server.Addr
	}
	if p.db, err = sql.Open(p.Driver, p.DSN); err != nil {
		return nil, err
	}
	p.db.SetMaxOpenConns(4)
	return p, p.migrate(ctx)
}

// startServer starts a server that ends with the place.
func (p *place) startServer(ctx context.Context, make func(context.Context, private.Options) (*private.Server, error), o private.Options) (*private.Server, error) {
	server, err := make(ctx, o)
	if err != nil {
		return nil, err
	}
	p.servers = append(p.servers, server)
	return server, p.startAgain(ctx, server)
}

// startAgain starts a server and waits until it works.
func (p *place) startAgain(ctx context.Context, s *private.Server) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.Start(ctx, func(ctx context.Context) error {
		if s.DSN == "" {
			client := redis.NewClient(&redis.Options{Addr: s.Addr})
			defer client.Close()
			return client.Ping(ctx).Err()
		}
		db, err := sql.Open(p.Driver, s.DSN)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx)
	})
}

func (p *place) migrate(ctx context.Context) error {
	claims, err := dedupe.NewSQL(p.db, dedupe.SQLConfig{Dialect: p.Dialect, Table: p.Claims})
	if err != nil {
		return err
	}
	deliveries, err := p.journal(p.pool())
	if err != nil {
		return err
	}
	if err := errors.Join(claims.Migrate(ctx), deliveries.Migrate(ctx)); err != nil {
		return err
	}
	// No key is unique but that of the row, so that doubles show.
	serial := map[dedupe.Dialect]string{
		dedupe.PostgreSQL: "BIGSERIAL PRIMARY KEY", dedupe.MySQL: "BIGINT AUTO_INCREMENT PRIMARY KEY", dedupe.SQLite: "INTEGER PRIMARY KEY",
	}[p.Dialect]
	for _, ddl := range []string{
		"CREATE TABLE " + p.Effects + " (n " + serial + ", order_id VARCHAR(64) NOT NULL, process INTEGER NOT NULL)",
		"CREATE INDEX " + p.Effects + "_order ON " + p.Effects + " (order_id)",
	} {
		if _, err := p.db.ExecContext(ctx, ddl); err != nil {
			return err
		}
	}
	return nil
}

// drop removes everything, whatever has become of the run.
func (p *place) drop() error {
	var errs []error
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	for _, server := range p.servers {
		errs = append(errs, server.Close())
	}
	if p.dir != "" {
		errs = append(errs, os.RemoveAll(p.dir))
	}
	return errors.Join(errs...)
}

// crash leaves SQLite's files as a crash of the machine may leave them: no process
// has them open, and the shared index of the WAL, which is memory, is gone.
func (p *place) crash() error {
	if err := p.db.Close(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(p.dir, "crash.db-shm")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := sql.Open(p.Driver, p.DSN)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(4)
	p.mu.Lock()
	p.db = db
	p.mu.Unlock()
	return nil
}

// pool returns the pool of the last opening.
func (p *place) pool() *sql.DB {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db
}

// store returns the store of a merchant.
func (p *place) store(db *sql.DB) (dedupe.Store, error) {
	if p.Mode == redisMode {
		return redisstore.New(redis.NewClient(&redis.Options{Addr: p.Redis}), redisstore.Config{})
	}
	cfg := dedupe.SQLConfig{Dialect: p.Dialect, Table: p.Claims, LockTimeout: 100 * time.Millisecond}
	if exact(p.Mode) {
		cfg.Mode = dedupe.Transactional
	}
	return dedupe.NewSQL(db, cfg)
}

func (p *place) journal(db *sql.DB) (*journal.SQL, error) {
	return journal.NewSQL(db, journal.SQLConfig{Dialect: p.Dialect, Table: p.Journal})
}

// kept returns the keys of the events in the journal.
func (p *place) kept(ctx context.Context) (map[[32]byte]int, error) {
	deliveries, err := p.journal(p.pool())
	if err != nil {
		return nil, err
	}
	found := make(map[[32]byte]int)
	for entry, err := range deliveries.All(ctx, time.Time{}, time.Time{}) {
		if err != nil {
			return nil, err
		}
		found[entry.ID.Key]++
	}
	return found, nil
}

// rows returns which processes have left a row for each order, the oldest
// first.
func (p *place) rows(ctx context.Context) (map[string][]int, error) {
	rows, err := p.pool().QueryContext(ctx, "SELECT order_id, process FROM "+p.Effects+" ORDER BY n")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string][]int)
	for rows.Next() {
		var order string
		var process int
		if err := rows.Scan(&order, &process); err != nil {
			return nil, err
		}
		found[order] = append(found[order], process)
	}
	return found, rows.Err()
}

// bind returns a statement in the dialect's spelling.
func (p *place) bind(query string) string { return sqldb.Dialect(p.Dialect).Bind(query) }

// seen reports whether an order has a row.
func (p *place) seen(ctx context.Context, order string) (bool, error) {
	var n int
	err := p.pool().QueryRowContext(ctx, p.bind("SELECT COUNT(*) FROM "+p.Effects+" WHERE order_id = ?"), order).Scan(&n)
	return n > 0, err
}
