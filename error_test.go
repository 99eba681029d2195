package ottpay_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// TestErrorSays: an error's text and what it matches follow from its fields, also
// of one that a shop made itself, for example from what it had stored.
func TestErrorSays(t *testing.T) {
	t.Parallel()
	const repeat = "outcome unknown: query, do not repeat"
	for _, tt := range []struct {
		err     ottpay.Error
		text    string
		matches string
	}{
		{ottpay.Error{}, "ottpay: no answer: " + repeat, "[unknown]"},
		{ottpay.Error{Action: api.ActionREFUND, OrderID: "CANARY", MerchantID: "CANARY"}, "ottpay: REFUND: no answer: " + repeat, "[unknown]"},
		{ottpay.Error{Action: ottpay.ActionInAppPay}, "ottpay: inAppPay: no answer: " + repeat, "[unknown]"},
		{ottpay.Error{Action: "CANARY"}, "ottpay: no answer: " + repeat, "[unknown]"},
		{ottpay.Error{Code: "CANARY", Message: "CANARY"}, "ottpay: undocumented response code: " + repeat, "[unknown]"},
		{ottpay.Error{Code: "fail", Class: api.ClassFailed}, "ottpay: FAIL (failure)", "[failed]"},
		{ottpay.Error{Reason: middleware.ReasonTimeout}, "ottpay: timeout: " + repeat, "[unknown]"},
		{ottpay.Error{Reason: middleware.ReasonDial, NotSent: true}, "ottpay: dial: not sent", "[not sent]"},
		{ottpay.Error{Reason: middleware.ReasonRequest, NotSent: true, Class: api.ClassCaller}, "ottpay: request: not sent", "[caller not sent]"},
		// An earlier call may have left.
		{ottpay.Error{NotSent: true, SentBefore: true}, "ottpay: no answer: " + repeat, "[unknown]"},
		{ottpay.Error{SentBefore: true, Class: api.ClassFailed}, "ottpay: no answer: " + repeat, "[failed unknown]"},
		{ottpay.Error{SentBefore: true, Code: "FAIL", Class: api.ClassFailed}, "ottpay: FAIL (failure): " + repeat, "[failed unknown]"},
		{ottpay.Error{SentBefore: true, Class: api.ClassDuplicate}, "ottpay: no answer: " + repeat, "[duplicate unknown]"},
		{ottpay.Error{SentBefore: true, Code: "ORDER_USED", Class: api.ClassDuplicate}, "ottpay: ORDER_USED (order number duplicated)", "[duplicate]"},
		{ottpay.Error{SentBefore: true, Class: api.ClassPending, Verified: true}, "ottpay: no answer: " + repeat, "[pending unknown]"},
		// What is under way is known if it was authenticated.
		{ottpay.Error{Class: api.ClassPending}, "ottpay: no answer: " + repeat, "[pending unknown]"},
		{ottpay.Error{Class: api.ClassPending, Verified: true}, "ottpay: no answer", "[pending]"},
		{ottpay.Error{Class: api.ClassDuplicate}, "ottpay: no answer", "[duplicate]"},
		{ottpay.Error{Class: api.ClassUnclear, Verified: true}, "ottpay: no answer: " + repeat, "[unknown]"},
	} {
		if got := tt.err.Error(); got != tt.text {
			t.Errorf("got  %s\nwant %s", got, tt.text)
		}
		if got := fmt.Sprint(classes(&tt.err)); got != tt.matches {
			t.Errorf("%s: matches %s, want %s", tt.text, got, tt.matches)
		}
	}
}

// TestErrorShowsNoField: however an error is printed, it is its text.
func TestErrorShowsNoField(t *testing.T) {
	t.Parallel()
	err := ottpay.Error{Action: api.ActionREFUND, OrderID: "CANARY", MerchantID: "CANARY", Message: "CANARY", Reason: middleware.ReasonTimeout}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, v := range []any{err, &err} {
			if got := fmt.Sprintf(verb, v); got != err.Error() {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
	}
	if got := fmt.Sprintf("%q", &err); got != fmt.Sprintf("%q", err.Error()) {
		t.Errorf("quoted: %s", got)
	}
}

// TestErrorInALogLine: the line names the order, fit to be shown.
func TestErrorInALogLine(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	err := &ottpay.Error{
		Action: api.ActionREFUND, OrderID: "R1\n" + strings.Repeat("x", 100), Message: "CANARY", Class: api.ClassFailed, Verified: true,
		Reason: middleware.ReasonStatus, Status: 503, RetryAfter: time.Second,
	}
	logger.Error("refund", "err", err)
	want := `level=ERROR msg=refund err.error="ottpay: REFUND: status" err.action=REFUND err.order_id="R1 ` + strings.Repeat("x", 61) +
		`" err.class=failed err.verified=true err.not_sent=false err.status=503` + "\n"
	if log.String() != want {
		t.Errorf("got  %s\nwant %s", log.String(), want)
	}
	logger.Error("refund", "err", &ottpay.Error{OrderID: "R1", NotSent: true})
	if got := strings.TrimPrefix(log.String(), want); !strings.Contains(got, "err.order_id=R1 ") || !strings.HasSuffix(got, "err.not_sent=true\n") {
		t.Errorf("without an answer: %s", got)
	}
}
