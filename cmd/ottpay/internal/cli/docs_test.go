package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func vendorPage(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "tools", "drift", "testdata", "pages", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDocsDiff(t *testing.T) {
	t.Parallel()
	h5, mini := vendorPage(t, "h5-payment"), vendorPage(t, "mini-program-payment")
	changed := strings.Replace(h5, "shop_id | Shop ID | N", "shop_id | Shop ID | Y", 1)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	same := write("same/h5.md", h5)
	write("same/mini.txt", mini)
	write("same/notes.pdf", "not a page")
	write("same/.git/x.md", "not a page")
	different := write("different.md", changed)
	broken := write("broken.md", mini[:len(mini)/2])

	mux := http.NewServeMux()
	mux.HandleFunc("/payment-api/api-for-mobile-browser-with-wechat/payment-request-api.md", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(changed)) })
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html><body><pre>" + h5 + "</pre></body></html>"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	for _, test := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		kinds string
	}{
		{"a page that says the same", []string{same}, "", 0, ""},
		{"a folder", []string{filepath.Dir(same)}, "", 0, ""},
		{"standard input", []string{"-"}, mini, 0, ""},
		{"a change", []string{different}, "", 1, "required-changed"},
		{"a change among others", []string{same, different}, "", 1, "required-changed"},
		{"half a page", []string{broken}, "", 2, "page-unreadable"},
		{"half a page and a change", []string{broken, different}, "", 2, "page-unreadable required-changed"},
		{"nothing", []string{"-"}, "", 2, "page-unreadable"},
		{"a URL", []string{server.URL + "/payment-api/api-for-mobile-browser-with-wechat/payment-request-api"}, "", 1, "required-changed"},
		{"a URL without Markdown", []string{server.URL + "/html"}, "", 0, ""},
		{"a URL of nothing", []string{server.URL + "/nothing"}, "", 2, "page-unreadable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := invoke(t, nil, test.stdin, append([]string{"docs", "diff", "--json"}, test.args...)...)
			var kinds []string
			d := json.NewDecoder(strings.NewReader(got.out))
			for d.More() {
				var f struct{ Kind string }
				if err := d.Decode(&f); err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, f.Kind)
			}
			if got.code != test.code || strings.Join(kinds, " ") != test.kinds || got.err != "" {
				t.Errorf("code %d, kinds %q, stderr %q; want code %d, %q", got.code, kinds, got.err, test.code, test.kinds)
			}
			if text := invoke(t, nil, test.stdin, append([]string{"docs", "diff"}, test.args...)...); text.code != test.code || (text.out == "") != (test.kinds == "") {
				t.Errorf("as text: code %d, %q", text.code, text.out)
			}
		})
	}
	for _, args := range []string{"docs diff", "docs diff --write " + same, "docs diff --sarif --json " + same, "docs diff " + filepath.Join(dir, "absent.md"), "docs diff --document " + same + " " + same, "docs"} {
		if got := invoke(t, nil, "", strings.Fields(args)...); got.code != 2 || got.err == "" {
			t.Errorf("%s: code %d, stderr %q; want 2 and a reason", args, got.code, got.err)
		}
	}
}

// TestDocsWrite applies a page to a document of the caller's.
func TestDocsWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "..", "..", "openapi"))); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(dir, "ottpay.yaml")
	text := strings.Replace(vendorPage(t, "h5-payment"), "shop_id | Shop ID | N | |", "shop_id | The shop's ID | N | |\nstore_code | Store's code | N | |", 1)
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got := invoke(t, nil, "", "docs", "diff", "--document", document, "--write", "--wording", page)
	if got.code != 1 || !strings.Contains(got.err, "2 applied") {
		t.Errorf("got %+v", got)
	}
	if again := invoke(t, nil, "", "docs", "diff", "--document", document, "--wording", page); again.code != 0 {
		t.Errorf("after it was applied: %+v", again)
	}
	written, err := os.ReadFile(document)
	if err != nil || !strings.Contains(string(written), "        store_code: {type: string,") || !strings.Contains(string(written), "The shop's ID") {
		t.Errorf("%v: the document lacks what was to be applied", err)
	}
}

func TestDocsImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "..", "..", "openapi"))); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(vendorPage(t, "h5-payment"), "H5PAY", "WAPPAY", 1)
	text = strings.Replace(text, "shop_id | Shop ID", "scene_id | Scene", 1)
	text = strings.Replace(text, "payinfo | MWEB link | Y | |", "mweb | Link | Y | |\nmweb_life | Its life | N | |", 1)
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(dir, "ottpay.yaml")
	if got := invoke(t, nil, "", "docs", "diff", "--json", page); got.code != 1 || !strings.Contains(got.out, "page-without-schema") {
		t.Errorf("before: %+v", got)
	}
	if got := invoke(t, nil, "", "docs", "import", page); got.code != 0 || !strings.Contains(got.out, "    WappayRequest:") {
		t.Errorf("printed: %+v", got)
	}
	if got := invoke(t, nil, "", "docs", "import", "--document", document, "--name", "WapPay", "--address", "https://docs.ottpay.com/payment-api/wap", "--write", page); got.code != 0 || got.out != "" {
		t.Errorf("written: %+v", got)
	}
	if got := invoke(t, nil, "", "docs", "diff", "--document", document, page); got.code != 0 {
		t.Errorf("after: %+v", got)
	}
	overlay, err := os.ReadFile(filepath.Join(dir, "go.overlay.yaml"))
	if err != nil || !strings.Contains(string(overlay), "WAPPAY\n    update: {x-go-name: WapPay}") {
		t.Errorf("the overlay lacks the name: %v", err)
	}
}

// BenchmarkDocsDiff compares ten pages, which should take less than a second.
func BenchmarkDocsDiff(b *testing.B) {
	args := []string{"docs", "diff", "--quiet"}
	for _, name := range []string{"h5-payment", "mini-program-payment"} {
		for range 5 {
			args = append(args, filepath.Join("..", "..", "..", "..", "tools", "drift", "testdata", "pages", name+".md"))
		}
	}
	for b.Loop() {
		if got := invoke(b, nil, "", args...); got.code != 0 {
			b.Fatalf("got %+v", got)
		}
	}
}
