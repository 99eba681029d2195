package sandbox_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

func TestListen(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", "[::1]:0"} {
		all, err := sandbox.Listen(t.Context(), addr)
		if err != nil {
			t.Fatal(addr, err)
		}
		s := sandbox.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }), all...)
		_, port, _ := net.SplitHostPort(all[0].Addr().String())
		hosts := []string{"127.0.0.1", "::1"}
		if len(all) == 1 {
			t.Logf("%s: one address family on this machine: %s", addr, all[0].Addr())
			host, _, _ := net.SplitHostPort(all[0].Addr().String())
			hosts = []string{host}
		}
		for _, host := range hosts {
			r, err := http.Get("http://" + net.JoinHostPort(host, port))
			if err != nil {
				t.Errorf("%s: %v", addr, err)
				continue
			}
			r.Body.Close()
		}
		// A port that is taken is an error, also if it is on one of both only.
		if more, err := sandbox.Listen(t.Context(), net.JoinHostPort("127.0.0.1", port)); err == nil {
			t.Errorf("%s is taken, and yet: %v", port, more)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"} {
		if _, err := sandbox.Listen(t.Context(), addr); err == nil {
			t.Errorf("%q is an address", addr)
		}
	}
}

// serve starts a sandbox on a free port.
func serve(t *testing.T) (g *ottpaytest.Gateway, s *sandbox.Server, address string) {
	t.Helper()
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	if err != nil {
		t.Fatal(err)
	}
	h, err := sandbox.Handler(g, sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := sandbox.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return g, sandbox.Serve(h, all...), all[0].Addr().String()
}

// TestShutdown ends while a stream is read, a call waits, an answer hangs and
// a reader does not read. Nothing of it may keep the server, nor stay behind.
func TestShutdown(t *testing.T) {
	before := runtime.NumGoroutine()
	g, s, address := serve(t)
	base := "http://" + address
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	if _, err := g.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultHang}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 3)
	for name, path := range map[string]string{"stream": "/-/events", "wait": "/-/api/v1/wait?for=paid&timeout=1m"} {
		go func() {
			r, err := client.Get(base + path)
			if err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
			ended <- name
		}()
	}
	go func() {
		r, err := client.Post(base+"/processV2", "application/json", strings.NewReader("{}"))
		if err == nil {
			r.Body.Close()
		}
		ended <- "hang"
	}()
	// One that asks for a stream and never reads.
	mute, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, _ = io.WriteString(mute, "GET /-/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for g.Seq() < 4 { // the fault, the request, the hit
		time.Sleep(time.Millisecond)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	start := time.Now()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	g.Close()
	for range 3 {
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("something does not end")
		}
	}
	mute.Close()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestReady says how long it takes until the sandbox answers in this process.
func TestReady(t *testing.T) {
	best := time.Hour
	for range 5 {
		start := time.Now()
		g, s, address := serve(t)
		r, err := http.Get("http://" + address + "/-/healthz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		best = min(best, time.Since(start))
		_ = s.Shutdown(t.Context())
		g.Close()
	}
	t.Logf("ready and asked within %s", best)
	if best > 500*time.Millisecond { // 5 ms on a machine that does nothing else
		t.Errorf("ready within %s", best)
	}
}
