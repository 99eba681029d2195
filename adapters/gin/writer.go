package ottpaygin

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// statusWriter is what a handler writes to. It behaves as gin's own writer
// does, whose status can be changed until something is written, and keeps the
// status alone.
type statusWriter struct {
	http.ResponseWriter
	status  int
	set     bool // the status is the handler's
	written bool
	size    int
}

var _ gin.ResponseWriter = (*statusWriter)(nil)

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 && !w.written { // 1xx are not the answer
		w.status, w.set = status, true
	}
}

func (w *statusWriter) WriteHeaderNow() { w.set, w.written = true, true }

func (w *statusWriter) Write(b []byte) (int, error) {
	w.WriteHeaderNow()
	w.size += len(b)
	return len(b), nil
}

func (w *statusWriter) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	w.size += len(s)
	return len(s), nil
}

func (w *statusWriter) Status() int   { return w.status }
func (w *statusWriter) Written() bool { return w.written }

func (w *statusWriter) Size() int {
	if !w.written {
		return -1
	}
	return w.size
}

// Nothing that a handler writes reaches the gateway.

func (w *statusWriter) Flush()                   { w.WriteHeaderNow() }
func (w *statusWriter) CloseNotify() <-chan bool { return nil }
func (w *statusWriter) Pusher() http.Pusher      { return nil }

func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}

// answer is what the webhook answers through. gin's Flush asserts a Flusher
// below it, which not every server and not every middleware in front has.
type answer struct{ http.ResponseWriter }

func (a answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a answer) FlushError() error {
	below := a.ResponseWriter
	for {
		u, ok := below.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		below = u.Unwrap()
	}
	if _, ok := below.(http.Flusher); !ok {
		return http.ErrNotSupported
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}
