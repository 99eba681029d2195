package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/internal/sqldb"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// server is a database.
type server struct {
	name    string
	dialect dedupe.Dialect
	driver  string
	dsn     string
}

var (
	postgres = server{"postgres", dedupe.PostgreSQL, "pgx",
		cmp.Or(os.Getenv("OTTPAY_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")}
	mariadb = server{"mariadb", dedupe.MySQL, "mysql",
		cmp.Or(os.Getenv("OTTPAY_TEST_MARIADB"), "root@tcp(127.0.0.1:3306)/test")}
	sqlite = server{"sqlite", dedupe.SQLite, "sqlite", ""} // a file of each run's own

	redisAddress = cmp.Or(os.Getenv("OTTPAY_TEST_REDIS"), "127.0.0.1:6379")
)

// The kinds of modes.
const (
	sqlTx     = "sql-tx" // the claim and the handler's row are one transaction
	sqlLease  = "lease"  // the handler's row is written on a connection of its own
	redisMode = "redis"  // the same, with the claim in Redis
)

// mode is a way to keep claims, and where the handler's rows go.
type mode struct {
	name   string
	server server
}

func modes() []mode {
	return []mode{{sqlTx, postgres}, {sqlTx, mariadb}, {sqlTx, sqlite}, {sqlLease, postgres}, {redisMode, postgres}}
}

// choose returns the modes of a list of names.
func choose(only string) ([]mode, error) {
	if only == "" {
		return modes(), nil
	}
	var chosen []mode
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(modes(), func(m mode) bool { return m.name+"/"+m.server.name == name })
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
	Mode            string
	Dialect         dedupe.Dialect
	Driver, DSN     string
	Claims, Effects string // tables
	Prefix          string // of keys in Redis

	dir string // of SQLite's file
	db  *sql.DB
}

// open creates the tables.
func (m mode) open(ctx context.Context) (_ *place, err error) {
	suffix := strings.ToLower(rand.Text()[:12])
	p := &place{
		Mode: m.name, Dialect: m.server.dialect, Driver: m.server.driver, DSN: m.server.dsn,
		Claims: "crash_claims_" + suffix, Effects: "crash_effects_" + suffix, Prefix: "crash-" + suffix + ":",
	}
	if p.Dialect == dedupe.SQLite {
		if p.dir, err = os.MkdirTemp("", "crash"); err != nil {
			return nil, err
		}
		p.DSN = "file:" + filepath.Join(p.dir, "crash.db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(2000)"
	}
	if p.db, err = sql.Open(p.Driver, p.DSN); err != nil {
		return nil, err
	}
	p.db.SetMaxOpenConns(4)
	defer func() {
		if err != nil {
			p.drop()
		}
	}()
	claims, err := dedupe.NewSQL(p.db, dedupe.SQLConfig{Dialect: p.Dialect, Table: p.Claims})
	if err != nil {
		return nil, err
	}
	if err := claims.Migrate(ctx); err != nil {
		return nil, err
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
			return nil, err
		}
	}
	if p.Mode == redisMode {
		client := redis.NewClient(&redis.Options{Addr: redisAddress})
		defer client.Close()
		err = client.Ping(ctx).Err()
	}
	return p, err
}

// drop removes everything, whatever has become of the run.
func (p *place) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	if p.Dialect == dedupe.SQLite {
		errs = append(errs, p.db.Close(), os.RemoveAll(p.dir))
		return errors.Join(errs...)
	}
	for _, table := range []string{p.Claims, p.Effects} {
		_, err := p.db.ExecContext(ctx, "DROP TABLE IF EXISTS "+table)
		errs = append(errs, err)
	}
	if p.Mode == redisMode {
		errs = append(errs, p.dropKeys(ctx))
	}
	return errors.Join(append(errs, p.db.Close())...)
}

func (p *place) dropKeys(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: redisAddress})
	defer client.Close()
	keys := client.Scan(ctx, 0, p.Prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Del(ctx, keys.Val()).Err(); err != nil {
			return err
		}
	}
	return keys.Err()
}

// store returns the store of a merchant.
func (p *place) store(db *sql.DB) (dedupe.Store, error) {
	if p.Mode == redisMode {
		return redisstore.New(redis.NewClient(&redis.Options{Addr: redisAddress}), redisstore.Config{Prefix: p.Prefix})
	}
	cfg := dedupe.SQLConfig{Dialect: p.Dialect, Table: p.Claims, LockTimeout: 100 * time.Millisecond}
	if p.Mode == sqlTx {
		cfg.Mode = dedupe.Transactional
	}
	return dedupe.NewSQL(db, cfg)
}

// rows returns which processes have left a row for each order, the oldest
// first.
func (p *place) rows(ctx context.Context) (map[string][]int, error) {
	rows, err := p.db.QueryContext(ctx, "SELECT order_id, process FROM "+p.Effects+" ORDER BY n")
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
	err := p.db.QueryRowContext(ctx, p.bind("SELECT COUNT(*) FROM "+p.Effects+" WHERE order_id = ?"), order).Scan(&n)
	return n > 0, err
}
