package main

import (
	"bytes"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const want = "a payment: the gateway was answered [200], booked 1\n" +
		"the shop's stock is away once: the gateway was answered [503 200], booked 1\n" +
		"the shop has a bug once: the gateway was answered [503 200], booked 1\n" +
		"the payer pays less than the order: the gateway was answered [503 503 503 503], booked 0\n" +
		"it comes again: 200, booked 1\n" +
		"a stranger forges one: 401\n"
	if out.String() != want {
		t.Errorf("said\n%s", &out)
	}
}
