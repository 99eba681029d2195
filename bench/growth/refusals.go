package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// refusals posts n forgeries of all kinds in turn to handler, whose log is
// counted, and states the bounds: at most 100 lines, and a heap that stays.
func refusals(ctx context.Context, p *page, handler http.Handler, log *lines, n int) error {
	const mostLines, mostHeap = 100, 1 << 20
	all, err := forgeries()
	if err != nil {
		return err
	}
	rw := &status{header: http.Header{}}
	posts := make([]*post, len(all))
	for i, f := range all {
		posts[i] = newPost(f.body)
	}
	took := make([]time.Duration, len(all))
	believed := make([]int64, len(all))
	give := func(i, times int) {
		start := processorTime()
		for range times {
			rw.status = 0
			handler.ServeHTTP(rw, posts[i].request())
			if rw.status < 400 {
				believed[i]++
			}
		}
		took[i] += processorTime() - start
	}
	for i := range all { // what is made once is no growth
		give(i, 1)
	}
	clear(took)
	before, linesBefore := live(), log.n.Load()
	peak := usage{}
	const batch = 1000 // of one kind in a row, so that each has its time
	each := (n + len(all) - 1) / len(all)
	for done := 0; done < each; done += batch {
		for i := range all {
			give(i, min(batch, each-done))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if done/batch%10 == 0 {
			peak = peak.most(live())
		}
	}
	peak = peak.most(live())

	p.printf("\n### Forgeries\n\n")
	p.printf("%s posts, without a network.\nAll but the last but one, a replay, come from senders who do not know the sign key.\n", thousands(int64(each*len(all))))
	p.printf("\n| | posts | µs each | believed | at most |\n| --- | ---: | ---: | ---: | ---: |\n")
	for i, f := range all {
		p.printf("| %s | %s | %.2f | %s |\n", f.name, thousands(int64(each)), float64(took[i].Nanoseconds())/float64(max(1, each))/1000,
			p.count("forgeries, "+f.name+": believed", believed[i], 0))
	}
	p.printf("\n| | | at most |\n| --- | ---: | ---: |\n")
	p.printf("| log lines | %s |\n", p.count("forgeries: log lines", log.n.Load()-linesBefore, mostLines))
	p.printf("| growth of the heap, largest | %s |\n", p.bytes("forgeries: growth of the heap", peak.heap-before.heap, mostHeap))
	p.printf("| goroutines more | %s |\n", p.count("forgeries: more goroutines", peak.goroutines-before.goroutines, 5))
	return nil
}

// foreign posts n forgeries that name known merchants in turn, none of whose
// callbacks has ever opened, so that each may be the one whose sign key is wrong
// here: the log says so of each, three times a minute.
func foreign(_ context.Context, p *page, endpoint func(middleware.Keys, *lines) (http.Handler, error), merchants, n int) error {
	const each, kinds = 3, 4096 // per minute, and how many merchants are told apart
	known := make(middleware.StaticKeys, merchants)
	wrong := must(envelope.NewKey("a foreign sign key"))
	posts := make([]*post, merchants)
	for i := range merchants {
		id := fmt.Sprintf("QC%08d", i)
		known[id] = []envelope.Key{must(envelope.NewKey("KEY-OF-" + id))}
		posts[i] = newPost(must(seal(wrong, id, seedPayload)))
	}
	log := newLines()
	handler, err := endpoint(known, log)
	if err != nil {
		return err
	}
	before, start := live(), time.Now()
	for i := range n {
		handler.ServeHTTP(&status{header: http.Header{}}, posts[i%merchants].request())
	}
	minutes := int64(time.Since(start)/time.Minute) + 1
	p.printf("\n%s more name %s known merchants in turn, of whom none has had a callback that opened.\nEach of them may be one whose sign key is wrong here, so the log names each, three times a minute.\n", thousands(int64(n)), thousands(int64(merchants)))
	p.printf("\n| | | at most |\n| --- | ---: | ---: |\n")
	p.printf("| log lines | %s |\n", p.count("forgeries of many merchants: log lines", log.n.Load(), each*minutes*int64(min(merchants, kinds)+1)))
	p.printf("| growth of the heap | %s |\n", p.bytes("forgeries of many merchants: growth of the heap", live().heap-before.heap, 4<<20))
	return nil
}

// status is a response that keeps its status.
type status struct {
	header http.Header
	status int
}

// Header implements [http.ResponseWriter].
func (s *status) Header() http.Header { return s.header }

// Write implements [http.ResponseWriter].
func (s *status) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return len(b), nil
}

// WriteHeader implements [http.ResponseWriter].
func (s *status) WriteHeader(code int) {
	if s.status == 0 {
		s.status = code
	}
}
