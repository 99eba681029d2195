package sandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestPage: the page stands around the gateway: its forms and its assets reach
// it, and a client's POST of an envelope to any path does not.
func TestPage(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	read := func(r *http.Response, err error) (*http.Response, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(text)
	}
	r, text := read(http.Get(b.URL + "/"))
	if r.StatusCode != http.StatusOK || !strings.Contains(text, "No order yet") {
		t.Fatalf("GET /: %d\n%s", r.StatusCode, text)
	}
	asset := text[strings.Index(text, "/-/assets/app."):]
	if r, _ := read(http.Get(b.URL + asset[:strings.Index(asset, `"`)])); r.StatusCode != http.StatusOK {
		t.Errorf("an asset: %d", r.StatusCode)
	}
	r, text = read(http.PostForm(b.URL+"/new", url.Values{"sample": {"yes"}}))
	if r.StatusCode != http.StatusOK || !strings.Contains(text, "19.99 CAD") {
		t.Fatalf("a sample order: %d\n%s", r.StatusCode, text)
	}
	// The sample shop on the sandbox's own port takes the callback.
	order := r.Request.URL.Path
	if _, text = read(http.PostForm(b.URL+order+"/pay", nil)); !strings.Contains(text, "acknowledged") {
		t.Errorf("the sample order's callback was not acknowledged:\n%s", text)
	}
	if _, text = read(http.PostForm(b.URL+order+"/tamper", url.Values{"fault": {"blocks"}})); !strings.Contains(text, "401") {
		t.Errorf("the sample shop believes a tampered callback:\n%s", text)
	}
	if _, text = read(http.Post(b.URL+"/new", "application/json", strings.NewReader("{}"))); !strings.Contains(text, "rsp_code") {
		t.Errorf("an envelope was not given to the gateway: %s", text)
	}
}

// TestPageExplains: messages are explained with the given keys and with those of
// merchants that were added on the page.
func TestPageExplains(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(_ *ottpaytest.Config, c *sandbox.Config) {
		c.Keys = []sandbox.SignKey{{Merchant: merchantID, From: "the test", Text: func() string { return signKey }}}
	})
	added := b.call("POST", "/merchants", nil, http.StatusCreated)
	for _, id := range []string{merchantID, added["merchant_id"].(string)} {
		sealed, err := b.g.Merchant(id).Seal([]byte(`{"order_id":"A1","amount":"1999","bizpay_order_id":"WX1","finish_time":"2020-04-16 05:04:29"}`))
		if err != nil {
			t.Fatal(err)
		}
		input := `{"rsp_code":"SUCCESS","rsp_msg":"","merchant_id":"` + id + `","data":"` + sealed.Data + `","md5":"` + sealed.MD5 + `"}`
		if e := b.call("POST", "/explain", map[string]any{"input": input}, http.StatusOK); e["ok"] != true {
			t.Errorf("%s: %v", id, e)
		}
		for text, want := range map[string]string{input: "Nothing is wrong with it.", strings.Replace(input, `"data":`, `"daten":`, 1): "no-data"} {
			r, err := http.PostForm(b.URL+"/explain", url.Values{"input": {text}})
			if err != nil {
				t.Fatal(err)
			}
			page, err := io.ReadAll(r.Body)
			r.Body.Close()
			if got := verdict(string(page)); err != nil || !strings.Contains(got, want) {
				t.Errorf("%s: want %s, got %v\n%s", id, want, err, got)
			}
		}
	}
}

// TestMounted: below a path of another server, page, API and gateway are all
// there, and lead to each other.
func TestMounted(t *testing.T) {
	t.Parallel()
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	box, err := sandbox.Handler(g, sandbox.Config{Base: "/box"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/box/", box)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	g.URL = s.URL + "/box"
	r, err := http.PostForm(s.URL+"/box/new", url.Values{"sample": {"yes"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || !strings.HasPrefix(r.Request.URL.Path, "/box/orders/") || !strings.Contains(string(text), `href="/box/pay/`) {
		t.Errorf("%v, at %s:\n%s", err, r.Request.URL, text)
	}
	r, err = http.Get(s.URL + "/box/-/seq")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("/box/-/seq: %d", r.StatusCode)
	}
}

// verdict is the part of a page that holds the result.
func verdict(page string) string {
	_, after, _ := strings.Cut(page, `class="verdict`)
	before, _, _ := strings.Cut(after, "</section>")
	return before
}
