package api

import (
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

// ruleError is the error of a text that breaks a rule. It names no value.
type ruleError string

// Error returns what the text has to be.
func (e ruleError) Error() string { return string(e) }

// Loggable marks the error as one that holds no value.
func (ruleError) Loggable() {}

// CheckOrderID returns an error unless id is one that the document admits for an
// order: 1 to 64 letters, digits, _ and -. Card orders admit less.
func CheckOrderID(id string) error {
	if m := ruleMember("orderid"); id == "" || !m.matchesPattern(id) {
		return ruleError("the order's id is not 1 to 64 letters, digits, _ and -")
	}
	return nil
}

// CheckAmount returns an error unless cents is an amount that a request may
// name: 1 to 12 digits.
func CheckAmount[Cents ~int64](cents Cents) error {
	if cents < 1 || cents > 999_999_999_999 {
		return ruleError("the amount is not 1 to 12 digits")
	}
	return nil
}

// CheckCallbackURL returns an error unless text is a URL that the document admits
// for callbacks: absolute https as it goes over the wire, without a fragment and
// a user; plain http for a loopback host only. The length is not checked.
func CheckCallbackURL(text string) error {
	if m := ruleMember("httpsurl"); text == "" || !m.matchesPattern(text) {
		return ruleError("the callback URL is not an absolute https URL as it goes over the wire")
	}
	return nil
}

// CheckURL returns an error unless u is absolute and uses https, or plain http
// to a loopback host. The error does not quote u.
func CheckURL(u *url.URL) error {
	switch {
	case u == nil || u.Host == "":
		return ruleError("the URL is not absolute")
	case u.User != nil:
		return ruleError("the URL holds credentials")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return ruleError("the URL is not https")
	}
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// ruleMember returns a member of the document that has the rule.
func ruleMember(rule string) Member {
	return ruleMembers()[rule]
}

var ruleMembers = sync.OnceValue(func() map[string]Member {
	members := make(map[string]Member)
	for _, name := range Schemas() {
		schema, _ := LookupSchema(name)
		for _, m := range schema.Members {
			if _, ok := members[m.Rule]; m.Rule != "" && !ok {
				members[m.Rule] = m
			}
		}
	}
	return members
})
