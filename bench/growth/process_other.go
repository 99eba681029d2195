//go:build !unix

package main

import "time"

// openFiles is how many files the process may have open.
func openFiles() int { return 1 << 13 }

// processorTime is the time of a clock here.
func processorTime() time.Duration { return time.Since(started) }
