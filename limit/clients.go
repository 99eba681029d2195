package limit

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"
)

// maxHops bounds how many entries of a forwarding header are looked at.
const maxHops = 32

// clients tells the source of a request.
type clients struct {
	trusted []netip.Prefix
	header  string // canonical
}

func newClients(trusted []netip.Prefix, header string) (clients, error) {
	if len(trusted) == 0 && header != "" {
		return clients{}, errors.New("limit: Header without TrustedProxies")
	}
	if len(trusted) > 0 && header == "" {
		return clients{}, errors.New("limit: TrustedProxies without Header")
	}
	c := clients{header: textproto.CanonicalMIMEHeaderKey(header)}
	for _, p := range trusted {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if !p.IsValid() {
			return clients{}, errors.New("limit: TrustedProxies holds an invalid prefix")
		}
		if p.Bits() == 0 {
			return clients{}, fmt.Errorf("limit: TrustedProxies holds %v, which trusts every client", p)
		}
		c.trusted = append(c.trusted, p.Masked())
	}
	return c, nil
}

// source returns the address that has the client's bucket: an IPv6 one is cut to
// its /64.
func (c clients) source(r *http.Request) (netip.Addr, bool) {
	addr, ok := c.client(r)
	return bucketAddr(addr), ok
}

// client returns the address of the client of r: the nearest one that is not a
// trusted proxy. It reports false if there is none.
//
// A trusted proxy is never the client: all clients behind it would be one.
func (c clients) client(r *http.Request) (netip.Addr, bool) {
	peer, ok := parsePeer(r.RemoteAddr)
	if !ok {
		return netip.Addr{}, false
	}
	if !c.trusts(peer) {
		return peer, true
	}
	// From right to left: each proxy appends the address that it saw. What a
	// client wrote into the header stands to the left of its own address and is
	// never reached, nor parsed.
	hops := 0
	lines := r.Header[c.header]
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			if hops++; hops > maxHops {
				return netip.Addr{}, false
			}
			var entry string
			rest, entry, more = c.cutLast(rest)
			addr, ok := c.parseEntry(entry)
			if !ok {
				return netip.Addr{}, false
			}
			if !c.trusts(addr) {
				return addr, true
			}
		}
	}
	return netip.Addr{}, false
}

func (c clients) trusts(a netip.Addr) bool {
	for _, p := range c.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// cutLast takes the last entry off a comma-separated list.
func (c clients) cutLast(s string) (rest, entry string, more bool) {
	i := strings.LastIndexByte(s, ',')
	if c.header == "Forwarded" {
		i = lastUnquotedComma(s)
	}
	if i < 0 {
		return "", strings.Trim(s, " \t"), false
	}
	return s[:i], strings.Trim(s[i+1:], " \t"), true
}

// lastUnquotedComma reads from the end, so that a quote which a client left
// open cannot swallow what the proxies wrote after it.
func lastUnquotedComma(s string) int {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !(quoted && escaped(s, i)):
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return -1
}

// escaped reports whether an odd number of backslashes stands before s[i].
func escaped(s string, i int) bool {
	before := s[:i]
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

func (c clients) parseEntry(s string) (netip.Addr, bool) {
	if c.header == "Forwarded" {
		node, ok := forwardedFor(s)
		if !ok {
			return netip.Addr{}, false
		}
		s = node
	}
	// A zone means nothing on another machine.
	if strings.Contains(s, "%") {
		return netip.Addr{}, false
	}
	return parsePeer(s)
}

// forwardedFor returns the value of the one "for" parameter of a
// forwarded-element, RFC 7239, section 4.
func forwardedFor(element string) (node string, ok bool) {
	for more := true; more; {
		var pair string
		pair, element, more = cutUnquoted(element, ';')
		name, value, found := strings.Cut(pair, "=")
		if !found || !strings.EqualFold(strings.Trim(name, " \t"), "for") {
			continue
		}
		if ok {
			return "", false // a second one: which is it?
		}
		node, ok = strings.Trim(value, " \t"), true
	}
	if len(node) >= 2 && node[0] == '"' && node[len(node)-1] == '"' {
		node = node[1 : len(node)-1]
	}
	return node, ok
}

// cutUnquoted cuts s at the first sep that is not inside a quoted string.
func cutUnquoted(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// parsePeer reads an address with or without a port, as in
// [http.Request.RemoteAddr] and in forwarding headers.
func parsePeer(s string) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(s)
	addr := ap.Addr()
	if err != nil {
		if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
			s = s[1 : n-1]
		}
		if addr, err = netip.ParseAddr(s); err != nil {
			return netip.Addr{}, false
		}
	}
	addr = addr.Unmap().WithZone("")
	// Servers without a network peer say 0.0.0.0: that is no client.
	return addr, !addr.IsUnspecified()
}

// bucketAddr widens an IPv6 address to its /64, which is the least that one
// customer is given.
func bucketAddr(a netip.Addr) netip.Addr {
	if !a.IsValid() || a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
