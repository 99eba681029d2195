// Package middleware is the kit's path of bytes: [Webhook] turns an encrypted
// callback into a verified, validated notification that the handler sees once,
// and [Transport] encrypts and signs what goes out and opens what comes back.
//
// It stands on the standard library alone. A *rate.Limiter, a
// *validator.Validate and a *slog.Logger fit its small interfaces as they are.
// Package ottpay fills them in.
package middleware
