package dedupe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ottpaykit/ottpay/internal/sqldb"
)

// Dialect is a kind of database. The zero Dialect is none.
type Dialect int

// The dialects.
const (
	PostgreSQL Dialect = iota + 1 // 9.6 or later
	MySQL                         // 5.7 or later, and MariaDB 10.3 or later
	SQLite                        // 3.24 or later
)

// String returns the dialect's name.
func (d Dialect) String() string { return sqldb.Dialect(d).String() }

// Mode says how a [SQL] store joins a claim with the work done under it.
type Mode int

const (
	// Lease commits a claim at once, so that every replica sees it, and commits its
	// confirmation after the work. No transaction is open while the handler runs.
	// If the process dies between the end of the work and the confirmation, the
	// delivery is handled again after the lease: at-least-once. The work must be
	// harmless when repeated.
	Lease Mode = iota

	// Transactional makes the claim the first statement of a transaction, which the
	// handler gets by [TxFromContext]. Confirm commits the claim together with the
	// handler's writes. Release rolls both back, and so does the database if the
	// process dies. What is written through that transaction is written
	// exactly-once. Other effects (mail, another database) are not covered.
	Transactional
)

// SQLConfig configures [NewSQL].
type SQLConfig struct {
	// Dialect is the kind of database. Required.
	Dialect Dialect

	// Table is the table's name, with or without a schema in front. It keeps its
	// letter case. Defaults to "ottpay_dedupe".
	Table string

	// Mode defaults to [Lease].
	Mode Mode

	// Isolation is the isolation level of the transactions of [Transactional]
	// mode. Claims are correct at every level. At levels above read committed a
	// commit may fail because of others; Confirm then returns an error, and the
	// delivery is handled when it comes again. SQLite ignores it. Defaults to the
	// database's default.
	Isolation sql.IsolationLevel

	// LockTimeout is how long Claim in [Transactional] mode waits for another claim
	// of the same ID before it returns [ErrInFlight]: once for a claim of this
	// process, without a connection, and once for a claim of another process, on
	// the row's lock. The handler runs under the session's own setting. MySQL
	// counts in whole seconds, rounded up. Defaults to one second.
	LockTimeout time.Duration

	// Timeout bounds each operation of the store, whatever the network does. A
	// context that ends earlier bounds it further. Defaults to ten seconds.
	Timeout time.Duration

	// Random is the source of the fencing tokens. If nil, crypto/rand.Reader.
	Random io.Reader
}

// SQL is a [Store] in a PostgreSQL, MariaDB, MySQL or SQLite database, for any
// number of processes on one primary server. It needs the table of [SQL.Schema],
// which [SQL.Migrate] creates. Rows are kept for good unless [SQL.Prune] is called.
// [ErrDone] is returned only of what is on disk, as far as the server is configured
// to sync at all: see [SQL.Check].
//
// In [Transactional] mode each claim holds a connection of the pool, and the handler
// must neither commit nor roll back the transaction. At most MaxOpenConns - 1 claims
// hold one at a time; the others wait without a connection. What each database
// needs, such as time limits on PostgreSQL and no DDL in a handler on MariaDB, is in
// docs/stores.md.
//
// SQL is safe for concurrent use.
type SQL struct {
	table *sqldb.Table
	cfg   SQLConfig
	queue queue // of the claims in Transactional mode

	// The statements.
	claimRow, readRow, adoptMark, syncRow, confirmRow, releaseRow, pruneDone, pruneAbandoned string
}

//go:embed schema
var schemas embed.FS

// NewSQL returns a store on the database. The caller keeps db and closes it;
// NewSQL does not use it.
func NewSQL(db *sql.DB, cfg SQLConfig) (*SQL, error) {
	if cfg.Mode != Lease && cfg.Mode != Transactional {
		return nil, fmt.Errorf("dedupe: unknown mode %d", int(cfg.Mode))
	}
	if cfg.LockTimeout <= 0 {
		cfg.LockTimeout = time.Second
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	table, err := sqldb.NewTable(db, sqldb.Config{
		Dialect: sqldb.Dialect(cfg.Dialect), Name: cfg.Table, Default: "ottpay_dedupe", Schemas: schemas,
		Columns: "id, mark, token, lease_until, done_at", Timeout: cfg.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("dedupe: %w", err)
	}
	s := &SQL{table: table, cfg: cfg}
	s.prepare()
	return s, nil
}

// prepare writes the statements.
func (s *SQL) prepare() {
	text := s.table.Text
	// Another claim's row is taken over only if it is neither done nor held. Under
	// every isolation level the condition is judged on the row's newest version,
	// under its lock.
	s.claimRow = text(`INSERT INTO {table} AS kept (id, mark, token, lease_until)
		VALUES (?, ?, ?, CASE WHEN {durable} THEN {now} + ? END)
		ON CONFLICT (id) DO UPDATE SET mark = excluded.mark, token = excluded.token, lease_until = excluded.lease_until
		WHERE kept.done_at IS NULL AND kept.lease_until <= {now}`)
	if s.cfg.Dialect == MySQL {
		// lease_until comes last, since assignments see those before them.
		s.claimRow = text(`INSERT INTO {table} (id, mark, token, lease_until) VALUES (?, ?, ?, {now} + ?)
			ON DUPLICATE KEY UPDATE
			mark = IF(done_at IS NULL AND lease_until <= {now}, VALUES(mark), mark),
			token = IF(done_at IS NULL AND lease_until <= {now}, VALUES(token), token),
			lease_until = IF(done_at IS NULL AND lease_until <= {now}, VALUES(lease_until), lease_until)`)
	}
	s.readRow = text(`SELECT mark, token, done_at IS NOT NULL FROM {table} WHERE id = ?`)
	s.adoptMark = text(`UPDATE {table} SET mark = ? WHERE id = ? AND mark = ? AND done_at IS NOT NULL`)
	s.syncRow = text(`UPDATE {table} SET lease_until = lease_until + 1 WHERE id = ? AND done_at > {now} - ?`)
	s.confirmRow = text(`UPDATE {table} SET done_at = {now} WHERE id = ? AND token = ? AND done_at IS NULL AND {durable}`)
	s.releaseRow = text(`DELETE FROM {table} WHERE id = ? AND token = ? AND done_at IS NULL`)
	s.pruneDone = s.table.PruneText("id", "done_at")
	s.pruneAbandoned = s.table.PruneText("id", "done_at IS NULL AND lease_until")
}

// Schema returns the statement that creates the table, for a shop's own
// migrations. The directory schema holds the same as files. It may be run again.
func (s *SQL) Schema() string { return s.table.Schema() }

// Migrate creates the table unless it exists.
func (s *SQL) Migrate(ctx context.Context) error { return prefix(s.table.Migrate(ctx)) }

// Ping reports whether the database answers and the table exists, for readiness
// checks.
func (s *SQL) Ping(ctx context.Context) error { return prefix(s.table.Ping(ctx)) }

// Prune deletes what was confirmed longer ago than olderThan, and claims that
// were abandoned so long ago, and returns the number of rows. It works in
// batches; see [SQL.Schema] for the index that it needs.
//
// A delivery of what was deleted is handled again when it comes again, and an
// envelope carries no time that would bound a replay. Consider never calling
// Prune.
func (s *SQL) Prune(ctx context.Context, olderThan time.Duration) (int64, error) {
	n, err := s.table.Prune(ctx, olderThan, s.pruneDone, s.pruneAbandoned)
	return n, prefix(err)
}

func prefix(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dedupe: %w", err)
}

// Format writes the dialect and the table, whatever the verb: a pool's address
// may hold a password, and fmt would print it.
func (s *SQL) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "dedupe.SQL(%v, %s)", s.cfg.Dialect, s.table.Name)
}

// Claim implements [Store].
func (s *SQL) Claim(ctx context.Context, id ID, lease time.Duration) (Claim, error) {
	if lease <= 0 {
		return nil, errLease
	}
	ctx, cancel := context.WithTimeout(ctx, s.table.Timeout)
	defer cancel()
	token := make([]byte, 16)
	if _, err := io.ReadFull(s.cfg.Random, token); err != nil {
		return nil, fmt.Errorf("dedupe: claim: %w", err)
	}
	r := row{SQL: s, id: id, token: token, lease: lease}
	claim, err := r.claim(ctx)
	switch {
	case err == nil:
		return claim, nil
	case errors.Is(err, ErrDone), errors.Is(err, ErrInFlight):
		return nil, err
	case s.table.Dialect.Transient(err):
		return nil, ErrInFlight
	}
	return nil, fmt.Errorf("dedupe: claim: %w", err)
}

// Look implements [Looker].
func (s *SQL) Look(ctx context.Context, id ID) error {
	err := s.table.Run(ctx, row{SQL: s, id: id}.look)
	if err != nil && !errors.Is(err, ErrDone) {
		return fmt.Errorf("dedupe: look: %w", err)
	}
	return err
}

// Mode returns the mode that the store was made with; see [ModeOf].
func (s *SQL) Mode() Mode { return s.cfg.Mode }

// row is an ID and the token under which it is claimed. It is the claim of
// [Lease] mode.
type row struct {
	*SQL
	id    ID
	token []byte
	lease time.Duration
}

// Format writes the id, whatever the verb, and nothing that changes: a claim may
// be formatted while its lease ends. The claims of both modes have this method.
func (r row) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "dedupe.Claim(%s)", r.id) }

func (r row) claim(ctx context.Context) (Claim, error) {
	// What is done is refused after a look, so that replays neither take a lock nor
	// wait for one.
	if err := r.table.Run(ctx, r.look); err != nil {
		return nil, err
	}
	if r.cfg.Mode == Transactional {
		return r.begin(ctx)
	}
	return r, r.table.Run(ctx, r.takeOrLook)
}

// look returns [ErrDone] or [ErrConflict] if the ID is done, and durably so. It
// gives the ID's mark to a row that was confirmed without one.
func (r row) look(ctx context.Context, x sqldb.Execer) error {
	f, err := r.read(ctx, x)
	if err != nil || !f.done {
		return err
	}
	var zero [32]byte
	if f.mark == zero && r.id.Mark != zero {
		if _, err := sqldb.Exec(ctx, x, r.adoptMark, r.id.Mark[:], r.id.Key[:], zero[:]); err != nil {
			return err
		}
		if f, err = r.read(ctx, x); err != nil { // another process may have been faster
			return err
		}
	}
	if err := r.sync(ctx, x); err != nil {
		return err
	}
	if r.id.Conflicts(f.mark) {
		return ErrConflict
	}
	return ErrDone
}

// sync returns when a row that was seen done is durable; see [sqldb.Young].
// PostgreSQL and SQLite show a commit after it is synced, and this store's
// commits always are: see {durable}.
//
// x must not be in a transaction.
func (r row) sync(ctx context.Context, x sqldb.Execer) error {
	if r.cfg.Dialect != MySQL {
		return nil
	}
	_, err := sqldb.Exec(ctx, x, r.syncRow, r.id.Key[:], sqldb.Young.Microseconds())
	return err
}

func (r row) takeOrLook(ctx context.Context, x sqldb.Execer) error {
	err := r.take(ctx, x)
	if errors.Is(err, ErrDone) {
		return r.lookAgain(ctx, x)
	}
	return err
}

// lookAgain is look for a row that was just seen done. If it is not done any
// more, the server has lost it in between, and only a new claim can tell.
func (r row) lookAgain(ctx context.Context, x sqldb.Execer) error {
	return cmp.Or(r.look(ctx, x), ErrInFlight)
}

// take makes the row its own, or says why it cannot. It does not tell
// [ErrConflict] from [ErrDone].
func (r row) take(ctx context.Context, x sqldb.Execer) error {
	n, err := sqldb.Exec(ctx, x, r.claimRow, r.id.Key[:], r.id.Mark[:], r.token, micros(r.lease))
	if err != nil {
		return err
	}
	if n == 1 && r.cfg.Dialect != MySQL { // MySQL's count depends on the connection's flags
		return nil
	}
	f, err := r.read(ctx, x)
	switch {
	case err != nil:
		return err
	case f.done:
		return ErrDone
	case !f.own:
		return ErrInFlight
	}
	return nil
}

type found struct {
	mark      [32]byte
	own, done bool
}

// read returns what is in the row. A row that does not exist is neither own nor
// done.
func (r row) read(ctx context.Context, x sqldb.Execer) (f found, err error) {
	var mark, token []byte
	err = x.QueryRowContext(ctx, r.readRow, r.id.Key[:]).Scan(&mark, &token, &f.done)
	if errors.Is(err, sql.ErrNoRows) {
		return found{}, nil
	}
	copy(f.mark[:], mark)
	f.own = bytes.Equal(token, r.token)
	return f, err
}

// Confirm implements [Claim].
func (r row) Confirm(ctx context.Context) error {
	err := r.table.Run(ctx, r.confirm)
	if err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("dedupe: confirm: %w", err)
	}
	return err
}

// confirm confirms the row in a transaction of its own.
func (r row) confirm(ctx context.Context, x sqldb.Execer) error {
	n, err := sqldb.Exec(ctx, x, r.confirmRow, r.id.Key[:], r.token)
	if err != nil || n == 1 {
		return err
	}
	return r.check(ctx, x)
}

// check returns nil if this claim is the one that was confirmed, and durably so.
func (r row) check(ctx context.Context, x sqldb.Execer) error {
	f, err := r.read(ctx, x)
	if err != nil {
		return err
	}
	if !f.own || !f.done {
		return ErrLost
	}
	return r.sync(ctx, x)
}

// Release implements [Claim].
func (r row) Release(ctx context.Context) error {
	n, err := r.table.Exec(ctx, r.releaseRow, r.id.Key[:], r.token)
	if err != nil {
		return fmt.Errorf("dedupe: release: %w", err)
	}
	if n == 0 {
		return ErrLost
	}
	return nil
}

// micros rounds up, so that no lease becomes none.
func micros(d time.Duration) int64 {
	n := d.Microseconds()
	if d%time.Microsecond > 0 {
		n++
	}
	return n
}
