package crosstest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay/crosstest/private"
	"github.com/ottpaykit/ottpay/dedupe"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// startPrivate starts a server for the test alone, which the test may kill.
func startPrivate(t *testing.T, make func(context.Context, private.Options) (*private.Server, error), o private.Options) *private.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s, err := make(ctx, o)
	if errors.Is(err, private.ErrAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	start(t, s)
	return s
}

// start starts the server and waits until it works.
func start(t *testing.T, s *private.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	ready := func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: s.Addr})
		defer client.Close()
		return client.Ping(ctx).Err()
	}
	if driver := map[string]string{"postgres": "pgx", "mariadb": "mysql"}[s.Name]; driver != "" {
		ready = func(ctx context.Context) error {
			db, err := sql.Open(driver, s.DSN)
			if err != nil {
				return err
			}
			defer db.Close()
			return db.PingContext(ctx)
		}
	}
	if err := s.Start(ctx, ready); err != nil {
		t.Fatal(err)
	}
}

func openPrivate(t *testing.T, s server, dsn string) *sql.DB {
	t.Helper()
	db := s.openDSN(t, dsn)
	db.SetMaxOpenConns(poolSize)
	return db
}

// What is said to be done is on disk: a server that is killed at that moment
// still has it when it is back. InnoDB shows a commit before it is, the more so
// the slower the disk and the more others commit.
func TestMariaDBDoneIsDurable(t *testing.T) {
	t.Parallel()
	server := startPrivate(t, private.MariaDB, private.Options{SlowSync: 40 * time.Millisecond})
	db := openPrivate(t, mariadb, server.DSN)
	for _, mode := range []dedupe.Mode{dedupe.Transactional, dedupe.Lease} {
		for round := range 2 {
			t.Run(fmt.Sprint(mode, round), func(t *testing.T) {
				doneIsDurable(t, mariadb, server, db, mode, false)
			})
		}
	}
}

// The same on PostgreSQL, whose sessions may say that commits need not be
// durable.
func TestPostgreSQLDoneIsDurable(t *testing.T) {
	t.Parallel()
	server := startPrivate(t, private.PostgreSQL, private.Options{Args: []string{"-c", "wal_writer_delay=10s"}})
	db := openPrivate(t, postgres, server.DSN+"&synchronous_commit=off")
	for _, mode := range []dedupe.Mode{dedupe.Transactional, dedupe.Lease} {
		for round := range 2 {
			t.Run(fmt.Sprint(mode, round), func(t *testing.T) {
				doneIsDurable(t, postgres, server, db, mode, true)
			})
		}
	}
}

// doneIsDurable confirms several claims, kills the server as soon as one of them
// is said to be done (by Confirm or to a duplicate, as told), and looks at all
// those of which it was said. Every second duplicate says something else.
func doneIsDurable(t *testing.T, s server, private *private.Server, db *sql.DB, mode dedupe.Mode, byConfirm bool) {
	store := newSQL(t, db, dedupe.SQLConfig{Dialect: s.dialect, Mode: mode, Timeout: 5 * time.Second})
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.exec(t, db, "CREATE TABLE IF NOT EXISTS noise (text VARCHAR(100))")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var noise sync.WaitGroup
	for range 8 { // others who commit
		noise.Go(func() {
			for ctx.Err() == nil {
				db.ExecContext(ctx, "INSERT INTO noise VALUES ('x')")
			}
		})
	}

	const n = 20
	var ids [n]dedupe.ID
	var said [n]atomic.Pointer[string]
	var killed atomic.Bool
	kill := sync.OnceFunc(func() { killed.Store(true); private.Kill() })
	say := func(i int, who string) {
		if !killed.Load() {
			said[i].Store(&who)
		}
	}
	var claims [n]dedupe.Claim
	for i := range n {
		ids[i] = newID()
		claims[i] = mustClaim(t, store, ids[i])
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if claims[i].Confirm(ctx) == nil {
				say(i, "Confirm")
				if byConfirm {
					kill()
				}
			}
		})
		all.Go(func() {
			id := ids[i]
			id.Mark[0] ^= byte(i % 2)
			for ctx.Err() == nil && !killed.Load() && !byConfirm {
				if err := store.Look(ctx, id); errors.Is(err, dedupe.ErrDone) {
					say(i, "Look")
					kill()
					return
				}
			}
		})
	}
	all.Wait()
	kill()
	cancel()
	noise.Wait()
	start(t, private)
	count := 0
	for i := range n {
		who := said[i].Load()
		if who == nil {
			continue
		}
		count++
		if err := store.Look(t.Context(), ids[i]); !errors.Is(err, dedupe.ErrDone) {
			t.Errorf("%s said done before the server was killed, and now: %v", *who, err)
		}
	}
	if count == 0 {
		t.Error("nothing was said to be done")
	}
}

// SQLite's commits are synced, whatever the connection's settings are, and the
// settings come back.
func TestSQLiteDoneIsDurable(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]string{"OFF": "0", "NORMAL": "1", "FULL": "2", "EXTRA": "3"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			db := sqlite.openWith(t, "_pragma=journal_mode(WAL)&_pragma=synchronous("+level+")")
			db.SetMaxOpenConns(1)
			store := sqlite.store(t, db, dedupe.SQLConfig{Mode: dedupe.Transactional})
			is := func(where string, q interface {
				QueryRowContext(context.Context, string, ...any) *sql.Row
			}, want string) {
				t.Helper()
				var got string
				if err := q.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&got); err != nil || got != want {
					t.Errorf("%s: synchronous is %s, %v; want %s", where, got, err, want)
				}
			}
			c := mustClaim(t, store, newID())
			is("transaction", txOf(t, c), "3")
			mustConfirm(t, c)
			is("after Confirm", db, want)
			if err := mustClaim(t, store, newID()).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			is("after Release", db, want)
		})
	}
}

// The database restarts between the end of the work and its confirmation. The
// confirmation is repeated until the server is back, and the work is not.
func TestDoSurvivesRestarts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		make  func(context.Context, private.Options) (*private.Server, error)
		store func(t *testing.T, s *private.Server) dedupe.Store
	}{
		{"PostgreSQL", private.PostgreSQL, func(t *testing.T, s *private.Server) dedupe.Store {
			return postgres.store(t, openPrivate(t, postgres, s.DSN), dedupe.SQLConfig{Table: "claims"})
		}},
		{"MariaDB", private.MariaDB, func(t *testing.T, s *private.Server) dedupe.Store {
			return mariadb.store(t, openPrivate(t, mariadb, s.DSN), dedupe.SQLConfig{Table: "claims"})
		}},
		{"Redis", private.Redis, func(t *testing.T, s *private.Server) dedupe.Store {
			client := redis.NewClient(&redis.Options{Addr: s.Addr})
			t.Cleanup(func() { client.Close() })
			store, err := redisstore.New(client, redisstore.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return store
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := private.Options{}
			if test.name == "Redis" {
				o.Args = []string{"--appendfsync", "always"}
			}
			server := startPrivate(t, test.make, o)
			store := test.store(t, server)
			for restart := range 8 {
				const n = 5
				bracket := dedupe.Bracket{ConfirmTimeout: time.Minute, Lease: 2 * time.Minute}
				var works [n]atomic.Int32
				var all, worked sync.WaitGroup
				worked.Add(n)
				down := make(chan struct{})
				ids := [n]dedupe.ID{}
				for i := range n {
					ids[i] = newID()
					all.Go(func() {
						err := dedupe.Do(t.Context(), store, ids[i], bracket, func(context.Context) error {
							works[i].Add(1)
							worked.Done()
							<-down
							return nil
						})
						if err != nil {
							t.Errorf("restart %d: %v", restart, err)
						}
					})
				}
				worked.Wait()
				server.Kill()
				close(down)
				time.Sleep(100 * time.Millisecond) // some attempts find no server
				start(t, server)
				all.Wait()
				for i := range n {
					err := dedupe.Do(t.Context(), store, ids[i], bracket, func(context.Context) error {
						works[i].Add(1)
						return nil
					})
					if !errors.Is(err, dedupe.ErrDone) || works[i].Load() != 1 {
						t.Errorf("restart %d: a duplicate: %v; the work was done %d times", restart, err, works[i].Load())
					}
				}
			}
		})
	}
}
