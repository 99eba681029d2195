package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestRun(t *testing.T) {
	t.Parallel()
	conn, err := nats.Connect(natsURL())
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("no NATS server answers: %v; start one, or set OTTPAY_TEST_NATS", err)
	}
	if err == nil {
		conn.Close()
	}
	var out bytes.Buffer
	if err := run(t.Context(), natsURL(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const want = `ORDER1: the gateway sent it twice and was answered [200 200]
ORDER2: the gateway sent it twice and was answered [200 200]
ORDER3: the gateway sent it twice and was answered [200 200]
the stream holds 3 messages
ORDER1: the workers failed 1 times and booked it 1 times
ORDER2: the workers failed 1 times and booked it 1 times
ORDER3: the workers failed 1 times and booked it 1 times
`
	if out.String() != want {
		t.Errorf("said\n%s", &out)
	}
}
