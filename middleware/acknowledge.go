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

// reply is an answer of the Webhook, the same whenever it is given.
type reply struct {
	status int
	header []headerLine
	body   []byte
}

// headerLine shares its value with all answers. It has no room for a second one,
// so that http.Header.Add copies it.
type headerLine struct {
	name  string
	value []string
}

func newReply(status int, contentType, body string) *reply {
	r := &reply{status: status, body: []byte(body)}
	add := func(name, value string) { r.header = append(r.header, headerLine{name, []string{value}}) }
	add("Content-Type", contentType)
	add("Content-Length", strconv.Itoa(len(body)))
	add("Cache-Control", "no-store")
	add("X-Content-Type-Options", "nosniff")
	if status == http.StatusMethodNotAllowed {
		add("Allow", http.MethodPost)
	}
	return r
}

// newRefusals returns the one answer that every refusal with a status gets.
func newRefusals() map[int]*reply {
	all := make(map[int]*reply)
	for _, status := range [...]int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable,
	} {
		all[status] = newReply(status, plainText, http.StatusText(status)+"\n")
	}
	return all
}

func (r *reply) write(rw http.ResponseWriter) {
	h := rw.Header()
	for _, line := range r.header {
		h[line.name] = line.value
	}
	rw.WriteHeader(r.status)
	// A gateway that went away before it read the answer asks again.
	_, _ = rw.Write(r.body)
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
