package crosstest

import (
	"encoding/json"
	"errors"
	"log"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/journal"
	"github.com/ottpaykit/ottpay/links"
	"github.com/ottpaykit/ottpay/middleware"
)

// links are built, and are not.
func (w *watch) links(t *testing.T) {
	link := links.Order{MerCode: merCode, OrderID: finch, OperatorID: "0000000001", Amount: 100}
	for _, page := range []interface {
		URL() (string, error)
		Values() (url.Values, error)
	}{
		links.WebPay{Order: link, ReturnURL: canary, NotifyURL: canary, SubmitType: "scan", Remarks: canary},
		links.WebPay{Order: link, ReturnURL: "https://a.example/" + canary, NotifyURL: "https://a.example/?token=" + canary, SubmitType: canary, Remarks: canary},
		links.WapPay{Order: link, ReturnURL: "ftp://" + canary, NotifyURL: "http://user:" + canary + "@a.example"},
		links.WeChat{Order: link, ReturnURL: "https://%zz" + canary},
		links.WeChat{Order: links.Order{MerCode: canary}},
		links.WeChat{Order: links.Order{MerCode: merCode, OperatorID: canary}},
		links.WeChat{Order: links.Order{MerCode: merCode, OperatorID: "0000000001", OrderID: " " + canary}},
	} {
		_, err := page.URL()
		if err == nil {
			t.Errorf("%T: no error", page)
		}
		w.failure("URL", err)
		_, err = page.Values()
		w.failure("Values", err)
	}
	w.value("Link", link)
	for _, text := range []string{canary, "ftp://" + canary, "https://a.example/%zz" + canary, "https://a.example/?" + canary + "=%zz", "https://a.example/?redirect_url=" + canary} {
		_, err := links.H5(&api.H5PayResponse{PayInfo: text}, "https://shop.example/"+canary)
		w.failure("H5Link", err)
		_, err = links.H5(&api.H5PayResponse{PayInfo: "https://a.example/"}, text)
		w.failure("H5Link", err)
		if u, err := url.Parse(text); err == nil {
			_, err = links.ParseReturn(u)
			w.failure("ParseReturn", err)
		}
		_, err = ottpay.RequestPayment(&api.MiniProgramPayResponse{PayInfo: field.JSONString(text)})
		w.failure("RequestPayment", err)
	}
}

// adapters carry the same callbacks.
func (w *watch) adapters(t *testing.T) {
	for _, r := range routers {
		for _, typed := range []bool{false, true} {
			for _, act := range []string{"returns", "returns an error", "returns the framework's error", "writes 500 without a body", "panics", "aborts"} {
				if !r.can(act, typed) {
					continue
				}
				webhook, err := newHook(w.hookConfig(dedupe.NewMemory(dedupe.MemoryConfig{})))
				if err != nil {
					t.Fatal(err)
				}
				server := httptest.NewUnstartedServer(r.routes(webhook, newShop(t, act), mount{typed: typed}))
				server.Config.ErrorLog = log.New(w.spy, "", 0)
				server.Start()
				n := w.notification(t)
				for _, body := range []string{
					w.seal(t, w.key, "SUCCESS", n), w.seal(t, w.key, "SUCCESS", n), w.seal(t, w.key, "SUCCESS", with(n, "amount", "4711")),
					w.seal(t, w.key, "SUCCESS", with(n, "remarks", 1)), w.seal(t, mustKey(t, canary), "SUCCESS", n), canary, `{"` + canary,
				} {
					w.public(r.name, answer(t, server, request("POST", path+"?token="+canary, "Cookie: a="+canary+"\r\n", []byte(body))))
				}
				server.Close()
			}
		}
	}
}

// values are those that a shop may print by mistake.
func (w *watch) values(t *testing.T) {
	for _, name := range api.Schemas() {
		v, err := api.New(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(object(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.value(name, v)
		// slog's JSON of a slice is the wire's JSON, by design.
		w.formats("a slice of "+name, reflect.Append(reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v).Elem()), 0, 1), reflect.ValueOf(v).Elem()).Interface())
	}
	sealed, err := w.key.Seal([]byte(`{"remarks":"` + canary + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := w.key.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	w.cages[strings.ToLower(sealed.Data[:20])], w.cages[strings.ToLower(sealed.MD5)] = true, true
	w.value("Sealed", sealed)
	w.value("Payload", payload)
	w.value("envelope.Request", envelope.Request{Action: "H5PAY", Sealed: sealed})
	w.value("envelope.Response", envelope.Response{Code: "SUCCESS", Message: "x", Sealed: sealed})
	w.value("Delivery", &middleware.Delivery{Payload: payload, OrderID: finch, Unverified: middleware.Unverified{Message: canary}, Notification: &api.Notification{Remarks: canary}})
	w.value("InAppPayRequest", ottpay.InAppPayRequest{CallBackURL: "https://shop.example/?token=" + canary})
	link := links.Order{MerCode: merCode}
	w.value("WebPay", links.WebPay{Order: link, ReturnURL: canary, NotifyURL: canary, Remarks: canary})
	w.value("WapPay", links.WapPay{Order: link, ReturnURL: canary, NotifyURL: canary})
	w.value("WeChatLink", links.WeChat{Order: link, ReturnURL: canary})
	w.value("Entry", journal.Entry{Body: []byte(`{"data":"` + sealed.Data + `","md5":"` + sealed.MD5 + `"}`)})
	w.value("Error", &ottpay.Error{Action: api.ActionREFUND, OrderID: finch, Message: canary, Code: canary, Err: errors.New(canary)})
}
