package middleware

import (
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Wanted is the payment or the refund that an [Answer] is compared with.
type Wanted struct {
	// OrderID is the order's id, or the refund's own. If empty, Checkout
	// identifies the payment and the order is whatever the answer names.
	OrderID string
	// Checkout is compared where the answer names a checkout. If empty, it is not.
	Checkout string
	// Merchant is compared where the answer names a merchant. If empty, it is not.
	Merchant string
	// Kind is the kind that the status must confirm. If empty, any status will
	// do, and the caller looks at [Answer.State]. It is not used for a refund.
	Kind string
	// Amount reports whether an amount is the one that is wanted. If nil, the
	// amount is not compared.
	Amount func(field.Cents) bool
	// Refund wants the row of a refund. If false, the row of a payment.
	Refund bool
	// Sent says that the refund is known to have been sent under its id. Then a
	// row also counts that says neither what it returns nor what it is, as long
	// as nothing in it says otherwise.
	Sent bool
	// Original is the payment that the refund returns. It is compared where the
	// answer names one. If empty, it is not.
	Original string
}

// State returns what the row says of a payment as a whole: its status in its
// [api.OrderStatus.Normal] spelling, corrected by what was returned of it.
// "success" with everything returned is fully_refunded, and with a part of it
// partial_refunded. The result is "" if the row has no status, or if it
// contradicts itself: something was returned of what is not paid.
func (a Answer) State() api.OrderStatus {
	status := a.Status.Normal()
	switch {
	case !positive(a.Returned), status.Is(api.StatusFullyRefunded):
		return status
	case !status.Paid() && !status.Refunded():
		return ""
	case a.Amount != nil && *a.Returned >= *a.Amount:
		return api.StatusFullyRefunded
	}
	return api.StatusPartialRefunded
}

// Mismatch returns why the row does not confirm what is wanted, or "" if it
// does. It compares all that the row says: an id alone proves nothing, because
// the gateway answers for payments and refunds by the same query.
//
// It is the only judge of a row.
func (a Answer) Mismatch(w Wanted) Reason {
	named, wanted := a.OrderID, w.OrderID
	if wanted == "" {
		named, wanted = a.Checkout, w.Checkout
	}
	switch {
	case named == "" || wanted == "":
		return ReasonAnswerWithoutOrder
	case named != wanted, w.Checkout != "" && a.Checkout != "" && a.Checkout != w.Checkout:
		return ReasonAnswerOfAnotherOrder
	case w.Merchant != "" && a.MerchantID != "" && a.MerchantID != w.Merchant:
		return ReasonAnswerOfAnotherMerchant
	case w.Refund:
		return a.refundMismatch(w)
	case a.Refund || a.Original != "":
		return ReasonAnswerOfARefund
	}
	state := a.State()
	switch {
	case state == "" && a.Status.Normal() != "":
		return ReasonAnswerContradicts
	case w.Kind == api.KindPaid && state.Refunded():
		return ReasonRefunded
	case w.Kind == api.KindPaid && !state.Paid():
		return ReasonNotPaidYet
	case w.Kind != "" && !confirms(state, w.Kind):
		return ReasonNotConfirmed
	case w.Amount == nil:
		return ""
	case a.Amount == nil:
		return ReasonAmountUnconfirmed
	case !w.Amount(*a.Amount):
		return ReasonAmountMismatch
	}
	return ""
}

// confirms reports whether the state is one that a notification of this kind
// reports. An order that was authorised may have been captured since.
func confirms(state api.OrderStatus, kind string) bool {
	if kind == api.StatusAuthorised.Kind() {
		return state.Held() || state.Paid()
	}
	return state != "" && state.Kind() == kind
}

// refundMismatch is Mismatch for a refund. The vendor documents no row of a
// refund. Such a row either names the payment that it returns, or is known by
// its amounts: the amount returned is that of the refund, and so is the row's.
// Every other row stands for something else, above all for a payment.
func (a Answer) refundMismatch(w Wanted) Reason {
	fits := func(amount *field.Cents) bool { return !positive(amount) || w.Amount == nil || w.Amount(*amount) }
	returned, amount := positive(a.Returned), positive(a.Amount)
	if a.Refund || a.Original != "" {
		switch {
		case a.Original != "" && w.Original != "" && a.Original != w.Original:
			return ReasonAnswerOfAnotherRefund
		case !fits(a.Returned), !returned && !fits(a.Amount):
			return ReasonAmountMismatch
		case !returned && !amount && !a.Status.Closed():
			return ReasonAmountUnconfirmed
		}
		return ""
	}
	switch {
	case a.Status.Held(), a.Status.Refunded(), !fits(a.Returned), !fits(a.Amount):
		return ReasonAnswerOfAPayment
	case returned, amount && a.Status.Closed(): // a closed one returned nothing, whichever of the two it is
		return ""
	case amount && !w.Sent, a.Status.Paid() && a.Returned != nil: // nothing was returned, it says
		return ReasonAnswerOfAPayment
	case amount:
		return ""
	case a.Status.Closed(), a.Status.Is(api.StatusInit), a.Status.Is(api.StatusNotpay):
		return ReasonOrderUnknown // no member says that anything stands under the id
	case a.Status.Paid() && !w.Sent:
		return ReasonAmountUnconfirmed
	}
	return ""
}

func positive(amount *field.Cents) bool { return amount != nil && *amount > 0 }
