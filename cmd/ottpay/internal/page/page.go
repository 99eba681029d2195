// Package page is the sandbox's web page: what an operator sees of a gateway in
// the box, and the pages on which a payer pays. The HTML is rendered here from
// the Gateway's own book and log; one small script adds live updates. Nothing
// needs it: without JavaScript forms post and redirect.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

//go:embed assets templates
var files embed.FS

// Config is how a page is set up.
type Config struct {
	// Gateway is what the page shows. Required.
	Gateway *ottpaytest.Gateway
	// Base is the path that the page is mounted under, such as /sandbox, without
	// a slash at the end. It is prepended to every link; the code that mounts the page
	// strips it from the requests. If empty, the page is at the root.
	Base string
	// GatewayURL is the base URL for clients, such as
	// http://127.0.0.1:6698/processV2. If empty, it is made of each request's
	// host.
	GatewayURL string
	// Version and Label stand in header and footer. Optional.
	Version, Label string
	// PublishedKey is the sign key of the first merchant if it is the vendor's
	// published example, which the first steps may show. It must be empty for any
	// other key.
	PublishedKey string
	// Explain says what is wrong with a message; against is what was meant to be
	// sealed, or empty. If nil, there is no such screen.
	Explain func(message, against []byte) *explain.Explanation
	// Added is called for every merchant that is added on the page. Optional.
	Added func(ottpaytest.MerchantConfig)
	// Logger gets an error if a page cannot be rendered. If nil, slog.Default()
	// is used.
	Logger *slog.Logger
}

// page renders and acts.
type page struct {
	Config
	templates map[string]*template.Template
	assets    map[string]asset // by name with hash
	css, js   string           // names with hash
}

type asset struct {
	mime string
	body []byte
}

// Handler returns the page. It serves these paths and no others: /, /new,
// /orders/, /messages/, /deliveries, /faults, /explain, /settings, /pay/, /mini/,
// /-/sample/callback and /-/assets/. The stream of events, /-/events and /-/seq, is the
// sandbox's.
func Handler(cfg Config) (http.Handler, error) {
	if cfg.Gateway == nil {
		return nil, errors.New("page: Config.Gateway is nil")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	p := &page{Config: cfg, assets: make(map[string]asset)}
	p.css = p.asset("app.css", "text/css; charset=utf-8")
	p.js = p.asset("app.js", "text/javascript; charset=utf-8")
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.routes(), nil
}

// asset reads a file and returns its name with a hash of what it holds, so that
// browsers may keep it for good.
func (p *page) asset(name, mime string) string {
	body, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic("page: " + err.Error()) // it is embedded
	}
	sum := sha256.Sum256(body)
	stem, ext, _ := strings.Cut(name, ".")
	hashed := stem + "." + hex.EncodeToString(sum[:6]) + "." + ext
	p.assets[hashed] = asset{mime, body}
	return hashed
}

func (p *page) parse() error {
	layout, err := template.New("layout.html").Funcs(p.functions()).ParseFS(files, "templates/layout.html")
	if err != nil {
		return err
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return err
	}
	p.templates = make(map[string]*template.Template)
	for _, name := range names {
		base := strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")
		t, err := layout.Clone()
		if err == nil {
			t, err = t.ParseFS(files, name)
		}
		if err != nil {
			return err
		}
		p.templates[base] = t
	}
	return nil
}

func (p *page) routes() http.Handler {
	mux := http.NewServeMux()
	operator := func(pattern string, h func(*request) error) { mux.Handle(pattern, p.serve(h, operatorPolicy)) }
	payer := func(pattern string, h func(*request) error) { mux.Handle(pattern, p.serve(h, payerPolicy)) }

	operator("GET /{$}", p.orders)
	operator("GET /new", p.newOrder)
	operator("POST /new", p.create)
	operator("GET /orders/{merchant}/{id}", p.order)
	operator("POST /orders/{merchant}/{id}/{do}", p.act)
	operator("GET /messages/{seq}", p.message)
	operator("POST /messages/{seq}/resend", p.resend)
	operator("GET /deliveries", p.deliveries)
	operator("GET /faults", p.faults)
	operator("POST /faults/{do}", p.changeFaults)
	operator("GET /explain", p.explain)
	operator("POST /explain", p.explain)
	operator("GET /settings", p.settings)
	operator("POST /settings/{do}", p.changeSettings)
	operator("GET /settings/record", p.record)
	operator("/", p.lost)

	payer("GET /pay/{$}", p.codes)
	payer("GET /pay/{merchant}/{id}", p.pay)
	payer("POST /pay/{merchant}/{id}", p.decide)
	payer("GET /mini/{merchant}/{id}", p.mini)
	payer("POST /mini/{merchant}/{id}", p.decideMini)
	payer("GET /mini/{$}", p.findMini)

	mux.HandleFunc("POST "+sampleCallback, p.sampleShop)
	mux.HandleFunc("GET /-/assets/{name}", p.serveAsset)
	return mux
}

// The policies admit no inline script and no inline style, so that text from a
// shop stays text even where a template fails to escape it. A payer's form leads
// to the shop's own address afterwards, and Chromium applies form-action to
// that, too.
const (
	policy         = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	operatorPolicy = policy
	payerPolicy    = policy + " http: https:"
)

// maxForm bounds a posted form, maxRecord one with a file.
const (
	maxForm   = 1 << 20
	maxRecord = 64 << 20
)

// request is one request with its answer.
type request struct {
	*http.Request
	w      http.ResponseWriter
	status int    // of the page that is rendered
	nav    string // "/" on a page of the operator's, "" on one of the payer's
}

// serve runs a handler. An error of it is a page, too.
func (p *page) serve(h func(*request) error, csp string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, nav := w.Header(), "/"
		if csp == payerPolicy {
			nav = ""
		}
		header.Set("Content-Security-Policy", csp)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if r.Method == http.MethodPost {
			limit, parse := int64(maxForm), r.ParseForm
			if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
				limit, parse = maxRecord, func() error { return r.ParseMultipartForm(maxForm) }
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			if err := parse(); err != nil {
				p.fail(&request{r, w, http.StatusOK, nav}, problem{http.StatusBadRequest, "the form could not be read", ""})
				return
			}
		}
		q := &request{r, w, http.StatusOK, nav}
		if err := h(q); err != nil {
			p.fail(q, err)
		}
	})
}

// problem is an error that is shown with its status.
type problem struct {
	status  int
	message string
	hint    string
}

func (e problem) Error() string { return e.message }

func (p *page) fail(r *request, err error) {
	var e problem
	switch {
	case errors.As(err, &e):
	case errors.Is(err, ottpaytest.ErrNoOrder), errors.Is(err, ottpaytest.ErrNoMerchant):
		e = problem{http.StatusNotFound, sentence(err), ""}
	case errors.Is(err, ottpaytest.ErrState):
		e = problem{http.StatusConflict, sentence(err), ""}
	default:
		e = problem{http.StatusBadRequest, sentence(err), ""}
	}
	v := struct {
		shell
		Status  int
		Message string
		Hint    string
		Near    []link
	}{p.shell(r, r.nav, http.StatusText(e.status)), e.status, e.message, e.hint, nil}
	if e.status == http.StatusNotFound && v.Nav != "" { // a payer is not told of the orders of others
		v.Class = "list" // with the search, on a phone, too
		v.Near = p.nearest(r.PathValue("merchant"), r.PathValue("id"))
	}
	r.status = e.status
	_ = p.render(r, "error", v)
}

// sentence is an error of ottpaytest without the package's name.
func sentence(err error) string { return strings.TrimPrefix(err.Error(), "ottpaytest: ") }

func (p *page) lost(r *request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return problem{http.StatusMethodNotAllowed, "this page takes no " + r.Method, ""}
	}
	return problem{http.StatusNotFound, "There is no such page.", ""}
}

// render writes a whole page, or nothing of it if the template fails.
func (p *page) render(r *request, name string, v any) error {
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, "page", v); err != nil {
		p.Logger.ErrorContext(r.Context(), "page: a template failed", "template", name, "error", err)
		http.Error(r.w, "the page could not be rendered", http.StatusInternalServerError)
		return nil
	}
	if n, err := strconv.Atoi(r.FormValue("refresh")); err == nil && n >= 1 && n <= 60 {
		r.w.Header().Set("Refresh", strconv.Itoa(n))
	}
	r.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(r.w, r.Request, r.status, b.Bytes())
	return nil
}

// send writes a body, compressed if the browser takes that: a page of orders is
// seven times smaller then, which matters on a phone beside the machine.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Add("Vary", "Accept-Encoding")
	if len(body) < 1<<10 || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.WriteHeader(status)
		_, _ = w.Write(body) // an error is the browser's that went away
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z := gzip.NewWriter(w)
	_, _ = z.Write(body)
	_ = z.Close()
}

// see answers a form that was done. The browser asks for the page anew.
func (p *page) see(r *request, path string) error {
	http.Redirect(r.w, r.Request, p.Base+path, http.StatusSeeOther)
	return nil
}

func (p *page) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.mime)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	send(w, r, http.StatusOK, a.body)
}

// shell is what every page shows around its own.
type shell struct {
	Title    string
	Nav      string // the path of the screen in the header; "" for a payer's page
	Base     string
	Seq      uint64
	Now      time.Time
	Version  string
	Label    string
	Waiting  int // faults that are armed
	Merchant string
	Shops    []string // merchants, if there are several
	Q        string   // what is searched for
	CSS, JS  string
	Explains bool
	Class    string // of the body
	Auto     string // this page, updating without JavaScript
	Poll     bool   // a payer's page looks at itself, having no stream
	Done     string // what was just done, from a closed list
}

func (p *page) shell(r *request, nav, title string) shell {
	q := r.URL.Query()
	done := dones[q.Get("done")]
	q.Del("done")
	q.Set("refresh", "3")
	s := shell{
		Title: title, Nav: nav, Base: p.Base, Seq: p.Gateway.Seq(), Now: p.Gateway.Now(), Version: p.Version, Label: p.Label,
		Waiting: len(p.Gateway.Armed()), CSS: p.css, JS: p.js, Explains: p.Explain != nil, Done: done,
		Auto: "?" + q.Encode(),
	}
	if nav == "" {
		s.Class = "payer"
	}
	if shops := p.Gateway.Merchants(); len(shops) > 1 {
		s.Shops = shops
	}
	return s
}

// dones are the words for what a form did. They come by name in the URL, so that
// no text of others is shown as the page's own.
var dones = map[string]string{
	"reset":    "Everything is forgotten.",
	"armed":    "The fault is armed.",
	"disarmed": "Disarmed.",
	"saved":    "Saved.",
	"advanced": "The clock was set forward.",
	"loaded":   "The record is loaded.",
}

// link is a link with its words.
type link struct{ Path, Text string }

func orderPath(merchant, id string) string {
	return "/orders/" + url.PathEscape(merchant) + "/" + url.PathEscape(id)
}

func messagePath(seq uint64) string { return "/messages/" + strconv.FormatUint(seq, 10) }

// gatewayURL is where clients send their requests.
func (p *page) gatewayURL(r *request) string {
	if p.GatewayURL != "" {
		return p.GatewayURL
	}
	return p.origin(r) + "/processV2"
}

// origin is where the browser found the page.
func (p *page) origin(r *request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
