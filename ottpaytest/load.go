package ottpaytest

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"

	"github.com/ottpaykit/ottpay/field"
)

// ErrRecord says that what should be loaded is no record, or a newer one.
var ErrRecord = errors.New("ottpaytest: not a record")

// book is what a record holds.
type book struct {
	header
	empty    bool // there is not even a header
	shops    map[string]merchantJSON
	settings *settingsJSON
	clock    *clockJSON
	rows     map[orderKey]*rowJSON
	dels     map[orderKey][]*delivery
	messages map[uint64]*message
	attempts map[orderID]int
	faults   []faultJSON
	events   []Event
}

// maxLine bounds a line of a record: bodies of 1 MiB, escaped.
const maxLine = 16 << 20

// readBook reads a record. A last line that is torn is passed over, for what
// wrote it may have been killed.
func readBook(r io.Reader) (*book, error) {
	b := &book{
		shops: make(map[string]merchantJSON), rows: make(map[orderKey]*rowJSON), dels: make(map[orderKey][]*delivery),
		messages: make(map[uint64]*message), attempts: make(map[orderID]int),
	}
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		text, err := lines.ReadBytes('\n')
		torn := errors.Is(err, io.EOF)
		if err != nil && !torn {
			return nil, err
		}
		text = bytes.TrimSpace(text)
		switch {
		case number == 1:
			err = b.readHeader(text, torn)
		case len(text) == 0:
			err = nil
		case len(text) > maxLine:
			err = fmt.Errorf("%w: line %d is too long", ErrRecord, number)
		default:
			if err = b.readLine(text); err != nil && !torn {
				err = fmt.Errorf("%w: line %d: %v", ErrRecord, number, err)
			}
			if torn {
				err = nil
			}
		}
		if err != nil || torn {
			return b, err
		}
	}
}

// readHeader reads the first line. One that is torn, or is missing, is an empty
// book.
func (b *book) readHeader(text []byte, torn bool) error {
	const start = `{"format":"` + recordFormat + `"`
	if !bytes.HasPrefix(text, []byte(start)) {
		if b.empty = torn && bytes.HasPrefix([]byte(start), text); b.empty {
			return nil
		}
		return fmt.Errorf("%w: the first line is not that of one", ErrRecord)
	}
	if err := json.Unmarshal(text, &b.header); err != nil {
		if b.empty = torn; torn {
			return nil
		}
		return fmt.Errorf("%w: the first line is damaged", ErrRecord)
	}
	if b.Version > recordVersion {
		return fmt.Errorf("%w that this version can read: it was written by a newer one", ErrRecord)
	}
	return nil
}

func (b *book) readLine(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return errors.New("not the JSON of a line")
	}
	if l.Change != nil {
		if err := b.apply(l.Change); err != nil {
			return err
		}
	}
	if l.Type == "" {
		return nil
	}
	var e Event
	if err := e.read(l.eventJSON); err != nil {
		return err
	}
	b.events = append(b.events, e)
	b.Seq = max(b.Seq, e.Seq)
	return nil
}

// apply overwrites what has changed.
func (b *book) apply(d *delta) error {
	if d.Reset != nil {
		b.forget(*d.Reset)
	}
	for _, m := range d.Shops {
		if m.Gone {
			b.forget(m.ID)
			delete(b.shops, m.ID)
		} else {
			b.shops[m.ID] = m
		}
	}
	if d.Settings != nil {
		b.settings = d.Settings
	}
	if d.Clock != nil {
		b.clock = d.Clock
	}
	for _, r := range d.Rows {
		key := orderKey{r.MerchantID, r.ID, r.orderJSON.Checkout}
		if old := b.rows[key]; old != nil && r.Asked == nil {
			r.Asked = old.Asked
		}
		b.rows[key] = &r
	}
	for _, j := range d.Deliveries {
		del, err := j.delivery()
		if err != nil {
			return err
		}
		key := orderKey{j.Merchant, j.Order, j.Checkout}
		if i := slices.IndexFunc(b.dels[key], func(d *delivery) bool { return d.seq == del.seq }); i >= 0 {
			b.dels[key][i] = del
		} else {
			b.dels[key] = append(b.dels[key], del)
		}
	}
	for _, j := range d.Messages {
		m := b.messages[j.Seq]
		if m == nil {
			if j.Wire == nil {
				continue // it was no longer kept when the record was written
			}
			m = new(message)
			b.messages[j.Seq] = m
		}
		if err := j.into(m); err != nil {
			return err
		}
	}
	for _, a := range d.Attempts {
		b.attempts[orderID{a.Merchant, a.Order}] = a.N
	}
	if d.Faults != nil {
		b.faults = *d.Faults
	}
	return nil
}

// forget drops what belongs to a merchant, or everything.
func (b *book) forget(merchant string) {
	mine := func(id string) bool { return merchant == "" || id == merchant }
	maps.DeleteFunc(b.rows, func(k orderKey, _ *rowJSON) bool { return mine(k.merchant) })
	maps.DeleteFunc(b.dels, func(k orderKey, _ []*delivery) bool { return mine(k.merchant) })
	maps.DeleteFunc(b.messages, func(_ uint64, m *message) bool { return mine(m.merchant) })
	maps.DeleteFunc(b.attempts, func(id orderID, _ int) bool { return mine(id.merchant) })
	b.faults = slices.DeleteFunc(b.faults, func(f faultJSON) bool { return mine(f.Merchant) })
	b.events = slices.DeleteFunc(b.events, func(e Event) bool { return mine(e.Merchant) })
}

// Load puts a record in place of everything that the Gateway keeps. Merchants of
// the record that have no key here can be looked at, and cannot be used. The
// numbers of events go on after those of both. The error matches [ErrRecord].
func (g *Gateway) Load(r io.Reader) error {
	b, err := readBook(r)
	if err != nil {
		return err
	}
	g.lock()
	defer g.unlock()
	if err := g.take(b); err != nil {
		return err
	}
	g.emit(Event{Type: EventReset})
	g.log.floor = g.log.seq - 1
	if g.changes.recorded {
		g.rewritten()
	}
	return nil
}

// rewritten gives the state file the whole book anew, after a reset. g.mu is
// held.
func (g *Gateway) rewritten() {
	l := &g.log
	var all string
	events := l.after(0)
	reset := events[len(events)-1]
	l.out = append(l.out, entry{event: reset, text: line{eventJSON: reset.json(), Change: &delta{Reset: &all}}.text()})
	for _, part := range g.delta(g.everything("")).parts() {
		l.out = append(l.out, entry{text: change{part}.text()})
	}
	for _, e := range events[:len(events)-1] {
		l.out = append(l.out, entry{text: line{eventJSON: e.json()}.text()})
	}
	g.changes.clear()
	for _, e := range l.fresh { // the sinks have had them
		l.append(e)
	}
	l.fresh = nil
	select {
	case l.sink <- struct{}{}:
	default:
	}
}

// take makes a book the Gateway's own. g.mu is held.
func (g *Gateway) take(b *book) error {
	settings := g.settings
	if b.settings != nil {
		var err error
		if settings, err = b.settings.settings(); err != nil {
			return fmt.Errorf("%w: settings: %v", ErrRecord, err)
		}
	}
	rows := make([]*row, 0, len(b.rows))
	asked := make(map[*row][]byte)
	for key, j := range b.rows {
		o := j.orderJSON.order()
		for _, text := range []*string{&o.MerchantID, &o.CallbackURL, &o.RedirectURL} {
			*text = g.intern.text(*text)
		}
		r := g.row(o)
		if j.Payment != nil {
			r.own().payment = j.Payment.payment()
		}
		if len(b.dels[key]) > 0 {
			r.own().deliveries = b.dels[key]
		}
		slices.SortFunc(r.deliveries, func(a, b *delivery) int { return int(a.seq) - int(b.seq) })
		if j.Asked != nil {
			asked[r] = opened(g.keysOf(r.MerchantID), *j.Asked)
		}
		for _, e := range j.Errands {
			due, err := unstamp(e.Due)
			if err != nil {
				return fmt.Errorf("%w: %v", ErrRecord, err)
			}
			g.errandID++
			again := errand{row: r, id: g.errandID, kind: Original, says: e.Says, due: due, try: e.Try, held: e.Held}
			if e.Plain {
				again.fault.Callback = CallbackNone
			}
			more := r.own()
			more.errands = append(more.errands, again)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *row) int { return int(a.Seq) - int(b.Seq) })

	g.forget("")
	g.settings = settings
	for id, j := range b.shops {
		m := g.merchants[id]
		if m == nil {
			m = &merchant{id: id}
			g.merchants[id] = m
		}
		m.operator, m.currency, m.fee = j.Operator, j.Currency, field.Cents(j.Fee)
	}
	g.list = rows
	sort.SliceStable(b.events, func(i, j int) bool { return b.events[i].Seq < b.events[j].Seq })
	for _, r := range rows {
		g.orders[r.key()] = r
		r.asked = g.asked.add(asked[r])
		if r.Open() && !r.Expires.IsZero() {
			heap.Push(&g.expiries, r)
		}
		for _, e := range r.errands {
			g.courier.send(&e)
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(b.messages)) {
		m := b.messages[seq]
		m.intern(&g.intern)
		g.messages.add(m)
	}
	maps.Copy(g.attempts, b.attempts)
	for _, j := range b.faults {
		g.faultID = max(g.faultID, j.ID)
		if f := j.fault(); f.Kind != FaultRefuse && f.Kind != FaultTLS { // those are of a listener that is gone
			g.faults = append(g.faults, f)
		}
	}
	kept := b.events[max(0, len(b.events)-maxEvents):]
	for _, e := range kept {
		g.log.append(e)
	}
	g.log.seq = max(g.log.seq, b.Seq)
	g.log.floor = 0
	if len(kept) > 0 && uint64(len(kept)) < b.Seq {
		g.log.floor = kept[0].Seq - 1
	}
	g.log.told = g.log.seq
	if b.clock == nil || g.cfg.Clock == nil {
		return nil
	}
	at, err := unstamp(b.clock.Now)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrRecord, err)
	}
	g.cfg.Clock.set(at, b.clock.Manual, b.clock.Offset)
	return nil
}
