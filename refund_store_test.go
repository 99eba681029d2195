package ottpay_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// lending is a claim of a transactional store.
type lending struct{ released bool }

func (l *lending) Claim(context.Context, dedupe.ID, time.Duration) (dedupe.Claim, error) {
	return l, nil
}
func (l *lending) Confirm(context.Context) error               { return nil }
func (l *lending) Release(context.Context) error               { l.released = true; return nil }
func (l *lending) Context(ctx context.Context) context.Context { return ctx }

// TestRefundOnceNeedsALease: what a transactional store notes is undone by a
// crash, after which the refund would be sent again.
func TestRefundOnceNeedsALease(t *testing.T) {
	t.Parallel()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	t.Cleanup(gateway.Close)
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	store := &lending{}
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "1", BaseURL: gateway.URL, RefundStore: store,
		Keys: middleware.StaticKeys{merchantID: {key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	if _, err := client.MiniProgramPay(t.Context(), &api.MiniProgramPayRequest{
		OrderID: "P1", Amount: 100, AppID: "wx1", OpenID: "o1", CallBackURL: "https://shop.example/cb",
	}); err != nil {
		t.Fatal(err)
	}
	if err := gateway.PayWith("P1", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	_, err = client.RefundOnce(t.Context(), ottpay.RefundOrder{RefundID: "R1", OrderID: "P1", Amount: 100})
	if err == nil || !store.released || gateway.Attempts("R1") != 0 {
		t.Errorf("error %v, released %v, sent %d times", err, store.released, gateway.Attempts("R1"))
	}
	if err != nil && strings.Contains(err.Error(), signKey) {
		t.Error("the error shows the key")
	}
}
