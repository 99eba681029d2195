package dedupe_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// The digests were computed by another implementation. They are kept in
// databases, so that they must never change.
func TestIdentifyIsFixed(t *testing.T) {
	t.Parallel()
	id := dedupe.Identify("TS00000001", "A-1", "paid", "1000", "AL1")
	if got, want := fmt.Sprintf("%x", id.Key), "ab00a3d3ef125f36502ade519140d9ba4b7b9dab4d6647ef6df28440d22f8f12"; got != want {
		t.Errorf("Key %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%x", id.Mark), "e0ded28afafdd9f25761ef57acdbe0f6d624ca8058f477a45444d5f08978ee54"; got != want {
		t.Errorf("Mark %s, want %s", got, want)
	}
}

func TestIdentifyHasBoundaries(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte][3]string{}
	for _, e := range [][3]string{
		{"ab", "c", ""}, {"a", "bc", ""}, {"", "abc", ""}, {"", "", "abc"}, {"a", "b", "c"},
		{"A", "b", "c"}, {"a", "B", "c"}, {"a", "b", "C"}, {"", "", ""}, {"\x00", "", ""}, {"", "\x00", ""},
	} {
		key := dedupe.Identify(e[0], e[1], e[2]).Key
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q are one", e, other)
		}
		seen[key] = e
	}

	one := dedupe.Identify("M", "O", "paid", "1", "0AL1")
	two := dedupe.Identify("M", "O", "paid", "10", "AL1")
	if one.Key != two.Key {
		t.Error("what was said takes part in the identity")
	}
	if one.Mark == two.Mark {
		t.Error("marks have no boundaries")
	}
}

func TestIdentifyOfHalfAStatement(t *testing.T) {
	t.Parallel()
	whole := dedupe.Identify("M", "O", "paid", "1", "AL1")
	for _, said := range [][]string{nil, {}, {""}, {"1", ""}, {"", "AL1"}, {"", ""}} {
		id := dedupe.Identify("M", "O", "paid", said...)
		if id.Key != whole.Key {
			t.Errorf("%q: another Key", said)
		}
		if id.Mark != [32]byte{} {
			t.Errorf("%q: Mark is not zero", said)
		}
		if id.Conflicts(whole.Mark) || whole.Conflicts(id.Mark) {
			t.Errorf("%q conflicts with a whole statement", said)
		}
	}
	if !whole.Conflicts(dedupe.Identify("M", "O", "paid", "2", "AL1").Mark) {
		t.Error("another amount does not conflict")
	}
	if whole.Conflicts(whole.Mark) {
		t.Error("an id conflicts with itself")
	}
}

// One thing said is enough for a mark.
func TestIdentifyOfOneThingSaid(t *testing.T) {
	t.Parallel()
	one, two := dedupe.Identify("M", "O", "paid", "1"), dedupe.Identify("M", "O", "paid", "2")
	if one.Key != two.Key || !one.Conflicts(two.Mark) {
		t.Error("two amounts of one payment do not conflict")
	}
}

// What is logged of an ID finds its row.
func TestIDString(t *testing.T) {
	t.Parallel()
	id := dedupe.Identify("TS00000001", "A-1", "paid", "1000", "AL1")
	if got, want := id.String(), "ab00a3d3ef125f36"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestConflictIsDone(t *testing.T) {
	t.Parallel()
	if !errors.Is(dedupe.ErrConflict, dedupe.ErrDone) {
		t.Error("ErrConflict does not match ErrDone")
	}
	if errors.Is(dedupe.ErrDone, dedupe.ErrConflict) {
		t.Error("ErrDone matches ErrConflict")
	}
}

func Example() {
	ctx := context.Background()
	store := dedupe.NewMemory(dedupe.MemoryConfig{})

	deliver := func(amount string) {
		id := dedupe.Identify("TS00000001", "order-1", "paid", amount, "AL1")
		claim, err := store.Claim(ctx, id, 30*time.Second)
		switch {
		case errors.Is(err, dedupe.ErrConflict):
			fmt.Println("acknowledge, and look into it: paid twice?")
		case errors.Is(err, dedupe.ErrDone):
			fmt.Println("acknowledge: done before")
		case err != nil:
			fmt.Println("send it again later:", err)
		default:
			fmt.Println("work, confirm, acknowledge:", claim.Confirm(ctx) == nil)
		}
	}
	deliver("1000")
	deliver("1000")
	deliver("2000")
	// Output:
	// work, confirm, acknowledge: true
	// acknowledge: done before
	// acknowledge, and look into it: paid twice?
}
