package ottpaytest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// A handler is tested with callbacks that need no gateway.
func ExampleNewNotification() {
	key, err := envelope.NewKey("6698851A525C9433")
	if err != nil {
		panic(err)
	}
	// What is under test: package ottpay's webhook does this, and more.
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		callback, err := envelope.ReadResponse(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if _, err := key.Open(callback.Sealed); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})

	paid := ottpaytest.Notification{
		MerchantID: "TS00000001",
		SignKey:    "6698851A525C9433",
		OrderID:    "A1",
		Amount:     1250,
	}
	tampered := paid
	tampered.Fault = ottpaytest.CallbackBlocks
	for _, n := range []ottpaytest.Notification{paid, tampered} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, ottpaytest.NewNotification(n))
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 401
}

// A whole payment, without a client: what goes over the wire.
func ExampleGateway() {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "SUCCESS")
	}))
	defer shop.Close()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: "TS00000001", SignKey: "6698851A525C9433"})
	defer gateway.Close()

	ask := func(action, version, data string) string {
		key, err := envelope.NewKey("6698851A525C9433")
		if err != nil {
			panic(err)
		}
		sealed, err := key.Seal([]byte(data))
		if err != nil {
			panic(err)
		}
		answer, err := exchange(gateway, envelope.Request{
			Action: action, Version: version, MerchantID: "TS00000001", Sealed: sealed,
		})
		if err != nil {
			panic(err)
		}
		return answer.Code
	}
	fmt.Println(ask("ACTIVEPAY", "1.0", `{"order_id":"A1","operator_id":"0000020156","amount":"1250","biz_type":"ALIPAY","call_back_url":"`+shop.URL+`"}`))

	if err := gateway.Pay("A1"); err != nil { // the payer pays
		panic(err)
	}
	if err := gateway.Wait(context.Background()); err != nil { // and the shop is told
		panic(err)
	}
	for _, delivery := range gateway.Deliveries("A1") {
		fmt.Println(delivery.Try, delivery.Status, delivery.Body)
	}
	fmt.Println(ask("REFUND", "1.0", `{"order_id":"R1","ori_order_id":"A1","refund_amt":"250"}`))
	order, _ := gateway.Order("A1")
	fmt.Println(order.Status, order.Refunded)
	// Output:
	// SUCCESS
	// 1 200 SUCCESS
	// SUCCESS
	// partial_refunded 250
}

func exchange(gateway *ottpaytest.Gateway, request envelope.Request) (envelope.Response, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return envelope.Response{}, err
	}
	r, err := gateway.Client().Post(gateway.URL, "application/json", bytes.NewReader(body))
	if err != nil {
		return envelope.Response{}, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		return envelope.Response{}, err
	}
	return envelope.ReadAnswer(answer)
}
