//go:build linux

package main_test

import (
	"bufio"
	"context"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestImage does what the Dockerfile says without a container tool: it builds
// the file by the command in the comment, and runs it in a root that holds
// nothing else, as the image's user.
func TestImage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	find := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + pattern + `$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("the Dockerfile has no line %s", pattern)
		}
		return string(m[1])
	}
	words := func(list string) []string {
		t.Helper()
		var out []string
		if err := json.Unmarshal([]byte(list), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	find(`FROM (scratch)`)
	user, err := strconv.Atoi(find(`USER (\d+):\d+`))
	if err != nil || user == 0 {
		t.Fatalf("user %d, %v", user, err)
	}

	root := t.TempDir()
	program := filepath.Join(root, "ottpay")
	command := strings.Replace(find(`#   (CGO_ENABLED=0 .*)`), "dist/ottpay", program, 1)
	// What is compiled without inlining is in no cache, and takes a minute.
	// scripts/binaries -check does that, and looks at the size.
	command = strings.Replace(command, "-gcflags=all=-l -gcflags=std= -gcflags=net/http=-l -gcflags=crypto/tls=-l ", "", 1)
	build := exec.CommandContext(t.Context(), "bash", "-euc", command)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Section(".interp") != nil {
		t.Error("the file is not static")
	}

	inImage := func(args []string) *exec.Cmd {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = []string{}
		if os.Getuid() == 0 {
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
		} else {
			cmd.Path = program // no other root without privileges
		}
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		return cmd
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	const port = ":6698"
	arguments := append(words(find(`ENTRYPOINT (.*)`)), words(find(`CMD (.*)`))...)
	for i, a := range arguments {
		arguments[i] = strings.Replace(a, port, ":0", 1) // which is free on this machine
	}
	cmd := inImage(append(arguments, "--json"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready struct{ Type, Page string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &ready) != nil || ready.Type != "ready" {
		t.Fatalf("first line: %q, %v", line, err)
	}
	_, at, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(ready.Page, "/"), "http://"), ":")
	health := inImage(append(words(find(`HEALTHCHECK .* CMD (.*)`)), "http://127.0.0.1:"+at))
	if out, err := health.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("health: %q, %v", out, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
