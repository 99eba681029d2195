package middleware

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// PanicError is the cause of a [Refusal] or a [SendError] with [ReasonPanic]:
// something that the Webhook or the Transport called has panicked.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine that panicked, as runtime/debug formats it
}

// Error returns the text of a runtime error and names the type of any other
// value: what a handler panics with may quote a payment, which is not for a log.
func (e *PanicError) Error() string {
	if err, ok := e.Value.(runtime.Error); ok {
		return "panic: " + err.Error()
	}
	return fmt.Sprintf("panic with a %T", e.Value)
}

// Loggable marks the error for [Detail].
func (*PanicError) Loggable() {}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Format writes the error's text, whatever the verb.
func (e PanicError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// errGoexit stands for a goroutine that was ended on the way.
var errGoexit = errors.New("the goroutine was ended by runtime.Goexit")

// guarded runs f. A panic in it becomes a refusal.
func guarded(f func()) (panicked *Refusal) {
	defer func() {
		if v := recover(); v != nil {
			panicked = failed(ReasonPanic, &PanicError{v, debug.Stack()})
		}
	}()
	f()
	return nil
}

// guardedInto is guarded for an f that sets refusal: a panic does, too. What f
// returned instead would have the record of a delivery on the heap.
func guardedInto(refusal **Refusal, f func()) {
	if panicked := guarded(f); panicked != nil {
		*refusal = panicked
	}
}
