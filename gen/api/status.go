package api

import (
	"strings"
	"unicode"
)

// OrderStatus is the state of an order, as the gateway wrote it.
//
// It is an open set. Only the status in a verified payload means anything; the
// text of a browser's redirect means nothing. Its methods are the only judge of
// what a status means: do not compare its text. They disregard the case of
// ASCII letters, and blanks, control and invisible characters around the text.
// An unknown status is none of paid, held, refunded, closed and final: ask the
// gateway again.
type OrderStatus string

// statusEntry is what the document says of a status.
type statusEntry struct {
	name OrderStatus
	same OrderStatus // the status of which name is another spelling, or ""

	paid     bool // money was taken and nothing was returned
	held     bool // money is set aside and not taken
	returned bool // money was taken, and part or all of it was returned
	final    bool // it cannot change any more
}

// Statuses returns the known statuses, sorted by name. The caller owns the slice.
func Statuses() []OrderStatus {
	all := make([]OrderStatus, len(statuses))
	for i := range statuses {
		all[i] = statuses[i].name
	}
	return all
}

// Normal returns the status in the one spelling that is compared: lower case,
// nothing around it, and one name where the vendor has several, such as
// orderclosed for ORDERCLOSE. An unknown status keeps its name. The result is ""
// if and only if s holds no visible character.
func (s OrderStatus) Normal() OrderStatus {
	e := s.entry()
	if e.same != "" {
		return e.same
	}
	return e.name
}

// Is reports whether s and other are spellings of the same status.
func (s OrderStatus) Is(other OrderStatus) bool { return s.Normal() == other.Normal() }

// Known reports whether the document names the status.
func (s OrderStatus) Known() bool {
	name := s.entry().name
	for i := range statuses {
		if statuses[i].name == name {
			return true
		}
	}
	return false
}

// Paid reports whether the order is paid, and nothing of it was returned as far
// as the status says. An amount returned that stands beside the status may say
// more: see middleware.Answer.
func (s OrderStatus) Paid() bool { return s.entry().paid }

// Held reports whether the payer's money is set aside and not known to be
// taken: a pre-authorisation. It is no payment.
func (s OrderStatus) Held() bool { return s.entry().held }

// Refunded reports whether the order was paid, and part or all of it was
// returned. All of it was if the status is also [OrderStatus.Final].
func (s OrderStatus) Refunded() bool { return s.entry().returned }

// Closed reports whether there is no payment and there will be none: the order
// failed, expired, or was closed, cancelled or reversed.
func (s OrderStatus) Closed() bool {
	e := s.entry()
	return e.final && !e.returned
}

// Final reports whether the status cannot change any more. That of a paid order
// can, because it may be refunded.
func (s OrderStatus) Final() bool { return s.entry().final }

// Kind returns the word under which a notification of this status is handled
// once. All statuses that are paid share the kind [KindPaid], so that a payment
// is the same one whichever word reports it; every other status is a kind of
// its own, under its [OrderStatus.Normal] spelling, such as "authorised". No
// status that is not paid has the kind KindPaid, not even an unknown one of
// that name.
func (s OrderStatus) Kind() string {
	e := s.entry()
	switch {
	case e.paid:
		return KindPaid
	case e.name == KindPaid:
		return "unknown"
	}
	return string(s.Normal())
}

// KindPaid is the [OrderStatus.Kind] of all statuses that are paid.
const KindPaid = "paid"

// entry returns what the document says of the status, and of an unknown one its
// trimmed lower-case name alone.
func (s OrderStatus) entry() statusEntry {
	for i := range statuses { // as the gateway spells it, nearly always
		if statuses[i].name == s {
			return statuses[i]
		}
	}
	s = OrderStatus(swapCase(strings.TrimFunc(string(s), around), 'A', 'Z'))
	for i := range statuses {
		if statuses[i].name == s {
			return statuses[i]
		}
	}
	return statusEntry{name: s}
}

// around reports whether r is nothing that a reader of the status would see:
// white space, a control character, or an invisible one such as U+FEFF.
func around(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
