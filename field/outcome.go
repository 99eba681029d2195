package field

// Outcome is what the envelope around a response said about it. The client
// sets it; it is not part of the JSON.
type Outcome int

const (
	// OutcomeUnknown is the zero value: nobody set one.
	OutcomeUnknown Outcome = iota
	// OutcomeSuccess means that the call succeeded, which is not to say that
	// anything is paid.
	OutcomeSuccess
	// OutcomePending means that the gateway is still working on it: query.
	OutcomePending
)

// String returns the outcome in one lower-case word.
func (o Outcome) String() string {
	switch o {
	case OutcomeSuccess:
		return "success"
	case OutcomePending:
		return "pending"
	default:
		return "unknown"
	}
}
