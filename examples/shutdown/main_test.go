package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/examples/internal/postgres"
)

func TestRun(t *testing.T) {
	t.Parallel()
	if err := postgres.Ping(t.Context(), postgres.Address()); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, postgres.Address(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const want = `1. Ready, and not
   GET /readyz: 200
   the store does not answer: 503, and /healthz 200; it answers again: 200
   the limiter has no room for another payment: 503; it has again: 200
   the callback of QUICK: 200

2. SIGTERM while a handler is at work, which finishes
   GET /readyz: 503, first of all; who still comes is served: 200
   the balancer has noticed; the callback of LATE, a newcomer: 503, send again later
   the handler of SLOW finished: 200; then the server closed

3. SIGTERM while a handler is at work, which does not end
   the next process; LATE comes again and is handled: 200
   the handler of STUCK was given up: its context ended, its work was undone, 503
   the next process; STUCK comes again, its claim was given back, and is handled: 200
   each order was booked once

All of it happened.
`
	if out.String() != want {
		t.Errorf("said\n%s", &out)
	}
}

// Without a server it ends soon, and says what to do.
func TestNoServer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), "postgres://postgres@127.0.0.1:1/test?sslmode=disable", &out)
	if err == nil || !strings.Contains(err.Error(), "no PostgreSQL server answers") || !strings.Contains(err.Error(), "OTTPAY_TEST_POSTGRES") {
		t.Errorf("said %v", err)
	}
}
