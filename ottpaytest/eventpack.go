package ottpaytest

import (
	"encoding/binary"
	"strings"
	"time"
)

// maxWords bounds the strings that have a number.
const maxWords = 4096

// pack writes an event in few bytes: flags that say which members follow, then
// those. A string that many events have is a number there.
func (l *eventLog) pack(e Event) packedEvent {
	w := eventWriter{log: l}
	e.visit(&w)
	text := binary.AppendUvarint(make([]byte, 0, 5+len(w.text)), w.flags)
	return packedEvent{e.Seq, e.Merchant, e.Order, string(append(text, w.text...))}
}

// event is the reverse.
func (p packedEvent) event(l *eventLog) Event {
	r := eventReader{log: l, text: p.rest}
	r.flags = r.uvarint()
	e := Event{Seq: p.seq, Merchant: p.merchant, Order: p.order}
	e.visit(&r)
	return e
}

// eventCoder reads or writes the members of an event.
type eventCoder interface {
	number(*int64)
	word(*string) // that many events have
	raw(*string)
}

// visit passes each member to a coder, in an order that both share. Members
// without a value cost nothing.
func (e *Event) visit(c eventCoder) {
	visitTime(c, &e.At)
	visitWord(c, &e.Type)
	visitWord(c, &e.Action)
	c.word(&e.Code)
	visitNumber(c, &e.Amount)
	c.word(&e.Currency)
	visitWord(c, &e.From)
	visitWord(c, &e.To)
	c.word(&e.By)
	c.word(&e.Fault)
	visitNumber(c, &e.FaultID)
	lenient := strings.Join(e.Lenient, "\n")
	if c.raw(&lenient); lenient != "" {
		e.Lenient = strings.Split(lenient, "\n")
	}
	visitWord(c, &e.Kind)
	visitNumber(c, &e.Message)
	visitNumber(c, &e.Try)
	c.raw(&e.URL)
	visitNumber(c, &e.Status)
	c.number(&e.MS)
	acknowledged := int64(0)
	if e.Acknowledged {
		acknowledged = 1
	}
	c.number(&acknowledged)
	e.Acknowledged = acknowledged == 1
	c.raw(&e.Why)
	visitTime(c, &e.Due)
	visitNumber(c, &e.Advance)
	visitTime(c, &e.Clock)
}

func visitNumber[N ~int | ~int64 | ~uint64](c eventCoder, n *N) {
	v := int64(*n)
	c.number(&v)
	*n = N(v)
}

func visitWord[S ~string](c eventCoder, s *S) {
	v := string(*s)
	c.word(&v)
	*s = S(v)
}

// visitTime passes a time in milliseconds, and the zero time as no value.
func visitTime(c eventCoder, t *time.Time) {
	v := int64(0)
	if !t.IsZero() {
		v = t.UnixMilli()
	}
	if c.number(&v); v != 0 {
		*t = time.UnixMilli(v).UTC()
	}
}

type eventWriter struct {
	log   *eventLog
	flags uint64
	bit   uint
	text  []byte
}

// has notes whether the next member has a value.
func (w *eventWriter) has(value bool) bool {
	if value {
		w.flags |= 1 << w.bit
	}
	w.bit++
	return value
}

func (w *eventWriter) number(n *int64) {
	if w.has(*n != 0) {
		w.text = binary.AppendVarint(w.text, *n)
	}
}

func (w *eventWriter) raw(s *string) {
	if w.has(*s != "") {
		w.text = binary.AppendUvarint(w.text, uint64(len(*s)))
		w.text = append(w.text, *s...)
	}
}

// word writes the number of a string, or 0 and the string if it has none.
func (w *eventWriter) word(s *string) {
	if !w.has(*s != "") {
		return
	}
	n, ok := w.log.known[*s]
	if !ok && len(w.log.words) < maxWords {
		if w.log.known == nil {
			w.log.known = make(map[string]int)
		}
		kept := strings.Clone(*s)
		w.log.words = append(w.log.words, kept)
		n = len(w.log.words)
		w.log.known[kept] = n
	}
	w.text = binary.AppendUvarint(w.text, uint64(n))
	if n == 0 {
		w.text = binary.AppendUvarint(w.text, uint64(len(*s)))
		w.text = append(w.text, *s...)
	}
}

type eventReader struct {
	log   *eventLog
	flags uint64
	text  string
}

func (r *eventReader) has() bool {
	has := r.flags&1 != 0
	r.flags >>= 1
	return has
}

func (r *eventReader) uvarint() (n uint64) {
	for shift := 0; ; shift += 7 {
		c := r.text[0]
		r.text = r.text[1:]
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
}

func (r *eventReader) number(n *int64) {
	if *n = 0; r.has() {
		u := r.uvarint()
		*n = int64(u>>1) ^ -int64(u&1)
	}
}

func (r *eventReader) take(n uint64) (s string) {
	s, r.text = r.text[:n], r.text[n:]
	return s
}

func (r *eventReader) raw(s *string) {
	if *s = ""; r.has() {
		*s = r.take(r.uvarint())
	}
}

func (r *eventReader) word(s *string) {
	if *s = ""; !r.has() {
		return
	}
	n := r.uvarint()
	if n == 0 {
		*s = r.take(r.uvarint())
		return
	}
	*s = r.log.words[n-1]
}
