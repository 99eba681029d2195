// Package journal keeps authentic deliveries as they came, sealed, so that a
// handler's mistake can be mended and the deliveries of a day handled again.
package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// Entry is a delivery as it came.
type Entry struct {
	// Received is when it was appended, by the database's clock, in UTC.
	Received time.Time

	// MerchantID is the merchant whose sign key opened the envelope.
	MerchantID string

	// ID is the delivery's identity for duplicates.
	ID dedupe.ID

	// Body is the sealed envelope, byte for byte. It opens with the merchant's
	// sign key of that time, and posted to the webhook again it is handled again
	// once its ID is no longer confirmed.
	Body []byte
}

// Format writes the delivery's identity, whatever the verb: envelopes have no
// place in logs.
func (e Entry) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "journal entry %s (%d bytes)", e.ID, len(e.Body))
}

// LogValue names the delivery's identity.
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(slog.Time("received", e.Received), slog.String("id", e.ID.String()), slog.Int("bytes", len(e.Body)))
}

// SQLConfig configures [NewSQL].
type SQLConfig struct {
	// Dialect is the kind of database. It must be set.
	Dialect dedupe.Dialect

	// Table is the table's name, with or without a schema in front, taken as it is
	// written. Defaults to "ottpay_journal".
	Table string

	// Timeout bounds each Append whose context has no earlier deadline. Defaults
	// to ten seconds.
	Timeout time.Duration

	// Random is the source of the numbers that tell entries of the same instant
	// apart. If nil, crypto/rand.Reader.
	Random io.Reader
}

// SQL is a journal in a PostgreSQL, MariaDB, MySQL or SQLite database. It needs
// the table of [SQL.Schema], which [SQL.Migrate] creates.
//
// Entries are committed on their own, so that they outlive a handler's
// transaction that is rolled back. On SQLite, where one transaction writes at a
// time, a journal beside a dedupe.SQL in transactional mode therefore needs a
// file of its own. Elsewhere it wants a pool (*sql.DB) of its own there: each
// claim holds a connection while its delivery is appended, and as many
// deliveries at once as one pool has connections would all wait for another
// one, until all of them have failed.
//
// SQL is safe for concurrent use.
type SQL struct {
	db     *sql.DB
	cfg    SQLConfig
	schema string

	// The statements.
	insert, page, prune, probe string
}

const defaultTable = "ottpay_journal"

var defaultName = regexp.MustCompile(`\b` + defaultTable + `\b`)

//go:embed schema/postgresql.sql
var postgresqlSchema string

//go:embed schema/mysql.sql
var mysqlSchema string

//go:embed schema/sqlite.sql
var sqliteSchema string

// pageLen is how many entries are read at a time: no cursor is open while one is
// being handled.
const pageLen = 100

// NewSQL returns a journal in the database. The caller keeps db and closes it;
// NewSQL does not use it.
func NewSQL(db *sql.DB, cfg SQLConfig) (*SQL, error) {
	if db == nil {
		return nil, errors.New("journal: no database")
	}
	if cfg.Table == "" {
		cfg.Table = defaultTable
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	table, err := cfg.Dialect.Quote(cfg.Table)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
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
	s.insert = text(`INSERT INTO {table} (received_at, nonce, merchant_id, id, mark, body) VALUES ({now}, ?, ?, ?, ?, ?)`)
	s.page = text(fmt.Sprintf(`SELECT received_at, nonce, merchant_id, id, mark, body FROM {table}
		WHERE received_at >= ? AND received_at < ? AND (received_at > ? OR nonce > ?)
		ORDER BY received_at, nonce LIMIT %d`, pageLen))
	s.prune = text(`DELETE FROM {table} WHERE received_at < (SELECT {now}) - ?`)
	s.probe = text(`SELECT received_at, nonce, merchant_id, id, mark, body FROM {table} WHERE received_at < 0`)
	switch s.cfg.Dialect {
	case dedupe.PostgreSQL:
		s.schema = postgresqlSchema
	case dedupe.MySQL:
		s.schema = mysqlSchema
	default:
		s.schema = sqliteSchema
	}
	s.schema = defaultName.ReplaceAllLiteralString(s.schema, table)
}

// Schema returns the statement that creates the table, for migrations of one's
// own; the directory schema holds the same as files. It may be run again.
func (s *SQL) Schema() string { return s.schema }

// Migrate creates the table unless it is there.
func (s *SQL) Migrate(ctx context.Context) error {
	_, err := s.exec(ctx, s.schema)
	if err != nil && s.Ping(ctx) != nil { // not: another process was faster
		return fmt.Errorf("journal: migrate: %w", err)
	}
	return nil
}

// Format writes the dialect and the table, whatever the verb: a pool's address
// may hold a password, and fmt would follow it there.
func (s SQL) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "journal.SQL(%v, %s)", s.cfg.Dialect, s.cfg.Table)
}

// Ping reports whether the database answers and the table is there, for
// readiness checks.
func (s *SQL) Ping(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, s.probe)
	if err != nil {
		return fmt.Errorf("journal: ping: %w", err)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("journal: ping: %w", err)
	}
	return nil
}

// Append keeps a delivery. The body is the sealed envelope, which the journal
// neither opens nor changes. Only a nil says that it is kept.
func (s *SQL) Append(ctx context.Context, merchantID string, body []byte, id dedupe.ID) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	nonce := make([]byte, 16)
	if _, err := io.ReadFull(s.cfg.Random, nonce); err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	if body == nil {
		body = []byte{} // nil would be NULL
	}
	if _, err := s.exec(ctx, s.insert, nonce, merchantID, id.Key[:], id.Mark[:], body); err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	return nil
}

// All returns the entries that were received at from or later and before to, the
// oldest first. A zero from is the beginning, a zero to is the end. After an
// error the iteration is over. The loop may use the database, and what is
// appended meanwhile may or may not be seen.
func (s *SQL) All(ctx context.Context, from, to time.Time) iter.Seq2[Entry, error] {
	end := int64(math.MaxInt64)
	if !to.IsZero() {
		end = to.UnixMicro()
	}
	return func(yield func(Entry, error) bool) {
		at := cursor{received: math.MinInt64, nonce: []byte{}}
		if !from.IsZero() {
			at.received = from.UnixMicro()
		}
		for {
			entries, next, err := s.read(ctx, at, end)
			if err != nil {
				yield(Entry{}, fmt.Errorf("journal: read: %w", err))
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
			if len(entries) < pageLen {
				return
			}
			at = next
		}
	}
}

// cursor is the place of an entry in the journal's order.
type cursor struct {
	received int64
	nonce    []byte
}

// read returns the page of entries after the cursor, and the place of its last.
func (s *SQL) read(ctx context.Context, after cursor, end int64) (_ []Entry, last cursor, err error) {
	rows, err := s.db.QueryContext(ctx, s.page, after.received, end, after.received, after.nonce)
	if err != nil {
		return nil, last, err
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		var key, mark []byte
		if err := rows.Scan(&last.received, &last.nonce, &e.MerchantID, &key, &mark, &e.Body); err != nil {
			return nil, last, err
		}
		e.Received = time.UnixMicro(last.received).UTC()
		copy(e.ID.Key[:], key)
		copy(e.ID.Mark[:], mark)
		entries = append(entries, e)
	}
	return entries, last, rows.Err()
}

// Prune deletes the entries that were received longer ago than olderThan, and
// returns their number.
func (s *SQL) Prune(ctx context.Context, olderThan time.Duration) (int64, error) {
	if olderThan < 0 {
		return 0, errors.New("journal: prune: negative age")
	}
	n, err := s.exec(ctx, s.prune, olderThan.Microseconds())
	if err != nil {
		return n, fmt.Errorf("journal: prune: %w", err)
	}
	return n, nil
}

// exec runs a statement on the pool; or, on SQLite, whose connections do not
// wait for the write lock unless told to, on one that waits.
func (s *SQL) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if s.cfg.Dialect != dedupe.SQLite {
		return count(s.db.ExecContext(ctx, query, args...))
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var was int64
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&was); err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", s.cfg.Timeout.Milliseconds())); err != nil {
		return 0, err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", was))
	return count(conn.ExecContext(ctx, query, args...))
}

func count(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
