package crosstest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	echo4 "github.com/labstack/echo/v4"
	"github.com/labstack/echo/v5"

	ottpaychi "github.com/ottpaykit/ottpay/adapters/chi"
	ottpayecho "github.com/ottpaykit/ottpay/adapters/echo"
	ottpayecho4 "github.com/ottpaykit/ottpay/adapters/echo4"
	ottpaygin "github.com/ottpaykit/ottpay/adapters/gin"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// TestUpgrade: a recovery behind the webhook writes a status whatever the
// gateway's request says of its connection, and the handler sees nothing of it.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	const header = "Connection: Upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nTE: trailers\r\nKeep-Alive: 5\r\n"
	for _, r := range routers {
		for _, m := range []mount{{recoversInside: true}, {recoversInside: true, recoversOutside: true}, {typed: true}} {
			for _, act := range []string{"panics", "writes and panics"} {
				if !r.can(act, m.typed) {
					continue
				}
				a := newSite(t, dedupe.NewMemory(dedupe.MemoryConfig{}), act, func(w *middleware.Webhook, s *shop) http.Handler { return r.routes(w, s, m) })
				body := callback(t, signKey, newOrder())
				if got := status(answer(t, a.Server, request("POST", path, header, body))); got != "503" {
					t.Errorf("%s, %+v: a handler that %s is answered %s", r.name, m, act, got)
				}
				a.shop.does("returns")
				if got := status(answer(t, a.Server, request("POST", path, header, body))); got != "200" || a.shop.runs.Load() != 2 {
					t.Errorf("%s, %+v: the next delivery is answered %s", r.name, m, got)
				}
			}
		}
	}
}

// TestGinKeptBody: what gin has kept of the sealed body is put away while the
// handlers run, and what they read of the payload is not there afterwards.
func TestGinKeptBody(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard)
	body := callback(t, signKey, newOrder())
	kept := func(c *gin.Context) string {
		v, _ := c.Get(gin.BodyBytesKey)
		b, _ := v.([]byte)
		return string(b)
	}
	front := func(c *gin.Context) { // a middleware that looks into every body
		var any struct{}
		if err := c.ShouldBindBodyWith(&any, binding.JSON); err != nil {
			t.Error(err)
		}
		c.Request.Body = io.NopCloser(bytes.NewReader(body))
		c.Next()
		if kept(c) != string(body) {
			t.Errorf("behind the handler the kept body is %q", kept(c))
		}
		if c.Value(dedupe.ContextKey) != nil {
			t.Error("behind the handler its context is still there")
		}
	}
	runs := 0
	handle := func(c *gin.Context) {
		runs++
		var n api.Notification
		if err := c.ShouldBindBodyWith(&n, binding.JSON); err != nil || n.OrderID == "" {
			t.Errorf("the handler reads order %q, %v", n.OrderID, err)
		}
	}
	typed := newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard)
	engine := gin.New()
	engine.POST("/middleware", front, ottpaygin.Webhook(w), handle)
	engine.POST("/handle", front, ottpaygin.Handle(typed, func(c *gin.Context, _ *api.Notification) error { handle(c); return nil }))
	for _, path := range []string{"/middleware", "/handle"} {
		rw := httptest.NewRecorder()
		engine.ServeHTTP(rw, httptest.NewRequest("POST", path, bytes.NewReader(body)))
		if rw.Code != http.StatusOK {
			t.Errorf("%s: answer %d", path, rw.Code)
		}
	}
	if runs != 2 {
		t.Errorf("the handlers ran %d times", runs)
	}
}

// TestGinContext: *gin.Context is a context, and finds there what the request's
// context has, whether the engine falls back or not.
func TestGinContext(t *testing.T) {
	t.Parallel()
	for _, fallback := range []bool{false, true} {
		store := postgres.store(t, postgres.open(t), dedupe.SQLConfig{Mode: dedupe.Transactional})
		w := newWebhook(t, store, io.Discard)
		engine := gin.New()
		engine.ContextWithFallback = fallback
		runs := 0
		engine.POST("/", ottpaygin.Handle(w, func(c *gin.Context, _ *api.Notification) error {
			runs++
			for name, ctx := range map[string]context.Context{"c": c, "its request's": c.Request.Context()} {
				if d, ok := middleware.FromContext(ctx); !ok || d == nil {
					t.Errorf("%s has no delivery", name)
				}
				if tx, ok := dedupe.TxFromContext(ctx); !ok || tx == nil {
					t.Errorf("%s has no transaction", name)
				}
			}
			return nil
		}))
		rw := httptest.NewRecorder()
		engine.ServeHTTP(rw, httptest.NewRequest("POST", "/", bytes.NewReader(callback(t, signKey, newOrder()))))
		if rw.Code != http.StatusOK || runs != 1 {
			t.Errorf("answer %d, %d runs", rw.Code, runs)
		}
	}
}

// TestHandleRefuses: every router's Handle stops the program when a route is
// mounted for a type that nothing can be received as.
func TestHandleRefuses(t *testing.T) {
	t.Parallel()
	type wrong struct {
		Attach string `json:"attach" validate:"requird"`
	}
	w := newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard)
	for name, mount := range map[string]func(){
		"net/http": func() { middleware.Handle(w, func(context.Context, *wrong) error { return nil }) },
		"chi":      func() { ottpaychi.Handle(w, func(*http.Request, *wrong) error { return nil }) },
		"gin":      func() { ottpaygin.Handle(w, func(*gin.Context, *wrong) error { return nil }) },
		"echo":     func() { ottpayecho.Handle(w, func(*echo.Context, *wrong) error { return nil }) },
		"echo v4":  func() { ottpayecho4.Handle(w, func(echo4.Context, *wrong) error { return nil }) },
	} {
		func() {
			defer func() {
				if v := recover(); v == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mount()
		}()
	}
}
