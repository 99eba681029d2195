// Package shoptest tests the router of an example.
package shoptest

import (
	"bytes"
	"testing"

	"github.com/ottpaykit/ottpay/examples/internal/shop"
)

// want is what every example prints, whatever its router.
const want = `a payment: the gateway was answered [200], booked 1
the stock service is down once: the gateway was answered [503 200], booked 1
the handler panics once: the gateway was answered [503 200], booked 1
the payer pays less than the order: the gateway was answered [503 503 503 503], booked 0
a redelivery: 200, booked 1
a forgery: 401
`

// Run runs the demonstration on routes and compares what it prints.
func Run(t *testing.T, routes shop.Routes) {
	t.Helper()
	var out bytes.Buffer
	if err := shop.Demo(t.Context(), &out, routes); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &out, want)
	}
}
