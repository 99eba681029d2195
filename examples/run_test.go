// Package examples_test runs every example as its reader would.
package examples_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// needs are the servers that an example asks for, and the variable that names
// another one.
var needs = map[string]struct{ env, address string }{
	"postgres-transaction": {"OTTPAY_TEST_POSTGRES", "127.0.0.1:5432"},
	"river":                {"OTTPAY_TEST_POSTGRES", "127.0.0.1:5432"},
	"redis-replicas":       {"OTTPAY_TEST_REDIS", "127.0.0.1:6379"},
	"shutdown":             {"OTTPAY_TEST_POSTGRES", "127.0.0.1:5432"},
	"watermill-nats":       {"OTTPAY_TEST_NATS", "127.0.0.1:4222"},
}

// persons are the examples that wait for a person to press a button. They have
// tests of their own.
var persons = []string{"mini-program", "qr"}

// TestRun runs every example, which is to end by itself and well, and wants
// each explained.
func TestRun(t *testing.T) {
	t.Parallel()
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatal(mains, err)
	}
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, main := range mains {
		name := filepath.Dir(main)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(filepath.Join(name, "README.md")); err != nil {
				t.Error(err)
			}
			if slices.Contains(persons, name) {
				return
			}
			if server, ok := needs[name]; ok && !answers(server.env, server.address) && os.Getenv("CI") != "true" {
				t.Skipf("no server answers at %s; start one, or set %s", server.address, server.env)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, filepath.Join(bin, name))
			cmd.Dir = t.TempDir() // one that starts others does so from anywhere
			cmd.WaitDelay = time.Second
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		})
	}
}

func answers(env, address string) bool {
	if text := os.Getenv(env); text != "" {
		address = text
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			address = u.Host
		}
	}
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
