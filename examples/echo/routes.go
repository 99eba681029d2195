package main

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/ottpaykit/ottpay"
	ottpayecho "github.com/ottpaykit/ottpay/adapters/echo"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// routes is the shop's router. The logs are thrown away, so that the example's
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
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.Use(
		echomiddleware.RequestLogger(), echomiddleware.Recover(), echomiddleware.Gzip(), echomiddleware.BodyLimit(1<<20),
		// A callback comes from no browser and has no token.
		echomiddleware.CSRFWithConfig(echomiddleware.CSRFConfig{Skipper: func(c *echo.Context) bool {
			return strings.HasSuffix(c.Path(), "/callback")
		}}),
	)
	e.GET("/healthz", func(c *echo.Context) error { return c.String(http.StatusOK, "well") })
	pay := e.Group("/pay/:merchant")
	pay.POST("/callback", ottpayecho.Handle(webhook, func(c *echo.Context, n *api.Notification) error {
		if d, ok := ottpayecho.Delivery(c); !ok || d.Merchant != c.Param("merchant") {
			return echo.ErrForbidden
		}
		return s.book(n.OrderID)
	}))
	return e, nil
}
