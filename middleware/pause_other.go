//go:build !linux

package middleware

import "time"

func pause(d time.Duration) { <-time.After(d) }
