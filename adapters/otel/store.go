package ottpayotel

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// Store returns s, counting the claims that are held: ottpay.dedupe.claims. A
// number that does not go back is a handler that does not return.
func (o *Observer) Store(s dedupe.Store) dedupe.Store { return store{s, o} }

type store struct {
	dedupe.Store
	*Observer
}

func (s store) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	c, err := s.Store.Claim(ctx, id, lease)
	if err != nil {
		return nil, err
	}
	s.claims.Add(ctx, 1)
	return &claim{Claim: c, Observer: s.Observer}, nil
}

type claim struct {
	dedupe.Claim
	*Observer
	ended atomic.Bool
}

var _ dedupe.Contexter = (*claim)(nil)

// Context lends the handler what the claim below lends.
func (c *claim) Context(ctx context.Context) context.Context {
	if below, ok := c.Claim.(dedupe.Contexter); ok {
		return below.Context(ctx)
	}
	return ctx
}

// Confirm ends the claim unless it fails, for then it is released.
func (c *claim) Confirm(ctx context.Context) error {
	err := c.Claim.Confirm(ctx)
	if err == nil {
		c.end(ctx)
	}
	return err
}

func (c *claim) Release(ctx context.Context) error {
	defer c.end(ctx)
	return c.Claim.Release(ctx)
}

func (c *claim) end(ctx context.Context) {
	if !c.ended.Swap(true) {
		c.claims.Add(ctx, -1)
	}
}
