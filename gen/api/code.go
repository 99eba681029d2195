package api

// Code is a response code, rsp_code. It is an open set, compared without regard
// to the case of ASCII letters.
type Code string

// Class says what a caller does next.
type Class int

const (
	// ClassUnclear means that the outcome is unknown: query, never pay again.
	// Unknown codes are unclear, and so are time-outs.
	ClassUnclear Class = iota
	// ClassSuccess means that the call succeeded, not that anything is paid.
	ClassSuccess
	// ClassPending means that the gateway is still working on it: query.
	ClassPending
	// ClassDuplicate means that the order's id is taken: query it, and make no
	// new id for the same purchase before the answer is known.
	ClassDuplicate
	// ClassCaller means that the same request will fail again: correct it.
	ClassCaller
	// ClassFailed means that the attempt is over. A refund and a scanned code
	// must be queried first.
	ClassFailed
)

// String returns the class in one lower-case word.
func (c Class) String() string {
	switch c {
	case ClassSuccess:
		return "success"
	case ClassPending:
		return "pending"
	case ClassDuplicate:
		return "duplicate"
	case ClassCaller:
		return "caller"
	case ClassFailed:
		return "failed"
	default:
		return "unclear"
	}
}

// codeEntry is what the document says of a code.
type codeEntry struct {
	name    Code
	class   Class
	message string
}

// Codes returns the known codes, sorted by name. The caller owns the slice.
func Codes() []Code {
	all := make([]Code, len(codes))
	for i := range codes {
		all[i] = codes[i].name
	}
	return all
}

// Class returns the code's class; that of an unknown code is ClassUnclear.
func (c Code) Class() Class { return c.entry().class }

// Message returns what a known code means, and "" for an unknown one.
func (c Code) Message() string { return c.entry().message }

// entry returns what the document says of the code, and nothing of an unknown
// one.
func (c Code) entry() codeEntry {
	upper := Code(swapCase(string(c), 'a', 'z'))
	for i := range codes {
		if codes[i].name == upper {
			return codes[i]
		}
	}
	return codeEntry{}
}

// swapCase changes the case of the ASCII letters from first to last, and of no
// others: no letter of another alphabet equals one of a code.
func swapCase(s string, first, last byte) string {
	for i := range len(s) {
		if s[i] < first || s[i] > last {
			continue
		}
		b := []byte(s)
		for j := i; j < len(b); j++ {
			if b[j] >= first && b[j] <= last {
				b[j] ^= 'a' ^ 'A'
			}
		}
		return string(b)
	}
	return s
}
