// Package dedupe decides which delivery of a payment is handled and which is
// not. A [Store] gives out one [Claim] per [ID] at a time, and an ID whose claim
// was confirmed is never claimed again.
//
// Most programs call [Do], which claims, runs the work, and confirms or
// releases:
//
//	err := dedupe.Do(ctx, store, id, dedupe.Bracket{}, work)
//	if err == nil || errors.Is(err, dedupe.ErrDone) {
//		// Acknowledge.
//	} // Otherwise do not: the delivery comes again.
//
// [Memory] serves one process. [SQL] serves any number of them, in one of two
// modes: [Lease] is at-least-once, and [Transactional] is exactly-once for all
// that the handler writes through the transaction that it is given. Package
// dedupetest holds the suite that every Store passes.
package dedupe

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ID is the identity of one thing that happens once, such as "order X of
// merchant M was paid". It is comparable and carries digests only, so that it
// may be stored and logged.
type ID struct {
	// Key is the identity. Two deliveries with one Key are the same event.
	Key [32]byte

	// Mark digests what was said about the event. It is no part of the identity.
	// A finished Key that comes again with another Mark is [ErrConflict]. The zero
	// Mark says nothing and is compared with nothing.
	Mark [32]byte
}

// Identify returns the identity of an event of an order, as docs/protocol.md 8.2
// defines it: Key is the SHA-256 over merchant, orderID and kind, each with its
// length in front, and Mark is the same over said: the amount's canonical text
// and the acquirer's order id, in this order. The merchant is the one whose sign
// key opened the envelope, and kind is "paid", "authorised" or another
// lower-case status.
//
// Mark is zero when said is empty or one of its strings is: a query may lack
// what a callback carries, and half a statement cannot be compared with a
// whole one.
//
// Two other ids suggest themselves and are wrong. The raw body is not the
// identity: the same payment may come re-spelled (blanks in the Base64, other
// JSON escapes, another order of members), and everybody who saw a callback can
// re-spell it at will. The md5 of the envelope is not the identity either: it
// joins values without names or separators, so that different contents have one
// digest, and a query that reports the same payment has another.
func Identify(merchant, orderID, kind string, said ...string) ID {
	id := ID{Key: digest(merchant, orderID, kind)}
	for _, s := range said {
		if s == "" {
			return id
		}
	}
	if len(said) > 0 {
		id.Mark = digest(said...)
	}
	return id
}

func digest(parts ...string) [32]byte {
	var room [256]byte // most identities fit, and need no allocation
	b := room[:0]
	for _, part := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}

// Conflicts reports whether id, whose event is finished, says something else
// than mark, which was kept when it was. A zero Mark on either side conflicts
// with nothing. It serves implementations of [Store].
func (id ID) Conflicts(mark [32]byte) bool {
	return id.Mark != [32]byte{} && mark != [32]byte{} && id.Mark != mark
}

// String returns the Key in hexadecimal, shortened: enough to find a row.
func (id ID) String() string { return fmt.Sprintf("%x", id.Key[:8]) }

var (
	// ErrDone says that the ID was confirmed before: its work is kept, so that the
	// delivery is to be acknowledged and not to be handled.
	ErrDone = errors.New("dedupe: done before")

	// ErrConflict is an [ErrDone] whose kept Mark differs: the same event was
	// reported with another content. Acknowledge it and raise an alarm, since the
	// payer may have paid twice. errors.Is(ErrConflict, ErrDone) is true.
	ErrConflict = fmt.Errorf("%w, with another mark", ErrDone)

	// ErrInFlight says that somebody else holds the ID now. The delivery is to be
	// sent again later.
	ErrInFlight = errors.New("dedupe: in flight")

	// ErrLost says that a claim is not held any more: it was taken over after its
	// lease ran out, or released, or its transaction ended. Nothing was changed,
	// and nothing may be acknowledged.
	ErrLost = errors.New("dedupe: claim lost")
)

// Store hands out claims. Implementations are safe for concurrent use, and all
// of those that share their data (replicas of a service on one database) hand
// out at most one claim per ID at a time.
type Store interface {
	// Claim takes the ID for the length of the lease, which must be positive. It
	// returns [ErrDone] or [ErrConflict] when the ID was confirmed before, and
	// [ErrInFlight] when another claim holds it and its lease has not run out. Any
	// other error is an outage: nothing is held, or what is held ends with the
	// lease, and the delivery must not be acknowledged.
	//
	// A store keeps the Mark of the claim that was confirmed; if that was zero, it
	// keeps the first other Mark that is presented later.
	Claim(ctx context.Context, id ID, lease time.Duration) (Claim, error)
}

// Claim is the right to handle an ID. It is for one goroutine at a time, and
// must be ended by Confirm or Release; otherwise it ends with its lease.
//
// A claim whose lease ran out and that nobody has taken over yet may still be
// confirmed, if the store can tell; a claim that was taken over never.
type Claim interface {
	// Confirm makes the ID done. Only after a nil may a delivery be acknowledged.
	// Confirm may be repeated, after an error or after success. It returns
	// [ErrLost] if the claim is not held any more; another error leaves open
	// whether the ID is done.
	Confirm(ctx context.Context) error

	// Release gives the ID back, so that the next delivery is handled. It returns
	// [ErrLost], and changes nothing, if the claim is not held any more, which
	// includes that it was confirmed.
	Release(ctx context.Context) error
}

// Contexter is implemented by claims that provide something to the handler, such
// as the transaction of [Transactional] mode. Code that runs a handler under a
// claim passes it claim.Context(ctx) instead of ctx; [Do] does.
type Contexter interface {
	Context(ctx context.Context) context.Context
}

// errLease says that a lease was zero or negative, which is a mistake of the
// caller.
var errLease = errors.New("dedupe: lease is not positive")
