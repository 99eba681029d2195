package main

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"

	"github.com/ottpaykit/ottpay"
	ottpaygin "github.com/ottpaykit/ottpay/adapters/gin"
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
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.LoggerWithWriter(io.Discard), gin.RecoveryWithWriter(io.Discard), gingzip.Gzip(gzip.DefaultCompression))
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "well") })
	pay := r.Group("/pay/:merchant", ottpaygin.Webhook(webhook))
	pay.POST("/callback", func(c *gin.Context) {
		var n api.Notification
		if err := c.ShouldBindJSON(&n); err != nil { // the decrypted payload
			_ = c.AbortWithError(http.StatusInternalServerError, err)
			return
		}
		if d, ok := ottpaygin.Delivery(c); !ok || d.Merchant != c.Param("merchant") {
			c.AbortWithStatus(http.StatusForbidden)
			return
		}
		if err := s.book(n.OrderID); err != nil {
			_ = c.Error(err)
		}
	})
	return r, nil
}
