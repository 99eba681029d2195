package middleware_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// answerWith answers with what it makes of the sealed request.
func answerWith(t *testing.T, l *ledger, answer func(request envelope.Request) envelope.Response) *middleware.Transport {
	t.Helper()
	return l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		request, err := envelope.ReadRequest(body)
		if err != nil {
			return nil, err
		}
		wire, err := json.Marshal(answer(request))
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(wire))}, err
	}))
}

// swapped exchanges two cipher blocks.
func swapped(t *testing.T, s envelope.Sealed, a, b int) envelope.Sealed {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(s.Data)
	if err != nil {
		t.Fatal(err)
	}
	block := func(n int) []byte { return data[16*n : 16*n+16] }
	kept := bytes.Clone(block(a))
	copy(block(a), block(b))
	copy(block(b), kept)
	return envelope.Sealed{Data: base64.StdEncoding.EncodeToString(data), MD5: s.MD5}
}

// TestReflectedRequests sends every action and gets it back as its answer.
func TestReflectedRequests(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	mirror := answerWith(t, l, func(r envelope.Request) envelope.Response {
		return envelope.Response{Code: "SUCCESS", MerchantID: r.MerchantID, Sealed: r.Sealed}
	})
	for _, info := range api.Actions() {
		schema, ok := api.LookupSchema(info.Request)
		if !ok {
			t.Fatal(info.Request)
		}
		c := refundOf(t)
		c.Action, c.Version, c.Data = string(info.Name), info.Version, []byte(schema.Example)
		_, err := mirror.Send(t.Context(), c)
		wantSendError(t, err, false, "reflected")
		opened := `{"action":"` + string(info.Name) + `","version":"1.0","merchant_id":"` + transportMerchant + `","data":` + schema.Example + `}`
		_, err = mirror.RoundTrip(newCall(t, "https://gateway.example", opened))
		wantSendError(t, err, false, "reflected")
	}
}

func TestReflected(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	seal := func(data string) envelope.Sealed {
		sealed, err := l.key.Seal([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	const (
		refund   = `{"order_id":"R1","ori_order_id":"O1","refund_amt":"5"}`
		callback = `{"order_id":"R1","bizpay_order_id":"WX1234567890123456","amount":"5","finish_time":"20240102110405"}`
	)
	tests := []struct {
		name, code string
		request    string
		answer     func(sent envelope.Sealed) envelope.Sealed
		reflected  bool
		verified   bool
	}{
		{"members in another order", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed {
			return seal(`{"refund_amt":"5", "ori_order_id":"O1","order_id":"R1"}`)
		}, true, false},
		{"another spelling", "success", refund, func(envelope.Sealed) envelope.Sealed {
			return seal(`{"order_id":"\u00521","ori_order_id":"O1","refund_amt":"5","note":""}`)
		}, true, false},
		{"md5 in lower case", "SUCCESS", refund, func(s envelope.Sealed) envelope.Sealed {
			s.MD5 = strings.ToLower(s.MD5)
			return s
		}, false, false}, // does not open at all
		{"an earlier refund", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed {
			return seal(`{"order_id":"R0","ori_order_id":"O1","refund_amt":"5"}`)
		}, true, false},
		{"a callback", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed { return seal(callback) }, true, false},
		{"a callback with more", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed {
			return seal(strings.Replace(callback, "{", `{"order_status":"success","refund_fee":5,`, 1))
		}, true, false},
		{"a failure that is the request", "FAIL", refund, func(s envelope.Sealed) envelope.Sealed { return s }, false, false},
		{"PROCESSING that is the request", "PROCESSING", refund, func(s envelope.Sealed) envelope.Sealed { return s }, false, false},
		{"a failure", "FAIL", refund, func(envelope.Sealed) envelope.Sealed { return seal(`{"order_id":"R1"}`) }, false, true},
		{"a short answer", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed { return seal(`{"order_id":"R1"}`) }, false, true},
		{"an answer", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed {
			return seal(`{"order_id":"R1","ori_order_id":"O1","refund_amt":"5","order_status":"success"}`)
		}, false, true},
		{"no members", "SUCCESS", refund, func(envelope.Sealed) envelope.Sealed { return seal(`{}`) }, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			transport := answerWith(t, l, func(r envelope.Request) envelope.Response {
				return envelope.Response{Code: tt.code, Sealed: tt.answer(r.Sealed)}
			})
			c := refundOf(t)
			c.Data = []byte(tt.request)
			reply, err := transport.Send(t.Context(), c)
			var failed *middleware.SendError
			if errors.As(err, &failed) != (tt.reflected || tt.name == "md5 in lower case") {
				t.Fatalf("got %v", err)
			}
			if tt.reflected {
				wantSendError(t, err, false, "reflected")
			}
			if err == nil && (reply.Verified() != tt.verified || !tt.verified && reply.Data != nil) {
				t.Errorf("got %s, verified %v", reply.Data, reply.Verified())
			}
		})
	}
}

// TestReflectedBlocks: a request whose blocks were rearranged opens under its own
// digest, if the exchange leaves the joined text as it is.
func TestReflectedBlocks(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	// {"bbbb":"xxxxxx (block) and two blocks that hold nothing but the same letters.
	data := `{"bbbb":"xxxxxxx` + strings.Repeat("y", 16) + strings.Repeat("y", 16) + `z","order_id":"R1","ori_order_id":"O1","refund_amt":"5"}`
	opened := 0
	transport := answerWith(t, l, func(r envelope.Request) envelope.Response {
		s := swapped(t, r.Sealed, 1, 2)
		if _, err := l.key.Open(s); err == nil {
			opened++
		}
		return envelope.Response{Code: "SUCCESS", Sealed: s}
	})
	c := refundOf(t)
	c.Data = []byte(data)
	_, err := transport.Send(t.Context(), c)
	wantSendError(t, err, false, "reflected")
	if opened != 1 {
		t.Error("the exchange does not open: it tests nothing")
	}
}
