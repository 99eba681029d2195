package middleware

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// readBody reads the body once, bounded in size and time, into room.
func readBody(rw http.ResponseWriter, r *http.Request, room *[]byte) ([]byte, *Refusal) {
	if r.ContentLength > maxCallback {
		return nil, tooLarge()
	}
	if r.Body == nil {
		return nil, nil
	}
	end := deadline(rw, r)
	body, err := readInto(*room, http.MaxBytesReader(innermost(rw), r.Body, maxCallback), r.ContentLength)
	end(err == nil)
	if cap(body) <= maxRoom {
		*room = body
	}
	var tooLong *http.MaxBytesError
	switch {
	case err == nil && len(body) == 0 && r.ContentLength != 0,
		errors.Is(err, http.ErrBodyReadAfterClose):
		// The server itself would have said unexpected EOF. A chunked body
		// may have been empty from the start; nothing is lost by asking for
		// it again.
		return nil, &Refusal{
			Status: http.StatusServiceUnavailable, Reason: ReasonBodyConsumed, result: ResultFailed,
			Err: errors.New("something in front of the webhook has read the request's body; mount the webhook before it"),
		}
	case err == nil:
		return body, nil
	case errors.As(err, &tooLong):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded), r.Context().Err() != nil:
		return nil, &Refusal{Status: http.StatusRequestTimeout, Reason: ReasonBodySlow, result: ResultRefused}
	}
	return nil, &Refusal{Status: http.StatusBadRequest, Reason: ReasonBodyUnreadable, result: ResultRefused}
}

// deadline bounds how long the body may take, where the connection can: by
// readTimeout, and by the request's context if that ends earlier. end lifts it
// again if the body was read; if it was not, it stays, so that the server does
// not wait for the rest.
func deadline(rw http.ResponseWriter, r *http.Request) (end func(read bool)) {
	nothing := func(bool) {}
	if rw == nil {
		return nothing
	}
	rc := http.NewResponseController(rw)
	if rc.SetReadDeadline(time.Now().Add(readTimeout)) != nil {
		return nothing
	}
	passed := make(chan struct{})
	stop := context.AfterFunc(r.Context(), func() {
		_ = rc.SetReadDeadline(time.Unix(1, 0))
		close(passed)
	})
	return func(read bool) {
		if !stop() {
			<-passed // it must not meet the connection's next request
		}
		if read {
			_ = rc.SetReadDeadline(time.Time{})
		}
	}
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

func tooLarge() *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Reason: ReasonBodyTooLarge, result: ResultRefused}
}

// readInto is io.ReadAll into room, which is made as large as the sender says
// that it must be.
func readInto(room []byte, r io.Reader, length int64) ([]byte, error) {
	b := room[:0]
	if need := int(max(512, length+1)); cap(b) < need { // one more, to meet the end
		b = make([]byte, 0, need)
	}
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
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
