package ottpaytest_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestLenient sends what integrations were seen to send, to a gateway that
// takes it and to one that does not.
func TestLenient(t *testing.T) {
	t.Parallel()
	lenient := newGateway(t, func(c *ottpaytest.Config) { c.Lenient = true })
	strict := newGateway(t)
	mapp, h5, passive := request(t, api.ActionMAPPPAY), request(t, api.ActionH5PAY), request(t, api.ActionPASSIVEPAY)
	for name, c := range map[string]struct {
		action  api.Action
		version string
		data    object
		said    []string
		refused string // by a strict one: member and rule
	}{
		"no operator":       {api.ActionH5PAY, "", h5.with("operator_id", nil), []string{"no operator_id"}, "operator_id required"},
		"a tip of nothing":  {api.ActionMAPPPAY, "", mapp.with("tip", "0"), []string{`tip of "0"`}, "tip"},
		"a tip 0":           {api.ActionMAPPPAY, "", mapp.with("tip", 0), []string{"tip is a number", `tip of "0"`}, "tip"},
		"version 1.0":       {api.ActionMAPPPAY, "1.0", mapp, []string{"version 1.0 in place of 1.1"}, "version const"},
		"the page's sample": {api.ActionMAPPPAY, "1.0", mapp.with("appId", mapp["app_id"], "app_id", nil, "open_id", nil), []string{"version 1.0 in place of 1.1", "appId in place of app_id", "no open_id"}, "version const"},
		"amount as number":  {api.ActionH5PAY, "", h5.with("amount", 1250), []string{"amount is a number"}, "amount"},
		"blanks":            {api.ActionH5PAY, "", h5.with("submit_type", " form"), []string{"submit_type has blanks around it"}, "submit_type"},
		"small letters":     {api.ActionH5PAY, "", h5.with("currency_type", "cad"), []string{"currency_type in small letters"}, "currency_type"},
		"null":              {api.ActionH5PAY, "", h5.with("shop_id", json.RawMessage("null")), []string{"shop_id is null"}, "shop_id"},
		"no order id":       {api.ActionPASSIVEPAY, "", passive.with("order_id", nil), []string{"no order_id"}, "order_id required"},
	} {
		if _, has := c.data["order_id"]; has {
			c.data = c.data.with("order_id", "L"+strings.NewReplacer(" ", "", "'", "", ".", "").Replace(name))
		}
		e := seal(t, c.action, c.data)
		if c.version != "" {
			e.Version = c.version
		}
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		r, err := lenient.Client().Post(lenient.URL, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		m, _ := lenient.Message(lastRequest(lenient))
		slices.Sort(m.Lenient)
		slices.Sort(c.said)
		if m.Code != "SUCCESS" || !slices.Equal(m.Lenient, c.said) || r.Header.Get("Ottpay-Sandbox-Lenient") == "" {
			t.Errorf("%s: %s (%s), took %q, header %q", name, m.Code, m.Verdict, m.Lenient, r.Header.Get("Ottpay-Sandbox-Lenient"))
		}
		no := post(t, strict, e)
		if no.Code != "PARAM_ERROR" || !strings.Contains(no.Message, c.refused) {
			t.Errorf("%s: a strict one says %s %s, want %s", name, no.Code, no.Message, c.refused)
		}
	}
	// What decides is never corrected.
	for name, data := range map[string]object{
		"no amount":   h5.with("order_id", "N1", "amount", nil),
		"no callback": h5.with("order_id", "N2", "call_back_url", nil),
		"minus":       h5.with("order_id", "N3", "amount", -5),
		"dollars":     h5.with("order_id", "N4", "amount", "12.50"),
	} {
		if r := post(t, lenient, seal(t, api.ActionH5PAY, data)); r.Code != "PARAM_ERROR" {
			t.Errorf("%s: %s", name, r.Code)
		}
	}
	events, _ := lenient.Events(0)
	if !slices.ContainsFunc(events, func(e ottpaytest.Event) bool { return slices.Equal(e.Lenient, []string{"no operator_id"}) }) {
		t.Error("no event says what was taken")
	}
}

func lastRequest(g *ottpaytest.Gateway) (seq uint64) {
	events, _ := g.Events(0)
	for _, e := range events {
		if e.Type == ottpaytest.EventRequestReceived {
			seq = e.Seq
		}
	}
	return seq
}

// TestLocalCallbacks: a shop in a container has no certificate.
func TestLocalCallbacks(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	h5 := request(t, api.ActionH5PAY)
	for i, c := range []struct {
		url  string
		code api.Code
	}{
		{"http://shop:8080/ottpay", api.CodeSuccess},
		{"http://host.docker.internal:3000/ottpay", api.CodeSuccess},
		{"http://192.168.1.7/ottpay", api.CodeSuccess},
		{"http://shop.test/ottpay", api.CodeSuccess},
		{"http://shop.example/ottpay", api.CodeParamError},
		{"http://8.8.8.8/ottpay", api.CodeParamError},
		{"ftp://shop/ottpay", api.CodeParamError},
		{"http://user@shop/", api.CodeParamError},
		{"http://shop/#a", api.CodeParamError},
	} {
		r := ask(t, g, api.ActionH5PAY, h5.with("order_id", "C"+string(rune('0'+i)), "call_back_url", c.url), c.code)
		if c.code == api.CodeParamError && !strings.Contains(r.Message, "call_back_url") {
			t.Errorf("%s: %s", c.url, r.Message)
		}
	}
	if o, _ := g.Order("C0"); o.CallbackURL != "http://shop:8080/ottpay" {
		t.Errorf("%s", o.CallbackURL)
	}
}

func TestAuthCodes(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for i, c := range ottpaytest.AuthCodes() {
		id := "S" + string(rune('A'+i))
		data := request(t, api.ActionPASSIVEPAY).with("order_id", id, "auth_code", c.Text, "biz_type", c.Wallet)
		r := post(t, g, seal(t, api.ActionPASSIVEPAY, data))
		if r.Code != string(c.Code) {
			t.Errorf("%s %s: %s", c.Wallet, c.Meaning, r.Code)
		}
		o, ok := g.Order(id)
		switch c.Code {
		case api.CodeSuccess:
			if o.Status != api.StatusSuccess {
				t.Errorf("%s: %s", id, o.Status)
			}
		case api.CodeProcessing:
			if o.Status != api.StatusProcessing || g.Pay(id) != nil {
				t.Errorf("%s: %s", id, o.Status)
			}
			ask(t, g, api.ActionSTATUS_QUERY, object{"order_id": id}, api.CodeSuccess)
		default:
			if ok {
				t.Errorf("%s is in the book", id)
			}
		}
		other := map[string]string{"WECHATPAY": "ALIPAY", "ALIPAY": "UNIONPAY", "UNIONPAY": "WECHATPAY"}[c.Wallet]
		if r := post(t, g, seal(t, api.ActionPASSIVEPAY, data.with("order_id", id+"X", "biz_type", other))); r.Code != "AUTH_CODE_INVALID" {
			t.Errorf("%s at %s: %s", c.Text, other, r.Code)
		}
	}
}
