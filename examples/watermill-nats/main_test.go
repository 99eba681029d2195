package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	ottpaywatermill "github.com/ottpaykit/ottpay/adapters/watermill"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
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

func TestBook(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind   string
		amount field.Cents
		failed bool
		booked int
	}{
		{"paid", price, false, 1},
		{"paid", 1, true, 0},
		{"authorised", price, false, 0},
		{"", price, false, 0},
	} {
		l := newLedger(price)
		l.tries["ORDER1"] = 1 // the first try fails anyway
		m := message.NewMessage("1", nil)
		m.Metadata.Set(ottpaywatermill.MetadataKind, tt.kind)
		err := l.book(m, &api.Notification{OrderID: "ORDER1", Amount: tt.amount})
		if _, booked := l.of("ORDER1"); booked != tt.booked || (err != nil) != tt.failed {
			t.Errorf("%q of %d: booked %d times, %v", tt.kind, tt.amount, booked, err)
		}
	}
}
