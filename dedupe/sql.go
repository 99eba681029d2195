package dedupe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// Mode says how a [SQL] store joins a claim with the work done under it.
type Mode int

const (
	// Lease commits a claim at once, so that every replica sees it, and its
	// confirmation after the work. No transaction is open while the handler runs.
	// When the process dies between the end of the work and the confirmation, the
	// delivery is handled again after the lease: at least once, so that the work
	// must be harmless when repeated.
	Lease Mode = iota

	// Transactional makes the claim the first statement of a transaction which the
	// handler finds by [TxFromContext]. Confirm commits the claim and the
	// handler's writes together, Release rolls both back, and so does the
	// database when the process dies: what is written through that transaction is
	// written exactly once. Work elsewhere (mail, another database) is not
	// covered.
	Transactional
)

// SQLConfig configures [NewSQL].
type SQLConfig struct {
	// Dialect is the kind of database. It must be set.
	Dialect Dialect

	// Table is the table's name, with or without a schema in front, taken as it is
	// written. Defaults to "ottpay_dedupe".
	Table string

	// Mode defaults to [Lease].
	Mode Mode

	// Isolation is the isolation level of the transactions of [Transactional]
	// mode. Claims are correct at every level. At levels above read committed the
	// commit may fail because of others, which Confirm returns as an error: the
	// delivery is handled when it comes again. SQLite ignores it. Defaults to
	// the database's default.
	Isolation sql.IsolationLevel

	// LockTimeout is how long Claim in [Transactional] mode waits for another
	// transaction that holds the same ID, before it returns [ErrInFlight]. It is
	// set for the claim alone; the handler runs under the session's own setting.
	// MySQL counts in whole seconds, rounded up. Defaults to one second.
	LockTimeout time.Duration

	// Timeout bounds each Claim, Confirm and Release whose context has no earlier
	// deadline. Defaults to ten seconds.
	Timeout time.Duration

	// Random is the source of the fencing tokens. If nil, crypto/rand.Reader.
	Random io.Reader
}

// SQL is a [Store] in a PostgreSQL, MariaDB, MySQL or SQLite database: for any
// number of processes, and for good. It needs the table of [SQL.Schema], which
// [SQL.Migrate] creates.
//
// A claim is a row with a random fencing token of 16 bytes, so that an owner
// whose lease was taken over can neither confirm nor release, whatever the
// isolation level. Leases are counted by the database's clock; the processes'
// clocks play no part. All processes must use one primary server: a read from a
// lagging replica of the database, or a second writable node, breaks the
// promise.
//
// In [Transactional] mode each claim holds one connection of the pool until it
// ends, and a duplicate delivery blocks on another for up to LockTimeout, so
// that the pool must be larger than the number of deliveries handled at a time.
// The transaction's life is the lease, whatever becomes of the request's
// context. The handler must not commit or roll back the transaction itself.
// What else to know:
//
//   - PostgreSQL: when a machine vanishes without closing its connections, the
//     server keeps its transactions until TCP gives up. Set tcp_keepalives_idle
//     or idle_in_transaction_session_timeout.
//   - MariaDB and MySQL commit implicitly at every CREATE, ALTER, DROP, TRUNCATE
//     and the like. What a handler wrote before such a statement is kept even if
//     it fails afterwards, and the delivery is handled again.
//   - SQLite has one writer at a time, so that one delivery is handled at a
//     time, and [ErrInFlight] may also mean that another transaction wrote for
//     longer than LockTimeout. The claim is the transaction's first statement and
//     takes the write lock at once, whether the driver begins transactions with
//     BEGIN or BEGIN IMMEDIATE. Use a file, and not :memory:, which is another
//     database on each connection; and the WAL journal, or else readers and the
//     handler wait for each other.
//
// SQL is safe for concurrent use.
type SQL struct {
	db     *sql.DB
	cfg    SQLConfig
	schema string

	// The statements.
	claimRow, readRow, adoptMark, confirmRow, releaseRow, pruneDone, pruneAbandoned, probe string
}

const defaultTable = "ottpay_dedupe"

var defaultName = regexp.MustCompile(`\b` + defaultTable + `\b`)

//go:embed schema/postgresql.sql
var postgresqlSchema string

//go:embed schema/mysql.sql
var mysqlSchema string

//go:embed schema/sqlite.sql
var sqliteSchema string

// NewSQL returns a store on the database. The caller keeps db and closes it;
// NewSQL does not use it.
func NewSQL(db *sql.DB, cfg SQLConfig) (*SQL, error) {
	if db == nil {
		return nil, errors.New("dedupe: no database")
	}
	if cfg.Mode != Lease && cfg.Mode != Transactional {
		return nil, fmt.Errorf("dedupe: unknown mode %d", int(cfg.Mode))
	}
	if cfg.Table == "" {
		cfg.Table = defaultTable
	}
	if cfg.LockTimeout <= 0 {
		cfg.LockTimeout = time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	table, err := cfg.Dialect.Quote(cfg.Table)
	if err != nil {
		return nil, err
	}
	s := &SQL{db: db, cfg: cfg}
	s.prepare(table)
	return s, nil
}

// prepare writes the statements.
func (s *SQL) prepare(table string) {
	text := func(query string) string {
		query = strings.NewReplacer("{table}", table, "{now}", s.cfg.Dialect.Now()).Replace(query)
		return s.cfg.Dialect.Bind(query)
	}

	// A row of somebody else is taken over only if it is neither done nor held.
	// Under every isolation level the condition is judged on the row's newest
	// version, under its lock.
	s.claimRow = text(`INSERT INTO {table} AS kept (id, mark, token, lease_until) VALUES (?, ?, ?, {now} + ?)
		ON CONFLICT (id) DO UPDATE SET mark = excluded.mark, token = excluded.token, lease_until = excluded.lease_until
		WHERE kept.done_at IS NULL AND kept.lease_until <= {now}`)
	// The clock in a subquery is read once, or else no index would serve.
	batch := `DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {which} < (SELECT {now}) - ? LIMIT 1000)`
	s.schema = postgresqlSchema
	switch s.cfg.Dialect {
	case SQLite:
		s.schema = sqliteSchema
	case MySQL:
		// lease_until comes last, since assignments see those before them.
		s.claimRow = text(`INSERT INTO {table} (id, mark, token, lease_until) VALUES (?, ?, ?, {now} + ?)
			ON DUPLICATE KEY UPDATE
			mark = IF(done_at IS NULL AND lease_until <= {now}, VALUES(mark), mark),
			token = IF(done_at IS NULL AND lease_until <= {now}, VALUES(token), token),
			lease_until = IF(done_at IS NULL AND lease_until <= {now}, VALUES(lease_until), lease_until)`)
		batch = `DELETE FROM {table} WHERE {which} < (SELECT {now}) - ? LIMIT 1000`
		s.schema = mysqlSchema
	}
	s.readRow = text(`SELECT mark, token, done_at IS NOT NULL FROM {table} WHERE id = ?`)
	s.adoptMark = text(`UPDATE {table} SET mark = ? WHERE id = ? AND mark = ? AND done_at IS NOT NULL`)
	s.confirmRow = text(`UPDATE {table} SET done_at = {now} WHERE id = ? AND token = ? AND done_at IS NULL`)
	s.releaseRow = text(`DELETE FROM {table} WHERE id = ? AND token = ? AND done_at IS NULL`)
	s.pruneDone = text(strings.ReplaceAll(batch, "{which}", "done_at"))
	s.pruneAbandoned = text(strings.ReplaceAll(batch, "{which}", "done_at IS NULL AND lease_until"))
	s.schema = defaultName.ReplaceAllLiteralString(s.schema, table)
	s.probe = text(`SELECT id, mark, token, lease_until, done_at FROM {table} WHERE lease_until IS NULL`)
}

// Schema returns the statement that creates the table, for migrations of one's
// own; the directory schema holds the same as files. It may be run again.
func (s *SQL) Schema() string { return s.schema }

// Migrate creates the table unless it is there.
func (s *SQL) Migrate(ctx context.Context) error {
	err := s.again(ctx, func(ctx context.Context, x execer) error {
		_, err := x.ExecContext(ctx, s.schema)
		return err
	})
	if err != nil && s.Ping(ctx) != nil { // not: another process was faster
		return fmt.Errorf("dedupe: migrate: %w", err)
	}
	return nil
}

// Format writes the dialect and the table, whatever the verb: a pool's address
// may hold a password, and fmt would follow it there.
func (s SQL) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "dedupe.SQL(%v, %s)", s.cfg.Dialect, s.cfg.Table)
}

// Ping reports whether the database answers and the table is there, for
// readiness checks.
func (s *SQL) Ping(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, s.probe)
	if err != nil {
		return fmt.Errorf("dedupe: ping: %w", err)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("dedupe: ping: %w", err)
	}
	return nil
}

// Prune forgets what was confirmed longer ago than olderThan, and claims that
// were abandoned so long ago, and returns their number. A delivery of what was
// forgotten is handled again when it comes again, and an envelope carries no
// time that would bound a replay: think twice, or never call Prune. It works in
// batches; see [SQL.Schema] for the index that it wants.
func (s *SQL) Prune(ctx context.Context, olderThan time.Duration) (int64, error) {
	if olderThan < 0 {
		return 0, errors.New("dedupe: prune: negative age")
	}
	var total int64
	for _, batch := range []string{s.pruneDone, s.pruneAbandoned} {
		for n := int64(1); n > 0; total += n {
			err := s.again(ctx, func(ctx context.Context, x execer) (err error) {
				n, err = exec(ctx, x, batch, olderThan.Microseconds())
				return err
			})
			if err != nil {
				return total, fmt.Errorf("dedupe: prune: %w", err)
			}
		}
	}
	return total, nil
}

// Claim implements [Store].
func (s *SQL) Claim(ctx context.Context, id ID, lease time.Duration) (Claim, error) {
	if lease <= 0 {
		return nil, errLease
	}
	token := make([]byte, 16)
	if _, err := io.ReadFull(s.cfg.Random, token); err != nil {
		return nil, fmt.Errorf("dedupe: claim: %w", err)
	}
	r := row{SQL: s, id: id, token: token, lease: lease}
	var claim Claim = r
	// What is done is refused after a look, so that replays neither write nor wait
	// for a lock.
	err := r.again(ctx, r.look)
	if err == nil && s.cfg.Mode == Transactional {
		claim, err = r.begin(ctx)
	} else if err == nil {
		err = r.again(ctx, r.takeOrLook)
	}
	switch {
	case err == nil:
		return claim, nil
	case errors.Is(err, ErrDone), errors.Is(err, ErrInFlight):
		return nil, err
	case s.cfg.Dialect.transient(err):
		return nil, ErrInFlight
	}
	return nil, fmt.Errorf("dedupe: claim: %w", err)
}

// Look implements [Looker].
func (s *SQL) Look(ctx context.Context, id ID) error {
	err := s.again(ctx, row{SQL: s, id: id}.look)
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

// look returns [ErrDone] or [ErrConflict] if the ID is done. It gives the ID's
// mark to a row that was confirmed without one.
func (r row) look(ctx context.Context, x execer) error {
	f, err := r.read(ctx, x)
	if err != nil || !f.done {
		return err
	}
	var zero [32]byte
	if f.mark == zero && r.id.Mark != zero {
		if _, err := exec(ctx, x, r.adoptMark, r.id.Mark[:], r.id.Key[:], zero[:]); err != nil {
			return err
		}
		if f, err = r.read(ctx, x); err != nil { // another process may have been faster
			return err
		}
	}
	if r.id.Conflicts(f.mark) {
		return ErrConflict
	}
	return ErrDone
}

func (r row) takeOrLook(ctx context.Context, x execer) error {
	err := r.take(ctx, x)
	if errors.Is(err, ErrDone) {
		return r.lookAgain(ctx, x)
	}
	return err
}

// lookAgain is look for a row that was just seen done. If it is not done any
// more, the server has lost it in between, and only a new claim can tell.
func (r row) lookAgain(ctx context.Context, x execer) error {
	return cmp.Or(r.look(ctx, x), ErrInFlight)
}

// take makes the row its own, or says why it cannot, but for [ErrConflict].
func (r row) take(ctx context.Context, x execer) error {
	n, err := exec(ctx, x, r.claimRow, r.id.Key[:], r.id.Mark[:], r.token, micros(r.lease))
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

// read returns what is in the row. A row that is not there is neither own nor
// done.
func (r row) read(ctx context.Context, x execer) (f found, err error) {
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
	err := r.again(ctx, func(ctx context.Context, x execer) error {
		n, err := exec(ctx, x, r.confirmRow, r.id.Key[:], r.token)
		if err != nil || n == 1 {
			return err
		}
		return r.check(ctx, x)
	})
	if err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("dedupe: confirm: %w", err)
	}
	return err
}

// check returns nil if this claim is the one that was confirmed.
func (r row) check(ctx context.Context, x execer) error {
	f, err := r.read(ctx, x)
	if err == nil && !(f.own && f.done) {
		return ErrLost
	}
	return err
}

// Release implements [Claim].
func (r row) Release(ctx context.Context) error {
	err := r.again(ctx, func(ctx context.Context, x execer) error {
		n, err := exec(ctx, x, r.releaseRow, r.id.Key[:], r.token)
		if err == nil && n == 0 {
			return ErrLost
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("dedupe: release: %w", err)
	}
	return err
}

// execer is a *sql.DB, *sql.Conn or *sql.Tx.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func exec(ctx context.Context, x execer, query string, args ...any) (int64, error) {
	result, err := x.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// micros rounds up, so that no lease becomes none.
func micros(d time.Duration) int64 {
	n := d.Microseconds()
	if d%time.Microsecond > 0 {
		n++
	}
	return n
}

// attempts is how often something is tried that failed only because of others
// that ran beside it.
const attempts = 3

// again runs f, which is one statement that commits itself or repeats
// harmlessly, within the store's time-out.
func (s *SQL) again(ctx context.Context, f func(context.Context, execer) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for range attempts {
		if err = s.once(ctx, f); !s.cfg.Dialect.transient(err) {
			break
		}
	}
	return err
}

// once runs f on the pool; or, on SQLite, whose connections do not wait for
// locks unless told to, on one connection that waits.
func (s *SQL) once(ctx context.Context, f func(context.Context, execer) error) error {
	if s.cfg.Dialect != SQLite {
		return f(ctx, s.db)
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	restore, err := s.setSession(ctx, conn, s.cfg.Timeout)
	if err != nil {
		return err
	}
	defer restore()
	return f(ctx, conn)
}

// setSession sets the connection's lock time-out where that is a property of
// the connection, and returns a function that restores it, or else keeps the
// connection from going back to the pool.
func (s *SQL) setSession(ctx context.Context, conn *sql.Conn, wait time.Duration) (restore func(), err error) {
	var query, set string
	var want int64
	switch s.cfg.Dialect {
	case MySQL:
		query, set = "SELECT @@SESSION.innodb_lock_wait_timeout", "SET SESSION innodb_lock_wait_timeout = %d"
		want = int64((wait + time.Second - 1) / time.Second)
	case SQLite:
		// SQLite waits without looking at the context.
		if deadline, ok := ctx.Deadline(); ok {
			wait = max(1, min(wait, time.Until(deadline)))
		}
		query, set = "PRAGMA busy_timeout", "PRAGMA busy_timeout = %d"
		want = int64((wait + time.Millisecond - 1) / time.Millisecond)
	default:
		return func() {}, nil
	}
	var was int64
	if err := conn.QueryRowContext(ctx, query).Scan(&was); err != nil {
		return nil, err
	}
	if was == want {
		return func() {}, nil
	}
	restore = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
		defer cancel()
		if _, err := conn.ExecContext(ctx, fmt.Sprintf(set, was)); err != nil {
			discard(conn)
		}
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf(set, want)); err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

// discard closes a connection instead of giving it back to the pool.
func discard(conn *sql.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn }) // which is also what it returns
	conn.Close()
}
