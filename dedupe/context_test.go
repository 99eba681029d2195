package dedupe_test

import (
	"context"
	"testing"

	"github.com/ottpaykit/ottpay/dedupe"
)

type valueKey struct{}

// framework is a context that knows strings alone, like a *gin.Context.
type framework struct {
	context.Context
	values map[string]any
}

func (f framework) Value(key any) any {
	name, _ := key.(string)
	return f.values[name]
}

// What an adapter has put beside a framework's own values is found under them.
func TestValue(t *testing.T) {
	t.Parallel()
	inner := context.WithValue(t.Context(), valueKey{}, "inner")
	for _, test := range []struct {
		name string
		ctx  context.Context
		key  any
		want any
	}{
		{"a plain context", inner, valueKey{}, "inner"},
		{"a framework's", framework{t.Context(), map[string]any{dedupe.ContextKey: inner}}, valueKey{}, "inner"},
		{"the framework's own value", framework{t.Context(), map[string]any{dedupe.ContextKey: framework{inner, map[string]any{"name": "below"}}, "name": "above"}}, "name", "above"},
		{"a framework without ours", framework{t.Context(), nil}, valueKey{}, nil},
		{"a stranger's value under our name", framework{t.Context(), map[string]any{dedupe.ContextKey: "text"}}, valueKey{}, nil},
		{"nothing", t.Context(), valueKey{}, nil},
	} {
		if got := dedupe.Value(test.ctx, test.key); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
