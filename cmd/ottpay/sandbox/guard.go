package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxBody bounds what is read of a request.
const maxBody = 1 << 20

// maxRecord bounds a record that is put back.
const maxRecord = 64 << 20

// guard puts the checks around everything. The order matters: the Host goes
// first, because a page whose name was rebound to this machine is of the same
// origin for all that follows.
func (s *server) guard(next http.Handler) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	for _, origin := range s.cfg.AllowOrigins {
		if err := cross.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, problem{
			Status: http.StatusForbidden, Code: "origin", Detail: "another web site may not do this",
			Hint: "--allow-origin " + origin(r) + " if that page is yours",
		})
	}))
	safe := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		commonHeaders(w.Header())
		if !s.knownHost(r.Host) {
			s.fail(w, r, problem{
				Status: http.StatusMisdirectedRequest, Code: "host", Detail: "this sandbox does not go by the name of " + hostname(r.Host),
				Hint: "--allow-host " + hostname(r.Host) + " if it should",
			})
			return
		}
		limit := int64(maxBody)
		if r.Method == http.MethodPut && r.URL.Path == apiPath+"/record" || r.Method == http.MethodPost && r.URL.Path == "/settings/load" {
			limit = maxRecord
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if s.cors(w, r) {
			return
		}
		safe.ServeHTTP(w, r)
	}), nil
}

// origin is what a request says of where it comes from, fit for a hint.
func origin(r *http.Request) string {
	if u, err := url.Parse(r.Header.Get("Origin")); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return "ORIGIN"
}

// knownHost reports whether a request was meant for this sandbox. A web page
// that was rebound to this machine carries the public name it was loaded from,
// and such a name has a dot.
func (s *server) knownHost(host string) bool {
	name := hostname(host)
	if name == "" {
		return false
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	name = strings.ToLower(name)
	if slices.ContainsFunc(s.cfg.AllowHosts, func(allowed string) bool {
		return strings.TrimSuffix(strings.ToLower(allowed), ".") == strings.TrimSuffix(name, ".")
	}) {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	return name != "" && (!strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".internal"))
}

// hostname is a Host header without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// commonHeaders are on every answer. A page may set another policy.
func commonHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", policy)
}

// The policies. Chromium applies form-action to the redirect after a form, too,
// and a payer's form leads to the shop's address.
const (
	policy      = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	payerPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'"
)

func payerHeaders(h http.Header) { h.Set("Content-Security-Policy", payerPolicy) }

// cors lets the pages of AllowOrigins use the API, and reports whether the
// request is answered with that.
func (s *server) cors(w http.ResponseWriter, r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" || !slices.Contains(s.cfg.AllowOrigins, from) || !strings.HasPrefix(r.URL.Path, "/-/") {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", from)
	h.Add("Vary", "Origin")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Prefer, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

const tokenCookie = "ottpay_sandbox"

// operator lets only those pass who have the token, if there is one.
func (s *server) operator(next http.HandlerFunc) http.HandlerFunc {
	if s.cfg.Token == "" {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if s.enter(w, r) {
			return
		}
		cookie, err := r.Cookie(tokenCookie)
		bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if ok && s.isToken(bearer) || err == nil && s.isToken(cookie.Value) {
			next(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="ottpay sandbox"`)
		s.fail(w, r, problem{
			Status: http.StatusUnauthorized, Code: "token", Detail: "this takes the sandbox's token",
			Hint: "open the address that the sandbox printed, or send Authorization: Bearer TOKEN",
		})
	}
}

// enter exchanges the token in the address of a page for a cookie, and reports
// whether it has answered.
func (s *server) enter(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	token := q.Get("token")
	if token == "" || r.Method != http.MethodGet || strings.HasPrefix(r.URL.Path, "/-/") || !s.isToken(token) {
		return false
	}
	http.SetCookie(w, &http.Cookie{
		Name: tokenCookie, Value: token, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	q.Del("token")
	to := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
	w.Header().Set("Cache-Control", "no-store")
	// A path that begins with two slashes would lead to another host.
	http.Redirect(w, r, s.cfg.Base+"/"+strings.TrimLeft(to.String(), "/"), http.StatusSeeOther)
	return true
}

func (s *server) isToken(text string) bool {
	a, b := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(s.cfg.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
