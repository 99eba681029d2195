package shop

import (
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"net/url"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// price is that of the one thing the shop sells, in cents.
const price field.Cents = 1999

var front = template.Must(template.New("front").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Tea shop</title></head><body>
<h1>Tea shop</h1>
<p>One tin of tea: {{.}} CAD</p>
<form method="post" action="/buy"><button name="way" value="checkout">Buy, any method</button>
<button name="way" value="wechat">Buy with WeChat Pay</button></form>
</body></html>
`))

var thanks = template.Must(template.New("thanks").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
{{if not .Booked}}<meta http-equiv="refresh" content="1">{{end}}<title>Order {{.Order}}</title></head><body>
<h1>Order {{.Order}}</h1>
<p id="state">{{if .Booked}}Paid. Booked {{.Booked}} time.{{else}}Waiting for the payment to be confirmed.{{end}}</p>
<p><a href="/">Back to the shop</a></p>
</body></html>
`))

// Pages serves the shop's own pages. self is the shop's address as the payer's
// browser and the gateway see it, callback the path of the webhook.
//
// What the browser brings back from the gateway is signed by no one, so the
// page after the payment shows what the webhook has booked and nothing else.
func (s *Shop) Pages(client *ottpay.Client, self, callback string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		_ = front.Execute(rw, price.Decimal())
	})
	mux.HandleFunc("GET /thanks", func(rw http.ResponseWriter, r *http.Request) {
		order := r.URL.Query().Get("order")
		_ = thanks.Execute(rw, struct {
			Order  string
			Booked int
		}{order, s.Booked(order)})
	})
	mux.HandleFunc("POST /buy", func(rw http.ResponseWriter, r *http.Request) {
		order := "T" + rand.Text()[:15]
		s.Add(order, price) // before the gateway knows of it
		to, err := s.begin(r, client, order, r.PostFormValue("way"), self, self+callback)
		if err != nil {
			// The order stands either way: client.Resolve or a Reconciler
			// finds out what became of it. No second order is made.
			http.Error(rw, "The payment could not be started: "+err.Error(), http.StatusBadGateway)
			return
		}
		http.Redirect(rw, r, to, http.StatusSeeOther)
	})
	return mux
}

// begin makes the order at the gateway and returns where the payer pays it.
func (s *Shop) begin(r *http.Request, client *ottpay.Client, order, way, self, callback string) (string, error) {
	back := self + "/thanks?order=" + url.QueryEscape(order)
	if way == "wechat" {
		resp, err := client.H5Pay(r.Context(), &api.H5PayRequest{
			OrderID: order, Amount: price, CurrencyType: "CAD", CallBackURL: callback,
		})
		if err != nil {
			return "", err
		}
		// H5PAY has no member for the way back: the shop appends it to the link.
		link, err := url.Parse(resp.PayInfo)
		if err != nil {
			return "", errors.New("the gateway's link is not a URL")
		}
		q := link.Query()
		q.Set("redirect_url", back)
		link.RawQuery = q.Encode()
		return link.String(), nil
	}
	resp, err := client.PrepayInit(r.Context(), &api.PrepayInitRequest{
		PrepayOrderID: order, ShopID: "S1", SaleNum: order, Amount: price, CurrencyType: "CAD", Duration: "900",
		RedirectURL: back, CallBackURL: callback,
	})
	if err != nil {
		return "", err
	}
	return resp.PayInfo, nil
}
