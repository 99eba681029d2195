package crosstest

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/crosstest/private"
	"github.com/ottpaykit/ottpay/dedupe"
)

// The servers of the tests keep what they commit.
func TestSQLCheck(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			store := server.store(t, db, dedupe.SQLConfig{})
			if err := store.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			broken := newSQL(t, server.openDSN(t, server.broken), dedupe.SQLConfig{Dialect: server.dialect})
			if err := broken.Check(t.Context()); err == nil || errors.Is(err, dedupe.ErrForgets) || errors.Is(err, dedupe.ErrSharedCache) {
				t.Errorf("Check of a server that is away: %v", err)
			}
		})
	}
}

// SQLite's settings that the store cannot make good.
func TestSQLiteCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, dsn string
		conns     int
		want      error
	}{
		{"WAL", "file:%s?_pragma=journal_mode(WAL)", 4, nil},
		{"DELETE", "file:%s?_pragma=journal_mode(DELETE)", 4, nil},
		{"TRUNCATE", "file:%s?_pragma=journal_mode(TRUNCATE)", 4, nil},
		{"PERSIST", "file:%s?_pragma=journal_mode(PERSIST)", 4, nil},
		{"synchronous off, which the store sets", "file:%s?_pragma=synchronous(OFF)", 4, nil},
		{"journal in memory", "file:%s?_pragma=journal_mode(MEMORY)", 4, dedupe.ErrForgets},
		{"no journal", "file:%s?_pragma=journal_mode(OFF)", 4, dedupe.ErrForgets},
		{"in memory", ":memory:", 1, dedupe.ErrForgets},
		{"shared cache", "file:%s?cache=shared&_pragma=journal_mode(WAL)", 4, dedupe.ErrSharedCache},
		{"shared cache without WAL", "file:%s?cache=shared", 4, dedupe.ErrSharedCache},
		{"shared cache, used by one process", "file:%s?cache=shared", 1, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dsn := test.dsn
			if test.conns > 1 || test.want == nil {
				dsn = strings.Replace(dsn, "%s", filepath.Join(t.TempDir(), "check.db"), 1)
			}
			db := sqlite.openDSN(t, dsn)
			db.SetMaxOpenConns(test.conns)
			store := sqlite.store(t, db, dedupe.SQLConfig{Table: "claims"})
			for range 2 { // it leaves nothing behind
				if err := store.Check(t.Context()); !errors.Is(err, test.want) {
					t.Errorf("Check: %v, want %v", err, test.want)
				}
			}
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM claims").Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}

func TestServersThatForget(t *testing.T) {
	t.Parallel()
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		s := startPrivate(t, private.PostgreSQL, private.Options{Args: []string{"-c", "fsync=off"}})
		wantForgets(t, postgres, s)
	})
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		s := startPrivate(t, private.MariaDB, private.Options{Args: []string{"--innodb-flush-log-at-trx-commit=2"}})
		wantForgets(t, mariadb, s)
	})
}

func wantForgets(t *testing.T, s server, private *private.Server) {
	t.Helper()
	store := s.store(t, openPrivate(t, s, private.DSN), dedupe.SQLConfig{Table: "claims"})
	if err := store.Check(t.Context()); !errors.Is(err, dedupe.ErrForgets) {
		t.Errorf("Check: %v, want ErrForgets", err)
	}
}
