package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

// result is what one run of the program left.
type result struct {
	code     int
	out, err string
}

// invoke runs the command line with an environment and standard input.
func invoke(t testing.TB, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(t.Context(), System{
		In:  strings.NewReader(stdin),
		Out: &out,
		Err: &errOut,
		LookupEnv: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		},
	}, args)
	got := result{code, out.String(), errOut.String()}
	checkObjects(t, args, got)
	return got
}

// start runs a command that runs on, with --json, until the test ends. It returns
// the first line; the others are checked as they come.
func start(t *testing.T, env map[string]string, args ...string) (ready struct{ Type, URL, API string }) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var errOut bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, System{In: strings.NewReader(""), Out: w, Err: &errOut, LookupEnv: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		}}, append(args, "--json"))
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		cancel()
		t.Fatalf("ottpay %s: code %d, %s", strings.Join(args, " "), <-code, errOut.String())
	}
	if err := json.Unmarshal(lines.Bytes(), &ready); err != nil || ready.Type != "ready" {
		t.Errorf("first line: %q, %v", lines.Text(), err)
	}
	var wrong []string // of the lines, for when the test's own goroutine is back
	read := make(chan struct{})
	go func() {
		defer close(read)
		for more := true; more; more = lines.Scan() {
			if err := checkObject(lines.Text()); err != nil {
				wrong = append(wrong, err.Error()+"\n"+lines.Text())
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if c := <-code; c != 0 || errOut.Len() != 0 {
			t.Errorf("ottpay %s ends with %d: %s", strings.Join(args, " "), c, errOut.String())
		}
		<-read
		for _, w := range wrong {
			t.Errorf("ottpay %s: %s", strings.Join(args, " "), w)
		}
	})
	return ready
}

// startSandbox returns the address of a sandbox.
func startSandbox(t *testing.T) string {
	t.Helper()
	return strings.TrimSuffix(start(t, nil, "sandbox", "--addr", "127.0.0.1:0").API, "/-/api/v1")
}

// startListen returns the callback URL of a shop.
func startListen(t *testing.T) string {
	t.Helper()
	return start(t, nil, "listen", "--addr", "127.0.0.1:0").URL + "ottpay"
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args string
		code int
		err  string // first line of standard error
	}{
		{"a mistyped command", "sandbx", 2, `ottpay: unknown command "sandbx"; did you mean sandbox?`},
		{"an unknown command", "frobnicate", 2, `ottpay: unknown command "frobnicate"`},
		{"a mistyped flag", "sandbox --adr x", 2, "ottpay: unknown flag --adr; did you mean --addr?"},
		{"an unknown letter", "-z", 2, "ottpay: unknown flag -z"},
		{"a key in an argument", "sandbox --sign-key 00112233", 2, "ottpay: there is no --sign-key: arguments can be read by every process on this machine"},
		{"a key glued on", "sandbox --key=00112233", 2, "ottpay: there is no --key: arguments can be read by every process on this machine"},
		{"an argument too many", "version x", 2, `ottpay: unknown command "x" for "ottpay version"`},
		{"a colour", "version --color sometimes", 2, "ottpay: --color is auto, always or never"},
		{"no command", "", 2, "ottpay: OTT Pay's gateway on this machine, and tools that explain its messages"},
		{"help of nothing", "help nothing", 2, `ottpay: unknown command "nothing"`},
		{"no file of variables", "version --env-file /nonexistent/x", 2, "ottpay: cannot read the file of variables /nonexistent/x: there is no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := invoke(t, nil, "", strings.Fields(test.args)...)
			first, _, _ := strings.Cut(got.err, "\n")
			if got.code != test.code || first != test.err || got.out != "" {
				t.Errorf("code %d, stdout %q, stderr %q; want code %d, nothing, %q", got.code, got.out, got.err, test.code, test.err)
			}
			if strings.Contains(got.err, "00112233") {
				t.Errorf("the key is shown: %s", got.err)
			}
			asJSON := invoke(t, nil, "", append(strings.Fields(test.args), "--json")...)
			var object struct {
				V    int
				Type string
				Code string
			}
			if err := json.Unmarshal([]byte(asJSON.err), &object); err != nil || object.V != 1 || object.Type != "error" || object.Code == "" || asJSON.out != "" || asJSON.code != test.code {
				t.Errorf("with --json: code %d, stdout %q, stderr %q (%v); want one error object", asJSON.code, asJSON.out, asJSON.err, err)
			}
		})
	}
}

func TestHelpFits(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--help", "sandbox --help", "help sandbox", "help exit-codes", "help environment", "help json"} {
		got := invoke(t, nil, "", strings.Fields(args)...)
		if got.code != 0 || got.err != "" || got.out == "" {
			t.Errorf("%s: code %d, stderr %q, stdout of %d bytes; want 0, nothing, text", args, got.code, got.err, len(got.out))
		}
		for line := range strings.Lines(got.out) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
				t.Errorf("%s: a line of %d columns: %s", args, n, line)
			}
		}
	}
}

// TestSandbox starts the sandbox, asks it and stops it.
func TestSandbox(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan int)
	var errOut bytes.Buffer
	go func() {
		done <- run(ctx, System{In: strings.NewReader(""), Out: w, Err: &errOut}, []string{"sandbox", "--addr", "127.0.0.1:0", "--json"})
		w.Close()
	}()
	d := json.NewDecoder(r)
	var ready struct {
		V                  int
		Type, Gateway, API string
		Merchants          []string
	}
	if err := d.Decode(&ready); err != nil || ready.Type != "ready" || ready.V != 1 || len(ready.Merchants) != 1 {
		t.Fatalf("first line: %+v, %v", ready, err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	base := strings.TrimSuffix(ready.API, "/-/api/v1")
	if got := invoke(t, nil, "", "health", base); got.code != 0 || got.out != "ok\n" {
		t.Errorf("health: %+v", got)
	}
	second := invoke(t, nil, "", "sandbox", "--addr", strings.TrimPrefix(base, "http://"))
	if second.code != 5 || !strings.Contains(second.err, "is taken by another ottpay sandbox (since ") {
		t.Errorf("a second sandbox on the address: %+v", second)
	}
	cancel()
	if code := <-done; code != 0 || errOut.Len() != 0 {
		t.Errorf("code %d, stderr %q; want 0 and nothing", code, errOut.String())
	}
	if got := invoke(t, nil, "", "health", base); got.code != 1 {
		t.Errorf("health of a sandbox that has stopped: %+v", got)
	}
}

// TestConformance runs every fault of callbacks against listen, which is the
// kit's webhook.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a stalled body takes ten seconds")
	}
	env := map[string]string{"OTTPAY_MERCHANT_ID": "TS00000001", "OTTPAY_SIGN_KEY": demoKey, "OTTPAY_SIGN_KEY_2": "00000000000000FF"}
	got := invoke(t, env, "", "trigger", "--to", startListen(t), "--all", "--json")
	lines, failed := 0, 0
	for line := range strings.Lines(got.out) {
		var v struct {
			V                int
			Type, Fault, Why string
			OK               bool
			Skipped          bool
			Passed, Failed   int
			NotSent          int `json:"not_sent"`
			Answers          []int
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.V != 1 {
			t.Fatalf("%q: %v", line, err)
		}
		switch v.Type {
		case "conformance":
			lines++
			// listen has one key: the older one is foreign to it.
			if !v.OK {
				failed++
				t.Errorf("%s: %v: %s", v.Fault, v.Answers, v.Why)
			}
		case "conformance.summary":
			if v.NotSent != 2 || v.Passed+v.Failed+v.NotSent != lines {
				t.Errorf("%+v; want every fault but amount and lost", v)
			}
		}
	}
	if want := 57; lines != want || got.code != 0 || got.err != "" {
		t.Errorf("%d lines, %d failed, code %d, stderr %q; want %d, 0, 0, nothing", lines, failed, got.code, got.err, want)
	}
}

// TestCallKnowsEveryAction checks the table of typed calls against the
// document.
func TestCallKnowsEveryAction(t *testing.T) {
	t.Parallel()
	for _, action := range api.Actions() {
		got := invoke(t, nil, "", "call", string(action.Name), "--fill", "--dry-run", "order_id=A1001", "--extra", "orderId=A1001", "prepay_order_id=P1001", "auth_code=281234567890123456", "ori_order_id=A1", "refund_amt=1", "fee_type=CAD")
		if got.code != 0 || got.err != "" {
			t.Errorf("%s: %+v", action.Name, got)
			continue
		}
		opened := invoke(t, nil, got.out, "open", "--quiet")
		if opened.code != 0 || !strings.HasPrefix(opened.out, "{") {
			t.Errorf("%s: the request does not open: %+v", action.Name, opened)
		}
	}
}
