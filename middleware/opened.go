package middleware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/wire"
)

// RoundTrip is [Transport.Send] for an HTTP client. The request is a POST whose
// body is the opened envelope,
//
//	{"action":"STATUS_QUERY","version":"1.0","merchant_id":"…","data":{"order_id":"…"}}
//
// and the response's body is the opened answer:
//
//	{"rsp_code":"SUCCESS","rsp_msg":"…","merchant_id":"…","data":{…},"verified":true}
//
// An answer whose code is not SUCCESS may have no data, and "verified":false. What
// stands outside data is authenticated by nothing but TLS. RoundTrip reads and
// closes the request's body on every path. The error is a *[SendError]. See
// docs/outbound.md, "Another HTTP client".
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	room := t.room()
	c := room.readCall(req)
	_, s, err := t.send(req.Context(), &c, req)
	t.rooms.Put(room) // the data is sealed, or never will be
	if err != nil {
		return nil, err
	}
	return s.handOn(), nil
}

// readCall reads the opened envelope and closes the request's body. What is
// wrong with it is the call's fault. Data is good until the room is used again.
func (r *room) readCall(req *http.Request) (c Call) {
	c.URL = req.URL
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		if body, c.fault = r.readAll(req.Body, req.ContentLength); c.fault != nil {
			return c
		}
	}
	c.fault = c.readOpened(body, &r.members)
	if req.Method != http.MethodPost {
		c.fault = constant("the method is not POST")
	}
	return c
}

func (c *Call) readOpened(body []byte, m *wire.Members) error {
	if err := wire.Parse(body, m); err != nil {
		return fmt.Errorf("the opened envelope: %w", err)
	}
	text := string(body) // which the strings share
	var fault error
	for i := range m.Len() {
		var to *string
		switch string(m.Name(i)) {
		case "action":
			to = &c.Action
		case "version":
			to = &c.Version
		case "merchant_id":
			to = &c.MerchantID
		case "terminal_no":
			to = &c.TerminalNo
		case "operator_id":
			to = &c.OperatorID
		case "data":
			c.Data = m.Value(i)
			continue
		default:
			fault = constant("the opened envelope has a member that an envelope has no place for")
			continue // the others tell which payment it is
		}
		var ok bool
		if *to, ok = m.TextIn(text, i); !ok {
			fault = constant("the opened envelope has a member that is not a text")
		}
	}
	return fault
}

// envelope returns the sealed request, in b if there is room for it.
func (c *Call) envelope(b []byte, sealed envelope.Sealed) []byte {
	b = slices.Grow(b, len(c.Action)+len(c.Version)+len(c.MerchantID)+len(c.TerminalNo)+len(c.OperatorID)+len(sealed.Data)+len(sealed.MD5)+112)
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

// spell returns the opened answer, in b if there is room for it.
func (r *Reply) spell(b []byte) []byte {
	b = slices.Grow(b, len(r.Data)+len(r.Code)+len(r.Message)+len(r.MerchantID)+80)
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

// handOn returns the response with the opened answer as its body.
func (s *sending) handOn() *http.Response {
	resp, opened := s.resp, s.reply.spell(s.spelled[:0])
	if resp.Header == nil {
		resp.Header = make(http.Header, 1)
	}
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Trailer"} {
		delete(resp.Header, name)
	}
	s.respType[0] = "application/json"
	resp.Header["Content-Type"] = s.respType[:]
	s.opened.Reset(opened)
	resp.Body, resp.ContentLength, resp.Request = &s.opened, int64(len(opened)), s.via
	resp.TransferEncoding, resp.Trailer, resp.Uncompressed = nil, nil, false
	return resp
}

// openedBody is the content of the answer that is handed on.
type openedBody struct{ bytes.Reader }

func (*openedBody) Close() error { return nil }
