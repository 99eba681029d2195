package middleware

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxCallback = 64 << 10
	firstRoom   = 1 << 10 // what a body gets before its first byte has come
	readTimeout = 10 * time.Second
)

// readBody reads the body once, bounded in size and time, into rec.body, which
// [Webhook.forget] takes back.
func (w *Webhook) readBody(rw http.ResponseWriter, rec *record) *Refusal {
	r := rec.request
	if r.ContentLength > maxCallback {
		return rec.tooLarge(rw)
	}
	if r.Body == nil {
		return nil
	}
	rec.room, _ = w.bodies.Get().(*[]byte)
	if rec.room == nil {
		room := make([]byte, 0, firstRoom)
		rec.room = &room
	}
	body, longer, err := w.readInTime(rw, r, (*rec.room)[:0])
	rec.body = body
	limit := limitInFront(err)
	switch {
	case longer, limit >= maxCallback:
		return rec.tooLarge(rw)
	case err == nil && (len(body) > 0 || r.ContentLength == 0):
		return nil
	case err == nil && r.ContentLength < 0:
		// A chunked body may have been empty from the start.
		refusal := rec.refuse(http.StatusServiceUnavailable, ReasonBodyConsumed)
		refusal.Err = errors.New("the request's body is empty; if every callback's is, something in front of the webhook has read it")
		return refusal
	case err == nil, errors.Is(err, http.ErrBodyReadAfterClose):
		// The server itself would have said unexpected EOF.
		return failed(ReasonBodyConsumed, errors.New("something in front of the webhook has read the request's body; mount the webhook before it"))
	case limit > 0:
		// Not ours: a real callback may be longer than that.
		return failed(ReasonBodyConsumed, errors.New("something in front of the webhook limits the request's body; let 64 KiB through"))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return rec.refuse(http.StatusRequestTimeout, ReasonBodySlow)
	}
	return rec.refuse(http.StatusBadRequest, ReasonBodyUnreadable)
}

// readInTime reads at most maxCallback bytes of the body, see readAtMost, in
// the time that a body may take.
func (w *Webhook) readInTime(rw http.ResponseWriter, r *http.Request, room []byte) (body []byte, longer bool, err error) {
	bound, read := w.boundReading(rw, r), false
	defer func() { // also if the body panics: the connection goes on
		if w.unbound(bound, read) && read && r.ProtoMajor == 1 {
			// net/http, which waits for the next request by now, may have met the
			// deadline and ended the contexts of all that are to come.
			rw.Header().Set("Connection", "close")
		}
	}()
	body, longer, err = readAtMost(r.Body, room, maxCallback)
	read = err == nil
	return body, longer, err
}

// limitInFront returns how long a body something in front lets be, if that is
// what err is about, else 0.
func limitInFront(err error) int64 {
	if err == nil {
		return 0 // before limit is on the heap
	}
	var limit *http.MaxBytesError
	if !errors.As(err, &limit) {
		return 0
	}
	return limit.Limit
}

// forget gives the body's room back.
func (w *Webhook) forget(rec *record) {
	room := rec.room
	rec.room, rec.body, rec.request = nil, nil, nil
	if room != nil {
		w.bodies.Put(room)
	}
}

// readAtMost appends the body to room until it ends, and reports whether it is
// longer than most bytes. Room grows as bytes come: a sender who promises many
// and sends none holds none. It doubles and ends at most, because append would
// leave four times as much garbage behind as a long body has bytes.
func readAtMost(body io.Reader, room []byte, most int) (read []byte, longer bool, err error) {
	for {
		if len(room) == most {
			var next [1]byte
			n, err := body.Read(next[:])
			switch {
			case n > 0:
				return room, true, nil
			case err == io.EOF:
				return room, false, nil
			case err != nil:
				return room, false, err
			}
			continue
		}
		if len(room) == cap(room) {
			room = append(make([]byte, 0, min(max(2*cap(room), firstRoom), most)), room...)
		}
		n, err := body.Read(room[len(room):min(cap(room), most)])
		room = room[:len(room)+n]
		switch {
		case err == io.EOF:
			return room, false, nil
		case err != nil:
			return room, false, err
		}
	}
}

// tooLarge refuses a body. The server is told, so that it closes the connection
// after the answer instead of reading on.
func (rec *record) tooLarge(rw http.ResponseWriter) *Refusal {
	if rw != nil {
		var b [1]byte
		one := io.NopCloser(bytes.NewReader(b[:]))
		_, _ = http.MaxBytesReader(innermost(rw), one, 0).Read(b[:])
	}
	return rec.refuse(http.StatusRequestEntityTooLarge, ReasonBodyTooLarge)
}

// bound ends the reading of a body that takes too long: after readTimeout, or
// with the request's context. It never gives a body more time than the server's
// own deadlines do.
type bound struct {
	timer *time.Timer

	mu           sync.Mutex
	connection   *http.ResponseController
	ended, fired bool
}

// boundReading returns nil if the connection has no deadlines.
func (w *Webhook) boundReading(rw http.ResponseWriter, r *http.Request) *bound {
	if rw == nil || !hasDeadlines(rw) {
		return nil
	}
	wait := readTimeout
	if deadline, ok := r.Context().Deadline(); ok {
		wait = min(wait, time.Until(deadline))
	}
	b, ok := w.bounds.Get().(*bound)
	if !ok {
		b = &bound{connection: http.NewResponseController(rw)}
		b.timer = time.AfterFunc(wait, b.fire)
		return b
	}
	b.connection = http.NewResponseController(rw)
	b.timer.Reset(wait)
	return b
}

// fire makes the reading fail.
func (b *bound) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.fired = b.connection.SetReadDeadline(time.Unix(1, 0)) == nil
	}
}

// unbound stops the clock and reports whether it has struck. If so, the deadline
// stays, so that the server does not wait for the rest, unless all of the body was
// read.
func (w *Webhook) unbound(b *bound, read bool) (struck bool) {
	if b == nil {
		return false
	}
	if b.timer.Stop() { // fire has not been called and will not be
		b.connection = nil
		w.bounds.Put(b)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if b.fired && read {
		_ = b.connection.SetReadDeadline(time.Time{})
	}
	return b.fired
}

// hasDeadlines reports whether rw or what it wraps can set a read deadline.
func hasDeadlines(rw http.ResponseWriter) bool {
	_, ok := innermost(rw).(interface{ SetReadDeadline(time.Time) error })
	return ok
}

// innermost is the server's own writer below those of routers and middleware.
// By it alone http.MaxBytesReader can have the connection closed.
func innermost(rw http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := rw.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return rw
		}
		rw = u.Unwrap()
	}
}

// payloadRequest is the request that a handler sees: the decrypted JSON is its
// body. Of the gateway's request it has what is not about that connection or
// that body. A recovery middleware, for example, writes no status to a request
// that asks for an upgrade.
func payloadRequest(ctx context.Context, r *http.Request, d *Delivery) *http.Request {
	r = r.Clone(ctx)
	r.Body = io.NopCloser(bytes.NewReader(d.Payload.JSON))
	r.ContentLength = int64(len(d.Payload.JSON))
	r.GetBody, r.TransferEncoding, r.Trailer, r.Close = nil, nil, nil, false
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil // of the sealed body
	for _, named := range r.Header["Connection"] {
		for name := range strings.SplitSeq(named, ",") {
			r.Header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range [...]string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Expect", "Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "X-Http-Method-Override",
		"Content-Length", "Content-Encoding", "Content-Md5", "Content-Digest", "Digest",
	} {
		delete(r.Header, name)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}
