package ottpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
)

// RequestPayment returns the argument of wx.requestPayment as JSON, from what
// MAPPPAY answered:
//
//	wx.requestPayment({...JSON.parse(params), success, fail})
//
// It opens a payment: hand it to the payer's mini-program, do not log it.
func RequestPayment(resp *api.MiniProgramPayResponse) (json.RawMessage, error) {
	var info api.PayInfo
	if err := info.UnmarshalJSON([]byte(resp.PayInfo.Text())); err != nil {
		return nil, errors.New("ottpay: payInfo is not the JSON that a mini-program needs")
	}
	// The gateway escapes twice now and then; WeChat signed the plain text.
	info.PackageStr = strings.ReplaceAll(info.PackageStr, `\u003d`, "=")
	for _, text := range []string{info.AppID, info.TimeStamp, info.NonceStr, info.PackageStr, info.SignType, info.PaySign} {
		if text == "" {
			return nil, errors.New("ottpay: payInfo lacks a member that a mini-program needs")
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		AppID     string `json:"appId"`
		TimeStamp string `json:"timeStamp"`
		NonceStr  string `json:"nonceStr"`
		Package   string `json:"package"`
		SignType  string `json:"signType"`
		PaySign   string `json:"paySign"`
	}{info.AppID, info.TimeStamp, info.NonceStr, info.PackageStr, info.SignType, info.PaySign})
	return bytes.TrimSpace(b.Bytes()), err
}

// Wallet returns the biz_type for PASSIVEPAY by the look of the payer's code:
// WECHATPAY, ALIPAY, UNIONPAY, or "" if it looks like none of them. It is a
// convenience from what was observed; the gateway has the last word and says
// AUTH_CODE_INVALID.
func Wallet(authCode string) string {
	if strings.HasPrefix(authCode, "hQVDUFY") {
		return "UNIONPAY"
	}
	n := len(authCode)
	if n < 16 || strings.Trim(authCode, "0123456789") != "" {
		return ""
	}
	switch kind := authCode[:2]; {
	case n == 18 && kind >= "10" && kind <= "15":
		return "WECHATPAY"
	case n <= 24 && kind >= "25" && kind <= "30":
		return "ALIPAY"
	}
	return ""
}
