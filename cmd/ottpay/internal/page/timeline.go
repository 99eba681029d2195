package page

import (
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// step is one row of the timeline: an arrow between two of the lanes shop,
// gateway and payer, or a note on the gateway's.
type step struct {
	Key    string
	At     time.Time
	Lane   string // sg, gs, pg, or g for a note
	Title  string
	Detail string
	Path   string // where the row leads, "" for nowhere
	Fault  string
	Bad    bool
	Due    time.Time // of what is still to come
}

// Who names the lanes in words.
func (s step) Who() string {
	switch s.Lane {
	case "sg":
		return "shop → gateway"
	case "gs":
		return "gateway → shop"
	case "pg":
		return "payer → gateway"
	}
	return "gateway"
}

// steps makes the timeline of an order from the events about it. A message and
// its answer are one row.
func steps(events []ottpaytest.Event, o ottpaytest.Order) []step {
	sort.Slice(events, func(i, j int) bool { return events[i].Seq < events[j].Seq })
	var out []step
	sent := make(map[uint64]int) // by message: the row of a callback
	for _, e := range events {
		s := step{Key: "e" + strconv.FormatUint(e.Seq, 10), At: e.At, Lane: "g", Fault: e.Fault}
		switch e.Type {
		case ottpaytest.EventRequestReceived:
			s.Lane, s.Title, s.Path = "sg", string(e.Action), messagePath(e.Message)
			s.Detail = e.Code + " · " + strconv.FormatInt(e.MS, 10) + " ms"
			s.Bad = !taken(e.Code)
		case ottpaytest.EventOrderStatus:
			s = statusStep(s, e, o)
		case ottpaytest.EventPageOpened:
			s.Lane, s.Title = "pg", "opened the page"
		case ottpaytest.EventDeliverySent:
			s.Lane, s.Path, s.Key = "gs", messagePath(e.Message), "m"+strconv.FormatUint(e.Message, 10)
			s.Title, s.Detail = deliveryTitle(e), "under way"
			sent[e.Message] = len(out)
		case ottpaytest.EventDeliveryAnswered, ottpaytest.EventDeliveryFailed, ottpaytest.EventDeliveryBlocked:
			detail, bad := outcome(e)
			if i, ok := sent[e.Message]; ok && e.Message != 0 {
				out[i].Detail, out[i].Bad = detail, bad
				continue
			}
			s.Lane, s.Title, s.Detail, s.Bad = "gs", deliveryTitle(e), detail, bad
			if e.Message != 0 {
				s.Path, s.Key = messagePath(e.Message), "m"+strconv.FormatUint(e.Message, 10)
			}
		case ottpaytest.EventFaultArmed:
			s.Title, s.Path = "fault armed", "/faults"
		default:
			continue
		}
		out = append(out, s)
	}
	if !o.Callbacks.Due.IsZero() {
		out = append(out, step{Key: "next", Lane: "gs", Title: "next try", Due: o.Callbacks.Due})
	}
	return out
}

// taken reports whether a response code says that the request was taken.
func taken(code string) bool {
	switch api.Code(code).Class() {
	case api.ClassSuccess, api.ClassPending:
		return true
	}
	return false
}

func statusStep(s step, e ottpaytest.Event, o ottpaytest.Order) step {
	s.Title = statusOf(e.To).Means
	s.Detail = string(e.From) + " → " + string(e.To)
	s.Bad = e.To.Final() && !e.To.Refunded()
	switch e.By {
	case "payer":
		s.Lane = "pg"
		if s.Bad {
			s.Title = "declined"
		}
	case "clock":
		s.Title = "expired"
	}
	if e.To.Refunded() {
		s.Title = "refunded " + money(e.Amount, o.Currency).Text
	}
	return s
}

func deliveryTitle(e ottpaytest.Event) string {
	switch {
	case e.Kind == ottpaytest.Tampered:
		return "tampered callback"
	case e.Kind != ottpaytest.Original:
		return string(e.Kind)
	case e.Try > 0:
		return "callback, try " + strconv.Itoa(e.Try)
	}
	return "callback"
}

// outcome says how a callback went, and whether that is bad.
func outcome(e ottpaytest.Event) (string, bool) {
	switch e.Type {
	case ottpaytest.EventDeliveryAnswered:
		text := strconv.Itoa(e.Status) + " · " + strconv.FormatInt(e.MS, 10) + " ms"
		if e.Acknowledged {
			return text + " · acknowledged", false
		}
		return text + " · not acknowledged", true
	case ottpaytest.EventDeliveryBlocked:
		return "blocked: " + e.Why, true
	}
	return "no answer: " + strings.TrimSpace(e.Why), true
}
