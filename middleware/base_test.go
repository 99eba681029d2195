package middleware_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/middleware"
)

// replaceDefault replaces http.DefaultTransport until the test ends.
func replaceDefault(t *testing.T, by http.RoundTripper) {
	t.Helper()
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	http.DefaultTransport = by
}

// TestDefaultTransport is not parallel: it changes net/http's default. A program
// replaces that to keep its tests off the network, or to go through its own
// dialer.
func TestDefaultTransport(t *testing.T) {
	l := newLedger(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		l.enter(r.Body)
		_, _ = rw.Write(l.answer(t, "SUCCESS", `{"order_status":"success"}`))
	}))
	defer server.Close()
	transport := l.transport(nil)
	send := func() error {
		_, err := transport.Send(t.Context(), refundOf(t))
		return err
	}

	t.Run("a mock", func(t *testing.T) {
		var got []byte
		replaceDefault(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			got, _ = io.ReadAll(r.Body)
			if r.GetBody != nil {
				t.Error("the content can be rewound")
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(l.answer(t, "SUCCESS", `{"order_status":"success"}`)))}, nil
		}))
		if err := send(); err != nil || len(got) == 0 {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	})
	t.Run("a mock that refuses", func(t *testing.T) {
		replaceDefault(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network in tests") }))
		wantSendError(t, func() error { _, err := l.transport(nil).Send(t.Context(), refundOf(t)); return err }(), true, "connection")
	})
	t.Run("a transport with a dialer", func(t *testing.T) {
		dialled := 0
		own := server.Client().Transport.(*http.Transport).Clone()
		own.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			dialled++
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}
		own.TLSClientConfig.ServerName = "example.com"
		replaceDefault(t, own)
		for range 2 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		if dialled != 1 || l.effects.Load() != 2 {
			t.Errorf("dialled %d times for %d effects", dialled, l.effects.Load())
		}
		transport.CloseIdleConnections()
	})
	t.Run("a transport that does not verify", func(t *testing.T) {
		replaceDefault(t, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
		_, err := l.transport(nil).Send(t.Context(), refundOf(t))
		wantSendError(t, err, true, "request")
		to, _ := url.Parse(server.URL)
		_, err = l.transport(nil).Send(t.Context(), &middleware.Call{Action: "inAppPay", URL: to, Data: []byte("{}"), Plain: true})
		wantSendError(t, err, true, "request")
	})
	if n := l.effects.Load(); n != 2 {
		t.Errorf("%d effects", n)
	}
}

func TestNewBase(t *testing.T) {
	before := http.DefaultTransport.(*http.Transport)
	base := middleware.NewBase()
	if base == before || base.IdleConnTimeout != 20*time.Second || !base.DisableCompression || base.Proxy == nil || base.TLSHandshakeTimeout != 10*time.Second {
		t.Errorf("got %+v", base)
	}
	replaceDefault(t, roundTripper(nil))
	if base := middleware.NewBase(); base.Proxy == nil || base.DialContext == nil || base.MaxResponseHeaderBytes != 64<<10 {
		t.Error("a default of another kind leaves no transport")
	}
	var none *http.Transport
	replaceDefault(t, none)
	if base := middleware.NewBase(); base == nil || base.DialContext == nil {
		t.Error("a nil default leaves no transport")
	}
	dial := func(string, string) (net.Conn, error) { return nil, errors.New("own") }
	replaceDefault(t, &http.Transport{Dial: dial})
	if base := middleware.NewBase(); base.DialContext != nil || base.Dial == nil {
		t.Error("a dialer without a context is passed over")
	}
}

func TestCheckBase(t *testing.T) {
	t.Parallel()
	var none *http.Transport
	if middleware.CheckBase(none) == nil || middleware.CheckBase(nil) != nil || middleware.CheckBase(&http.Transport{}) != nil {
		t.Error("CheckBase")
	}
}

// TestCheckBaseIsNoRace: calls may begin at once on a transport that net/http
// has not used yet. The race detector judges.
func TestCheckBaseIsNoRace(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := base.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
		wg.Go(func() {
			if err := middleware.CheckBase(base); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
