package crosstest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ottpaykit/ottpay"
	ottpayotel "github.com/ottpaykit/ottpay/adapters/otel"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/journal"
	inbound "github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/links"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// A canary is in every secret and in everything personal. A finch is in the ids
// of orders, merchants and channels: logs name those, strangers, spans and
// metrics must not.
const (
	canary    = "KANARI" // not in the name of a test, which is in the names of files
	finch     = "FINCH"
	canaryKey = canary + "signkey1"
	finchShop = finch + "M01"
	merCode   = "4242000011112222" // sixteen digits have no room for a bird
)

// spy keeps what it sees and judges it at the end.
type spy struct {
	mu    sync.Mutex
	seen  map[string]string // text to where it was seen first
	wild  map[string]string // the same, for eyes that must not see finches
	cages map[string]bool   // ciphertexts and digests that were on the wire
}

func newSpy() *spy {
	return &spy{seen: map[string]string{}, wild: map[string]string{}, cages: map[string]bool{}}
}

// see keeps what the shop's own people read: logs, errors, formatted values.
func (s *spy) see(where, text string) { s.keep(s.seen, where, text) }

// public keeps what others read: answers to strangers, spans, metrics.
func (s *spy) public(where, text string) { s.keep(s.wild, where, text) }

func (s *spy) keep(in map[string]string, where, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := in[text]; !ok {
		in[text] = where
	}
}

// Write takes a log line.
func (s *spy) Write(line []byte) (int, error) {
	s.see("log", string(line))
	return len(line), nil
}

// wire takes a message as it goes over the wire: its ciphertext and its digest
// are for nobody's eyes.
func (s *spy) wire(body []byte) {
	var sealed struct{ Data, MD5 any }
	if json.Unmarshal(body, &sealed) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, ok := sealed.Data.(string); ok && len(data) >= 32 {
		s.cages[strings.ToLower(data[:32])] = true
	}
	if md5, ok := sealed.MD5.(string); ok && len(md5) == 32 {
		s.cages[strings.ToLower(md5)] = true
	}
}

// value formats v in every way in which it might come into a log.
func (s *spy) value(where string, v any) {
	s.formats(where, v)
	slog.New(slog.NewTextHandler(s, nil)).Info(where, "v", v)
	slog.New(slog.NewJSONHandler(s, nil)).Info(where, "v", v)
}

func (s *spy) formats(where string, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		s.see(where+" "+verb, fmt.Sprintf(verb, v))
		s.see(where+" "+verb+" in a slice", fmt.Sprintf(verb, []any{v}))
	}
	if elem := reflect.ValueOf(v); elem.Kind() == reflect.Pointer && !elem.IsNil() && elem.Elem().CanInterface() && strings.HasPrefix(elem.Elem().Type().PkgPath(), "github.com/ottpaykit/") {
		for _, verb := range []string{"%v", "%+v", "%s"} {
			s.see(where+" value "+verb, fmt.Sprintf(verb, elem.Elem().Interface()))
		}
	}
}

// failure takes an error.
func (s *spy) failure(where string, err error) {
	if err == nil {
		return
	}
	s.value(where, err)
	s.see(where, err.Error())
	if e := new(ottpay.Error); errors.As(err, &e) {
		s.value(where, e)
	}
	if e := new(middleware.Refusal); errors.As(err, &e) {
		s.value(where, e)
	}
	if e := new(middleware.SendError); errors.As(err, &e) {
		s.value(where, e)
	}
}

// spellings are what a bird looks like, in lower case: plain, in Base64 at each
// offset, in hexadecimal and as bytes that were printed.
func spellings(bird string) []string {
	all := []string{
		strings.ToLower(bird),
		fmt.Sprintf("%x", bird),
		strings.Trim(fmt.Sprint([]byte(bird)), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(bird)), "[]byte{"), "}"),
	}
	for offset := range 3 { // less the letters that its neighbours have a part in
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), bird...))
		all = append(all, strings.ToLower(text[(8*offset+5)/6:8*(offset+len(bird))/6]))
	}
	return all
}

// found returns where birds and ciphertexts were seen.
func (s *spy) found() (leaks []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := append(spellings(canary), merCode)
	secret = slices.AppendSeq(secret, maps.Keys(s.cages))
	look := func(texts map[string]string, words []string) {
		for text, where := range texts {
			lower := strings.ToLower(text)
			for _, word := range words {
				if at := strings.Index(lower, word); at >= 0 {
					leaks = append(leaks, fmt.Sprintf("%s: %q in …%s…", where, word, text[max(0, at-120):min(len(text), at+60)]))
					break
				}
			}
		}
	}
	look(s.seen, secret)
	look(s.wild, append(secret, spellings(finch)...))
	slices.Sort(leaks)
	return leaks
}

// TestCanaryIsFound: the test below can fail. Whatever way a canary flies, it is
// seen.
func TestCanaryIsFound(t *testing.T) {
	t.Parallel()
	type leaky struct {
		Text  string
		Bytes []byte
	}
	sealed, err := mustKey(t, canaryKey).Seal([]byte(`{"order_id":"1","amount":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	for name, leak := range map[string]func(*spy){
		"log":         func(s *spy) { slog.New(slog.NewTextHandler(s, nil)).Info("x", "key", canaryKey) },
		"error":       func(s *spy) { s.failure("x", fmt.Errorf("member remarks: %q", canary+"remark")) },
		"value":       func(s *spy) { s.value("x", leaky{Text: "the " + canary}) },
		"bytes":       func(s *spy) { s.value("x", leaky{Bytes: []byte(canary)}) },
		"base64":      func(s *spy) { s.value("x", json.RawMessage("a"+canary)) },
		"base64 +1":   func(s *spy) { s.see("x", base64.StdEncoding.EncodeToString([]byte("1"+canary))) },
		"base64 +2":   func(s *spy) { s.see("x", base64.URLEncoding.EncodeToString([]byte("12"+canary+"3"))) },
		"lower case":  func(s *spy) { s.see("x", "https://shop.example/?token="+strings.ToLower(canary)) },
		"MerCode":     func(s *spy) { s.see("x", "merCode="+merCode) },
		"digest":      func(s *spy) { s.wire(body); s.see("x", strings.ToLower(sealed.MD5)) },
		"ciphertext":  func(s *spy) { s.wire(body); s.see("x", string(body)) },
		"to others":   func(s *spy) { s.public("x", "order "+finch+"1") },
		"span":        func(s *spy) { s.public("x", "ottpay.order="+finch) },
		"both at all": func(s *spy) { s.public("x", canary) },
	} {
		s := newSpy()
		leak(s)
		if len(s.found()) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	s := newSpy()
	s.wire(body)
	s.see("x", "order "+finch+"1 refused: schema")
	s.public("x", "401 Unauthorized")
	if leaks := s.found(); len(leaks) != 0 {
		t.Errorf("false alarm: %q", leaks)
	}
}

// TestCanary plants secrets and personal data in configuration and messages,
// runs what there is, and looks for them in every log line, error, formatted
// value, span, metric and answer to a stranger, and in the quickstart's output.
// What handlers are given, and what pays, is the shop's and is not looked at.
func TestCanary(t *testing.T) {
	t.Parallel()
	s := newSpy()
	w := newWatch(t, s)
	for _, scenario := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"configuration", w.configuration},
		{"gateway", w.gateway},
		{"hostile gateway", w.hostile},
		{"invalid requests", w.invalid},
		{"callbacks", w.callbacks},
		{"stores", w.stores},
		{"settle", w.settle},
		{"links", w.links},
		{"adapters", w.adapters},
		{"values", w.values},
	} {
		t.Run(scenario.name, scenario.run)
	}
	t.Run("quickstart", func(t *testing.T) {
		run := exec.CommandContext(t.Context(), "go", "run", "./quickstart")
		run.Dir = "../examples"
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, secret := range []string{signKey, "o0000000000000000000000000001", "wx0000000000000001", "Y2+GoqBBPc6EJ9Jz"} {
			if strings.Contains(string(out), secret) {
				t.Errorf("the quickstart prints %s", secret)
			}
		}
	})
	w.telemetry(t)
	if leaks := s.found(); len(leaks) > 0 {
		t.Errorf("%d leaks:\n%s", len(leaks), strings.Join(leaks, "\n"))
	}
	t.Logf("%d texts for the shop, %d for others, %d ciphertexts and digests", len(s.seen), len(s.wild), len(s.cages))
	if len(s.seen) < 5000 || len(s.wild) < 100 || len(s.cages) < 500 {
		t.Error("that is too little to have looked at everything")
	}
}

// watch is what the scenarios share.
type watch struct {
	*spy
	key      envelope.Key
	keys     middleware.StaticKeys
	logger   *slog.Logger
	observer *watcher
	spans    *tracetest.SpanRecorder
	metrics  *sdkmetric.ManualReader
	orders   atomic.Int64
}

func newWatch(t *testing.T, s *spy) *watch {
	t.Helper()
	key := mustKey(t, canaryKey)
	w := &watch{
		spy: s, key: key,
		keys:    middleware.StaticKeys{finchShop: {key}},
		logger:  slog.New(slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		spans:   tracetest.NewSpanRecorder(),
		metrics: sdkmetric.NewManualReader(),
	}
	o, err := ottpayotel.New(ottpayotel.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans)),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.metrics)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.observer = &watcher{o, s}
	return w
}

func (w *watch) newOrder() string { return fmt.Sprintf("%s%05d", finch, w.orders.Add(1)) }

// watcher looks at what every Observer is told.
type watcher struct {
	*ottpayotel.Observer
	*spy
}

func (o *watcher) Delivery(r *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	ctx, end := o.Observer.Delivery(r)
	return ctx, func(d middleware.DeliveryOutcome) {
		o.public("delivery outcome", fmt.Sprintf("%+v", d))
		end(d)
	}
}

func (o *watcher) Call(r *http.Request, action, kind string) (context.Context, func(middleware.CallOutcome)) {
	ctx, end := o.Observer.Call(r, action, kind)
	return ctx, func(c middleware.CallOutcome) {
		o.public("call outcome", fmt.Sprintf("%+v %s %s", c, action, kind))
		end(c)
	}
}

// telemetry looks at the spans and the metrics.
func (w *watch) telemetry(t *testing.T) {
	t.Helper()
	ended := w.spans.Ended()
	if len(ended) < 500 {
		t.Errorf("only %d spans", len(ended))
	}
	for _, span := range ended {
		w.public("span", fmt.Sprint(span.Name(), span.Attributes(), span.Status(), span.Resource()))
		for _, event := range span.Events() {
			w.public("span event", fmt.Sprint(event.Name, event.Attributes))
		}
	}
	var all metricdata.ResourceMetrics
	if err := w.metrics.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	w.public("metrics", string(text))
	w.public("metrics", fmt.Sprintf("%+v", all))
}

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
				w.failure("PayWith", g.PayWith(order+"P", ottpaytest.Payment{Silent: true}))
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
			g.Fail(info.Name, ottpaytest.Fault{Kind: fault, Times: -1})
			err := w.call(t.Context(), client, info, w.request(t, info, w.newOrder()))
			g.Heal()
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
		g.Fail("", ottpaytest.Fault{Kind: ottpaytest.FaultCode, Code: code})
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
			if bytes.Contains(request.Payload, []byte(canary+name)) {
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

// hookConfig is a webhook's configuration that tells the spy everything.
func (w *watch) hookConfig(store dedupe.Store) middleware.Config {
	return middleware.Config{
		Keys: w.keys, Store: w.observer.Store(store), Logger: w.logger, Observer: w.observer, AskWindow: -1,
		OnRefused:  func(_ context.Context, r *middleware.Refusal) { w.failure("OnRefused", r) },
		OnConflict: func(_ context.Context, d *middleware.Delivery) { w.value("OnConflict", d) },
	}
}

// newHook returns a webhook that runs on the callback's word unless cfg has an
// Asker.
func newHook(cfg middleware.Config) (*middleware.Webhook, error) {
	cfg.InsecureTrustCallback = cfg.Asker == nil
	return ottpay.NewWebhook(cfg)
}

// post brings a callback the way a stranger would, and shows others the answer.
func (w *watch) post(t *testing.T, h http.Handler, method, body string) int {
	t.Helper()
	r := httptest.NewRequest(method, "/ottpay/"+canary+"?token="+canary, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+canary)
	r.Header.Set("X-Forwarded-For", canary)
	r.Header.Set("User-Agent", canary)
	r.Header.Set("Traceparent", canary)
	r.AddCookie(&http.Cookie{Name: "session", Value: canary})
	w.wire([]byte(body))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	w.public("answer", fmt.Sprint(rec.Code, rec.Header(), rec.Body))
	return rec.Code
}

func (w *watch) notification(t *testing.T) map[string]any {
	t.Helper()
	n := object(t, "Notification")
	n["order_id"], n["merchant_id"], n["bizpay_order_id"] = w.newOrder(), finchShop, finch+"channel"
	return n
}

func with(o map[string]any, name string, v any) map[string]any {
	o = maps.Clone(o)
	if o[name] = v; v == nil {
		delete(o, name)
	}
	return o
}

// custom is a shop's own type, whose members are such that the standard library
// quotes what does not fit.
type custom struct {
	Remarks time.Time `json:"remarks"`
	Open    int       `json:"sub_openId,string"`
}

// callbacks brings about every refusal that there is.
func (w *watch) callbacks(t *testing.T) {
	ok := func(context.Context, *api.Notification) error { return nil }
	reasons := map[string]bool{}
	hook := func(change func(*middleware.Config)) *middleware.Webhook {
		cfg := w.hookConfig(dedupe.NewMemory(dedupe.MemoryConfig{}))
		refused := cfg.OnRefused
		cfg.OnRefused = func(ctx context.Context, r *middleware.Refusal) {
			reasons[string(r.Reason)] = true
			refused(ctx, r)
		}
		if change != nil {
			change(&cfg)
		}
		webhook, err := newHook(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.value("Webhook", webhook)
		return webhook
	}
	send := func(change func(*middleware.Config), fn func(context.Context, *api.Notification) error, method, body string) int {
		return w.post(t, middleware.Handle(hook(change), fn), method, body)
	}
	body := func(o map[string]any) string { return w.seal(t, w.key, "SUCCESS", o) }
	n := func() map[string]any { return w.notification(t) }

	if code := send(nil, func(_ context.Context, got *api.Notification) error {
		if !strings.HasPrefix(got.Remarks, canary) || !strings.HasPrefix(got.SubOpenID, canary) {
			t.Errorf("the handler did not get its canaries")
		}
		w.value("Notification", got)
		return nil
	}, "POST", body(n())); code != 200 {
		t.Errorf("a good callback: %d", code)
	}

	for _, method := range []string{"GET", "PUT", canary} {
		send(nil, ok, method, body(n()))
	}
	for _, text := range []string{
		"", canary, `"` + canary + `"`, `{"` + canary + `":"` + canary + `"}`, `{"rsp_code":"SUCCESS","data":"` + canary + `","md5":"` + canary + `"}`,
		`{"data":"` + canary + `==","md5":"C12F9560769C2CB55E6954935B325916","merchant_id":"` + canary + `"}`,
		`{"` + canary + `":1,"` + canary + `":2}`, strings.Repeat(canary, 20000), body(n()) + canary, `{"rsp_msg":"` + canary + "\xff\"}",
		strings.Repeat("[", 5000) + canary, `{"a":1e` + canary + `}`, `{"data":"` + canary + `A=","md5":"C12F9560769C2CB55E6954935B325916"}`,
		w.seal(t, mustKey(t, canary+"other"), "SUCCESS", n()), strings.ReplaceAll(body(n()), finchShop, finch+"merchant"),
		strings.ReplaceAll(body(n()), `"merchant_id":"`+finchShop+`",`, ""),
	} {
		if code := send(nil, ok, "POST", text); code == 200 {
			t.Errorf("acknowledged: %.100s", text)
		}
	}
	for _, f := range ottpaytest.Faults() {
		if !f.Alone || f.Name == string(ottpaytest.CallbackOldKey) {
			continue
		}
		b, err := ottpaytest.Notification{
			MerchantID: finchShop, SignKey: canaryKey, OrderID: w.newOrder(), ChannelID: finch, Fault: ottpaytest.CallbackFault(f.Name),
			Message: canary, Extra: map[string]any{"remarks": canary},
		}.Body()
		if err != nil {
			t.Fatal(err)
		}
		send(nil, ok, "POST", string(b))
	}
	schema, _ := api.LookupSchema("Notification")
	for _, m := range schema.Members {
		for _, bad := range []any{nil, map[string]any{canary: canary}, []any{canary}, 1.5, -1, true, canary + strings.Repeat("x", 3000), ""} {
			if m.Name == "order_id" && bad != nil && bad != "" {
				continue // an id is for the log
			}
			o := with(n(), m.Name, bad)
			send(nil, ok, "POST", body(o))
		}
	}
	send(nil, ok, "POST", body(with(n(), "merchant_id", canary)))
	send(nil, ok, "POST", body(with(n(), "amount", canary)))
	send(nil, ok, "POST", body(with(n(), "order_status", finch)))
	send(nil, ok, "POST", w.seal(t, w.key, "FAIL", n()))
	send(nil, ok, "POST", w.seal(t, w.key, canary, n()))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *custom) error { return nil }), "POST", body(n()))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *custom) error { return nil }), "POST", body(with(n(), "remarks", "2020-01-01T00:00:00Z")))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *api.CheckoutNotification) error { return nil }), "POST", body(with(n(), "prepay_order_id", nil)))
	w.post(t, middleware.Handle(hook(nil), func(context.Context, *api.CardNotification) error { return nil }), "POST", body(with(n(), "order_status", nil)))

	errHandler := errors.New("the shop's own words")
	send(nil, func(context.Context, *api.Notification) error { return errHandler }, "POST", body(n()))
	send(nil, func(context.Context, *api.Notification) error { panic(canary) }, "POST", body(n()))
	send(func(c *middleware.Config) { c.Timeout = time.Millisecond }, func(ctx context.Context, _ *api.Notification) error { <-ctx.Done(); return ctx.Err() }, "POST", body(n()))
	send(func(c *middleware.Config) {
		c.Expect = func(context.Context, string) (field.Cents, error) { return 77, nil }
	}, ok, "POST", body(n()))
	send(func(c *middleware.Config) {
		c.Expect = func(context.Context, string) (field.Cents, error) { return 0, errHandler }
	}, ok, "POST", body(n()))
	send(func(c *middleware.Config) { c.Keys = noKeys{errHandler} }, ok, "POST", body(n()))
	send(func(c *middleware.Config) { c.Journal = noJournal{errHandler} }, ok, "POST", body(n()))

	// The store's other answers.
	held := hook(nil)
	o := n()
	w.post(t, middleware.Handle(held, func(context.Context, *api.Notification) error {
		w.post(t, middleware.Handle(held, ok), "POST", body(o)) // in flight
		return nil
	}), "POST", body(o))
	w.post(t, middleware.Handle(held, ok), "POST", body(o))                         // a duplicate
	w.post(t, middleware.Handle(held, ok), "POST", body(with(o, "amount", "4711"))) // a conflict
	for _, store := range []dedupe.Store{badStore{claim: errHandler}, badStore{confirm: errHandler}, badStore{confirm: dedupe.ErrLost}, badStore{confirm: errHandler, release: errHandler}} {
		send(func(c *middleware.Config) { c.Store = store }, ok, "POST", body(n()))
	}
	shut := hook(nil)
	if err := shut.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.post(t, middleware.Handle(shut, ok), "POST", body(n()))

	// The limit.
	limiter, err := inbound.New(inbound.Config{Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		send(func(c *middleware.Config) { c.SourceLimiter = limiter }, ok, "POST", w.seal(t, mustKey(t, canary+"other"), "SUCCESS", n()))
	}
	w.value("Limiter", limiter)
	_, err = inbound.New(inbound.Config{Header: canary})
	w.failure("limit.New", err)

	// The gateway is asked, and says all sorts of things.
	status := object(t, "StatusQueryResponse")
	for _, change := range map[string]map[string]any{
		"good": {}, "no order": {"order_id": nil}, "other order": {"order_id": finch + "other"}, "open": {"order_status": "wait"}, "closed": {"order_status": "closed"},
		"odd": {"order_status": canary}, "no amount": {"total_amount": nil, "amount": nil}, "other amount": {"total_amount": "99999", "amount": "99999"}, "broken": {"order_status": map[string]any{canary: canary}},
	} {
		callback := n()
		answer := maps.Clone(status)
		answer["order_id"], answer["order_status"] = callback["order_id"], "success"
		for member, v := range change {
			if answer[member] = v; v == nil {
				delete(answer, member)
			}
		}
		client := w.client(t, "http://127.0.0.1:1", respond(200, w.seal(t, w.key, "SUCCESS", answer)))
		send(func(c *middleware.Config) { c.Asker = client }, func(ctx context.Context, _ *api.Notification) error {
			if d, ok := middleware.FromContext(ctx); ok {
				w.value("Delivery", d)
			}
			return nil
		}, "POST", body(callback))
	}
	for _, said := range []middleware.Answer{
		{OrderID: finch + "other", Status: "success"}, {Status: "success"}, {OrderID: "same", Status: "closed"}, {OrderID: "same", Status: "refund"},
		{OrderID: "same", Status: finch}, {OrderID: "same", Status: "success", Refund: true},
	} {
		callback := n()
		if said.OrderID == "same" {
			said.OrderID = callback["order_id"].(string)
		}
		send(func(c *middleware.Config) { c.Asker = saying(said) }, ok, "POST", body(callback))
		send(func(c *middleware.Config) { c.Asker = saying(said) }, ok, "POST", body(with(callback, "order_status", "authorised")))
	}
	for _, base := range []http.RoundTripper{respond(500, canary), respond(200, "<html>"+canary), answering(func(*http.Request) (*http.Response, error) { return nil, errors.New(canary) })} {
		client := w.client(t, "http://127.0.0.1:1", base)
		send(func(c *middleware.Config) { c.Asker = client }, ok, "POST", body(n()))
	}

	// A real server, for bodies that are too long, broken off or read before.
	server := httptest.NewUnstartedServer(middleware.Handle(hook(nil), ok))
	server.Config.ErrorLog = log.New(w.spy, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	for _, raw := range [][]byte{
		request("POST", "/"+canary, "X-A: "+canary+"\r\n", bytes.Repeat([]byte(canary), 20000)),
		[]byte("POST /" + canary + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "\r\n"),
		[]byte("POST /" + canary + " HTTP/1.1\r\nHost: " + canary + "\r\n" + canary + "\r\n\r\n"),
	} {
		w.public("answer", strings.ReplaceAll(answer(t, server, raw), canary+" ", ""))
	}
	consumed := middleware.Handle(hook(nil), ok)
	w.post(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		consumed.ServeHTTP(rw, r)
	}), "POST", body(n()))

	for _, want := range []string{
		"method", "limited", "body-too-large", "body-unreadable", "body-consumed", "no-merchant", "keys-unavailable", "not-json", "unknown-merchant", "padding", "digest",
		"merchant", "order_id", "bizpay_order_id", "finish_time", "amount", "schema", "code", "not-paid-yet", "not-confirmed", "answer-without-order", "answer-of-another-order",
		"amount-unconfirmed", "amount-mismatch", "not-expected", "ask-failed", "in-flight", "store", "claim-lost", "journal", "handler", "panic", "shutdown",
	} {
		if !reasons[want] {
			t.Errorf("no refusal for %s", want)
		}
	}
}

// saying is an Asker with an answer ready.
type saying middleware.Answer

func (s saying) Ask(context.Context, *middleware.Delivery) (middleware.Answer, error) {
	return middleware.Answer(s), nil
}

type noKeys struct{ error }

func (k noKeys) Keys(context.Context, string) ([]envelope.Key, error) { return nil, k.error }

type noJournal struct{ error }

func (j noJournal) Append(context.Context, string, []byte, dedupe.ID) error { return j.error }

// badStore is a store whose steps fail.
type badStore struct{ claim, confirm, release error }

func (s badStore) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	if s.claim != nil {
		return nil, s.claim
	}
	return badClaim(s), nil
}

type badClaim struct{ claim, confirm, release error }

func (c badClaim) Confirm(context.Context) error { return c.confirm }
func (c badClaim) Release(context.Context) error { return c.release }

// stores go down, with a password in their addresses.
func (w *watch) stores(t *testing.T) {
	ok := func(context.Context, *api.Notification) error { return nil }
	try := func(store dedupe.Store, kept middleware.Journal) {
		cfg := w.hookConfig(store)
		cfg.Journal = kept
		webhook, err := newHook(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			w.post(t, middleware.Handle(webhook, ok), "POST", w.seal(t, w.key, "SUCCESS", w.notification(t)))
		}
		w.value("store", store)
		w.value("webhook", webhook)
	}
	for driver, dsn := range map[string]struct {
		dialect dedupe.Dialect
		dsn     string
	}{
		"pgx":   {dedupe.PostgreSQL, "postgres://shop:" + canary + "@127.0.0.1:1/shop?sslmode=disable&connect_timeout=1"},
		"mysql": {dedupe.MySQL, "shop:" + canary + "@tcp(127.0.0.1:1)/shop?timeout=1s"},
	} {
		db, err := sql.Open(driver, dsn.dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		for _, mode := range []dedupe.Mode{dedupe.Lease, dedupe.Transactional} {
			store := newSQL(t, db, dedupe.SQLConfig{Dialect: dsn.dialect, Mode: mode})
			w.failure("Ping", store.Ping(t.Context()))
			w.failure("Migrate", store.Migrate(t.Context()))
			try(store, nil)
		}
		kept, err := journal.NewSQL(db, journal.SQLConfig{Dialect: dsn.dialect})
		if err != nil {
			t.Fatal(err)
		}
		try(dedupe.NewMemory(dedupe.MemoryConfig{}), kept)
		w.value("journal", kept)
	}
	// A driver without a connector of its own leaves the address in the pool.
	pool, err := sql.Open("sqlite", "file:/nowhere/at/all.db?mode=rw&key="+canary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	kept, err := journal.NewSQL(pool, journal.SQLConfig{Dialect: dedupe.SQLite})
	if err != nil {
		t.Fatal(err)
	}
	w.value("store", newSQL(t, pool, dedupe.SQLConfig{Dialect: dedupe.SQLite}))
	w.value("journal", kept)

	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Username: canary, Password: canary, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	try(redisStore(t, client, redisstore.Config{}), nil)

	for _, shelf := range shelves {
		t.Run(shelf.name, func(t *testing.T) { try(shelf.make(t), nil) })
	}
	for _, server := range servers {
		t.Run(server.name+" journal", func(t *testing.T) {
			kept, _ := server.journal(t, server.open(t), journal.SQLConfig{})
			try(dedupe.NewMemory(dedupe.MemoryConfig{}), kept)
			for entry, err := range kept.All(t.Context(), time.Time{}, time.Time{}) {
				w.failure("All", err)
				w.value("Entry", entry)
			}
		})
	}
}

// settle is what a shop runs that misses its callbacks.
func (w *watch) settle(t *testing.T) {
	for name, base := range map[string]http.RoundTripper{
		"down": respond(500, canary), "page": respond(200, "<html>"+canary), "bare": respond(200, `{"rsp_code":"FAIL","rsp_msg":"for `+canary+`@shop.example, see https://pay.example/`+canary+`"}`),
		"paid": respond(200, w.seal(t, w.key, "SUCCESS", map[string]any{"order_id": finch + "settled", "order_status": "success", "total_amount": "100", "buyer_login_id": canary, "remarks": canary})),
	} {
		cfg := w.hookConfig(dedupe.NewMemory(dedupe.MemoryConfig{}))
		cfg.Asker = w.client(t, "http://127.0.0.1:1", base)
		webhook, err := newHook(cfg)
		if err != nil {
			t.Fatal(err)
		}
		order := middleware.Order{Merchant: finchShop, ID: finch + "settled", Amount: 100}
		for _, fail := range []error{errors.New("the shop's own words"), nil} {
			result, err := webhook.Settle(t.Context(), order, func(ctx context.Context, n *api.Notification) error {
				d, _ := middleware.FromContext(ctx)
				w.value("Delivery", d)
				return fail
			})
			w.failure("Settle "+name, err)
			w.value("Result", result)
		}
		rounds := middleware.Reconciler{
			Webhook: webhook,
			Orders: func(context.Context) iter.Seq2[middleware.Order, error] {
				return func(yield func(middleware.Order, error) bool) { yield(order, nil) }
			},
			Handle: func(context.Context, *api.Notification) error { return nil },
		}
		counted, err := rounds.Round(t.Context())
		w.failure("Round", err)
		w.value("Reconciled", counted)
		for _, text := range []string{canary, `{"data":"` + canary + `"}`, w.seal(t, w.key, "SUCCESS", with(w.notification(t), "remarks", 1))} {
			_, err := webhook.Replay(t.Context(), "run", []byte(text), func(context.Context, *api.Notification) error { return nil })
			w.failure("Replay", err)
		}
	}
}

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
