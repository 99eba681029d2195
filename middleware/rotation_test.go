package middleware_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// keyring is a shop's table of sign keys, which changes while it is used.
type keyring struct {
	mu   sync.RWMutex
	keys map[string][]envelope.Key
}

func (k *keyring) Keys(_ context.Context, merchantID string) ([]envelope.Key, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[merchantID], nil
}

func (k *keyring) set(merchantID string, keys ...envelope.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[merchantID] = keys
}

// tenant is a merchant as the gateway knows it.
type tenant struct {
	id string

	mu         sync.RWMutex // read while a callback is under way
	generation int
}

func (t *tenant) signKey(generation int) string { return fmt.Sprintf("%s-%08X", t.id, generation) }

// TestRotation: thousands of merchants change their sign keys while callbacks
// flow, and none is refused: the shop adds the new key, the gateway goes over
// to it, and the shop removes the old one when no callback under it is under
// way any more.
func TestRotation(t *testing.T) {
	t.Parallel()
	const merchants, senders, callbacks, rotations = 3000, 8, 1500, 3000
	ring := &keyring{keys: make(map[string][]envelope.Key)}
	tenants := make([]*tenant, merchants)
	for i := range tenants {
		tenants[i] = &tenant{id: fmt.Sprintf("TS%08d", i)}
		ring.set(tenants[i].id, mustKey(t, tenants[i].signKey(0)))
	}
	var s shop
	h := s.behind(newWebhook(t, func(cfg *middleware.Config) { cfg.Keys = ring }))
	deliver := func(m *tenant, signKey, order string) *httptest.ResponseRecorder {
		payload := strings.NewReplacer("T1", order, merchant, m.id).Replace(paid)
		return post(h, callbackWith(t, signKey, envelope.Response{Code: "SUCCESS", MerchantID: m.id}, payload))
	}
	stranger := deliver(&tenant{id: "TS99999999"}, "no merchant's", "T0")

	var all sync.WaitGroup
	var overlapped atomic.Int32
	for sender := range senders {
		all.Go(func() {
			choose := rand.New(rand.NewPCG(1, uint64(sender)))
			for i := range callbacks {
				m := tenants[choose.IntN(50)] // few, so that the rotators meet them
				if i%10 == 0 {
					m = tenants[choose.IntN(merchants)]
				}
				m.mu.RLock()
				signKey := m.signKey(m.generation)
				if keys, _ := ring.Keys(t.Context(), m.id); len(keys) > 1 {
					overlapped.Add(1)
				}
				if rw := deliver(m, signKey, fmt.Sprintf("O%d-%d", sender, i)); rw.Code != 200 {
					t.Errorf("a callback under the gateway's key was answered %d", rw.Code)
				}
				m.mu.RUnlock()
			}
		})
	}
	for rotator := range 2 {
		all.Go(func() {
			choose := rand.New(rand.NewPCG(2, uint64(rotator)))
			for range rotations {
				m := tenants[2*choose.IntN(25)+rotator]
				generation := m.generation // no other goroutine writes it
				before, after := mustKey(t, m.signKey(generation)), mustKey(t, m.signKey(generation+1))
				ring.set(m.id, after, before)
				if rw := deliver(m, m.signKey(generation), fmt.Sprint("R", rotator, m.id, generation)); rw.Code != 200 {
					t.Errorf("a callback under the old key, between the two, was answered %d", rw.Code)
				}
				m.mu.Lock()
				m.generation++
				m.mu.Unlock()
				ring.set(m.id, after)
				// Now no one has the old key.
				rw := deliver(m, m.signKey(generation), "T0")
				if !sameAnswer(rw, stranger) {
					t.Errorf("a removed key is told from an unknown merchant: %d %q %v", rw.Code, rw.Body, rw.Header())
				}
			}
		})
	}
	all.Wait()
	if overlapped.Load() == 0 {
		t.Error("no callback came between two keys")
	}
	if want := int32(senders*callbacks + 2*rotations); s.runs.Load() != want {
		t.Errorf("handled %d callbacks, want %d", s.runs.Load(), want)
	}
	if stranger.Code != 401 {
		t.Errorf("a stranger was answered %d", stranger.Code)
	}
}

func sameAnswer(a, b *httptest.ResponseRecorder) bool {
	return a.Code == b.Code && a.Body.String() == b.Body.String() &&
		maps.EqualFunc(a.Header(), b.Header(), func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
}
