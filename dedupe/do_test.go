package dedupe_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

var errOutage = errors.New("outage")

// scripted is a Store whose claims answer as the test wants, and which writes
// down what was called. It is for one goroutine.
type scripted struct {
	claim   error   // of Claim
	confirm []error // of one Confirm after the other; the last one stays
	release error
	slow    time.Duration // how long a Confirm takes, at most until its context ends

	calls []string
	lease time.Duration
	last  context.Context // of the last Confirm or Release
}

func (s *scripted) Claim(ctx context.Context, _ dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	s.calls, s.lease = append(s.calls, "claim"), lease
	if s.claim != nil {
		return nil, s.claim
	}
	return scriptedClaim{s}, nil
}

type scriptedClaim struct{ *scripted }

func (c scriptedClaim) Confirm(ctx context.Context) error {
	c.calls, c.last = append(c.calls, "confirm"), ctx
	if c.slow > 0 {
		select {
		case <-time.After(c.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(c.confirm) == 0 {
		return nil
	}
	err := c.confirm[0]
	if len(c.confirm) > 1 {
		c.scripted.confirm = c.confirm[1:]
	}
	return err
}

func (c scriptedClaim) Release(ctx context.Context) error {
	c.calls, c.last = append(c.calls, "release"), ctx
	return c.release
}

func (c scriptedClaim) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, scriptedKey{}, "held")
}

type scriptedKey struct{}

func TestDo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		store scripted
		work  error
		want  error // matched by errors.Is; nil: success
		calls string
	}{
		{"success", scripted{}, nil, nil, "claim work confirm"},
		{"done", scripted{claim: dedupe.ErrDone}, nil, dedupe.ErrDone, "claim"},
		{"conflict", scripted{claim: dedupe.ErrConflict}, nil, dedupe.ErrConflict, "claim"},
		{"in flight", scripted{claim: dedupe.ErrInFlight}, nil, dedupe.ErrInFlight, "claim"},
		{"claim fails", scripted{claim: errOutage}, nil, errOutage, "claim"},
		{"work fails", scripted{}, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, "claim work release"},
		{"work and release fail", scripted{release: errOutage}, io.EOF, io.EOF, "claim work release"},
		{"confirm fails once", scripted{confirm: []error{errOutage, nil}}, nil, nil, "claim work confirm confirm"},
		{"confirm fails four times", scripted{confirm: []error{errOutage, errOutage, errOutage, errOutage, nil}}, nil, nil,
			"claim work confirm confirm confirm confirm confirm"},
		{"lost", scripted{confirm: []error{dedupe.ErrLost}}, nil, dedupe.ErrLost, "claim work confirm"},
		{"lost after an outage", scripted{confirm: []error{errOutage, fmt.Errorf("x: %w", dedupe.ErrLost)}}, nil, dedupe.ErrLost,
			"claim work confirm confirm"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := test.store
				var failures, released []error
				b := dedupe.Bracket{
					ConfirmFailed: func(err error) { failures = append(failures, err) },
					ReleaseFailed: func(err error) { released = append(released, err) },
				}
				err := dedupe.Do(t.Context(), &s, numbered(1), b, func(ctx context.Context) error {
					s.calls = append(s.calls, "work")
					if ctx.Value(scriptedKey{}) != "held" {
						t.Error("the work does not run under the claim's context")
					}
					return test.work
				})
				if !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
				if got := strings.Join(s.calls, " "); got != test.calls {
					t.Errorf("calls %q, want %q", got, test.calls)
				}
				var work *dedupe.WorkError
				if errors.As(err, &work) != (test.work != nil) {
					t.Errorf("%v: a WorkError is the work's alone", err)
				}
				if n := strings.Count(test.calls, "confirm") - 1; len(failures) != max(n, 0) {
					t.Errorf("ConfirmFailed was called %d times, want %d", len(failures), n)
				}
				if (len(released) == 1) != (test.store.release != nil) {
					t.Errorf("ReleaseFailed got %v", released)
				}
			})
		})
	}
}

// The claim of work that may be kept is never given back, however long the
// store is away.
func TestDoConfirmsUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	for _, slow := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{confirm: []error{errOutage}, slow: slow}
			begin := time.Now()
			err := dedupe.Do(t.Context(), s, numbered(1), dedupe.Bracket{ConfirmTimeout: 20 * time.Second}, nothing)
			if !errors.Is(err, dedupe.ErrUnknownOutcome) || errors.Is(err, dedupe.ErrDone) {
				t.Errorf("%v, want ErrUnknownOutcome", err)
			}
			if slow == 0 && !errors.Is(err, errOutage) {
				t.Errorf("%v does not say what failed", err)
			}
			if took := time.Since(begin); took != 20*time.Second {
				t.Errorf("it took %v, want 20s", took)
			}
			if slices.Contains(s.calls, "release") {
				t.Error("the claim was released")
			}
			if n := len(s.calls) - 1; n < 4 || n > 80 {
				t.Errorf("%d attempts to confirm", n)
			}
		})
	}
}

func nothing(context.Context) error { return nil }

// A caller that goes away, and a handler that uses up its time, do not cut the
// confirmation or the release short.
func TestDoEndsWhatItBegan(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := &scripted{}
			err := dedupe.Do(ctx, s, numbered(1), dedupe.Bracket{Timeout: time.Second}, func(work context.Context) error {
				if fails {
					cancel()
					<-work.Done()
					return work.Err()
				}
				<-work.Done()
				cancel()
				return nil
			})
			if (err != nil) != fails {
				t.Error(err)
			}
			if _, bounded := s.last.Deadline(); !bounded {
				t.Errorf("%v has no time limit", s.calls)
			}
			if cause := context.Cause(s.last); cause != nil && !errors.Is(cause, context.Canceled) || len(s.calls) != 2 {
				t.Errorf("%v under %v", s.calls, cause)
			}
		})
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		m := dedupe.NewMemory(dedupe.MemoryConfig{})
		if err := dedupe.Do(cancelled, m, numbered(1), dedupe.Bracket{}, nothing); !errors.Is(err, context.Canceled) {
			t.Errorf("%v under a cancelled context", err)
		}
	}
}

// Nothing that was begun under a context of Do goes on when Do is over.
func TestDoEndsItsContexts(t *testing.T) {
	t.Parallel()
	for _, fails := range []error{nil, errOutage} {
		s := &scripted{}
		var work context.Context
		err := dedupe.Do(t.Context(), s, numbered(1), dedupe.Bracket{}, func(ctx context.Context) error {
			work = ctx
			return fails
		})
		if !errors.Is(err, fails) {
			t.Fatal(err)
		}
		if work.Err() == nil {
			t.Errorf("work that ended with %v: its context goes on", fails)
		}
		if s.last.Err() == nil {
			t.Errorf("%v: the last one's context goes on", s.calls)
		}
	}
}

// A failed Release without a hook for it hides nothing: the error is the
// work's, with its text.
func TestDoWithoutReleaseFailed(t *testing.T) {
	t.Parallel()
	s := &scripted{release: errOutage}
	err := dedupe.Do(t.Context(), s, numbered(1), dedupe.Bracket{}, func(context.Context) error { return io.ErrUnexpectedEOF })
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != io.ErrUnexpectedEOF.Error() {
		t.Errorf("%v, want the work's error", err)
	}
}

// The work's context ends after Timeout, counted from before the claim.
func TestDoTimes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bracket        dedupe.Bracket
		timeout, lease time.Duration // timeout 0: none
	}{
		{dedupe.Bracket{}, 10 * time.Second, 30 * time.Second},
		{dedupe.Bracket{Timeout: 20 * time.Second}, 20 * time.Second, time.Minute},
		{dedupe.Bracket{Timeout: time.Second}, time.Second, 30 * time.Second},
		{dedupe.Bracket{Timeout: time.Second, Lease: 2 * time.Second}, time.Second, 2 * time.Second},
		{dedupe.Bracket{Timeout: -1}, 0, 30 * time.Second},
		{dedupe.Bracket{Timeout: -1, Lease: 1}, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{}
			begin := time.Now()
			err := dedupe.Do(t.Context(), s, numbered(1), test.bracket, func(ctx context.Context) error {
				end, ok := ctx.Deadline()
				if ok != (test.timeout > 0) || ok && end.Sub(begin) != test.timeout {
					t.Errorf("%+v: the work ends after %v (%t)", test.bracket, end.Sub(begin), ok)
				}
				return nil
			})
			if err != nil || s.lease != test.lease {
				t.Errorf("%+v: lease %v, %v", test.bracket, s.lease, err)
			}
		})
	}
	for _, b := range []dedupe.Bracket{
		{Lease: -1}, {Timeout: time.Second, Lease: time.Second}, {Timeout: time.Minute, Lease: time.Second},
		{Lease: 10 * time.Second}, {ConfirmTimeout: -1},
	} {
		s := &scripted{}
		if err := dedupe.Do(t.Context(), s, numbered(1), b, nothing); err == nil || b.Check() == nil || len(s.calls) > 0 {
			t.Errorf("%+v: %v, %v", b, err, s.calls)
		}
	}
	if err := (dedupe.Bracket{}).Check(); err != nil {
		t.Error(err)
	}
}

func TestDoPanics(t *testing.T) {
	t.Parallel()
	s := &scripted{release: errOutage}
	var released error
	b := dedupe.Bracket{ReleaseFailed: func(err error) { released = err }}
	func() {
		defer func() {
			if v := recover(); v != "the handler's" {
				t.Errorf("recovered %v", v)
			}
			if got := strings.Join(s.calls, " "); got != "claim release" {
				t.Errorf("calls %q: the claim is released before the panic goes on", got)
			}
		}()
		_ = dedupe.Do(t.Context(), s, numbered(1), b, func(context.Context) error { panic("the handler's") })
		t.Error("the panic did not go on")
	}()
	if !errors.Is(released, errOutage) {
		t.Errorf("ReleaseFailed got %v", released)
	}

	s = &scripted{}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = dedupe.Do(context.Background(), s, numbered(1), b, func(context.Context) error { runtime.Goexit(); return nil })
	}()
	<-over
	if got := strings.Join(s.calls, " "); got != "claim release" {
		t.Errorf("after Goexit: calls %q", got)
	}
}

// A handler with a claim of its own that was done before has failed, unless it
// says otherwise: its delivery was not done before.
func TestDoTellsTheWorksErrorsFromItsOwn(t *testing.T) {
	t.Parallel()
	for _, inner := range []error{dedupe.ErrDone, dedupe.ErrConflict, dedupe.ErrInFlight, dedupe.ErrLost, dedupe.ErrUnknownOutcome} {
		inner := fmt.Errorf("inner: %w", inner)
		err := dedupe.Do(t.Context(), &scripted{}, numbered(1), dedupe.Bracket{}, func(context.Context) error {
			return errors.Join(inner, &stateError{"x"})
		})
		for _, sentinel := range []error{dedupe.ErrDone, dedupe.ErrConflict, dedupe.ErrInFlight, dedupe.ErrLost, dedupe.ErrUnknownOutcome} {
			if errors.Is(err, sentinel) {
				t.Errorf("%v matches %v", err, sentinel)
			}
		}
		var work *dedupe.WorkError
		if !errors.As(err, &work) || !errors.Is(work.Err, inner) || !errors.Is(err, inner) {
			t.Errorf("%v does not hold %v", err, inner)
		}
		var state *stateError
		if !errors.As(err, &state) {
			t.Errorf("%v does not hold the handler's own error", err)
		}
	}
}

type stateError struct{ text string }

func (e *stateError) Error() string { return e.text }

type noClaim struct{}

func (noClaim) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	return nil, nil
}

func TestDoWithoutAClaim(t *testing.T) {
	t.Parallel()
	err := dedupe.Do(t.Context(), noClaim{}, numbered(1), dedupe.Bracket{}, func(context.Context) error {
		t.Error("the work ran without a claim")
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
}

// wrapped decorates a store, and passes everything on.
type wrapped struct{ dedupe.Store }

func (w wrapped) Unwrap() dedupe.Store { return w.Store }

func TestWrappedStoresKeepTheirProperties(t *testing.T) {
	t.Parallel()
	m := dedupe.NewMemory(dedupe.MemoryConfig{})
	done := dedupe.Identify("M", "O", "paid", "1", "AL1")
	other := dedupe.Identify("M", "O", "paid", "2", "AL1")
	mustConfirm(t, mustClaim(t, m, done))
	for _, s := range []dedupe.Store{m, wrapped{m}, wrapped{wrapped{m}}} {
		if err := dedupe.Look(t.Context(), s, done); err != dedupe.ErrDone {
			t.Errorf("%T: %v, want ErrDone", s, err)
		}
		if err := dedupe.Look(t.Context(), s, other); err != dedupe.ErrConflict {
			t.Errorf("%T: %v, want ErrConflict", s, err)
		}
		if err := dedupe.Look(t.Context(), s, numbered(2)); err != nil {
			t.Errorf("%T: %v", s, err)
		}
		if got := dedupe.ModeOf(s); got != dedupe.Lease {
			t.Errorf("%T: mode %v", s, got)
		}
	}
	for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
		s, err := dedupe.NewSQL(new(sql.DB), dedupe.SQLConfig{Dialect: dedupe.SQLite, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if got := dedupe.ModeOf(wrapped{wrapped{s}}); got != mode {
			t.Errorf("mode %v, want %v", got, mode)
		}
	}
	for _, s := range []dedupe.Store{&scripted{}, wrapped{&scripted{}}, wrapped{}, nil} {
		if err := dedupe.Look(t.Context(), s, numbered(1)); err != nil || dedupe.ModeOf(s) != dedupe.Lease {
			t.Errorf("%T: %v, mode %v", s, err, dedupe.ModeOf(s))
		}
	}
}

func ExampleDo() {
	store := dedupe.NewMemory(dedupe.MemoryConfig{})
	deliver := func(orderID string) {
		id := dedupe.Identify("TS00000001", orderID, "paid", "1999", "WX-1")
		err := dedupe.Do(context.Background(), store, id, dedupe.Bracket{}, func(context.Context) error {
			fmt.Println("shipping", orderID)
			return nil
		})
		switch {
		case err == nil:
			fmt.Println("acknowledge")
		case errors.Is(err, dedupe.ErrDone):
			fmt.Println("acknowledge: done before")
		default:
			fmt.Println("not acknowledged:", err)
		}
	}
	deliver("A-1")
	deliver("A-1")
	// Output:
	// shipping A-1
	// acknowledge
	// acknowledge: done before
}
