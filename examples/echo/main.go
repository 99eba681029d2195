// Command echo is a shop on an echo router with the usual middleware around it.
//
//	go run ./examples/echo
//
// pays orders at a sandbox gateway, breaks some deliveries, and exits with
// status 0 only if every step did what it should. With -listen it is a shop for
// a browser: see README.md.
package main

import "github.com/ottpaykit/ottpay/examples/internal/shop"

func main() { shop.Main("echo", routes) }
