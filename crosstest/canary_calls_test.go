package crosstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// tap is a base transport that looks at the wire.
type tap struct {
	http.RoundTripper
	*spy
}

func (p tap) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		p.wire(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := p.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failingReader{err}))
		return resp, nil
	}
	p.wire(body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

type failingReader struct{ error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.error }

func (w *watch) config(baseURL string, base http.RoundTripper) ottpay.Config {
	return ottpay.Config{
		MerchantID: finchShop, OperatorID: "0000000001", Keys: w.keys, BaseURL: baseURL,
		Base: tap{base, w.spy}, Observer: w.observer, Logger: w.logger, Attempts: 2, Timeout: 5 * time.Second,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func (w *watch) client(t *testing.T, baseURL string, base http.RoundTripper) *ottpay.Client {
	t.Helper()
	client, err := ottpay.New(w.config(baseURL, base))
	if err != nil {
		t.Fatal(err)
	}
	w.value("client", client)
	return client
}

// shown are the members that logs may name. Every other text of a message
// is a canary, if the schema lets it.
var shown = []string{
	"order_id", "orderId", "bizpay_order_id", "prepay_order_id", "ori_order_id", "refund_id", "merchant_id", "merchant_name", "shop_id", "operator_id",
	"sale_num", "reference", "biz_type", "bizType", "currency_type", "channelType", "cc_channelType", "submit_type", "duration", "txnTime", "fee_type", "time_zone_id", "order_status", "status", "return_code", "rspCode", "rspMsg", "exchange_rate",
	"finish_time", "trade_time", "create_time", "expire_time", "app_id", "appId", "signType", "feeType",
}

// object fills a schema: with a canary wherever it lets one.
func object(t *testing.T, schema string) map[string]any {
	t.Helper()
	described, ok := api.LookupSchema(schema)
	if !ok {
		t.Fatalf("no schema %s", schema)
	}
	o := map[string]any{}
	if err := json.Unmarshal([]byte(described.Example), &o); err != nil {
		t.Fatal(err)
	}
	for _, m := range described.Members {
		bird := canary + m.Name
		switch {
		case slices.Contains(shown, m.Name): // its example
		case m.Rule == "httpsurl":
			o[m.Name] = "https://shop.example/" + bird + "?token=" + bird
		case (m.Kind == api.MemberString || m.Kind == api.MemberText) && m.CheckText(bird) == "":
			o[m.Name] = bird
		}
	}
	o["x_extra"] = canary + "extra"
	return o
}

// request makes the request of an action.
func (w *watch) request(t *testing.T, info api.ActionInfo, order string) any {
	t.Helper()
	o := object(t, info.Request)
	if info.OrderMember != "" {
		o[info.OrderMember] = order
	}
	for _, member := range []string{"merchant_id"} {
		if _, ok := o[member]; ok {
			o[member] = finchShop
		}
	}
	if info.Effect == api.EffectRefund {
		o["ori_order_id"] = order + "P"
	}
	req, err := api.New(info.Request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, req); err != nil {
		t.Fatalf("%s: %v", info.Name, err)
	}
	w.value(info.Request, req)
	return req
}

// call calls an action and looks at what it gives.
func (w *watch) call(ctx context.Context, client *ottpay.Client, info api.ActionInfo, req any) error {
	out := reflect.ValueOf(client).MethodByName(info.Method).Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(req)})
	err, _ := out[1].Interface().(error)
	w.failure(string(info.Name), err)
	if !out[0].IsNil() {
		w.value(info.Response, out[0].Interface())
	}
	return err
}

func (w *watch) configuration(t *testing.T) {
	for _, text := range []string{"", " " + canary, canary + "\n"} {
		_, err := envelope.NewKey(text)
		w.failure("NewKey", err)
	}
	for _, address := range []string{
		"http://user:" + canary + "@gateway.example/?token=" + canary, "://" + canary, "https://" + canary + "%zz", "ftp://" + canary,
		"https://user:" + canary + "@gateway.example/" + canary, "http://127.0.0.1:" + canary, canary,
	} {
		cfg := w.config(address, http.DefaultTransport)
		client, err := ottpay.New(cfg)
		w.failure("New", err)
		if client != nil {
			w.value("client", client)
		}
		cfg = w.config("http://127.0.0.1:1", http.DefaultTransport)
		cfg.Endpoints = map[api.Action]string{api.ActionREFUND: address}
		_, err = ottpay.New(cfg)
		w.failure("New", err)
	}
	cfg := w.config("http://127.0.0.1:1", http.DefaultTransport)
	w.value("ottpay.Config", cfg)
	hook := w.hookConfig(dedupe.NewMemory(dedupe.MemoryConfig{}))
	w.value("middleware.Config", hook)
	hook.Keys = nil
	_, err := ottpay.NewWebhook(hook)
	w.failure("NewWebhook", err)
	w.value("Key", w.key)
	w.value("StaticKeys", w.keys)
	w.value("Transport", &middleware.Transport{Keys: w.keys})
}

// gateway calls every action of the gateway in the box, without a fault and with
// each of them.
func (w *watch) gateway(t *testing.T) {
	g := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: finchShop, SignKey: canaryKey})
	defer g.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := w.client(t, g.URL, base)
	good := 0
	for _, info := range api.Actions() {
		order := w.newOrder()
		switch info.Kind {
		case api.KindQuery: // of an order that there is, where there can be one
			_, err := client.H5Pay(t.Context(), &api.H5PayRequest{OrderID: order, Amount: 1, CurrencyType: "CAD", CallBackURL: "https://shop.example/?token=" + canary})
			w.failure("H5Pay", err)
		default:
			if info.Effect == api.EffectRefund {
				_, err := client.H5Pay(t.Context(), &api.H5PayRequest{OrderID: order + "P", Amount: 1, CurrencyType: "CAD", CallBackURL: "https://shop.example/?token=" + canary})
				w.failure("H5Pay", err)
				w.failure("Pay", g.Merchant(finchShop).Pay(order+"P", ottpaytest.Payment{Silent: true}))
			}
		}
		if w.call(t.Context(), client, info, w.request(t, info, order)) == nil {
			good++
		}
		w.failure("again", w.call(t.Context(), client, info, w.request(t, info, order)))
		for _, fault := range []ottpaytest.FaultKind{
			ottpaytest.FaultDrop, ottpaytest.FaultTruncate, ottpaytest.FaultWrongDigest, ottpaytest.FaultWrongKey, ottpaytest.FaultHTML,
			ottpaytest.FaultRedirect, ottpaytest.FaultEmpty, ottpaytest.FaultNoData, ottpaytest.FaultAnotherOrder, ottpaytest.FaultReflect,
			ottpaytest.FaultHuge, ottpaytest.FaultCode, ottpaytest.FaultProcessing,
		} {
			id, err := g.Arm(ottpaytest.Fault{Kind: fault, Action: info.Name, Times: -1})
			if err != nil {
				t.Fatal(err)
			}
			err = w.call(t.Context(), client, info, w.request(t, info, w.newOrder()))
			g.Disarm(id)
			if err != nil && fault == ottpaytest.FaultTruncate {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				_, err = client.Resolve(ctx, err)
				w.failure("Resolve", err)
				cancel()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.failure("cancelled", w.call(ctx, client, info, w.request(t, info, w.newOrder())))
	}
	if good < 8 {
		t.Errorf("only %d actions succeeded", good)
	}
	h5, _ := api.LookupAction("H5PAY")
	for _, code := range api.Codes() {
		if _, err := g.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultCode, Code: code}); err != nil {
			t.Fatal(err)
		}
		w.call(t.Context(), client, h5, w.request(t, h5, w.newOrder()))
	}
	stranger := client.ForMerchant(finch+"unknown", "1")
	w.failure("no keys", w.call(t.Context(), stranger, h5, w.request(t, h5, w.newOrder())))
	in, err := client.InAppPay(t.Context(), &ottpay.InAppPayRequest{AppID: "wx1", Amount: 1, CallBackURL: "https://shop.example/?token=" + canary, OrderID: w.newOrder()})
	w.failure("InAppPay", err)
	w.value("InAppPayResponse", in)
	_, err = client.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: w.newOrder(), OrderID: w.newOrder(), Amount: 1})
	w.failure("RefundOnce", err)
	for _, request := range g.Requests() {
		if !bytes.Contains(request.Body, []byte(canary)) { // inAppPay is plain
			w.wire(request.Body)
		}
	}
	// The canaries were there to be seen.
	planted := map[string]bool{}
	for _, request := range g.Requests() {
		for _, name := range []string{"open_id", "call_back_url", "auth_code", "email", "remarks", "order_remark", "redirect_url", "frontUrl", "backUrl", "extra"} {
			if bytes.Contains(request.Plaintext, []byte(canary+name)) {
				planted[name] = true
			}
		}
	}
	if len(planted) != 10 {
		t.Errorf("planted %v", slices.Collect(maps.Keys(planted)))
	}
}

// answering is a base transport with an answer ready.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return a(r)
}

func respond(status int, body string) answering {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: fmt.Sprint(status, " ", canary), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {canary}, "Retry-After": {canary}, "Location": {"https://" + canary + ".example/" + canary}, "X-Trace": {canary}},
			Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
}

// seal makes a message of the gateway's.
func (w *watch) seal(t *testing.T, key envelope.Key, code string, o any) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := key.Seal(text)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: code, Message: "for " + canary + "@shop.example", MerchantID: finchShop, Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	w.wire(body)
	return string(body)
}

// long is a text that no schema lets through: in a member that logs may name,
// without a canary.
func long(member string) string {
	bird := canary
	if slices.Contains(shown, member) {
		bird = finch
	}
	return bird + strings.Repeat("x", 3000)
}

// hostile answers every action with everything but what it should.
func (w *watch) hostile(t *testing.T) {
	other := mustKey(t, canary+"otherkey")
	for _, info := range api.Actions() {
		order := w.newOrder()
		good := object(t, info.Response)
		for _, member := range []string{"order_id", "orderId", "prepay_order_id"} {
			if _, ok := good[member]; ok {
				good[member] = order
			}
		}
		changed := func(name string, v any) string {
			o := maps.Clone(good)
			o[name] = v
			return w.seal(t, w.key, "SUCCESS", o)
		}
		answers := map[string]http.RoundTripper{
			"good":      respond(200, w.seal(t, w.key, "SUCCESS", good)),
			"pending":   respond(200, w.seal(t, w.key, "PROCESSING", good)),
			"refused":   respond(200, w.seal(t, w.key, "ORDER_PAID", good)),
			"odd code":  respond(200, w.seal(t, w.key, canary+"code", good)),
			"other key": respond(200, w.seal(t, other, "SUCCESS", good)),
			"bare":      respond(200, `{"rsp_code":"FAIL","rsp_msg":"for `+canary+`@shop.example, see https://pay.example/`+canary+`"}`),
			"bare odd":  respond(200, `{"rsp_code":"`+canary+`!","rsp_msg":"`+canary+`@shop.example","merchant_id":"`+canary+`"}`),
			"twice":     respond(200, `{"rsp_code":"SUCCESS","rsp_code":"`+canary+`"}`),
			"no JSON":   respond(200, canary),
			"page":      respond(200, "<html>"+canary+"</html>"),
			"page 502":  respond(502, "<html>"+canary+"</html>"),
			"500":       respond(500, w.seal(t, w.key, "SUCCESS", good)),
			"429":       respond(429, canary),
			"redirect":  respond(307, canary),
			"found":     respond(302, canary),
			"empty":     respond(200, ""),
			"bad data":  respond(200, `{"rsp_code":"SUCCESS","data":"`+canary+`!!","md5":"`+canary+`"}`),
			"bad types": respond(200, `{"rsp_code":{"a":"`+canary+`"},"data":["`+canary+`"],"md5":1}`),
			"error":     answering(func(*http.Request) (*http.Response, error) { return nil, errors.New("dial " + canary) }),
			"url error": answering(func(*http.Request) (*http.Response, error) {
				return nil, &url.Error{Op: "Post", URL: "https://" + canary, Err: io.EOF}
			}),
			"broken body": answering(func(r *http.Request) (*http.Response, error) {
				resp, _ := respond(200, "")(r)
				resp.Body = io.NopCloser(failingReader{errors.New(canary)})
				return resp, nil
			}),
			"other order":  respond(200, changed("order_id", finch+"other")),
			"not one":      respond(200, w.seal(t, w.key, "SUCCESS", map[string]any{canary: canary})),
			"additional":   respond(200, changed(canary, map[string]any{canary: []string{canary}})),
			"other number": respond(200, changed("amount", canary)),
		}
		for name := range good {
			for i, v := range []any{map[string]any{canary: canary}, []any{canary}, 3.5, true, nil, long(name), ""} {
				answers[fmt.Sprint(name, i)] = respond(200, changed(name, v))
			}
		}
		for name, base := range answers {
			client := w.client(t, "http://127.0.0.1:1", base)
			err := w.call(t.Context(), client, info, w.request(t, info, order))
			if name == "good" && err != nil {
				t.Errorf("%s: %v", info.Name, err)
			}
			if err == nil {
				continue
			}
			w.see("errors", fmt.Sprintf("%v", errors.Join(err, err)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			r, err := client.Resolve(ctx, err)
			w.failure("Resolve", err)
			w.value("Resolution", r)
			cancel()
		}
		for name, base := range answers {
			if info.Kind != api.KindQuery {
				break
			}
			client := w.client(t, "http://127.0.0.1:1", base)
			a, err := client.Ask(t.Context(), &middleware.Delivery{OrderID: order, Merchant: finchShop, Query: info.Name, Notification: &api.Notification{OrderID: order}})
			w.failure("Ask "+name, err)
			w.value("Answer", a)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			p, err := client.AwaitPayment(ctx, order, ottpay.AwaitConfig{Query: info.Name})
			w.failure("AwaitPayment", err)
			w.value("Payment", p)
			cancel()
		}
		if info.Name == api.ActionH5PAY {
			for _, base := range answers {
				client := w.client(t, "http://127.0.0.1:1", base)
				in, err := client.InAppPay(t.Context(), &ottpay.InAppPayRequest{AppID: canary, Amount: 1, CallBackURL: "https://shop.example/?token=" + canary, OrderID: order, ShopID: "1"})
				w.failure("InAppPay", err)
				if in != nil {
					w.value("InAppPayResponse", in)
				}
			}
		}
	}
	w.garbage(t)
}

// garbage is what net/http quotes when it cannot read it.
func (w *watch) garbage(t *testing.T) {
	for _, text := range []string{
		canary + "/1.1 200 OK\r\n\r\n", "HTTP/1.1 " + canary + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + canary + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "\r\n", "HTTP/1.1 101 " + canary + "\r\nUpgrade: " + canary + "\r\n\r\n",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				conn.Read(make([]byte, 1<<16))
				io.WriteString(conn, text)
				conn.Close()
			}
		}()
		base := &http.Transport{}
		client := w.client(t, "http://"+listener.Addr().String(), base)
		for _, name := range []string{"H5PAY", "STATUS_QUERY"} {
			info, _ := api.LookupAction(name)
			if w.call(t.Context(), client, info, w.request(t, info, w.newOrder())) == nil {
				t.Errorf("%s: no error for %q", name, text)
			}
		}
		base.CloseIdleConnections()
		listener.Close()
		<-done
	}
}

// invalid breaks every rule of every request with a canary.
func (w *watch) invalid(t *testing.T) {
	client := w.client(t, "http://127.0.0.1:1", answering(func(*http.Request) (*http.Response, error) { return nil, io.EOF }))
	refused := 0
	for _, info := range api.Actions() {
		schema, _ := api.LookupSchema(info.Request)
		for _, m := range schema.Members {
			for _, bad := range []any{canary + strings.Repeat("x", 3000), "ftp://" + canary, canary + " \x00", "", map[string]any{canary: 1}, -1, canary, "https://" + canary + ":" + canary + "@[::" + canary} {
				o := object(t, info.Request)
				o[m.Name] = bad
				text, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				w.failure("schema", schema.Check(text))
				req, err := api.New(info.Request)
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(text, req); err != nil {
					w.failure(info.Request, err)
					continue
				}
				w.request(t, info, w.newOrder())
				if !strings.Contains(strings.ToLower(m.Name), "order") && !slices.Contains(shown, m.Name) {
					if err := w.call(t.Context(), client, info, req); errors.Is(err, ottpay.ErrInvalid) {
						refused++
					}
				}
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d requests were refused", refused)
	}
	for _, text := range []string{canary, "1." + canary, "-1", "1.234"} {
		_, err := field.ParseCents(text + canary)
		w.failure("ParseCents", err)
		_, err = field.ParseDecimal(text + canary)
		w.failure("ParseDecimal", err)
		_, _, err = field.Time(text + canary).Parse()
		w.failure("Time", err)
		w.failure("JSONString", field.JSONString(text+canary).Decode(new(api.PayInfo)))
	}
}
