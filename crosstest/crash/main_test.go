package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"
)

// The test binary is the merchants', too.
func TestMain(m *testing.M) {
	if cfg, ok := merchantConfig(); ok {
		exit(serveMerchant(cfg))
	}
	os.Exit(m.Run())
}

// TestCrash: a short run on SQLite, which needs no server, and the same run
// with each fault, which it must find.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, want string }{
		{"", `kills=10 dbkills=2 lost=0 doubled=0\n$`},
		{confirmFirst, `kills=10 dbkills=2 lost=[1-9]`},
		{acknowledgeFirst, `kills=10 dbkills=2 lost=[1-9]`},
		{claimAnything, `kills=10 dbkills=2 lost=0 doubled=[1-9]`},
	} {
		t.Run("fault="+c.fault, func(t *testing.T) {
			t.Parallel()
			var out, progress bytes.Buffer
			kept := run{n: 60, seed: 1, fault: c.fault}.all(t.Context(), []mode{{sqlTx, sqlite}}, &out, &progress)
			if kept != (c.fault == "") || !regexp.MustCompile(c.want).Match(out.Bytes()) {
				t.Errorf("kept %v\n%s%s", kept, &out, &progress)
			}
		})
	}
}
