package main

import (
	"compress/gzip"
	"io"
	"net/http"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"

	ottpaygin "github.com/ottpaykit/ottpay/adapters/gin"
	"github.com/ottpaykit/ottpay/examples/internal/shop"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// routes is the shop's router. gin's own log is off, so that the example's lines
// are easy to see.
func routes(s *shop.Shop, webhook *middleware.Webhook, pages http.Handler) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.LoggerWithWriter(io.Discard), gin.RecoveryWithWriter(io.Discard), gingzip.Gzip(gzip.DefaultCompression))
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok") })
	for _, path := range []string{"/", "/thanks"} {
		r.GET(path, gin.WrapH(pages))
	}
	r.POST("/buy", gin.WrapH(pages))
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
		if err := s.Paid(&n); err != nil {
			_ = c.Error(err)
		}
	})
	return r
}
