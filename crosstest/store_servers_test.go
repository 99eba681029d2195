package crosstest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/internal/sqldb"
)

// server is a database server that the tests run against.
type server struct {
	name    string
	dialect dedupe.Dialect
	driver  string
	env     string // overrides dsn
	dsn     string
	broken  string // a DSN at which nothing answers
}

var (
	postgres = server{
		name: "PostgreSQL", dialect: dedupe.PostgreSQL, driver: "pgx", env: "OTTPAY_TEST_POSTGRES",
		dsn:    "postgres://postgres@127.0.0.1:5432/test?sslmode=disable",
		broken: "postgres://postgres@127.0.0.1:1/test?sslmode=disable&connect_timeout=2",
	}
	mariadb = server{
		name: "MariaDB", dialect: dedupe.MySQL, driver: "mysql", env: "OTTPAY_TEST_MARIADB",
		dsn:    "root@tcp(127.0.0.1:3306)/test",
		broken: "root@tcp(127.0.0.1:1)/test?timeout=2s",
	}
	sqlite = server{
		name: "SQLite", dialect: dedupe.SQLite, driver: "sqlite",
		broken: "file:/nowhere/at/all.db?mode=rw",
	}

	servers = chosen(postgres, mariadb, sqlite)

	// One database on each server is this process's own.
	databases = map[string]*ownDatabase{
		postgres.name: {server: postgres},
		mariadb.name:  {server: mariadb},
	}
)

// chosen leaves out the servers that OTTPAY_TEST_SERVERS does not name, if it is
// set, for a quick run.
func chosen(all ...server) (servers []server) {
	names, some := os.LookupEnv("OTTPAY_TEST_SERVERS")
	for _, s := range all {
		if !some || slices.Contains(strings.Split(names, ","), s.name) {
			servers = append(servers, s)
		}
	}
	return servers
}

// poolSize leaves room on a server that others use, too.
const poolSize = 30

// ownDatabase is a database that only this process uses, so that several runs of
// the tests on one server do not disturb each other.
type ownDatabase struct {
	server
	once sync.Once
	own  string // its DSN
	pool *sql.DB
	err  error
}

// database returns the database of this process on the server.
func (s server) database() (*ownDatabase, error) {
	d := databases[s.name]
	d.once.Do(func() { d.err = d.create() })
	return d, d.err
}

func (d *ownDatabase) create() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dsn := cmp.Or(os.Getenv(d.env), d.dsn)
	admin, err := d.connect(dsn)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := ping(admin); err != nil {
		return err
	}
	if err := d.dropAbandoned(ctx, admin); err != nil {
		return err
	}
	name := fmt.Sprintf("%s%d_%s", ownName, time.Now().Unix(), strings.ToLower(rand.Text()[:8]))
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return err
	}
	if d.own, err = d.in(dsn, name); err != nil {
		return err
	}
	if d.pool, err = d.connect(d.own); err != nil {
		return err
	}
	d.pool.SetMaxOpenConns(poolSize)
	d.pool.SetMaxIdleConns(poolSize)
	return ping(d.pool)
}

const ownName = "ottpay_test_"

// in returns the DSN of another database on the same server.
func (s server) in(dsn, name string) (string, error) {
	if s.dialect == dedupe.MySQL {
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			return "", err
		}
		cfg.DBName = name
		return cfg.FormatDSN(), nil
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// dropAbandoned drops databases of runs that were killed, some hours ago.
func (d *ownDatabase) dropAbandoned(ctx context.Context, admin *sql.DB) error {
	list := "SELECT datname FROM pg_database"
	if d.dialect == dedupe.MySQL {
		list = "SHOW DATABASES"
	}
	rows, err := admin.QueryContext(ctx, list)
	if err != nil {
		return err
	}
	defer rows.Close()
	var abandoned []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(name, ownName)
		made, _, _ := strings.Cut(rest, "_")
		seconds, err := strconv.ParseInt(made, 10, 64)
		if ok && err == nil && time.Since(time.Unix(seconds, 0)) > 6*time.Hour {
			abandoned = append(abandoned, name)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range abandoned {
		// Another run may be faster.
		_, _ = admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name)
	}
	return nil
}

// dropDatabases drops what this process has made.
func dropDatabases() {
	for _, d := range databases {
		if d.pool == nil {
			continue
		}
		var name string
		current := "SELECT current_database()"
		if d.dialect == dedupe.MySQL {
			current = "SELECT DATABASE()"
		}
		err := d.pool.QueryRow(current).Scan(&name)
		d.pool.Close()
		if err == nil {
			var admin *sql.DB
			if admin, err = d.connect(cmp.Or(os.Getenv(d.env), d.dsn)); err == nil {
				drop := "DROP DATABASE " + name
				if d.dialect == dedupe.PostgreSQL {
					drop += " WITH (FORCE)" // a test may have left a connection behind
				}
				_, err = admin.Exec(drop)
				admin.Close()
			}
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "dropping a database on %s: %v\n", d.name, err)
		}
	}
}

// connect returns a pool whose connections wait while the server has as many as
// it can have: others use it, too.
func (s server) connect(dsn string) (*sql.DB, error) {
	var c driver.Connector
	switch s.dialect {
	case dedupe.PostgreSQL:
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, err
		}
		c = stdlib.GetConnector(*cfg)
	case dedupe.MySQL:
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			return nil, err
		}
		if c, err = mysql.NewConnector(cfg); err != nil {
			return nil, err
		}
	default:
		return sql.Open(s.driver, dsn)
	}
	db := sql.OpenDB(patientConnector{c})
	db.SetConnMaxIdleTime(2 * time.Second)
	return db, nil
}

type patientConnector struct{ driver.Connector }

func (p patientConnector) Connect(ctx context.Context) (driver.Conn, error) {
	for begin := time.Now(); ; {
		conn, err := p.Connector.Connect(ctx)
		var state interface{ SQLState() string }
		var number *mysql.MySQLError
		full := errors.As(err, &state) && state.SQLState() == "53300" || errors.As(err, &number) && number.Number == 1040
		if !full || time.Since(begin) > 30*time.Second {
			return conn, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// open returns a pool on the server, which other tests may use. SQLite is a file
// of the test's own.
func (s server) open(t testing.TB) *sql.DB {
	t.Helper()
	if s.dialect == dedupe.SQLite {
		return s.openWith(t, "_pragma=journal_mode(WAL)")
	}
	d, err := s.database()
	if err != nil {
		absent(t, s.name, s.env, err)
	}
	return d.pool
}

// address returns the DSN of this process's database.
func (s server) address(t testing.TB) string {
	t.Helper()
	d, err := s.database()
	if err != nil {
		absent(t, s.name, s.env, err)
	}
	return d.own
}

func ping(db *sql.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// openWith returns a pool of the test's own, whose connections are made with the
// parameters.
func (s server) openWith(t testing.TB, params string) *sql.DB {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "test.db")
	if s.dialect != dedupe.SQLite {
		dsn = s.address(t)
	}
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	db := s.openDSN(t, dsn+separator+params)
	if err := ping(db); err != nil {
		absent(t, s.name, s.env, err)
	}
	return db
}

func (s server) openDSN(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := s.connect(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(8)
	t.Cleanup(func() { db.Close() })
	return db
}

// absent ends a test whose server is not there: it is skipped, but not where
// the tests are what decides. A server that answers, and refuses, is there.
func absent(t testing.TB, name, env string, err error) {
	t.Helper()
	var postgres interface{ SQLState() string }
	var mariadb *mysql.MySQLError
	if os.Getenv("CI") == "true" || errors.As(err, &postgres) || errors.As(err, &mariadb) {
		t.Fatalf("no %s server answers: %v; start one, or set %s", name, err, env)
	}
	t.Skipf("no %s server answers: %v; start one, or set %s", name, err, env)
}

// table returns a name of the test's own, for a table that is dropped at the
// end.
func (s server) table(t testing.TB, db *sql.DB, prefix string) string {
	t.Helper()
	name := prefix + "_" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() {
		quoted, err := sqldb.Dialect(s.dialect).Quote(name)
		if err == nil {
			_, err = db.ExecContext(context.Background(), "DROP TABLE IF EXISTS "+quoted)
		}
		if err != nil {
			t.Errorf("dropping %s: %v", name, err)
		}
	})
	return name
}

// store returns a migrated store with a table of the test's own.
func (s server) store(t testing.TB, db *sql.DB, cfg dedupe.SQLConfig) *dedupe.SQL {
	t.Helper()
	cfg.Dialect = s.dialect
	if cfg.Table == "" {
		cfg.Table = s.table(t, db, "dedupe")
	}
	store := newSQL(t, db, cfg)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func newSQL(t testing.TB, db *sql.DB, cfg dedupe.SQLConfig) *dedupe.SQL {
	t.Helper()
	store, err := dedupe.NewSQL(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// bind returns a statement in the dialect's spelling.
func (s server) bind(query string) string { return sqldb.Dialect(s.dialect).Bind(query) }

// exec runs a statement in the dialect's spelling.
func (s server) exec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(context.Background(), s.bind(query), args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
