package main

import (
	"strings"
	"testing"
)

func TestNethttp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"303", "405", "GET /readyz: 503", "was acknowledged", "All of it happened."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
}
