package dedupe

import "context"

// Looker is implemented by stores that can tell, without taking or holding
// anything, whether an ID is done. [Look] uses it.
type Looker interface {
	// Look returns [ErrDone] or [ErrConflict] if the ID was confirmed before, and
	// says so only of what is as durable as the store can make it. It returns nil
	// if the ID is free or in flight, and another error if the store cannot be
	// reached.
	Look(ctx context.Context, id ID) error
}

// Look reports whether id is done: [ErrDone], [ErrConflict], or nil if it is not
// done as far as s can tell. Another error means that s cannot be reached. Look
// holds nothing, so that slow work, such as a query, can be done between Look
// and [Do]; it decides nothing: Do may still return ErrDone.
//
// If neither s nor a store below it is a [Looker], Look returns nil.
func Look(ctx context.Context, s Store, id ID) error {
	if l, ok := find[Looker](s); ok {
		return l.Look(ctx, id)
	}
	return nil
}

// ModeOf returns the mode of s, or of the store below it that has one. A store
// without a method Mode() [Mode] is taken for [Lease].
func ModeOf(s Store) Mode {
	if m, ok := find[interface{ Mode() Mode }](s); ok {
		return m.Mode()
	}
	return Lease
}

// Wrapper is implemented by stores that decorate another one and pass IDs on
// unchanged, for example to count claims. [Look] and [ModeOf] look below it, so
// that a decorated store keeps its properties.
type Wrapper interface {
	// Unwrap returns the store that is decorated.
	Unwrap() Store
}

// find returns the outermost store that is a T.
func find[T any](s Store) (found T, ok bool) {
	for s != nil {
		if found, ok = s.(T); ok {
			return found, true
		}
		w, wraps := s.(Wrapper)
		if !wraps {
			break
		}
		s = w.Unwrap()
	}
	return found, false
}
