// Package ottpaygin mounts an OTT Pay webhook on a gin router.
//
//	r.POST("/ottpay/callback", ottpaygin.Handle(webhook, handle))
//	r.POST("/ottpay/callback", ottpaygin.Webhook(webhook), handler)
//
// The answer that goes out is the webhook's, whatever the handler wrote: 200
// after its work is kept, 503 when it failed. Its error stays in c.Errors for
// the middleware in front, which should, as always in gin, not write where
// c.Writer.Written() is true.
package ottpaygin

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/middleware"
)

var errAborted = errors.New("ottpaygin: the handlers were aborted")

// Webhook returns w as middleware, for a route that has a handler already. The
// handlers behind it find the decrypted JSON as the request's body, for
// c.ShouldBindJSON, and the [Delivery]. Their work counts as kept unless they
//
//   - add to c.Errors,
//   - set a status of 300 and more at any time, with a body or without one,
//   - abort, unless they set a status below 300 after that, or
//   - panic, also if a recovery among them answers.
//
// c itself is a context in which [middleware.FromContext] and
// dedupe.TxFromContext find what they find in c.Request.Context().
//
// Mount it on the callback's route or on a group of its own.
func Webhook(w *middleware.Webhook) gin.HandlerFunc {
	return func(c *gin.Context) {
		ran := false
		w.Do(answer{c.Writer}, c.Request, func(rw http.ResponseWriter, r *http.Request) error {
			ran = true
			return run(c, rw, r, func() error {
				c.Next()
				return nil
			})
		})
		if !ran {
			c.Abort()
		}
	}
}

// Handle returns the endpoint around fn, which gets each notification once,
// decrypted, verified, decoded and validated, as [middleware.Handle] does. A
// nil error says that its work is kept, unless c says otherwise: see
// [Webhook]. An error is added to c.Errors.
func Handle[T any](w *middleware.Webhook, fn func(*gin.Context, *T) error) gin.HandlerFunc {
	receive := middleware.Receiver[T](w)
	return func(c *gin.Context) {
		receive(answer{c.Writer}, c.Request, func(rw http.ResponseWriter, r *http.Request, v *T) error {
			return run(c, rw, r, func() error {
				err := fn(c, v)
				if err != nil {
					_ = c.Error(err)
				}
				return err
			})
		})
	}
}

// Delivery returns the delivery that a handler behind [Webhook] or [Handle] is
// handling.
func Delivery(c *gin.Context) (*middleware.Delivery, bool) {
	return middleware.FromContext(c.Request.Context())
}

// run gives c the request and the writer of Webhook.Do while fn runs, and
// reports whether gin thinks that fn succeeded.
func run(c *gin.Context, rw http.ResponseWriter, r *http.Request, fn func() error) error {
	writer, request, errs := c.Writer, c.Request, len(c.Errors)
	// The body that c.ShouldBindBodyWith has kept is the sealed one.
	sealed, read := c.Get(gin.BodyBytesKey)
	delete(c.Keys, gin.BodyBytesKey)
	c.Set(dedupe.ContextKey, r.Context())
	defer func() {
		c.Writer, c.Request = writer, request
		delete(c.Keys, dedupe.ContextKey)
		delete(c.Keys, gin.BodyBytesKey)
		if read {
			c.Set(gin.BodyBytesKey, sealed)
		}
	}()
	// gin has set 404 or 405 already where it found no handler but middleware.
	kept := &statusWriter{ResponseWriter: rw, status: writer.Status(), aborted: c.IsAborted}
	c.Writer, c.Request = kept, r

	if err := fn(); err != nil {
		return err
	}
	if len(c.Errors) > errs {
		return c.Errors.Last()
	}
	if c.IsAborted() && !kept.setAborted {
		return errAborted
	}
	rw.WriteHeader(kept.worst())
	return nil
}
