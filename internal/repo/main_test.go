package repo_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain runs the tests in the root of the repository, so that every name in
// them is the one that a reader sees.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
