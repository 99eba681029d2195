package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	t.Parallel()
	const env = "OTTPAY_TEST_POSTGRES"
	dsn := cmp.Or(os.Getenv(env), "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")
	if err := ping(t.Context(), dsn); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("no PostgreSQL server answers: %v; start one, or set %s", err, env)
	}
	var out bytes.Buffer
	if err := run(t.Context(), dsn, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const want = "the payer was faster than the shop wrote its order down: 503, send again later\n" +
		"the gateway sent it twenty times at once: bookings 1, paid true\n"
	if out.String() != want {
		t.Errorf("said\n%s", &out)
	}
}

func ping(ctx context.Context, dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// A shop's code stays short: 42 lines, imports and all.
func TestShort(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("shop.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(code), "\n"); lines > 42 {
		t.Errorf("shop.go has %d lines", lines)
	}
}
