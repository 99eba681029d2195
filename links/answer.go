package links

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
)

// ReturnParameter is the name under which the link of H5PAY takes the shop's
// return URL, as WeChat's own links do. The vendor's page says that the URL is to
// be appended and not how.
const ReturnParameter = "redirect_url"

// H5 returns the link of H5PAY's answer with the URL that the browser comes back
// to, under [ReturnParameter]. The link is https, or WeChat's own scheme weixin.
// It is not changed, because it may be signed.
func H5(resp *api.H5PayResponse, back string) (string, error) {
	if err := returnURL(back); err != nil {
		return "", err
	}
	return withParameter(resp.PayInfo, ReturnParameter, back, "weixin")
}

// CheckoutMethod is a way to pay on the hosted checkout page.
type CheckoutMethod string

// The methods that a checkout can open at once.
const (
	CheckoutNone      CheckoutMethod = "NONE"      // the payer chooses
	CheckoutWeChatPay CheckoutMethod = "WECHATPAY" // WeChat Pay
	CheckoutAlipay    CheckoutMethod = "ALIPAY"    // Alipay
	CheckoutUnionPay  CheckoutMethod = "UNIONPAY"  // UnionPay
	CheckoutCard      CheckoutMethod = "GP"        // cards, by Global Payments
)

// Checkout returns the link of PREPAY_INIT's answer with a method preselected.
// The link is not changed.
func Checkout(resp *api.PrepayInitResponse, method CheckoutMethod) (string, error) {
	switch method {
	case CheckoutNone, CheckoutWeChatPay, CheckoutAlipay, CheckoutUnionPay, CheckoutCard:
		return withParameter(resp.PayInfo, "selected", string(method), "")
	}
	return "", errors.New("links: not a method of the checkout")
}

// withParameter appends a parameter to a link's query and leaves the rest to the
// letter. The link need not be a URL that Go parses: gateways write a lone % and
// semicolons. app is a scheme that is admitted beside https.
func withParameter(to, name, value, app string) (string, error) {
	if err := checkLink(to, app); err != nil {
		return "", err
	}
	before, fragment, hasFragment := strings.Cut(to, "#")
	path, query, hasQuery := strings.Cut(before, "?")
	for _, parameter := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		given, _, _ := strings.Cut(parameter, "=")
		if plain, err := url.QueryUnescape(given); err == nil && plain == name {
			return "", fmt.Errorf("links: the answer's link has a %s already", name)
		}
	}
	var b strings.Builder
	b.WriteString(path + "?" + query)
	if hasQuery && query != "" && !strings.HasSuffix(query, "&") {
		b.WriteByte('&')
	}
	b.WriteString(name + "=" + url.QueryEscape(value))
	if hasFragment {
		b.WriteString("#" + fragment)
	}
	return b.String(), nil
}

// checkLink returns an error unless a browser can be sent to the link.
func checkLink(to, app string) error {
	scheme, rest, _ := strings.Cut(to, ":")
	scheme = strings.ToLower(scheme)
	switch {
	case strings.IndexFunc(to, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '"' || r == '<' || r == '>' }) >= 0:
		return errors.New("links: the answer's link has a blank, a control character or a quotation mark")
	case app != "" && scheme == app && rest != "":
		return nil
	}
	// The path and the query may be anything: only where it goes is parsed.
	end := strings.IndexAny(strings.TrimPrefix(rest, "//"), "/?#")
	origin := to
	if end >= 0 {
		origin = to[:len(to)-len(rest)+min(len(rest), len("//"))+end]
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.HasPrefix(rest, "//") || api.CheckURL(u) != nil {
		return errors.New("links: the answer's link is not an absolute https URL")
	}
	return nil
}
