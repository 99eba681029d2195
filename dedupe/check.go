package dedupe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/internal/sqldb"
)

// What [SQL.Check] finds.
var (
	// ErrForgets says that the server is configured not to sync each commit, so
	// that a crash may lose what was confirmed and acknowledged.
	ErrForgets = errors.New("dedupe: the database may lose commits in a crash")

	// ErrSharedCache says that SQLite's connections share a cache. Readers then fail
	// or wait while another connection writes, without a time limit.
	ErrSharedCache = errors.New("dedupe: SQLite is opened with cache=shared")
)

// Check reports whether the server keeps what it commits. Call it at the start of
// the program, and log or refuse what it says: an error that matches [ErrForgets]
// or [ErrSharedCache], or another one if the check itself failed. It needs the
// table.
//
// It looks for fsync = off on PostgreSQL, for innodb_flush_log_at_trx_commit
// other than 1 on MariaDB and MySQL, and on SQLite for a database in memory, for
// a rollback journal that is not on disk, and for cache=shared. It does not look
// at what the store sets for its own commits: synchronous_commit on PostgreSQL
// and PRAGMA synchronous on SQLite.
func (s *SQL) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.table.Timeout)
	defer cancel()
	var err error
	switch s.cfg.Dialect {
	case PostgreSQL:
		err = s.forgets(ctx, "SHOW fsync", "on")
	case MySQL:
		err = s.forgets(ctx, "SELECT CAST(@@GLOBAL.innodb_flush_log_at_trx_commit AS CHAR)", "1")
	default:
		err = errors.Join(
			s.forgets(ctx, "PRAGMA journal_mode", "delete", "truncate", "persist", "wal"),
			s.forgets(ctx, "SELECT CASE file WHEN '' THEN 'memory' ELSE 'file' END FROM pragma_database_list WHERE name = 'main'", "file"),
			s.sharesCache(ctx),
		)
	}
	return err
}

// forgets returns ErrForgets if the setting has none of the values.
func (s *SQL) forgets(ctx context.Context, query string, values ...string) error {
	var got string
	if err := s.table.DB.QueryRowContext(ctx, query).Scan(&got); err != nil {
		return fmt.Errorf("dedupe: check: %w", err)
	}
	for _, v := range values {
		if strings.EqualFold(got, v) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is %q", ErrForgets, query, got)
}

// readTime is far longer than it takes to read a row.
const readTime = 2 * time.Second

// sharesCache reads on one connection what another one has written and not
// committed: with a shared cache that is an error or waits, and else the old state.
func (s *SQL) sharesCache(ctx context.Context) error {
	if s.table.DB.Stats().MaxOpenConnections == 1 {
		return nil // no other connection shares it
	}
	tx, err := s.table.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("dedupe: check: %w", err)
	}
	defer tx.Rollback()
	var id [32]byte
	rand.Read(id[:])
	if _, err := tx.ExecContext(ctx, s.claimRow, id[:], id[:], id[:16], 1); err != nil {
		return fmt.Errorf("dedupe: check: %w", err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := row{SQL: s, id: ID{Key: id}}.read(ctx, s.table.DB)
		read <- err
	}()
	select {
	case err = <-read:
	case <-time.After(readTime):
		// A driver may wait for the writer, whatever the context says.
		_ = tx.Rollback()
		<-read //nolint:errcheck // the answer is known
		return ErrSharedCache
	}
	if sqldb.SQLite.LockTimeout(err) {
		return ErrSharedCache
	}
	if err != nil {
		return fmt.Errorf("dedupe: check: %w", err)
	}
	return nil
}
