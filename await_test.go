package ottpay_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

func cents(c field.Cents) *field.Cents { return &c }

func TestPaymentMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		status      api.OrderStatus
		amount, fee *field.Cents
		expected    field.Cents
		want        bool
	}{
		{"the amount", "success", cents(500), nil, 500, true},
		{"a cent more", "success", cents(501), nil, 500, false},
		{"a cent less", "success", cents(499), nil, 500, false},
		{"with the fee", "success", cents(515), cents(15), 500, true},
		{"with the fee, which is included", "success", cents(515), cents(15), 515, true},
		{"another fee", "success", cents(515), cents(14), 500, false},
		{"a fee and no more", "success", cents(500), cents(15), 515, false},
		{"a fee of nothing", "success", cents(500), cents(0), 500, true},
		{"a negative fee", "success", cents(100), cents(-400), 500, false},
		{"nothing expected", "success", cents(0), nil, 0, false},
		{"the fee alone, nothing expected", "success", cents(15), cents(15), 0, false},
		{"a negative amount expected", "success", cents(-5), nil, -5, false},
		{"no amount", "success", nil, cents(15), 500, false},
		{"not paid", "notpay", cents(500), nil, 500, false},
		{"held", "authorised", cents(500), nil, 500, false},
		{"partly returned", "partial_refunded", cents(500), nil, 500, false},
		{"no status", "", cents(500), nil, 500, false},
	} {
		p := ottpay.Payment{Status: tt.status, Amount: tt.amount, ConvenienceFee: tt.fee}
		if got := p.Matches(tt.expected); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

// delivered is an accepted delivery of an order.
func delivered(merchantID, orderID, checkout string) *middleware.Delivery {
	return &middleware.Delivery{
		Merchant: merchantID, OrderID: orderID, Kind: api.KindPaid, Amount: 515, BizpayOrderID: "WX1",
		Notification: &api.Notification{OrderID: orderID, PrepayOrderID: checkout, ConvenienceFee: cents(15)},
	}
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	authorised := delivered(merchant, "O1", "C1")
	authorised.Kind = "authorised"
	confirmed := delivered(merchant, "O1", "")
	confirmed.Answer = &middleware.Answer{Amount: cents(500)}
	silent := delivered(merchant, "O1", "")
	silent.Answer = new(middleware.Answer)
	bare := delivered(merchant, "O1", "")
	bare.Notification = nil
	for _, tt := range []struct {
		name   string
		waits  string
		notify *middleware.Delivery
		amount field.Cents // 0: it is not told
		fits   field.Cents
	}{
		{"the order", "O1", delivered(merchant, "O1", ""), 515, 500},
		{"the order of a checkout", "O1", delivered(merchant, "O1", "C1"), 515, 500},
		{"the checkout", "C1", delivered(merchant, "O1", "C1"), 515, 500},
		{"a checkout of the order's id", "O1", delivered(merchant, "O1", "O1"), 515, 500},
		{"the amount that the gateway confirmed", "O1", confirmed, 500, 500},
		{"an answer without an amount", "O1", silent, 515, 500},
		{"without a notification", "O1", bare, 515, 515},
		{"another order", "O2", delivered(merchant, "O1", "C1"), 0, 0},
		{"another merchant", "O1", delivered("OTHER", "O1", "C1"), 0, 0},
		{"an order without a checkout", "", delivered(merchant, "O1", ""), 0, 0},
		{"an authorisation", "O1", authorised, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n ottpay.Notifier
				n.Notify(tt.notify) // before anyone waits: it is not kept
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				type told struct {
					p   ottpay.Payment
					err error
				}
				heard := make(chan told, 2)
				for range 2 {
					go func() {
						p, err := n.Wait(ctx, merchant, tt.waits)
						heard <- told{p, err}
					}()
				}
				synctest.Wait()
				if len(heard) != 0 {
					t.Error("told of what came before")
				}
				n.Notify(tt.notify)
				n.Notify(tt.notify) // a duplicate must not block
				synctest.Wait()
				if want := map[bool]int{true: 2}[tt.amount != 0]; len(heard) != want {
					t.Errorf("%d were told, want %d", len(heard), want)
				}
				for range 2 {
					got := <-heard
					if tt.amount == 0 {
						if !errors.Is(got.err, context.DeadlineExceeded) || got.p != (ottpay.Payment{}) {
							t.Errorf("got %+v, %v", got.p, got.err)
						}
						continue
					}
					if got.err != nil || *got.p.Amount != tt.amount || !got.p.Matches(tt.fits) || got.p.Matches(1) ||
						got.p.OrderID != "O1" || got.p.BizpayOrderID != "WX1" {
						t.Errorf("got %+v, %v", got.p, got.err)
					}
				}
			})
		})
	}
}

// TestNotifierForgets: one who has been told, or who gave up, is not told again.
func TestNotifierForgets(t *testing.T) {
	t.Parallel()
	var n ottpay.Notifier
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if _, err := n.Wait(ended, merchant, "O1"); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	n.Notify(delivered(merchant, "O1", ""))
	if _, err := n.Wait(ended, merchant, "O1"); !errors.Is(err, context.Canceled) {
		t.Errorf("told of what came before: %v", err)
	}
}

// TestAwaitPaymentBelievesOnlyItsRow: a query's answer about something else, and
// a query without an answer, settle nothing.
func TestAwaitPaymentBelievesOnlyItsRow(t *testing.T) {
	t.Parallel()
	const paid = `{"order_id":"O1","order_status":"success","total_amount":500,"convenience_fee":15,"bizpay_order_id":"WX1"}`
	for _, tt := range []struct{ name, code, row, last string }{
		{"another order", "SUCCESS", `{"order_id":"O2","order_status":"success","total_amount":500}`, "the answer names another order"},
		{"the order in other letters", "SUCCESS", `{"order_id":"o1","order_status":"success","total_amount":500}`, "the answer names another order"},
		{"no order", "SUCCESS", `{"order_status":"success","total_amount":500}`, "answer-without-order"},
		{"another merchant", "SUCCESS", `{"order_id":"O1","order_status":"success","total_amount":500,"merchant_id":"B2"}`, "answer-of-another-merchant"},
		{"a refund", "SUCCESS", `{"order_id":"O1","order_status":"success","total_amount":500,"ori_order_id":"P1"}`, "answer-of-a-refund"},
		{"returned and not paid", "SUCCESS", `{"order_id":"O1","order_status":"notpay","refund_fee":500}`, "answer-contradicts"},
		{"not paid", "SUCCESS", `{"order_id":"O1","order_status":"notpay","total_amount":500}`, ""},
		{"failed, it says outside", "FAIL", paid, "FAIL"},
		{"unknown, it says", "ORDER_NOT_EXIST", "", "ORDER_NOT_EXIST"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lies := true
			b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
				if lies {
					return b.say(tt.code, tt.row)
				}
				return b.say("SUCCESS", paid)
			})
			cfg := b.config()
			cfg.Sleep = func(context.Context, time.Duration) error {
				if !lies {
					return nil
				}
				return context.DeadlineExceeded
			}
			c := newClient(t, cfg)
			p, err := c.AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{})
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), tt.last) || p.Paid() || p.Matches(500) {
				t.Errorf("got %+v, %v", p, err)
			}
			lies = false
			if p, err = c.AwaitPayment(t.Context(), "O1", ottpay.AwaitConfig{}); err != nil || !p.Matches(500) || !p.Matches(485) || p.Notified || p.BizpayOrderID != "WX1" {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

// TestAwaitPaymentOfACard: the channel decides the query, unless Query does.
func TestAwaitPaymentOfACard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  ottpay.AwaitConfig
		want api.Action
	}{
		{ottpay.AwaitConfig{}, api.ActionSTATUS_QUERY},
		{ottpay.AwaitConfig{Query: api.ActionCC_QUERYPAY}, api.ActionCC_QUERYPAY},
		{ottpay.AwaitConfig{Card: ottpay.HostedCard{ChannelType: "UPOP"}}, api.ActionCC_QUERYPAY},
		{ottpay.AwaitConfig{Card: ottpay.HostedCard{ChannelType: "ELAVONECOM"}}, api.ActionSTATUS_QUERY},
		{ottpay.AwaitConfig{Query: api.ActionSTATUS_QUERY, Card: ottpay.HostedCard{ChannelType: "UPOP"}}, api.ActionSTATUS_QUERY},
	} {
		var asked string
		b := newBase(t, func(b *base, _ int, req opened) (*http.Response, error) {
			asked = req.Action
			return b.say("SUCCESS", `{"rspCode":"SUCCESS","order_id":"O1","order_status":"success","amount":500,"total_amount":500}`)
		})
		p, err := newClient(t, b.config()).AwaitPayment(t.Context(), "O1", tt.cfg)
		if err != nil || !p.Matches(500) || asked != string(tt.want) {
			t.Errorf("%+v: asked with %s, got %+v, %v", tt.cfg, asked, p, err)
		}
	}
}

// TestAwaitPaymentEndsItsFeed: the query's word ends the listening.
func TestAwaitPaymentEndsItsFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBase(t, func(b *base, _ int, _ opened) (*http.Response, error) {
			return b.say("SUCCESS", `{"order_id":"O1","order_status":"success","total_amount":500}`)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		p, err := newClient(t, b.config()).AwaitPayment(ctx, "O1", ottpay.AwaitConfig{Feed: new(ottpay.Notifier)})
		if err != nil || !p.Matches(500) || p.Notified || time.Since(start) != 0 {
			t.Errorf("got %+v, %v after %v", p, err, time.Since(start))
		}
	})
}
