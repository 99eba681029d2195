package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// open reads the envelope and opens it under one of the merchant's keys, and
// makes the checks that tell a callback from any other message under the same
// key. They are written out here, so that no validator and no schema can lose
// them.
func (w *Webhook) open(ctx context.Context, body []byte) (*Delivery, *Refusal) {
	outer, err := envelope.ReadResponse(body)
	if err != nil {
		return nil, &Refusal{Status: http.StatusBadRequest, Reason: Reason(envelope.Reason(err)), result: ResultRefused}
	}
	merchant := outer.MerchantID // it selects a key and proves nothing
	if merchant == "" {
		merchant = w.cfg.Merchant
	}
	if merchant == "" {
		return nil, &Refusal{Status: http.StatusBadRequest, Reason: ReasonNoMerchant, result: ResultRefused}
	}
	var keys []envelope.Key
	if merchant == w.cfg.Merchant || isMerchant(merchant) {
		keys, err = w.cfg.Keys.Keys(ctx, merchant)
	}
	if err != nil {
		return nil, &Refusal{Status: http.StatusServiceUnavailable, Reason: ReasonKeysUnavailable, Err: err, result: ResultFailed}
	}
	var reason Reason
	if len(keys) == 0 {
		reason, keys = ReasonUnknownMerchant, []envelope.Key{w.decoy} // takes as long as a wrong key
	}
	var payload envelope.Payload
	opened := 0
	for opened = range keys {
		if payload, err = keys[opened].Open(outer.Sealed); err == nil {
			break
		}
	}
	if err != nil || reason != "" {
		if reason == "" {
			reason = Reason(envelope.Reason(err))
		}
		return nil, &Refusal{Status: http.StatusUnauthorized, Reason: reason, result: ResultRefused, spend: true}
	}
	d := &Delivery{
		Source: SourceCallback, Merchant: merchant, KeyIndex: opened, Payload: payload,
		Claimed: Claimed{api.Code(outer.Code), outer.Message, outer.MerchantID},
	}
	if w.cfg.Journal != nil {
		d.sealed = bytes.Clone(body)
	}
	if reason := d.read(); reason != "" {
		return nil, (&Refusal{Status: http.StatusBadRequest, Reason: reason, result: ResultRefused}).about(d)
	}
	return d, nil
}

// isMerchant reports whether id may be a merchant's. A stranger has written it,
// and Keys may look it up in a database, which fails at some texts (a NUL in
// PostgreSQL): that would be told as an outage, each time.
func isMerchant(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= 64
}

// read takes what identifies a callback from the verified payload and returns
// why it is no callback, or "". No request and no response of the gateway has a
// finish_time: this is what a replayed one fails at.
func (d *Delivery) read() Reason {
	p := d.Payload
	d.OrderID, d.BizpayOrderID = text(p, "order_id"), text(p, "bizpay_order_id")
	d.FinishTime = field.Time(text(p, "finish_time"))
	d.Kind = kindOf(text(p, "order_status")) // what else it may be is the schema's business
	amount, _ := p.Member("amount")
	switch {
	case !d.isFor(p):
		return ReasonMerchant
	case d.OrderID == "":
		return ReasonOrderID
	case d.BizpayOrderID == "":
		return ReasonBizpayOrderID
	case d.FinishTime == "":
		return ReasonFinishTime
	case d.Amount.UnmarshalJSON(amount) != nil:
		return ReasonAmount
	}
	return ""
}

// isFor reports whether the payload names no merchant, or d's.
func (d *Delivery) isFor(p envelope.Payload) bool {
	value, ok := p.Member("merchant_id")
	if !ok || string(value) == "null" {
		return true
	}
	plain := len(value) == len(d.Merchant)+2 && value[0] == '"' && string(value[1:len(value)-1]) == d.Merchant
	return plain || text(p, "merchant_id") == d.Merchant && d.Merchant != ""
}

// text returns a member's string, "" if it is missing or something else.
func text(p envelope.Payload, name string) string {
	value, _ := p.Member(name)
	switch {
	case len(value) == 0 || value[0] != '"':
		return ""
	case bytes.IndexByte(value, '\\') < 0:
		return string(value[1 : len(value)-1])
	}
	var s string
	if json.Unmarshal(value, &s) != nil { // which cannot be: it was verified
		return ""
	}
	return s
}

// decode turns the payload into its generated type and validates it, and into
// what the handler wants, if that is another one.
func (w *Webhook) decode(ctx context.Context, d *Delivery, into any) error {
	n, wanted := into.(*api.Notification)
	if !wanted {
		n = new(api.Notification)
	}
	d.Notification = n
	if err := w.decodeInto(ctx, d, n); err != nil || wanted || into == nil {
		return err
	}
	return w.decodeInto(ctx, d, into)
}

func (w *Webhook) decodeInto(ctx context.Context, d *Delivery, v any) error {
	if err := decodeJSON(d.Payload.JSON, v); err != nil {
		return err
	}
	return w.cfg.Validator.StructCtx(ctx, v)
}

// misfit says why a payload does not fit the shop's own type. The standard
// library's words quote values, and so may those of what it calls, as
// time.Time's do.
func misfit(err error, v any) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("member %s does not fit a %s", mismatch.Field, mismatch.Type)
	}
	return fmt.Errorf("a member does not fit its field of %T", v)
}
