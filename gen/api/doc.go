// Package api has a Go type for the decrypted object of every request, answer
// and notification, and the actions, response codes and order statuses. A
// program mostly needs the request and answer types, which the client's methods
// take and return, and [Notification], which a webhook hands to its handler.
//
// The types read exact member names. They refuse an object in which a name
// stands twice, or in which a name differs from another in case only. Unknown
// members are kept in AdditionalProperties. What is written are the members that
// are set. String, LogValue and Format show no wallet id, no free text, no link
// and no URL.
//
// Of an answer or a notification only the members on which a decision rests can
// stop anything. The value of any other one that does not fit is kept in
// AdditionalProperties too, and Misfits names the member.
//
// A value must not be used by several goroutines while one of them writes it.
//
// The files named *.gen.go come from openapi/ottpay.yaml: change that, and run
// go generate.
package api
