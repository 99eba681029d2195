package ottpayotel

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

// Store returns a store that counts the claims of s that are held now:
// ottpay.dedupe.claims. A number that does not go back means that a handler does
// not return. The store keeps the properties of s: see [dedupe.Wrapper].
func (o *Observer) Store(s dedupe.Store) dedupe.Store { return store{s, o} }

type store struct {
	dedupe.Store
	*Observer
}

// Unwrap implements [dedupe.Wrapper].
func (s store) Unwrap() dedupe.Store { return s.Store }

func (s store) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	below, err := s.Store.Claim(ctx, id, lease)
	if err != nil {
		return nil, err
	}
	s.claims.Add(ctx, 1)
	c := &claim{Claim: below, Observer: s.Observer, lease: lease}
	if provider, ok := below.(dedupe.Contexter); ok {
		return providingClaim{c, provider}, nil
	}
	return c, nil
}

type claim struct {
	dedupe.Claim
	*Observer
	lease time.Duration

	late  sync.Once
	ended atomic.Bool
}

// providingClaim is a claim that provides something to the handler. A claim that
// does not must not be a [dedupe.Contexter].
type providingClaim struct {
	*claim
	dedupe.Contexter
}

// Confirm ends the claim unless the store is away. Then it may be repeated, and
// if that does not happen, the lease ends the claim.
func (c *claim) Confirm(ctx context.Context) error {
	err := c.Claim.Confirm(ctx)
	if err == nil || errors.Is(err, dedupe.ErrLost) {
		c.end(ctx)
	} else {
		c.late.Do(func() { time.AfterFunc(c.lease, func() { c.end(context.WithoutCancel(ctx)) }) })
	}
	return err
}

// Release ends the claim, also if it fails: its lease does the rest.
func (c *claim) Release(ctx context.Context) error {
	defer c.end(ctx)
	return c.Claim.Release(ctx)
}

func (c *claim) end(ctx context.Context) {
	if !c.ended.Swap(true) {
		c.claims.Add(ctx, -1)
	}
}
