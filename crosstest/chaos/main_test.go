package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNoPaymentTwice(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 300
	}
	got, err := chaos(t.Context(), options{runs: n, workers: 4, seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !got.good() || got.runs != n {
		t.Errorf("%v\n%q", got, got.misjudged)
	}
	for _, p := range points() {
		if got.byPoint[p] == 0 {
			t.Errorf("nothing failed at %s", p)
		}
	}
	if got.unknown == 0 || got.notSent == 0 || got.resolved == 0 {
		t.Errorf("%+v: the runs show nothing", got)
	}
}

// TestRetryLibraries shows that the runs would find a payment that is sent
// twice: libraries that are made to send again do.
func TestRetryLibraries(t *testing.T) {
	for _, lib := range libraries() {
		t.Run(lib.name, func(t *testing.T) {
			got, err := chaos(t.Context(), options{runs: 100, workers: 2, seed: 1, peer: &lib})
			if err != nil {
				t.Fatal(err)
			}
			if got.duplicates == 0 {
				t.Errorf("%+v: no duplicate effect", got)
			}
			t.Logf("%d duplicate effects in %d runs", got.duplicates, got.runs)
		})
	}
}
