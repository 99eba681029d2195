package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/ottpaykit/ottpay"
	ottpaychi "github.com/ottpaykit/ottpay/adapters/chi"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// routes is the shop's router. The log is thrown away, so that the example's
// own lines stand out.
func (s *shop) routes(keys middleware.Keys) (http.Handler, error) {
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   keys,
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Expect: s.amountOf,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.Use(
		chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0), NoColor: true}),
		recoverer,
		chimiddleware.Timeout(30*time.Second),
	)
	r.Get("/healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "well") })
	r.Route("/pay/{merchant}", func(r chi.Router) {
		r.Post("/callback", ottpaychi.Handle(webhook, func(r *http.Request, n *api.Notification) error {
			if d, ok := ottpaychi.Delivery(r); !ok || d.Merchant != chi.URLParam(r, "merchant") {
				return fmt.Errorf("a callback of another merchant than the path's")
			}
			return s.book(n.OrderID)
		}))
	})
	return r, nil
}

// recoverer is chi's without the stack on the terminal.
func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				rw.WriteHeader(http.StatusInternalServerError) // too late: the webhook has answered
			}
		}()
		next.ServeHTTP(rw, r)
	})
}
