//go:build race

package main

// raced says that the race detector is on. The code under test starts no
// goroutine, and the detector makes it many times slower, so the long tests try a
// sample.
const raced = true
