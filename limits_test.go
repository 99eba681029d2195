package ottpay_test

import (
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/gen/api"
)

// TestLimitsOfEachKind: a quota of one kind is none of the other, a merchant's
// bucket is always the same one, and a negative quota is a mistake.
func TestLimitsOfEachKind(t *testing.T) {
	t.Parallel()
	for _, q := range []ottpay.Quota{{PerSecond: -1}, {Burst: -1}, {PerSecond: 1, Burst: -1}, {PerSecond: -1, Burst: 1}} {
		for _, cfg := range []ottpay.LimitsConfig{{Effects: q}, {Queries: q}} {
			if limits, err := ottpay.NewLimits(cfg); err == nil || limits != nil {
				t.Errorf("%+v was taken", cfg)
			}
		}
	}
	for kind, cfg := range map[api.Kind]ottpay.LimitsConfig{
		api.KindEffect: {Effects: ottpay.Quota{PerSecond: 1}}, api.KindQuery: {Queries: ottpay.Quota{PerSecond: 1}},
	} {
		limits, err := ottpay.NewLimits(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []api.Kind{api.KindEffect, api.KindQuery} {
			if limiter := limits.Limiter("A1", other); (limiter != nil) != (other == kind) {
				t.Errorf("a quota of %v: %v is limited: %v", kind, other, limiter != nil)
			}
		}
		if limits.Limiter("A1", kind) != limits.Limiter("A1", kind) || limits.Limiter("A1", kind) == limits.Limiter("B2", kind) {
			t.Errorf("%v: a merchant has several buckets, or shares one", kind)
		}
	}
}
