//go:build unix

package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var fence = regexp.MustCompile("(?s)```(go|sh|sh background)\n(.*?)```")

// TestTutorial does what docs/tutorial.md says, in the order given: it writes
// the files, runs the commands, and pays as a browser does.
func TestTutorial(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "git", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	repo, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(repo, ".git")); err != nil {
		t.Skip("this is no clone: ", err)
	}
	page, err := os.ReadFile(filepath.Join(repo, "docs/tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	// The ports of the page may be taken on this machine.
	shop, gateway := freeAddr(t), freeAddr(t)
	text := strings.NewReplacer("127.0.0.1:3000", shop, "127.0.0.1:6698", gateway).Replace(string(page))
	// -trimpath, so that the clone's packages are compiled once and not for each
	// folder that it is in.
	w := &walk{
		dir: t.TempDir(),
		env: append(os.Environ(), "GOWORK=", "GOFLAGS=-trimpath", "OTTPAY_ADDR="+gateway, "OTTPAY_SANDBOX=http://"+gateway,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+repo+".insteadOf", "GIT_CONFIG_VALUE_0=https://github.com/ottpaykit/ottpay"),
	}
	ready := []string{"http://" + gateway + "/-/healthz", "http://" + shop + "/"}
	files := []string{"main.go", "main_test.go"}
	bought := 0
	buy := func(want string) {
		t.Helper()
		bought++
		if got := buyAndPay(t, "http://"+shop); got != want {
			t.Errorf("purchase %d ends with %q, want %q", bought, got, want)
		}
	}
	commands := 0
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		switch kind, body := block[1], block[2]; kind {
		case "go":
			if len(files) == 0 || !strings.Contains(text, "`"+files[0]+"`:") {
				t.Fatal("a Go block that belongs to no file")
			}
			if err := os.WriteFile(filepath.Join(w.dir, files[0]), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			files = files[1:]
		case "sh":
			commands++
			w.run(t, body)
			if strings.Contains(body, "answer:drop") {
				buy("The payment could not be started.\n")
			}
		case "sh background":
			commands++
			w.start(t, body, ready[0])
			if ready = ready[1:]; len(ready) == 0 {
				buy("Tins packed: 1\n")
			}
		}
	}
	if len(files)+len(ready) != 0 || bought != 2 {
		t.Errorf("the page lacks something: files %q, servers %q, %d purchases", files, ready, bought)
	}
	if commands > 6 {
		t.Errorf("%d commands, want no more than 6", commands)
	}
	// What the page says of the second purchase: the gateway has it.

	response, err := http.Get("http://" + gateway + "/-/api/v1/orders?action=PREPAY_INIT")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if !json.Valid(body) || bytes.Count(body, []byte(`"PREPAY_INIT"`)) < 2 {
		t.Errorf("the gateway has not both orders: %s", body)
	}
}

// walk is a terminal.
type walk struct {
	dir string
	env []string
}

// run runs a block of commands, and stays where it leads.
func (w *walk) run(t *testing.T, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", script+"\npwd >&3")
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Dir, cmd.Env, cmd.ExtraFiles = w.dir, w.env, []*os.File{pipe}
	out, err := cmd.CombinedOutput()
	pipe.Close()
	if err != nil {
		t.Fatalf("%v:\n%s\n%s", err, script, out)
	}
	dir, _ := io.ReadAll(r)
	w.dir = strings.TrimSpace(string(dir))
}

// start runs a command that runs on, and waits until its address answers.
func (w *walk) start(t *testing.T, script, ready string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-euc", script)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run and the program that it runs
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("%s%s", script, out.String())
		}
	})
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		if response, err := http.Get(ready); err == nil {
			response.Body.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("it ends before it answers: %v", err)
		case <-t.Context().Done():
			t.Fatal("it does not answer in time")
		default:
		}
	}
}

// buyAndPay does what a payer does in a browser, and returns the last page.
func buyAndPay(t *testing.T, shop string) string {
	t.Helper()
	read := func(r *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return string(body)
	}
	checkout, err := http.Post(shop+"/buy", "application/x-www-form-urlencoded", nil)
	page := read(checkout, err)
	if checkout.StatusCode != http.StatusOK {
		return page
	}
	to := checkout.Request.URL
	if !strings.HasPrefix(to.Path, "/pay/") {
		t.Fatalf("the shop leads to %s:\n%s", to, page)
	}
	// The form's redirect_url is in the page.
	back := ""
	if m := regexp.MustCompile(`name="redirect_url" value="([^"]*)"`).FindStringSubmatch(page); m != nil {
		back = strings.ReplaceAll(m[1], "&amp;", "&")
	}
	thanks, err := http.PostForm(to.String(), url.Values{"do": {"pay"}, "method": {"ALIPAY"}, "redirect_url": {back}})
	page = read(thanks, err)
	for tick := time.NewTicker(50 * time.Millisecond); thanks.Header.Get("Refresh") != "" && t.Context().Err() == nil; <-tick.C {
		thanks, err = http.Get(thanks.Request.URL.String())
		page = read(thanks, err)
	}
	return page
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
