package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// balancer hands each request to the next replica, whether that is alive or not.
type balancer struct {
	httputil.ReverseProxy
	replicas []*url.URL
	next     atomic.Uint64
	lost     atomic.Int64 // requests whose replica did not answer
}

func newBalancer(replicas []*url.URL) *balancer {
	b := &balancer{replicas: replicas}
	b.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(b.replicas[int(b.next.Add(1)%uint64(len(b.replicas)))])
		r.SetXForwarded()
	}
	b.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) {
		b.lost.Add(1)
		rw.WriteHeader(http.StatusBadGateway)
	}
	b.ErrorLog = log.New(io.Discard, "", 0)
	return b
}
