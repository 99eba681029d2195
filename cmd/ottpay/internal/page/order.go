package page

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

type orderView struct {
	shell
	Order    ottpaytest.Order
	Side     []ottpaytest.Order // the newest orders, for the list beside
	Left     field.Cents        // what can still be refunded
	Steps    []step
	Next     time.Time // of the next callback; zero if none is due
	Why      string    // why there is no callback
	Refunds  []ottpaytest.Order
	Tampers  []faultGroup
	Snippets []snippet
	Methods  []string
	Payer    string // the payer's page
	Mini     string // the mini-program's page; "" if it is not one's order
	Can      can
}

// can is what the order's state allows.
type can struct{ Pay, Capture, Refund, Deliver bool }

const sideOrders = 30

// order is one order with everything that happened to it.
func (p *page) order(r *request) error {
	merchant, id := r.PathValue("merchant"), r.PathValue("id")
	m := p.Gateway.Merchant(merchant)
	o, ok := m.Order(id)
	if !ok {
		return problem{http.StatusNotFound, "There is no order " + id + ".", ""}
	}
	v := orderView{
		shell: p.shell(r, "/", "Order "+id), Order: o,
		Methods: methods, Payer: payPath(o),
	}
	v.Side, _ = p.Gateway.List(ottpaytest.Query{Limit: sideOrders})
	v.Refunds, _ = p.Gateway.List(ottpaytest.Query{Merchant: merchant, Original: id})
	slices.Reverse(v.Refunds)
	v.Left = o.Total() - o.Refunded
	v.Can = can{
		Pay:     o.Open(),
		Capture: o.Status == api.StatusAuthfinish,
		Refund:  v.Left > 0 && o.Effect != api.EffectRefund && (o.Status.Paid() || o.Status.Refunded()) && !o.Checkout(),
		Deliver: !o.Finished.IsZero() && o.CallbackURL != "" && o.Effect != api.EffectRefund,
	}
	if o.Action == api.ActionMAPPPAY {
		v.Mini = miniPath(o)
	}
	events := m.Events(id)
	for _, refund := range v.Refunds {
		events = append(events, m.Events(refund.ID)...)
	}
	v.Steps = steps(events, o)
	v.Next = o.Callbacks.Due
	v.Why = noCallback(o)
	v.Tampers = grouped(tampering())
	v.Snippets = p.snippets(r, o)
	return p.render(r, "order", v)
}

// noCallback says why an order has none.
func noCallback(o ottpaytest.Order) string {
	switch {
	case o.Callbacks.Tries > 0 || o.Callbacks.Blocked:
		return ""
	case o.Effect == api.EffectRefund:
		return "No callback: the vendor is not known to call back for a refund."
	case o.CallbackURL == "":
		return "No callback: the request named no call_back_url."
	case o.Open():
		return "No callback yet: the payer has not paid."
	case o.Status.Final():
		return "No callback: the order ended without a payment."
	}
	return ""
}

// methods are what a payer chooses at a checkout.
var methods = []string{"WECHATPAY", "ALIPAY", "UNIONPAY", "GP"}

// act does to an order what a button says.
func (p *page) act(r *request) error {
	merchant, id := r.PathValue("merchant"), r.PathValue("id")
	m := p.Gateway.Merchant(merchant)
	if _, ok := m.Order(id); !ok {
		return problem{http.StatusNotFound, "There is no order " + id + ".", ""}
	}
	after := p.Gateway.Seq()
	anchor := ""
	switch do := r.PathValue("do"); do {
	case "pay":
		payment, err := paymentOf(r)
		if err != nil {
			return err
		}
		if err := m.Pay(id, payment); err != nil {
			return err
		}
		p.settle(r.Context(), merchant, id, after)
	case "decline":
		if err := m.Decline(id); err != nil {
			return err
		}
	case "expire":
		if err := m.Expire(id); err != nil {
			return err
		}
	case "capture":
		if err := m.Capture(id); err != nil {
			return err
		}
		p.settle(r.Context(), merchant, id, after)
	case "refund":
		amount, err := field.ParseDecimal(r.PostFormValue("amount"))
		if err != nil {
			return problem{http.StatusUnprocessableEntity, "The amount is not one: write 19.99.", ""}
		}
		if _, err := m.Refund(id, amount); err != nil {
			return err
		}
	case "redeliver", "replay", "tamper":
		d, err := p.deliver(m, id, do, ottpaytest.CallbackFault(r.PostFormValue("fault")))
		if err != nil {
			return err
		}
		anchor = "#m" + strconv.FormatUint(d.Seq, 10)
	default:
		return problem{http.StatusNotFound, "An order has no " + do + ".", ""}
	}
	return p.see(r, orderPath(merchant, id)+anchor)
}

func (p *page) deliver(m ottpaytest.Merchant, id, do string, fault ottpaytest.CallbackFault) (ottpaytest.Delivery, error) {
	switch do {
	case "redeliver":
		return m.Redeliver(id)
	case "replay":
		return m.Replay(id)
	}
	if _, ok := ottpaytest.LookupFault("callback:" + string(fault)); !ok {
		return ottpaytest.Delivery{}, problem{http.StatusUnprocessableEntity, "There is no such fault.", ""}
	}
	return m.Tamper(id, fault)
}

// paymentOf reads how the payer pays.
func paymentOf(r *request) (ottpaytest.Payment, error) {
	pay := ottpaytest.Payment{Method: r.PostFormValue("method"), Silent: r.PostFormValue("silent") != ""}
	if text := r.PostFormValue("tip"); text != "" {
		tip, err := field.ParseDecimal(text)
		if err != nil {
			return pay, problem{http.StatusUnprocessableEntity, "The tip is not an amount: write 1.50.", ""}
		}
		pay.Tip = tip
	}
	extra, err := lines(r.PostFormValue("extra"))
	if err != nil {
		return pay, err
	}
	for name, value := range extra {
		if pay.Extra == nil {
			pay.Extra = make(map[string]any)
		}
		pay.Extra[name] = value
	}
	return pay, nil
}

// patience is how long a form waits for the shop's answer before it shows the
// order. Without JavaScript the page would not tell of it afterwards.
const patience = 400 * time.Millisecond

// settle waits until a callback of the order was answered, for a moment.
func (p *page) settle(ctx context.Context, merchant, id string, after uint64) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed := p.Gateway.Changed()
		o, ok := p.Gateway.Merchant(merchant).Order(id)
		if ok && o.PaymentID != "" {
			o, ok = p.Gateway.Merchant(merchant).Order(o.PaymentID)
		}
		if !ok || o.CallbackURL == "" || answered(p.Gateway, o, after) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func answered(g *ottpaytest.Gateway, o ottpaytest.Order, after uint64) bool {
	events, _ := g.Events(after)
	return slices.ContainsFunc(events, func(e ottpaytest.Event) bool {
		if e.Merchant != o.MerchantID || e.Order != o.ID {
			return false
		}
		switch e.Type {
		case ottpaytest.EventDeliveryAnswered, ottpaytest.EventDeliveryFailed, ottpaytest.EventDeliveryBlocked:
			return true
		}
		return false
	})
}
