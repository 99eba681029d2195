// Package ottpaytest is the other side of the wire: a [Gateway] in the box,
// shaped like httptest.Server, that speaks OTT Pay's envelope protocol, keeps
// orders and posts encrypted callbacks; and [NewNotification], a callback
// without a gateway, for the unit test of a handler.
//
// There is no sandbox at the vendor's: every request there is a real
// transaction. What the Gateway knows about actions comes from the same
// document as everything else in this module, by way of package api's tables;
// it shares no code with the client, the webhook or the validator, so that a
// mistake of theirs cannot hide in it. Where the vendor documents nothing
// (docs/protocol.md, 15), it does what was observed, or the likely thing.
package ottpaytest
