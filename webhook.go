package ottpay

import (
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// NewWebhook returns the endpoint that OTT Pay posts its callbacks to. It is
// [middleware.New] with validate.New() for a Validator that is nil.
//
// Keys and Store are required. A dedupe.Memory is enough for one process and
// for tests; in production use dedupe.SQL, so that a payment is handled once
// across restarts and replicas.
func NewWebhook(cfg middleware.Config) (*middleware.Webhook, error) {
	if cfg.Validator == nil {
		cfg.Validator = validate.New()
	}
	return middleware.New(cfg)
}
