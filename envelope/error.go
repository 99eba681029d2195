package envelope

import (
	"errors"

	"github.com/ottpaykit/ottpay/wire"
)

// ErrMalformed matches every error that means: these bytes are not an envelope
// (docs/protocol.md, 3.5). Nothing was decrypted.
var ErrMalformed = errors.New("envelope: malformed")

// ErrUnauthentic matches every error that means: the envelope does not open
// under this key (docs/protocol.md, 4.6). The text is the same for a wrong key,
// broken padding, a plaintext that is not one strict JSON object and a wrong
// digest.
var ErrUnauthentic = errors.New("envelope: not authentic")

// failure is an error of this package: a sentinel for the caller and a word
// for the log.
type failure struct {
	sentinel error
	reason   string
}

func (f *failure) Error() string {
	if f.sentinel == ErrUnauthentic {
		return f.sentinel.Error()
	}
	return f.sentinel.Error() + ": " + f.reason
}

func (f *failure) Unwrap() error { return f.sentinel }

// The closed list of reasons.
var (
	errTooLarge  = &failure{ErrMalformed, "too-large"}
	errNotJSON   = &failure{ErrMalformed, "not-json"}
	errNotObject = &failure{ErrMalformed, "not-an-object"}
	errTrailing  = &failure{ErrMalformed, "trailing-bytes"}
	errDuplicate = &failure{ErrMalformed, "duplicate-name"}
	errDepth     = &failure{ErrMalformed, "too-deep"}
	errUTF8      = &failure{ErrMalformed, "not-utf-8"}
	errNumber    = &failure{ErrMalformed, "number-range"}
	errMember    = &failure{ErrMalformed, "member-type"}
	errNoData    = &failure{ErrMalformed, "no-data"}
	errNoMD5     = &failure{ErrMalformed, "no-md5"}
	errBadMD5    = &failure{ErrMalformed, "bad-md5"}
	errBase64    = &failure{ErrMalformed, "bad-base64"}
	errBlocks    = &failure{ErrMalformed, "bad-length"}

	errPadding   = &failure{ErrUnauthentic, "padding"}
	errPlaintext = &failure{ErrUnauthentic, "plaintext"}
	errDigest    = &failure{ErrUnauthentic, "digest"}
)

// malformed returns the failure for what [wire.Parse] says of an envelope or of
// a plaintext that is to be sealed.
func malformed(err error) *failure {
	switch err {
	case wire.ErrTooLarge:
		return errTooLarge
	case wire.ErrNotUTF8:
		return errUTF8
	case wire.ErrNotObject:
		return errNotObject
	case wire.ErrTrailing:
		return errTrailing
	case wire.ErrDuplicate:
		return errDuplicate
	case wire.ErrDepth:
		return errDepth
	case wire.ErrNumber:
		return errNumber
	}
	return errNotJSON
}

// Reason returns the cause of err as one word of a closed list, or "" if err is
// not an error of this package. It is for logs and metrics only: exposing the
// reason to the sender would be a padding oracle.
//
// The words for [ErrMalformed] are too-large, not-json, not-an-object,
// trailing-bytes, duplicate-name, too-deep, not-utf-8, number-range,
// member-type, no-data, no-md5, bad-md5, bad-base64 and bad-length; those for
// [ErrUnauthentic] are padding, plaintext and digest.
func Reason(err error) string {
	if f, ok := err.(*failure); ok { // as most are; errors.As allocates
		return f.reason
	}
	var f *failure
	if errors.As(err, &f) {
		return f.reason
	}
	return ""
}
