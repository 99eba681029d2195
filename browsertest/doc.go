// Package browsertest drives the sandbox's web page in a real browser. It has
// tests only; see README.md.
package browsertest
