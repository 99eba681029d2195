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
			dedupetest.Run(t, func(t *testing.T) dedupetest.Harness { return server.leaseHarness(t) })
		})
	}
}

func (s server) leaseHarness(t *testing.T) dedupetest.Harness {
	db := s.open(t)
	cfg := dedupe.SQLConfig{Dialect: s.dialect, Table: s.table(t, db, "lease")}
	return dedupetest.Harness{
		Store:   s.store(t, db, cfg),
		Replica: s.store(t, db, cfg),
		Broken:  newSQL(t, s.openDSN(t, s.broken), cfg),
		Expire: func(t *testing.T, id dedupe.ID) {
			s.exec(t, db, "UPDATE "+cfg.Table+" SET lease_until = 0 WHERE id = ?", id.Key[:])
		},
	}
}

func TestSQLTransactional(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, level := range server.levels() {
			t.Run(fmt.Sprint(server.name, "/", level), func(t *testing.T) {
				t.Parallel()
				dedupetest.Run(t, func(t *testing.T) dedupetest.Harness { return server.txHarness(t, level) })
			})
		}
	}
}

// levels are the isolation levels that make a difference on the server.
func (s server) levels() []sql.IsolationLevel {
	if s.dialect == dedupe.SQLite {
		return []sql.IsolationLevel{sql.LevelDefault}
	}
	return []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable}
}

func (s server) txHarness(t *testing.T, level sql.IsolationLevel) dedupetest.Harness {
	db := s.open(t)
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
	_, err := tx.ExecContext(ctx, w.dialect.Bind("INSERT INTO "+w.name+" (name) VALUES (?)"), name)
	return err
}

func (w workTable) written(t *testing.T, name string) bool {
	t.Helper()
	var n int
	err := w.db.QueryRowContext(t.Context(), w.dialect.Bind("SELECT COUNT(*) FROM "+w.name+" WHERE name = ?"), name).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}
