package middleware_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

// TestOpenedEnvelope: every member of the opened envelope reaches the gateway,
// to the letter, and one that is absent is not sent.
func TestOpenedEnvelope(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, c := range []struct{ opened, members string }{
		{`{"action":"ACTIVEPAY","version":"1.0","merchant_id":"ON00004652","terminal_no":"T\"1\\","operator_id":"é\n1","data":{"a":"1"}}`, "action version merchant_id terminal_no operator_id data md5"},
		{`{"data":{"a":"1"},"operator_id":"7","action":"ACTIVEPAY","merchant_id":"ON00004652","version":"1.0"}`, "action version merchant_id operator_id data md5"},
		{`{"action":"ACTIVEPAY","version":"1.0","merchant_id":"ON00004652","terminal_no":"~ 1","data":{"a":"1"}}`, "action version merchant_id terminal_no data md5"},
		{`{"action":"ACTIVEPAY","version":"1.0","merchant_id":"ON00004652","data":{"a":"1"}}`, "action version merchant_id data md5"},
	} {
		var content []byte
		transport := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			content, _ = io.ReadAll(r.Body)
			return nil, io.EOF
		}))
		_, err := transport.RoundTrip(newCall(t, "https://gateway.example", c.opened))
		wantSendError(t, err, false, "connection")
		var want, got map[string]any
		if err := json.Unmarshal([]byte(c.opened), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		names := strings.Fields(c.members)
		for _, name := range names {
			if name != "data" && name != "md5" && got[name] != want[name] {
				t.Errorf("%s is %q, want %q", name, got[name], want[name])
			}
		}
		if len(got) != len(names) {
			t.Errorf("sent %s, want %s", content, names)
		}
		request, err := envelope.ReadRequest(content)
		if err != nil {
			t.Fatal(err)
		}
		if payload, err := l.key.Open(request.Sealed); err != nil || string(payload.JSON) != `{"a":"1"}` {
			t.Errorf("sealed %s, %v", payload.JSON, err)
		}
	}
}

// TestOpenedEnvelopeOfNoTexts: a member that is not a text is an error, and which
// payment it would have been is known all the same.
func TestOpenedEnvelopeOfNoTexts(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, opened := range []string{
		strings.Replace(refundCall, `"1.0"`, `1.0`, 1),
		strings.Replace(refundCall, `"data"`, `"operator_id":null,"data"`, 1),
		strings.Replace(refundCall, `"data"`, `"terminal_no":{},"data"`, 1),
	} {
		transport := l.transport(losing(l))
		_, err := transport.RoundTrip(newCall(t, "https://gateway.example", opened))
		wantSendError(t, err, true, "request")
		_, err = transport.RoundTrip(newCall(t, "https://gateway.example", refundCall))
		wantSendError(t, err, false, "connection")
		_, err = transport.RoundTrip(newCall(t, "https://gateway.example", opened))
		if failed := wantSendError(t, err, false, "request"); !failed.SentBefore {
			t.Errorf("%s: an earlier one is forgotten", opened)
		}
	}
}

// TestOpenedAnswer: the response says of its body what it is, whatever the sealed
// one was, and spells what stood outside the data as JSON.
func TestOpenedAnswer(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, c := range []struct {
		message, merchant, want string
	}{
		{"words", "", `{"rsp_code":"SUCCESS","rsp_msg":"words","data":{"a":"1"},"verified":true}`},
		{"", "M1", `{"rsp_code":"SUCCESS","rsp_msg":"","merchant_id":"M1","data":{"a":"1"},"verified":true}`},
		{`"quoted" \ back`, "M1", `{"rsp_code":"SUCCESS","rsp_msg":"\"quoted\" \\ back","merchant_id":"M1","data":{"a":"1"},"verified":true}`},
		{"支付\n~", "", `{"rsp_code":"SUCCESS","rsp_msg":"支付\n~","data":{"a":"1"},"verified":true}`},
		{"del\x7f", "", "{\"rsp_code\":\"SUCCESS\",\"rsp_msg\":\"del\x7f\",\"data\":{\"a\":\"1\"},\"verified\":true}"},
	} {
		sealed, err := l.key.Seal([]byte(`{"a":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		wire, err := json.Marshal(envelope.Response{Code: "SUCCESS", Message: c.message, MerchantID: c.merchant, Sealed: sealed})
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []http.Header{nil, {
			"Content-Type": {"text/html"}, "Content-Length": {"1"}, "Content-Encoding": {"gzip"}, "Trailer": {"X"}, "X-Kept": {"yes"},
		}} {
			req := newCall(t, "https://gateway.example", queryCall)
			resp, err := l.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				_, _ = io.Copy(io.Discard, r.Body)
				return &http.Response{
					StatusCode: 200, Header: header.Clone(), Body: io.NopCloser(bytes.NewReader(wire)), ContentLength: -1,
					TransferEncoding: []string{"chunked"}, Trailer: http.Header{"X": nil}, Uncompressed: true,
				}, nil
			})).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != c.want || resp.ContentLength != int64(len(body)) || resp.Request != req || resp.Body.Close() != nil {
				t.Errorf("got %s, length %d\nwant %s", body, resp.ContentLength, c.want)
			}
			if resp.Uncompressed || resp.TransferEncoding != nil || resp.Trailer != nil {
				t.Errorf("the response speaks of the sealed body: %+v", resp)
			}
			want := http.Header{"Content-Type": {"application/json"}}
			if header != nil {
				want["X-Kept"] = []string{"yes"}
			}
			if len(resp.Header) != len(want) || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Kept") != want.Get("X-Kept") {
				t.Errorf("headers %v", resp.Header)
			}
		}
	}
}

// TestRequestIsClosed: the request's body is closed on every path, and none is
// an error and no panic.
func TestRequestIsClosed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, opened := range []string{refundCall, "no", strings.Repeat(" ", 1<<20+1)} {
		req := newCall(t, "https://gateway.example", opened)
		closed := &closing{Reader: strings.NewReader(opened)}
		req.Body = closed
		if _, err := l.transport(losing(l)).RoundTrip(req); err == nil || !closed.closed {
			t.Errorf("%.10q: %v, closed %v", opened, err, closed.closed)
		}
	}
	req := newCall(t, "https://gateway.example", refundCall)
	req.Body = nil
	_, err := l.transport(losing(l)).RoundTrip(req)
	wantSendError(t, err, true, "request")
}
