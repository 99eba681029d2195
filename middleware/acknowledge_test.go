package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/middleware"
)

// TestHandlerStatuses: what a handler writes, in whatever order, is a failure if
// one of its statuses is, and the first such one is its cause.
func TestHandlerStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		writes []int // 0 is a write of text
		cause  int   // 0: its work is kept
	}{
		{nil, 0},
		{[]int{0}, 0},
		{[]int{200}, 0},
		{[]int{299}, 0},
		{[]int{0, 200}, 0},
		{[]int{103, 204}, 0},
		{[]int{100, 199, 202}, 0},
		{[]int{103}, 0},
		{[]int{200, 500}, 500},
		{[]int{0, 500}, 500},
		{[]int{500, 200}, 500},
		{[]int{500, 404}, 500},
		{[]int{200, 201, 404, 500}, 404},
		{[]int{103, 500}, 500},
		{[]int{300}, 300},
		{[]int{304}, 304},
		{[]int{101}, 101}, // no answer to a callback
		{[]int{99}, 99},
	} {
		var cause error
		w := newWebhook(t, func(cfg *middleware.Config) {
			cfg.OnRefused = func(_ context.Context, r *middleware.Refusal) { cause = r.Err }
		})
		h := w.Handler(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			for _, status := range c.writes {
				if status != 0 {
					rw.WriteHeader(status)
				} else if n, err := io.Copy(rw, strings.NewReader("text")); n != 4 || err != nil {
					t.Errorf("wrote %d bytes, %v", n, err)
				}
			}
		}))
		code := post(h, callback(t, paid)).Code
		if c.cause == 0 && (code != 200 || cause != nil) || c.cause != 0 && (code != 503 || cause == nil || !strings.HasSuffix(cause.Error(), fmt.Sprint(": ", c.cause))) {
			t.Errorf("%v: answer %d, %v", c.writes, code, cause)
		}
	}
}
