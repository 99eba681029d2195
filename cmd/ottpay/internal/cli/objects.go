package cli

// objectKind is one kind of JSON object that commands print with --json. Every one
// has "v" and "type" besides.
type objectKind struct {
	types    []string // the values of "type"
	commands string   // that print it
	when     string
	members  []objectMember
}

// objectMember is a member of an object. Its kind is a type of JSON Schema, with
// [] behind it for a list. A name with a question mark may be absent.
type objectMember struct{ name, kind, text string }

// Several commands print events: those of the sandbox's API and of a record.
var eventMembers = []objectMember{
	{"seq?", "integer", "the number of the event"},
	{"at", "string", "when it happened"},
	{"merchant?", "string", "whose order it is"},
	{"order?", "string", "the order"},
	{"action?", "string", "what a request asked for"},
	{"code?", "string", "what the gateway answered; of listen, the code of explain"},
	{"amount_cents?", "integer", "the amount in cents"},
	{"currency?", "string", "its currency"},
	{"from?", "string", "the status before"},
	{"to?", "string", "the status since"},
	{"by?", "string", "who did it: payer, gateway, page, api, clock"},
	{"fault?", "string", "the fault that was armed, met or cleared"},
	{"fault_id?", "integer", "its number"},
	{"lenient?", "string[]", "what was taken although the document refuses it"},
	{"kind?", "string", "of a delivery: original, redelivery, replay, tampered; of listen, what the callback says, such as paid"},
	{"message?", "integer", "the number of the message"},
	{"try?", "integer", "the try of a callback, from 1"},
	{"url?", "string", "where a callback went"},
	{"status?", "integer", "the HTTP status of the shop's answer"},
	{"ms?", "integer", "how long it took, in milliseconds"},
	{"acknowledged?", "boolean", "whether the shop's answer was 200"},
	{"why?", "string", "why there was no answer, or why it does not verify"},
	{"due?", "string", "when the next try is"},
	{"advance?", "string", "by how much a manual clock was set forward"},
	{"clock?", "string", "what the sandbox's clock says since"},
	{"verified?", "boolean", "of listen: whether it is authentic"},
	{"reason?", "string", "of listen: the word of the kit's webhook"},
	{"key?", "integer", "of listen: the key that opened it, from 1"},
	{"form?", "string", "of listen: the form of the digest that fitted"},
	{"payload?", "object", "of listen --bodies: what was decrypted"},
	{"codes?", "string[]", "of listen: all codes of explain that fit"},
	{"explanation?", "object", "of listen --explain: an object of type explanation"},
	{"changed?", "boolean", "of replay: an acknowledgement became a refusal, or the other way"},
	{"old_status?", "integer", "of replay: the status that the record has"},
}

// objects are all kinds.
func objects() []objectKind {
	return []objectKind{
		{[]string{"ready"}, "sandbox, listen", "the first line, once connections are accepted", []objectMember{
			{"seq", "integer", "0"},
			{"page?", "string", "the URL of the page"},
			{"gateway?", "string", "the base URL for clients"},
			{"api?", "string", "the base URL of the API"},
			{"token?", "string", "what page and API want, where they want one"},
			{"merchants?", "string[]", "the merchants that are served"},
			{"url?", "string", "of listen: where callbacks are received"},
			{"forward_to?", "string", "of listen: where they go on to"},
			{"pid", "integer", "the process"},
		}},
		{[]string{
			"order.created", "order.status", "request.received", "delivery.sent", "delivery.answered", "delivery.failed", "delivery.blocked", "delivery.scheduled",
			"fault.armed", "fault.hit", "fault.cleared", "page.opened", "clock.advanced", "config.changed", "reset",
		}, "sandbox, listen, trigger, replay", "an event; listen, trigger and replay print delivery.answered and delivery.failed only", eventMembers},
		{[]string{"env"}, "sandbox --print-env", "the variables for a shop", []objectMember{
			{"env", "object", "the variables by name; the key only if it is the published one"},
		}},
		{[]string{"conformance"}, "trigger --all", "one fault", []objectMember{
			{"fault", "string", "its name, such as callback:digest"},
			{"answers", "integer[]", "the HTTP statuses of the shop, 0 for none"},
			{"demanded", "string", "what a correct shop does"},
			{"ok", "boolean", "whether it did"},
			{"skipped?", "boolean", "it was not sent"},
			{"why?", "string", "why it was not, or why it is not ok"},
		}},
		{[]string{"conformance.summary"}, "trigger --all", "the last line", []objectMember{
			{"ok", "boolean", "all is as demanded"},
			{"passed", "integer", "faults that were met as demanded"},
			{"failed", "integer", "faults that were not"},
			{"not_sent", "integer", "faults that were skipped"},
		}},
		{[]string{"callback"}, "trigger --dry-run", "the callback that would be sent", []objectMember{
			{"order", "string", "the order that it names"},
			{"body", "string", "the body"},
		}},
		{[]string{"sealed"}, "seal", "what was sealed", []objectMember{{"envelope", "object", "the envelope, or data and md5"}}},
		{[]string{"opened"}, "open", "what was opened", []objectMember{
			{"kind", "string", "request, response, callback or data"},
			{"merchant?", "string", "the merchant that stands outside, or the key's"},
			{"key", "integer", "the key that fitted, from 1"},
			{"keys", "integer", "how many keys there are"},
			{"form", "string", "the form of the digest that fitted"},
			{"payload", "object", "the plaintext"},
		}},
		{[]string{"explanation"}, "explain", "what is wrong, or that nothing is", []objectMember{
			{"ok", "boolean", "nothing is wrong"},
			{"code?", "string", "the first mistake, the likeliest if several cannot be told apart (explain --codes)"},
			{"codes?", "string[]", "all that fit"},
			{"at?", "object", "where: in, offset, line, column, block, blocks, member"},
			{"why?", "string", "what happened"},
			{"fix?", "string", "what to do"},
			{"you?", "string", "what the sender did"},
			{"right?", "string", "what the rule wants"},
			{"doc?", "string", "the place in the documentation"},
			{"steps", "object[]", "the checks that were made: step, ok, text"},
			{"further?", "object[]", "mistakes that show once the first is repaired: code, codes, at, why, fix"},
			{"notes?", "string[]", "facts that are no mistake"},
			{"kind?", "string", "what the message is taken for"},
			{"action?", "string", "the action that it names"},
			{"webhook?", "object", "what the kit's webhook answers: status, reason"},
			{"gateway?", "object", "what the gateway answers: code, detail"},
		}},
		{[]string{"code"}, "explain --codes", "a code", []objectMember{
			{"code", "string", "the code"},
			{"step", "string", "the check that gives it"},
			{"text", "string", "what it means"},
			{"doc", "string", "the place in the documentation"},
		}},
		{[]string{"answer"}, "call", "the gateway's answer, which is authentic", []objectMember{
			{"action", "string", "the action"},
			{"order?", "string", "the order"},
			{"pending", "boolean", "accepted, and not decided"},
			{"data", "object", "what was decrypted"},
		}},
		{[]string{"request"}, "call --dry-run", "the request that would be sent", []objectMember{
			{"url", "string", "where to"},
			{"body", "object", "the envelope"},
		}},
		{[]string{"payment"}, "call --wait paid", "how it ended", []objectMember{
			{"order", "string", "the order"},
			{"status", "string", "the gateway's word"},
			{"paid", "boolean", "what it means"},
			{"amount_cents?", "integer", "what was paid"},
		}},
		{[]string{"rate"}, "rates", "one currency", []objectMember{
			{"currency", "string", "the currency"},
			{"rate", "string", "CNY for one of it, as a decimal number"},
		}},
		{[]string{"doctor"}, "doctor", "all checks", []objectMember{
			{"ok", "boolean", "none failed"},
			{"checks", "object[]", "name, result (ok, warn, FAIL), text, fix"},
		}},
		{[]string{"fault"}, "faults", "one fault", []objectMember{
			{"name", "string", "its name"},
			{"direction", "string", "callback or answer"},
			{"group", "string", "where it belongs"},
			{"sentence", "string", "what happens"},
			{"correct", "string", "what a correct shop does"},
			{"parameters?", "string[]", "what it takes"},
			{"statuses?", "integer[]", "what the kit's webhook answers"},
			{"reasons?", "string[]", "its reasons"},
			{"error?", "string", "the error of the kit's client"},
			{"then?", "string", "what Resolve finds"},
		}},
		{[]string{"health"}, "health", "a sandbox is ready", []objectMember{
			{"ok", "boolean", "true"},
			{"url", "string", "its address"},
		}},
		{[]string{"finding"}, "docs diff", "one difference between a page and the document; what does not apply is empty", []objectMember{
			{"page", "string", "the page"},
			{"address", "string", "its address"},
			{"action", "string", "the action"},
			{"where", "string", "request, response or callback"},
			{"member", "string", "the member"},
			{"kind", "string", "the kind (docs diff --kinds)"},
			{"was", "string", "what the document says"},
			{"now", "string", "what the page says"},
			{"yaml_line", "integer", "the line of the document, or 0"},
			{"decision", "string", "the decision that the document has recorded"},
		}},
		{[]string{"kind"}, "docs diff --kinds", "a kind of finding", []objectMember{
			{"kind", "string", "the kind"},
			{"text", "string", "what it means"},
		}},
		{[]string{"draft"}, "docs import", "a new action", []objectMember{
			{"action", "string", "the action"},
			{"yaml", "string", "what the document gets"},
			{"overlay?", "string", "what the overlay gets"},
			{"review", "string[]", "what to look at"},
		}},
		{[]string{"version"}, "version", "the version", []objectMember{
			{"version", "string", "of the command"},
			{"go", "string", "of Go"},
			{"os", "string", "the system"},
			{"arch", "string", "the processor"},
		}},
		{[]string{"error"}, "every command", "on standard error", []objectMember{
			{"code", "string", "usage, config, io, refused, unauthentic, unknown-outcome, pending or internal"},
			{"message", "string", "what happened"},
			{"hint?", "string", "what to do"},
			{"next?", "string", "the command to run next"},
			{"doc?", "string", "the place in the documentation"},
		}},
	}
}
