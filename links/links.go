// Package links builds the links of OTT Pay's payment pages: pages that a browser
// opens and that take no envelope. Most shops need one of them at most: [WebPay]
// and [WapPay] are Alipay in the browser of a PC and of a phone, [WeChat] is
// WeChat Pay inside WeChat's own browser. [H5] and [Checkout] complete a link that
// the client of package ottpay got from the gateway.
//
// The notification that follows is an envelope as always. Nothing signs the
// amount in a link: compare it in the webhook. [ParseReturn] reads where the
// browser comes back, for display only.
package links

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
)

// Where the pages are; docs/protocol.md, 11.
const (
	webPayURL = "https://mppay.ottpay.com/webPay"
	wapPayURL = "https://mppay.ottpay.com/wapPay"
	// weChatURL is plain http, which is the vendor's choice: the network on the
	// way can read the MerCode.
	weChatURL = "http://qrpay.ottpay.com/h5Pay"
)

// MerCode is the merchant's code for the payment pages: a credential, and yet a
// part of the link. Formatting and marshalling do not show it; the link has to.
type MerCode string

const redacted = "links.MerCode(redacted)"

// Format writes a constant, whatever the verb.
func (MerCode) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a constant.
func (MerCode) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a constant.
func (MerCode) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Order holds the parameters that all pages share.
type Order struct {
	// MerCode is given by OTT Pay: 1 to 64 letters and digits, 16 or 32 of them
	// in what was seen. Required.
	MerCode MerCode
	// OrderID is the shop's own. Required.
	OrderID string
	// OperatorID is given by OTT Pay. Required, but for [WeChat], whose page does
	// not name it.
	OperatorID string
	// Amount is in cents. Required.
	Amount field.Cents
}

// Format writes the order's id, whatever the verb, for the pages as well: what
// else they hold is a credential, or may be personal.
func (o Order) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "payment page of order %.64q", o.OrderID)
}

// LogValue names the order.
func (o Order) LogValue() slog.Value {
	return slog.GroupValue(slog.String("order_id", fmt.Sprintf("%.64s", o.OrderID)))
}

func (o Order) values() (url.Values, error) {
	if !code(string(o.MerCode)) {
		return nil, errors.New("links: MerCode is not 1 to 64 letters and digits")
	}
	if o.OperatorID != "" && !code(o.OperatorID) {
		return nil, errors.New("links: OperatorID is not letters and digits")
	}
	if err := errors.Join(api.CheckOrderID(o.OrderID), api.CheckAmount(o.Amount)); err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	v := url.Values{"merCode": {string(o.MerCode)}, "orderId": {o.OrderID}, "amount": {o.Amount.String()}}
	if o.OperatorID != "" {
		v.Set("operId", o.OperatorID)
	}
	return v, nil
}

// code reports whether text is 1 to 64 letters and digits.
func code(text string) bool {
	return len(text) >= 1 && len(text) <= 64 &&
		strings.Trim(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// WebPay is Alipay in the browser of a PC.
type WebPay struct {
	Order
	MerchantID string // given by OTT Pay. Required
	ReturnURL  string // where the browser goes afterwards, unsigned: see [ParseReturn]. Required
	NotifyURL  string // the webhook. Required
	SubmitType string // scan for a link, form for a page. Required
	Remarks    string // optional
}

// Values returns the parameters for a form.
func (p WebPay) Values() (url.Values, error) {
	if p.SubmitType != "scan" && p.SubmitType != "form" {
		return nil, errors.New("links: SubmitType is neither scan nor form")
	}
	v, err := alipay(p.Order, p.MerchantID, p.ReturnURL, p.NotifyURL)
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
func (p WebPay) URL() (string, error) { return link(webPayURL, p) }

// WapPay is Alipay in the browser of a phone.
type WapPay struct {
	Order
	MerchantID string // given by OTT Pay. Required
	ReturnURL  string // where the browser goes afterwards, unsigned: see [ParseReturn]. Required
	NotifyURL  string // the webhook. Required
}

// Values returns the parameters for a form.
func (p WapPay) Values() (url.Values, error) {
	return alipay(p.Order, p.MerchantID, p.ReturnURL, p.NotifyURL)
}

// URL returns the link. It holds the MerCode.
func (p WapPay) URL() (string, error) { return link(wapPayURL, p) }

// WeChat is the page h5Pay: WeChat Pay inside WeChat's own browser. For other
// mobile browsers there is the action H5PAY.
type WeChat struct {
	Order
	ReturnURL string // where the browser goes afterwards, unsigned: see [ParseReturn]. Required
}

// Values returns the parameters for a form.
func (p WeChat) Values() (url.Values, error) {
	v, err := p.values()
	if err != nil {
		return nil, err
	}
	if err := returnURL(p.ReturnURL); err != nil {
		return nil, err
	}
	v.Set("newURL", p.ReturnURL)
	return v, nil
}

// URL returns the link. It holds the MerCode.
func (p WeChat) URL() (string, error) { return link(weChatURL, p) }

func alipay(o Order, merchantID, back, notify string) (url.Values, error) {
	v, err := o.values()
	if err != nil {
		return nil, err
	}
	switch {
	case o.OperatorID == "":
		return nil, errors.New("links: OperatorID is empty")
	case !code(merchantID):
		return nil, errors.New("links: MerchantID is not letters and digits")
	}
	if err := returnURL(back); err != nil {
		return nil, err
	}
	if err := api.CheckCallbackURL(notify); err != nil {
		return nil, fmt.Errorf("links: NotifyURL: %w", err)
	}
	v.Set("merchantId", merchantID)
	v.Set("returnURL", base64.StdEncoding.EncodeToString([]byte(back)))
	v.Set("notifyURL", base64.StdEncoding.EncodeToString([]byte(notify)))
	return v, nil
}

func link(base string, page interface{ Values() (url.Values, error) }) (string, error) {
	v, err := page.Values()
	if err != nil {
		return "", err
	}
	return base + "?" + v.Encode(), nil
}

// returnURL returns an error unless a browser can be sent to text: absolute
// https, or http to a loopback host. It may have a fragment.
func returnURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("links: ReturnURL is not a URL") // url.Error quotes it
	}
	if err := api.CheckURL(u); err != nil {
		return fmt.Errorf("links: ReturnURL: %w", err)
	}
	return nil
}
