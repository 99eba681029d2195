package page

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const pageOfOrders = 50

type ordersView struct {
	shell
	Rows     []ottpaytest.Order
	Total    int
	Filter   ottpaytest.Query
	Filtered bool
	Statuses []api.OrderStatus
	Actions  []api.Action
	Older    string // the next page, "" if there is none
	Newest   string // the first page, "" on it
	Start    *start // the first steps, where there is no order yet
}

// orders is the list of orders, newest first.
func (p *page) orders(r *request) error {
	f := ottpaytest.Query{
		Merchant: r.FormValue("merchant"), Status: api.OrderStatus(r.FormValue("status")), Action: api.Action(r.FormValue("action")),
		Text: r.FormValue("q"), Unacknowledged: r.FormValue("callbacks") == "unacknowledged", Limit: pageOfOrders,
	}
	f.Before, _ = strconv.ParseUint(r.FormValue("before"), 10, 64) // anything else is the first page
	v := ordersView{shell: p.shell(r, "/", "Orders"), Filter: f}
	v.Rows, v.Total = p.Gateway.List(f)
	v.Q, v.Merchant, v.Class = f.Text, f.Merchant, "list"
	v.Filtered = f.Merchant != "" || f.Status != "" || f.Action != "" || f.Text != "" || f.Unacknowledged
	v.Statuses = []api.OrderStatus{
		api.StatusInit, api.StatusProcessing, api.StatusSuccess, api.StatusAuthfinish, api.StatusCaptured,
		api.StatusPartialRefunded, api.StatusFullyRefunded, api.StatusFailure, api.StatusOrderclosed,
	}
	for _, a := range api.Actions() {
		if a.Kind == api.KindEffect {
			v.Actions = append(v.Actions, a.Name)
		}
	}
	slices.Sort(v.Actions)
	q := r.URL.Query()
	q.Del("before")
	if f.Before != 0 {
		v.Newest = p.Base + "/?" + q.Encode()
	}
	if n := len(v.Rows); n == pageOfOrders {
		older := f
		older.Before, older.Limit = v.Rows[n-1].Seq, 1
		if rest, _ := p.Gateway.List(older); len(rest) > 0 {
			q.Set("before", strconv.FormatUint(older.Before, 10))
			v.Older = p.Base + "/?" + q.Encode()
		}
	}
	if v.Total == 0 && !v.Filtered {
		v.Start = p.start(r)
	}
	return p.render(r, "orders", v)
}

// newOrderView is the form for an order without cryptography.
type newOrderView struct {
	shell
	Merchants []string
	Actions   []api.ActionInfo
	Form      url.Values
	Code      api.Code
	Message   string
}

func (p *page) newOrder(r *request) error {
	return p.showNewOrder(r, http.StatusOK, ottpaytest.Outcome{})
}

func (p *page) showNewOrder(r *request, status int, o ottpaytest.Outcome) error {
	v := newOrderView{
		shell: p.shell(r, "/", "New order"), Merchants: p.Gateway.Merchants(), Actions: creating(),
		Form: r.Form, Code: o.Code, Message: o.Text,
	}
	if v.Form == nil {
		v.Form = make(url.Values)
	}
	for name, text := range map[string]string{"amount": "19.99", "currency": "CAD"} {
		if !v.Form.Has(name) {
			v.Form.Set(name, text)
		}
	}
	r.status = status
	return p.render(r, "new", v)
}

// creating are the actions that make an order that a payer then pays.
func creating() []api.ActionInfo {
	var out []api.ActionInfo
	for _, a := range api.Actions() {
		if a.Kind == api.KindEffect && a.Effect != api.EffectRefund {
			out = append(out, a)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// create makes an order of the form, or the sample.
func (p *page) create(r *request) error {
	merchant, action := r.PostFormValue("merchant"), api.Action(r.PostFormValue("action"))
	sample := r.PostFormValue("sample") != ""
	if sample {
		merchant, action = p.Gateway.Merchants()[0], api.ActionH5PAY
	}
	info, ok := api.LookupAction(string(action))
	if !ok {
		return problem{http.StatusBadRequest, "There is no action " + string(action) + ".", ""}
	}
	asked, err := p.asked(r, merchant, info, sample)
	if err != nil {
		return err
	}
	data, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	m := p.Gateway.Merchant(merchant)
	made, err := m.Submit(r.Context(), ottpaytest.Submission{Action: action, Data: data, Base: p.origin(r) + p.Base})
	if err != nil {
		return err
	}
	if _, ok := m.Order(made.Order); !ok || !taken(string(made.Code)) {
		return p.showNewOrder(r, http.StatusUnprocessableEntity, made)
	}
	return p.see(r, orderPath(merchant, made.Order))
}

// asked are the members of a request for an order: what the form says, and the
// document's examples for what else is required.
func (p *page) asked(r *request, merchant string, info api.ActionInfo, sample bool) (map[string]string, error) {
	schema, ok := api.LookupSchema(info.Request)
	if !ok {
		return nil, problem{http.StatusBadRequest, "The document does not describe the request.", ""}
	}
	text := func(name, otherwise string) string {
		if sample {
			return otherwise
		}
		return strings.TrimSpace(r.PostFormValue(name))
	}
	amount, err := field.ParseDecimal(text("amount", "19.99"))
	if err != nil {
		return nil, problem{http.StatusUnprocessableEntity, "The amount is not one: write 19.99.", ""}
	}
	roles := map[api.Role]string{
		api.RoleMerchant: merchant, api.RoleAmount: amount.String(), api.RoleCurrency: text("currency", "CAD"),
		api.RoleCallbackURL: or(text("callback", ""), p.sampleURL(r)), api.RoleRedirectURL: text("redirect", ""),
	}
	out := make(map[string]string)
	for _, m := range schema.Members {
		value, known := roles[m.Role]
		switch {
		case m.Name == info.OrderMember:
			value = text("id", "SAMPLE"+strconv.FormatUint(p.Gateway.Seq(), 10))
		case !known && m.Required:
			value = example(m)
		}
		if value == "" && m.Required && m.Name != info.OrderMember {
			value = example(m)
		}
		if value != "" {
			out[m.Name] = value
		}
	}
	for line := range strings.Lines(text("extra", "")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok && name != "" {
			return nil, problem{http.StatusUnprocessableEntity, "Further members are lines of name=value.", ""}
		}
		if ok {
			out[name] = value
		}
	}
	return out, nil
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// nearest are orders whose ids look like one that does not exist.
func (p *page) nearest(merchant, id string) []link {
	if id == "" {
		return nil
	}
	var out []link
	for n := len(id); n >= max(2, len(id)/2) && len(out) == 0; n-- {
		found, _ := p.Gateway.List(ottpaytest.Query{Text: id[:n], Limit: 3})
		for _, o := range found {
			out = append(out, link{orderPath(o.MerchantID, o.ID), o.ID})
		}
	}
	return out
}

// example is the document's example of a member, as text.
func example(m api.Member) string {
	if m.Const != "" {
		return m.Const
	}
	return member{raw: []byte(m.Example)}.text()
}
