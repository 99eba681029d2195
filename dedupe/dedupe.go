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

// ID is the identity of an event that happens once, such as "order X of merchant
// M was paid". It is comparable. It holds digests only, so that it may be stored
// and logged.
type ID struct {
	// Key is the identity. Two deliveries with one Key are the same event.
	Key [32]byte

	// Mark is a digest of what was said about the event, such as its amount. It is
	// not part of the identity. If a confirmed Key comes again with another Mark,
	// that is [ErrConflict]. The zero Mark conflicts with nothing.
	Mark [32]byte
}

// Identify returns the identity of an event of an order, as docs/protocol.md 8.2
// defines it. merchant is the one whose sign key opened the envelope. kind is
// "paid", "authorised" or another lower-case status. said is what was said about
// the event: the amount's canonical text and the acquirer's order id, in this order.
// If said is empty, or one of its strings is, Mark is zero and conflicts with
// nothing. See docs/inbound.md, "Identity".
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

// Conflicts reports whether the Mark of id differs from mark, the one that was
// kept when the event was confirmed. A zero Mark on either side conflicts with
// nothing. It is for implementations of [Store].
func (id ID) Conflicts(mark [32]byte) bool {
	return id.Mark != [32]byte{} && mark != [32]byte{} && id.Mark != mark
}

// String returns the Key in hexadecimal, shortened: enough to find a row.
func (id ID) String() string { return fmt.Sprintf("%x", id.Key[:8]) }

var (
	// ErrDone says that the ID was confirmed before. Its work is kept: acknowledge
	// the delivery and do not handle it.
	ErrDone = errors.New("dedupe: done before")

	// ErrConflict is an [ErrDone] whose kept Mark differs: the same event was
	// reported with another content. Acknowledge it and raise an alarm, since the
	// payer may have paid twice. errors.Is(ErrConflict, ErrDone) is true.
	ErrConflict = fmt.Errorf("%w, with another mark", ErrDone)

	// ErrInFlight says that another claim holds the ID now. The delivery must come
	// again later.
	ErrInFlight = errors.New("dedupe: in flight")

	// ErrLost says that a claim is not held any more: it was taken over after its
	// lease ran out, or it was released, or its transaction has ended. Do not
	// acknowledge. In [Transactional] mode the handler's writes are undone, or, if
	// the answer to a commit was lost, the next Claim finds them.
	ErrLost = errors.New("dedupe: claim lost")
)

// Store gives out claims. Implementations are safe for concurrent use. All stores
// that share their data (replicas of a service on one database) give out at most
// one claim per ID at a time.
//
// A store may also be a [Looker], and say its mode: see [ModeOf].
type Store interface {
	// Claim takes the ID for the length of the lease, which must be positive. It
	// returns [ErrDone] or [ErrConflict] if the ID was confirmed before, and
	// [ErrInFlight] if another claim holds it and its lease has not run out. Any
	// other error is an outage: do not acknowledge. The ID is then free, or its
	// claim ends with the lease.
	//
	// Claim says [ErrDone] and [ErrConflict] only of what is as durable as the store
	// can make it.
	//
	// A store keeps the Mark of the claim that was confirmed; if that was zero, it
	// keeps the first other Mark that is presented later.
	Claim(ctx context.Context, id ID, lease time.Duration) (Claim, error)
}

// Claim is the right to handle an ID. It is for one goroutine at a time. End it
// by Confirm or Release; otherwise it ends with its lease.
//
// A claim whose lease ran out may still be confirmed as long as no other claim
// has taken the ID, if the store can tell.
type Claim interface {
	// Confirm makes the ID done. Acknowledge a delivery only after a nil. Confirm
	// may be repeated, after an error and after success. It returns an error that
	// matches [ErrLost] if the claim is not held any more. After any other error it
	// is unknown whether the ID is done.
	Confirm(ctx context.Context) error

	// Release gives the ID back, so that the next delivery is handled. If the claim
	// is not held any more, or was confirmed, it changes nothing and returns an
	// error that matches [ErrLost].
	Release(ctx context.Context) error
}

// Contexter is implemented by claims that provide something to the handler, such
// as the transaction of [Transactional] mode. Code that runs a handler under a
// claim passes it claim.Context(ctx) instead of ctx; [Do] does.
type Contexter interface {
	// Context returns ctx with what the claim provides.
	Context(ctx context.Context) context.Context
}

// errLease says that a lease was zero or negative: a mistake of the caller.
var errLease = errors.New("dedupe: lease is not positive")
