package crosstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

const (
	signKey  = "6698851A525C9433" // OTT Pay's published example
	merchant = "TS00000001"
)

// router is a framework, with its adapter or, for the reference, without one.
type router struct {
	name string
	// routes mounts the webhook in front of a handler that does what the shop
	// is told in the framework's own way: POST /shop/pay/{channel} and, for
	// every method, /shop/any/{channel}.
	routes func(w *middleware.Webhook, s *shop, m mount) http.Handler
	// can reports whether a handler has a way to do it.
	can func(act string, typed bool) bool
}

// mount is how the webhook stands in the framework.
type mount struct {
	typed           bool // Handle, and not middleware in front of a handler
	recoversInside  bool // the framework's recovery behind the webhook
	recoversOutside bool // and in front of it
}

var routers = []router{nethttpRouter, chiRouter, ginRouter, echoRouter, echo4Router}

// act is what a handler does.
type act struct {
	name string
	end  string // what becomes of the handler's work: "kept", "failed" or "panic"
}

var acts = []act{
	{"returns", "kept"},
	{"writes json", "kept"},
	{"writes 201 without a body", "kept"},
	{"flushes", "kept"},
	{"returns an error", "failed"},
	{"returns the framework's error", "failed"},
	{"writes and returns an error", "failed"},
	{"writes 500 without a body", "failed"},
	{"changes its mind about the status", "failed"},
	{"writes and sets 500", "failed"},
	{"writes and aborts", "failed"},
	{"writes and panics", "panic"},
	{"writes 400 with a body", "failed"},
	{"redirects", "failed"},
	{"aborts", "failed"},
	{"aborts without a status", "failed"},
	{"panics", "panic"},
	{"panics to abort", "panic"},
}

// shop is the handler's other end.
type shop struct {
	t       *testing.T
	act     atomic.Pointer[string]
	runs    atomic.Int32
	entered chan struct{} // if not nil, told of every run
	proceed chan struct{} // and waited for
}

func newShop(t *testing.T, act string) *shop {
	s := &shop{t: t}
	s.does(act)
	return s
}

func (s *shop) does(act string) { s.act.Store(&act) }

// sees is called by every handler with what the framework gave it, and returns
// what the handler is to do.
func (s *shop) sees(boundOrder, channel string, d *middleware.Delivery, ok bool) (act string) {
	s.runs.Add(1)
	switch {
	case !ok:
		s.t.Error("the handler has no Delivery")
	case d.OrderID != boundOrder || d.Notification.OrderID != boundOrder:
		s.t.Errorf("the handler read order %q from the body, the delivery is of %q", boundOrder, d.OrderID)
	}
	if channel != "ottpay" {
		s.t.Errorf("the route's parameter is %q", channel)
	}
	if s.entered != nil {
		s.entered <- struct{}{}
		<-s.proceed
	}
	return *s.act.Load()
}

// orders gives each story an order of its own.
func newOrder() string { return "T" + rand.Text() }

func mustKey(t testing.TB, signKey string) envelope.Key {
	t.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func callback(t testing.TB, signKey, order string) []byte {
	t.Helper()
	sealed, err := mustKey(t, signKey).Seal(fmt.Appendf(nil,
		`{"amount":"1999","bizpay_order_id":"WX1","finish_time":"20240102110405","merchant_id":%q,"order_id":%q}`, merchant, order))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// request is what goes over the wire, to the letter.
func request(method, path, header string, body []byte) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		method, path, header, len(body), body)
}

func chunked(path string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", path, len(body), body)
}

var date = regexp.MustCompile(`(?m)^Date: .*\r\n`)

// answer is what came back, to the letter but for the date.
func answer(t *testing.T, server *httptest.Server, request []byte) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	go conn.Write(request)
	all, err := io.ReadAll(conn)
	if err != nil && len(all) == 0 {
		return "no answer"
	}
	return date.ReplaceAllString(string(all), "")
}

func status(answer string) string {
	_, rest, _ := strings.Cut(answer, " ")
	code, _, _ := strings.Cut(rest, " ")
	return code
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// logBook is where a webhook's log goes.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWebhook(t *testing.T, store dedupe.Store, logs io.Writer) *middleware.Webhook {
	t.Helper()
	w, err := ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchant: {mustKey(t, signKey)}},
		Store:  store,
		Asker:  ottpaytest.Asker{},
		Logger: slog.New(slog.NewTextHandler(logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// shelves are the stores, each as a maker.
var shelves = []struct {
	name string
	make func(t *testing.T) dedupe.Store
}{
	{"memory", func(t *testing.T) dedupe.Store { return dedupe.NewMemory(dedupe.MemoryConfig{}) }},
	{"PostgreSQL lease", sqlShelf(postgres, dedupe.Lease)},
	{"PostgreSQL transactional", sqlShelf(postgres, dedupe.Transactional)},
	{"MariaDB lease", sqlShelf(mariadb, dedupe.Lease)},
	{"MariaDB transactional", sqlShelf(mariadb, dedupe.Transactional)},
	{"SQLite lease", sqlShelf(sqlite, dedupe.Lease)},
	{"SQLite transactional", sqlShelf(sqlite, dedupe.Transactional)},
	{"Redis", func(t *testing.T) dedupe.Store {
		client, prefix := redisClient(t)
		return redisStore(t, client, redisstore.Config{Prefix: prefix})
	}},
}

func sqlShelf(s server, mode dedupe.Mode) func(*testing.T) dedupe.Store {
	return func(t *testing.T) dedupe.Store {
		return s.store(t, s.open(t), dedupe.SQLConfig{Mode: mode, LockTimeout: 100 * time.Millisecond})
	}
}

// TestAdapters compares every adapter over every store with plain net/http over
// the same store: the answers byte for byte, and how often the handler ran.
func TestAdapters(t *testing.T) {
	t.Parallel()
	for _, shelf := range shelves {
		t.Run(shelf.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range routers {
				for _, typed := range []bool{false, true} {
					name := r.name + "/middleware"
					if typed {
						name = r.name + "/handle"
					}
					t.Run(name, func(t *testing.T) {
						b := bench{router: r, mount: mount{typed: typed}, store: shelf.make(t), slow: shelf.name != "memory"}
						t.Run("acts", b.acts)
						t.Run("recovery", b.recovery)
						t.Run("requests", b.requests)
						t.Run("in flight", b.inFlight)
						t.Run("at once", b.atOnce)
						t.Run("timeout outside", b.timeout)
						t.Run("body consumed", b.consumed)
						t.Run("shut down", b.shutDown)
					})
				}
			}
		})
	}
}

// bench is one adapter in one form over one store.
type bench struct {
	router
	mount
	store dedupe.Store
	slow  bool // leave out where the server lingers for half a second and no store is asked
}

// plain is the net/http application that the adapter's is compared with. It
// ends as the act does.
func (b bench) plain(w *middleware.Webhook, s *shop) http.Handler {
	return nethttpRouter.routes(w, s, mount{})
}

// pair serves the application and the one that it is compared with.
func (b bench) pair(t *testing.T, act act, front func(http.Handler) http.Handler) (app, plain *site) {
	reference := map[string]string{"kept": "returns", "failed": "writes 400 with a body", "panic": "panics"}[act.end]
	app = newSite(t, b.store, act.name, func(w *middleware.Webhook, s *shop) http.Handler { return front(b.routes(w, s, b.mount)) })
	plain = newSite(t, b.store, reference, func(w *middleware.Webhook, s *shop) http.Handler { return front(b.plain(w, s)) })
	return app, plain
}

func nothing(h http.Handler) http.Handler { return h }

type site struct {
	*httptest.Server
	shop    *shop
	webhook *middleware.Webhook
	logs    *logBook
}

func newSite(t *testing.T, store dedupe.Store, act string, routes func(*middleware.Webhook, *shop) http.Handler) *site {
	a := &site{shop: newShop(t, act), logs: new(logBook)}
	a.webhook = newWebhook(t, store, a.logs)
	a.Server = serve(t, routes(a.webhook, a.shop))
	return a
}

const path = "/shop/pay/ottpay"

func (a *site) deliver(t *testing.T, body []byte) string {
	t.Helper()
	return answer(t, a.Server, request("POST", path, "", body))
}

// same compares two answers, and the status with what it should be.
func same(t *testing.T, what, got, want, wantStatus string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nplain net/http:\n%s", what, got, want)
	}
	if status(got) != wantStatus {
		t.Errorf("%s: status %s, want %s", what, status(got), wantStatus)
	}
}

func (b bench) acts(t *testing.T) {
	for _, act := range acts {
		if !b.can(act.name, b.typed) {
			continue
		}
		t.Run(act.name, func(t *testing.T) {
			b.story(t, act)
		})
	}
}

// story is a delivery and its redeliveries, through the handler's failure and
// its recovery.
func (b bench) story(t *testing.T, act act) {
	app, plain := b.pair(t, act, nothing)
	body, reference := callback(t, signKey, newOrder()), callback(t, signKey, newOrder())
	runs := int32(0)
	for range 2 {
		want := "200"
		if act.end != "kept" {
			runs, want = runs+1, "503"
		} else {
			runs = 1
		}
		same(t, act.name, app.deliver(t, body), plain.deliver(t, reference), want)
		if got := app.shop.runs.Load(); got != runs {
			t.Errorf("the handler ran %d times, want %d", got, runs)
		}
	}
	if act.end != "kept" {
		app.shop.does("returns")
		plain.shop.does("returns")
		for range 2 {
			same(t, "after it works again", app.deliver(t, body), plain.deliver(t, reference), "200")
		}
		if got := app.shop.runs.Load(); got != runs+1 {
			t.Errorf("the handler ran %d times, want %d", got, runs+1)
		}
	}
}

// The framework's recovery changes nothing, in front or behind.
func (b bench) recovery(t *testing.T) {
	for name, m := range map[string]mount{
		"inside":  {typed: b.typed, recoversInside: true},
		"outside": {typed: b.typed, recoversOutside: true},
		"both":    {typed: b.typed, recoversInside: true, recoversOutside: true},
	} {
		t.Run(name, func(t *testing.T) {
			b.mount = m
			for _, act := range acts {
				switch act.name {
				case "returns", "returns an error", "writes 500 without a body", "panics", "writes and panics", "writes and aborts":
					if b.can(act.name, b.typed) {
						b.story(t, act)
					}
				}
			}
		})
	}
}

// requests never reach the handler.
func (b bench) requests(t *testing.T) {
	app, plain := b.pair(t, acts[0], nothing)
	body := callback(t, signKey, newOrder())
	for _, test := range []struct {
		name, want string
		request    []byte
	}{
		{"forged", "401", request("POST", path, "", callback(t, "0123456789ABCDEF", newOrder()))},
		{"tampered", "401", request("POST", path, "", tampered(body))},
		{"malformed", "400", request("POST", path, "", []byte(`{"rsp_code":"SUCCESS"}`))},
		{"not JSON", "400", request("POST", path, "", []byte("a=b&c=d"))},
		{"empty", "400", request("POST", path, "", nil)},
		{"oversize", "413", request("POST", path, "", make([]byte, 65<<10))},
		{"oversize chunked", "413", chunked(path, make([]byte, 65<<10))},
		{"GET", "405", request("GET", "/shop/any/ottpay", "", nil)},
		{"PUT", "405", request("PUT", "/shop/any/ottpay", "", body)},
		{"DELETE", "405", request("DELETE", "/shop/any/ottpay", "", nil)},
	} {
		if strings.HasPrefix(test.name, "oversize") && b.slow {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			same(t, test.name, answer(t, app.Server, test.request), answer(t, plain.Server, test.request), test.want)
		})
	}
	if n := app.shop.runs.Load(); n != 0 {
		t.Errorf("the handler ran %d times", n)
	}
	t.Run("chunked", func(t *testing.T) {
		same(t, "chunked", answer(t, app.Server, chunked("/shop/any/ottpay", body)),
			answer(t, plain.Server, chunked("/shop/any/ottpay", callback(t, signKey, newOrder()))), "200")
		if n := app.shop.runs.Load(); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

// tampered changes the digest's last digit.
func tampered(body []byte) []byte {
	end := bytes.LastIndexByte(body, '"') - 1
	changed := bytes.Clone(body)
	changed[end] = '0' + (changed[end]&15+1)%10
	return changed
}

// holding makes a shop's handlers wait.
func (s *shop) holding() {
	s.entered, s.proceed = make(chan struct{}, 100), make(chan struct{})
}

func (b bench) inFlight(t *testing.T) {
	app, plain := b.pair(t, acts[0], nothing)
	var answers [2][3]string
	for i, a := range []*site{app, plain} {
		a.shop.holding()
		body := callback(t, signKey, newOrder())
		first := make(chan string)
		go func() { first <- a.deliver(t, body) }()
		<-a.shop.entered
		answers[i][0] = a.deliver(t, body)
		close(a.shop.proceed)
		answers[i][1] = <-first
		answers[i][2] = a.deliver(t, body)
	}
	for j, want := range []string{"503", "200", "200"} {
		same(t, fmt.Sprint("answer ", j), answers[0][j], answers[1][j], want)
	}
	if n := app.shop.runs.Load(); n != 1 {
		t.Errorf("the handler ran %d times", n)
	}
}

// Many deliveries of one notification at a time are handled once.
func (b bench) atOnce(t *testing.T) {
	app, _ := b.pair(t, acts[0], nothing)
	body := callback(t, signKey, newOrder())
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 50 {
				if status(app.deliver(t, body)) == "200" {
					return
				}
			}
			t.Error("never acknowledged")
		})
	}
	wg.Wait()
	if n := app.shop.runs.Load(); n != 1 {
		t.Errorf("the handler ran %d times", n)
	}
}

// A time-out in front answers for the webhook; what was begun is ended.
func (b bench) timeout(t *testing.T) {
	app, plain := b.pair(t, acts[0], func(h http.Handler) http.Handler {
		return http.TimeoutHandler(h, 30*time.Millisecond, "too slow\n")
	})
	var answers [2]string
	for i, a := range []*site{app, plain} {
		a.shop.holding()
		body := callback(t, signKey, newOrder())
		for tries := 1; ; tries++ {
			answers[i] = a.deliver(t, body)
			select {
			case <-a.shop.entered:
			case <-time.After(time.Second):
				if tries < 10 { // a busy machine timed out before the handler began
					continue
				}
				t.Fatal("the handler never began")
			}
			break
		}
		close(a.shop.proceed)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := a.webhook.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		// Its work is kept: it is acknowledged when it comes again.
		after := newWebhook(t, b.store, io.Discard)
		again := serve(t, b.routes(after, a.shop, b.mount))
		if got := answer(t, again, request("POST", path, "", body)); status(got) != "200" {
			t.Errorf("redelivery: %s", got)
		}
		if n := a.shop.runs.Load(); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	}
	same(t, "timed out", answers[0], answers[1], "503")

	// A panic has nothing to flush through.
	app, plain = b.pair(t, act{"panics", "panic"}, func(h http.Handler) http.Handler {
		return http.TimeoutHandler(h, 10*time.Second, "too slow\n")
	})
	got, want := app.deliver(t, callback(t, signKey, newOrder())), plain.deliver(t, callback(t, signKey, newOrder()))
	if got != want {
		t.Errorf("panic below a time-out: %q, plain net/http: %q", got, want)
	}
}

// Something in front has read the body: a clear error for the shop, and the
// gateway is to come again.
func (b bench) consumed(t *testing.T) {
	app, plain := b.pair(t, acts[0], func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			h.ServeHTTP(rw, r)
		})
	})
	body := callback(t, signKey, newOrder())
	same(t, "consumed", app.deliver(t, body), plain.deliver(t, body), "503")
	if logs := app.logs.String(); !strings.Contains(logs, "reason=body-consumed") || !strings.Contains(logs, "mount the webhook before it") {
		t.Errorf("the log does not say what is wrong: %s", logs)
	}
	if n := app.shop.runs.Load(); n != 0 {
		t.Errorf("the handler ran %d times", n)
	}
}

func (b bench) shutDown(t *testing.T) {
	app, plain := b.pair(t, acts[0], nothing)
	body := callback(t, signKey, newOrder())
	for _, a := range []*site{app, plain} {
		if err := a.webhook.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "shut down", app.deliver(t, body), plain.deliver(t, body), "503")
	if n := app.shop.runs.Load(); n != 0 {
		t.Errorf("the handler ran %d times", n)
	}
}
