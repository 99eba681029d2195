package sandbox_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// names is a name server: each look-up of a name gets the next of its answers,
// and the last one from then on.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
}

func (n *names) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := n.reply(b[:size]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// reply answers a query of one question.
func (n *names) reply(query []byte) []byte {
	if len(query) < 17 {
		return nil
	}
	var labels []string
	i := 12
	for query[i] != 0 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
		i += 1 + int(query[i])
	}
	kind := binary.BigEndian.Uint16(query[i+1:])
	question := query[12 : i+5]
	var records []byte
	count := uint16(0)
	for _, text := range n.next(strings.ToLower(strings.Join(labels, ".")), kind) {
		a := netip.MustParseAddr(text)
		raw := a.AsSlice()
		records = append(records, 0xC0, 12)
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0)
		records = binary.BigEndian.AppendUint16(records, uint16(len(raw)))
		records = append(records, raw...)
		count++
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1}, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(reply[6:], count)
	return append(append(reply, question...), records...)
}

func (n *names) next(name string, kind uint16) (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.answers[name]
	if len(all) == 0 {
		return nil
	}
	for text := range strings.SplitSeq(all[0], " ") {
		if a := netip.MustParseAddr(text); a.Is4() == (kind == 1) {
			out = append(out, text)
		}
	}
	if kind == 1 && len(all) > 1 { // AAAA is asked beside it
		n.answers[name] = all[1:]
	}
	return out
}

func post(t *testing.T, rt http.RoundTripper, to string) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := rt.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	w.Body.Close()
	return w.StatusCode, nil
}

// TestCallbacksStayHere resolves names to addresses on this machine, in its
// network and outside.
func TestCallbacksStayHere(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	n := &names{answers: map[string][]string{
		"shop.example":     {"203.0.113.7"},
		"six.example":      {"2001:db8::7"},
		"local.example":    {"127.0.0.1"},
		"both.example":     {"203.0.113.7 127.0.0.1"},
		"rebound.example":  {"127.0.0.1", "203.0.113.7"},
		"mapped.example":   {"::ffff:203.0.113.7"},
		"metadata.example": {"169.254.169.254"},
	}}
	rt := sandbox.Callbacks(sandbox.CallbackConfig{Resolver: n.resolver(t)})
	for _, c := range []struct {
		to      string
		blocked bool
	}{
		{"http://local.example:" + port + "/", false},
		{"http://127.0.0.1:" + port + "/", false},
		{"http://both.example:" + port + "/", false}, // by way of the address that is here
		{"http://rebound.example:" + port + "/", false},
		{"http://rebound.example:" + port + "/", true},
		{"http://shop.example:" + port + "/", true},
		{"http://shop.example.:" + port + "/", true},
		{"https://shop.example:" + port + "/", true},
		{"http://six.example:" + port + "/", true},
		{"http://mapped.example:" + port + "/", true},
		{"http://metadata.example/", true},
		{"http://203.0.113.7:" + port + "/", true},
		{"http://[2001:db8::7]:" + port + "/", true},
		{"http://[::ffff:203.0.113.7]:" + port + "/", true},
		{"http://169.254.169.254/latest/meta-data/", true},
		{"http://100.64.0.1/", true},
		{"ftp://127.0.0.1/", true},
		{"javascript:alert(1)", true},
		{"/ottpay", true},
	} {
		status, err := post(t, rt, c.to)
		if blocked := errors.Is(err, ottpaytest.ErrBlocked); blocked != c.blocked || !c.blocked && status != 200 {
			t.Errorf("%s: status %d, %v", c.to, status, err)
		}
	}
}

// TestPrivateAddresses dials none of them: it asks a dialer that is given up at
// once whether it was blocked.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	rt := sandbox.Callbacks(sandbox.CallbackConfig{})
	for host, blocked := range map[string]bool{
		"10.1.2.3": false, "172.16.0.1": false, "172.31.255.1": false, "192.168.1.1": false, "169.254.1.1": false, "[fd00::1]": false, "[fe80::1]": false,
		"172.32.0.1": true, "11.0.0.1": true, "192.169.0.1": true, "[2002:7f00:1::]": true, "[64:ff9b::7f00:1]": true, "1.1.1.1": true, "224.0.0.1": true,
	} {
		patience := 50 * time.Millisecond
		if blocked { // at once, however busy the machine is
			patience = time.Minute
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+":9/", nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := rt.RoundTrip(r)
		cancel()
		if err == nil {
			w.Body.Close() // something is there
		}
		if errors.Is(err, ottpaytest.ErrBlocked) != blocked {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestCallbackToAndAllow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	rt := sandbox.Callbacks(sandbox.CallbackConfig{To: to})
	if status, err := post(t, rt, "https://shop.example/ottpay?x=1"); status != 200 || err != nil {
		t.Errorf("replaced: %d, %v", status, err)
	}
	n := &names{answers: map[string][]string{"allowed.example": {"127.0.0.1"}, "other.example": {"203.0.113.7"}}}
	_, port, _ := net.SplitHostPort(to.Host)
	rt = sandbox.Callbacks(sandbox.CallbackConfig{Allow: []string{"Allowed.example", "203.0.113.7"}, Resolver: n.resolver(t)})
	if status, err := post(t, rt, "http://allowed.example:"+port+"/"); status != 200 || err != nil {
		t.Errorf("allowed: %d, %v", status, err)
	}
	if _, err := post(t, rt, "http://other.example:"+port+"/"); !errors.Is(err, ottpaytest.ErrBlocked) {
		t.Errorf("not allowed by name: %v", err)
	}
}

// TestNoProxyNoRedirect: the environment leads nowhere, nor does an answer.
func TestNoProxyNoRedirect(t *testing.T) {
	proxy := newShop(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	s := newShop(t, http.StatusFound)
	b := newBox(t, func(c *ottpaytest.Config, _ *sandbox.Config) { c.Redelivery = []time.Duration{} })
	b.call("POST", "/orders/"+merchantID, h5("A1", s.URL), 201)
	paid := b.call("POST", "/orders/"+merchantID+"/A1/pay", nil, 200, "Prefer", "wait=5")
	if at(paid, "delivery", "status") != 302.0 || len(proxy.bodies) != 0 || len(s.bodies) != 1 {
		t.Errorf("%v, %d at the proxy", paid, len(proxy.bodies))
	}
}

// TestBlockedIsRecorded pays an order of a shop that is elsewhere.
func TestBlockedIsRecorded(t *testing.T) {
	t.Parallel()
	n := &names{answers: map[string][]string{"shop.example": {"203.0.113.7"}}}
	b := newBox(t, func(c *ottpaytest.Config, _ *sandbox.Config) {
		c.Callbacks = sandbox.Callbacks(sandbox.CallbackConfig{Resolver: n.resolver(t)})
	})
	b.call("POST", "/orders/"+merchantID, h5("A1", "https://shop.example/ottpay"), 201)
	paid := b.call("POST", "/orders/"+merchantID+"/A1/pay", nil, 200, "Prefer", "wait=5")
	if at(paid, "delivery", "blocked") != true || !strings.HasSuffix(at(paid, "delivery", "why").(string), "shop.example is not on this machine or network") {
		t.Errorf("%v", paid)
	}
	b.call("GET", "/wait?merchant="+merchantID+"&for=quiet&timeout=5s", nil, 200) // it is not tried again
	if list := at(b.call("GET", "/deliveries?outcome=blocked", nil, 200), "deliveries").([]any); len(list) != 1 {
		t.Errorf("%v", list)
	}
	if list := at(b.call("GET", "/orders?unacknowledged=true", nil, 200), "orders").([]any); len(list) != 1 || at(list[0], "callbacks", "blocked") != true {
		t.Errorf("%v", list)
	}
}
