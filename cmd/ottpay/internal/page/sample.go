package page

import (
	"io"
	"net"
	"net/http"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
)

// sampleCallback is where the sample shop takes its callbacks. It does what a
// shop must: it believes nothing that does not open, and nothing that is not the
// order's amount. So the page shows the whole way of a payment, faults included,
// before there is a shop.
const sampleCallback = "/-/sample/callback"

// sampleURL is the sample shop's address as the gateway reaches it: on the port
// that the request came in by, which inside of a container is not the one that
// the browser knows.
func (p *page) sampleURL(r *request) string {
	host := r.Host
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		ip := net.IPv4(127, 0, 0, 1)
		if addr.IP.IsLoopback() {
			ip = addr.IP
		}
		host = (&net.TCPAddr{IP: ip, Port: addr.Port}).String()
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + host + p.Base + sampleCallback
}

// sampleShop answers a callback.
func (p *page) sampleShop(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	e, err := envelope.ReadResponse(body)
	if err != nil {
		http.Error(w, "not an envelope: "+envelope.Reason(err), http.StatusBadRequest)
		return
	}
	m := p.Gateway.Merchant(e.MerchantID)
	opened, err := m.Open(e.Sealed)
	if err != nil {
		http.Error(w, "not authentic", http.StatusUnauthorized)
		return
	}
	members, err := objectMembers(opened.Plaintext)
	if err != nil {
		http.Error(w, "not an object", http.StatusBadRequest)
		return
	}
	say := make(map[string]string)
	for _, n := range members {
		say[n.name] = n.text()
	}
	if say["bizpay_order_id"] == "" || say["finish_time"] == "" || say["order_id"] == "" {
		http.Error(w, "not a callback", http.StatusBadRequest)
		return
	}
	amount, err := field.ParseCents(say["amount"])
	if err != nil {
		http.Error(w, "the amount is not one", http.StatusBadRequest)
		return
	}
	o, ok := m.Order(say["order_id"])
	if !ok || amount != o.Total() {
		http.Error(w, "not the amount of the order", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "SUCCESS")
}
