package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
)

// breaker turns calls away while the gateway is down. As it sits under the
// client and does not read the content of what it turns away, the client can
// prove that nothing was sent.
type breaker struct {
	base    http.RoundTripper
	breaker *gobreaker.CircuitBreaker[*http.Response]
}

func newBreaker(base http.RoundTripper) *breaker {
	return &breaker{base: base, breaker: gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
		Name:        "ottpay",
		Timeout:     10 * time.Second, // until it tries again
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 5 },
	})}
}

var errDown = errors.New("the gateway is down")

// RoundTrip counts broken connections and statuses from 500 on as failures.
// What the gateway refuses is none.
func (b *breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	var bad *http.Response
	resp, err := b.breaker.Execute(func() (*http.Response, error) {
		resp, err := b.base.RoundTrip(r)
		if err == nil && resp.StatusCode >= http.StatusInternalServerError {
			bad = resp
			return nil, errDown
		}
		return resp, err
	})
	if bad != nil {
		return bad, nil // for the client to judge
	}
	return resp, err
}

// CloseIdleConnections serves ottpay.Client's.
func (b *breaker) CloseIdleConnections() {
	if closer, ok := b.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
