package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestSandboxAPIPage runs the programs of docs/sandbox-api.md.
func TestSandboxAPIPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/sandbox-api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		language, file string
		command        []string
	}{
		{"sh", "test.sh", []string{"bash", "test.sh"}},
		{"php", "test.php", []string{"php", "test.php"}},
		{"js", "test.mjs", []string{"node", "test.mjs"}},
		{"java", "SandboxTest.java", []string{"java", "SandboxTest.java"}},
	} {
		t.Run(c.language, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.command[0]); err != nil {
				if os.Getenv("CI") == "true" && c.language != "php" && c.language != "java" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			_, program, ok := strings.Cut(string(page), "```"+c.language+"\n")
			program, _, closed := strings.Cut(program, "\n```\n")
			if !ok || !closed {
				t.Fatal("there is no program")
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(program+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			g, err := ottpaytest.New(ottpaytest.Config{
				MerchantID: "TS00000001", SignKey: "6698851A525C9433", Clock: ottpaytest.NewClock(),
				Redelivery: []time.Duration{100 * time.Millisecond}, Callbacks: sandbox.Callbacks(sandbox.CallbackConfig{}),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			h, err := sandbox.Handler(g, sandbox.Config{NoPage: true})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(h)
			defer server.Close()
			var callbacks atomic.Int32
			shop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { callbacks.Add(1) }))
			defer shop.Close()

			run := exec.CommandContext(t.Context(), c.command[0], c.command[1:]...)
			run.Dir = dir
			run.Env = append(os.Environ(), "SANDBOX="+server.URL, "CALLBACK="+shop.URL+"/ottpay")
			out, err := run.CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "passed\n") {
				t.Fatalf("%v:\n%s", err, out)
			}
			if !strings.Contains(string(out), server.URL+"/pay/") {
				t.Errorf("no link to the payer's page:\n%s", out)
			}
			if callbacks.Load() != 2 || len(g.Merchants()) != 1 {
				t.Errorf("%d callbacks, merchants %v", callbacks.Load(), g.Merchants())
			}
		})
	}
}
