package crosstest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	ottpayecho "github.com/ottpaykit/ottpay/adapters/echo"
	ottpayecho4 "github.com/ottpaykit/ottpay/adapters/echo4"
	ottpaygin "github.com/ottpaykit/ottpay/adapters/gin"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/middleware"
)

// witness is what an application's own logger and error handler saw.
type witness struct {
	statuses []int
	errs     []error
	restored bool // the context had its own request and writer again
}

// application is one that was written without this kit: it has routes and a
// stack of its own, of which the webhook's route is a part.
type application struct {
	name string
	// build makes it, with the webhook at the place of "webhook" in the stack.
	build func(stack []string, w *middleware.Webhook, act string, saw *witness) http.Handler
}

var stack = []string{"logger", "recovery", "gzip", "body limit", "csrf", "timeout"}

var applications = []application{
	{"gin", ginApplication},
	{"echo", echoApplication},
	{"echo v4", echo4Application},
}

// TestStacks puts the webhook at each place of the stack, and the stack in many
// orders.
func TestStacks(t *testing.T) {
	t.Parallel()
	for _, app := range applications {
		t.Run(app.name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard)
			n := 0
			for order := range permutations(append([]string{"webhook"}, stack...)) {
				// The webhook is next to its handler, or anywhere.
				if n++; n%29 != 0 && (order[6] != "webhook" || n%3 != 0) {
					continue
				}
				app.check(t, w, order)
				if t.Failed() {
					t.Fatalf("in the order %v", order)
				}
			}
		})
	}
}

func (app application) check(t *testing.T, w *middleware.Webhook, order []string) {
	t.Helper()
	for _, test := range []struct {
		act, body string
		status    int
	}{
		{"returns", "SUCCESS", 200},
		{"returns an error", "Service Unavailable\n", 503},
		{"returns the framework's error", "Service Unavailable\n", 503},
		{"writes 500 without a body", "Service Unavailable\n", 503},
		{"panics", "Service Unavailable\n", 503},
	} {
		for _, encoding := range []string{"", "gzip"} {
			saw := new(witness)
			h := app.build(order, w, test.act, saw)
			what := fmt.Sprintf("%s, Accept-Encoding %q", test.act, encoding)
			order := newOrder()
			rw := send(h, "POST", "/shop/pay/ottpay", encoding, callback(t, signKey, order))
			if body := plainBody(t, rw); rw.Code != test.status || body != test.body {
				t.Errorf("%s: %d %q, want %d %q", what, rw.Code, body, test.status, test.body)
			}
			if test.status == 200 {
				again := send(h, "POST", "/shop/pay/ottpay", encoding, callback(t, signKey, order))
				if body := plainBody(t, again); again.Code != 200 || body != test.body {
					t.Errorf("%s, again: %d %q", what, again.Code, body)
				}
			}
			if !saw.restored {
				t.Errorf("%s: request and writer were not given back", what)
			}
			for _, status := range saw.statuses {
				if test.act == "panics" && status == 500 {
					continue // what gin's gzip says when gin's recovery comes too late
				}
				if status != test.status {
					t.Errorf("%s: the application logged status %d, want %d", what, status, test.status)
				}
			}
			if strings.Contains(test.act, "error") && !slices.ContainsFunc(saw.errs, func(err error) bool { return err != nil }) {
				t.Errorf("%s: the application saw no error", what)
			}

			// The rest of the application works as before.
			if rw := send(h, "GET", "/health", encoding, nil); rw.Code != 200 || plainBody(t, rw) != "well" {
				t.Errorf("%s: GET /health: %d %q", what, rw.Code, plainBody(t, rw))
			}
			if rw := send(h, "GET", "/nowhere", "", nil); rw.Code != 404 {
				t.Errorf("%s: GET /nowhere: %d", what, rw.Code)
			}
		}
	}
}

func send(h http.Handler, method, path, encoding string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	rw := httptest.NewRecorder()
	h.ServeHTTP(rw, r)
	return rw
}

func plainBody(t *testing.T, rw *httptest.ResponseRecorder) string {
	t.Helper()
	if rw.Header().Get("Content-Encoding") != "gzip" {
		body := rw.Body.String()
		if n, err := strconv.Atoi(rw.Result().Header.Get("Content-Length")); err == nil && n < len(body) {
			body = body[:n] // the server sends no more
		}
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(rw.Body.Bytes()))
	if err != nil {
		t.Errorf("the answer says gzip and is %q: %v", rw.Body, err)
		return ""
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Errorf("the compressed answer: %v", err)
	}
	return string(b)
}

// permutations yields every order of s (Heap's algorithm).
func permutations(s []string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		var rec func(n int) bool
		rec = func(n int) bool {
			if n == 1 {
				return yield(s)
			}
			for i := range n {
				if !rec(n - 1) {
					return false
				}
				if n%2 == 0 {
					s[i], s[n-1] = s[n-1], s[i]
				} else {
					s[0], s[n-1] = s[n-1], s[0]
				}
			}
			return true
		}
		rec(len(s))
	}
}

const limit = 1 << 20

func ginApplication(stack []string, w *middleware.Webhook, act string, saw *witness) http.Handler {
	var csrf http.CrossOriginProtection
	parts := map[string]gin.HandlerFunc{
		"webhook": ottpaygin.Webhook(w),
		"logger": func(c *gin.Context) {
			c.Next()
			// What is behind the webhook sees what the handler wrote.
			if slices.Index(stack, "logger") < slices.Index(stack, "webhook") {
				saw.statuses = append(saw.statuses, c.Writer.Status())
			}
		},
		"recovery": gin.RecoveryWithWriter(io.Discard),
		"gzip":     gingzip.Gzip(gzip.BestSpeed),
		"body limit": func(c *gin.Context) {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
			c.Next()
		},
		"csrf": func(c *gin.Context) {
			if err := csrf.Check(c.Request); err != nil {
				c.AbortWithStatus(http.StatusForbidden)
			}
		},
		"timeout": func(c *gin.Context) {
			ctx, cancel := context.WithTimeout(c.Request.Context(), time.Minute)
			defer cancel()
			c.Request = c.Request.WithContext(ctx)
			c.Next()
		},
	}
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		defer func() {
			recover() // where the stack's own recovery is behind something that panics
			for _, e := range c.Errors {
				saw.errs = append(saw.errs, e.Err)
			}
		}()
		c.Next()
		if len(c.Errors) > 0 && !c.Writer.Written() {
			c.JSON(http.StatusInternalServerError, gin.H{"error": "ours"})
		}
	})
	engine.GET("/health", func(c *gin.Context) { c.String(http.StatusOK, "well") })
	group := engine.Group("/shop")
	for _, name := range stack {
		if name != "webhook" {
			group.Use(parts[name])
			continue
		}
		group.Use(func(c *gin.Context) {
			writer, request := c.Writer, c.Request
			defer func() { saw.restored = c.Writer == writer && c.Request == request }()
			parts["webhook"](c)
		})
	}
	group.POST("/pay/ottpay", func(c *gin.Context) { ginAct(c, act) })
	return engine
}

func echoApplication(stack []string, w *middleware.Webhook, act string, saw *witness) http.Handler {
	parts := map[string]echo.MiddlewareFunc{
		"webhook": func(next echo.HandlerFunc) echo.HandlerFunc {
			h := ottpayecho.Webhook(w)(next)
			return func(c *echo.Context) error {
				response, request := c.Response(), c.Request()
				defer func() { saw.restored = c.Response() == response && c.Request() == request }()
				return h(c)
			}
		},
		"logger": echomiddleware.RequestLoggerWithConfig(echomiddleware.RequestLoggerConfig{
			LogStatus: true, HandleError: true,
			LogValuesFunc: func(_ *echo.Context, v echomiddleware.RequestLoggerValues) error {
				if slices.Index(stack, "logger") < slices.Index(stack, "webhook") {
					saw.statuses = append(saw.statuses, v.Status)
				}
				return nil
			},
		}),
		"recovery":   echomiddleware.Recover(),
		"gzip":       echomiddleware.Gzip(),
		"body limit": echomiddleware.BodyLimit(limit),
		"csrf": echomiddleware.CSRFWithConfig(echomiddleware.CSRFConfig{Skipper: func(c *echo.Context) bool {
			return strings.HasPrefix(c.Path(), "/shop/pay/")
		}}),
		"timeout": echomiddleware.ContextTimeout(time.Minute),
	}
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		saw.errs = append(saw.errs, err)
		if r, uerr := echo.UnwrapResponse(c.Response()); uerr == nil && r.Committed {
			return
		}
		status := http.StatusInternalServerError
		if coder := echo.HTTPStatusCoder(nil); errors.As(err, &coder) {
			status = coder.StatusCode()
		}
		_ = c.JSON(status, map[string]string{"error": "ours"})
	}
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			defer func() { recover() }()
			return next(c)
		}
	})
	e.GET("/health", func(c *echo.Context) error { return c.String(http.StatusOK, "well") })
	group := e.Group("/shop")
	for _, name := range stack {
		group.Use(parts[name])
	}
	group.POST("/pay/ottpay", func(c *echo.Context) error { return echoAct(c, act) })
	return e
}

func echo4Application(stack []string, w *middleware.Webhook, act string, saw *witness) http.Handler {
	parts := map[string]echo4.MiddlewareFunc{
		"webhook": func(next echo4.HandlerFunc) echo4.HandlerFunc {
			h := ottpayecho4.Webhook(w)(next)
			return func(c echo4.Context) error {
				response, request := c.Response(), c.Request()
				defer func() { saw.restored = c.Response() == response && c.Request() == request }()
				return h(c)
			}
		},
		"logger": echo4middleware.RequestLoggerWithConfig(echo4middleware.RequestLoggerConfig{
			LogStatus: true, HandleError: true,
			LogValuesFunc: func(_ echo4.Context, v echo4middleware.RequestLoggerValues) error {
				if slices.Index(stack, "logger") < slices.Index(stack, "webhook") {
					saw.statuses = append(saw.statuses, v.Status)
				}
				return nil
			},
		}),
		"recovery":   echo4middleware.Recover(),
		"gzip":       echo4middleware.Gzip(),
		"body limit": echo4middleware.BodyLimit("1M"),
		"csrf": echo4middleware.CSRFWithConfig(echo4middleware.CSRFConfig{Skipper: func(c echo4.Context) bool {
			return strings.HasPrefix(c.Path(), "/shop/pay/")
		}}),
		"timeout": echo4middleware.ContextTimeout(time.Minute),
	}
	e := echo4.New()
	e.Logger.SetOutput(io.Discard)
	e.HTTPErrorHandler = func(err error, c echo4.Context) {
		saw.errs = append(saw.errs, err)
		if !c.Response().Committed {
			e.DefaultHTTPErrorHandler(err, c)
		}
	}
	e.Use(func(next echo4.HandlerFunc) echo4.HandlerFunc {
		return func(c echo4.Context) error {
			defer func() { recover() }()
			return next(c)
		}
	})
	e.GET("/health", func(c echo4.Context) error { return c.String(http.StatusOK, "well") })
	group := e.Group("/shop")
	for _, name := range stack {
		group.Use(parts[name])
	}
	group.POST("/pay/ottpay", func(c echo4.Context) error { return echo4Act(c, act) })
	return e
}

// A webhook that stands in front of everything, and so of what gin says is not
// found, acknowledges nothing that was not handled.
func TestGinNotFound(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(ottpaygin.Webhook(newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), io.Discard)))
	engine.GET("/elsewhere", func(c *gin.Context) {})
	body := callback(t, signKey, newOrder())
	for _, path := range []string{"/nowhere", "/elsewhere"} {
		if rw := send(engine, "POST", path, "", body); rw.Code != 503 {
			t.Errorf("POST %s: %d %q", path, rw.Code, rw.Body)
		}
	}
}

// What the frameworks' own middleware in front does to the body.
func TestBodyInFront(t *testing.T) {
	t.Parallel()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, test := range []struct {
		name   string
		header http.Header
		want   int // 200, or 503 where the body is gone
		app    func(w *middleware.Webhook) http.Handler
	}{
		{"gin binds it before", nil, 503, func(w *middleware.Webhook) http.Handler {
			e := gin.New()
			e.POST("/", func(c *gin.Context) {
				var anything map[string]any
				_ = c.ShouldBindJSON(&anything)
			}, ottpaygin.Webhook(w), func(*gin.Context) {})
			return e
		}},
		{"gin keeps it for itself", nil, 503, func(w *middleware.Webhook) http.Handler {
			e := gin.New()
			e.POST("/", func(c *gin.Context) {
				var anything map[string]any
				_ = c.ShouldBindBodyWithJSON(&anything)
			}, ottpaygin.Webhook(w), func(*gin.Context) {})
			return e
		}},
		{"gin parses a form", form, 503, func(w *middleware.Webhook) http.Handler {
			e := gin.New()
			e.POST("/", func(c *gin.Context) { c.PostForm("csrf_token") }, ottpaygin.Webhook(w), func(*gin.Context) {})
			return e
		}},
		{"gin parses no form", nil, 200, func(w *middleware.Webhook) http.Handler {
			e := gin.New()
			e.POST("/", func(c *gin.Context) { c.PostForm("csrf_token") }, ottpaygin.Webhook(w), func(*gin.Context) {})
			return e
		}},
		{"gin logs it and puts it back", nil, 200, func(w *middleware.Webhook) http.Handler {
			e := gin.New()
			e.POST("/", func(c *gin.Context) {
				b, _ := io.ReadAll(c.Request.Body)
				c.Request.Body = io.NopCloser(bytes.NewReader(b))
			}, ottpaygin.Webhook(w), func(*gin.Context) {})
			return e
		}},
		{"echo binds it before", nil, 503, func(w *middleware.Webhook) http.Handler {
			e := echo.New()
			e.Logger = slog.New(slog.DiscardHandler)
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					var anything map[string]any
					_ = c.Bind(&anything)
					return next(c)
				}
			})
			e.POST("/", func(*echo.Context) error { return nil }, ottpayecho.Webhook(w))
			return e
		}},
		{"echo parses a form", form, 503, func(w *middleware.Webhook) http.Handler {
			e := echo.New()
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					c.FormValue("csrf_token")
					return next(c)
				}
			})
			e.POST("/", func(*echo.Context) error { return nil }, ottpayecho.Webhook(w))
			return e
		}},
		{"echo dumps it and puts it back", nil, 200, func(w *middleware.Webhook) http.Handler {
			e := echo.New()
			e.Use(echomiddleware.BodyDump(func(*echo.Context, []byte, []byte, error) {}))
			e.POST("/", func(*echo.Context) error { return nil }, ottpayecho.Webhook(w))
			return e
		}},
		{"echo v4 dumps it and puts it back", nil, 200, func(w *middleware.Webhook) http.Handler {
			e := echo4.New()
			e.Use(echo4middleware.BodyDump(func(echo4.Context, []byte, []byte) {}))
			e.POST("/", func(echo4.Context) error { return nil }, ottpayecho4.Webhook(w))
			return e
		}},
		{"echo v4 runs it below http.TimeoutHandler", nil, 200, func(w *middleware.Webhook) http.Handler {
			e := echo4.New()
			e.Use(echo4middleware.TimeoutWithConfig(echo4middleware.TimeoutConfig{Timeout: time.Minute}))
			e.POST("/", func(echo4.Context) error { return nil }, ottpayecho4.Webhook(w))
			return e
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := new(logBook)
			h := test.app(newWebhook(t, dedupe.NewMemory(dedupe.MemoryConfig{}), logs))
			server := serve(t, h)
			header := ""
			for name, values := range test.header {
				header += name + ": " + values[0] + "\r\n"
			}
			raw := request("POST", "/", header, callback(t, signKey, newOrder()))
			if test.header != nil {
				raw = bytes.Replace(raw, []byte("Content-Type: application/json\r\n"), nil, 1)
			}
			got := answer(t, server, raw)
			if status(got) != fmt.Sprint(test.want) {
				t.Errorf("%s, want %d", got, test.want)
			}
			if consumed := strings.Contains(logs.String(), "reason=body-consumed"); consumed != (test.want == 503) {
				t.Errorf("the log: %s", logs)
			}
		})
	}
}
