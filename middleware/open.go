package middleware

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/wire"
)

// open reads the envelope and opens it under one of the merchant's keys.
func (w *Webhook) open(ctx context.Context, rec *record) *Refusal {
	outer, err := envelope.ReadResponse(rec.body)
	if err != nil {
		return rec.refuse(http.StatusBadRequest, Reason(envelope.Reason(err)))
	}
	merchant := outer.MerchantID // it selects a key and proves nothing
	if merchant == "" {
		merchant = w.cfg.Merchant
	}
	rec.unverified = merchant
	if merchant == "" {
		return rec.refuse(http.StatusBadRequest, ReasonNoMerchant)
	}
	var keys []envelope.Key
	if merchant == w.cfg.Merchant || isMerchant(merchant) {
		keys, err = w.keys(ctx, merchant)
	}
	if err != nil {
		return failed(ReasonKeysUnavailable, err)
	}
	for i := range keys {
		if keys[i].IsZero() {
			return failed(ReasonKeysUnavailable, errZeroKey)
		}
	}
	known := len(keys) > 0
	if !known {
		keys = []envelope.Key{w.decoy} // takes as long as a wrong key
	}
	for i := range keys {
		payload, failed := keys[i].Open(outer.Sealed)
		if failed == nil && known {
			w.opened.add(merchant)
			rec.delivery = &Delivery{
				Source: SourceCallback, Merchant: merchant, KeyIndex: i, Payload: payload,
				Unverified: Unverified{api.Code(outer.Code), outer.Message, outer.MerchantID},
			}
			return nil
		}
		err = failed
	}
	refusal := rec.refuse(http.StatusUnauthorized, ReasonUnknownMerchant)
	refusal.spend = true
	if known {
		refusal.Reason = Reason(envelope.Reason(err))
		if !w.opened.has(merchant) {
			refusal.Err = errNeverOpened
		}
	}
	return refusal
}

// keys looks the merchant's keys up, for no longer than the rest may take.
func (w *Webhook) keys(ctx context.Context, merchant string) ([]envelope.Key, error) {
	if known, ok := w.cfg.Keys.(StaticKeys); ok {
		return known.Keys(ctx, merchant)
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	return w.cfg.Keys.Keys(ctx, merchant)
}

var (
	errZeroKey     = errors.New("Keys returned a zero Key: use envelope.NewKey")
	errNeverOpened = errors.New("no callback has opened under this merchant's sign key since the program started: is the sign key right?")
)

// isMerchant reports whether id may be a merchant's. A stranger has written it,
// and Keys may look it up in a database, which fails at some texts (a NUL in
// PostgreSQL): that would be reported as an outage, each time.
func isMerchant(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= 64
}

// identify takes what identifies a callback from the verified payload. These
// checks tell a callback from any other message under the same key; they are
// written out here, so that no validator and no schema can lose them.
//
// No request and no response of the gateway has a finish_time: this is where a
// replayed one ends. Whatever has one could be money. If the rest is not as it
// should be, it is not refused for good: d.unusual says why only the gateway's
// word makes it believed.
func (d *Delivery) identify() *Refusal {
	m := d.Payload.Members()
	switch {
	case !has(m, "finish_time"):
		return &Refusal{Status: http.StatusBadRequest, Reason: ReasonFinishTime, result: ResultRefused}
	case !has(m, "order_id"):
		return deferred(ReasonOrderID, errors.New("the payload has a finish_time and no order_id"))
	case has(m, "bizpay_order_id"), has(m, "pay_no"), has(m, "payNo"), has(m, "out_trade_no"):
	default:
		d.unusual = ReasonBizpayOrderID
	}
	if has(m, "merchant_id") && string(value(m, "merchant_id")) != d.Merchant {
		d.unusual = ReasonMerchant
	}
	status := string(value(m, "order_status")) // what else it may be is the schema's business
	if d.Kind = kindOf(status); d.Kind == "" {
		// A blank text says as little as an absent one. But a card's notification
		// must say something.
		d.Kind, d.unusual = api.KindPaid, ReasonKind
	}
	return d.readAmount(m)
}

// readAmount reads cents. An amount with a point is dollars.
func (d *Delivery) readAmount(m *wire.Members) *Refusal {
	i := m.Find("amount")
	if i < 0 {
		return deferred(ReasonAmount, errors.New("the payload has no amount"))
	}
	if d.Amount.UnmarshalJSON(m.Value(i)) == nil {
		return nil
	}
	text := string(value(m, "amount"))
	cents, err := field.ParseDecimal(text)
	if err != nil || !strings.Contains(text, ".") {
		return deferred(ReasonAmount, errors.New("the amount is not a number of cents"))
	}
	d.Amount, d.unusual = cents, ReasonAmount
	return nil
}

// has reports whether a member is a string that is not empty, or a number.
func has(m *wire.Members, name string) bool { return len(value(m, name)) > 0 }

// value returns the text of a member that is a string or a number, and nothing
// for any other one. It must not be changed.
func value(m *wire.Members, name string) []byte {
	i := m.Find(name)
	if i < 0 {
		return nil
	}
	v := m.Value(i)
	switch {
	case v[0] == '"' && bytes.IndexByte(v, '\\') < 0:
		return v[1 : len(v)-1]
	case v[0] == '"':
		text, _ := m.Text(i)
		return []byte(text)
	case v[0] == '-' || v[0] >= '0' && v[0] <= '9':
		return v
	}
	return nil
}

// decode turns the payload into its generated type and validates it, and into
// what the handler wants, if that is another one.
func (w *Webhook) decode(ctx context.Context, rec *record) error {
	d := rec.delivery
	m, err := d.members()
	if err != nil {
		return err
	}
	var into any
	if rec.endpoint != nil {
		rec.handler = rec.endpoint.begin()
		into = rec.handler.into()
	}
	n, wanted := into.(*api.Notification)
	if !wanted {
		n = new(api.Notification)
	}
	d.Notification = n
	if err := n.UnmarshalMembers(m); err != nil {
		return err
	}
	d.OrderID, d.BizpayOrderID, d.FinishTime = n.OrderID, n.BizpayOrderID, n.FinishTime
	if err := w.cfg.Validator.StructCtx(ctx, n); err != nil {
		return err
	}
	if wanted || into == nil {
		return nil
	}
	d.statusSeen = rec.endpoint.target().card
	if err := rec.endpoint.target().decoder.Decode(m, into); err != nil {
		return err
	}
	return w.cfg.Validator.StructCtx(ctx, into)
}

// members returns the payload's members, with an amount of dollars as cents.
func (d *Delivery) members() (*wire.Members, error) {
	m := d.Payload.Members()
	if d.unusual != ReasonAmount {
		return m, nil
	}
	at := m.Span(m.Find("amount"))
	cents := new(wire.Members)
	return cents, wire.Parse(slices.Concat(d.Payload.JSON[:at.At], []byte(strconv.Quote(d.Amount.String())), d.Payload.JSON[at.End:]), cents)
}
