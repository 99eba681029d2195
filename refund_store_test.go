package ottpay_test

import (
	"context"
	"database/sql"
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

// txStore is a store whose claims hold a transaction, or another value.
type txStore struct {
	dedupe.Store
	key      any
	released bool
}

func (s *txStore) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	c, err := s.Store.Claim(ctx, id, lease)
	return &txClaim{c, s}, err
}

type txClaim struct {
	dedupe.Claim
	store *txStore
}

func (c *txClaim) Release(ctx context.Context) error {
	c.store.released = true
	return c.Claim.Release(ctx)
}

func (c *txClaim) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, c.store.key, "span")
}

// decorated counts claims, for example.
type decorated struct{ dedupe.Store }

func (d decorated) Unwrap() dedupe.Store { return d.Store }

// TestRefundStoreMustBeALease: a crash undoes what a transactional store has
// noted, after which the refund would be sent again.
func TestRefundStoreMustBeALease(t *testing.T) {
	t.Parallel()
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[dedupe.Mode]bool{dedupe.Transactional: true, dedupe.Lease: false} {
		sqlStore, err := dedupe.NewSQL(new(sql.DB), dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		for _, store := range []dedupe.Store{sqlStore, decorated{sqlStore}, decorated{decorated{sqlStore}}} {
			_, err := ottpay.New(ottpay.Config{
				MerchantID: merchantID, OperatorID: "1", RefundStore: store,
				Keys: middleware.StaticKeys{merchantID: {key}},
			})
			if (err != nil) != refused || refused && !strings.Contains(err.Error(), "RefundStore") {
				t.Errorf("%T in mode %v: %v", store, mode, err)
			}
		}
	}
}

// TestRefundOnceUnderADecoratedStore: a claim that provides something to the
// handler, such as a span, is not for that reason transactional.
func TestRefundOnceUnderADecoratedStore(t *testing.T) {
	t.Parallel()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	t.Cleanup(gateway.Close)
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	store := &txStore{Store: dedupe.NewMemory(dedupe.MemoryConfig{}), key: new(int)}
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
	for _, before := range []bool{false, true} {
		done, err := client.RefundOnce(t.Context(), ottpay.RefundIntent{RefundID: "R1", OrderID: "P1", Amount: 100})
		if err != nil || done.Before != before || store.released || gateway.Attempts("R1") != 1 {
			t.Errorf("%+v, error %v, released %v, sent %d times", done, err, store.released, gateway.Attempts("R1"))
		}
	}
}
