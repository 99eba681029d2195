package crosstest

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/journal"
	"github.com/ottpaykit/ottpay/middleware"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// stores go down, with a password in their addresses.
func (w *watch) stores(t *testing.T) {
	ok := func(context.Context, *api.Notification) error { return nil }
	try := func(store dedupe.Store, kept middleware.Journal) {
		cfg := w.hookConfig(store)
		cfg.Journal = kept
		webhook, err := newHook(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			w.post(t, middleware.Handle(webhook, ok), "POST", w.seal(t, w.key, "SUCCESS", w.notification(t)))
		}
		w.value("store", store)
		w.value("webhook", webhook)
	}
	for driver, dsn := range map[string]struct {
		dialect dedupe.Dialect
		dsn     string
	}{
		"pgx":   {dedupe.PostgreSQL, "postgres://shop:" + canary + "@127.0.0.1:1/shop?sslmode=disable&connect_timeout=1"},
		"mysql": {dedupe.MySQL, "shop:" + canary + "@tcp(127.0.0.1:1)/shop?timeout=1s"},
	} {
		db, err := sql.Open(driver, dsn.dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			store := newSQL(t, db, dedupe.SQLConfig{Dialect: dsn.dialect, Mode: mode})
			w.failure("Ping", store.Ping(t.Context()))
			w.failure("Migrate", store.Migrate(t.Context()))
			try(store, nil)
		}
		kept, err := journal.NewSQL(db, journal.SQLConfig{Dialect: dsn.dialect})
		if err != nil {
			t.Fatal(err)
		}
		try(dedupe.NewMemory(dedupe.MemoryConfig{}), kept)
		w.value("journal", kept)
	}
	// A driver without a connector of its own leaves the address in the pool.
	pool, err := sql.Open("sqlite", "file:/nowhere/at/all.db?mode=rw&key="+canary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	kept, err := journal.NewSQL(pool, journal.SQLConfig{Dialect: dedupe.SQLite})
	if err != nil {
		t.Fatal(err)
	}
	w.value("store", newSQL(t, pool, dedupe.SQLConfig{Dialect: dedupe.SQLite}))
	w.value("journal", kept)

	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Username: canary, Password: canary, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	try(redisStore(t, client, redisstore.Config{}), nil)

	for _, shelf := range shelves {
		t.Run(shelf.name, func(t *testing.T) { try(shelf.make(t), nil) })
	}
	for _, server := range servers {
		t.Run(server.name+" journal", func(t *testing.T) {
			kept, _ := server.journal(t, server.open(t), journal.SQLConfig{})
			try(dedupe.NewMemory(dedupe.MemoryConfig{}), kept)
			for entry, err := range kept.All(t.Context(), time.Time{}, time.Time{}) {
				w.failure("All", err)
				w.value("Entry", entry)
			}
		})
	}
}
