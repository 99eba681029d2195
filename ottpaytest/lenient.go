package ottpaytest

import (
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

// accept checks a decrypted request against its schema. It returns the request,
// corrected if the Gateway is lenient, and says what was taken although the
// document refuses it. The error is that of the request as it came.
//
// One thing is never held against a request: a callback URL without TLS whose
// host is on this machine or network, for there is nothing else to test with.
func (a *asked) accept(payload []byte, lenient bool, newID func() string) (taken []byte, said []string, err error) {
	if err = a.schema.Check(payload); err == nil {
		return payload, nil, nil
	}
	all := pairsOf(payload)
	if all == nil {
		return nil, nil, err
	}
	local := checked(a.schema, withTLS(a.schema, all))
	if local == nil {
		return payload, nil, nil
	}
	if !lenient {
		return nil, nil, local
	}
	for _, correct := range []func(*api.Schema, []pair) ([]pair, []string){otherSpellings, blanks, numbers, noTip, smallCurrency, missing} {
		var more []string
		all, more = correct(a.schema, all)
		said = append(said, more...)
	}
	if m, ok := a.schema.WithRole(api.RoleOrderID); ok && m.Required && a.action.Kind == api.KindEffect && !has(all, m.Name) {
		all = append(all, pair{m.Name, quoted("OTT" + newID())})
		said = append(said, "no "+m.Name)
	}
	if checked(a.schema, withTLS(a.schema, all)) != nil {
		return nil, nil, local
	}
	return object(all), said, nil
}

func checked(s *api.Schema, all []pair) error { return s.Check(object(all)) }

// pairsOf returns the members of an object, nil if it is none.
func pairsOf(payload []byte) []pair {
	r := wire.NewReader(payload)
	all := []pair{}
	for r.Next() {
		all = append(all, pair{r.Name(), slices.Clone(r.Raw())})
	}
	if _, err := r.Close(); err != nil {
		return nil
	}
	return all
}

// withTLS returns the members with https in place of http where a URL's host is
// on this machine or network.
func withTLS(s *api.Schema, all []pair) []pair {
	all = slices.Clone(all)
	for i, p := range all {
		m, ok := s.Member(p.name)
		if !ok || m.Role != api.RoleCallbackURL && m.Role != api.RoleRedirectURL {
			continue
		}
		u, err := url.Parse(members{"": p.value}.text(""))
		if err == nil && u.Scheme == "http" && localHost(u.Hostname()) {
			u.Scheme = "https"
			all[i].value = quoted(u.String())
		}
	}
	return all
}

// localHost reports whether a name or an address is one that no public name
// server knows.
func localHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || net.ParseIP(host) != nil {
		return false
	}
	if !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc([]string{".localhost", ".internal", ".local", ".test", ".lan"}, func(end string) bool { return strings.HasSuffix(host, end) })
}

func has(all []pair, name string) bool {
	return slices.ContainsFunc(all, func(p pair) bool { return p.name == name })
}

// otherSpellings takes names that differ from the document's in case and
// underscores: appId for app_id.
func otherSpellings(s *api.Schema, all []pair) (out []pair, said []string) {
	for _, p := range all {
		if _, known := s.Member(p.name); !known {
			for _, m := range s.Members {
				if fold(m.Name) == fold(p.name) && !has(all, m.Name) {
					said = append(said, p.name+" in place of "+m.Name)
					p.name = m.Name
					break
				}
			}
		}
		out = append(out, p)
	}
	return out, said
}

// blanks takes constants and enumerations with blanks around them, as the
// vendor's tables print them.
func blanks(s *api.Schema, all []pair) (out []pair, said []string) {
	for _, p := range all {
		m, _ := s.Member(p.name)
		if text := (members{"": p.value}).text(""); (m.Const != "" || len(m.Enum) > 0) && text != strings.TrimSpace(text) {
			said = append(said, p.name+" has blanks around it")
			p.value = quoted(strings.TrimSpace(text))
		}
		out = append(out, p)
	}
	return out, said
}

// numbers takes JSON numbers where the document has strings.
func numbers(s *api.Schema, all []pair) (out []pair, said []string) {
	for _, p := range all {
		if _, known := s.Member(p.name); known && len(p.value) > 0 && (p.value[0] == '-' || p.value[0] >= '0' && p.value[0] <= '9') {
			said = append(said, p.name+" is a number")
			p.value = quoted(string(p.value))
		}
		out = append(out, p)
	}
	return out, said
}

// noTip takes a tip of nothing, and null, as if the member was missing.
func noTip(s *api.Schema, all []pair) (out []pair, said []string) {
	for _, p := range all {
		m, known := s.Member(p.name)
		text := (members{"": p.value}).text("")
		switch {
		case m.Role == api.RoleTip && (text == "0" || text == "0.00"):
			said = append(said, p.name+" of "+string(p.value))
			continue
		case known && !m.Required && string(p.value) == "null":
			said = append(said, p.name+" is null")
			continue
		}
		out = append(out, p)
	}
	return out, said
}

// smallCurrency takes a currency in small letters.
func smallCurrency(s *api.Schema, all []pair) (out []pair, said []string) {
	for _, p := range all {
		m, _ := s.Member(p.name)
		if text := (members{"": p.value}).text(""); m.Role == api.RoleCurrency && text != strings.ToUpper(text) {
			said = append(said, p.name+" in small letters")
			p.value = quoted(strings.ToUpper(text))
		}
		out = append(out, p)
	}
	return out, said
}

// missing takes requests without members that decide nothing here, such as
// operator_id.
func missing(s *api.Schema, all []pair) (out []pair, said []string) {
	for _, m := range s.Members {
		if !m.Required {
			continue
		}
		i := slices.IndexFunc(all, func(p pair) bool { return p.name == m.Name || slices.Contains(m.Aliases, p.name) })
		if i >= 0 && (members{"": all[i].value}).text("") != "" {
			continue
		}
		switch m.Role {
		case api.RoleAmount, api.RoleOrderID, api.RoleOriginalOrderID, api.RoleAuthCode, api.RoleCallbackURL:
			continue
		}
		value := json.RawMessage(m.Example)
		if m.Example == "" {
			value = quoted(filler(m))
		}
		if i >= 0 {
			all[i].value = value
		} else {
			all = append(all, pair{m.Name, value})
		}
		said = append(said, "no "+m.Name)
	}
	return all, said
}
