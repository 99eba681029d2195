// Package ottpaychi mounts an OTT Pay webhook on a chi router.
//
// chi speaks net/http, so that a [middleware.Webhook] fits as it is:
//
//	r.Post("/ottpay/callback", ottpaychi.Handle(webhook, handle))
//	r.With(ottpaychi.Webhook(webhook)).Post("/ottpay/callback", handler)
//
// Route parameters, and whatever else chi and the middleware in front put into
// the request's context, reach the handler.
package ottpaychi

import (
	"net/http"

	"github.com/ottpaykit/ottpay/middleware"
)

// Webhook returns w as middleware, for a route that has a handler already, as
// [middleware.Webhook.Handler] does: the handler finds the decrypted JSON as
// the request's body, and a status of 300 and more at any time, or a panic, says
// that its work is not kept. A chi Recoverer behind the webhook stands in front of
// a chi Logger, and not behind it: the Logger drops a second status. Mount it with With or inside a Group or a Route, so
// that it stands in front of the callback's route alone.
func Webhook(w *middleware.Webhook) func(http.Handler) http.Handler {
	return w.Handler
}

// Handle returns the endpoint around fn, which gets each notification once, as
// [middleware.Handle] does. The request is what chi.URLParam and [Delivery]
// take; its body is the decrypted JSON. A nil error says that the work is kept.
func Handle[T any](w *middleware.Webhook, fn func(*http.Request, *T) error) http.HandlerFunc {
	receive := middleware.Receiver[T](w)
	return func(rw http.ResponseWriter, r *http.Request) {
		receive(rw, r, func(_ http.ResponseWriter, r *http.Request, v *T) error { return fn(r, v) })
	}
}

// Delivery returns the delivery that a handler behind [Webhook] or [Handle] is
// handling.
func Delivery(r *http.Request) (*middleware.Delivery, bool) {
	return middleware.FromContext(r.Context())
}
