// Package sandbox serves a gateway in the box over HTTP: the gateway itself, an
// API for tests in any language under /-/api/v1, a stream of events for pages,
// and around all of it the checks that keep other web sites out.
//
// The API is described in openapi/sandbox.yaml, and docs/sandbox-api.md shows a
// whole test with it.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Config is how the sandbox is served. The zero value is an API without a page
// on loopback addresses.
type Config struct {
	// Version and Label are shown by the API. Both are optional.
	Version string
	Label   string

	// Page serves the pages for operator and payer: GET and HEAD of every path
	// outside of /-/, posted forms, and /-/assets/. If nil, the payer finds the
	// plain page of [ottpaytest.Gateway], and there is no other.
	Page http.Handler

	// AllowHosts are further names under which the sandbox may be reached, such
	// as sandbox.example. IP addresses, names without a dot, and names that end
	// in .localhost or .internal always pass.
	AllowHosts []string
	// AllowOrigins are the origins of web pages that may use the API from a
	// browser, such as http://localhost:3000.
	AllowOrigins []string

	// Token, if not empty, is what the operator's pages and the API ask for, as a
	// bearer token, or once as ?token= of a page. The gateway's own paths and the
	// payer's pages stay open.
	Token string

	// CallbackTo and AllowCallback are those of the [Callbacks] that the gateway
	// uses, for GET /info. They change nothing here.
	CallbackTo    string
	AllowCallback []string

	// Explain answers POST /explain. It gets the request's JSON object and
	// returns one. If nil, that path does not exist.
	Explain func(ctx context.Context, request json.RawMessage) (any, error)

	// Logger gets what goes wrong in the sandbox itself. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// Handler returns the sandbox around a gateway. It ends its streams when the
// context of a request ends, so that Shutdown of a server does not wait for them
// if its BaseContext ends first, as that of [Server] does.
//
// The error is one of cfg: an origin that is none.
func Handler(g *ottpaytest.Gateway, cfg Config) (http.Handler, error) {
	if g == nil {
		return nil, errors.New("sandbox: the gateway is nil")
	}
	for _, origin := range cfg.AllowOrigins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			return nil, fmt.Errorf("sandbox: %q is no origin; one looks like http://localhost:3000", origin)
		}
	}
	s := &server{g: g, cfg: cfg, started: time.Now()}
	return s.guard(s.routes())
}

type server struct {
	g       *ottpaytest.Gateway
	cfg     Config
	started time.Time
}

const apiPath = "/-/api/v1"

// routes says who answers what. The gateway has every POST but those of forms,
// for clients name any path as the gateway's address.
func (s *server) routes() http.Handler {
	own := http.NewServeMux()
	own.HandleFunc("GET /-/healthz", s.healthz)
	own.HandleFunc("GET /-/events", s.operator(s.stream))
	own.HandleFunc("GET /-/seq", s.operator(s.seq))
	s.api(own)
	own.HandleFunc("/-/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, problem{Status: http.StatusNotFound, Code: "no-such-path", Detail: "there is nothing at " + r.URL.Path, Hint: apiPath + "/openapi.json describes the API"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case s.cfg.Page != nil && strings.HasPrefix(path, "/-/assets/"):
			s.cfg.Page.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/-/"):
			own.ServeHTTP(w, r)
		case gatewayPath(path) || r.Method == http.MethodPost && !isForm(r):
			s.g.ServeHTTP(w, r)
		case s.cfg.Page == nil && strings.HasPrefix(path, "/pay/"):
			payerHeaders(w.Header())
			s.g.ServeHTTP(w, r)
		case s.cfg.Page == nil:
			s.fail(w, r, problem{Status: http.StatusNotFound, Code: "no-page", Detail: "this sandbox has no web page", Hint: apiPath + "/openapi.json describes the API"})
		case payerPath(path):
			s.cfg.Page.ServeHTTP(w, r)
		default:
			s.operator(s.cfg.Page.ServeHTTP)(w, r)
		}
	})
}

// gatewayPath reports whether a path is one of the vendor's.
func gatewayPath(path string) bool {
	switch path {
	case "/process", "/processV2", "/processV3":
		return true
	}
	return strings.HasSuffix(path, "/inAppPay")
}

// payerPath reports whether a page is the payer's, who needs no token.
func payerPath(path string) bool {
	return strings.HasPrefix(path, "/pay/") || strings.HasPrefix(path, "/mini/")
}

// isForm reports whether a request was posted by a form of a page.
func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "application/x-www-form-urlencoded", "multipart/form-data":
		return true
	}
	return false
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (s *server) log(r *http.Request, err error) {
	if s.cfg.Logger != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "sandbox: request failed", "path", r.URL.Path, "err", err)
	}
}
