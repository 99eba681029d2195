// Package crosstest holds the tests that need more than one module: the stores
// on their real servers, and every adapter with every store. It exports nothing.
package crosstest
