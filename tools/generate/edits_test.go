package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var whole = flag.Bool("whole", false, "TestAdditions runs every test of the copied root module; with the race detector, every test runs whole")

// edit is a change of openapi/ottpay.yaml: old becomes new, once. If refused is
// empty, what is generated compiles; otherwise the error contains it.
type edit struct {
	name, old, new string
	refused        string
}

// member adds a member to the Notification, of which there is one in three
// schemas.
func inNotification(name, member, refused string) edit {
	const remarks = "        remarks: {$ref: \"#/components/schemas/OptionalText\", x-ottpay-sensitive: true, description: \"Free text.\"}\n      example: &paid"
	return edit{name, remarks, "        " + member + "\n" + remarks, refused}
}

// inAnswer adds a member to the answer of PASSIVEPAY, inRequest to its request.
func inAnswer(name, member, refused string) edit {
	const receive = "        receive_amount: {$ref: \"#/components/schemas/OptionalAmount\", x-ottpay-unknown: true, description: \"The merchant's amount in cents.\"}\n        exchange_rate: {$ref: \"#/components/schemas/KeptNumber\", x-ottpay-unknown: true, description: \"The exchange rate as written.\"}\n      example: {order_status"
	return edit{name, receive, "        " + member + "\n" + receive, refused}
}

func inRequest(name, member, refused string) edit {
	const scanned = "        auth_code: {type: string"
	return edit{name, scanned, "        " + member + "\n" + scanned, refused}
}

func edits() []edit {
	return []edit{
		// What may be done.
		inNotification("optional text", `channel_name: {$ref: "#/components/schemas/OptionalText", description: "The channel."}`, ""),
		inNotification("optional amount", `surcharge: {$ref: "#/components/schemas/OptionalAmount", description: "A surcharge in cents."}`, ""),
		inNotification("optional time", `created_at: {$ref: "#/components/schemas/KeptTime", description: "When the order was made."}`, ""),
		inNotification("any JSON", `extra: {x-ottpay-kind: raw, description: "Anything."}`, ""),
		inNotification("JSON in a string or an object", `detail: {type: [string, object, "null"], minProperties: 1, x-ottpay-kind: json, description: "Details."}`, ""),
		inNotification("optional member that decides", `sub_merchant: {type: [string, "null"], maxLength: 64, x-ottpay-decides: true, description: "The merchant's merchant."}`, ""),
		inNotification("name with a hyphen", `pay-type: {$ref: "#/components/schemas/OptionalText", description: "The type."}`, ""),
		inNotification("name with a dot", `pay.type: {$ref: "#/components/schemas/OptionalText", description: "The type."}`, ""),
		inNotification("name beyond ASCII with a Go name", `备注: {$ref: "#/components/schemas/OptionalText", x-go-name: Note, description: "A note."}`, ""),
		inNotification("name that begins with a digit, with a Go name", `3ds: {$ref: "#/components/schemas/OptionalText", x-go-name: ThreeDS, description: "3-D Secure."}`, ""),
		inNotification("the name order, which only requests and answers have", `order: {$ref: "#/components/schemas/OptionalText", description: "The order."}`, ""),
		inNotification("usual lengths", `batch: {$ref: "#/components/schemas/OptionalText", x-ottpay-usual-length: [4, 12], description: "The batch."}`, ""),
		inAnswer("alias", `fee: {$ref: "#/components/schemas/OptionalAmount", x-ottpay-aliases: [Fee, fee_amount], description: "A fee in cents."}`, ""),
		inAnswer("pattern", `country: {type: [string, "null"], pattern: "^([A-Z]{2})?$", x-ottpay-rule: country, description: "The country."}`, ""),
		inRequest("optional text of a request", `order_note: {type: string, maxLength: 20, x-ottpay-sensitive: true, description: "A note."}`, ""),
		inRequest("respelled member of a request", `deviceId: {type: string, maxLength: 20, x-ottpay-aliases: [device_id], x-ottpay-respell: true, description: "The device."}`, ""),
		inRequest("amount of a request", `discount: {$ref: "#/components/schemas/RequestAmount", description: "A discount in cents."}`, ""),
		{"required in a request", "        sale_num: {type: string, maxLength: 128, description: \"The merchant's sale number.\"}\n        auth_code", "        sale_num: {type: string, minLength: 1, maxLength: 128, description: \"The merchant's sale number.\"}\n        auth_code", "PassivePayRequest.sale_num: an optional string must admit the empty one"},
		{"required in a request, where it may be empty", "redirect_url, call_back_url, duration]", "redirect_url, call_back_url, duration, remarks]", "PrepayInitRequest.remarks: a required string must refuse the empty one"},
		{"required in an answer", "required: [code_url, order_id]", "required: [code_url, order_id, bizpay_order_id]", "ActivePayResponse.bizpay_order_id: a required string must refuse the empty one"},
		{"no longer required in an answer", "required: [code_url, order_id]", "required: [code_url]", "ActivePayResponse.order_id: has the role order-id, so x-ottpay-decides must say"},
		{"a member less", "        order_remark: {type: string, maxLength: 256, x-ottpay-sensitive: true, x-ottpay-unknown: true, description: \"A remark; seen but not documented.\"}\n", "", ""},
		{"enumerated value", "enum: [WECHATPAY, ALIPAY, UNIONPAY]", "enum: [WECHATPAY, ALIPAY, UNIONPAY, GIFTCARD-2.0]", ""},
		{"version", `version: "1.1"`, `version: "1.0"`, ""},
		{"code", "  FAIL: {class: failed", "  CHANNEL_DOWN: {class: unclear, message: the channel is down}\n  FAIL: {class: failed", ""},
		{"status", "  notpay: {meaning:", "  suspended: {meaning: under review, paid: false, final: false}\n  notpay: {meaning:", ""},
		{"description", `description: "The payer's code."`, "description: \"The payer's code, with \\\"quotes\\\", `ticks`, a | bar and \\\\ backslash.\"", ""},
		{"summary", "summary: asks for an exchange rate", `summary: "asks for an exchange \"rate\" | or two"`, ""},
		{"action", "x-ottpay-actions:\n", "x-ottpay-actions:\n" + inventedAction, "action GIFT_CARD_LOAD: there is no schema GiftCardLoadRequest"},
		{"one of three", "        - {required: [tn], properties: {tn: {type: [string, number], minLength: 1}}}\n", "        - {required: [tn], properties: {tn: {type: [string, number], minLength: 1}}}\n        - {required: [rspMsg], properties: {rspMsg: {type: [string, number], minLength: 1}}}\n", ""},

		// What a generator could pass over.
		inNotification("format", `when: {type: [string, "null"], format: date-time, description: "When."}`, "Notification.when: the generator does not know format"),
		inNotification("const", `kind: {type: [string, "null"], const: x, description: "The kind."}`, "Notification.kind: the generator does not know const: write enum"),
		inNotification("nullable of OpenAPI 3.0", `kind: {type: string, nullable: true, description: "The kind."}`, `Notification.kind: the generator does not know nullable: add "null"`),
		inNotification("default", `kind: {type: [string, "null"], default: x, description: "The kind."}`, "Notification.kind: the generator does not know default"),
		inNotification("nested object", `inner: {type: object, properties: {a: {type: string}}, description: "An object."}`, "Notification.inner: the generator does not know properties"),
		inNotification("array", `list: {type: array, items: {type: string}, description: "A list."}`, "Notification.list: type: array is not one of"),
		inNotification("boolean", `flag: {type: [boolean, "null"], description: "A flag."}`, "Notification.flag: type: boolean is not one of"),
		inNotification("null without quotation marks", `kind: {type: [string, null], description: "The kind."}`, `Notification.kind: type: null is not one of`),
		inNotification("misspelt mark", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-sensitve: true, description: "The kind."}`, "Notification.kind: the generator does not know x-ottpay-sensitve"),
		inNotification("mark that is no boolean", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-sensitive: "yes", description: "The kind."}`, "Notification.kind: x-ottpay-sensitive: must be true or false"),
		inNotification("unknown kind", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-kind: blob, description: "The kind."}`, `Notification.kind: x-ottpay-kind: "blob" is none of`),
		inNotification("unknown role", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-role: kind, description: "The kind."}`, `Notification.kind: x-ottpay-role: "kind" is none of`),
		inNotification("role of another kind", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-role: refunded, x-ottpay-decides: true, description: "The kind."}`, "Notification.kind: has the role refunded, so its kind must be amount"),
		inNotification("role twice", `kind: {$ref: "#/components/schemas/OptionalAmount", x-ottpay-role: tip, description: "Another tip."}`, "Notification.kind: has the role tip, as tip has"),
		inNotification("maxLength 0", `kind: {type: [string, "null"], maxLength: 0, description: "The kind."}`, "Notification.kind: maxLength: 0 admits"),
		inNotification("maxLength that is no number", `kind: {type: [string, "null"], maxLength: many, description: "The kind."}`, "Notification.kind: maxLength: must be a whole number"),
		inNotification("lengths the wrong way round", `kind: {type: [string, "null"], minLength: 9, maxLength: 8, description: "The kind."}`, "Notification.kind: "),
		inNotification("bad regular expression", `kind: {type: [string, "null"], pattern: "^[a", x-ottpay-rule: kind, description: "The kind."}`, "Notification.kind: pattern: not a regular expression"),
		inNotification("pattern without a name", `kind: {type: [string, "null"], pattern: "^x?$", description: "The kind."}`, "Notification.kind: a pattern needs a rule's name"),
		inNotification("rule named like a tag", `kind: {type: [string, "null"], pattern: "^x?$", x-ottpay-rule: email, description: "The kind."}`, `Notification.kind: a pattern needs a rule's name, x-ottpay-rule, of lower-case letters, which is no tag of the validator: "email"`),
		inNotification("rule named like an alias of a tag", `kind: {type: [string, "null"], pattern: "^x?$", x-ottpay-rule: iscolor, description: "The kind."}`, "Notification.kind: a pattern needs"),
		inNotification("rule of another pattern", `kind: {type: [string, "null"], pattern: "^x?$", x-ottpay-rule: orderid, description: "The kind."}`, "rule orderid stands for another pattern already"),
		inNotification("rule without a pattern", `kind: {type: [string, "null"], x-ottpay-rule: kind, description: "The kind."}`, "Notification.kind: x-ottpay-rule: there is no pattern"),
		inNotification("length rule without a length", `kind: {type: [string, "null"], x-ottpay-length-rule: kindlength, description: "The kind."}`, "Notification.kind: x-ottpay-length-rule: there is no maxLength"),
		inNotification("minimum of a text", `kind: {type: [string, "null"], minimum: 1, description: "The kind."}`, "Notification.kind: minimum and maximum are for amounts"),
		inNotification("integer of a text", `kind: {type: [string, integer, "null"], description: "The kind."}`, "Notification.kind: only an amount or a rate may be an integer"),
		inNotification("number without the kind text", `kind: {type: [string, number, "null"], description: "The kind."}`, "Notification.kind: a member that may be a number says x-ottpay-kind: text"),
		inNotification("number alone", `kind: {type: [number, "null"], x-ottpay-kind: text, description: "The kind."}`, "Notification.kind: a member must be a string"),
		inNotification("object without the kind json", `kind: {type: [string, object, "null"], minProperties: 1, description: "The kind."}`, "Notification.kind: a member that is a string or an object says x-ottpay-kind: json"),
		inNotification("optional that may not be null", `kind: {type: string, description: "The kind."}`, "Notification.kind: an optional member of an answer or a notification must permit null"),
		inNotification("echo outside of an answer", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-echo: amount, description: "The kind."}`, "Notification.kind: x-ottpay-echo is for the members of an answer"),
		inNotification("usual lengths too far apart", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-usual-length: [1, 40], description: "The kind."}`, "Notification.kind: usual lengths must lie less than 16 apart"),
		inNotification("usual lengths of three", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-usual-length: [1, 4, 9], description: "The kind."}`, "Notification.kind: x-ottpay-usual-length: must be"),
		inNotification("no description", `kind: {type: [string, "null"]}`, "Notification.kind: no description"),
		inNotification("description of two lines", `kind: {$ref: "#/components/schemas/OptionalText", description: "The\nkind."}`, "Notification.kind: description: must be one line"),
		inNotification("description that is no sentence", `kind: {$ref: "#/components/schemas/OptionalText", description: "The kind"}`, "Notification.kind: the description must end with a full stop"),
		inNotification("the same member twice", `tip: {$ref: "#/components/schemas/OptionalText", description: "Another tip."}`, "tip stands twice"),
		inNotification("member that differs in case", `Amount: {$ref: "#/components/schemas/OptionalText", x-go-name: AnotherAmount, description: "Another amount."}`, "Amount is a name of amount already, or differs in case only"),
		inNotification("alias of another member", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-aliases: [remarks], description: "The kind."}`, "is a name of"),
		inNotification("two members of one Go name", `orderId: {$ref: "#/components/schemas/OptionalText", description: "Another id."}`, "Notification.orderId: has the Go name OrderID, as order_id has"),
		inNotification("beyond ASCII without a Go name", `备注: {$ref: "#/components/schemas/OptionalText", description: "A note."}`, "Notification.备注: "),
		inNotification("begins with a digit", `3ds: {$ref: "#/components/schemas/OptionalText", description: "3-D Secure."}`, `Notification.3ds: "3ds" is not an exported Go name`),
		inNotification("Go name that is not exported", `kind: {$ref: "#/components/schemas/OptionalText", x-go-name: kind, description: "The kind."}`, `Notification.kind: "kind" is not an exported Go name`),
		inNotification("Go name that is no name", `kind: {$ref: "#/components/schemas/OptionalText", x-go-name: "A b", description: "The kind."}`, "Notification.kind: "),
		inNotification("name with a comma", `"a,omitempty": {$ref: "#/components/schemas/OptionalText", x-go-name: A, description: "The kind."}`, "Notification.a,omitempty: a member's name must not"),
		inNotification("name with a quotation mark", `'a"b': {$ref: "#/components/schemas/OptionalText", x-go-name: A, description: "The kind."}`, "a member's name must not"),
		inNotification("name with a backquote", "'a`b': {$ref: \"#/components/schemas/OptionalText\", x-go-name: A, description: \"The kind.\"}", "a member's name must not"),
		inNotification("name of a method: format", `format: {$ref: "#/components/schemas/OptionalText", description: "The format."}`, "Notification.format: has the Go name Format, as what is generated has"),
		inNotification("name of a method: string", `string: {$ref: "#/components/schemas/OptionalText", description: "The string."}`, "Notification.string: has the Go name String"),
		inNotification("name of a method: log_value", `log_value: {$ref: "#/components/schemas/OptionalText", description: "The value."}`, "Notification.log_value: has the Go name LogValue"),
		inNotification("name of a method: misfits", `misfits: {$ref: "#/components/schemas/OptionalText", description: "The misfits."}`, "Notification.misfits: has the Go name Misfits"),
		inNotification("name of a field: additional_properties", `additional_properties: {$ref: "#/components/schemas/OptionalText", description: "The rest."}`, "Notification.additional_properties: has the Go name AdditionalProperties"),
		inNotification("reference to nothing", `kind: {$ref: "#/components/schemas/Kind", description: "The kind."}`, "Notification.kind: refers to nothing"),
		inNotification("reference to an object", `kind: {$ref: "#/components/schemas/PayInfo", description: "The kind."}`, "Notification.kind: refers to PayInfo"),
		inAnswer("name of a method: order", `order: {$ref: "#/components/schemas/OptionalText", description: "The order."}`, "PassivePayResponse.order: has the Go name Order"),
		inAnswer("name of a method: pending", `pending: {$ref: "#/components/schemas/OptionalText", description: "Whether it is pending."}`, "PassivePayResponse.pending: has the Go name Pending"),
		inAnswer("name of a method: set_order", `set_order: {$ref: "#/components/schemas/OptionalText", description: "The order."}`, "PassivePayResponse.set_order: has the Go name SetOrder"),
		inAnswer("name of a field: processing", `processing: {$ref: "#/components/schemas/OptionalText", description: "Whether it is."}`, "PassivePayResponse.processing: has the Go name Processing"),
		inAnswer("echo of nothing", `kind: {$ref: "#/components/schemas/OptionalText", x-ottpay-echo: kind, description: "The kind."}`, "PassivePayResponse.kind: echoes kind, which is no member"),
		inAnswer("role that must say whether it decides", `orig: {$ref: "#/components/schemas/OptionalID", x-ottpay-role: original-order-id, description: "The payment."}`, "PassivePayResponse.orig: has the role original-order-id, so x-ottpay-decides must say"),
		inRequest("number in a request", `kind: {type: [string, number], x-ottpay-kind: text, description: "The kind."}`, "PassivePayRequest.kind: a request holds strings only"),
		inRequest("null in a request", `kind: {type: [string, "null"], description: "The kind."}`, "PassivePayRequest.kind: a request holds strings only"),
		inRequest("optional enum in a request", `kind: {type: string, enum: [A, B], description: "The kind."}`, "PassivePayRequest.kind: an optional string must admit the empty one"),
		inRequest("decides in a request", `kind: {type: string, x-ottpay-decides: true, description: "The kind."}`, "PassivePayRequest.kind: x-ottpay-decides is for optional members of answers"),
		inRequest("name of the spelling of another", `biz: {type: string, x-ottpay-aliases: [biz_old], x-ottpay-respell: true, description: "The kind."}`+"\n        biz_name: {type: string, description: \"A name.\"}", "BizName"),
		inRequest("name of a method: filled", `filled: {type: string, description: "Whether it is."}`, "PassivePayRequest.filled: has the Go name Filled"),
		{"enumerated value with a backslash", "enum: [WECHATPAY, ALIPAY, UNIONPAY]", `enum: [WECHATPAY, "ALI\\PAY", UNIONPAY]`, `BizType: enum: "ALI\\PAY" must be a word`},
		{"enumerated value with a blank", "enum: [WECHATPAY, ALIPAY, UNIONPAY]", `enum: [WECHATPAY, "ALI PAY", UNIONPAY]`, `BizType: enum: "ALI PAY" must be a word`},
		{"enumerated number", "enum: [WECHATPAY, ALIPAY, UNIONPAY]", `enum: [WECHATPAY, 7, UNIONPAY]`, `BizType: enum: 7 must be a text`},
		{"enumerated value twice", "enum: [WECHATPAY, ALIPAY, UNIONPAY]", `enum: [WECHATPAY, ALIPAY, WECHATPAY]`, `BizType: enum: WECHATPAY stands twice`},
		{"required member that is not there", "required: [code_url, order_id]", "required: [code_url, order_id, oder_id]", "schema ActivePayResponse: requires oder_id, which is not among its properties"},
		{"required member twice", "required: [code_url, order_id]", "required: [code_url, order_id, order_id]", "schema ActivePayResponse: requires order_id twice"},
		{"member of the example that is not there", "example: {feeType: CAD,", "example: {feeTyp: CAD, feeType: CAD,", "schema ExchangeRateQueryResponse: its example has feeTyp"},
		{"example that the schema refuses", "example: {feeType: CAD,", "example: {feeType: 5,", "ExchangeRateQueryResponse"},
		{"key of an action", "    effect: query-rate\n", "    effect: query-rate\n    terminl: true\n", "action EX_RATE_QUERY: the generator does not know terminl"},
		{"effect", "    effect: query-rate\n", "    effect: query-rates\n", "action EX_RATE_QUERY: effect must be one of"},
		{"version that is a number", `    version: "1.0"` + "\n    kind: query\n", "    version: 1.0\n    kind: query\n", ": version: must be a text"},
		{"summary of two lines", "summary: asks for an exchange rate", `summary: "asks for an exchange\nrate"`, "action EX_RATE_QUERY: summary: must be one line"},
		{"action of the client's method Resolve", "  EX_RATE_QUERY:\n", "  RESOLVE:\n", "action RESOLVE: the client's method Resolve is that of a method of the client"},
		{"action of the client's method InAppPay", "  EX_RATE_QUERY:\n", "  IN_APP_PAY:\n", "action IN_APP_PAY: the client's method InAppPay is that of a method of the client"},
		{"two actions of one method", "  EX_RATE_QUERY:\n", "  STATUS__QUERY:\n", "the client's method StatusQuery is that of action"},
		{"action in small letters", "  EX_RATE_QUERY:\n", "  ex_rate_query:\n", "action ex_rate_query: a name is of capitals"},
		{"two codes of one Go name", "  FAIL: {class: failed", "  ORDER__PAID: {class: failed, message: paid}\n  FAIL: {class: failed", "its Go name CodeOrderPaid is that of code"},
		{"code in small letters", "  FAIL: {class: failed", "  fail: {class: failed", "code fail: a name is of capitals"},
		{"code without a class", "  FAIL: {class: failed,", "  FAIL: {", "code FAIL: class must be one of"},
		{"code without a message", "  FAIL: {class: failed, message: failure}", "  FAIL: {class: failed}", "code FAIL: no message"},
		{"code twice", "  FAIL: {class: failed", "  SUCCESS: {class: failed, message: failure}\n  FAIL: {class: failed", "x-ottpay-codes.SUCCESS stands twice"},
		{"two statuses of one Go name", "  notpay: {meaning:", "  trade-finished: {meaning: done, paid: true, final: false}\n  notpay: {meaning:", "its Go name StatusTradeFinished is that of status"},
		{"status with a capital", "  notpay: {meaning:", "  Suspended: {meaning: under review, paid: false, final: false}\n  notpay: {meaning:", "status Suspended: write it in lower case"},
		{"status without final", "  notpay: {meaning:", "  suspended: {meaning: under review, paid: false}\n  notpay: {meaning:", "status suspended: paid must be"},
		{"schema of the name of a type", "    PayInfo:\n      description", "    Schema:\n      description", "schema Schema: its Go name Schema is that of a type of package api"},
		{"schema of the name of a function", "    PayInfo:\n      description", "    New:\n      description", "schema New: its Go name New is that of a function of package api"},
		{"schema of the name of a constant", "    PayInfo:\n      description", "    RoleAmount:\n      description", "schema RoleAmount: its Go name RoleAmount is that of a role"},
		{"schema that describes itself otherwise", "description: is the answer to ACTIVEPAY.", "description: The answer.", "schema ActivePayResponse: no description"},
		{"schema key", "      description: is the answer to ACTIVEPAY.\n", "      description: is the answer to ACTIVEPAY.\n      additionalProperties: false\n", "schema ActivePayResponse: the generator does not know additionalProperties"},
		{"one of one", "        - {required: [tn], properties: {tn: {type: [string, number], minLength: 1}}}\n", "", "anyOf: one member alone"},
		{"one of nothing", "        - {required: [tn], properties: {tn: {type: [string, number], minLength: 1}}}\n", "        - {required: [tm], properties: {tm: {type: [string, number], minLength: 1}}}\n", "anyOf: each entry must require one member"},
		{"top of the document", "x-ottpay-codes:\n", "x-ottpay-colours: [red]\nx-ottpay-codes:\n", "the document: the generator does not know x-ottpay-colours"},
		{"another layer", "      x-ottpay-layer: envelope\n", "      x-ottpay-layer: outside\n", "x-ottpay-layer: envelope is the only layer"},
		{"forbidden name that is never compared", "ssl_track_data,", "ssl_track_data, a_name_that_is_longer_than_any,", `x-ottpay-forbidden: "a_name_that_is_longer_than_any" must be`},
	}
}

// TestEdits makes each edit of a copy of the document. It is refused with a
// sentence that names the member, or what is generated compiles.
func TestEdits(t *testing.T) {
	root := copyForEdits(t)
	original, err := os.ReadFile(filepath.Join(root, "openapi", "ottpay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := os.ReadFile(filepath.Join(root, "openapi", "go.overlay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := edits()
	if len(all) < 60 {
		t.Errorf("%d edits, want 60 or more", len(all))
	}
	for i, e := range all {
		if raced && !*whole && i%8 != 0 {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			changed := strings.Replace(string(original), e.old, e.new, 1)
			if changed == string(original) {
				t.Fatal("the document does not hold what is to be replaced")
			}
			// An action that is renamed is not in the overlay under its new name.
			over := string(overlay)
			if !strings.Contains(changed, "\n  EX_RATE_QUERY:") {
				over = strings.Replace(over, `  - target: $["x-ottpay-actions"].EX_RATE_QUERY`+"\n    update: {x-go-name: ExchangeRateQuery}\n", "", 1)
			}
			put(t, filepath.Join(root, "openapi", "ottpay.yaml"), changed)
			put(t, filepath.Join(root, "openapi", "go.overlay.yaml"), over)
			files, err := generate(t, root)
			switch {
			case e.refused == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case e.refused == "":
				typeCheck(t, root, files)
			case err == nil:
				t.Fatalf("generated, want an error that contains %q", e.refused)
			case !strings.Contains(err.Error(), e.refused):
				t.Fatalf("error %v\nwant one that contains %q", err, e.refused)
			}
		})
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyForEdits copies the document and the hand-written code whose names count.
func copyForEdits(t *testing.T) string {
	t.Helper()
	from, root := filepath.Join("..", ".."), t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "openapi"), os.DirFS(filepath.Join(from, "openapi"))); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "gen/api", "validate"} {
		entries, err := os.ReadDir(filepath.Join(from, dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !isGoSource(e) || strings.HasSuffix(e.Name(), ".gen.go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(from, dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(root, dir, e.Name()), string(text))
		}
	}
	return root
}

// typeCheck checks package api, and package validate over it, with the files
// that were generated.
func typeCheck(t *testing.T, root string, files map[string][]byte) {
	t.Helper()
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", exported(t)).(types.ImporterFrom)
	checked := make(map[string]*types.Package)
	const module = "github.com/ottpaykit/ottpay/"
	for _, dir := range []string{"gen/api", "validate"} {
		var parsed []*ast.File
		add := func(name string, src any) {
			f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		for path, text := range files {
			if filepath.Dir(path) == dir && strings.HasSuffix(path, ".go") {
				add(path, text)
			}
		}
		hand, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range hand {
			if isGoSource(e) {
				add(filepath.Join(root, dir, e.Name()), nil)
			}
		}
		cfg := types.Config{Importer: importerFunc(func(path string) (*types.Package, error) {
			if p := checked[path]; p != nil {
				return p, nil
			}
			return imports.ImportFrom(path, "", 0)
		})}
		p, err := cfg.Check(module+dir, fset, parsed, nil)
		if err != nil {
			t.Fatalf("%s does not compile: %v", dir, err)
		}
		checked[module+dir] = p
	}
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

// exports are the export data of what the generated packages import, by path.
var exports = sync.OnceValues(func() (map[string]string, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}", "./gen/api", "./validate")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			all[path] = file
		}
	}
	return all, nil
})

func exported(t *testing.T) func(path string) (io.ReadCloser, error) {
	t.Helper()
	all, err := exports()
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) (io.ReadCloser, error) {
		if file, ok := all[path]; ok {
			return os.Open(file)
		}
		return nil, fs.ErrNotExist
	}
}
