package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/ottpaykit/ottpay/envelope"
)

const (
	merchantID = "QC00005496"
	signKey    = "6698851A525C9433" // OTT Pay's published example
	// seedPayload is the decrypted callback that the vendor's page prints.
	seedPayload = `{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`
)

// seal returns a callback with this payload.
func seal(key envelope.Key, merchant, payload string) ([]byte, error) {
	sealed, err := key.Seal([]byte(payload))
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchant, Sealed: sealed})
}

// must is for what is written in this program, such as its sign keys.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// lines counts the lines of a log. Each line is formatted, as a log's would be,
// and thrown away.
type lines struct {
	slog.Handler
	n atomic.Int64
}

func newLines() *lines {
	return &lines{Handler: slog.NewJSONHandler(io.Discard, nil)}
}

// Handle implements [slog.Handler].
func (l *lines) Handle(ctx context.Context, r slog.Record) error {
	l.n.Add(1)
	return l.Handler.Handle(ctx, r)
}

// forgery is a callback that must not be believed.
type forgery struct {
	name string
	body []byte
}

// forgeries returns callbacks that end at each step of the opening.
func forgeries() ([]forgery, error) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return nil, err
	}
	foreign, err := envelope.NewKey("a foreign sign key")
	if err != nil {
		return nil, err
	}
	honest, err := key.Seal([]byte(seedPayload))
	if err != nil {
		return nil, err
	}
	// The blocks 2 and 3 of this one lie within one text: exchanged, it is still
	// padded and still JSON, and only the digest tells.
	long, err := key.Seal([]byte(`{"filler":"aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"}`))
	if err != nil {
		return nil, err
	}
	request, err := key.Seal([]byte(`{"order_id":"2020041553699O153O0407","amount":"1"}`))
	if err != nil {
		return nil, err
	}
	wrongKey, err := foreign.Seal([]byte(seedPayload))
	if err != nil {
		return nil, err
	}
	var all []forgery
	add := func(name, merchant string, sealed envelope.Sealed) {
		body, failed := json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchant, Sealed: sealed})
		if failed != nil {
			err = failed
		}
		all = append(all, forgery{name, body})
	}
	add("sealed under a foreign key", merchantID, wrongKey)
	add("a digit of md5 changed", merchantID, envelope.Sealed{Data: honest.Data, MD5: "0" + honest.MD5[1:]})
	add("two cipher blocks exchanged", merchantID, envelope.Sealed{Data: exchanged(long.Data), MD5: long.MD5})
	add("data that is not Base64", merchantID, envelope.Sealed{Data: "*" + honest.Data[1:], MD5: honest.MD5})
	add("data cut within a block", merchantID, envelope.Sealed{Data: honest.Data[:8], MD5: honest.MD5})
	add("a merchant that is unknown", "QC99999999", honest)
	add("no md5", merchantID, envelope.Sealed{Data: honest.Data})
	add("a request of the merchant's as a callback", merchantID, request)
	all = append(all, forgery{"half of the JSON", all[0].body[:len(all[0].body)/2]})
	return all, err
}

// exchanged returns data with its third and its fourth cipher block exchanged:
// 48 bytes are 64 letters of Base64, 32 bytes no whole number of them.
func exchanged(data string) string {
	raw := must(base64.StdEncoding.DecodeString(data))
	const block = 16
	var third [block]byte
	copy(third[:], raw[2*block:])
	copy(raw[2*block:], raw[3*block:4*block])
	copy(raw[3*block:], third[:])
	return base64.StdEncoding.EncodeToString(raw)
}

// orderID is the id of the soak's order number i.
func orderID(i int) string { return fmt.Sprintf("SOAK%012d", i) }
