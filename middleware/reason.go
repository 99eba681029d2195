package middleware

// Reason says in one word why a delivery or a call failed. It is for logs,
// metrics and control flow, never for a stranger. [Reasons] returns the list,
// which is closed. docs/guides/failing.md says what to do about each.
//
// A reason means the same for a delivery ([Refusal]) and for a call
// ([SendError]); the few that both have say so.
type Reason string

// The request was turned away before anything was opened. Nothing is known to
// be at stake.
const (
	// ReasonMethod: the request is not a POST.
	ReasonMethod Reason = "method"
	// ReasonLimited: the source failed to authenticate too often. Of a call:
	// the limiter did not let it go before its deadline.
	ReasonLimited Reason = "limited"
	// ReasonBodyTooLarge: the body is longer than 64 KiB.
	ReasonBodyTooLarge Reason = "body-too-large"
	// ReasonBodySlow: the body did not arrive in time.
	ReasonBodySlow Reason = "body-slow"
	// ReasonBodyUnreadable: the body broke off or is not valid HTTP.
	ReasonBodyUnreadable Reason = "body-unreadable"
)

// The body is not an envelope. These are the words of [envelope.Reason].
const (
	// ReasonTooLarge: the envelope or the answer is longer than its limit.
	ReasonTooLarge Reason = "too-large"
	// ReasonNotJSON: the body is not JSON.
	ReasonNotJSON Reason = "not-json"
	// ReasonNotAnObject: the body is JSON, but not an object.
	ReasonNotAnObject Reason = "not-an-object"
	// ReasonTrailingBytes: something follows the JSON object.
	ReasonTrailingBytes Reason = "trailing-bytes"
	// ReasonDuplicateName: a member stands twice.
	ReasonDuplicateName Reason = "duplicate-name"
	// ReasonTooDeep: the JSON is nested too deeply.
	ReasonTooDeep Reason = "too-deep"
	// ReasonNotUTF8: the body is not valid UTF-8.
	ReasonNotUTF8 Reason = "not-utf-8"
	// ReasonNumberRange: a number has too many digits or too large an exponent.
	ReasonNumberRange Reason = "number-range"
	// ReasonMemberType: a member of the envelope is not a string.
	ReasonMemberType Reason = "member-type"
	// ReasonNoData: the envelope has no data. Of a call: the answer claims
	// SUCCESS without the data that would prove it.
	ReasonNoData Reason = "no-data"
	// ReasonNoMD5: the envelope has data and no md5.
	ReasonNoMD5 Reason = "no-md5"
	// ReasonBadMD5: the md5 is not 32 hexadecimal digits.
	ReasonBadMD5 Reason = "bad-md5"
	// ReasonBadBase64: the data is not Base64.
	ReasonBadBase64 Reason = "bad-base64"
	// ReasonBadLength: the data is not a whole number of cipher blocks.
	ReasonBadLength Reason = "bad-length"
	// ReasonNoMerchant: neither the envelope nor Config.Merchant names a merchant.
	ReasonNoMerchant Reason = "no-merchant"
)

// The envelope does not open: it is forged, or the sign key is wrong.
const (
	// ReasonUnknownMerchant: Keys has no key for the merchant that the envelope names.
	ReasonUnknownMerchant Reason = "unknown-merchant"
	// ReasonPadding: the padding is wrong after decryption. Mostly a wrong key.
	ReasonPadding Reason = "padding"
	// ReasonPlaintext: what was decrypted is not a strict JSON object.
	ReasonPlaintext Reason = "plaintext"
	// ReasonDigest: the md5 does not fit what was decrypted.
	ReasonDigest Reason = "digest"
)

// The envelope opens under the merchant's key, and its payload is no callback
// of this merchant, such as a replayed request or answer.
const (
	// ReasonMerchant: the payload names another merchant.
	ReasonMerchant Reason = "merchant"
	// ReasonOrderID: the payload has no order_id.
	ReasonOrderID Reason = "order_id"
	// ReasonBizpayOrderID: the payload has no bizpay_order_id.
	ReasonBizpayOrderID Reason = "bizpay_order_id"
	// ReasonFinishTime: the payload has no finish_time.
	ReasonFinishTime Reason = "finish_time"
	// ReasonAmount: the payload has no amount, or none that can be read.
	ReasonAmount Reason = "amount"
)

// The notification is authentic and was not handled: money may be waiting.
const (
	// ReasonSchema: a member breaks the schema. Of a call: the answer does.
	ReasonSchema Reason = "schema"
	// ReasonPossibleSplice: cipher blocks may have been moved
	// ([Delivery.SpliceSign]), and there is no Asker.
	ReasonPossibleSplice Reason = "possible-splice"
	// ReasonCode: rsp_code is not SUCCESS, and there is no Asker. Of a call:
	// the gateway's code asks for another attempt.
	ReasonCode Reason = "code"
	// ReasonKind: Config.Expect is set, and the notification is not of a payment.
	ReasonKind Reason = "kind"
	// ReasonNotExpected: Config.Expect returned an error.
	ReasonNotExpected Reason = "not-expected"
	// ReasonAmountMismatch: the amount is not the one that the shop expects,
	// or not the one that the gateway confirms.
	ReasonAmountMismatch Reason = "amount-mismatch"
	// ReasonNotPaidYet: the gateway says that the order is not paid.
	ReasonNotPaidYet Reason = "not-paid-yet"
	// ReasonRefunded: the gateway says that the payment was returned, at least
	// in part, before it was handled.
	ReasonRefunded Reason = "refunded"
	// ReasonNotConfirmed: the gateway gives the order another status than the
	// notification does.
	ReasonNotConfirmed Reason = "not-confirmed"
	// ReasonAmountUnconfirmed: the gateway's answer has no amount.
	ReasonAmountUnconfirmed Reason = "amount-unconfirmed"
	// ReasonAnswerWithoutOrder: the gateway's answer names no order.
	ReasonAnswerWithoutOrder Reason = "answer-without-order"
	// ReasonAnswerOfAnotherOrder: the gateway's answer is about another order.
	ReasonAnswerOfAnotherOrder Reason = "answer-of-another-order"
	// ReasonAnswerOfARefund: the gateway's answer is the row of a refund.
	ReasonAnswerOfARefund Reason = "answer-of-a-refund"
	// ReasonAnswerOfAnotherMerchant: the gateway's answer names another merchant.
	ReasonAnswerOfAnotherMerchant Reason = "answer-of-another-merchant"
	// ReasonAnswerContradicts: the gateway's answer says that something was
	// returned of an order that it does not call paid.
	ReasonAnswerContradicts Reason = "answer-contradicts-itself"
	// ReasonAskFailed: the query failed.
	ReasonAskFailed Reason = "ask-failed"
)

// The delivery could not be finished here: something of the shop's own failed
// or is at work. The gateway is asked to send again.
const (
	// ReasonBodyConsumed: a middleware in front of the webhook has read the body.
	ReasonBodyConsumed Reason = "body-consumed"
	// ReasonKeysUnavailable: Keys returned an error.
	ReasonKeysUnavailable Reason = "keys-unavailable"
	// ReasonInFlight: another delivery of the notification is being handled.
	// Of a call: another call for the same refund is at work, or died at it.
	ReasonInFlight Reason = "in-flight"
	// ReasonStore: the store returned an error.
	ReasonStore Reason = "store"
	// ReasonConfirmUnknown: the store did not say in time whether the claim is
	// confirmed. The work may be kept; the next delivery tells.
	ReasonConfirmUnknown Reason = "confirm-unknown"
	// ReasonClaimLost: the handler outlived its claim, and its work may be done twice.
	ReasonClaimLost Reason = "claim-lost"
	// ReasonJournal: the journal returned an error.
	ReasonJournal Reason = "journal"
	// ReasonHandler: the handler returned an error or answered with a status
	// that is not a success.
	ReasonHandler Reason = "handler"
	// ReasonPanic: the handler panicked, or something else that the Webhook or the
	// Transport calls, such as Keys or an Observer.
	ReasonPanic Reason = "panic"
	// ReasonShutdown: [Webhook.Shutdown] was called.
	ReasonShutdown Reason = "shutdown"
)

// The call failed before it was sent.
const (
	// ReasonRequest: the request breaks the schema or could not be built.
	ReasonRequest Reason = "request"
	// ReasonKeys: the merchant has no sign key, or Keys returned an error.
	ReasonKeys Reason = "keys"
	// ReasonSentBefore: the effect was sent before, under the same [SendOnce]
	// context or refund id. What became of that is not known.
	ReasonSentBefore Reason = "sent-before"
	// ReasonQuery: the query that must come before a refund failed.
	ReasonQuery Reason = "query"
	// ReasonRefund: the payment does not admit the refund, or the refund failed before.
	ReasonRefund Reason = "refund"
	// ReasonAnswerOfAPayment: what stands under the refund's id is a payment or
	// an order.
	ReasonAnswerOfAPayment Reason = "answer-of-a-payment"
	// ReasonAnswerOfAnotherRefund: what stands under the refund's id returns
	// another payment.
	ReasonAnswerOfAnotherRefund Reason = "answer-of-another-refund"
	// ReasonOrderUnknown: the gateway's answer repeats the refund's id, and says
	// nothing that stands under it.
	ReasonOrderUnknown Reason = "order-unknown"
	// ReasonRefundID: the refund's id was used for another refund.
	ReasonRefundID Reason = "refund-id"
)

// The call got no answer. Whether the request left is said beside the reason.
const (
	// ReasonDial: no connection could be made.
	ReasonDial Reason = "dial"
	// ReasonTLS: the gateway's certificate or its TLS could not be accepted.
	ReasonTLS Reason = "tls"
	// ReasonTimeout: the time was over.
	ReasonTimeout Reason = "timeout"
	// ReasonCanceled: the caller ended the call.
	ReasonCanceled Reason = "canceled"
	// ReasonConnection: the connection broke, or failed in another way.
	ReasonConnection Reason = "connection"
)

// The call got an answer that proves nothing.
const (
	// ReasonStatus: the answer's HTTP status is not 2xx.
	ReasonStatus Reason = "status"
	// ReasonRedirect: the answer is a redirect. It is not followed.
	ReasonRedirect Reason = "redirect"
	// ReasonHTML: the answer is an HTML page.
	ReasonHTML Reason = "html"
	// ReasonEmpty: the answer has no content.
	ReasonEmpty Reason = "empty"
	// ReasonMalformed: the answer is not an envelope.
	ReasonMalformed Reason = "malformed"
	// ReasonUnauthentic: the answer does not open under the merchant's keys.
	ReasonUnauthentic Reason = "unauthentic"
	// ReasonReflected: the answer is a request or a callback come back.
	ReasonReflected Reason = "reflected"
	// ReasonOtherOrder: the answer names another order than the request.
	ReasonOtherOrder Reason = "other-order"
)

// Reasons returns every reason, in the order of this page.
func Reasons() []Reason {
	return []Reason{
		ReasonMethod, ReasonLimited, ReasonBodyTooLarge, ReasonBodySlow, ReasonBodyUnreadable,

		ReasonTooLarge, ReasonNotJSON, ReasonNotAnObject, ReasonTrailingBytes, ReasonDuplicateName, ReasonTooDeep,
		ReasonNotUTF8, ReasonNumberRange, ReasonMemberType, ReasonNoData, ReasonNoMD5, ReasonBadMD5, ReasonBadBase64,
		ReasonBadLength, ReasonNoMerchant,

		ReasonUnknownMerchant, ReasonPadding, ReasonPlaintext, ReasonDigest,

		ReasonMerchant, ReasonOrderID, ReasonBizpayOrderID, ReasonFinishTime, ReasonAmount,

		ReasonSchema, ReasonPossibleSplice, ReasonCode, ReasonKind, ReasonNotExpected, ReasonAmountMismatch, ReasonNotPaidYet,
		ReasonRefunded, ReasonNotConfirmed, ReasonAmountUnconfirmed, ReasonAnswerWithoutOrder, ReasonAnswerOfAnotherOrder,
		ReasonAnswerOfARefund, ReasonAnswerOfAnotherMerchant, ReasonAnswerContradicts, ReasonAskFailed,

		ReasonBodyConsumed, ReasonKeysUnavailable, ReasonInFlight, ReasonStore, ReasonConfirmUnknown, ReasonClaimLost, ReasonJournal,
		ReasonHandler, ReasonPanic, ReasonShutdown,

		ReasonRequest, ReasonKeys, ReasonSentBefore, ReasonQuery, ReasonRefund, ReasonAnswerOfAPayment,
		ReasonAnswerOfAnotherRefund, ReasonOrderUnknown, ReasonRefundID,

		ReasonDial, ReasonTLS, ReasonTimeout, ReasonCanceled, ReasonConnection,

		ReasonStatus, ReasonRedirect, ReasonHTML, ReasonEmpty, ReasonMalformed, ReasonUnauthentic, ReasonReflected, ReasonOtherOrder,
	}
}
