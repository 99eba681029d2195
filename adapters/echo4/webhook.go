// Package ottpayecho mounts an OTT Pay webhook on an Echo router, version 4.
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
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

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
		return func(c echo.Context) (err error) {
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
func Handle[T any](w *middleware.Webhook, fn func(echo.Context, *T) error) echo.HandlerFunc {
	receive := middleware.Receiver[T](w)
	return func(c echo.Context) (err error) {
		receive(answer{c.Response()}, c.Request(), func(rw http.ResponseWriter, r *http.Request, v *T) error {
			err = run(c, rw, r, func() error { return fn(c, v) })
			return err
		})
		return err
	}
}

// Delivery returns the delivery that a handler behind [Webhook] or [Handle] is
// handling.
func Delivery(c echo.Context) (*middleware.Delivery, bool) {
	return middleware.FromContext(c.Request().Context())
}

// run gives c the request and the writer of Webhook.Do while fn runs.
func run(c echo.Context, rw http.ResponseWriter, r *http.Request, fn func() error) error {
	request, response := c.Request(), c.Response()
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	c.SetRequest(r)
	w := &statusWriter{ResponseWriter: rw, context: c}
	w.renew(http.StatusOK)
	if err := fn(); err != nil {
		return err
	}
	if w.again {
		return errAgain
	}
	rw.WriteHeader(c.Response().Status) // which a handler can set without writing it
	return nil
}

var errAgain = errors.New("ottpayecho: the handler wrote another status after its first one")

// statusWriter is what a handler writes to. Once a status is written, c gets a
// fresh response, because Echo drops what follows on the same one: the 500 of a
// recovery behind the webhook would be lost.
type statusWriter struct {
	http.ResponseWriter
	context echo.Context
	again   bool // an old response was given another status
}

func (w *statusWriter) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.renew(status)
}

// renew gives c a response to which nothing has been written.
func (w *statusWriter) renew(status int) {
	// The response uses its Echo to log a status that it drops, and for no more.
	kept := echo.NewResponse(w, &echo.Echo{Logger: dropped{w.context.Logger(), w}})
	kept.Status = status
	w.context.SetResponse(kept)
}

// Flush does nothing: what a handler writes is not sent.
func (w *statusWriter) Flush() {}

// dropped is told of a status that an old response drops.
type dropped struct {
	echo.Logger
	w *statusWriter
}

func (d dropped) Warn(text ...any) {
	d.w.again = true
	d.Logger.Warn(text...)
}

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
