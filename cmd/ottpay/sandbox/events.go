package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// seq tells a page that polls whether there is something new.
func (s *server) seq(w http.ResponseWriter, r *http.Request) {
	seq := s.g.Seq()
	tag := fmt.Sprintf(`"%x-%d"`, s.started.UnixNano(), seq)
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	write(w, struct {
		Seq uint64 `json:"seq"`
	}{seq})
}

// stream is what the page listens to: one line for each event.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	q := &query{r: r}
	after := q.number("after", s.g.Seq())
	if q.err != nil {
		s.fail(w, r, asProblem(q.err))
		return
	}
	s.serveEvents(w, r, after, func(ottpaytest.Event) bool { return true }, func(e ottpaytest.Event) (string, any) {
		return "change", struct {
			Seq      uint64               `json:"seq"`
			Type     ottpaytest.EventType `json:"type"`
			Merchant string               `json:"merchant,omitempty"`
			Order    string               `json:"order,omitempty"`
		}{e.Seq, e.Type, e.Merchant, e.Order}
	})
}

const (
	beat       = 15 * time.Second // between comments that keep a stream open
	writeLimit = 5 * time.Second  // for a reader that does not read
)

// serveEvents writes server-sent events until the client goes away, the server
// ends, or the client does not read. A client that comes back names the last
// event that it has had.
func (s *server) serveEvents(w http.ResponseWriter, r *http.Request, after uint64, want func(ottpaytest.Event) bool, say func(ottpaytest.Event) (string, any)) {
	if last, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		after = last
	}
	c := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	send := func(text string) bool {
		if text == "" {
			return true
		}
		_ = c.SetWriteDeadline(time.Now().Add(writeLimit)) // not every writer has one
		if _, err := w.Write([]byte(text)); err != nil {
			return false
		}
		return c.Flush() == nil
	}
	if !send("retry: 1000\n\n") {
		return
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		changed := s.g.Changed()
		events, whole := s.g.Events(after)
		if seq := s.g.Seq(); !whole || after > seq {
			if !send(message("reset", seq, struct {
				Seq uint64 `json:"seq"`
			}{seq})) {
				return
			}
			after = seq
			continue
		}
		var text strings.Builder
		for _, e := range events {
			after = e.Seq
			if want(e) {
				name, v := say(e)
				text.WriteString(message(name, e.Seq, v))
			}
		}
		if !send(text.String()) {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
			if !send(": still here\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func message(name string, seq uint64, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return "id: " + strconv.FormatUint(seq, 10) + "\nevent: " + name + "\ndata: " + string(data) + "\n\n"
}

// filter selects events.
type filter struct {
	merchant, order string
	types           []string
}

func (s *server) filter(q *query) (filter, error) {
	f := filter{merchant: q.text("merchant"), order: q.text("order")}
	for _, list := range q.r.URL.Query()["type"] {
		for name := range strings.SplitSeq(list, ",") {
			if !slices.Contains(ottpaytest.EventTypes(), ottpaytest.EventType(name)) {
				return f, problem{Status: http.StatusBadRequest, Code: "parameter", Detail: "there is no type of event " + strconv.Quote(name)}
			}
			f.types = append(f.types, name)
		}
	}
	return f, nil
}

func (f filter) selects(g *ottpaytest.Gateway, e ottpaytest.Event) bool {
	return (f.merchant == "" || e.Merchant == f.merchant) &&
		(f.order == "" || e.Order == f.order || e.Order != "" && e.Order == g.Merchant(e.Merchant).Payment(f.order)) &&
		(len(f.types) == 0 || slices.Contains(f.types, string(e.Type)))
}

// events returns the log as JSON lines, or as a stream of events.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	q := &query{r: r}
	after := q.number("after", 0)
	limit := q.number("limit", 0)
	f, err := s.filter(q)
	if q.err != nil {
		err = q.err
	}
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		s.serveEvents(w, r, after, func(e ottpaytest.Event) bool { return f.selects(s.g, e) }, func(e ottpaytest.Event) (string, any) { return string(e.Type), e })
		return nil
	}
	events, whole := s.g.Events(after)
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Ottpay-Sandbox-Whole", strconv.FormatBool(whole))
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, event := range events {
		if !f.selects(s.g, event) {
			continue
		}
		if limit--; e.Encode(event) != nil || limit == 0 { // the client is gone, or has what it asked for
			break
		}
	}
	return nil
}
