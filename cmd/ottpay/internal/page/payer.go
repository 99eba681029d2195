package page

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// The payer's pages have no operator's header. What a link or a QR code of the
// gateway's opens is /pay/; its forms keep the contract of ottpaytest's plain
// page: do=pay, do=decline, method=, redirect_url=, selected=.

func payPath(o ottpaytest.Order) string {
	return "/pay/" + url.PathEscape(o.MerchantID) + "/" + url.PathEscape(o.ID)
}

type payView struct {
	shell
	Order   ottpaytest.Order
	Query   template.URL // of this page, for its forms
	Methods []method
	QR      template.HTML
	Link    string // what the code says
	Return  string // where the payer goes next, "" for nowhere
	Params  []pairText
}

type method struct {
	Name, Title string
	Chosen      bool
}

// pairText is a name with its value.
type pairText struct{ Name, Value string }

// codesView is the other way round: what a payer shows, for a shop to scan.
type codesView struct {
	shell
	Wallets []wallet
}

type wallet struct {
	Title string
	Codes []scanned
}

type scanned struct {
	ID, Means, Text string
	QR              template.HTML
}

// codes shows the payers' codes that the gateway knows for PASSIVEPAY.
func (p *page) codes(r *request) error {
	v := codesView{shell: p.shell(r, "", "Payers’ codes")}
	for i, c := range ottpaytest.AuthCodes() {
		title := methodTitles[c.Wallet]
		if n := len(v.Wallets); n == 0 || v.Wallets[n-1].Title != title {
			v.Wallets = append(v.Wallets, wallet{Title: title})
		}
		code, err := qrCode(c.Text)
		if err != nil {
			return err
		}
		last := &v.Wallets[len(v.Wallets)-1]
		last.Codes = append(last.Codes, scanned{ID: "code" + strconv.Itoa(i), Means: c.Meaning, Text: c.Text, QR: code})
	}
	return p.render(r, "codes", v)
}

var methodTitles = map[string]string{
	"WECHATPAY": "WeChat Pay", "ALIPAY": "Alipay", "UNIONPAY": "UnionPay", "GP": "Card",
}

func (p *page) pay(r *request) error {
	m, id := p.Gateway.Merchant(r.PathValue("merchant")), r.PathValue("id")
	o, ok := m.Order(id)
	if !ok {
		return problem{http.StatusNotFound, "There is no such order.", ""}
	}
	if r.Header.Get("Ottpay-Live") == "" && r.Method == http.MethodGet {
		m.PageOpened(id)
	}
	v := payView{shell: p.shell(r, "", "Pay "+id), Order: o, Link: p.origin(r) + p.Base + payPath(o)}
	v.Poll = o.Open()
	if query := r.URL.Query(); len(query) > 0 {
		query.Del("refresh")
		v.Query = template.URL("?" + query.Encode()) // Encode leaves nothing but letters, digits and %
	}
	if o.Checkout() && o.Open() {
		selected := r.FormValue("selected")
		for _, name := range methods {
			v.Methods = append(v.Methods, method{name, methodTitles[name], name == selected})
		}
	}
	v.Return = returnURL(o, r.FormValue("redirect_url"))
	if u, err := url.Parse(v.Return); err == nil && o.RedirectURL != "" {
		for name, values := range u.Query() {
			v.Params = append(v.Params, pairText{name, strings.Join(values, ", ")})
		}
		sort.Slice(v.Params, func(i, j int) bool { return v.Params[i].Name < v.Params[j].Name })
	}
	if o.Open() {
		code, err := qrCode(v.Link)
		if err != nil {
			return err
		}
		v.QR, v.Class = code, "payer two"
	}
	return p.render(r, "pay", v)
}

// decide takes the payer's decision, and sends the browser on.
func (p *page) decide(r *request) error {
	m, id := p.Gateway.Merchant(r.PathValue("merchant")), r.PathValue("id")
	o, ok := m.Order(id)
	if !ok {
		return problem{http.StatusNotFound, "There is no such order.", ""}
	}
	by := m.By("payer")
	var err error
	switch do, chosen := r.PostFormValue("do"), r.PostFormValue("method"); {
	case do == "pay", do == "" && slices.Contains(methods, chosen):
		pay := ottpaytest.Payment{}
		if o.Checkout() && slices.Contains(methods, chosen) {
			pay.Method = chosen
		}
		err = by.Pay(id, pay)
	case do == "decline", do == "cancel":
		err = by.Decline(id)
	case do == "expire":
		err = by.Expire(id)
	default:
		return problem{http.StatusBadRequest, "do=pay, do=decline or method=", ""}
	}
	if err != nil {
		return err
	}
	o, _ = m.Order(id)
	to := returnURL(o, r.FormValue("redirect_url"))
	if to == "" {
		to = p.Base + payPath(o)
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
	}
	http.Redirect(r.w, r.Request, to, http.StatusSeeOther)
	return nil
}

// returnURL is where the payer's browser goes afterwards: to the order's own
// redirect URL with the parameters that nothing signs, or to the one that the
// merchant appended to the link. It is "" unless it is http or https.
func returnURL(o ottpaytest.Order, appended string) string {
	if o.RedirectURL == "" {
		return webURL(appended)
	}
	return webURL(o.ReturnURL())
}
