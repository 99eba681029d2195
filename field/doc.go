// Package field holds the value types of the wire that a generated struct
// needs and the language does not have: amounts in cents, the gateway's times,
// JSON that travels inside a string, and the reader and writer of one JSON
// object that the generated types stand on.
//
// Nothing in it computes in floating point, and no error it makes quotes what
// it read.
package field
