package crosstest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

const lease = time.Minute

func newID() dedupe.ID { return dedupe.Identify("M", rand.Text(), "paid", "100", "AL1") }

func mustClaim(t testing.TB, s dedupe.Store, id dedupe.ID) dedupe.Claim {
	t.Helper()
	c, err := s.Claim(t.Context(), id, lease)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return c
}

func wantClaimError(t testing.TB, s dedupe.Store, id dedupe.ID, want error) {
	t.Helper()
	if _, err := s.Claim(t.Context(), id, lease); !errors.Is(err, want) {
		t.Fatalf("Claim: %v, want %v", err, want)
	}
}

func mustConfirm(t testing.TB, c dedupe.Claim) {
	t.Helper()
	if err := c.Confirm(t.Context()); err != nil {
		t.Fatalf("Confirm: %v", err)
	}
}

func txOf(t testing.TB, c dedupe.Claim) *sql.Tx {
	t.Helper()
	tx, ok := dedupe.TxFromContext(c.(dedupe.Contexter).Context(t.Context()))
	if !ok {
		t.Fatal("no transaction in the claim's context")
	}
	return tx
}

// eachServer runs a test of transactional mode against each server, with a
// store whose LockTimeout is long.
func eachServer(t *testing.T, run func(t *testing.T, s server, db *sql.DB, store *dedupe.SQL, work workTable)) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			store := server.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, LockTimeout: 20 * time.Second, Timeout: time.Minute})
			run(t, server, db, store, server.workTable(t, db))
		})
	}
}

// sessions are connections with a lock time-out of their own, and how to ask for
// it.
var sessions = []struct {
	server
	params, query, want string
}{
	{postgres, "lock_timeout=7654", "SELECT current_setting('lock_timeout')", "7654ms"},
	{mariadb, "innodb_lock_wait_timeout=33", "SELECT @@SESSION.innodb_lock_wait_timeout", "33"},
	{sqlite, "_pragma=busy_timeout(4321)", "PRAGMA busy_timeout", "4321"},
}

func TestSQLTransactionalRestoresLockTimeout(t *testing.T) {
	t.Parallel()
	for _, test := range sessions {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := test.openWith(t, test.params)
			db.SetMaxOpenConns(2)
			store := test.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, LockTimeout: 100 * time.Millisecond})
			work := test.workTable(t, db)

			type queryer interface {
				QueryRowContext(context.Context, string, ...any) *sql.Row
			}
			check := func(where string, q queryer) {
				t.Helper()
				var got string
				if err := q.QueryRowContext(t.Context(), test.query).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != test.want {
					t.Errorf("%s: lock time-out %s, want %s", where, got, test.want)
				}
			}
			checkPool := func(where string) {
				t.Helper()
				for range 2 { // both connections, held at a time
					conn, err := db.Conn(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					check(where, conn)
				}
			}

			checkPool("before")
			id := newID()
			c := mustClaim(t, store, id)
			check("handler", txOf(t, c))
			if err := work.write(c.(dedupe.Contexter).Context(t.Context()), rand.Text()); err != nil {
				t.Fatal(err)
			}
			check("handler, after a write", txOf(t, c))
			wantClaimError(t, store, id, dedupe.ErrInFlight)
			if err := c.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Run("after Release and ErrInFlight", func(t *testing.T) { checkPool("pool") })
			mustConfirm(t, mustClaim(t, store, id))
			wantClaimError(t, store, id, dedupe.ErrDone)
			t.Run("after Confirm and ErrDone", func(t *testing.T) { checkPool("pool") })
		})
	}
}

// A duplicate waits for the one that is being handled, and then is told what
// became of it.
func TestSQLTransactionalDuplicateBlocks(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, db *sql.DB, store *dedupe.SQL, work workTable) {
		for _, test := range []struct {
			name string
			end  func(dedupe.Claim) error
			want error
		}{
			{"confirm", func(c dedupe.Claim) error { return c.Confirm(t.Context()) }, dedupe.ErrDone},
			{"release", func(c dedupe.Claim) error { return c.Release(t.Context()) }, nil},
		} {
			t.Run(test.name, func(t *testing.T) {
				id := newID()
				c := mustClaim(t, store, id)
				type result struct {
					dedupe.Claim
					error
				}
				results := make(chan result)
				go func() {
					c, err := store.Claim(t.Context(), id, lease)
					results <- result{c, err}
				}()
				select {
				case r := <-results:
					t.Fatalf("the duplicate did not wait: %v", r.error)
				case <-time.After(300 * time.Millisecond):
				}
				if err := test.end(c); err != nil {
					t.Fatal(err)
				}
				r := <-results
				if !errors.Is(r.error, test.want) {
					t.Fatalf("duplicate: %v, want %v", r.error, test.want)
				}
				if r.Claim != nil {
					mustConfirm(t, r.Claim)
				}
				wantClaimError(t, store, id, dedupe.ErrDone)
			})
		}
	})
}

// A transaction that ended behind the claim's back is never confirmed: MySQL
// does that on a deadlock, and a handler may pass over the error.
func TestSQLTransactionalRolledBackInside(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, db *sql.DB, store *dedupe.SQL, work workTable) {
		id := newID()
		c := mustClaim(t, store, id)
		if _, err := txOf(t, c).ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if err := c.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
			t.Fatalf("Confirm: %v, want ErrLost", err)
		}
		mustConfirm(t, mustClaim(t, store, id))
		wantClaimError(t, store, id, dedupe.ErrDone)
	})
}

func TestMariaDBTransactionalDeadlockPassedOver(t *testing.T) {
	t.Parallel()
	s := mariadb
	db := s.open(t)
	store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
	table := s.table(t, db, "stock")
	s.exec(t, db, "CREATE TABLE "+table+" (n INT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB")
	s.exec(t, db, "INSERT INTO "+table+" VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)")
	update := func(tx *sql.Tx, rows ...int) error {
		for _, n := range rows { // one by one, since a range would lock them all
			if _, err := tx.ExecContext(t.Context(), "UPDATE "+table+" SET v = v + 1 WHERE n = ?", n); err != nil {
				return err
			}
		}
		return nil
	}

	id := newID()
	c := mustClaim(t, store, id)
	tx := txOf(t, c)
	other, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	// The victim of a deadlock is the transaction that has changed less.
	if err := errors.Join(update(tx, 1), update(other, 2, 3, 4, 5, 6)); err != nil {
		t.Fatal(err)
	}
	blocked := make(chan error, 1)
	go func() { blocked <- update(other, 1) }()
	if err := update(tx, 2); err == nil {
		t.Fatal("no deadlock")
	}
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	if err := c.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("Confirm after the transaction was chosen as victim: %v, want ErrLost", err)
	}
	mustConfirm(t, mustClaim(t, store, id))
}

func TestSQLTransactionalCommittedInside(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, db *sql.DB, store *dedupe.SQL, work workTable) {
		id, name := newID(), rand.Text()
		c := mustClaim(t, store, id)
		if err := work.write(c.(dedupe.Contexter).Context(t.Context()), name); err != nil {
			t.Fatal(err)
		}
		if err := txOf(t, c).Commit(); err != nil {
			t.Fatal(err)
		}
		mustConfirm(t, c)
		wantClaimError(t, store, id, dedupe.ErrDone)
		if !work.written(t, name) {
			t.Fatal("the work is lost")
		}

		id = newID()
		c = mustClaim(t, store, id)
		txOf(t, c).Rollback()
		if err := c.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
			t.Fatalf("Confirm after the handler's rollback: %v, want ErrLost", err)
		}
		mustConfirm(t, mustClaim(t, store, id))
	})
}

// DDL commits in MariaDB. The work before it stays, but the delivery comes again.
func TestMariaDBTransactionalDDL(t *testing.T) {
	t.Parallel()
	s := mariadb
	db := s.open(t)
	store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
	ddl := func(t *testing.T, c dedupe.Claim) {
		t.Helper()
		name := s.table(t, db, "ddl")
		if _, err := txOf(t, c).ExecContext(t.Context(), "CREATE TABLE "+name+" (n INT)"); err != nil {
			t.Fatal(err)
		}
	}
	id := newID()
	c := mustClaim(t, store, id)
	ddl(t, c)
	wantClaimError(t, store, id, dedupe.ErrInFlight)
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	c = mustClaim(t, store, id) // at once: the row did not stay until its lease
	ddl(t, c)
	mustConfirm(t, c)
	wantClaimError(t, store, id, dedupe.ErrDone)
}

// PostgreSQL answers COMMIT with ROLLBACK when a statement failed before.
func TestPostgreSQLTransactionalErrorPassedOver(t *testing.T) {
	t.Parallel()
	s := postgres
	db := s.open(t)
	store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
	work := s.workTable(t, db)
	id, name := newID(), rand.Text()
	c := mustClaim(t, store, id)
	if err := work.write(c.(dedupe.Contexter).Context(t.Context()), name); err != nil {
		t.Fatal(err)
	}
	txOf(t, c).ExecContext(t.Context(), "SELECT 1/0")
	if err := c.Confirm(t.Context()); err == nil {
		t.Fatal("Confirm of a failed transaction succeeded")
	}
	c.Release(t.Context())
	if work.written(t, name) {
		t.Fatal("half the work is kept")
	}
	mustConfirm(t, mustClaim(t, store, id))
}

// A commit that fails is an error, and the id is free.
func TestPostgreSQLTransactionalCommitFails(t *testing.T) {
	t.Parallel()
	s := postgres
	db := s.open(t)
	store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
	parent, child := s.table(t, db, "parent"), s.table(t, db, "child")
	s.exec(t, db, "CREATE TABLE "+parent+" (n INT PRIMARY KEY)")
	t.Cleanup(func() { s.exec(t, db, "DROP TABLE IF EXISTS "+child) })
	s.exec(t, db, "CREATE TABLE "+child+" (n INT REFERENCES "+parent+" DEFERRABLE INITIALLY DEFERRED)")

	id := newID()
	c := mustClaim(t, store, id)
	if _, err := txOf(t, c).ExecContext(t.Context(), "INSERT INTO "+child+" VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Confirm(t.Context()); err == nil || errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("Confirm whose commit fails: %v", err)
	}
	if err := c.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("Confirm again: %v, want ErrLost", err)
	}
	c.Release(t.Context())
	mustConfirm(t, mustClaim(t, store, id))
	wantClaimError(t, store, id, dedupe.ErrDone)
}

func TestSQLTransactionalConnectionKilled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server
		self, kill string
	}{
		{postgres, "SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%d)"},
		{mariadb, "SELECT CONNECTION_ID()", "KILL %d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := test.open(t)
			cfg := dedupe.SQLConfig{
				Dialect: test.dialect, Table: test.table(t, db, "tx"),
				Mode: dedupe.Transactional, LockTimeout: 20 * time.Second, Timeout: time.Minute,
			}
			store, replica := test.store(t, db, cfg), newSQL(t, db, cfg)
			work := test.workTable(t, db)
			for _, end := range []string{"confirm", "release", "nothing"} {
				id, name := newID(), rand.Text()
				c, err := store.Claim(t.Context(), id, lease)
				if err != nil {
					t.Fatal(err)
				}
				if err := work.write(c.(dedupe.Contexter).Context(t.Context()), name); err != nil {
					t.Fatal(err)
				}
				var self int64
				if err := txOf(t, c).QueryRowContext(t.Context(), test.self).Scan(&self); err != nil {
					t.Fatal(err)
				}
				test.exec(t, db, fmt.Sprintf(test.kill, self))

				heir := mustClaim(t, replica, id) // waits until the server has rolled back
				switch end {
				case "confirm":
					if err := c.Confirm(t.Context()); err == nil {
						t.Fatal("Confirm on a killed connection succeeded")
					}
					c.Release(t.Context())
				case "release":
					c.Release(t.Context())
				}
				if work.written(t, name) {
					t.Fatal("the work of a killed connection is kept")
				}
				if err := work.write(heir.(dedupe.Contexter).Context(t.Context()), name); err != nil {
					t.Fatal(err)
				}
				mustConfirm(t, heir)
				wantClaimError(t, store, id, dedupe.ErrDone)
				if !work.written(t, name) {
					t.Fatal("the heir's work is lost")
				}
			}
		})
	}
}

// A claim that is never ended gives its connection back after its lease.
func TestSQLTransactionalForgottenClaim(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.openWith(t, "")
			db.SetMaxOpenConns(1)
			store := server.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, Timeout: time.Minute})
			id := newID()
			forgotten, err := store.Claim(t.Context(), id, 300*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			heir := mustClaim(t, store, id) // waits for the only connection
			if err := forgotten.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
				t.Fatalf("Confirm: %v, want ErrLost", err)
			}
			if err := forgotten.Release(t.Context()); !errors.Is(err, dedupe.ErrLost) {
				t.Fatalf("Release: %v, want ErrLost", err)
			}
			mustConfirm(t, heir)
			wantClaimError(t, store, id, dedupe.ErrDone)
			if n := db.Stats().InUse; n != 0 {
				t.Fatalf("%d connections are still in use", n)
			}
		})
	}
}

// The request's end while Claim waits for a lock is an outage like any other,
// and the connection that waited does no harm.
func TestSQLTransactionalCancelledWhileBlocked(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, db *sql.DB, store *dedupe.SQL, work workTable) {
		id := newID()
		c := mustClaim(t, store, id)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := store.Claim(ctx, id, lease); err == nil || errors.Is(err, dedupe.ErrDone) {
			t.Fatalf("Claim of a held id: %v", err)
		}
		mustConfirm(t, c)
		wantClaimError(t, store, id, dedupe.ErrDone)
		mustConfirm(t, mustClaim(t, store, newID()))
	})
}

// Stores of both modes on one table, as while a service is moved from one to the
// other.
func TestSQLModesTogether(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			table := server.table(t, db, "both")
			inTx := server.store(t, db, dedupe.SQLConfig{Table: table, Mode: dedupe.Transactional})
			inLease := server.store(t, db, dedupe.SQLConfig{Table: table})

			id := newID()
			owner := mustClaim(t, inLease, id)
			wantClaimError(t, inTx, id, dedupe.ErrInFlight)
			server.expire(t, db, table, id)
			heir := mustClaim(t, inTx, id)
			mustConfirm(t, heir)
			wantClaimError(t, inLease, id, dedupe.ErrDone)
			if err := owner.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
				t.Fatalf("Confirm of a late owner: %v, want ErrLost", err)
			}

			id = newID()
			mustConfirm(t, mustClaim(t, inLease, id))
			wantClaimError(t, inTx, id, dedupe.ErrDone)
			id.Mark[0] ^= 1
			wantClaimError(t, inTx, id, dedupe.ErrConflict)
		})
	}
}

// Claims and the handlers' own writes by many at a time: each event is worked
// exactly once, though every third handler fails.
func TestSQLTransactionalExactlyOnce(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, level := range server.levels() {
			t.Run(fmt.Sprint(server.name, "/", level), func(t *testing.T) {
				t.Parallel()
				db := server.open(t)
				store := server.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, Isolation: level, Timeout: time.Minute})
				table := server.table(t, db, "ledger")
				server.exec(t, db, "CREATE TABLE "+table+" (name VARCHAR(100))") // which would keep doubles
				insert := server.bind("INSERT INTO " + table + " (name) VALUES (?)")

				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				deliver := func(id dedupe.ID, try int) bool {
					c, err := store.Claim(ctx, id, lease)
					if err != nil {
						if !errors.Is(err, dedupe.ErrDone) && !errors.Is(err, dedupe.ErrInFlight) {
							t.Errorf("Claim: %v", err)
						}
						return errors.Is(err, dedupe.ErrDone)
					}
					_, err = txOf(t, c).ExecContext(ctx, insert, id.String())
					if err != nil || try%3 == 0 {
						c.Release(ctx)
						return false
					}
					if err := c.Confirm(ctx); err != nil {
						c.Release(ctx)
						return false
					}
					return true
				}
				const events, workers = 20, 5
				ids := make([]dedupe.ID, events)
				for i := range ids {
					ids[i] = newID()
				}
				var wg sync.WaitGroup
				for w := range workers {
					wg.Go(func() {
						for i := range ids {
							id := ids[(i+w*3)%events]
							for try := w; !deliver(id, try) && ctx.Err() == nil; try++ {
							}
						}
					})
				}
				wg.Wait()
				var all, distinct int
				err := db.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(DISTINCT name) FROM "+table).Scan(&all, &distinct)
				if err != nil {
					t.Fatal(err)
				}
				if all != events || distinct != events {
					t.Errorf("%d events were worked %d times, want each of %d once", distinct, all, events)
				}
			})
		}
	}
}

// More deliveries at once than the pool has connections, whose handlers also read
// through the pool: all are handled, in line, and an ordinary query finds a
// connection meanwhile. The duplicates among them wait without one.
func TestSQLTransactionalPool(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			const size, deliveries = 10, 40
			db := server.openWith(t, map[dedupe.Dialect]string{dedupe.SQLite: "_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)"}[server.dialect])
			db.SetMaxOpenConns(size)
			store := server.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, LockTimeout: 20 * time.Second})
			work := server.workTable(t, db)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			twice := newID()
			var all sync.WaitGroup
			var done atomic.Int32
			for i := range deliveries {
				all.Go(func() {
					id := newID()
					if i%4 == 0 {
						id = twice
					}
					err := dedupe.Do(ctx, store, id, dedupe.Bracket{Timeout: 20 * time.Second}, func(ctx context.Context) error {
						var n int
						if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+work.name).Scan(&n); err != nil {
							return err
						}
						time.Sleep(5 * time.Millisecond)
						return work.write(ctx, rand.Text())
					})
					if err == nil {
						done.Add(1)
					} else if id != twice || !errors.Is(err, dedupe.ErrDone) {
						t.Errorf("delivery %d: %v", i, err)
					}
				})
			}
			all.Wait()
			if want := int32(deliveries*3/4 + 1); done.Load() != want {
				t.Errorf("%d deliveries were handled, want %d", done.Load(), want)
			}
		})
	}
}

// A delivery that waits for another one of the same event holds no connection.
func TestSQLTransactionalDuplicatesHoldNoConnection(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, _ *sql.DB, _ *dedupe.SQL, _ workTable) {
		db := s.openWith(t, "")
		db.SetMaxOpenConns(3)
		store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, LockTimeout: 20 * time.Second, Timeout: time.Minute})
		id := newID()
		c := mustClaim(t, store, id)
		const n = 10
		var all sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			all.Go(func() { _, errs[i] = store.Claim(t.Context(), id, lease) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 100 {
			if err := db.PingContext(ctx); err != nil {
				t.Fatalf("an ordinary query: %v", err)
			}
			time.Sleep(time.Millisecond)
		}
		// A duplicate may look once before it waits, and on a loaded machine late.
		for db.Stats().InUse > 1 {
			if ctx.Err() != nil {
				t.Fatalf("%d connections are in use, want the owner's", db.Stats().InUse)
			}
			time.Sleep(time.Millisecond)
		}
		mustConfirm(t, c)
		all.Wait()
		for _, err := range errs {
			if !errors.Is(err, dedupe.ErrDone) {
				t.Errorf("a duplicate: %v, want ErrDone", err)
			}
		}
	})
}
