package ottpay_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
	"github.com/ottpaykit/ottpay/wire"
)

// giftRequest and giftResponse are what tools/generate makes of an action that
// the document lacks, written out.
type giftRequest struct {
	GiftID string      `json:"gift_id" validate:"required"`
	Amount field.Cents `json:"amount" validate:"required"`
	Rest   map[string]json.RawMessage
}

var giftSchema = api.NewSchema(api.Schema{Name: "GiftRequest", Request: true, Members: []api.Member{
	{Name: "gift_id", Kind: api.MemberString, Role: api.RoleOrderID, Required: true, Decides: true},
	{Name: "amount", Kind: api.MemberAmount, Role: api.RoleAmount, Required: true, Decides: true, MaxLength: 12},
}})

func (v giftRequest) Filled(d api.Defaults) *giftRequest {
	if v.GiftID == "" {
		v.GiftID = d.OrderID
	}
	return &v
}
func (v giftRequest) Order() string                { return v.GiftID }
func (v giftRequest) MarshalJSON() ([]byte, error) { return giftSchema.Encode(v.fields()) }
func (v *giftRequest) fields() api.Fields {
	return api.Fields{Rest: &v.Rest, Slot: func(i int) any { return []any{&v.GiftID, &v.Amount}[i] }}
}

type giftResponse struct {
	GiftID  string `validate:"required"`
	Pending bool
	Rest    map[string]json.RawMessage
}

var giftAnswer = api.NewSchema(api.Schema{Name: "GiftResponse", Response: true, Members: []api.Member{
	{Name: "gift_id", Kind: api.MemberString, Role: api.RoleOrderID, Echo: "gift_id", Required: true, Decides: true},
}})

func (v giftResponse) Order() string      { return v.GiftID }
func (v *giftResponse) SetOrder(string)   {}
func (v giftResponse) EchoesOrder() bool  { return true }
func (v giftResponse) Misfits() []string  { return giftAnswer.Misfits(v.Rest) }
func (v *giftResponse) SetPending(p bool) { v.Pending = p }
func (v *giftResponse) UnmarshalMembers(m *wire.Members) error {
	return giftAnswer.Decode(m, api.Fields{Rest: &v.Rest, Slot: func(int) any { return &v.GiftID }})
}

// TestCallOwnAction sends an effect and a query that the document lacks.
func TestCallOwnAction(t *testing.T) {
	t.Parallel()
	const merchant, signKey = "TS00000001", "6698851A525C9433"
	key, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchant, SignKey: signKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gateway.Close)
	var gifts atomic.Int32
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request, err := envelope.ReadRequest(body)
		if err != nil || !strings.HasPrefix(request.Action, "GIFT") {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			gateway.ServeHTTP(w, r)
			return
		}
		gifts.Add(1)
		if broken.Load() {
			panic(http.ErrAbortHandler)
		}
		opened, err := key.Open(request.Sealed)
		if err != nil || request.Version != "3.1" || request.MerchantID != merchant {
			t.Errorf("got %v, version %s, merchant %s", err, request.Version, request.MerchantID)
		}
		id, _ := opened.Member("gift_id")
		answer := envelope.Response{Code: "SUCCESS", Message: "success"}
		if answer.Sealed, err = key.Seal([]byte(`{"gift_id":` + string(id) + `,"balance":"9900"}`)); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchant, OperatorID: "0000000001", BaseURL: server.URL, Attempts: 3,
		Keys: middleware.StaticKeys{merchant: {key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	info := api.ActionInfo{Name: "GIFT_LOAD", Version: "3.1", Kind: api.KindEffect, Effect: api.EffectPayNow, OrderMember: "gift_id", RequestSchema: giftSchema}

	t.Run("an effect", func(t *testing.T) {
		resp, err := ottpay.Call[giftRequest, giftResponse](t.Context(), client, info, &giftRequest{GiftID: "G1", Amount: 500})
		if err != nil || resp.GiftID != "G1" || resp.Pending || string(resp.Rest["balance"]) != `"9900"` {
			t.Fatalf("got %+v, %v", resp, err)
		}
		if resp, err = ottpay.Call[giftRequest, giftResponse](t.Context(), client, info, &giftRequest{Amount: 500}); err != nil || len(resp.GiftID) != 20 {
			t.Errorf("without an id: %+v, %v", resp, err)
		}
		if _, err := ottpay.Call[giftRequest, giftResponse](t.Context(), client, info, &giftRequest{GiftID: "G2"}); !errors.Is(err, ottpay.ErrInvalid) || !errors.Is(err, ottpay.ErrNotSent) {
			t.Errorf("without an amount: %v", err)
		}
		// What was never sent is known not to have happened.
		_, err = ottpay.Call[giftRequest, giftResponse](t.Context(), client, info, nil)
		if !errors.Is(err, ottpay.ErrNotSent) || !strings.Contains(err.Error(), "GIFT_LOAD") {
			t.Errorf("without a request: %v", err)
		}
		if res, err := client.Resolve(t.Context(), err); err != nil || res.Verdict != ottpay.VerdictDidNotHappen {
			t.Errorf("without a request: resolved as %v, %v", res.Verdict, err)
		}
	})
	t.Run("an effect whose answer is lost", func(t *testing.T) {
		broken.Store(true)
		defer broken.Store(false)
		gifts.Store(0)
		_, err := ottpay.Call[giftRequest, giftResponse](t.Context(), client, info, &giftRequest{GiftID: "G3", Amount: 700})
		if !errors.Is(err, ottpay.ErrUnknownOutcome) || gifts.Load() != 1 || !strings.Contains(err.Error(), "GIFT_LOAD") {
			t.Fatalf("sent %d times, %v", gifts.Load(), err)
		}
		// It is asked about as a payment is, and the row must be its own.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		res, resolveErr := client.Resolve(ctx, err)
		if !errors.Is(resolveErr, context.Canceled) || res.Verdict != ottpay.VerdictUnknown || res.OrderID != "G3" || res.Query != api.ActionSTATUS_QUERY {
			t.Errorf("got %+v, %v", res, resolveErr)
		}
		// A later attempt that is not sent says nothing of the first.
		_, err = ottpay.Call[giftRequest, giftResponse](t.Context(), client, info, &giftRequest{GiftID: "G3"})
		if errors.Is(err, ottpay.ErrNotSent) || !errors.Is(err, ottpay.ErrUnknownOutcome) {
			t.Errorf("a later attempt: %v", err)
		}
	})
	t.Run("a query is repeated", func(t *testing.T) {
		broken.Store(true)
		defer broken.Store(false)
		gifts.Store(0)
		query := info
		query.Name, query.Kind, query.Effect = "GIFT_QUERY", api.KindQuery, api.EffectNone
		_, err := ottpay.Call[giftRequest, giftResponse](t.Context(), client, query, &giftRequest{GiftID: "G1", Amount: 1})
		if err == nil || !strings.Contains(err.Error(), "GIFT_QUERY") || gifts.Load() != 3 {
			t.Errorf("sent %d times, %v", gifts.Load(), err)
		}
		// It moves nothing: the payment under the same context is sent.
		ctx := middleware.SendOnce(t.Context())
		if _, err := ottpay.Call[giftRequest, giftResponse](ctx, client, query, &giftRequest{GiftID: "G1", Amount: 1}); err == nil {
			t.Error("the query was answered")
		}
		broken.Store(false)
		if _, err := ottpay.Call[giftRequest, giftResponse](ctx, client, info, &giftRequest{GiftID: "G1", Amount: 1}); err != nil {
			t.Errorf("after a query: %v", err)
		}
	})
	t.Run("an action of the document stays what it is", func(t *testing.T) {
		lie := info
		lie.Name, lie.Kind, lie.Version = api.ActionREFUND, api.KindQuery, "9.9"
		_, err := ottpay.Call[api.RefundRequest, api.RefundResponse](t.Context(), client, lie, &api.RefundRequest{OrderID: "R1", OriOrderID: "P1", RefundAmt: 1})
		var failed *ottpay.Error
		if !errors.As(err, &failed) || failed.Action != api.ActionREFUND {
			t.Fatalf("got %v", err)
		}
		requests := gateway.Requests()
		if last := requests[len(requests)-1]; last.Action != "REFUND" || last.Version != "1.0" {
			t.Errorf("sent %s %s", last.Action, last.Version)
		}
	})
}
