package middleware

import (
	"context"
	"errors"

	"github.com/ottpaykit/ottpay/gen/api"
)

// believe compares the notification with what the shop expects and with what
// the gateway says. It runs before the claim and holds nothing.
func (w *Webhook) believe(ctx context.Context, d *Delivery) *Refusal {
	if w.cfg.Expect == nil {
		return w.confirm(ctx, d)
	}
	expected, err := w.cfg.Expect(ctx, d.OrderID)
	switch {
	case err != nil:
		return deferred(ReasonNotExpected, err)
	case !d.Paid() && !d.statusSeen:
		return deferred(ReasonKind, nil)
	case !d.amountIs(expected):
		return deferred(ReasonAmountMismatch, nil)
	}
	if refusal := w.confirm(ctx, d); refusal != nil {
		return refusal
	}
	if !d.amountIs(expected) { // by what is confirmed
		return deferred(ReasonAmountMismatch, nil)
	}
	return nil
}

// confirm asks the gateway, unless it was asked already. Without an Asker it
// looks for what speaks against the callback's word.
func (w *Webhook) confirm(ctx context.Context, d *Delivery) *Refusal {
	if w.cfg.Asker == nil {
		return d.doubt()
	}
	if d.Answer == nil {
		answer, err := w.cfg.Asker.Ask(ctx, d)
		if err != nil {
			return askFailed(err)
		}
		d.Answer = &answer
	}
	if reason := d.Answer.mismatch(d); reason != "" {
		return deferred(reason, nil)
	}
	if a := d.Answer.Amount; a != nil && *a != d.Amount && d.SpliceSign() != "" {
		return deferred(ReasonAmountMismatch, errors.New("only the convenience fee explains it, and cipher blocks may have been moved"))
	}
	return nil
}

func askFailed(err error) *Refusal {
	var panicked *PanicError
	if errors.As(err, &panicked) || errors.Is(err, errGoexit) {
		return failed(ReasonPanic, err)
	}
	return deferred(ReasonAskFailed, err)
}

// doubt returns why the notification cannot be believed by itself, or nil.
func (d *Delivery) doubt() *Refusal {
	if d.Unverified.Code.Class() != api.ClassSuccess {
		// Nothing authenticates the code, so it makes nothing paid and nothing
		// failed. Without a query nothing can decide.
		return deferred(ReasonCode, nil)
	}
	if d.unusual != "" {
		return deferred(d.unusual, errors.New("only the gateway's word would make it believed"))
	}
	if sign := d.SpliceSign(); sign != "" {
		return deferred(ReasonPossibleSplice, errors.New("cipher blocks may have been moved: "+sign))
	}
	return nil
}
