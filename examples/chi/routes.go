package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	ottpaychi "github.com/ottpaykit/ottpay/adapters/chi"
	"github.com/ottpaykit/ottpay/examples/internal/shop"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// routes is the shop's router. chi's own log is off, so that the example's lines
// are easy to see.
func routes(s *shop.Shop, webhook *middleware.Webhook, pages http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(
		chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0), NoColor: true}),
		recoverer,
		chimiddleware.Timeout(30*time.Second),
	)
	r.Get("/healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "ok") })
	r.Get("/", pages.ServeHTTP)
	r.Get("/thanks", pages.ServeHTTP)
	r.Post("/buy", pages.ServeHTTP)
	r.Route("/pay/{merchant}", func(r chi.Router) {
		r.Post("/callback", ottpaychi.Handle(webhook, func(r *http.Request, n *api.Notification) error {
			if d, ok := ottpaychi.Delivery(r); !ok || d.Merchant != chi.URLParam(r, "merchant") {
				return fmt.Errorf("a callback of another merchant than the path's")
			}
			return s.Paid(n)
		}))
	})
	return r
}

// recoverer is chi's without the stack on the terminal.
func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				rw.WriteHeader(http.StatusInternalServerError) // no effect: the webhook has answered 503
			}
		}()
		next.ServeHTTP(rw, r)
	})
}
