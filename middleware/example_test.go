package middleware_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
	"github.com/ottpaykit/ottpay/validate"
)

// A router that has a handler already gets the webhook in front of it: the
// handler reads plain JSON, and its status decides.
func Example() {
	key, err := envelope.NewKey("6698851A525C9433") // yours comes from the environment
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := middleware.New(middleware.Config{
		Keys:      middleware.StaticKeys{"TS00000001": {key}},
		Store:     dedupe.NewMemory(dedupe.MemoryConfig{}), // for one process
		Validator: validate.New(),
		Asker:     ottpaytest.Asker{}, // the client, in a program
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := middleware.FromContext(r.Context())
		body, err := io.ReadAll(r.Body)
		if err != nil || !d.Matches(1999) {
			w.WriteHeader(http.StatusInternalServerError) // the gateway is told to send again
			return
		}
		fmt.Println(string(body))
		fmt.Fprint(w, "what a handler writes is not sent")
	})

	front := webhook.Handler(handler)
	for _, n := range []ottpaytest.Notification{
		{Amount: 1999},
		{Amount: 1999}, // again
		{OrderID: "A1002", Amount: 1},
	} {
		n.MerchantID, n.SignKey = "TS00000001", "6698851A525C9433"
		rw := httptest.NewRecorder()
		front.ServeHTTP(rw, ottpaytest.NewNotification(n))
		fmt.Println(rw.Code, strings.TrimSpace(rw.Body.String()))
	}
	// Output:
	// {"order_id":"TEST2020041600000001","bizpay_order_id":"WX781266859681754","amount":"1999","finish_time":"20200416050429","merchant_id":"TS00000001","tip":"0"}
	// 200 SUCCESS
	// 200 SUCCESS
	// 503 Service Unavailable
}

// Under any HTTP client the Transport turns plain JSON into envelopes and back.
func ExampleTransport() {
	key, err := envelope.NewKey("6698851A525C9433")
	if err != nil {
		log.Fatal(err)
	}
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: "TS00000001", SignKey: "6698851A525C9433"})
	defer gateway.Close()
	transport := &middleware.Transport{Keys: middleware.StaticKeys{"TS00000001": {key}}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gateway.URL, strings.NewReader(
		`{"action":"EX_RATE_QUERY","version":"1.0","merchant_id":"TS00000001","data":{"fee_type":"CAD"}}`))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		log.Fatal(err) // errors.Is tells ErrNotSent and ErrUnknownOutcome apart
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
	// Output:
	// {"rsp_code":"SUCCESS","rsp_msg":"success","merchant_id":"TS00000001","data":{"feeType":"CAD","rate":524740000},"verified":true}
}
