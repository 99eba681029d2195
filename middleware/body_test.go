package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// quiet serves h and says nothing of broken connections.
func quiet(t *testing.T, h http.Handler, change func(*http.Server)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if change != nil {
		change(server.Config)
	}
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func dial(t *testing.T, server *httptest.Server) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// TestServersReadTimeout: a sender who stalls has no more time on the callback
// URL than the server gives him elsewhere.
func TestServersReadTimeout(t *testing.T) {
	t.Parallel()
	server := quiet(t, new(shop).behind(newWebhook(t, nil)), func(s *http.Server) { s.ReadTimeout = 300 * time.Millisecond })
	conn := dial(t, server)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
	start := time.Now()
	_ = conn.SetReadDeadline(start.Add(9 * time.Second))
	answer, err := io.ReadAll(conn)
	if took := time.Since(start); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || took > 5*time.Second {
		t.Errorf("%q after %s, %v", answer, took, err)
	}
}

// TestDeadlineOfTheContext: a time-out in front of the webhook counts, too.
func TestDeadlineOfTheContext(t *testing.T) {
	t.Parallel()
	h := new(shop).behind(newWebhook(t, nil))
	server := quiet(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
		defer cancel()
		h.ServeHTTP(rw, r.WithContext(ctx))
	}), nil)
	conn := dial(t, server)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(9 * time.Second))
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("%q, %v", answer, err)
	}
}

// timed is an answer whose connection has deadlines.
type timed struct {
	*httptest.ResponseRecorder
	deadlines atomic.Int32 // how often one was set
}

func (w *timed) SetReadDeadline(time.Time) error {
	w.deadlines.Add(1)
	return nil
}

// readFunc is a body.
type readFunc func() (int, error)

func (f readFunc) Read([]byte) (int, error) { return f() }

// TestBodyThatEnds: once the body has been read, however that ended, its time-out
// leaves the connection alone. Another request may be on it.
func TestBodyThatEnds(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]readFunc{
		"EOF":    func() (int, error) { return 0, io.EOF },
		"error":  func() (int, error) { return 0, io.ErrUnexpectedEOF },
		"panic":  func() (int, error) { panic("a body") },
		"Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rw := &timed{ResponseRecorder: httptest.NewRecorder()}
				h := new(shop).behind(newWebhook(t, nil))
				ended := make(chan struct{})
				go func() {
					defer close(ended) // also if the body ends the goroutine
					h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/", read))
				}()
				<-ended
				time.Sleep(time.Minute)
				if n := rw.deadlines.Load(); n != 0 || rw.Code == 200 {
					t.Errorf("answer %d, %d deadlines were set", rw.Code, n)
				}
			})
		})
	}
}

// lateBody ends when the deadline of its reading is there. It stands for one whose
// last bytes come at that moment.
type lateBody struct {
	io.ReadCloser
	http.ResponseWriter
	struck chan struct{}
}

func (b *lateBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		<-b.struck
	}
	return n, err
}

func (b *lateBody) SetReadDeadline(at time.Time) error {
	err := http.NewResponseController(b.ResponseWriter).SetReadDeadline(at)
	if !at.IsZero() {
		close(b.struck)
	}
	return err
}

// TestBodyInTheLastMoment: the deadline strikes when the body is whole. The
// callback is good, but net/http may have ended the context of the connection,
// and a Keys that looks at it would fail for each callback to come. HTTP/2 sets
// the deadline of a stream, and others are under way on the connection.
func TestBodyInTheLastMoment(t *testing.T) {
	t.Parallel()
	for version, want := range map[int]string{1: "close", 2: ""} {
		connection := make(chan string, 1) // what the answer says of it
		h := new(shop).behind(newWebhook(t, nil))
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
			defer cancel()
			late := &lateBody{r.Body, rw, make(chan struct{})}
			r = r.WithContext(ctx)
			r.Body = late
			h.ServeHTTP(late, r)
			connection <- rw.Header().Get("Connection")
		}))
		server.EnableHTTP2 = version == 2
		server.StartTLS()
		resp, err := server.Client().Post(server.URL, "application/json", bytes.NewReader(callback(t, paid)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		server.Close()
		if got := <-connection; resp.StatusCode != 200 || resp.ProtoMajor != version || got != want {
			t.Errorf("%s %s, Connection: %q, want %q", resp.Proto, resp.Status, got, want)
		}
	}
}

// TestBodyInBubbles: a timer of a synctest bubble must not be set outside of it.
// The runtime would end the program.
func TestBodyInBubbles(t *testing.T) {
	t.Parallel()
	body := callback(t, paid)
	deliver := func(t *testing.T) {
		rw := &timed{ResponseRecorder: httptest.NewRecorder()}
		h := new(shop).behind(newWebhook(t, nil))
		h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		if rw.Code != 200 {
			t.Errorf("answer %d", rw.Code)
		}
	}
	for range 10 {
		synctest.Test(t, deliver)
		deliver(t)
	}
}

// TestCutOff: a body that the sender cuts off is not slow, and an empty one is
// no proof that something has read it.
func TestCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		send, reason, level string
	}{
		"cut off":        {"Content-Length: 100\r\n\r\n{", "body-unreadable", "WARN"},
		"cut off, chunk": {"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a", "body-unreadable", "WARN"},
		"no chunk":       {"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "body-consumed", "WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, told := new(lines), make(chan *middleware.Refusal, 1)
			w := newWebhook(t, func(cfg *middleware.Config) {
				cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
				cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { told <- r }
			})
			conn := dial(t, quiet(t, new(shop).behind(w), nil))
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+c.send)
			_ = conn.CloseWrite()
			if r := <-told; string(r.Reason) != c.reason || r.Source != "127.0.0.1" {
				t.Errorf("reason %s from %s", r.Reason, r.Source)
			}
			if !log.has("level="+c.level, "reason="+c.reason, "source=127.0.0.1") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestSilentConnections: a sender who promises a large body and sends none holds
// little, however much it promises. OTTPAY_SILENT=n opens n connections.
func TestSilentConnections(t *testing.T) {
	n := 200
	if _, err := fmt.Sscan(os.Getenv("OTTPAY_SILENT"), &n); err == nil {
		t.Logf("%d connections", n)
	}
	w := newWebhook(t, nil)
	held := func(h http.Handler) int {
		var reads atomic.Int32
		reading := make(chan struct{})
		server := quiet(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Body = &readHook{r.Body, func() {
				if reads.Add(1) == int32(n) {
					close(reading)
				}
			}}
			h.ServeHTTP(rw, r)
		}), nil)
		before := inUse()
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = dial(t, server)
			fmt.Fprint(conns[i], "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n")
		}
		<-reading // all of them hold what they read into
		held := inUse() - before
		for _, conn := range conns {
			conn.Close()
		}
		return held
	}
	bare := held(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }))
	ours := held(new(shop).behind(w))
	t.Logf("a handler that reads: %d KiB each, the webhook: %d KiB", bare/n>>10, ours/n>>10)
	if more := (ours - bare) / n; more > 8<<10 {
		t.Errorf("the webhook holds %d bytes more for a connection", more)
	}
}

// inUse is how much memory is in use, stacks included.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// readHook is a body that tells of its first Read.
type readHook struct {
	io.ReadCloser
	first func()
}

func (h *readHook) Read(p []byte) (int, error) {
	if h.first != nil {
		h.first()
		h.first = nil
	}
	return h.ReadCloser.Read(p)
}

// TestLongBodyGarbage: a body as long as may be takes no more memory on its way
// than twice its length, one that is longer no more than that either.
func TestLongBodyGarbage(t *testing.T) {
	w := newWebhook(t, nil)
	for _, length := range []int{60 << 10, 64 << 10, 64<<10 + 1} {
		const n = 50
		body := bytes.Repeat([]byte("x"), length)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			r.ContentLength = -1
			if _, err := w.Check(r); err == nil {
				t.Fatal("it was accepted")
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 140<<10 {
			t.Errorf("a body of %d bytes took %d bytes", length, each)
		}
	}
}

// TestLimitInFront: a body that something in front cuts off may be a real
// callback: it is asked for again, and the line says what to do.
func TestLimitInFront(t *testing.T) {
	t.Parallel()
	var refusals []error
	s := new(shop)
	h := s.behind(newWebhook(t, func(cfg *middleware.Config) {
		cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { refusals = append(refusals, r.Err) }
	}))
	if code := post(http.MaxBytesHandler(h, 100), callback(t, paid)).Code; code != 503 {
		t.Errorf("answer %d", code)
	}
	if len(refusals) != 1 || refusals[0] == nil || !strings.Contains(refusals[0].Error(), "limits the request's body") {
		t.Errorf("told %v", refusals)
	}
	if code := post(http.MaxBytesHandler(h, 64<<10), bytes.Repeat([]byte(" "), 64<<10+1)).Code; code != 413 {
		t.Errorf("a body that is too long for both: answer %d", code)
	}
	if code := post(h, callback(t, paid)).Code; code != 200 || s.runs.Load() != 1 {
		t.Errorf("without the limit: %d", code)
	}
}

// TestKeysTakeTooLong: a key store that hangs ends with Config.Timeout.
func TestKeysTakeTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.Keys = keysFunc(func(ctx context.Context, _ string) ([]envelope.Key, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
		})
		start := time.Now()
		if code := post(new(shop).behind(w), callback(t, paid)).Code; code != 503 || time.Since(start) != 10*time.Second {
			t.Errorf("answer %d after %s", code, time.Since(start))
		}
	})
}
