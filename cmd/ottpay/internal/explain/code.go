package explain

// Code names a mistake. [Codes] returns the list, which is closed.
type Code string

// CodeInfo describes a code.
type CodeInfo struct {
	Code Code
	Step Step
	// Text says what the sender, or something on the way, did.
	Text string
	// Doc is the section of docs/protocol.md that has the rule.
	Doc string
}

// Step is one of the checks, in the order in which they are made.
type Step string

// The steps.
const (
	StepTransport Step = "transport" // what carries the envelope
	StepJSON      Step = "json"      // the outer object
	StepBase64    Step = "base64"    // the spelling of data
	StepLength    Step = "length"    // whole cipher blocks
	StepKey       Step = "key"       // merchant, key, derivation, cipher
	StepPadding   Step = "padding"
	StepPlaintext Step = "plaintext"
	StepDigest    Step = "digest"
	StepKind      Step = "kind" // request, response or callback, and its schema
)

// Codes returns every code, by step.
func Codes() []CodeInfo {
	return []CodeInfo{
		{"transport-bom", StepTransport, "a byte order mark stands in front of the JSON, or the body is UTF-16", "2"},
		{"transport-html", StepTransport, "a page came in place of an envelope, or the body was escaped for HTML", "2"},
		{"transport-form", StepTransport, "the body is a form, or percent-encoded", "3.3"},
		{"transport-base64", StepTransport, "the whole body is Base64; only data is", "2"},
		{"transport-json-string", StepTransport, "the envelope stands inside of a JSON string, or of another object", "3.5"},
		{"transport-gzip", StepTransport, "the body is compressed", "2"},
		{"transport-plus", StepTransport, "a form decoder turned each + of the Base64 into a blank", "3.5"},
		{"transport-curl", StepTransport, "the curl command does not hold the body that was sent", "2"},

		{"too-large", StepJSON, "the message is longer than 1 MiB", "2"},
		{"not-utf-8", StepJSON, "the bytes are not UTF-8", "2"},
		{"not-json", StepJSON, "the body is not JSON", "3.5"},
		{"not-an-object", StepJSON, "the body is JSON, and not an object", "3.5"},
		{"trailing-bytes", StepJSON, "something follows the JSON object", "3.5"},
		{"duplicate-name", StepJSON, "a name stands twice in one object", "3.5"},
		{"too-deep", StepJSON, "the JSON is nested too deeply", "4.6"},
		{"number-range", StepJSON, "a number is not a finite double", "4.6"},
		{"member-type", StepJSON, "a member of the envelope is not a string", "3.5"},
		{"no-data", StepJSON, "there is no data", "3.5"},
		{"no-md5", StepJSON, "there is no md5", "3.5"},
		{"bad-md5", StepJSON, "md5 is not 32 hexadecimal digits", "3.5"},

		{"bad-base64", StepBase64, "data is not standard Base64 with padding", "3.5"},
		{"encoding-hex", StepBase64, "data is hexadecimal in place of Base64", "4.1"},
		{"encoding-twice", StepBase64, "data was encoded twice", "4.1"},
		{"not-encrypted", StepBase64, "data was not encrypted", "4.1"},

		{"bad-length", StepLength, "data is not a whole number of cipher blocks", "3.5"},

		{"unknown-merchant", StepKey, "there is no key for the merchant that the envelope names", "4.7"},
		{"merchant", StepKey, "the envelope belongs to another merchant than it names", "3.4"},
		{"foreign-key", StepKey, "the message was sealed with a sign key that is not among the given ones", "4.7"},
		{"altered-md5", StepKey, "md5 was changed after the message was sealed", "4.1"},
		{"altered-data", StepKey, "data was changed after the message was sealed", "3.4"},
		{"exchanged-blocks", StepKey, "cipher blocks changed their places", "14.1"},
		{"block-doubled", StepKey, "a cipher block stands in data once too often", "14.1"},
		{"block-removed", StepKey, "a cipher block is missing from data", "14.1"},
		{"key-slice", StepKey, "other characters than 8 to 23 of the hash were taken as the AES key", "4.1"},
		{"key-order", StepKey, "the sign key was put before the md5, or elsewhere", "4.1"},
		{"key-case", StepKey, "the hash, the md5 or the sign key was written in the other case", "4.1"},
		{"key-bytes", StepKey, "bytes were taken where the text of hexadecimal digits is wanted", "4.1"},
		{"key-raw", StepKey, "the sign key itself was taken as the AES key", "4.1"},
		{"key-no-md5", StepKey, "the AES key was derived without the md5, or without MD5", "4.1"},
		{"key-separator", StepKey, "something stands between the md5 and the sign key, such as &key=", "4.1"},
		{"key-newline", StepKey, "white space of the sender's configuration became a part of the sign key", "4.7"},
		{"cipher-mode", StepKey, "another cipher than AES-128 in ECB mode", "4.1"},

		{"padding", StepPadding, "the padding is broken", "4.6"},
		{"padding-kind", StepPadding, "another padding than PKCS#5: zeros, blanks or none", "4.1"},

		{"plaintext", StepPlaintext, "what was encrypted is not one strict JSON object in UTF-8", "4.6"},

		{"digest", StepDigest, "the md5 fits no rule that is known here", "4.3"},
		{"digest-order", StepDigest, "the values were joined in another order than that of the keys", "4.4"},
		{"digest-names", StepDigest, "the names were joined with the values", "4.1"},
		{"digest-separator", StepDigest, "something stands between the values", "4.1"},
		{"digest-dropped", StepDigest, "a value was not joined", "4.1"},
		{"digest-numbers", StepDigest, "numbers were written in another way than as Java doubles", "4.3"},
		{"digest-null", StepDigest, "null was written in another way than null", "4.3"},
		{"digest-case", StepDigest, "the values were written in the other case", "4.3"},
		{"digest-encoding", StepDigest, "the values were encoded or escaped before they were joined", "4.3"},
		{"digest-keyed", StepDigest, "the sign key took part in the digest", "4.1"},
		{"digest-booleans", StepDigest, "true and false were written in another way", "4.3"},
		{"digest-nested", StepDigest, "nested objects and arrays were written in another way than as Java maps", "4.3"},
		{"digest-json", StepDigest, "the JSON text was hashed in place of the joined values", "4.1"},
		{"digest-extra", StepDigest, "something was joined that is not in data", "4.1"},
		{"digest-trimmed", StepDigest, "white space around or inside of values was dropped", "4.3"},

		{"not-a-callback", StepKind, "a request or a response in place of a callback", "8.2"},
		{"schema", StepKind, "a member breaks a rule of the action's page", "7"},
		{"code", StepKind, "the code outside of a callback is not SUCCESS", "8.2"},
		{"code-unknown", StepKind, "rsp_code is missing or none of the known codes", "9"},
		{"differs", StepKind, "the message is authentic, and not what was meant to be sealed", "4.1"},
	}
}

// info returns the description of a code.
func info(c Code) CodeInfo {
	for _, i := range Codes() {
		if i.Code == c {
			return i
		}
	}
	return CodeInfo{Code: c}
}
