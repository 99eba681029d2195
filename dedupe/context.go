package dedupe

import "context"

// ContextKey is the name under which an adapter keeps the handler's context in
// a framework's context of its own. [TxFromContext] and middleware.FromContext
// look there, too, so that they find the same in a *gin.Context, which looks up
// strings alone, as in the request's context.
const ContextKey = "github.com/ottpaykit/ottpay/dedupe.ContextKey"

// Value returns ctx.Value(key), or what the context under [ContextKey] has.
func Value(ctx context.Context, key any) any {
	if v := ctx.Value(key); v != nil {
		return v
	}
	if inner, ok := ctx.Value(ContextKey).(context.Context); ok {
		return inner.Value(key)
	}
	return nil
}
