package crosstest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/internal/sqldb"
)

// server is a database that the tests run against.
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

	servers = []server{postgres, mariadb, sqlite}

	// One pool serves all the tests of a server, whose connections are limited.
	pools = map[string]func() (*sql.DB, error){
		postgres.name: sync.OnceValues(postgres.dial),
		mariadb.name:  sync.OnceValues(mariadb.dial),
	}
)

// poolSize leaves room on a server that others use, too.
const poolSize = 30

// open returns a pool on the server, which other tests may use. SQLite is a file
// of the test's own.
func (s server) open(t testing.TB) *sql.DB {
	t.Helper()
	if s.dialect == dedupe.SQLite {
		return s.openWith(t, "_pragma=journal_mode(WAL)")
	}
	db, err := pools[s.name]()
	if err != nil {
		absent(t, s.name, s.env, err)
	}
	return db
}

func (s server) dial() (*sql.DB, error) {
	db, err := sql.Open(s.driver, s.address())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	return db, ping(db)
}

func ping(db *sql.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

func (s server) address() string {
	return cmp.Or(os.Getenv(s.env), s.dsn)
}

// openWith returns a pool of the test's own, whose connections are made with the
// parameters.
func (s server) openWith(t testing.TB, params string) *sql.DB {
	t.Helper()
	dsn := s.address()
	if s.dialect == dedupe.SQLite {
		dsn = "file:" + filepath.Join(t.TempDir(), "test.db")
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
	db, err := sql.Open(s.driver, dsn)
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
