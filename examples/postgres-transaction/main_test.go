package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/examples/internal/postgres"
)

func TestRun(t *testing.T) {
	t.Parallel()
	dsn := postgres.Address()
	if err := postgres.Ping(t.Context(), dsn); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
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
