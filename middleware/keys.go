package middleware

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ottpaykit/ottpay/envelope"
)

// Keys finds the sign keys of a merchant. Implementations are safe for
// concurrent use; they are asked once per delivery and once per call.
type Keys interface {
	// Keys returns the merchant's live keys. The first one seals; all of them
	// open, in this order, so that a key can be changed without refusing a
	// callback: prepend the new one, remove the old one when the gateway has
	// stopped using it. No keys and a nil error mean: unknown merchant. A
	// callback of an unknown merchant is answered like one under a wrong key.
	// After an error a callback is answered "send again later".
	Keys(ctx context.Context, merchantID string) ([]envelope.Key, error)
}

// StaticKeys are the keys of a fixed set of merchants, by merchant id. It must
// not be changed while it is in use.
type StaticKeys map[string][]envelope.Key

// Keys returns the merchant's keys. It does not fail.
func (k StaticKeys) Keys(_ context.Context, merchantID string) ([]envelope.Key, error) {
	return k[merchantID], nil
}

// Check returns what is wrong with k, or nil. merchant is one that it must have,
// or "". New of this package and of package ottpay call it.
func (k StaticKeys) Check(merchant string) error {
	for id, keys := range k {
		switch {
		case !isMerchant(id) || id == "":
			return errors.New("StaticKeys has an id that is no merchant's: it is empty or too long, or holds white space or non-ASCII text")
		case len(keys) == 0:
			return fmt.Errorf("StaticKeys has no key for merchant %s", id)
		case slices.ContainsFunc(keys, envelope.Key.IsZero):
			return fmt.Errorf("StaticKeys has a zero Key for merchant %s: use envelope.NewKey", id)
		}
	}
	if merchant != "" && len(k[merchant]) == 0 {
		return fmt.Errorf("StaticKeys has no key for merchant %s", merchant)
	}
	return nil
}
