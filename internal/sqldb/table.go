package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"
)

// Config describes a [Table].
type Config struct {
	Dialect Dialect

	// Name is the table's name, with or without a schema in front. Defaults to
	// Default, under which the files of Schemas know it.
	Name, Default string

	// Schemas holds the files schema/postgresql.sql, mysql.sql and sqlite.sql,
	// each with the one statement that creates the table.
	Schemas fs.FS

	// Columns are all that the statements use, separated by commas.
	Columns string

	// Timeout bounds each operation. Defaults to ten seconds.
	Timeout time.Duration
}

// Table is a table in a database. It is safe for concurrent use.
type Table struct {
	DB      *sql.DB
	Dialect Dialect
	Name    string // as configured
	Timeout time.Duration

	quoted, schema, probe string
}

// Execer is a *sql.DB, *sql.Conn or *sql.Tx.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// NewTable returns the table. It does not use db.
func NewTable(db *sql.DB, cfg Config) (*Table, error) {
	if db == nil {
		return nil, errors.New("no database")
	}
	if cfg.Name == "" {
		cfg.Name = cfg.Default
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	quoted, err := cfg.Dialect.Quote(cfg.Name)
	if err != nil {
		return nil, err
	}
	schema, err := fs.ReadFile(cfg.Schemas, "schema/"+strings.ToLower(cfg.Dialect.String())+".sql")
	if err != nil {
		return nil, err
	}
	t := &Table{DB: db, Dialect: cfg.Dialect, Name: cfg.Name, Timeout: cfg.Timeout, quoted: quoted}
	t.schema = regexp.MustCompile(`\b`+cfg.Default+`\b`).ReplaceAllLiteralString(string(schema), quoted)
	t.probe = t.Text("SELECT " + cfg.Columns + " FROM {table} WHERE 1 = 0")
	return t, nil
}

// Text returns a statement in the dialect's spelling. It replaces {table}, the
// clock {now}, {durable} (a condition that is always true, see
// [Dialect.durable]), and the placeholders ?.
func (t *Table) Text(query string) string {
	query = strings.NewReplacer(
		"{table}", t.quoted, "{now}", t.Dialect.now(), "{durable}", t.Dialect.durable(),
	).Replace(query)
	return t.Dialect.Bind(query)
}

// Schema returns the statement that creates the table. It may be run again.
func (t *Table) Schema() string { return t.schema }

// Migrate creates the table unless it exists.
func (t *Table) Migrate(ctx context.Context) error {
	err := t.Run(ctx, func(ctx context.Context, x Execer) error {
		_, err := x.ExecContext(ctx, t.schema)
		return err
	})
	if err != nil && t.Ping(ctx) != nil { // if Ping succeeds, another process was faster
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Ping reports whether the database answers and the table has the columns.
func (t *Table) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	rows, err := t.DB.QueryContext(ctx, t.probe)
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// PruneText returns the statement that deletes a batch of the rows for which
// age, an integer expression, is smaller than the clock minus a parameter.
// Key are the columns of the primary key.
func (t *Table) PruneText(key, age string) string {
	// The clock in a subquery is read once, or else no index would serve.
	where := age + ` < (SELECT {now}) - ? LIMIT 1000`
	if t.Dialect == MySQL {
		return t.Text(`DELETE FROM {table} WHERE ` + where)
	}
	return t.Text(`DELETE FROM {table} WHERE (` + key + `) IN (SELECT ` + key + ` FROM {table} WHERE ` + where + `)`)
}

// Prune deletes, batch by batch, what the statements of [Table.PruneText] match,
// and returns the number of deleted rows. The operation's time limit applies to
// each batch.
func (t *Table) Prune(ctx context.Context, olderThan time.Duration, statements ...string) (total int64, err error) {
	if olderThan < 0 {
		return 0, errors.New("prune: negative age")
	}
	for _, batch := range statements {
		for n := int64(1); n > 0; total += n {
			if n, err = t.Exec(ctx, batch, olderThan.Microseconds()); err != nil {
				return total, fmt.Errorf("prune: %w", err)
			}
		}
	}
	return total, nil
}

// Exec runs a statement that commits itself, and returns the number of rows.
func (t *Table) Exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = t.Run(ctx, func(ctx context.Context, x Execer) error {
		n, err = Exec(ctx, x, query, args...)
		return err
	})
	return n, err
}

// Exec runs a statement and returns the number of rows.
func Exec(ctx context.Context, x Execer, query string, args ...any) (int64, error) {
	result, err := x.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Attempts is how often an operation is tried that failed only because of others
// that ran beside it.
const Attempts = 3

// Run runs f within the table's time limit. f is one statement that commits
// itself, or it may be repeated without harm.
func (t *Table) Run(ctx context.Context, f func(context.Context, Execer) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	for range Attempts {
		if err = t.once(ctx, f); !t.Dialect.Transient(err) {
			break
		}
	}
	return err
}

// once runs f on the pool. On SQLite, whose connections neither wait for locks
// nor sync a commit unless told to, it runs f on one connection that does both.
func (t *Table) once(ctx context.Context, f func(context.Context, Execer) error) error {
	if t.Dialect != SQLite {
		return f(ctx, t.DB)
	}
	s, err := t.Session(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.LockWait(ctx, t.Timeout); err != nil { // first: all others may meet a lock
		return err
	}
	if err := s.Durable(ctx); err != nil {
		return err
	}
	return f(ctx, s.Conn)
}
