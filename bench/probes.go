package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// subject is an endpoint under the probes: the kit's, or a peer's as its
// documentation builds one.
type subject struct {
	name    string
	sign    func(id string, at time.Time) (body []byte, header http.Header)
	handler func(work func() error) http.Handler
}

// Probe is a question of correctness that a timing hides.
type Probe struct {
	Name string
	// Good says which answers are safe.
	Good string
	run  func(s subject) string
}

// Probes returns the questions.
func Probes() []Probe {
	return []Probe{
		{"the same bytes twice", "handled once, both acknowledged", func(s subject) string {
			p := newProbe(s, nil)
			body, header := s.sign("evt_1", now())
			return p.twice(body, header, body, header)
		}},
		{"the same event twice, signed anew", "handled once, both acknowledged", func(s subject) string {
			p := newProbe(s, nil)
			body, header := s.sign("evt_1", now())
			body2, header2 := s.sign("evt_1", now().Add(time.Second))
			return p.twice(body, header, body2, header2)
		}},
		{"eight at once", "handled once", func(s subject) string {
			p := newProbe(s, func() error { <-time.After(20 * time.Millisecond); return nil })
			body, header := s.sign("evt_1", now())
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { p.post(body, header) })
			}
			wg.Wait()
			return fmt.Sprintf("handled %d×", p.runs.Load())
		}},
		{"the handler fails", "not acknowledged, and handled when it comes again", func(s subject) string {
			var failed atomic.Bool
			p := newProbe(s, func() error {
				if failed.CompareAndSwap(false, true) {
					return errors.New("the database is away")
				}
				return nil
			})
			body, header := s.sign("evt_1", now())
			return p.twice(body, header, body, header)
		}},
		{"the handler panics", "not acknowledged", func(s subject) string {
			p := newProbe(s, func() error { panic(http.ErrAbortHandler) })
			body, header := s.sign("evt_1", now())
			return fmt.Sprintf("%d", p.post(body, header))
		}},
		{"signed an hour ahead", "refused, where the signature holds a time", func(s subject) string {
			p := newProbe(s, nil)
			body, header := s.sign("evt_1", now().Add(time.Hour))
			return fmt.Sprintf("%d", p.post(body, header))
		}},
		{"a body of 10 MiB", "refused without being read whole", func(s subject) string {
			p := newProbe(s, nil)
			_, header := s.sign("evt_1", now())
			r := newPost(bytes.Repeat([]byte("a"), 10<<20), header)
			body := &counting{}
			body.Reset(bytes.Repeat([]byte("a"), 10<<20))
			r.Body = body
			status := p.serve(r)
			return fmt.Sprintf("%d, %d KiB read", status, body.n>>10)
		}},
		{"an empty body", "refused", func(s subject) string {
			p := newProbe(s, nil)
			_, header := s.sign("evt_1", now())
			return fmt.Sprintf("%d", p.post(nil, header))
		}},
	}
}

// counting counts what is read of a body.
type counting struct {
	bytes.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func (c *counting) Close() error { return nil }

// probe is one endpoint and how often its handler ran to its end.
type probe struct {
	runs    atomic.Int64
	handler http.Handler
}

func newProbe(s subject, work func() error) *probe {
	p := &probe{}
	p.handler = s.handler(func() error {
		if work != nil {
			if err := work(); err != nil {
				return err
			}
		}
		p.runs.Add(1)
		return nil
	})
	return p
}

func newPost(body []byte, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	return r
}

func (p *probe) post(body []byte, header http.Header) int { return p.serve(newPost(body, header)) }

// serve returns the status of the answer. A panic that reaches the server
// breaks the connection, which no sender takes for an acknowledgement.
func (p *probe) serve(r *http.Request) (status int) {
	rw := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			status = rw.Code
			if rw.Body.Len() == 0 && !rw.Flushed {
				status = http.StatusInternalServerError
			}
		}
	}()
	p.handler.ServeHTTP(rw, r)
	return rw.Code
}

func (p *probe) twice(body []byte, header http.Header, body2 []byte, header2 http.Header) string {
	first, second := p.post(body, header), p.post(body2, header2)
	return fmt.Sprintf("%d, %d, handled %d×", first, second, p.runs.Load())
}

// subjects returns the kit and the peers.
func subjects(tb testing.TB) []subject {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		tb.Fatal(err)
	}
	all := []subject{{
		name: "ottpay",
		sign: func(id string, _ time.Time) ([]byte, http.Header) {
			// The protocol has no time and no event: the order is the identity.
			sealed, err := key.Seal([]byte(strings.Replace(seedPayload, "2020041553699O153O0407", id, 1)))
			if err != nil {
				tb.Fatal(err)
			}
			body, err := json.Marshal(envelope.Response{Code: "SUCCESS", MerchantID: merchantID, Sealed: sealed})
			if err != nil {
				tb.Fatal(err)
			}
			return body, nil
		},
		handler: func(work func() error) http.Handler {
			return middleware.Handle(newWebhook(tb, nil), func(context.Context, *api.Notification) error { return work() })
		},
	}}
	for _, p := range peers() {
		all = append(all, subject{
			name: p.name,
			sign: func(id string, at time.Time) ([]byte, http.Header) { return p.sign([]byte(seedPayload), id, at) },
			handler: func(work func() error) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if _, err := p.receive(r); err != nil {
						rw.WriteHeader(http.StatusBadRequest)
						return
					}
					if err := work(); err != nil {
						rw.WriteHeader(http.StatusInternalServerError)
					}
				})
			},
		})
	}
	return all
}

// Ask puts every question to every subject: the answers by probe, then by
// subject, whose names are the second result.
func Ask(tb testing.TB) (answers [][]string, names []string) {
	all := subjects(tb)
	for _, s := range all {
		names = append(names, s.name)
	}
	for _, p := range Probes() {
		var row []string
		for _, s := range all {
			row = append(row, p.run(s))
		}
		answers = append(answers, row)
	}
	return answers, names
}
