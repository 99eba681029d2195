// Package field has the value types that the generated structs need and the
// language does not have: amounts in cents, exchange rates, the gateway's times,
// and JSON that travels inside a string.
//
// Nothing in it computes in floating point, and no error quotes the text that it
// is about.
package field
