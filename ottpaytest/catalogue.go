package ottpaytest

// FaultInfo describes a fault: what it is called, what it does and what a
// correct shop or client does when it meets it.
type FaultInfo struct {
	// Name is unique within the direction.
	Name string
	// Direction says whether it is a fault of callbacks or of answers.
	Direction Direction
	// Group is a heading for lists.
	Group string
	// Sentence says what the gateway does.
	Sentence string
	// Correct says what a correct shop or client does.
	Correct string
	// Parameters are the fields of Fault that the fault heeds besides those
	// that all do, in the spelling of the API: n, at_byte, delay, status, code.
	Parameters []string
	// Alone: one [Notification] can show it, without a Gateway.
	Alone bool
	// Expect is what this module's webhook or client does. The webhook has Expect
	// set and asks the gateway.
	Expect Expectation
	// Trusting is what the webhook does that does not ask, if that differs.
	Trusting *Expectation
}

// FullName is the name with its direction, such as callback:drop.
func (f FaultInfo) FullName() string { return string(f.Direction) + ":" + f.Name }

// Expectation is what this module does when it meets a fault. Tests compare it
// with what they see, and docs/sandbox-faults.md is made of it.
type Expectation struct {
	// Statuses are the webhook's answers, in their order; of a burst, those that
	// are seen. 0 is no answer.
	Statuses []int
	// Reasons are the words for the webhook's log; one of several where the fault
	// leaves it to chance. Nil is none.
	Reasons []string
	// Handled is how often the handler runs.
	Handled int

	// Error is the client's error in one word, "" for none.
	Error string
	// Unknown: the error matches ErrUnknownOutcome.
	Unknown bool
	// Then is what is found out by asking afterwards: happened, pending, or a word
	// for the webhook's log; "" if there is nothing to find out.
	Then string
}

// Faults returns all faults: those of callbacks, then those of answers, each in
// the order of the documentation.
func Faults() []FaultInfo { return append(callbackFaults(), answerFaults()...) }

func callbackFaults() []FaultInfo {
	const (
		delivery  = "delivery"
		forgery   = "forgery"
		content   = "content"
		transport = "transport"
	)
	once := func(statuses ...int) Expectation { return Expectation{Statuses: statuses, Handled: 1} }
	no := func(status int, reasons ...string) Expectation {
		return Expectation{Statuses: []int{status}, Reasons: reasons}
	}
	early := once(503, 200)
	early.Reasons = []string{"not-expected"}
	burst := once(200, 503)
	burst.Reasons = []string{"in-flight"}
	splice, code := no(503, "possible-splice"), no(503, "code")
	inner, dollars := no(503, "merchant"), no(503, "amount")
	trusting := map[CallbackFault]*Expectation{CallbackSplice: &splice, CallbackCode: &code, CallbackInnerMerchant: &inner, CallbackAmountDecimal: &dollars}
	list := []struct {
		name       CallbackFault
		group      string
		sentence   string
		correct    string
		parameters []string
		expect     Expectation
	}{
		{CallbackDuplicate, delivery, "the same content again, newly spelled", "acknowledges each, acts once", []string{"n"}, once(200, 200)},
		{CallbackReplay, delivery, "the very bytes again", "acknowledges, acts once", []string{"n"}, once(200, 200)},
		{CallbackBurst, delivery, "several copies at once", "acts once; a copy that comes while the first is at work may be answered 503", []string{"n"}, burst},
		{CallbackReorder, delivery, "a callback is overtaken by the next one of the merchant", "takes each for itself", []string{"delay"}, once(200)},
		{CallbackDelay, delivery, "later", "takes it", []string{"delay"}, once(200)},
		{CallbackDrop, delivery, "not sent, then redelivered by the schedule", "takes the redelivery", nil, once(200)},
		{CallbackLost, delivery, "never sent", "finds the payment by a query on a schedule", nil, Expectation{}},
		{CallbackLostAnswer, delivery, "the acknowledgement is lost, and the callback is sent again", "acknowledges again, acts once", nil, once(200, 200)},
		{CallbackEarly, delivery, "before the request that makes the order is answered", "asks for a redelivery while it does not know the order", nil, early},

		{CallbackData, forgery, "a letter of data changed", "refuses it", nil, no(401, "padding", "plaintext", "digest")},
		{CallbackDigest, forgery, "a digit of md5 changed", "refuses it", nil, no(401, "padding", "plaintext")},
		{CallbackBlocks, forgery, "two blocks of data exchanged", "refuses it: only the digest can tell", nil, no(401, "digest")},
		{CallbackSplice, forgery, "a block of data doubled so that the digest still fits: an authorisation that reads like a payment", "asks the gateway", nil, once(200)},
		{CallbackKey, forgery, "sealed under a foreign key", "refuses it", nil, no(401, "padding", "plaintext")},
		{CallbackOldKey, forgery, "sealed under the key before the rotation", "takes it while that key is configured, then refuses it", nil, once(200)},
		{CallbackMerchant, forgery, "another merchant outside of the data", "refuses it: it has no key for that one", nil, no(401, "unknown-merchant")},
		{CallbackInnerMerchant, forgery, "another merchant inside the data, sealed", "asks the gateway, or for a redelivery", nil, once(200)},
		{CallbackNoMerchant, forgery, "no merchant outside of the data", "refuses it, unless it has one merchant only and says so", nil, no(400, "no-merchant")},
		{CallbackCode, forgery, "FAIL outside of the data, which nothing protects", "asks the gateway, or for a redelivery", nil, once(200)},
		{CallbackRequest, forgery, "a request of the shop's as a callback: it opens", "refuses it: it lacks what every callback has", nil, no(400, "finish_time")},
		{CallbackResponse, forgery, "an answer of the gateway's as a callback: it opens", "refuses it: it lacks what every callback has", nil, no(400, "finish_time")},

		{CallbackAmount, content, "another amount, sealed", "does not deliver goods: asks for a redelivery and raises an alarm", nil, no(503, "amount-mismatch")},
		{CallbackFee, content, "the amount and a convenience fee on top, which it names", "takes it", nil, once(200)},
		{CallbackPaidTwice, content, "the order again, with another id of the channel", "acknowledges both, acts once, raises an alarm", nil, once(200, 200)},
		{CallbackAuthorised, content, "order_status authorised", "does not take it for a payment", nil, no(503, "kind")},
		{CallbackUnknownStatus, content, "an undocumented order_status", "does not take it for a payment", nil, no(503, "kind")},
		{CallbackUnknownMember, content, "members that the document does not know, nested ones too", "takes it", nil, once(200)},
		{CallbackNumbers, content, "amounts as JSON numbers", "takes it", nil, once(200)},
		{CallbackAmountDecimal, content, `an amount with a point, such as "1.00"`, "asks the gateway, or for a redelivery", nil, once(200)},
		{CallbackAmountNegative, content, `a negative amount`, "does not take it for a payment: asks for a redelivery and raises an alarm", nil, no(503, "amount")},
		{CallbackNoFinishTime, content, "finish_time is missing", "refuses it", nil, no(400, "finish_time")},
		{CallbackNullOptional, content, "remarks is null", "takes it", nil, once(200)},
		{CallbackEmptyOptional, content, `tip is ""`, "takes it: an empty text is an absent amount", nil, once(200)},
		{CallbackTimeShapes, content, "three times, with finish_time in each of its shapes", "takes each, acts once", nil, once(200, 200, 200)},
		{CallbackPlain, content, "without the vendor's quirks", "takes it", nil, once(200)},

		{CallbackTruncateBody, transport, "half of the JSON, with the right Content-Length", "refuses it", nil, no(400, "not-json")},
		{CallbackCut, transport, "the connection ends within the body", "gives no answer, for the sender is gone", []string{"at_byte"}, no(0, "body-slow", "body-unreadable")},
		{CallbackTrickle, transport, "a few bytes every 20 milliseconds", "takes it", nil, once(200)},
		{CallbackStall, transport, "stops within the body", "gives up after a time", []string{"at_byte"}, no(408, "body-slow")},
		{CallbackOversize, transport, "70 KiB", "refuses it", nil, no(413, "body-too-large")},
		{CallbackBOM, transport, "a byte order mark first", "refuses it", nil, no(400, "not-an-object")},
		{CallbackHTML, transport, "a page", "refuses it", nil, no(400, "not-an-object")},
		{CallbackForm, transport, "a form body", "refuses it", nil, no(400, "not-an-object")},
		{CallbackEmpty, transport, "an empty body", "refuses it", nil, no(400, "not-json")},
		{CallbackTrailing, transport, "{} after the envelope", "refuses it", nil, no(400, "trailing-bytes")},
		{CallbackTwiceNamed, transport, "md5 twice", "refuses it", nil, no(400, "duplicate-name")},
		{CallbackNoMD5, transport, "md5 is missing", "refuses it", nil, no(400, "no-md5")},
		{CallbackCapitalNames, transport, "MD5 in place of md5", "refuses it: names are exact", nil, no(400, "no-md5")},
		{CallbackBase64URL, transport, "- and _ in place of + and /", "refuses it", nil, no(400, "bad-base64")},
		{CallbackPlusBlank, transport, "+ became a blank, as in a form", "refuses it", nil, no(400, "bad-base64")},
		{CallbackMD5Case, transport, "md5 in lower case on the way", "refuses it: the key was made of the other text", nil, no(401, "padding", "plaintext")},
		{CallbackGzip, transport, "compressed", "refuses it", nil, no(400, "not-utf-8")},
		{CallbackChunked, transport, "without a Content-Length", "takes it", nil, once(200)},
		{CallbackContentType, transport, "Content-Type text/plain", "takes it: the type is not judged", nil, once(200)},
		{CallbackNoContentType, transport, "no Content-Type", "takes it", nil, once(200)},
		{CallbackGet, transport, "a GET, as behind a redirect", "refuses it", nil, no(405, "method")},
	}
	out := make([]FaultInfo, 0, len(list))
	for _, f := range list {
		out = append(out, FaultInfo{
			Name: string(f.name), Direction: ToShop, Group: f.group, Sentence: f.sentence, Correct: f.correct,
			Parameters: f.parameters, Alone: f.name.alone(), Expect: f.expect, Trusting: trusting[f.name],
		})
	}
	return out
}

func answerFaults() []FaultInfo {
	const (
		connection = "connection"
		envelope   = "envelope"
		code       = "code"
		harmless   = "harmless"
		query      = "query"
	)
	lost := func(err string) Expectation { return Expectation{Error: err, Unknown: true, Then: "happened"} }
	list := []struct {
		name       FaultKind
		group      string
		sentence   string
		correct    string
		parameters []string
		expect     Expectation
	}{
		{FaultDrop, connection, "the connection is closed instead of an answer", "does not send again; asks", nil, lost("connection")},
		{FaultReset, connection, "the connection is reset instead of an answer", "does not send again; asks", nil, lost("connection")},
		{FaultTruncate, connection, "the connection is closed in the middle of the answer", "does not send again; asks", nil, lost("connection")},
		{FaultCut, connection, "the connection is closed at a byte of the answer", "does not send again; asks", []string{"at_byte"}, lost("connection")},
		{FaultHang, connection, "no answer", "gives up after a time; asks", []string{"delay"}, lost("timeout")},
		{FaultTrickle, connection, "a byte every 20 milliseconds", "gives up after a time; asks", nil, lost("timeout")},
		{FaultDelay, connection, "the answer comes late", "gives up after a time; asks", []string{"delay"}, lost("timeout")},
		{FaultRefuse, connection, "nothing listens", "may send again: nothing was sent", []string{"delay"}, Expectation{Error: "not-sent"}},
		{FaultTLS, connection, "the certificate is that of another name", "may send again: nothing was sent", nil, Expectation{Error: "not-sent"}},
		{FaultWrongDigest, envelope, "a digest that does not fit", "believes nothing of it; asks", nil, lost("unauthentic")},
		{FaultWrongKey, envelope, "sealed under a foreign key", "believes nothing of it; asks", nil, lost("unauthentic")},
		{FaultHTML, envelope, "a page with status 502", "asks", []string{"status"}, lost("status")},
		{FaultStatus, envelope, "the honest envelope, with status 503 and Retry-After", "asks", []string{"status"}, lost("status")},
		{FaultRedirect, envelope, "a redirect that would have the request sent again", "does not follow it; asks", []string{"status"}, lost("redirect")},
		{FaultEmpty, envelope, "status 200 and nothing", "asks", nil, lost("empty")},
		{FaultNoData, envelope, "SUCCESS without data and md5", "believes nothing of it; asks", nil, lost("no-data")},
		{FaultHuge, envelope, "2 MiB", "stops reading; asks", nil, lost("too-large")},
		{FaultAnotherOrder, envelope, "an honest answer about another order", "believes nothing of it; asks", nil, lost("another-order")},
		{FaultReflect, envelope, "the request's own data and md5", "believes nothing of it; asks", nil, lost("reflected")},
		{FaultBOM, envelope, "a byte order mark first", "asks", nil, lost("malformed")},
		{FaultTwiceNamed, envelope, "rsp_code twice", "asks", nil, lost("malformed")},
		{FaultRepCode, envelope, "rep_code in place of rsp_code", "asks", nil, lost("no-code")},
		{FaultCode, code, "a code and no data; SYSTEM_ERROR unless it says another", "goes by the class of the code", []string{"code"}, lost("code")},
		{FaultProcessing, code, "PROCESSING, sealed", "waits for the callback, or asks", nil, Expectation{Then: "pending"}},
		{FaultUnknownMember, harmless, "members that the document does not know", "takes it", nil, Expectation{}},
		{FaultNewline, harmless, "line breaks around the answer", "takes it", nil, Expectation{}},
		{FaultCreated, harmless, "status 201", "takes it", nil, Expectation{}},
		{FaultNumbers, harmless, "amounts as JSON numbers", "takes it", nil, Expectation{}},
		{FaultPlain, harmless, "without the vendor's quirks", "takes it", nil, Expectation{}},
		{FaultQueryLag, query, "a query says notpay of a paid order", "asks again later", nil, Expectation{Then: "paid after 4 queries"}},
		{FaultQueryFlip, query, "queries of a paid order say processing, success, processing", "keeps to success", nil, Expectation{Then: "paid after 2 queries"}},
		{FaultQueryAmount, query, "a query of a paid order names a cent more", "does not confirm the payment", nil, Expectation{Then: "amount-mismatch"}},
		{FaultQueryRefundRow, query, "a query of a paid order reads like the row of a refund", "does not take it for a payment", nil, Expectation{Then: "refunded"}},
	}
	out := make([]FaultInfo, 0, len(list))
	for _, f := range list {
		out = append(out, FaultInfo{
			Name: string(f.name), Direction: ToClient, Group: f.group, Sentence: f.sentence, Correct: f.correct,
			Parameters: f.parameters, Expect: f.expect,
		})
	}
	return out
}
