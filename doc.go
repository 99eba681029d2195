// Package ottpay accepts OTT Pay payments: WeChat Pay, Alipay, UnionPay and
// cards behind one Canadian gateway.
package ottpay
