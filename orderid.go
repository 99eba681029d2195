package ottpay

import (
	"fmt"
	"io"
)

// NewOrderID returns an id for an order, a refund or a checkout: 20 capital
// letters and digits, which every action takes. The first ten are the time in
// milliseconds, so that ids sort by it; the others are 50 random bits, so that
// no two processes make the same.
//
// The client makes one for a payment that has none. A shop that makes it
// itself and stores it before it calls can resolve the payment even when it is
// killed in the middle. The only error is that Config.Rand fails.
func (c *Client) NewOrderID() (string, error) {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // sorts as it counts
	var random [10]byte
	if _, err := io.ReadFull(c.cfg.Rand, random[:]); err != nil {
		return "", fmt.Errorf("ottpay: no randomness for an order id: %w", err)
	}
	var id [20]byte
	ms := uint64(c.cfg.Now().UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = alphabet[ms&31]
		ms >>= 5
	}
	for i, r := range random {
		id[10+i] = alphabet[r&31]
	}
	return string(id[:]), nil
}
