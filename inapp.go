package ottpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/wire"
)

// inAppPayURL is where InAppPay goes, unless Config.Endpoints has another for
// [ActionInAppPay].
const inAppPayURL = "https://mppay.ottpay.com/inAppPay"

// ActionInAppPay names InAppPay in errors and in Config.Endpoints and
// Config.Timeouts. It is no action of the envelope.
const ActionInAppPay api.Action = "inAppPay"

// InAppPayRequest asks for a WeChat payment inside a native app.
type InAppPayRequest struct {
	AppID       string      // WeChat's id of the app. Required
	Amount      field.Cents // Required
	Tip         field.Cents // optional
	CallBackURL string      // the webhook. Required
	OrderID     string      // made by the client if empty
	ShopID      string      // optional
	OperatorID  string      // the client's if empty
}

// Format writes the order's id, whatever the verb: a URL may hold a token.
func (r InAppPayRequest) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "InAppPayRequest of order %q", clean(r.OrderID, 64))
}

// LogValue names the order.
func (r InAppPayRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("order_id", clean(r.OrderID, 64)))
}

// InAppPayResponse holds the values that an app needs to open WeChat. Nothing but TLS
// authenticates it, and it proves no payment.
type InAppPayResponse struct {
	AppID     string // WeChat's id of the app
	PartnerID string // WeChat's id of the merchant
	PrepayID  string // WeChat's id of the payment that is to be made
	Package   string // WeChat's package, such as Sign=WXPay
	NonceStr  string // the random text that PaySign covers
	TimeStamp string // the time that PaySign covers, as it came
	PaySign   string // WeChat's signature, which WeChat checks
	TradeNo   string // the order_id of the notification
}

// Format writes the type's name, whatever the verb: the rest opens a payment.
func (InAppPayResponse) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "InAppPayResponse")
}

// LogValue returns the type's name.
func (InAppPayResponse) LogValue() slog.Value { return slog.StringValue("InAppPayResponse") }

// AppParameters returns the fields of WeChat's PayReq as JSON, by the names that
// its SDKs use. The gateway's answer holds a secret besides (wxapikey); it is
// neither read nor passed on.
func (r *InAppPayResponse) AppParameters() (json.RawMessage, error) {
	return json.Marshal(map[string]string{
		"appid": r.AppID, "partnerid": r.PartnerID, "prepayid": r.PrepayID, "package": r.Package,
		"noncestr": r.NonceStr, "timestamp": r.TimeStamp, "sign": r.PaySign,
	})
}

// InAppPay asks for a WeChat payment inside a native app. It is plain JSON, no
// envelope; the notification that follows is an envelope as always. It moves
// money and is sent once. Its errors are as those of the other methods.
func (c *Client) InAppPay(ctx context.Context, req *InAppPayRequest) (resp *InAppPayResponse, err error) {
	a := c.begin(ctx, inAppPayInfo)
	a.call.URL, a.call.Plain = c.inApp, true
	defer func() {
		if err = a.finish(recover(), err); err != nil {
			resp = nil
		}
	}()
	if req != nil {
		a.call.OrderID = req.OrderID
	}
	a.start = c.cfg.Now()
	if err := a.inAppPay(req); err != nil {
		return nil, err
	}
	if err := a.send(); err != nil {
		return nil, err
	}
	return a.readInAppPay()
}

// inAppPayInfo is what the document would say of it.
var inAppPayInfo = api.ActionInfo{Name: ActionInAppPay, Kind: api.KindEffect, Effect: api.EffectCreateOrder}

// inAppPay makes the call of the request.
func (a *attempt) inAppPay(given *InAppPayRequest) error {
	if given == nil {
		return refused(middleware.ReasonRequest, constant("the request is nil"))
	}
	req := *given
	if req.OrderID == "" {
		var err error
		if req.OrderID, err = a.NewOrderID(); err != nil {
			return refused(middleware.ReasonRequest, err)
		}
	}
	a.call.OrderID = req.OrderID
	operator := or(req.OperatorID, a.operator)
	tip := req.Tip
	if tip == 0 {
		tip = 1 // none
	}
	if err := errors.Join(
		api.CheckCallbackURL(req.CallBackURL), api.CheckOrderID(req.OrderID), api.CheckAmount(req.Amount), api.CheckAmount(tip),
	); err != nil {
		return refused(middleware.ReasonRequest, err)
	}
	if req.AppID == "" || operator == "" {
		return refused(middleware.ReasonRequest, constant("InAppPay needs an app's id and an operator"))
	}
	w := wire.NewWriter()
	w.String("userId", req.AppID)
	w.String("amount", req.Amount.String())
	w.String("bizType", "WECHATPAY")
	w.String("merchant_id", a.merchant)
	w.String("operator_id", operator)
	w.String("call_back_url", req.CallBackURL)
	w.String("order_id", req.OrderID)
	w.String("shopId", req.ShopID)
	if req.Tip > 0 {
		w.String("tip", req.Tip.String())
	}
	var err error
	if a.call.Data, err = w.Close(); err != nil {
		return refused(middleware.ReasonRequest, err)
	}
	return nil
}

// readInAppPay reads the answer. The page has the app sign by itself, so that an
// answer without paySign is good, and so is one without tradeNo.
func (a *attempt) readInAppPay() (*InAppPayResponse, error) {
	var m wire.Members
	if err := wire.Parse(a.reply.Data, &m); err != nil {
		return nil, unclear(middleware.ReasonMalformed, err)
	}
	a.reply.Code, a.reply.Message = memberText(&m, "rsp_code"), memberText(&m, "rsp_msg")
	if code := api.Code(a.reply.Code); code != "" && code.Class() != api.ClassSuccess {
		return nil, &Error{Class: code.Class()}
	}
	resp := &InAppPayResponse{
		AppID:     memberText(&m, "appId"),
		PartnerID: memberText(&m, "partnerId"),
		PrepayID:  memberText(&m, "prepayId"),
		Package:   memberText(&m, "package_"),
		NonceStr:  memberText(&m, "nonceStr"),
		TimeStamp: memberText(&m, "timeStamp"),
		PaySign:   memberText(&m, "paySign"),
		TradeNo:   memberText(&m, "tradeNo"),
	}
	for _, text := range []string{resp.AppID, resp.PartnerID, resp.PrepayID, resp.Package, resp.NonceStr, resp.TimeStamp} {
		if text == "" {
			return nil, unclear(middleware.ReasonSchema, errors.Join(ErrInvalid, constant("the answer lacks a member that WeChat needs")))
		}
	}
	return resp, nil
}

// memberText returns the text of a member that is a string or a number, and ""
// if there is none.
func memberText(m *wire.Members, name string) string {
	i := m.Find(name)
	if i < 0 {
		return ""
	}
	if value := m.Value(i); wire.IsNumber(value) {
		return string(value)
	}
	text, _ := m.Text(i)
	return text
}
