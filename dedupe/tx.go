package dedupe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

type txKey struct{}

// TxFromContext returns the transaction of a claim in [Transactional] mode, for
// the handler that runs under it. The handler neither commits nor rolls it back
// and does not keep it.
func TxFromContext(ctx context.Context) (*sql.Tx, bool) {
	tx, ok := ctx.Value(txKey{}).(*sql.Tx)
	return tx, ok
}

// txClaim is a claim of [Transactional] mode.
type txClaim struct {
	row
	conn *sql.Conn
	tx   *sql.Tx
	life context.Context // the transaction's: the lease, and not the request
	end  context.CancelFunc
	stop func() bool // keeps the end of life from closing conn; nil when nothing would

	state txState
}

type txState int

const (
	txOpen txState = iota
	txConfirmed
	txOver    // rolled back
	txUnknown // the commit failed, or its answer was lost
)

// begin begins a transaction whose first statement takes the row. What failed
// only because of others is repeated: a new transaction sees what they did.
func (r row) begin(ctx context.Context) (_ Claim, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	for range attempts {
		var c *txClaim
		if c, err = r.beginOnce(ctx); err == nil {
			return c, nil
		}
		if r.cfg.Dialect.lockTimeout(err) {
			return nil, ErrInFlight
		}
		if !r.cfg.Dialect.transient(err) {
			break
		}
	}
	return nil, err
}

func (r row) beginOnce(ctx context.Context) (_ *txClaim, err error) {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &txClaim{row: r, conn: conn}
	c.life, c.end = context.WithTimeout(context.WithoutCancel(ctx), r.lease)
	defer func() {
		if err != nil {
			c.close()
		}
	}()

	restore, err := r.setSession(ctx, conn, r.cfg.LockTimeout)
	if err != nil {
		return nil, err
	}
	err = c.open(ctx)
	restore()
	if errors.Is(err, ErrDone) { // which a duplicate is told after it has waited
		return nil, r.lookAgain(ctx, conn)
	}
	if err != nil {
		return nil, err
	}
	c.arm()
	return c, nil
}

// arm sees to it that the connection is free again after the lease, should
// nobody end the claim. Closing waits until database/sql has rolled back.
func (c *txClaim) arm() {
	c.stop = context.AfterFunc(c.life, func() { c.conn.Close() })
}

// disarm undoes arm. It reports false if that is too late: then conn is being
// closed and must not be used, for database/sql does not bear both at a time.
func (c *txClaim) disarm() bool {
	if c.stop != nil && !c.stop() {
		return false
	}
	c.stop = nil
	return true
}

// lapse ends a claim whose connection the end of its lease is closing.
func (c *txClaim) lapse() error {
	c.state = txOver
	_ = c.tx.Rollback() // which is done, or is being done
	c.end()
	return ErrLost
}

func (c *txClaim) open(ctx context.Context) (err error) {
	c.tx, err = c.conn.BeginTx(c.life, &sql.TxOptions{Isolation: c.isolation()})
	if err != nil {
		return err
	}
	restore, err := c.setLocal(ctx)
	if err == nil {
		err = c.take(ctx, c.tx)
	}
	if err == nil {
		err = restore()
	}
	if err != nil {
		c.rollback()
	}
	return err
}

func (c *txClaim) isolation() sql.IsolationLevel {
	if c.cfg.Dialect == SQLite {
		return sql.LevelDefault // serializable, whatever one asks for; some drivers refuse to be asked
	}
	return c.cfg.Isolation
}

// setLocal sets the lock time-out where that is a property of the transaction,
// and returns a function that restores what was there.
func (c *txClaim) setLocal(ctx context.Context) (restore func() error, err error) {
	if c.cfg.Dialect != PostgreSQL {
		return func() error { return nil }, nil
	}
	var was, set string
	wait := fmt.Sprintf("%dms", max(1, c.cfg.LockTimeout.Milliseconds()))
	err = c.tx.QueryRowContext(ctx, `SELECT was, set_config('lock_timeout', $1, true)
		FROM (SELECT current_setting('lock_timeout') AS was OFFSET 0) AS now`, wait).Scan(&was, &set)
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := c.tx.ExecContext(ctx, `SELECT set_config('lock_timeout', $1, true)`, was)
		return err
	}, nil
}

// Context implements [Contexter]: [TxFromContext] finds the transaction in the
// returned context.
func (c *txClaim) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, txKey{}, c.tx)
}

// Confirm implements [Claim]: it commits.
func (c *txClaim) Confirm(ctx context.Context) error {
	switch c.state {
	case txConfirmed:
		return nil
	case txOver:
		return ErrLost
	case txUnknown:
		return c.afterAll(ctx)
	}
	if !c.disarm() {
		return c.lapse()
	}
	if err := c.confirm(ctx); errors.Is(err, ErrLost) {
		c.rollback()
		c.close()
		return err
	} else if err != nil {
		if c.state == txOpen {
			c.arm()
		}
		return fmt.Errorf("dedupe: confirm: %w", err)
	}
	c.state = txConfirmed
	c.close()
	return nil
}

// confirm marks the row as done, which shows that the transaction is still the
// one of the claim: MySQL ends it without a word at DDL and, on a deadlock, with
// an error that the handler may have passed over. Then it commits.
func (c *txClaim) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	n, err := exec(ctx, c.tx, c.confirmRow, c.id.Key[:], c.token)
	if errors.Is(err, sql.ErrTxDone) && c.life.Err() == nil {
		// The handler ended the transaction, against the rule. If it committed, the
		// row and its writes are there.
		if n, err = exec(ctx, c.conn, c.confirmRow, c.id.Key[:], c.token); err == nil && n == 1 {
			return nil
		}
	}
	if c.life.Err() != nil {
		return ErrLost
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrLost
	}
	if c.cfg.Dialect == SQLite { // the commit waits for readers
		restore, err := c.setSession(ctx, c.conn, c.cfg.Timeout)
		if err != nil {
			return err
		}
		defer restore()
	}
	return c.commit()
}

func (c *txClaim) commit() error {
	err := c.tx.Commit()
	if err == nil {
		return nil
	}
	// To database/sql the transaction is over, but the connection may still be in
	// it, and it may have been committed.
	discard(c.conn)
	c.end()
	c.state = txUnknown
	return err
}

// afterAll looks for what a commit that failed has done.
func (c *txClaim) afterAll(ctx context.Context) error {
	err := c.again(ctx, func(ctx context.Context, x execer) error { return c.check(ctx, x) })
	if err == nil {
		c.state = txConfirmed
	}
	if err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("dedupe: confirm: %w", err)
	}
	return err
}

// Release implements [Claim]: it rolls back.
func (c *txClaim) Release(ctx context.Context) error {
	if c.state != txOpen {
		return ErrLost
	}
	if !c.disarm() {
		return c.lapse()
	}
	lost := c.life.Err() != nil
	if c.cfg.Dialect == MySQL && !lost {
		// This is undone with the rest, unless DDL in the handler has committed the
		// row. After the rollback it would wait for whoever claims the row next.
		ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		exec(ctx, c.tx, c.releaseRow, c.id.Key[:], c.token)
		cancel()
	}
	err := c.rollback()
	c.close()
	if lost {
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("dedupe: release: %w", err)
	}
	return nil
}

// rollback ends the transaction. If that fails, so does the connection, which
// has the same effect.
func (c *txClaim) rollback() error {
	c.state = txOver
	err := c.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	if err != nil {
		discard(c.conn)
	}
	return err
}

// close gives the connection back.
func (c *txClaim) close() {
	c.disarm()
	c.end()
	c.conn.Close()
}
