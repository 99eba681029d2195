package ottpay

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Where the link-style pages are; docs/protocol.md, 11.
const (
	WebPayURL = "https://mppay.ottpay.com/webPay"
	WapPayURL = "https://mppay.ottpay.com/wapPay"
	// H5LinkURL is plain http, which is the vendor's doing: whoever is on the
	// way reads the MerCode.
	H5LinkURL = "http://qrpay.ottpay.com/h5Pay"
)

// MerCode is the merchant's code for the link-style pages: a credential, and
// yet a part of the link. Formatting and marshalling do not show it; the link
// has to.
type MerCode string

// Format writes a constant, whatever the verb.
func (MerCode) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "ottpay.MerCode(redacted)") }

// LogValue returns a constant.
func (MerCode) LogValue() slog.Value { return slog.StringValue("ottpay.MerCode(redacted)") }

// MarshalText returns a constant.
func (MerCode) MarshalText() ([]byte, error) { return []byte("ottpay.MerCode(redacted)"), nil }

// Link is what all link-style pages are given.
type Link struct {
	MerCode    MerCode // sixteen digits
	OrderID    string
	OperatorID string // ten digits
	Amount     field.Cents
}

// Format writes the order's id, whatever the verb, for the pages as well: what
// else they hold is a credential, or may be personal.
func (l Link) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "payment page of order %q", clean(l.OrderID, 64))
}

// LogValue names the order.
func (l Link) LogValue() slog.Value {
	return slog.GroupValue(slog.String("order_id", clean(l.OrderID, 64)))
}

func (l Link) values() (url.Values, error) {
	switch {
	case !digits(string(l.MerCode), 16):
		return nil, errors.New("ottpay: MerCode is not sixteen digits")
	case !digits(l.OperatorID, 10):
		return nil, errors.New("ottpay: OperatorID is not ten digits")
	case !orderID(l.OrderID):
		return nil, errors.New("ottpay: OrderID is not 1 to 64 letters, digits, _ and -")
	case l.Amount < 1 || l.Amount > 999_999_999_999:
		return nil, errors.New("ottpay: Amount is not 1 to 12 digits")
	}
	return url.Values{
		"merCode": {string(l.MerCode)}, "orderId": {l.OrderID},
		"operId": {l.OperatorID}, "amount": {l.Amount.String()},
	}, nil
}

// WebPay is Alipay in the browser of a PC.
type WebPay struct {
	Link
	MerchantID string
	ReturnURL  string // where the browser goes afterwards, unsigned: see [ParseReturn]
	NotifyURL  string // the webhook
	SubmitType string // scan for a link, form for a page
	Remarks    string // optional
}

// Values returns the parameters for a form.
func (p WebPay) Values() (url.Values, error) {
	if p.SubmitType != "scan" && p.SubmitType != "form" {
		return nil, errors.New("ottpay: SubmitType is neither scan nor form")
	}
	v, err := alipay(p.Link, p.MerchantID, p.ReturnURL, p.NotifyURL)
	if err != nil {
		return nil, err
	}
	v.Set("submit_type", p.SubmitType)
	if p.Remarks != "" {
		v.Set("remarks", p.Remarks)
	}
	return v, nil
}

// URL returns the link. It holds the MerCode.
func (p WebPay) URL() (string, error) { return link(WebPayURL, p) }

// WapPay is Alipay in the browser of a phone.
type WapPay struct {
	Link
	MerchantID string
	ReturnURL  string // where the browser goes afterwards, unsigned: see [ParseReturn]
	NotifyURL  string // the webhook
}

// Values returns the parameters for a form.
func (p WapPay) Values() (url.Values, error) {
	return alipay(p.Link, p.MerchantID, p.ReturnURL, p.NotifyURL)
}

// URL returns the link. It holds the MerCode.
func (p WapPay) URL() (string, error) { return link(WapPayURL, p) }

// WeChatLink is the page h5Pay: WeChat Pay inside WeChat's own browser. For
// other mobile browsers there is the action H5PAY.
type WeChatLink struct {
	Link
	ReturnURL string // where the browser goes afterwards, unsigned: see [ParseReturn]
}

// Values returns the parameters for a form.
func (p WeChatLink) Values() (url.Values, error) {
	v, err := p.values()
	if err != nil {
		return nil, err
	}
	if err := webURL("ReturnURL", p.ReturnURL); err != nil {
		return nil, err
	}
	v.Set("newURL", p.ReturnURL)
	return v, nil
}

// URL returns the link. It holds the MerCode.
func (p WeChatLink) URL() (string, error) { return link(H5LinkURL, p) }

func alipay(l Link, merchantID, returnURL, notifyURL string) (url.Values, error) {
	v, err := l.values()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(webURL("ReturnURL", returnURL), webURL("NotifyURL", notifyURL)); err != nil {
		return nil, err
	}
	if merchantID == "" {
		return nil, errors.New("ottpay: MerchantID is empty")
	}
	v.Set("merchantId", merchantID)
	v.Set("returnURL", base64.StdEncoding.EncodeToString([]byte(returnURL)))
	v.Set("notifyURL", base64.StdEncoding.EncodeToString([]byte(notifyURL)))
	return v, nil
}

func link(base string, page interface{ Values() (url.Values, error) }) (string, error) {
	v, err := page.Values()
	if err != nil {
		return "", err
	}
	return base + "?" + v.Encode(), nil
}

// H5ReturnParameter is the name under which H5PAY's link takes the merchant's
// return URL, as WeChat's links do. The vendor's page says that the URL is to
// be appended and does not say how.
const H5ReturnParameter = "redirect_url"

// H5Link returns H5PAY's link with the URL that the browser comes back to,
// under [H5ReturnParameter].
func H5Link(resp *api.H5PayResponse, returnURL string) (string, error) {
	if err := webURL("returnURL", returnURL); err != nil {
		return "", err
	}
	return withParameter(resp.PayInfo, H5ReturnParameter, returnURL)
}

// CheckoutMethod is a way to pay on the hosted checkout page.
type CheckoutMethod string

// The methods that a checkout can open at once.
const (
	CheckoutNone      CheckoutMethod = "NONE" // the payer chooses
	CheckoutWeChatPay CheckoutMethod = "WECHATPAY"
	CheckoutAlipay    CheckoutMethod = "ALIPAY"
	CheckoutUnionPay  CheckoutMethod = "UNIONPAY"
	CheckoutCard      CheckoutMethod = "GP" // Global Payments
)

// CheckoutLink returns the checkout's link with a method preselected.
func CheckoutLink(resp *api.PrepayInitResponse, method CheckoutMethod) (string, error) {
	switch method {
	case CheckoutNone, CheckoutWeChatPay, CheckoutAlipay, CheckoutUnionPay, CheckoutCard:
		return withParameter(resp.PayInfo, "selected", string(method))
	}
	return "", errors.New("ottpay: not a method of the checkout")
}

// withParameter appends to a link's query and leaves the rest to the letter:
// it may be signed.
func withParameter(to, name, value string) (string, error) {
	u, err := url.Parse(to)
	if err != nil || middleware.CheckURL(u) != nil {
		return "", errors.New("ottpay: the answer's link is not an absolute https URL")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("ottpay: the answer's link has a broken query")
	}
	if query.Has(name) {
		return "", fmt.Errorf("ottpay: the answer's link has a %s already", name)
	}
	before, fragment, hasFragment := strings.Cut(to, "#")
	switch {
	case !strings.Contains(before, "?"):
		before += "?"
	case !strings.HasSuffix(before, "?") && !strings.HasSuffix(before, "&"):
		before += "&"
	}
	before += name + "=" + url.QueryEscape(value)
	if hasFragment {
		before += "#" + fragment
	}
	return before, nil
}

// UnverifiedReturn is what a browser brought back from a payment page. Nobody
// has signed it: the payer may have typed it. Show it, and wait for the
// notification or ask the gateway; there is nothing in it to ship for, and it
// converts to nothing that is verified.
type UnverifiedReturn struct {
	ClaimedOrderID string
	ClaimedTradeID string // the gateway's or the channel's, by the page
	ClaimedStatus  string // such as Trade_Finished, without blanks around it
	ClaimedAmount  string // for people, "1.00"; "" if the page named none
}

// ParseReturn reads the URL that a browser comes back to from wapPay, h5Pay or
// the checkout. An error says that it is none of them; it does not quote.
func ParseReturn(u *url.URL) (UnverifiedReturn, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return UnverifiedReturn{}, errors.New("ottpay: the return URL has a broken query")
	}
	for _, name := range []string{"total_fee", "trade_no", "out_trade_no", "trade_status", "amount", "orderID", "tranID", "status"} {
		if v := query[name]; len(v) > 1 || len(v) == 1 && len(v[0]) > 256 {
			return UnverifiedReturn{}, errors.New("ottpay: the return URL has a parameter twice, or a long one")
		}
	}
	var r UnverifiedReturn
	switch {
	case query.Has("trade_status") || query.Has("out_trade_no"):
		r = UnverifiedReturn{ClaimedOrderID: query.Get("out_trade_no"), ClaimedTradeID: query.Get("trade_no"), ClaimedStatus: query.Get("trade_status")}
		if cents, err := field.ParseCents(query.Get("total_fee")); err == nil {
			r.ClaimedAmount = cents.Decimal()
		}
	case query.Has("orderID") || query.Has("tranID"):
		r = UnverifiedReturn{ClaimedOrderID: query.Get("orderID"), ClaimedTradeID: query.Get("tranID"), ClaimedStatus: query.Get("status")}
		if cents, err := field.ParseDecimal(query.Get("amount")); err == nil { // dollars here
			r.ClaimedAmount = cents.Decimal()
		}
	default:
		return UnverifiedReturn{}, errors.New("ottpay: not the return URL of a payment page")
	}
	r.ClaimedStatus = strings.TrimSpace(r.ClaimedStatus)
	return r, nil
}

// webURL reports a URL that is not absolute https, or http on loopback.
func webURL(name, text string) error {
	u, err := url.Parse(text)
	if err != nil || middleware.CheckURL(u) != nil {
		return fmt.Errorf("ottpay: %s is not an absolute https URL", name)
	}
	return nil
}

func digits(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789") == ""
}

func orderID(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-") == ""
}
