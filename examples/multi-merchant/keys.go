package main

import (
	"context"
	"slices"
	"sync"

	"github.com/ottpaykit/ottpay/envelope"
)

// keyRing is a middleware.Keys that may change at any time. A real one reads
// from a vault and keeps what it read for a minute.
type keyRing struct {
	mu   sync.RWMutex
	keys map[string][]envelope.Key // the slices are never changed, only replaced
}

// Keys implements middleware.Keys: the first key seals, all of them open.
func (r *keyRing) Keys(_ context.Context, merchantID string) ([]envelope.Key, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[merchantID], nil
}

// add puts a key in front of the merchant's others. From now on it seals.
func (r *keyRing) add(merchantID, signKey string) error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[merchantID] = append([]envelope.Key{key}, r.keys[merchantID]...)
	return nil
}

// retire removes all keys of the merchant but the first.
func (r *keyRing) retire(merchantID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[merchantID] = slices.Clone(r.keys[merchantID][:1])
}
