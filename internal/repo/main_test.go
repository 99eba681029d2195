package repo_test

import (
	"os"
	"sync"
	"testing"
)

// inRoot begins a test that reads the repository: it runs in its root, so that
// every name in it is the one that a reader sees. It is not TestMain that
// changes the directory, because go test would not note what the tests read,
// and would repeat an old result after a file has changed.
func inRoot(t *testing.T) {
	t.Helper()
	t.Parallel()
	if err := enterRoot(); err != nil {
		t.Fatal(err)
	}
}

var enterRoot = sync.OnceValue(func() error { return os.Chdir("../..") })
