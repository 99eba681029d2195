package sandbox

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"10": 10 * time.Second, "1.5": 1500 * time.Millisecond, "0": 0,
		"10s": 10 * time.Second, "15m": 15 * time.Minute, "1m30s": 90 * time.Second, "300ms": 300 * time.Millisecond, "24h": 24 * time.Hour, "5u": -1,
		"-1s": -1, "-1": -1, "soon": -1, "": -1, "1e3": -1, "inf": -1, "nan": -1,
	} {
		got, err := duration(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("duration(%q) is %v, %v; want %v", text, got, err, want)
		}
	}
}
