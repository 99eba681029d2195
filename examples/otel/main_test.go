package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		"server  POST /ottpay/callback  ", "ottpay.result=handled", "ottpay.result=duplicate", "ottpay.result=refused",
		"client  POST REFUND", "ottpay.outcome_unknown=true", "ottpay.class=success",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	for _, secret := range []string{"ORDER1", merchantID, signKey, "1999", "payer"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is in\n%s", secret, &out)
		}
	}
}
