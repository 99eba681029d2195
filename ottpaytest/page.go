package ottpaytest

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
)

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Order {{.ID}}</title></head>
<body><h1>Order {{.ID}}</h1>
<p>{{.Action}} of {{.MerchantID}}: {{.Due}} {{.Currency}}, {{.Status}}</p>
{{if .Open}}<form method="post">
{{range .Methods}}<button name="method" value="{{.}}">Pay by {{.}}</button>
{{else}}<button name="do" value="pay">Pay</button>
{{end}}<button name="do" value="decline">Decline</button></form>{{end}}
</body></html>
`))

// page is where a payer pays an order: what its link or its QR code opens. A
// POST with do=pay or do=decline takes the decision, method= pays by a wallet;
// the payer's browser then goes to the merchant's redirect URL, if the order
// has one or the link names it as redirect_url. A checkout's page opens with the wallet that selected= names.
func (g *Gateway) page(w http.ResponseWriter, r *http.Request) {
	merchant, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, pagePath), "/")
	find := g.Merchant(merchant).find(id)
	o, ok := g.snapshot(find)
	if !ok {
		http.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		g.Merchant(merchant).PageOpened(id)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = pageTemplate.Execute(w, struct {
			Order
			Due     string
			Methods []string
		}{o, o.Total().Decimal(), methods(o, r.URL.Query().Get("selected"))})
	case http.MethodPost:
		g.decide(w, r, find)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "GET and POST only", http.StatusMethodNotAllowed)
	}
}

// methods are the wallets that a checkout offers.
func methods(o Order, selected string) []string {
	all := []string{"WECHATPAY", "ALIPAY", "UNIONPAY", "GP"}
	switch {
	case o.Effect != api.EffectCreateCheckout:
		return nil
	case slices.Contains(all, selected):
		return []string{selected}
	}
	return all
}

func (g *Gateway) decide(w http.ResponseWriter, r *http.Request, find finder) {
	decision := end(statusDeclined)
	payment := Payment{Silent: true}
	switch do, method := r.PostFormValue("do"), r.PostFormValue("method"); {
	case do == "pay", do == "" && slices.Contains(methods(Order{Effect: api.EffectCreateCheckout}, ""), method):
		decision, payment = g.pay, Payment{Method: method}
	case do == "decline":
	default:
		http.Error(w, "do=pay, do=decline or method=", http.StatusBadRequest)
		return
	}
	if err := g.turn(find, payment, "payer", decision); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	to := r.URL.RequestURI()
	if o, _ := g.snapshot(find); o.RedirectURL != "" {
		to = cmp.Or(o.ReturnURL(), "/")
	} else if u, err := url.Parse(r.URL.Query().Get("redirect_url")); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		to = u.String() // appended to H5PAY's link by the merchant, as WeChat takes it
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// ReturnURL is where the payer's browser goes afterwards: RedirectURL with
// parameters that nothing signs. It is "" if RedirectURL is no URL.
func (o Order) ReturnURL() string {
	u, err := url.Parse(o.RedirectURL)
	if err != nil || u.Host == "" {
		return ""
	}
	q := u.Query()
	q.Set("total_fee", o.Total().String())
	q.Set("out_trade_no", o.ID)
	q.Set("trade_no", o.ChannelID)
	if o.Status.Paid() || o.Status == api.StatusAuthfinish {
		q.Set("trade_status", " Trade_Finished") // the blank is the vendor's
	}
	u.RawQuery = q.Encode()
	return u.String()
}
