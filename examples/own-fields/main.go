// Command own-fields is a shop that knows more about its messages than the kit:
// members that the vendor agreed with it, tighter rules, other names, and an
// action that only this merchant may use. All of that is in ottpay.overlay.yaml,
// from which package ottapi is generated.
//
//	go run ./examples/own-fields
//
// It exits with status 0 only if every step did what it says.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"

	"github.com/ottpaykit/ottpay/examples/own-fields/ottapi"
)

//go:generate go run github.com/ottpaykit/ottpay/tools/generate -overlay ottpay.overlay.yaml -out ottapi

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433" // of the vendor's published example
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "own-fields:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	gateway, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Redelivery: []time.Duration{}})
	if err != nil {
		return err
	}
	defer gateway.Close()
	vendor := httptest.NewServer(withStores(key, gateway))
	defer vendor.Close()

	// The validator of the own types serves both directions.
	validator := ottapi.NewValidator()
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "0000000001", Keys: keys, BaseURL: vendor.URL,
		Validator: validator, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	fmt.Fprintln(out, "1. A private action")
	stores, err := ottapi.StoreQuery(ctx, client, &ottapi.StoreQueryRequest{City: "Montreal"})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "   %s: %s\n", ottapi.ActionSTORE_QUERY, stores.Stores)

	fmt.Fprintln(out, "2. A payment with an extra member, and rules of the shop's own")
	request := &ottapi.H5PayRequest{
		OrderID: "TEA0000001", Amount: 450, CurrencyType: "CAD", StoreCode: "QC07",
		Branch: "TS00000001001", CallBackURL: vendor.URL + "/unused",
	}
	if _, err := ottapi.H5Pay(ctx, client, request); err != nil {
		return err
	}
	fmt.Fprintf(out, "   sent: %s\n", request)
	for _, bad := range []ottapi.H5PayRequest{
		{OrderID: "TEA0000002", Amount: 1_000_000, CurrencyType: "CAD", CallBackURL: vendor.URL},                  // too much for tea
		{OrderID: "TEA0000003", Amount: 450, CurrencyType: "CAD", StoreCode: "Montreal", CallBackURL: vendor.URL}, // no branch
	} {
		_, err := ottapi.H5Pay(ctx, client, &bad)
		if !errors.Is(err, ottpay.ErrInvalid) || !errors.Is(err, ottpay.ErrNotSent) {
			return fmt.Errorf("a request that breaks a rule of the shop: %v", err)
		}
		fmt.Fprintf(out, "   not sent: %v\n", err)
	}

	fmt.Fprintln(out, "3. A notification with an extra member")
	branch := make(chan string, 1)
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys: keys, Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Asker: client, Validator: validator,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	handler := middleware.Handle(webhook, func(_ context.Context, n *ottapi.Notification) error {
		branch <- fmt.Sprintf("%s paid %s at %s, channel id %s", n.OrderID, n.Amount.Decimal(), n.StoreCode, n.ChannelID)
		return nil
	})
	if err := gateway.Pay("TEA0000001"); err != nil {
		return err
	}
	order, _ := gateway.Order("TEA0000001")
	answer := httptest.NewRecorder()
	// The gateway in the box does not know store_code, so its callback is made here.
	handler.ServeHTTP(answer, ottpaytest.NewNotification(ottpaytest.Notification{
		MerchantID: merchantID, SignKey: signKey, OrderID: order.ID, ChannelID: order.ChannelID, Amount: order.Amount,
		Extra: map[string]any{"store_code": "QC07"},
	}))
	if answer.Code != http.StatusOK {
		return fmt.Errorf("the callback was answered %d", answer.Code)
	}
	fmt.Fprintf(out, "   %s\n", <-branch)
	return nil
}

// withStores answers the private action, as the vendor does for this merchant,
// and leaves all others to the gateway in the box.
func withStores(key envelope.Key, gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			return
		}
		request, err := envelope.ReadRequest(body)
		if err != nil || request.Action != string(ottapi.ActionSTORE_QUERY) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			gateway.ServeHTTP(w, r)
			return
		}
		answer := envelope.Response{Code: "PARAM_INVALID", Message: "no such city"}
		if opened, err := key.Open(request.Sealed); err == nil && bytes.Contains(opened.JSON, []byte("Montreal")) {
			data, err := json.Marshal(ottapi.StoreQueryResponse{Stores: "QC07,QC08"})
			if err == nil {
				answer.Sealed, err = key.Seal(data)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			answer.Code, answer.Message, answer.MerchantID = "SUCCESS", "success", request.MerchantID
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}
