package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// flood is what many connections do to the webhook at a time.
type flood struct {
	name   string
	sender senderConfig
	want   string // how each is to end
	most   int64  // bytes of heap, and of stacks if they count
	stacks bool
}

// What a connection may hold beyond what net/http holds for an idle one.
const (
	mostLarge = 80 << 20 / 1000 // of heap, while a body comes that is too large
	mostSlow  = 32 << 20 / 4000 // of heap and stack, while a body does not come
	mostFixed = 4 << 20         // of few connections, whose garbage is not collected
)

// floods are what is measured, of so many bodies that are too large, of slow
// ones and of silent connections.
func floods(large, size, slow, silent int) []flood {
	of := func(n int, each int64) int64 { return max(int64(n)*each, mostFixed) }
	body := fmt.Sprintf("bodies of %s MiB", thousands(int64(size>>20)))
	return []flood{
		{body + ", announced by Content-Length", senderConfig{Kind: sendAll, N: large, Size: size}, "413", of(large, mostLarge), false},
		{body + ", chunked", senderConfig{Kind: sendChunked, N: large, Size: size}, "413", of(large, mostLarge), false},
		{body + ", chunked, all of them held at 60 KiB for a while", senderConfig{Kind: sendHeld, N: large, Size: size}, "413", of(large, mostLarge), false},
		{"bodies of 600 bytes, a byte every 200 ms", senderConfig{Kind: sendTrickle, N: slow, Size: 600}, "408", of(slow, mostSlow), true},
		{"connections that announce 600 bytes and send none", senderConfig{Kind: sendNothing, N: silent, Size: 600}, "408", of(silent, mostSlow), true},
		{"connections that send not even a header", senderConfig{Kind: sendMute, N: silent}, "closed", of(silent, mostSlow), true},
	}
}

// bodies measures the floods, one after the other, against handler behind
// net/http with these time-outs.
func bodies(ctx context.Context, p *page, handler http.Handler, header, read time.Duration, all []flood) error {
	p.printf("\n### Many connections at a time\n\n")
	p.printf("The webhook stands behind `http.Server` with `ReadHeaderTimeout: %v`, as in the examples, on loopback; the senders are another process.\n", header)
	p.printf("\"Idle\" is what net/http holds for the connections, heap and stacks together, when all are accepted and none has sent anything.\n")
	p.printf("\"Heap\" and \"stacks\" are what came on top, the largest that was seen in a look every two milliseconds, garbage included.\n")
	p.printf("\n| | connections | idle | heap | stacks | bounded | at most | how they ended | others | at most | goroutines left | at most |\n")
	p.printf("| --- |%s --- |%s\n", strings.Repeat(" ---: |", 6), strings.Repeat(" ---: |", 4))
	for _, f := range all {
		if err := f.measure(ctx, p, handler, header, read); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	p.printf("\nOf the bodies that are held, what is bounded is the heap that a garbage collection leaves while all of them are held: each has 60 of its 64 KiB.\n")
	p.printf("\"Others\" are connections that ended in another way than the one named, or not within a minute.\n")
	return nil
}

func (f flood) measure(ctx context.Context, p *page, handler http.Handler, header, read time.Duration) error {
	if most := max(1, openFiles()-200); f.sender.N > most { // the bound is that of fewer, too
		f.most = max(f.most*int64(most)/int64(f.sender.N), mostFixed)
		f.name = fmt.Sprintf("%s (of %s, because of the limit of open files)", f.name, thousands(int64(f.sender.N)))
		f.sender.N = most
	}
	accepted := make(chan struct{}, f.sender.N)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: header, ReadTimeout: read, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				accepted <- struct{}{}
			}
		},
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	listener := &counting{Listener: tcp}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	defer server.Close()
	f.sender.Addr = listener.Addr().String()
	before := live()
	s, err := startChild(ctx, senderVariable, f.sender)
	if err != nil {
		return err
	}
	defer s.end()
	var connected int
	if err := s.receive(&connected); err != nil {
		return err
	}
	for range connected {
		<-accepted
	}
	idle := live()
	stop := watch()
	if err := s.send(true); err != nil {
		return err
	}
	var held usage
	if f.sender.Kind == sendHeld {
		if err := listener.wait(ctx, int64(f.sender.N)*heldAt); err != nil {
			stop()
			return err
		}
		held = live().minus(idle)
		if err := s.send(true); err != nil {
			stop()
			return err
		}
	}
	var ends map[string]int
	if err := s.receive(&ends); err != nil {
		stop()
		return err
	}
	peak := stop().minus(idle)
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	s.end()
	left := settled(before.goroutines)

	bounded := peak.heap
	switch {
	case f.sender.Kind == sendHeld:
		bounded = held.heap
	case f.stacks:
		bounded += peak.stack
	}
	others := f.sender.N - ends[f.want]
	delete(ends, "")
	alone := idle.minus(before)
	p.printf("| %s | %s | %s MiB | %s MiB | %s MiB | %s | %s | %s | %s |\n", f.name, thousands(int64(f.sender.N)), mib(alone.heap+alone.stack), mib(peak.heap), mib(peak.stack),
		p.bytes(f.name+": held", bounded, f.most), ended(ends),
		p.count(f.name+": not ended with "+f.want, int64(others), 0), p.count(f.name+": goroutines left", left, 5))
	return nil
}

// ended says how many connections ended how.
func ended(ends map[string]int) string {
	var all []string
	for _, how := range slices.Sorted(maps.Keys(ends)) {
		all = append(all, fmt.Sprintf("%s: %s", how, thousands(int64(ends[how]))))
	}
	return strings.Join(all, ", ")
}

// settled returns how many goroutines are left over after a while that those of
// the connections have to end.
func settled(before int64) (left int64) {
	for range 20 {
		if left = now().goroutines - before; left <= 0 {
			return 0
		}
		time.Sleep(100 * time.Millisecond)
	}
	return left
}

// endpoint is a webhook's with the defaults, and a handler that does nothing.
func endpoint(keys middleware.Keys, log *lines) (http.Handler, error) {
	w, err := newWebhook(keys, newMemory(), log)
	if err != nil {
		return nil, err
	}
	return middleware.Handle(w, func(context.Context, *api.Notification) error { return nil }), nil
}

// ourKeys are those of the merchant of the vendor's example.
func ourKeys() middleware.StaticKeys {
	return middleware.StaticKeys{merchantID: {must(envelope.NewKey(signKey))}}
}

// counting is a listener that counts what its connections read.
type counting struct {
	net.Listener
	read atomic.Int64
}

// Accept implements [net.Listener].
func (l *counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{conn, l}, nil
}

// wait waits until n bytes were read.
func (l *counting) wait(ctx context.Context, n int64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for l.read.Load() < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

type countingConn struct {
	net.Conn
	listener *counting
}

// Read implements [net.Conn].
func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.listener.read.Add(int64(n))
	return n, err
}
