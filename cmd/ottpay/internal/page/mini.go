package page

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// The mini-program view plays WeChat's part: it shows what wx.requestPayment was
// called with, and says ok, cancel or fail.

func miniPath(o ottpaytest.Order) string {
	return "/mini/" + url.PathEscape(o.MerchantID) + "/" + url.PathEscape(o.ID)
}

// parameter is one argument of wx.requestPayment.
type parameter struct {
	Name   string
	Source string // its name in payInfo
	Got    string
	Note   string // what is wrong with it; "" if nothing is
}

// parameters are what wx.requestPayment takes, and where payInfo has it.
var parameters = []struct{ name, source string }{
	{"appId", "appId"},
	{"timeStamp", "timeStamp"},
	{"nonceStr", "nonceStr"},
	{"package", "packageStr"},
	{"signType", "signType"},
	{"paySign", "paySign"},
}

type miniView struct {
	shell
	Order    ottpaytest.Order
	Received []pairText  // payInfo of the answer
	Needed   []parameter // what was passed, judged
	Passed   string      // what the form says was passed
	Given    bool        // the mini-program passed it; it is not made of payInfo
	Wrong    int
	Said     string // requestPayment:…, after a decision
	Return   string // where a preview of the mini-program waits for it
	Unread   string // why the passed text could not be read
}

// mini shows WeChat's payment window for an order of MAPPPAY.
func (p *page) mini(r *request) error {
	o, ok := p.Gateway.Merchant(r.PathValue("merchant")).Order(r.PathValue("id"))
	if !ok {
		return problem{http.StatusNotFound, "There is no such order.", ""}
	}
	return p.showMini(r, o, r.FormValue("said"))
}

func (p *page) showMini(r *request, o ottpaytest.Order, said string) error {
	v := miniView{
		shell: p.shell(r, "", "Mini-program, order "+o.ID), Order: o,
		Passed: r.FormValue("params"), Return: webURL(r.FormValue("return_url")),
	}
	v.Class, v.Poll = "payer two", o.Open()
	if slices.Contains(saids, said) {
		v.Said = said
	}
	received := p.payInfo(o)
	for _, m := range received {
		v.Received = append(v.Received, pairText{m.name, m.text()})
	}
	passed := needed(received)
	if v.Passed != "" {
		v.Given = true
		var err error
		if passed, err = objectMembers([]byte(v.Passed)); err != nil {
			v.Unread = "That is no JSON object. Paste JSON.stringify of what wx.requestPayment is called with."
		}
	}
	v.Needed = judged(passed, received)
	for _, n := range v.Needed {
		if n.Note != "" {
			v.Wrong++
		}
	}
	return p.render(r, "mini", v)
}

// saids are the words of wx.requestPayment.
var saids = []string{"requestPayment:ok", "requestPayment:fail cancel", "requestPayment:fail no permission"}

// decideMini does what the button says. Only ok takes effect at the gateway.
func (p *page) decideMini(r *request) error {
	m, id := p.Gateway.Merchant(r.PathValue("merchant")), r.PathValue("id")
	o, ok := m.Order(id)
	if !ok {
		return problem{http.StatusNotFound, "There is no such order.", ""}
	}
	said := ""
	switch r.PostFormValue("do") {
	case "ok":
		if err := m.By("payer").Pay(id, ottpaytest.Payment{}); err != nil {
			return err
		}
		said = saids[0]
	case "cancel":
		said = saids[1]
	case "fail":
		said = saids[2]
	default:
		return problem{http.StatusBadRequest, "do=ok, do=cancel or do=fail", ""}
	}
	query := url.Values{"said": {said}}
	if passed := r.PostFormValue("params"); passed != "" {
		query.Set("params", passed)
	}
	if back := webURL(r.PostFormValue("return_url")); back != "" {
		u, err := url.Parse(back)
		if err != nil {
			return problem{http.StatusBadRequest, "return_url is no URL", ""}
		}
		q := u.Query()
		q.Set("errMsg", said)
		u.RawQuery = q.Encode()
		http.Redirect(r.w, r.Request, u.String(), http.StatusSeeOther)
		return nil
	}
	return p.see(r, miniPath(o)+"?"+query.Encode())
}

// findMini finds the order of a prepay_id, for a preview that knows nothing but
// what the page passed to wx.requestPayment.
func (p *page) findMini(r *request) error {
	var passed struct {
		Package string `json:"package"`
	}
	_ = json.Unmarshal([]byte(r.FormValue("params")), &passed) // without one, there is no such order
	for _, o := range slices.Backward(p.Gateway.Orders()) {
		if o.Action != api.ActionMAPPPAY || passed.Package == "" {
			continue
		}
		for _, m := range p.payInfo(o) {
			if m.name == "packageStr" && m.text() == passed.Package {
				return p.see(r, miniPath(o)+"?"+r.URL.RawQuery)
			}
		}
	}
	return problem{http.StatusNotFound, "There is no order with this prepay_id.", ""}
}

// payInfo returns the members of the payInfo with which an order was answered.
func (p *page) payInfo(o ottpaytest.Order) []member {
	for _, e := range p.Gateway.Merchant(o.MerchantID).Events(o.ID) {
		if e.Type != ottpaytest.EventRequestReceived || e.Action != api.ActionMAPPPAY {
			continue
		}
		m, ok := p.Gateway.Message(e.Message)
		if !ok {
			continue
		}
		answer, err := objectMembers(m.AnswerPlaintext)
		if err != nil {
			continue
		}
		for _, a := range answer {
			if strings.EqualFold(a.name, "payInfo") {
				inner, err := objectMembers([]byte(a.text()))
				if err == nil {
					return inner
				}
			}
		}
	}
	return nil
}

// needed is what a mini-program should pass, made of payInfo.
func needed(received []member) []member {
	var out []member
	for _, want := range parameters {
		for _, m := range received {
			if m.name == want.source {
				m.name = want.name
				out = append(out, m)
			}
		}
	}
	return out
}

// judged compares what was passed with what is needed. appId is WeChat's own
// affair in a mini-program, so it may be absent.
func judged(passed, received []member) []parameter {
	find := func(in []member, name string) (member, bool) {
		i := slices.IndexFunc(in, func(m member) bool { return m.name == name })
		if i < 0 {
			return member{}, false
		}
		return in[i], true
	}
	var out []parameter
	for _, want := range parameters {
		n := parameter{Name: want.name, Source: want.source}
		got, ok := find(passed, want.name)
		right, known := find(received, want.source)
		switch {
		case !ok && want.name == "appId":
			n.Got = "—"
		case !ok:
			n.Note = "missing"
			if _, misnamed := find(passed, want.source); misnamed {
				n.Note = "missing: payInfo’s " + want.source + " goes here under this name"
			}
		default:
			n.Got = string(got.raw)
			if got.kind() == "string" {
				n.Got = `"` + got.text() + `"` // without JSON's escapes
			}
			switch {
			case got.kind() != "string":
				n.Note = "a " + got.kind() + ": WeChat takes a string only"
			case known && got.text() != right.text():
				n.Note = "not what the gateway answered, so paySign does not fit"
			}
		}
		out = append(out, n)
	}
	for _, m := range passed {
		if !slices.ContainsFunc(parameters, func(w struct{ name, source string }) bool { return w.name == m.name }) {
			n := parameter{Name: m.name, Got: string(m.raw)}
			if m.name == "packageStr" {
				n.Note = "WeChat does not know this name: it is package"
			}
			out = append(out, n)
		}
	}
	return out
}

// compact writes JSON without blanks between its parts.
func compact(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}
