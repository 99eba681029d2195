package page_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/page"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433"
)

// site is a page with its gateway, as a browser without JavaScript finds it.
type site struct {
	t      *testing.T
	g      *ottpaytest.Gateway
	server *httptest.Server
	client *http.Client
}

func newSite(t *testing.T, change func(*ottpaytest.Config, *page.Config)) *site {
	t.Helper()
	cfg := ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Clock: ottpaytest.NewClock(), Redelivery: []time.Duration{time.Hour}}
	var pages page.Config
	if change != nil {
		change(&cfg, &pages)
	}
	g, err := ottpaytest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	pages.Gateway = g
	h, err := page.Handler(pages)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &site{t, g, server, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// get returns a page, which must have the status.
func (s *site) get(path string, status int) string {
	s.t.Helper()
	return s.body(s.client.Get(s.server.URL+path))(path, status)
}

// post submits a form and returns where it leads.
func (s *site) post(path string, form url.Values) string {
	s.t.Helper()
	r, err := s.client.PostForm(s.server.URL+path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusSeeOther {
		text, _ := io.ReadAll(r.Body)
		s.t.Fatalf("POST %s: status %d\n%s", path, r.StatusCode, text)
	}
	return r.Header.Get("Location")
}

// refused submits a form that must be answered with the status.
func (s *site) refused(path string, form url.Values, status int) string {
	s.t.Helper()
	return s.body(s.client.PostForm(s.server.URL+path, form))(path, status)
}

func (s *site) body(r *http.Response, err error) func(path string, status int) string {
	s.t.Helper()
	return func(path string, status int) string {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		if r.StatusCode != status {
			s.t.Fatalf("%s: status %d, want %d\n%s", path, r.StatusCode, status, text)
		}
		return string(text)
	}
}

// make makes an order with these members instead of the usual ones.
func (s *site) make(action api.Action, members map[string]string) string {
	s.t.Helper()
	info, ok := api.LookupAction(string(action))
	if !ok {
		s.t.Fatal("no action ", action)
	}
	schema, _ := api.LookupSchema(info.Request)
	data := make(map[string]string)
	for _, m := range schema.Members {
		var text string
		switch {
		case m.Name == info.OrderMember:
			text = fmt.Sprintf("T%d", s.g.Seq())
		case m.Const != "":
			text = m.Const
		case m.Role == api.RoleCurrency:
			text = "CAD"
		case m.Role == api.RoleCallbackURL:
			text = s.server.URL + "/-/sample/callback"
		case m.Role == api.RoleAmount:
			text = "1999"
		case m.Role == api.RoleMerchant:
			text = merchantID
		case m.Required:
			if json.Unmarshal([]byte(m.Example), &text) != nil {
				text = m.Example
			}
		}
		if text != "" {
			data[m.Name] = text
		}
	}
	for name, text := range members {
		data[name] = text
	}
	raw, err := json.Marshal(data)
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.g.Merchant(merchantID).Submit(s.t.Context(), ottpaytest.Submission{Action: action, Data: raw, Base: s.server.URL})
	if err != nil {
		s.t.Fatal(err)
	}
	if out.Order == "" || out.Code.Class() != api.ClassSuccess && out.Code.Class() != api.ClassPending {
		s.t.Fatalf("%s: %s %s", action, out.Code, out.Text)
	}
	return out.Order
}

func path(id string) string { return "/orders/" + merchantID + "/" + url.PathEscape(id) }

// has reports whether a page says a text, as a reader sees it.
func has(page, text string) bool { return strings.Contains(seen(page), text) }

var tags = regexp.MustCompile(`<[^>]*>`)

// seen is a page without its tags.
func seen(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}

// TestFirstLook is the way of a new user without JavaScript: the empty page, a
// sample order, a payment, and the callback's answer on the page.
func TestFirstLook(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ *ottpaytest.Config, c *page.Config) { c.PublishedKey = signKey })
	first := s.get("/", http.StatusOK)
	for _, want := range []string{"No order yet", "OTTPAY_BASE_URL='" + s.server.URL + "/processV2'", signKey, "Create a sample order"} {
		if !has(first, want) {
			t.Errorf("the empty page does not say %q", want)
		}
	}
	order := s.post("/new", url.Values{"sample": {"yes"}})
	shown := s.get(order, http.StatusOK)
	if !has(shown, "19.99 CAD") || !has(shown, "No callback yet: the payer has not paid.") {
		t.Errorf("the order does not say what it is:\n%s", seen(shown))
	}
	paid := s.get(s.post(order+"/pay", nil), http.StatusOK)
	for _, want := range []string{"init → success", "callback, try 1", "200 ·", "acknowledged"} {
		if !has(paid, want) {
			t.Errorf("the paid order does not say %q:\n%s", want, seen(paid))
		}
	}
	if list := s.get("/", http.StatusOK); !has(list, "1 try, 200") || !has(list, "paid") {
		t.Errorf("the list does not show the payment:\n%s", seen(list))
	}
	// What is done cannot be done again, and the page says why.
	if again := s.refused(order+"/pay", nil, http.StatusConflict); !has(again, "success") {
		t.Errorf("a second payment is refused without a reason:\n%s", seen(again))
	}
}

// TestKeyIsNotShown: without the published key, the first steps show none.
func TestKeyIsNotShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if first := s.get("/", http.StatusOK); strings.Contains(first, signKey) || !has(first, "as you set it") {
		t.Error("the empty page shows a key that it was not told to show")
	}
}

// TestEveryScreen opens every screen with orders of every kind, and checks what
// a browser relies on: policy, language, one heading, no inline code.
func TestEveryScreen(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	paths := []string{"/", "/?status=success&action=H5PAY", "/?q=nothing", "/new", "/deliveries", "/deliveries?show=refused", "/faults", "/settings"}
	for _, action := range []api.Action{api.ActionH5PAY, api.ActionACTIVEPAY, api.ActionMAPPPAY, api.ActionPREPAY_INIT, api.ActionCC_PREAUTH, api.ActionCC_PURCHASE} {
		id := s.make(action, nil)
		paths = append(paths, path(id), "/pay/"+merchantID+"/"+id)
		if action == api.ActionMAPPPAY {
			paths = append(paths, "/mini/"+merchantID+"/"+id)
			continue
		}
		if err := s.g.Pay(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, _ := s.g.Events(0)
	for _, e := range events {
		if e.Type == ottpaytest.EventRequestReceived || e.Type == ottpaytest.EventDeliverySent {
			paths = append(paths, fmt.Sprintf("/messages/%d", e.Message))
		}
	}
	inline := regexp.MustCompile(`(?i)<script(?:>|[^>]*>[^<])|\sstyle=|\son[a-z]+=|javascript:`)
	for _, p := range paths {
		r, err := s.client.Get(s.server.URL + p)
		if err != nil {
			t.Fatal(err)
		}
		text := s.body(r, nil)(p, http.StatusOK)
		policy := r.Header.Get("Content-Security-Policy")
		payer := strings.HasPrefix(p, "/pay/") || strings.HasPrefix(p, "/mini/")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.HasSuffix(policy, "form-action 'self' http: https:") != payer {
			t.Errorf("%s: policy %q", p, policy)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", p, got)
		}
		if n := strings.Count(text, "<h1"); n != 1 {
			t.Errorf("%s: %d headings of the first rank", p, n)
		}
		if !strings.Contains(text, `<html lang="en"`) || !strings.Contains(text, `<main id="main"`) {
			t.Errorf("%s: no language or no main", p)
		}
		if found := inline.FindString(text); found != "" {
			t.Errorf("%s: inline code %q", p, found)
		}
		if len(text) > 200<<10 {
			t.Errorf("%s: %d bytes", p, len(text))
		}
	}
}

// TestRefresh: without JavaScript, a page can update itself.
func TestRefresh(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	first := s.get("/?status=success", http.StatusOK)
	m := regexp.MustCompile(`<noscript><a href="([^"]*)">update automatically`).FindStringSubmatch(first)
	if m == nil {
		t.Fatal("no link to update automatically")
	}
	link := html.UnescapeString(m[1])
	for path, want := range map[string]string{"/" + link: "3", "/?refresh=0": "", "/?refresh=x": "", "/?refresh=100000": ""} {
		r, err := s.client.Get(s.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		s.body(r, nil)(path, http.StatusOK)
		if got := r.Header.Get("Refresh"); got != want {
			t.Errorf("%s: Refresh %q, want %q", path, got, want)
		}
	}
	if !strings.Contains(link, "status=success") {
		t.Errorf("the link forgets the filter: %s", link)
	}
}

// TestMerchants: with several, the header has a switch, and each list and order
// is of its own merchant.
func TestMerchants(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	made, err := s.g.AddMerchant(ottpaytest.MerchantConfig{})
	if err != nil {
		t.Fatal(err)
	}
	data := `{"merchant_id":"` + made.ID + `","order_id":"SAME","amount":"500","currency_type":"CAD","biz_type":"WECHATPAY","operator_id":"0000000001","submit_type":"form","call_back_url":"http://127.0.0.1:1/"}`
	if _, err := s.g.Merchant(made.ID).Submit(t.Context(), ottpaytest.Submission{Action: api.ActionH5PAY, Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
	s.make(api.ActionH5PAY, map[string]string{"order_id": "SAME"})
	if all := s.get("/", http.StatusOK); !has(all, "2 orders") || !strings.Contains(all, `<select name="merchant"`) {
		t.Errorf("both merchants' orders:\n%s", seen(all))
	}
	if own := s.get("/?merchant="+made.ID, http.StatusOK); !has(own, "5.00 CAD") || has(own, "19.99 CAD") {
		t.Errorf("one merchant's orders:\n%s", seen(own))
	}
	s.post("/orders/"+made.ID+"/SAME/decline", nil)
	if o, _ := s.g.Merchant(merchantID).Order("SAME"); !o.Open() {
		t.Error("the other merchant's order of this id was declined")
	}
}

// TestLost: what is not there is answered with what is near.
func TestLost(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.make(api.ActionH5PAY, map[string]string{"order_id": "A1001"})
	text := s.get(path("A1002"), http.StatusNotFound)
	if !has(text, "There is no order A1002.") || !strings.Contains(text, path("A1001")) {
		t.Errorf("an unknown order is not answered with the nearest:\n%s", seen(text))
	}
	for _, p := range []string{"/nothing", "/messages/1000000", "/messages/x", "/pay/" + merchantID + "/none", "/mini/" + merchantID + "/none", "/explain"} {
		s.get(p, http.StatusNotFound)
	}
	s.refused(path("A1001")+"/nothing", nil, http.StatusNotFound)
	s.refused("/faults/nothing", nil, http.StatusNotFound)
}

// TestActions goes through what an order's buttons do.
func TestActions(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	declined := path(s.make(api.ActionH5PAY, nil))
	if text := s.get(s.post(declined+"/decline", nil), http.StatusOK); !has(text, "declined") {
		t.Errorf("not declined:\n%s", seen(text))
	}
	s.refused(declined+"/capture", nil, http.StatusConflict)

	expired := path(s.make(api.ActionH5PAY, nil))
	if text := s.get(s.post(expired+"/expire", nil), http.StatusOK); !has(text, "closed") {
		t.Errorf("not expired:\n%s", seen(text))
	}

	held := path(s.make(api.ActionCC_PREAUTH, nil))
	s.post(held+"/pay", nil)
	if text := s.get(held, http.StatusOK); !has(text, "held") || !has(text, "Capture") {
		t.Errorf("not held:\n%s", seen(text))
	}
	if text := s.get(s.post(held+"/capture", nil), http.StatusOK); !has(text, "captured") {
		t.Errorf("not captured:\n%s", seen(text))
	}

	paid := path(s.make(api.ActionH5PAY, nil))
	s.post(paid+"/pay", url.Values{"tip": {"1.50"}, "extra": {"remarks=hello\n"}})
	s.post(paid+"/refund", url.Values{"amount": {"5.00"}})
	text := s.get(s.post(paid+"/refund", url.Values{"amount": {"4.99"}}), http.StatusOK)
	if !has(text, "10.00 CAD") || !has(text, "Tip 1.50 CAD") || !has(text, "refunded 9.99 CAD") {
		t.Errorf("two refunds and a tip do not show:\n%s", seen(text))
	}
	s.refused(paid+"/refund", url.Values{"amount": {"10.01"}}, http.StatusConflict)
	s.refused(paid+"/refund", url.Values{"amount": {"much"}}, http.StatusUnprocessableEntity)

	for _, do := range []string{"redeliver", "replay"} {
		to := s.post(paid+"/"+do, nil)
		if !strings.Contains(to, "#m") {
			t.Errorf("%s leads to %s, not to the delivery", do, to)
		}
	}
	text = s.get(s.post(paid+"/tamper", url.Values{"fault": {"digest"}}), http.StatusOK)
	if !has(text, "tampered callback") || !has(text, "401") {
		t.Errorf("a tampered callback does not show its refusal:\n%s", seen(text))
	}
	s.refused(paid+"/tamper", url.Values{"fault": {"nonsense"}}, http.StatusUnprocessableEntity)
}

// TestGETChangesNothing follows every link of every screen once.
func TestGETChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.post(path(s.make(api.ActionH5PAY, nil))+"/pay", nil)
	s.make(api.ActionMAPPPAY, nil)
	before := s.g.Seq()
	todo, done := []string{"/"}, map[string]bool{}
	link := regexp.MustCompile(`href="(/[^"#]*)`)
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		if done[p] || strings.HasPrefix(p, "/-/") || strings.HasPrefix(p, "/pay/") { // that one notes that the payer came
			continue
		}
		done[p] = true
		for _, m := range link.FindAllStringSubmatch(s.get(p, http.StatusOK), -1) {
			todo = append(todo, html.UnescapeString(m[1]))
		}
	}
	if len(done) < 8 {
		t.Errorf("only %d screens are linked: %v", len(done), done)
	}
	if after := s.g.Seq(); after != before {
		events, _ := s.g.Events(before)
		t.Errorf("looking changed something: %+v", events)
	}
}

// TestAssets: names carry a hash, may be kept for good, and are small enough.
func TestAssets(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	first := s.get("/", http.StatusOK)
	for name, limit := range map[string]int{"css": 14 << 10, "js": 12 << 10} {
		m := regexp.MustCompile(`"(/-/assets/app\.[0-9a-f]{12}\.` + name + `)"`).FindStringSubmatch(first)
		if m == nil {
			t.Fatalf("no %s in\n%s", name, first)
		}
		r, err := s.client.Get(s.server.URL + m[1])
		if err != nil {
			t.Fatal(err)
		}
		text := s.body(r, nil)(m[1], http.StatusOK)
		if len(text) > limit {
			t.Errorf("%s: %d bytes, want at most %d", name, len(text), limit)
		}
		if got := r.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
	}
	s.get("/-/assets/app.000000000000.css", http.StatusNotFound)
	s.get("/-/assets/..%2fpage.go", http.StatusNotFound)
}

// TestCompressed: a page is sent compressed to a browser that takes it.
func TestCompressed(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip, br")
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(resp.Header.Get("Vary"), "Accept-Encoding") {
		t.Fatalf("headers %v", resp.Header)
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(text), "</html>") {
		t.Errorf("%v in %d bytes", err, len(text))
	}
}

// TestBase: mounted below a path, every link and form stays below it.
func TestBase(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ *ottpaytest.Config, c *page.Config) { c.Base = "/box" })
	id := s.make(api.ActionMAPPPAY, nil)
	to := regexp.MustCompile(`(?:href|action|src)="(/[^"]*)"`)
	for _, p := range []string{"/", path(id), "/faults", "/settings", "/new", "/deliveries", "/mini/" + merchantID + "/" + id, "/nothing"} {
		status := http.StatusOK
		if p == "/nothing" {
			status = http.StatusNotFound
		}
		for _, m := range to.FindAllStringSubmatch(s.get(p, status), -1) {
			if !strings.HasPrefix(m[1], "/box/") {
				t.Errorf("%s leads to %s", p, m[1])
			}
		}
	}
	if got := s.post(path(id)+"/pay", nil); got != "/box"+path(id) {
		t.Errorf("a form leads to %s", got)
	}
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
