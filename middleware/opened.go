package middleware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/wire"
)

// RoundTrip is [Transport.Send] for an HTTP client. The request is a POST whose
// body is the opened envelope
//
//	{"action":"STATUS_QUERY","version":"1.0","merchant_id":"…","data":{"order_id":"…"}}
//
// with terminal_no and operator_id where the action has them. data is sealed to
// the letter. The response's body is the opened answer,
//
//	{"rsp_code":"SUCCESS","rsp_msg":"…","merchant_id":"…","data":{…},"verified":true}
//
// where data was opened and verified. An answer whose code is not SUCCESS may
// come without data and then says "verified":false. rsp_code, rsp_msg and
// merchant_id are authenticated by nothing but TLS.
//
// RoundTrip reads and closes the request's body on every path. The error is a
// *[SendError].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := readCall(req)
	reply, resp, err := t.send(req.Context(), c, req)
	if err != nil {
		return nil, err
	}
	return handOn(resp, req, reply.spell()), nil
}

// readCall reads the opened envelope and closes the request's body. What is
// wrong with it is the call's fault.
func readCall(req *http.Request) *Call {
	c := &Call{URL: req.URL}
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = readAll(req.Body, req.ContentLength); err != nil {
			c.fault = err
			return c
		}
	}
	c.fault = c.readOpened(body)
	if req.Method != http.MethodPost {
		c.fault = constant("the method is not POST")
	}
	return c
}

func (c *Call) readOpened(body []byte) error {
	r := wire.NewReader(body)
	for r.Next() {
		switch r.Name() {
		case "action":
			c.Action = r.String()
		case "version":
			c.Version = r.String()
		case "merchant_id":
			c.MerchantID = r.String()
		case "terminal_no":
			c.TerminalNo = r.String()
		case "operator_id":
			c.OperatorID = r.String()
		case "data":
			c.Data = r.Raw()
		default:
			r.Unknown()
		}
	}
	switch unknown, err := r.Close(); {
	case err != nil:
		return fmt.Errorf("the opened envelope: %w", err)
	case len(unknown) > 0:
		return constant("the opened envelope has a member that an envelope has no place for")
	}
	return nil
}

// envelope returns the sealed request.
func (c *Call) envelope(sealed envelope.Sealed) []byte {
	b := make([]byte, 0, len(c.Action)+len(c.Version)+len(c.MerchantID)+len(c.TerminalNo)+len(c.OperatorID)+len(sealed.Data)+len(sealed.MD5)+112)
	b = appendMember(append(b, '{'), "action", c.Action)
	b = appendMember(append(b, ','), "version", c.Version)
	b = appendMember(append(b, ','), "merchant_id", c.MerchantID)
	if c.TerminalNo != "" {
		b = appendMember(append(b, ','), "terminal_no", c.TerminalNo)
	}
	if c.OperatorID != "" {
		b = appendMember(append(b, ','), "operator_id", c.OperatorID)
	}
	b = append(append(b, `,"data":"`...), sealed.Data...) // Base64
	b = append(append(b, `","md5":"`...), sealed.MD5...)
	return append(b, `"}`...)
}

// spell returns the opened answer.
func (r *Reply) spell() []byte {
	b := make([]byte, 0, len(r.Data)+len(r.Code)+len(r.Message)+len(r.MerchantID)+80)
	b = appendMember(append(b, '{'), "rsp_code", r.Code)
	b = appendMember(append(b, ','), "rsp_msg", r.Message)
	if r.MerchantID != "" {
		b = appendMember(append(b, ','), "merchant_id", r.MerchantID)
	}
	if !r.Verified() {
		return append(b, `,"verified":false}`...)
	}
	b = append(append(b, `,"data":`...), r.Data...)
	return append(b, `,"verified":true}`...)
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, '"'), name...), `":`...)
	if strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) < 0 {
		return append(append(append(b, '"'), value...), '"')
	}
	quoted, _ := json.Marshal(value) // a string always can be
	return append(b, quoted...)
}

// handOn makes resp the response to req, with the opened answer as its body.
func handOn(resp *http.Response, req *http.Request, opened []byte) *http.Response {
	if resp.Header == nil {
		resp.Header = make(http.Header, 1)
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Trailer"} {
		resp.Header.Del(name)
	}
	resp.Header["Content-Type"] = []string{"application/json"}
	body := &openedBody{}
	body.Reset(opened)
	resp.Body, resp.ContentLength, resp.Request = body, int64(len(opened)), req
	resp.TransferEncoding, resp.Trailer, resp.Uncompressed = nil, nil, false
	return resp
}

// openedBody is the content of the answer that is handed on.
type openedBody struct{ bytes.Reader }

func (*openedBody) Close() error { return nil }
