package middleware

import (
	"context"
	"net/http"
	"time"
)

// Observer is told of every delivery and every call, for traces and metrics.
// Implementations are safe for concurrent use. No outcome holds a payload, a
// key, an order id or a merchant id; of a request's body it must read nothing.
type Observer interface {
	// Delivery is called when a callback arrives. The context it returns is
	// the one the handler gets; end is called once, when the answer is known.
	Delivery(r *http.Request) (_ context.Context, end func(DeliveryOutcome))

	// Call is called when a request to the gateway begins, with the request
	// before it is sealed, whose content is read already. action is "" if it
	// is not a known one, kind is "query" or "effect". The context it returns
	// is the one the request is sent with; end is called once.
	Call(r *http.Request, action, kind string) (_ context.Context, end func(CallOutcome))
}

// DeliveryOutcome says how a delivery ended.
type DeliveryOutcome struct {
	Result  Result        // what became of it
	Reason  Reason        // which check refused or failed, or ""
	Status  int           // of the answer
	Handler time.Duration // how long the handler ran; 0 if it did not
	Lag     time.Duration // from the notification's finish_time to its arrival; 0 if unknown
	Form    string        // the digest's canonical form, once the delivery is authentic
}

// CallOutcome says how a call ended.
type CallOutcome struct {
	Code    string        // the gateway's rsp_code if it is a documented one, "other" if it is not, "" without an answer
	Class   string        // docs/protocol.md, 9, or "" without an answer
	Reason  Reason        // what failed on the way, or ""
	Unknown bool          // the gateway may have acted
	Status  int           // HTTP status of the answer, 0 without one
	Wait    time.Duration // how long the limiter held the call back
}

// Result is how a delivery ended, as a word of a closed list.
type Result string

// The results.
const (
	ResultHandled   Result = "handled"   // the handler's work is kept; acknowledged
	ResultDuplicate Result = "duplicate" // handled before; acknowledged
	ResultConflict  Result = "conflict"  // handled before with other content; acknowledged and alarmed
	ResultInFlight  Result = "in-flight" // another delivery of it is being handled; send again
	ResultRefused   Result = "refused"   // malformed, not authentic or no callback of this merchant; final
	ResultLimited   Result = "limited"   // the source had too many failed authentications
	ResultDeferred  Result = "deferred"  // authentic, but not believed (yet); send again
	ResultFailed    Result = "failed"    // the handler or the store failed; send again
)
