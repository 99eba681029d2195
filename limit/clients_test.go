package limit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/limit"
)

// sameSource reports whether one failure of a takes b's only token. Without
// time passing it tells the two keys apart without naming them.
func sameSource(t testing.TB, cfg limit.Config, a, b *http.Request) bool {
	t.Helper()
	cfg.Burst, cfg.Now = 1, newClock().Now
	l := newLimiter(t, cfg)
	l.Penalise(a)
	return !l.Allow(b)
}

func prefixes(s ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range s {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}

func TestPeer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"same address", "192.0.2.1:1", "192.0.2.1:2", true},
		{"other address", "192.0.2.1:1", "192.0.2.2:1", false},
		{"address without port", "192.0.2.1", "192.0.2.1:2", true},
		{"IPv4 mapped", "[::ffff:192.0.2.1]:1", "192.0.2.1:2", true},
		{"two IPv4 mapped", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
		{"same /64", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:1", true},
		{"next /64", "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		{"zone", "[fe80::1%eth0]:1", "[fe80::1]:1", true},
		{"bracketed without port", "[2001:db8::1]", "[2001:db8::1]:1", true},
		{"loopbacks of two families", "127.0.0.1:1", "[::1]:1", false},
		// What cannot be told shares no bucket, not even with itself.
		{"empty", "", "", false},
		{"unix socket", "@", "@", false},
		{"unix path", "/run/shop.sock", "/run/shop.sock", false},
		{"host name", "example.com:80", "example.com:80", false},
		{"pipe", "pipe", "pipe", false},
		{"unspecified", "0.0.0.0:0", "0.0.0.0:0", false},
		{"unspecified in IPv6", "[::]:0", "[::]:0", false},
		{"half a bracket", "[192.0.2.1", "[192.0.2.1", false},
		{"port too great", "192.0.2.1:99999", "192.0.2.1:99999", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sameSource(t, limit.Config{}, from(tt.a), from(tt.b)); got != tt.same {
				t.Errorf("%q and %q are one source: %v, want %v", tt.a, tt.b, got, tt.same)
			}
		})
	}
}

func TestForwardedClient(t *testing.T) {
	t.Parallel()
	const proxy = "10.0.0.7:41000"
	trusted := prefixes("10.0.0.0/8", "2001:db8:aaaa::/48", "::ffff:172.16.0.0/108", "192.0.2.77/32", "fe80::/64")
	const none = ""
	for _, tt := range []struct {
		name   string
		peer   string
		header string
		lines  []string
		want   string // the client's address, or none
	}{
		// X-Forwarded-For
		{"the one entry", proxy, "X-Forwarded-For", []string{"203.0.113.5"}, "203.0.113.5"},
		{"peer in IPv4 mapped form", "[::ffff:10.0.0.7]:1", "X-Forwarded-For", []string{"203.0.113.5"}, "203.0.113.5"},
		{"proxy given in IPv4 mapped form", "172.16.9.9:1", "X-Forwarded-For", []string{"203.0.113.5"}, "203.0.113.5"},
		{"proxy in IPv6", "[2001:db8:aaaa::1]:1", "X-Forwarded-For", []string{"203.0.113.5"}, "203.0.113.5"},
		{"proxy with a zone", "[fe80::7%eth0]:1", "X-Forwarded-For", []string{"203.0.113.5"}, "203.0.113.5"},
		{"invented entries on the left", proxy, "X-Forwarded-For", []string{"1.1.1.1, 2.2.2.2, 203.0.113.5"}, "203.0.113.5"},
		{"an invented entry that looks like a proxy", proxy, "X-Forwarded-For", []string{"1.1.1.1, 10.9.9.9, 203.0.113.5"}, "203.0.113.5"},
		{"rubbish on the left", proxy, "X-Forwarded-For", []string{`", \ x, 203.0.113.5`}, "203.0.113.5"},
		{"through two proxies", proxy, "X-Forwarded-For", []string{"1.1.1.1, 203.0.113.5, 10.0.0.2"}, "203.0.113.5"},
		{"the public face of a proxy", proxy, "X-Forwarded-For", []string{"203.0.113.5, 192.0.2.77"}, "203.0.113.5"},
		{"an untrusted proxy in the middle", proxy, "X-Forwarded-For", []string{"203.0.113.5, 198.51.100.9, 10.0.0.2"}, "198.51.100.9"},
		{"two lines", proxy, "X-Forwarded-For", []string{"1.1.1.1", "203.0.113.5"}, "203.0.113.5"},
		{"two lines and two proxies", proxy, "X-Forwarded-For", []string{"1.1.1.1, 203.0.113.5", "10.0.0.2,10.0.0.3"}, "203.0.113.5"},
		{"no blanks", proxy, "X-Forwarded-For", []string{"1.1.1.1,203.0.113.5,10.0.0.2"}, "203.0.113.5"},
		{"tabs", proxy, "X-Forwarded-For", []string{"1.1.1.1,\t203.0.113.5\t"}, "203.0.113.5"},
		{"with a port", proxy, "X-Forwarded-For", []string{"203.0.113.5:6000"}, "203.0.113.5"},
		{"IPv6", proxy, "X-Forwarded-For", []string{"2001:db8:1:2::5"}, "2001:db8:1:2::6"},
		{"IPv6 with a port", proxy, "X-Forwarded-For", []string{"[2001:db8:1:2::5]:6000"}, "2001:db8:1:2::5"},
		{"IPv6 in brackets", proxy, "X-Forwarded-For", []string{"[2001:db8:1:2::5]"}, "2001:db8:1:2::5"},
		{"mapped entry", proxy, "X-Forwarded-For", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"mapped entry of a proxy", proxy, "X-Forwarded-For", []string{"203.0.113.5, ::ffff:10.0.0.2"}, "203.0.113.5"},
		{"header name in any case", proxy, "x-forwarded-FOR", []string{"203.0.113.5"}, "203.0.113.5"},
		{"no header", proxy, "X-Forwarded-For", nil, none},
		{"empty line", proxy, "X-Forwarded-For", []string{""}, none},
		{"only proxies", proxy, "X-Forwarded-For", []string{"10.0.0.2, 10.0.0.3"}, none},
		{"empty last entry", proxy, "X-Forwarded-For", []string{"203.0.113.5, "}, none},
		{"empty last line", proxy, "X-Forwarded-For", []string{"203.0.113.5", ""}, none},
		{"unknown", proxy, "X-Forwarded-For", []string{"203.0.113.5, unknown"}, none},
		{"host name", proxy, "X-Forwarded-For", []string{"203.0.113.5, client.example"}, none},
		{"unspecified entry", proxy, "X-Forwarded-For", []string{"203.0.113.5, 0.0.0.0"}, none},
		{"zone", proxy, "X-Forwarded-For", []string{"fe80::1%eth0"}, none},
		{"leading zero", proxy, "X-Forwarded-For", []string{"203.0.113.05"}, none},
		{"a number", proxy, "X-Forwarded-For", []string{"3405803781"}, none},
		{"rubbish behind a proxy", proxy, "X-Forwarded-For", []string{"203.0.113.5, x, 10.0.0.2"}, none},
		{"31 proxies", proxy, "X-Forwarded-For", []string{"203.0.113.5" + strings.Repeat(", 10.0.0.2", 31)}, "203.0.113.5"},
		{"32 proxies", proxy, "X-Forwarded-For", []string{"203.0.113.5" + strings.Repeat(", 10.0.0.2", 32)}, none},
		{"32 proxies in lines", proxy, "X-Forwarded-For", append([]string{"203.0.113.5"}, strings.Split(strings.Repeat("10.0.0.2 ", 31)+"10.0.0.2", " ")...), none},
		{"untrusted peer", "198.51.100.1:1", "X-Forwarded-For", []string{"203.0.113.5"}, "198.51.100.1"},
		{"untrusted peer without header", "198.51.100.1:1", "X-Forwarded-For", nil, "198.51.100.1"},
		{"peer next to the trusted ones", "11.0.0.1:1", "X-Forwarded-For", []string{"203.0.113.5"}, "11.0.0.1"},
		{"unix socket", "@", "X-Forwarded-For", []string{"203.0.113.5"}, none},

		// A header of one address
		{"single", proxy, "CF-Connecting-IP", []string{"203.0.113.5"}, "203.0.113.5"},
		{"single in lower case", proxy, "cf-connecting-ip", []string{"203.0.113.5"}, "203.0.113.5"},
		{"single in IPv6", proxy, "CF-Connecting-IP", []string{"2001:db8:1:2::5"}, "2001:db8:1:2::5"},
		{"single appended to, not overwritten", proxy, "X-Real-IP", []string{"1.1.1.1", "203.0.113.5"}, "203.0.113.5"},
		{"single missing", proxy, "CF-Connecting-IP", nil, none},

		// Forwarded
		{"forwarded", proxy, "Forwarded", []string{"for=203.0.113.5"}, "203.0.113.5"},
		{"forwarded with more", proxy, "Forwarded", []string{"by=10.0.0.7; For=203.0.113.5;proto=https"}, "203.0.113.5"},
		{"forwarded quoted", proxy, "Forwarded", []string{`for="203.0.113.5:6000"`}, "203.0.113.5"},
		{"forwarded IPv6", proxy, "Forwarded", []string{`for="[2001:db8:1:2::5]:6000"`}, "2001:db8:1:2::5"},
		{"forwarded IPv6 without port", proxy, "Forwarded", []string{`for="[2001:db8:1:2::5]"`}, "2001:db8:1:2::5"},
		{"forwarded invented on the left", proxy, "Forwarded", []string{"for=1.1.1.1, for=203.0.113.5"}, "203.0.113.5"},
		{"forwarded through two", proxy, "Forwarded", []string{"for=1.1.1.1, for=203.0.113.5", "for=10.0.0.2"}, "203.0.113.5"},
		{"forwarded open quote on the left", proxy, "Forwarded", []string{`for="1.1.1.1, for=203.0.113.5`}, "203.0.113.5"},
		{"forwarded open quote, quoted client", proxy, "Forwarded", []string{`for="1.1.1.1, for="203.0.113.5:1"`}, "203.0.113.5"},
		{"forwarded comma in a quoted parameter", proxy, "Forwarded", []string{`for=203.0.113.5;host="a, for=1.1.1.1"`}, "203.0.113.5"},
		{"forwarded semicolon in a quoted parameter", proxy, "Forwarded", []string{`for=203.0.113.5;host="a;for=1.1.1.1"`}, "203.0.113.5"},
		{"forwarded escaped quote", proxy, "Forwarded", []string{`for=203.0.113.5;host="a\", for=1.1.1.1;x=\""`}, "203.0.113.5"},
		{"forwarded escaped backslash", proxy, "Forwarded", []string{`for=1.1.1.1;host="a\\", for=203.0.113.5`}, "203.0.113.5"},
		{"forwarded unknown", proxy, "Forwarded", []string{"for=203.0.113.5, for=unknown"}, none},
		{"forwarded obfuscated", proxy, "Forwarded", []string{"for=203.0.113.5, for=_hidden"}, none},
		{"forwarded without for", proxy, "Forwarded", []string{"for=203.0.113.5, proto=https"}, none},
		{"forwarded with two for", proxy, "Forwarded", []string{"for=1.1.1.1;for=203.0.113.5"}, none},
		{"forwarded bare", proxy, "Forwarded", []string{"203.0.113.5"}, none},
		{"forwarded missing", proxy, "Forwarded", nil, none},

		// The other header is not read.
		{"another header", proxy, "X-Forwarded-For|Forwarded", []string{"for=203.0.113.5"}, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			read, sent, two := strings.Cut(tt.header, "|")
			if !two {
				sent = read
			}
			r := from(tt.peer)
			for _, line := range tt.lines {
				r.Header.Add(sent, line)
			}
			cfg := limit.Config{TrustedProxies: trusted, Header: read}
			if tt.want == none {
				if sameSource(t, cfg, r, r) {
					t.Errorf("%v from %s has a bucket, want none", tt.lines, tt.peer)
				}
				return
			}
			if !sameSource(t, cfg, r, from(tt.want)) {
				t.Errorf("%v from %s is not the source that %s is directly", tt.lines, tt.peer, tt.want)
			}
		})
	}
}

// forwarded writes addr the way that header names a client.
func forwarded(header, addr string) string {
	if header != "Forwarded" {
		return addr
	}
	if strings.Contains(addr, ":") {
		return `for="[` + addr + `]"`
	}
	return "for=" + addr
}

func TestNoHeaderIsTrustedByDefault(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip"} {
		a := from("192.0.2.1:1", header, forwarded(header, "203.0.113.5"))
		b := from("192.0.2.1:1", header, forwarded(header, "203.0.113.6"))
		if !sameSource(t, limit.Config{}, a, b) {
			t.Errorf("%s changes the source without a trusted proxy", header)
		}
	}
}

// The laws: nothing panics; what an untrusted peer writes never changes its
// key; and whatever a client wrote, the address that the trusted proxy
// appended decides, as one more entry or as one more line.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		"", "1.1.1.1", "1.1.1.1, 10.0.0.1", `for="`, `for="1.1.1.1`, `for="a\`, `for=1.1.1.1;host="\\"`, "for=_x;for=unknown",
		"[::1]:80", "fe80::1%" + strings.Repeat("z", 50), ",,,,", "\t,\t", strings.Repeat("10.0.0.1,", 40), "\x00\xff",
	} {
		f.Add(s, "")
		f.Add("", s)
	}
	trusted := prefixes("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, header := range []string{"X-Forwarded-For", "Forwarded", "Cf-Connecting-Ip"} {
			cfg := limit.Config{TrustedProxies: trusted, Header: header}

			stranger := from("198.51.100.1:1", header, first, header, second)
			if !sameSource(t, cfg, stranger, from("198.51.100.1:2")) || sameSource(t, cfg, stranger, from("198.51.100.2:2")) {
				t.Errorf("%s: %q, %q changes the key of an untrusted peer", header, first, second)
			}

			client := forwarded(header, "203.0.113.5")
			for _, r := range []*http.Request{
				from("10.0.0.1:1", header, first, header, second+", "+client),
				from("10.0.0.1:1", header, first, header, second, header, client),
				from("10.0.0.1:1", header, first, header, second, header, client+","+forwarded(header, "10.0.0.2")),
			} {
				if !sameSource(t, cfg, r, from("203.0.113.5:1")) {
					t.Errorf("%s: %q hides the client that the proxy named", header, r.Header[header])
				}
			}

			// And with nothing appended it must not panic.
			l := newLimiter(t, cfg)
			r := from("10.0.0.1:1", header, first, header, second)
			l.Penalise(r)
			l.Allow(r)
		}
	})
}

// TestSource: what a log line names is the client's own address, not the /64
// that has its bucket.
func TestSource(t *testing.T) {
	t.Parallel()
	l, err := limit.New(limit.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Header: "X-Forwarded-For"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.RemoteAddr = "10.0.0.1:443"
	r.Header.Set("X-Forwarded-For", "2001:db8:1:2:3:4:5:6")
	if addr, ok := l.Source(r); !ok || addr.String() != "2001:db8:1:2:3:4:5:6" {
		t.Errorf("%v, %v", addr, ok)
	}
	r.Header.Del("X-Forwarded-For")
	if addr, ok := l.Source(r); ok {
		t.Errorf("a proxy is a client: %v", addr)
	}
}
