package crosstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

func TestSQLMigrate(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			store := newSQL(t, db, dedupe.SQLConfig{Dialect: server.dialect, Table: server.table(t, db, "Migrate")})
			if err := store.Ping(t.Context()); err == nil {
				t.Error("Ping succeeded without a table")
			}
			if _, err := store.Claim(t.Context(), newID(), lease); err == nil {
				t.Error("Claim succeeded without a table")
			}
			var wg sync.WaitGroup
			for range 10 { // replicas that start at once
				wg.Go(func() {
					if err := store.Migrate(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if err := store.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			id := newID()
			mustConfirm(t, mustClaim(t, store, id))
			if err := store.Migrate(t.Context()); err != nil { // and a replica that starts later
				t.Error(err)
			}
			wantClaimError(t, store, id, dedupe.ErrDone)
		})
	}
}

func TestSQLTableInSchema(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server
		schema string
	}{{postgres, "public"}, {mariadb, "test"}, {sqlite, "main"}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := test.open(t)
			table := test.schema + "." + test.table(t, db, "schema")
			for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
				store := test.store(t, db, dedupe.SQLConfig{Table: table, Mode: mode})
				id := newID()
				mustConfirm(t, mustClaim(t, store, id))
				wantClaimError(t, store, id, dedupe.ErrDone)
			}
		})
	}
}

func TestSQLPrune(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			table := server.table(t, db, "prune")
			store := server.store(t, db, dedupe.SQLConfig{Table: table})
			age := func(id dedupe.ID, column string, by time.Duration) {
				server.exec(t, db, "UPDATE "+table+" SET "+column+" = "+column+" - ? WHERE id = ?", by.Microseconds(), id.Key[:])
			}
			const day = 24 * time.Hour

			oldDone, youngDone := newID(), newID()
			mustConfirm(t, mustClaim(t, store, oldDone))
			mustConfirm(t, mustClaim(t, store, youngDone))
			age(oldDone, "done_at", 31*day)
			age(youngDone, "done_at", 29*day)
			age(youngDone, "lease_until", 60*day) // which says nothing once it is done

			abandoned, late := newID(), newID()
			lost := mustClaim(t, store, abandoned)
			age(abandoned, "lease_until", 31*day)
			lateClaim := mustClaim(t, store, late)
			age(late, "lease_until", 29*day)

			n, err := store.Prune(t.Context(), 30*day)
			if err != nil || n != 2 {
				t.Fatalf("Prune: %d, %v; want 2", n, err)
			}
			wantClaimError(t, store, youngDone, dedupe.ErrDone)
			mustConfirm(t, lateClaim)
			if err := lost.Confirm(t.Context()); !errors.Is(err, dedupe.ErrLost) {
				t.Errorf("Confirm of a pruned claim: %v, want ErrLost", err)
			}
			mustConfirm(t, mustClaim(t, store, oldDone)) // as documented: forgotten

			// More than one batch.
			var rows []string
			for i := range 2500 {
				literal := fmt.Sprintf("x'%064x', x'%064x', x'%032x'", i, 0, 0)
				if server.dialect == dedupe.PostgreSQL {
					literal = strings.ReplaceAll(literal, "x'", `'\x`)
				}
				rows = append(rows, fmt.Sprintf("(%s, 0, 1)", literal))
			}
			server.exec(t, db, "INSERT INTO "+table+" (id, mark, token, lease_until, done_at) VALUES "+strings.Join(rows, ", "))
			if n, err := store.Prune(t.Context(), 30*day); err != nil || n != 2500 {
				t.Fatalf("Prune: %d, %v; want 2500", n, err)
			}
			if n, err := store.Prune(t.Context(), 30*day); err != nil || n != 0 {
				t.Fatalf("Prune: %d, %v; want 0", n, err)
			}
			if _, err := store.Prune(t.Context(), -1); err == nil {
				t.Error("Prune with a negative age succeeded")
			}
		})
	}
}

// The index that the schema's comment names serves Prune.
func TestPostgreSQLPruneUsesIndex(t *testing.T) {
	t.Parallel()
	s := postgres
	db := s.open(t)
	table := s.table(t, db, "plan")
	s.store(t, db, dedupe.SQLConfig{Table: table})
	s.exec(t, db, "CREATE INDEX ON "+table+" (done_at)")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer conn.ExecContext(context.Background(), "RESET enable_seqscan")
	if _, err := conn.ExecContext(t.Context(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.QueryContext(t.Context(), "EXPLAIN SELECT id FROM "+table+" WHERE done_at < (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) - 5 LIMIT 1000")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if !strings.Contains(plan.String(), "Index Cond: (done_at <") {
		t.Errorf("no index is used:\n%s", &plan)
	}
}

// A text column under MariaDB's default collation would merge these.
func TestSQLComparesBytes(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			t.Run(fmt.Sprint(server.name, mode), func(t *testing.T) {
				t.Parallel()
				store := server.store(t, server.open(t), dedupe.SQLConfig{Mode: mode})
				for _, text := range []string{
					strings.Repeat("a", 32), strings.Repeat("A", 32),
					strings.Repeat("e", 30) + "\u00e9", strings.Repeat("e", 30) + "\u00c9",
					strings.Repeat("a", 31) + " ", strings.Repeat("a", 31) + "\x00",
					strings.Repeat(" ", 32), strings.Repeat("\x00", 32), strings.Repeat("\xff", 32),
				} {
					id := dedupe.ID{Key: [32]byte([]byte(text)), Mark: [32]byte([]byte(text))}
					mustConfirm(t, mustClaim(t, store, id))
					wantClaimError(t, store, id, dedupe.ErrDone)
				}
				id := dedupe.ID{Key: [32]byte(bytes.Repeat([]byte("a"), 32)), Mark: [32]byte(bytes.Repeat([]byte("A"), 32))}
				wantClaimError(t, store, id, dedupe.ErrConflict)
			})
		}
	}
}

func TestSQLTokens(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			table := server.table(t, db, "tokens")
			store := server.store(t, db, dedupe.SQLConfig{Table: table, Random: strings.NewReader("0123456789abcdefXYZ")})
			id := newID()
			claimed := mustClaim(t, store, id)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
				if got := fmt.Sprintf(verb, claimed); got != "dedupe.Claim("+id.String()+")" {
					t.Errorf("%s of a claim: %q", verb, got)
				}
			}
			var token []byte
			if err := db.QueryRowContext(t.Context(), "SELECT token FROM "+table).Scan(&token); err != nil {
				t.Fatal(err)
			}
			if string(token) != "0123456789abcdef" {
				t.Errorf("token %q", token)
			}
			if _, err := store.Claim(t.Context(), newID(), lease); err == nil {
				t.Error("Claim succeeded without 16 random bytes")
			}
		})
	}
}

// The lease's end is by the database's clock, in microseconds, whatever the
// session's time zone.
func TestSQLClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server
		params string
	}{
		{postgres, "timezone=Asia/Kolkata"},
		{mariadb, "time_zone=%27%2B05%3A30%27"},
		{sqlite, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := test.openWith(t, test.params)
			table := test.table(t, db, "clock")
			store := test.store(t, db, dedupe.SQLConfig{Table: table})
			before := time.Now()
			mustConfirm(t, mustClaim(t, store, newID()))
			after := time.Now()
			var until, done int64
			if err := db.QueryRowContext(t.Context(), "SELECT lease_until, done_at FROM "+table).Scan(&until, &done); err != nil {
				t.Fatal(err)
			}
			const slack = 5 * time.Second // servers elsewhere
			for _, at := range []time.Time{time.UnixMicro(until).Add(-lease), time.UnixMicro(done)} {
				if at.Before(before.Add(-slack)) || at.After(after.Add(slack)) {
					t.Errorf("the database's clock says %v, ours %v", at, after)
				}
			}
		})
	}
}

// A late owner's confirmation and a takeover at the same moment: one of them
// wins, at every isolation level of the session.
func TestSQLLateOwnerRace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server
		params string
	}{
		{postgres, "default_transaction_isolation=read%20committed"},
		{postgres, "default_transaction_isolation=repeatable%20read"},
		{postgres, "default_transaction_isolation=serializable"},
		{mariadb, "tx_isolation=%27READ-COMMITTED%27"},
		{mariadb, "tx_isolation=%27REPEATABLE-READ%27"},
		{mariadb, "tx_isolation=%27SERIALIZABLE%27"},
		{sqlite, "_pragma=journal_mode(WAL)"},
	} {
		t.Run(test.name+"/"+test.params, func(t *testing.T) {
			t.Parallel()
			db := test.openWith(t, test.params)
			table := test.table(t, db, "race")
			store := test.store(t, db, dedupe.SQLConfig{Table: table})
			var late, heirs int
			for range 100 {
				id := newID()
				owner := mustClaim(t, store, id)
				test.expire(t, db, table, id)
				var ownerErr, heirErr error
				var heir dedupe.Claim
				var wg sync.WaitGroup
				wg.Go(func() { ownerErr = owner.Confirm(t.Context()) })
				wg.Go(func() { heir, heirErr = store.Claim(t.Context(), id, lease) })
				wg.Wait()
				switch {
				case ownerErr == nil && errors.Is(heirErr, dedupe.ErrDone):
					late++
				case errors.Is(ownerErr, dedupe.ErrLost) && heirErr == nil:
					heirs++
					mustConfirm(t, heir)
				default:
					t.Fatalf("owner: %v, heir: %v", ownerErr, heirErr)
				}
			}
			t.Logf("the late owner was first %d times, the heir %d times", late, heirs)
		})
	}
}

// An id that a late owner confirms between an heir's look and its taking the row
// is done, though its lease has run out.
func TestSQLConfirmedWhileTakingOver(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			t.Run(fmt.Sprint(server.name, mode), func(t *testing.T) {
				t.Parallel()
				db := server.open(t)
				table := server.table(t, db, "between")
				owners := server.store(t, db, dedupe.SQLConfig{Table: table})
				heirs := server.store(t, db, dedupe.SQLConfig{Table: table, Mode: mode, LockTimeout: 20 * time.Second})
				id := newID()
				owner := mustClaim(t, owners, id)
				server.expire(t, db, table, id)

				tx, err := db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback()
				confirmed, err := tx.ExecContext(t.Context(), server.bind("UPDATE "+table+" SET done_at = 1 WHERE id = ?"), id.Key[:])
				if err != nil {
					t.Fatal(err)
				}
				if n, err := confirmed.RowsAffected(); err != nil || n != 1 {
					t.Fatal(n, err)
				}
				claimed := make(chan error, 1)
				go func() {
					_, err := heirs.Claim(t.Context(), id, lease)
					claimed <- err
				}()
				select {
				case err := <-claimed:
					t.Fatalf("the heir did not wait: %v", err)
				case <-time.After(300 * time.Millisecond):
				}
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				if err := <-claimed; !errors.Is(err, dedupe.ErrDone) {
					t.Fatalf("Claim: %v, want ErrDone", err)
				}
				mustConfirm(t, owner) // again, and it is still the owner's
			})
		}
	}
}

// SQLite refuses a commit while another connection reads, and keeps the transaction open.
// No later claim may find itself in it.
func TestSQLiteCommitRefused(t *testing.T) {
	t.Parallel()
	s := sqlite
	db := s.openWith(t, "_pragma=journal_mode(DELETE)")
	db.SetMaxOpenConns(2)
	store := s.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional, Timeout: 300 * time.Millisecond})
	work := s.workTable(t, db)
	s.exec(t, db, "INSERT INTO "+work.name+" (name) VALUES ('a'), ('b')")

	id := newID()
	c := mustClaim(t, store, id)
	if err := work.write(c.(dedupe.Contexter).Context(t.Context()), "lost"); err != nil {
		t.Fatal(err)
	}
	reader, err := db.QueryContext(t.Context(), "SELECT name FROM "+work.name)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	reader.Next()
	if err := c.Confirm(t.Context()); err == nil || errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("Confirm while another connection reads: %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	// On a busy machine the commit may outlast Confirm, and succeed.
	err = c.Confirm(t.Context())
	if err != nil && !errors.Is(err, dedupe.ErrLost) {
		t.Fatalf("Confirm again: %v, want ErrLost", err)
	}
	if kept := work.written(t, "lost"); kept != (err == nil) {
		t.Errorf("Confirm says %v, and the work is kept: %t", err, kept)
	}
	if err != nil {
		mustConfirm(t, mustClaim(t, store, id))
	}
	wantClaimError(t, store, id, dedupe.ErrDone)
	for range 2 { // each connection of the pool, held at a time
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, query := range []string{"BEGIN IMMEDIATE", "ROLLBACK"} {
			if _, err := conn.ExecContext(t.Context(), query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
	}
}

// A database that goes away in the middle is an error at each step, and what was
// not confirmed is claimed again when it is back.
func TestSQLOutageInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			t.Run(fmt.Sprint(server.name, mode), func(t *testing.T) {
				t.Parallel()
				path := ""
				if server.dialect == dedupe.SQLite {
					path = "file:" + t.TempDir() + "/outage.db"
				} else {
					server.open(t) // or skip
					path = server.address(t)
				}
				first, second := server.openDSN(t, path), server.openDSN(t, path)
				table := server.table(t, second, "outage")
				cfg := dedupe.SQLConfig{Table: table, Mode: mode, Timeout: time.Minute, LockTimeout: 20 * time.Second}
				store := server.store(t, first, cfg)
				id := newID()
				c := mustClaim(t, store, id)
				first.Close()
				if mode == dedupe.Lease {
					if err := c.Confirm(t.Context()); err == nil || errors.Is(err, dedupe.ErrLost) {
						t.Fatalf("Confirm without a database: %v", err)
					}
					if err := c.Release(t.Context()); err == nil || errors.Is(err, dedupe.ErrLost) {
						t.Fatalf("Release without a database: %v", err)
					}
					server.expire(t, second, table, id)
				} else {
					c.Release(t.Context()) // a transaction in use outlives Close
				}
				if _, err := store.Claim(t.Context(), id, lease); err == nil || errors.Is(err, dedupe.ErrDone) || errors.Is(err, dedupe.ErrInFlight) {
					t.Fatalf("Claim without a database: %v", err)
				}
				if err := store.Ping(t.Context()); err == nil {
					t.Fatal("Ping without a database succeeded")
				}
				store = server.store(t, second, cfg)
				mustConfirm(t, mustClaim(t, store, id))
				wantClaimError(t, store, id, dedupe.ErrDone)
			})
		}
	}
}

func BenchmarkStores(b *testing.B) {
	for _, server := range servers {
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			name := server.name + "/lease"
			if mode == dedupe.Transactional {
				name = server.name + "/transactional"
			}
			b.Run(name, func(b *testing.B) {
				db := server.open(b)
				benchmarkStore(b, server.store(b, db, dedupe.SQLConfig{Mode: mode, LockTimeout: 10 * time.Second}))
			})
		}
	}
	b.Run("Redis", func(b *testing.B) {
		client, prefix := redisClient(b)
		benchmarkStore(b, redisStore(b, client, redisstore.Config{Prefix: prefix}))
	})
	b.Run("Memory", func(b *testing.B) {
		benchmarkStore(b, dedupe.NewMemory(dedupe.MemoryConfig{}))
	})
}

// benchmarkStore measures a claim and its confirmation, and the refusal of a
// delivery that was handled.
func benchmarkStore(b *testing.B, store dedupe.Store) {
	ctx := context.Background()
	claimAndConfirm := func() error {
		c, err := store.Claim(ctx, newID(), lease)
		if err != nil {
			return err
		}
		return c.Confirm(ctx)
	}
	b.Run("claim+confirm", func(b *testing.B) {
		for b.Loop() {
			if err := claimAndConfirm(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("claim+confirm by 8", func(b *testing.B) {
		var failed atomic.Pointer[error]
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				// SQLite has one writer: who does not get the lock comes again.
				err := claimAndConfirm()
				for errors.Is(err, dedupe.ErrInFlight) {
					err = claimAndConfirm()
				}
				if err != nil {
					failed.Store(&err)
					return
				}
			}
		})
		if err := failed.Load(); err != nil {
			b.Fatal(*err)
		}
	})
	b.Run("done", func(b *testing.B) {
		id := newID()
		mustConfirm(b, mustClaim(b, store, id))
		for b.Loop() {
			if _, err := store.Claim(ctx, id, lease); !errors.Is(err, dedupe.ErrDone) {
				b.Fatal(err)
			}
		}
	})
}
