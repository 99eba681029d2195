package api

// MemberKind is the shape of a member's value on the wire.
type MemberKind string

// The kinds of member.
const (
	// MemberString is a string.
	MemberString MemberKind = "string"
	// MemberAmount is an amount in cents: a string of digits, and in answers
	// perhaps a number.
	MemberAmount MemberKind = "amount"
	// MemberRate is a rate times ten to the eighth, spelled as an amount.
	MemberRate MemberKind = "rate"
	// MemberText is a string or a number whose text is kept.
	MemberText MemberKind = "text"
	// MemberJSON is a string that holds JSON.
	MemberJSON MemberKind = "json"
	// MemberRaw is any JSON.
	MemberRaw MemberKind = "raw"
	// MemberTime is a string that holds a time.
	MemberTime MemberKind = "time"
	// MemberStatus is a string that holds an order status.
	MemberStatus MemberKind = "status"
)

// Role says what a member is to a client or a gateway. Most have none.
type Role string
