package ottpay

import (
	"context"
	"testing"
)

// TestNotifierKeepsNothing: after the waiting there is no trace of it, however it
// ended, and those who still wait are not forgotten.
func TestNotifierKeepsNothing(t *testing.T) {
	t.Parallel()
	var n Notifier
	key := waitingFor{"M1", "O1"}
	still := make(chan Payment, 1)
	n.add(key, still)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, id := range []string{"O1", "O2"} {
		if _, err := n.Wait(ended, "M1", id); err == nil {
			t.Fatal("no error")
		}
	}
	if len(n.waiting) != 1 || len(n.waiting[key]) != 1 {
		t.Errorf("%d orders and %d of them for one are waited for", len(n.waiting), len(n.waiting[key]))
	}
	n.remove(key, still)
	if len(n.waiting) != 0 {
		t.Errorf("%d orders are kept", len(n.waiting))
	}
}
