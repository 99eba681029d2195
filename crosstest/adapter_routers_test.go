package crosstest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	ottpaychi "github.com/ottpaykit/ottpay/adapters/chi"
	ottpayecho "github.com/ottpaykit/ottpay/adapters/echo"
	ottpayecho4 "github.com/ottpaykit/ottpay/adapters/echo4"
	ottpaygin "github.com/ottpaykit/ottpay/adapters/gin"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // which is global, and talks
	flag.Parse()
	if !isSet("test.parallel") {
		// The tests wait for disks and timers far more than they compute.
		if err := flag.Set("test.parallel", "4"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	dropDatabases()
	os.Exit(code)
}

// isSet reports whether the command line sets the flag.
func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

var errShop = errors.New("the shop's database is away")

// httpCan says what a handler in net/http and chi can do: the one has a writer
// and no error, the other an error and no writer.
func httpCan(act string, typed bool) bool {
	switch act {
	case "returns", "panics", "panics to abort":
		return true
	case "returns an error":
		return typed
	case "returns the framework's error", "writes and returns an error", "aborts without a status":
		return false
	}
	return !typed // who gets no writer writes nothing
}

func echoCan(act string, _ bool) bool { return act != "aborts without a status" }

func ginCan(string, bool) bool { return true }

// httpAct is what plain handlers do, in net/http and in chi.
func httpAct(rw http.ResponseWriter, r *http.Request, act string) {
	switch act {
	case "returns":
	case "writes json":
		rw.Header().Set("X-Shop", "secret")
		io.WriteString(rw, `{"ok":true}`)
	case "writes 201 without a body":
		rw.WriteHeader(http.StatusCreated)
	case "flushes":
		io.WriteString(rw, "half")
		_ = http.NewResponseController(rw).Flush()
	case "changes its mind about the status": // the worst one counts
		rw.WriteHeader(http.StatusNoContent)
		rw.WriteHeader(http.StatusInternalServerError)
	case "writes 500 without a body":
		rw.WriteHeader(http.StatusInternalServerError)
	case "writes 400 with a body", "aborts":
		http.Error(rw, "no", http.StatusBadRequest)
	case "redirects":
		http.Redirect(rw, r, "/elsewhere", http.StatusFound)
	case "writes and sets 500":
		io.WriteString(rw, "half")
		rw.WriteHeader(http.StatusInternalServerError)
	case "writes and aborts":
		io.WriteString(rw, "half")
		http.Error(rw, "no", http.StatusBadRequest)
	case "writes and panics":
		io.WriteString(rw, "half")
		panic(errShop)
	case "panics":
		panic(errShop)
	case "panics to abort":
		panic(http.ErrAbortHandler)
	default:
		panic("no such act: " + act)
	}
}

// httpError is what handlers that return an error do, where they have no
// writer.
func httpError(act string) error {
	switch act {
	case "returns":
		return nil
	case "returns an error":
		return errShop
	case "panics":
		panic(errShop)
	case "panics to abort":
		panic(http.ErrAbortHandler)
	default:
		panic("no such act: " + act)
	}
}

func bind(r *http.Request) *api.Notification {
	n := new(api.Notification)
	if err := json.NewDecoder(r.Body).Decode(n); err != nil {
		panic(err)
	}
	return n
}

var nethttpRouter = router{
	name: "net/http",
	routes: func(w *middleware.Webhook, s *shop, m mount) http.Handler {
		recovered := func(on bool, h http.Handler) http.Handler {
			if !on {
				return h
			}
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				chimiddleware.Recoverer(h).ServeHTTP(rw, chimiddleware.WithLogEntry(r, quiet{}))
			})
		}
		var h http.Handler = middleware.Handle(w, func(ctx context.Context, n *api.Notification) error {
			d, ok := middleware.FromContext(ctx)
			return httpError(s.sees(n.OrderID, "ottpay", d, ok))
		})
		if !m.typed {
			h = w.Handler(recovered(m.recoversInside, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				d, ok := middleware.FromContext(r.Context())
				httpAct(rw, r, s.sees(bind(r).OrderID, r.PathValue("channel"), d, ok))
			})))
		}
		mux := http.NewServeMux()
		mux.Handle("POST /shop/pay/{channel}", recovered(m.recoversOutside, h))
		mux.Handle("/shop/any/{channel}", recovered(m.recoversOutside, h))
		return mux
	},
	can: httpCan,
}

// quiet is chi's log entry that says nothing of a panic.
type quiet struct{ chimiddleware.LogEntry }

func (quiet) Panic(any, []byte) {}

var chiRouter = router{
	name: "chi",
	routes: func(w *middleware.Webhook, s *shop, m mount) http.Handler {
		outer := chi.NewRouter()
		outer.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(rw, chimiddleware.WithLogEntry(r, quiet{}))
			})
		})
		if m.recoversOutside {
			outer.Use(chimiddleware.Recoverer)
		}
		outer.Route("/shop", func(r chi.Router) {
			if m.typed {
				h := ottpaychi.Handle(w, func(r *http.Request, n *api.Notification) error {
					d, ok := ottpaychi.Delivery(r)
					if bound := bind(r); bound.OrderID != n.OrderID {
						s.t.Errorf("the body is of order %q, not %q", bound.OrderID, n.OrderID)
					}
					return httpError(s.sees(n.OrderID, chi.URLParam(r, "channel"), d, ok))
				})
				r.Post("/pay/{channel}", h)
				r.HandleFunc("/any/{channel}", h)
				return
			}
			r = r.With(ottpaychi.Webhook(w))
			if m.recoversInside {
				r = r.With(chimiddleware.Recoverer)
			}
			h := func(rw http.ResponseWriter, r *http.Request) {
				d, ok := ottpaychi.Delivery(r)
				httpAct(rw, r, s.sees(bind(r).OrderID, chi.URLParam(r, "channel"), d, ok))
			}
			r.Post("/pay/{channel}", h)
			r.HandleFunc("/any/{channel}", h)
		})
		return outer
	},
	can: httpCan,
}

func ginAct(c *gin.Context, act string) {
	switch act {
	case "returns":
	case "writes json":
		c.Header("X-Shop", "secret")
		c.JSON(http.StatusOK, gin.H{"ok": true})
	case "writes 201 without a body":
		c.Status(http.StatusCreated)
	case "flushes":
		c.String(http.StatusOK, "half")
		c.Writer.Flush()
	case "changes its mind about the status": // the worst one counts
		c.Status(http.StatusInternalServerError)
		c.Status(http.StatusNoContent)
	case "returns an error":
		_ = c.Error(errShop)
	case "returns the framework's error":
		_ = c.AbortWithError(http.StatusBadGateway, errShop)
	case "writes and returns an error":
		c.JSON(http.StatusOK, gin.H{"ok": true})
		_ = c.Error(errShop)
	case "writes 500 without a body":
		c.Status(http.StatusInternalServerError)
	case "writes 400 with a body":
		c.JSON(http.StatusBadRequest, gin.H{"error": "no"})
	case "redirects":
		c.Redirect(http.StatusFound, "/elsewhere")
	case "aborts":
		c.AbortWithStatus(http.StatusForbidden)
	case "aborts without a status":
		c.Abort()
	case "writes and sets 500":
		c.JSON(http.StatusOK, gin.H{"ok": true})
		c.Status(http.StatusInternalServerError)
	case "writes and aborts":
		c.JSON(http.StatusOK, gin.H{"ok": true})
		c.Abort()
	case "writes and panics":
		c.JSON(http.StatusOK, gin.H{"ok": true})
		panic(errShop)
	case "panics":
		panic(errShop)
	case "panics to abort":
		panic(http.ErrAbortHandler)
	default:
		panic("no such act: " + act)
	}
}

var ginRouter = router{
	name: "gin",
	routes: func(w *middleware.Webhook, s *shop, m mount) http.Handler {
		engine := gin.New()
		if m.recoversOutside {
			engine.Use(gin.RecoveryWithWriter(io.Discard))
		}
		handle := func(c *gin.Context, bound string) {
			d, ok := ottpaygin.Delivery(c)
			ginAct(c, s.sees(bound, c.Param("channel"), d, ok))
		}
		var handlers []gin.HandlerFunc
		if m.typed {
			handlers = []gin.HandlerFunc{ottpaygin.Handle(w, func(c *gin.Context, n *api.Notification) error {
				handle(c, n.OrderID)
				return nil
			})}
		} else {
			handlers = []gin.HandlerFunc{ottpaygin.Webhook(w)}
			if m.recoversInside {
				handlers = append(handlers, gin.RecoveryWithWriter(io.Discard))
			}
			handlers = append(handlers, func(c *gin.Context) {
				var n api.Notification
				if err := c.ShouldBindJSON(&n); err != nil {
					s.t.Error(err)
				}
				handle(c, n.OrderID)
			})
		}
		group := engine.Group("/shop")
		group.POST("/pay/:channel", handlers...)
		group.Any("/any/:channel", handlers...)
		return engine
	},
	can: ginCan,
}

// echoContext is what the contexts of both versions of Echo have.
type echoContext interface {
	JSON(code int, v any) error
	NoContent(code int) error
	Redirect(code int, url string) error
	String(code int, text string) error
}

// echoesAct does what a handler does in both versions. own are the acts for which
// they differ.
func echoesAct(c echoContext, act string, own map[string]func() error) error {
	if do := own[act]; do != nil {
		return do()
	}
	switch act {
	case "returns":
	case "writes 201 without a body":
		return c.NoContent(http.StatusCreated)
	case "changes its mind about the status":
		_ = c.NoContent(http.StatusNoContent)
		return c.NoContent(http.StatusInternalServerError)
	case "returns an error":
		return errShop
	case "writes and returns an error":
		_ = c.JSON(http.StatusOK, map[string]bool{"ok": true})
		return errShop
	case "writes 500 without a body":
		return c.NoContent(http.StatusInternalServerError)
	case "writes 400 with a body":
		return c.JSON(http.StatusBadRequest, map[string]string{"error": "no"})
	case "redirects":
		return c.Redirect(http.StatusFound, "/elsewhere")
	case "writes and panics":
		_ = c.JSON(http.StatusOK, map[string]bool{"ok": true})
		panic(errShop)
	case "panics":
		panic(errShop)
	case "panics to abort":
		panic(http.ErrAbortHandler)
	default:
		panic("no such act: " + act)
	}
	return nil
}

func echoAct(c *echo.Context, act string) error {
	return echoesAct(c, act, map[string]func() error{
		"writes json": func() error {
			c.Response().Header().Set("X-Shop", "secret")
			return c.JSON(http.StatusOK, map[string]bool{"ok": true})
		},
		"flushes": func() error {
			_ = c.String(http.StatusOK, "half")
			c.Response().(http.Flusher).Flush()
			return nil
		},
		"returns the framework's error": func() error { return echo.NewHTTPError(http.StatusBadRequest, "no") },
		"aborts":                        func() error { return echo.ErrForbidden },
		"writes and sets 500": func() error {
			_ = c.JSON(http.StatusOK, map[string]bool{"ok": true})
			c.Response().WriteHeader(http.StatusInternalServerError)
			return nil
		},
		"writes and aborts": func() error {
			_ = c.JSON(http.StatusOK, map[string]bool{"ok": true})
			return c.JSON(http.StatusBadGateway, map[string]bool{"ok": false})
		},
	})
}

var echoRouter = router{
	name: "echo",
	routes: func(w *middleware.Webhook, s *shop, m mount) http.Handler {
		e := echo.New()
		e.Logger = slog.New(slog.DiscardHandler)
		if m.recoversOutside {
			e.Use(echomiddleware.Recover())
		}
		handle := func(c *echo.Context, bound string) error {
			d, ok := ottpayecho.Delivery(c)
			return echoAct(c, s.sees(bound, c.Param("channel"), d, ok))
		}
		var behind []echo.MiddlewareFunc
		h := ottpayecho.Handle(w, func(c *echo.Context, n *api.Notification) error { return handle(c, n.OrderID) })
		if !m.typed {
			behind = append(behind, ottpayecho.Webhook(w))
			if m.recoversInside {
				behind = append(behind, echomiddleware.Recover())
			}
			h = func(c *echo.Context) error {
				var n api.Notification
				if err := c.Bind(&n); err != nil {
					s.t.Error(err)
				}
				return handle(c, n.OrderID)
			}
		}
		group := e.Group("/shop")
		group.POST("/pay/:channel", h, behind...)
		group.Any("/any/:channel", h, behind...)
		return e
	},
	can: echoCan,
}

func echo4Act(c echo4.Context, act string) error {
	return echoesAct(c, act, map[string]func() error{
		"writes json": func() error {
			c.Response().Header().Set("X-Shop", "secret")
			return c.JSON(http.StatusOK, map[string]bool{"ok": true})
		},
		"flushes": func() error {
			_ = c.String(http.StatusOK, "half")
			c.Response().Flush()
			return nil
		},
		"returns the framework's error": func() error { return echo4.NewHTTPError(http.StatusBadRequest, "no") },
		"aborts": func() error {
			c.Error(echo4.ErrForbidden) // answered by the framework's error handler, and nothing returned
			return nil
		},
		"writes and sets 500": func() error {
			response := c.Response()
			response.WriteHeader(http.StatusOK)
			response.WriteHeader(http.StatusInternalServerError)
			return nil
		},
		"writes and aborts": func() error {
			_ = c.JSON(http.StatusOK, map[string]bool{"ok": true})
			c.Error(echo4.ErrForbidden)
			return nil
		},
	})
}

var echo4Router = router{
	name: "echo v4",
	routes: func(w *middleware.Webhook, s *shop, m mount) http.Handler {
		e := echo4.New()
		e.Logger.SetOutput(io.Discard)
		if m.recoversOutside {
			e.Use(echo4middleware.Recover())
		}
		handle := func(c echo4.Context, bound string) error {
			d, ok := ottpayecho4.Delivery(c)
			return echo4Act(c, s.sees(bound, c.Param("channel"), d, ok))
		}
		var behind []echo4.MiddlewareFunc
		h := ottpayecho4.Handle(w, func(c echo4.Context, n *api.Notification) error { return handle(c, n.OrderID) })
		if !m.typed {
			behind = append(behind, ottpayecho4.Webhook(w))
			if m.recoversInside {
				behind = append(behind, echo4middleware.Recover())
			}
			h = func(c echo4.Context) error {
				var n api.Notification
				if err := c.Bind(&n); err != nil {
					s.t.Error(err)
				}
				return handle(c, n.OrderID)
			}
		}
		group := e.Group("/shop")
		group.POST("/pay/:channel", h, behind...)
		group.Any("/any/:channel", h, behind...)
		return e
	},
	can: echoCan,
}
