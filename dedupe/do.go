package dedupe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ottpaykit/ottpay/internal/deadline"
)

// Bracket says how [Do] brackets a piece of work. Its zero value works.
type Bracket struct {
	// Lease is how long the claim is held when the process dies. It must exceed
	// Timeout. Defaults to 30 s or three times Timeout, whichever is longer.
	Lease time.Duration

	// Timeout bounds Claim and fn together: their context ends then. If it is
	// negative, only the caller's context bounds them. Defaults to 10 s.
	Timeout time.Duration

	// ConfirmTimeout bounds the confirmation, with all its repetitions. It starts
	// when fn returns and does not depend on the caller's context. A longer time
	// survives a longer restart of the database. Defaults to 15 s.
	ConfirmTimeout time.Duration

	// ConfirmFailed receives the error of each Confirm that is repeated. Optional.
	ConfirmFailed func(err error)

	// ReleaseFailed receives the error of a Release. The claim then ends with its
	// lease, and until then deliveries get [ErrInFlight]. Optional.
	ReleaseFailed func(err error)
}

const (
	defaultLease          = 30 * time.Second
	defaultTimeout        = 10 * time.Second
	defaultConfirmTimeout = 15 * time.Second

	// releaseTimeout bounds a Release, which is not repeated: what it cannot do,
	// the end of the lease does.
	releaseTimeout = 5 * time.Second

	// An attempt to confirm has at most this time, so that one connection on which
	// nothing comes back does not use up all the time there is.
	confirmAttempt = 5 * time.Second

	// Pauses between two attempts to confirm.
	firstPause, longestPause = 10 * time.Millisecond, 500 * time.Millisecond
)

// ErrUnknownOutcome says that fn has returned nil and that the store did not
// answer in time whether the claim is confirmed. Do not acknowledge. The claim
// is not released, so that the work is not repeated while its lease lasts; the
// next Claim tells what became of it.
var ErrUnknownOutcome = errors.New("dedupe: confirmation unknown")

// WorkError is the error of the fn that [Do] ran.
//
// errors.Is and errors.As look into Err, with one exception: the errors of this
// package never match. A handler whose own, inner claim was [ErrDone] has failed
// like any other, and must not be taken for a delivery that was done before.
type WorkError struct {
	Err error // what fn returned
}

// Error returns Err's text.
func (e *WorkError) Error() string { return e.Err.Error() }

// Is reports whether Err matches target. It is false for the errors of this
// package.
func (e *WorkError) Is(target error) bool {
	switch target {
	case ErrDone, ErrConflict, ErrInFlight, ErrLost, ErrUnknownOutcome:
		return false
	}
	return errors.Is(e.Err, target)
}

// As finds target in Err.
func (e *WorkError) As(target any) bool { return errors.As(e.Err, target) }

// Do runs fn once per ID, as far as the store can promise that. It claims id, runs
// fn, and confirms the claim if fn returned nil. If fn fails, panics or calls
// runtime.Goexit, the claim is released, and a panic goes on. fn's context is ctx,
// ends after [Bracket.Timeout], and holds what the claim provides: see
// [TxFromContext]. Pass context.WithoutCancel(ctx) if fn must not end with ctx.
//
// A nil error means that fn ran and that its work is kept: acknowledge. So do for
// [ErrDone] and [ErrConflict], which mean that it was done before. Do not
// acknowledge for any other error: [ErrInFlight] (another delivery is being
// handled), *[WorkError] (fn failed), [ErrLost] (fn ran under a claim that was
// taken over or undone), [ErrUnknownOutcome] (fn ran, the confirmation is unknown),
// or the error of a claim that failed. See docs/stores.md, "What Do returns".
func Do(ctx context.Context, s Store, id ID, b Bracket, fn func(ctx context.Context) error) error {
	b, err := b.withDefaults()
	if err != nil {
		return err
	}
	work, cancel := ctx, context.CancelFunc(func() {})
	if b.Timeout > 0 {
		work, cancel = context.WithTimeout(ctx, b.Timeout)
	}
	defer cancel()
	claim, err := s.Claim(work, id, b.Lease)
	if err != nil {
		return err
	}
	if claim == nil {
		return errors.New("dedupe: the store returned neither a claim nor an error")
	}
	if err := b.run(work, claim, fn); err != nil {
		return err
	}
	return b.confirm(ctx, claim)
}

// run runs fn and releases the claim unless fn returns nil.
func (b Bracket) run(ctx context.Context, claim Claim, fn func(context.Context) error) error {
	kept := false
	defer func() { // on every way out: a panic and runtime.Goexit as well
		if !kept {
			b.release(ctx, claim)
		}
	}()
	work := ctx
	if c, ok := claim.(Contexter); ok {
		work = c.Context(ctx)
	}
	if err := fn(work); err != nil {
		return &WorkError{err}
	}
	kept = true
	return nil
}

func (b Bracket) release(ctx context.Context, claim Claim) {
	releasing := new(deadline.Context)
	releasing.Start(ctx, time.Now().Add(releaseTimeout))
	defer releasing.Cancel()
	if err := claim.Release(releasing); err != nil && b.ReleaseFailed != nil {
		b.ReleaseFailed(err)
	}
}

// confirm confirms the claim, again and again while that can help.
func (b Bracket) confirm(ctx context.Context, claim Claim) error {
	now := time.Now()
	end := now.Add(b.ConfirmTimeout)
	for pause := firstPause; ; pause, now = min(2*pause, longestPause), time.Now() {
		err := confirmOnce(ctx, claim, now.Add(min(confirmAttempt, end.Sub(now))))
		if err == nil || errors.Is(err, ErrLost) {
			return err
		}
		wait := pause/2 + rand.N(pause) // many claims wait for the same server
		if left := time.Until(end); wait >= left {
			<-time.After(left)
			return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		}
		<-time.After(wait)
		if b.ConfirmFailed != nil {
			b.ConfirmFailed(err)
		}
	}
}

func confirmOnce(parent context.Context, claim Claim, end time.Time) error {
	ctx := new(deadline.Context)
	ctx.Start(parent, end)
	defer ctx.Cancel()
	return claim.Confirm(ctx)
}

// Check reports what is wrong with the bracket, for constructors that keep one.
// [Do] returns the same error, without a claim.
func (b Bracket) Check() error {
	_, err := b.withDefaults()
	return err
}

func (b Bracket) withDefaults() (Bracket, error) {
	if b.Timeout == 0 {
		b.Timeout = defaultTimeout
	}
	if b.Lease == 0 {
		b.Lease = max(defaultLease, 3*b.Timeout)
	}
	if b.ConfirmTimeout == 0 {
		b.ConfirmTimeout = defaultConfirmTimeout
	}
	switch {
	case b.Lease < 0:
		return b, errors.New("dedupe: Lease is negative")
	case b.ConfirmTimeout < 0:
		return b, errors.New("dedupe: ConfirmTimeout is negative")
	case b.Lease <= b.Timeout:
		return b, errors.New("dedupe: Lease must exceed Timeout: the work would outlive its claim")
	}
	return b, nil
}
