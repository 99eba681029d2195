package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilAskedToStop returns a context that ends with the first SIGINT or
// SIGTERM. From then on a second one ends the program at once, as it would
// without this call.
func (a *app) untilAskedToStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // back to the system's own answer
	return ctx, cancel
}
