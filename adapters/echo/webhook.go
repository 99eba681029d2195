// Package ottpayecho mounts an OTT Pay webhook on an Echo router, version 5.
//
//	e.POST("/ottpay/callback", ottpayecho.Handle(webhook, handle))
//	e.POST("/ottpay/callback", handler, ottpayecho.Webhook(webhook))
//
// The answer that goes out is the webhook's, whatever the handler wrote: 200
// after its work is kept, 503 when it failed. The handler's error is returned
// to the middleware in front and to Echo's HTTPErrorHandler all the same, which
// should, as always in Echo, not write where the response is committed.
package ottpayecho

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/ottpaykit/ottpay/middleware"
)

// Webhook returns w as middleware, for a route that has a handler already. The
// handler finds the decrypted JSON as the request's body, for c.Bind, and the
// [Delivery]. Its work counts as kept unless it returns an error, writes a
// status of 300 and more at any time, or panics, also if a recovery behind the
// webhook answers.
//
// Mount it on the callback's route or on a group of its own.
func Webhook(w *middleware.Webhook) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			w.Do(answer{c.Response()}, c.Request(), func(rw http.ResponseWriter, r *http.Request) error {
				err = run(c, rw, r, func() error { return next(c) })
				return err
			})
			return err
		}
	}
}

// Handle returns the endpoint around fn, which gets each notification once,
// decrypted, verified, decoded and validated, as [middleware.Handle] does. A
// nil error says that its work is kept, unless it wrote a status of 300 and
// more. An error goes to Echo as well.
func Handle[T any](w *middleware.Webhook, fn func(*echo.Context, *T) error) echo.HandlerFunc {
	receive := middleware.Receiver[T](w)
	return func(c *echo.Context) (err error) {
		receive(answer{c.Response()}, c.Request(), func(rw http.ResponseWriter, r *http.Request, v *T) error {
			err = run(c, rw, r, func() error { return fn(c, v) })
			return err
		})
		return err
	}
}

// Delivery returns the delivery that a handler behind [Webhook] or [Handle] is
// handling.
func Delivery(c *echo.Context) (*middleware.Delivery, bool) {
	return middleware.FromContext(c.Request().Context())
}

// run gives c the request and the writer of Webhook.Do while fn runs.
func run(c *echo.Context, rw http.ResponseWriter, r *http.Request, fn func() error) error {
	request, response := c.Request(), c.Response()
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	kept := echo.NewResponse(flusher{rw}, c.Logger())
	kept.Status = http.StatusOK
	c.SetRequest(r)
	c.SetResponse(statusWriter{kept, rw})
	err := fn()
	rw.WriteHeader(kept.Status) // which a handler can set without writing it
	return err
}

// statusWriter is the response that a handler gets. Unlike Echo's, which it
// unwraps to, it takes every status that is written: one of 500 behind one of
// 200 says that the handler failed.
type statusWriter struct {
	*echo.Response
	below http.ResponseWriter
}

func (w statusWriter) WriteHeader(status int) {
	if w.Committed {
		w.below.WriteHeader(status)
		return
	}
	w.Response.WriteHeader(status)
}

func (w statusWriter) Unwrap() http.ResponseWriter { return w.Response }

// flusher is what Echo's response writes to. Its Flush panics over a writer that
// cannot flush, and what a handler writes is not sent anyway.
type flusher struct{ http.ResponseWriter }

func (flusher) Flush() {}

// answer is what the webhook answers through. Echo's Flush panics where
// something below it cannot flush.
type answer struct{ http.ResponseWriter }

func (a answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a answer) FlushError() error {
	below := a.ResponseWriter
	for {
		u, ok := below.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		below = u.Unwrap()
	}
	if _, ok := below.(http.Flusher); !ok {
		return http.ErrNotSupported
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}
