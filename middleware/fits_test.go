package middleware_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// TestFitsTriesEveryMember: a rule that only a value of the member's kind finds
// wrong is found when the route is mounted, wherever the member stands.
func TestFitsTriesEveryMember(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Validator = validate.New() })
	type bad struct {
		N int `json:"n" validate:"omitempty,max=x"`
	}
	type loop struct {
		Next *loop `json:"next"`
		Bad  bad   `json:"bad"`
	}
	for name, got := range map[string]any{
		"string": refused[struct {
			V string `json:"v" validate:"omitempty,max=x"`
		}](w),
		"int": refused[struct {
			V int32 `json:"v" validate:"omitempty,max=x"`
		}](w),
		"uint": refused[struct {
			V uint `json:"v" validate:"omitempty,max=x"`
		}](w),
		"float": refused[struct {
			V float64 `json:"v" validate:"omitempty,max=x"`
		}](w),
		"bool": refused[struct {
			V bool `json:"v" validate:"omitempty,eq=x"`
		}](w),
		"slice": refused[struct {
			V []string `json:"v" validate:"omitempty,max=x"`
		}](w),
		"map": refused[struct {
			V map[string]int `json:"v" validate:"omitempty,max=x"`
		}](w),
		"pointer": refused[struct {
			V *int `json:"v" validate:"omitempty,max=x"`
		}](w),
		"behind a member that is not exported": refused[struct {
			v int
			W int `json:"w" validate:"omitempty,max=x"`
		}](w),
		"struct": refused[struct {
			V bad `json:"v"`
		}](w),
		"slice of structs": refused[struct {
			V []bad `json:"v"`
		}](w),
		"array of structs": refused[struct {
			V [2]bad `json:"v"`
		}](w),
		"map of structs": refused[struct {
			V map[string]bad `json:"v"`
		}](w),
		"pointer to a struct":          refused[struct{ V *bad }](w),
		"struct that contains its own": refused[loop](w),
	} {
		if !strings.Contains(fmt.Sprint(got), "cannot be received") {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// refused is what mounting a handler of T panics with.
func refused[T any](w *middleware.Webhook) any { return recovered(func() { mount[T](w) }) }

// TestCardsByPointer: who embeds a card's notification looks at its status, also
// by a pointer; who names one in a member, or embeds none, does not.
func TestCardsByPointer(t *testing.T) {
	t.Parallel()
	type byPointer struct{ *api.CardNotification }
	type deeper struct{ byPointer }
	type member struct {
		api.Notification
		Card api.CardNotification `json:"card" validate:"-"`
	}
	type between struct {
		At string `json:"at"`
		api.CardNotification
	}
	body := callback(t, strings.Replace(paid, `"tip"`, `"order_status":"authorised","tip"`, 1))
	w := func() *middleware.Webhook {
		return newWebhook(t, func(cfg *middleware.Config) {
			cfg.Expect = func(context.Context, string) (field.Cents, error) { return 1999, nil }
		})
	}
	for name, c := range map[string]struct {
		code, want int
	}{
		"a card":              {post(middleware.Handle(w(), func(context.Context, *api.CardNotification) error { return nil }), body).Code, 200},
		"by pointer":          {post(middleware.Handle(w(), func(context.Context, *byPointer) error { return nil }), body).Code, 200},
		"two levels down":     {post(middleware.Handle(w(), func(context.Context, *deeper) error { return nil }), body).Code, 200},
		"not the first":       {post(middleware.Handle(w(), func(context.Context, *between) error { return nil }), body).Code, 200},
		"as a member":         {post(middleware.Handle(w(), func(context.Context, *member) error { return nil }), body).Code, 503},
		"a notification only": {post(middleware.Handle(w(), func(context.Context, *api.Notification) error { return nil }), body).Code, 503},
	} {
		if c.code != c.want {
			t.Errorf("%s: answer %d, want %d", name, c.code, c.want)
		}
	}
}
