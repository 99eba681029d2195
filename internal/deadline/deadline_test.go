package deadline

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type nameKey struct{}

func start(parent context.Context, d time.Duration) *Context {
	c := new(Context)
	c.Start(parent, time.Now().Add(d))
	return c
}

// TestLikeTimeout does the same to a Context and to what package context
// makes of the same parent, and compares what can be seen.
func TestLikeTimeout(t *testing.T) {
	parent, stop := context.WithCancelCause(context.WithValue(t.Context(), nameKey{}, "a"))
	stop(errors.New("the parent has ended")) // none of their business
	actions := map[string]func(ctx context.Context, cancel func()){
		"nothing": func(context.Context, func()) {},
		"waited":  func(ctx context.Context, _ func()) { ctx.Done() },
		"canceled": func(_ context.Context, cancel func()) {
			cancel()
		},
		"waited, canceled": func(ctx context.Context, cancel func()) {
			ctx.Done()
			cancel()
		},
		"canceled, waited": func(ctx context.Context, cancel func()) {
			cancel()
			ctx.Done()
		},
		"expired": func(context.Context, func()) { time.Sleep(time.Minute) },
		"expired, seen, canceled": func(ctx context.Context, cancel func()) {
			time.Sleep(time.Minute)
			_ = ctx.Err()
			cancel()
		},
		"waited, expired, canceled": func(ctx context.Context, cancel func()) {
			<-ctx.Done()
			cancel()
		},
		"canceled, expired": func(_ context.Context, cancel func()) {
			cancel()
			time.Sleep(time.Minute)
		},
	}
	type seen struct {
		err, cause, child string
		done              bool
		deadline          time.Time
		value             any
	}
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	look := func(ctx context.Context) (s seen) {
		s.err, s.cause = text(ctx.Err()), text(context.Cause(ctx))
		s.deadline, _ = ctx.Deadline()
		s.value = ctx.Value(nameKey{})
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		synctest.Wait()
		s.child = text(context.Cause(child))
		select {
		case <-ctx.Done():
			s.done = true
		default:
		}
		return s
	}
	for name, act := range actions {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want, cancel := context.WithTimeout(context.WithoutCancel(parent), time.Second)
				defer cancel()
				got := start(parent, time.Second)
				defer got.Cancel()
				var wg sync.WaitGroup // the same time passes for both
				wg.Go(func() { act(want, cancel) })
				wg.Go(func() { act(got, got.Cancel) })
				wg.Wait()
				if w, g := look(want), look(got); w != g {
					t.Errorf("\n got %+v\nwant %+v", g, w)
				}
			})
		})
	}
}

// TestChildEnds waits on a child for the deadline and for Cancel.
func TestChildEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t.Context(), time.Second)
		child, cancel := context.WithCancel(c)
		defer cancel()
		begin := time.Now()
		<-child.Done()
		if took := time.Since(begin); took != time.Second || child.Err() != context.DeadlineExceeded {
			t.Errorf("the child ended after %v with %v", took, child.Err())
		}

		c = start(t.Context(), time.Hour)
		child, cancel = context.WithCancel(c)
		defer cancel()
		c.Cancel()
		<-child.Done()
		if child.Err() != context.Canceled || c.Err() != context.Canceled {
			t.Errorf("ended with %v and %v", child.Err(), c.Err())
		}
	})
}

// TestConcurrent is for the race detector: all of it at once, and every reader
// sees one end.
func TestConcurrent(t *testing.T) {
	for range 200 {
		c := start(t.Context(), time.Hour)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { <-c.Done() })
			wg.Go(func() { _ = c.Err(); _ = c.Value(nameKey{}) })
			wg.Go(func() { child, cancel := context.WithCancel(c); defer cancel(); <-child.Done() })
		}
		wg.Go(c.Cancel)
		wg.Wait()
		if c.Err() != context.Canceled || context.Cause(c) != context.Canceled {
			t.Fatalf("ended with %v, %v", c.Err(), context.Cause(c))
		}
	}
}

// TestIdle counts what a context costs that is never waited for.
func TestIdle(t *testing.T) {
	parent := t.Context()
	var sink *Context
	n := testing.AllocsPerRun(100, func() {
		sink = start(parent, time.Hour)
		_ = sink.Err()
		sink.Cancel()
	})
	if n != 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}
