package field

import (
	"encoding/json"
	"errors"
	"fmt"
)

// JSONString is JSON that travels inside a string, as payInfo does: on the wire
// it is quoted twice, here once. The text may also be something else, such as a
// link, because the gateway uses the member for both; Text returns either.
//
// It may hold what opens a payment, so String and LogValue of the types around
// it do not show it.
type JSONString string

var errNotJSON = errors.New("field: the string does not hold JSON")

// Text returns the string itself.
func (s JSONString) Text() string { return string(s) }

// Valid reports whether the string holds one JSON text.
func (s JSONString) Valid() bool { return json.Valid([]byte(s)) }

// Decode reads the JSON in the string into v, as json.Unmarshal does. The error
// names the Go type and does not quote the text.
func (s JSONString) Decode(v any) error {
	if !s.Valid() {
		return errNotJSON
	}
	if json.Unmarshal([]byte(s), v) != nil { // whose words quote values
		return fmt.Errorf("field: the JSON in the string does not fit a %T", v)
	}
	return nil
}
