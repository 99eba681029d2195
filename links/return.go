package links

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/field"
)

// UnverifiedReturn holds the parameters with which a browser came back from a
// payment page. It is not signed: the payer may have typed it. Show it, and wait for the notification or
// ask the gateway. Nothing in it converts to anything that is verified.
type UnverifiedReturn struct {
	ClaimedOrderID string // the shop's order
	ClaimedTradeID string // the gateway's or the channel's, by the page
	ClaimedStatus  string // such as Trade_Finished, without blanks around it
	ClaimedAmount  string // for people, "1.00"; "" if the page named none
}

// ParseReturn reads the URL that a browser comes back to from wapPay, h5Pay or
// the checkout. The values may be encoded in Base64, as the page of wapPay says,
// or not. Parameters of the shop's own are ignored, whatever they look like. The
// error says that the URL is of none of these pages; it does not quote.
func ParseReturn(u *url.URL) (UnverifiedReturn, error) {
	query, err := pageParameters(u.RawQuery)
	if err != nil {
		return UnverifiedReturn{}, err
	}
	switch {
	case has(query, "trade_status") || has(query, "out_trade_no"):
		plain(query)
		r := UnverifiedReturn{ClaimedOrderID: query["out_trade_no"], ClaimedTradeID: query["trade_no"], ClaimedStatus: strings.TrimSpace(query["trade_status"])}
		if cents, err := field.ParseCents(query["total_fee"]); err == nil {
			r.ClaimedAmount = cents.Decimal()
		}
		return r, nil
	case has(query, "orderID") || has(query, "tranID"):
		r := UnverifiedReturn{ClaimedOrderID: query["orderID"], ClaimedTradeID: query["tranID"], ClaimedStatus: strings.TrimSpace(query["status"])}
		if cents, err := field.ParseDecimal(query["amount"]); err == nil { // dollars here
			r.ClaimedAmount = cents.Decimal()
		}
		return r, nil
	}
	return UnverifiedReturn{}, errors.New("links: not the return URL of a payment page")
}

func has(query map[string]string, name string) bool {
	_, ok := query[name]
	return ok
}

// pageParameters returns the parameters that the payment pages append. None may
// stand twice or be long.
func pageParameters(raw string) (map[string]string, error) {
	query := make(map[string]string)
	for parameter := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		switch name {
		case "total_fee", "trade_no", "out_trade_no", "trade_status", "amount", "orderID", "tranID", "status":
		default:
			continue
		}
		value, err := url.QueryUnescape(value)
		switch {
		case err != nil:
			return nil, errors.New("links: a parameter of the return URL is not encoded as it should be")
		case has(query, name), len(value) > 256:
			return nil, errors.New("links: the return URL has a parameter twice, or a long one")
		}
		query[name] = value
	}
	return query, nil
}

// plain decodes Base64 in place, if that is how all of the values are written.
func plain(query map[string]string) {
	decoded := make(map[string]string, len(query))
	for name, value := range query {
		text, ok := fromBase64(value)
		if !ok {
			return
		}
		decoded[name] = text
	}
	if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(decoded["trade_status"])), "trade") {
		return // it is Base64 by chance
	}
	for name, text := range decoded {
		query[name] = text
	}
}

// fromBase64 decodes text to printable text. A plus sign may have become a blank.
func fromBase64(text string) (string, bool) {
	text = strings.TrimRight(strings.ReplaceAll(text, " ", "+"), "=")
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || !utf8.Valid(b) || strings.ContainsFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", false
	}
	return string(b), true
}
