package main

import (
	"strings"
	"testing"
)

func TestMultiMerchant(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"a cent was paid is not handled", "six ways", "540 callbacks, none refused", "All of it happened."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
}
