package ottpay_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestCallLog: one line per call that names check and order and holds no value.
func TestCallLog(t *testing.T) {
	t.Parallel()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	t.Cleanup(gateway.Close)
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "1", BaseURL: gateway.URL,
		Keys:   middleware.StaticKeys{merchantID: {key}},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	pay := func(openID string) {
		_, _ = client.MiniProgramPay(t.Context(), &api.MiniProgramPayRequest{
			OrderID: "P1", Amount: 123456, AppID: "wxCANARY", OpenID: openID, CallBackURL: "https://shop.example/CANARY",
		})
	}
	pay("oCANARY")
	pay("oCANARY")
	pay("")
	if _, err := gateway.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Action: api.ActionREFUND}); err != nil {
		t.Fatal(err)
	}
	_, _ = client.Refund(t.Context(), &api.RefundRequest{OrderID: "R1", OriOrderID: "P1", RefundAmt: 1})
	_, _ = client.StatusQuery(t.Context(), &api.StatusQueryRequest{OrderID: "P1"})

	want := []string{
		"level=INFO msg=\"ottpay: call\" action=MAPPPAY result=success merchant=TS00000001 took= order_id=P1 code=SUCCESS",
		"level=WARN msg=\"ottpay: call\" action=MAPPPAY result=duplicate merchant=TS00000001 took= order_id=P1 code=ORDER_USED",
		"level=ERROR msg=\"ottpay: call\" action=MAPPPAY result=unknown merchant=TS00000001 took= order_id=P1 reason=request violations=\"validate: MiniProgramPayRequest.open_id: required\"",
		"level=ERROR msg=\"ottpay: call\" action=REFUND result=unknown merchant=TS00000001 took= order_id=R1 reason=connection",
		"level=INFO msg=\"ottpay: call\" action=STATUS_QUERY result=success merchant=TS00000001 took= order_id=P1 code=SUCCESS",
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), log.String())
	}
	for i, line := range lines {
		_, line, _ = strings.Cut(line, " ") // the time
		before, after, _ := strings.Cut(line, "took=")
		took, after, _ := strings.Cut(after, " ")
		if d, err := time.ParseDuration(took); err != nil || d < 0 || d > time.Hour {
			t.Errorf("line %d: took %s", i, took)
		}
		if got := before + "took= " + after; got != want[i] {
			t.Errorf("line %d\n got %s\nwant %s", i, got, want[i])
		}
	}
	for _, secret := range []string{"CANARY", "123456", signKey} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log shows %s", secret)
		}
	}
}

// TestCallLogNamesMisfits: members that did not fit and stopped nothing are named,
// without their values.
func TestCallLogNamesMisfits(t *testing.T) {
	t.Parallel()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := key.Seal([]byte(`{"order_id":"R1","sale_num":{"a":"CANARY"},"trade_time":["CANARY"]}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, BaseURL: server.URL, Keys: middleware.StaticKeys{merchantID: {key}}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	if _, err := client.Refund(t.Context(), &api.RefundRequest{OrderID: "R1", OriOrderID: "P1", RefundAmt: 1}); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, `misfits="[trade_time sale_num]"`) || strings.Contains(text, "CANARY") {
		t.Errorf("logged %s", text)
	}
}
