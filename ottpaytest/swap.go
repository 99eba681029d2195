package ottpaytest

import (
	"encoding/base64"
	"fmt"
	"slices"
)

// swapped exchanges the second and the third block of what data encodes.
// Blocks that were encrypted under one key can be exchanged without it.
func swapped(data string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(b) < 3*16 {
		return "", fmt.Errorf("ottpaytest: there are no blocks to exchange")
	}
	return base64.StdEncoding.EncodeToString(slices.Concat(b[:16], b[32:48], b[16:32], b[48:])), nil
}
