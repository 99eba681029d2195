package middleware

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// NewBase returns an *http.Transport that suits the gateway. Change it, for
// example for a client certificate, and use it as [Transport.Base]. It is a clone
// of http.DefaultTransport if that is an *http.Transport, its proxy and dialer
// included. An idle connection is closed before a load balancer on the way is
// likely to have forgotten it, because an effect that meets a dead connection
// has an unknown outcome.
func NewBase() *http.Transport {
	if t, ok := http.DefaultTransport.(*http.Transport); ok && t != nil {
		return tuned(t)
	}
	return tuned(&http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true})
}

// tuned returns a clone of t with the time-outs and limits of a gateway's client.
func tuned(t *http.Transport) *http.Transport {
	base := t.Clone()
	switch dial := base.DialContext; {
	case dial != nil: // it may be a replaced one, which knows where to go
		base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return dial(ctx, network, addr)
		}
	case base.Dial == nil: //nolint:staticcheck // a shop may still use it
		base.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	}
	base.TLSHandshakeTimeout = dialTimeout
	base.IdleConnTimeout = 20 * time.Second
	base.MaxIdleConnsPerHost = 16
	base.MaxResponseHeaderBytes = 64 << 10
	base.DisableCompression = true
	return base
}

const dialTimeout = 10 * time.Second

// defaultBase is what a Transport sends with when its Base is nil: what
// http.DefaultTransport is at the time of the call, as for a nil
// http.Client.Transport. A program that replaces it, for example to keep its
// tests off the network, is obeyed. An *http.Transport is cloned and tuned.
type defaultBase struct {
	mu    sync.Mutex
	of    *http.Transport
	tuned *http.Transport
}

func (d *defaultBase) current() http.RoundTripper {
	of, ok := http.DefaultTransport.(*http.Transport)
	if !ok && http.DefaultTransport != nil {
		return http.DefaultTransport
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tuned == nil || d.of != of {
		if d.tuned != nil {
			d.tuned.CloseIdleConnections()
		}
		d.of, d.tuned = of, NewBase()
	}
	return d.tuned
}

// CheckBase returns an error if base is an *http.Transport that does not verify
// the gateway's certificate, or a nil one.
func CheckBase(base http.RoundTripper) error {
	t, ok := base.(*http.Transport)
	switch {
	case !ok:
		return nil
	case t == nil:
		return constant("the base transport is nil")
	}
	// net/http writes to the field when the transport is first used, which may be
	// now. Clone waits for that.
	if tls := t.Clone().TLSClientConfig; tls != nil && tls.InsecureSkipVerify {
		return constant("the base transport does not verify certificates")
	}
	return nil
}

// checkedBase remembers what [CheckBase] says of an *http.Transport. Its zero
// value works. It is safe for concurrent use.
type checkedBase struct {
	mu  sync.Mutex
	of  *http.Transport
	err error
}

func (c *checkedBase) check(base http.RoundTripper) error {
	t, ok := base.(*http.Transport)
	if !ok || t == nil {
		return CheckBase(base)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != t {
		c.of, c.err = t, CheckBase(t)
	}
	return c.err
}
