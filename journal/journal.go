// Package journal keeps authentic deliveries as they came, sealed, so that the
// deliveries of a day can be handled again after a handler's mistake.
//
// Most programs put a [SQL] into middleware.Config.Journal and call [SQL.All] in
// a repair.
package journal

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/internal/sqldb"
)

// Entry is a delivery as it came.
type Entry struct {
	// Received is when it was first appended, by the database's clock, in UTC.
	Received time.Time

	// MerchantID is the merchant whose sign key opened the envelope.
	MerchantID string

	// ID is the delivery's identity for duplicates.
	ID dedupe.ID

	// Body is the sealed envelope, byte for byte. It opens with the merchant's sign
	// key of that time. If it is posted to the webhook again, it is handled again,
	// unless its ID is confirmed.
	Body []byte
}

// Format writes the delivery's identity, whatever the verb: an envelope must not
// get into a log.
func (e Entry) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "journal entry %s (%d bytes)", e.ID, len(e.Body))
}

// LogValue returns the delivery's identity and size.
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(slog.Time("received", e.Received), slog.String("id", e.ID.String()), slog.Int("bytes", len(e.Body)))
}

// SQLConfig configures [NewSQL].
type SQLConfig struct {
	// Dialect is the kind of database. Required.
	Dialect dedupe.Dialect

	// Table is the table's name, with or without a schema in front. It keeps its
	// letter case. Defaults to "ottpay_journal".
	Table string

	// Timeout bounds each operation, whatever the network does. A context that ends
	// earlier bounds it further. Defaults to ten seconds.
	Timeout time.Duration
}

// SQL is a journal in a PostgreSQL, MariaDB, MySQL or SQLite database. It needs
// the table of [SQL.Schema], which [SQL.Migrate] creates.
//
// It keeps one entry per [dedupe.ID]: the event (Key) and what was said about it
// (Mark), however often a delivery comes and however it is spelled. An entry is
// committed on its own, on one connection of the pool. On SQLite, which has one
// writer at a time, do not append under a claim of the same file: Append waits for
// the claim's transaction.
//
// SQL is safe for concurrent use.
type SQL struct {
	table *sqldb.Table

	// The statements.
	insert, page, prune string
}

//go:embed schema
var schemas embed.FS

const (
	// pageLen is how many entries are read at a time: no cursor is open while one
	// is being handled.
	pageLen = 100

	maxMerchant = 255     // bytes, the column's
	maxBody     = 1 << 20 // bytes; the webhook accepts 64 KiB
)

// NewSQL returns a journal in the database. The caller keeps db and closes it;
// NewSQL does not use it.
func NewSQL(db *sql.DB, cfg SQLConfig) (*SQL, error) {
	table, err := sqldb.NewTable(db, sqldb.Config{
		Dialect: sqldb.Dialect(cfg.Dialect), Name: cfg.Table, Default: "ottpay_journal", Schemas: schemas,
		Columns: "received_at, id, mark, merchant_id, body", Timeout: cfg.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s := &SQL{table: table}
	s.insert = table.Text(`INSERT INTO {table} (received_at, id, mark, merchant_id, body)
		VALUES (CASE WHEN {durable} THEN {now} END, ?, ?, ?, ?) ON CONFLICT (id, mark) DO NOTHING`)
	if table.Dialect == sqldb.MySQL {
		// A row that is seen may not be on disk yet: see [sqldb.Young].
		s.insert = table.Text(fmt.Sprintf(`INSERT INTO {table} (received_at, id, mark, merchant_id, body)
			VALUES ({now}, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE synced = synced + (received_at > {now} - %d)`, sqldb.Young.Microseconds()))
	}
	s.page = table.Text(fmt.Sprintf(`SELECT received_at, id, mark, merchant_id, body FROM {table}
		WHERE received_at >= ? AND received_at < ? AND (received_at > ? OR id > ? OR id = ? AND mark > ?)
		ORDER BY received_at, id, mark LIMIT %d`, pageLen))
	s.prune = table.PruneText("received_at, id, mark", "received_at")
	return s, nil
}

// prefix puts the package's name before an error.
func prefix(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("journal: %w", err)
}

// Schema returns the statement that creates the table, for a shop's own
// migrations. The directory schema holds the same as files. It may be run again.
func (s *SQL) Schema() string { return s.table.Schema() }

// Migrate creates the table unless it exists.
func (s *SQL) Migrate(ctx context.Context) error { return prefix(s.table.Migrate(ctx)) }

// Ping reports whether the database answers and the table exists, for readiness
// checks.
func (s *SQL) Ping(ctx context.Context) error { return prefix(s.table.Ping(ctx)) }

// Format writes the dialect and the table, whatever the verb: a pool's address
// may hold a password, and fmt would print it.
func (s *SQL) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "journal.SQL(%v, %s)", s.table.Dialect, s.table.Name)
}

// Append keeps a delivery, unless one of the same content is kept. The body is
// the sealed envelope, which the journal neither opens nor changes. Only a nil
// says that it is kept.
func (s *SQL) Append(ctx context.Context, merchantID string, body []byte, id dedupe.ID) error {
	if len(merchantID) > maxMerchant || len(body) > maxBody {
		return errors.New("journal: append: the merchant's id or the body is too long")
	}
	if body == nil {
		body = []byte{} // nil would be NULL
	}
	if _, err := s.table.Exec(ctx, s.insert, id.Key[:], id.Mark[:], merchantID, body); err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	return nil
}

// All returns the entries that were received at from or later and before to, the
// oldest first. A zero from is the beginning, a zero to is the end. An error ends
// the iteration. The loop may use the database. Entries that are appended
// meanwhile may or may not be seen.
func (s *SQL) All(ctx context.Context, from, to time.Time) iter.Seq2[Entry, error] {
	end := int64(math.MaxInt64)
	if !to.IsZero() {
		end = to.UnixMicro()
	}
	return func(yield func(Entry, error) bool) {
		at := beginning
		if !from.IsZero() {
			at.Received = from.Add(-time.Microsecond)
		}
		for {
			entries, err := s.read(ctx, at, end)
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
			at = entries[pageLen-1]
		}
	}
}

// beginning is before every entry, and with another time after every entry of
// that time.
var beginning = Entry{
	Received: time.UnixMicro(math.MinInt64),
	ID:       dedupe.ID{Key: [32]byte(bytes.Repeat([]byte{0xff}, 32)), Mark: [32]byte(bytes.Repeat([]byte{0xff}, 32))},
}

// read returns the page of entries after the one.
func (s *SQL) read(ctx context.Context, after Entry, end int64) (_ []Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.table.Timeout)
	defer cancel()
	from, key, mark := after.Received.UnixMicro(), after.ID.Key[:], after.ID.Mark[:]
	rows, err := s.table.DB.QueryContext(ctx, s.page, from, end, from, key, key, mark)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		var received int64
		var key, mark []byte
		if err := rows.Scan(&received, &key, &mark, &e.MerchantID, &e.Body); err != nil {
			return nil, err
		}
		e.Received = time.UnixMicro(received).UTC()
		copy(e.ID.Key[:], key)
		copy(e.ID.Mark[:], mark)
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// Prune deletes the entries that were received longer ago than olderThan, in
// batches, and returns their number.
func (s *SQL) Prune(ctx context.Context, olderThan time.Duration) (int64, error) {
	n, err := s.table.Prune(ctx, olderThan, s.prune)
	return n, prefix(err)
}
