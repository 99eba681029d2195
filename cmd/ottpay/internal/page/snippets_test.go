package page_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/page"
	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

var pre = regexp.MustCompile(`(?s)<pre id="(s-[a-z]+|set-[a-z]+|first)"[^>]*>(.*?)</pre>`)

// snippets returns the code to copy on a page, by its id.
func snippets(text string) map[string]string {
	out := make(map[string]string)
	for _, m := range pre.FindAllStringSubmatch(text, -1) {
		out[m[1]] = html.UnescapeString(m[2])
	}
	return out
}

// newSandbox is a site with the whole sandbox around it, whose API the snippets
// call.
func newSandbox(t *testing.T) *site {
	t.Helper()
	g, err := ottpaytest.New(ottpaytest.Config{
		MerchantID: merchantID, SignKey: signKey, Clock: ottpaytest.NewClock(), Redelivery: []time.Duration{time.Hour},
		Callbacks: sandbox.Callbacks(sandbox.CallbackConfig{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	h, err := sandbox.Handler(g, sandbox.Config{PublishedKey: signKey})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &site{t, g, server, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// TestGoSnippets compiles the Go code of every kind of order, of every fault
// that one callback can show, and of the first steps.
func TestGoSnippets(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	code := map[string]string{"setup": snippets(s.get("/", http.StatusOK))["set-go"]}
	for _, action := range []api.Action{
		api.ActionH5PAY, api.ActionACTIVEPAY, api.ActionMAPPPAY, api.ActionPREPAY_INIT, api.ActionCC_PREAUTH, api.ActionCC_PURCHASE, api.ActionPASSIVEPAY,
	} {
		found := snippets(s.get(path(s.make(action, nil)), http.StatusOK))
		for _, id := range []string{"s-gocall", "s-gotest"} {
			if found[id] == "" {
				if id == "s-gocall" || action != api.ActionPASSIVEPAY { // which is not called back
					t.Errorf("an order of %s has no %s", action, id)
				}
				continue
			}
			code[strings.ToLower(strings.ReplaceAll(string(action), "_", ""))+"/"+id[2:]] = found[id]
		}
	}
	id := s.make(api.ActionH5PAY, nil)
	if err := s.g.Merchant(merchantID).Pay(id, ottpaytest.Payment{Tip: 100, Extra: map[string]any{"remarks": "\"quotes\" `and` 张三\n", "n": 1, "o": map[string]any{"a": nil}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	faults := 0
	for _, f := range ottpaytest.Faults() {
		if f.Direction != ottpaytest.ToShop || !f.Alone || f.Name == string(ottpaytest.CallbackStall) {
			continue
		}
		d, err := s.g.Tamper(id, ottpaytest.CallbackFault(f.Name))
		if err != nil || d.Seq == 0 {
			continue // such as old-key, where the merchant has one key
		}
		text := s.get(fmt.Sprintf("/messages/%d", d.Seq), http.StatusOK)
		if test := snippets(text)["s-gotest"]; test != "" {
			faults++
			code["fault"+strings.ReplaceAll(f.Name, "-", "")] = test
			if want := fmt.Sprintf("w.Code != %d", f.Expect.Statuses[0]); !strings.Contains(test, want) {
				t.Errorf("%s: the test does not want what the kit answers, %s:\n%s", f.Name, want, test)
			}
		}
	}
	if faults < 10 {
		t.Errorf("only %d faults have a test to copy", faults)
	}

	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module shop\n\ngo 1.25.0\n\nrequire github.com/ottpaykit/ottpay v0.0.0\n\nreplace github.com/ottpaykit/ottpay => "+root+"\n")
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))
	for name, text := range code {
		file := "shop.go"
		if strings.Contains(text, "package shop_test") {
			file = "shop_test.go"
		}
		write(filepath.Join(name, file), text)
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
	for name, text := range code {
		if strings.Contains(text, signKey) {
			t.Errorf("%s holds the sign key", name)
		}
	}
}

// TestScriptSnippets runs the snippets of other languages against the sandbox:
// each makes an order, pays it, and says that it is paid.
func TestScriptSnippets(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	found := snippets(s.get(path(s.make(api.ActionH5PAY, nil)), http.StatusOK))
	for _, language := range []struct {
		id, file, command string
		needed            bool // in CI
	}{
		{"s-node", "payment.js", "node", true},
		{"s-php", "payment.php", "php", false},
		{"s-java", "Payment.java", "java", false},
	} {
		t.Run(language.command, func(t *testing.T) {
			t.Parallel()
			command, err := exec.LookPath(language.command)
			if err != nil {
				if language.needed && os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			file := filepath.Join(t.TempDir(), language.file)
			if err := os.WriteFile(file, []byte(found[language.id]), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), command, file).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "success") {
				t.Errorf("%v\n%s\n%s", err, out, found[language.id])
			}
		})
	}
}

// TestShellSnippets runs the commands: curl against the sandbox, and what is for
// ottpay with a stand-in that shows its arguments.
func TestShellSnippets(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	s := newSandbox(t)
	run := func(text string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bash, "-eu")
		cmd.Stdin = strings.NewReader("ottpay() { printf '<%s>' \"$@\"; }\n" + text)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, &errs, text)
		}
		return string(out)
	}
	first := snippets(s.get("/", http.StatusOK))
	var made struct {
		Order struct{ Order string }
	}
	if err := json.Unmarshal([]byte(run(first["first"])), &made); err != nil || made.Order.Order == "" {
		t.Fatalf("the first request: %v\n%s", err, first["first"])
	}
	if got := run(first["set-sh"] + "echo $OTTPAY_BASE_URL $OTTPAY_SIGN_KEY\n"); got != s.server.URL+"/processV2 "+signKey+"\n" {
		t.Errorf("the variables are %q", got)
	}
	id := made.Order.Order
	if out := run(snippets(s.get(path(id), http.StatusOK))["s-curl"]); !strings.Contains(out, `"status":"success"`) {
		t.Errorf("curl does not pay: %s", out)
	}
	paid := snippets(s.get(path(id), http.StatusOK))
	if out := run(paid["s-curl"]); !strings.Contains(out, `"acknowledged":true`) {
		t.Errorf("curl does not redeliver: %s", out)
	}
	want := "<trigger><paid><--to><" + s.server.URL + "/-/sample/callback><--order><" + id + "><--amount><1999>"
	if got := run(paid["s-trigger"]); got != want {
		t.Errorf("ottpay gets %s, want %s", got, want)
	}
	for _, d := range s.g.Deliveries(id) {
		shown := snippets(s.get(fmt.Sprintf("/messages/%d", d.Seq), http.StatusOK))
		if out := run(shown["s-curl"]); out != "SUCCESS" {
			t.Errorf("the bytes of delivery %d are answered %q", d.Seq, out)
		}
		if out := run(shown["s-explain"]); out != "<explain><--kind><callback>" {
			t.Errorf("ottpay gets %s", out)
		}
	}
}

// TestQuoting: a snippet of a hostile order says what it should and no more.
func TestQuoting(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	for _, text := range []string{`a'b"c`, "$(touch /tmp/pwned)`x`", "line\nbreak", `back\slash`} {
		out, err := exec.CommandContext(t.Context(), bash, "-c", "printf %s "+page.ShellQuote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("a shell reads %q as %q, %v", text, out, err)
		}
		if php, err := exec.LookPath("php"); err == nil {
			out, err := exec.CommandContext(t.Context(), php, "-r", "echo "+page.PHPQuote(text)+";").Output()
			if err != nil || string(out) != text {
				t.Errorf("PHP reads %q as %q, %v", text, out, err)
			}
		}
		if node, err := exec.LookPath("node"); err == nil {
			out, err := exec.CommandContext(t.Context(), node, "-e", "process.stdout.write("+page.Quote(text)+")").Output()
			if err != nil || string(out) != text {
				t.Errorf("Node reads %q as %q, %v", text, out, err)
			}
		}
	}
}
