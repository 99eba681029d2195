package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"
)

// Session is a connection of the pool whose settings may be changed. Close
// restores them before the connection goes back. A connection that cannot be
// restored is closed instead: no other caller may get it.
//
// Session is for one goroutine at a time.
type Session struct {
	Conn  *sql.Conn
	table *Table
	undo  []*setting // what is to be restored
}

// setting is a number that belongs to the connection.
type setting struct {
	set string // the statement, with %d
	was int64
}

// Session takes a connection from the pool.
func (t *Table) Session(ctx context.Context) (*Session, error) {
	conn, err := t.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{Conn: conn, table: t}, nil
}

// LockWait sets how long statements wait for locks, where that is a property of
// the connection: on MySQL and SQLite. restore restores the setting, on the
// connection or on a transaction that is open on it. It must be called before
// anything else uses the connection, or not at all: Close does the same.
func (s *Session) LockWait(ctx context.Context, wait time.Duration) (restore func(context.Context, Execer) error, err error) {
	switch s.table.Dialect {
	case MySQL:
		// In whole seconds.
		return s.change(ctx, "SELECT @@SESSION.innodb_lock_wait_timeout", "SET SESSION innodb_lock_wait_timeout = %d",
			func(int64) int64 { return int64((wait + time.Second - 1) / time.Second) })
	case SQLite:
		// SQLite waits without looking at the context.
		if deadline, ok := ctx.Deadline(); ok {
			wait = max(1, min(wait, time.Until(deadline)))
		}
		return s.change(ctx, "PRAGMA busy_timeout", "PRAGMA busy_timeout = %d",
			func(int64) int64 { return int64((wait + time.Millisecond - 1) / time.Millisecond) })
	}
	return func(context.Context, Execer) error { return nil }, nil
}

// Durable has commits on the connection synced to disk, where that is a property
// of the connection: on SQLite, whose synchronous = NORMAL loses the last
// commits of a WAL database in a power failure. It must be called outside a
// transaction.
func (s *Session) Durable(ctx context.Context) error {
	if s.table.Dialect != SQLite {
		return nil
	}
	const extra = 3 // in the WAL journal the same as FULL
	_, err := s.change(ctx, "PRAGMA synchronous", "PRAGMA synchronous = %d", func(was int64) int64 { return max(was, extra) })
	return err
}

func (s *Session) change(ctx context.Context, read, set string, want func(was int64) int64) (restore func(context.Context, Execer) error, err error) {
	c := &setting{set: set}
	if err := s.Conn.QueryRowContext(ctx, read).Scan(&c.was); err != nil {
		return nil, err
	}
	restore = func(ctx context.Context, x Execer) error { return s.restore(ctx, x, c) }
	n := want(c.was)
	if n == c.was {
		return restore, nil
	}
	s.undo = append(s.undo, c) // before: a statement that failed may have been run
	_, err = s.Conn.ExecContext(ctx, fmt.Sprintf(set, n))
	return restore, err
}

func (s *Session) restore(ctx context.Context, x Execer, c *setting) error {
	i := slices.Index(s.undo, c)
	if i < 0 {
		return nil
	}
	if _, err := x.ExecContext(ctx, fmt.Sprintf(c.set, c.was)); err != nil {
		return err
	}
	s.undo = slices.Delete(s.undo, i, i+1)
	return nil
}

// Close restores the settings and gives the connection back to the pool. No
// transaction may be open on it. It takes no longer than the table's time limit.
func (s *Session) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), s.table.Timeout)
	defer cancel()
	for len(s.undo) > 0 {
		if s.restore(ctx, s.Conn, s.undo[len(s.undo)-1]) != nil {
			s.Discard()
			return
		}
	}
	s.Conn.Close()
}

// Discard closes the connection instead of giving it back. No transaction may be
// open on it: database/sql would wait for its end.
func (s *Session) Discard() {
	s.undo = nil
	_ = s.Conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it, and returns the same error
	s.Conn.Close()
}
