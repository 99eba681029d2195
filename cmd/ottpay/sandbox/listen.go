package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Listen listens on an address such as 127.0.0.1:6698. For a loopback address
// or localhost it listens on those of IPv4 and IPv6 both, for clients differ in
// which they try; a machine without IPv6 has one. Port 0 picks one that is free
// on both.
func Listen(ctx context.Context, addr string) ([]net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	var lc net.ListenConfig
	if host != "127.0.0.1" && host != "::1" && host != "localhost" {
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	const attempts = 20 // of port 0: what is free on one may be taken on the other
	for range attempts {
		v4, no4 := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
		other := port
		if no4 == nil {
			other = strconv.Itoa(v4.Addr().(*net.TCPAddr).Port)
		}
		v6, no6 := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", other))
		switch {
		case no4 == nil && no6 == nil:
			if host == "::1" {
				return []net.Listener{v6, v4}, nil
			}
			return []net.Listener{v4, v6}, nil
		case no4 != nil && no6 != nil:
			return nil, no4
		case no4 != nil && !missing(no4):
			_ = v6.Close()
			return nil, no4
		case no4 != nil:
			return []net.Listener{v6}, nil
		case missing(no6):
			return []net.Listener{v4}, nil
		}
		_ = v4.Close()
		if err = no6; port != "0" {
			break
		}
	}
	return nil, err
}

// missing reports whether an address family does not exist on this machine, in
// contrast to a port that is taken.
func missing(err error) bool {
	var e *net.OpError
	if !errors.As(err, &e) {
		return false
	}
	return !inUse(err) && !denied(err)
}

// Server serves a handler on listeners.
type Server struct {
	http   []*http.Server
	cancel context.CancelFunc
	ended  chan error
	group  sync.WaitGroup
}

// Serve serves a handler on all listeners until Shutdown. The listeners accept
// connections when it returns.
func Serve(handler http.Handler, listeners ...net.Listener) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{cancel: cancel, ended: make(chan error, len(listeners))}
	for _, l := range listeners {
		server := &http.Server{
			Handler: handler, ReadHeaderTimeout: 5 * time.Second,
			BaseContext: func(net.Listener) context.Context { return ctx },
		}
		s.http = append(s.http, server)
		s.group.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.ended <- err
			}
		})
	}
	return s
}

// Ended receives the error of a listener that failed.
func (s *Server) Ended() <-chan error { return s.ended }

// Shutdown ends the streams, waits for the requests under way, and closes what
// is left when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.cancel()
	var first error
	for _, server := range s.http {
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
			if first == nil {
				first = err
			}
		}
	}
	s.group.Wait()
	return first
}
