package main

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// The test binary is the replicas', too.
func TestMain(m *testing.M) {
	if r, ok, err := replicaConfig(); ok {
		exit(errors.Join(err, r.serve()))
	}
	os.Exit(m.Run())
}

func TestRedisReplicas(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := run(t.Context(), &out)
	if errors.Is(err, errNoRedis) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if want := "All 24 payments were handled exactly once."; !strings.Contains(out.String(), want) {
		t.Errorf("the output lacks %q", want)
	}
}

// Without a server it says what to do. It is not parallel for the variable's sake.
func TestNoRedis(t *testing.T) {
	t.Setenv("OTTPAY_TEST_REDIS", "127.0.0.1:1")
	err := run(t.Context(), new(strings.Builder))
	if !errors.Is(err, errNoRedis) || !strings.Contains(err.Error(), "set OTTPAY_TEST_REDIS") {
		t.Errorf("without Redis: %v", err)
	}
}
