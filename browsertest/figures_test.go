package browsertest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

var figures = flag.Bool("figures", false, "TestFigures measures the command and its page, and prints what it measured")

// TestFigures prints what the command weighs and how quick it is, beside what it
// should be. Only -figures runs it, because it says something on a machine alone
// that has nothing else to do.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("make figures")
	}
	program := filepath.Join(t.TempDir(), "ottpay")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-gcflags=all=-l", "-gcflags=std=", "-gcflags=net/http=-l", "-gcflags=crypto/tls=-l", "-o", program, ".")
	build.Dir = "../cmd/ottpay"
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off") // as scripts/binaries does
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	figure(t, "binary", float64(info.Size())/1e6, 16, "MB")

	var times []time.Duration
	for range 21 {
		started := time.Now()
		p := startProgram(t, program)
		times = append(times, time.Since(started))
		p.stop()
	}
	figure(t, "exec to ready line, median of 21", milliseconds(middle(times)), 50, "ms")

	p := startProgram(t, program)
	for i := range 10_000 {
		p.order(t, i)
	}
	private, file := p.resident(t)
	figure(t, "memory with 10 000 orders, private", private, 25, "MB")
	t.Logf("%-34s %7.1f MB, which the system may drop: pages of the program's file", "and shared", file)

	b := newTab(t, p.url, desktop)
	b.open("/")
	b.wait(`document.readyState === "complete"`)
	b.live("live")
	requests, wire := b.asked()
	loaded := len(slices.DeleteFunc(requests, func(r string) bool { return strings.Contains(r, "/-/events") }))
	figure(t, "first load, requests", float64(loaded), 4, "")
	figure(t, "first load, over the wire", wire/1e3, 40, "KB")

	times = nil
	for i := range 11 {
		id := fmt.Sprintf("ORDER%05d", 9999-i)
		paid := time.Now()
		response, err := http.Post(p.url+"/-/api/v1/orders/"+merchantID+"/"+id+"/pay", "application/json", strings.NewReader("{}"))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		response.Body.Close()
		b.wait(`document.querySelector("[data-say='` + id + ` paid']")`)
		times = append(times, time.Since(paid))
	}
	figure(t, "payment to page, median of 11", milliseconds(middle(times)), 300, "ms")
	p.stop()
}

// figure prints one line, and fails the test if the figure is above its bound.
func figure(t *testing.T, name string, got, most float64, unit string) {
	t.Helper()
	text := fmt.Sprintf("%-34s %7.1f of %3.0f %s", name, got, most, unit)
	if got > most {
		t.Error(text + "  TOO MUCH")
		return
	}
	t.Log(text)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// running is a sandbox in a process of its own.
type running struct {
	cmd *exec.Cmd
	url string
	key envelope.Key
}

func startProgram(t *testing.T, program string) *running {
	t.Helper()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "sandbox", "--addr", "127.0.0.1:0", "--json", "--redelivery", "none")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	var ready struct{ Page string }
	if err != nil || json.Unmarshal(line, &ready) != nil {
		t.Fatalf("%q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return &running{cmd, strings.TrimSuffix(ready.Page, "/"), key}
}

func (p *running) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// order makes an order as a client on the wire does.
func (p *running) order(t *testing.T, i int) {
	t.Helper()
	sealed, err := p.key.Seal(fmt.Appendf(nil, `{"order_id":"ORDER%05d","amount":"%d","currency_type":"CAD","biz_type":"WECHATPAY","operator_id":"0000000001","submit_type":"form","call_back_url":"http://127.0.0.1:9/ottpay"}`, i, 100+i))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Request{Action: string(api.ActionH5PAY), Version: "2.0", MerchantID: merchantID, Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(p.url+"/processV2", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, err := io.ReadAll(response.Body); err != nil || !bytes.Contains(answer, []byte(`"SUCCESS"`)) {
		t.Fatalf("%s, %v", answer, err)
	}
}

// resident is the process's memory in MB: its own, and the pages of its file that
// the system has mapped. How many those are depends on the kernel.
func (p *running) resident(t *testing.T) (private, file float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) float64 {
		_, rest, _ := strings.Cut(string(text), name+":")
		var kilobytes float64
		if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
			t.Fatal(err)
		}
		return kilobytes * 1024 / 1e6
	}
	return field("RssAnon"), field("RssFile")
}
