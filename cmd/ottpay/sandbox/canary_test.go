package sandbox_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestCanary looks for secrets in everything that the sandbox says and keeps.
func TestCanary(t *testing.T) {
	t.Parallel()
	const (
		keyOne  = "CANARY0KEY0ONE00"
		keyTwo  = "CANARY0KEY0TWO00"
		keyNew  = "CANARY0KEY0NEW00"
		bearer  = "canary-bearer-token"
		cookie  = "canary-cookie-value"
		merCode = "CANARYMERCODE000"
	)
	state := filepath.Join(t.TempDir(), "state.ndjson")
	b := newBox(t, func(c *ottpaytest.Config, s *sandbox.Config) {
		c.SignKey, c.Merchants, c.StateFile = keyOne, map[string][]string{merchantID: {keyTwo}}, state
		c.Redelivery = []time.Duration{}
		s.Keys = []sandbox.SignKey{
			{Merchant: merchantID, From: "OTTPAY_SIGN_KEY", Text: func() string { return keyOne }},
			{Merchant: merchantID, From: "OTTPAY_SIGN_KEY_2", Text: func() string { return keyTwo }},
		}
	})
	secrets := []string{keyOne, keyTwo, keyNew, bearer, cookie, merCode, "this-is-a-secret"}
	seen := 0
	look := func(what string, text []byte) {
		t.Helper()
		seen++
		for _, secret := range secrets {
			for _, spelled := range []string{secret, strings.ToLower(secret), url.QueryEscape(secret)} {
				if bytes.Contains(text, []byte(spelled)) {
					t.Errorf("%s holds %s", what, secret)
				}
			}
		}
	}
	ask := func(method, path, body string, headers ...string) (int, []byte) {
		t.Helper()
		w := b.do(method, path, body, append([]string{"Authorization", "Bearer " + bearer, "Cookie", "session=" + cookie}, headers...)...)
		text, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		var head bytes.Buffer
		_ = w.Header.Write(&head)
		look(method+" "+path, append(text, head.Bytes()...))
		return w.StatusCode, text
	}
	s := newShop(t, 503)
	post := func(path, body string) { ask("POST", path, body, "Content-Type", "application/json") }

	// Requests, good and bad, with secrets where they do not belong.
	post("/-/api/v1/merchants", `{"merchant_id":"TS00000009","sign_key":"`+keyNew+`"}`)
	for i := range 3 {
		post("/-/api/v1/orders/"+merchantID, strings.ReplaceAll(jsonText(h5(fmt.Sprint("A", i), s.URL)), "tea", ""))
	}
	post("/-/api/v1/orders/"+merchantID, `{"action":"inAppPay","data":{"userId":"wx1","amount":"100","bizType":"WECHATPAY","merchant_id":"TS00000001","operator_id":"0000000001","call_back_url":"`+s.URL+`","order_id":"I1"}}`)
	post("/processV2?merCode="+merCode, `{"action":"H5PAY"`)
	post("/x/inAppPay?merCode="+merCode, `{}`)
	if _, err := b.g.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultWrongKey}); err != nil {
		t.Fatal(err)
	}
	post("/-/api/v1/orders/"+merchantID, jsonText(h5("A9", s.URL)))
	for i := range 3 {
		post(fmt.Sprint("/-/api/v1/orders/", merchantID, "/A", i, "/pay"), `{"extra":{"remarks":"hello"}}`)
	}
	b.call("GET", "/wait?for=quiet&timeout=10s", nil, 200)
	for _, f := range ottpaytest.Faults() {
		if f.Direction == ottpaytest.ToShop && f.Alone && f.Name != "stall" && f.Name != "trickle" {
			post("/-/api/v1/orders/"+merchantID+"/A1/redeliver", `{"fault":"`+f.Name+`"}`)
		}
	}
	post("/-/api/v1/orders/"+merchantID+"/A1/refund", `{"amount_cents":1}`)
	post("/-/api/v1/seal", `{"merchant":"TS00000001","data":{"a":"b"},"as":"callback"}`)
	post("/-/api/v1/open", `{"merchant":"TS00000001","data":"AAAAAAAAAAAAAAAAAAAAAA==","md5":"00000000000000000000000000000000"}`)
	for _, body := range s.bodies {
		post("/-/api/v1/explain", jsonText(map[string]string{"input": body}))
		ask("POST", "/explain", url.Values{"input": {body}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}

	// Everything that can be read.
	for _, path := range []string{
		"/info", "/merchants", "/merchants/TS00000009", "/orders", "/orders/TS00000001/A0", "/orders/TS00000001/I1", "/deliveries?limit=1000",
		"/events", "/faults", "/faults/catalogue", "/clock", "/config", "/record", "/openapi.json", "/wait?for=paid", "/wait?for=refused&order=none&timeout=1ms",
	} {
		ask("GET", "/-/api/v1"+path, "")
	}
	for _, path := range []string{
		"/", "/new", "/orders/TS00000001/A0", "/orders/TS00000001/A1", "/orders/TS00000001/I1", "/deliveries", "/faults", "/explain", "/settings",
		"/pay/TS00000001/A0", "/mini/TS00000001/I1", "/mini", "/settings/record", "/nothing",
	} {
		ask("GET", path, "")
	}
	messages := 0
	for seq := range b.g.Seq() {
		if status, _ := ask("GET", fmt.Sprint("/-/api/v1/messages/", seq+1), ""); status == http.StatusOK {
			messages++
			if status, _ := ask("GET", fmt.Sprint("/messages/", seq+1), ""); status != http.StatusOK {
				t.Errorf("page of message %d: status %d", seq+1, status)
			}
		}
	}
	if messages < 40 {
		t.Errorf("%d messages", messages)
	}
	for _, e := range b.g.Orders() {
		look("order", fmt.Appendf(nil, "%+v %#v", e, e))
	}
	b.g.Close()
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	look("the state file", text)
	t.Logf("looked at %d answers and files, %d messages among them", seen, messages)
}
