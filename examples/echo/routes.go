package main

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	ottpayecho "github.com/ottpaykit/ottpay/adapters/echo"
	"github.com/ottpaykit/ottpay/examples/internal/shop"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// routes is the shop's router. echo's own log is off, so that the example's
// lines are easy to see.
func routes(s *shop.Shop, webhook *middleware.Webhook, pages http.Handler) http.Handler {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.Use(
		echomiddleware.RequestLogger(), echomiddleware.Recover(), echomiddleware.Gzip(), echomiddleware.BodyLimit(1<<20),
		// The gateway is no browser: its callbacks carry no token. A shop gives
		// its own forms one; this shop's only form changes nothing of a user's.
		echomiddleware.CSRFWithConfig(echomiddleware.CSRFConfig{Skipper: func(c *echo.Context) bool {
			return strings.HasSuffix(c.Path(), "/callback") || c.Path() == "/buy"
		}}),
	)
	e.GET("/healthz", func(c *echo.Context) error { return c.String(http.StatusOK, "ok") })
	e.GET("/", echo.WrapHandler(pages))
	e.GET("/thanks", echo.WrapHandler(pages))
	e.POST("/buy", echo.WrapHandler(pages))
	pay := e.Group("/pay/:merchant")
	pay.POST("/callback", ottpayecho.Handle(webhook, func(c *echo.Context, n *api.Notification) error {
		if d, ok := ottpayecho.Delivery(c); !ok || d.Merchant != c.Param("merchant") {
			return echo.ErrForbidden
		}
		return s.Paid(n)
	}))
	return e
}
