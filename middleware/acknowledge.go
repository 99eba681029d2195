package middleware

import (
	"net/http"
	"strconv"
)

// Acknowledgement is the body of the answer with status 200 that tells the
// gateway not to send again. OTT Pay documents none; an empty one, OK,
// success, SUCCESS and small JSON objects are known to work.
type Acknowledgement struct {
	Body        string // defaults to SUCCESS
	ContentType string // defaults to text/plain; charset=utf-8
}

const plainText = "text/plain; charset=utf-8"

func (w *Webhook) acknowledge(rw http.ResponseWriter) {
	write(rw, http.StatusOK, w.cfg.Acknowledgement.ContentType, w.accepted)
}

// refuse writes the one answer that every refusal with this status gets.
func refuse(rw http.ResponseWriter, status int) {
	if status == http.StatusMethodNotAllowed {
		rw.Header().Set("Allow", http.MethodPost)
	}
	write(rw, status, plainText, append([]byte(http.StatusText(status)), '\n'))
}

func write(rw http.ResponseWriter, status int, contentType string, body []byte) {
	h := rw.Header()
	values := []string{contentType, strconv.Itoa(len(body)), "no-store", "nosniff"} // at once, for four allocations less
	h["Content-Type"], h["Content-Length"] = values[0:1:1], values[1:2:2]
	h["Cache-Control"], h["X-Content-Type-Options"] = values[2:3:3], values[3:4:4]
	rw.WriteHeader(status)
	// A gateway that went away before it read the answer asks again.
	_, _ = rw.Write(body)
}

// statusWriter takes a handler's answer and keeps its status alone. It has no
// Flush, no Hijack and no Unwrap: nothing that a handler writes may reach the gateway
// before its work is kept.
type statusWriter struct {
	header http.Header
	status int
}

func (s *statusWriter) Header() http.Header { return s.header }

// WriteHeader keeps the worst status. Nothing has been sent when a handler
// that wrote 200 fails after all: it sets 500, or a recovery middleware does.
func (s *statusWriter) WriteHeader(status int) {
	switch {
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols: // not the answer
	case s.status == 0, s.ok() && !success(status):
		s.status = status
	}
}

func (s *statusWriter) Write(b []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return len(b), nil
}

func (s *statusWriter) ok() bool { return s.status == 0 || success(s.status) }

func success(status int) bool { return status >= 200 && status < 300 }
