package api_test

import (
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

func TestOrderStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status, normal                      api.OrderStatus
		kind                                string
		paid, held, refunded, closed, final bool
	}{
		{status: "init", normal: "init", kind: "init"},
		{status: "notpay", normal: "notpay", kind: "notpay"},
		{status: "processing", normal: "processing", kind: "processing"},
		{status: "canceling", normal: "canceling", kind: "canceling"},
		{status: "success", normal: "success", kind: "paid", paid: true},
		{status: "captured", normal: "captured", kind: "paid", paid: true},
		{status: "trade_finished", normal: "trade_finished", kind: "paid", paid: true},
		{status: "failure", normal: "failure", kind: "failure", closed: true, final: true},
		{status: "orderclosed", normal: "orderclosed", kind: "orderclosed", closed: true, final: true},
		{status: "orderclose", normal: "orderclosed", kind: "orderclosed", closed: true, final: true},
		{status: "cancelled", normal: "cancelled", kind: "cancelled", closed: true, final: true},
		{status: "authfinish", normal: "authfinish", kind: "authfinish", held: true},
		{status: "authorised", normal: "authorised", kind: "authorised", held: true},
		{status: "authorized", normal: "authorised", kind: "authorised", held: true},
		{status: "partial_refunded", normal: "partial_refunded", kind: "partial_refunded", refunded: true},
		{status: "partial_refund", normal: "partial_refunded", kind: "partial_refunded", refunded: true},
		{status: "fully_refunded", normal: "fully_refunded", kind: "fully_refunded", refunded: true, final: true},
		{status: "fully_reversal", normal: "fully_reversal", kind: "fully_reversal", closed: true, final: true},
	}
	for _, s := range api.Statuses() { // those that were added to the document, too
		if !s.Known() || s.Normal().Normal() != s.Normal() || s.Paid() && (s.Held() || s.Refunded() || s.Closed()) {
			t.Errorf("%s contradicts itself", s)
		}
	}
	spellings := []func(string) string{
		func(s string) string { return s },
		strings.ToUpper,
		func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
		func(s string) string { return " " + s },
		func(s string) string { return s + " \t\r\n" },
		func(s string) string { return s + "\x00" },
		func(s string) string { return "\ufeff" + s + "\u00a0\u200b\x7f" },
	}
	for _, tt := range tests {
		for _, spell := range spellings {
			s := api.OrderStatus(spell(string(tt.status)))
			if s.Normal() != tt.normal || s.Kind() != tt.kind || !s.Is(tt.status) || !s.Known() {
				t.Errorf("%q: normal %q, kind %q, known %v", s, s.Normal(), s.Kind(), s.Known())
			}
			if s.Paid() != tt.paid || s.Held() != tt.held || s.Refunded() != tt.refunded || s.Closed() != tt.closed || s.Final() != tt.final {
				t.Errorf("%q: paid %v, held %v, refunded %v, closed %v, final %v", s, s.Paid(), s.Held(), s.Refunded(), s.Closed(), s.Final())
			}
		}
	}
}

func TestOrderStatusUnknown(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status, normal api.OrderStatus
		kind           string
	}{
		{"", "", ""},
		{" \t\x00", "", ""},
		{"SUCCES", "succes", "succes"},
		{"succ ess", "succ ess", "succ ess"},
		{"succ\x00ess", "succ\x00ess", "succ\x00ess"},
		{"ſuccess", "ſuccess", "ſuccess"}, // U+017F folds to s, but is none
		{"success\xff", "success\xff", "success\xff"},
		{" Paid ", "paid", "unknown"}, // or it would be handled as a payment
		{"trade finished", "trade finished", "trade finished"},
	}
	for _, tt := range tests {
		s := tt.status
		if s.Normal() != tt.normal || s.Kind() != tt.kind || s.Known() {
			t.Errorf("%q: normal %q, kind %q, known %v", s, s.Normal(), s.Kind(), s.Known())
		}
		if s.Paid() || s.Held() || s.Refunded() || s.Closed() || s.Final() || s.Is(api.StatusSuccess) {
			t.Errorf("%q is taken for something", s)
		}
	}
}

// The caller of Statuses owns what it gets.
func TestStatusesIsACopy(t *testing.T) {
	t.Parallel()
	api.Statuses()[0] = "changed"
	if api.Statuses()[0] == "changed" {
		t.Error("a caller can change the table")
	}
}
