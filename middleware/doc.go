// Package middleware receives OTT Pay's callbacks and sends requests to the
// gateway. [Webhook] turns an encrypted callback into a verified, validated
// notification that the handler sees once. [Transport] encrypts and signs each
// request and opens the answer.
//
// It stands on the standard library alone. A *rate.Limiter, a
// *validator.Validate and a *slog.Logger fit its small interfaces as they are.
// Package ottpay fills them in.
package middleware
