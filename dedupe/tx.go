package dedupe

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ottpaykit/ottpay/internal/sqldb"
)

type txKey struct{}

// TxFromContext returns the transaction of a claim in [Transactional] mode, for
// the handler that runs under it. The handler must not commit it, roll it back,
// or keep it.
//
// A false means that ctx is not the context of such a handler: the store is not
// transactional, or the context was lost on the way. Treat it as an error. A
// handler that writes through the pool instead writes outside the claim, and
// that work is done again when the delivery comes again.
func TxFromContext(ctx context.Context) (*sql.Tx, bool) {
	tx, ok := Value(ctx, txKey{}).(*sql.Tx)
	return tx, ok
}

// txClaim is a claim of [Transactional] mode. It holds a connection, with a
// transaction on it, until it ends.
//
// A driver's Commit and Rollback do not look at a context: while the network
// swallows packets, both would wait. Therefore the end of the claim runs in a
// goroutine of its own, which owns the connection from then on, and the caller
// waits for it no longer than the context says. go-sql-driver can be interrupted
// in statements only. There COMMIT or ROLLBACK is sent as a statement first,
// which breaks a connection that is dead, so that the goroutine ends soon.
type txClaim struct {
	row
	session *sqldb.Session
	tx      *sql.Tx
	life    context.Context // the transaction's: the lease, and not the request
	end     context.CancelFunc
	stop    func() bool // keeps the end of life from ending the claim
	state   txState

	leaveKey, leaveConnection func() // give the places in the queue back
}

type txState int

const (
	txOpen txState = iota
	txConfirmed
	txOver    // rolled back
	txUnknown // the commit failed, or its answer was lost
)

// begin waits for its turn, and begins a transaction whose first statement takes
// the row. What failed only because of others is repeated: a new transaction
// sees what they did.
func (r row) begin(ctx context.Context) (_ Claim, err error) {
	leaveKey, waited, err := r.queue.key(ctx, r.id.Key, r.cfg.LockTimeout)
	if err != nil {
		return nil, err
	}
	leaveConnection, err := r.queue.connection(ctx, r.limit())
	if err != nil {
		leaveKey()
		return nil, err
	}
	leave := func() {
		leaveConnection()
		leaveKey()
	}
	if waited {
		if err := r.table.Run(ctx, r.look); err != nil {
			leave()
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		c := &txClaim{row: r, leaveKey: func() {}, leaveConnection: func() {}}
		if err = c.begin(ctx); err == nil {
			c.leaveKey, c.leaveConnection = sync.OnceFunc(leaveKey), leaveConnection
			c.arm()
			return c, nil
		}
		if attempt < sqldb.Attempts && r.table.Dialect.Transient(err) {
			continue
		}
		leave()
		if r.table.Dialect.LockTimeout(err) {
			return nil, ErrInFlight
		}
		return nil, err
	}
}

// limit is how many connections the claims may hold: one of the pool is for
// others, such as handlers that read through the pool. SQLite has one writer at a
// time; a queue is fairer than its lock.
func (r row) limit() int {
	if r.cfg.Dialect == SQLite {
		return 1
	}
	n := r.table.DB.Stats().MaxOpenConnections
	if n == 1 {
		return 1
	}
	return n - 1 // of an unlimited pool, 0, which is no limit
}

// begin begins the transaction on a connection of the pool and takes the row.
func (c *txClaim) begin(ctx context.Context) (err error) {
	if c.session, err = c.table.Session(ctx); err != nil {
		return err
	}
	c.life, c.end = context.WithTimeout(context.WithoutCancel(ctx), c.lease)
	if err = c.open(ctx); err == nil {
		return nil
	}
	if c.tx == nil {
		_ = c.finish(ctx, ctx.Err) // no time to restore the session is no time to keep it
		return err
	}
	if errors.Is(err, ErrDone) { // which a duplicate is told after it has waited for the row
		// As a transaction of its own, after this one.
		if e := c.rollback(ctx); e != nil {
			return e
		}
		return c.table.Run(ctx, c.lookAgain)
	}
	_ = c.rollback(ctx) // err is what counts
	return err
}

// open begins the transaction, takes the row, and leaves the session as the
// handler shall have it. It must not wait longer than ctx.
func (c *txClaim) open(ctx context.Context) error {
	restore, err := c.session.LockWait(ctx, c.cfg.LockTimeout) // first: all others may meet a lock
	if err != nil {
		return err
	}
	if err := c.session.Durable(ctx); err != nil {
		return err
	}
	// The transaction's context is its life. Until it is open, ctx ends it, too.
	stop := context.AfterFunc(ctx, c.end)
	tx, err := c.session.Conn.BeginTx(c.life, &sql.TxOptions{Isolation: c.isolation()})
	if err != nil {
		stop()
		return err
	}
	c.tx = tx
	if !stop() {
		return ctx.Err()
	}
	restoreLocal, err := c.setLocal(ctx)
	if err != nil {
		return err
	}
	if err := c.take(ctx, tx); err != nil {
		return err
	}
	if err := restoreLocal(); err != nil {
		return err
	}
	return restore(ctx, tx)
}

func (c *txClaim) isolation() sql.IsolationLevel {
	if c.cfg.Dialect == SQLite {
		return sql.LevelDefault // always serializable; some drivers refuse to be asked for a level
	}
	return c.cfg.Isolation
}

// setLocal sets the lock time-out where that is a property of the transaction,
// and returns a function that restores it. It also has the server end the
// transaction soon after its lease if this machine vanishes.
func (c *txClaim) setLocal(ctx context.Context) (restore func() error, err error) {
	if c.cfg.Dialect != PostgreSQL {
		return func() error { return nil }, nil
	}
	var was, set, idle string
	wait := fmt.Sprintf("%dms", max(1, c.cfg.LockTimeout.Milliseconds()))
	const longest = 1<<31 - 1 // of PostgreSQL's setting, milliseconds
	lease := fmt.Sprintf("%dms", min(micros(c.lease)/1000+1000, longest))
	err = c.tx.QueryRowContext(ctx, `SELECT was, set_config('lock_timeout', $1, true),
		set_config('idle_in_transaction_session_timeout', CASE idle WHEN '0' THEN $2 ELSE idle END, true)
		FROM (SELECT current_setting('lock_timeout') AS was, current_setting('idle_in_transaction_session_timeout') AS idle OFFSET 0) AS now`,
		wait, lease).Scan(&was, &set, &idle)
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := c.tx.ExecContext(ctx, `SELECT set_config('lock_timeout', $1, true)`, was)
		return err
	}, nil
}

// arm ends the claim at the end of its lease, should its owner not do so.
// database/sql has rolled back when it is over.
func (c *txClaim) arm() {
	c.stop = context.AfterFunc(c.life, func() { _ = c.settle(c.tx.Rollback) })
}

// disarm undoes arm. It reports false if that is too late: then the connection
// belongs to the end of the lease.
func (c *txClaim) disarm() bool { return c.stop() }

// finish ends the transaction by f in a goroutine of its own, which gives the
// connection back, and waits for f, but not longer than ctx.
func (c *txClaim) finish(ctx context.Context, f func() error) error {
	defer c.leaveKey()
	done := make(chan error, 1)
	go func() { done <- c.settle(f) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle runs f, which ends the transaction, and gives the connection back, or
// closes it if f fails: to database/sql the transaction is over then, but the
// connection may still be in it.
func (c *txClaim) settle(f func() error) error {
	err := f()
	if errors.Is(err, sql.ErrTxDone) { // database/sql or the handler was faster
		err = nil
	}
	c.end()
	if err != nil {
		c.session.Discard()
	} else {
		c.session.Close()
	}
	c.leaveConnection()
	c.leaveKey()
	return err
}

// rollback ends the transaction, which undoes it, and the claim.
func (c *txClaim) rollback(ctx context.Context) error {
	if c.cfg.Dialect != MySQL {
		return c.finish(ctx, c.tx.Rollback)
	}
	return c.endBy(ctx, "ROLLBACK")
}

// endBy ends the transaction by a statement, and has database/sql follow: its
// Rollback has nothing to roll back, or meets a connection that is broken.
func (c *txClaim) endBy(ctx context.Context, statement string) error {
	_, err := c.tx.ExecContext(ctx, statement)
	if errors.Is(err, sql.ErrTxDone) {
		err = nil
	}
	go func() { _ = c.settle(func() error { return cmp.Or(c.tx.Rollback(), err) }) }()
	c.leaveKey()
	return err
}

// Context implements [Contexter]: [TxFromContext] finds the transaction in the
// returned context.
func (c *txClaim) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, txKey{}, c.tx)
}

// Confirm implements [Claim]: it commits.
func (c *txClaim) Confirm(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // a statement under ctx would break the connection
		return fmt.Errorf("dedupe: confirm: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.table.Timeout)
	defer cancel()
	var err error
	switch c.state {
	case txConfirmed:
		return nil
	case txOver:
		return ErrLost
	case txUnknown:
		err = c.table.Run(ctx, c.check)
	default:
		err = c.confirm(ctx)
	}
	if err == nil {
		c.state = txConfirmed
		return nil
	}
	if errors.Is(err, ErrLost) {
		return err
	}
	return fmt.Errorf("dedupe: confirm: %w", err)
}

// confirm marks the row as done, which shows that the transaction is still the
// one of the claim: MySQL ends it without a word at DDL and, on a deadlock, with
// an error that the handler may have ignored. Then it commits.
//
// What fails before the commit was sent is certainly not kept, and the claim is
// lost. What fails from then on is unknown.
func (c *txClaim) confirm(ctx context.Context) error {
	if !c.disarm() {
		c.state = txOver
		return ErrLost
	}
	n, err := sqldb.Exec(ctx, c.tx, c.confirmRow, c.id.Key[:], c.token)
	if errors.Is(err, sql.ErrTxDone) && c.life.Err() == nil {
		return c.confirmCommitted(ctx)
	}
	if err == nil && n == 1 && c.cfg.Dialect == SQLite {
		// The commit waits for readers, and ends before ctx does, so that its outcome
		// is known.
		deadline, _ := ctx.Deadline()
		_, err = c.session.LockWait(ctx, time.Until(deadline)*3/4)
	}
	if err != nil || n == 0 {
		c.state = txOver
		_ = c.rollback(ctx)
		if err == nil || c.life.Err() != nil {
			return ErrLost
		}
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	c.state = txUnknown
	return c.commit(ctx)
}

func (c *txClaim) commit(ctx context.Context) error {
	if c.cfg.Dialect != MySQL {
		// pgx looks at the context of BeginTx.
		defer context.AfterFunc(ctx, c.end)()
		return c.finish(ctx, c.tx.Commit)
	}
	return c.endBy(ctx, "COMMIT")
}

// confirmCommitted is for a handler that has ended the transaction, against the
// rule. If it committed, the row and its writes are there.
func (c *txClaim) confirmCommitted(ctx context.Context) error {
	c.state = txUnknown
	err := c.row.confirm(ctx, c.session.Conn)
	_ = c.finish(ctx, func() error { return err })
	return err
}

// Release implements [Claim]: it rolls back.
func (c *txClaim) Release(ctx context.Context) error {
	if c.state != txOpen {
		return ErrLost
	}
	ctx, cancel := context.WithTimeout(ctx, c.table.Timeout)
	defer cancel()
	c.state = txOver
	if !c.disarm() {
		return ErrLost
	}
	if c.cfg.Dialect == MySQL {
		// This is undone with the rest, unless DDL in the handler has committed the
		// row. After the rollback it would wait for the next claim of the row.
		_, _ = sqldb.Exec(ctx, c.tx, c.releaseRow, c.id.Key[:], c.token)
	}
	if err := c.rollback(ctx); err != nil {
		return fmt.Errorf("dedupe: release: %w", err)
	}
	return nil
}
