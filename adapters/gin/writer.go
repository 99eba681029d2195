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
	failure int // the first status of 300 and more that the handler set, or 0
	written bool
	size    int

	aborted    func() bool
	setAborted bool // the handler set its status after it had aborted
}

var _ gin.ResponseWriter = (*statusWriter)(nil)

func (w *statusWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		return // not the answer
	}
	w.setAborted = w.aborted()
	if !w.written {
		w.status = status
	}
	if w.failure == 0 && (status < 200 || status >= 300) {
		w.failure = status
	}
}

func (w *statusWriter) WriteHeaderNow() {
	if !w.written {
		w.WriteHeader(w.status)
		w.written = true
	}
}

// worst is the status that says whether the work is kept.
func (w *statusWriter) worst() int {
	if w.failure != 0 {
		return w.failure
	}
	return w.status
}

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

// answer is what the webhook answers through. When a handler panics, it is
// flushed to the server past gin's writer, whose Flush asserts in older
// versions what not every server is, and never through a writer that some
// middleware put over gin's: that of gzip would add to the answer.
type answer struct{ gin.ResponseWriter }

func (a answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a answer) FlushError() error {
	below := http.ResponseWriter(a.ResponseWriter)
	for {
		u, ok := below.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		below = u.Unwrap()
	}
	if _, ok := below.(gin.ResponseWriter); ok {
		return http.ErrNotSupported
	}
	a.WriteHeaderNow()
	return http.NewResponseController(below).Flush()
}
