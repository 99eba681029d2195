package crosstest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/dedupe/dedupetest"
)

func TestSQLLease(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			if server.dialect == dedupe.SQLite { // which has one writer a file
				dedupetest.Run(t, func(t *testing.T) dedupetest.Harness { return server.leaseHarness(t, server.open(t)) })
				return
			}
			h := server.leaseHarness(t, server.open(t))
			dedupetest.Run(t, func(*testing.T) dedupetest.Harness { return h })
		})
	}
}

func (s server) leaseHarness(t *testing.T, db *sql.DB) dedupetest.Harness {
	cfg := dedupe.SQLConfig{Dialect: s.dialect, Table: s.table(t, db, "lease"), Timeout: time.Minute}
	return dedupetest.Harness{
		Store:   s.store(t, db, cfg),
		Replica: s.store(t, db, cfg),
		Broken:  newSQL(t, s.openDSN(t, s.broken), cfg),
		Expire:  func(t *testing.T, id dedupe.ID) { s.expire(t, db, cfg.Table, id) },
	}
}

// expire makes the lease of a claim run out.
func (s server) expire(t *testing.T, db *sql.DB, table string, id dedupe.ID) {
	t.Helper()
	s.exec(t, db, "UPDATE "+table+" SET lease_until = 0 WHERE id = ?", id.Key[:])
}

// In lease mode each statement is a transaction, at the level that the session
// was given.
func TestSQLLeaseUnderSessions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server
		params string
	}{
		{postgres, "default_transaction_isolation=repeatable%20read"},
		{postgres, "default_transaction_isolation=serializable"},
		{postgres, "default_query_exec_mode=simple_protocol"},
		{mariadb, "tx_isolation=%27READ-COMMITTED%27"},
		{mariadb, "tx_isolation=%27SERIALIZABLE%27"},
		{mariadb, "clientFoundRows=true"},
		{mariadb, "parseTime=true&interpolateParams=true&time_zone=%27-08%3A00%27"},
		{sqlite, "mode=rwc"},
		{sqlite, "_pragma=journal_mode(WAL)&_txlock=immediate"},
	} {
		t.Run(test.name+"/"+test.params, func(t *testing.T) {
			t.Parallel()
			if test.dialect == dedupe.SQLite {
				dedupetest.Run(t, func(t *testing.T) dedupetest.Harness {
					return test.leaseHarness(t, test.openWith(t, test.params))
				})
				return
			}
			h := test.leaseHarness(t, test.openWith(t, test.params))
			dedupetest.Run(t, func(*testing.T) dedupetest.Harness { return h })
		})
	}
}

func TestSQLTransactional(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, level := range server.levels() {
			t.Run(fmt.Sprint(server.name, "/", level), func(t *testing.T) {
				t.Parallel()
				if server.dialect == dedupe.SQLite {
					dedupetest.Run(t, func(t *testing.T) dedupetest.Harness { return server.txHarness(t, server.open(t), level) })
					return
				}
				h := server.txHarness(t, server.open(t), level)
				dedupetest.Run(t, func(*testing.T) dedupetest.Harness { return h })
			})
		}
	}
	t.Run("SQLite/immediate", func(t *testing.T) {
		t.Parallel()
		dedupetest.Run(t, func(t *testing.T) dedupetest.Harness {
			return sqlite.txHarness(t, sqlite.openWith(t, "_txlock=immediate&_pragma=journal_mode(WAL)"), sql.LevelSerializable)
		})
	})
}

// levels are the isolation levels that make a difference on the server.
func (s server) levels() []sql.IsolationLevel {
	if s.dialect == dedupe.SQLite {
		return []sql.IsolationLevel{sql.LevelDefault}
	}
	return []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable}
}

func (s server) txHarness(t *testing.T, db *sql.DB, level sql.IsolationLevel) dedupetest.Harness {
	cfg := dedupe.SQLConfig{
		Dialect: s.dialect, Table: s.table(t, db, "tx"),
		Mode: dedupe.Transactional, Isolation: level,
		LockTimeout: 100 * time.Millisecond, Timeout: time.Minute,
	}
	work := s.workTable(t, db)
	return dedupetest.Harness{
		Store:   s.store(t, db, cfg),
		Replica: s.store(t, db, cfg),
		Broken:  newSQL(t, s.openDSN(t, s.broken), cfg),
		Write:   work.write,
		Written: work.written,
	}
}

// workTable is a table of the shop's own.
type workTable struct {
	server
	db   *sql.DB
	name string
}

func (s server) workTable(t *testing.T, db *sql.DB) workTable {
	w := workTable{s, db, s.table(t, db, "work")}
	s.exec(t, db, "CREATE TABLE "+w.name+" (name VARCHAR(100) PRIMARY KEY)")
	return w
}

func (w workTable) write(ctx context.Context, name string) error {
	tx, ok := dedupe.TxFromContext(ctx)
	if !ok {
		return errors.New("no transaction in the context")
	}
	_, err := tx.ExecContext(ctx, w.bind("INSERT INTO "+w.name+" (name) VALUES (?)"), name)
	return err
}

func (w workTable) written(t *testing.T, name string) bool {
	t.Helper()
	var n int
	err := w.db.QueryRowContext(t.Context(), w.bind("SELECT COUNT(*) FROM "+w.name+" WHERE name = ?"), name).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}
