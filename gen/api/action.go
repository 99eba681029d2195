package api

// Action is the name of an action on the wire.
type Action string

// Kind says whether an action may be repeated.
type Kind int

const (
	// KindEffect may move money. The kit never repeats it.
	KindEffect Kind = iota
	// KindQuery only asks and may be repeated freely.
	KindQuery
)

// String returns "effect" or "query".
func (k Kind) String() string {
	if k == KindQuery {
		return "query"
	}
	return "effect"
}

// Effect says what a gateway keeps of an action.
type Effect string

// The effects.
const (
	// EffectNone leaves nothing behind.
	EffectNone Effect = "none"
	// EffectCreateOrder makes an order that a payer pays later.
	EffectCreateOrder Effect = "create-order"
	// EffectPayNow makes an order and pays it at once.
	EffectPayNow Effect = "pay-now"
	// EffectAuthorise makes an order whose amount is held, not captured.
	EffectAuthorise Effect = "authorise"
	// EffectRefund returns a payment, whole or in part.
	EffectRefund Effect = "refund"
	// EffectCreateCheckout makes a checkout.
	EffectCreateCheckout Effect = "create-checkout"
	// EffectQueryOrder reports an order.
	EffectQueryOrder Effect = "query-order"
	// EffectQueryCheckout reports a checkout.
	EffectQueryCheckout Effect = "query-checkout"
	// EffectQueryRate reports an exchange rate.
	EffectQueryRate Effect = "query-rate"
)

// ActionInfo describes an action as the document does. Its slices are shared: do
// not change them.
type ActionInfo struct {
	// Name is the action.
	Name Action
	// Method is the name of the client's method.
	Method string
	// Summary is one phrase, such as "refunds a payment".
	Summary string
	// Version is sent by default.
	Version string
	// Kind says whether the action may be repeated.
	Kind Kind
	// Effect is the lasting change that it makes at the gateway.
	Effect Effect
	// Pages are where the vendor describes it.
	Pages []string
	// Request and Response name the schemas; LookupSchema has them.
	Request, Response string
	// OrderMember is the request member that holds the order's id, or "".
	OrderMember string
	// Terminal says that the envelope may carry terminal_no and operator_id.
	Terminal bool
	// RequestSchema is the schema of a request whose type is outside this
	// package. If nil, Request names it.
	RequestSchema *Schema
}

// LookupAction returns what the document says of an action. The name is exact.
func LookupAction(name string) (ActionInfo, bool) {
	for i := range actions {
		if string(actions[i].Name) == name {
			return actions[i], true
		}
	}
	return ActionInfo{}, false
}

// Actions returns all actions, sorted by name. The caller owns the slice.
func Actions() []ActionInfo { return append([]ActionInfo(nil), actions[:]...) }

// Defaults are the values that Filled puts where a request has none.
type Defaults struct {
	MerchantID string // the merchant that asks
	OperatorID string // who asks for the merchant, as OTT Pay gave it out
	// OrderID is used by effects only: a query asks for an order that exists.
	OrderID string
}

func fill(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// BearsCardData reports whether a member of this name holds card data, which the
// kit does not send. Only letters and digits count, and not their case.
func BearsCardData(name string) bool {
	var b [24]byte
	n := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case (c < 'a' || c > 'z') && (c < '0' || c > '9'):
			continue
		}
		if n == len(b) {
			return false
		}
		b[n] = c
		n++
	}
	for _, forbidden := range cardData {
		if string(b[:n]) == forbidden {
			return true
		}
	}
	return false
}
