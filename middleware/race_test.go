//go:build race

package middleware_test

// raced: the race detector makes searches ten times slower.
const raced = true
