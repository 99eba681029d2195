package middleware

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// exchanges are what was started below for one call. The content follows the
// headers, so that an exchange that is closed before or right after them sends none.
type exchanges struct {
	mu      sync.Mutex
	headers bool // of one went out
	conns   []net.Conn
}

// connected closes the connection if another exchange has begun to write.
// It remembers the others if they are to be kept.
func (e *exchanges) connected(conn net.Conn, keep bool) {
	e.mu.Lock()
	late := e.headers
	if keep && !late {
		e.conns = append(e.conns, conn)
	}
	e.mu.Unlock()
	if late {
		conn.Close()
	}
}

// wrote closes all connections when it is called for a second exchange, as
// it is not known whose headers these are. The first one's content may be away.
func (e *exchanges) wrote() {
	e.mu.Lock()
	var conns []net.Conn
	if e.headers {
		conns = e.conns
	}
	e.headers = true
	e.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// latch decides whether the content leaves: once read it may have, once shut it
// never will. Without the content no gateway can act. For net/http itself it
// goes by the connection: it may have left as soon as there is one.
type latch struct{ state atomic.Int32 }

const (
	latchFresh int32 = iota
	latchLeft
	latchShut
)

func (l *latch) leave() bool {
	return l.state.CompareAndSwap(latchFresh, latchLeft) || l.state.Load() == latchLeft
}

// shut reports whether nothing has left.
func (l *latch) shut() bool {
	return l.state.CompareAndSwap(latchFresh, latchShut) || l.state.Load() == latchShut
}

var errCallEnded = errors.New("middleware: the call has ended")

// latchedBody is the content on its way out. It is read by one goroutine.
type latchedBody struct {
	content []byte
	latch   *latch
}

func (b *latchedBody) Read(p []byte) (int, error) {
	if !b.latch.leave() {
		return 0, errCallEnded
	}
	if len(b.content) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.content)
	b.content = b.content[n:]
	return n, nil
}

func (b *latchedBody) Close() error { return nil }
