package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// maxWait is how long a call may wait.
const maxWait = 5 * time.Minute

// awaited are the words of for=, with the event that each waits for. Quiet has
// none.
var awaited = []struct {
	word  string
	comes func(ottpaytest.Event) bool
}{
	{"request", func(e ottpaytest.Event) bool { return e.Type == ottpaytest.EventRequestReceived }},
	{"paid", func(e ottpaytest.Event) bool {
		return (e.Type == ottpaytest.EventOrderStatus || e.Type == ottpaytest.EventOrderCreated) && e.To.Paid()
	}},
	{"acknowledged", func(e ottpaytest.Event) bool {
		return e.Type == ottpaytest.EventDeliveryAnswered && e.Acknowledged
	}},
	{"refused", func(e ottpaytest.Event) bool {
		return e.Type == ottpaytest.EventDeliveryAnswered && !e.Acknowledged
	}},
	{"refunded", func(e ottpaytest.Event) bool {
		return e.Type == ottpaytest.EventOrderStatus && e.To.Refunded()
	}},
	{"quiet", nil},
}

// wait blocks until something has happened.
func (s *server) wait(w http.ResponseWriter, r *http.Request) error {
	q := &query{r: r}
	f := filter{merchant: q.text("merchant"), order: q.text("order")}
	after := q.number("after", 0)
	timeout := q.duration("timeout", 10*time.Second, maxWait)
	if q.err != nil {
		return q.err
	}
	word := q.text("for")
	i := slices.IndexFunc(awaited, func(a struct {
		word  string
		comes func(ottpaytest.Event) bool
	}) bool {
		return a.word == word
	})
	if i < 0 {
		return problem{Status: http.StatusBadRequest, Code: "parameter", Detail: "for is one of request, paid, acknowledged, refused, refunded, quiet"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	from := after
	for {
		changed := s.g.Changed()
		if awaited[i].comes == nil {
			if s.quiet(f) {
				return answer(w, http.StatusOK, waited{For: word, Seq: s.g.Seq()})
			}
		} else {
			events, whole := s.g.Events(from)
			if !whole {
				from = 0 // the log was reset
				events, _ = s.g.Events(0)
			}
			for _, e := range events {
				from = e.Seq
				if e.Seq > after && f.selects(s.g, e) && awaited[i].comes(e) {
					return answer(w, http.StatusOK, waited{For: word, Seq: e.Seq, Event: &e})
				}
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if r.Context().Err() != nil {
				return nil // the client is gone, or the server ends
			}
			return s.instead(f, word, after, timeout)
		}
	}
}

type waited struct {
	For   string            `json:"for"`
	Seq   uint64            `json:"seq"`
	Event *ottpaytest.Event `json:"event,omitempty"`
}

func (s *server) quiet(f filter) bool {
	switch {
	case f.merchant == "":
		return s.g.Quiet()
	case f.order == "":
		return s.g.Merchant(f.merchant).Quiet("")
	}
	return s.g.Merchant(f.merchant).Quiet(f.order)
}

// instead says what happened while something else was waited for.
func (s *server) instead(f filter, word string, after uint64, timeout time.Duration) error {
	events, _ := s.g.Events(after)
	events = slices.DeleteFunc(events, func(e ottpaytest.Event) bool { return !f.selects(s.g, e) })
	p := problem{
		Status: http.StatusRequestTimeout, Code: "timeout",
		Detail: fmt.Sprintf("not %s within %s: %s", words[word], timeout, s.story(f, events)),
		Events: events[max(0, len(events)-20):],
	}
	return p
}

// words are those of for= in a sentence.
var words = map[string]string{
	"request": "requested", "paid": "paid", "acknowledged": "acknowledged", "refused": "refused", "refunded": "refunded", "quiet": "quiet",
}

// story is what happened, in one sentence.
func (s *server) story(f filter, events []ottpaytest.Event) string {
	var parts []string
	if f.merchant != "" {
		if _, ok := s.g.MerchantInfo(f.merchant); !ok {
			return "there is no merchant " + f.merchant
		}
	}
	if f.order != "" && f.merchant != "" {
		o, ok := s.g.Merchant(f.merchant).Order(f.order)
		if !ok {
			parts = append(parts, "there is no order "+f.order)
		} else {
			parts = append(parts, f.order+" is "+string(o.Status))
		}
	}
	parts = append(parts, refusals(events)...)
	parts = append(parts, callbacks(events)...)
	if due := s.due(f, events); due != "" {
		parts = append(parts, due)
	}
	if len(parts) == 0 {
		return "nothing happened"
	}
	return strings.Join(parts, ", ")
}

// refusals names the requests that were refused, if there are any.
func refusals(events []ottpaytest.Event) (parts []string) {
	codes := map[string]int{}
	for _, e := range events {
		if e.Type == ottpaytest.EventRequestReceived && e.Code != "SUCCESS" && e.Code != "PROCESSING" {
			codes[e.Code]++
			if codes[e.Code] == 1 {
				parts = append(parts, e.Code)
			}
		}
	}
	for i, code := range parts {
		parts[i] = "a request was answered " + code + times(codes[code])
	}
	return parts
}

// callbacks names what became of the callbacks.
func callbacks(events []ottpaytest.Event) (parts []string) {
	seen := map[string]int{}
	for _, e := range events {
		var what string
		switch e.Type {
		case ottpaytest.EventDeliveryAnswered:
			what = fmt.Sprintf("callback answered %d", e.Status)
		case ottpaytest.EventDeliveryFailed:
			what = "callback without an answer (" + e.Why + ")"
		case ottpaytest.EventDeliveryBlocked:
			what = "callback blocked (" + e.Why + ")"
		default:
			continue
		}
		if seen[what]++; seen[what] == 1 {
			parts = append(parts, what)
		}
	}
	for i, what := range parts {
		parts[i] = what + times(seen[what])
	}
	return parts
}

func times(n int) string {
	switch n {
	case 1:
		return ""
	case 2:
		return " twice"
	case 3:
		return " three times"
	}
	return fmt.Sprintf(" %d times", n)
}

// due says when the next callback is tried, or that none will be.
func (s *server) due(f filter, events []ottpaytest.Event) string {
	for i := len(events) - 1; i >= 0; i-- {
		switch e := events[i]; e.Type {
		case ottpaytest.EventDeliveryScheduled:
			if left := e.Due.Sub(s.g.Now()); left > 0 {
				return "next try in " + left.Round(100*time.Millisecond).String()
			}
			return "the next try is due"
		case ottpaytest.EventDeliveryAnswered, ottpaytest.EventDeliveryFailed:
			if !e.Acknowledged && s.quiet(f) {
				return "and no further try"
			}
			return ""
		case ottpaytest.EventDeliverySent:
			return "a callback is under way"
		}
	}
	return ""
}
