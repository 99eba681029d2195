package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// CallbackConfig says where callbacks may go. The zero value sends them to this
// machine and its private network only.
//
// A callback that is sealed with a real key and reaches a real shop is a payment
// there. So the address is judged when the connection is made, after the name is
// resolved: neither a name nor a second look-up can deceive it.
type CallbackConfig struct {
	// To replaces scheme and host of every callback URL, such as
	// http://127.0.0.1:3000. If nil, callbacks go where they are asked to.
	To *url.URL
	// Allow are hosts that callbacks may go to wherever they are.
	Allow []string
	// Resolver looks up names. If nil, net.DefaultResolver.
	Resolver *net.Resolver
}

// Callbacks returns what sends callbacks, for [ottpaytest.Config]. It knows no
// proxy and follows no redirect. The error of a callback that is not sent
// matches [ottpaytest.ErrBlocked].
func Callbacks(cfg CallbackConfig) http.RoundTripper {
	c := &courier{cfg: cfg}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Resolver: cfg.Resolver}
	guarded := *dialer
	guarded.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return judge(address)
	}
	c.open = transport(dialer.DialContext)
	c.guarded = transport(guarded.DialContext)
	return c
}

func transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext: dial, DisableKeepAlives: true, DisableCompression: true,
		ForceAttemptHTTP2: false, TLSHandshakeTimeout: 5 * time.Second,
	}
}

// courier sends callbacks.
type courier struct {
	cfg           CallbackConfig
	open, guarded *http.Transport
}

// RoundTrip sends one callback.
func (c *courier) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if c.cfg.To != nil {
		r.URL.Scheme, r.URL.Host = c.cfg.To.Scheme, c.cfg.To.Host
		r.Host = ""
	}
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "" {
		return nil, fmt.Errorf("%w: %s", ottpaytest.ErrBlocked, "it is neither http nor https")
	}
	host := r.URL.Hostname()
	if slices.ContainsFunc(c.cfg.Allow, func(allowed string) bool { return strings.EqualFold(allowed, host) }) {
		return c.open.RoundTrip(r)
	}
	w, err := c.guarded.RoundTrip(r)
	if errors.Is(err, errPublic) {
		return nil, fmt.Errorf("%w: %s is not on this machine or network", ottpaytest.ErrBlocked, host)
	}
	return w, err
}

// errPublic says that an address is not on this machine or network.
var errPublic = errors.New("sandbox: the address is not on this machine or network")

// judge judges an address with its port, which is resolved.
func judge(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !private(a.Addr()) {
		return errPublic
	}
	return nil
}

// private reports whether an address is on this machine or network: loopback
// and the unspecified address, RFC 1918, unique local or link-local. An IPv4
// address within an IPv6 one is judged for itself.
func private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsUnspecified() || a.IsPrivate() || a.IsLinkLocalUnicast() && !metadata(a)
}

// metadata reports whether an address is where clouds keep credentials. It is
// link-local, and no shop.
func metadata(a netip.Addr) bool { return a == netip.AddrFrom4([4]byte{169, 254, 169, 254}) }
