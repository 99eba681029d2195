package ottpaytest

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// FaultKind is what goes wrong with an answer.
type FaultKind string

// The kinds of fault. Unless it says otherwise, the request has taken effect
// all the same, which is what makes them dangerous; Fault.Before changes that.
const (
	// FaultDrop closes the connection instead of answering.
	FaultDrop FaultKind = "drop"
	// FaultReset resets the connection instead of answering.
	FaultReset FaultKind = "reset"
	// FaultTruncate closes the connection in the middle of the answer.
	FaultTruncate FaultKind = "truncate"
	// FaultCut closes the connection after Fault.At bytes of the answer's body.
	FaultCut FaultKind = "cut"
	// FaultHang answers nothing until the client goes away or Fault.Delay is
	// over.
	FaultHang FaultKind = "hang"
	// FaultTrickle answers a byte at a time, every 20 milliseconds.
	FaultTrickle FaultKind = "trickle"
	// FaultDelay only answers late, by Fault.Delay.
	FaultDelay FaultKind = "delay"
	// FaultWrongDigest answers with a digest that does not fit.
	FaultWrongDigest FaultKind = "wrong-digest"
	// FaultWrongKey seals the answer under a key that is not the merchant's.
	FaultWrongKey FaultKind = "wrong-key"
	// FaultHTML answers with a page and Fault.Status, 502 by default.
	FaultHTML FaultKind = "html"
	// FaultStatus answers as usual, but with Fault.Status, 503 by default, and
	// Retry-After.
	FaultStatus FaultKind = "status"
	// FaultRedirect answers with Fault.Status, 307 by default, and sends the
	// client to where it came from.
	FaultRedirect FaultKind = "redirect"
	// FaultEmpty answers with status 200 and nothing.
	FaultEmpty FaultKind = "empty"
	// FaultNoData answers SUCCESS without data and md5.
	FaultNoData FaultKind = "no-data"
	// FaultHuge answers with more than anybody should read.
	FaultHuge FaultKind = "huge"
	// FaultAnotherOrder answers, sealed, about an order with another id.
	FaultAnotherOrder FaultKind = "another-order"
	// FaultReflect sends the request's own data and md5 back as the answer.
	FaultReflect FaultKind = "reflect"
	// FaultBOM puts a byte order mark in front of the answer.
	FaultBOM FaultKind = "bom"
	// FaultTwiceNamed names rsp_code twice.
	FaultTwiceNamed FaultKind = "twice-named"
	// FaultRepCode calls rsp_code rep_code, as one of the vendor's pages does.
	FaultRepCode FaultKind = "rep-code"
	// FaultCode answers with Fault.Code, SYSTEM_ERROR by default, and no data.
	FaultCode FaultKind = "code"
	// FaultProcessing answers PROCESSING, sealed; an order that the request
	// made stands at processing until [Gateway.Pay] or [Merchant.Decline].
	FaultProcessing FaultKind = "processing"
	// FaultUnknownMember adds members that the document does not know, inside
	// and outside of the data.
	FaultUnknownMember FaultKind = "unknown-member"
	// FaultNewline puts line breaks around the answer.
	FaultNewline FaultKind = "newline"
	// FaultCreated answers with status 201.
	FaultCreated FaultKind = "created"
	// FaultNumbers writes amounts as JSON numbers, whatever the quirks are.
	FaultNumbers FaultKind = "numbers"
	// FaultPlain writes the answer without the vendor's quirks.
	FaultPlain FaultKind = "plain"
	// FaultQueryLag: a query says notpay of an order that is paid.
	FaultQueryLag FaultKind = "query-lag"
	// FaultQueryFlip: queries of a paid order say processing, success,
	// processing.
	FaultQueryFlip FaultKind = "query-flip"
	// FaultQueryAmount: a query of a paid order names a cent more.
	FaultQueryAmount FaultKind = "query-amount"
	// FaultQueryRefundRow: a query of a paid order says success, and that all of
	// it was refunded, as the row of a refund does.
	FaultQueryRefundRow FaultKind = "query-refund-row"
	// FaultRefuse: nothing listens for Fault.Delay. Only a Gateway with a server
	// of its own, or one in a server that uses [Listen], can do it.
	FaultRefuse FaultKind = "refuse"
	// FaultTLS: the certificate is that of another name. Only a Gateway of
	// [NewTLSGateway] can do it.
	FaultTLS FaultKind = "tls"
)

// queryFault reports whether it is one of an answer to a query about a paid
// order.
func (k FaultKind) queryFault() bool {
	switch k {
	case FaultQueryLag, FaultQueryFlip, FaultQueryAmount, FaultQueryRefundRow:
		return true
	}
	return false
}

// fitsRequest returns whether a fault can take effect on a request. g.mu is
// held when it is called.
func (g *Gateway) fitsRequest(a asked, refused *refusal) func(Fault) bool {
	return func(f Fault) bool {
		switch {
		case f.Kind == FaultRefuse, f.Kind == FaultTLS:
			return false
		case !f.Kind.queryFault():
			return true
		case refused != nil || a.action.Kind != api.KindQuery:
			return false
		}
		r := g.find(orderKey{a.merchant, a.orderID(), a.action.Effect == api.EffectQueryCheckout})
		return r != nil && r.Status.Paid() && r.Effect != api.EffectRefund
	}
}

// show changes what a query says about an order, whose row is a copy.
func (f Fault) show(r *row) {
	more := *r.rowMore
	r.rowMore = &more
	switch {
	case f.Kind == FaultAnotherOrder:
		r.ID = another(r.ID)
	case f.Kind == FaultQueryLag:
		r.Status, r.Finished = api.StatusNotpay, time.Time{}
	case f.Kind == FaultQueryFlip && f.Times%2 == 0:
		r.Status, r.Finished = api.StatusProcessing, time.Time{}
	case f.Kind == FaultQueryAmount:
		r.Amount++
	case f.Kind == FaultQueryRefundRow:
		r.Refunded = r.Total()
	}
}

// quirks are those of an answer with this fault.
func (f Fault) quirks(usual Quirk) Quirk {
	switch f.Kind {
	case FaultNumbers:
		return usual | QuirkNumbers
	case FaultPlain:
		return 0
	}
	return usual
}

// outgoing is an answer as it goes over the wire.
type outgoing struct {
	status      int
	contentType string
	location    string
	retryAfter  string
	body        []byte
	delay       time.Duration
	hang        bool
	trickle     bool
	reset       bool // the connection, instead of an answer
	cut         int  // how many bytes of the body are sent; negative: all
	note        string
	lenient     []string
	early       *errand // a callback that goes first
}

const trickled = 20 * time.Millisecond

var jsonType = mime.FormatMediaType("application/json", map[string]string{"charset": "utf-8"})

// outgoing makes of an answer, and of what a fault does to it, what is sent.
func (g *Gateway) outgoing(s sealedAnswer, f Fault, request []byte, uri string) outgoing {
	o := outgoing{status: http.StatusOK, contentType: jsonType, delay: f.Delay, cut: -1}
	status := func(otherwise int) int {
		if f.Status != 0 {
			return f.Status
		}
		return otherwise
	}
	var err error
	if o.body, err = s.seal(); err != nil {
		o.status, o.contentType, o.body = http.StatusInternalServerError, "text/plain", []byte(err.Error())
		return o
	}
	switch f.Kind {
	case FaultDrop:
		o.cut, o.note = 0, "the fault closed the connection"
		o.status, o.body = 0, nil
	case FaultReset:
		o.reset, o.note = true, "the fault reset the connection"
		o.status, o.body = 0, nil
	case FaultTruncate, FaultCut:
		o.cut = len(o.body) / 2
		if f.Kind == FaultCut && f.At > 0 {
			o.cut = min(f.At, len(o.body))
		}
		o.note = "the fault closed the connection after " + strconv.Itoa(o.cut) + " of " + strconv.Itoa(len(o.body)) + " bytes"
	case FaultHang:
		o.hang, o.note = true, "the fault kept the answer back"
	case FaultTrickle:
		o.trickle = true
	case FaultHTML:
		o.status, o.contentType = status(http.StatusBadGateway), "text/html"
		o.body = []byte("<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\r\n")
	case FaultStatus:
		o.status, o.retryAfter = status(http.StatusServiceUnavailable), "1"
	case FaultRedirect:
		o.status, o.location, o.contentType, o.body = status(http.StatusTemporaryRedirect), uri, "", nil
	case FaultCreated:
		o.status = http.StatusCreated
	case FaultEmpty:
		o.contentType, o.body = "", nil
	case FaultHuge:
		o.body = []byte(`{"rsp_code":"SUCCESS","rsp_msg":"` + strings.Repeat("s", 2<<20) + `"}`)
	case FaultBOM:
		o.body = append([]byte("\ufeff"), o.body...)
	case FaultNewline:
		o.body = append(append([]byte("\r\n"), o.body...), "\n\n"...)
	case FaultTwiceNamed:
		o.body = append([]byte(`{"rsp_code":`+string(quoted(s.code))+`,`), o.body[1:]...)
	case FaultRepCode:
		o.body = []byte(strings.Replace(string(o.body), `"rsp_code"`, `"rep_code"`, 1))
	default:
		if body, ok := s.distort(f, request); ok {
			o.body = body
		}
	}
	return o
}

// distort returns an envelope that is not what it should be, for the kinds of
// fault that do that.
func (s sealedAnswer) distort(f Fault, request []byte) ([]byte, bool) {
	switch f.Kind {
	case FaultNoData:
		s.payload, s.plain = nil, false
		s.code, s.message = string(api.CodeSuccess), api.CodeSuccess.Message()
	case FaultCode:
		code := f.Code
		if code == "" {
			code = api.CodeSystemError
		}
		s = sealedAnswer{code: string(code), message: code.Message(), merchant: s.merchant, quirks: s.quirks}
	case FaultUnknownMember:
		return s.extended()
	case FaultWrongKey:
		s.key = foreignKey()
	case FaultWrongDigest:
		if s.payload == nil || s.plain {
			return nil, false
		}
		body, err := s.wrongDigest()
		return body, err == nil
	case FaultReflect:
		e, err := envelope.ReadRequest(request)
		return respond(s.code, s.message, s.merchant, e.Sealed), err == nil
	default:
		return nil, false
	}
	body, err := s.seal()
	return body, err == nil
}

// extended seals an answer with members that the document does not know.
func (s sealedAnswer) extended() ([]byte, bool) {
	if s.payload != nil {
		s.payload = append([]byte(`{"channel_note":{"level":[1,"two",null]},"new_member":"new",`), s.payload[1:]...)
	}
	body, err := s.seal()
	if err != nil {
		return nil, false
	}
	return append([]byte(`{"trace_id":"0123456789","server_time":1700000000,`), body[1:]...), true
}

// wrongDigest seals an answer and exchanges two of its blocks, so that it
// decrypts to JSON and the digest alone can tell.
func (s sealedAnswer) wrongDigest() ([]byte, error) {
	sealed, err := s.key.Seal(s.quirks.escape(swappable(s.payload)))
	if err != nil {
		return nil, err
	}
	if sealed.Data, err = swapped(sealed.Data); err != nil {
		return nil, err
	}
	return envelopeOf(s.quirks, s.code, s.message, s.merchant, sealed), nil
}

// send writes the answer, or what the fault has made of it.
func (o outgoing) send(g *Gateway, w http.ResponseWriter, r *http.Request) {
	if !o.pause(g, r) {
		return
	}
	h := w.Header()
	for name, value := range map[string]string{
		"Content-Type": o.contentType, "Location": o.location, "Retry-After": o.retryAfter,
		"Ottpay-Sandbox-Lenient": strings.Join(o.lenient, "; "),
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	switch {
	case o.reset:
		reset(w)
		panic(http.ErrAbortHandler)
	case o.status == 0:
		panic(http.ErrAbortHandler) // how a handler of net/http hangs up
	case o.cut >= 0:
		h.Set("Content-Length", strconv.Itoa(len(o.body)))
		w.WriteHeader(o.status)
		_, _ = w.Write(o.body[:o.cut]) // less than announced
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(o.status)
	if !o.trickle {
		_, _ = w.Write(o.body)
		return
	}
	for i := range o.body {
		if !g.sleep(r, trickled) {
			return
		}
		_, _ = w.Write(o.body[i : i+1])
		_ = http.NewResponseController(w).Flush()
	}
}

// pause waits as the fault wants, and reports whether there is still a client
// to answer.
func (o outgoing) pause(g *Gateway, r *http.Request) bool {
	if o.hang && o.delay == 0 {
		select {
		case <-r.Context().Done():
		case <-g.ctx.Done():
		}
		panic(http.ErrAbortHandler)
	}
	if o.delay > 0 {
		g.sleep(r, o.delay)
	}
	return true
}

// sleep waits by the Gateway's clock, and reports whether the client is still
// there.
func (g *Gateway) sleep(r *http.Request, d time.Duration) bool {
	rang, stop := g.after(d)
	defer stop()
	select {
	case <-rang:
		return true
	case <-r.Context().Done():
	case <-g.ctx.Done():
	}
	return false
}

// reset ends the connection of a request with a TCP reset, where it can.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	inner := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		inner = t.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// errFault is why nothing was sent or received.
var errFault = errors.New("ottpaytest: by the fault")
