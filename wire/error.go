package wire

// Error says why a text is not what this package reads. It holds no part of the
// text, so it may be logged.
type Error uint8

// The reasons for which [Parse] refuses a text.
const (
	_            Error = iota
	ErrTooLarge        // longer than 1 MiB
	ErrNotUTF8         // invalid UTF-8
	ErrSyntax          // no JSON
	ErrNotObject       // JSON, but no object
	ErrTrailing        // something stands after the object
	ErrDuplicate       // a name stands twice in one object
	ErrDepth           // nested more than 32 levels deep
	ErrNumber          // a number that is not a finite double

	// ErrTwins is the reason for which [Reader.Close] refuses an object.
	ErrTwins
)

// Error returns the reason.
func (e Error) Error() string {
	switch e {
	case ErrTooLarge:
		return "wire: longer than 1 MiB"
	case ErrNotUTF8:
		return "wire: not valid UTF-8"
	case ErrNotObject:
		return "wire: not a JSON object"
	case ErrTrailing:
		return "wire: something stands after the JSON object"
	case ErrDuplicate:
		return "wire: a member name stands twice"
	case ErrDepth:
		return "wire: nested more than 32 levels deep"
	case ErrNumber:
		return "wire: a number that is not a finite double"
	case ErrTwins:
		return "wire: two member names differ in case only"
	default:
		return "wire: not JSON"
	}
}
