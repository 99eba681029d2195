package middleware

import (
	"syscall"
	"time"
)

// pause sleeps for d, to some ten microseconds. See [holder].
func pause(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	for syscall.Nanosleep(&ts, &ts) == syscall.EINTR {
	}
}
