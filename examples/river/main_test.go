package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	t.Parallel()
	if err := ping(t.Context(), address()); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("no PostgreSQL server answers: %v; start one, or set OTTPAY_TEST_POSTGRES", err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), address(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const want = "the handler fails after it inserted the job: 503, 0 jobs\n" +
		"one of another amount is not handled: 503, 0 jobs\n" +
		"it comes again and is handled: 200, 1 jobs\n" +
		"and again: 200, 1 jobs\n" +
		"the worker shipped RIVERORDER1\n"
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
