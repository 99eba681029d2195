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

// InAppPayURL is where InAppPay goes, unless Config.Endpoints has another for
// [ActionInAppPay].
const InAppPayURL = "https://mppay.ottpay.com/inAppPay"

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

// InAppPayResponse is what an app needs to open WeChat. Nothing but TLS
// authenticates it, and it proves no payment.
type InAppPayResponse struct {
	AppID, PartnerID, PrepayID, Package, NonceStr, TimeStamp, PaySign string
	// TradeNo is the order_id of the notification.
	TradeNo string
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
func (c *Client) InAppPay(ctx context.Context, req *InAppPayRequest) (*InAppPayResponse, error) {
	start, failed := c.cfg.Now(), &Error{Action: ActionInAppPay, MerchantID: c.merchant}
	resp, err := c.sendInAppPay(ctx, req, failed)
	c.log(ctx, api.ActionInfo{Name: ActionInAppPay, Kind: api.KindEffect}, failed, err, c.cfg.Now().Sub(start))
	return resp, err
}

func (c *Client) sendInAppPay(ctx context.Context, req *InAppPayRequest, failed *Error) (*InAppPayResponse, error) {
	if req == nil {
		return nil, failed.refused(middleware.ReasonRequest, errors.New("the request is nil"))
	}
	body, err := c.inAppPay(*req, failed)
	if err != nil {
		return nil, failed.refused(middleware.ReasonRequest, err)
	}
	ctx, cancel := context.WithTimeout(ctx, or(c.cfg.Timeouts[ActionInAppPay], c.cfg.Timeout))
	defer cancel()
	answer, err := c.effect.SendPlain(middleware.SendOnce(ctx), string(ActionInAppPay), c.inApp, body)
	if err != nil {
		return nil, failed.transport(err)
	}
	return readInAppPay(answer, failed)
}

func (c *Client) inAppPay(req InAppPayRequest, failed *Error) ([]byte, error) {
	if req.OrderID == "" {
		var err error
		if req.OrderID, err = c.NewOrderID(); err != nil {
			return nil, err
		}
	}
	failed.OrderID = req.OrderID
	operator := or(req.OperatorID, c.operator)
	if err := webURL("CallBackURL", req.CallBackURL); err != nil {
		return nil, err
	}
	switch {
	case req.AppID == "" || operator == "":
		return nil, errors.New("ottpay: InAppPay needs an app's id and an operator")
	case !orderID(req.OrderID):
		return nil, errors.New("ottpay: OrderID is not 1 to 64 letters, digits, _ and -")
	case req.Amount < 1 || req.Amount > 999_999_999_999 || req.Tip < 0 || req.Tip > 999_999_999_999:
		return nil, errors.New("ottpay: an amount is not 1 to 12 digits")
	}
	w := wire.NewWriter()
	w.String("userId", req.AppID)
	w.String("amount", req.Amount.String())
	w.String("bizType", "WECHATPAY")
	w.String("merchant_id", c.merchant)
	w.String("operator_id", operator)
	w.String("call_back_url", req.CallBackURL)
	w.String("order_id", req.OrderID)
	w.String("shopId", req.ShopID)
	if req.Tip > 0 {
		w.String("tip", req.Tip.String())
	}
	return w.Close()
}

func readInAppPay(answer []byte, failed *Error) (*InAppPayResponse, error) {
	var resp InAppPayResponse
	var code, message string
	r := wire.NewReader(answer)
	for r.Next() {
		if r.Null() {
			continue
		}
		switch r.Name() {
		case "appId":
			resp.AppID = r.Text()
		case "partnerId":
			resp.PartnerID = r.Text()
		case "prepayId":
			resp.PrepayID = r.Text()
		case "package_":
			resp.Package = r.Text()
		case "nonceStr":
			resp.NonceStr = r.Text()
		case "timeStamp":
			resp.TimeStamp = r.Text()
		case "paySign":
			resp.PaySign = r.Text()
		case "tradeNo":
			resp.TradeNo = r.Text()
		case "rsp_code":
			code = r.Text()
		case "rsp_msg":
			message = r.Text()
		}
	}
	if _, err := r.Close(); err != nil {
		return nil, failed.unclear(middleware.ReasonMalformed, errors.Join(ErrMalformed, err))
	}
	if code != "" && api.Code(code).Class() != api.ClassSuccess {
		failed.Code, failed.Message = api.Code(clean(code, 64)), clean(message, 256)
		failed.Class = failed.Code.Class()
		return nil, failed
	}
	for _, text := range []string{resp.AppID, resp.PartnerID, resp.PrepayID, resp.Package, resp.NonceStr, resp.TimeStamp, resp.PaySign, resp.TradeNo} {
		if text == "" {
			return nil, failed.unclear(middleware.ReasonSchema, ErrInvalid)
		}
	}
	return &resp, nil
}
