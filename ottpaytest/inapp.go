package ottpaytest

import (
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// inAppPath ends the path of inAppPay, which asks for a WeChat payment in a
// native app: plain JSON, not an envelope; its callback is one.
const inAppPath = "/inAppPay"

// ActionInAppPay names the call inAppPay in Order, Message and Fault. It is no
// action of the envelope.
const ActionInAppPay api.Action = "inAppPay"

// openInApp reads and judges inAppPay's request. Nothing authenticates it. g.mu
// is held.
func (g *Gateway) openInApp(m *message) (asked, envelope.Key, *refusal) {
	m.action = string(ActionInAppPay)
	a := asked{
		action: api.ActionInfo{Name: ActionInAppPay, Kind: api.KindEffect, Effect: api.EffectCreateOrder, OrderMember: "order_id"},
		schema: inAppRequest(),
		reply:  inAppResponse(),
	}
	if refused := a.judge(m, m.body, g.settings.Lenient, g.newID); refused != nil {
		return a, envelope.Key{}, refused
	}
	a.merchant, _ = a.role(api.RoleMerchant)
	m.merchant = a.merchant
	if len(g.keysOf(a.merchant)) == 0 {
		return a, envelope.Key{}, refuse(api.CodePwdIncorrect, "")
	}
	return a, envelope.Key{}, nil
}

// inAppRequest is the page's table. What it shares with H5PAY has that one's
// rules.
func inAppRequest() *api.Schema {
	h5, ok := api.LookupSchema("H5PayRequest")
	if !ok {
		panic("ottpaytest: the document has no H5PayRequest")
	}
	like := func(name, as string, required bool) api.Member {
		m, _ := h5.Member(name)
		m.Name, m.Required = as, required
		return m
	}
	return &api.Schema{Name: "InAppPayRequest", Request: true, Members: []api.Member{
		{Name: "userId", Kind: api.MemberString, Required: true, MinLength: 1, MaxLength: 64},
		like("amount", "amount", true),
		{Name: "bizType", Kind: api.MemberString, Required: true, Const: "WECHATPAY"},
		like("merchant_id", "merchant_id", true),
		like("operator_id", "operator_id", true),
		like("call_back_url", "call_back_url", true),
		like("order_id", "order_id", false),
		{Name: "shopId", Kind: api.MemberString, MaxLength: 64},
		{Name: "tip", Kind: api.MemberAmount, Role: api.RoleTip, Min: 1, MaxLength: 12},
	}}
}

// inAppResponse is what was seen of the answer. wxapikey is a secret of the
// merchant's that no client should read; it is here to be left alone.
func inAppResponse() *api.Schema {
	text := func(name, example string) api.Member {
		return api.Member{Name: name, Kind: api.MemberString, Required: true, MinLength: 1, Example: string(quoted(example))}
	}
	return &api.Schema{Name: "InAppPayResponse", Response: true, Members: []api.Member{
		{Name: "appId", Kind: api.MemberString, Required: true, Echo: "userId"},
		{Name: "bizType", Kind: api.MemberString, Required: true, Echo: "bizType"},
		text("nonceStr", "wx15130818"),
		text("package_", "Sign=WXPay"),
		text("partnerId", "1900000109"),
		text("paySign", "00112233445566778899AABBCCDDEEFF"),
		text("prepayId", "wx15130818000000"),
		{Name: "reAmount", Kind: api.MemberAmount, Role: api.RoleAmount, Required: true},
		text("timeStamp", "1586927298"),
		{Name: "tradeNo", Kind: api.MemberString, Role: api.RoleOrderID, Required: true},
		text("wxapikey", "this-is-a-secret"),
	}}
}
