package ottpay

import (
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

const (
	maxSaid    = 120 // bytes of the gateway's text in an error and in a log line
	longDigits = 6   // a longer run of digits may be an account, a card or a phone
	leastValue = 3   // a shorter value of the request stays in the gateway's text
)

// said returns the gateway's own message, fit for an error and a log line: one
// line of at most 120 bytes, in which values of the request, long numbers and
// addresses are replaced by an ellipsis. It is "" if the message says no more
// than the code.
// data is the request's JSON object.
func said(code api.Code, message string, data []byte) string {
	text := shown(message, data)
	if strings.EqualFold(text, code.Message()) || strings.EqualFold(text, string(code)) {
		return ""
	}
	return text
}

// shown is text from outside without values of the request, long numbers and
// addresses.
func shown(text string, data []byte) string {
	words := strings.Fields(clean(text, 256))
	for i, word := range words {
		if strings.Contains(word, "@") || strings.Contains(word, "://") { // an address, of a person or with a token
			words[i] = "…"
		}
	}
	text = strings.Join(words, " ")
	var m wire.Members
	if wire.Parse(data, &m) == nil {
		for i := range m.Len() {
			if value := memberText(&m, string(m.Name(i))); len(value) >= leastValue {
				text = strings.ReplaceAll(text, value, "…")
			}
		}
	}
	return clean(withoutNumbers(text), maxSaid)
}

// withoutNumbers replaces long runs of digits by an ellipsis.
func withoutNumbers(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := len(text) - len(strings.TrimLeft(text, "0123456789"))
		if n > longDigits {
			b.WriteString("…")
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
		end := strings.IndexAny(text, "0123456789")
		if end < 0 {
			end = len(text)
		}
		b.WriteString(text[:end])
		text = text[end:]
	}
	return b.String()
}

// codeText returns a response code fit for an error and a log line: a documented
// one in capitals, another one if it is made of capitals, digits and underscores
// and says nothing of the request, and "other" if it is not.
func codeText(code api.Code, data []byte) string {
	text := string(code)
	switch {
	case text == "":
		return ""
	case code.Message() != "":
		return strings.ToUpper(text)
	case len(text) <= 40 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && shown(text, data) == text:
		return text
	}
	return "other"
}
