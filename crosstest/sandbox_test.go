package crosstest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	oapi "github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// conformant calls the sandbox's API and holds each call against
// openapi/sandbox.yaml, the request as well as the answer.
type conformant struct {
	t      *testing.T
	server *httptest.Server
	router oapi.Router
	called map[string]bool // operations that were answered with 2xx
}

func newConformant(t *testing.T) *conformant {
	t.Helper()
	g, err := ottpaytest.New(ottpaytest.Config{
		MerchantID: faultShop, SignKey: faultKey, Clock: ottpaytest.NewClock(),
		Redelivery: []time.Duration{10 * time.Millisecond}, Callbacks: sandbox.Callbacks(sandbox.CallbackConfig{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	h, err := sandbox.Handler(g, sandbox.Config{Version: "v0.0.0-test", Label: "test", Keys: []sandbox.SignKey{{Merchant: faultShop, Text: func() string { return faultKey }}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &conformant{t: t, server: httptest.NewServer(h), called: make(map[string]bool)}
	t.Cleanup(c.server.Close)
	text, err := os.ReadFile("../openapi/sandbox.yaml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	document.Servers = openapi3.Servers{{URL: c.server.URL + "/-/api/v1"}}
	if c.router, err = legacy.NewRouter(document); err != nil {
		t.Fatal(err)
	}
	return c
}

// call makes a call that is to be answered with a status, and returns the
// answer decoded, or as text if it is no JSON. A request that breaks the
// document on purpose is not held against it.
func (c *conformant) call(method, path string, body any, status int, headers ...string) any {
	c.t.Helper()
	var text []byte
	switch body := body.(type) {
	case nil:
	case string:
		text = []byte(body)
	default:
		var err error
		if text, err = json.Marshal(body); err != nil {
			c.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+"/-/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	if len(text) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.RegisteredBodyDecoder("text/plain"))
	options := &openapi3filter.Options{IncludeResponseStatus: true}
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	if status < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			c.t.Errorf("%s %s: the request: %v", method, path, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if w.StatusCode != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.StatusCode, status, answer)
	}
	kind := w.Header.Get("Content-Type")
	output := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: w.StatusCode, Header: w.Header, Options: options,
	}
	if status != http.StatusNoContent {
		output.SetBodyBytes(answer)
	}
	if err := openapi3filter.ValidateResponse(context.Background(), output); err != nil {
		c.t.Errorf("%s %s: the answer: %v\n%.500s", method, path, err, answer)
	}
	if status < 300 {
		c.called[route.Operation.OperationID] = true
	}
	if !strings.Contains(kind, "json") || strings.Contains(kind, "ndjson") {
		return string(answer)
	}
	var out any
	if err := json.Unmarshal(answer, &out); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// TestSandboxConforms makes every call of the document, and those that fail in
// every way that it names.
func TestSandboxConforms(t *testing.T) {
	t.Parallel()
	c := newConformant(t)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "SUCCESS") }))
	t.Cleanup(shop.Close)
	order := func(id string) map[string]any {
		return map[string]any{"action": "H5PAY", "data": map[string]any{
			"order_id": id, "amount": "1999", "currency_type": "CAD", "biz_type": "WECHATPAY", "operator_id": "0000000001",
			"submit_type": "form", "call_back_url": shop.URL,
		}}
	}
	m, _ := c.call("POST", "/merchants", map[string]any{"currency": "CAD", "fee_cents": 5}, 201).(map[string]any)
	id, _ := m["merchant_id"].(string)
	at := "/orders/" + id
	c.call("GET", "/openapi.json", nil, 200)
	c.call("GET", "/merchants", nil, 200)
	c.call("GET", "/merchants/"+id, nil, 200)
	c.call("PATCH", "/merchants/"+id, map[string]any{"fee_cents": 10}, 200)
	made, _ := c.call("POST", at, order("A1"), 201).(map[string]any)
	c.call("POST", at, map[string]any{"action": "STATUS_QUERY", "data": map[string]any{"order_id": "A1"}}, 200)
	c.call("POST", at, map[string]any{"action": "EX_RATE_QUERY", "data": map[string]any{"fee_type": "CAD"}}, 200)
	c.call("POST", at+"/A1/pay", map[string]any{"tip_cents": 100, "extra": map[string]any{"remarks": "tea"}}, 200, "Prefer", "wait=5")
	c.call("POST", at+"/A1/refund", map[string]any{"amount_cents": 100}, 200)
	c.call("POST", at+"/A1/redeliver", map[string]any{"fault": "blocks", "times": 2}, 200)
	c.call("POST", at+"/A1/replay", map[string]any{}, 200)
	c.call("POST", at, order("A2"), 201)
	c.call("POST", at+"/A2/decline", nil, 200)
	c.call("POST", at, order("A3"), 201)
	c.call("POST", at+"/A3/expire", nil, 200)
	c.call("POST", at, map[string]any{"action": "CC_PREAUTH", "data": map[string]any{
		"orderId": "CA1", "merchant_id": id, "txnTime": "20250101000000", "txnAmt": "900", "frontUrl": "https://shop.example/", "backUrl": shop.URL,
		"channelType": "UPAYONLINE", "bizType": "securePay", "cc_channelType": "web",
	}}, 201)
	c.call("POST", at+"/CA1/pay", nil, 200, "Prefer", "wait=5")
	c.call("POST", at+"/CA1/capture", nil, 200, "Prefer", "wait=5")
	c.call("GET", "/orders?merchant="+id+"&limit=2", nil, 200)
	c.call("GET", "/orders?q=a1&unacknowledged=false&status=success", nil, 200)
	c.call("GET", at+"/A1", nil, 200)
	c.call("GET", "/deliveries?merchant="+id+"&outcome=acknowledged", nil, 200)
	c.call("GET", "/messages/"+jsonNumber(made["message"]), nil, 200)
	log, _ := c.call("GET", "/events?merchant="+id, nil, 200).(string)
	c.call("GET", "/wait?for=paid&merchant="+id+"&order=A1", nil, 200)
	c.call("GET", "/wait?for=quiet&merchant="+id, nil, 200)
	c.call("GET", "/faults/catalogue", nil, 200)
	f, _ := c.call("POST", "/faults", map[string]any{"name": "callback:cut", "merchant": id, "at_byte": 7, "times": 2, "chance": 0.5}, 201).(map[string]any)
	c.call("POST", "/faults", map[string]any{"name": "html", "direction": "answer", "status": 503, "delay": "1s", "before": true, "order": "never"}, 201)
	c.call("GET", "/faults", nil, 200)
	c.call("DELETE", "/faults/"+jsonNumber(f["id"]), nil, 204)
	c.call("DELETE", "/faults", nil, 204)
	c.call("GET", "/clock", nil, 200)
	c.call("POST", "/clock", map[string]any{"advance": "15m", "manual": true}, 200)
	c.call("POST", "/clock", map[string]any{"manual": false}, 200)
	c.call("GET", "/config", nil, 200)
	c.call("PATCH", "/config", map[string]any{"redelivery": []string{"1s"}, "quirks": []string{"numbers"}, "lenient": true, "reuse": true, "rates": map[string]any{"USD": "5.2", "CAD": nil}, "fee_cents": 3}, 200)
	sealed, _ := c.call("POST", "/seal", map[string]any{"merchant": id, "as": "callback", "data": map[string]any{"order_id": "A1"}}, 200).(map[string]any)
	c.call("POST", "/open", map[string]any{"envelope": sealed["envelope"]}, 200)
	envelope, _ := json.Marshal(sealed["envelope"])
	c.call("POST", "/explain", map[string]any{"input": string(envelope)}, 200)
	record, _ := c.call("GET", "/record", nil, 200).(string)
	c.call("PUT", "/record", record, 204, "Content-Type", "application/x-ndjson")
	c.call("GET", "/info", nil, 200)

	for _, e := range []struct {
		method, path string
		body         any
		status       int
		code         string
	}{
		{"POST", at, order("A1")["data"], 400, "json"},
		{"POST", at, `{"action":"H5PAY"}`, 400, "request"},
		{"GET", "/events?type=x", nil, 400, "parameter"},
		{"GET", "/orders/unknown/A1", nil, 404, "no-merchant"},
		{"GET", at + "/none", nil, 404, "no-order"},
		{"GET", "/messages/999999", nil, 404, "no-message"},
		{"GET", "/wait?for=paid&order=none&merchant=" + id + "&timeout=1ms", nil, 408, "timeout"},
		{"POST", at + "/A2/pay", `{}`, 409, "state"},
		{"POST", at, `{"action":"H5PAY","data":{"order_id":"A9"}}`, 422, "document"},
		{"POST", "/faults", `{"name":"dorp"}`, 422, "no-fault"},
		{"POST", "/open", map[string]any{"merchant": id, "data": "AAAA", "md5": "x"}, 422, "not-authentic"},
		{"POST", "/open", `{"envelope":{"data":1}}`, 422, "malformed"},
		{"PUT", "/record", "no record", 422, "record"},
		{"POST", at + "/A1/refund", `{"amount_cents":0}`, 422, "value"},
	} {
		p, _ := c.call(e.method, e.path, e.body, e.status).(map[string]any)
		if p["code"] != e.code {
			t.Errorf("%s %s: %v, want %s", e.method, e.path, p, e.code)
		}
	}
	c.call("POST", "/reset?merchant="+id, nil, 204)
	c.call("DELETE", "/merchants/"+id, nil, 204)

	// Each line of the log is an event of the document.
	schema := c.schema("Event")
	for line := range strings.Lines(log) {
		var event any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(event); err != nil {
			t.Errorf("%s%v", line, err)
		}
	}
	for _, operation := range c.operations() {
		if !c.called[operation] {
			t.Errorf("%s was not called", operation)
		}
	}
}

func (c *conformant) document() *openapi3.T {
	text, err := os.ReadFile("../openapi/sandbox.yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		c.t.Fatal(err)
	}
	return document
}

func (c *conformant) schema(name string) *openapi3.Schema {
	return c.document().Components.Schemas[name].Value
}

func (c *conformant) operations() (all []string) {
	for _, path := range c.document().Paths.Map() {
		for _, operation := range path.Operations() {
			all = append(all, operation.OperationID)
		}
	}
	slices.Sort(all)
	return all
}

func jsonNumber(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
