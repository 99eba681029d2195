package sandbox_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// do sends a request with headers; Host is one of them.
func (b *box) do(method, path, body string, headers ...string) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	client := &http.Client{Transport: b.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { w.Body.Close() })
	return w
}

// paths are one of each kind.
var paths = []string{"/", "/orders/TS00000001/A1", "/pay/TS00000001/A1", "/processV2", "/anything", "/x/inAppPay", "/-/healthz", "/-/seq", "/-/api/v1/info", "/-/assets/app.js", "/-/nothing"}

func TestHost(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(_ *ottpaytest.Config, c *sandbox.Config) {
		c.AllowHosts = []string{"Sandbox.example"}
	})
	for host, known := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:80": true, "[::1]": true, "[::1]:6698": true, "192.168.1.7:6698": true, "8.8.8.8": true,
		"localhost": true, "localhost:9": true, "localhost.": true, "LOCALHOST": true, "ottpay": true, "ottpay:6698": true,
		"shop.localhost": true, "host.docker.internal": true, "host.containers.internal:6698": true,
		"sandbox.example": true, "SANDBOX.example:1": true, "sandbox.example.": true,
		"evil.example": false, "evil.example:6698": false, "evil.example.": false, "localhost.evil.example": false,
		"127.0.0.1.nip.example": false, "127.0.0.1.evil.example:6698": false, "x.sandbox.example": false, "sandbox.example.evil.example": false,
		"internal.evil.example": false, "localhostx.evil": false, ".": false, "evil.internal.example": false, "1.2.3": false, "0x7f.1": false,
	} {
		for _, path := range paths {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				w := b.do(method, path, "", "Host", host)
				if refused := w.StatusCode == http.StatusMisdirectedRequest; refused == known {
					t.Errorf("%s %s for %s: status %d", method, path, host, w.StatusCode)
				}
			}
		}
	}
	// A request of HTTP/1.0 need not name a host.
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = ""
	b.Config.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("without a host: status %d", w.Code)
	}
	text, _ := io.ReadAll(b.do("GET", "/", "", "Host", "evil.example:80").Body)
	if !strings.Contains(string(text), "--allow-host evil.example") {
		t.Errorf("%s", text)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(_ *ottpaytest.Config, c *sandbox.Config) {
		c.AllowOrigins = []string{"http://localhost:3000"}
	})
	own := strings.TrimPrefix(b.URL, "http://")
	for _, c := range []struct {
		name    string
		refused bool
		headers []string
	}{
		{"curl", false, nil},
		{"the page itself", false, []string{"Origin", b.URL, "Sec-Fetch-Site", "same-origin"}},
		{"typed into the address bar", false, []string{"Sec-Fetch-Site", "none"}},
		{"another site", true, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}},
		{"an old browser on another site", true, []string{"Origin", "https://evil.example"}},
		{"a sandboxed frame", true, []string{"Origin", "null"}},
		{"another port", true, []string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}},
		{"localhost for 127.0.0.1", true, []string{"Origin", "http://localhost:" + own[strings.LastIndex(own, ":")+1:], "Sec-Fetch-Site", "cross-site"}},
		{"an allowed origin", false, []string{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"}},
	} {
		for _, path := range paths {
			for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain"} {
				w := b.do("POST", path, "{}", append([]string{"Content-Type", kind}, c.headers...)...)
				if refused := w.StatusCode == http.StatusForbidden; refused != c.refused {
					t.Errorf("%s: POST %s: status %d", c.name, path, w.StatusCode)
				}
			}
			if w := b.do("GET", path, "", c.headers...); w.StatusCode == http.StatusForbidden {
				t.Errorf("%s: GET %s: status %d", c.name, path, w.StatusCode)
			}
		}
		w := b.do("GET", "/-/api/v1/info", "", c.headers...)
		if got, want := w.Header.Get("Access-Control-Allow-Origin"), map[bool]string{true: "http://localhost:3000"}[c.name == "an allowed origin"]; got != want {
			t.Errorf("%s: Access-Control-Allow-Origin %q", c.name, got)
		}
	}
	w := b.do("OPTIONS", "/-/api/v1/orders/TS00000001/A1/pay", "", "Origin", "http://localhost:3000", "Access-Control-Request-Method", "POST")
	if w.StatusCode != http.StatusNoContent || w.Header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(w.Header.Get("Access-Control-Allow-Headers"), "Prefer") {
		t.Errorf("preflight: %d %v", w.StatusCode, w.Header)
	}
	if w := b.do("OPTIONS", "/-/api/v1/info", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"); w.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of another site: %d %v", w.StatusCode, w.Header)
	}
	for _, origin := range []string{"localhost:3000", "http://localhost:3000/", "*", ""} {
		if _, err := sandbox.Handler(b.g, sandbox.Config{AllowOrigins: []string{origin}}); err == nil {
			t.Errorf("%q is an origin", origin)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(_ *ottpaytest.Config, c *sandbox.Config) { c.Token = "the-token" })
	for _, path := range paths {
		open := strings.HasPrefix(path, "/pay/") || path == "/-/healthz" || path == "/-/assets/app.js" || path == "/-/nothing"
		if w := b.do("GET", path, ""); (w.StatusCode == http.StatusUnauthorized) == open && path != "/processV2" && path != "/x/inAppPay" {
			t.Errorf("GET %s without the token: status %d", path, w.StatusCode)
		}
		if w := b.do("GET", path, "", "Authorization", "Bearer the-token"); w.StatusCode == http.StatusUnauthorized {
			t.Errorf("GET %s with the token: status %d", path, w.StatusCode)
		}
		if w := b.do("GET", path, "", "Authorization", "Bearer the-token2"); (w.StatusCode == http.StatusUnauthorized) == open && path != "/processV2" && path != "/x/inAppPay" {
			t.Errorf("GET %s with another token: status %d", path, w.StatusCode)
		}
	}
	// The gateway stays open.
	if w := b.do("POST", "/processV2", "{}", "Content-Type", "application/json"); w.StatusCode != http.StatusOK {
		t.Errorf("the gateway: status %d", w.StatusCode)
	}
	// A form is a page's, so it takes the token.
	if w := b.do("POST", "/settings/reset", "", "Content-Type", "application/x-www-form-urlencoded"); w.StatusCode != http.StatusUnauthorized {
		t.Errorf("a form: status %d", w.StatusCode)
	}
	w := b.do("GET", "/orders/TS00000001/A1?token=the-token&x=1", "")
	cookies := w.Cookies()
	if w.StatusCode != http.StatusSeeOther || w.Header.Get("Location") != "/orders/TS00000001/A1?x=1" || len(cookies) != 1 ||
		!cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("%d %v", w.StatusCode, w.Header)
	}
	jar, _ := cookiejar.New(nil)
	u, _ := url.Parse(b.URL)
	jar.SetCookies(u, cookies)
	client := &http.Client{Jar: jar}
	r, err := client.Get(b.URL + "/-/api/v1/info")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: status %d", r.StatusCode)
	}
	if w := b.do("GET", "/?token=wrong", ""); w.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token: status %d", w.StatusCode)
	}
	if w := b.do("GET", "//evil.example/?token=the-token", ""); strings.HasPrefix(w.Header.Get("Location"), "//") {
		t.Errorf("leads away: %s", w.Header.Get("Location"))
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.call("POST", "/orders/"+merchantID, h5("A1", "http://127.0.0.1:1/"), 201)
	for _, path := range paths {
		h := b.do("GET", path, "").Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "form-action 'self' http: https:") != strings.HasPrefix(path, "/pay/") {
			t.Errorf("%s: policy %s", path, csp)
		}
	}
	// Without a page the payer's plain one has its policy, too.
	plain := newBox(t, func(_ *ottpaytest.Config, c *sandbox.Config) { c.NoPage = true })
	plain.call("POST", "/orders/"+merchantID, h5("A1", "http://127.0.0.1:1/"), 201)
	w := plain.do("GET", "/pay/TS00000001/A1", "")
	if csp := w.Header.Get("Content-Security-Policy"); w.StatusCode != 200 || !strings.Contains(csp, "form-action 'self' http: https:") {
		t.Errorf("%d %s", w.StatusCode, csp)
	}
	if w := plain.do("GET", "/", ""); w.StatusCode != http.StatusNotFound {
		t.Errorf("no page: status %d", w.StatusCode)
	}
}

// TestGetChangesNothing asks for everything there is.
func TestGetChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.call("POST", "/orders/"+merchantID, h5("A1", "http://127.0.0.1:1/"), 201)
	before := b.g.Seq()
	for _, path := range []string{
		"/info", "/merchants", "/orders", "/orders/TS00000001/A1", "/deliveries", "/messages/1", "/events", "/faults", "/faults/catalogue", "/clock", "/config", "/record", "/openapi.json",
	} {
		if w := b.do("GET", "/-/api/v1"+path, ""); w.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, w.StatusCode)
		}
	}
	if after := b.g.Seq(); after != before {
		t.Errorf("%d events", after-before)
	}
	for _, path := range []string{"/orders/TS00000001/A1/pay", "/reset", "/faults/1"} {
		if w := b.do("GET", "/-/api/v1"+path, ""); w.StatusCode != http.StatusNotFound && w.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: status %d", path, w.StatusCode)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	long := `{"action":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, path := range []string{"/-/api/v1/orders/TS00000001", "/-/api/v1/faults", "/processV2"} {
		w := b.do("POST", path, long, "Content-Type", "application/json")
		if w.StatusCode != http.StatusRequestEntityTooLarge && w.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, w.StatusCode)
		}
	}
}

// TestStream reads the stream of events: live, from where it broke off, after a
// reset, and to its end with the server.
func TestStream(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	b.call("POST", "/orders/"+merchantID, h5("A1", "http://127.0.0.1:1/"), 201) // events 1 and 2
	next := func(s *bufio.Scanner) (id, name, data string) {
		t.Helper()
		for s.Scan() {
			switch line := s.Text(); {
			case strings.HasPrefix(line, "id: "):
				id = line[4:]
			case strings.HasPrefix(line, "event: "):
				name = line[7:]
			case strings.HasPrefix(line, "data: "):
				data = line[6:]
			case line == "" && name != "":
				return id, name, data
			}
		}
		return id, "end", data
	}
	w := b.do("GET", "/-/events", "", "Last-Event-ID", "1")
	live := bufio.NewScanner(w.Body)
	if id, name, data := next(live); id != "2" || name != "change" || data != `{"seq":2,"type":"order.created","merchant":"TS00000001","order":"A1"}` {
		t.Errorf("%s %s %s", id, name, data)
	}
	b.call("POST", "/orders/"+merchantID+"/A1/decline", nil, 200)
	if id, _, data := next(live); id != "3" || !strings.Contains(data, `"order.status"`) {
		t.Errorf("%s %s", id, data)
	}
	b.call("POST", "/reset", nil, 204)
	if id, name, _ := next(live); id != "4" || name != "reset" {
		// A client that was quick enough is told of the event itself.
		if name != "change" {
			t.Errorf("%s %s", id, name)
		}
	}
	// One that comes back after the reset, and one from before a restart.
	for _, last := range []string{"2", "900"} {
		if _, name, _ := next(bufio.NewScanner(b.do("GET", "/-/events", "", "Last-Event-ID", last).Body)); name != "reset" {
			t.Errorf("after %s: %s", last, name)
		}
	}
	full := bufio.NewScanner(b.do("GET", "/-/api/v1/events?after=3", "", "Accept", "text/event-stream").Body)
	if _, name, _ := next(full); name != "reset" {
		t.Errorf("%s", name)
	}
	b.call("POST", "/orders/"+merchantID, h5("A2", "http://127.0.0.1:1/"), 201)
	if _, name, data := next(full); name != "request.received" || !strings.Contains(data, `"amount_cents":1999`) {
		t.Errorf("%s %s", name, data)
	}

	tag := b.do("GET", "/-/seq", "").Header.Get("ETag")
	if w := b.do("GET", "/-/seq", "", "If-None-Match", tag); w.StatusCode != http.StatusNotModified {
		t.Errorf("nothing new: status %d", w.StatusCode)
	}
	b.call("POST", "/orders/"+merchantID, h5("A3", "http://127.0.0.1:1/"), 201)
	if w := b.do("GET", "/-/seq", "", "If-None-Match", tag); w.StatusCode != http.StatusOK {
		t.Errorf("something new: status %d", w.StatusCode)
	}
}
