package middleware_test

import (
	"testing"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

func amount(n field.Cents) *field.Cents { return &n }

func is(want field.Cents) func(field.Cents) bool {
	return func(got field.Cents) bool { return got == want }
}

func TestAnswerOfAPayment(t *testing.T) {
	t.Parallel()
	type row = middleware.Answer
	payment := middleware.Wanted{OrderID: "T1", Merchant: merchant, Kind: api.KindPaid, Amount: is(1999)}
	checkout := middleware.Wanted{Checkout: "P1", Merchant: merchant}
	held := middleware.Wanted{OrderID: "T1", Kind: "authorised", Amount: is(1999)}
	some := middleware.Wanted{OrderID: "T1"}
	tests := []struct {
		name  string
		row   row
		want  middleware.Wanted
		state api.OrderStatus
		word  string
	}{
		{"paid", row{OrderID: "T1", Status: "success", Amount: amount(1999)}, payment, "success", ""},
		{"paid, spelled with a blank", row{OrderID: "T1", Status: "Success ", Amount: amount(1999)}, payment, "success", ""},
		{"paid, with a control character", row{OrderID: "T1", Status: "success\x00", Amount: amount(1999)}, payment, "success", ""},
		{"finished", row{OrderID: "T1", Status: " TRADE_FINISHED", Amount: amount(1999)}, payment, "trade_finished", ""},
		{"nothing returned", row{OrderID: "T1", Status: "success", Amount: amount(1999), Returned: amount(0)}, payment, "success", ""},
		{"all returned", row{OrderID: "T1", Status: "success", Amount: amount(1999), Returned: amount(1999)}, payment, "fully_refunded", "refunded"},
		{"finished, all returned", row{OrderID: "T1", Status: "TRADE_FINISHED", Amount: amount(1999), Returned: amount(1999)}, payment, "fully_refunded", "refunded"},
		{"more than all returned", row{OrderID: "T1", Status: "captured", Amount: amount(1999), Returned: amount(2000)}, payment, "fully_refunded", "refunded"},
		{"a cent returned", row{OrderID: "T1", Status: "success ", Amount: amount(1999), Returned: amount(1)}, payment, "partial_refunded", "refunded"},
		{"returned of an unknown amount", row{OrderID: "T1", Status: "success", Returned: amount(1)}, payment, "partial_refunded", "refunded"},
		{"part returned, all of it", row{OrderID: "T1", Status: "partial_refund", Amount: amount(5), Returned: amount(5)}, some, "fully_refunded", ""},
		{"part returned, no amount", row{OrderID: "T1", Status: "partial_refund"}, some, "partial_refunded", ""},
		{"all returned, a part of it", row{OrderID: "T1", Status: "FULLY_REFUNDED", Amount: amount(5), Returned: amount(4)}, some, "fully_refunded", ""},
		{"returned, and not paid", row{OrderID: "T1", Status: "notpay", Amount: amount(1999), Returned: amount(1)}, some, "", "answer-contradicts-itself"},
		{"returned, and closed", row{OrderID: "T1", Status: "orderclose", Amount: amount(1999), Returned: amount(1999)}, some, "", "answer-contradicts-itself"},
		{"returned, and held", row{OrderID: "T1", Status: "authfinish", Amount: amount(1999), Returned: amount(1999)}, held, "", "answer-contradicts-itself"},
		{"returned, and unknown", row{OrderID: "T1", Status: "new", Amount: amount(1999), Returned: amount(1999)}, some, "", "answer-contradicts-itself"},
		{"no status", row{OrderID: "T1", Amount: amount(1999)}, payment, "", "not-paid-yet"},
		{"a blank status", row{OrderID: "T1", Status: " ", Amount: amount(1999)}, payment, "", "not-paid-yet"},
		{"unknown and called paid", row{OrderID: "T1", Status: "paid", Amount: amount(1999)}, payment, "paid", "not-paid-yet"},
		{"held", row{OrderID: "T1", Status: "authorised", Amount: amount(1999)}, payment, "authorised", "not-paid-yet"},
		{"held, as wanted", row{OrderID: "T1", Status: "Authorized", Amount: amount(1999)}, held, "authorised", ""},
		{"held, finished", row{OrderID: "T1", Status: "authfinish", Amount: amount(1999)}, held, "authfinish", ""},
		{"held, captured since", row{OrderID: "T1", Status: "captured", Amount: amount(1999)}, held, "captured", ""},
		{"held, and closed", row{OrderID: "T1", Status: "cancelled", Amount: amount(1999)}, held, "cancelled", "not-confirmed"},
		{"held, of another amount", row{OrderID: "T1", Status: "authorised", Amount: amount(1)}, held, "authorised", "amount-mismatch"},
		{"another amount", row{OrderID: "T1", Status: "success", Amount: amount(1)}, payment, "success", "amount-mismatch"},
		{"no amount", row{OrderID: "T1", Status: "success"}, payment, "success", "amount-unconfirmed"},
		{"another merchant", row{OrderID: "T1", MerchantID: "M2", Status: "success", Amount: amount(1999)}, payment, "success", "answer-of-another-merchant"},
		{"this merchant", row{OrderID: "T1", MerchantID: merchant, Status: "success", Amount: amount(1999)}, payment, "success", ""},
		{"another order", row{OrderID: "T2", Status: "success", Amount: amount(1999)}, payment, "success", "answer-of-another-order"},
		{"the id in another case", row{OrderID: "t1", Status: "success", Amount: amount(1999)}, payment, "success", "answer-of-another-order"},
		{"no order", row{Status: "success", Amount: amount(1999)}, payment, "success", "answer-without-order"},
		{"nothing wanted", row{OrderID: "T1", Status: "success"}, middleware.Wanted{}, "success", "answer-without-order"},
		{"a refund", row{OrderID: "T1", Status: "success", Amount: amount(1999), Refund: true}, payment, "success", "answer-of-a-refund"},
		{"a refund by what it returns", row{OrderID: "T1", Status: "success", Amount: amount(1999), Original: "T0"}, payment, "success", "answer-of-a-refund"},
		{"a checkout", row{Checkout: "P1", Status: "PROCESSING"}, checkout, "processing", ""},
		{"another checkout", row{Checkout: "P2", OrderID: "T1", Status: "SUCCESS"}, checkout, "success", "answer-of-another-order"},
		{"no checkout", row{OrderID: "T1", Status: "SUCCESS"}, checkout, "success", "answer-without-order"},
		{"an order of this checkout", row{Checkout: "P1", OrderID: "T1", Status: "SUCCESS"}, middleware.Wanted{OrderID: "T1", Checkout: "P1"}, "success", ""},
		{"an order, and no checkout in the answer", row{OrderID: "T1", Status: "SUCCESS"}, middleware.Wanted{OrderID: "T1", Checkout: "P1"}, "success", ""},
		{"an order, and no checkout wanted", row{Checkout: "P2", OrderID: "T1", Status: "SUCCESS"}, some, "success", ""},
		{"a checkout, and nothing wanted", row{Checkout: "P1", OrderID: "T1", Status: "SUCCESS"}, middleware.Wanted{}, "success", "answer-without-order"},
		{"a merchant, and none wanted", row{OrderID: "T1", MerchantID: "M2", Status: "success"}, some, "success", ""},
		{"failed, as wanted", row{OrderID: "T1", Status: "FAILURE"}, middleware.Wanted{OrderID: "T1", Kind: "failure"}, "failure", ""},
		{"failed, and paid", row{OrderID: "T1", Status: "success"}, middleware.Wanted{OrderID: "T1", Kind: "failure"}, "success", "not-confirmed"},
		{"failed, and no status", row{OrderID: "T1"}, middleware.Wanted{OrderID: "T1", Kind: "failure"}, "", "not-confirmed"},
		{"failed, and held", row{OrderID: "T1", Status: "authorised"}, middleware.Wanted{OrderID: "T1", Kind: "failure"}, "authorised", "not-confirmed"},
		{"no kind that there is, and no status", row{OrderID: "T1", Status: " "}, middleware.Wanted{OrderID: "T1", Kind: "authorised"}, "", "not-confirmed"},
		{"an order of another checkout", row{Checkout: "P2", OrderID: "T1", Status: "SUCCESS"}, middleware.Wanted{OrderID: "T1", Checkout: "P1"}, "success", "answer-of-another-order"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.row.State(); got != tt.state {
				t.Errorf("state %q, want %q", got, tt.state)
			}
			if got := tt.row.Mismatch(tt.want); string(got) != tt.word {
				t.Errorf("got %q, want %q", got, tt.word)
			}
		})
	}
}

func TestAnswerOfARefund(t *testing.T) {
	t.Parallel()
	type row = middleware.Answer
	refund := middleware.Wanted{Refund: true, OrderID: "R1", Original: "T1", Merchant: merchant, Amount: is(500)}
	byID := middleware.Wanted{Refund: true, OrderID: "R1"}
	sent := refund
	sent.Sent = true
	tests := []struct {
		name string
		row  row
		want middleware.Wanted
		word string
	}{
		{"returned", row{OrderID: "R1", Status: "success", Amount: amount(500), Returned: amount(500)}, refund, ""},
		{"returned, no other amount", row{OrderID: "R1", Status: "success", Returned: amount(500)}, refund, ""},
		{"returned, the amount is 0", row{OrderID: "R1", Status: "success", Amount: amount(0), Returned: amount(500)}, refund, ""},
		{"names the payment", row{OrderID: "R1", Status: "success", Amount: amount(500), Original: "T1"}, refund, ""},
		{"names the payment and its amount", row{OrderID: "R1", Status: "success", Amount: amount(1999), Returned: amount(500), Original: "T1"}, refund, ""},
		{"names the payment, no amount but what is returned", row{OrderID: "R1", Status: "success", Returned: amount(500), Original: "T1"}, refund, ""},
		{"names a payment, and none is known", row{OrderID: "R1", Status: "success", Returned: amount(500), Original: "T9"}, byID, ""},
		{"called a refund", row{OrderID: "R1", Status: "fully_refunded", Amount: amount(500), Refund: true}, refund, ""},
		{"under way", row{OrderID: "R1", Status: "processing", Amount: amount(500), Returned: amount(500)}, refund, ""},
		{"failed", row{OrderID: "R1", Status: "failure", Amount: amount(500), Returned: amount(0)}, refund, ""},
		{"failed, names the payment", row{OrderID: "R1", Status: "failure", Original: "T1"}, refund, ""},
		{"by its id alone", row{OrderID: "R1", Status: "success", Amount: amount(7), Returned: amount(7)}, byID, ""},
		{"a payment", row{OrderID: "R1", Status: "success", Amount: amount(1999), Returned: amount(0)}, refund, "answer-of-a-payment"},
		{"a payment, by its id alone", row{OrderID: "R1", Status: "success", Amount: amount(1999)}, byID, "answer-of-a-payment"},
		{"a payment of the same amount", row{OrderID: "R1", Status: "success", Amount: amount(500), Returned: amount(0)}, refund, "answer-of-a-payment"},
		{"a payment, as much of it returned", row{OrderID: "R1", Status: "success", Amount: amount(1999), Returned: amount(500)}, refund, "answer-of-a-payment"},
		{"a payment, partly returned", row{OrderID: "R1", Status: "partial_refunded", Amount: amount(1999), Returned: amount(500)}, refund, "answer-of-a-payment"},
		{"a payment, fully returned", row{OrderID: "R1", Status: "fully_refunded", Amount: amount(500), Returned: amount(500)}, refund, "answer-of-a-payment"},
		{"an unpaid order", row{OrderID: "R1", Status: "notpay", Amount: amount(1999), Returned: amount(0)}, refund, "answer-of-a-payment"},
		{"an unpaid order of the same amount", row{OrderID: "R1", Status: "init", Amount: amount(500)}, refund, "answer-of-a-payment"},
		{"a held payment", row{OrderID: "R1", Status: "authorised", Amount: amount(500)}, refund, "answer-of-a-payment"},
		{"a closed order of another amount", row{OrderID: "R1", Status: "orderclosed", Amount: amount(1999)}, refund, "answer-of-a-payment"},
		{"another refund", row{OrderID: "R1", Status: "success", Amount: amount(500), Returned: amount(500), Original: "T2"}, refund, "answer-of-another-refund"},
		{"a refund of another amount", row{OrderID: "R1", Status: "success", Returned: amount(400), Original: "T1"}, refund, "amount-mismatch"},
		{"a refund of another amount, unmarked", row{OrderID: "R1", Status: "success", Amount: amount(400), Returned: amount(400)}, refund, "answer-of-a-payment"},
		{"names the payment, no amount", row{OrderID: "R1", Status: "success", Original: "T1"}, refund, "amount-unconfirmed"},
		{"success and no more", row{OrderID: "R1", Status: "success"}, refund, "amount-unconfirmed"},
		{"nothing returned and no more", row{OrderID: "R1", Status: "success", Returned: amount(0)}, refund, "answer-of-a-payment"},
		{"under way and no more", row{OrderID: "R1", Status: "processing", Amount: amount(0), Returned: amount(0)}, refund, ""},
		{"no status and no more", row{OrderID: "R1"}, refund, ""},
		{"sent, success and no more", row{OrderID: "R1", Status: "success"}, sent, ""},
		{"sent, success of the amount", row{OrderID: "R1", Status: "success", Amount: amount(500)}, sent, ""},
		{"sent, success of another amount", row{OrderID: "R1", Status: "success", Amount: amount(501)}, sent, "answer-of-a-payment"},
		{"sent, success, and nothing returned", row{OrderID: "R1", Status: "success", Amount: amount(500), Returned: amount(0)}, sent, "answer-of-a-payment"},
		{"sent, under way", row{OrderID: "R1", Status: "init", Amount: amount(500), Returned: amount(0)}, sent, ""},
		{"sent, partly returned", row{OrderID: "R1", Status: "partial_refunded", Amount: amount(500)}, sent, "answer-of-a-payment"},
		{"sent, another refund", row{OrderID: "R1", Status: "success", Original: "T2", Returned: amount(500)}, sent, "answer-of-another-refund"},
		{"sent, never seen", row{OrderID: "R1", Status: "init", Amount: amount(0)}, sent, "order-unknown"},
		{"sent, closed and no more", row{OrderID: "R1", Status: "failure"}, sent, "order-unknown"},
		{"never seen", row{OrderID: "R1", Status: "init", Amount: amount(0), Returned: amount(0)}, refund, "order-unknown"},
		{"never seen, no amounts", row{OrderID: "R1", Status: "notpay "}, refund, "order-unknown"},
		{"never seen, called closed", row{OrderID: "R1", Status: "orderclosed", Amount: amount(0)}, refund, "order-unknown"},
		{"another id", row{OrderID: "R2", Status: "success", Amount: amount(500), Returned: amount(500)}, refund, "answer-of-another-order"},
		{"no id", row{Status: "success", Amount: amount(500), Returned: amount(500)}, refund, "answer-without-order"},
		{"another merchant", row{OrderID: "R1", MerchantID: "M2", Status: "success", Amount: amount(500), Returned: amount(500)}, refund, "answer-of-another-merchant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.row.Mismatch(tt.want); string(got) != tt.word {
				t.Errorf("got %q, want %q", got, tt.word)
			}
		})
	}
}
