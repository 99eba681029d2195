package ottpaytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Direction says on which way something goes wrong.
type Direction string

// The directions.
const (
	ToShop   Direction = "callback" // a callback of the gateway's to the shop
	ToClient Direction = "answer"   // the gateway's answer to a client
)

// Fault is something that goes wrong. It is one of an answer if Kind is set,
// and one of callbacks if Callback is. Faults are counted: one that is armed
// takes effect Times times, on the first cases that fit.
type Fault struct {
	// Kind is what goes wrong with an answer. If Callback is empty as well,
	// FaultDelay.
	Kind FaultKind
	// Callback is what goes wrong with a callback.
	Callback CallbackFault

	// Action limits the fault to requests of this action, or to callbacks of
	// orders that it made. If empty, every action fits.
	Action api.Action
	// Merchant limits the fault to one merchant. If empty, every one fits.
	Merchant string
	// Order limits the fault to one order id. If empty, every one fits.
	Order string
	// Times is how often it takes effect: 0 is once, or three times for
	// FaultQueryFlip; a negative number is always from now on.
	Times int
	// Chance is the probability with which it takes effect on a case that fits,
	// for long runs; the Gateway's seed decides. 0 is always.
	Chance float64

	// Before: the request takes no effect. It has no meaning for callbacks.
	Before bool
	// Delay is how long the gateway waits before it answers or calls back, by
	// its clock. For FaultRefuse it is how long nothing listens; 0 is a second.
	Delay time.Duration
	// At is the byte of the body at which FaultCut, CallbackCut and CallbackStall
	// stop. 0 is the middle.
	At int
	// N is how many copies CallbackDuplicate and CallbackBurst send in all. 0 is
	// two, and eight of a burst.
	N int
	// Status is the HTTP status of the kinds that mention one.
	Status int
	// Code is the response code of the kinds that mention one.
	Code api.Code

	// By says in the log who armed it. It is optional.
	By string
}

// direction says which of the two it is.
func (f Fault) direction() Direction {
	if f.Callback != "" {
		return ToShop
	}
	return ToClient
}

// name is that of the fault with its direction, "" for none.
func (f Fault) name() string {
	switch {
	case f.Callback != "":
		return string(ToShop) + ":" + string(f.Callback)
	case f.Kind != "":
		return string(ToClient) + ":" + string(f.Kind)
	}
	return ""
}

// before reports whether the request is not to take effect.
func (f Fault) before() bool { return f.Kind != "" && f.Before && f.Kind != FaultDelay }

// fault is one that is armed. Gateway.mu guards it.
type fault struct {
	Fault
	id   int
	left int // negative: always
	hits int
	stop chan struct{} // closed when it is disarmed; nil if nothing waits for that
}

// ArmedFault is a fault that waits for its case.
type ArmedFault struct {
	ID   int // for Gateway.Disarm
	Left int // how often it will still take effect; negative: always
	Hits int // how often it has taken effect
	Fault
}

// Arm makes something go wrong with the next case that fits, and returns a
// number for [Gateway.Disarm]. Faults are used up in the order in which they
// were armed. It fails if there is no fault of the name, or if the Gateway
// cannot produce it.
func (g *Gateway) Arm(f Fault) (id int, err error) {
	if f.Kind == "" && f.Callback == "" {
		f.Kind = FaultDelay
	}
	if f.Kind != "" && f.Callback != "" {
		return 0, fmt.Errorf("ottpaytest: a fault is one of answers or of callbacks, not both")
	}
	if _, ok := LookupFault(f.name()); !ok {
		return 0, fmt.Errorf("ottpaytest: there is no fault %q", f.name())
	}
	if f.Times == 0 {
		f.Times = 1
		if f.Kind == FaultQueryFlip {
			f.Times = 3
		}
	}
	g.lock()
	defer g.unlock()
	if f.Kind == FaultRefuse || f.Kind == FaultTLS {
		return g.armListener(f)
	}
	return g.arm(f), nil
}

// arm arms a fault. g.mu is held.
func (g *Gateway) arm(f Fault) int {
	g.faultID++
	armed := &fault{Fault: f, id: g.faultID, left: f.Times}
	g.faults = append(g.faults, armed)
	g.changes.set(&g.changes.faults)
	g.emit(Event{
		Type: EventFaultArmed, Fault: f.name(), FaultID: armed.id, By: f.By,
		Merchant: f.Merchant, Order: f.Order, Action: f.Action,
	})
	return armed.id
}

// Disarm takes a fault back and reports whether it was still armed.
func (g *Gateway) Disarm(id int) bool {
	g.lock()
	defer g.unlock()
	i := slices.IndexFunc(g.faults, func(f *fault) bool { return f.id == id })
	if i < 0 {
		return false
	}
	g.disarm(i)
	return true
}

// disarm takes the fault at an index back. g.mu is held.
func (g *Gateway) disarm(i int) {
	f := g.faults[i]
	if f.stop != nil {
		close(f.stop)
	}
	g.faults = slices.Delete(g.faults, i, i+1)
	g.changes.set(&g.changes.faults)
	g.emit(Event{Type: EventFaultCleared, Fault: f.name(), FaultID: f.id, Merchant: f.Merchant, Order: f.Order})
}

// dropFaults takes faults back without a word in the log. g.mu is held.
func (g *Gateway) dropFaults(which func(*fault) bool) {
	g.faults = slices.DeleteFunc(g.faults, func(f *fault) bool {
		if !which(f) {
			return false
		}
		if f.stop != nil {
			close(f.stop)
		}
		return true
	})
}

// Armed returns the faults that wait for their case, in the order in which
// they will be used up.
func (g *Gateway) Armed() []ArmedFault {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]ArmedFault, 0, len(g.faults))
	for _, f := range g.faults {
		out = append(out, ArmedFault{ID: f.id, Left: f.left, Hits: f.hits, Fault: f.Fault})
	}
	return out
}

// strike returns the fault that takes effect on a case, and uses it up by one.
// The case is a Fault with what it is about. paid says whether the order that
// it is about is paid. g.mu is held.
func (g *Gateway) strike(way Direction, c Fault, fits func(Fault) bool) (Fault, int) {
	for i, f := range g.faults {
		if f.direction() != way ||
			f.Action != "" && f.Action != c.Action ||
			f.Merchant != "" && f.Merchant != c.Merchant ||
			f.Order != "" && f.Order != c.Order ||
			!fits(f.Fault) ||
			f.Chance > 0 && g.random.Float64() >= f.Chance {
			continue
		}
		struck := f.Fault
		struck.Times = f.hits // the how manieth time it is
		f.hits++
		g.changes.set(&g.changes.faults)
		if f.left > 0 {
			f.left--
		}
		g.emit(Event{Type: EventFaultHit, Fault: f.name(), FaultID: f.id, Merchant: c.Merchant, Order: c.Order})
		if f.left == 0 {
			g.disarm(i)
		}
		return struck, f.id
	}
	return Fault{}, 0
}

// foreignKey is no merchant's.
func foreignKey() envelope.Key {
	key, err := envelope.NewKey("0123456789ABCDEF-foreign")
	if err != nil {
		panic("ottpaytest: " + err.Error()) // a constant that is a key
	}
	return key
}

func spoilDigest(md5 string) string {
	digit := "0"
	if md5[0] == '0' {
		digit = "1"
	}
	return digit + md5[1:]
}

// respond writes an envelope out of parts that need not fit.
func respond(code, message, merchant string, s envelope.Sealed) []byte {
	return object([]pair{
		{"data", quoted(s.Data)},
		{"rsp_code", quoted(code)},
		{"rsp_msg", quoted(message)},
		{"merchant_id", quoted(merchant)},
		{"md5", quoted(s.MD5)},
	})
}

// LookupFault returns the fault of a name, such as drop, callback:drop or
// answer:drop. A name that both directions have needs its direction.
func LookupFault(name string) (FaultInfo, bool) {
	var found []FaultInfo
	for _, f := range Faults() {
		if f.FullName() == name {
			return f, true
		}
		if f.Name == name {
			found = append(found, f)
		}
	}
	if way, bare, ok := strings.Cut(name, ":"); ok && Direction(way) == ToShop && CallbackFault(bare) == CallbackNone {
		return FaultInfo{Name: bare, Direction: ToShop, Sentence: "an honest callback"}, true
	}
	if len(found) == 1 {
		return found[0], true
	}
	return FaultInfo{}, false
}
