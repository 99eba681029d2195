package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/ottpaykit/ottpay/examples/internal/postgres"
)

func TestRun(t *testing.T) {
	t.Parallel()
	if err := postgres.Ping(t.Context(), postgres.Address()); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), postgres.Address(), &out); err != nil {
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
