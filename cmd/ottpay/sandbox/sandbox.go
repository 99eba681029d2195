// Package sandbox serves a gateway in the box over HTTP: the gateway itself, a
// web page for operator and payer, an API for tests in any language under
// /-/api/v1, and around all of it the checks that keep other web sites out. A
// shop written in Go can mount it in its own development server.
//
// The API is described in openapi/sandbox.yaml, and docs/sandbox-api.md shows a
// whole test with it.
package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/page"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Config is how the sandbox is served. The zero value is the API and the page.
type Config struct {
	// Version and Label are shown by the API. Both are optional.
	Version string
	Label   string

	// Base is the path under which the handler is mounted, such as /sandbox,
	// without a slash at the end. Requests come with it, as they do from
	// mux.Handle("/sandbox/", handler). Set the Gateway's URL as well, to the
	// address with this path, so that the links which it answers with lead here.
	// If empty, the handler has all paths.
	Base string

	// NoPage leaves out the web page. The payer then finds the plain page of
	// [ottpaytest.Gateway].
	NoPage bool
	// PublishedKey is the sign key of the first merchant if it is the example
	// that the vendor publishes: then the page shows it in its first steps. It
	// must be empty for any other key.
	PublishedKey string
	// Keys are the sign keys that messages are explained with, on the page and by
	// POST /explain; the Gateway does not give its own away. Those of merchants
	// that are added later are used as well. Without any, an explanation ends
	// where a key is needed.
	Keys []SignKey

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
	if err := s.explainer.add(cfg.Keys...); err != nil {
		return nil, err
	}
	if !cfg.NoPage {
		var err error
		s.page, err = page.Handler(page.Config{
			Gateway: g, Base: cfg.Base, Version: cfg.Version, Label: cfg.Label,
			PublishedKey: cfg.PublishedKey, Explain: s.explainer.explain, Added: s.added, Logger: s.logger(),
		})
		if err != nil {
			return nil, err
		}
	}
	h, err := s.guard(s.routes())
	if err != nil || cfg.Base == "" {
		return h, err
	}
	return http.StripPrefix(cfg.Base, h), nil
}

type server struct {
	g         *ottpaytest.Gateway
	cfg       Config
	page      http.Handler // nil with NoPage
	explainer explainer
	started   time.Time
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
		case s.page != nil && (strings.HasPrefix(path, "/-/assets/") || strings.HasPrefix(path, "/-/sample/")):
			s.page.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/-/"):
			own.ServeHTTP(w, r)
		case gatewayPath(path) || r.Method == http.MethodPost && !isForm(r):
			s.g.ServeHTTP(w, r)
		case s.page == nil && strings.HasPrefix(path, "/pay/"):
			payerHeaders(w.Header())
			s.g.ServeHTTP(w, r)
		case s.page == nil:
			s.fail(w, r, problem{Status: http.StatusNotFound, Code: "no-page", Detail: "this sandbox has no web page", Hint: apiPath + "/openapi.json describes the API"})
		case payerPath(path):
			s.page.ServeHTTP(w, r)
		default:
			s.operator(s.page.ServeHTTP)(w, r)
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

func (s *server) logger() *slog.Logger {
	if s.cfg.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.cfg.Logger
}

func (s *server) log(r *http.Request, err error) {
	if s.cfg.Logger != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "sandbox: request failed", "path", r.URL.Path, "err", err)
	}
}
